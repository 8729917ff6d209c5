"""The child process in which another papermill engine executes a notebook; its parent is `foreign`."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from typing import IO, TYPE_CHECKING, Any

from flownb.engine.ending import CellError, cell_error
from flownb.engine.observe import Observer

if TYPE_CHECKING:
    from nbformat import NotebookNode


def main(descriptor: int) -> None:
    """Execute the job on standard input; tell of it, one JSON object a line, on that descriptor."""
    job = json.loads(sys.stdin.buffer.read())
    os.set_inheritable(descriptor, False)  # the notebook's processes must not keep the pipe open
    with os.fdopen(descriptor, "w", encoding="utf-8", buffering=1) as events:
        _execute(job, _Telling(events))


class _Telling(Observer):
    """Writes down what it hears, for the parent to hear the same.

    The end of a cell waits for what comes next: papermill's client tells of an end also where the cell
    took the kernel with it, and raises only then.
    """

    def __init__(self, events: IO[str]) -> None:
        self._events = events
        self._ended: dict[str, Any] | None = None
        self.told = False

    def _tell(self, **event: Any) -> None:
        self._events.write(json.dumps(event) + "\n")
        self._events.flush()

    def _tell_ended(self) -> None:
        if self._ended is not None:
            self._tell(**self._ended)
        self._ended = None

    def cell_started(self, index: int, cell: NotebookNode) -> None:
        self._tell_ended()
        self.told = True
        self._tell(event="started", index=index, cell=cell)

    def cell_ended(self, index: int, cell: NotebookNode, error: CellError | None) -> None:
        if error is None and "raises-exception" not in cell.metadata.get("tags", ()):
            left = cell_error(cell)
            error = left if left.exits_well else None
        self._ended = {"event": "ended", "index": index, "cell": cell, "error": error and asdict(error)}

    def over(self, nb: NotebookNode, raised: tuple[str, str] | None) -> None:
        if raised is None:
            self._tell_ended()  # else it did not end, whatever was said: the parent says how
        self._tell(event="over", metadata=nb.metadata, raised=raised)


def _execute(job: dict[str, Any], telling: _Telling) -> None:
    from flownb.document import import_nbformat

    import_nbformat()
    import papermill  # noqa: F401  # before its engines, which import it in a circle
    from nbformat import from_dict
    from papermill.engines import Engine, papermill_engines

    from flownb.engine.manager import Manager

    nb = from_dict(job["nb"])
    engine = papermill_engines.get_engine(job["engine"])
    manager = Manager(nb, telling, progress_bar=False)
    raised = None
    try:
        if getattr(engine.execute_notebook, "__func__", None) is Engine.execute_notebook.__func__:
            manager.notebook_start()
            engine.execute_managed_notebook(manager, job["kernel"], log_output=False)
        else:  # it does its own bookkeeping
            nb = engine.execute_notebook(nb, job["kernel"], output_path=None, progress_bar=False)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # told to the parent
        raised = (type(error).__name__, str(error))
    if raised is None and not telling.told:
        _tell_all(nb, telling)
    telling.over(nb, raised)


def _tell_all(nb: NotebookNode, telling: _Telling) -> None:
    """Tell of the cells of an engine that did not speak of them, now that they have run."""
    for index, cell in enumerate(nb.cells):
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        allowed = "raises-exception" in cell.metadata.get("tags", ())
        failed = not allowed and any(output["output_type"] == "error" for output in cell.outputs)
        cell.metadata.setdefault("papermill", {})["status"] = "failed" if failed else "completed"
        telling.cell_started(index, cell)
        telling.cell_ended(index, cell, cell_error(cell) if failed else None)
        if failed:
            return
