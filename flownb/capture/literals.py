"""Plain values as the Python that a person would write for them.

Only what comes back equal, of the very same types, and with its own sharing: a value that holds one list
twice is no literal, since two equal lists are not one.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import functools
import math
import pathlib
import re
import uuid
import zoneinfo
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from flownb.names import find_names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flownb.capture.references import References

WIDTH = 100
LIMIT = 10_000  #: characters; longer ones are no reading matter
_DEPTH = 40
_DIGITS = 2_000
_SIZED = frozenset({str, bytes, list, tuple, dict, set, frozenset})


@dataclass(frozen=True)
class Literal:
    """An expression, the names that it reads, and the mutable objects that it makes (their identities)."""

    text: str
    reads: frozenset[str]
    later: frozenset[str]  #: names that functions in it read when they are called
    makes: frozenset[int]


class NotPlainError(Exception):
    """The value has no literal."""


def literal(
    value: object, references: References, named: Mapping[int, str] | None = None, binds: str = ""
) -> Literal | None:
    """Return the literal for `value`; None where it has none that is faithful and fit to be read.

    `named` says which mutable objects have a name of their own in the closure (identity -> name): inside
    other values they are written as that name, so that they stay one object. `binds` is the name that the
    literal is for, which it cannot read.
    """
    writer = _Writer(references, named or {}, binds)
    try:
        text = writer.write(value, 0)
    except NotPlainError:
        return None
    return Literal(text, frozenset(writer.reads), frozenset(writer.later), frozenset(writer.makes))


class _Writer:
    def __init__(self, references: References, named: Mapping[int, str], binds: str) -> None:
        self.references = references
        self.named = named
        self.binds = binds
        self.reads: set[str] = set()
        self.later: set[str] = set()
        self.makes: set[int] = set()
        self.depth = 0
        self.length = 0

    def write(self, value: object, column: int) -> str:
        """Write `value`; `column` is the indentation of the line that it starts on."""
        name = self.named.get(id(value))
        if name is not None:
            self.reads.add(name)
            return name
        self.depth += 1
        if self.depth > _DEPTH:
            raise NotPlainError
        text = self._write(value, column)
        self.depth -= 1
        self.length += len(text) if isinstance(value, str | bytes | int | float) else 2
        if self.length > LIMIT:
            raise NotPlainError
        return text

    def _write(self, value: object, column: int) -> str:
        kind = type(value)
        if kind in _SIZED and len(value) > LIMIT:  # type: ignore[arg-type]
            raise NotPlainError
        atom = _ATOMS.get(kind)
        if atom is not None:
            return atom(value, self)
        container = _CONTAINERS.get(kind)
        if container is not None:
            return container(value, self, column)
        if isinstance(value, enum.Enum):
            return self._enum(value)
        if isinstance(value, FunctionType) and value.__name__ == "<lambda>":
            return self._lambda(value)
        if isinstance(value, ModuleType):
            return self.refer(value)
        if isinstance(value, tuple) and _is_namedtuple(kind):
            fields: tuple[str, ...] = kind._fields  # type: ignore[attr-defined]
            return self.call(kind, zip(fields, value, strict=True), column)
        if _is_simple_dataclass(value):
            self.make(value)
            names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
            return self.call(kind, [(name, getattr(value, name)) for name in names], column)
        if callable(value):
            return self.refer(value)
        raise NotPlainError

    def _lambda(self, function: FunctionType) -> str:
        written = self.references.lambda_source(function)
        if written is None:
            raise NotPlainError
        self.make(function)
        names = find_names(f"_ = ({written})")
        self.reads |= names.reads_first
        self.later |= names.reads
        return written

    def make(self, value: object) -> None:
        """Note a mutable object; a second time would make two of it."""
        if id(value) in self.makes:
            raise NotPlainError
        self.makes.add(id(value))

    def refer(self, value: object) -> str:
        reference = self.references.to(value)
        if reference is None or (reference.reads is not None and reference.reads == self.binds):
            raise NotPlainError
        if reference.reads is not None:
            self.reads.add(reference.reads)
        return reference.text

    def call(self, function: object, arguments: Any, column: int) -> str:
        """Write a call; arguments without a name first have the name ''."""
        head = f"{self.refer(function)}("
        parts = [(f"{name}=" if name else "", value) for name, value in arguments]
        return self.lay_out(head, [(prefix, (value,)) for prefix, value in parts], ")", column)

    def lay_out(
        self,
        head: str,
        items: Sequence[tuple[str, tuple[object, ...]]],
        end: str,
        column: int,
        single: str = "",
    ) -> str:
        """Write items (text before it; a value, or key and value) on one line or, where long, one a line."""
        texts = [
            prefix + ": ".join(self.write(value, column + 4) for value in values) for prefix, values in items
        ]
        flat = head + ", ".join(texts) + (single if len(texts) == 1 else "") + end
        if column + len(flat) <= WIDTH and "\n" not in flat:
            return flat
        if not texts:
            return flat
        pad = " " * (column + 4)
        return head + "\n" + "".join(f"{pad}{text},\n" for text in texts) + " " * column + end

    def _enum(self, value: enum.Enum) -> str:
        cls = type(value)
        if cls.__members__.get(value.name or "") is value:
            return f"{self.refer(cls)}.{value.name}"
        if isinstance(value, enum.Flag):
            return f"{self.refer(cls)}({value.value!r})"
        raise NotPlainError


def _float(value: Any, writer: _Writer) -> str:
    if math.isfinite(value):
        return repr(value)
    sign = "-" if math.copysign(1, value) < 0 else ""  # a NaN's repr has none
    return f'{writer.refer(float)}("{sign}{"nan" if math.isnan(value) else "inf"}")'


def _int(value: Any, _writer: _Writer) -> str:
    if value.bit_length() > _DIGITS:
        raise NotPlainError
    return repr(value)


def _complex(value: Any, writer: _Writer) -> str:
    return f"{writer.refer(complex)}({_float(value.real, writer)}, {_float(value.imag, writer)})"


def _str(value: Any, _writer: _Writer) -> str:
    lines = value.split("\n")
    as_written = len(lines) > 2 and '"""' not in value and "\\" not in value and value[0] != '"' != value[-1]
    if as_written and all(line.isprintable() and not line.endswith(" ") for line in lines):
        return f'"""{value}"""'
    return repr(value) if "'" in value or '"' in value else f'"{repr(value)[1:-1]}"'


def _repr(value: Any, _writer: _Writer) -> str:
    return repr(value)


def _dated(value: Any, writer: _Writer) -> str:
    """Write a date, time or datetime: their repr has the right arguments, but for the time zone's own."""
    kind = type(value)
    zone = getattr(value, "tzinfo", None)
    plain = repr(value.replace(tzinfo=None) if zone is not None else value)
    arguments = plain[plain.index("(") + 1 : -1]
    if zone is not None:
        arguments += f", tzinfo={writer.write(zone, 0)}"
    return f"{writer.refer(kind)}({arguments})"


def _timezone(value: Any, writer: _Writer) -> str:
    if value is dt.timezone.utc:  # noqa: UP017 - the object is meant, by its oldest name
        return f"{writer.refer(dt.timezone)}.utc"
    offset, *name = value.__getinitargs__()
    texts = [writer.write(offset, 0), *map(repr, name)]
    return f"{writer.refer(dt.timezone)}({', '.join(texts)})"


def _zone(value: Any, writer: _Writer) -> str:
    if value.key is None or zoneinfo.ZoneInfo(value.key) is not value:
        raise NotPlainError
    return f"{writer.refer(zoneinfo.ZoneInfo)}({value.key!r})"


def _delta(value: Any, writer: _Writer) -> str:
    parts = [f"{unit}={n}" for unit in ("days", "seconds", "microseconds") if (n := getattr(value, unit))]
    return f"{writer.refer(dt.timedelta)}({', '.join(parts)})"


def _of_text(value: Any, writer: _Writer) -> str:
    return f"{writer.refer(type(value))}({str(value)!r})"


def _path(value: Any, writer: _Writer) -> str:
    kind = pathlib.Path if isinstance(value, pathlib.Path) else type(value)
    return f"{writer.refer(kind)}({str(value)!r})"


def _pattern(value: Any, writer: _Writer) -> str:
    flags = value.flags & ~re.UNICODE if isinstance(value.pattern, str) else value.flags
    given = f", {flags}" if flags else ""
    text = f"{writer.refer(re.compile)}({value.pattern!r}{given})"
    if re.compile(value.pattern, flags) != value:
        raise NotPlainError
    return text


def _range(value: Any, writer: _Writer) -> str:
    return f"{writer.refer(range)}{repr(value).removeprefix('range')}"


def _slice(value: Any, writer: _Writer) -> str:
    parts = [writer.write(part, 0) for part in (value.start, value.stop, value.step)]
    return f"{writer.refer(slice)}({', '.join(parts)})"


def _list(value: Any, writer: _Writer, column: int) -> str:
    writer.make(value)
    return writer.lay_out("[", [("", (item,)) for item in value], "]", column)


def _tuple(value: Any, writer: _Writer, column: int) -> str:
    return writer.lay_out("(", [("", (item,)) for item in value], ")", column, single=",")


def _dict(value: Any, writer: _Writer, column: int) -> str:
    writer.make(value)
    return writer.lay_out("{", [("", pair) for pair in value.items()], "}", column)


def _set(value: Any, writer: _Writer, column: int) -> str:
    writer.make(value)
    return writer.lay_out("{", _sorted(value, writer), "}", column) if value else f"{writer.refer(set)}()"


def _frozenset(value: Any, writer: _Writer, column: int) -> str:
    name = writer.refer(frozenset)
    return writer.lay_out(name + "({", _sorted(value, writer), "})", column) if value else f"{name}()"


def _sorted(value: Any, writer: _Writer) -> list[tuple[str, tuple[object, ...]]]:
    """Put a set's members in an order without hashes: that of numbers or texts, else of their literals."""
    kinds = set(map(type, value))
    if len(kinds) == 1 and kinds <= {int, str, bytes}:
        members = sorted(value)
    else:
        before = writer.length
        members = sorted(value, key=lambda item: writer.write(item, 0))
        writer.length = before
    return [("", (item,)) for item in members]


def _partial(value: Any, writer: _Writer, column: int) -> str:
    if vars(value) if hasattr(value, "__dict__") else False:
        raise NotPlainError
    writer.make(value)
    arguments = [("", value.func), *(("", item) for item in value.args), *value.keywords.items()]
    if not all(name.isidentifier() for name in value.keywords):
        raise NotPlainError
    return writer.call(functools.partial, arguments, column)


_ATOMS: dict[type, Callable[[Any, _Writer], str]] = {
    type(None): _repr,
    bool: _repr,
    int: _int,
    float: _float,
    complex: _complex,
    str: _str,
    bytes: _repr,
    type(Ellipsis): lambda _value, _writer: "...",
    type(NotImplemented): _repr,
    range: _range,
    slice: _slice,
    dt.date: _dated,
    dt.time: _dated,
    dt.datetime: _dated,
    dt.timedelta: _delta,
    dt.timezone: _timezone,
    zoneinfo.ZoneInfo: _zone,
    decimal.Decimal: _of_text,
    uuid.UUID: _of_text,
    pathlib.PosixPath: _path,
    pathlib.WindowsPath: _path,
    pathlib.PurePosixPath: _path,
    pathlib.PureWindowsPath: _path,
    re.Pattern: _pattern,
}

_CONTAINERS: dict[type, Callable[[Any, _Writer, int], str]] = {
    list: _list,
    tuple: _tuple,
    dict: _dict,
    set: _set,
    frozenset: _frozenset,
    functools.partial: _partial,
}

#: types whose values cannot be changed, so that nobody can tell one from an equal one
IMMUTABLE: frozenset[type] = frozenset(_ATOMS)


def _is_namedtuple(kind: type) -> bool:
    fields = getattr(kind, "_fields", None)
    return (
        kind.__bases__ == (tuple,)
        and isinstance(fields, tuple)
        and getattr(kind.__new__, "__code__", None) is not None
        and kind.__new__.__code__.co_filename.startswith("<")
        and kind.__new__.__code__.co_varnames[1:] == fields
    )


def _is_simple_dataclass(value: object) -> bool:
    """Whether calling the class with the fields' values gives an equal object, running nobody's code."""
    cls: Any = type(value)
    parameters = vars(cls).get("__dataclass_params__")
    if parameters is None or not parameters.init or hasattr(cls, "__post_init__"):
        return False
    fields = dataclasses.fields(cls)
    attributes = getattr(value, "__dict__", None)
    names = {field.name for field in fields}
    return (
        all(field.init for field in fields)
        and (attributes is None or set(attributes) == names)
        and all(hasattr(value, name) for name in names)
        and cls.__init__.__code__.co_filename == "<string>"
        and not any("InitVar" in str(note) for note in vars(cls).get("__annotations__", {}).values())
        and cls.__new__ is object.__new__
        and (cls.__setattr__ is object.__setattr__ or parameters.frozen)
        and type(cls) is type
    )
