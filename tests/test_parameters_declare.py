"""What cells declare: the leading block of a captured cell, and `parameters` cells of any notebook."""

from __future__ import annotations

import warnings
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flownb.errors import ParameterError
from flownb.flow import Parameter
from flownb.parameters import declarations, split_leading

ONE_LINE = [
    ("x: int", Parameter("x", "int")),
    ("x:int=1", Parameter("x", "int", "1")),
    ("x: int = 1", Parameter("x", "int", "1")),
    ("x: int = 1;", Parameter("x", "int", "1")),
    ("x: int = 1  # how many", Parameter("x", "int", "1", "how many")),
    ("x: int = 1  #how many", Parameter("x", "int", "1", "how many")),
    ("x: int = 1  ## how many", Parameter("x", "int", "1", "how many")),
    ("x: int = 1  #: how many", Parameter("x", "int", "1", "how many")),
    ("x: int  # no default # really", Parameter("x", "int", None, "no default # really")),
    ("x: int = 1  # type: ignore[misc]", Parameter("x", "int", "1")),
    ("x: str = 'a # b'  # c", Parameter("x", "str", "'a # b'", "c")),
    ("x: str = 'a = b'", Parameter("x", "str", "'a = b'")),
    ("x: dict = {'a': 1, 'b': [2]}", Parameter("x", "dict", "{'a': 1, 'b': [2]}")),
    ("x: dict[str, int] = {}", Parameter("x", "dict[str, int]", "{}")),
    ("x: date | None = None", Parameter("x", "date | None", "None")),
    ('x: Literal["EU", "US"] = "EU"  # which', Parameter("x", 'Literal["EU", "US"]', '"EU"', "which")),
    ("x: Annotated[int, Field(ge=0, le=10)] = 5", Parameter("x", "Annotated[int, Field(ge=0, le=10)]", "5")),
    ("x: 'date' = today()", Parameter("x", "'date'", "today()")),
    ("x: bool = a == b", Parameter("x", "bool", "a == b")),
    ("x: object = lambda a=1: a", Parameter("x", "object", "lambda a=1: a")),
    ("x: (int) = (1)", Parameter("x", "(int)", "(1)")),
    ("x: int = (y := 3)", Parameter("x", "int", "(y := 3)")),
    ("x: slice = a[1:2]", Parameter("x", "slice", "a[1:2]")),
    ("größe: float = 1.5  # in µm", Parameter("größe", "float", "1.5", "in µm")),
    ("名: str = '日本'  # なまえ", Parameter("名", "str", "'日本'", "なまえ")),
    ("x: str = '😀é'; y: int = 2", Parameter("x", "str", "'😀é'")),
    ("x: tuple = 1, 2", Parameter("x", "tuple", "1, 2")),
    ("x: int = \\\n  5", Parameter("x", "int", "5")),
    ("x: \\\n  int = 5", Parameter("x", "int", "5")),
    ("x: str = '''a\nb'''  # two lines", Parameter("x", "str", "'''a\nb'''", "two lines")),
    ("x: list = [  # first\n    1,\n]", Parameter("x", "list", "[  # first\n    1,\n]", "first")),
    ("x: list = [\n    1,  # one\n]  # last", Parameter("x", "list", "[\n    1,  # one\n]", "last")),
    ("x: list = [  # a\n 1\n]  # b", Parameter("x", "list", "[  # a\n 1\n]", "a b")),
    ("x: int = (\n    1\n    + 2\n)", Parameter("x", "int", "(\n    1\n    + 2\n)")),
    ("x: Literal[\n    'a',\n    'b',\n] = 'a'", Parameter("x", "Literal[\n    'a',\n    'b',\n]", "'a'")),
    ("x: str = '\\d'", Parameter("x", "str", "'\\d'")),
    ("x: int = await f()", Parameter("x", "int", "await f()")),
]


@pytest.mark.parametrize(("source", "expected"), ONE_LINE, ids=[case[0] for case in ONE_LINE])
def test_a_declaration_is_read_as_it_is_written(source: str, expected: Parameter) -> None:
    assert split_leading(source).parameters[0] == expected
    assert declarations(source)[0] == expected


@pytest.mark.parametrize(("source", "expected"), ONE_LINE, ids=[case[0] for case in ONE_LINE])
def test_the_parts_written_out_again_read_back_the_same(source: str, expected: Parameter) -> None:
    written = f"{expected.name}: {expected.annotation}"
    written += f" = {expected.default}" if expected.default is not None else ""
    written += f"  # {expected.help}" if expected.help else ""
    assert split_leading(written).parameters == (expected,)


NOT_DECLARED = [
    "",
    "\n\n",
    "x = 1",
    "x += 1",
    "a.b: int = 1",
    "a[0]: int = 1",
    "(x): int = 1",
    "print(1)",
    "# x: int = 1",
    "import os",
    "from datetime import date\n\nx = 1",
    "def f(x: int = 1): pass",
    "class A:\n    x: int = 1",
    "class A: x: int = 1",
    "if True: x: int = 1",
    "if True:\n    x: int = 1",
    "for i in a: import os",
    "%time x: int = 1",
    "!ls: int",
    "!ls\nx: int = 1",
    "%%time\nx: int = 1",
    "?x",
    "x?\ny: int = 1",
    "@decorator\ndef f(): pass",
    "x = 1\ny: int = 2",
    "'abc' + x",
    "f'abc'\nx: int = 1",
    "b'abc'\nx: int = 1",
    "'only a value'",
    "x: int = ",
    "x: int = (",
    "x: int = 'abc",
    "x: int = '''abc",
    "x: int = !ls",
    "match: x",
    "print: (",
    "with open('a') as f: pass",
    "\0",
    "x: int = '\ud800'",
    "(" * 500,
    "x: int = " + "(" * 500,
    "-" * 20_000 + "1",
]


@pytest.mark.parametrize("source", NOT_DECLARED, ids=range(len(NOT_DECLARED)))
def test_where_nothing_is_declared_the_body_is_the_whole_source(source: str) -> None:
    leading = split_leading(source)
    if "match: x" in source:  # a declaration, in Python's own eyes
        assert leading.parameters == (Parameter("match", "x"),)
        return
    assert leading.parameters == ()
    assert leading.imports == ()
    assert leading.body == source
    assert leading.body_line == 1


BODIES = [
    ("x: int = 1\nuse(x)", "use(x)", 2),
    ("x: int = 1\n\n\n  \nuse(x)\n", "use(x)\n", 5),
    ("x: int = 1", "", 1),
    ("x: int = 1\n", "", 2),
    ("x: int = 1\n\n", "", 3),
    ("x: int = 1\n# about the rest\nuse(x)", "# about the rest\nuse(x)", 2),
    ("# top\nx: int = 1\n\n# about the rest\nuse(x)", "# about the rest\nuse(x)", 4),
    ("x: int = 1; use(x)", "use(x)", 1),
    ("x: int = 1; use(x)  # comment\nmore()", "use(x)  # comment\nmore()", 1),
    ("x: int = 1; y: int = 2; use(x)", "use(x)", 1),
    ("x: int = 1; import os", "import os", 1),
    ("x: int = 1;  # comment\nuse(x)", "use(x)", 2),
    ("x: str = 'é😀'; use('é')", "use('é')", 1),
    ("x: int = 1\nx = 2", "x = 2", 2),
    ("x: int = 1\nimport os\nuse(os)", "import os\nuse(os)", 2),
    ("import os\nx: int = 1\nimport sys\nuse(os)", "import sys\nuse(os)", 3),
    ("x: int = 1\nimport os\ny: int = 2\nuse(os)", "use(os)", 4),
    ("x: int = 1\n!ls 'it", "!ls 'it", 2),
    ("x: int = 1\n!echo (\ny: int = 2", "!echo (\ny: int = 2", 2),
    ("x: int = 1\n%time use(x)", "%time use(x)", 2),
    ("x: int = 1\nuse?", "use?", 2),
    ("x: int = 1\n    indented()", "    indented()", 2),
    ("x: int = 1\nfiles = !ls\ny: int = 2", "files = !ls\ny: int = 2", 2),
    ("x: int = 1\nx += (", "x += (", 2),
    ("x: int = 1\n'''unfinished", "'''unfinished", 2),
    ("x: int = (\n  1\n)\nuse(x)", "use(x)", 4),
    ("x: str = '''\n\n'''\nuse(x)", "use(x)", 4),
    ("    x: int = 1\n    use(x)", "    use(x)", 2),
    ("x: int = 1\nif x:\n    y: int = 2", "if x:\n    y: int = 2", 2),
    ("x: int = 1\r\n\r\nuse(x)\r\n", "use(x)\n", 3),
    ("x: int = 1\n\x0c\nuse(x)", "use(x)", 3),
    ("x: str = 'a\x0bb'\nuse('\u2028')", "use('\u2028')", 2),
    ("x: int = 1\n'a value at the end'", "'a value at the end'", 2),
]


@pytest.mark.parametrize(("source", "body", "line"), BODIES, ids=[repr(case[0]) for case in BODIES])
def test_the_body_is_the_exact_text_behind_the_last_declaration(source: str, body: str, line: int) -> None:
    leading = split_leading(source)
    assert leading.parameters
    assert (leading.body, leading.body_line) == (body, line)


IMPORTS = [
    ("import os\nx: int = 1", ("import os",)),
    ("import os, sys as s; x: int = 1", ("import os, sys as s",)),
    ("from a import (\n    b,\n    c,\n)\nx: int = 1", ("from a import (\n    b,\n    c,\n)",)),
    ("from a import *\nx: int = 1", ("from a import *",)),
    ("import a\nx: int = 1\nimport b\ny: int = 1\nimport c", ("import a", "import b")),
    ("from __future__ import annotations\nx: int = 1", ("from __future__ import annotations",)),
    ("import os\nx = 1", ()),
]


@pytest.mark.parametrize(("source", "imports"), IMPORTS, ids=[case[0] for case in IMPORTS])
def test_imports_above_the_last_declaration_are_hoisted(source: str, imports: tuple[str, ...]) -> None:
    assert split_leading(source).imports == imports


DESCRIPTIONS = [
    ('"""Load."""\nx: int = 1', "Load."),
    ("'Load.'\nx: int = 1", "Load."),
    ("'Load.'; x: int = 1", "Load."),
    ("# comment\n\n'''Load.\n\n    More.\n    '''\nimport os\nx: int = 1", "Load.\n\nMore."),
    ("r'a\\d'\nx: int = 1", "a\\d"),
    ("'one' 'two'\nx: int = 1", "onetwo"),
    ("'Load.'\nprint(1)", "Load."),
    ("x: int = 1\n'not a docstring'", ""),
    ("import os\n'not a docstring'\nx: int = 1", ""),
    ("'the value of the cell'", ""),
    ("'the value of the cell'\n", ""),
]


@pytest.mark.parametrize(("source", "description"), DESCRIPTIONS, ids=[case[0] for case in DESCRIPTIONS])
def test_a_leading_docstring_is_the_description(source: str, description: str) -> None:
    assert split_leading(source).description == description


def test_a_whole_cell() -> None:
    leading = split_leading(
        dedent(
            '''
            """Mean level per month."""
            # what is needed
            from datetime import date
            from typing import Literal

            since: date = date(1958, 1, 1)      # first month
            until: date | None = None           # last month; none means all
            # where
            region: Literal["EU", "US"]         # which market

            # now load
            %matplotlib inline
            files = !ls {region}
            '''
        )
    )
    assert leading.parameters == (
        Parameter("since", "date", "date(1958, 1, 1)", "first month"),
        Parameter("until", "date | None", "None", "last month; none means all"),
        Parameter("region", 'Literal["EU", "US"]', None, "which market"),
    )
    assert leading.imports == ("from datetime import date", "from typing import Literal")
    assert leading.description == "Mean level per month."
    assert leading.body == "# now load\n%matplotlib inline\nfiles = !ls {region}\n"
    assert leading.body_line == 12


def test_declaring_a_name_twice_names_it_and_the_line() -> None:
    with pytest.raises(ParameterError, match=r"`x` is declared twice.*line 3"):
        split_leading("x: int = 1\n\nx: int = 2")


def test_reading_declarations_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert split_leading("x: str = '\\d'").parameters[0].default == "'\\d'"


def test_a_long_body_is_not_read() -> None:
    body = "data = [" + "1, " * 300_000 + "]"
    leading = split_leading("x: int = 1\n" + body)
    assert leading.body == body


# -- properties ------------------------------------------------------------------------------------------

_NAMES = st.sampled_from(["a", "b_1", "größe", "名", "since"])
_ANNOTATIONS = st.sampled_from(
    [
        "int",
        "date | None",
        "Literal['#', '=', ':']",
        "dict[str, list[int]]",
        "'date'",
        "Annotated[int, Field(ge=0)]",
    ]
)
_DEFAULTS = st.sampled_from(
    [
        "1",
        "'#'",
        '"="',
        "{'a': [1, 2]}",
        "(\n    1\n)",
        "[  \n 1,\n]",
        "'''a\n\nb'''",
        "date(1990, 1, 1)",
        "x == y",
    ]
)
_BODY = st.sampled_from(
    [
        "",
        "use(a)",
        "# comment\nuse(a)\n",
        "!ls 'it",
        "%time f()\nx: int = 2",
        "if a:\n    b",
        "x = '''\n",
        "f?",
    ]
)
_BETWEEN = st.sampled_from(["", "\n", "# comment: int = 1\n", "import os\n", "from a import (\n  b\n)\n\n"])


@given(
    declared=st.lists(
        st.tuples(_NAMES, _ANNOTATIONS, st.none() | _DEFAULTS, _BETWEEN), unique_by=lambda d: d[0]
    ),
    body=_BODY,
)
def test_declarations_and_body_give_the_cell_again(
    declared: list[tuple[str, str, str | None, str]], body: str
) -> None:
    source = ""
    for name, annotation, default, between in declared:
        source += f"{between}{name}: {annotation}" + (f" = {default}" if default else "") + "\n"
    leading = split_leading(source + body)
    assert leading.parameters == tuple(Parameter(*each[:3]) for each in declared)
    assert leading.body == body
    assert (source + body).split("\n")[leading.body_line - 1 :] == body.split("\n")


@given(st.text(alphabet="ax:=1 \n\t'\"#()[]{};\\!%?@,é\r\x0c", max_size=60))
def test_any_text_is_read_without_an_error_and_loses_nothing(source: str) -> None:
    try:
        leading = split_leading(source)
    except ParameterError:  # declared twice
        return
    unix = source.replace("\r\n", "\n").replace("\r", "\n")
    assert leading.body in (source, unix) or unix.endswith(leading.body)
    assert 1 <= leading.body_line <= unix.count("\n") + 1
    declarations(source)


# -- parameters cells ------------------------------------------------------------------------------------

CELLS: list[tuple[str, list[Parameter]]] = [
    ("", []),
    ("a = 1", [Parameter("a", "", "1")]),
    ("a = 1  # help", [Parameter("a", "", "1", "help")]),
    ("a = 1  # type: int", [Parameter("a", "int", "1")]),
    ("a = 1  # type: int help me", [Parameter("a", "int", "1", "help me")]),
    ("a = 1  #type:int help", [Parameter("a", "int", "1", "help")]),
    ("a = {}  # type: Dict[str, int] help", [Parameter("a", "dict[str, int]", "{}", "help")]),
    ("a = None  # type: Optional[List[int]] help", [Parameter("a", "list[int] | None", "None", "help")]),
    ("a = None  # type: Union[int, str]", [Parameter("a", "int | str", "None")]),
    ("a = None  # type: Tuple[int, ...]", [Parameter("a", "tuple[int, ...]", "None")]),
    ("a = day  # type: date help", [Parameter("a", "", "day", "help")]),
    ("a = 1  # type: evil() help", [Parameter("a", "", "1", "help")]),
    ("a = 1  # type: [ help", [Parameter("a", "", "1")]),
    ("a = 1  # type: ignore", [Parameter("a", "", "1")]),
    ("a: str = 'x'  # type: int help", [Parameter("a", "str", "'x'", "help")]),
    ("a = b = 1", [Parameter("a", "", "1"), Parameter("b", "", "1")]),
    ("a, b = 1, 2", [Parameter("a", "", "1"), Parameter("b", "", "2")]),
    ("(a, b) = [1, 'x']", [Parameter("a", "", "1"), Parameter("b", "", "'x'")]),
    ("a, *b = 1, 2", []),
    ("a, b = f()", []),
    ("a = 1; b = 2  # both", [Parameter("a", "", "1", "both"), Parameter("b", "", "2", "both")]),
    ("a = 1\na = 2", [Parameter("a", "", "2")]),
    ("a: int  # help\na = 2", [Parameter("a", "int", "2", "help")]),
    ("a = 1\nb = a + 1", [Parameter("a", "", "1"), Parameter("b", "", "a + 1")]),
    ("a = '='  # b=c", [Parameter("a", "", "'='", "b=c")]),
    ("a = '''x\n= y'''", [Parameter("a", "", "'''x\n= y'''")]),
    ("a = [\n  1,  # one\n  2\n]  # help", [Parameter("a", "", "[\n  1,  # one\n  2\n]", "help")]),
    ("a = (\n 'x'\n 'y'\n)", [Parameter("a", "", "(\n 'x'\n 'y'\n)")]),
    ("import os\na = 1\nprint(a)\nb = 2", [Parameter("a", "", "1"), Parameter("b", "", "2")]),
    ("if x:\n    a = 1\nelse:\n    a = 2\nb = 3", [Parameter("b", "", "3")]),
    ("for i in x: a = 1\nb = 2", [Parameter("b", "", "2")]),
    ("def f():\n    a = 1\nb = 2", [Parameter("b", "", "2")]),
    ("class A:\n    a = 1\n\nb = 2", [Parameter("b", "", "2")]),
    ("a += 1\na.b = 2\na[0] = 3\nb = 4", [Parameter("b", "", "4")]),
    ("%matplotlib inline\na = 1", [Parameter("a", "", "1")]),
    ("!pip install 'x\na = 1", [Parameter("a", "", "1")]),
    ("!echo (\na = 1", [Parameter("a", "", "1")]),
    ("a = 1\n?a\nb = 2", [Parameter("a", "", "1"), Parameter("b", "", "2")]),
    ("a = !ls\nb = 2", [Parameter("b", "", "2")]),
    ("if x:\n    !ls\n    a = 1\nb = 2", [Parameter("b", "", "2")]),
    ("  a = 1\n  b = 2", [Parameter("a", "", "1"), Parameter("b", "", "2")]),
    ("# parameters\n\na = 1\n", [Parameter("a", "", "1")]),
    ("a = (1", []),
    ("a = 'x\nb = 2", [Parameter("b", "", "2")]),
    ("a = -1.5e-3", [Parameter("a", "", "-1.5e-3")]),
    ("a: Final = 3", [Parameter("a", "Final", "3")]),
    ("a = 1\r\nb = 2\r\n", [Parameter("a", "", "1"), Parameter("b", "", "2")]),
]


@pytest.mark.parametrize(("source", "expected"), CELLS, ids=[repr(case[0]) for case in CELLS])
def test_a_parameters_cell_declares_with_all_its_assignments(source: str, expected: list[Parameter]) -> None:
    assert list(declarations(source)) == expected


def test_many_unreadable_lines_end_the_reading_in_time() -> None:
    assert declarations("(\n" * 2_000 + "a = 1") == ()
