"""Limits hold from a run's start, whatever takes the time, and the time of a run is accounted for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest
from polling import lives, poll

from flownb.displays.run import run_card
from flownb.environments.times import Times
from flownb.runs.project import Project
from flownb.runs.states import State
from flownb.runs.store import RecordStore

if TYPE_CHECKING:
    from flownb.runs.record import RunRecord

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.kernel


@pytest.fixture
def slowly(project: Path, tmp_path: Path) -> Path:
    """Install a module whose import takes as long as SLOWLY says, and return a notebook with it."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = tmp_path / "user" / "lib" / version / "site-packages"
    packages.mkdir(parents=True)
    packages.joinpath("slowly.py").write_text(
        f"import os, pathlib, time\npathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()))\n"
        "time.sleep(float(os.environ['SLOWLY']))\n"
    )
    cells = [
        "import slowly",
        "%%flow slow.first --out a\na = slowly.__name__",
        "%%flow slow.second\nb = a * 2",
    ]
    notebook = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, cells)))
    nbformat.write(notebook, project / "slow.ipynb")
    return project / "slow.ipynb"


def start(notebook: Path, seconds: float, *words: str) -> subprocess.Popen[bytes]:
    user = notebook.parent.parent / "user"
    (packages,) = user.glob("lib/*/site-packages")
    return subprocess.Popen(
        [sys.executable, "-c", "from flownb.cli import main; main()", "run", notebook.name, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=notebook.parent,
        env={
            **os.environ,
            "PYTHONUSERBASE": str(user),
            "PYTHONPATH": f"{packages}{os.pathsep}{ROOT}",
            "SLOWLY": str(seconds),
        },
    )


def only_run(notebook: Path) -> RunRecord:
    (run,) = RecordStore(Project(notebook.parent)).list()
    return run


def importer(notebook: Path) -> int:
    told = notebook.parent.parent / "pid"
    return int(poll(lambda: told.exists() and told.read_text(), 60))


def test_a_limit_holds_while_the_flow_imports_and_says_where_the_time_went(slowly: Path) -> None:
    with start(slowly, 300, "--timeout", "4") as process:
        said = process.communicate(timeout=60)[0].decode()
    assert process.returncode == 1
    run = only_run(slowly)
    assert run.state is State.FAILED
    assert "the run took longer than its limit of 4 s: " in said
    assert "imports " in str(run.error)
    assert run.error is not None
    assert run.error.step == ""
    assert [step.state for step in run.steps] == ["Skipped", "Skipped"]
    assert 4 <= (run.seconds or 0) < 20
    assert (run.times["imports"] > 0, sum(run.times.values()) > 3.9) == (True, True)
    poll(lambda: not lives(importer(slowly)))
    assert run.notebook.exists()


def test_a_run_is_cancelled_while_it_imports(slowly: Path) -> None:
    with start(slowly, 300) as process:
        process_id = importer(slowly)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert only_run(slowly).state is State.CANCELLED
    poll(lambda: not lives(process_id))


def test_what_imports_ends_with_its_owner(slowly: Path) -> None:
    with start(slowly, 300) as process:
        process_id = importer(slowly)
        process.kill()
    poll(lambda: not lives(process_id))


def test_the_time_of_a_run_is_accounted_for(slowly: Path) -> None:
    with start(slowly, 1.5) as process:
        process.communicate(timeout=60)
    run = only_run(slowly)
    assert run.state is State.SUCCESS
    assert run.times["imports"] >= 1.5
    assert {"start", "imports", "outputs", "end"} <= set(run.times)
    told = sum(run.times.values()) + sum(step.seconds or 0 for step in run.steps)
    assert told == pytest.approx(run.seconds, abs=0.25)
    assert "(imports)" in run_card(run, []).text
    assert ">(imports)<" in run_card(run, []).html


def test_a_retry_counts_what_went_before_as_its_own() -> None:
    times = Times()
    times.turn_to("step")
    times.begin_again()
    times.turn_to("imports")
    assert list(times.seconds) == ["retries", "start", "imports"]
