"""Literals: equal, of the same types, sharing what was shared, and pleasant to read."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import math
import pathlib
import re
import uuid
import zoneinfo
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flownb.capture.literals import literal
from flownb.capture.references import References
from flownb.capture.sources import Sources


class Shade(enum.IntEnum):
    DARK = 1


def written(value: object, **namespace: Any) -> str | None:
    made = literal(value, References(namespace, Sources()))
    return None if made is None else made.text


def same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return math.copysign(1, one) == math.copysign(1, other) and (one == other or one != one)
    if isinstance(one, complex):
        return same(one.real, other.real) and same(one.imag, other.imag)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return same(list(one), list(other)) and same(list(one.values()), list(other.values()))
    if isinstance(one, dt.datetime | dt.time):
        return (
            one.replace(tzinfo=None) == other.replace(tzinfo=None)
            and one.tzinfo == other.tzinfo
            and one.fold == other.fold
        )
    return one == other


zones = st.one_of(
    st.none(),
    st.just(dt.UTC),
    st.just(zoneinfo.ZoneInfo("Europe/Berlin")),
    st.builds(dt.timezone, st.just(dt.timedelta(hours=2))),
)
hashable = st.one_of(
    st.integers(), st.text(max_size=8), st.booleans(), st.none(), st.binary(max_size=4), st.dates()
)
atoms = st.one_of(
    hashable,
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    st.text(),
    st.datetimes(timezones=zones),
    st.timedeltas(),
    st.times(),
    st.decimals(allow_nan=False),
    st.uuids(),
    st.builds(pathlib.Path, st.text(alphabet="ab/.", max_size=6)),
    st.builds(range, st.integers(-5, 5)),
    st.sets(hashable, max_size=4),
    st.frozensets(hashable, max_size=4),
    st.text(alphabet="a\n \"'\\{%", max_size=12),
)
values = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner),
        st.tuples(inner, inner),
        st.dictionaries(hashable, inner, max_size=4),
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(values)
def test_a_literal_evaluates_to_an_equal_value_of_the_same_types(value: Any) -> None:
    text = written(value)
    if text is not None:
        assert same(eval(text, {}), value), text


@settings(max_examples=100, deadline=None)
@given(values)
def test_a_literal_with_what_the_notebook_imported_does_too(value: Any) -> None:
    namespace = {
        "date": dt.date, "datetime": dt.datetime, "dt": dt, "Decimal": decimal.Decimal, "Path": pathlib.Path,
        "set": 3, "float": "shadowed", "uuid": uuid,
    }  # fmt: skip
    text = written(value, **namespace)
    if text is not None:
        assert same(eval(text, dict(namespace)), value), text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("co2.csv", '"co2.csv"'),
        ("it's", '"it\'s"'),
        ('say "hi"', "'say \"hi\"'"),
        ("a\nb", '"a\\nb"'),
        ("select 1\nfrom x\n", '"""select 1\nfrom x\n"""'),
        ((1,), "(1,)"),
        (set(), "set()"),
        ({3, 1, 2}, "{1, 2, 3}"),
        (math.inf, 'float("inf")'),
        (dt.date(2020, 1, 2), '__import__("datetime").date(2020, 1, 2)'),
        (pathlib.Path("a/b"), "__import__(\"pathlib\").Path('a/b')"),
        (re.compile("a+"), "__import__(\"re\").compile('a+')"),
        (Shade.DARK, '__import__("test_carry_literals").Shade.DARK'),
    ],
)
def test_it_is_written_as_a_person_would(value: object, text: str) -> None:
    assert written(value) == text


def test_names_that_the_notebook_imported_are_used() -> None:
    assert written(dt.date(2020, 1, 2), date=dt.date) == "date(2020, 1, 2)"
    assert written(dt.date(2020, 1, 2), d=dt) == "d.date(2020, 1, 2)"
    assert written(dt.date(2020, 1, 2), date="something else") == '__import__("datetime").date(2020, 1, 2)'


def test_names_that_others_provide_are_not_relied_on() -> None:
    made = literal(dt.date(2020, 1, 2), References({"date": dt.date}, Sources(), frozenset({"date"})))
    assert made is not None
    assert made.text == '__import__("datetime").date(2020, 1, 2)'
    assert made.reads == frozenset()


def test_long_containers_go_one_item_a_line() -> None:
    value = {"names": [f"station number {n}" for n in range(8)], "n": 1}
    text = written(value)
    assert text is not None
    assert text.startswith('{\n    "names": [\n        "station number 0",\n')
    assert text.endswith('    ],\n    "n": 1,\n}')
    assert eval(text) == value


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    "value",
    [Text("x"), [Text("x")], 10**4000, "x" * 20_000, list(range(5000)), object(), bytearray(b"x"), [open]],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_faithful_or_readable_literal_has_none(value: object) -> None:
    assert written(value) is None or value == [open]


def test_a_list_that_is_there_twice_is_no_literal() -> None:
    inner: list[int] = []
    assert written([inner, inner]) is None
    assert written([[], []]) == "[[], []]"


def test_a_value_that_holds_itself_is_no_literal() -> None:
    value: list[object] = []
    value.append(value)
    assert written(value) is None


def test_a_very_deep_value_is_no_literal() -> None:
    value: list[object] = []
    for _ in range(5000):
        value = [value]
    assert written(value) is None
