"""Values given to a run: coerced from text, validated as they are, refused in one message."""

# ruff: noqa: DTZ001  # times without a zone are among the values that people give
from __future__ import annotations

import datetime as dt
import enum
import ipaddress
import json
import re
from collections import Counter, OrderedDict, deque
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parameter_flows import flow_of, flow_with

from flownb.errors import ParameterError
from flownb.flow import Carried, Flow, Parameter
from flownb.parameters import Secret, Validator, validate

A_DATE = dt.date(1990, 1, 31)

#: annotation, text, value
TEXTS: list[tuple[str, str, Any]] = [
    ("str", "1", "1"),
    ("str", "", ""),
    ("str", "none", "none"),
    ("str", "a=b=c", "a=b=c"),
    ("str", "a,b", "a,b"),
    ("str", "{a}", "{a}"),
    ("str", "[1]", "[1]"),
    ("str", "'\"", "'\""),
    ("str", "a\nb", "a\nb"),
    ("str", " a ", " a "),
    ("str", "größe 名 😀", "größe 名 😀"),
    ("str", "$(rm -rf x) `x`", "$(rm -rf x) `x`"),
    ("int", "5", 5),
    ("int", "-5", -5),
    ("int", "1_000", 1000),
    ("int", "5.0", 5),
    ("int", str(10**30), 10**30),
    ("float", "5", 5.0),
    ("float", "1e-3", 0.001),
    ("float", "inf", float("inf")),
    ("complex", "1+2j", 1 + 2j),
    ("complex", "1 + 2j", 1 + 2j),
    ("bool", "yes", True),
    ("bool", "True", True),
    ("bool", "true", True),
    ("bool", "1", True),
    ("bool", "on", True),
    ("bool", "no", False),
    ("bool", "False", False),
    ("bool", "0", False),
    ("bytes", "é", "é".encode()),
    ("date", "1990-01-31", A_DATE),
    ("date", "19900131", A_DATE),
    ("date", "date(1990, 1, 31)", A_DATE),
    ("date | None", "dt.date(1990, 1, 31)", A_DATE),
    ("list[date]", "[date(1990, 1, 31)]", [A_DATE]),
    ("timedelta", "timedelta(days=2)", dt.timedelta(days=2)),
    ("str", "date(1990, 1, 31)", "date(1990, 1, 31)"),
    ("dt.date", "1990-01-31", A_DATE),
    ("datetime.date", "1990-01-31", A_DATE),
    ("'date'", "1990-01-31", A_DATE),
    ("DateTime", "1990-01-31", dt.datetime(1990, 1, 31)),
    ("DateTime", "1990-01-31T12:30", dt.datetime(1990, 1, 31, 12, 30)),
    ("DateTime", "1990-01-31 12:30:01.5", dt.datetime(1990, 1, 31, 12, 30, 1, 500_000)),
    ("DateTime", "1990-01-31T12:30Z", dt.datetime(1990, 1, 31, 12, 30, tzinfo=dt.UTC)),
    ("time", "12:30", dt.time(12, 30)),
    ("timedelta", "P1DT2H", dt.timedelta(days=1, hours=2)),
    ("timedelta", "1 day 02:00:00", dt.timedelta(days=1, hours=2)),
    ("Decimal", "1.10", Decimal("1.10")),
    ("Fraction", "1/3", Fraction(1, 3)),
    ("Path", "a b/c", Path("a b/c")),
    ("pathlib.Path", "~", Path("~")),
    ("UUID", "12345678-1234-5678-1234-567812345678", UUID("12345678-1234-5678-1234-567812345678")),
    ("IPv4Address", "10.0.0.1", ipaddress.IPv4Address("10.0.0.1")),
    ("re.Pattern", "a+", re.compile("a+")),
    ("Region", "EU", "EU"),
    ('Literal["EU", "US"]', "US", "US"),
    ("t.Literal[1, 2]", "2", 2),
    ("Literal[True, 'auto']", "true", True),
    ("Literal[True, 'auto']", "auto", "auto"),
    ("Literal['1', 1]", "1", "1"),
    ("Literal[None, 'a']", "none", None),
    ("Literal[-1, 0]", "-1", -1),
    ("date | None", "none", None),
    ("date | None", "None", None),
    ("date | None", "", None),
    ("date | None", "1990-01-31", A_DATE),
    ("Optional[date]", "null", None),
    ("t.Optional[int]", "5", 5),
    ("Union[int, str]", "5", 5),
    ("int | str", "five", "five"),
    ("str | int", "5", 5),
    ("str | None", "none", None),
    ("str | None", "null", "null"),
    ("str | None", "", ""),
    ("str | None", "x", "x"),
    ("Secret | None", "null", Secret("null")),
    ("Secret | None", "none", None),
    ("bool | int", "1", 1),
    ("bool | int", "true", True),
    ("int | float", "1", 1),
    ("int | float", "1.5", 1.5),
    ("date | int", "2020", 2020),
    ("int | date", "2020-01-01", dt.date(2020, 1, 1)),
    ("Literal['all'] | int", "all", "all"),
    ("Literal['none'] | None", "none", "none"),
    ("Path | None", "x", Path("x")),
    ("int | list[int]", "1,2", [1, 2]),
    ("str | list[str]", "hello", "hello"),
    ("str | list[str]", "a,b", "a,b"),
    ("str | list[str]", '["a", "b"]', ["a", "b"]),
    ("list[str] | str", "hello", "hello"),
    ("list[str] | None", "a,b", ["a", "b"]),
    ("date | list[date]", "1990-01-31", A_DATE),
    ("date | list[date]", "1990-01-31,1990-01-31", [A_DATE, A_DATE]),
    ("list[Path] | Path", "x", Path("x")),
    ("str | Path", "x", "x"),
    ("Path | str", "x", "x"),
    ("str | dict[str, int]", '{"a": 1}', {"a": 1}),
    ("str | dict[str, int]", "{a}", "{a}"),
    ("str | bool", "true", True),
    ("str | bool", "yes", "yes"),
    ("str | bool | None", "none", None),
    ("str | date", "1990-01-31", A_DATE),
    ("str | tuple[int, int]", "(1, 2)", (1, 2)),
    ("list[int]", "1,2", [1, 2]),
    ("list[int]", "1, 2", [1, 2]),
    ("list[int]", "[1, 2]", [1, 2]),
    ("list[int]", "(1, 2)", [1, 2]),
    ("list[int]", "5", [5]),
    ("list[int]", "", []),
    ("List[int]", "1,2", [1, 2]),
    ("list[str]", "a,b", ["a", "b"]),
    ("list[str]", "a, b c", ["a", "b c"]),
    ("list[str]", '["a,b", "1"]', ["a,b", "1"]),
    ("list[str]", "['a', \"b\"]", ["a", "b"]),
    ("list[str]", '"a,b",c', ["a,b", "c"]),
    ("list[str]", "1,2", ["1", "2"]),
    ("list[str]", "größe,名", ["größe", "名"]),
    ("list", "1,x", [1, "x"]),
    ("list[date]", "1990-01-31,1990-01-31", [A_DATE, A_DATE]),
    ("list[date]", '["1990-01-31"]', [A_DATE]),
    ("list[date | None]", "1990-01-31,none", [A_DATE, None]),
    ("list[int | str]", '["1", 1]', ["1", 1]),
    ("list[Region]", "EU,US", ["EU", "US"]),
    ("list[list[int]]", "[[1], [2, 3]]", [[1], [2, 3]]),
    ("set[int]", "1,2,2", {1, 2}),
    ("set[int]", "{1, 2}", {1, 2}),
    ("set[str]", "a", {"a"}),
    ("frozenset[int]", "1,2", frozenset({1, 2})),
    ("tuple[int, ...]", "1,2", (1, 2)),
    ("tuple[int, ...]", "", ()),
    ("Tuple[int, str]", "1,2", (1, "2")),
    ("tuple[int, date]", "1,1990-01-31", (1, A_DATE)),
    ("tuple", "1,x", (1, "x")),
    ("Sequence[int]", "1,2", [1, 2]),
    ("deque[int]", "1,2", deque([1, 2])),
    ("dict[str, float]", '{"a": 1}', {"a": 1.0}),
    ("Dict[str, float]", "{'a': 1}", {"a": 1.0}),
    ("dict", '{"a": [1, null]}', {"a": [1, None]}),
    ("dict", "", {}),
    ("dict[int, str]", '{"1": "1"}', {1: "1"}),
    ("dict[date, int]", '{"1990-01-31": 1}', {A_DATE: 1}),
    ("dict[str, date]", '{"a": "1990-01-31"}', {"a": A_DATE}),
    ("dict[str, list[date]]", '{"a": ["1990-01-31"]}', {"a": [A_DATE]}),
    ("Mapping[str, int]", '{"a": 1}', {"a": 1}),
    ("OrderedDict[str, int]", '{"a": 1}', OrderedDict(a=1)),
    ("Counter[str]", '{"a": 1}', Counter(a=1)),
    ("Annotated[int, Field(ge=0, le=10)]", "10", 10),
    ("Annotated[int, Field(ge=0, le=LIMIT)]", "10", 10),
    ("Annotated[int, Ge(0)]", "0", 0),
    ("Annotated[list[int], Len(1, 2)]", "1,2", [1, 2]),
    ("Annotated[int, Interval(ge=0, lt=5)] | None", "4", 4),
    ("Annotated[date, Field(ge=date(1990, 1, 1))]", "1990-01-31", A_DATE),
    ("PositiveInt", "1", 1),
    ("pydantic.PositiveInt", "1", 1),
    ("conint(ge=0)", "0", 0),
    ("conlist(int, max_length=2)", "1,2", [1, 2]),
    ("constr(to_upper=True)", "eu", "EU"),
    ("Annotated[str, pydantic.StringConstraints(strip_whitespace=True)]", " a ", "a"),
    ("UserId", "7", 7),
    ("Any", "5", 5),
    ("Any", "none", None),
    ("Any", "true", True),
    ("Any", "1.5", 1.5),
    ("Any", "text", "text"),
    ("Any", "nan", "nan"),
    ("Any", '{"a": 1}', {"a": 1}),
    ("Any", "[1,", "[1,"),
    ("object", "x", "x"),
    ("Final[int]", "5", 5),
]


@pytest.mark.parametrize("text", ["5", '{"x": 1}', "1,2", "none"])
@pytest.mark.parametrize("annotation", ["Point", "DataFrame", "Point | None", "list[Point]"])
def test_text_for_a_type_that_only_the_run_knows_is_left_to_the_run(annotation: str, text: str) -> None:
    assert validate(flow_of(f"x: {annotation}"), {"x": text}, text=True) == {"x": text}


@pytest.mark.parametrize(("annotation", "text", "value"), TEXTS, ids=[f"{a}: {t!r}" for a, t, _ in TEXTS])
def test_text_is_read_as_its_type_is_written(annotation: str, text: str, value: Any) -> None:
    found = validate(flow_of(f"x: {annotation}"), {"x": text}, text=True)["x"]
    assert found == value
    assert type(found) is type(value)
    if isinstance(value, list | tuple):
        assert [type(item) for item in found] == [type(item) for item in value]


ENUM_TEXTS = [
    ("Color", "red", "RED"),
    ("Color", "RED", "RED"),
    ("Color", "dark blue", "DARK_BLUE"),
    ("Color", "dark_blue", "DARK_BLUE"),
    ("Color | None", "red", "RED"),
    ("Optional[Color]", "DARK_BLUE", "DARK_BLUE"),
    ("Size", "1", "SMALL"),
    ("Size", "large", "LARGE"),
    ("Kind", "a", "A"),
    ("Mixed", "y", "Y"),
    ("Access", "READ", "READ"),
    ("Access", "2", "WRITE"),
    ("Access", "both", "BOTH"),
    ("Access", "read|WRITE", "BOTH"),
    ("Access", "Access.READ | Access.WRITE", "BOTH"),
    ("Access", "3", "BOTH"),
    ("Color", "Color.RED", "RED"),
    ("Literal[Color.RED, 'none']", "red", "RED"),
]


@pytest.mark.parametrize(("annotation", "text", "name"), ENUM_TEXTS)
def test_an_enums_member_is_given_by_value_or_name(annotation: str, text: str, name: str) -> None:
    found = validate(flow_of(f"x: {annotation}"), {"x": text}, text=True)["x"]
    assert isinstance(found, enum.Enum)
    assert found.name == name
    assert type(found).__name__ in annotation


#: annotation, value given in Python, value taken
VALUES: list[tuple[str, Any, Any]] = [
    ("int", 5, 5),
    ("int", "5", 5),
    ("int", True, 1),
    ("int", 5.0, 5),
    ("float", 5, 5.0),
    ("str", "5", "5"),
    ("bool", "yes", True),
    ("date", A_DATE, A_DATE),
    ("date", "1990-01-31", A_DATE),
    ("DateTime", dt.datetime(1990, 1, 31, 1), dt.datetime(1990, 1, 31, 1)),
    ("Path", "x", Path("x")),
    ("Decimal", "1.1", Decimal("1.1")),
    ("list[int]", (1, 2), [1, 2]),
    ("tuple[int, ...]", [1, 2], (1, 2)),
    ("set[int]", [1, 2, 2], {1, 2}),
    ("list[date]", ["1990-01-31"], [A_DATE]),
    ("dict[str, float]", {"a": 1}, {"a": 1.0}),
    ("date | None", None, None),
    ("Any", object, object),
    ("DataFrame", [1], [1]),
    ("Region", "EU", "EU"),
]


@pytest.mark.parametrize(
    ("annotation", "given_value", "value"), VALUES, ids=[f"{a}: {v!r}" for a, v, _ in VALUES]
)
def test_values_from_python_are_taken_as_pydantic_takes_them(
    annotation: str, given_value: Any, value: Any
) -> None:
    found = validate(flow_of(f"x: {annotation}"), {"x": given_value})["x"]
    assert found == value
    assert type(found) is type(value)


#: annotation, text, what the message says beside the parameter's name
WRONG = [
    ("int", "abc", "`x` takes a whole number; it was given 'abc'"),
    ("int", "1.5", "whole number"),
    ("int", "", "whole number"),
    ("int", "9" * 5000, "..."),
    ("float", "1,5", "`x` takes a number"),
    ("bool", "maybe", "`x` takes yes or no"),
    ("date", "soon", "`x` takes a date; it was given 'soon'"),
    ("date", "1990", "date"),
    ("date", "86400", "date"),
    ("date", "open(1990, 1, 1)", "it was given 'open(1990, 1, 1)'"),
    ("date", "timedelta(days=2)", "`x` takes a date"),
    ("date", "1990-02-30", "date"),
    ("DateTime", "1990", "date and time"),
    ("DateTime", "1e3", "date and time"),
    ("time", "25:00", "time of day"),
    ("timedelta", "long", "duration"),
    ("Decimal", "a", "decimal number"),
    ("Fraction", "1e999999999", "fraction"),
    ("Fraction", "1/0", "fraction"),
    ("UUID", "1", "UUID"),
    ("re.Pattern", "(", "regular expression"),
    ('Literal["EU", "US"]', "eu", "`x` takes 'EU' or 'US'; it was given 'eu'"),
    ("Literal[1, 2, 3]", "4", "1, 2 or 3"),
    ("Color", "green", "`x` takes RED or DARK_BLUE; it was given 'green'"),
    ("Color", "reds", "RED or DARK_BLUE"),
    ("date | None", "never", "date or none"),
    ("int | float", "x", "whole number or number"),
    ("list[int]", "1,x", "[1]"),
    ("list[int]", "[1, 'x']", "[1]"),
    ("list[int]", "{", "`x` takes a list of whole number"),
    ("list[int]", "{'a': 1}", "list of whole number"),
    ("tuple[int, str]", "1", "list of exactly (whole number, text)"),
    ("dict[str, int]", "a", "mapping of text to whole number"),
    ("dict[str, int]", "[1]", 'written like {"name": 1}'),
    ("dict[str, int]", '{"a": "x"}', "['a']"),
    ("Annotated[int, Field(ge=0, le=10)]", "11", "whole number ≥ 0 and ≤ 10"),
    ("PositiveInt", "0", "whole number > 0"),
    ("Annotated[str, Field(min_length=2, pattern='^a')]", "a", "text at least 2 long and matching '^a'"),
    ("Annotated[list[int], Len(1, 2)]", "1,2,3", "at most 2 long"),
]


@pytest.mark.parametrize(
    ("annotation", "text", "message"), WRONG, ids=[f"{a}: {t[:20]!r}" for a, t, _ in WRONG]
)
def test_wrong_text_is_refused_with_what_was_expected_and_what_came(
    annotation: str, text: str, message: str
) -> None:
    with pytest.raises(ParameterError) as caught:
        validate(flow_of(f"x: {annotation}"), {"x": text}, text=True)
    assert message in str(caught.value)
    assert "`x`" in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("annotation", "value", "came"),
    [
        ("int", [1], "[1]"),
        ("int", None, "None"),
        ("str", 5, "5"),
        ("str", ["a"], "['a']"),
        ("list[int]", "12", "'12'"),
        ("list[int]", "1,2", "'1,2'"),
        ("date", object(), "an object"[3:]),
        ("dict[str, int]", {1: 2}, "{1: 2}"),
        ("date", list(range(1000)), "..."),
        ("int", "x" * 1000, "..."),
        ("int", "\x1b[31m\u202e", r"'\x1b[31m\u202e'"),
    ],
)
def test_wrong_values_from_python_are_refused(annotation: str, value: Any, came: str) -> None:
    with pytest.raises(ParameterError) as caught:
        validate(flow_of(f"x: {annotation}"), {"x": value})
    assert came in str(caught.value)
    assert len(str(caught.value)) < 500


class _Table:
    def __repr__(self) -> str:
        raise AssertionError("a large object is not shown")


def test_an_object_of_another_library_is_named_by_its_class_only() -> None:
    with pytest.raises(ParameterError, match="it was given a _Table"):
        validate(flow_of("x: int"), {"x": _Table()})


def test_every_problem_is_in_one_message() -> None:
    flow = flow_of("since: date\nuntil: date | None = None\nregion: Region\nn: int = 1")
    with pytest.raises(ParameterError) as caught:
        validate(flow, {"sinse": "1990-01-01", "until": "soon", "n": "x", "zzz": 1}, text=True)
    *others, last = str(caught.value).splitlines()
    assert last.startswith("  - `n` takes a whole number; it was given 'x' (Input should be a valid integer")
    assert others == [
        "flow `sales`: 6 problems with its parameters",
        "  - `sinse` is not a parameter; did you mean `since`?",
        "  - `zzz` is not a parameter; there are `since`, `until`, `region` or `n`",
        "  - `since` is required: date",
        "  - `until` takes a date or none; it was given 'soon'",
        "  - `region` is required: 'EU' or 'US'",
    ]


def test_one_problem_is_one_line() -> None:
    with pytest.raises(ParameterError) as caught:
        validate(flow_of("since: date = None"), {"sincee": "x"}, text=True)
    assert str(caught.value) == "flow `sales`: `sincee` is not a parameter; did you mean `since`?"


def test_a_flow_without_parameters_says_so() -> None:
    with pytest.raises(ParameterError, match="the flow has none"):
        validate(flow_with(), {"x": 1})


def test_defaults_are_neither_evaluated_nor_returned(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    flow = flow_of(f"x: Path = open({str(touched)!r}, 'w')\ny: int = 2")
    assert validate(flow, {"y": 3}) == {"y": 3}
    assert validate(flow, {}) == {}
    assert not touched.exists()


def test_values_come_back_in_the_order_of_the_declarations() -> None:
    assert list(validate(flow_of("a: int\nb: int\nc: int"), {"c": 1, "b": 2, "a": 3})) == ["a", "b", "c"]


def test_names_are_compared_as_python_compares_identifiers() -> None:
    flow = flow_of("café: int = 1")
    assert validate(flow, {"cafe\u0301": 2}) == {"café": 2}
    with pytest.raises(ParameterError, match="given twice"):
        validate(flow, {"cafe\u0301": 2, "café": 3})


@pytest.mark.parametrize(
    ("annotation", "line"),
    [
        ("Literal['a']", "from typing import Literal"),
        ("Optional[int]", "from typing import Optional"),
        ("list[Optional[int]]", "from typing import Optional"),
        ("date", "from datetime import date"),
        ("date | None", "from datetime import date"),
        ("Path", "from pathlib import Path"),
        ("Annotated[int, 1]", "from typing import Annotated"),
        ("Secret", "from flownb import Secret"),
        ("PositiveInt", "from pydantic import PositiveInt"),
        ("conint(ge=1)", "from pydantic import conint"),
    ],
)
def test_a_type_that_nothing_imports_is_an_error_with_the_import_line(annotation: str, line: str) -> None:
    flow = flow_of(f"x: {annotation} = 1", imports="", definitions="")
    with pytest.raises(ParameterError) as caught:
        validate(flow, {})
    assert f"add `{line}` to the cell" in str(caught.value)


@pytest.mark.parametrize("source", ["Literal = 1", "from elsewhere import Literal", "def Literal(): ..."])
def test_a_name_that_the_notebook_binds_itself_is_not_asked_for(source: str) -> None:
    flow = flow_of("x: Literal['a'] = 1", imports="", definitions=source + "\n")
    assert validate(flow, {"x": "b"}) == {"x": "b"}


def test_imports_of_any_cell_count_in_a_notebook_without_a_closure() -> None:
    from flownb.flow import Step

    step = Step("cell-1", "%matplotlib inline\nfrom datetime import date\nimport pandas as pd\n!ls")
    flow = flow_with(Parameter("since", "date", "date(1990, 1, 1)"), steps=(step,))
    assert validate(flow, {"since": "1990-01-31"}, text=True) == {"since": A_DATE}


#: default, text, value: papermill's notebooks declare no types
UNDECLARED: list[tuple[str, str, Any]] = [
    ("1", "5", 5),
    ("1", "0.5", 0.5),
    ("1.0", "5", 5.0),
    ("True", "no", False),
    ("'a'", "5", "5"),
    ("'a'", "none", "none"),
    ("None", "5", 5),
    ("None", "none", None),
    ("None", "text", "text"),
    ("[1]", "1,x", [1, "x"]),
    ("{}", '{"a": 1}', {"a": 1}),
    ("(1, 2)", "3,4", (3, 4)),
    ("-1", "-2", -2),
    ("date(1990, 1, 1)", "1990-01-31", A_DATE),
    ("Path('x')", "y", Path("y")),
    ("compute()", "5", 5),
    ("a + 1", "x", "x"),
]


@pytest.mark.parametrize(("default", "text", "value"), UNDECLARED)
def test_without_a_type_the_default_says_how_text_is_read(default: str, text: str, value: Any) -> None:
    from parameter_flows import IMPORTS, entries

    flow = flow_with(Parameter("x", "", default), closure=entries(IMPORTS))
    found = validate(flow, {"x": text}, text=True)["x"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("value", [1, "x", None, [1], object()])
def test_without_a_type_any_value_from_python_is_taken(value: object) -> None:
    assert validate(flow_with(Parameter("x", "", "1")), {"x": value})["x"] is value


def test_values_of_a_file_are_read_deeply() -> None:
    flow = flow_of("days: list[date]\ncolors: dict[str, Color]\nn: int | str\nnames: list[int | str]")
    found = validate(
        flow, {"days": ["1990-01-31", A_DATE], "colors": {"a": "RED"}, "n": 5, "names": ["1", 2]}, text=True
    )
    assert found["days"] == [A_DATE, A_DATE]
    assert found["colors"]["a"].name == "RED"
    assert (found["n"], found["names"]) == (5, ["1", 2])


def test_a_member_of_the_notebooks_own_class_is_taken_by_its_name() -> None:
    own = enum.Enum("Color", [("RED", "red"), ("DARK_BLUE", "dark blue")])
    other = enum.Enum("Colour", [("RED", "red")])
    flow = flow_of("x: Color\ny: list[Color] = []")
    found = validate(flow, {"x": own.RED, "y": [own.DARK_BLUE]})
    assert (found["x"].name, found["y"][0].name) == ("RED", "DARK_BLUE")
    with pytest.raises(ParameterError):
        validate(flow, {"x": other.RED})


def test_secrets_are_validated_into_secrets_and_never_shown() -> None:
    flow = flow_of("x: Secret\ny: Annotated[Secret, Field(min_length=20)] = ''")
    found = validate(flow, {"x": "hunter2"}, text=True)["x"]
    assert isinstance(found, Secret)
    assert found == "hunter2"
    with pytest.raises(ParameterError) as caught:
        validate(flow, {"x": 5, "y": "hunter2-again"}, text=False)
    assert "hunter2" not in str(caught.value)
    assert "not shown" in str(caught.value)


def test_numpy_and_pandas_scalars_are_taken() -> None:
    import numpy as np
    import pandas as pd

    flow = flow_of("n: int\nx: float\nwhen: DateTime\nday: date")
    stamp = pd.Timestamp("1990-01-31")
    found = validate(flow, {"n": np.int64(3), "x": np.float32(0.5), "when": stamp, "day": stamp})
    assert found == {"n": 3, "x": 0.5, "when": stamp, "day": A_DATE}


@pytest.mark.parametrize(
    "annotation", ["Annotated[int, Field(ge='a')]", "Annotated[str, Field(pattern='(')]"]
)
def test_a_type_that_contradicts_itself_is_told(annotation: str) -> None:
    with pytest.raises(ParameterError, match="cannot be checked"):
        validate(flow_of(f"x: {annotation}"), {"x": "1"}, text=True)


def test_one_validator_serves_many_runs() -> None:
    validator = Validator(flow_of("n: int\ncolor: Color"))
    found = [validator.validate({"n": str(n), "color": "RED"}, text=True) for n in range(100)]
    assert [values["n"] for values in found] == list(range(100))
    assert len({values["color"] for values in found}) == 1


def test_without_given_values_pydantic_is_not_imported() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from flownb.flow import *; from flownb.parameters import *\n"
        "flow = Flow('f', parameters=(Parameter('n', 'Annotated[int, Field(ge=0)]', '1'),), closure=(\n"
        "  Carried('Field', 'import', 'from pydantic import Field'),\n"
        "  Carried('Annotated', 'import', 'from typing import Annotated')))\n"
        "validate(flow, {}); print(describe(flow)[0].type); coercion_source(flow)\n"
        "assert 'pydantic' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "whole number ≥ 0\n", "")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(), inside, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), _JSON, max_size=4))
def test_any_json_object_comes_through_a_dict_parameter(value: dict[str, Any]) -> None:
    flow = flow_with(Parameter("x", "dict"))
    assert validate(flow, {"x": json.dumps(value)}, text=True)["x"] == value


@given(st.text())
def test_any_text_comes_through_a_str_parameter(text: str) -> None:
    assert validate(flow_with(Parameter("x", "str")), {"x": text}, text=True)["x"] == text


@given(st.lists(st.text(), max_size=4))
def test_any_list_of_texts_comes_through_as_json(values: list[str]) -> None:
    assert (
        validate(flow_with(Parameter("x", "list[str]")), {"x": json.dumps(values)}, text=True)["x"] == values
    )


_KINDS = [
    "int",
    "date",
    "bool",
    "list[int]",
    "dict[str, int]",
    "int | str | None",
    "Color",
    "Literal[1, 'a']",
    "Any",
]
_FLOWS: dict[str, Flow] = {kind: flow_of(f"x: {kind}") for kind in _KINDS}


@given(kind=st.sampled_from(_KINDS), text=st.text(alphabet="01-a[]{},'\":. \n", max_size=20))
def test_any_text_is_taken_or_refused_with_a_message(kind: str, text: str) -> None:
    with suppress(ParameterError):
        validate(_FLOWS[kind], {"x": text}, text=True)


def test_a_definition_may_stand_in_a_carried_entry_that_binds_several_names() -> None:
    source = "from enum import Enum\nclass Color(Enum):\n    RED = 1"
    entry = Carried("Color", "definition", source, binds=("Enum", "Color"))
    flow = flow_with(Parameter("x", "Color"), closure=(entry,))
    assert validate(flow, {"x": "RED"}, text=True)["x"].value == 1
