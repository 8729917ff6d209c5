"""Flows run in the environments of other kernels, too: with the ipykernel and IPython that are there.

`make kernels` makes those environments. They are compared as `test_engine_likeness` compares: papermill's
standard engine starts that kernel, and the engine flownb forks it.
"""

from __future__ import annotations

import json
import sys
import venv
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat.v4 as v4
import pytest
from engine_likeness import (
    OWN,
    STANDARD,
    Known,
    corpus,
    differences,
    execute,
    parse_sample,
    read_sample,
    sorted_out,
)

from flownb import engine
from flownb.engine.observe import Observer
from flownb.errors import EnvironmentRefusedError

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from flownb.engine.ending import Ending

KERNELS = Path(__file__).parent.parent / ".kernels"

#: the ipykernel in each environment that `make kernels` makes
THERE = ("6.17.1", "6.29.5")

#: what depends most on the versions of ipykernel and IPython: how they print, show, remember and end
NOTEBOOKS = (
    "an-end-by-sys-exit-with-one",
    "awaiting-at-the-top-level",
    "comms-of-own-targets",
    "displays-updated-from-other-cells",
    "environment-and-folder",
    "history-of-a-run",
    "names-that-a-shell-keeps-of-inputs-and-results",
    "outputs-cleared",
    "processes-forked-by-hand",
    "streams-in-order-with-displays",
    "streams-replaced-and-not-put-back",
    "threads-that-print",
    "threads-that-print-in-later-cells",
    "warnings",
)

#: beside those that no kernel's version changes
DIFFERENCES = {
    "6.29.5": (
        Known("threads-that-print", "cells.5.outputs", "from 6.28 to 7.1 what a `Timer` prints may be lost"),
    ),
}


@pytest.fixture
def kernel(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have `python3` be the kernel of another environment; returns which."""
    python = KERNELS / request.param / "bin" / "python"
    assert python.exists(), "it is not there: `make kernels` makes it"
    install(python, tmp_path, monkeypatch)
    return str(request.param)


def install(
    python: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, module: str = "ipykernel_launcher"
) -> None:
    spec = folder / "share" / "kernels" / "python3"
    spec.mkdir(parents=True)
    argv = [str(python), "-m", module, "-f", "{connection_file}"]
    (spec / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "x", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(folder / "share"))


class Keeping(Observer):
    nb: NotebookNode

    def notebook_ended(self, nb: NotebookNode) -> None:
        self.nb = nb


def run(folder: Path, *sources: str) -> tuple[Ending, str]:
    """Run cells in the kernel `python3`; returns how that ended, and what was printed."""
    metadata = {"kernelspec": {"name": "python3", "display_name": "x", "language": "python"}}
    nb = v4.new_notebook(cells=[v4.new_code_cell(source) for source in sources], metadata=metadata)
    kept = Keeping()
    ending = engine.execute(nb, cwd=folder, observer=kept)
    outputs = [output for cell in kept.nb.cells for output in cell.outputs]
    return ending, "".join(output.text for output in outputs if output.output_type == "stream")


@pytest.mark.kernel
@pytest.mark.parametrize("kernel", THERE, indirect=True)
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_does_the_same_in_both_engines(name: str, kernel: str, tmp_path: Path) -> None:
    sample = read_sample(corpus()[name])
    outcomes = []
    for which in (STANDARD, OWN):
        (folder := tmp_path / which[:5]).mkdir()
        outcomes.append(execute(sample, which, folder))
    found, _ = sorted_out(name, differences(*outcomes), DIFFERENCES.get(kernel, ()))
    found, _ = sorted_out(name, found)
    assert not found, "\n".join(map(str, found))


@pytest.mark.kernel
@pytest.mark.parametrize("kernel", THERE, indirect=True)
def test_it_is_forked_there_with_what_the_notebook_imports(kernel: str, tmp_path: Path) -> None:
    look = "import sys, ipykernel, tornado; print(sys.prefix, ipykernel.__version__, hasattr(tornado, 'web'))"
    ending, printed = run(tmp_path, look, "import tornado.web")
    assert (ending.how, ending.engine, ending.notes) == ("success", "flownb", ())
    assert printed == f"{KERNELS / kernel} {kernel} True\n"


@pytest.mark.kernel
@pytest.mark.parametrize("kernel", THERE, indirect=True)
def test_the_garbage_collector_has_nothing_to_say(kernel: str, tmp_path: Path) -> None:
    ending, printed = run(tmp_path, "import gc, threading", "print(gc.collect() >= 0)")
    assert (ending.how, printed) == ("success", "True\n")


@pytest.mark.kernel
@pytest.mark.parametrize("module", ["ipykernel", "ipykernel.kernelapp"])
def test_a_kernel_that_is_started_without_the_launcher_keeps_its_first_folder(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(Path(sys.executable), tmp_path, monkeypatch, module)
    sample = parse_sample(
        "x",
        "# %%\nimport os, sys\n%mkdir below\n%cd -q below\n!echo 'V = 1' > ../beside.py\n"
        "# %%\nfrom beside import V\nsys.path, sys.argv[0], V",
    )
    outcomes = []
    for which in (STANDARD, OWN):
        (folder := tmp_path / which[:5]).mkdir()
        outcomes.append(execute(sample, which, folder))
    found = differences(*outcomes)
    assert not found, "\n".join(map(str, found))


@pytest.mark.kernel
def test_an_environment_without_ipykernel_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    venv.create(tmp_path / "bare", symlinks=True)
    install(tmp_path / "bare" / "bin" / "python", tmp_path, monkeypatch)
    with pytest.raises(EnvironmentRefusedError, match="No module named ipykernel_launcher"):
        run(tmp_path, "1")


@pytest.mark.kernel
def test_an_ipykernel_that_is_too_old_leaves_the_run_to_the_standard_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv.create(tmp_path / "older", symlinks=True)
    (packages,) = (tmp_path / "older" / "lib").glob("python3*/site-packages")
    here = [folder for folder in sys.path if folder.endswith("site-packages")]
    (packages / "others.pth").write_text("\n".join(here))
    (packages / "sitecustomize.py").write_text(
        "import ipykernel\nipykernel.version_info, ipykernel.__version__ = (6, 0, 3), '6.0.3'\n"
    )
    install(tmp_path / "older" / "bin" / "python", tmp_path, monkeypatch)
    ending, printed = run(tmp_path, "print('ran')")
    assert (ending.how, ending.engine, printed) == ("success", "nbclient", "ran\n")
    assert "it needs ipykernel 6.9 or newer, and this is 6.0.3" in ending.notes[0]
    assert "\n" not in ending.notes[0]
