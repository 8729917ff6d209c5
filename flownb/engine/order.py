"""Which cells of a notebook are executed, and behind which the secrets come. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbformat import NotebookNode


def runs(cell: NotebookNode, skip_tag: str = "skip-execution") -> bool:
    """Whether nbclient executes a cell at all: one of code that is not empty, nor tagged to be skipped."""
    if cell["cell_type"] != "code" or skip_tag in cell["metadata"].get("tags", ()):
        return False
    return bool(cell["source"].strip())


def secrets_after(nb: NotebookNode, skip_tag: str = "skip-execution") -> int | None:
    """Return the index of the cell behind which secret parameters are bound; None: before all cells."""
    tags = [cell["metadata"].get("tags", ()) for cell in nb["cells"]]
    for wanted in ("injected-parameters", "parameters"):
        for index, there in enumerate(tags):
            if wanted in there and runs(nb["cells"][index], skip_tag):
                return index
    return None
