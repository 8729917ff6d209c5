"""What papermill's engine `flownb` does: a notebook run for papermill in a forked process."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import IO, TYPE_CHECKING, Any

from nbclient.exceptions import CellTimeoutError, DeadKernelError

from flownb.engine.fork.fold import Fold
from flownb.engine.fork.keeper import Keeper
from flownb.engine.fork.run import CannotFork, process_for, run_forked
from flownb.engine.kernelspecs import missing_kernel_told_to_papermill
from flownb.engine.plugin import FORKING
from flownb.engine.room import check_room
from flownb.engine.saver import Saver
from flownb.engine.session import Limits, Session
from flownb.engine.work import Work
from flownb.errors import FlownbError

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbformat import NotebookNode

    from flownb.engine.ending import CellError, Ending
    from flownb.engine.fork.process import Process

logger = logging.getLogger("papermill")

#: nbclient's options that this engine honours
_HONOURED = frozenset(
    {
        "allow_error_names",
        "allow_errors",
        "force_raise_errors",
        "record_timing",
        "skip_cells_with_tag",
        "store_widget_state",
    }
)
#: those that say how a real kernel is started or stopped, which is not done here
_NEEDLESS = frozenset(
    {
        "input_path",
        "iopub_timeout",
        "ipython_hist_file",
        "raise_on_iopub_timeout",
        "shell_timeout_interval",
        "shutdown_kernel",
        "startup_timeout",
    }
)


def execute_notebook(
    nb: NotebookNode,
    kernel_name: str,
    *,
    output_path: str | None = None,
    progress_bar: bool | dict[str, Any] = True,
    log_output: bool = False,
    autosave_cell_every: float = 30.0,
    stdout_file: IO[str] | None = None,
    stderr_file: IO[str] | None = None,
    start_timeout: float = 60.0,
    execution_timeout: float | None = None,
    **options: Any,
) -> NotebookNode:
    """Execute `nb` in place, in the folder that papermill has changed into; see `FlownbEngine`."""
    timeout = execution_timeout or options.get("timeout")
    teller = Teller(output_path, autosave_cell_every > 0, kernel_name, log_output, stdout_file, stderr_file)
    session = Session(
        limits=Limits(step_timeout=float(timeout) if timeout and timeout > 0 else None),
        observer=teller,
        start_timeout=start_timeout,
    )
    traits = {name: value for name, value in options.items() if name in _HONOURED}
    folds: list[Fold] = []
    try:
        with missing_kernel_told_to_papermill():
            process = _process(
                *(nb, kernel_name, session, options),
                meanwhile=lambda: folds.append(Fold(nb, session, log=logger, **traits)),
            )
    except CannotFork as refusal:
        logger.warning("papermill's standard engine runs this notebook; %r cannot: %s", FORKING, refusal)
        process = None
    if process is None:
        from papermill.engines import NBClientEngine

        check_room()
        return NBClientEngine.execute_notebook(
            nb,
            kernel_name,
            output_path=output_path,
            progress_bar=progress_bar,
            log_output=log_output,
            autosave_cell_every=autosave_cell_every,
            stdout_file=stdout_file,
            stderr_file=stderr_file,
            start_timeout=start_timeout,
            execution_timeout=execution_timeout,
            **options,
        )
    try:
        keeper = Papermills(nb, teller, progress_bar)
    except BaseException:
        process.close()
        raise
    work = Work(lambda: _run(keeper, folds[-1], process, session), session.stop)
    try:
        ending = work.result()
    except BaseException:
        if work.ident is None:  # there was no thread to be had, so nobody else lets go of it
            process.close()
            keeper.close()
        with contextlib.suppress(FlownbError):  # where it cannot be written, either: the first error says why
            teller.write(nb)  # as far as it has come
        raise
    if ending.how not in ("success", "failed"):  # else papermill writes it
        teller.write(nb)
    _raise(ending, session, nb)
    return nb


def _process(
    nb: NotebookNode,
    kernel_name: str,
    session: Session,
    options: dict[str, Any],
    meanwhile: Callable[[], object],
) -> Process:
    arguments = tuple(options.get("extra_arguments") or ())
    known = _HONOURED | _NEEDLESS | {"timeout", "extra_arguments"}
    others = sorted(name for name, value in options.items() if name not in known and value is not None)
    if others:
        raise CannotFork(f"it does not know the option {others[0]!r}")
    return process_for(nb, kernel_name, session, arguments, meanwhile=meanwhile)


def _run(keeper: Papermills, fold: Fold, process: Process, session: Session) -> Ending:
    try:
        run_forked(keeper, fold, process, session)
    finally:
        keeper.close()
    assert session.ending is not None
    return session.ending


def _raise(ending: Ending, session: Session, nb: NotebookNode) -> None:
    if ending.how == "died":
        raise DeadKernelError(f"Kernel died: {ending.reason}")
    if ending.how == "cancelled":
        raise KeyboardInterrupt
    if ending.how == "timed out":
        assert ending.cell is not None
        limit = session.limits.step_timeout or 0.0
        raise CellTimeoutError.error_from_timeout_and_cell(
            "Cell execution timed out", int(limit) if limit.is_integer() else limit, nb.cells[ending.cell]
        )


class Papermills(Keeper):
    """Keeps the books as papermill does when it is the one that is watched: with its progress bar."""

    def __init__(self, nb: NotebookNode, observer: Teller, progress_bar: bool | dict[str, Any]) -> None:
        """Keep the books of `nb`; `progress_bar` is papermill's option."""
        super().__init__(nb, observer)
        self._teller = observer
        self._bar: Any = None
        if progress_bar:
            from tqdm.auto import tqdm  # type: ignore[import-untyped]  # it has no types

            options = progress_bar if isinstance(progress_bar, dict) else {}
            self._bar = tqdm(total=len(nb.cells), **{"unit": "cell", "desc": "Executing", **options})

    def cell_start(self, cell: NotebookNode, index: int) -> None:
        """Note that a cell runs; where it describes itself, the bar says so."""
        _, _, described = cell["source"].partition("papermill_description=")
        if self._bar is not None and described.split():
            self._bar.set_description(f"Executing {described.split()[0]}")
        super().cell_start(cell, index)

    def cell_end(self, cell: NotebookNode, index: int, error: CellError | None) -> None:
        """Note how a cell ended."""
        super().cell_end(cell, index, error)
        if self._bar is not None:
            self._bar.update(1)

    def passed_over(self, cell: NotebookNode, index: int) -> None:
        """Note that a cell is not to be executed; papermill's log has it all the same."""
        self._teller.begins(index)
        super().passed_over(cell, index)
        self._teller.ends(index)
        if self._bar is not None:
            self._bar.update(1)

    def close(self) -> None:
        """Take the progress bar away."""
        if self._bar is not None:
            self._bar.close()


class Teller(Saver):
    """Saves the notebook, and tells of what is printed where papermill does: its log, files."""

    def __init__(
        self,
        path: str | None,
        between: bool,  # a private class, one caller
        kernel: str,
        logs: bool,
        stdout: IO[str] | None,
        stderr: IO[str] | None,
    ) -> None:
        """Save to `path`; write to the log, what is printed too where `logs`, and to the files."""
        super().__init__(path, between=between)
        self._kernel = kernel
        self.logs = logs
        self._files = {"stdout": stdout, "stderr": stderr}
        self._begun: dict[str, str] = {}  # lines that are not at their end, for the log

    def kernel_started(self, pid: int | None) -> None:
        """Log with which kernel the notebook is executed, in papermill's words."""
        super().kernel_started(pid)
        logger.info(f"Executing notebook with kernel: {self._kernel}")  # noqa: G004  # papermill's own line

    def cell_started(self, index: int, cell: NotebookNode) -> None:
        """Say so."""
        super().cell_started(index, cell)
        self.begins(index)

    def cell_ended(self, index: int, cell: NotebookNode, error: CellError | None) -> None:
        """Say so."""
        super().cell_ended(index, cell, error)
        self._log_begun()
        self.ends(index)

    def tick(self, nb: NotebookNode) -> None:
        """Save what is due, and log what has waited for the rest of its line."""
        self._log_begun()
        super().tick(nb)

    def begins(self, index: int) -> None:
        """Log that a cell begins, in papermill's words."""
        if self.logs:
            logger.info(f"Executing Cell {index + 1:-<40}")  # noqa: G004  # papermill's own line

    def ends(self, index: int) -> None:
        """Log that a cell has ended."""
        if self.logs:
            logger.info(f"Ending Cell {index + 1:-<43}")  # noqa: G004
            sys.stdout.flush()
            sys.stderr.flush()

    def cell_output(self, index: int, cell: NotebookNode, output: NotebookNode | None) -> None:
        """Pass on what was printed."""
        super().cell_output(index, cell, output)
        if output is None:
            return
        if output.output_type == "stream":
            self._stream(output.name, output.text)
        elif self.logs and "text/plain" in output.get("data", ()):
            self._log_begun()
            logger.info("".join(output.data["text/plain"]))

    def _stream(self, name: str, text: str) -> None:
        if self.logs and name in self._files:
            if any(other != name for other in self._begun):
                self._log_begun()
            self._begun[name] = self._begun.get(name, "") + text
            if text.endswith("\n"):
                self._log_begun()
        file = self._files.get(name)
        if file is not None:
            file.write(text)
            file.flush()

    def _log_begun(self) -> None:
        """Log lines that have come in pieces."""
        for name, text in self._begun.items():
            (logger.info if name == "stdout" else logger.warning)(text)
        self._begun.clear()
