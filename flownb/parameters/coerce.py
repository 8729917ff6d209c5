"""From text to values: what somebody types on a command line or into a form, read as what was declared.

The type decides how text is read, before pydantic validates it. A `str` stays as it is. Collections are
written as JSON or as Python writes them, or with commas between their items; an Enum's member by its value
or its name; none as `none`.
"""

from __future__ import annotations

import ast
import csv
import datetime as dt
import enum
import functools
import io
import json
import operator
import re
from typing import TYPE_CHECKING, Any

from flownb.parameters import known
from flownb.parameters.types import (
    NOTHING,
    Anything,
    Bounded,
    Choice,
    Many,
    Members,
    OneOf,
    Plain,
    Type,
    Unknown,
    without_bounds,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    #: validates a value as a type, or raises ValueError
    Check = Callable[[Type, Any], Any]

_NUMERIC = re.compile(r"[+-]?[\d_.]+")
_NUMBERS = frozenset(
    {"builtins.int", "builtins.float", "builtins.complex", "decimal.Decimal", "fractions.Fraction"}
)
_TEXTS = frozenset({"builtins.str", "flownb.Secret", "pydantic.SecretStr"})
_WORDS = {"true": True, "false": False, "none": None, "null": None}


class NotReadableError(ValueError):
    """The text does not have the form that its type is written in."""


def from_text(text: str, kind: Type, check: Check) -> Any:
    """Return what `text` says when read as `kind`: a value for pydantic to validate.

    Raises `NotReadableError`, which says what is expected.
    """
    match kind:
        case Bounded(inner=inner):
            return from_text(text, inner, check)
        case Anything():
            return guess(text)
        case Unknown():
            return guess(text) if text.lstrip()[:1] in ("[", "{") else text
        case Choice(values=values):
            return _chosen(text, values)
        case Members(enum=members):
            return _member(text, members.__members__)
        case OneOf():
            return _alternative(text, kind, check)
        case Many():
            return _many(text, kind, check)
        case Plain():
            return _plain(text, kind)


def revalue(value: Any, kind: Type, check: Check) -> Any:
    """Return a value from a file or JSON with the texts inside of it read as `kind` has them.

    Here text is quoted: where a type allows text among others, it stays text.
    """
    kind = without_bounds(kind)
    if isinstance(value, str):
        among = kind.types if isinstance(kind, OneOf) else ()
        quoted = isinstance(kind, Anything | Unknown) or any(_is_text(part) for part in among)
        return value if quoted else from_text(value, kind, check)
    if isinstance(kind, OneOf):
        for part in kind.types:
            if isinstance(part, Many):
                try:
                    return check(part, revalue(value, part, check))
                except ValueError:
                    continue
        return value
    if not isinstance(kind, Many) or not kind.items:
        return value
    if isinstance(value, dict) and kind.path in known.MAPPINGS:
        return _mapping(value, kind, check)
    if isinstance(value, list | tuple):
        return [revalue(item, _item_type(kind, at), check) for at, item in enumerate(value)]
    return value


def guess(text: str) -> Any:
    """Read text of which nothing is declared, as papermill does: a word, a number, JSON, or text."""
    word = text.strip()
    if word in _WORDS or word in ("True", "False", "None"):
        return _WORDS[word.lower()]
    if word[:1] in ("[", "{"):
        try:
            return _structure(word)
        except NotReadableError:
            return text
    for number in (int, float):
        try:
            return number(text) if any(char.isdigit() for char in word) else text
        except ValueError:
            continue
    return text


def _plain(text: str, kind: Plain) -> Any:
    if kind == NOTHING:
        if text.strip().lower() in ("none", "null", ""):
            return None
        raise NotReadableError("expected none")
    if kind.path in ("datetime.date", "datetime.datetime"):
        return _moment(text.strip(), kind)
    try:
        if kind.path == "builtins.complex":
            return complex(text.replace(" ", ""))
        if kind.path == "fractions.Fraction":
            return _fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise NotReadableError(f"not a {known.PLAIN[kind.path]}") from error
    return text


def _moment(text: str, kind: Plain) -> Any:
    """Read an ISO date or time here, because pydantic takes a number for seconds since 1970."""
    maker = dt.date if kind.path == "datetime.date" else dt.datetime
    try:
        return maker.fromisoformat(text)
    except ValueError:
        if _NUMERIC.fullmatch(text):
            raise NotReadableError("written like 2026-01-31") from None
        return text


def _fraction(text: str) -> Any:
    import fractions

    if "e" in text.lower():  # Fraction("1e999999999") would be computed in full
        raise NotReadableError("written like 1/3")
    return fractions.Fraction(text)


def _chosen(text: str, values: tuple[Any, ...]) -> Any:
    for value in values:
        if isinstance(value, str) and value == text:
            return value
    for value in values:
        if not isinstance(value, str) and str(getattr(value, "value", value)).lower() == text.strip().lower():
            return value
    members = {value.name: value for value in values if isinstance(value, enum.Enum)}
    return _member(text, members) if members else text


def _member(text: str, members: Mapping[str, Any]) -> Any:
    """Return the member of that value or name; flags may be joined by `|`."""
    word = text.strip()
    tests: tuple[Callable[[str, Any], bool], ...] = (
        lambda _, member: bool(member.value == text),
        lambda _, member: str(member.value) == word,
        lambda name, _: name == word,
        lambda name, _: name.lower() == word.lower(),
    )
    for test in tests:
        found = {id(member): member for name, member in members.items() if test(name, member)}
        if len(found) == 1:
            return found.popitem()[1]
    parts = word.split("|")
    if len(parts) > 1 and all(isinstance(member, enum.Flag) for member in members.values()):
        return functools.reduce(operator.or_, [_member(part, members) for part in parts])
    raise NotReadableError("one of " + ", ".join(list(members)[:20]))


def _alternative(text: str, kind: OneOf, check: Check) -> Any:
    """Read text as the first type of a union that takes it: choices, none, numbers, others, text last."""
    has_text = any(_is_text(part) for part in kind.types)
    word = text.strip()
    for part in sorted(kind.types, key=_rank):
        if part == NOTHING:
            if word in ("none", "None") or (not has_text and word.lower() in ("none", "null", "")):
                return None
            continue
        try:
            return check(part, from_text(text, part, check))
        except ValueError:
            continue
    raise NotReadableError("none of the types fits")


def _is_text(kind: Type) -> bool:
    kind = without_bounds(kind)
    return isinstance(kind, Plain) and kind.path in _TEXTS


def _rank(kind: Type) -> int:
    kind = without_bounds(kind)
    if isinstance(kind, Choice | Members):
        return 0
    if kind == NOTHING:
        return 1
    if isinstance(kind, Anything | Unknown):
        return 5
    path = kind.path if isinstance(kind, Plain) else ""
    if path in _NUMBERS:
        return 2
    return 6 if path in _TEXTS else 4 if path == "builtins.bytes" else 3


def _many(text: str, kind: Many, check: Check) -> Any:
    word = text.strip()
    if kind.path in known.MAPPINGS:
        value = _structure(word) if word else {}
        if not isinstance(value, dict):
            raise NotReadableError('written like {"name": 1}')
        return _mapping(value, kind, check)
    if word[:1] in ("[", "(", "{"):
        value = _structure(word)
        if not isinstance(value, list | tuple | set):
            raise NotReadableError("written like 1,2 or [1, 2]")
        return [revalue(item, _item_type(kind, at), check) for at, item in enumerate(value)]
    return [from_text(item, _item_type(kind, at), check) for at, item in enumerate(_split(word))]


def _mapping(value: dict[Any, Any], kind: Many, check: Check) -> dict[Any, Any]:
    if not kind.items:
        return value
    keys, values = kind.items[0], kind.items[-1]
    if kind.path == "collections.Counter":
        values = Plain("builtins.int")
    return {
        (
            from_text(key, keys, check) if isinstance(key, str) and not isinstance(keys, Anything) else key
        ): revalue(item, values, check)
        for key, item in value.items()
    }


def _item_type(kind: Many, at: int) -> Type:
    if not kind.items:
        return Anything()
    if kind.endless:
        return kind.items[0]
    return kind.items[at] if at < len(kind.items) else Anything()


def _split(word: str) -> list[str]:
    """Return the items between commas; double quotes keep a comma inside an item."""
    if not word:
        return []
    if '"' in word:
        rows = list(csv.reader(io.StringIO(word, newline=""), skipinitialspace=True))
        if len(rows) == 1:
            return rows[0]
    return [item.strip() for item in word.split(",")]


def _structure(text: str) -> Any:
    """Read JSON, or a literal as Python writes it."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        raise NotReadableError("neither JSON nor a Python literal") from error
