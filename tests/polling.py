"""Waiting in tests: for a condition, with a limit, never for a length of time."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def poll(condition: Callable[[], T], limit: float = 30.0, *, what: str = "", interval: float = 0.02) -> T:
    """Call `condition` until it returns something true, and return that.

    After `limit` seconds an `AssertionError` says what was waited for, and what came last.
    """
    deadline = time.monotonic() + limit
    while True:
        last = condition()
        if last:
            return last
        if time.monotonic() > deadline:
            waited_for = what or getattr(condition, "__qualname__", repr(condition))
            raise AssertionError(f"waited {limit:g} s for {waited_for}; the last answer was {last!r}")
        time.sleep(interval)


def lives(pid: int) -> bool:
    """Whether a process is there and not a zombie that nobody has reaped yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    except (FileNotFoundError, ProcessLookupError):  # the second where it ends while it is read
        return False
