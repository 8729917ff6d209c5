"""The slicer of the package, as the programs are given to it: what a flow of the step carries."""

from __future__ import annotations

from pathlib import Path

from flownb.capture.assemble import assemble
from flownb.capture.captured import Captured
from flownb.capture.cell import Header, read_cell
from flownb.capture.history import History
from flownb.capture.live import wanted_names

_LIBRARIES = Path(__file__).parent / "libraries"


def slicer(executed: list[str], step: str) -> str:
    """Return the source that is executed before the step of a flow, after these cells were executed."""
    if not step.strip():
        return ""
    step = f"pass\n{step}"  # its first lines are no declarations
    history = History(_LIBRARIES)
    for source in executed:
        history.add(source)
    cell = read_cell(step, Header("flow", "step"))
    look = history.look(wanted_names(cell, history), optional=cell.names.optional)
    captured = Captured(cell, len(history.executed), look)
    captured.execution = history.add(step, step=("flow", "step"))
    captured.proved = True
    return "\n".join(part.source for part in assemble("flow", [captured], history).flow.closure)
