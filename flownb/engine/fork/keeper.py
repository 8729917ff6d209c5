"""papermill's bookkeeping of an execution, without papermill: the times and statuses in a notebook.

They are written where papermill writes them, and in its words, so that its tools read them; as `manager`
does it for papermill's own engines, they are true also where a process died.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nbformat import NotebookNode

from flownb.engine.nodes import plain_node

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flownb.engine.ending import CellError
    from flownb.engine.observe import Observer

_PENDING, _RUNNING, _COMPLETED, _FAILED = "pending", "running", "completed", "failed"
_ERROR_MARKER = "papermill-error-cell-tag"


class Keeper:
    """Keeps the books of a notebook while it runs, and tells an observer. It never writes a file.

    A cell is `pending`, `running`, `completed` or `failed`; one that was never reached stays `pending`,
    one that was stopped or whose process died is `failed`.
    """

    def __init__(self, nb: NotebookNode, observer: Observer) -> None:
        """Keep the books of `nb`, which is changed in place."""
        self.nb = nb
        self._observer = observer
        self._start = self._cell_start = datetime.now(UTC)

    def notebook_start(self) -> None:
        """Reset times, statuses, counts and outputs, and tell the observer."""
        self._start = datetime.now(UTC)
        about = self.nb.metadata.setdefault("papermill", NotebookNode())
        about.update(start_time=self._start.isoformat(), end_time=None, duration=None, exception=None)
        for cell in self.nb.cells:
            nothing = {"exception": None, "start_time": None, "end_time": None, "duration": None}
            cell["metadata"]["papermill"] = plain_node({**nothing, "status": _PENDING})
            if cell["cell_type"] == "code":
                cell["execution_count"] = None
                cell["outputs"] = []
        self._observer.notebook_started(self.nb)

    def cell_start(self, cell: NotebookNode, index: int) -> None:
        """Note that a cell runs, and tell the observer."""
        self._begin(cell)
        self._observer.cell_started(index, cell)

    def cell_end(self, cell: NotebookNode, index: int, error: CellError | None) -> None:
        """Note how a cell ended, and tell the observer."""
        self._complete(cell)
        if error is not None:
            self._fail(cell)
        self._observer.cell_ended(index, cell, error)

    def passed_over(self, cell: NotebookNode, index: int) -> None:  # noqa: ARG002  # for who says more of it
        """Note that a cell is not to be executed: text, empty, or tagged so."""
        self._begin(cell)
        self._complete(cell)

    def notebook_complete(self) -> None:
        """Note the end, and tell the observer. What did not run stays `pending`."""
        for cell in self.nb.cells:
            if (
                cell["metadata"]["papermill"]["status"] == _RUNNING
            ):  # something broke off the execution itself
                self._complete(cell)
                self._fail(cell)
        ended = datetime.now(UTC)
        about = self.nb.metadata.papermill
        about["end_time"], about["duration"] = ended.isoformat(), (ended - self._start).total_seconds()
        self._observer.notebook_ended(self.nb)

    def _begin(self, cell: NotebookNode) -> None:
        self._cell_start = datetime.now(UTC)
        about = cell["metadata"]["papermill"]
        about["start_time"], about["status"] = self._cell_start.isoformat(), _RUNNING
        about["exception"] = False

    def _fail(self, cell: NotebookNode) -> None:
        about = cell["metadata"]["papermill"]
        about["exception"], about["status"] = True, _FAILED
        self.nb.metadata.papermill["exception"] = True

    def _complete(self, cell: NotebookNode) -> None:
        ended = datetime.now(UTC)
        about = cell["metadata"]["papermill"]
        about["end_time"], about["status"] = ended.isoformat(), _COMPLETED
        about["duration"] = (ended - self._cell_start).total_seconds()


def prepared(nb: Mapping[str, Any]) -> NotebookNode:
    """Return a copy of a notebook as papermill would hand it to an engine: with its own metadata, no markers.

    Outputs are left out: an execution begins without them.
    """
    about: dict[str, Any] = {"default_parameters": {}, "parameters": {}, "environment_variables": {}}
    copied = plain_node({key: value for key, value in nb.items() if key != "cells"})
    metadata = copied.setdefault("metadata", NotebookNode())
    known = metadata.get("papermill") or {}
    metadata["papermill"] = plain_node({**about, **known, "input_path": None, "output_path": None})
    cells = []
    for cell in nb["cells"]:
        if _ERROR_MARKER in cell["metadata"].get("tags", ()):
            continue
        fresh = plain_node({**cell, "outputs": []} if cell["cell_type"] == "code" else cell)
        fresh["metadata"].setdefault("tags", [])
        cells.append(fresh)
    dict.__setitem__(copied, "cells", cells)
    return copied
