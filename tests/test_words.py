"""How a `%flow` line is split into words."""

from __future__ import annotations

import json
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flownb.ui.words import split_line

#: lines whose words a shell splits in the same way
AS_A_SHELL = [
    "",
    "  ",
    "run a",
    "run a n=5 name=x",
    "run 'my flow' n=1",
    'run "my flow"',
    "run my\\ flow",
    "run a name='two words' other=\"two words\"",
    "run a 'name=two words'",
    "run a name=two\\ words",
    'run a xs=\'["p", "q"]\'',
    'run a by="{\\"a\\": 1}"',
    "run a name='it''s'",
    'run a name="it\'s"',
    "run a name=''",
    "run a name=",
    "run a color=#ff0000 n=1",
    "run a path='C:\\new\\'",
    'run a pattern="\\d+"',
    "run a face=:( n=1",
    "run a pattern=[a-z n=1",
    "run other.ipynb#sales since=1990-01-01",
    "--environment 'at night' n=1",
    "storage s3://bucket/flows?a=b",
    "diff co2 co2@yesterday",
    "größe='ä ö'",
]

#: lines, and the words of them that a shell would not give
OTHERWISE = [
    ('run a xs=["p","q"]', ["run", "a", 'xs=["p","q"]']),
    ('run a xs=["p", "q"] n=1', ["run", "a", 'xs=["p", "q"]', "n=1"]),
    ("xs=['p', 'it\\'s']", ["xs=['p', 'it\\'s']"]),
    ('by={"a": {"b": [1, 2]}} n=1', ['by={"a": {"b": [1, 2]}}', "n=1"]),
    ('by={"a b": "}"} n=1', ['by={"a b": "}"}', "n=1"]),
    ('by={"a": "it\'s"}', ['by={"a": "it\'s"}']),
    ("pair=(1, 2) n=1", ["pair=(1, 2)", "n=1"]),
    ("since=date(1990, 1, 1) n=1", ["since=date(1990, 1, 1)", "n=1"]),
    ("days={list(range(1, 4))} n={[a for a in x]}", ["days={list(range(1, 4))}", "n={[a for a in x]}"]),
    ('x={table["a b"]}', ['x={table["a b"]}']),
    ("pattern=\\d+ path=C:\\data\\x", ["pattern=\\d+", "path=C:\\data\\x"]),
    ("pattern=r'\\d+ x'", ["pattern=\\d+ x"]),
    ("data=b'x y'", ["data=x y"]),
    ("name='''it's \"x\" '''", ['name=it\'s "x" ']),
    ("name='it\\'s' n=1", ["name=it's", "n=1"]),
    ("[1, 2]", ["[1,", "2]"]),
]


@pytest.mark.parametrize("line", AS_A_SHELL)
def test_words_are_those_of_a_shell(line: str) -> None:
    assert split_line(line) == shlex.split(line)


@pytest.mark.parametrize(("line", "words"), OTHERWISE)
def test_a_value_is_written_as_in_python_or_json(line: str, words: list[str]) -> None:
    assert split_line(line) == words


@pytest.mark.parametrize("line", ["name='x", 'run "a', "name=O'Brien"])
def test_a_quote_without_another_is_told(line: str) -> None:
    with pytest.raises(ValueError, match="no quote closes"):
        split_line(line)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(), inside, max_size=4),
    max_leaves=8,
)


@given(st.lists(_JSON, max_size=3), st.dictionaries(st.text(), _JSON, max_size=3))
def test_any_list_and_dict_of_json_is_one_word(values: list[object], by: dict[str, object]) -> None:
    a, b = json.dumps(values, ensure_ascii=False), json.dumps(by, ensure_ascii=False)
    assert split_line(f"run x a={a} b={b}") == ["run", "x", f"a={a}", f"b={b}"]


@given(st.lists(st.text(), max_size=3), st.lists(st.text(), max_size=3))
def test_any_literal_of_python_is_one_word(values: list[str], others: list[str]) -> None:
    assert split_line(f"a={values!r} b={tuple(others)!r}") == [f"a={values!r}", f"b={tuple(others)!r}"]


@given(st.lists(st.text(), max_size=4))
def test_what_is_quoted_for_a_shell_comes_through(values: list[str]) -> None:
    line = " ".join(f"v{number}={shlex.quote(value)}" for number, value in enumerate(values))
    assert split_line(line) == [f"v{number}={value}" for number, value in enumerate(values)]
