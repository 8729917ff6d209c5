"""Defaults that read other parameters: made of what is given, wherever the flow runs."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from parameter_flows import entries, executed, flow_of, flow_with, running

from flownb.document import dumps, from_dict, loads, to_dict
from flownb.errors import ParameterError
from flownb.flow import Flow, Parameter, Step
from flownb.parameters import split_leading

if TYPE_CHECKING:
    from pathlib import Path

WEEK = (
    "start: date = date(2026, 1, 1)\nend: date = start + timedelta(7)\nlast: date = end + timedelta(days=1)"
)
FUNCTIONS = "def after():\n    return more(1)\ndef more(n):\n    return start + timedelta(n)\n"

#: the cell, what is given, and what a name is then
DERIVED: list[tuple[str, dict[str, Any], str, Any]] = [
    (WEEK, {}, "end", dt.date(2026, 1, 8)),
    (WEEK, {"start": "2020-01-01"}, "end", dt.date(2020, 1, 8)),
    (WEEK, {"start": "2020-01-01"}, "last", dt.date(2020, 1, 9)),
    (WEEK, {"start": "2020-01-01", "end": "2021-01-01"}, "last", dt.date(2021, 1, 2)),
    (WEEK, {"end": "2021-01-01"}, "start", dt.date(2026, 1, 1)),
    ("start: date\nend: date = start + timedelta(7)", {"start": "2020-01-01"}, "end", dt.date(2020, 1, 8)),
    ("a: int = 1\nb: int = (\n    a  # one\n    + 1\n)", {"a": "5"}, "b", 6),
    ("a: int = 1\nb: list[int] = [a for a in (a, 7)]", {"a": "5"}, "b", [5, 7]),
    ("a: int = 1\nb: str = f'{a:03}'", {"a": "5"}, "b", "005"),
    ("a: int = 1\nb: str = '''x\n{}'''.format(a)", {"a": "5"}, "b", "x\n5"),
    ("a: int = 1\nb: Any = a if a > 3 else None", {"a": "5"}, "b", 5),
    ("a: int = 1\nb = a + 1\nc: int = b + 1", {"a": "5"}, "a", 5),
    ("größe: int = 1\nb: int = größe", {"größe": "5"}, "b", 5),
    ("a: int = 1; b: int = a", {"a": "5"}, "b", 5),
    ("a: PositiveInt = 1\nb: Annotated[int, Field(le=2 * a)] = a + 1", {"a": "5"}, "b", 6),
    ("token: Secret = Secret('x')\nhead: str = 'Bearer ' + token", {}, "head", "Bearer x"),
]  # fmt: skip


@pytest.mark.parametrize(("cell", "given", "name", "value"), DERIVED)
def test_a_default_is_made_of_what_is_given(cell: str, given: dict[str, Any], name: str, value: Any) -> None:
    flow = running(cell)
    assert executed(flow, given, text=True)[name] == value
    values = {key: int(text) if text.isdigit() else text for key, text in given.items()}
    assert flow.run(**values)["result"].get(name, value) == value


def test_a_secret_that_is_given_makes_a_default() -> None:
    flow = running("token: Secret = Secret('x')\nhead: str = 'Bearer ' + token")
    assert flow.run(token="y")["result"]["head"] == "Bearer y"


def test_a_function_that_reads_a_parameter_makes_a_default_derived() -> None:
    cell = "start: date = date(2026, 1, 1)\nend: date = after()"
    flow = running(cell, definitions=FUNCTIONS)
    assert executed(flow, {"start": dt.date(2020, 1, 1)})["end"] == dt.date(2020, 1, 2)
    assert flow.run(start="2020-01-01")["result"]["end"] == dt.date(2020, 1, 2)


@pytest.mark.parametrize(
    "default", ["len('x')", "LIMIT", "[b for b in (1,)]", "(lambda a: a)(1)", "max(1, 2)"]
)
def test_a_default_that_reads_no_parameter_stays_where_it_is_declared(default: str) -> None:
    cells = to_dict(flow_of(f"a: int = 1\nb: Any = {default}"))["cells"]
    (parameters,) = [cell for cell in cells if cell["metadata"]["flownb"]["role"] == "parameters"]
    assert parameters["source"] == f"a: int = 1\nb: Any = {default}"


def test_a_function_that_is_changed_later_is_still_known() -> None:
    definitions = "def after():\n    return start + timedelta(1)\nafter.unit = 'day'\n"
    flow = running("start: date = date(2026, 1, 1)\nend: date = after()", definitions=definitions)
    assert flow.run(start="2020-01-01")["result"]["end"] == dt.date(2020, 1, 2)


def test_the_document_reads_and_holds_the_default_behind_the_values() -> None:
    sources = {cell["id"]: cell["source"] for cell in to_dict(running(WEEK + "  # the last day"))["cells"]}
    assert sources["parameters"] == (
        "start: date = date(2026, 1, 1)\n"
        "# by default, made below: start + timedelta(7)\nend: date = ...\n"
        "# by default, made below: end + timedelta(days=1)\nlast: date = ...  # the last day"
    )
    assert sources["coercion"].endswith(
        "# Defaults of what was not given.\n"
        "if end is ...:\n    end = start + timedelta(7)\n"
        "if last is ...:\n    last = end + timedelta(days=1)"
    )


@pytest.mark.parametrize("cell", [*dict.fromkeys(case[0] for case in DERIVED), "x: Any = ...\ny: Any = x"])
def test_reading_a_document_gives_the_declarations_back(cell: str) -> None:
    flow = running(cell)
    back = loads(dumps(flow), "it")
    assert back.parameters == flow.parameters
    assert back.digest == flow.digest
    assert dumps(back) == dumps(flow)


def test_the_cells_are_the_truth_where_somebody_edits_them() -> None:
    document = to_dict(running(WEEK))
    cells = {cell["id"]: cell for cell in document["cells"]}
    cells["coercion"]["source"] = cells["coercion"]["source"].replace("timedelta(7)", "timedelta(30)")
    assert [p.default for p in from_dict(document).parameters][1] == "start + timedelta(30)"
    cells["parameters"]["source"] = cells["parameters"]["source"].replace(
        "end: date = ...", "end: date = None"
    )
    assert [p.default for p in from_dict(document).parameters][1] == "None"


# -- declarations that are wrong ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("end: date = start + timedelta(7)\nstart: date = date(2026, 1, 1)", "`end` reads `start`, which"),
        ("a: int = a + 1", "`a` reads `a` itself: give the value that is meant another name"),
        ("a: int = b\nb: int = 1", "`a` reads `b`, which is declared below it; declare `b` first"),
        ("a: int = 1\nb: int = a + c\nc: int = 2", "`b` reads `c`"),
        ("a: list = [b for x in (1,)]\nb: int = 1", "`a` reads `b`"),
        ("a: str = f'{b}'\nb: int = 1", "`a` reads `b`"),
    ],
)
def test_a_default_that_reads_what_is_declared_below_is_refused(cell: str, words: str) -> None:
    with pytest.raises(ParameterError) as caught:
        split_leading(cell + "\nx = 1")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "cell",
    ["a: Any = lambda: b\nb: int = 1", "a: Any = [b for b in (1,)]\nb: int = 1", "a: int = 1\nb: int = a"],
)
def test_what_is_read_later_or_is_another_name_is_not_refused(cell: str) -> None:
    assert len(split_leading(cell).parameters) == 2


# -- notebooks taken whole ------------------------------------------------------------------------------


def whole(*cells: str, declaring: str) -> Flow:
    """A notebook's flow: cells, the one that declares, and one that shows nothing."""
    made = [*cells, declaring, "done = True"]
    notebook = {
        "cells": [
            {
                "cell_type": "code",
                "id": f"c{number}",
                "metadata": {"tags": ["parameters"]} if source == declaring else {},
                "outputs": [],
                "execution_count": None,
                "source": source,
            }
            for number, source in enumerate(made)
        ],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    from flownb.document.reading import _whole

    return _whole(notebook, "plain")


DATES = "from datetime import date, timedelta\n"

#: cells above, the declaring cell, what is given, what is bound then
WHOLE: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("", DATES + "start = date(2026, 1, 1)\nend = start + timedelta(7)", {"start": "2020-01-01"},
     {"end": dt.date(2020, 1, 8)}),
    ("", "a = 1\nb = a + 1\nc = b + 1", {"a": "5"}, {"b": 6, "c": 7}),
    ("", "a = 1\nb = a + 1\nc = b + 1", {"a": "5", "b": "50"}, {"b": 50, "c": 51}),
    ("", "n = 5\nscale = 1\nn = n * scale", {"scale": "3"}, {"n": 15}),
    ("", "a = 1\nrows = []\nrows.append(a)", {"a": "5"}, {"rows": [5]}),
    ("", "a = 1\nif a > 3:\n    b = 'many'\nelse:\n    b = 'few'", {"a": "5"}, {"b": "many"}),
    ("", "a, b = 1, 2\nc = a + b", {"a": "5"}, {"a": 5, "b": 2, "c": 7}),
    ("", "a = 1\nfor a_, b in [(a, 2)]:\n    c = a_ + b", {"a": "5"}, {"c": 7}),
    ("def double():\n    return a * 2", "a = 1\nb = double()", {"a": "5"}, {"b": 10}),
    ("def once():\n    return a\ndef double():\n    return once() * 2", "a = 1\nb = double()", {"a": "5"},
     {"b": 10}),
    ("", "a = 1\ndef double():\n    return a * 2\nb = double()", {"a": "5"}, {"b": 10}),
    ("", "a = 1\nb, c = a, 2\nd = c", {"a": "5", "c": "7"}, {"b": 5, "c": 7, "d": 7}),
    ("", "a = 1\nb = 2", {"a": "5"}, {"b": 2}),
]  # fmt: skip


@pytest.mark.parametrize(("above", "declaring", "given", "bound"), WHOLE)
def test_a_notebook_taken_whole_makes_its_defaults_of_what_is_given(
    above: str, declaring: str, given: dict[str, Any], bound: dict[str, Any]
) -> None:
    flow = whole(*([above] if above else []), declaring=declaring)
    scope = executed(flow, given, text=True)
    assert {name: scope[name] for name in bound} == bound
    assert not [name for name in scope if name.startswith("__flownb")]


def test_a_notebook_taken_whole_is_as_it_was_where_nothing_follows_from_the_values() -> None:
    from flownb.environments.plan import Plan

    flow = whole(declaring="a = 1\nb = 2")
    assert [cell.source for cell in Plan(flow, {}).notebook.cells] == ["a = 1\nb = 2", "done = True"]
    cells = Plan(flow, {"a": 5}).notebook.cells
    assert [cell.source for cell in cells] == ["a = 1\nb = 2", "a = 5", "done = True"]


def test_a_notebook_taken_whole_runs_here_too() -> None:
    flow = whole("seen = []", declaring=DATES + "start = date(2026, 1, 1)\nend = start + timedelta(7)")
    asking = Step("ask", "x")
    assert asking not in flow.steps
    cells = [
        *flow.notebook["cells"][:-1],
        {**flow.notebook["cells"][-1], "source": "assert end.year == 2020"},
    ]
    asked = replace(flow, notebook={**flow.notebook, "cells": cells})
    assert asked.run(start=dt.date(2020, 1, 1)) == {}
    with pytest.raises(AssertionError):
        asked.run()


def test_imports_of_the_declaring_cell_are_the_notebooks() -> None:
    flow = whole(declaring="from datetime import date\nsince: date = date(2020, 1, 1)")
    assert executed(flow, {"since": "1990-01-31"}, text=True)["since"] == dt.date(1990, 1, 31)
    with pytest.raises(ParameterError, match="`since` takes a date; it was given 'soon'"):
        executed(flow, {"since": "soon"}, text=True)
    from flownb.parameters import render_assignments

    assert render_assignments({"since": dt.date(1990, 1, 31)}, flow) == "since = date(1990, 1, 31)"


def test_parameters_of_several_cells_are_ordered_as_the_cells_are(tmp_path: Path) -> None:
    from flownb.errors import FlownbError
    from flownb.storage import NotebookStorage

    flow = flow_with(
        Parameter("a", "int", "1"), steps=(Step("x", "x = a"),), closure=entries("import math\n")
    )
    storage = NotebookStorage(tmp_path / "a.ipynb")
    storage.add_flow(flow)
    import json

    notebook = json.loads((tmp_path / "a.ipynb").read_text())
    for source in ("%%flow later.one\nb: int = a + 1\nx = b", "%%flow later.two\na: int = 1\ny = a + x"):
        notebook["cells"].append(
            {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": source}
        )
    (tmp_path / "a.ipynb").write_text(json.dumps(notebook))
    with pytest.raises(FlownbError, match="`b` reads `a`, which is declared below it"):
        storage.get_flow("later")
