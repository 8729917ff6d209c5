"""Functions that are called back later."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_listeners: list[Callable[[int], object]] = []


def listen(function: Callable[[int], object]) -> None:
    """Keep a function for later."""
    _listeners.append(function)


def fire(value: int) -> None:
    """Call every function that was kept."""
    for function in _listeners:
        function(value)
