"""Recorded runs for the tests of callbacks: real ones, made through the record store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from flownb.runs import OutputRecord, Project, RecordStore, Run, RunError, RunRecord, State

if TYPE_CHECKING:
    from pathlib import Path

RUN_ID = "20260301-040000-aaaa00000001"
BEGIN = datetime(2026, 3, 1, 4, 0, tzinfo=UTC)


def make_run(
    project: Path,
    run_id: str = RUN_ID,
    *,
    flow: str = "co2",
    state: State = State.SUCCESS,
    logs: str = "",
    **known: Any,
) -> Run:
    """Record a run of 12.5 s that is at its end, and return it."""
    here = Project(project)
    record = RunRecord(
        run_id,
        flow,
        here.run_folder(run_id),
        state,
        started=BEGIN,
        ended=BEGIN + timedelta(seconds=12.5),
        **known,
    )
    record.outputs_folder.mkdir(parents=True)
    if logs:
        record.log.write_text(logs, encoding="utf-8")
    store = RecordStore(here)
    store.create(record)
    store.close()  # it is opened again when the run is looked at
    return Run(record, store)


def failed(project: Path, run_id: str = RUN_ID, *, state: State = State.FAILED, **known: Any) -> Run:
    """Record a run that failed in its step `load`, and return it."""
    error = RunError("ValueError", "no such month: 13", "load", 3, "month = parse(text)", "Traceback ...")
    return make_run(project, run_id, state=state, error=error, **known)


def store_output(run: Run, name: str, file: str, content: bytes, **detail: Any) -> None:
    """Put a stored output into a run's folder, and record it."""
    (run.folder / "outputs" / file).write_bytes(content)
    record_output(
        run, OutputRecord(name, "report", file.rpartition(".")[2], file, len(content), detail=detail)
    )


def record_output(run: Run, output: OutputRecord) -> None:
    """Record an output of a run."""
    store = RecordStore(Project.of(run.folder.parents[2]))
    store.add_output(run.id, output)
    store.close()
