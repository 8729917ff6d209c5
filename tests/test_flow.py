"""What a flow is: names, digest, equality."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flownb.errors import FlownbError, NameRefusedError
from flownb.flow import Carried, Flow, Parameter, Requirements, Step, check_name, nearest_name

FLOW = Flow(
    "sales",
    parameters=(Parameter("region", "str", "'EU'", "which market"),),
    steps=(
        Step("load", "rows = read(region)", reads=("read", "region"), binds=("rows",)),
        Step("sum", "total = sum(rows)", ("total",)),
    ),
    closure=(Carried("read", "definition", "def read(region):\n    return [1]"),),
)


@pytest.mark.parametrize(
    "name", ["sales", "daily sales", "a-b_c", "ventes_été", "売上", "Größe 2", "नमस्ते", "x" * 100]
)
def test_names_of_any_script_are_taken(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "", " ", "a  b", " a", "a ", "../x", "a/b", "a\\b", "a\0b", "a\nb", "x" * 300,
        "<img onerror=alert(1)>",
        "abc\u202egnp", "a\u200bb", "-rf", "a;b", "a$b", "a`b", "a'b", 'a"b', "a:b", "a*b", "a?b", "a|b",
        "a#b", "a@b",
        "a.b", "\ud800", "🙂",
    ],
)  # fmt: skip
def test_hostile_names_are_refused_with_a_message_of_plain_characters(name: str) -> None:
    with pytest.raises(NameRefusedError) as caught:
        check_name(name)
    assert str(caught.value).isascii()
    assert len(str(caught.value)) < 250


def test_a_name_is_kept_in_its_composed_form() -> None:
    assert check_name("e\u0301te\u0301") == "\u00e9t\u00e9"


@given(st.text(max_size=20))
def test_any_text_is_a_name_or_refused(text: str) -> None:
    try:
        name = check_name(text)
    except NameRefusedError:
        return
    assert check_name(name) == name


def test_the_digest_is_the_same_in_another_process() -> None:
    code = "import sys; from flownb.flow import *; print(Flow('a', steps=(Step('a', 'x = {1, 2}'),)).digest)"
    runs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert runs == {Flow("a", steps=(Step("a", "x = {1, 2}"),)).digest + "\n"}


@pytest.mark.parametrize(
    "other",
    [
        replace(FLOW, name="sale"),
        replace(FLOW, parameters=()),
        replace(FLOW, parameters=(Parameter("region", "str", "'US'", "which market"),)),
        replace(FLOW, steps=FLOW.steps[::-1]),
        replace(FLOW, steps=(FLOW.steps[0], replace(FLOW.steps[1], outputs=()))),
        replace(FLOW, closure=()),
        replace(FLOW, closure=(replace(FLOW.closure[0], step="sum"),)),
    ],
)
def test_other_content_is_another_flow(other: Flow) -> None:
    assert other != FLOW


@pytest.mark.parametrize(
    "same",
    [
        replace(FLOW, requirements=Requirements("3.13.1", {"pandas": "9"})),
        replace(FLOW, storage={"kind": "notebook"}, location="sales@1"),
        replace(FLOW, closure=(replace(FLOW.closure[0], size=9, type="function", reads=("x",)),)),
    ],
)
def test_where_it_lies_and_ran_is_not_content(same: Flow) -> None:
    assert same == FLOW
    assert hash(same) == hash(FLOW)


def test_outputs_come_in_the_order_of_the_steps() -> None:
    assert FLOW.outputs == ("total",)
    assert Flow("a", steps=(Step("a", "1", result=True),)).outputs == ("result",)
    assert Flow("a", steps=(Step("a", "x = 1"),)).outputs == ()


def test_an_error_shows_its_message_where_ipython_would_show_a_traceback() -> None:
    assert FlownbError("what to do")._render_traceback_() == ["FlownbError: what to do"]


def test_a_flow_shows_itself_in_a_line_whatever_it_carries() -> None:
    table = Carried("table", "frozen", "x" * 4_000_000, identity="y" * 4_000_000, size=4_000_000)
    steps = tuple(Step(f"step-{n}" + "long" * 20, "z" * 100_000) for n in range(50))
    flow = Flow(
        "sales",
        parameters=(Parameter("region"),),
        steps=(Step("load", "", outputs=("total",)), *steps),
        closure=(table,),
    )
    assert repr(flow).startswith(
        f"<Flow sales, version {flow.version}: parameters region; steps load, step-0"
    )
    for shown in (flow, table, steps[0]):
        assert len(repr(shown)) < 400


def test_a_flow_shows_its_card_in_a_notebook() -> None:
    flow = Flow("sales", steps=(Step("load", "1"),))
    assert f"version {flow.version}" in flow._repr_html_()


# --- names, where a flow is made ---


def test_a_flow_and_its_steps_have_checked_names_from_the_start() -> None:
    decomposed = "e\u0301te\u0301"
    entry = Carried("x", "statement", "x = 1", ("x",), step=decomposed)
    flow = Flow(decomposed, steps=(Step(decomposed, "x"),), closure=(entry,))
    assert {flow.name, flow.steps[0].name, flow.closure[0].step} == {"\u00e9t\u00e9"}
    assert flow == Flow("\u00e9t\u00e9", steps=(Step("\u00e9t\u00e9", "x"),), closure=(entry,))
    assert replace(FLOW, name=decomposed).name == "\u00e9t\u00e9"
    for name in ("", "../x", "a\nb", "x" * 101, "-x", None, 3, b"x"):
        for make in (
            lambda: Flow(name),  # noqa: B023
            lambda: Step(name, "1"),  # noqa: B023
            lambda: replace(FLOW, name=name),  # noqa: B023
        ):
            with pytest.raises(NameRefusedError):
                make()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("\u0939\u093f\u0928\u094d\u0926\u0940", "\u0939\u093f\u0928\u094d\u0926\u0940"),  # marks stay
        ("e\u0301te\u0301 2026", "\u00e9t\u00e9 2026"),
        ("my report (1)", "my report -1"),
        ("a  b//c..d", "a b-c-d"),
        ("a--b", "a--b"),
        ("-x-", "x"),
        ("...", ""),
        ("x" * 99 + " y" * 9, "x" * 99),
        ("\u202etxt", "txt"),
    ],
)
def test_the_nearest_name_keeps_letters_marks_and_digits_of_every_script(text: str, name: str) -> None:
    assert nearest_name(text) == name
    assert not name or check_name(name) == name


@given(st.text(max_size=200))
def test_the_nearest_name_of_any_text_is_a_name_or_nothing(text: str) -> None:
    name = nearest_name(text)
    assert not name or check_name(name) == name
