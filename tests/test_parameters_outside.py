"""The cell that makes of plain papermill's texts and lists what was declared."""

# ruff: noqa: DTZ001  # times without a zone are among the values that people give
from __future__ import annotations

import datetime as dt
import sys
from collections import deque
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from parameter_flows import flow_of

from flownb.parameters import Secret, coercion_source

if TYPE_CHECKING:
    from flownb.flow import Flow

NOT_NEEDED = [
    "str",
    "int",
    "float",
    "bool",
    "list",
    "dict",
    "int | None",
    "Optional[str]",
    "Any",
    "list[int]",
    "dict[str, float]",
    "Literal['a', 1]",
    "Region",
    "Annotated[int, Field(ge=0)]",
    "PositiveInt",
    "int | str",
    "str | date",
    "Point",
    "DataFrame",
    "list[str | None]",
    "None",
]


@pytest.mark.parametrize("annotation", NOT_NEEDED)
def test_nothing_is_written_for_what_papermill_passes(annotation: str) -> None:
    assert coercion_source(flow_of(f"x: {annotation} = None")) == ""


def test_nothing_is_written_without_types() -> None:
    assert coercion_source(flow_of("")) == ""


def _run(flow: Flow, values: dict[str, Any]) -> dict[str, Any]:
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec("\n".join(entry.source for entry in flow.closure), scope)
    scope.update(values)
    exec(coercion_source(flow), scope)
    return scope


A_DATE = dt.date(1990, 1, 31)

COERCED: list[tuple[str, Any, Any]] = [
    ("date", "1990-01-31", A_DATE),
    ("'date'", "1990-01-31", A_DATE),
    ("date | None", "1990-01-31", A_DATE),
    ("date | None", None, None),
    ("dt.datetime", "1990-01-31T01:02", dt.datetime(1990, 1, 31, 1, 2)),
    ("timedelta", "P1D", dt.timedelta(days=1)),
    ("Path", "a/b", Path("a/b")),
    ("Decimal", "1.1", Decimal("1.1")),
    ("UUID", "12345678-1234-5678-1234-567812345678", UUID("12345678-1234-5678-1234-567812345678")),
    ("set[int]", [1, 2], {1, 2}),
    ("tuple[int, ...]", [1, 2], (1, 2)),
    ("deque[int]", [1], deque([1])),
    ("frozenset[date]", ["1990-01-31"], frozenset({A_DATE})),
    ("list[date]", ["1990-01-31"], [A_DATE]),
    ("list[date]", [A_DATE], [A_DATE]),
    ("Optional[list[date]]", None, None),
    ("dict[str, date]", {"a": "1990-01-31"}, {"a": A_DATE}),
    ("dict[date, int]", {"1990-01-31": 1}, {A_DATE: 1}),
    ("Literal[\n  'a',\n] | Path", "a", "a"),
    ("Secret", "x", Secret("x")),
    ("date | Path", "1990-01-31", A_DATE),
    ("Annotated[date, Field(ge=date(1990, 1, 1))]", "1990-01-31", A_DATE),
]


@pytest.mark.parametrize(
    ("annotation", "value", "expected"), COERCED, ids=[f"{a}: {v!r}" for a, v, _ in COERCED]
)
def test_text_becomes_what_was_declared(annotation: str, value: Any, expected: Any) -> None:
    found = _run(flow_of(f"x: {annotation}"), {"x": value})["x"]
    assert (found, type(found)) == (expected, type(expected))


def test_an_enums_member_is_made_of_its_value() -> None:
    scope = _run(flow_of("x: Color = Color.RED"), {"x": "dark blue"})
    assert scope["x"] is scope["Color"].DARK_BLUE


def test_it_is_plain_readable_python_with_the_type_as_declared() -> None:
    assert coercion_source(flow_of("n: int = 1\nsince: date | None = None\ndays: list[date] = []")) == (
        "# Text from outside (plain papermill passes dates and paths as text) becomes what was declared.\n"
        "if isinstance(since, str):\n"
        '    since = __import__("pydantic").TypeAdapter(date | None).validate_python(since)\n'
        "if isinstance(days, list) and any(isinstance(item, str) for item in days):\n"
        '    days = __import__("pydantic").TypeAdapter(list[date]).validate_python(days)'
    )


def test_a_parameter_that_has_the_name_of_its_type_is_made_too() -> None:
    flow = flow_of("date: date | None\nPath: Path")
    found = _run(flow, {"date": "1990-01-31", "Path": "x"})
    assert (found["date"], found["Path"]) == (A_DATE, Path("x"))


def test_values_of_the_declared_types_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = flow_of("since: date\ndays: list[date]\nids: set[int]\nby: dict[str, date]\npath: Path | None")
    scope = {"since": A_DATE, "days": [A_DATE], "ids": {1}, "by": {"a": A_DATE}, "path": None}
    source = coercion_source(flow)
    monkeypatch.setitem(sys.modules, "pydantic", None)  # importing it is an error now
    exec(source, dict(scope))
    with pytest.raises(ImportError):
        exec(source, {**scope, "since": "1990-01-31"})
