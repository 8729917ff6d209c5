"""What marks tell of tables, arrays and figures; and which numbers are close."""

from __future__ import annotations

import decimal
import io
import json
import math
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marking import Plain, differ, digest
from matplotlib.figure import Figure
from pandas.testing import assert_frame_equal

from flownb.marks import mark

FRAME = pd.DataFrame(
    {
        "a": [1, 2, 3, 4],
        "b": ["x", None, "z", "ä"],
        "c": [1.5, None, -0.0, math.inf],
        "d": pd.to_datetime(["2020", None, "2021", "2022"]),
        "e": pd.Categorical(["u", "v", None, "u"]),
        "f": [True, False, True, True],
        "g": pd.Series([1, "one", None, (1, 2)], dtype=object),
        "h": pd.array([1, None, 3, 4], dtype="Int64"),
        "i": pd.date_range("2020", periods=4, tz="Europe/Berlin"),
        "j": pd.array(["p", None, "r", "s"], dtype="string"),
    }
)


SAME_FRAMES = {
    "a copy": FRAME.copy,
    "a slice of a longer one": lambda: pd.concat([FRAME, FRAME]).iloc[:4],
    "the end of a longer one": lambda: pd.concat([FRAME, FRAME]).iloc[4:],
    "every second row of it twice": lambda: FRAME.loc[[0, 0, 1, 1, 2, 2, 3, 3]].iloc[::2],
    "built a column at a time": lambda: column_at_a_time(FRAME),
    "of columns in another order": lambda: FRAME[list(reversed(FRAME.columns))][list(FRAME.columns)],
    "of records": lambda: pd.DataFrame(FRAME.to_dict("records")).astype(FRAME.dtypes.to_dict()),
    "with an index of its own": lambda: FRAME.set_axis(pd.Index([0, 1, 2, 3])),
    "with zero for minus zero": lambda: FRAME.assign(c=[1.5, -math.nan, 0.0, math.inf]),
    "pickled": lambda: pd.read_pickle(io.BytesIO(pickled(FRAME))),
    "looked at": lambda: looked_at(FRAME.copy()),
}


OTHER_FRAMES = {
    "a number": FRAME.assign(a=[1, 2, 3, 5]),
    "a type of numbers": FRAME.assign(a=FRAME.a.astype("int32")),
    "a text": FRAME.assign(b=["x", None, "z", "a"]),
    "a text for a missing one": FRAME.assign(b=["x", "", "z", "ä"]),
    "a type of texts": FRAME.assign(b=FRAME.b.astype(object)),
    "a float": FRAME.assign(c=[1.5, None, 0.5, math.inf]),
    "a place of what is missing": FRAME.assign(c=[None, 1.5, 0.0, math.inf]),
    "a sign of the infinite": FRAME.assign(c=[1.5, None, 0.0, -math.inf]),
    "a moment": FRAME.assign(d=pd.to_datetime(["2020", None, "2021", "2023"])),
    "a unit of moments": FRAME.assign(d=FRAME.d.astype("M8[ns]")),
    "a category": FRAME.assign(e=pd.Categorical(["u", "v", None, "v"])),
    "categories that are not there": FRAME.assign(e=pd.Categorical(FRAME.e, ["u", "v", "w"])),
    "an order of categories": FRAME.assign(e=pd.Categorical(FRAME.e, ["u", "v"], ordered=True)),
    "a truth": FRAME.assign(f=[True, False, True, False]),
    "an object": FRAME.assign(g=pd.Series([1, "one", None, (1, 3)], dtype=object)),
    "a nullable number": FRAME.assign(h=pd.array([1, None, 3, 5], dtype="Int64")),
    "which is missing": FRAME.assign(h=pd.array([1, 3, None, 4], dtype="Int64")),
    "a time zone": FRAME.assign(i=pd.date_range("2020", periods=4, tz="Europe/Paris")),
    "a string": FRAME.assign(j=pd.array(["p", None, "r", "t"], dtype="string")),
    "the order of rows": FRAME.iloc[::-1],
    "the order of rows, counted anew": FRAME.iloc[::-1].reset_index(drop=True),
    "the order of columns": FRAME[list(reversed(FRAME.columns))],
    "a column's name": FRAME.rename(columns={"a": "A"}),
    "the index": FRAME.set_axis(pd.Index([0, 1, 2, 4])),
    "the index's name": FRAME.rename_axis("n"),
    "the columns' name": FRAME.rename_axis(columns="n"),
    "one row less": FRAME.iloc[:3],
    "one column more": FRAME.assign(k=1),
}


def column_at_a_time(frame: pd.DataFrame) -> pd.DataFrame:
    made = pd.DataFrame(index=range(len(frame)))
    for name in frame:
        made[name] = frame[name].copy()
    return made


def pickled(value: Any) -> bytes:
    written = io.BytesIO()
    pd.to_pickle(value, written)
    return written.getvalue()


def looked_at(frame: pd.DataFrame) -> pd.DataFrame:
    repr(frame), frame.index.is_unique, frame.a.describe(), frame.a.sum(), frame.columns.get_loc("a")
    return frame


@pytest.mark.parametrize("how", SAME_FRAMES)
def test_equal_frames_have_the_same_mark_however_they_were_made(how: str) -> None:
    other = SAME_FRAMES[how]()
    assert_frame_equal(other, FRAME, check_freq=False)
    assert differ(FRAME, other) == ("equal", "")
    for name in FRAME:
        assert mark(other[name]) == mark(FRAME[name])


@pytest.mark.parametrize("what", OTHER_FRAMES)
def test_frames_that_are_not_equal_are_told_in_a_line(what: str) -> None:
    with pytest.raises(AssertionError):
        assert_frame_equal(OTHER_FRAMES[what], FRAME, rtol=0, atol=0)
    found, words = differ(FRAME, OTHER_FRAMES[what])
    assert found == "differs"
    assert 0 < len(words) < 120


CELLS = st.sampled_from([0.0, -0.0, 1.5, math.nan, math.inf, 1e300, 1e-300])


COLUMN = st.one_of(
    st.lists(CELLS, min_size=3, max_size=3).map(lambda cells: pd.Series(cells, dtype="float64")),
    st.lists(CELLS, min_size=3, max_size=3).map(lambda cells: pd.Series(cells, dtype=object)),
    st.lists(st.integers(-2, 2), min_size=3, max_size=3).map(pd.Series),
    st.lists(st.integers(-2, 2) | st.none(), min_size=3, max_size=3).map(
        lambda cells: pd.Series(cells, dtype="Int8")
    ),
    st.lists(st.text(max_size=2) | st.none(), min_size=3, max_size=3).map(
        lambda cells: pd.Series(cells, dtype="str")
    ),
    st.lists(st.booleans(), min_size=3, max_size=3).map(pd.Series),
    st.lists(st.sampled_from("xy"), min_size=3, max_size=3).map(
        lambda cells: pd.Series(cells, dtype="category")
    ),
)


FRAMES = st.dictionaries(st.sampled_from("abc"), COLUMN, max_size=3).map(pd.DataFrame)


@given(FRAMES, FRAMES)
@settings(max_examples=25, deadline=None)
def test_digests_of_frames_are_equal_exactly_where_pandas_says_so(
    one: pd.DataFrame, other: pd.DataFrame
) -> None:
    try:
        assert_frame_equal(one, other, rtol=0, atol=0)
        equal = one.dtypes.equals(other.dtypes)
    except AssertionError:
        equal = False
    assert (digest(one) == digest(other)) == equal
    assert digest(one) == digest(pd.concat([one, one]).iloc[len(one) :] if len(one.columns) else one.copy())


def test_polars_and_arrow_tables_are_told_by_content_not_by_chunks_or_offsets() -> None:
    names = {"a": [1, None, 3], "s": ["x", None, "zz"], "f": [1.5, None, math.nan], "l": [[1], None, []]}
    frame, table = pl.DataFrame(names), pa.table(names)
    assert differ(frame, pl.concat([frame[:1], frame[1:]], rechunk=False)) == ("equal", "")
    assert differ(frame, pl.concat([frame, frame])[3:]) == ("equal", "")
    assert differ(table, pa.concat_tables([table.slice(0, 1), table.slice(1)])) == ("equal", "")
    assert differ(table, pa.concat_tables([table, table]).combine_chunks().slice(3)) == ("equal", "")
    for kind in ("string", "large_string", "string_view", "int8", "bool", "date32", "timestamp[s]"):
        between = {"string_view": "string", "date32": "int32"}.get(kind, kind)
        first = pa.array([1, 0, 1, 1, 0]).cast(between).cast(kind)
        longer = pa.concat_arrays([first, first])
        assert differ(first, longer[5:]) == ("equal", "")
        assert differ(first, longer[4:9])[0] == "differs"
    dirty = pa.StringArray.from_buffers(
        2, pa.py_buffer(np.array([0, 1, 3], "i4").tobytes()), pa.py_buffer(b"a??"), pa.py_buffer(b"\x01")
    )
    assert differ(pa.array(["a", None]), dirty) == ("equal", "")
    assert differ(frame, frame.with_columns(pl.Series("s", ["x", None, "z"]))) == (
        "differs",
        "column `s`: value 'z', was 'zz' (row 2)",
    )
    assert differ(table, table.set_column(0, "a", pa.array([1, None, 4]))) == (
        "differs",
        "column `a`: value 4, was 3 (row 2)",
    )
    assert differ(frame, frame.drop("s")) == ("differs", "column `s` is missing")
    assert differ(frame, table)[1] == "is a pyarrow Table, 3 x 4, was a polars DataFrame, 3 x 4"
    assert differ(pa.array(["x", "y"]), pa.array(["x", "y"], "large_string"))[1] == "large_string, was string"


@pytest.mark.parametrize(
    "dtype", ["f8", "f4", "f2", "c16", "i8", "u1", "bool", "M8[ns]", "U2", "S2", "O", ">f8", "i4,f8"]
)
def test_arrays_are_told_by_their_items_not_by_their_memory(dtype: str) -> None:
    plain = np.arange(24).reshape(4, 6) % 9
    array = (
        plain.astype(dtype)
        if "," not in dtype
        else np.array([(i, i / 3) for i in range(24)], dtype).reshape(4, 6)
    )
    doubled = np.repeat(np.repeat(array, 2, 0), 2, 1)
    for other in (
        array.copy(),
        np.asfortranarray(array),
        doubled[::2, ::2],
        array[::-1][::-1],
        array.T.copy().T,
    ):
        assert mark(other) == mark(array)
    changed = array.copy()
    changed[3, 5] = array[0, 0]
    assert differ(array, changed)[0] == "differs"
    assert differ(array, array.T)[1] == "shape 6 x 4, was 4 x 6"
    assert digest(array) != digest(array.ravel())
    frozen = array.copy()
    frozen.flags.writeable = False
    assert mark(frozen) == mark(array)


def test_the_same_numbers_in_another_type_differ_by_the_type() -> None:
    for one, other in (("f8", "f4"), ("i8", "i4"), ("i8", "f8"), ("bool", "i8"), ("<f8", ">f8")):
        found, words = differ(np.arange(2).astype(one), np.arange(2).astype(other))
        assert (found, words) == ("differs", f"{np.dtype(other)}, was {np.dtype(one)}")
    assert differ(1.5, np.float64(1.5)) == ("differs", "is a float64, was a float")
    assert differ([1.5], [np.float64(1.5)]) == ("differs", "item 0 is a float64, was 1.5")
    assert differ(decimal.Decimal("1.0"), decimal.Decimal("1.00")) == ("differs", "1.00, was 1.0")
    assert len({digest(value) for value in (1, 1.0, True, np.int64(1), np.float64(1), np.bool_(True))}) == 6


def test_what_a_mask_hides_and_which_nan_it_is_do_not_matter() -> None:
    hidden = np.ma.array([1, 2, 3], mask=[0, 1, 0])
    assert mark(np.ma.array([1, 9, 3], mask=[0, 1, 0])) == mark(hidden)
    assert digest(np.ma.array([1, 2, 3], mask=[0, 0, 0])) != digest(hidden)
    one, other = np.array([1.0, np.nan]), np.array([1.0, -np.nan])
    assert one.tobytes() != other.tobytes()
    assert mark(one) == mark(other)


def test_a_figure_is_told_by_what_is_drawn_in_it() -> None:
    def drawn(title: str = "t", data: tuple[float, ...] = (1, 2.5), height: float = 3, **more: Any) -> Figure:
        figure = Figure(figsize=(4, height))
        axes = figure.subplots()
        axes.plot(data, **more)
        axes.set_title(title)
        return figure

    was = drawn()
    assert mark(drawn()) == mark(was)
    shown = drawn()
    shown.savefig(io.BytesIO(), format="png")
    assert mark(shown) == mark(was)
    assert differ(was, drawn("u")) == ("differs", "axes 0: title: 'u', was 't'")
    assert differ(was, drawn(data=(1, 2.0))) == (
        "differs",
        "axes 0: lines 0: y: value 2.0, was 2.5 (position 1)",
    )
    assert differ(was, drawn(height=4)) == ("differs", "size inches: value 4.0, was 3.0 (position 1)")
    assert differ(was, drawn(color="red"))[1].startswith("axes 0: lines 0: color is 'red', was ")
    assert differ(was, drawn(data=(1, 2.5 + 1e-14)))[0] == "close"
    assert differ(was.axes[0], drawn("u").axes[0]) == ("differs", "title: 'u', was 't'")


def test_a_number_that_is_close_is_told_with_the_tolerance() -> None:
    near = 0.1 + 0.2
    for was, now in ((0.3, near), ({"k": [1, 0.3]}, {"k": [1, near]}), (np.float64(0.3), np.float64(near))):
        assert differ(was, now) == ("close", "equal within 1e-9")
    assert differ(1.0, 1.0 + 1e-8)[0] == "differs"
    assert differ(1.0, 1.0 + 1e-8, tolerance=1e-6) == ("close", "equal within 1e-6")
    assert differ(1e15, 1e15 + 1)[0] == "close"
    assert differ(10**15, 10**15 + 1)[0] == "differs"


def test_what_differs_is_told_and_not_what_is_close_before_it() -> None:
    assert differ([0.3, 5, "x"], [0.1 + 0.2, 6, "x"]) == ("differs", "item 1: 6, was 5")
    assert differ([0.3, -(10**16)], [0.1 + 0.2, -(10**16) - 1])[1].startswith("item 1: -")
    assert differ({"a": [0.3], "b": {1}}, {"a": [0.1 + 0.2], "b": {2}}) == (
        "differs",
        "item `b`: member `1` is missing",
    )


def test_what_is_summed_in_another_order_is_close() -> None:
    numbers = np.random.default_rng(1).random((1000, 5))
    frame = pd.DataFrame(numbers, columns=list("abcde"))
    forth = frame.assign(a=np.cumsum(numbers, 1)[:, -1])
    back = frame.assign(a=np.cumsum(numbers[:, ::-1], 1)[:, -1])
    assert not forth.equals(back)
    assert differ(forth, back) == ("close", "equal within 1e-9")
    assert differ(forth.mean().mean(), back.mean().mean())[0] in {"equal", "close"}


def test_noise_around_zero_is_close_next_to_numbers_of_size() -> None:
    noisy, clean = np.array([1.0, 1e-17, 2.0]), np.array([1.0, -3e-17, 2.0])
    assert differ(noisy, clean)[0] == "close"
    assert differ(pd.Series(noisy), pd.Series(clean))[0] == "close"
    assert differ(1e-17, 3e-17)[0] == "differs"


CHANGES = {
    "the last bits of all": (lambda x: x * (1 + 1e-13), "close"),
    "a billionth of each, at random": (
        lambda x: x * (1 + 1e-10 * np.random.default_rng(2).normal(size=x.shape)),
        "close",
    ),
    "a millionth of each": (lambda x: x * (1 + 1e-6), "differs"),
    "an exchange of two": (lambda x: exchanged(x, 5000, 7000), "differs"),
    "an exchange a block apart": (lambda x: exchanged(x, 5000, 5000 + (1 << 13)), "differs"),
    "an exchange a period of weights apart": (lambda x: exchanged(x, 5000, 5000 + 1021 * 3), "differs"),
    "another order": (lambda x: np.r_[x[:20], np.sort(x[20:])], "differs"),
    "one by a hundredth": (lambda x: np.r_[x[:5000], x[5000] * 1.01, x[5001:]], "differs"),
    "one by all": (lambda x: np.r_[x[:5000], 0.0, x[5001:]], "differs"),
    "one that is missing now": (lambda x: np.r_[x[:5000], np.nan, x[5001:]], "differs"),
    "one that is infinite now": (lambda x: np.r_[x[:5000], np.inf, x[5001:]], "differs"),
    "all by a sign": (lambda x: -x, "differs"),
    "a shift": (lambda x: np.roll(x, 1), "differs"),
}


def exchanged(array: np.ndarray, i: int, j: int) -> np.ndarray:
    array = array.copy()
    array[[i, j]] = array[[j, i]]
    return array


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e150])
def test_closeness_of_many_is_judged_well(what: str, scale: float) -> None:
    numbers = (np.random.default_rng(3).random(15_000) + 0.5) * scale
    change, expected = CHANGES[what]
    other = change(numbers)
    holes = numbers.copy()
    holes[::7] = np.nan
    for one, now in (
        (numbers, other),
        (pd.Series(numbers), pd.Series(other)),
        (
            pd.DataFrame({"big": numbers * 1e20, "x": numbers}),
            pd.DataFrame({"big": numbers * 1e20, "x": other}),
        ),
        (pl.Series(numbers), pl.Series(other)),
        (pa.array(numbers), pa.array(other)),
        ({"deep": [numbers]}, {"deep": [other]}),
        (numbers.tolist(), other.tolist()),
        (holes, np.where(np.isnan(holes), np.nan, other)),
    ):
        if one is holes and "exchange" in what and expected == "differs" and differ(one, now)[0] == "equal":
            continue
        assert differ(one, now)[0] == expected, type(one)


def test_where_numbers_are_missing_or_infinite_is_told_exactly() -> None:
    values = []
    for place in (5000, 7000):
        for odd in (np.nan, np.inf, -np.inf):
            numbers = np.zeros(10_000)
            numbers[place] = odd
            values.append(numbers)
    for i, one in enumerate(values):
        for j, other in enumerate(values):
            assert differ(one, other)[0] == ("equal" if i == j else "differs")
            assert differ(one.tolist(), other.tolist())[0] == ("equal" if i == j else "differs")


def test_of_many_columns_the_unseen_ones_count_too() -> None:
    wide = pd.DataFrame(np.random.default_rng(4).random((50, 100)))
    assert differ(wide, wide * (1 + 1e-14))[0] == "close"
    changed = wide.copy()
    changed.iloc[30, 90] += 0.001
    assert differ(wide, changed) == ("differs", "differs after the first 41 items")
    changed.iloc[:, 90] = wide.iloc[:, 90] * (1 + 1e-14)
    assert differ(wide, changed)[0] == "close"


def test_how_often_a_single_change_is_taken_for_rounding() -> None:
    """It is by as much as `compare` says: the square root of how many there are, times the tolerance."""
    numbers = np.random.default_rng(5).random(10_000) + 0.5
    found = Counter()
    for place in range(100, 10_000, 100):
        for factor in (1e-9, 1e-5):
            changed = numbers.copy()
            changed[place] *= 1 + factor
            found[factor, differ(numbers, changed)[0]] += 1
    assert found == {(1e-9, "close"): 99, (1e-5, "differs"): 99}


def test_only_floats_are_close() -> None:
    frame = pd.DataFrame({"x": np.arange(50.0), "n": range(50), "s": "a"})
    near = frame.assign(x=frame.x * (1 + 1e-14))
    assert differ(frame, near)[0] == "close"
    assert differ(frame, near.assign(n=[*range(49), 0]))[0] == "differs"
    assert differ(frame, near.assign(s=["a"] * 49 + ["b"]))[0] == "differs"
    assert differ(frame, near.rename(columns={"s": "t"}))[0] == "differs"


def many_axes() -> Figure:
    figure = Figure()
    for axes in figure.subplots(5, 5).flat:
        axes.plot(range(100))
    return figure


BIG: dict[str, Any] = {
    "a wide table": lambda: pd.DataFrame(np.random.default_rng(1).random((1000, 200))),
    "a table of texts": lambda: pd.DataFrame({f"column {i}" * 5: ["text" * 50] * 50 for i in range(30)}),
    "nested dicts": lambda: {
        f"key {i}" * 9: {f"k{j}": list(range(50)) for j in range(50)} for i in range(50)
    },
    "a list of tables": lambda: [FRAME] * 30,
    "objects in objects": lambda: Plain(
        **{f"a{i}": Plain(**{f"b{j}": 1.5 for j in range(30)}) for i in range(30)}
    ),
    "a table in a dict": lambda: {"k": FRAME, "m": [FRAME, FRAME]},
    "long texts": lambda: ["long text" * 99] * 99,
    "a figure": many_axes,
}


@pytest.mark.parametrize("what", BIG)
def test_a_mark_stays_small(what: str) -> None:
    assert len(json.dumps(mark(BIG[what]()))) < 5500
