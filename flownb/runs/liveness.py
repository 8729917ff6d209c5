"""Is the process that supervises a run alive? It holds a lock for as long as it lives.

The operating system lets go of the lock when the process ends, however it ends; no clock is asked. A child
that was forked meanwhile must not keep the lock alive, so it closes its copy at once.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from flownb.errors import LockHeldError, RecordError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

_CANCEL = "cancel"
_CLOSE_ON_EXEC = getattr(os, "O_CLOEXEC", 0)
_LOOKING = os.O_RDWR if sys.platform == "win32" else os.O_RDONLY
_PATIENCE = 0.2  #: seconds: somebody who only looks holds the lock for microseconds


class Lock:
    """The lock of one run: a file that one process at a time can hold.

    A supervisor acquires it before it records the run, and releases it after it recorded the end: a run
    that is not at its end and whose lock is free has lost its supervisor.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._descriptor: int | None = None

    def acquire(self) -> Self:
        """Take the lock; makes the file where needed.

        Raises `LockHeldError` where a living process has it, `RecordError` with the system's word where the
        file cannot be made.
        """
        if self._descriptor is not None:
            raise LockHeldError(f"{self.path} is locked by this very object")
        try:
            with _forks() as open_locks:
                self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | _CLOSE_ON_EXEC, 0o666)
                open_locks.add(self)
            self._lock(self._descriptor)
        except OSError as error:
            self._close()
            raise RecordError(f"{self.path} cannot be locked: {error.strerror or error}") from error
        except BaseException:
            self._close()
            raise
        return self

    def _lock(self, descriptor: int) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not _try_lock(descriptor):
            if time.monotonic() > deadline:
                raise LockHeldError(f"{self.path} is locked: the run is supervised by another process")
            time.sleep(0.005)

    def release(self) -> None:
        """Let go; nothing happens where it is not held."""
        self._close()

    def __enter__(self) -> Self:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def __del__(self) -> None:
        self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)


def held(path: Path) -> bool:
    """Whether a living process (this one too) holds the lock at `path`; no file means no."""
    try:
        # a reader's lock is shared: two that look at once do not take each other for the supervisor
        descriptor = os.open(path, _LOOKING | _CLOSE_ON_EXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise RecordError(f"{path} cannot be looked at: {error.strerror or error}") from error
    try:
        return not _try_lock(descriptor, shared=True)
    finally:
        os.close(descriptor)


def request_cancel(folder: Path) -> None:
    """Leave word in a run's folder that it shall be cancelled; its supervisor looks for it."""
    try:
        (folder / _CANCEL).touch()
    except OSError as error:
        raise RecordError(
            f"the run in {folder} cannot be cancelled from here: {error.strerror or error}"
        ) from error


def cancel_requested(folder: Path) -> bool:
    """Whether somebody asked, perhaps from another process, that the run in `folder` be cancelled."""
    return (folder / _CANCEL).exists()


class _Forks:
    """Keeps forks and the opening of locks apart, and closes a parent's locks in its children."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._open: weakref.WeakSet[Lock] = weakref.WeakSet()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=self._guard.acquire,
                after_in_parent=self._guard.release,
                after_in_child=self._in_child,
            )

    def __enter__(self) -> weakref.WeakSet[Lock]:
        self._guard.acquire()
        return self._open

    def __exit__(self, *_: object) -> None:
        self._guard.release()

    def _in_child(self) -> None:
        for lock in list(self._open):
            lock.release()
        self._open.clear()
        self._guard.release()


@functools.cache
def _forks() -> _Forks:
    """Return the one keeper of this process, made with the first lock: importing registers nothing."""
    return _Forks()


if sys.platform == "win32":  # pragma: no cover - Windows
    import msvcrt

    def _try_lock(descriptor: int, *, shared: bool = False) -> bool:  # noqa: ARG001 - there is one kind only
        try:
            os.lseek(descriptor, 0, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(descriptor: int, *, shared: bool = False) -> bool:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
