"""Values written as Python that evaluates to an equal value of the same type.

What a reader of the notebook sees is what was meant: `since = date(1990, 1, 1)`. A class is written by the
name under which the notebook imports it, and where it does not, so that no name of the user's is bound or
read: `__import__("datetime").date(1990, 1, 1)`.
"""

from __future__ import annotations

import builtins
import collections
import datetime as dt
import decimal
import enum
import fractions
import ipaddress
import keyword
import math
import pathlib
import re
import sys
import uuid
import zoneinfo
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from flownb.errors import ParameterError
from flownb.parameters.instances import arguments
from flownb.parameters.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_NO_NAMES: Mapping[str, str] = MappingProxyType({})
#: with these, what is written reads the same whatever a flow has imported
PLAIN_NAMES: Mapping[str, str] = MappingProxyType(
    {
        module: module
        for module in (
            *("collections", "datetime", "decimal", "fractions", "ipaddress", "numpy", "pandas", "pathlib"),
            *("pydantic", "re", "uuid", "zoneinfo"),
        )
    }
)
#: Python's tokenizer takes 200 nested brackets; a level may need three
_DEEPEST = 60
_MOST_VALUES = 1_000_000
#: longer integers are written in hexadecimal, which has no limit on digits
_DECIMAL_BITS = 10_000


def render(value: Any, bound: Mapping[str, str] = _NO_NAMES, *, secrets: bool = False) -> str:
    """Return a Python expression, in one line, that evaluates to an equal value of the same type.

    `bound` maps qualified names to expressions under which they are at hand where the expression is
    evaluated: `{"datetime.date": "date", "pandas": "pd"}`. Subclasses of `str` and `int` are written as
    what they are based on, numpy's scalars as Python's numbers; models, dataclasses and named tuples of the
    classes in `bound` by their constructors.

    Raises `ParameterError` for what cannot be written: other objects, cycles, too deep or too many values,
    and a `Secret`, unless `secrets` says that the expression is not kept anywhere.
    """
    return _Writer(bound, secrets).write(value)


def _refusal(value: object) -> ParameterError:
    name = type(value).__name__
    article = "an" if name[:1] in "AEIOUaeiou" or name.startswith("nd") else "a"
    return ParameterError(
        f"{article} {name} cannot be given to a run in another process; "
        "write it to a file and give its path, or call flow.run(...)"
    )


class _Writer:
    def __init__(self, bound: Mapping[str, str], secrets: bool) -> None:
        self._bound, self._secrets = bound, secrets
        self._inside: list[int] = []
        self._count = 0

    def write(self, value: Any) -> str:
        self._count += 1
        if self._count > _MOST_VALUES:
            raise ParameterError(
                f"more than {_MOST_VALUES:,} values are too many for a notebook's cell; "
                "write them to a file and give its path"
            )
        if id(value) in self._inside:
            raise ParameterError("a value that contains itself cannot be written down")
        if len(self._inside) >= _DEEPEST:
            raise ParameterError(f"a value nested more than {_DEEPEST} deep cannot be written down")
        self._inside.append(id(value))
        try:
            return self._one(value)
        finally:
            self._inside.pop()

    def _one(self, value: Any) -> str:
        if isinstance(value, Secret):
            return self._secret(value)
        if isinstance(value, enum.Enum):
            return self._member(value)
        writer = _EXACT.get(type(value))
        if writer is None and self._knows(type(value)) and (keywords := arguments(value)) is not None:
            return self._made(type(value), keywords)
        writer = writer or self._kind(value)
        if writer is None:
            raise _refusal(value)
        return writer(self, value)

    def _kind(self, value: Any) -> Callable[[_Writer, Any], str] | None:
        """Return the writer for a subclass or for another library's value."""
        numpy, pandas, pydantic = (sys.modules.get(name) for name in ("numpy", "pandas", "pydantic"))
        if pandas is not None and (
            isinstance(value, pandas.Timestamp | pandas.Timedelta) or value is pandas.NaT
        ):
            return _Writer.pandas_time
        if numpy is not None and isinstance(value, numpy.generic):
            return _Writer.numpy_scalar
        if pydantic is not None:
            if isinstance(value, pydantic.SecretStr | pydantic.SecretBytes):
                return _Writer._secret
            if isinstance(value, pydantic.AnyUrl):
                return lambda writer, url: writer.call(
                    f"pydantic.{type(url).__name__}", writer.write(str(url))
                )
        for base, writer in _SUBCLASSES:
            if isinstance(value, base):
                return writer
        return None

    # -- names -------------------------------------------------------------------------------------------

    def name(self, path: str) -> str:
        """Return the expression that reaches a qualified name."""
        if path in self._bound:
            return self._bound[path]
        module, _, attribute = path.rpartition(".")
        if module == "builtins":
            return attribute
        if module in self._bound:
            return f"{self._bound[module]}.{attribute}"
        return f"{imported(module)}.{attribute}"

    def call(self, path: str, *arguments: str) -> str:
        return f"{self.name(path)}({', '.join(arguments)})"

    # -- Python's own ------------------------------------------------------------------------------------

    def float_(self, value: float) -> str:
        if math.isfinite(value):
            return repr(value)
        return self.call("builtins.float", repr(str(value)))

    def complex_(self, value: complex) -> str:
        return self.call("builtins.complex", self.float_(value.real), self.float_(value.imag))

    def items(self, values: Iterable[Any]) -> str:
        return ", ".join([self.write(value) for value in values])

    def tuple_(self, value: tuple[Any, ...]) -> str:
        return f"({self.items(value)}{',' if len(value) == 1 else ''})"

    def set_(self, value: set[Any]) -> str:
        # sorted by what is written, for sets have no order and the same run is to give the same cell
        texts = sorted(self.write(item) for item in value)
        return f"{{{', '.join(texts)}}}" if texts else self.call("builtins.set")

    def frozenset_(self, value: frozenset[Any]) -> str:
        return self.call("builtins.frozenset", *([self.set_(set(value))] if value else ()))

    def dict_(self, value: dict[Any, Any]) -> str:
        return "{" + ", ".join([f"{self.write(k)}: {self.write(v)}" for k, v in value.items()]) + "}"

    def ordered_dict(self, value: collections.OrderedDict[Any, Any]) -> str:
        pairs = ", ".join([f"({self.write(k)}, {self.write(v)})" for k, v in value.items()])
        return self.call("collections.OrderedDict", *([f"[{pairs}]"] if pairs else ()))

    def deque_(self, value: collections.deque[Any]) -> str:
        size = () if value.maxlen is None else (integer(value.maxlen),)
        return self.call("collections.deque", f"[{self.items(value)}]", *size)

    # -- times -------------------------------------------------------------------------------------------

    def datetime_(self, value: dt.datetime) -> str:
        numbers = [
            value.year,
            value.month,
            value.day,
            value.hour,
            value.minute,
            value.second,
            value.microsecond,
        ]
        while len(numbers) > 5 and numbers[-1] == 0:
            numbers.pop()
        return self.call("datetime.datetime", *map(str, numbers), *self._zone(value))

    def time_(self, value: dt.time) -> str:
        numbers = [value.hour, value.minute, value.second, value.microsecond]
        while len(numbers) > 2 and numbers[-1] == 0:
            numbers.pop()
        return self.call("datetime.time", *map(str, numbers), *self._zone(value))

    def timedelta_(self, value: dt.timedelta) -> str:
        fields = [("days", value.days), ("seconds", value.seconds), ("microseconds", value.microseconds)]
        return self.call("datetime.timedelta", *[f"{name}={number}" for name, number in fields if number])

    def _zone(self, value: dt.datetime | dt.time) -> list[str]:
        zone = [f"tzinfo={self.zone(value.tzinfo)}"] if value.tzinfo is not None else []
        return zone + (["fold=1"] if value.fold else [])

    def zone(self, value: dt.tzinfo) -> str:
        if isinstance(value, zoneinfo.ZoneInfo) and value.key is not None:
            return self.call("zoneinfo.ZoneInfo", repr(value.key))
        offset = value.utcoffset(None)
        if offset is None:
            raise ParameterError(
                f"a time in a zone of type {type(value).__name__} cannot be written; use zoneinfo.ZoneInfo"
            )
        plain = dt.timezone(offset)
        name = value.tzname(None)
        if plain == dt.UTC and name in (None, "UTC", "+00:00"):
            return f"{self.name('datetime.timezone')}.utc"
        named = [] if name == plain.tzname(None) or type(value) is not dt.timezone else [repr(name)]
        return self.call("datetime.timezone", self.timedelta_(offset), *named)

    # -- other libraries and the flow's own classes ------------------------------------------------------

    def pandas_time(self, value: Any) -> str:
        if str(value) == "NaT":
            return self.name("pandas.NaT")
        kind = type(value).__name__
        if kind == "Timedelta" or value.tzinfo is None:
            return self.call(f"pandas.{kind}", repr(value.isoformat()))
        # the wall time in a named zone may be ambiguous: written in UTC, and moved back
        written = self.call("pandas.Timestamp", repr(value.tz_convert("UTC").isoformat()))
        zone = getattr(value.tzinfo, "key", None) or getattr(value.tzinfo, "zone", None)
        return f"{written}.tz_convert({repr(zone) if zone else self.zone(value.tzinfo)})"

    def numpy_scalar(self, value: Any) -> str:
        kind = value.dtype.kind
        if kind in "mM":
            unit, scale = sys.modules["numpy"].datetime_data(value.dtype)
            text = repr(str(value)) if kind == "M" else integer(int(value.view("int64")))
            width = "" if scale == 1 else str(scale)
            name = "numpy.datetime64" if kind == "M" else "numpy.timedelta64"
            return self.call(name, text, *([repr(width + unit)] if unit != "generic" else ()))
        number = {"f": float, "c": complex}.get(kind)
        plain = number(value) if number is not None else value.item()
        if isinstance(plain, sys.modules["numpy"].generic):
            raise _refusal(value)
        return self.write(plain)

    def _secret(self, value: Any) -> str:
        if not self._secrets:
            raise ParameterError("a secret is not written down; declare the parameter as `Secret`")
        if isinstance(value, Secret):
            return self.call("flownb.Secret", text_(str(value)))
        return self.call(f"pydantic.{type(value).__name__}", self.write(value.get_secret_value()))

    def _member(self, value: enum.Enum) -> str:
        cls = type(value)
        owner = self.owner(cls)
        if isinstance(value, enum.Flag) and value.name not in cls.__members__:
            return f"{owner}({self.write(value.value)})"
        return f"{owner}.{value.name}" if value.name.isidentifier() else f"{owner}[{value.name!r}]"

    def _knows(self, cls: type) -> bool:
        return f"{cls.__module__}.{cls.__qualname__}" in self._bound or cls.__module__ in self._bound

    def _made(self, cls: type, keywords: Mapping[str, Any]) -> str:
        if all(name.isidentifier() and not keyword.iskeyword(name) for name in keywords):
            return (
                f"{self.owner(cls)}({', '.join(f'{name}={self.write(v)}' for name, v in keywords.items())})"
            )
        return f"{self.owner(cls)}(**{self.dict_(dict(keywords))})"

    def owner(self, cls: type) -> str:
        """Return the expression for a class that a module, or the flow, defines."""
        path = f"{cls.__module__}.{cls.__qualname__}"
        if path in self._bound:
            return self._bound[path]
        found: Any = sys.modules.get(cls.__module__)
        for part in cls.__qualname__.split("."):
            found = getattr(found, part, None)
        if cls.__module__ == "__main__" or found is not cls:
            raise ParameterError(
                f"a member of {cls.__name__} can only be given where the flow knows that class: "
                f"declare the parameter's type as {cls.__name__}"
            )
        if cls.__module__ in self._bound:
            return f"{self._bound[cls.__module__]}.{cls.__qualname__}"
        return f"{imported(cls.__module__)}.{cls.__qualname__}"


def imported(module: str) -> str:
    """Return the expression for a module that nothing has bound a name to."""
    return f'__import__("{module}", fromlist=["*"])' if "." in module else f'__import__("{module}")'


def integer(value: int) -> str:
    """Return an integer's literal, of any length."""
    plain = int.__int__(value)
    return repr(plain) if plain.bit_length() <= _DECIMAL_BITS else hex(plain)


def text_(value: str) -> str:
    """Return a string's literal in one line, whatever the text."""
    return repr(str.__str__(value))


def _path(name: str) -> Callable[[_Writer, Any], str]:
    return lambda writer, value: writer.call(name, text_(str(value)))


def _range(writer: _Writer, value: range) -> str:
    step = () if value.step == 1 else (integer(value.step),)
    return writer.call("builtins.range", integer(value.start), integer(value.stop), *step)


def _slice(writer: _Writer, value: Any) -> str:
    return writer.call("builtins.slice", *map(writer.write, (value.start, value.stop, value.step)))


def _fraction(writer: _Writer, value: fractions.Fraction) -> str:
    return writer.call("fractions.Fraction", integer(value.numerator), integer(value.denominator))


def _date(writer: _Writer, value: dt.date) -> str:
    return writer.call("datetime.date", str(value.year), str(value.month), str(value.day))


def _pattern(writer: _Writer, value: re.Pattern[Any]) -> str:
    standard = int(re.compile("" if isinstance(value.pattern, str) else b"").flags)
    extra = value.flags & ~standard
    return writer.call("re.compile", writer.write(value.pattern), *([str(extra)] if extra else ()))


_EXACT: Mapping[type, Callable[[_Writer, Any], str]] = {
    type(None): lambda _, value: repr(value),
    bool: lambda _, value: repr(value),
    type(...): lambda *_: "...",
    int: lambda _, value: integer(value),
    float: _Writer.float_,
    complex: _Writer.complex_,
    str: lambda _, value: text_(value),
    bytes: lambda _, value: repr(value),
    bytearray: lambda writer, value: writer.call("builtins.bytearray", repr(bytes(value))),
    list: lambda writer, value: f"[{writer.items(value)}]",
    tuple: _Writer.tuple_,
    set: _Writer.set_,
    frozenset: _Writer.frozenset_,
    dict: _Writer.dict_,
    collections.OrderedDict: _Writer.ordered_dict,
    collections.deque: _Writer.deque_,
    collections.Counter: lambda writer, value: writer.call("collections.Counter", writer.dict_(value)),
    range: _range,
    builtins.slice: _slice,
    dt.date: _date,
    dt.datetime: _Writer.datetime_,
    dt.time: _Writer.time_,
    dt.timedelta: _Writer.timedelta_,
    dt.timezone: _Writer.zone,
    zoneinfo.ZoneInfo: _Writer.zone,
    decimal.Decimal: lambda writer, value: writer.call("decimal.Decimal", repr(str(value))),
    fractions.Fraction: _fraction,
    uuid.UUID: lambda writer, value: writer.call("uuid.UUID", repr(str(value))),
    pathlib.PurePosixPath: _path("pathlib.PurePosixPath"),
    pathlib.PureWindowsPath: _path("pathlib.PureWindowsPath"),
    re.Pattern: _pattern,
    **{
        kind: _path(f"ipaddress.{kind.__name__}")
        for kind in (
            ipaddress.IPv4Address,
            ipaddress.IPv6Address,
            ipaddress.IPv4Network,
            ipaddress.IPv6Network,
            ipaddress.IPv4Interface,
            ipaddress.IPv6Interface,
        )
    },
}

#: written as what they are based on
_SUBCLASSES: tuple[tuple[type, Callable[[_Writer, Any], str]], ...] = (
    (pathlib.Path, _path("pathlib.Path")),
    (str, lambda _, value: text_(value)),
    (int, lambda _, value: integer(value)),
    (float, lambda writer, value: writer.float_(float.__float__(value))),
    (bytes, lambda _, value: repr(bytes(value))),
)
