"""Types of the fields of environments: what people may write, and what it becomes. Pure.

The fields of a model have the types of what is stored. What people may write is wider, and is told to type
checkers by `Options` and `LocalOptions`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from pydantic import AfterValidator, BeforeValidator, PlainSerializer

from flownb.callbacks.base import normalise
from flownb.frozen import FrozenDict, plain
from flownb.parameters import Secret

if TYPE_CHECKING:
    from os import PathLike

    from flownb.callbacks import Callback


def _wrong(words: str) -> ValueError:
    """Return what tells pydantic that a value is wrong, also where it is of a wrong type."""
    return ValueError(words)


def as_labels(value: object) -> tuple[str, ...]:
    """Return labels sorted, each once; a bare text is an error, for it is not a list of letters."""
    if value is None:
        return ()
    if isinstance(value, str | bytes):
        raise _wrong(f"is one text; labels are a list: labels=[{value!r}]")
    if isinstance(value, Mapping) or not isinstance(value, Iterable):
        raise _wrong("is not a list of texts")
    labels = list(value)
    for label in labels:
        if not isinstance(label, str) or not label.strip():
            raise _wrong(f"has {label!r} in it; a label is a text")
    return tuple(sorted(set(labels)))


def as_seconds(value: object) -> float | None:
    """Return a length of time in seconds; given as a number of them, or as a timedelta."""
    if value is None:
        return None
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong("is a number of seconds, or a timedelta")
    if not math.isfinite(value) or value < 0:
        raise _wrong("is not less than 0, and not infinite: leave it out for no limit")
    return float(value)


def as_limit(value: object) -> float | None:
    """Return a time limit in seconds; 0 is refused, for nothing could be done in it."""
    seconds = as_seconds(value)
    if seconds == 0:
        raise _wrong("is more than 0 seconds; leave it out for no limit")
    return seconds


def as_memory(value: object) -> int | None:
    """Return an amount of memory in bytes; given as a number of them, or as a text such as "2 GB"."""
    if value is None:
        return None
    if isinstance(value, str):
        written = _MEMORY.fullmatch(value.strip())
        if written is None:
            raise _wrong(f'is a number of bytes, or a text such as "2 GB" or "512 MiB"; not {value!r}')
        value = round(float(written["number"]) * _UNITS[(written["unit"] or "b").lower()])
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong('is a whole number of bytes, or a text such as "2 GB"')
    if value < _LEAST_MEMORY:
        raise _wrong(f"is {value} bytes, in which no flow can do anything; give at least 16 MB")
    return value


_LEAST_MEMORY = 16_000_000
_MEMORY = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[kmgt]?i?b?)", re.IGNORECASE)
_UNITS = {"": 1, "b": 1} | {
    f"{letter}{form}": base**power
    for power, letter in enumerate("kmgt", 1)
    for form, base in (("", 1000), ("b", 1000), ("i", 1024), ("ib", 1024))
}


def as_variables(value: object) -> FrozenDict[str]:
    """Return environment variables; numbers become text. A secret is refused: records show these."""
    if not isinstance(value, Mapping):
        raise _wrong("is a dict of texts")
    for name, item in value.items():
        if not isinstance(name, str) or not name or "=" in name or "\0" in name:
            raise _wrong(f"has {name!r} in it, which cannot be a variable's name")
        if isinstance(item, Secret):
            raise _wrong(
                f"has the secret {name} in it, and is recorded; set it in the process that starts runs: "
                "they inherit its variables"
            )
        if isinstance(item, bool) or not isinstance(item, str | int | float) or "\0" in str(item):
            raise _wrong(f"has a value for {name} that is no text")
    return FrozenDict({name: str(item) for name, item in value.items()})


Labels = Annotated[tuple[str, ...], BeforeValidator(as_labels)]
Seconds = Annotated[float, BeforeValidator(as_seconds)]
Limit = Annotated[float | None, BeforeValidator(as_limit)]
Memory = Annotated[int | None, BeforeValidator(as_memory)]
Folder = Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())]
Variables = Annotated[FrozenDict[str], BeforeValidator(as_variables), PlainSerializer(plain)]


OnStart = Annotated[tuple[Any, ...], BeforeValidator(lambda value: normalise(value, "on_start"))]
OnExit = Annotated[tuple[Any, ...], BeforeValidator(lambda value: normalise(value, "on_exit"))]


class Options(TypedDict, total=False):
    """What every environment takes."""

    labels: Iterable[str] | None
    on_start: Callback | Iterable[Callback] | None
    on_exit: Callback | Iterable[Callback] | None


class LocalOptions(Options, total=False):
    """What a LocalEnvironment takes."""

    engine: str
    kernel: str | None
    timeout: float | timedelta | None
    step_timeout: float | timedelta | None
    memory: int | str | None
    cwd: str | PathLike[str] | None
    env: Mapping[str, str | int | float]
    retries: int
    backoff: float | timedelta
    strict: bool | None
