from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import shutil
import signal
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from polling import poll

from flownb.errors import RecordError, RunNotFoundError
from flownb.runs.database import Database
from flownb.runs.project import Project
from flownb.runs.record import OutputRecord, RunError, RunRecord, StepRecord, new_run_id, time_text
from flownb.runs.schema import MIGRATIONS
from flownb.runs.states import State
from flownb.runs.store import RecordStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOW = datetime(2026, 11, 22, 4, 15, tzinfo=UTC)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def store(project: Project) -> Iterator[RecordStore]:
    made = RecordStore(project)
    yield made
    made.close()


def record(project: Project, run_id: str | None = None, **fields: Any) -> RunRecord:
    run_id = run_id or new_run_id()
    return RunRecord(**{"id": run_id, "flow": "co2", "folder": project.run_folder(run_id), **fields})


def full(project: Project) -> RunRecord:
    error = RunError("ValueError", "bad \ud800 \u202e", "load", 3, "x = 1", "Traceback ...")
    return record(
        project,
        state=State.FAILED,
        storage={"kind": "notebook", "path": "x.ipynb"},
        location="co2@4f2c91e00000",
        version="4f2c91e00000",
        digest="4f" * 32,
        parameters={"since": "date(2026, 1, 1)", "token": "***"},
        environment={"kind": "LocalEnvironment", "timeout": None},
        labels=["big"],
        asked_by="schedule",
        created=NOW,
        started=NOW + timedelta(seconds=1),
        ended=NOW + timedelta(seconds=2.5),
        error=error,
        engine="papermill",
        attempt=2,
        metrics={"cpu_seconds": 1.5},
        callback_errors=[{"name": "notify", "error": "no", "traceback": ""}],
        steps=[
            StepRecord("load", 0, State.FAILED, NOW, NOW + timedelta(seconds=1), 1.0, 0.5, 1 << 30, error),
            StepRecord("report", 1),
        ],
    )


def test_run_ids_are_unique_and_sort_by_time() -> None:
    ids = [new_run_id() for _ in range(20_000)]
    assert len(set(ids)) == len(ids)
    stamps = [run_id[:-8] for run_id in ids]
    assert stamps == sorted(stamps)


def test_a_record_comes_back_equal(store: RecordStore, project: Project) -> None:
    made = full(project)
    store.create(made)
    assert store.get(made.id) == made
    assert RunRecord.from_json(json.loads(json.dumps(made.to_json()))) == made
    assert made.seconds == 1.5


def test_a_record_of_a_later_version_with_more_fields_is_still_read(project: Project) -> None:
    data = full(project).to_json() | {"colour": "red"}
    data["steps"][0]["colour"] = "red"
    assert RunRecord.from_json(data) == RunRecord.from_json({k: v for k, v in data.items() if k != "colour"})


def test_a_project_can_be_moved_with_its_records(tmp_path: Path) -> None:
    before = Project(tmp_path / "before")
    made = record(before)
    with_store = RecordStore(before)
    with_store.create(made)
    with_store.close()
    (tmp_path / "before").rename(tmp_path / "after")
    after = Project(tmp_path / "after")
    assert RecordStore(after).get(made.id).folder == after.run_folder(made.id)


def test_reading_where_nothing_was_recorded_makes_nothing(store: RecordStore, project: Project) -> None:
    assert store.list() == []
    assert store.find_zombies() == []
    with pytest.raises(RunNotFoundError, match="no run is recorded"):
        store.get("last")
    assert not project.records.exists()


def test_the_same_id_twice_is_refused(store: RecordStore, project: Project) -> None:
    store.create(record(project, "a"))
    with pytest.raises(RecordError, match="recorded already"):
        store.create(record(project, "a"))


def test_a_run_is_found_by_id_beginning_end_and_last(store: RecordStore, project: Project) -> None:
    for number, run_id in enumerate(["20260101-000000-aa11", "20260101-000001-bb22", "20260102-000000-cc33"]):
        store.create(record(project, run_id, created=NOW + timedelta(seconds=number)))
    assert store.get("20260101-000000-aa11").id.endswith("aa11")
    assert store.get("bb22").id.endswith("bb22")
    assert store.get("20260102").id.endswith("cc33")
    assert store.get("last").id.endswith("cc33")
    with pytest.raises(
        RunNotFoundError, match=r"not one run but 2 .*20260101-000001-bb22, 20260101-000000-aa11"
    ):
        store.get("20260101")
    for wrong in ("", "%", "'; DROP TABLE runs; --", "_", "zz", "\u202e"):
        with pytest.raises(RunNotFoundError, match="no run"):
            store.get(wrong)


def test_an_id_that_begins_another_is_itself(store: RecordStore, project: Project) -> None:
    store.create(record(project, "a"))
    store.create(record(project, "ab"))
    assert store.get("a").id == "a"


def test_runs_are_listed_newest_first_and_by_flow_state_and_page(
    store: RecordStore, project: Project
) -> None:
    for number in range(10):
        made = record(
            project,
            f"r{number}",
            flow="co2" if number % 2 else "Co2",
            state=State.SUCCESS if number < 5 else State.FAILED,
            created=NOW + timedelta(seconds=number),
        )
        store.create(made)
    assert [made.id for made in store.list(limit=3)] == ["r9", "r8", "r7"]
    assert [made.id for made in store.list(limit=3, before="r7")] == ["r6", "r5", "r4"]
    assert [made.id for made in store.list(before=NOW + timedelta(seconds=2))] == ["r1", "r0"]
    assert [made.id for made in store.list(flow="Co2")] == ["r8", "r6", "r4", "r2", "r0"]
    assert [made.id for made in store.list(flow="co2", state="Failed")] == ["r9", "r7", "r5"]
    assert len(store.list(limit=None)) == 10


def test_running_sets_the_start_and_an_end_sets_the_end(store: RecordStore, project: Project) -> None:
    made = record(project)
    store.create(made)
    assert store.change(made.id, state=State.RUNNING)
    running = store.get(made.id)
    assert running.started is not None
    assert running.ended is None
    assert running.seconds is not None
    store.change(made.id, state="Success", metrics={"cpu_seconds": 1.0})
    done = store.get(made.id)
    assert done.started == running.started
    assert done.ended is not None
    assert done.metrics == {"cpu_seconds": 1.0}


@pytest.mark.parametrize("end", [state for state in State if state.terminal])
def test_a_terminal_state_is_never_overwritten(store: RecordStore, project: Project, end: State) -> None:
    made = record(project)
    store.create(made)
    assert store.change(made.id, state=end, error=RunError("ValueError", "the first"), ended=NOW)
    before = store.get(made.id)
    for state in State:
        assert not store.change(made.id, state=state, error=RunError("Other"), engine="other")
    assert not store.change(made.id, error=RunError("Other"))
    assert not store.change(made.id, ended=NOW + timedelta(days=1))
    assert store.get(made.id) == before


def test_other_fields_can_be_recorded_after_the_end(store: RecordStore, project: Project) -> None:
    made = record(project)
    store.create(made)
    store.change(made.id, state=State.SUCCESS)
    failure = RunError("CallbackError", "a dataclass is JSON data too")
    assert store.change(made.id, callback_errors=[failure], metrics={"a": 1})
    after = store.get(made.id)
    assert after.state is State.SUCCESS
    assert after.callback_errors[0]["message"] == "a dataclass is JSON data too"


def test_an_end_and_what_became_of_the_steps_are_recorded_together_or_not_at_all(
    store: RecordStore, project: Project
) -> None:
    made = record(project, steps=[StepRecord("a", 0), StepRecord("b", 1)])
    store.create(made)
    done, skipped = StepRecord("a", 0, State.SUCCESS, NOW, NOW, 0.0), StepRecord("b", 1, State.SKIPPED)
    assert store.change(made.id, state=State.SUCCESS, steps=[done, skipped])
    assert store.get(made.id).steps == [done, skipped]
    assert not store.change(made.id, state=State.CRASHED, steps=[StepRecord("a", 0, State.CRASHED)])
    assert store.get(made.id).steps == [done, skipped]


def test_only_a_runs_creation_and_its_end_wait_for_the_disk(
    store: RecordStore, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[bool] = []
    write = Database.write

    def noted(self: Database, *, durable: bool = False) -> Any:
        waits.append(durable)
        return write(self, durable=durable)

    monkeypatch.setattr(Database, "write", noted)
    made = record(project, steps=[StepRecord("a", 0)])
    store.create(made)
    store.change(made.id, state=State.RUNNING)
    store.set_step(made.id, StepRecord("a", 0, State.RUNNING))
    store.add_output(made.id, OutputRecord("x"))
    store.change(made.id, state=State.SUCCESS)
    store.change(made.id, metrics={"a": 1})
    assert waits == [True, False, False, False, True, False]


@pytest.mark.parametrize(("durable", "synchronous"), [(True, 2), (False, 1)])
def test_what_waits_for_the_disk_is_written_with_full_synchronisation(
    tmp_path: Path, durable: bool, synchronous: int
) -> None:
    database = Database(tmp_path / "runs.db", lambda: None)
    for last in (not durable, durable):  # the write before it was of the other kind
        with database.write(durable=last) as connection:
            (found,) = connection.execute("PRAGMA synchronous").fetchone()
    assert found == synchronous
    database.close()


def test_a_change_that_cannot_be_is_an_error_and_changes_nothing(
    store: RecordStore, project: Project
) -> None:
    made = record(project)
    store.create(made)
    with pytest.raises(TypeError, match="no field to change called colour"):
        store.change(made.id, colour="red")
    with pytest.raises(TypeError, match="JSON data"):
        store.change(made.id, state=State.SUCCESS, metrics={"x": object()})
    with pytest.raises(RunNotFoundError):
        store.change("nowhere", state=State.SUCCESS)
    assert store.get(made.id) == made


def test_eight_threads_racing_to_the_end_agree_on_one(store: RecordStore, project: Project) -> None:
    ends = [state for state in State if state.terminal] * 2
    for _ in range(10):
        made = record(project)
        store.create(made)
        barrier = threading.Barrier(len(ends))

        def end(state: State, barrier: threading.Barrier = barrier, run_id: str = made.id) -> State | None:
            barrier.wait()
            return state if store.change(run_id, state=state, error=RunError(state)) else None

        with ThreadPoolExecutor(len(ends)) as pool:
            won = [state for state in pool.map(end, ends) if state is not None]
        assert len(won) == 1
        found = store.get(made.id)
        assert (found.state, found.error) == (won[0], RunError(won[0].value))


def test_eight_threads_with_stores_of_their_own_race_too(project: Project) -> None:
    made = record(project)
    RecordStore(project).create(made)
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda _: RecordStore(project).change(made.id, state=State.FAILED), range(8)))
    assert won.count(True) == 1


def test_steps_are_replaced_by_position_and_come_in_order(store: RecordStore, project: Project) -> None:
    made = record(project, steps=[StepRecord("b", 1), StepRecord("a", 0)])
    store.create(made)
    done = StepRecord("a", 0, State.SUCCESS, NOW, NOW, 0.0)
    store.set_step(made.id, done)
    assert store.get(made.id).steps == [done, StepRecord("b", 1)]
    assert store.list()[0].steps == [done, StepRecord("b", 1)]


def test_outputs_are_kept_in_order_and_replaced_by_name(store: RecordStore, project: Project) -> None:
    made = record(project)
    store.create(made)
    for size, name in enumerate(["b", "a", "b"]):
        store.add_output(made.id, OutputRecord(name, "load", "json", f"{name}.json", size=size))
    assert [(output.name, output.size) for output in store.outputs(made.id)] == [("b", 2), ("a", 1)]


def _write_records(root: str, number: int) -> None:
    project = Project(Path(root))
    store = RecordStore(project)
    for index in range(50):
        run_id = f"p{number}-{index}"
        made = record(project, run_id, state=State.RUNNING, steps=[StepRecord("a", 0)])
        store.create(made)
        store.set_step(run_id, StepRecord("a", 0, State.SUCCESS))
        store.add_output(run_id, OutputRecord("x"))
        assert store.change(run_id, state=State.SUCCESS)
    store.close()


def test_four_processes_write_fifty_records_each_and_none_is_lost(project: Project) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=_write_records, args=(str(project.root), number)) for number in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
    found = RecordStore(project).list(limit=None)
    assert len(found) == 200
    assert {made.state for made in found} == {State.SUCCESS}
    assert all(made.steps[0].state == "Success" for made in found)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_uses_the_store_without_harm_to_its_parent(
    store: RecordStore, project: Project
) -> None:
    store.create(record(project, "parent"))
    child = os.fork()
    if child == 0:
        try:
            store.create(record(project, "child"))
            os._exit(0 if store.get("parent").id == "parent" else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    store.create(record(project, "after"))
    assert {made.id for made in store.list()} == {"parent", "child", "after"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_children_that_are_forked_while_threads_write_can_write(store: RecordStore, project: Project) -> None:
    over = threading.Event()

    def write(database: Database) -> None:
        while not over.is_set():
            with database.write() as connection:  # nearly all of the time is within
                for number in range(1_000):
                    connection.execute("INSERT OR REPLACE INTO steps VALUES ('thread', ?, '')", (number,))

    with ThreadPoolExecutor(2) as pool:
        store.create(record(project, "parent"))
        for _ in range(2):
            pool.submit(write, Database(project.database, project.ensure))
        try:
            children = [forked(lambda: RecordStore(project).create(record(project))) for _ in range(4)]
        finally:
            over.set()
    assert [ended(child) for child in children] == [0] * 4
    assert len(store.list()) == 5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_that_is_forked_in_the_middle_of_a_write_leaves_it_to_its_parent(
    store: RecordStore, project: Project
) -> None:
    store.create(record(project, "a"))
    database = Database(project.database, project.ensure)
    with database.write() as connection:
        connection.execute("UPDATE runs SET flow = 'changed'")
        assert ended(forked(lambda: None)) == 0
    assert store.get("a").flow == "changed"
    assert ended(forked(lambda: store.create(record(project, "b")))) == 0
    assert [made.id for made in store.list(flow="changed")] == ["a"]


def forked(action: Callable[[], object]) -> int:
    """Do something in a child that is forked; its status is 0 where it could."""
    child = os.fork()
    if child:
        return child
    try:
        action()
        os._exit(0)
    finally:
        os._exit(1)


def ended(child: int) -> int:
    """Return the status of a child when it has ended."""
    try:
        _, status = poll(lambda: (found := os.waitpid(child, os.WNOHANG))[0] and found, 10)
    except AssertionError:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    return os.waitstatus_to_exitcode(status)


def test_records_whose_folder_was_deleted_begin_anew_though_somebody_keeps_the_old_store(
    store: RecordStore, project: Project
) -> None:
    store.create(record(project, "old"))
    shutil.rmtree(project.records)
    assert store.list() == []
    RecordStore(project).create(record(project, "new"))
    assert [made.id for made in store.list()] == ["new"]
    assert project.database.exists()


def test_a_store_of_a_newer_flownb_is_refused_untouched(project: Project) -> None:
    project.ensure()
    with sqlite3.connect(project.database) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    store = RecordStore(project)
    with pytest.raises(RecordError, match=r"newer flownb.*upgrade"):
        store.list()
    with pytest.raises(RecordError, match=r"newer flownb.*upgrade"):
        store.create(record(project))


def test_an_older_store_is_brought_up_to_date(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    old = RecordStore(project)
    old.create(record(project, "a"))
    old.close()
    later = (*MIGRATIONS, ("ALTER TABLE runs ADD COLUMN colour TEXT",))
    monkeypatch.setattr("flownb.runs.schema.MIGRATIONS", later)
    new = RecordStore(project)
    assert new.get("a").id == "a"
    new.close()
    with sqlite3.connect(project.database) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(later),)
        assert connection.execute("SELECT colour FROM runs").fetchall() == [(None,)]
    connection.close()


def test_a_file_that_is_no_store_is_an_error_that_names_it(project: Project) -> None:
    project.ensure()
    project.database.write_text("hello, this is not a database at all\n" * 100)
    with pytest.raises(RecordError, match=r"runs\.db cannot be read: file is not a database"):
        RecordStore(project).list()


def test_a_folder_that_cannot_be_made_is_an_error_with_the_systems_word(project: Project) -> None:
    project.records.touch()
    with pytest.raises(RecordError, match=r"cannot be recorded in .*(File exists|Not a directory)"):
        RecordStore(project).create(record(project))


@pytest.mark.parametrize(
    "damage",
    ["data = '{bad'", "data = '[]'", "state = 'Odd'", "created = 'yesterday'", "data = '{\"error\": 3}'"],
)
def test_a_damaged_record_is_an_error_that_names_its_run(
    store: RecordStore, project: Project, damage: str
) -> None:
    store.create(record(project, "r1"))
    store.close()
    with contextlib.closing(sqlite3.connect(project.database)) as connection:
        connection.execute(f"UPDATE runs SET {damage}")
        connection.commit()
    with pytest.raises(RecordError, match=r"the run 'r1' is damaged .* move it away"):
        store.list()


def test_records_are_read_where_nothing_can_be_written(store: RecordStore, project: Project) -> None:
    store.create(record(project, "r1"))
    store.close()
    # what SQLite would have to make is in the way, as on a read-only or full disk
    project.database.with_name("runs.db-wal").mkdir()
    project.database.with_name("runs.db-shm").mkdir()
    again = RecordStore(project)
    assert [run.id for run in again.list()] == ["r1"]
    with pytest.raises(RecordError, match="cannot be written: unable to open"):
        again.create(record(project, "r2"))


def test_a_full_disk_is_an_error_with_its_word_and_earlier_records_stay(small_disk: Path) -> None:
    project = Project(small_disk)
    store = RecordStore(project)
    written: list[str] = []
    with pytest.raises(RecordError, match="full"):  # noqa: PT012 - which one fails is for the disk to say
        while len(written) < 10_000:
            made = record(project, parameters={"text": "x" * 5_000})
            store.create(made)
            written.append(made.id)
    assert written
    assert {made.id for made in store.list(limit=None)} == set(written)
    store.close()
    again = RecordStore(project)
    assert {made.id for made in again.list(limit=None)} == set(written)
    again.close()


def test_times_are_written_so_that_texts_sort_as_they_do() -> None:
    berlin = NOW.astimezone(__import__("zoneinfo").ZoneInfo("Europe/Berlin"))
    assert time_text(berlin) == time_text(NOW) == "2026-11-22T04:15:00.000000+00:00"
    with pytest.raises(ValueError, match="no time zone"):
        time_text(datetime(2026, 1, 1))  # noqa: DTZ001 - that is what is refused
    assert replace(full(Project(Path("/x"))), ended=None, state=State.CRASHED).seconds is None


def test_on_a_full_disk_outputs_journal_and_notebook_fail_with_its_word_and_leave_no_part(
    small_disk: Path,
) -> None:
    from flownb.files import write_atomic
    from flownb.runs.journal import Journal, events
    from flownb.runs.values import store as store_value

    notebook = small_disk / "executed.ipynb"
    write_atomic(notebook, b"old")
    with Journal(small_disk / "journal.jsonl") as journal:
        journal.state("Running")
        for value in (b"x" * 1_000_000, "x" * 1_000_000, ["x" * 1_000_000]):
            with pytest.raises(ValueError, match=r"`big` cannot be stored in .*No space left on device"):
                store_value("big", value, small_disk / "outputs")
        with pytest.raises(RecordError, match="No space left on device"):
            write_atomic(notebook, b"x" * 1_000_000)
        with pytest.raises(RecordError, match="No space left on device"):
            journal.cell(0, {"source": "x" * 1_000_000})
        assert store_value("small", 1, small_disk / "outputs")["size"] == 1
        journal.state("Failed")
    assert notebook.read_bytes() == b"old"
    assert [event["state"] for event in events(small_disk / "journal.jsonl")] == ["Running", "Failed"]
    assert len(list((small_disk / "outputs").iterdir())) == 1
    assert not list(small_disk.glob(".*"))


def _look_for_zombies(root: str) -> None:
    RecordStore(Project(Path(root))).find_zombies()


def test_processes_that_find_the_same_zombie_agree(project: Project) -> None:
    store = RecordStore(project)
    project.ensure()
    for index in range(10):
        made = record(project, f"z{index}", state=State.RUNNING, started=NOW)
        made.folder.mkdir()
        made.document.write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
        store.create(made)
    store.close()
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_look_for_zombies, args=(str(project.root),)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 3
    store.find_zombies()  # those that one process left to another which had only looked
    for made in store.list():
        assert made.state is State.CRASHED
        assert json.loads(made.notebook.read_bytes())["metadata"]["flownb"]["run"]["state"] == "Crashed"


def test_a_run_knows_its_source_also_where_it_was_recorded_before_runs_did(
    store: RecordStore, project: Project, tmp_path: Path
) -> None:
    root = project.root
    elsewhere = tmp_path.parent / "b.ipynb"
    storages: dict[str, dict[str, Any] | None] = {
        "a": {"kind": "notebook", "path": str(root / "a.ipynb")},
        "b": {"kind": "notebook", "path": str(elsewhere)},
        "git": {"kind": "git", "repo": str(root), "branch": "flownb"},
        "s3": {"kind": "directory", "url": "s3://bucket/flows"},
        "none": None,
    }
    for run_id, storage in storages.items():  # as they were recorded
        store.create(record(project, run_id, storage=storage))
        with store._database.write() as connection:
            connection.execute("UPDATE runs SET data = json_remove(data, '$.source') WHERE id = ?", (run_id,))
    new = {
        "new a": project.source(str(root / "a.ipynb")),
        "new b": project.source(str(elsewhere)),
        "new git": project.source(str(root)),
    }
    for run_id, source in new.items():
        store.create(record(project, run_id, source=source))
    assert {run.id: run.source for run in store.list()} == {
        "a": "a.ipynb",
        "b": str(elsewhere),
        "git": ".",
        "s3": "s3://bucket/flows",
        "none": "",
        "new a": "a.ipynb",
        "new b": str(elsewhere),
        "new git": ".",
    }
    for sources, ids in (
        (["a.ipynb"], {"a", "new a"}),
        ([str(elsewhere)], {"b", "new b"}),
        (["a.ipynb", "."], {"a", "new a", "git", "new git"}),
        (["s3://bucket/flows"], {"s3"}),
        ([""], {"none"}),
        (["c.ipynb"], set()),
        ([], set()),
    ):
        assert {run.id for run in store.list(flow="co2", sources=sources)} == ids
    assert [run.id for run in store.list(sources=["a.ipynb"], limit=1)] == ["new a"]


def test_a_source_is_named_from_the_project_whatever_links_lead_there(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    project = Project.of(tmp_path / "link")
    assert project.source(str(tmp_path / "link" / "a.ipynb")) == "a.ipynb"
    assert project.source(str(tmp_path / "link")) == "."
    assert project.source("git+https://example.org/x.git") == "git+https://example.org/x.git"
