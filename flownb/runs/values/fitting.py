"""What every format has in common: how it says that a value is not for it, and what none may write."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

#: makes the place of a file with this suffix, next to where it will stand in the end
Place = Callable[[str], pathlib.Path]
#: writes a value to one or more places; what it returns is handed to the reader (JSON data)
Write = Callable[[Any, Place], "dict[str, Any] | None"]
#: reads the value back from its files
Read = Callable[[Sequence[pathlib.Path], Mapping[str, Any]], Any]


class UnfitError(Exception):
    """A format cannot give this value back exactly: the next one is tried."""


class SecretError(ValueError):
    """A secret is among the values: no format may write it."""


def refuse_secrets(kinds: Iterable[type]) -> None:
    """Raise `SecretError` where one of these classes is flownb's `Secret`."""
    for kind in kinds:
        if any(
            base.__name__ == "Secret" and base.__module__.split(".")[0] == "flownb" for base in kind.__mro__
        ):
            raise SecretError("it is or contains a Secret, whose value is never written down")


def is_exactly(value: object, module: str, *names: str) -> bool:
    """Whether a value is of one of these classes and no subclass (which may hold more); imports nothing."""
    loaded = sys.modules.get(module)
    return loaded is not None and any(type(value) is getattr(loaded, name, None) for name in names)
