"""What the engine is to papermill: a plug-in for its command line, and the way to its other engines."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import nbformat
import pytest
from engine_notebooks import notebook, watched

from flownb.engine import Ending, Limits, Secrets
from flownb.errors import EnvironmentRefusedError

pytestmark = pytest.mark.kernel

ENGINES = """
import os
from nbformat.v4 import new_output
from papermill.engines import Engine, NBClientEngine

class Own(NBClientEngine):
    pass

class Whole:
    @classmethod
    def execute_notebook(cls, nb, kernel_name, **options):
        print("noise on standard output")
        for cell in nb.cells:
            text = os.getcwd() + " " + os.environ["NAME"]
            cell.outputs = [new_output("stream", name="stdout", text=text)]
        return nb

class Bad(Engine):
    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, **options):
        raise RuntimeError("no luck")
"""


@pytest.fixture
def engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a distribution that brings papermill three engines: own, whole, bad."""
    site = tmp_path / "site"
    about = site / "strange_engines-1.0.dist-info"
    about.mkdir(parents=True)
    (site / "strange_engines.py").write_text(ENGINES)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: strange-engines\nVersion: 1.0\n")
    points = "\n".join(f"{name.lower()} = strange_engines:{name}" for name in ("Own", "Whole", "Bad"))
    (about / "entry_points.txt").write_text(f"[papermill.engine]\n{points}\n")
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", str(site))
    return tmp_path


def test_another_engine_runs_in_a_child_of_its_own_and_fails_truthfully(engines: Path) -> None:
    ending, watch = watched(
        "import os; print(os.getcwd())", "1/0", "print('never')", engine="own", cwd=engines
    )
    assert (ending.how, ending.cell, ending.reason) == ("failed", 1, "ZeroDivisionError: division by zero")
    assert ending.error is not None
    assert ending.error.source_line == "1/0"
    assert "outputs are not collected" in ending.notes[0]
    assert watch.text(0) == f"{engines}\n"
    assert watch.statuses == ["completed", "failed", "pending"]


def test_another_engine_is_stopped_and_its_dead_kernel_told(engines: Path) -> None:
    ending, watch = watched("import time; time.sleep(60)", engine="own", limits=Limits(step_timeout=0.5))
    assert (ending.how, ending.limit, watch.enames) == ("timed out", "step", ["TimedOut"])
    ending, watch = watched("1", "import os; os._exit(3)", engine="own")
    assert (ending.how, ending.cell, watch.statuses) == ("died", 1, ["completed", "failed"])


def test_an_engine_that_keeps_its_own_books_is_believed(engines: Path) -> None:
    ending, watch = watched("1", engine="whole", cwd=engines, env={"NAME": "x"})
    assert ending.how == "success"
    assert watch.text(0) == f"{engines} x"
    assert watch.pieces == [f"{engines} x"]


def test_an_engine_that_breaks_is_a_failure_with_its_words(engines: Path) -> None:
    ending, _ = watched("1", engine="bad")
    assert (ending.how, ending.reason) == ("failed", "RuntimeError: no luck")


def test_another_engine_is_given_no_secrets(engines: Path) -> None:
    with pytest.raises(EnvironmentRefusedError, match="'own' cannot be given secret parameters"):
        watched("1", engine="own", secrets=Secrets("x = 'y'", ("y",)))


def papermill(source: nbformat.NotebookNode, folder: Path, **options: object) -> Path:
    from papermill import execute_notebook
    from papermill.engines import papermill_engines

    from flownb.engine.managed import NAME, ManagedEngine

    papermill_engines.register(NAME, ManagedEngine)
    out = folder / "out.ipynb"
    nbformat.write(source, folder / "in.ipynb")
    execute_notebook(
        folder / "in.ipynb", out, engine_name=NAME, progress_bar=False, cwd=str(folder), **options
    )
    return out


def test_papermill_itself_can_use_the_engine(tmp_path: Path) -> None:
    source = notebook(("n = 1", ["parameters"]), "import os\nprint(n, os.getcwd())")
    executed = nbformat.read(papermill(source, tmp_path, parameters={"n": 5}), as_version=4)
    assert executed.cells[2].outputs[0].text == f"5 {tmp_path}\n"
    assert [cell.metadata.papermill.status for cell in executed.cells] == ["completed"] * 3
    nbformat.validate(executed)


def test_papermill_hears_of_errors_as_it_is_used_to(tmp_path: Path) -> None:
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    with pytest.raises(PapermillExecutionError, match="division by zero"):
        papermill(notebook("1/0"), tmp_path)
    with pytest.raises(DeadKernelError, match="ended with status 3"):
        papermill(notebook("import os; os._exit(3)"), tmp_path)
    told = json.loads((tmp_path / "out.ipynb").read_text())
    assert told["cells"][0]["metadata"]["papermill"]["status"] == "failed"
    with pytest.raises(CellTimeoutError):
        papermill(notebook("import time; time.sleep(60)"), tmp_path, execution_timeout=1)
    assert Path.cwd() != tmp_path
    assert sorted(os.listdir(tmp_path)) == ["in.ipynb", "out.ipynb"]


def test_papermill_may_be_called_where_an_event_loop_runs(tmp_path: Path) -> None:
    from papermill.exceptions import PapermillExecutionError

    async def a_cell_of_a_notebook() -> None:
        papermill(notebook("6 * 7", "1/0"), tmp_path)

    with pytest.raises(PapermillExecutionError, match="division by zero"):
        asyncio.run(a_cell_of_a_notebook())
    executed = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    assert executed.cells[1].outputs[0].data["text/plain"] == "42"  # below what papermill says of the error


def test_an_interrupt_while_papermill_waits_ends_the_kernel_and_is_raised(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        papermill(notebook("import os, time\nos.kill(os.getppid(), 2)\ntime.sleep(60)"), tmp_path)
    told = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    assert told.cells[0].metadata.papermill.status == "failed"


def test_the_engines_module_is_light() -> None:
    import subprocess
    import sys

    code = (
        "import sys, flownb.engine.managed; "
        "print(sorted({'papermill', 'nbclient', 'zmq', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_ending_of_plain_success_has_no_notes() -> None:
    assert Ending("success").notes == ()
