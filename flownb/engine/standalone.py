"""The engine used by papermill alone: `papermill --engine flownb-managed in.ipynb out.ipynb`."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.iorw import write_ipynb

from flownb.engine.observe import Observer
from flownb.engine.pace import Pace
from flownb.engine.run import run_session
from flownb.engine.session import Limits, Session
from flownb.files import write_atomic

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from flownb.engine.ending import CellError, Ending


class Saver(Observer):
    """Keeps a notebook's file up while it runs: whole at any moment, and at a bounded cost."""

    def __init__(self, path: str | None, *, between: bool = True) -> None:
        """Write to `path`, None for nowhere; `between`: also between start and end."""
        self._path = path
        self._pace = Pace(least=0.5 if between else math.inf)
        self._changed = False

    def notebook_started(self, nb: NotebookNode) -> None:
        """Write it, so that it can be seen that it runs."""
        self._write(nb)

    def cell_started(self, index: int, cell: NotebookNode) -> None:  # noqa: ARG002
        """Note a change."""
        self._changed = True

    def cell_output(self, index: int, cell: NotebookNode, output: NotebookNode | None) -> None:  # noqa: ARG002
        """Note a change."""
        self._changed = True

    def cell_ended(self, index: int, cell: NotebookNode, error: CellError | None) -> None:  # noqa: ARG002
        """Note a change."""
        self._changed = True

    def tick(self, nb: NotebookNode) -> None:
        """Write where there is something new and the last write is long enough ago."""
        if self._changed and self._pace.due:
            self._write(nb)

    def notebook_ended(self, nb: NotebookNode) -> None:
        """Write the end."""
        self._write(nb)

    def _write(self, nb: NotebookNode) -> None:
        if self._path is None:
            return
        began = time.monotonic()
        if "://" in self._path:
            write_ipynb(nb, self._path)
        else:
            write_atomic(Path(self._path), nb)
        self._pace.done(time.monotonic() - began)
        self._changed = False


def execute_alone(
    nb: NotebookNode,
    kernel_name: str,
    *,
    output_path: str | None = None,
    autosave_cell_every: float = 30.0,
    start_timeout: float = 60.0,
    execution_timeout: float | None = None,
    **options: Any,
) -> NotebookNode:
    """Execute `nb` for papermill, which has changed into the folder that it is to run in.

    Raises `DeadKernelError` and `CellTimeoutError` as papermill's standard engine does; a cell's own
    error is left in its outputs, where papermill looks for it.
    """
    session = Session(
        limits=Limits(step_timeout=execution_timeout),
        observer=Saver(output_path, between=autosave_cell_every > 0),
        start_timeout=start_timeout,
    )
    options.pop("input_path", None)
    run_session(nb, kernel_name, session, **options)
    assert session.ending is not None
    _raise(session.ending)
    return nb


def _raise(ending: Ending) -> None:
    if ending.how == "died":
        raise DeadKernelError(ending.reason)
    if ending.how == "timed out":
        raise CellTimeoutError(ending.reason)
    if ending.how == "cancelled":
        raise KeyboardInterrupt
