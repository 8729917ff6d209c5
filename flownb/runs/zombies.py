"""Runs whose supervisor died without a word: found by their lock, and told the truth about."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flownb.errors import LockHeldError, RecordError
from flownb.runs.executed import mark, rebuild, write_atomic
from flownb.runs.journal import events
from flownb.runs.liveness import Lock, held
from flownb.runs.record import RunError, RunRecord
from flownb.runs.reserve import Reserve
from flownb.runs.states import State

if TYPE_CHECKING:
    from flownb.runs.store import RecordStore

KIND = "DeadProcess"  #: of the error of a run whose supervisor died

#: what is raised where a file that came with a project is JSON, at best, but not what was to be written there
_NOT_A_NOTEBOOK = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
_EARLY = " before the flow was known to start"


def bury(store: RecordStore, record: RunRecord) -> RunRecord | None:
    """Record `record` as `Crashed` if its supervisor is dead, and return it as it is then; else None.

    First the executed notebook is put right, then the record: whoever dies in between leaves the run to the
    next who looks. The run's own lock is held meanwhile, so that only one does it.
    """
    if record.state.terminal or held(record.lock):
        return None
    if not record.folder.is_dir():
        return _record_end(store, _crashed(record, datetime.now(UTC)), "its folder is gone")
    try:
        with Lock(record.lock):
            record = store.get(record.id)  # its end may have been recorded just before the lock was let go
            if record.state.terminal:
                return None
            Reserve(record.reserve).free()  # first: the disk may be what it died of
            over = _told_end(record) or _crashed(record, _last_sign(record))
            return _record_end(store, over, _put_right(over))
    except LockHeldError:
        return None  # somebody else is at it


def _record_end(store: RecordStore, over: RunRecord, remark: str) -> RunRecord:
    error = over.error
    if remark and error is not None:
        error = replace(error, message=f"{error.message}; {remark}")
    ended_with_it = [step for step in over.steps if step.state == over.state]
    store.change(over.id, state=over.state, error=error, ended=over.ended, steps=ended_with_it)
    return store.get(over.id)


def _told_end(record: RunRecord) -> RunRecord | None:
    """Return the record with the end that the journal tells of: the supervisor could say it there only."""
    told = [event for event in events(record.journal) if event["event"] == "state"]
    try:
        state = State(told[-1]["state"])
        error = RunError.from_json(told[-1]["error"]) if told[-1].get("error") else None
    except (LookupError, TypeError, ValueError, AttributeError):
        return None  # none was told, or not by this version
    return _over(record, state, error, _last_sign(record)) if state.terminal else None


def _crashed(record: RunRecord, ended: datetime) -> RunRecord:
    going = [step for step in record.steps if step.state == State.RUNNING]
    where = f" in step `{going[0].name}`" if going else "" if record.started else _EARLY
    message = (
        f"the process that supervised this run ended without a word{where} (killed, or the machine went down)"
    )
    error = RunError(KIND, message, step=going[0].name if going else "")
    return _over(record, State.CRASHED, error, ended)


def _over(record: RunRecord, state: State, error: RunError | None, ended: datetime) -> RunRecord:
    steps = [
        replace(step, state=state, ended=ended, error=error) if step.state == State.RUNNING else step
        for step in record.steps
    ]
    return replace(record, state=state, error=error, ended=ended, steps=steps)


def _last_sign(record: RunRecord) -> datetime:
    """Return when the run was last seen at work: the time of its newest file."""
    times = []
    for path in (record.journal, record.log, record.notebook):
        try:
            times.append(path.stat().st_mtime)
        except FileNotFoundError:
            continue
    sign = datetime.fromtimestamp(max(times), UTC) if times else datetime.now(UTC)
    return max(sign, record.started or record.created)


def _put_right(record: RunRecord) -> str:
    """Make the executed notebook of a run that is over say so; return what stood in the way, if anything."""
    try:
        notebook = _remains(record)
        if notebook is not None:
            write_atomic(record.notebook, mark(notebook, record))
    except (*_NOT_A_NOTEBOOK, OSError, RecordError) as error:
        return f"its executed notebook could not be brought up to date: {error}"
    return ""


def _remains(record: RunRecord) -> dict[str, Any] | None:
    happened = list(events(record.journal))
    for path in (record.document, record.notebook) if happened else (record.notebook, record.document):
        if path.exists():
            notebook: dict[str, Any] = json.loads(path.read_bytes())
            return rebuild(notebook, happened) if path == record.document else notebook
    return None
