"""Arrays and tables: of numpy, pandas, polars and pyarrow, none of which is imported here."""

from __future__ import annotations

import hashlib
import math
import sys
from typing import TYPE_CHECKING, Any

from .python import label, root, short
from .walk import BLOCK, Form, Node, OpaqueError, floats_node, hashed, weights

if TYPE_CHECKING:
    from .walk import Forms, Pairs, Walk


def _array(walk: Walk, value: Any) -> Form:
    np, dtype, nodes = sys.modules["numpy"], value.dtype, [walk.visit(type(value))]
    data = np.asarray(value)
    if isinstance(value, np.ma.MaskedArray):
        data = np.asarray(value.filled(np.zeros((), dtype)[()]))
        nodes.append(walk.visit(np.ma.getmaskarray(value)))
    elif root(type(value)) != "numpy":
        nodes.append(walk.visit(vars(value)))  # a unit, say
    if dtype.names:
        nodes += [walk.visit(data[name]) for name in dtype.names]
    elif dtype.hasobject:
        nodes.append(walk.sequence(data.ravel().tolist(), "items"))
    elif dtype.char in "gG":  # some bytes of long floats are never written
        raise OpaqueError
    else:
        nodes.append(_memory(walk, data))
    shape = {"shape": " x ".join(map(str, value.shape))} if value.shape else {}
    return Form(f"{dtype} array", nodes=nodes, size=shape, first=lambda n: value.flat[:n].tolist())


def _memory(walk: Walk, data: Any) -> Node:
    """Look at what an array holds, in the order of its items and a block at a time."""
    np, kind = sys.modules["numpy"], data.dtype.kind
    flat = walk.taken(data.reshape(-1) if data.nbytes <= walk.left else data.flat, data.itemsize)
    exact, like = hashlib.sha256(), hashlib.sha256()
    squares = weighed = 0.0
    step = BLOCK // 2 if kind == "c" else BLOCK
    with np.errstate(all="ignore"):
        for start in range(0, len(flat), step):
            block = np.ascontiguousarray(flat[start : start + step])
            if kind in "fc":
                block = block.view(block.real.dtype) + 0  # -0.0 equals 0.0
                numbers, finite = block.astype("d", copy=False), np.isfinite(block)
                if not finite.all():
                    block[np.isnan(block)] = np.nan  # of which there are many
                    like.update(b"%d" % start + np.where(finite, 0, block).tobytes())
                    numbers = np.where(finite, numbers, 0)
                squares += float(np.dot(numbers, numbers))
                weighed += (1 + math.sin(start) / 2) * float(numbers @ np.frombuffer(weights())[: len(block)])
            exact.update(block.view("u1"))
    code = hashed(kind, exact.hexdigest())
    if kind not in "fc":
        return Node(code)
    return floats_node(code, hashed(kind, like.hexdigest()), math.sqrt(squares), weighed)


def _scalar(_walk: Walk, value: Any) -> Form:
    plain = value.item()
    return Form(type(value).__name__, (str(value.dtype), plain), text=short(plain))


def _column(walk: Walk, column: Any, dtype: object, missing: int, inner: list[Any]) -> Form:
    """Take a column of any library apart; `inner` is what it consists of, in simpler terms."""
    size = {"missing values": int(missing)} if missing else {}
    listed = getattr(type(column), "to_pylist", list)
    nodes = [walk.sequence(inner)]
    return Form(f"{dtype} column", nodes=nodes, size=size, first=lambda n: listed(column[:n]))


def _table(walk: Walk, value: Any, kind: str, parts: Pairs, names: list[Any], width: int = -1) -> Form:
    """Take apart what has rows, and columns if it has a width: index, columns, and the names there."""
    size = {"rows": len(value), "columns": width} if width >= 0 else {"rows": len(value)}
    return Form(kind, [part for _, part in parts], [name for name, _ in parts], [walk.sequence(names)], size)


def _frame(walk: Walk, value: Any) -> Form:
    columns = [(label("column", name), column.array) for name, column in value.items()]
    names = [list(value.columns), list(value.columns.names), list(value.index.names)]
    return _table(walk, value, type(value).__name__, _levels(value.index) + columns, names, len(columns))


def _series(walk: Walk, value: Any) -> Form:
    parts = [*_levels(value.index), ("", value.array)]
    return _table(walk, value, f"{value.dtype} Series", parts, [value.name, list(value.index.names)])


def _levels(index: Any) -> Pairs:
    if index.nlevels == 1:
        return [("the index", index.array)]
    return [(f"index level {i}", index.get_level_values(i).array) for i in range(index.nlevels)]


def _pandas_column(walk: Walk, value: Any) -> Form:
    np, dtype, name = sys.modules["numpy"], value.dtype, type(value).__name__
    missing = np.asarray(value.isna())
    if name in {"NumpyExtensionArray", "PandasArray"}:
        inner = [value.to_numpy()]
    elif hasattr(dtype, "categories"):
        inner = [value.categories, bool(value.ordered), value.codes]
    elif hasattr(value, "asi8"):  # moments, as numbers
        inner = [value.asi8]
    elif "Arrow" in name:
        inner = _there(value.__arrow_array__())
    else:
        inner = [missing, value.dropna().to_numpy(dtype=getattr(dtype, "numpy_dtype", None))]
    return _column(walk, value, dtype, missing.sum(), inner)


def _columns(walk: Walk, value: Any) -> Form:
    """Take a table of polars or pyarrow apart."""
    columns = value.get_columns() if hasattr(value, "get_columns") else value.columns
    names = list(getattr(value, "column_names", value.columns))
    parts = [(label("column", name), column) for name, column in zip(names, columns, strict=True)]
    return _table(walk, value, f"{root(type(value))} {type(value).__name__}", parts, names, len(names))


def _polars_series(walk: Walk, value: Any) -> Form:
    inner = [value.name, value.is_null().to_numpy(), value.drop_nulls().to_numpy()]
    return _column(walk, value, value.dtype, value.null_count(), inner)


def _arrow_column(walk: Walk, value: Any) -> Form:
    return _column(walk, value, value.type, value.null_count, _there(value))


def _there(column: Any) -> list[Any]:
    """Return where nothing is, and the rest: where nothing is, there may be anything in memory."""
    return [part.to_numpy(zero_copy_only=False) for part in (column.is_null(), column.drop_null())]


FORMS: Forms = {
    "numpy.ndarray": _array,
    "numpy.generic": _scalar,
    "pandas.DataFrame": _frame,
    "pandas.Series": _series,
    "pandas.Index": lambda walk, value: _table(walk, value, "Index", _levels(value), list(value.names)),
    "pandas.ExtensionArray": _pandas_column,
    "polars.DataFrame": _columns,
    "polars.Series": _polars_series,
    "pyarrow.Table": _columns,
    "pyarrow.RecordBatch": _columns,
    "pyarrow.ChunkedArray": _arrow_column,
    "pyarrow.Array": _arrow_column,
}
