"""The engine `flownb` of papermill: a drop-in for its command and its function."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from engine_notebooks import notebook
from jupyter_client.kernelspec import NoSuchKernel
from nbclient.exceptions import CellTimeoutError, DeadKernelError

from flownb.engine.execute import execute
from flownb.engine.managed import NAME, ManagedEngine
from flownb.engine.plugin import FORKING, FlownbEngine

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.kernel


def run(folder: Path, source: nbformat.NotebookNode, output: str | None = "out.ipynb", **options: Any) -> Any:
    import papermill
    from papermill.engines import papermill_engines

    papermill_engines.register(FORKING, FlownbEngine)
    nbformat.write(source, folder / "in.ipynb")
    given = {"engine_name": FORKING, "progress_bar": False, "cwd": str(folder), **options}
    where = None if output is None else folder / output
    return papermill.execute_notebook(folder / "in.ipynb", where, **given)


def written(folder: Path) -> nbformat.NotebookNode:
    return nbformat.read(folder / "out.ipynb", as_version=4)


def test_a_notebook_runs_with_parameters_in_its_folder(tmp_path: Path) -> None:
    source = notebook("# text", ("n = 1", ["parameters"]), "import os\nprint(n, os.getcwd())")
    run(tmp_path, source, parameters={"n": 5})
    executed = written(tmp_path)
    assert executed.cells[3].outputs[0].text == f"5 {tmp_path}\n"
    assert [cell.metadata.papermill.status for cell in executed.cells] == ["completed"] * 4
    assert all(cell.metadata.papermill.duration is not None for cell in executed.cells)
    about = executed.metadata.papermill
    assert (about.exception, about.parameters, about.input_path) == (
        None,
        {"n": 5},
        str(tmp_path / "in.ipynb"),
    )
    nbformat.validate(executed)
    assert sorted(os.listdir(tmp_path)) == ["in.ipynb", "out.ipynb"]


def test_no_output_and_report_mode(tmp_path: Path) -> None:
    executed = run(tmp_path, notebook("1 + 1"), None, report_mode=True)
    assert executed.cells[0].outputs[0].data["text/plain"] == "2"
    assert executed.cells[0].metadata.jupyter.source_hidden is True
    assert os.listdir(tmp_path) == ["in.ipynb"]


def test_a_failing_cell_is_papermills_own_error(tmp_path: Path) -> None:
    from papermill.exceptions import PapermillExecutionError

    with pytest.raises(PapermillExecutionError, match="division by zero") as raised:
        run(tmp_path, notebook("x = 1", "1 / 0", "print('never')"))
    assert (raised.value.cell_index, raised.value.exec_count, raised.value.ename) == (
        1,
        2,
        "ZeroDivisionError",
    )
    executed = written(tmp_path)
    assert "An Exception was encountered" in executed.cells[0].source
    assert [
        cell.metadata.papermill.status for cell in executed.cells[1:] if "papermill" in cell.metadata
    ] == [
        "completed",
        "failed",
        "pending",
    ]


def test_a_dead_process_is_a_dead_kernel_and_the_notebook_says_so(tmp_path: Path) -> None:
    with pytest.raises(DeadKernelError, match="Kernel died: the kernel ended with status 3"):
        run(tmp_path, notebook("print('so far')", "import os; os._exit(3)"))
    executed = written(tmp_path)
    assert executed.cells[0].outputs[0].text == "so far\n"
    assert executed.cells[1].metadata.papermill.status == "failed"


def test_a_cell_that_takes_too_long_is_papermills_timeout(tmp_path: Path) -> None:
    with pytest.raises(CellTimeoutError, match="after 1"):
        run(tmp_path, notebook("import time; time.sleep(60)"), execution_timeout=1)
    assert written(tmp_path).cells[0].metadata.papermill.status == "failed"


def test_leaving_well_is_no_error(tmp_path: Path) -> None:
    run(tmp_path, notebook("import sys; sys.exit(0)", "print('never')"))
    assert written(tmp_path).cells[1].execution_count is None


def test_what_is_printed_goes_to_log_and_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    out, err = io.StringIO(), io.StringIO()
    with caplog.at_level(logging.INFO, "papermill"):
        run(
            tmp_path,
            notebook("# text", "import sys\nprint('one')\nprint('two', file=sys.stderr)\n40 + 2"),
            log_output=True,
            stdout_file=out,
            stderr_file=err,
        )
    assert (out.getvalue(), err.getvalue()) == ("one\n", "two\n")
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    begin = told.index(("INFO", "Executing notebook with kernel: python3"))
    assert [text.rstrip("-") for _, text in told[begin:]] == [
        "Executing notebook with kernel: python3",
        "Executing Cell 1",
        "Ending Cell 1",
        "Executing Cell 2",
        "one\n",
        "two\n",
        "42",
        "Ending Cell 2",
    ]
    assert told[begin + 5][0] == "WARNING"


def test_a_progress_bar_counts_the_cells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(
        tmp_path, notebook("# text", "1", "# papermill_description=Last\n2"), progress_bar={"desc": "Working"}
    )
    told = capsys.readouterr().err
    assert "Working" in told
    assert "3/3" in told


def test_the_notebook_is_kept_up_while_it_runs_also_for_a_relative_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import papermill

    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    source = (
        "print('so far', flush=True)\n"
        "import json, time\n"
        "while True:\n"
        "    try:\n"
        "        seen = json.load(open('../out.ipynb'))['cells'][0]\n"
        "        if seen['outputs']: break\n"
        "    except FileNotFoundError: pass\n"
        "    time.sleep(0.02)\n"
        "print(seen['metadata']['papermill']['status'])"
    )
    nbformat.write(notebook(source), "in.ipynb")
    papermill.execute_notebook(
        "in.ipynb",
        "out.ipynb",
        engine_name=FORKING,
        progress_bar=False,
        cwd="elsewhere",
        execution_timeout=60,
    )
    assert written(tmp_path).cells[0].outputs[0].text == "so far\nrunning\n"
    assert os.listdir("elsewhere") == []


def test_a_folder_that_is_not_there_is_told_before_anything_runs(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    with pytest.raises(FileNotFoundError, match="output folder"):
        run(tmp_path, notebook(f"open({str(ran)!r}, 'w')"), "gone/out.ipynb")
    assert not ran.exists()


STANDARD = """
import papermill
options = {"engine_name": "flownb", "progress_bar": False, "coalesce_streams": True}
papermill.execute_notebook("in.ipynb", "out.ipynb", **options)
"""


def test_what_it_cannot_do_papermills_standard_engine_does_and_the_log_says_so(tmp_path: Path) -> None:
    nbformat.write(notebook("print('here')"), tmp_path / "in.ipynb")
    # in a process of its own: papermill's standard engine leaves sockets open
    done = subprocess.run(
        [sys.executable, "-c", STANDARD], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert written(tmp_path).cells[0].outputs[0].text == "here\n"
    assert "'flownb' cannot: it does not know the option 'coalesce_streams'" in done.stderr


def test_nbclients_options_are_honoured(tmp_path: Path) -> None:
    run(tmp_path, notebook("1 / 0", "2"), None, allow_errors=True, record_timing=False, prepare_only=True)
    source = notebook("import json\njson.loads('x')", "print('on')")
    from papermill.exceptions import PapermillExecutionError

    with pytest.raises(PapermillExecutionError, match="JSONDecodeError"):  # papermill looks for errors itself
        run(tmp_path, source, allow_error_names=["JSONDecodeError"], record_timing=False)
    assert written(tmp_path).cells[-1].outputs[0].text == "on\n"
    assert "execution" not in written(tmp_path).cells[-1].metadata


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def call(*words: str) -> subprocess.CompletedProcess[str]:
        program = str(Path(sys.executable).with_name("papermill"))
        return subprocess.run(
            [program, "--engine", FORKING, *words], cwd=tmp_path, capture_output=True, text=True, check=False
        )

    return call


def test_the_command_runs_it(command: Callable[..., Any], tmp_path: Path) -> None:
    nbformat.write(notebook(("a = 0", ["parameters"]), "print(a)"), tmp_path / "in.ipynb")
    done = command("in.ipynb", "out.ipynb", "-p", "a", "1")
    assert done.returncode == 0, done.stderr
    assert "3/3" in done.stderr
    assert written(tmp_path).cells[2].outputs[0].text == "1\n"
    done = command("in.ipynb", "-", "--no-progress-bar", "--no-request-save-on-cell-execute")
    assert json.loads(done.stdout)["cells"][1]["outputs"][0]["text"] == ["0\n"]


def test_the_command_tells_a_dead_process_by_its_status(command: Callable[..., Any], tmp_path: Path) -> None:
    nbformat.write(notebook("import os; os.kill(os.getpid(), 9)"), tmp_path / "in.ipynb")
    done = command("in.ipynb", "out.ipynb", "--no-progress-bar")
    assert done.returncode == 138
    assert "DeadKernelError" in done.stderr


def test_its_module_is_light() -> None:
    code = (
        "import sys, flownb.engine.plugin; "
        "print(sorted({'papermill', 'nbclient', 'nbformat', 'zmq', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("engine", [FORKING, NAME])
def test_a_kernel_is_found_or_missing_as_with_papermills_standard_engine(tmp_path: Path, engine: str) -> None:
    from papermill.engines import papermill_engines

    papermill_engines.register(NAME, ManagedEngine)
    source = notebook("print('ran')")
    source.metadata.kernelspec = {"name": "python", "display_name": "Python", "language": "python"}
    for name in ("nbclient", engine):  # jupyter_client takes it for Python's own kernel
        executed = run(tmp_path, source, engine_name=name)
        assert executed.cells[0].outputs[0].text == "ran\n"
    for name in ("nbclient", engine):
        with pytest.raises(NoSuchKernel, match="No such kernel named fortran"):
            run(tmp_path, source, engine_name=name, kernel_name="fortran")


@pytest.mark.parametrize("engine", [FORKING, "nbclient"])
def test_pythons_own_kernel_by_its_other_name(tmp_path: Path, engine: str) -> None:
    ending = execute(notebook("1 + 1"), engine=engine, kernel="python", cwd=tmp_path)
    assert (ending.how, ending.notes) == ("success", ())
