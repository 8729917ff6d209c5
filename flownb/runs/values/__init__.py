"""A value <-> files and a small record of it.

This package stands alone on purpose: it imports nothing of flownb but itself (relatively), and nothing
outside the standard library at the top of its modules, because its sources are also executed inside kernels
that have no flownb (`flownb.runs.collect`). For the same reason it keeps to what Python 3.9 understands.

A value goes to the first format that gives it back exactly: plain data as JSON, other literals as Python,
dates and the like as tagged JSON, arrays as `.npy`, tables as Parquet or Arrow, all else by cloudpickle.
Figures become pictures. "Exactly" is checked while writing, not hoped for.
"""

from __future__ import annotations

from .describing import describe, preview
from .files import file_stem, inside
from .pickles import python_mark
from .pictures import Picture
from .storing import VERSION, collect, load, store

__all__ = [
    "VERSION",
    "Picture",
    "collect",
    "describe",
    "file_stem",
    "inside",
    "load",
    "preview",
    "python_mark",
    "store",
]
