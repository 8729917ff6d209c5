"""One SQLite file, used by many threads and processes at once."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

from flownb.errors import RecordError
from flownb.runs.schema import bring_up_to_date, check_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

_PATIENCE = 30.0  #: seconds to wait for other writers


class Database:
    """Opens the file when it is first needed, and again in a forked child: SQLite forbids sharing there."""

    def __init__(self, path: Path, prepare: Callable[[], object]) -> None:
        """`prepare` makes the folder of `path`; it is called before the file is first written."""
        self.path = path
        self._prepare = prepare
        self._opened: _Opened | None = None

    @contextlib.contextmanager
    def write(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """Give a connection within a transaction that nobody else writes in; all of it is kept, or nothing.

        What was written is there for everybody when the block ends, and stays also when this process is
        killed. Where it is `durable` it is on the disk by then, with all that was written before it: the
        machine may go down. Else that may take the last of the transactions, from one on and each whole.
        Raises `RecordError` with SQLite's or the system's word where it cannot be written.
        """
        if self._opened is None:
            self._prepare()
        with self._words("written"), self._open().used(durable=durable) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                with contextlib.suppress(sqlite3.OperationalError):  # a full disk has rolled back already
                    connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def read(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of one SELECT; none where there is no file yet. Raises `RecordError`."""
        if self._opened is None and not self.path.exists():
            return []
        with self._words("read"):
            try:
                opened = self._open()
            except sqlite3.OperationalError:
                with contextlib.closing(_connect_to_read(self.path)) as connection:
                    return connection.execute(statement, values).fetchall()
            with opened.used() as connection:
                return connection.execute(statement, values).fetchall()

    def close(self) -> None:
        """Close the file; it is opened again when it is needed."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def _open(self) -> _Opened:
        opened = self._opened
        if opened is None or opened.process != os.getpid():
            opened = self._opened = _Opened(self.path, inherited=opened)
        return opened

    @contextlib.contextmanager
    def _words(self, what: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            # an error of no narrower kind: the file itself is not, or not any more, what SQLite wrote
            hint = "; put a copy of it back, or move it away to begin anew" * (
                type(error) is sqlite3.DatabaseError
            )
            raise RecordError(
                f"the records of runs in {self.path} cannot be {what}: {error}{hint}"
            ) from error


class _Opened:
    """A connection, the process that it is for, and the lock with which threads take turns."""

    def __init__(self, path: Path, inherited: _Opened | None) -> None:
        self.process = os.getpid()
        self._inherited = inherited  # kept: a child must not even close the connection of its parent
        self._turn = threading.RLock()
        self._connection = _connect(path)
        self._durable = False
        self.close = weakref.finalize(self, _close, self._connection, self.process)

    @contextlib.contextmanager
    def used(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        with self._turn:
            if durable is not self._durable:
                self._connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                self._durable = durable
            yield self._connection


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
    try:
        _use_wal(connection)
        connection.execute("PRAGMA synchronous = NORMAL")  # in WAL mode: safe, but not always durable
        bring_up_to_date(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect_to_read(path: Path) -> sqlite3.Connection:
    """Open a file that nobody can write to now: its folder is read-only, or the disk is full."""
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None)
    try:
        check_version(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL mode. SQLite does not wait for others while it switches, so this does."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _close(connection: sqlite3.Connection, process: int) -> None:
    if os.getpid() == process:
        connection.close()
