"""What an execution tells to whoever watches it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbformat import NotebookNode

    from flownb.engine.ending import CellError


@dataclass(frozen=True, slots=True)
class Silent:
    """Code to run in the kernel unseen: no execution count, no history, nothing in a cell's outputs."""

    code: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What silent code answered."""

    ok: bool
    text: str = ""  #: what it printed
    error: CellError | None = None


class Observer:
    """Watches an execution. Every method is called in the engine's thread, one at a time.

    Subclasses override what they want to hear of. An exception that a method raises stops the kernel
    and comes out of `execute`: who cannot write down a run must not let it go on unrecorded.
    The notebook and its cells belong to the engine; a method may read them, and keep them for later.
    """

    def notebook_started(self, nb: NotebookNode) -> None:
        """Hear that the notebook is about to run; `nb` is the one that is changed while it does."""

    def importing(self, modules: Sequence[str]) -> None:
        """Hear that these modules are imported now, for this execution's process and those that follow."""

    def kernel_started(self, pid: int | None) -> None:
        """Hear that the kernel's process was started; None where its process is not known."""

    def cell_started(self, index: int, cell: NotebookNode) -> None:
        """Hear that a code cell is about to run."""

    def cell_output(self, index: int, cell: NotebookNode, output: NotebookNode | None) -> None:
        """Hear of a cell's new output, here alone; None: outputs were cleared, or changed in place.

        Streams come as pieces; in the cell they are joined.
        """

    def cell_ended(self, index: int, cell: NotebookNode, error: CellError | None) -> None:
        """Hear that a cell has ended; `error` is what it raised, was stopped by, or died of."""

    def follows_at_once(self, index: int, cell: NotebookNode) -> bool:  # noqa: ARG002  # for those that want code
        """Return whether no code is wanted behind this cell, so that the next may be sent along with it."""
        return type(self).code_after is Observer.code_after

    def code_after(self, index: int, cell: NotebookNode) -> Silent | None:
        """Return code to be run silently now that this cell has ended well; None for nothing."""

    def code_ended(self, index: int, cell: NotebookNode, reply: Reply) -> None:
        """Hear what the code that `code_after` wanted has answered."""

    def tick(self, nb: NotebookNode) -> None:
        """Do what is due by time; called some times a second, also while a cell is at work."""

    def notebook_ended(self, nb: NotebookNode) -> None:
        """Hear that the notebook has run, well or not: its statuses are final."""
