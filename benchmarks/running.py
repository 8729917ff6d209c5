"""What a run costs over plain papermill, the same notebook in the same process, in turn."""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path

import papermill

from benchmarks.measuring import Row, in_turn, timed
from flownb.environments import LocalEnvironment
from flownb.flow import Flow, Parameter, Step
from flownb.storage import NotebookStorage


def _flow(cells: int) -> Flow:
    steps = tuple(Step(f"s{index}", f"x{index} = n + {index}") for index in range(cells))
    return Flow("many", parameters=(Parameter("n", "int", "1"),), steps=steps)


def _papermill(document: Path, out: Path) -> None:
    with contextlib.redirect_stderr(io.StringIO()):
        papermill.execute_notebook(str(document), str(out), parameters={"n": 2}, progress_bar=False)


def rows(rounds: int) -> list[Row]:
    """Measure a flow of 1 and of 100 trivial steps, recorded by flownb, and by papermill alone."""
    return [_row(cells, rounds) for cells in (1, 100)]


def _row(cells: int, rounds: int) -> Row:
    environment = LocalEnvironment()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        flow = _flow(cells)
        flow.write(folder / "document.ipynb")
        storage = NotebookStorage(folder / "store.ipynb")
        location = storage.add_flow(flow)

        def ours() -> float:
            return timed(lambda: environment.execute(storage, location, {"n": 2}).raise_for_state())

        def peer() -> float:
            return timed(lambda: _papermill(folder / "document.ipynb", folder / "out.ipynb"))

        ours(), peer()  # the first of each imports and compiles
        times = in_turn(ours, peer, rounds)
    label = f"a run of {cells} trivial step{'s' if cells > 1 else ''}"
    return Row(label, times[0], "papermill", times[1], "ratio at most 1.0 at 100")
