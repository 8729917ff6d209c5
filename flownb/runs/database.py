"""One SQLite file, used by many threads and processes at once."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any

from flownb.errors import RecordError
from flownb.runs.schema import check_version
from flownb.runs.shared import shared_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path


class Database:
    """Opens the file when it is first needed, once for all of this process that name it."""

    def __init__(
        self, path: Path, prepare: Callable[[], object], check: Callable[[], object] = lambda: None
    ) -> None:
        """`prepare` makes the folder of `path`, and is called before the file is first written.

        `check` is called before it is first read, and raises where it is not to be.
        """
        self.path = path
        self._prepare = prepare
        self._check = check
        self._file = shared_file(path)

    @contextlib.contextmanager
    def write(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """Give a connection within a transaction that nobody else writes in; all of it is kept, or nothing.

        What was written is there for everybody when the block ends, and stays also when this process is
        killed. Where it is `durable` it is on the disk by then, with all that was written before it: the
        machine may go down. Else that may take the last of the transactions, from one on and each whole.
        Raises `RecordError` with SQLite's or the system's word where it cannot be written.
        """
        with self._words("written"), self._file.turn():
            if not self._file.is_open:
                self._prepare()
            connection = self._file.connection(durable=durable)
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
        if not self.path.exists():
            return []
        with self._words("read"), self._file.turn():
            if not self._file.is_open:
                self._check()
            try:
                connection = self._file.connection()
            except sqlite3.OperationalError:
                with contextlib.closing(_connect_to_read(self.path)) as connection:
                    return connection.execute(statement, values).fetchall()
            return connection.execute(statement, values).fetchall()

    def close(self) -> None:
        """Close the file for all of this process; it is opened again when it is needed."""
        with self._file.turn():
            self._file.close()

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
