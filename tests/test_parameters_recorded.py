"""What is recorded of a run's parameters: source that is read back as values, and shown as it is typed."""

# ruff: noqa: DTZ001  # times without a zone are among the values that people give
from __future__ import annotations

import datetime as dt
import ipaddress
import json
import math
import re
import uuid
from collections import Counter, OrderedDict, deque
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from flownb.parameters import PLAIN_NAMES, json_value, read_value, recorded_value, render, typed

PARIS = ZoneInfo("Europe/Paris")

#: value, as JSON, as somebody types it
VALUES: list[tuple[Any, Any, str]] = [
    (None, None, "none"),
    (True, True, "true"),
    (-5, -5, "-5"),
    (1.5, 1.5, "1.5"),
    (math.inf, "inf", "inf"),
    ("two words", "two words", "two words"),
    ("", "", ""),
    (b"x", "x", "x"),
    (1 + 2j, "(1+2j)", "(1+2j)"),
    (dt.date(1990, 1, 1), "1990-01-01", "1990-01-01"),
    (dt.datetime(1990, 1, 1, 12), "1990-01-01T12:00:00", "1990-01-01T12:00:00"),
    (dt.datetime(1990, 1, 1, tzinfo=dt.UTC), "1990-01-01T00:00:00+00:00", "1990-01-01T00:00:00+00:00"),
    (dt.datetime(1990, 1, 1, tzinfo=PARIS), "1990-01-01T00:00:00+01:00", "1990-01-01T00:00:00+01:00"),
    (dt.time(12, 30), "12:30:00", "12:30:00"),
    (dt.timedelta(days=7), "P7D", "P7D"),
    (dt.timedelta(days=1, hours=2, microseconds=5), "P1DT2H0.000005S", "P1DT2H0.000005S"),
    (dt.timedelta(seconds=-30), "-PT30S", "-PT30S"),
    (dt.timedelta(), "P0D", "P0D"),
    (Decimal("1.10"), "1.10", "1.10"),
    (Fraction(1, 3), "1/3", "1/3"),
    (Path("a b"), "a b", "a b"),
    (uuid.UUID(int=5), str(uuid.UUID(int=5)), str(uuid.UUID(int=5))),
    (re.compile("a+", re.IGNORECASE), "a+", "a+"),
    (ipaddress.ip_address("10.0.0.1"), "10.0.0.1", "10.0.0.1"),
    ([1, "x", dt.date(1990, 1, 1)], [1, "x", "1990-01-01"], '[1, "x", "1990-01-01"]'),
    ((1, (2,)), [1, [2]], "[1, [2]]"),
    ({"b", "a"}, ["a", "b"], '["a", "b"]'),
    (frozenset({2}), [2], "[2]"),
    ({"a": {1: Decimal(2)}}, {"a": {"1": "2"}}, '{"a": {"1": "2"}}'),
    (deque([1], 3), [1], "[1]"),
    (OrderedDict(a=1), {"a": 1}, '{"a": 1}'),
    (Counter("aa"), {"a": 2}, '{"a": 2}'),
    (pd.Timestamp("1990-01-01", tz="Europe/Paris"), "1990-01-01T00:00:00+01:00", "1990-01-01T00:00:00+01:00"),
    (pd.Timedelta("1h"), "PT1H", "PT1H"),
    (np.datetime64("1990-01-01"), "1990-01-01", "1990-01-01"),
    (2**40_000, hex(2**40_000), hex(2**40_000)),
]


@pytest.mark.parametrize(("value", "as_json", "as_typed"), VALUES, ids=[t[:30] for _, _, t in VALUES])
@pytest.mark.parametrize(
    "bound", [PLAIN_NAMES, {}, {"datetime.date": "date", "datetime": "dt", "pandas": "pd"}]
)
def test_what_is_written_is_read_back(value: Any, as_json: Any, as_typed: str, bound: dict[str, str]) -> None:
    found = recorded_value(render(value, bound))
    assert found == value
    assert type(found) is type(value)
    assert json_value(found) == as_json
    assert typed(found) == as_typed
    json.dumps(json_value(found), allow_nan=False)


#: source as earlier versions recorded it, and the value
RECORDED: list[tuple[str, Any]] = [
    ("date(1990, 1, 1)", dt.date(1990, 1, 1)),
    ('__import__("datetime").date(1990, 1, 1)', dt.date(1990, 1, 1)),
    ("'x'", "x"),
    ("***", "***"),
    ("Color.RED", "RED"),
    ("Color['dark blue']", "dark blue"),
    ("Access(3)", 3),
    ("Config(n=1, at=time(12, 30))", {"n": 1, "at": dt.time(12, 30)}),
    ("Strict(**{'the-n': 5})", {"the-n": 5}),
    ("pydantic.HttpUrl('https://example.org/')", "https://example.org/"),
    ("[Color.RED, Color.GREEN]", ["RED", "GREEN"]),
    ("d(1990, 1, 1)", "d(1990, 1, 1)"),
    ("date(1990, 13, 1)", "date(1990, 13, 1)"),
    ("name", "name"),
    ("1 +", "1 +"),
    ("", ""),
    ("(lambda: 1)()", "(lambda: 1)()"),
]


@pytest.mark.parametrize(("source", "value"), RECORDED)
def test_records_of_earlier_versions_are_read(source: str, value: Any) -> None:
    assert recorded_value(source) == value


def test_nothing_of_a_record_is_run(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    for source in (
        f"open({str(touched)!r}, 'w')",
        f"__import__('pathlib').Path({str(touched)!r}).touch()",
        f"__import__('os').system('touch {touched}')",
        f"Path({str(touched)!r}).write_text('x')",
        f"eval('open({str(touched)!r}, \"w\")')",
        f"[open({str(touched)!r}, 'w') for _ in (1,)]",
        f"f'{{open({str(touched)!r}, \"w\")}}'",
        f"date(open({str(touched)!r}, 'w'), 1, 1)",
    ):
        recorded_value(source)
    assert not touched.exists()


@pytest.mark.parametrize(
    "source", ["compute(5)", "Color.RED", "Config(n=1)", "a + 1", "start + timedelta(7)"]
)
def test_a_default_that_is_computed_is_no_value(source: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_value(source)
