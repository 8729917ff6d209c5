"""The executed notebook: its statuses, and making it again from the flow document and the journal.

Statuses are papermill's own words in papermill's own places, so its tools read them; but they are true also
when the kernel was killed, a time limit was reached, or the supervisor itself died.
"""

from __future__ import annotations

import copy
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from flownb.files import notebook_bytes, write_atomic
from flownb.runs.record import time_text
from flownb.runs.states import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, MutableMapping
    from typing import TypeVar

    from flownb.runs.record import RunRecord

    Notebook = TypeVar("Notebook", bound=MutableMapping[str, Any])

__all__ = ["COMPLETED", "FAILED", "PENDING", "RUNNING", "mark", "notebook_bytes", "rebuild", "write_atomic"]

PENDING, RUNNING, COMPLETED, FAILED = "pending", "running", "completed", "failed"


def mark(notebook: Notebook, run: RunRecord) -> Notebook:
    """Set a notebook's statuses to what is true of `run`, in place, and return it.

    Cells before the one where the run ended are "completed", that one is "failed" unless the run succeeded,
    those after it are "pending". While the run goes on, one cell may be "running". The notebook itself gets
    the times, whether there was an exception, and in `metadata.flownb.run` the run's id, state and error.
    """
    cells: list[Any] = notebook["cells"]
    stopped = None if run.state in (State.SUCCESS, *_GOING) else _where_it_ended(cells, run)
    for index, cell in enumerate(cells):
        status = _status(cell, index, stopped, run.state)
        metadata = cell.setdefault("metadata", {})
        block = {**_NOTHING, **_dict(metadata.get("papermill"))}
        block["status"] = status
        block["exception"] = {COMPLETED: False, RUNNING: False, FAILED: True}.get(status)
        if status == FAILED and block["end_time"] is None:
            block["end_time"] = time_text(run.ended)
        metadata["papermill"] = block  # last: nbformat's own nodes copy what is put into them
    metadata = notebook.setdefault("metadata", {})
    metadata["papermill"] = {
        **_dict(metadata.get("papermill")),
        "start_time": time_text(run.started),
        "end_time": time_text(run.ended),
        "duration": run.seconds if run.state.terminal else None,
        "exception": (run.state is not State.SUCCESS) if run.state.terminal else None,
    }
    error = asdict(run.error) if run.error else None
    block = {"id": run.id, "state": run.state.value, "error": error}
    metadata["flownb"] = {**_dict(metadata.get("flownb")), "run": block}
    return notebook


def rebuild(document: Mapping[str, Any], journal: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the executed notebook that a document and the events of its journal make.

    The last event of a cell counts. A cell is known by its id, else by its place; one that the document
    does not have (injected parameters) goes to the place that its event names. Without an event a cell
    is as in the document, without outputs.
    """
    notebook: dict[str, Any] = {**document, "metadata": copy.deepcopy(dict(document.get("metadata", {})))}
    cells = [_unexecuted(cell) for cell in document.get("cells", ())]
    for event in journal:
        if event["event"] == "metadata":
            notebook["metadata"] = dict(event["metadata"])
        elif event["event"] == "cell":
            _put(cells, event["index"], dict(event["cell"]))
    notebook["cells"] = cells
    return notebook


_GOING = (State.PENDING, State.RUNNING)
_NOTHING: dict[str, Any] = {
    "exception": None,
    "start_time": None,
    "end_time": None,
    "duration": None,
    "status": PENDING,
}


def _put(cells: list[dict[str, Any]], index: int, cell: dict[str, Any]) -> None:
    identity = cell.get("id")
    for place, known in enumerate(cells):
        if identity is not None and known.get("id") == identity:
            cells[place] = cell
            return
    there = cells[index] if index < len(cells) else None
    if there is not None and identity is None and _injected(there) == _injected(cell):
        cells[index] = cell
    else:
        cells.insert(index, cell)


def _injected(cell: Mapping[str, Any]) -> bool:
    return "injected-parameters" in (_dict(cell.get("metadata")).get("tags") or ())


def _unexecuted(cell: Mapping[str, Any]) -> dict[str, Any]:
    fresh = {**cell, "metadata": copy.deepcopy(dict(cell.get("metadata", {})))}
    if fresh.get("cell_type") == "code":
        fresh |= {"outputs": [], "execution_count": None}
    return fresh


def _where_it_ended(cells: list[Any], run: RunRecord) -> int | None:
    """Return the index of the cell in which a run that did not succeed ended; None where in no cell."""
    statuses = [_dict(_dict(cell.get("metadata")).get("papermill")).get("status") for cell in cells]
    for status in (RUNNING, FAILED):
        if status in statuses:
            return statuses.index(status)
    named = {run.error.step} if run.error else set()
    named |= {step.name for step in run.steps if step.state in _ENDED_BADLY}
    for index, cell in enumerate(cells):
        block = _dict(_dict(cell.get("metadata")).get("flownb"))
        if block.get("role") == "step" and block.get("step") in named:
            return index
    raised = [index for index, cell in enumerate(cells) if _raised(cell)]
    return raised[-1] if raised else None


_ENDED_BADLY = (State.FAILED, State.CANCELLED, State.CRASHED)


def _raised(cell: Mapping[str, Any]) -> bool:
    return any(output.get("output_type") == "error" for output in cell.get("outputs", ()))


def _status(cell: Mapping[str, Any], index: int, stopped: int | None, state: State) -> str:
    if stopped is not None:
        return FAILED if index == stopped else COMPLETED if index < stopped else PENDING
    before = _dict(_dict(cell.get("metadata")).get("papermill")).get("status")
    if state in _GOING and before in (RUNNING, COMPLETED):
        return str(before)
    if cell.get("cell_type") == "code" and "".join(cell.get("source", "")).strip():
        # papermill calls every cell completed that is left over in the end: the count tells what was executed
        return COMPLETED if cell.get("execution_count") is not None else PENDING
    return COMPLETED if state is State.SUCCESS else PENDING


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
