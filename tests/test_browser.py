"""flownb in a real JupyterLab: what people see, and what the saved file holds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from chromium import find_chromium
from lab import LabNotebook, LabServer, chromium_page, outputs_of, plain_notebook

import flownb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

EXAMPLES = Path(__file__).parent.parent / "notebooks"
FLOW = "application/vnd.flownb.flow+json"

pytestmark = pytest.mark.browser


@pytest.fixture
def lab(project: Path, tmp_path: Path, free_port: int) -> Iterator[LabServer]:
    with LabServer(project, tmp_path / "jupyter", free_port) as server:
        yield server


@pytest.fixture
def page() -> Iterator[Page]:
    executable = find_chromium()
    if executable is None:
        pytest.fail("no Chromium here: `make test` installs one, FLOWNB_CHROMIUM names another")
    with chromium_page(executable) as page:
        yield page


def test_lab_runs_a_plain_notebook_and_saves_what_it_shows(lab: LabServer, page: Page) -> None:
    (lab.root / "plain.ipynb").write_text(json.dumps(plain_notebook("x = 1", "x + 1")))
    notebook = LabNotebook(lab, page, "plain.ipynb")

    notebook.run_all()
    assert notebook.output_texts() == ["", "[2]:\n2"]
    assert [bundle["text/plain"] for bundle in outputs_of(notebook.save())] == [["2"]]
    assert notebook.evaluate("x") == "1"
    notebook.screenshot("plain")

    notebook.clear_outputs()
    assert outputs_of(notebook.save()) == []


def test_flows_are_read_back_from_the_saved_example_and_from_its_source(lab: LabServer, page: Page) -> None:
    for name in ("co2.ipynb", "data"):
        copy = shutil.copytree if (EXAMPLES / name).is_dir() else shutil.copy
        copy(EXAMPLES / name, lab.root / name)
    notebook = LabNotebook(lab, page, "co2.ipynb")

    notebook.run_all()
    notebook.screenshot("co2-after-running")
    saved = notebook.save()
    assert errors_in(saved) == []
    assert shown_below(notebook, "outputs").splitlines()[-1].startswith("2001")

    live = notebook.evaluate("run.record.digest").strip("'")
    assert [cell["id"] for cell in saved["cells"] if has_record(cell)] == ["load", "report"]
    assert stored_digest(notebook.file) == live

    notebook.clear_outputs()
    assert outputs_of(notebook.save()) == []
    assert stored_digest(notebook.file) == live

    storage = flownb.open_storage(notebook.file)
    run = flownb.LocalEnvironment().execute(storage, storage.flows["co2"], {"since": "1990-01-01"})
    run.raise_for_state()
    assert list(run.outputs["summary"].index) == list(range(1990, 2002))


def stored_digest(path: Path) -> str:
    storage = flownb.open_storage(path)
    assert set(storage.flows) == {"co2"}
    return str(storage.get_flow(storage.flows["co2"]).digest)


def has_record(cell: dict[str, Any]) -> bool:
    return any(FLOW in output.get("data", {}) for output in cell.get("outputs", []))


def errors_in(notebook: dict[str, Any]) -> list[str]:
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    return [
        f"{output['ename']}: {output['evalue']}" for output in outputs if output["output_type"] == "error"
    ]


def shown_below(notebook: LabNotebook, cell_id: str) -> str:
    cells = [cell["id"] for cell in notebook.read()["cells"]]
    return notebook.output_texts()[cells.index(cell_id)]
