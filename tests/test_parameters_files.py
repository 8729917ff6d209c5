"""Parameters from `-p name=value` and from files."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flownb.errors import ParameterError
from flownb.parameters import parse_assignment, read_file

if TYPE_CHECKING:
    from pathlib import Path

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
    ("a.yaml", "a: 1\nb:\n  - x\n", {"a": 1, "b": ["x"]}),
    ("a.yml", "since: 1990-01-31\n", {"since": dt.date(1990, 1, 31)}),
    ("a.yaml", "a: &x [1]\nb: *x\n", {"a": [1], "b": [1]}),
    ("a.yaml", "base: &b {x: 1}\na: {<<: *b, y: 2}\n", {"base": {"x": 1}, "a": {"x": 1, "y": 2}}),
    ("a.yaml", "# nothing\n", {}),
    ("a.yaml", "größe: 名\n", {"größe": "名"}),
    ("A.YAML", "a: 1", {"a": 1}),
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
    ("a.yaml", "1: x", "put it in quotes"),
    ("a.yaml", "a: !!python/object/apply:os.system ['true']", "line 1"),
    ("a.yaml", "a: 2026-02-30", "a.yaml"),
    ("a.yaml", "a: *nowhere", "line 1"),
    ("a.yaml", "a: \x01", "a.yaml"),
    ("a.yaml", "a: 1\n---\nb: 2", "line 2"),
    ("a.yaml", _LAUGHS, "more than 1,000,000"),
    ("a.yaml", "a: &a [*a]", "more than 1,000,000"),
    ("a.toml", "a = \n", "line 1"),
    ("a.txt", "a=1", "none of these"),
    ("a", "a=1", "none of these"),
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
