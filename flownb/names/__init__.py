"""Which names a piece of Python reads and binds: Python's own rules, in one place."""

from __future__ import annotations

from flownb.names.analysis import Names, Opaque, find_names, statement_names
from flownb.names.cells import PROVIDED, shows_result, step_names
from flownb.names.transform import to_python

__all__ = [
    "PROVIDED",
    "Names",
    "Opaque",
    "find_names",
    "shows_result",
    "statement_names",
    "step_names",
    "to_python",
]
