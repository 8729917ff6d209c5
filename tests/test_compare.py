"""What differs between two flows: found by meaning, told in words, and safe to show."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flownb.flow import Carried, Flow, Parameter, Requirements, Step
from flownb.storage.compare import Change, FlowDiff, compare
from flownb.storage.lines import LIMIT, counts_text, side_by_side, unified
from flownb.storage.script import as_script

FLOW = Flow(
    "co2",
    parameters=(
        Parameter("since", "date", "date(1958, 1, 1)", "first month"),
        Parameter("until", "date | None", "None"),
    ),
    steps=(
        Step("load", "readings = monthly(DATA)\nreadings = readings[since:until]"),
        Step("report", "summary = readings.mean()", ("summary",)),
    ),
    closure=(
        Carried("DATA", "literal", "DATA = 'co2.csv'"),
        Carried("monthly", "definition", "def monthly(path):\n    return read(path)"),
    ),
    requirements=Requirements("3.11.9", {"pandas": "2.2.0"}),
)


def changed(**fields: Any) -> FlowDiff:
    return compare(FLOW, replace(FLOW, **fields))


def words(diff: FlowDiff) -> list[str]:
    return [change.words for change in diff.changes]


def step(number: int, **fields: Any) -> tuple[Step, ...]:
    steps = list(FLOW.steps)
    steps[number] = replace(steps[number], **fields)
    return tuple(steps)


# -- by meaning


def test_a_flow_does_not_differ_from_itself() -> None:
    diff = compare(FLOW, FLOW)
    assert diff.same
    assert diff.summary() == "no change"
    assert "no difference" in diff.to_text()


def test_a_changed_default_is_told_with_what_it_was() -> None:
    since = Parameter("since", "date", "date(1990, 1, 1)", "first month")
    diff = changed(parameters=(since, FLOW.parameters[1]))
    assert words(diff) == ["parameter since: default date(1958, 1, 1) → date(1990, 1, 1)"]


def test_a_parameter_that_was_added_or_removed_or_got_another_type_or_help_is_told() -> None:
    parameters = (
        Parameter("since", "datetime", "date(1958, 1, 1)", "the first month"),
        Parameter("smooth", "int", "3"),
    )
    assert words(changed(parameters=parameters)) == [
        "parameter since: type date → datetime, help first month → the first month",
        "parameter smooth added",
        "parameter until removed",
    ]


def test_a_parameter_that_is_required_now_is_told() -> None:
    until = Parameter("until", "date | None")
    assert words(changed(parameters=(FLOW.parameters[0], until))) == [
        "parameter until: default None → required"
    ]


def test_the_order_of_parameters_is_told() -> None:
    diff = changed(parameters=FLOW.parameters[::-1])
    assert [change.kind for change in diff.changes] == ["moved"]


def test_a_changed_step_is_told_line_by_line() -> None:
    diff = changed(steps=step(0, source="readings = monthly(DATA)\nreadings = readings[since:]"))
    assert words(diff) == ["step load: +1 -1"]
    text = diff.to_text()
    assert "-readings = readings[since:until]" in text
    assert "+readings = readings[since:]" in text


def test_steps_that_were_added_removed_moved_and_renamed_are_told() -> None:
    load, report = FLOW.steps
    assert words(changed(steps=(load,))) == ["step report removed", "output summary removed"]
    assert words(changed(steps=(load, Step("clean", "x = 1"), report))) == ["step clean added"]
    assert [c.kind for c in changed(steps=(report, load)).changes] == ["moved"]
    assert words(changed(steps=(replace(load, name="read"), report))) == ["step load renamed: read"]


def test_the_one_step_of_a_flow_is_compared_with_the_one_step_of_another() -> None:
    one = Flow("a", steps=(Step("a", "x = 1\ny = 2"),))
    other = Flow("b", steps=(Step("b", "x = 1\ny = 3"),))
    assert words(compare(one, other)) == ["a renamed: b", "step a renamed: b, +1 -1"]


def test_outputs_are_told_with_the_step_that_gives_them() -> None:
    diff = changed(steps=step(1, outputs=("summary", "chart")))
    assert words(diff) == ["step report: gives summary → summary, chart", "output chart added"]


def test_carried_names_are_told_with_how_they_are_carried() -> None:
    closure = (
        Carried("DATA", "literal", "DATA = 'new.csv'"),
        Carried("K", "literal", "K = 3"),
    )
    assert words(changed(closure=closure)) == [
        "carried DATA: DATA = 'co2.csv' → DATA = 'new.csv'",
        "carried K added",
        "carried monthly removed",
    ]


def test_a_pickled_value_is_told_by_type_and_size_and_never_shown() -> None:
    table = Carried("DATA", "pickle", "DATA = loads('gASV')", type="DataFrame, 12 x 3", size=900)
    diff = changed(closure=(table, FLOW.closure[1]))
    assert words(diff) == ["carried DATA: literal → pickle, literal, 0 bytes → DataFrame, 12 x 3, 900 bytes"]
    assert "gASV" not in diff.to_text()
    assert "gASV" not in as_script(diff.new)


def test_requirements_differ_without_being_another_version() -> None:
    diff = changed(requirements=Requirements("3.12.1", {"pandas": "3.0.1", "numpy": "2.1"}))
    assert words(diff) == ["Python: 3.11.9 → 3.12.1", "numpy added", "pandas: 2.2.0 → 3.0.1"]
    assert diff.same_content
    assert not diff.same


def test_text_between_the_cells_of_a_whole_notebook_is_compared() -> None:
    cells = [{"cell_type": "markdown", "source": "# one"}, {"cell_type": "code", "source": "x = 1"}]
    other = [{"cell_type": "markdown", "source": "# two"}, cells[1]]
    flows = [replace(FLOW, notebook={"cells": each}) for each in (cells, other, cells[::-1])]
    assert words(compare(flows[0], flows[1])) == ["text between the cells: +1 -1"]
    assert not compare(flows[0], flows[2]).same_content


def test_the_default_of_a_secret_is_not_told() -> None:
    flows = [
        Flow("a", parameters=(Parameter("token", "Secret", f"Secret({key!r})"),)) for key in ("k1", "k2")
    ]
    flows = [replace(f, closure=(Carried("Secret", "import", "from flownb import Secret"),)) for f in flows]
    for diff in (compare(*flows), compare(replace(flows[0], parameters=()), flows[1])):
        told = diff.to_text() + diff.summary() + as_script(diff.old) + as_script(diff.new)
        assert "token" in told
        assert "k1" not in told
        assert "k2" not in told


def test_a_summary_is_short_and_says_how_much_more_there_is() -> None:
    diff = changed(parameters=(), steps=(), closure=())
    assert diff.summary() == "parameter since removed; parameter until removed; step load removed; and 4 more"


# -- any two flows

NAMES = st.sampled_from(["a", "b", "c"])
SOURCES = st.sampled_from(["x = 1", "x = 2\ny = 1", ""])
FLOWS = st.builds(
    Flow,
    name=NAMES,
    description=st.sampled_from(["", "about"]),
    parameters=st.lists(
        st.builds(
            Parameter,
            NAMES,
            st.sampled_from(["", "int"]),
            st.sampled_from([None, "1", "2"]),
            st.sampled_from(["", "help"]),
        ),
        max_size=3,
    ).map(tuple),
    steps=st.lists(
        st.builds(
            Step, NAMES, SOURCES, st.lists(NAMES, max_size=2, unique=True).map(tuple), result=st.booleans()
        ),
        max_size=3,
    ).map(tuple),
    closure=st.lists(
        st.builds(
            Carried,
            NAMES,
            st.sampled_from(["literal", "pickle", "definition"]),
            SOURCES,
            binds=st.lists(NAMES, max_size=2, unique=True).map(tuple),
            identity=st.sampled_from(["", "i", "j"]),
            step=st.sampled_from(["", "a"]),
        ),
        max_size=3,
    ).map(tuple),
    requirements=st.builds(
        Requirements,
        st.sampled_from(["", "3.11", "3.12"]),
        st.dictionaries(NAMES, st.sampled_from(["", "1", "2"]), max_size=2),
        st.dictionaries(NAMES, st.sampled_from(["0" * 64, "1" * 64]), max_size=2),
    ),
)


@given(FLOWS)
def test_any_flow_is_the_same_as_itself(flow: Flow) -> None:
    assert compare(flow, flow).same


@given(FLOWS, FLOWS)
def test_flows_have_the_same_content_exactly_when_their_digests_are_equal(old: Flow, new: Flow) -> None:
    diff = compare(old, new)
    assert diff.same_content == (old.digest == new.digest)
    assert diff.same == (not diff.changes)


def test_of_steps_that_are_equal_each_is_renamed_for_itself() -> None:
    old, new = (Flow("a", steps=tuple(Step(name, "x = 1") for name in names)) for names in ("aa", "bc"))
    kinds = [(change.kind, change.name) for change in compare(old, new).changes]
    assert kinds.count(("renamed", "a")) == 2
    assert not {"added", "removed"} & {kind for kind, _ in kinds}


@given(FLOWS, FLOWS)
def test_what_was_added_one_way_was_removed_the_other_way(old: Flow, new: Flow) -> None:
    def names(diff: FlowDiff, kind: str) -> list[tuple[str, str]]:
        return sorted((change.part, change.name) for change in diff.changes if change.kind == kind)

    assert names(compare(old, new), "added") == names(compare(new, old), "removed")


HOSTILE = st.text(max_size=12) | st.sampled_from(
    ["\x1b[2Jx", "a\u202eb", "<script>", "\r", "\x9b31m", "\u2028"]
)


@given(HOSTILE, HOSTILE)
def test_nothing_that_a_terminal_obeys_is_in_the_text(one: str, two: str) -> None:
    def flow(text: str) -> Flow:
        return Flow(
            "a",
            description=text,
            parameters=(Parameter("p", text, text, text),),
            steps=(Step("s", f"x\n{text}", (text,)),),  # a step with such a name cannot be made
            closure=(Carried(text, "literal", text, type=text),),
            requirements=Requirements(text, {text: text}),
            location=text,
        )

    diff = compare(flow(one), flow(two))
    for text in (diff.to_text(), str(diff)):
        assert all(char.isprintable() or char in "\n\t" for char in text)
    assert all(char.isprintable() or char == "\t" for char in diff.summary())


# -- line by line

LINES = st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=12).map("\n".join)


@given(LINES, LINES)
def test_side_by_side_shows_every_changed_line_once(old: str, new: str) -> None:
    rows = side_by_side(old, new)
    assert (rows == []) == (old == new)
    for row in rows:
        if row.old_number is not None:
            assert old.split("\n")[row.old_number - 1] == row.old
        if row.new_number is not None:
            assert new.split("\n")[row.new_number - 1] == row.new
    changed = [row for row in rows if row.mark in ("changed", "added", "removed")]
    if old and new:
        added = sum(row.new_number is not None for row in changed)
        removed = sum(row.old_number is not None for row in changed)
        assert counts_text(old, new) == f"+{added} -{removed}"


def test_what_is_equal_far_from_a_change_is_a_gap() -> None:
    old = "\n".join(str(number) for number in range(30))
    rows = side_by_side(old, old.replace("15", "fifteen"))
    assert [row.mark for row in rows] == ["gap", *["same"] * 3, "changed", *["same"] * 3, "gap"]
    assert rows[4].old_number == rows[4].new_number == 16


def test_texts_that_would_take_too_long_are_counted_alone() -> None:
    old, new = "x\n" * (LIMIT + 1), "y\n" * (LIMIT + 2)
    assert [row.mark for row in side_by_side(old, new)] == ["gap"]
    assert "too long" in unified(old, new)[0]
    assert counts_text(old, new) == f"{LIMIT + 2} → {LIMIT + 3} lines"


def test_the_script_of_a_flow_reads_from_what_it_carries_to_its_steps() -> None:
    assert as_script(FLOW) == (
        "# co2\n\n"
        "# %% carried\nDATA = 'co2.csv'\ndef monthly(path):\n    return read(path)\n\n"
        "# %% parameters\nsince: date = date(1958, 1, 1)  # first month\nuntil: date | None = None\n\n"
        "# %% step load\nreadings = monthly(DATA)\nreadings = readings[since:until]\n\n"
        "# %% step report --out summary\nsummary = readings.mean()\n\n"
        "# %% captured with\n# Python 3.11.9\n# pandas 2.2.0\n"
    )


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (Change("step", "a", "removed", "3 lines"), "step a removed"),
        (Change("requirement", "pandas", "changed", "1 → 2"), "pandas: 1 → 2"),
        (Change("flow", "description", "changed"), "description changed"),
    ],
)
def test_a_change_is_a_few_words(change: Change, text: str) -> None:
    assert change.words == text
