"""A supervisor that dies without a word, for real: SIGKILL, and what is found afterwards."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from flownb.runs import Project, RecordStore, Run, Runs, State
from flownb.runs.journal import Journal
from flownb.runs.liveness import Lock, held
from flownb.runs.record import RunRecord, StepRecord
from flownb.runs.zombies import bury

if TYPE_CHECKING:
    from pathlib import Path

SUPERVISOR = """
import json, signal, sys
from pathlib import Path
from flownb.runs import Project, RecordStore, RunRecord, State, StepRecord
from flownb.runs.journal import Journal
from flownb.runs.liveness import Lock

project = Project(Path(sys.argv[1]))
project.ensure()
folder = project.run_folder("r1")
folder.mkdir()
lock = Lock(folder / "lock").acquire()
steps = [StepRecord("load", 0), StepRecord("report", 1)]
record = RunRecord("r1", "co2", folder, steps=steps)
store = RecordStore(project)
store.create(record)

def cell(name, step, **fields):
    metadata = {"flownb": {"role": "step", "step": step}}
    return {"cell_type": "code", "id": name, "metadata": metadata, "source": name, "outputs": [],
            "execution_count": None} | fields

cells = [cell("a", "load"), cell("b", "report"), cell("c", "end")]
record.document.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
store.change("r1", state="Running")
store.set_step("r1", StepRecord("load", 0, State.SUCCESS, seconds=1.0))
store.set_step("r1", StepRecord("report", 1, State.RUNNING))
journal = Journal(record.journal)
text = {"output_type": "stream", "name": "stdout", "text": "first\\n"}
journal.cell(0, cell("a", "load", execution_count=1, outputs=[text]))
journal.cell(1, cell("b", "report") | {"metadata": {"papermill": {"status": "running"}}})
print("ready", flush=True)
signal.pause()
"""


@pytest.fixture
def killed(tmp_path: Path) -> Project:
    """A project with one run whose supervisor was killed in its second step."""
    process = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    project = Project(tmp_path)
    assert held(project.run_folder("r1") / "lock")
    assert RecordStore(project).find_zombies() == []
    assert Run.load("r1", project).state is State.RUNNING
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return project


def check(run: Run) -> None:
    assert run.state is State.CRASHED
    assert run.error is not None
    assert run.error.kind == "DeadProcess"
    assert run.error.step == "report"
    assert "ended without a word in step `report`" in run.error.message
    assert [step.state for step in run.steps] == ["Success", "Crashed"]
    assert run.ended is not None
    notebook: dict[str, Any] = json.loads(run.notebook.read_bytes())
    cells = notebook["cells"]
    assert [cell["metadata"]["papermill"]["status"] for cell in cells] == ["completed", "failed", "pending"]
    assert cells[0]["outputs"][0]["text"] == ["first\n"]
    assert notebook["metadata"]["flownb"]["run"]["state"] == "Crashed"
    assert notebook["metadata"]["papermill"]["exception"] is True
    assert not list(run.folder.glob("*.part"))


def test_reading_a_run_finds_that_its_supervisor_was_killed(killed: Project) -> None:
    check(Run.load("r1", killed))


def test_listing_finds_it_too(killed: Project) -> None:
    (run,) = Runs.load(project=killed, state="Crashed")
    check(run)


def test_looking_for_zombies_finds_each_once(killed: Project) -> None:
    store = RecordStore(killed)
    (found,) = store.find_zombies()
    assert found.state is State.CRASHED
    assert store.find_zombies() == []
    check(Run.load(project=killed))


def test_waiting_for_it_ends(killed: Project) -> None:
    started = time.monotonic()
    check(Run.load(project=killed).wait(20))
    assert time.monotonic() - started < 10


def test_a_torn_last_line_of_the_journal_does_not_hinder(killed: Project) -> None:
    with (killed.run_folder("r1") / "journal.jsonl").open("ab") as file:
        file.write(b'{"event":"cell","index":2,"cell":{"id":')
    check(Run.load(project=killed))


def test_a_run_whose_folder_is_gone_is_crashed_too(killed: Project) -> None:
    import shutil

    shutil.rmtree(killed.run_folder("r1"))
    run = Run.load(project=killed)
    assert run.state is State.CRASHED
    assert "its folder is gone" in str(run.error)


def test_a_document_that_cannot_be_read_is_said_and_the_state_is_right_all_the_same(killed: Project) -> None:
    (killed.run_folder("r1") / "flow.ipynb").write_text("{")
    run = Run.load(project=killed)
    assert run.state is State.CRASHED
    assert "could not be brought up to date" in str(run.error)


def test_an_executed_notebook_of_another_engine_is_put_right_without_a_journal(killed: Project) -> None:
    folder = killed.run_folder("r1")
    (folder / "journal.jsonl").unlink()
    notebook = json.loads((folder / "flow.ipynb").read_bytes())
    notebook["cells"][0]["metadata"]["papermill"] = {"status": "completed"}
    notebook["cells"][1]["metadata"]["papermill"] = {"status": "running"}
    (folder / "executed.ipynb").write_text(json.dumps(notebook))
    assert Run.load(project=killed).state is State.CRASHED
    cells = json.loads((folder / "executed.ipynb").read_bytes())["cells"]
    assert [cell["metadata"]["papermill"]["status"] for cell in cells] == ["completed", "failed", "pending"]


def test_an_end_that_was_recorded_just_before_the_lock_was_let_go_stands(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.ensure()
    folder = project.run_folder("r1")
    folder.mkdir()
    store = RecordStore(project)
    seen = RunRecord("r1", "co2", folder, state=State.RUNNING, steps=[StepRecord("a", 0)])
    with Lock(folder / "lock"):
        store.create(seen)
        store.change("r1", state=State.SUCCESS)
    assert bury(store, seen) is None  # what was read before says Running
    assert store.get("r1").state is State.SUCCESS
    assert not seen.notebook.exists()


def test_a_pending_run_with_its_lock_is_left_alone(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.ensure()
    project.run_folder("r1").mkdir()
    store = RecordStore(project)
    with Lock(project.run_folder("r1") / "lock"):
        store.create(RunRecord("r1", "co2", project.run_folder("r1")))
        assert store.find_zombies() == []
    (found,) = store.find_zombies()
    assert "before the flow was known to start" in str(found.error)


def test_an_end_that_only_the_journal_was_told_is_the_runs_end(killed: Project) -> None:
    told = {"kind": "RecordError", "message": "runs.db cannot be written: disk is full", "step": "report"}
    with Journal(killed.run_folder("r1") / "journal.jsonl") as journal:
        journal.state("Failed", told)
    run = Run.load("r1", killed)
    assert (run.state, run.error and run.error.kind) == (State.FAILED, "RecordError")
    assert [step.state for step in run.steps] == ["Success", "Failed"]
    notebook = json.loads(run.notebook.read_bytes())
    assert notebook["metadata"]["flownb"]["run"]["state"] == "Failed"
    assert [c["metadata"]["papermill"]["status"] for c in notebook["cells"]] == [
        "completed",
        "failed",
        "pending",
    ]


def test_the_space_that_a_dead_run_kept_is_given_back(killed: Project) -> None:
    reserve = killed.run_folder("r1") / "reserve"
    reserve.write_bytes(bytes(1000))
    check(Run.load("r1", killed))
    assert not reserve.exists()
