"""Waiting in tests: for a condition, with a limit, never for a length of time."""

from __future__ import annotations

import time
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
