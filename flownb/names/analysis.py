"""The names that code reads, binds, changes and deletes, found without running it.

The code is followed in the order in which Python executes it, keeping which names are certainly bound
at each point; a name read where it is not certainly bound comes from outside. What stands in a function
is read when the function is called: from the first moment on that its name is loaded. What cannot be
told errs on one side: too much may be found to be read, too little never, save for the readings that no
analysis sees, which are reported as `Opaque`. Scopes are told by `flownb.names.scopes`.

Taken on trust, as telling would cost more than it brings: that a decorator does not make the decorated
function call itself by its name at once; that well-known decorators keep functions for later; that
creating a class which has nothing but base classes calls none of its methods; and that a context manager
which this code does not define, and whose name does not say so, ends no exception.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flownb.names.execution import Cell, Opaque
from flownb.names.scopes import Scope
from flownb.names.walk import Walker

if TYPE_CHECKING:
    from collections.abc import Callable


__all__ = ["Names", "Opaque", "find_names", "statement_names"]


@dataclass(frozen=True, slots=True)
class Names:
    """What some code does to the names of its module (for a cell: of the notebook)."""

    #: names that may be read before the code has certainly bound them: at once, or when functions that it
    #: defines are called. Builtins included. Names that `%%time` and the like read are among them.
    reads: frozenset[str]
    reads_first: frozenset[str]  #: those of `reads` that may be read while the code itself is executed
    binds: frozenset[str]  #: names that it binds, certainly or maybe
    certain: frozenset[str]  #: names that are bound for certain when the code ends normally
    mutates: frozenset[str]  #: those of `reads` whose object it may change in place
    deletes: frozenset[str]  #: names that it may unbind
    opaque: tuple[Opaque, ...] = ()
    #: those of `reads` that the code does without where they are missing: `$x` of shell lines, names in
    #: string annotations, names tried under `except NameError`
    optional: frozenset[str] = frozenset()
    #: names that functions which it defines, and annotations that are text, read later on
    later: frozenset[str] = frozenset()


def find_names(
    code: str | ast.AST, *, transform: Callable[[str], str] | None = None, postponed: bool = False
) -> Names:
    """Return the names of module-level `code`: a cell after IPython's own transform, or its tree.

    `transform` is IPython's transform, for the bodies of `%%time` and the like that hold magics themselves.
    `postponed`: an earlier line has asked for annotations that are not evaluated (PEP 563).
    Raises `SyntaxError` for text that is not Python; top-level `await` is.
    """
    body = ast.parse(code).body if isinstance(code, str) else _statements(code)
    return _analyse(body, Cell(transform, future=postponed or _postpones(body)))


def statement_names(
    tree: ast.Module, *, transform: Callable[[str], str] | None = None
) -> list[tuple[ast.stmt, Names]]:
    """Return the top-level statements of `tree`, each with the names of it alone."""
    future = _postpones(tree.body)
    return [(node, _analyse([node], Cell(transform, future=future))) for node in tree.body]


def _statements(tree: ast.AST) -> list[ast.stmt]:
    if isinstance(tree, (ast.Module, ast.Interactive)):
        return tree.body
    if isinstance(tree, ast.Expression):
        tree = tree.body
    if isinstance(tree, ast.expr):
        return [ast.copy_location(ast.Expr(tree), tree)]
    if isinstance(tree, ast.stmt):
        return [tree]
    raise TypeError(f"names are found in modules, statements and expressions, not in {type(tree).__name__}")


def _postpones(body: list[ast.stmt]) -> bool:
    """Whether annotations are not evaluated (PEP 563)."""
    return any(
        isinstance(node, ast.ImportFrom)
        and node.module == "__future__"
        and any(alias.name == "annotations" for alias in node.names)
        for node in body
    )


def _analyse(body: list[ast.stmt], cell: Cell) -> Names:
    walker = Walker(cell, Scope("module"), top=True)
    known = set(cell.volatile)
    end = walker.module(body)
    if cell.volatile != known:  # found on the way, though it matters from the start
        return _analyse(body, Cell(cell.transform, cell.future, volatile=cell.volatile))
    first = frozenset(walker.reads)
    walker.state = end
    walker.activate(closure for closures in end.holds.values() for closure in closures)
    walker.reads |= cell.later - end.bound
    return Names(
        reads=frozenset(walker.reads),
        reads_first=first,
        binds=frozenset(cell.binds),
        certain=frozenset(key for key in end.bound if "\0" not in key),
        mutates=frozenset(walker.mutates),
        deletes=frozenset(cell.deletes),
        opaque=tuple(sorted(cell.opaque, key=lambda opaque: opaque.line)),
        optional=frozenset(walker.reads - walker.needed),
        later=frozenset(cell.later).union(*(closure.reads for closure in cell.closures.values())),
    )
