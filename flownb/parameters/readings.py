"""What a text may stand for: a number, JSON, what Python writes, the name of an Enum's member.

Self-contained, and for Python 3.10 and newer: documents have this source with them, see `judging`.
"""

from __future__ import annotations

import ast
import csv
import enum
import functools
import io
import json
import operator
import typing
from contextlib import suppress

_WORDS = {"true": True, "false": False, "none": None, "null": None}


class NotReadableError(ValueError):
    """The text does not have the form that its type is written in."""


def structure(text: str) -> typing.Any:
    """Read JSON, or a literal as Python writes it."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        raise NotReadableError("neither JSON nor a Python literal") from error


def guess(text: str) -> typing.Any:
    """Read text of which nothing is declared, as papermill does: a word, a number, JSON, or text."""
    word = text.strip()
    if word in _WORDS or word in ("True", "False", "None"):
        return _WORDS[word.lower()]
    if word[:1] in ("[", "{"):
        with suppress(NotReadableError):
            return structure(word)
        return text
    for number in (int, float):
        with suppress(ValueError):
            return number(text) if any(char.isdigit() for char in word) else text
    return text


def split(text: str) -> list[str]:
    """Return the items between commas; double quotes keep a comma inside an item."""
    if not text:
        return []
    if '"' in text:
        rows = list(csv.reader(io.StringIO(text, newline=""), skipinitialspace=True))
        if len(rows) == 1:
            return rows[0]
    return [item.strip() for item in text.split(",")]


def member(text: str, members: typing.Mapping[str, typing.Any]) -> typing.Any:
    """Return the member of that value or name; flags may be joined by `|`, or be their number."""
    cls = type(next(iter(members.values()), None))
    word = text.strip().removeprefix(f"{cls.__name__}.")
    for test in (
        lambda _, member: member.value == text,
        lambda _, member: str(member.value) == word,
        lambda name, _: name == word,
        lambda name, _: name.lower() == word.lower(),
    ):
        found = {id(member): member for name, member in members.items() if test(name, member)}
        if len(found) == 1:
            return found.popitem()[1]
    if issubclass(cls, enum.Flag):
        names = word.split("|")
        if len(names) > 1:
            return functools.reduce(operator.or_, [member(name, members) for name in names])
        with suppress(ValueError):
            return cls(int(word))
    raise NotReadableError("one of " + ", ".join(list(members)[:20]))


def readings(text: str, enums: list[typing.Any]) -> typing.Iterator[typing.Any]:
    """Yield what a text may stand for, the likeliest first."""
    word = text.strip()
    if word[:1] in ("[", "{", "("):
        with suppress(NotReadableError):
            yield from inside(structure(word), enums)
    for cls in enums:
        with suppress(NotReadableError):
            yield member(text, cls.__members__)
    if word in ("none", "None"):
        yield None
    yield from (text, guess(text))
    yield from inside(split(word), enums)


def inside(value: typing.Any, enums: list[typing.Any], *, text: bool = True) -> typing.Iterator[typing.Any]:
    """Yield what a value with texts inside may stand for."""
    yield value
    if enums:
        yield _deep(value, enums, lambda text: text)
    if text:
        yield _deep(value, enums, guess)


def _deep(value: typing.Any, enums: list[typing.Any], read: typing.Callable[[str], typing.Any]) -> typing.Any:
    """Return a value in which each text is the member of an Enum that it names, or else what `read` makes."""
    if isinstance(value, str):
        for cls in enums:
            with suppress(NotReadableError):
                return member(value, cls.__members__)
        return read(value)
    if isinstance(value, dict):
        return {_deep(key, enums, read): _deep(item, enums, read) for key, item in value.items()}
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(_deep(item, enums, read) for item in value)
    return value
