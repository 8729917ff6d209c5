"""From text to values: what somebody writes on a command line, in a form or in a file of text.

The type decides how text is read, before pydantic validates it. A `str` stays as it is. Collections are
written as JSON or as Python writes them, or with commas between their items; an Enum's member by its value
or its name; none as `none`.
"""

from __future__ import annotations

import datetime as dt
import enum
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from flownb.parameters import known
from flownb.parameters.readings import NotReadableError, guess, member, split, structure
from flownb.parameters.types import (
    ANYTHING,
    NOTHING,
    Anything,
    Bounded,
    Choice,
    Many,
    Members,
    OneOf,
    Open,
    Plain,
    Type,
    Unknown,
    without_bounds,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    #: validates a value as a type, or raises ValueError
    Check = Callable[[Type, Any], Any]

_NUMERIC = re.compile(r"[+-]?[\d_.]+")
_NUMBERS = frozenset(
    {"builtins.int", "builtins.float", "builtins.complex", "decimal.Decimal", "fractions.Fraction"}
)
_TEXTS = frozenset({"builtins.str", "flownb.Secret", "pydantic.SecretStr"})
#: types that take every text: where others of a union do, too, text is none of these
_GREEDY = frozenset({"builtins.bytes", "pathlib.Path", "pathlib.PurePath", "pathlib.PurePosixPath"})


class Text(str):
    """Text as somebody wrote it: the declared type says what it stands for. A plain `str` is a value.

    Where a type takes text among other things, what is `quoted` is text. What is `null` is none where the
    type takes that.
    """

    __slots__ = ("null", "quoted")

    null: bool
    quoted: bool

    def __new__(cls, text: str, *, quoted: bool = False, null: bool = False) -> Self:
        """Mark a text."""
        made = super().__new__(cls, text)
        made.quoted, made.null = quoted, null
        return made


def holds(value: object, cls: type) -> bool:
    """Whether a value is an instance of a class, or has such inside."""
    if isinstance(value, dict):
        return any(holds(part, cls) for pair in value.items() for part in pair)
    if isinstance(value, list | tuple | set | frozenset):
        return any(holds(part, cls) for part in value)
    return isinstance(value, cls)


def plain(value: Any) -> Any:
    """Return a value whose texts somebody else is going to read: with nothing for what is null in it."""
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return None if isinstance(value, Text) and value.null else value


def as_written(value: Any) -> Any:
    """Return what a record keeps of a text that the run itself reads: the JSON or Python that it is."""
    if isinstance(value, Text) and value.strip()[:1] in ("[", "{"):
        with suppress(NotReadableError):
            return structure(value.strip())
    return value


def read(value: Any, kind: Type, check: Check) -> Any:
    """Return a value, for pydantic to validate, in which each text is read as `kind` has it.

    `check` validates a part. Raises `NotReadableError`, which says what is expected.
    """
    if isinstance(value, Text):
        return _text(value, kind, check)
    kind = without_bounds(kind)
    if not holds(value, Text):
        return value
    if isinstance(kind, OneOf):
        return _first(kind, lambda part: read(value, part, check), kind.types, check)
    if isinstance(value, dict):
        keys, values = _mapping_types(kind)
        return {read(key, keys, check): read(item, values, check) for key, item in value.items()}
    return [read(item, _item_type(kind, at), check) for at, item in enumerate(value)]


def _text(text: Text, kind: Type, check: Check) -> Any:
    if text.null and _takes_none(kind):
        return None
    match kind:
        case Bounded(inner=inner) | Open(inner=inner):
            return _text(text, inner, check)
        case Anything() | Unknown():
            return str(text) if text.quoted else guess(str(text))
        case Choice(values=values):
            return _chosen(text, values)
        case Members(enum=members):
            return member(text, members.__members__)
        case OneOf():
            return _alternative(text, kind, check)
        case Many():
            return read(_many(text, kind), kind, check)
        case Plain():
            return _plain(text, kind)


def _takes_none(kind: Type) -> bool:
    kind = without_bounds(kind)
    if isinstance(kind, OneOf):
        return any(map(_takes_none, kind.types))
    return kind == NOTHING or isinstance(kind, Anything) or (isinstance(kind, Choice) and None in kind.values)


def _plain(text: Text, kind: Plain) -> Any:
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
    return str(text)


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
    return member(text, members) if members else str(text)


def _alternative(text: Text, kind: OneOf, check: Check) -> Any:
    """Read text as the first type of a union that takes it: choices, none, numbers, others, text last.

    What is in brackets is a collection where one takes it; what is not is none where anything else does.
    """
    word, takes_text = text.strip(), any(map(_is_text, kind.types))
    bracketed = word[:1] in ("[", "{", "(")

    def rank(part: Type) -> int:
        part = without_bounds(part)
        if isinstance(part, Many):
            return 2 if bracketed else 8
        return _rank(part)

    def as_part(part: Type) -> Any:
        if without_bounds(part) == NOTHING and takes_text and (text.quoted or word not in ("none", "None")):
            raise NotReadableError("text")
        if takes_text and not _is_text(part) and not _says_it_is(text, part, bracketed=bracketed):
            raise NotReadableError("text")
        return _text(text, part, check)

    return _first(kind, as_part, sorted(kind.types, key=rank), check)


def _says_it_is(text: Text, part: Type, *, bracketed: bool) -> bool:
    """Whether text that may as well stay text has the form of another type of its union."""
    part = without_bounds(part)
    if text.quoted:
        return False
    if isinstance(part, Many):
        return bracketed
    return part != Plain("builtins.bool") or text.strip().lower() in ("true", "false")


def _first(kind: OneOf, as_part: Callable[[Type], Any], parts: Any, check: Check) -> Any:
    for part in parts:
        try:
            return check(part, as_part(part))
        except ValueError:
            continue
    raise NotReadableError(f"none of the {len(kind.types)} types fits")


def _is_text(kind: Type) -> bool:
    kind = without_bounds(kind)
    return isinstance(kind, Plain) and kind.path in _TEXTS


def _rank(kind: Type) -> int:
    if isinstance(kind, Choice | Members):
        return 0
    if kind == NOTHING:
        return 1
    if isinstance(kind, Anything):
        return 5
    path = kind.path if isinstance(kind, Plain) else ""
    if path in _NUMBERS:
        return 3
    return 6 if path in _TEXTS else 7 if path in _GREEDY else 4


def _many(text: Text, kind: Many) -> Any:
    word = text.strip()
    if kind.path in known.MAPPINGS:
        value = structure(word) if word else {}
        if not isinstance(value, dict):
            raise NotReadableError('written like {"name": 1}')
        return value
    if word[:1] in ("[", "(", "{"):
        value = structure(word)
        if not isinstance(value, list | tuple | set):
            raise NotReadableError("written like 1,2 or [1, 2]")
        return value
    return [Text(item) for item in split(word)]


def _mapping_types(kind: Type) -> tuple[Type, Type]:
    if not isinstance(kind, Many) or kind.path not in known.MAPPINGS or not kind.items:
        return ANYTHING, ANYTHING
    count = kind.path == "collections.Counter"
    return kind.items[0], Plain("builtins.int") if count else kind.items[-1]


def _item_type(kind: Type, at: int) -> Type:
    if not isinstance(kind, Many) or not kind.items or kind.path in known.MAPPINGS:
        return ANYTHING
    if kind.endless:
        return kind.items[0]
    return kind.items[at] if at < len(kind.items) else ANYTHING
