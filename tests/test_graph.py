from __future__ import annotations

import re
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unchecked import named

from flownb.displays.drawing import drawn
from flownb.errors import CaptureError
from flownb.flow import Carried, Flow, Parameter, Step
from flownb.graph import Edge, Graph, order


def step(name: str, reads: str = "", binds: str = "", outputs: str = "", *, result: bool = False) -> Step:
    return Step(
        name,
        "...",
        outputs=tuple(outputs.split()),
        reads=tuple(sorted(reads.split())),
        binds=tuple(sorted(binds.split())),
        result=result,
    )


def names(steps: list[Step]) -> list[str]:
    return [one.name for one in steps]


def co2() -> Flow:
    return Flow(
        "co2",
        parameters=(Parameter("since", "date"), Parameter("until", "date | None", "None")),
        steps=(
            step("load", "DATA monthly since until", "readings"),
            step("report", "plot readings", "chart summary", "summary chart"),
        ),
        closure=(
            Carried("monthly", "definition", "def monthly(): ..."),
            Carried("DATA", "literal", "DATA = 1"),
        ),
    )


def test_a_read_comes_from_the_step_that_binds_it() -> None:
    graph = Graph.of(co2())
    assert graph.edges == (Edge("load", "report", ("readings",)),)
    assert graph.inputs == (Edge("since", "load", ("since",)), Edge("until", "load", ("until",)))
    assert graph.results == (
        Edge("report", "summary", ("summary",)),
        Edge("report", "chart", ("chart",)),
    )


def test_the_graph_is_the_flows_own_property() -> None:
    assert co2().graph == Graph.of(co2())


def test_a_step_that_reads_and_rebinds_a_name_reads_the_nearest_earlier_binding() -> None:
    flow = Flow("f", steps=(step("a", "", "x"), step("b", "x", "x"), step("c", "x", "x"), step("d", "x")))
    assert Graph.of(flow).edges == (Edge("a", "b", ("x",)), Edge("b", "c", ("x",)), Edge("c", "d", ("x",)))


def test_a_rebinding_hides_the_earlier_one_from_later_steps_only() -> None:
    flow = Flow("f", steps=(step("a", "", "x"), step("b", "x"), step("c", "", "x"), step("d", "x")))
    assert Graph.of(flow).edges == (Edge("a", "b", ("x",)), Edge("c", "d", ("x",)))


def test_a_name_bound_by_a_step_is_not_read_from_a_parameter_of_that_name() -> None:
    flow = Flow("f", parameters=(Parameter("x"),), steps=(step("a", "x", "x"), step("b", "x")))
    graph = Graph.of(flow)
    assert graph.inputs == (Edge("x", "a", ("x",)),)
    assert graph.edges == (Edge("a", "b", ("x",)),)


def test_a_function_of_the_closure_reads_for_the_step_that_calls_it() -> None:
    flow = Flow(
        "f",
        parameters=(Parameter("region"),),
        steps=(step("load", "", "table"), step("report", "describe")),
        closure=(
            Carried("describe", "definition", "def describe(): return shape()", reads=("shape",)),
            Carried(
                "shape", "definition", "def shape(): return table, region", reads=("table", "region", "shape")
            ),
        ),
    )
    graph = Graph.of(flow)
    assert graph.edges == (Edge("load", "report", ("table",)),)
    assert graph.inputs == (Edge("region", "report", ("region",)),)


def test_the_implicit_result_comes_from_the_last_step_that_has_one() -> None:
    flow = Flow("f", steps=(step("a", result=True), step("b", result=True)))
    assert Graph.of(flow).results == (Edge("b", "result", ("result",)),)


def test_a_flow_without_steps_has_an_empty_graph() -> None:
    graph = Graph.of(Flow("f"))
    assert (graph.edges, graph.text()) == ((), "")
    assert "<svg" in graph._repr_mimebundle_()["text/html"]


def test_the_drawing_has_one_line_a_step() -> None:
    assert Graph.of(co2()).text() == (
        "┌● load     ◀─ since, until\n"
        "└● report   ◀─ readings from load   ═▶ summary, chart"
    )  # fmt: skip


def test_the_drawing_lines_up_wide_and_combining_letters() -> None:
    lines = Graph.of(
        Flow("f", parameters=(Parameter("p"),), steps=(step("売上", "p"), step("abcd", "p")))
    ).text()
    assert lines == "┌● 売上   ◀─ p\n└● abcd   ◀─ p"


def test_a_notebook_gets_a_drawing_and_a_terminal_text() -> None:
    bundle = Graph.of(co2())._repr_mimebundle_()
    assert sorted(bundle) == ["text/html", "text/plain"]
    assert re.findall(r"<text[^>]*>([^<]*)<", bundle["text/html"]) == [
        *("since, until", "load", "report", "summary, chart", "readings"),
    ]
    assert bundle["text/plain"] == Graph.of(co2()).text()


def test_a_step_is_drawn_below_those_that_it_reads_from_and_beside_none() -> None:
    steps = [step(f"s{n}", f"n{n - 1} n{n - 3}" if n > 2 else "", f"n{n}") for n in range(12)]
    boxes = drawn(Graph.of(Flow("f", steps=tuple(steps)))).boxes
    place = {text: box for box in boxes for text, kind in box.rows if kind == "step"}
    for n in range(3, 12):
        assert place[f"s{n}"].y > place[f"s{n - 1}"].y + place[f"s{n - 1}"].height
    for one, other in combinations(boxes, 2):
        assert one.y != other.y or one.x + one.width < other.x or other.x + other.width < one.x


def test_arrows_cross_only_where_they_must() -> None:
    pairs = [("a", "3"), ("b", "2"), ("c", "1")]  # in the order of the notebook all of them would cross
    first = [step(source, "", source) for source, _ in pairs]
    second = [step(f"t{at}", source) for source, at in sorted(pairs, key=lambda pair: pair[1])]
    picture = drawn(Graph.of(Flow("f", steps=(*first, *second))))
    ends = [re.findall(r"-?\d+", arrow.path) for arrow in picture.arrows]
    across = sorted((int(end[0]), int(end[6])) for end in ends)
    assert [end for _, end in across] == sorted(end for _, end in across)


def test_an_arrow_with_many_names_says_how_many_more_there_are() -> None:
    many = " ".join(f"n{number}" for number in range(10))
    assert (
        "n0, n1, n2, n3, n4, n5 and 4 more"
        in Graph.of(Flow("f", steps=(step("a", "", many), step("b", many)))).text()
    )


def test_control_and_bidirectional_characters_are_shown_in_the_drawing() -> None:
    text = Graph.of(Flow("f", steps=(named(step("s"), "a\u202eb\x1b[31m"),))).text()
    assert text == "╶● a\\u202eb\\x1b[31m"


# -- the order of steps


def test_steps_stay_in_notebook_order_where_nothing_is_read_too_early() -> None:
    steps = [step("c", "", "x"), step("a", "x", "y"), step("b"), step("d", "y x", "x")]
    assert order(steps) == steps


def test_a_step_moves_behind_the_later_step_that_alone_binds_what_it_reads() -> None:
    steps = [step("report", "readings"), step("other"), step("load", "", "readings")]
    assert names(order(steps)) == ["other", "load", "report"]


def test_those_who_read_a_moved_step_follow_it() -> None:
    steps = [step("b", "a", "b"), step("c", "b"), step("a", "", "a")]
    assert names(order(steps)) == ["a", "b", "c"]


def test_a_step_does_not_move_for_a_parameter_the_closure_or_a_builtin() -> None:
    steps = [step("a", "region TABLE filter"), step("b", "", "region TABLE filter")]
    closure = [Carried("TABLE", "literal", "TABLE = 1")]
    assert order(steps, closure=closure, given={"region"}) == steps


def test_a_step_moves_for_what_a_function_that_it_calls_reads() -> None:
    steps = [step("a", "f"), step("b", "", "table")]
    closure = [Carried("f", "definition", "def f(): return table", reads=("table",))]
    assert names(order(steps, closure=closure)) == ["b", "a"]


def test_moving_a_step_keeps_the_binding_that_it_reads() -> None:
    steps = [step("a", "", "x"), step("b", "x late"), step("c", "", "x"), step("d", "", "late")]
    assert names(order(steps)) == ["a", "d", "b", "c"]


def test_a_later_binding_is_read_where_both_names_cannot_be_had_otherwise() -> None:
    steps = [step("a", "", "x"), step("b", "x late"), step("c", "", "x late")]
    assert names(order(steps)) == ["a", "c", "b"]


def test_a_cycle_names_the_steps_and_the_names() -> None:
    steps = [step("first", "y", "x"), step("alone"), step("second", "x", "y")]
    with pytest.raises(CaptureError) as caught:
        order(steps)
    message = str(caught.value)
    assert "`first` reads y from `second`" in message
    assert "`second` reads x from `first`" in message
    assert "alone" not in message


def test_a_cycle_of_three_is_told_without_what_is_behind_it() -> None:
    steps = [step("behind", "c"), step("a", "c", "a"), step("b", "a", "b"), step("c", "b", "c")]
    with pytest.raises(CaptureError) as caught:
        order(steps)
    message = str(caught.value)
    assert all(f"`{name}` reads" in message for name in "abc")
    assert "behind" not in message


_NAMES = st.sets(st.sampled_from("abcd"), max_size=3)


@given(st.lists(st.tuples(_NAMES, _NAMES), max_size=6))
def test_ordered_steps_read_nothing_before_it_is_bound_and_order_again_to_the_same(
    parts: list[tuple[set[str], set[str]]],
) -> None:
    steps = [step(f"s{n}", " ".join(reads), " ".join(binds)) for n, (reads, binds) in enumerate(parts)]
    try:
        ordered = order(steps)
    except CaptureError:
        return
    assert sorted(names(ordered)) == sorted(names(steps))
    for position, one in enumerate(ordered):
        before = {name for other in ordered[:position] for name in other.binds}
        bound_by_others = {name for other in steps if other is not one for name in other.binds}
        assert set(one.reads) & bound_by_others <= before
    assert order(ordered) == ordered


@given(st.lists(st.tuples(_NAMES, _NAMES), max_size=6))
def test_steps_that_can_run_as_they_stand_are_not_moved(parts: list[tuple[set[str], set[str]]]) -> None:
    bound: set[str] = set()
    steps = []
    for n, (reads, binds) in enumerate(parts):
        steps.append(step(f"s{n}", " ".join(reads & bound), " ".join(binds)))
        bound |= binds
    assert order(steps) == steps
