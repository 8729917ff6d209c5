"""What declared types mean: described for people, and told from source alone whatever stands there."""

from __future__ import annotations

import ast
import datetime as dt
import enum
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from parameter_flows import DEFINITIONS, IMPORTS, flow_of

from flownb.errors import ParameterError
from flownb.flow import Flow, Parameter
from flownb.parameters import Settling, coercion_source, context_of, describe, is_secret, render, validate
from flownb.parameters.types import Bounded, Members, Open, Plain, Unknown, is_open, resolve

if TYPE_CHECKING:
    from pathlib import Path

DESCRIBED = [
    ("str", "text"),
    ("int", "whole number"),
    ("float", "number"),
    ("bool", "yes or no"),
    ("date", "date"),
    ("dt.datetime", "date and time"),
    ("'date'", "date"),
    ("timedelta", "duration"),
    ("Path", "path"),
    ("Secret", "secret text"),
    ("None", "none"),
    ("Any", "anything"),
    ("object", "anything"),
    ("date | None", "date or none"),
    ("None | date", "date or none"),
    ("Optional[int]", "whole number or none"),
    ("Union[int, str, None]", "whole number, text or none"),
    ("int | int", "whole number"),
    ("int | (str | None)", "whole number, text or none"),
    ('Literal["EU", "US"]', "'EU' or 'US'"),
    ("Region", "'EU' or 'US'"),
    ("Region | None", "'EU' or 'US' or none"),
    ("Literal[1]", "1"),
    ("Literal[Region, 'x']", "'EU', 'US' or 'x'"),
    ("Color", "RED or DARK_BLUE"),
    ("Literal[Color.RED]", "'RED'"),
    ("list[int]", "list of whole number"),
    ("List[int]", "list of whole number"),
    ("t.List[t.Optional[int]]", "list of whole number or none"),
    ("list", "list"),
    ("Sequence[date]", "list of date"),
    ("set[str]", "set of text"),
    ("tuple[int, ...]", "list of whole number"),
    ("tuple[int, str]", "list of exactly (whole number, text)"),
    ("dict[str, float]", "mapping of text to number"),
    ("dict", "mapping"),
    ("Annotated[float, Field(ge=0)]", "number ≥ 0"),
    ("Annotated[int, Field(gt=0, le=LIMIT)]", "whole number > 0 and ≤ 10"),
    ("Annotated[str, Field(max_length=3)]", "text at most 3 long"),
    ("Annotated[int, 'a note', print]", "whole number"),
    ("Annotated[int, Field(description='x')]", "whole number"),
    ("Annotated[date, Field(ge=date(2020, 1, 1))]", "date ≥ 2020-01-01"),
    ("Annotated[int, Field(ge=0), Field(le=2 * 5)]", "whole number ≥ 0 and ≤ 2 * 5"),
    (
        "Annotated[int, Field(ge=0), Field(gt=f()), Ge(f()), Field(le=5)]",
        "whole number > f() and ≥ f() and ≤ 5",
    ),
    ("Annotated[int, Ge(0), Field(le=LIMIT)]", "whole number ≥ 0 and ≤ 10"),
    ("PositiveInt", "whole number > 0"),
    ("conint(ge=0, le=5)", "whole number ≥ 0 and ≤ 5"),
    ("conlist(int, min_length=1)", "list of whole number at least 1 long"),
    ("list[PositiveInt]", "list of whole number > 0"),
    ("UserId", "whole number"),
    ("Final[int]", "whole number"),
    ("DataFrame", "DataFrame"),
    ("pd.DataFrame", "pd.DataFrame"),
    ("Point", "Point"),
    ("list[DataFrame]", "list of DataFrame"),
    ("Callable[[int],\n   str]", "Callable[[int], str]"),
]


@pytest.mark.parametrize(("annotation", "text"), DESCRIBED, ids=[case[0] for case in DESCRIBED])
def test_types_are_described_for_people(annotation: str, text: str) -> None:
    assert describe(flow_of(f"x: {annotation}"))[0].type == text


def test_a_long_list_of_choices_is_cut() -> None:
    words = ", ".join(repr(n) for n in range(100))
    assert describe(flow_of(f"x: Literal[{words}]"))[0].type == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 or 90 others"


def test_what_a_form_needs_is_there() -> None:
    since, region, color, n, key = describe(
        flow_of(
            "since: date | None = None  # first month\nregion: Region\ncolor: Color = Color.RED\n"
            "n: Annotated[int, Field(ge=0, le=10)] = 5\nkey: Secret = 'hunter2'"
        )
    )
    assert (since.name, since.required, since.default, since.help) == ("since", False, "None", "first month")
    assert (since.python_type, since.optional, since.choices, since.secret) == (dt.date, True, None, False)
    assert (region.required, region.default, region.choices) == (True, None, ("EU", "US"))
    assert color.choices == ("RED", "DARK_BLUE")
    assert (n.python_type, n.limits) == (int, (("ge", 0), ("le", 10)))
    assert (key.secret, key.default, key.required) == (True, "***", False)


def test_without_a_type_the_default_tells() -> None:
    parameters = [("1", "whole number or number"), ("'a'", "text"), ("[1]", "list"), ("None", "anything")]
    flow = Flow(
        "f", parameters=tuple(Parameter(f"p{n}", "", default) for n, (default, _) in enumerate(parameters))
    )
    assert [info.type for info in describe(flow)] == [text for _, text in parameters]


CONTEXTS = [
    ("import datetime", "datetime.date", "date"),
    ("import datetime as dt", "dt.date", "date"),
    ("from datetime import date as day", "day", "date"),
    ("from datetime import *", "date", "date"),
    ("import typing as t\nimport datetime", "t.Optional[datetime.date]", "date or none"),
    ("try:\n    from typing import Literal\nexcept ImportError:\n    from typing_extensions import Literal",
     "Literal[1]", "1"),
    ("from typing_extensions import Literal, Annotated", "Annotated[Literal[1], 2]", "1"),
    ("from datetime import date\nDay = date\nDays = list[Day]", "Days", "list of date"),
    ("Day: object = int", "Day", "whole number"),
    ("def int(): ...", "int", "int"),
    ("from numpy import int", "int", "int"),
    ("from . import date", "date", "date"),
    ("import os\n!ls 'x\nfrom datetime import date", "date", "date"),
    ("A = list[B]\nB = list[A]", "A", "A"),
    ("from datetime import date\ndate = 5", "date", "5"),
    ("import collections.abc", "collections.abc.Sequence[int]", "list of whole number"),
    ("import ipaddress as ip", "ip.IPv4Address | None", "IPv4 address or none"),
    ("import flownb", "flownb.Secret", "secret text"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "annotation", "text"), CONTEXTS, ids=[case[0] for case in CONTEXTS])
def test_names_lead_through_imports_and_aliases(source: str, annotation: str, text: str) -> None:
    from flownb.parameters.description import type_text

    assert type_text(resolve(annotation, context_of(source))) == text


# -- Enums -----------------------------------------------------------------------------------------------

ENUMS: list[tuple[str, list[tuple[str, Any]] | None]] = [
    ("class E(Enum):\n    A = 1\n    B = 'b'", [("A", 1), ("B", "b")]),
    ("class E(enum.Enum):\n    'Doc.'\n    A = 1\n    def f(self): return 1", [("A", 1)]),
    ("class E(Enum):\n    A = auto()\n    B = enum.auto()", [("A", 1), ("B", 2)]),
    ("class E(StrEnum):\n    A = auto()", [("A", "a")]),
    ("class E(IntEnum):\n    A = 3\n    B = A", [("A", 3)]),
    ("class E(str, Enum):\n    A = 'x'", [("A", "x")]),
    ("class E(int, Enum):\n    A = 1", [("A", 1)]),
    ("class E(Flag):\n    A = 1 << 2\n    B = 1\n    C = A | B", [("A", 4), ("B", 1)]),
    ("class E(Enum):\n    A = (1, 'x')\n    B = -1", [("A", (1, "x")), ("B", -1)]),
    ("@enum.unique\nclass E(Enum):\n    A = 1", [("A", 1)]),
    ("class E(Enum): A = 1; B = 2", [("A", 1), ("B", 2)]),
    ("class E(Enum):\n    A = compute()", None),
    ("class E(Enum):\n    A = 9**9**9", None),
    ("class E(Flag):\n    A = 1 << 10**9", None),
    ("class E(Enum):\n    A = [x for x in y]", None),
    ("class E(Enum):\n    A = 1\n    A = 2", [("A", 2)]),
    ("class E(Enum):\n    def __new__(cls, a): ...\n    A = 1", None),
    ("class E(Enum):\n    _generate_next_value_ = f\n    A = auto()", None),
    ("class E(Enum):\n    import os\n    A = 1", None),
    ("class E(Enum):\n    mro = 1", None),
    ("class E(Enum, metaclass=M):\n    A = 1", None),
    ("class E(Base, Enum):\n    A = 1", None),
    ("class E(date, Enum):\n    A = 1", None),
    ("class E(int, Enum):\n    A = 'x'", None),
    ("@decorate\nclass E(Enum):\n    A = 1", None),
    ("class E(Enum):\n    if True:\n        A = 1", None),
    ("class E:\n    A = 1", None),
]


@pytest.mark.parametrize(("source", "members"), ENUMS, ids=[case[0] for case in ENUMS])
def test_an_enum_is_built_from_its_source(source: str, members: list[tuple[str, Any]] | None) -> None:
    imports = "import enum\nfrom enum import Enum, Flag, IntEnum, StrEnum, auto\nfrom datetime import date\n"
    kind = resolve("E", context_of(imports + source))
    if members is None:
        assert isinstance(kind, Unknown)
        return
    assert isinstance(kind, Members)
    assert [(member.name, member.value) for member in kind.enum] == members
    assert kind.enum.__name__ == "E"
    own: dict[str, Any] = {"__name__": "__main__"}
    if "A = 1\n    A = 2" not in source:
        exec(imports + source, own)
        assert [(m.name, m.value) for m in own["E"]] == members
        bases = [base for base in own["E"].__mro__ if base.__module__ in ("enum", "builtins")]
        assert [base for base in kind.enum.__mro__ if base.__module__ in ("enum", "builtins")] == bases
    assert issubclass(kind.enum, enum.Enum)


# -- hostile declarations --------------------------------------------------------------------------------


def _hostile(touched: Path) -> list[str]:
    touch = f"open({str(touched)!r}, 'w')"
    return [
        touch,
        f"list[{touch}]",
        f"Annotated[int, {touch}]",
        f"Annotated[int, Field(ge={touch})]",
        f"Annotated[int, Field(default_factory=lambda: {touch})]",
        f"Literal[{touch}]",
        f"Optional[{touch}]",
        f"{touch} | None",
        f"conint(ge={touch})",
        f"NewType('x', {touch})",
        f"(lambda: {touch})()",
        f"[{touch} for _ in (1,)][0]",
        f"(x := {touch})",
        f'"{touch}"',
        repr(repr(touch)),
        f"f'{{{touch}}}'",
        f"__import__('os').system('touch {touched}')",
        f"typing.__builtins__['exec']({touch!r})",
        "typing.__dict__",
        "typing.sys.modules",
        "().__class__.__base__.__subclasses__()",
        "int.__subclasses__()",
        "datetime.sys",
        "pathlib.os.system",
        "pydantic.ImportString",
        "pydantic.validate_call",
        "pydantic.BaseModel",
        "pydantic.types.importlib",
        "Annotated[int, pydantic.BeforeValidator(print)]",
        "typing.get_type_hints",
        "typing.ForwardRef('x')",
        "Decimal('1e999999999')",
        "Annotated[Decimal, Field(ge=Decimal('1e999999999'))]",
        "Fraction('1e999999999')",
        "9**9**9",
        "list[9**9**9]",
        "Annotated[int, Field(ge=9**9**9)]",
        "Literal['a' * 10**10]",
        "1 << 10**10",
        "int | " * 3000 + "int",
        "list[" * 90 + "int" + "]" * 90,
        "'" * 3 + "list[int" + "'" * 3,
        "-" * 5000 + "1",
        "await x",
        "yield",
        "*int",
        "int[int]",
        "Optional[()]",
        "Union[()]",
        "Literal[()]",
        "Annotated[int]",
        "dict[int]",
        "tuple[...]",
        "list[...]",
        "int if x else str",
        "A.B.C.D",
        "<img onerror=x>",
        "\x00",
        "'\\x00'",
        "int\nimport os",
        "int) and (" + touch,
        "x=1",
        "",
        " ",
        "#",
    ]


def test_hostile_annotations_and_defaults_never_run(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    context = context_of(IMPORTS + DEFINITIONS)
    begun = time.monotonic()
    for annotation in _hostile(touched):
        resolve(annotation, context)
        is_secret(annotation, context)
        for parameter in (
            Parameter("x", annotation),
            Parameter("x", "", annotation),
            Parameter("x", annotation, "1"),
        ):
            flow = Flow("f", parameters=(parameter,), closure=flow_of("x: int").closure)
            assert describe(flow)[0].name == "x"
            coercion_source(flow)
            settled = Settling(flow).source
            if "\x00" not in settled and "await" not in settled and "yield" not in settled:
                ast.parse(settled)
            for value, text in (("1", True), (1, False)):
                with suppress(ParameterError):
                    validate(flow, {"x": value}, text=text)
    assert not touched.exists()
    assert time.monotonic() - begun < 20


def test_aliases_that_double_are_given_up_on() -> None:
    source = "\n".join(f"A{n} = tuple[A{n + 1}, A{n + 1}]" for n in range(60))
    begun = time.monotonic()
    assert isinstance(resolve("A0", context_of(source)), Unknown)
    assert not is_secret("A0", context_of(source))
    assert time.monotonic() - begun < 2


def test_hostile_definitions_never_run(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    touch = f"open({str(touched)!r}, 'w')"
    definitions = f"""
class Color(Enum):
    A = {touch}

@({touch})
class Shade(Enum):
    A = 1

class Tone({touch}):
    A = 1

Alias = {touch}
LIMIT = {touch}
"""
    from parameter_flows import entries

    flow = Flow(
        "f",
        parameters=tuple(
            Parameter(name.lower(), name, touch) for name in ("Color", "Shade", "Tone", "Alias")
        ),
        closure=entries(IMPORTS + definitions),
    )
    describe(flow)
    found = validate(flow, {"color": "A", "shade": "A", "tone": "A", "alias": "A"}, text=True)
    assert {render(value) for value in found.values()} == {"'A'"}
    assert not touched.exists()


def test_pydantics_import_string_is_not_among_the_types() -> None:
    flow = flow_of("x: pydantic.ImportString")
    assert validate(flow, {"x": "os.system"}, text=True) == {"x": "os.system"}


OPEN = [
    "Annotated[int, Field(ge=f(), le=5)]",
    "Annotated[int, Field(le=2 * 5)]",
    "Annotated[int, Field(le=CHANGED)]",
    "Annotated[int, Field(le=MAYBE)]",
    "Annotated[int, Field(le=LOOPED)]",
    "Annotated[int, Field(le=HIGH)]",
    "Annotated[int, Field(**limits)]",
    "Annotated[int, Field(discriminator='kind')]",
    "Annotated[int, print]",
    "Annotated[int, Field]",
    "Annotated[int, Ge(LIMIT, 5)]",
    "Annotated[int, pydantic.AfterValidator(print)]",
    "Annotated[int, pydantic.BeforeValidator(print)]",
    "conint(ge=f())",
    "conlist(Point, max_length=2)",
    "conint(5)",
    "list[Point]",
    "Point | None",
    "dict[str, Point]",
    "tuple[Point, ...]",
    "Literal[*OPTIONS]",
    "Literal[f()]",
    "list[int, str]",
    "dict[int]",
    "re.Pattern[str]",
    "pydantic.Json[list[int]]",
    "pydantic.FilePath",
    "Loud",
]


@pytest.mark.parametrize("annotation", OPEN)
def test_nothing_that_is_declared_is_dropped(annotation: str) -> None:
    changing = """
CHANGED = 5
CHANGED += 1
MAYBE = 5
if CHANGED:
    MAYBE = 7
for LOOPED in (1, 2):
    pass
LOW, HIGH = 1, 5
class Loud(Enum):
    A = 1
    def _missing_(cls, value): ...
"""
    assert is_open(resolve(annotation, context_of(IMPORTS + DEFINITIONS + changing)))


@pytest.mark.parametrize(
    "annotation",
    [
        *(
            annotation
            for annotation, _ in DESCRIBED[:47]
            if not any(word in annotation for word in ("print", "*", "f()"))
        ),
        "Annotated[int, Field(description=f(), default=f(), le=5)]",
        "Annotated[int, Field(le=None)]",
        "Annotated[int, 'a note', 5]",
    ],
)
def test_what_is_understood_whole_is_judged_before_a_run(annotation: str) -> None:
    assert not is_open(resolve(annotation, context_of(IMPORTS + DEFINITIONS)))


def test_what_is_understood_of_limits_is_kept() -> None:
    kind = resolve("Annotated[int, Field(ge=f(), le=5)]", context_of(IMPORTS))
    assert kind == Open(Bounded(Plain("builtins.int"), (("le", 5),)), (("ge", "f()"),))
