"""The statements of a notebook that make a name: a backward slice through its cells, from source alone.

Nothing is run. A name's slice begins with the last statement that binds it for certain, and holds what
changes it afterwards, with the slices of all that those statements read, in the notebook's order.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flownb.document.statements import statement_sources
from flownb.names import PROVIDED, Names, find_names, to_python

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

#: called as statements, these only show something: they are no part of what makes a value
_SHOWING = frozenset({
    "print", "display", "head", "tail", "sample", "describe", "info", "plot", "show", "hist", "savefig",
    "to_csv", "to_parquet", "to_excel", "to_json", "help", "type", "len", "repr", "str", "dir", "id",
    "summary", "style",
})  # fmt: skip
#: cell magics whose body is ordinary code of the notebook
_TRANSPARENT = frozenset({"time", "timeit", "capture", "prun", "flow", "flownb"})


@dataclass(frozen=True, slots=True)
class Statement:
    """A top-level statement of a notebook's cell."""

    index: int  #: place among all statements of the notebook
    cell: int  #: index of its cell
    node: ast.stmt
    source: str
    names: Names
    changes: frozenset[str]  #: names whose value it may bind or change


@dataclass
class Slicer:
    """Finds slices in the statements of a notebook's code cells, given in order."""

    statements: list[Statement] = field(default_factory=list)
    _makers: dict[str, list[Statement]] = field(default_factory=dict)
    _imported: set[str] = field(default_factory=set)

    def add_cell(self, cell: int, source: str) -> None:
        """Add a code cell. One that is not Python binds nothing that could be found."""
        code = to_python(_without_magic(source))
        try:
            tree = ast.parse(code)
        except (SyntaxError, ValueError):
            return
        for node, text in statement_sources(code, tree):
            names = find_names(ast.Module([node], []), transform=to_python)
            changes = names.binds | self._changed(node, names)
            statement = Statement(len(self.statements), cell, node, text, names, frozenset(changes))
            self.statements.append(statement)
            for name in changes:
                self._makers.setdefault(name, []).append(statement)
            if isinstance(node, ast.Import | ast.ImportFrom):
                self._imported |= names.binds
            else:
                self._imported -= names.binds

    def _changed(self, node: ast.stmt, names: Names) -> set[str]:
        """Return what a statement may change in place: not a module, and not by only showing it."""
        if not (isinstance(node, ast.Expr) and isinstance(call := node.value, ast.Call)):
            return set(names.mutates) - self._imported
        called = call.func
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        if name in _SHOWING or ast.unparse(called).startswith("get_ipython()"):
            return set()
        given = {arg.id for arg in call.args if isinstance(arg, ast.Name)}
        return (set(names.mutates) | given) - self._imported - PROVIDED

    def slice(
        self, wanted: Iterable[str], before: int, *, but: Collection[int] = (), given: Collection[str] = ()
    ) -> tuple[list[Statement], frozenset[str]]:
        """Return the statements that make the names `wanted` for a cell, and the names nothing makes.

        `before` is the cell's index. What only cells below make is taken from there, as a person would
        have run them first. The cells `but` are left out, and the names `given` need nobody to make them.
        """
        limit = next((s.index for s in self.statements if s.cell >= before), len(self.statements))
        found: dict[int, Statement] = {}
        missing: set[str] = set()
        seen: set[tuple[str, int]] = set()
        todo = [(name, limit) for name in sorted(wanted)]
        while todo:
            name, bound = todo.pop()
            if (name, bound) in seen:
                continue
            seen.add((name, bound))
            if name in given:
                continue
            makers = self._makers_of(name, bound, but) or self._makers_of(name, len(self.statements), but)
            if not makers and name not in PROVIDED:
                missing.add(name)
            for statement in makers:
                found[statement.index] = statement
                first = statement.names.reads_first
                todo += [(read, statement.index) for read in first]
                todo += [(read, limit) for read in statement.names.reads - first]
        return [found[index] for index in sorted(found)], frozenset(missing)

    def _makers_of(self, name: str, limit: int, but: Collection[int]) -> Sequence[Statement]:
        makers = [s for s in self._makers.get(name, ()) if s.index < limit and s.cell not in but]
        fresh = [
            i for i, s in enumerate(makers) if name in s.names.certain and name not in s.names.reads_first
        ]
        return makers[fresh[-1] :] if fresh else makers


def _without_magic(source: str) -> str:
    """Drop the first lines of a cell that are cell magics around ordinary code."""
    text = source.lstrip()
    while text.startswith("%%"):
        first, _, rest = text.partition("\n")
        if first[2:].split(maxsplit=1)[:1] not in [[name] for name in _TRANSPARENT]:
            return source
        source, text = rest, rest.lstrip()
    return source
