"""Options that one function sets and others read, some of them without being told."""

from __future__ import annotations

LEVEL = 1
OPTIONS = {"x": 1, "y": 2}


def set_option(name: str, value: int) -> None:
    """Set an option, for everybody."""
    OPTIONS[name] = value


def set_level(value: int) -> None:
    """Set the level, for everybody."""
    global LEVEL
    LEVEL = value


def get_option(name: str) -> int:
    """Give an option, 0 without it."""
    return OPTIONS.get(name, 0)


def options() -> dict[str, int]:
    """Give the options themselves, not a copy."""
    return OPTIONS


def scaled(value: int) -> int:
    """Give a value that the options and the level change."""
    return value * OPTIONS["x"] + LEVEL
