"""Functions that a decorator files under a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_entries: dict[str, Callable[[int], int]] = {}
_calls = 0


def register(name: str) -> Callable[[Callable[[int], int]], Callable[[int], int]]:
    """File the decorated function under a name."""

    def file(function: Callable[[int], int]) -> Callable[[int], int]:
        _entries[name] = function
        return function

    return file


def forget(name: str) -> None:
    """Take a name out."""
    _entries.pop(name, None)


def names() -> list[str]:
    """Give the names in their order."""
    return list(_entries)


def call(name: str, value: int) -> int:
    """Call what is filed under a name; without it give the value."""
    return _entries[name](value) if name in _entries else value


def tick() -> None:
    """Count, where nobody sees it."""
    global _calls
    _calls += 1


def ticks() -> int:
    """Give the count."""
    return _calls
