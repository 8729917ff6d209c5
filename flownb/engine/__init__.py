"""Isolated execution of one notebook, through papermill."""

from __future__ import annotations

from flownb.engine.ending import CellError, Ending, How
from flownb.engine.execute import Limits, check, execute
from flownb.engine.observe import Observer, Reply, Silent
from flownb.engine.pace import Pace
from flownb.engine.secrets import Secrets, redactor
from flownb.engine.stop import Stop

__all__ = [
    "CellError",
    "Ending",
    "How",
    "Limits",
    "Observer",
    "Pace",
    "Reply",
    "Secrets",
    "Silent",
    "Stop",
    "check",
    "execute",
    "redactor",
]
