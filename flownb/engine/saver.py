"""The file of a notebook that papermill runs: whole at any moment, and kept up at a bounded cost."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from papermill.iorw import LocalHandler, papermill_io, write_ipynb

from flownb.engine.observe import Observer
from flownb.engine.pace import Pace
from flownb.files import write_atomic

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from flownb.engine.ending import CellError


class Saver(Observer):
    """Writes the notebook where papermill would, at most for a twentieth of the time.

    A run that is over within the first moments is written once, at its end.
    """

    def __init__(self, path: str | None, *, between: bool = True) -> None:
        """Write to `path`, None for nowhere; `between`: also while a cell is at work.

        Raises what papermill raises where it cannot be written.
        """
        self._path = path
        self._local = None if path is None else _local(path)
        self._between = between
        self._pace = Pace(least=0.5)
        self._changed = False

    def notebook_started(self, nb: NotebookNode) -> None:
        """See that it can be written, before anything runs."""
        self._changed = True
        folder = None if self._local is None else self._local.parent
        if self._path is not None and (folder is None or not os.access(folder, os.W_OK)):
            write_ipynb(nb, self._path)

    def cell_started(self, index: int, cell: NotebookNode) -> None:  # noqa: ARG002
        """Note a change."""
        self._changed = True

    def cell_output(self, index: int, cell: NotebookNode, output: NotebookNode | None) -> None:  # noqa: ARG002
        """Note a change."""
        self._changed = self._changed or self._between

    def cell_ended(self, index: int, cell: NotebookNode, error: CellError | None) -> None:  # noqa: ARG002
        """Note a change."""
        self._changed = True

    def tick(self, nb: NotebookNode) -> None:
        """Write where there is something new and the last write is long enough ago."""
        if self._changed and self._pace.due:
            self.write(nb)

    def write(self, nb: NotebookNode) -> None:
        """Write it as it is now."""
        if self._path is None:
            return
        began = time.monotonic()
        if self._local is None:
            write_ipynb(nb, self._path)
        else:
            # papermill does not wait for the disk, either, and writes it once more at the end
            write_atomic(self._local, nb, durable=False)
        self._pace.done(time.monotonic() - began)
        self._changed = False


def _local(path: str) -> Path | None:
    """Return the file that papermill means by a path; None where it is none of this machine's."""
    handler = papermill_io.get_handler(path)
    if not isinstance(handler, LocalHandler):
        return None
    return Path(handler._cwd or "", path).absolute()  # noqa: SLF001  # the folder before papermill's `cwd=`
