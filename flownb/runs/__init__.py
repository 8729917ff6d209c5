"""Runs: their states, records, journals and outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flownb.runs.outputs import Outputs
    from flownb.runs.project import Project
    from flownb.runs.record import OutputRecord, RunError, RunRecord, StepRecord, new_run_id
    from flownb.runs.run import Run
    from flownb.runs.states import State
    from flownb.runs.store import RecordStore
    from flownb.runs.table import Runs

__all__ = [
    "OutputRecord",
    "Outputs",
    "Project",
    "RecordStore",
    "Run",
    "RunError",
    "RunRecord",
    "Runs",
    "State",
    "StepRecord",
    "new_run_id",
]

_PLACES = {
    "OutputRecord": "record",
    "Outputs": "outputs",
    "Project": "project",
    "RecordStore": "store",
    "Run": "run",
    "RunError": "record",
    "RunRecord": "record",
    "Runs": "table",
    "State": "states",
    "StepRecord": "record",
    "new_run_id": "record",
}


def __getattr__(name: str) -> Any:
    # a kernel imports `flownb.runs.values` alone after a step; the store and the rest would only cost it time
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"flownb.runs.{_PLACES[name]}"), name)
