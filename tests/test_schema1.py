"""Documents and records of schema 1, as flownb wrote them before, are read and run as they are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from flownb.environments import LocalEnvironment
from flownb.flow import Flow
from flownb.storage import open_storage

WRITTEN = Path(__file__).parent / "schema1"
OUTPUTS = {"old": {"total": 95.965, "said": "L since 2026-01"}, "single": {"result": [5, 6, 9]}}


@pytest.fixture
def captured(project: Path) -> Path:
    return Path(shutil.copy(WRITTEN / "captured.ipynb", project))


def digest_of(path: Path) -> str:
    digest: str = json.loads(path.read_text())["metadata"]["flownb"]["digest"]
    return digest


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_document_keeps_its_digest_and_its_layout(name: str, project: Path) -> None:
    flow = Flow.read(WRITTEN / f"{name}.ipynb")
    assert flow.of_schema_1
    assert flow.digest == digest_of(WRITTEN / f"{name}.ipynb")
    assert flow.run() == OUTPUTS[name]
    flow.write(project / "again.ipynb")
    old, again = (
        json.loads(path.read_text()) for path in (WRITTEN / f"{name}.ipynb", project / "again.ipynb")
    )
    assert [cell["source"] for cell in again["cells"]] == [cell["source"] for cell in old["cells"]]
    assert again["metadata"]["flownb"]["schema"] == 1
    assert Flow.read(project / "again.ipynb") == flow


@pytest.mark.parametrize("name", OUTPUTS)
def test_records_of_a_notebook_are_what_runs(name: str, captured: Path) -> None:
    storage = open_storage(captured)
    flow = storage.get_flow(name)
    assert flow.digest == digest_of(WRITTEN / f"{name}.ipynb")
    assert flow.run() == OUTPUTS[name]
    assert not storage.notes(flow)


@pytest.mark.kernel
@pytest.mark.parametrize("name", OUTPUTS)
def test_they_run_in_an_environment(name: str, captured: Path) -> None:
    run = LocalEnvironment().execute(open_storage(captured), name)
    run.raise_for_state()
    assert dict(run.outputs) == OUTPUTS[name]
    given: dict[str, Any] = {"factor": 1, "size": "S"} if name == "old" else {"n": 1}
    run = LocalEnvironment().execute(open_storage(captured), name, given)
    run.raise_for_state()
    assert dict(run.outputs) == (
        {"total": 51.982, "said": "S since 2026-01"} if name == "old" else {"result": [5]}
    )


def test_an_edited_cell_is_captured_from_the_source(captured: Path) -> None:
    notebook = json.loads(captured.read_text())
    cell = next(cell for cell in notebook["cells"] if "flow single" in "".join(cell["source"]))
    cell["source"] = "".join(cell["source"]).replace("i * i", "i")
    captured.write_text(json.dumps(notebook))
    storage = open_storage(captured)
    flow = storage.get_flow("single")
    assert not flow.of_schema_1
    assert flow.run() == {"result": [5, 6, 7]}
    assert "are not of its cells as they are now" in storage.notes(flow)[0]
    assert storage.get_flow("old").of_schema_1


def test_the_same_flow_captured_anew_gives_the_same(captured: Path) -> None:
    notebook = json.loads(captured.read_text())
    for cell in notebook["cells"]:
        cell.update(outputs=[], execution_count=None)
    captured.write_text(json.dumps(notebook))
    for name, outputs in OUTPUTS.items():
        flow = open_storage(captured).get_flow(name)
        assert not flow.of_schema_1
        assert flow.run() == outputs
