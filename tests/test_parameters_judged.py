"""Types that only the notebook knows: judged where the flow runs, before its first step."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from parameter_flows import IMPORTS, executed, flow_of, running

from flownb.document import dumps, loads
from flownb.errors import ParameterError
from flownb.parameters import Text, describe, render_assignments, validate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flownb.flow import Flow

NOTEBOOK = """
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Json, model_validator
from typing import Generic, NamedTuple, NotRequired, TypedDict, TypeVar
from dataclasses import dataclass, field
from http import HTTPStatus
import annotated_types
class Sub(BaseModel):
    at: time
class Config(BaseModel):
    n: int
    tags: list[str] = []
    sub: Sub | None = None
class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    n: int = Field(alias="the-n")
T = TypeVar("T")
class Box(BaseModel, Generic[T]):
    item: T
@dataclass
class Span:
    first: date
    days: int = 1
class Row(TypedDict):
    a: int
    b: NotRequired[str]
class Point(NamedTuple):
    x: int
    y: int = 0
class Plain:
    def __init__(self, n):
        self.n = n
Color = Enum("Color", "RED GREEN")
Perm = Flag("Perm", "R W")
class Mode(Flag):
    R = 1
    W = 2
class Loud(Enum):
    YES = "yes"
    @classmethod
    def _missing_(cls, value):
        return cls.YES if str(value).lower() == "yes" else None
MAX = 3
MAX += 4
LOW, HIGH = 1, 9
START = date(2020, 1, 1) + timedelta(1)
OPTS = [1, 2]
WORDS = ["a", "b"]
if MAX > 5:
    TOP = 10
else:
    TOP = 3
def even(n):
    if n % 2:
        raise ValueError("must be even")
    return n
Even = AfterValidator(even)
Small = Annotated[int, Field(le=MAX)]
Name = NewType("Name", str)
Uid = NewType("Uid", Small)
"""
LINES = [line for line in NOTEBOOK.splitlines(keepends=True) if line.startswith(("from ", "import "))]
IMPORTED = IMPORTS + "".join(LINES)
DEFINED = "".join(line for line in NOTEBOOK.splitlines(keepends=True) if line not in LINES)


def notebook(cell: str) -> Flow:
    return running(cell, imports=IMPORTED, definitions=DEFINED)


def _define(source: str, namespace: dict[str, Any]) -> None:
    exec(compile(source, "notebook", "exec", dont_inherit=True), namespace)


@pytest.fixture
def own() -> Iterator[dict[str, Any]]:
    """The notebook's own namespace, whose classes are those of `__main__`."""
    main = ModuleType("__main__")
    _define(IMPORTED + DEFINED, main.__dict__)
    before = sys.modules["__main__"]
    sys.modules["__main__"] = main
    yield main.__dict__
    sys.modules["__main__"] = before


#: annotation, text, what it is in the notebook
TEXTS: list[tuple[str, str, str]] = [
    ("Annotated[int, Field(le=2 * 5)]", "10", "10"),
    ("Annotated[int, Field(le=MAX)]", "7", "7"),
    ("Annotated[int, Field(ge=LOW, le=HIGH)]", "9", "9"),
    ("Annotated[int, Field(le=TOP)]", "10", "10"),
    ("Annotated[date, Field(ge=START)]", "20200102", "date(2020, 1, 2)"),
    ("Annotated[list[int], Field(max_length=len(OPTS))]", "1,2", "[1, 2]"),
    ("Annotated[int, Field(le=MAX)] | None", "none", "None"),
    ("Annotated[int, Field(le=MAX)] | None", "3", "3"),
    ("list[Annotated[int, Field(le=MAX)]]", "1,7", "[1, 7]"),
    ("Small", "7", "7"),
    ("Uid", "7", "7"),
    ("Annotated[Small, Field(ge=LOW)]", "1", "1"),
    ("Annotated[int, AfterValidator(even)]", "4", "4"),
    ("Annotated[int, Even]", "4", "4"),
    ("Annotated[int, annotated_types.Predicate(str.isdigit)] | str", "x", "'x'"),
    ("Annotated[int, BeforeValidator(len)]", "abc", "3"),
    ("Annotated[list[str], BeforeValidator(lambda s: s.split(';'))]", "a,b;c", "['a,b', 'c']"),
    ("Literal[*OPTS]", "2", "2"),
    ("Literal[*WORDS]", "b", "'b'"),
    ("list[Literal[*OPTS]]", "1,2", "[1, 2]"),
    ("list[Literal[*OPTS]]", "[2]", "[2]"),
    ("Config", '{"n": 1}', "Config(n=1)"),
    ("Config", "{'n': 1, 'tags': ['x']}", "Config(n=1, tags=['x'])"),
    ("Config", '{"n": 1, "sub": {"at": "12:30"}}', "Config(n=1, sub=Sub(at=time(12, 30)))"),
    ("Config | None", "none", "None"),
    ("Optional[Config]", "null", "None"),
    ("str | Config", '{"n": 1}', "Config(n=1)"),
    ("str | Config", "hello", "'hello'"),
    ("list[Config]", '[{"n": 1}]', "[Config(n=1)]"),
    ("dict[str, Config]", '{"a": {"n": 1}}', "{'a': Config(n=1)}"),
    ("Strict", '{"the-n": 5}', "Strict(**{'the-n': 5})"),
    ("Box[int]", '{"item": "5"}', "Box[int](item=5)"),
    ("Span", '{"first": "2020-01-01"}', "Span(date(2020, 1, 1))"),
    ("Row", '{"a": "1"}', "{'a': 1}"),
    ("list[Row]", '[{"a": 1, "b": "x"}]', "[{'a': 1, 'b': 'x'}]"),
    ("Row | None", '{"a": 1}', "{'a': 1}"),
    ("Point", "[1, 2]", "Point(1, 2)"),
    ("Point", "1,2", "Point(1, 2)"),
    ("Point", '{"x": 1}', "Point(1)"),
    ("Color", "GREEN", "Color.GREEN"),
    ("Color", "green", "Color.GREEN"),
    ("Color", "2", "Color.GREEN"),
    ("Color", "Color.GREEN", "Color.GREEN"),
    ("Color | None", "GREEN", "Color.GREEN"),
    ("str | Color", "GREEN", "Color.GREEN"),
    ("list[Color]", "RED,GREEN", "[Color.RED, Color.GREEN]"),
    ("list[Color]", '["RED", 2]', "[Color.RED, Color.GREEN]"),
    ("dict[Color, int]", '{"RED": 1}', "{Color.RED: 1}"),
    ("set[Color]", "RED", "{Color.RED}"),
    ("Literal[Color.RED]", "RED", "Color.RED"),
    ("Perm", "R|W", "Perm.R | Perm.W"),
    ("Perm", "3", "Perm.R | Perm.W"),
    ("Perm", "Perm.R | Perm.W", "Perm.R | Perm.W"),
    ("Mode", "R|W", "Mode.R | Mode.W"),
    ("Mode", "3", "Mode.R | Mode.W"),
    ("Loud", "YES", "Loud.YES"),
    ("Loud", "yEs", "Loud.YES"),
    ("HTTPStatus", "OK", "HTTPStatus.OK"),
    ("HTTPStatus", "404", "HTTPStatus.NOT_FOUND"),
    ("Json[list[int]]", "[1, 2]", "[1, 2]"),
    ("re.Pattern[str]", "a+", "re.compile('a+')"),
    ("Annotated[Name, Field(min_length=LOW)]", "007", "'007'"),
    ("'list[Config]'", '[{"n": 1}]', "[Config(n=1)]"),
    ("list['Config']", '[{"n": 1}]', "[Config(n=1)]"),
    ("pydantic.DirectoryPath", ".", "Path('.')"),
]


@pytest.mark.parametrize(("annotation", "text", "expected"), TEXTS, ids=[f"{a}: {t}" for a, t, _ in TEXTS])
def test_text_becomes_what_the_notebooks_type_makes_of_it(annotation: str, text: str, expected: str) -> None:
    scope = executed(notebook(f"v: {annotation}"), {"v": text}, text=True)
    wanted = eval(expected, scope)
    assert scope["v"] == wanted
    assert type(scope["v"]) is type(wanted)


#: annotation, a value from Python or JSON, what it is in the notebook
VALUES: list[tuple[str, Any, str]] = [
    ("Annotated[int, Field(le=2 * 5)]", 10, "10"),
    ("Config", {"n": "1"}, "Config(n=1)"),
    ("str | Config", '{"n": 1}', "'{\"n\": 1}'"),
    ("str | Config", {"n": 1}, "Config(n=1)"),
    ("Config | None", None, "None"),
    ("Color", 2, "Color.GREEN"),
    ("Color", "GREEN", "Color.GREEN"),
    ("list[Color]", ["RED", 2], "[Color.RED, Color.GREEN]"),
    ("Perm", 3, "Perm.R | Perm.W"),
    ("Mode", "R|W", "Mode.R | Mode.W"),
    ("Row", {"a": 1}, "{'a': 1}"),
    ("Point", (1, 2), "Point(1, 2)"),
    ("Span", {"first": dt.date(2020, 1, 1)}, "Span(date(2020, 1, 1))"),
    ("Uid", 7, "7"),
    ("Annotated[Any, Even]", 4, "4"),
    ("HTTPStatus", 200, "HTTPStatus.OK"),
]


@pytest.mark.parametrize(("annotation", "value", "expected"), VALUES, ids=[f"{a}: {v}" for a, v, _ in VALUES])
def test_values_are_taken_as_pydantic_takes_them(annotation: str, value: Any, expected: str) -> None:
    flow = notebook(f"v: {annotation}")
    scope = executed(flow, {"v": value})
    assert scope["v"] == eval(expected, scope)
    assert not [name for name in scope if name.startswith("__flownb")]
    here = flow.run(v=value)["result"]["v"]
    assert repr(here) == repr(scope["v"])


#: annotation, an expression of the notebook whose value is given
OWN = [
    ("Config", "Config(n=1, tags=['x'], sub=Sub(at=time(12)))"),
    ("list[Config]", "[Config(n=1)]"),
    ("Config | None", "Config(n=1)"),
    ("dict[str, Config | Span]", "{'a': Config(n=1), 'b': Span(date(2020, 1, 1))}"),
    ("Strict", "Strict(**{'the-n': 5})"),
    ("Span", "Span(date(2020, 1, 1), 3)"),
    ("Point", "Point(1, 2)"),
    ("tuple[Point, Point]", "(Point(1), Point(2))"),
    ("Color", "Color.GREEN"),
    ("Perm", "Perm.R | Perm.W"),
    ("Mode", "Mode.R | Mode.W"),
    ("Loud", "Loud.YES"),
]


@pytest.mark.parametrize(("annotation", "expression"), OWN)
def test_instances_of_the_notebooks_classes_are_given_as_the_flows(
    own: dict[str, Any], annotation: str, expression: str
) -> None:
    flow, value = notebook(f"v: {annotation}"), eval(expression, own)
    scope = executed(flow, {"v": value})
    assert scope["v"] == eval(expression, scope)
    assert repr(flow.run(v=value)["result"]["v"]) == repr(value)


def test_a_class_that_is_changed_later_is_still_the_flows(own: dict[str, Any]) -> None:
    definitions = DEFINED + "Config.label = 'x'\nMode.label = 'y'\nConfig.model_rebuild()\n"
    flow = running("v: Config\nm: Mode = Mode.R", imports=IMPORTED, definitions=definitions)
    scope = executed(flow, {"v": own["Config"](n=1)})
    assert scope["v"] == scope["Config"](n=1)
    assert executed(flow, {"v": {"n": 1}, "m": "R|W"})["m"].value == 3


def test_an_instance_that_no_constructor_makes_runs_in_this_process_only(own: dict[str, Any]) -> None:
    flow, value = notebook("v: Plain | None = None"), own["Plain"](5)
    assert flow.run(v=value)["result"]["v"] is value
    with pytest.raises(ParameterError, match=r"a Plain cannot be given to a run.*or call flow\.run"):
        executed(flow, {"v": value})


class Elsewhere(NamedTuple):
    """A class that the flow does not know."""

    n: int


def test_an_instance_of_a_class_that_the_flow_does_not_know_is_refused() -> None:
    flow = notebook("v: Any = None")
    with pytest.raises(ParameterError, match="an Elsewhere cannot be given"):
        render_assignments({"v": Elsewhere(1)}, flow)


def test_an_instance_that_keeps_more_than_it_was_made_of_is_refused(own: dict[str, Any]) -> None:
    _define("@dataclass\nclass Counted:\n    n: int\n    seen: int = field(default=0, init=False)\n", own)
    value = own["Counted"](1)
    value.seen = 5
    flow = running(
        "v: Counted",
        imports=IMPORTED,
        definitions="@dataclass\nclass Counted:\n    n: int\n    seen: int = field(default=0, init=False)\n",
    )
    with pytest.raises(ParameterError, match="a Counted cannot be given"):
        executed(flow, {"v": value})


#: annotation, text, what the message says
WRONG = [
    ("Annotated[int, Field(le=2 * 5)]", "1000",
     "`v` takes a whole number ≤ 2 * 5; it was given 1000 (Input should be less than or equal to 10)"),
    ("Annotated[int, Field(ge=0, le=MAX)]", "8", "a whole number ≥ 0 and ≤ MAX; it was given 8"),
    ("Annotated[int, Field(le=TOP)]", "11", "a whole number ≤ TOP; it was given 11"),
    ("Annotated[date, Field(ge=START)]", "2020-01-01", "a date ≥ START; it was given datetime.date(2020"),
    ("Annotated[int, AfterValidator(even)]", "3", "whole number; it was given 3 (Value error, must be even)"),
    ("Annotated[int, Field(multiple_of=LOW + 1), Field(le=5)]", "6", "less than or equal to 5"),
    ("Small", "8", "less than or equal to 7"),
    ("list[Small]", "8", "less than or equal to 7"),
    ("Literal[*OPTS]", "3", "`v` takes Literal[*OPTS]; it was given '3'"),
    ("Config", '{"n": "x"}', "`v` takes Config; it was given '{\"n\": \"x\"}' (at ['n']: Input should be"),
    ("Config", "5", "`v` takes Config; it was given '5'"),
    ("Config | None", "x", "`v` takes Config or none; it was given 'x'"),
    ("Row", "{}", "at ['a']: Field required"),
    ("list[Row]", '[{"b": "x"}]', "Field required"),
    ("Point", "x", "`v` takes Point; it was given 'x'"),
    ("Color", "BLUE", "`v` takes Color; it was given 'BLUE' (one of RED, GREEN)"),
    ("Perm", "R|X", "(one of R, W)"),
    ("Loud", "no", "`v` takes Loud"),
    ("Plain", "x", "`v` takes Plain; it was given 'x' (Input should be an instance of Plain)"),
    ("Json[list[int]]", "{}", "`v` takes Json[list[int]]"),
    ("Annotated[Secret, AfterValidator(even)]", "hunter2", "it was given a value that is not shown"),
    ("pydantic.FilePath", "no-such-file", "Path does not point to a file"),
    ("'Nowhere'", "x", "the type of `v` (Nowhere) cannot be checked: name 'Nowhere' is not defined"),
    ("list[Nowhere]", "x", "cannot be checked: name 'Nowhere' is not defined"),
    ("Annotated[int, Field(ge=even)]", "1", "cannot be checked"),
    ("'list[int'", "x", "cannot be checked"),
]  # fmt: skip


@pytest.mark.parametrize(("annotation", "text", "words"), WRONG, ids=[f"{a}: {t}" for a, t, _ in WRONG])
def test_what_is_wrong_is_told_as_it_is_told_before_a_run(annotation: str, text: str, words: str) -> None:
    cell = f"v: {annotation} = None"
    if annotation.startswith("list[Nowhere]"):
        cell = f"v: {annotation!r} = None"
    flow = notebook(cell)
    with pytest.raises(Exception, match="flow `sales`: ") as caught:
        executed(flow, {"v": text}, text=True)
    assert type(caught.value).__name__ == "ParameterError"
    assert words in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert caught.value._render_traceback_() == [f"ParameterError: {caught.value}"]
    with pytest.raises(ParameterError) as here:
        flow.run(v=Text(text))
    assert str(here.value).startswith("flow `sales`: ")


def test_all_that_is_wrong_is_in_one_message() -> None:
    flow = notebook("a: Small = 1\nb: Color = Color.RED\nc: int = 1")
    with pytest.raises(ParameterError) as caught:
        flow.run(a=9, b="x")
    assert str(caught.value).splitlines() == [
        "flow `sales`: 2 problems with its parameters",
        "  - `a` takes a whole number ≤ MAX; it was given 9 (Input should be less than or equal to 7)",
        "  - `b` takes Color; it was given 'x' (one of RED, GREEN)",
    ]


@pytest.mark.parametrize("annotation", [annotation for annotation, _, _ in TEXTS if annotation[0] != "p"])
def test_defaults_are_as_they_are_written_and_no_value_is_asked_for(annotation: str) -> None:
    flow = notebook(f"v: {annotation} = None\nw: Any = [v]")
    assert executed(flow, {})["w"] == [None]
    assert flow.run()["result"] == {"v": None, "w": [None]}
    assert loads(dumps(flow), "it").digest == flow.digest


@pytest.mark.parametrize(
    "annotation", ["int", "date", "Region", "Color", "list[date] | None", "Any", "PositiveInt"]
)
def test_nothing_is_written_where_all_is_known_before_a_run(annotation: str) -> None:
    flow = flow_of(f"v: {annotation} = None")
    assert "__flownb__" not in dumps(flow)
    assert "v: " + annotation + " = None" in dumps(flow)


def test_what_is_known_of_a_type_is_judged_before_the_run() -> None:
    flow = notebook("v: Annotated[int, Field(ge=0, le=MAX)] = 1")
    for value, words in (("x", "valid integer"), (-1, "greater than or equal to 0")):
        with pytest.raises(ParameterError, match=words):
            validate(flow, {"v": value})
    assert describe(flow)[0].type == "whole number ≥ 0 and ≤ MAX"


@pytest.mark.parametrize(
    ("annotation", "value", "taken"),
    [
        ("Annotated[int, Field(le=5), Field(le=MAX)]", 6, True),
        ("Annotated[int, Field(le=MAX), Field(le=5)]", 6, False),
        ("Annotated[int, AfterValidator(lambda n: n * 2), Field(le=10)]", 6, False),
        ("Annotated[int, AfterValidator(lambda n: n * 2), Field(ge=6)]", 4, True),
        ("Annotated[int, Field(ge=6), AfterValidator(lambda n: n * 2)]", 4, False),
        ("Annotated[int, BeforeValidator(lambda n: n * 2), Field(ge=6)]", 4, True),
    ],
)
def test_marks_hold_in_the_order_in_which_they_are_written(
    annotation: str, value: int, *, taken: bool
) -> None:
    flow = notebook(f"v: {annotation}")
    if taken:
        flow.run(v=value)
        executed(flow, {"v": value})
    else:
        with pytest.raises(ParameterError):
            flow.run(v=value)


def test_a_flow_may_have_names_of_pythons_own() -> None:
    cell = "type: Small = 1\nstr: Color = Color.RED\nexec: int = 2\nglobals: int = 3\nisinstance: int = 4"
    definitions = 'MAX = 7\nSmall = Annotated[int, Field(le=MAX)]\nColor = Enum("Color", "RED GREEN")\n'
    flow = running(cell, definitions=definitions)
    scope = executed(flow, {"type": "5", "str": "GREEN", "globals": "7"}, text=True)
    assert (scope["type"], scope["str"].name, scope["globals"]) == (5, "GREEN", 7)


def test_a_parameter_that_hides_the_name_of_a_type_is_told() -> None:
    flow = notebook("Color: Color\nn: int = 1")
    with pytest.raises(ParameterError, match="the parameter `Color` has the name of what it is written with"):
        validate(flow, {"Color": "RED"}, text=True)


def test_a_type_may_be_written_with_another_parameter() -> None:
    cell = "start: date = date(2026, 1, 1)\nend: Annotated[date, Field(ge=start)] = start + timedelta(7)"
    flow = notebook(cell)
    assert executed(flow, {"start": "2020-01-01", "end": "2020-01-02"}, text=True)["end"] == dt.date(
        2020, 1, 2
    )
    assert flow.run(start=dt.date(2020, 1, 1))["result"]["end"] == dt.date(2020, 1, 8)
    with pytest.raises(ParameterError, match="`end` takes a date ≥ start; it was given"):
        flow.run(end=dt.date(2020, 1, 1))


def test_a_kernel_without_pydantic_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = running(
        "v: Color", imports="from enum import Enum\n", definitions='Color = Enum("Color", "RED")\n'
    )
    monkeypatch.setitem(sys.modules, "pydantic", None)
    with pytest.raises(Exception, match="install pydantic 2 where the flow runs"):
        executed(flow, {"v": "RED"}, text=True)


def test_values_of_yaml_are_text_in_models_too(tmp_path: Path) -> None:
    from flownb.parameters import read_file

    file = tmp_path / "v.yaml"
    file.write_text("v:\n  n: 010\n  tags: [no, 12:30, '5']\n  sub: {at: 12:30}\n")
    v = executed(notebook("v: Config"), read_file(file))["v"]
    assert (v.n, v.tags, v.sub.at) == (10, ["no", "12:30", "5"], dt.time(12, 30))
    file.write_text("v:\n  n: 1\n  sub: ~\n")
    assert executed(notebook("v: Config"), read_file(file))["v"].sub is None
    file.write_text("v: [1, 2]\n")
    assert executed(notebook("v: list[Literal[*OPTS]]"), read_file(file))["v"] == [1, 2]


def test_hints_of_a_dataclass_that_pydantic_does_not_know_are_taken_by_its_instances(
    own: dict[str, Any],
) -> None:
    definitions = "class Model:\n    pass\n@dataclass\nclass Job:\n    model: Model\n"
    _define(definitions, own)
    flow = running("v: Job", imports=IMPORTED, definitions=definitions)
    job = own["Job"](own["Model"]())
    assert flow.run(v=job)["result"]["v"] is job
    with pytest.raises(ParameterError, match="instance of Job"):
        flow.run(v={"model": 1})


def test_the_helper_in_a_document_is_for_older_pythons_too() -> None:
    import ast

    from flownb.parameters.settling import _judge

    source = _judge()
    ast.parse(source, feature_version=(3, 10))
    assert "flownb.parameters" not in source
    assert "# noqa" not in source
    assert '"""' not in source


def test_members_and_dataclasses_of_modules_are_written_where_the_flow_imports_them() -> None:
    flow = running("v: HTTPStatus", imports="from http import HTTPStatus\n", definitions="")
    from http import HTTPStatus

    assert render_assignments({"v": HTTPStatus.OK}, flow) == "v = HTTPStatus.OK"
    assert isinstance(HTTPStatus.OK, enum.IntEnum)
    assert dataclasses.is_dataclass(flow)
