"""Parts put together into a flow."""

from __future__ import annotations

import pytest

from flownb.capture.assemble import assemble
from flownb.capture.cell import read_cell
from flownb.capture.live import make_part
from flownb.capture.part import Part, from_record, to_record
from flownb.errors import CaptureError, FlownbError
from flownb.flow import Carried


def part(source: str, *closure: Carried) -> Part:
    return make_part(read_cell(source), closure, None, None)


def literal(name: str, value: int) -> Carried:
    return Carried(name, "literal", f"{name} = {value}")


def test_steps_come_in_the_order_of_the_notebook() -> None:
    flow = assemble("a", [part("%%flow a.one\nx = 1"), part("%%flow a.two\ny = 2")])
    assert [step.name for step in flow.steps] == ["one", "two"]


def test_a_step_is_moved_where_it_reads_what_only_a_later_one_binds() -> None:
    flow = assemble("a", [part("%%flow a.one\nx = y"), part("%%flow a.two\ny = 2")])
    assert [step.name for step in flow.steps] == ["two", "one"]


def test_a_name_that_an_earlier_step_binds_is_not_carried() -> None:
    flow = assemble("a", [part("%%flow a.one\nx = 1"), part("%%flow a.two\ny = x", literal("x", 5))])
    assert flow.closure == ()


def test_what_two_steps_carry_alike_is_carried_once() -> None:
    flow = assemble(
        "a", [part("%%flow a.one\nx = k", literal("k", 5)), part("%%flow a.two\ny = k", literal("k", 5))]
    )
    assert [(entry.name, entry.step) for entry in flow.closure] == [("k", "")]


def test_each_step_runs_with_what_it_was_captured_with() -> None:
    flow = assemble(
        "a",
        [
            part("%%flow a.one --out x\nx = k", literal("k", 5)),
            part("%%flow a.two --out y\ny = k", literal("k", 6)),
            part("%%flow a.three --out z\nz = k", literal("k", 5)),
        ],
    )
    assert [(entry.source, entry.step) for entry in flow.closure] == [
        ("k = 5", ""),
        ("k = 6", "two"),
        ("k = 5", "three"),
    ]
    assert flow.run() == {"x": 5, "y": 6, "z": 5}


def test_what_is_made_from_a_changed_name_is_made_again() -> None:
    double = Carried("double", "statements", "double = 2 * k", reads=("k",), reads_first=("k",))
    flow = assemble(
        "a",
        [
            part("%%flow a.one --out x\nx = double", literal("k", 5), double),
            part("%%flow a.two --out y\ny = double", literal("k", 6), double),
        ],
    )
    assert flow.run() == {"x": 10, "y": 12}


@pytest.mark.parametrize(
    ("sources", "words"),
    [
        (["%%flow a.one --out x\nx = 1", "%%flow a.two --out x\nx = 2"], "output `x` .*a.one.*a.two"),
        (
            ["%%flow a.one\nn: int = 1\nx = n", "%%flow a.two\nn: int = 2\ny = n"],
            "declared differently.*a.one.*a.two",
        ),
        (
            ["%%flow a.one\nn: int = 1\nx = n", "%%flow a.two\nn = 2"],
            "`n`, declared in .*a.one.*bound again by .*a.two",
        ),
        (["%%flow a.one\nx = y", "%%flow a.two\ny = x"], "one.*two"),
        (["%%flow a.one\nreadings = 1", "%%flow a.two\ny = reeding"], "`reeding`.*did you mean `readings`"),
    ],
)
def test_what_does_not_fit_together_names_the_cells(sources: list[str], words: str) -> None:
    with pytest.raises(CaptureError, match=words):
        assemble("a", [part(source) for source in sources])


def test_only_the_last_step_has_a_result_and_only_without_outputs() -> None:
    flow = assemble("a", [part("%%flow a.one\nx = 1\nx"), part("%%flow a.two\nx + 1")])
    assert flow.outputs == ("result",)
    assert flow.run() == {"result": 2}
    named = assemble("a", [part("%%flow a.one --out x\nx = 1"), part("%%flow a.two\nx + 1")])
    assert named.outputs == ("x",)


def test_a_parameter_of_one_step_is_read_by_another() -> None:
    flow = assemble("a", [part("%%flow a.one\nn: int = 1\nx = n"), part("%%flow a.two --out y\ny = x + n")])
    assert flow.run(n=4) == {"y": 8}


def test_a_part_is_the_same_after_its_record_was_kept_as_json() -> None:
    before = part(
        '%%flow a.one --out x --environment night\n"""What."""\nn: int = 1  # help\nx = n * k',
        literal("k", 3),
    )
    after = from_record(to_record(before), "the record")
    assert after == before
    assert after.flow.environment == {"named": "night"}
    assert after.flow.description == "What."


def test_a_parameter_of_an_enum_of_the_notebook_is_its_member() -> None:
    market = Carried(
        "Market",
        "definition",
        "class Market(Enum):\n    EU = 'EU'\n    US = 'US'",
        reads=("Enum",),
        reads_first=("Enum",),
    )
    enum = Carried("Enum", "import", "from enum import Enum")
    flow = assemble("a", [part("%%flow a\nmarket: Market = Market.EU\nmarket is Market.US", enum, market)])
    assert flow.run(market="US") == {"result": True}
    assert flow.run() == {"result": False}


def test_annotations_mean_what_they_meant_in_the_notebook() -> None:
    plain = Carried("f", "definition", "def f(x: int): ...")
    future = Carried("__future__", "import", "from __future__ import annotations")
    assert assemble("a", [part("%%flow a\nf.__annotations__", plain)]).run() == {"result": {"x": int}}
    assert assemble("a", [part("%%flow a\nf.__annotations__", future, plain)]).run() == {
        "result": {"x": "int"}
    }


def test_a_step_of_ipythons_own_syntax_wants_an_environment() -> None:
    with pytest.raises(FlownbError, match=r"step a of a uses IPython's own syntax.*LocalEnvironment"):
        assemble("a", [part("%%flow a --out x\nx = !ls")]).run()
