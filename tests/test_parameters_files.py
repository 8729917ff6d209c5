"""Parameters from `-p name=value` and from files."""

from __future__ import annotations

import datetime as dt
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parameter_flows import flow_of

from flownb.errors import ParameterError
from flownb.parameters import Validator, parse_assignment, read_file, validate

ASSIGNMENTS = [
    ("a=1", ("a", "1")),
    ("a=", ("a", "")),
    ("a==", ("a", "=")),
    ("a=b=c", ("a", "b=c")),
    ("a= x ", ("a", " x ")),
    (" a =x", ("a", "x")),
    ("a=1,2", ("a", "1,2")),
    ('a={"b": [1, "="]}', ("a", '{"b": [1, "="]}')),
    ("a='x' \"y\"", ("a", "'x' \"y\"")),
    ("a=x\ny=z\n", ("a", "x\ny=z\n")),
    ("größe=名 😀", ("größe", "名 😀")),
    ("a=-x", ("a", "-x")),
    ("a={x}%s$y", ("a", "{x}%s$y")),
]


@pytest.mark.parametrize(("text", "expected"), ASSIGNMENTS)
def test_an_assignment_is_split_at_its_first_equals_sign(text: str, expected: tuple[str, str]) -> None:
    assert parse_assignment(text) == expected


@pytest.mark.parametrize("text", ["", "a", "=", "=1", " =1", "a:1", "--a"])
def test_what_is_no_assignment_is_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="name=value"):
        parse_assignment(text)


@given(st.text())
def test_any_value_comes_through(value: str) -> None:
    assert parse_assignment(f"name={value}") == ("name", value)


FILES: list[tuple[str, str, dict[str, Any]]] = [
    ("a.json", '{"a": 1, "b": [null, "x"]}', {"a": 1, "b": [None, "x"]}),
    ("a.json", '\ufeff{"a": "é"}', {"a": "é"}),
    ("a.json", "", {}),
    ("a.yaml", "a: 1\nb:\n  - x\n", {"a": "1", "b": ["x"]}),
    ("a.yml", "since: 1990-01-31\n", {"since": "1990-01-31"}),
    ("a.yaml", "a: &x [1]\nb: *x\n", {"a": ["1"], "b": ["1"]}),
    ("a.yaml", "base: &b {x: 1}\na: {<<: *b, y: 2}\n", {"base": {"x": "1"}, "a": {"x": "1", "y": "2"}}),
    ("a.yaml", "# nothing\n", {}),
    ("a.yaml", "~", {}),
    ("a.yaml", "größe: 名\n", {"größe": "名"}),
    ("A.YAML", "a: 1", {"a": "1"}),
    ("a.yaml", "on: no\n1: 010\n", {"on": "no", "1": "010"}),
    ("a.yaml", "a: !!int 010\nb: !!set {x}", {"a": 8, "b": {"x"}}),
    (
        "a.toml",
        "a = 1\nsince = 1990-01-31\n[b]\nc = true\n",
        {"a": 1, "since": dt.date(1990, 1, 31), "b": {"c": True}},
    ),
]


@pytest.mark.parametrize(("name", "text", "expected"), FILES)
def test_files_give_names_with_values(tmp_path: Path, name: str, text: str, expected: dict[str, Any]) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_file(tmp_path / name) == expected
    assert read_file(str(tmp_path / name)) == expected


_LAUGHS = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10))

BAD_FILES = [
    ("a.json", "{'a': 1}", "line 1"),
    ("a.json", '{\n"a": 1,\nb}', "line 3"),
    ("a.json", "[1]", "found a list"),
    ("a.json", '{"a": 1, "a": 2}', "`a` is there twice"),
    ("a.json", "[" * 100_000, "deep"),
    ("a.yaml", "a: 1\nb: [1\n", "line 3"),
    ("a.yaml", "a: 1\na: 2\n", "line 2: `a` is there twice"),
    ("a.yaml", "a: 1\n\tb: 2", "line 2"),
    ("a.yaml", "- 1", "found a list"),
    ("a.yaml", "just text", "found a str"),
    ("a.yaml", "{? [1] : x}", "line 1"),
    ("a.yaml", "a: {? [1] : x}", "line 1"),
    ("a.yaml", "a: !!python/object/apply:os.system ['true']", "line 1"),
    ("a.yaml", "a: !!int x", "a.yaml"),
    ("a.yaml", "a: *nowhere", "line 1"),
    ("a.yaml", "a: \x01", "a.yaml"),
    ("a.yaml", "a: 1\n---\nb: 2", "line 2"),
    ("a.yaml", _LAUGHS, "more than 1,000,000"),
    ("a.yaml", "a: &a [*a]", "more than 1,000,000"),
    ("a.toml", "a = \n", "line 1"),
    ("a.txt", "a=1", "none of these"),
    ("a", "a=1", "expected names with values"),
    ("a.ini", "a=1", "none of these"),
]


@pytest.mark.parametrize(
    ("name", "text", "message"), BAD_FILES, ids=[f"{n}: {t[:20]!r}" for n, t, _ in BAD_FILES]
)
def test_a_bad_file_is_told_with_its_name_and_line(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ParameterError) as caught:
        read_file(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xff\xfe{}")
    (tmp_path / "b.json").mkdir()
    for name, message in (("a.json", "UTF-8"), ("b.json", "cannot be read"), ("c.json", "there is no file")):
        with pytest.raises(ParameterError, match=message):
            read_file(tmp_path / name)


@given(
    st.dictionaries(st.text(), st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5))
)
def test_what_json_wrote_is_read(tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("files") / "a.json"
    path.write_text(json.dumps(values), encoding="utf-8")
    assert read_file(path) == values


REFUSED = object()  # what stands for a message

#: declared type, what stands in a YAML file, the value
YAML: list[tuple[str, str, Any]] = [
    ("time", "12:30", dt.time(12, 30)),
    ("time", "'12:30'", dt.time(12, 30)),
    ("int", "010", 10),
    ("int", '"010"', 10),
    ("int", "0o10", REFUSED),
    ("int", "1_000", 1000),
    ("int", "+5", 5),
    ("float", "1e3", 1000.0),
    ("float", ".5", 0.5),
    ("str", "no", "no"),
    ("str", "010", "010"),
    ("str", "12:30", "12:30"),
    ("str", "1990-01-31", "1990-01-31"),
    ("str", "1.10", "1.10"),
    ("str", "null", "null"),
    ("str", "~", "~"),
    ("str", "", ""),
    ("str", "|\n  two\n  lines", "two\nlines\n"),
    ("bool", "no", False),
    ("bool", "'no'", False),
    ("bool", "on", True),
    ("date", "1990-01-31", dt.date(1990, 1, 31)),
    ("date", "'1990-01-31'", dt.date(1990, 1, 31)),
    ("date", "2026-02-30", REFUSED),
    ("date | None", "null", None),
    ("date | None", "~", None),
    ("date | None", "", None),
    ("str | None", "null", None),
    ("str | None", "'null'", "null"),
    ("Optional[int]", "none", None),
    ("Decimal", "1.10", Decimal("1.10")),
    ("int | str", "5", 5),
    ("int | str", "'5'", "5"),
    ("int | str", "five", "five"),
    ("str | list[str]", "hello", "hello"),
    ("str | list[str]", "[a, no]", ["a", "no"]),
    ("str | list[str]", "- a\n- 010", ["a", "010"]),
    ("list[str]", "[no, 12:30, 1, ~]", ["no", "12:30", "1", "~"]),
    ("list[str | None]", "[no, null, 'null']", ["no", None, "null"]),
    ("list[int]", "[010, '7']", [10, 7]),
    ("list[int]", "1,2", [1, 2]),
    ("list[time]", "[12:30]", [dt.time(12, 30)]),
    ("list[list[int]]", "[[1], [2, 010]]", [[1], [2, 10]]),
    ("dict[str, time]", "{no: 12:30}", {"no": dt.time(12, 30)}),
    ("dict[int, str]", "{010: 010}", {10: "010"}),
    ("dict[str, list[date]]", "{a: [1990-01-31]}", {"a": [dt.date(1990, 1, 31)]}),
    ("dict[str, int | None]", "{a: ~, b: 2}", {"a": None, "b": 2}),
    ("tuple[int, str]", "[010, 010]", (10, "010")),
    ("set[int]", "[1, 1]", {1}),
    ("Literal['no', 'yes']", "no", "no"),
    ("Literal[1, 2]", "2", 2),
    ("Color", "RED", "red"),
    ("list[Color]", "[dark blue, RED]", ["dark blue", "red"]),
    ("Access", "READ|WRITE", 3),
    ("Any", "5", 5),
    ("Any", "'5'", "5"),
    ("Any", "true", True),
    ("Any", "~", None),
    ("dict", "{a: [1, x, 'y', null]}", {"a": [1, "x", "y", None]}),
    ("list[date] | dict[str, date]", "{a: 1990-01-31}", {"a": dt.date(1990, 1, 31)}),
    ("PositiveInt", "010", 10),
    ("Annotated[list[int], Len(1, 2)]", "[1, 2]", [1, 2]),
    ("Path", "~/x", Path("~/x")),
    ("Secret", "no", "no"),
]


@pytest.mark.parametrize(("annotation", "text", "value"), YAML, ids=[f"{a}: {t}" for a, t, _ in YAML])
def test_the_declared_type_says_what_a_scalar_of_yaml_is(
    tmp_path: Path, annotation: str, text: str, value: Any
) -> None:
    (tmp_path / "a.yaml").write_text(
        f"v: {text}\n" if "\n-" not in text and text[0:1] != "-" else f"v:\n{text}\n"
    )
    given_values = read_file(tmp_path / "a.yaml")
    flow = flow_of(f"v: {annotation}")
    if value is REFUSED:
        with pytest.raises(ParameterError, match="`v` takes"):
            validate(flow, given_values)
        return
    found = validate(flow, given_values)["v"]
    plain = (
        [getattr(v, "value", v) for v in found] if isinstance(found, list) else getattr(found, "value", found)
    )
    assert plain == value
    assert type(found).__name__ != "Text"


#: declared type, JSON, the value or what the message says
TYPED: list[tuple[str, str, Any]] = [
    ("int", "5", 5),
    ("int", '"5"', 5),
    ("str", "5", REFUSED),
    ("int | str", '"5"', "5"),
    ("str | list[str]", '"hello"', "hello"),
    ("str | list[str]", '["a"]', ["a"]),
    ("list[int]", '"1,2"', REFUSED),
    ("bool", '"no"', False),
    ("time", '"12:30"', dt.time(12, 30)),
    ("date", '"1990-01-31"', dt.date(1990, 1, 31)),
    ("date | None", "null", None),
    ("str | None", '"null"', "null"),
    ("Color", '"dark blue"', "dark blue"),
    ("Color", '"RED"', "red"),
    ("list[Color]", '["RED"]', ["red"]),
    ("Access", "3", 3),
    ("dict[str, date]", '{"a": "1990-01-31"}', {"a": dt.date(1990, 1, 31)}),
    ("Any", '"5"', "5"),
]


@pytest.mark.parametrize(("annotation", "text", "value"), TYPED, ids=[f"{a}: {t}" for a, t, _ in TYPED])
def test_json_says_of_what_type_a_value_is(tmp_path: Path, annotation: str, text: str, value: Any) -> None:
    (tmp_path / "a.json").write_text(f'{{"v": {text}}}')
    validator, given_values = Validator(flow_of(f"v: {annotation}")), read_file(tmp_path / "a.json")
    if value is REFUSED:
        with pytest.raises(ParameterError, match="`v` takes"):
            validator.validate(given_values)
        return
    found = validator.validate(given_values)["v"]
    plain = (
        [getattr(v, "value", v) for v in found] if isinstance(found, list) else getattr(found, "value", found)
    )
    assert plain == value
    assert validator.validate(json.loads(f'{{"v": {text}}}')) == {"v": found}, "as Python gives it"


def test_toml_keeps_its_dates_and_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("at = 12:30:00\nday = 1990-01-31\nn = 0o10\nwhat = ['a']\nname = '5'\n")
    flow = flow_of("at: time\nday: date\nn: int\nwhat: str | list[str]\nname: str | int")
    assert validate(flow, read_file(tmp_path / "a.toml")) == {
        "at": dt.time(12, 30),
        "day": dt.date(1990, 1, 31),
        "n": 8,
        "what": ["a"],
        "name": "5",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1, "b": "2"}', {"a": 1, "b": "2"}),
        ("a: 1\nb: yes\n", {"a": "1", "b": "yes"}),
        ("{a: 1, b: [2]}", {"a": "1", "b": ["2"]}),
        ("", {}),
    ],
)
def test_what_has_no_name_is_told_by_its_text(tmp_path: Path, text: str, expected: dict[str, Any]) -> None:
    (tmp_path / "values").write_text(text)
    assert read_file(tmp_path / "values") == expected


@pytest.mark.parametrize(
    ("text", "told"), [('{"a": 1, "a": 2}', "`a` is there twice"), ("a: [", "line 1"), ("3", "names")]
)
def test_what_is_wrong_in_it_is_told(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "values").write_text(text)
    with pytest.raises(ParameterError, match=re.escape(told)):
        read_file(tmp_path / "values")
