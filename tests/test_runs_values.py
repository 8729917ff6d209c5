"""What goes into a file comes back the same: every format, checked by value and by type."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import fractions
import io
import json
import math
import pathlib
import sys
import types
import uuid
import zoneinfo
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flownb.runs.values import Picture, file_stem, load, preview, python_mark, store

UTC = dt.UTC


def through(value: Any, folder: Path, name: str = "x") -> tuple[str, Any]:
    record = json.loads(json.dumps(store(name, value, folder)))
    return record["format"], load(record, folder)


def same(one: Any, other: Any) -> bool:
    """Equal, of equal types all the way down, not-a-number equal to itself, and zero not to minus zero."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return (math.isnan(one) and math.isnan(other)) or (
            one == other and math.copysign(1, one) == math.copysign(1, other)
        )
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    return bool(one == other)


class Colour(enum.Enum):
    RED = 1


DATA = [
    ("json", None),
    ("json", True),
    ("json", 0),
    ("json", -(10**300)),
    ("json", 1.5),
    ("json", -0.0),
    ("json", 1e308),
    ("json", ""),
    ("json", "ä\u202e\x00\ud800 \u2028"),
    ("json", []),
    ("json", {}),
    ("json", {"a": [1, 1.0, True, None, {"b": "c"}], "": 0}),
    ("python", ()),
    ("python", (1,)),
    ("python", [(1, 2), {3}]),
    ("python", set()),
    ("python", {1, 2}),
    ("python", {1: 2, None: 3, (4, 5): b"\x00\xff"}),
    ("python", {"$date": "2026-01-01"}),
    ("typed", math.nan),
    ("typed", [math.inf, -math.inf]),
    ("typed", (1, math.nan)),
    ("typed", frozenset({1, "a"})),
    ("typed", dt.date(2026, 1, 31)),
    ("typed", dt.datetime(2026, 1, 31, 12, 0, 0, 5)),  # noqa: DTZ001 - naive ones come back naive
    ("typed", dt.datetime(2026, 1, 31, tzinfo=UTC)),
    ("typed", dt.datetime(2026, 1, 31, tzinfo=dt.timezone(dt.timedelta(hours=-3, seconds=7)))),
    ("typed", dt.datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))),
    ("typed", dt.time(1, 2, 3)),
    ("typed", dt.timedelta(days=-1, microseconds=1)),
    ("typed", decimal.Decimal("1.10")),
    ("typed", fractions.Fraction(1, 3)),
    ("typed", uuid.UUID(int=7)),
    ("typed", pathlib.PurePosixPath("/a/b")),
    ("typed", complex(-0.0, math.inf)),
    ("typed", range(1, 10, 3)),
    (
        "typed",
        {"since": dt.date(2026, 1, 1), "share": np.float64(0.25), "n": np.int8(-3), "ok": np.bool_(True)},
    ),
    ("typed", np.float32(0.1)),
    ("typed", [*range(60_000), (1,)]),
    ("bytes", b""),
    ("bytes", b"\x00\xff"),
    ("text", "ä\r\n\ud800" * 50_000),
    ("cloudpickle", 1 << 20_000),
    ("cloudpickle", Colour.RED),
    ("cloudpickle", dt.datetime(2026, 1, 1, tzinfo=dt.timezone(dt.timedelta(0), "mine"))),
]


@pytest.mark.parametrize(
    ("form", "value"), DATA, ids=[f"{form}-{index}" for index, (form, _) in enumerate(DATA)]
)
def test_data_comes_back_the_same_from_the_format_that_says_it_best(
    tmp_path: Path, form: str, value: Any
) -> None:
    found, back = through(value, tmp_path)
    assert found == form
    assert same(back, value)


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=[]), max_size=20)
    | st.binary(max_size=20)
    | st.dates()
    | st.datetimes()
    | st.decimals(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
)
keys = st.text(max_size=8) | st.integers() | st.tuples(st.integers(), st.text(max_size=3)) | st.dates()
data = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(keys, inner, max_size=4)
        | st.frozensets(st.integers() | st.text(max_size=3), max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(value=data)
def test_any_plain_data_comes_back_the_same_without_pickling(
    tmp_path_factory: pytest.TempPathFactory, value: Any
) -> None:
    form, back = through(value, tmp_path_factory.getbasetemp() / "data")
    assert form in ("json", "python", "typed", "bytes")
    assert same(back, value)


def test_data_that_contains_itself_or_shares_parts_comes_back_so(tmp_path: Path) -> None:
    value: list[Any] = [1]
    value.append(value)
    form, back = through(value, tmp_path)
    assert form == "cloudpickle"
    assert back[1] is back
    inner = [None, 1]
    form, back = through({"a": inner, "b": inner}, tmp_path)
    assert form == "cloudpickle"
    assert back["a"] is back["b"]
    shared: Any = (1,)
    for _ in range(60):
        shared = (shared, shared)
    assert through(shared, tmp_path)[0] == "cloudpickle"


def test_long_lists_of_plain_values_stay_json_and_are_stored_quickly(tmp_path: Path) -> None:
    import time

    for item in (1.5, 7, "a", None):
        started = time.monotonic()
        form, back = through([item] * 1_000_000, tmp_path)
        assert form == "json"
        assert len(back) == 1_000_000
        assert time.monotonic() - started < 5
    assert through([1.5, math.nan] * 1_000, tmp_path)[0] == "typed"
    assert through([1] * 10 + [1 << 20_000], tmp_path)[0] == "cloudpickle"


@pytest.mark.parametrize(
    "value",
    [
        np.arange(6).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array(["a", "bc"]),
        np.array(["2026-01-01"], dtype="M8[ns]"),
        np.zeros((0, 3)),
        np.array(5),
        np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
        np.array([1], dtype=">i4"),
    ],
)
def test_arrays_come_back_with_type_and_shape(tmp_path: Path, value: Any) -> None:
    form, back = through(value, tmp_path)
    assert form == "npy"
    assert back.dtype == value.dtype
    assert back.shape == value.shape
    np.testing.assert_array_equal(back, value)
    assert back.flags.f_contiguous == value.flags.f_contiguous


def test_arrays_that_npy_would_pickle_or_strip_are_pickled_openly(tmp_path: Path) -> None:
    for value in (np.array([object, 1], dtype=object), np.ma.masked_array([1, 2], [True, False])):
        form, back = through(value, tmp_path)
        assert form == "cloudpickle"
        assert type(back) is type(value)


def test_names_make_safe_file_names_that_never_meet() -> None:
    names = [
        "a",
        "A",
        "ä",
        "a\u0308",
        "../x",
        "nul",
        "x\0y",
        "b" * 300,
        "-rf",
        "ß",
        "SS",
        "con.txt",
        "a b",
        "日本",
    ]
    stems = [file_stem(name) for name in names]
    assert len({stem.casefold() for stem in stems}) == len(names)
    for stem in stems:
        assert stem.isascii()
        assert stem.replace("-", "").replace("_", "").isalnum()
        assert not stem.startswith("-")
        assert len(stem) < 60


def test_outputs_whose_names_differ_in_case_only_are_kept_apart(tmp_path: Path) -> None:
    small, large = store("a", 1, tmp_path), store("A", 2, tmp_path)
    assert (load(small, tmp_path), load(large, tmp_path)) == (1, 2)
    assert small["file"].casefold() != large["file"].casefold()


def test_storing_again_in_another_format_leaves_one_file(tmp_path: Path) -> None:
    store("x", 1, tmp_path)
    store("x", (1,), tmp_path)
    record = store("x", np.zeros(3), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [record["file"]]


def test_what_a_pickle_needs_of_python_is_compared_before_it_is_read(tmp_path: Path) -> None:
    record = store("x", Colour.RED, tmp_path)
    assert record["python"] == python_mark()
    other = {**record, "python": "0a0d0d0a 3.99.1"}
    with pytest.raises(ValueError, match=r"`x` was pickled by Python 3\.99\.1 and this is Python"):
        load(other, tmp_path)
    plain = {**store("y", [1], tmp_path), "python": "0a0d0d0a 3.99.1"}
    assert load(plain, tmp_path) == [1]


def test_a_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    record = store("x", Colour.RED, tmp_path)
    path = tmp_path / record["file"]
    path.write_bytes(path.read_bytes() + b"!")
    with pytest.raises(ValueError, match="not as it was written"):
        load(record, tmp_path)
    path.unlink()
    with pytest.raises(ValueError, match="No such file"):
        load(record, tmp_path)


@pytest.mark.parametrize("file", ["../x", "/etc/passwd", "a/b", "..", "", "a\\b", "c:x", "a\0"])
def test_a_record_cannot_lead_out_of_the_folder(tmp_path: Path, file: str) -> None:
    record = {**store("x", 1, tmp_path), "file": file, "detail": {}}
    with pytest.raises(ValueError, match="not the name of an output's file"):
        load(record, tmp_path)


def test_a_format_of_a_later_version_says_what_to_upgrade(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="upgrade flownb"):
        load({**store("x", 1, tmp_path), "format": "zarr"}, tmp_path)


def test_what_cannot_be_stored_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    with (tmp_path / "open.txt").open("w") as file:
        for value, why in (
            ((n for n in [1]), "generator"),
            ([file], "an open file is in it"),
            ({"lock": __import__("threading").Lock()}, "lock"),
        ):
            with pytest.raises(ValueError, match=rf"`x` \(.*\) cannot be stored: .*{why}"):
                store("x", value, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_files_in_memory_are_no_open_files(tmp_path: Path) -> None:
    assert through(io.BytesIO(b"abc"), tmp_path)[1].getvalue() == b"abc"


def test_a_folder_that_cannot_be_made_says_so_with_the_systems_word(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    with pytest.raises(ValueError, match=r"`x` cannot be stored in .*(Not a directory|File exists)"):
        store("x", 1, tmp_path / "f")


@pytest.fixture
def secret() -> Any:
    module = types.ModuleType("flownb.parameters.secret_like")
    kind = type("Secret", (str,), {"__module__": "flownb.parameters.secret"})
    module.Secret = kind  # type: ignore[attr-defined]
    return kind("hunter2-token")


@pytest.mark.parametrize("wrap", ["bare", "list", "key", "object", "frame", "array"])
def test_a_secret_is_in_no_file_whatever_it_is_wrapped_in(tmp_path: Path, secret: Any, wrap: str) -> None:
    import pandas as pd

    class Holder:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

    value = {
        "bare": lambda: secret,
        "list": lambda: [1, (secret,)],
        "key": lambda: {secret: 1},
        "object": lambda: Holder({"token": secret}),
        "frame": lambda: pd.DataFrame({"a": np.array([1, secret], dtype=object)}),
        "array": lambda: np.array([secret], dtype=object),
    }[wrap]()
    with pytest.raises(ValueError, match="never written down"):
        store("x", value, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_a_picture_shows_and_saves_itself(tmp_path: Path) -> None:
    picture = Picture(b"\x89PNG", "<svg/>")
    assert picture._repr_png_() == b"\x89PNG"
    assert picture._repr_html_() is None
    drawn = Picture(None, "<svg>ü</svg>")._repr_html_()
    assert drawn == '<img src="data:image/svg+xml;base64,PHN2Zz7DvDwvc3ZnPg==">'
    assert Picture()._repr_html_() is None
    picture.save(tmp_path / "a.PNG")
    picture.save(tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_text() == "<svg/>"
    with pytest.raises(ValueError, match=r"\.png or \.svg, not to a\.jpg"):
        picture.save(tmp_path / "a.jpg")


def test_an_object_that_can_only_show_itself_becomes_a_picture_others_stay_values(tmp_path: Path) -> None:
    class Shape:
        def __init__(self, held: Any) -> None:
            self.held = held

        def _repr_svg_(self) -> str:
            return "<svg/>"

    assert through(Shape(1), tmp_path)[1].held == 1
    form, back = through(Shape(n for n in [1]), tmp_path)
    assert form == "picture"
    assert (back.png, back.svg) == (None, "<svg/>")


def test_figures_of_plotting_libraries_become_what_they_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bundle(self: Any, include: Any = None, exclude: Any = None) -> Any:
        return {"image/png": "iVBORw==", "text/plain": "chart"}, {}

    kind = type("Chart", (), {"__module__": "altair.vegalite", "_repr_mimebundle_": bundle})
    form, back = through(kind(), tmp_path)
    assert form == "picture"
    assert back.png == b"\x89PNG"


def test_previews_are_short_whatever_the_value() -> None:
    class Loud:
        def __repr__(self) -> str:
            return "x" * 10_000_000

    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError

    assert len(preview(Loud())) <= 1_000
    assert "Broken" in preview(Broken())
    assert len(preview(list(range(10**6)))) <= 1_000
    assert len(preview("y" * 10**6)) <= 1_000
    assert "999999" in preview(np.arange(10**6))
    assert preview(np.float64(82.5)) == "82.5"
    assert preview(np.datetime64("2026-03-01")) == "2026-03-01"


def test_nothing_heavy_is_imported_for_plain_values() -> None:
    import subprocess

    code = (
        "import sys, tempfile; from flownb.runs.values import store, load; d = tempfile.mkdtemp();"
        "assert load(store('x', [1, (2,)], d), d) == [1, (2,)];"
        "heavy = {'numpy', 'pandas', 'pyarrow', 'cloudpickle', 'matplotlib', 'IPython', 'sqlite3'};"
        "print(heavy & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
