"""The names of a captured cell, as its step records them."""

from __future__ import annotations

import ast
import builtins

from flownb.names.analysis import find_names
from flownb.names.transform import to_python

PROVIDED = frozenset(dir(builtins)) | {
    *("get_ipython", "display", "exit", "quit", "__file__", "__loader__", "__builtins__", "__annotations__"),
}
"""Names that every kernel has, without anybody binding them."""


def step_names(source: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what a step may read before binding it, and what it may bind or change; both sorted.

    What every kernel has is not counted as read. Source that is not Python gives nothing.
    """
    try:
        names = find_names(ast.parse(to_python(source)), transform=to_python)
    except (SyntaxError, ValueError):
        return (), ()
    reads = names.reads - PROVIDED
    return tuple(sorted(reads)), tuple(sorted(names.binds | names.mutates | names.deletes))
