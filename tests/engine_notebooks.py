"""Notebooks for the tests of the engine, and somebody who watches them run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from flownb.engine import Ending, Observer, execute

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from flownb.engine import CellError, Reply, Silent


def notebook(*sources: str | tuple[str, list[str]], kernel: str = "python3") -> NotebookNode:
    """Make a notebook of these sources; one with tags is a pair, one that begins with `# ` is text."""
    cells = []
    for source in sources:
        text, tags = source if isinstance(source, tuple) else (source, [])
        new = new_markdown_cell if text.startswith("# ") else new_code_cell
        cells.append(new(text, metadata={"tags": tags}))
    spec = {"name": kernel, "display_name": kernel, "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": spec})


class Watch(Observer):
    """Keeps what it hears."""

    def __init__(self, after: Silent | None = None) -> None:
        self.after = after
        self.nb: NotebookNode = None
        self.pid: int | None = None
        self.ended: dict[int, CellError | None] = {}
        self.replies: list[Reply] = []
        self.pieces: list[str] = []
        self.ticks = 0

    def notebook_started(self, nb: NotebookNode) -> None:
        self.nb = nb

    def kernel_started(self, pid: int | None) -> None:
        self.pid = pid

    def cell_output(self, index: int, cell: NotebookNode, output: NotebookNode | None) -> None:
        if output is not None and output.output_type == "stream":
            self.pieces.append(output.text)

    def cell_ended(self, index: int, cell: NotebookNode, error: CellError | None) -> None:
        self.ended[index] = error

    def code_after(self, index: int, cell: NotebookNode) -> Silent | None:
        return self.after

    def code_ended(self, index: int, cell: NotebookNode, reply: Reply) -> None:
        self.replies.append(reply)

    def tick(self, nb: NotebookNode) -> None:
        self.ticks += 1

    @property
    def statuses(self) -> list[str]:
        return [cell.metadata.papermill.status for cell in self.nb.cells]

    @property
    def enames(self) -> list[str]:
        return [
            output.ename
            for cell in self.nb.cells
            for output in cell.get("outputs", ())
            if output.output_type == "error"
        ]

    def text(self, index: int) -> str:
        return "".join(out.text for out in self.nb.cells[index].outputs if out.output_type == "stream")


def watched(
    *sources: str | tuple[str, list[str]], after: Silent | None = None, **options: Any
) -> tuple[Ending, Watch]:
    """Execute a notebook of these sources; returns how it ended, and who watched."""
    watch = Watch(after)
    options.setdefault("cwd", Path.cwd())
    kernel = options.pop("kernel", "python3")
    return execute(notebook(*sources, kernel=kernel), observer=watch, **options), watch
