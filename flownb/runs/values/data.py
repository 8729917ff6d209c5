"""Data as text: JSON where it says all, Python's literals, and JSON with tags for dates and the like."""

from __future__ import annotations

import ast
import base64
import datetime as dt
import decimal
import fractions
import json
import math
import pathlib
import uuid
from typing import TYPE_CHECKING, Any

from .fitting import Place, UnfitError, Write, refuse_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_LITERAL_LIMIT = 100_000  #: characters; longer literals go to tagged JSON, which parses faster
_DEPTH_LIMIT = 100
_NODE_LIMIT = 100_000  #: values to look at one by one; pickling more is quicker
_INT_BITS = 14_000  #: Python refuses to write longer integers in decimal


def data_formats(value: object) -> list[tuple[str, Write]]:
    """Return the formats for a value that consists of plain data, the most readable first; else none."""
    encoder = Encoder()
    try:
        data = encoder.encode(value)
    except (UnfitError, RecursionError):
        return []
    # a lone surrogate, which UTF-8 cannot hold, becomes the six characters with which JSON writes it
    text = json.dumps(data, ensure_ascii=False).encode("utf-8", "backslashreplace")

    def plain(_: Any, place: Place) -> None:
        place(".json").write_bytes(text)

    def tagged(_: Any, place: Place) -> None:
        place(".typed.json").write_bytes(text)

    if not encoder.tagged:
        return [("json", plain)]
    return [*([("python", write_literal)] if encoder.literal else []), ("typed", tagged)]


def read_json(paths: Sequence[pathlib.Path], detail: Mapping[str, Any]) -> Any:  # noqa: ARG001 - readers are alike
    """Read the format "json"."""
    return json.loads(paths[0].read_bytes())


def read_typed(paths: Sequence[pathlib.Path], detail: Mapping[str, Any]) -> Any:  # noqa: ARG001
    """Read the format "typed"."""
    return decode(json.loads(paths[0].read_bytes()))


def write_literal(value: Any, place: Place) -> None:
    """Write a value as the Python literal that it is; not where that is long or says something else."""
    text = repr(value)
    if len(text) > _LITERAL_LIMIT or ast.literal_eval(text) != value:
        raise UnfitError
    place(".py").write_bytes(text.encode("utf-8") + b"\n")


def read_literal(paths: Sequence[pathlib.Path], detail: Mapping[str, Any]) -> Any:  # noqa: ARG001
    """Read the format "python"; only literals are, nothing is run."""
    return ast.literal_eval(paths[0].read_bytes().decode("utf-8"))


class Encoder:
    """Turns data into JSON; what JSON has no word for becomes `{"$kind": ...}`, which sets `tagged`."""

    def __init__(self) -> None:
        self.tagged = False
        self.literal = True  #: whether Python's own literals could say it
        self._depth = 0
        self._seen: set[int] = set()
        self._nodes = 0

    def encode(self, value: Any) -> Any:
        """Return JSON data for a value; `UnfitError` where it, or something in it, is no plain data."""
        kind = type(value)
        self._nodes += 1
        if self._nodes > _NODE_LIMIT:
            raise UnfitError
        if value is None or kind is bool or kind is str:
            return value
        if kind is int and value.bit_length() <= _INT_BITS:
            return value
        if kind is float:
            return value if math.isfinite(value) else self._tag("float", repr(value))
        if kind in _CONTAINERS:
            return self._container(value, kind)
        if kind is bytes:
            return self._tag("bytes", base64.b64encode(value).decode("ascii"), literal=True)
        if kind in _LEAVES:
            return self._tag(kind.__name__, _LEAVES[kind](value))
        if kind.__module__ == "numpy":
            return self._tag("numpy", _of_numpy(value))
        refuse_secrets([kind])
        raise UnfitError

    def _container(self, value: Any, kind: type) -> Any:
        if kind is list and _uniform(value):
            self._nodes += 1
            return value
        # what can be changed and is in there twice (or in itself) would come back as two
        if id(value) in self._seen or self._depth > _DEPTH_LIMIT:
            raise UnfitError
        if kind in _MUTABLE:
            self._seen.add(id(value))
        self._depth += 1
        try:
            if kind is dict and all(type(key) is str and not key.startswith("$") for key in value):
                return {key: self.encode(item) for key, item in value.items()}
            if kind is dict:
                pairs = [[self.encode(key), self.encode(item)] for key, item in value.items()]
                return self._tag("dict", pairs, literal=True)
            items = [self.encode(item) for item in value]
            return items if kind is list else self._tag(kind.__name__, items, literal=kind is not frozenset)
        finally:
            self._depth -= 1

    def _tag(self, kind: str, data: Any, *, literal: bool = False) -> dict[str, Any]:
        self.tagged = True
        self.literal = self.literal and literal
        return {f"${kind}": data}


def _uniform(values: list[Any]) -> bool:
    """Whether a list holds plain values of one kind only: told without a look at each in Python."""
    kinds = set(map(type, values))
    if kinds == {float}:
        return all(map(math.isfinite, values))
    if kinds == {int}:
        return max(map(int.bit_length, values)) <= _INT_BITS
    return bool(kinds) and kinds <= {str, bool, type(None)}


def decode(data: Any) -> Any:
    """Return what `Encoder.encode` was given."""
    if isinstance(data, list):
        return [decode(item) for item in data]
    if not isinstance(data, dict):
        return data
    if len(data) == 1:
        key, item = next(iter(data.items()))
        if key.startswith("$"):
            return _DECODERS[key[1:]](decode(item))
    return {key: decode(item) for key, item in data.items()}


def _clock(value: Any) -> list[Any]:
    return [value.replace(tzinfo=None, fold=0).isoformat(), value.fold, _zone(value.tzinfo)]


def _zone(zone: dt.tzinfo | None) -> Any:
    if zone is None:
        return None
    if type(zone) is dt.timezone:
        offset = zone.utcoffset(None)
        if str(zone) == str(dt.timezone(offset)):  # else it has a name of its own
            return [offset.days, offset.seconds, offset.microseconds]
    key = getattr(zone, "key", None)
    if type(zone).__module__ == "zoneinfo" and isinstance(key, str):
        return key
    raise UnfitError


def _unclock(kind: Any) -> Callable[[Any], Any]:
    def decoder(data: Any) -> Any:
        text, fold, zone = data
        if isinstance(zone, str):
            import zoneinfo

            zone = zoneinfo.ZoneInfo(zone)
        elif zone is not None:
            zone = dt.timezone(dt.timedelta(*zone))
        return kind.fromisoformat(text).replace(tzinfo=zone, fold=fold)

    return decoder


def _of_numpy(value: Any) -> list[str]:
    dtype = getattr(value, "dtype", None)
    if dtype is None or dtype.kind not in "biuf" or dtype.itemsize > 8 or getattr(value, "shape", None) != ():
        raise UnfitError
    if type(value) is not dtype.type:  # an array of no dimensions
        raise UnfitError
    return [dtype.name, repr(value.item())]


def _to_numpy(data: Any) -> Any:
    import numpy as np

    dtype = np.dtype(data[0])
    if dtype.kind == "b":
        return dtype.type(data[1] == "True")
    return dtype.type(float(data[1]) if dtype.kind == "f" else int(data[1]))


_CONTAINERS = (list, tuple, set, frozenset, dict)
_MUTABLE = (list, set, dict)
_PATHS = (pathlib.PosixPath, pathlib.WindowsPath, pathlib.PurePosixPath, pathlib.PureWindowsPath)
_LEAVES: dict[type, Callable[[Any], Any]] = {
    dt.datetime: _clock,
    dt.time: _clock,
    dt.date: dt.date.isoformat,
    dt.timedelta: lambda value: [value.days, value.seconds, value.microseconds],
    decimal.Decimal: str,
    fractions.Fraction: str,
    uuid.UUID: str,
    complex: lambda value: [repr(value.real), repr(value.imag)],
    range: lambda value: [value.start, value.stop, value.step],
    **dict.fromkeys(_PATHS, str),
}
_DECODERS: dict[str, Callable[[Any], Any]] = {
    "float": float,
    "bytes": base64.b64decode,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "dict": dict,
    "datetime": _unclock(dt.datetime),
    "time": _unclock(dt.time),
    "date": dt.date.fromisoformat,
    "timedelta": lambda parts: dt.timedelta(*parts),
    "Decimal": decimal.Decimal,
    "Fraction": fractions.Fraction,
    "UUID": uuid.UUID,
    "complex": lambda parts: complex(float(parts[0]), float(parts[1])),
    "range": lambda parts: range(*parts),
    "numpy": _to_numpy,
    **{kind.__name__: kind for kind in _PATHS},
}
