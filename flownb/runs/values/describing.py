"""What a value is, in words for people, without much work."""

from __future__ import annotations

import reprlib
from typing import Any

from .fitting import is_exactly

_PREVIEW_LIMIT = 1_000  #: characters


def describe(value: Any) -> str:
    """Return what a value is: `DataFrame, 12 x 3`, `float64 array, 3 x 4`, `list, 7`."""
    kind = type(value)
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape and all(isinstance(size, int) for size in shape):
        name = f"{value.dtype} array" if is_exactly(value, "numpy", "ndarray") else kind.__name__
        return f"{name}, {' x '.join(map(str, shape))}"
    if kind in (str, bytes, list, tuple, dict, set, frozenset):
        return f"{kind.__name__}, {len(value)}"
    return kind.__name__


def preview(value: Any) -> str:
    """Return the beginning of a value as text, a few lines at most; a value's own `repr` may say it."""
    try:
        text = _preview(value)
    except Exception as error:  # noqa: BLE001 - a value's own methods may raise anything
        return f"(its repr failed: {type(error).__name__})"
    return text if len(text) <= _PREVIEW_LIMIT else text[: _PREVIEW_LIMIT - 1] + "…"


def _preview(value: Any) -> str:
    if is_exactly(value, "pandas", "DataFrame"):
        return str(value.head(5).to_string(max_cols=8, max_colwidth=30))
    if is_exactly(value, "pandas", "Series"):
        return str(value.head(5).to_string())
    if is_exactly(value, "polars", "DataFrame", "Series"):
        return str(value.head(5))
    if is_exactly(value, "pyarrow", "Table", "RecordBatch"):
        return "\n".join(f"{field.name}: {field.type}" for field in value.schema)
    if is_exactly(value, "numpy", "ndarray"):
        import numpy as np

        return str(np.array2string(value, threshold=20, edgeitems=3))
    if type(value).__module__ == "numpy" and hasattr(value, "item") and not getattr(value, "shape", None):
        return str(value)  # a number, without the name of its type around it
    if type(value) is str:
        return value[:_PREVIEW_LIMIT]
    short = reprlib.Repr()
    short.maxlist = short.maxtuple = short.maxset = short.maxfrozenset = short.maxdict = 20
    short.maxstring = short.maxother = short.maxlong = 200
    return short.repr(value)
