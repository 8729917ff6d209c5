"""Every notebook of the examples: it runs from top to bottom, and so does every flow in it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

import flownb

pytestmark = pytest.mark.kernel

EXAMPLES = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.rglob("*.ipynb"))


@pytest.fixture
def examples(project: Path) -> Path:
    """Copy the folder of the examples into a project of its own, without what was left there by runs."""
    leftovers = shutil.ignore_patterns(".flownb", ".ipynb_checkpoints", "__pycache__")
    return Path(shutil.copytree(EXAMPLES, project / "notebooks", ignore=leftovers))


def execute(path: Path) -> nbformat.NotebookNode:
    """Execute a notebook in a real kernel, as `jupyter execute` does, and save it with its outputs."""
    command = [sys.executable, "-m", "jupyter", "execute", "--inplace", "--allow-errors", str(path)]
    done = subprocess.run(command, cwd=path.parent, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return nbformat.read(path, as_version=4)


def problems(notebook: nbformat.NotebookNode) -> list[str]:
    return [
        f"{cell.source}\n{output.ename}: {output.evalue}"
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    ]


def flows(path: Path) -> dict[str, flownb.Flow]:
    storage = flownb.open_storage(path)
    return {name: storage.get_flow(location) for name, location in storage.flows.items()}


def frozen(flow: flownb.Flow) -> bool:
    return any(entry.how == "frozen" for entry in flow.closure)


def run_on_command_line(folder: Path, reference: str) -> None:
    command = [sys.executable, "-m", "flownb", "run", reference]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{reference}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_an_example_runs_and_its_flows_are_read_back_from_the_saved_file(name: str, examples: Path) -> None:
    path = examples / name
    from_source = flows(path)
    assert from_source, "an example shows at least one flow"

    executed = execute(path)
    assert problems(executed) == []

    from_record = flows(path)
    assert from_record.keys() == from_source.keys()
    for flow, recorded in from_record.items():
        # cells alone make a value again that was frozen in the kernel
        assert (recorded == from_source[flow]) is not frozen(recorded)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_flow_of_an_example_runs_on_the_command_line(name: str, examples: Path) -> None:
    for flow in flownb.open_storage(examples / name).flows:
        run_on_command_line(examples, f"{name}#{flow}")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_an_example_is_kept_without_outputs(name: str) -> None:
    notebook = nbformat.read(EXAMPLES / name, as_version=4)
    nbformat.validate(notebook)
    kept = [cell.id for cell in notebook.cells if cell.get("outputs") or cell.get("execution_count")]
    assert kept == []
