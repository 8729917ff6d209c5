"""A class that holds what it is given, and functions that change what they are given."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Box:
    """Holds a list."""

    unit = 1

    def __init__(self, items: list[int]) -> None:
        self.items = items
        self.n = 0

    def add(self, value: int) -> None:
        """Put a value into the list."""
        self.items.append(value)
        self.n += 1

    def area(self) -> int:
        """Give the length in the units of the class."""
        return len(self.items) * self.unit


def fill(values: list[int], value: int) -> None:
    """Put a value into a list."""
    values.append(value)


def fill_all(lists: list[list[int]], value: int) -> None:
    """Put a value into each list."""
    for values in lists:
        values.append(value)


def each(function: Callable[[int], object], count: int) -> None:
    """Call a function with the first numbers."""
    for number in range(count):
        function(number)


def measure(values: list[int]) -> int:
    """Give the area of a box of the values."""
    return Box(values).area()
