"""One session from its notebook to its ending, with papermill's standard engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flownb.engine.client import Client
from flownb.engine.manager import Manager

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from flownb.engine.session import Session


def run_session(
    nb: NotebookNode,
    kernel_name: str,
    session: Session,
    *,
    progress_bar: bool | dict[str, Any] = False,
    log_output: bool = False,
    stdout_file: Any = None,
    stderr_file: Any = None,
    **options: Any,
) -> None:
    """Execute `nb` in place; the session's `ending` says how it ended.

    Options that nbclient knows (`allow_errors`, `coalesce_streams`, ...) reach it; others are refused
    by it. Raises what the session's observer raises, and `EnvironmentRefusedError` where no kernel starts.
    """
    manager = Manager(nb, session.observer, progress_bar=progress_bar, log_output=log_output)
    manager.notebook_start()
    try:
        Client(
            manager,
            session,
            kernel_name=kernel_name,
            log_output=log_output,
            stdout_file=stdout_file,
            stderr_file=stderr_file,
            **{key: value for key, value in options.items() if key in _TRAITS},
        ).execute()
    finally:
        manager.notebook_complete()


_TRAITS = frozenset(
    {
        "allow_errors",
        "allow_error_names",
        "force_raise_errors",
        "skip_cells_with_tag",
        "record_timing",
        "store_widget_state",
        "extra_arguments",
    }
)
