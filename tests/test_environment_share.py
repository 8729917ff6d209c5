"""The share of a run's time that goes into writing it down while it goes on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from environment_flows import flow
from nbformat.v4 import output_from_msg

from flownb.environments.plan import Plan
from flownb.environments.recording import Books, Recorder
from flownb.environments.runlog import RunLog
from flownb.environments.secrecy import Secrecy
from flownb.environments.share import Share
from flownb.runs.journal import Journal
from flownb.runs.project import Project
from flownb.runs.record import RunRecord, StepRecord
from flownb.runs.store import RecordStore

if TYPE_CHECKING:
    from pathlib import Path

    from nbformat import NotebookNode


class Clock:
    """A clock that goes when it is told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("speed", [1e-9, 1e-8, 1e-7], ids=["quick disk", "disk", "slow disk"])
@pytest.mark.parametrize("growth", [0, 10_000, 100_000])
def test_writing_takes_a_twentieth_of_the_time_at_most(speed: float, growth: int) -> None:
    clock = Clock()
    share, spent, size, writes = Share(clock), 0.0, 0, 0
    for _ in range(2_000):  # 500 s
        clock.now += 0.25
        size += growth
        share.grew(growth)
        if share.allows:
            cost = 0.002 + size * speed
            clock.now += cost
            spent += cost
            writes += 1
            share.wrote(cost)
    assert writes > 3
    assert spent <= 0.055 * (clock.now - 100)  # by so much it may guess wrong, once


def test_it_looks_ahead_at_what_has_grown_since() -> None:
    clock = Clock()
    share = Share(clock)
    share.wrote(0.001)
    clock.now += 2
    assert share.allows
    share.grew(50_000_000)
    assert not share.allows
    clock.now += 60
    assert share.allows


def test_what_grows_quicker_than_a_twentieth_of_the_time_can_write_is_left_to_the_end() -> None:
    clock = Clock()
    share = Share(clock)
    for _ in range(1_000):
        clock.now += 0.25
        share.grew(5_000_000)
        assert not share.allows


def test_two_writings_are_some_time_apart() -> None:
    clock = Clock()
    share = Share(clock)
    clock.now += 1000
    share.wrote(0.001)
    clock.now += 0.4
    assert not share.allows
    clock.now += 0.2
    assert share.allows


def recorder(folder: Path) -> tuple[Recorder, NotebookNode]:
    """Return a recorder for a run of one step, which has begun, and the notebook that it hears of."""
    one = flow("one", "print()")
    project = Project(folder)
    project.ensure()
    record = RunRecord("r1", "one", project.run_folder("r1"), steps=[StepRecord("s1", 0)])
    record.folder.mkdir()
    store = RecordStore(project)
    store.create(record)
    notebook = Plan(one, {}).notebook
    hidden = Secrecy(())
    log = RunLog(record.log, hidden)
    made = Recorder(Books(one, store, Journal(record.journal), log, hidden, record, notebook))
    made.notebook_started(notebook)
    made.cell_started(len(notebook.cells) - 1, notebook.cells[-1])
    return made, notebook


def test_a_run_whose_output_grows_spends_a_twentieth_on_being_saved(tmp_path: Path) -> None:
    saved, notebook = recorder(tmp_path)
    cell = notebook.cells[-1]
    path = tmp_path / ".flownb" / "runs" / "r1" / "executed.ipynb"
    seen, saving = {path.stat().st_mtime_ns}, 0.0
    began = time.monotonic()
    while time.monotonic() < began + 3:
        text = ("x" * 99 + "\n") * 200
        content = {"name": "stdout", "text": text}
        output = output_from_msg({"header": {"msg_type": "stream"}, "content": content})
        cell.outputs.append(output)
        saved.cell_output(len(notebook.cells) - 1, cell, output)
        before = time.monotonic()
        saved.tick(notebook)
        saving += time.monotonic() - before
        seen.add(path.stat().st_mtime_ns)
        time.sleep(0.02)
    assert len(seen) > 1  # it was saved meanwhile
    assert saving <= 0.1 * (time.monotonic() - began)  # a twentieth, and one that was guessed too low
