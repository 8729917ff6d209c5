"""Supervisors that are killed, interrupted, or cannot write: what is left says what happened."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest
from environment_flows import flow, memory
from polling import lives, poll

from flownb.environments import LocalEnvironment
from flownb.errors import RecordError
from flownb.flow import Step
from flownb.runs import Project, Run, Runs, State

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.kernel

#: supervises one run of a flow whose source is its first argument; the rest is Python to run before
SUPERVISOR = """
import pathlib, sys
sys.path.insert(0, {tests!r})
from environment_flows import flow, memory
from flownb.environments import LocalEnvironment
exec(sys.argv[2])
if __name__ == "__main__":
    here = pathlib.Path.cwd()
    environment = LocalEnvironment(on_exit=lambda run: (here / "exited").write_text(str(run.state)))
    run = environment.execute(memory(here, flow("watched", sys.argv[1])), "watched")
    print(run.state, run.error, sep="\\n")
"""


def supervise(source: str, before: str = "") -> subprocess.Popen[str]:
    code = SUPERVISOR.format(tests=str(Path(__file__).parent))
    return subprocess.Popen(
        [sys.executable, "-c", code, source, before],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.fixture
def supervisors() -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


#: writes the kernel's and a child's process id, then waits; neither heeds an interrupt if DEAF is set
WAITING = """
import os, signal, subprocess, sys, time
child = subprocess.Popen(["sleep", "60"])
open("pids.part", "w").write(f"{os.getpid()} {child.pid}")
print("so far", flush=True)
time.sleep(0.3)
os.rename("pids.part", "pids")
time.sleep(60)
"""


def pids_in(folder: Path) -> list[int]:
    return [int(word) for word in (folder / "pids").read_text().split()]


def test_a_killed_supervisor_leaves_a_run_that_is_found_and_no_process(
    project: Path, supervisors: list[subprocess.Popen[str]]
) -> None:
    supervisors.append(supervise(WAITING))
    poll((project / "pids").exists, 40, what="the flow to be at work")
    run = Run.load(project=Project.of(project))
    written = lambda: nbformat.read(run.notebook, as_version=4).cells[-1].outputs  # noqa: E731
    poll(written, 10, what="the notebook to be kept up")
    assert run.state is State.RUNNING
    supervisors[0].kill()
    supervisors[0].wait()
    poll(lambda: not [pid for pid in pids_in(project) if lives(pid)], 5, what="the kernel's group to end")
    (found,) = Runs.load(project=Project.of(project))
    assert found.state is State.CRASHED
    assert found.error is not None
    assert found.error.kind == "DeadProcess"
    notebook = nbformat.read(found.notebook, as_version=4)
    assert notebook.cells[-1].metadata.papermill.status == "failed"
    assert "so far" in notebook.cells[-1].outputs[0].text
    assert not (project / "exited").exists()


def test_a_supervisor_that_is_interrupted_cancels_and_says_so(
    project: Path, supervisors: list[subprocess.Popen[str]]
) -> None:
    supervisors.append(supervise(WAITING))
    poll((project / "pids").exists, 40, what="the flow to be at work")
    supervisors[0].send_signal(signal.SIGINT)
    told, errors = supervisors[0].communicate(timeout=20)
    assert told == "Cancelled\nCancelled: the run was cancelled\n"
    assert errors == ""
    assert (project / "exited").read_text() == "Cancelled"
    poll(
        lambda: not [pid for pid in pids_in(project) if lives(pid)], 5, what="the end of all that was started"
    )
    notebook = nbformat.read(Run.load(project=Project.of(project)).notebook, as_version=4)
    assert notebook.cells[-1].outputs[-1].ename == "Cancelled"
    assert "KeyboardInterrupt" in [output.get("ename") for output in notebook.cells[-1].outputs]


def test_a_full_disk_fails_the_run_with_that_word_and_leaves_what_was_there(
    project: Path, supervisors: list[subprocess.Popen[str]]
) -> None:
    before = LocalEnvironment().execute(memory(project, flow("before", Step("a", "x = 1", ("x",)))), "before")
    kept = before.notebook.read_bytes()
    # files of this process and its children end at 300 kB: as full as a disk can be without being one
    limit = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))"
    )
    supervisors.append(supervise("print('x' * 400_000)\nimport time; time.sleep(60)", limit))
    told, errors = supervisors[0].communicate(timeout=40)
    state, error = told.split("\n", 1)
    assert state == "Failed", errors
    assert "File too large" in error
    assert (project / "exited").read_text() == "Failed"
    failed, first = Runs.load(project=Project.of(project))
    assert (failed.state, first.state) == (State.FAILED, State.SUCCESS)
    assert first.outputs["x"] == 1
    assert before.notebook.read_bytes() == kept
    nbformat.validate(nbformat.read(failed.notebook, as_version=4))
    assert not [path for path in failed.folder.iterdir() if path.name.endswith(".part")]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_where_the_log_cannot_be_written_record_and_notebook_say_so(project: Path) -> None:
    ended: list[str] = []
    environment = LocalEnvironment(
        on_start=lambda run: run.record.log.symlink_to("/dev/full"),
        on_exit=lambda run: ended.append(run.state),
    )
    run = environment.execute(memory(project, flow("f", "x = 1", "y = 2")), "f")
    assert ended == [run.state] == [State.FAILED]
    assert "No space left on device" in str(run.error)
    # asked for here, as a record does not lead into a folder with a link in it
    notebook = nbformat.read(Project.of(project).run_folder(run.id) / "executed.ipynb", as_version=4)
    assert notebook.metadata.flownb.run.state == "Failed"
    assert "running" not in [cell.metadata.papermill.status for cell in notebook.cells]


def test_a_disk_that_is_full_in_the_end_has_room_for_the_end(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(small_disk)
    fill = """
import contextlib
with contextlib.suppress(OSError), open("fill", "wb", buffering=0) as file:
    while True:
        file.write(bytes(1000))
print("x" * 20_000)
"""
    run = LocalEnvironment().execute(memory(small_disk, flow("f", fill)), "f")
    assert run.state is State.FAILED
    assert "full" in str(run.error) or "No space left on device" in str(run.error)
    (again,) = Runs.load(project=Project.of(small_disk))
    assert again.state is State.FAILED
    assert nbformat.read(run.notebook, as_version=4).metadata.flownb.run.state == "Failed"
    assert not list(run.folder.glob("reserve"))


def test_a_folder_that_cannot_be_written_is_refused_before_anything_starts(project: Path) -> None:
    (project / ".flownb").write_text("in the way")
    with pytest.raises(RecordError, match=r"runs cannot be recorded in .*\.flownb"):
        LocalEnvironment().execute(memory(project, flow("f", "open('ran', 'w')")), "f")
    assert not (project / "ran").exists()


def test_a_runs_folder_that_goes_away_fails_the_run(project: Path) -> None:
    import shutil

    source = "import time\nprint('on', flush=True)\ntime.sleep(60)"

    def take_away(run: Run) -> None:
        if "on" in run.logs:
            shutil.rmtree(run.folder)

    run = LocalEnvironment().execute(memory(project, flow("f", source)), "f", on_change=take_away)
    assert run.state is State.FAILED
    assert run.error is not None
    assert "cannot be written: No such file or directory" in run.error.message
