"""papermill's bookkeeping of an execution, with statuses that are true and a cost per cell that is constant.

papermill's own manager writes the whole notebook twice for each cell, and says `completed` where a
kernel died. This one tells an observer instead, who decides what to write and when.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from papermill.engines import NotebookExecutionManager

from flownb.engine.ending import CellError, cell_error

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from flownb.engine.observe import Observer


class Manager(NotebookExecutionManager):  # type: ignore[misc]  # papermill has no types
    """Keeps the times and statuses in a notebook's papermill metadata, and tells an observer.

    A cell is `pending`, `running`, `completed` or `failed`; one that was never reached stays `pending`,
    one that was stopped or whose kernel died is `failed`. It never writes a file.
    """

    def __init__(self, nb: NotebookNode, observer: Observer, **options: Any) -> None:
        """Keep the books of `nb`; `options` are those of papermill's manager."""
        super().__init__(nb, output_path=None, **options)
        self._observer = observer
        self._failed: CellError | None = None  # what the cell at work has raised

    def save(self, **_: Any) -> None:
        """Do nothing: the observer decides when to write."""

    def autosave_cell(self, **_: Any) -> None:
        """Do nothing: the observer decides when to write."""

    def notebook_start(self, **_: Any) -> None:
        """Reset times, statuses, counts and outputs, and tell the observer."""
        super().notebook_start()
        if not isinstance(self.nb.metadata.papermill.get("input_path"), str):
            # papermill notes a notebook given as an object in full, within itself
            self.nb.metadata.papermill["input_path"] = None
        self._observer.notebook_started(self.nb)

    def cell_start(self, cell: NotebookNode, cell_index: int | None = None, **_: Any) -> None:
        """Note that a cell runs; cells that hold no code are not told of."""
        self._failed = None
        super().cell_start(cell, cell_index)
        if cell_index is not None and cell.cell_type == "code":
            self._observer.cell_started(cell_index, cell)

    def cell_exception(self, cell: NotebookNode, cell_index: int | None = None, **details: Any) -> None:
        """Note that a cell raised; papermill's engines call it just before `cell_complete`."""
        raised = details.get("exception")
        error = cell_error(cell, (type(raised).__name__, str(raised)) if raised else ("Error", ""))
        if not error.exits_well:
            super().cell_exception(cell, cell_index)
            self._failed = error

    def cell_complete(self, cell: NotebookNode, cell_index: int | None = None, **_: Any) -> None:
        """Note that a cell has ended, and tell the observer; for papermill's engines."""
        super().cell_complete(cell, cell_index)
        if cell_index is not None and cell.cell_type == "code":
            self._observer.cell_ended(cell_index, cell, self._failed)

    def cell_end(self, cell: NotebookNode, cell_index: int, error: CellError | None) -> None:
        """Note how a cell ended, all in one; for the engine of this package."""
        if error is not None:
            super().cell_exception(cell, cell_index)
        self._failed = error
        self.cell_complete(cell, cell_index)

    def passed_over(self, cell: NotebookNode) -> None:
        """Note that a cell is not to be executed: text, empty, or tagged `skip-execution`."""
        cell.metadata.papermill["status"] = self.COMPLETED
        if self.pbar:
            self.pbar.update(1)

    def notebook_complete(self, **_: Any) -> None:
        """Note the end and tell the observer. What did not run stays `pending`."""
        self.end_time = self.now()
        about = self.nb.metadata.papermill
        about["end_time"] = self.end_time.isoformat()
        if self.start_time is not None:
            about["duration"] = (self.end_time - self.start_time).total_seconds()
        self.cleanup_pbar()
        self._observer.notebook_ended(self.nb)
