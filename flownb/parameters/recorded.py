"""Values of parameters as a record keeps them: as Python that `render` wrote, which is read, not run."""

from __future__ import annotations

import ast
import collections
import datetime as dt
import decimal
import fractions
import importlib
import ipaddress
import json
import math
import pathlib
import re
import uuid
import zoneinfo
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MAKERS: Final[Mapping[str, Callable[..., Any]]] = {
    **{kind.__name__: kind for kind in (bytearray, complex, float, frozenset, range, set, slice)},
    **{kind.__name__: kind for kind in (dt.date, dt.datetime, dt.time, dt.timedelta, dt.timezone)},
    **{kind.__name__: kind for kind in (collections.Counter, collections.OrderedDict, collections.deque)},
    **{kind.__name__: kind for kind in (decimal.Decimal, fractions.Fraction, uuid.UUID, zoneinfo.ZoneInfo)},
    **{kind.__name__: kind for kind in (pathlib.Path, pathlib.PurePosixPath, pathlib.PureWindowsPath)},
    **{
        kind.__name__: kind
        for kind in (
            *(ipaddress.IPv4Address, ipaddress.IPv6Address, ipaddress.IPv4Network, ipaddress.IPv6Network),
            *(ipaddress.IPv4Interface, ipaddress.IPv6Interface),
        )
    },
    "compile": re.compile,
}
#: of libraries that may not be there
_MODULES: Final = {
    **dict.fromkeys(("Timestamp", "Timedelta", "NaT"), "pandas"),
    **dict.fromkeys(("datetime64", "timedelta64"), "numpy"),
}


_LONGEST: Final = 10_000  #: bits of an integer that is written in decimal, which Python limits


def recorded_value(source: str) -> Any:
    """Return the value that a record has of a parameter; its source where that is not understood.

    Of the notebook's own classes there is what `render` told of them: the name of an Enum's member, a dict
    of what a model was made of.
    """
    try:
        return read_value(source, own=True)
    except ValueError:
        return source


def read_value(source: str, *, own: bool = False) -> Any:
    """Return the value that some source writes out: literals and constructors of well-known values.

    Nothing else is executed. Raises `ValueError` for anything else; with `own`, what calls of any other
    class were given stands for them, as only `render` may be known to have written the source.
    """
    try:
        return _Reader(own=own).value(ast.parse(source.strip(), mode="eval").body)
    except (ArithmeticError, AttributeError, ImportError, LookupError, SyntaxError, TypeError) as error:
        raise ValueError(f"not a value: {source:.60}") from error
    except (RecursionError, MemoryError) as error:
        raise ValueError("nested too deep") from error


class _Reader:
    def __init__(self, *, own: bool) -> None:
        self._own = own

    def value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=value):
                return value
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self.value(operand)
            case ast.List(elts=items):
                return [self.value(item) for item in items]
            case ast.Tuple(elts=items):
                return tuple(self.value(item) for item in items)
            case ast.Set(elts=items):
                return {self.value(item) for item in items}
            case ast.Dict(keys=keys, values=values):
                pairs = zip(keys, values, strict=True)
                return {self.value(key): self.value(value) for key, value in pairs if key is not None}
            case ast.Call(func=ast.Attribute(value=owner, attr="tz_convert"), args=[zone]):
                return self.value(owner).tz_convert(self.value(zone))
            case ast.Call(func=func, args=args, keywords=keywords):
                return self._made(func, [self.value(arg) for arg in args], keywords)
            case ast.Attribute(attr=name) if name == "utc" or name in _MODULES:
                return dt.UTC if name == "utc" else _of_library(name)
            case ast.Attribute(attr=name) | ast.Subscript(slice=ast.Constant(value=str(name))) if self._own:
                return name  # of an Enum's member
        raise ValueError(type(node).__name__)

    def _made(self, func: ast.expr, values: list[Any], keywords: list[ast.keyword]) -> Any:
        named: dict[str, Any] = {}
        for keyword in keywords:
            value = self.value(keyword.value)
            named.update({keyword.arg: value} if keyword.arg else value)
        name = getattr(func, "attr", getattr(func, "id", ""))
        if name in _MAKERS or name in _MODULES:
            return (_MAKERS.get(name) or _of_library(name))(*values, **named)
        if self._own and ((named and not values) or (len(values) == 1 and not named)):
            return named or values[0]  # of a model, a dataclass or a named tuple; of a combined flag or a URL
        raise ValueError(name)


def _of_library(name: str) -> Any:
    return getattr(importlib.import_module(_MODULES[name]), name)


# -- as others read it -----------------------------------------------------------------------------------


def json_value(value: Any) -> Any:
    """Return a value as JSON has it: times as ISO 8601, decimals and paths as text, sets as lists."""
    if isinstance(value, int) and value.bit_length() > _LONGEST:
        return hex(value)
    if value is None or isinstance(value, int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {key if isinstance(key, str) else typed(key): json_value(v) for key, v in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((json_value(item) for item in value), key=typed)
    if isinstance(value, list | tuple | range | collections.deque):
        return [json_value(item) for item in value]
    if isinstance(value, bytes | bytearray):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, dt.timedelta):
        return _duration(value)
    if isinstance(value, re.Pattern):
        return json_value(value.pattern)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def typed(value: Any) -> str:
    """Return a recorded value as somebody would type it on a command line: `1990-01-01`, `[1, 2]`, `none`."""
    plain = json_value(value)
    if plain is None:
        return "none"
    if not isinstance(plain, str):
        return json.dumps(plain, ensure_ascii=False)
    return f"@{plain}" if plain.startswith("@") else plain  # one alone says where a value is


def _duration(value: dt.timedelta) -> str:
    """Write a duration as ISO 8601: `P7D`, `PT36H`."""
    sign, value = ("-", -value) if value < dt.timedelta() else ("", value)
    minutes, seconds = divmod(value.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    exact = (
        f"{seconds}.{value.microseconds:06}".rstrip("0").rstrip(".") if value.microseconds else str(seconds)
    )
    parts = [(str(hours), "H"), (str(minutes), "M"), (exact, "S")]
    clock = "".join(number + unit for number, unit in parts if number != "0")
    days = f"{value.days}D" if value.days or not clock else ""
    return f"{sign}P{days}{'T' if clock else ''}{clock}"
