"""What a value is, in words for people, without much work."""

from __future__ import annotations

import reprlib
from typing import Any

from .fitting import is_exactly

_PREVIEW_LIMIT = 1_000  #: characters
_ROWS, _COLUMNS, _CELL = 5, 12, 40  #: of a table's head; a cell is so many characters long


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


def head(value: Any) -> dict[str, Any]:
    """Return the first rows of a table as texts, and its size (rows, columns); nothing of other values."""
    try:
        found = _head(value)
    except Exception:  # noqa: BLE001 - a value's own methods may raise anything; its preview is there
        return {}
    if found is None:
        return {}
    columns, rows, size = found
    cells = [[_cell(cell) for cell in row[:_COLUMNS]] for row in rows]
    return {"head": {"columns": [_cell(name) for name in columns[:_COLUMNS]], "rows": cells}, "size": size}


def _head(value: Any) -> tuple[list[Any], list[Any], list[int]] | None:
    if is_exactly(value, "pandas", "Series"):
        value = value.to_frame("" if value.name is None else value.name)
    if is_exactly(value, "pandas", "DataFrame"):
        first = value.iloc[:_ROWS, :_COLUMNS]
        columns, rows = [*first.columns], [[*row] for row in first.itertuples(index=False, name=None)]
        if type(value.index).__name__ != "RangeIndex":  # else it only counts the rows
            columns.insert(0, "" if value.index.name is None else value.index.name)
            rows = [[label, *row] for label, row in zip(first.index, rows)]  # noqa: B905 - as many of both
        return columns, rows, [*map(int, value.shape)]
    if is_exactly(value, "polars", "DataFrame"):
        return value.columns, [[*row] for row in value.head(_ROWS).rows()], [*value.shape]
    if is_exactly(value, "pyarrow", "Table", "RecordBatch"):
        first = value.slice(0, _ROWS).to_pydict()
        return [*first], [[*row] for row in zip(*first.values())], [*value.shape]  # noqa: B905
    return None


def _cell(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value).removesuffix(" 00:00:00")
    return text if len(text) <= _CELL else text[: _CELL - 1] + "…"


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
