"""The names of a captured cell, as its step records them, and whether it shows a value."""

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


def shows_result(source: str, tree: ast.Module | None = None) -> bool:
    """Whether the last expression of a cell has a value that is shown. `tree` is the cell's, if it is known.

    Source that is not Python shows nothing.
    """
    if tree is None:
        try:
            tree = ast.parse(to_python(source))
        except (SyntaxError, ValueError):
            return False
    if not tree.body or not isinstance(last := tree.body[-1], ast.Expr):
        return False
    if source.rstrip().endswith(";"):
        return False
    # A magic's or shell line's value is None, like that of the calls that only show something.
    match last.value:
        case ast.Call(func=ast.Name(id="print" | "display")):
            return False
        case ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(id="get_ipython"))), args=args):
            return _timed(args)
    return True


def _timed(args: list[ast.expr]) -> bool:
    """Whether a magic gives the value of what it was given: `%time f()`."""
    match args:
        case [ast.Constant(value="time"), ast.Constant(value=str(code))]:
            return shows_result(code)
    return False
