"""Arrays as `.npy`; tables (pandas, polars, Arrow) as Parquet, or as Arrow's file if only that is exact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .data import Encoder, decode
from .fitting import Place, UnfitError, Write, is_exactly, refuse_secrets

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Mapping, Sequence


def table_formats(value: object) -> list[tuple[str, Write]]:
    """Return the formats for a value that is a table or a column of one; else none."""
    if is_exactly(value, "pandas", "DataFrame", "Series"):
        return [("parquet", _pandas_parquet), ("arrow", _pandas_arrow)]
    if is_exactly(value, "polars", "DataFrame", "Series"):
        return [("parquet", _polars_parquet), ("arrow", _polars_arrow)]
    if is_exactly(value, "pyarrow", "Table", "RecordBatch"):
        return [("parquet", _pyarrow_parquet), ("arrow", _pyarrow_arrow)]
    return []


def read_table(paths: Sequence[pathlib.Path], detail: Mapping[str, Any]) -> Any:
    """Read the formats "parquet" and "arrow" back into the class that was stored."""
    library, kind = detail["kind"].split(".")
    if library == "polars":
        frame = _polars_frame(paths[0])
        return frame.to_series() if kind == "Series" else frame
    table = _arrow_table(paths[0])
    if library == "pyarrow":
        return _batch(table) if kind == "RecordBatch" else table
    value = _pandas_frame(table, detail)
    if kind == "Series":
        value = value["value"].rename(decode(detail["name"]))
    value.attrs = decode(detail["attrs"])
    return value


def write_array(value: Any, place: Place) -> None:
    """Write a NumPy array of any type but object."""
    import numpy as np

    if value.dtype.hasobject:
        raise UnfitError
    path = place(".npy")
    with path.open("wb") as file:
        np.save(file, value, allow_pickle=False)
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(file)
    if dtype != value.dtype or shape != value.shape:
        raise UnfitError


def read_array(paths: Sequence[pathlib.Path], detail: Mapping[str, Any]) -> Any:  # noqa: ARG001 - readers are alike
    """Read the format "npy"."""
    import numpy as np

    with paths[0].open("rb") as file:
        return np.load(file, allow_pickle=False)


# ---- Arrow


def _pyarrow_parquet(value: Any, place: Place) -> dict[str, Any]:
    return _write_pyarrow(value, place(".parquet"))


def _pyarrow_arrow(value: Any, place: Place) -> dict[str, Any]:
    return _write_pyarrow(value, place(".arrow"))


def _write_pyarrow(value: Any, path: pathlib.Path) -> dict[str, Any]:
    import pyarrow as pa

    batch = isinstance(value, pa.RecordBatch)
    table = pa.Table.from_batches([value]) if batch else value
    _write_table(table, path)
    if not _arrow_table(path).schema.equals(table.schema, check_metadata=True):
        raise UnfitError
    return {"kind": "pyarrow.RecordBatch" if batch else "pyarrow.Table"}


def _write_table(table: Any, path: pathlib.Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if ".parquet" in path.suffixes:
        pq.write_table(table, path)
        return
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def _arrow_table(path: pathlib.Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with path.open("rb") as file:  # given a path, Arrow reads meaning into the names of the folders
        if ".parquet" in path.suffixes:
            return pq.ParquetFile(file).read()
        return pa.ipc.open_file(file).read_all()


def _batch(table: Any) -> Any:
    import pyarrow as pa

    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


# ---- polars


def _polars_parquet(value: Any, place: Place) -> dict[str, Any]:
    return _write_polars(value, place(".parquet"))


def _polars_arrow(value: Any, place: Place) -> dict[str, Any]:
    return _write_polars(value, place(".arrow"))


def _write_polars(value: Any, path: pathlib.Path) -> dict[str, Any]:
    import polars as pl

    series = isinstance(value, pl.Series)
    frame = value.to_frame() if series else value
    with path.open("wb") as file:
        if ".parquet" in path.suffixes:
            frame.write_parquet(file)
        else:
            frame.write_ipc(file)
    back = _polars_frame(path)
    if back.schema != frame.schema or not back.equals(frame):
        raise UnfitError
    return {"kind": "polars.Series" if series else "polars.DataFrame"}


def _polars_frame(path: pathlib.Path) -> Any:
    import polars as pl

    with path.open("rb") as file:
        return pl.read_parquet(file) if ".parquet" in path.suffixes else pl.read_ipc(file)


# ---- pandas


def _pandas_parquet(value: Any, place: Place) -> dict[str, Any]:
    return _write_pandas(value, place, ".parquet")


def _pandas_arrow(value: Any, place: Place) -> dict[str, Any]:
    return _write_pandas(value, place, ".arrow")


def _write_pandas(value: Any, place: Place, suffix: str) -> dict[str, Any]:
    import pandas as pd
    import pyarrow as pa

    series = isinstance(value, pd.Series)
    frame = value.to_frame("value") if series else value.copy(deep=False)
    frame.attrs = {}
    for position, dtype in enumerate(frame.dtypes):
        if dtype == "object":
            refuse_secrets(set(map(type, frame.iloc[:, position])))
    freq = getattr(value.index, "freq", None)
    detail = {
        "kind": "pandas.Series" if series else "pandas.DataFrame",
        "name": Encoder().encode(value.name) if series else None,
        "attrs": Encoder().encode(dict(value.attrs)),
        "freq": freq.freqstr if isinstance(value.index, _dated()) and freq is not None else None,
    }
    table = pa.Table.from_pandas(frame, preserve_index=None)
    path = place(suffix)
    _write_table(table, path)
    _check_frame(frame, _pandas_frame(_arrow_table(path), detail))
    return detail


def _dated() -> tuple[type, ...]:
    import pandas as pd

    return (pd.DatetimeIndex, pd.TimedeltaIndex)


def _pandas_frame(table: Any, detail: Mapping[str, Any]) -> Any:
    frame = table.to_pandas()
    if detail["freq"] is not None:
        frame.index.freq = detail["freq"]
    return frame


def _check_frame(frame: Any, back: Any) -> None:
    """Raise `UnfitError` unless a frame came back the same: index, names, types and values."""
    _check_index(frame.index, back.index)
    _check_index(frame.columns, back.columns)
    if getattr(frame.index, "freq", None) != getattr(back.index, "freq", None) or not frame.equals(back):
        raise UnfitError
    for position in range(frame.shape[1]):
        _check_values(frame.iloc[:, position], back.iloc[:, position])


def _check_index(index: Any, back: Any) -> None:
    import pandas as pd

    plain = (pd.RangeIndex, pd.Index)
    if type(index) is not type(back) and not (type(index) in plain and type(back) in plain):
        raise UnfitError
    if list(index.names) != list(back.names) or not index.equals(back):
        raise UnfitError
    for level in range(index.nlevels):
        _check_values(index.get_level_values(level), back.get_level_values(level))


def _check_values(values: Any, back: Any) -> None:
    dtype = values.dtype
    if dtype != back.dtype or type(dtype) is not type(back.dtype):
        raise UnfitError
    if dtype.name == "category":
        _check_index(dtype.categories, back.dtype.categories)
    if dtype.name == "object" and not all(map(_same, values, back)):
        raise UnfitError


def _same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    return bool(one is other or one == other or (one != one and other != other))  # the last: not a number
