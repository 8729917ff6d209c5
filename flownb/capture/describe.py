"""What a value is, in a few words for people."""

from __future__ import annotations

import contextlib
import sys
from types import ModuleType

_SIZED = (list, tuple, dict, set, frozenset, str, bytes)


def describe(value: object) -> str:
    """Return the type, with shape or length where that says something: `DataFrame, 12 x 3`, `list of 5`."""
    kind = type(value).__name__
    if isinstance(value, ModuleType):
        return _module(value)
    if isinstance(value, type):
        return "class"
    if kind in {"function", "builtin_function_or_method"}:
        return "function"
    with contextlib.suppress(Exception):  # a description must not be what a capture fails on
        shape = getattr(value, "shape", None)
        if type(shape) is tuple and shape and all(isinstance(n, int) for n in shape):
            dtype = f", {value.dtype}" if kind in {"ndarray", "Tensor"} else ""  # type: ignore[attr-defined]
            return f"{kind}, {' x '.join(map(str, shape))}{dtype}"
        if type(value) in _SIZED and not isinstance(value, str | bytes):
            return f"{kind} of {len(value)}"  # type: ignore[arg-type]
    return kind


def _module(module: ModuleType) -> str:
    top = module.__name__.partition(".")[0]
    if top in sys.stdlib_module_names:
        return "module of Python"
    version = getattr(sys.modules.get(top), "__version__", None)
    return f"module of {top} {version}" if isinstance(version, str) else f"module of {top}"


def qualified(value: object) -> str:
    """Return the name of a value's type, with its package where that is not the notebook or Python itself."""
    kind = type(value)
    top = kind.__module__.partition(".")[0]
    return kind.__qualname__ if top in {"builtins", "__main__"} else f"{top}.{kind.__qualname__}"


def readable_size(count: int) -> str:
    """Return a number of bytes as people write it: `812 bytes`, `1.2 kB`, `34 MB`."""
    size = float(count)
    if size < 1000:
        return f"{count} bytes"
    for unit in ("kB", "MB", "GB", "TB"):
        size /= 1000
        if size < 1000 or unit == "TB":
            break
    return f"{size:.1f} {unit}" if size < 10 else f"{size:.0f} {unit}"
