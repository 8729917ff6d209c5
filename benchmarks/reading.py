"""What listing the flows of a saved notebook costs, beside nbformat reading the same file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import nbformat

from benchmarks.measuring import Row, in_turn, timed
from flownb.flow import Carried, Flow, Parameter, Step
from flownb.storage import NotebookStorage

FLOWS = 200


def _notebook(path: Path) -> None:
    from flownb.files import notebook_bytes
    from flownb.storage.notebook_cells import with_flow

    content = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    for index in range(FLOWS):
        flow = Flow(
            f"flow {index}",
            parameters=(Parameter("n", "int", str(index), "how many"), Parameter("name", "str", "'x'")),
            steps=(Step("load", f"rows = [scale(v) for v in range(n + {index})]", ("rows",)),),
            closure=(
                Carried("math", "import", "import math"),
                Carried("scale", "statement", "def scale(v):\n    return math.sqrt(v)", ("scale",), cell=1),
            ),
        )
        content = with_flow(content, flow)
    path.write_bytes(notebook_bytes(content))


def rows(rounds: int) -> list[Row]:
    """Measure a notebook with 200 flows: their names and locations, each read back from its record."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "many.ipynb"
        _notebook(path)
        assert len(NotebookStorage(path).flows) == FLOWS
        ours, peer = in_turn(
            lambda: timed(lambda: NotebookStorage(path).flows),
            lambda: timed(lambda: nbformat.read(path, as_version=4)),
            2 * rounds,
        )
    return [
        Row(f"a notebook's {FLOWS} flows listed", ours, "nbformat.read of the file", peer, "under 100 ms")
    ]
