"""Captured steps put together into a flow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flownb.capture.record import Record, from_record, to_record
from flownb.capture.saved import SavedNotebook
from flownb.errors import CaptureError, FlownbError

if TYPE_CHECKING:
    from flownb.flow import Flow


def flow(*cells: str) -> Flow:
    code = [{"cell_type": "code", "metadata": {}, "source": source, "outputs": []} for source in cells]
    return SavedNotebook(code, "it.ipynb").flow("a")


def replayed(found: Flow) -> list[tuple[str, str]]:
    return [(entry.source, entry.step) for entry in found.closure]


def test_steps_come_in_the_order_of_the_notebook() -> None:
    assert [step.name for step in flow("%%flow a.one\nx = 1", "%%flow a.two\ny = 2").steps] == ["one", "two"]


def test_a_step_is_moved_where_it_reads_what_only_a_later_one_binds() -> None:
    assert [step.name for step in flow("%%flow a.one\nx = y", "%%flow a.two\ny = 2").steps] == ["two", "one"]


def test_a_step_is_not_moved_where_a_plain_cell_binds_what_it_reads() -> None:
    found = flow("y = 1", "%%flow a.one --out x\nx = y", "%%flow a.two\ny = 2")
    assert [step.name for step in found.steps] == ["one", "two"]
    assert found.run() == {"x": 1}


def test_what_an_earlier_step_binds_is_not_replayed() -> None:
    found = flow("x = 5", "%%flow a.one\nx = 1", "%%flow a.two --out y\ny = x")
    assert replayed(found) == []
    assert found.run() == {"y": 1}


def test_what_two_steps_need_is_replayed_once() -> None:
    found = flow("k = 5", "%%flow a.one\nx = k", "%%flow a.two\ny = k")
    assert replayed(found) == [("k = 5", "")]


def test_what_belongs_between_two_steps_stands_there() -> None:
    found = flow(
        "k = 5",
        "%%flow a.one --out x\nx = k",
        "k = 6\nimport math\ndef f(v): return math.floor(v)",
        "%%flow a.two --out y\ny = f(k)",
        "k = 5",
        "%%flow a.three --out z\nz = k",
    )
    assert replayed(found) == [
        ("import math", ""),
        ("k = 5", ""),
        ("def f(v): return math.floor(v)", ""),
        ("k = 6", "two"),
        ("k = 5", "three"),
    ]
    assert found.run() == {"x": 5, "y": 6, "z": 5}


def test_what_is_made_from_a_changed_name_is_made_again() -> None:
    found = flow(
        "k = 5\ndouble = 2 * k",
        "%%flow a.one --out x\nx = double",
        "k = 6\ndouble = 2 * k",
        "%%flow a.two --out y\ny = double",
    )
    assert found.run() == {"x": 10, "y": 12}


def test_what_changes_the_result_of_a_step_stands_behind_it() -> None:
    found = flow(
        "%%flow a.load\nrows = [3, 1]", "rows.sort()\nrows += [9]", "%%flow a.sum --out got\ngot = list(rows)"
    )
    assert replayed(found) == [("rows.sort()", "sum"), ("rows += [9]", "sum")]
    assert found.run() == {"got": [1, 3, 9]}


def test_a_statement_made_from_a_parameter_between_steps_follows_its_value() -> None:
    found = flow("%%flow a.one\nn: int = 3\nx = n", "limit = n * 100", "%%flow a.two --out y\ny = (x, limit)")
    assert found.run(n=5) == {"y": (5, 500)}


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
        (["readings = 1", "%%flow a.two\ny = reeding"], "`reeding`.*did you mean `readings`"),
    ],
)
def test_what_does_not_fit_together_names_the_cells(sources: list[str], words: str) -> None:
    with pytest.raises(CaptureError, match=words):
        flow(*sources)


def test_only_the_last_step_has_a_result_and_only_without_outputs() -> None:
    found = flow("%%flow a.one\nx = 1\nx", "%%flow a.two\nx + 1")
    assert found.outputs == ("result",)
    assert found.run() == {"result": 2}
    assert flow("%%flow a.one --out x\nx = 1", "%%flow a.two\nx + 1").outputs == ("x",)


def test_a_parameter_of_one_step_is_read_by_another() -> None:
    assert flow("%%flow a.one\nn: int = 1\nx = n", "%%flow a.two --out y\ny = x + n").run(n=4) == {"y": 8}


def test_a_flow_of_declarations_alone_keeps_its_outputs() -> None:
    found = flow("%%flow a --out n,word\nn: int = 1\nword: str = 'x'")
    assert found.run(n=4) == {"n": 4, "word": "x"}


def test_a_flow_is_the_same_after_its_record_was_kept_as_json() -> None:
    made = flow(
        "k = 3", '%%flow a.one --out x --environment night\n"""What."""\nn: int = 1  # help\nx = n * k'
    )
    before = Record(made, {"one": "ab12"}, ("a note",))
    after = from_record(to_record(before), "the record")
    assert (after.flow, after.cells, after.notes) == (made, {"one": "ab12"}, ("a note",))
    assert after.flow.environment == {"named": "night", "named_in": "flownb.toml"}
    assert after.flow.description == "What."
    assert after.flow.closure == made.closure


def test_a_parameter_of_an_enum_of_the_notebook_is_its_member() -> None:
    found = flow(
        "from enum import Enum\nclass Market(Enum):\n    EU = 'EU'\n    US = 'US'",
        "%%flow a\nmarket: Market = Market.EU\nmarket is Market.US",
    )
    assert found.run(market="US") == {"result": True}
    assert found.run() == {"result": False}


def test_annotations_mean_what_they_meant_in_the_notebook() -> None:
    plain, step = "def f(x: int): ...", "%%flow a\nf.__annotations__"
    assert flow(plain, step).run() == {"result": {"x": int}}
    assert flow("from __future__ import annotations", plain, step).run() == {"result": {"x": "int"}}
    assert flow(plain, "from __future__ import annotations", step).run() == {"result": {"x": int}}


def test_a_step_of_ipythons_own_syntax_wants_an_environment() -> None:
    with pytest.raises(FlownbError, match=r"step a of a uses IPython's own syntax.*LocalEnvironment"):
        flow("%%flow a --out x\nx = !ls").run()
