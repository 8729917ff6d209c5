"""One process at a time: a lock that ends with the process that holds it, however that ends."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from flownb.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def alone(path: Path, doing: str, limit: float = 900.0) -> Iterator[None]:
    """Hold the lock of the file `path`, which is made where there is none.

    Raises `StorageError` when another process has held it for `limit` seconds, or it cannot be made.
    Without locks (Windows) nothing is waited for.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageError(f"{doing} needs the file {path}: {error.strerror}") from None
    try:
        _wait_for(handle, path, doing, limit)
        yield
    finally:
        os.close(handle)


def _wait_for(handle: int, path: Path, doing: str, limit: float) -> None:
    try:
        import fcntl
    except ImportError:
        return
    deadline = time.monotonic() + limit
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise StorageError(
                    f"{doing} waits for another process that does the same since {limit:g} s "
                    f"(it holds {path}); try again when it has ended"
                ) from None
            time.sleep(0.01)
        else:
            return
