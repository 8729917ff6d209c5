"""The statements of a notebook that make a name: a backward slice through its cells, from source alone.

Nothing is run. A name's slice begins with the last statement that binds it for certain, and holds what
changes it afterwards, with the slices of all that those statements read, in the notebook's order.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flownb.capture.effects import (
    changes_itself,
    changing_methods,
    effects_of,
    is_constant,
    keeps_state,
    root_of,
)
from flownb.document.statements import statement_sources
from flownb.names import PROVIDED, Names, find_names, to_python

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

#: cell magics whose body is ordinary code of the notebook
_TRANSPARENT = frozenset({"time", "timeit", "capture", "prun", "flow", "flownb"})
#: builtins that `from module import *` often binds to something else (NumPy, math, os)
_CLASHING = frozenset({"abs", "all", "any", "divmod", "max", "min", "open", "pow", "round", "sum"})
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True, slots=True)
class Statement:
    """A top-level statement of a notebook's cell."""

    index: int  #: place among all statements of the notebook
    cell: int  #: index of its cell
    node: ast.stmt
    source: str
    names: Names
    binds: frozenset[str]  #: names that it binds or unbinds when it is executed
    changes: frozenset[str]  #: those, and names whose object it may change in place then
    later: frozenset[str]  #: names that calling what it defines may bind, or change the objects of

    @property
    def stars(self) -> bool:
        """Whether it imports names that it does not say."""
        return isinstance(self.node, ast.ImportFrom) and self.node.names[0].name == "*"


@dataclass
class Slicer:
    """Finds slices in the statements of a notebook's code cells, given in order."""

    statements: list[Statement] = field(default_factory=list)
    _makers: dict[str, list[Statement]] = field(default_factory=dict)
    _newest: dict[str, Statement] = field(default_factory=dict)  #: what bound a name last, so far
    _shared: dict[str, set[str]] = field(default_factory=dict)  #: names that may be of one object, so far

    def add_cell(self, cell: int, source: str) -> None:
        """Add a code cell. One that is not Python binds nothing that could be found."""
        code = to_python(_without_magic(source.replace("\r\n", "\n")))
        try:
            tree = ast.parse(code)
        except (SyntaxError, ValueError):
            return
        for node, text in statement_sources(code, tree):
            names = find_names(ast.Module([node], []), transform=to_python)
            statement = self._statement(cell, node, text, names)
            self.statements.append(statement)
            for name in statement.changes:
                self._makers.setdefault(name, []).append(statement)

    def _statement(self, cell: int, node: ast.stmt, text: str, names: Names) -> Statement:
        found = effects_of(node)
        binds = frozenset({node.name} if isinstance(node, _DEFINITIONS) else names.binds | names.deletes)
        at_once = found.changed | (frozenset() if found.shows else names.mutates & names.reads_first)
        at_once |= {name for name, method in found.methods if self._changed_by(name, method)}
        changed = {name for name in at_once - binds if self._may_change(name)}
        changed = changed.union(*(self._done_by(name) for name in found.called))
        changed = changed.union(*(self._shared.get(name, ()) for name in changed | binds & names.mutates))
        later = names.mutates - names.reads_first
        if isinstance(node, _DEFINITIONS):
            later |= (names.binds - binds) | (binds if changes_itself(node) else frozenset())
        statement = Statement(len(self.statements), cell, node, text, names, binds, binds | changed, later)
        self._note(statement, found.shared, rebound=binds & names.certain - names.reads_first)
        return statement

    def _note(self, statement: Statement, shared: Iterable[set[str]], rebound: Collection[str]) -> None:
        for name in rebound:
            self._shared.pop(name, set()).discard(name)
        self._newest.update(dict.fromkeys(statement.binds, statement))
        for names in shared:
            own = {name for name in names if self._may_be_shared(name)}
            together = own.union(*(self._shared.get(name, set()) for name in own))
            self._shared.update(dict.fromkeys(together, together))

    def _may_change(self, name: str) -> bool:
        """Whether `name` is of an object that is the notebook's own to change."""
        maker = self._newest.get(name)
        return (
            name not in PROVIDED if maker is None else not isinstance(maker.node, ast.Import | ast.ImportFrom)
        )

    def _may_be_shared(self, name: str) -> bool:
        """Whether changing the object of `name` in place would be seen under another name, too."""
        maker = self._newest.get(name)
        if maker is None or isinstance(maker.node, (*_DEFINITIONS, ast.Import, ast.ImportFrom)):
            return False
        return not is_constant(getattr(maker.node, "value", None))

    def _changed_by(self, name: str, method: str) -> bool:
        """Whether calling `name`, or its `method`, changes what it is of: an instance, or a closure."""
        maker = self._newest.get(name)
        if maker is None or isinstance(maker.node, _DEFINITIONS):
            return False
        for read in maker.names.reads:
            made_by = self._newest.get(read)
            if made_by is None:
                continue
            match made_by.node:
                case ast.ClassDef() as node if method in self._changing_methods(node):
                    return True
                case ast.FunctionDef() | ast.AsyncFunctionDef() as node if not method and keeps_state(node):
                    return True
        return False

    def _changing_methods(self, node: ast.ClassDef) -> set[str]:
        methods: set[str] = set()
        classes = [node]
        for one in classes:
            methods |= changing_methods(one)
            for base in one.bases:
                made_by = self._newest.get(root_of(base))
                if made_by and isinstance(made_by.node, ast.ClassDef) and made_by.node not in classes:
                    classes.append(made_by.node)
        return methods

    def _done_by(self, name: str) -> set[str]:
        """Return the names that calling `name` may bind or change, also through what it calls in turn."""
        done: set[str] = set()
        seen: set[str] = set()
        todo = [name]
        while todo:
            one = todo.pop()
            maker = self._newest.get(one)
            if one not in seen and maker is not None:
                done |= maker.later
                todo += maker.names.reads
            seen.add(one)
        return {changed for changed in done if self._may_change(changed)}

    @property
    def names(self) -> list[str]:
        """All names that the cells bind or change, sorted."""
        return sorted(self._makers)

    def binds_above(self, name: str, cell: int) -> bool:
        """Whether a statement in the cells above `cell` binds `name`, or all the names of a module."""
        own = any(s.cell < cell for s in self._makers.get(name, ()))
        return own or (name in _CLASHING and any(s.stars and s.cell < cell for s in self.statements))

    def slice(
        self, wanted: Iterable[str], before: int, *, but: Collection[int] = (), given: Collection[str] = ()
    ) -> tuple[list[Statement], frozenset[str]]:
        """Return the statements that make the names `wanted` for a cell, and the names nothing makes.

        `before` is the cell's index. What only cells below make is taken from there, as a person would
        have run them first. The cells `but` are left out, and the names `given` need nobody to make them.
        A name that nothing makes may come from `from module import *`: all of these are taken then.
        """
        limit = next((s.index for s in self.statements if s.cell >= before), len(self.statements))
        found: dict[int, Statement] = {}
        missing: set[str] = set()
        seen: set[tuple[str, int]] = set()
        todo = [(name, limit) for name in sorted(wanted)]
        while todo:
            name, bound = todo.pop()
            if (name, bound) in seen or name in given:
                continue
            seen.add((name, bound))
            makers = self._makers_of(name, bound, but)
            if not makers and name not in PROVIDED:
                makers = self._makers_of(name, len(self.statements), but)
            if not makers and (name not in PROVIDED or name in _CLASHING):
                missing.add(name)
            for statement in makers:
                found[statement.index] = statement
                first = statement.names.reads_first
                # What a function reads must be there when a statement calls it, and when the cell does.
                later = statement.names.reads - first
                wants = {(read, statement.index) for read in first}
                wants |= {(read, at) for read in later for at in (bound, limit)}
                todo += wants - seen
        if missing:
            found.update(self._stars(limit, but))
        return [found[index] for index in sorted(found)], frozenset(missing)

    def _stars(self, limit: int, but: Collection[int]) -> Iterator[tuple[int, Statement]]:
        for statement in self.statements[:limit]:
            if statement.stars and statement.cell not in but:
                yield statement.index, statement

    def _makers_of(self, name: str, limit: int, but: Collection[int]) -> Sequence[Statement]:
        makers = [s for s in self._makers.get(name, ()) if s.index < limit and s.cell not in but]
        fresh = [
            i
            for i, s in enumerate(makers)
            if name in s.binds and name in s.names.certain and name not in s.names.reads_first
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
