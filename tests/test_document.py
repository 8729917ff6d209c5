"""The flow document: written, read back, edited by hand, damaged."""

from __future__ import annotations

import copy
import json
import math
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from flownb.document import dumps, from_dict, inject, loads, to_dict, to_notebook, whole_notebook
from flownb.errors import DocumentError, FlownbError
from flownb.flow import Carried, Flow, Parameter, Requirements, Step

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FLOW = Flow(
    "daily sales",
    description="Sales of a day.",
    parameters=(
        Parameter("day", "date", "date(2026, 1, 1)", "which day"),
        Parameter("market", "Market", "Market.EU"),
        Parameter("limit", "int"),
    ),
    steps=(
        Step(
            "load",
            "# read the rows\nrows = read(day, market)[:limit]\n",
            reads=("day", "limit", "market", "read"),
            binds=("rows",),
        ),
        Step("été", "total = sum(rows)", ("total",), reads=("rows",), binds=("total",)),
    ),
    closure=(
        Carried("date", "import", "from datetime import date", type="class", size=25),
        Carried("Enum", "import", "from enum import Enum"),
        Carried(
            "Market",
            "definition",
            'class Market(Enum):\n    EU = "EU"',
            reads=("Enum",),
            reads_first=("Enum",),
        ),
        Carried(
            "read", "definition", "def read(day, market):\n\n\n    return [1, 2, SCALE]", reads=("SCALE",)
        ),
        Carried("SCALE", "literal", "SCALE = 3"),
        Carried("model", "pickle", "# a model\nmodel = load(\n    'abc'\n)", identity="pickle:123", size=3),
        Carried("SCALE", "literal", "SCALE = 4", step="été"),
    ),
    requirements=Requirements("3.11.7", {"pandas": "3.0", "numpy": "2.4"}, {"mine": "ab12"}),
)


def roles(flow: Flow) -> list[str]:
    return [cell["metadata"]["flownb"]["role"] for cell in to_dict(flow)["cells"]]


def test_a_document_is_a_valid_notebook() -> None:
    nbformat.validate(to_notebook(FLOW))


def test_the_cells_come_in_the_order_in_which_they_can_run() -> None:
    assert roles(FLOW) == [
        "imports", "closure", "parameters", "coercion", "closure", "step", "closure", "step", "outputs",
    ]  # fmt: skip
    cells = to_dict(FLOW)["cells"]
    assert "class Market" in cells[1]["source"], "the type of a parameter comes before the parameters"
    assert cells[2]["metadata"]["tags"] == ["parameters"]
    assert cells[-1]["source"] == "display(total)"


def test_reading_gives_the_same_flow_back_and_writing_the_same_bytes() -> None:
    text = dumps(FLOW)
    back = loads(text, "it")
    assert back == FLOW
    assert back.closure == (*FLOW.closure[:2], FLOW.closure[2], *FLOW.closure[3:])
    assert back.steps == FLOW.steps
    assert (back.description, back.requirements, back.parameters) == (
        FLOW.description,
        FLOW.requirements,
        FLOW.parameters,
    )
    assert dumps(back) == text


def test_storage_environment_and_location_are_in_the_document() -> None:
    stored = replace(
        FLOW, storage={"kind": "notebook", "path": "a.ipynb"}, environment={"named": "night"}, location="x@1"
    )
    back = loads(dumps(stored), "it")
    assert (back.storage, back.environment, back.location) == (
        stored.storage,
        stored.environment,
        stored.location,
    )


def test_a_step_edited_in_jupyter_is_another_version() -> None:
    document = to_dict(FLOW)
    document["cells"][-2]["source"] = "total = max(rows)"
    back = from_dict(document)
    assert back.steps[1].source == "total = max(rows)"
    assert back.steps[1].reads == ("rows",)
    assert back != FLOW


def test_a_closure_edited_in_jupyter_is_read_by_its_statements() -> None:
    document = to_dict(FLOW)
    document["cells"][4]["source"] = (
        "SCALE = 5\n\n\ndef read(day, market):\n    return [SCALE]\n\nEXTRA = read(1, 2)"
    )
    back = from_dict(document)
    edited = {entry.name: entry.how for entry in back.closure if not entry.step}
    assert edited == {
        "date": "import",
        "Enum": "import",
        "Market": "definition",
        "SCALE": "statements",
        "read": "statements",
        "EXTRA": "statements",
    }


def test_a_pickle_edited_by_hand_loses_its_recorded_identity() -> None:
    document = to_dict(FLOW)
    document["cells"][4]["source"] = document["cells"][4]["source"].replace("'abc'", "'abd'")
    assert from_dict(document) != FLOW


def test_a_cell_added_by_hand_becomes_a_step() -> None:
    document = to_dict(FLOW)
    document["cells"].insert(
        -1, {"cell_type": "code", "metadata": {}, "source": "print(total)", "outputs": []}
    )
    assert [step.name for step in from_dict(document).steps] == ["load", "été", "cell-3"]


def test_a_newer_schema_is_refused_and_says_what_to_upgrade() -> None:
    document = to_dict(FLOW)
    document["metadata"]["flownb"]["schema"] = 99
    with pytest.raises(DocumentError, match=r"newer flownb.*upgrade"):
        from_dict(document)


def empty(**metadata: Any) -> str:
    return json.dumps({"cells": [], "nbformat": 4, "metadata": metadata})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[]", "not a notebook"),
        ('{"cells": 1, "nbformat": 4}', "not a notebook"),
        ('{"nbformat": 3, "worksheets": []}', "old format 3"),
        ('{"cells": [1], "nbformat": 4, "metadata": {}}', "cell 1 of it is not a cell"),
        ('{"cells": [{"cell_type": "code", "source": 5}], "nbformat": 4}', "cell 1 of it is not text"),
        ('{"cells": [], "nbformat": 4, "metadata": {}}', "not a flow document"),
        ("", "not a flow document"),
        ("[" * 100_000, "not JSON"),
        (empty(flownb={"schema": 1, "name": "a", "requirements": 3}), "damaged"),
        (empty(flownb={"schema": 1, "name": 7}), "damaged"),
        (empty(flownb={"schema": 1, "name": "a"}, kernelspec={"language": "R"}), "in r"),
    ],
)  # fmt: skip
def test_what_is_no_document_is_refused_with_a_reason(text: str, words: str) -> None:
    with pytest.raises(DocumentError, match=words):
        loads(text, "it")


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "{0} brace.ipynb"
    FLOW.write(path)
    before = path.read_bytes()
    assert Flow.read(path) == FLOW
    assert Flow.read(path).folder == tmp_path
    assert oct(path.stat().st_mode & 0o777) == oct(0o666 & ~_umask())
    FLOW.write(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]
    with pytest.raises(DocumentError, match="cannot be written"):
        FLOW.write(tmp_path / "missing" / "x.ipynb")
    with pytest.raises(DocumentError, match="there is no file"):
        Flow.read(tmp_path / "missing.ipynb")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def notebook(*cells: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def code(source: str, *tags: str) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "id": f"c{abs(hash(source))}"[:20],
        "metadata": {"tags": list(tags)},
        "source": source,
        "outputs": [],
        "execution_count": 3,
    }


def test_any_parameterised_notebook_is_a_flow_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "my report (1).ipynb"
    cells = [
        {"cell_type": "markdown", "id": "m", "metadata": {}, "source": "# Title"},
        code("import math"),
        code("radius = 2  # in cm\nname: str = 'x'", "parameters"),
        code("radius = 9", "injected-parameters"),
        code("math.pi * radius**2"),
    ]
    path.write_text(json.dumps(notebook(*cells)))
    flow = Flow.from_notebook(path)
    assert flow.name == "my report -1"
    assert [(p.name, p.default, p.help) for p in flow.parameters] == [
        ("radius", "2", "in cm"),
        ("name", "'x'", ""),
    ]
    assert [step.source for step in flow.steps] == ["import math", "math.pi * radius**2"]
    document = to_notebook(flow)
    nbformat.validate(document)
    assert [cell.source for cell in document.cells] == [cells[i]["source"] for i in (0, 1, 2, 4)]
    assert loads(dumps(flow), "it") == flow


def test_a_flow_document_taken_as_a_notebook_is_its_flow(tmp_path: Path) -> None:
    FLOW.write(tmp_path / "a.ipynb")
    assert whole_notebook(tmp_path / "a.ipynb") == FLOW


def test_a_large_notebook_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.ipynb"
    big = code("x = 1")
    big["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "y" * 100_000_000}]
    path.write_text(json.dumps(notebook(big)))
    assert [step.source for step in Flow.from_notebook(path).steps] == ["x = 1"]


def test_values_are_injected_behind_the_parameters_and_replace_older_ones() -> None:
    document = inject(to_notebook(FLOW), "limit = 5", {"limit": 5})
    again = inject(document, "limit = 6", {"limit": 6})
    nbformat.validate(again)
    tags = [cell.metadata.get("tags", []) for cell in again.cells]
    assert tags.count(["injected-parameters"]) == 1
    at = tags.index(["injected-parameters"])
    assert tags[at - 1] == ["parameters"]
    assert again.cells[at].source == "limit = 6"
    assert again.metadata.papermill.parameters == {"limit": 6}


def test_values_come_first_where_there_are_no_parameters() -> None:
    plain = nbformat.from_dict(notebook(code("x = 1")))
    assert inject(plain, "y = 2").cells[0].source == "y = 2"


_ODD: tuple[Any, ...] = (None, -1, math.inf, "", "\0", "def (", "<img>", "n" * 300, [], [None], {}, {"x": 1})


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from _places(item, (*path, key))


def test_a_document_that_anybody_changed_is_read_or_refused_and_shown_safely() -> None:
    from flownb.displays.flows import flow_card

    text = json.dumps(to_dict(FLOW))
    for place in _places(json.loads(text)):
        for odd in _ODD:
            changed = here = json.loads(text)
            for key in place[:-1]:
                here = here[key]
            here[place[-1]] = copy.deepcopy(odd)
            try:
                flow = from_dict(changed)
                assert flow.digest
                assert "<img" not in flow_card(flow).html, place
            except FlownbError:
                continue


def test_a_notebook_of_a_newer_format_is_refused() -> None:
    with pytest.raises(DocumentError, match="newer format 5"):
        loads('{"cells": [], "metadata": {}, "nbformat": 5}', "x")
