"""The record stores that this process has open: one connection a file, however many runs look at it.

A run that somebody keeps costs no descriptors of its own, and threads take turns instead of waiting for each
other's locks. No connection is carried through a fork: SQLite notes in memory which locks its process holds,
and a child would go by its parent's notes for ever. So a fork waits for the turns to end and closes what is
open; both sides open it again when they need it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sqlite3
import threading
import time
import weakref
from typing import TYPE_CHECKING

from flownb.runs.schema import bring_up_to_date

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_PATIENCE = 30.0  #: seconds to wait for other writers


def shared_file(path: Path) -> SharedFile:
    """Return the file at `path` as this process shares it. Nothing is opened yet."""
    return _files().at(path.absolute())


class SharedFile:
    """A file that threads use in turns; it is closed when nobody has this object any more."""

    def __init__(self, path: Path, files: _Files) -> None:
        """Prepare; `shared_file` sees to it that there is one of these for a file."""
        self._path = path
        self._files = files
        self._connection: sqlite3.Connection | None = None
        self._let_go: Callable[[], object] | None = None
        self._identity: tuple[int, int] | None = None  # of what is open
        self._durable = False

    def turn(self) -> contextlib.AbstractContextManager[None]:
        """Keep other threads, and forks, away; what follows is called within."""
        return self._files.turn()

    @property
    def is_open(self) -> bool:
        """Whether it is open, and is what lies at its path now: people delete and move folders."""
        opened = self._connection is not None and self._connection in self._files.open
        return opened and self._identity == _identity(self._path)

    def connection(self, *, durable: bool | None = None) -> sqlite3.Connection:
        """Return the connection, opened where it is not.

        A transaction is on the disk when it ends where it is `durable`; None leaves that as it is.
        """
        if self._connection is None or not self.is_open:
            self.close()
            self._connection, self._durable = _connect(self._path), False
            self._identity = _identity(self._path)
            self._files.open.add(self._connection)
            self._let_go = weakref.finalize(self, self._files.close, self._connection)
        if durable is not None and durable is not self._durable:
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._durable = durable
        return self._connection

    def close(self) -> None:
        """Close it for all of this process; it is opened again when it is needed."""
        if self._let_go is not None:
            self._let_go()
        self._connection = self._let_go = None


class _Files:
    """The files of this process: whose turn it is, what is open, and what becomes of that in a fork."""

    def __init__(self) -> None:
        self.open: set[sqlite3.Connection] = set()
        self._known: weakref.WeakValueDictionary[Path, SharedFile] = weakref.WeakValueDictionary()
        # one lock for all files: a finalizer, which may come at any moment, takes it within another turn
        self._lock = threading.RLock()
        self._depth = 0  # of turns within turns
        self._abandoned: set[sqlite3.Connection] = set()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=self._before_fork, after_in_parent=self._lock.release, after_in_child=self._in_child
            )

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        with self._lock:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1

    def at(self, path: Path) -> SharedFile:
        with self.turn():
            return self._known.setdefault(path, SharedFile(path, self))

    def close(self, connection: sqlite3.Connection) -> None:
        with self.turn():
            if connection in self.open:
                self.open.remove(connection)
                connection.close()

    def _before_fork(self) -> None:
        self._lock.acquire()
        if self._depth == 0:  # else it is a handler of signals that forks, in the middle of a turn
            for connection in list(self.open):
                self.close(connection)

    def _in_child(self) -> None:
        self._abandoned |= self.open  # kept: even to close a connection of the parent is to use it
        self.open = set()
        self._lock.release()


@functools.cache
def _files() -> _Files:
    """Return the one of this process, made with the first store: importing registers nothing."""
    return _Files()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA trusted_schema = OFF")  # the file may have come with a project
        _use_wal(connection)
        connection.execute("PRAGMA synchronous = NORMAL")  # in WAL mode: safe, but not always durable
        bring_up_to_date(connection, path)
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


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
