"""The engine used by papermill alone: `papermill --engine flownb-managed in.ipynb out.ipynb`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbclient.exceptions import CellTimeoutError, DeadKernelError

from flownb.engine.kernelspecs import missing_kernel_told_to_papermill
from flownb.engine.run import run_session
from flownb.engine.saver import Saver
from flownb.engine.session import Limits, Session
from flownb.engine.work import Work

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from flownb.engine.ending import Ending


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
    error is left in its outputs, where papermill looks for it. A kernel that is missing is jupyter_client's
    `NoSuchKernel`. An interrupt ends the kernel, and is raised.
    """
    saver = Saver(output_path, between=autosave_cell_every > 0)
    session = Session(
        limits=Limits(step_timeout=execution_timeout), observer=saver, start_timeout=start_timeout
    )
    options.pop("input_path", None)
    # in a thread of its own, as the caller's may have an event loop that runs: each cell of a notebook does
    with missing_kernel_told_to_papermill():
        Work(lambda: run_session(nb, kernel_name, session, **options), session.stop).result()
    assert session.ending is not None
    saver.write(nb)
    _raise(session.ending)
    return nb


def _raise(ending: Ending) -> None:
    if ending.how == "died":
        raise DeadKernelError(ending.reason)
    if ending.how == "timed out":
        raise CellTimeoutError(ending.reason)
    if ending.how == "cancelled":
        raise KeyboardInterrupt
