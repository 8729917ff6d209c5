"""Tables come back from Parquet or Arrow as they were; what those cannot hold exactly is pickled."""

from __future__ import annotations

import datetime as dt
import decimal
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from flownb.runs.values import load, store

if TYPE_CHECKING:
    from pathlib import Path


def through(value: Any, folder: Path) -> tuple[str, Any]:
    record = json.loads(json.dumps(store("x", value, folder)))
    return record["format"], load(record, folder)


def days(count: int, freq: str = "D") -> pd.DatetimeIndex:
    return pd.date_range("2026-01-01", periods=count, freq=freq)


FRAMES: dict[str, tuple[str, Any]] = {
    "plain": ("parquet", pd.DataFrame({"a": [1, 2], "b": [0.5, None], "c": ["x", None], "d": [True, False]})),
    "types": (
        "parquet",
        pd.DataFrame(
            {
                "i": np.array([1, 2], dtype="int8"),
                "u": np.array([1, 2], dtype="uint32"),
                "f": np.array([1, 2], dtype="float32"),
                "n": pd.array([1, None], dtype="Int64"),
                "o": pd.array([True, None], dtype="boolean"),
                "s": pd.array(["a", None], dtype="string"),
                "t": pd.to_timedelta([1, 2], unit="h"),
                "z": pd.to_datetime(["2026-01-01", None]).tz_localize("Europe/Berlin"),
            }
        ),
    ),
    "named index": ("parquet", pd.DataFrame({"a": [1, 2]}, index=pd.Index(["x", "y"], name="key"))),
    "int index": ("parquet", pd.DataFrame({"a": [1, 2]}, index=[5, 3])),
    "range index": ("parquet", pd.DataFrame({"a": [1, 2]}, index=pd.RangeIndex(3, 7, 2, name="r"))),
    "multi index": (
        "parquet",
        pd.DataFrame({"a": [1, 2]}, index=pd.MultiIndex.from_tuples([("x", 1), ("y", 2)], names=["k", None])),
    ),
    "freq": ("parquet", pd.DataFrame({"a": range(4)}, index=days(4, "MS"))),
    "column names": ("parquet", pd.DataFrame([[1, 2]], columns=pd.Index([2001, 2002], name="year"))),
    "multi columns": (
        "parquet",
        pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")], names=["p", "q"])),
    ),
    "category": (
        "parquet",
        pd.DataFrame({"c": pd.Categorical(["b", "a"], categories=["b", "a"], ordered=True)}),
    ),
    "dates": ("parquet", pd.DataFrame({"d": np.array([dt.date(2026, 1, 1), None], dtype=object)})),
    "decimals": ("parquet", pd.DataFrame({"d": np.array([decimal.Decimal("1.10")], dtype=object)})),
    "no rows": ("parquet", pd.DataFrame({"a": np.array([], dtype="int16")})),
    "no columns": ("parquet", pd.DataFrame(index=[1, 2])),
    "nothing": ("parquet", pd.DataFrame()),
    "lists": ("cloudpickle", pd.DataFrame({"a": [[1, 2], [3]]})),
    "mixed": ("cloudpickle", pd.DataFrame({"a": np.array([1, "x"], dtype=object)})),
    "ints as objects": ("cloudpickle", pd.DataFrame({"a": np.array([1, 2], dtype=object)})),
    "none and nan": ("cloudpickle", pd.DataFrame({"a": [None, np.nan, "x"]}, dtype=object)),
    "same column twice": ("cloudpickle", pd.DataFrame([[1, 2]], columns=["a", "a"])),
    "columns of two types": ("cloudpickle", pd.DataFrame([[1, 2]], columns=["1", 1])),
    "complex": ("cloudpickle", pd.DataFrame({"a": [1j]})),
    "series": ("parquet", pd.Series([1.5, 2.5], index=days(2), name="value of x")),
    "series without name": ("parquet", pd.Series([1, 2])),
    "series of strings": ("parquet", pd.Series(["a", None])),
    "series called 0": ("parquet", pd.Series([1], name=0)),
    "series called by a tuple": ("parquet", pd.Series([1], name=("a", 1))),
}


@pytest.mark.parametrize("case", FRAMES)
def test_a_pandas_table_comes_back_the_same(tmp_path: Path, case: str) -> None:
    form, value = FRAMES[case]
    found, back = through(value, tmp_path)
    if isinstance(value, pd.Series):
        pd.testing.assert_series_equal(back, value, check_exact=True, check_freq=True)
        assert back.name == value.name
    else:
        pd.testing.assert_frame_equal(back, value, check_exact=True, check_freq=True)
    assert found == form
    assert back.attrs == value.attrs


def test_times_in_seconds_and_unused_categories_survive(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "t": np.array(["2026-01-01", "2026-01-02"], dtype="M8[s]"),
            "c": pd.Categorical(["a", "a"], categories=["z", "a", "b"]),
            "i": pd.arrays.IntervalArray.from_breaks([0, 1, 2]),
            "p": pd.period_range("2026-01", periods=2, freq="M"),
        }
    )
    _, back = through(frame, tmp_path)
    pd.testing.assert_frame_equal(back, frame, check_exact=True)
    assert list(back["c"].cat.categories) == ["z", "a", "b"]


def test_attrs_come_back_and_the_table_itself_is_left_alone(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1]})
    frame.attrs = {"unit": "ppm", "since": dt.date(1958, 3, 1)}
    form, back = through(frame, tmp_path)
    assert form == "parquet"
    assert back.attrs == frame.attrs == {"unit": "ppm", "since": dt.date(1958, 3, 1)}
    frame.attrs = {"f": len}
    assert through(frame, tmp_path)[0] == "cloudpickle"


def test_a_subclass_of_a_table_is_not_taken_for_a_table(tmp_path: Path) -> None:
    class Mine(pd.DataFrame):
        pass

    form, back = through(Mine({"a": [1]}), tmp_path)
    assert form == "cloudpickle"
    assert type(back).__name__ == "Mine"


def test_a_folder_name_with_an_equals_sign_adds_no_column(tmp_path: Path) -> None:
    folder = tmp_path / "year=2026"
    assert list(through(pd.DataFrame({"a": [1]}), folder)[1].columns) == ["a"]


@pytest.mark.parametrize(
    "value",
    [
        pl.DataFrame({"a": [1, None], "b": ["x", "y"], "c": [[1, 2], []], "d": [dt.date(2026, 1, 1), None]}),
        pl.DataFrame(
            {"e": pl.Series(["u", "v"], dtype=pl.Enum(["v", "u"])), "f": pl.Series([1, 2], dtype=pl.Int8)}
        ),
        pl.DataFrame(
            {"g": pl.Series(["u", "v"], dtype=pl.Categorical), "h": pl.Series([0.1, None], dtype=pl.Float32)}
        ),
        pl.DataFrame({"t": pl.Series([dt.timedelta(1)]), "u": pl.Series([dt.time(1, 2)])}),
        pl.DataFrame(),
        pl.DataFrame({"a": pl.Series([], dtype=pl.Int16)}),
    ],
)
def test_a_polars_frame_comes_back_the_same(tmp_path: Path, value: pl.DataFrame) -> None:
    form, back = through(value, tmp_path)
    assert form in ("parquet", "arrow")
    assert type(back) is pl.DataFrame
    assert back.schema == value.schema
    assert back.equals(value)


def test_a_polars_series_and_a_lazy_frame_come_back_as_what_they_were(tmp_path: Path) -> None:
    form, series = through(pl.Series("s", [1, 2]), tmp_path)
    assert form == "parquet"
    assert (type(series), series.name, series.to_list()) == (pl.Series, "s", [1, 2])
    form, lazy = through(pl.DataFrame({"a": [1]}).lazy(), tmp_path)
    assert form == "cloudpickle"
    assert type(lazy) is pl.LazyFrame


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("parquet", pa.table({"a": [1, None], "b": ["x", "y"]})),
        ("parquet", pa.table({"a": [1]}).replace_schema_metadata({"k": "v"})),
        ("arrow", pa.table({"t": pa.array([0], type=pa.timestamp("s"))})),
        ("arrow", pa.table({"u": pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])})),
        ("parquet", pa.RecordBatch.from_pydict({"a": [1, 2]})),
        ("parquet", pa.RecordBatch.from_pydict({"a": pa.array([], pa.int8())})),
    ],
)
def test_an_arrow_table_comes_back_with_its_schema(tmp_path: Path, form: str, value: Any) -> None:
    found, back = through(value, tmp_path)
    assert type(back) is type(value)
    assert back.schema.equals(value.schema, check_metadata=True)
    assert back.equals(value)
    assert found in (form, "arrow")


def test_a_table_without_pyarrow_is_pickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    frame = pd.DataFrame(np.zeros((2, 2)))
    form, back = through(frame, tmp_path)
    assert form == "cloudpickle"
    pd.testing.assert_frame_equal(back, frame)


def test_a_parquet_file_read_without_pyarrow_names_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    record = store("x", pd.DataFrame({"a": [1]}), tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ValueError, match="needs a library that is not here"):
        load(record, tmp_path)
