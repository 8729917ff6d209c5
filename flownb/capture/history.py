"""The history of what was executed: each statement with what it read and wrote, as it was then.

A flow is a slice of it: the statements that a cell depends on, found backwards from what the cell reads.
Everything is told from source; nothing is executed, and no object of the notebook is looked at.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flownb.capture.following import Follower
from flownb.capture.looking import Look, look
from flownb.capture.magics import fails
from flownb.capture.statements import TOO_DEEP, NotPythonError, statements_of
from flownb.capture.texts import (
    asks_for_subclasses,
    extends_path,
    finds_classes,
    hands_names_out,
    names_in_texts,
    words_in,
)
from flownb.capture.things import NOTHING, Namespace
from flownb.capture.world import World

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from flownb.capture.statements import Statement
    from flownb.capture.things import Log

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(slots=True, eq=False)
class Execution:
    """A cell that was executed."""

    number: int  #: place among all executions
    source: str
    label: str = ""  #: for people: "In[3]", "cell 4"
    id: str | None = None  #: of the front end
    seconds: float | None = None  #: that it took
    step: tuple[str, str] | None = None  #: flow and step, where it is a `%%flow` cell
    imagined: bool = False  #: it was not executed, only looked at
    unread: str = ""  #: why it could not be looked into, although it was executed
    statements: range = range(0)  #: places of its statements in the history


@dataclass(slots=True, eq=False)
class Executed:
    """A statement that was executed."""

    index: int
    cell: Execution
    statement: Statement
    look: Look
    binds: frozenset[str]
    writes: frozenset[Log]  #: things that it changed, library state among them
    loads: frozenset[str]  #: modules that it imports
    hidden: str  #: it may bind names that cannot be seen: "star" (from m import *), "code" (exec)
    failed: bool = False  #: an exception ended it, and with it its cell

    @property
    def is_import(self) -> bool:
        """Whether it is an import, and binds what it says."""
        return isinstance(self.statement.node, ast.Import | ast.ImportFrom) and self.hidden != "star"


@dataclass
class History:
    """What was executed so far, in order."""

    folder: Path | None = None
    #: which statements are taken to bring names that nothing is seen to bind
    hidden: frozenset[str] = frozenset({"star"})
    cells: list[Execution] = field(default_factory=list)
    executed: list[Executed] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.world = World(self.folder)
        self._handed_out = False  #: whether a statement gave all its names away

    def add(
        self,
        source: str,
        *,
        label: str = "",
        cell_id: str | None = None,
        seconds: float | None = None,
        step: tuple[str, str] | None = None,
        failed_at: int | None = None,
        imagined: bool = False,
        count: int | None = None,
        shown: bool = False,
    ) -> Execution:
        """Note that a cell was executed. One that is not Python did nothing.

        `failed_at` is the line on which an exception ended it: what stands behind was not executed. One that
        is only `imagined` is looked at as if it were executed, and leaves nothing behind. `count` is its
        number in the notebook's history, `shown` whether its last expression gave a value there.
        """
        cell = Execution(len(self.cells), source, label, cell_id, seconds, step, imagined)
        self.cells.append(cell)
        world = self.world
        world.begin_cell()
        start = len(self.executed)
        before = world.snapshot() if imagined else None
        try:
            statements = statements_of(source, postponed="__future__" in self.world.states)
            for statement in statements:
                failed = fails(statement.node) or (failed_at is not None and statement.end >= failed_at)
                self._execute(statement, cell, failed=failed, last=statement is statements[-1])
                if failed:
                    break
        except NotPythonError as error:
            # of what is no Python IPython has said so, and executed nothing of it
            cell.unread = str(error) if str(error) == TOO_DEEP else ""
        cell.statements = range(start, len(self.executed))
        if shown and cell.statements and isinstance(self.executed[-1].statement.node, ast.Expr):
            world.displayed(len(self.executed) - 1, count)
        if before is not None:
            world.restore(before)
        return cell

    def _execute(self, statement: Statement, cell: Execution, *, failed: bool, last: bool) -> None:
        node, names, now = statement.node, statement.names, len(self.executed)
        if extends_path(statement.text):
            self.world.searches(node)
        reads = names.reads_first
        named = self.named_in_texts(node, statement.text)
        if "Out" in reads:
            reads |= displayed(node)
        seen = self.look(reads | named, optional=names.optional)
        follower = Follower(self.world, now, names.later | named)
        follower.displayed = node.value if last and isinstance(node, ast.Expr) else None
        names_before = self.world.scope.vars.copy() if failed else None
        certain = names.certain
        if isinstance(node, _DEFINITIONS):
            binds = frozenset({node.name})
            certain = binds
        else:
            binds = names.binds | names.deletes
        try:
            follower.statement(node)
        except RecursionError:  # it may have changed all that it reaches
            follower.scope = self.world.scope
            follower.written.update(log for log, _ in seen.reads if not log.name)
            for log in follower.written:
                if log[-1:] != [now]:
                    log.append(now)
        if failed:  # an assignment comes last, and a failing one does not come about
            binds, certain = (frozenset(), frozenset()) if _binds_last(node) else (binds, frozenset())
            if not binds and names_before is not None:
                self.world.scope.vars = names_before
        seen.add(self._read_in_calls(follower, binds - reads))
        known = self.world.scope.vars
        for name in binds:
            if name not in known and name not in names.deletes:
                known[name] = follower.fresh(("bound", name))
        known.settle()
        self.world.bound(binds, now, certain=certain)
        self.world.bound(follower.elsewhere - binds, now, certain=frozenset())
        self.world.texts.update({name: text for name, text in follower.texts.items() if name in binds})
        loads = frozenset() if failed else frozenset(follower.loads)
        for path in loads:
            self.world.loaded.setdefault(path, now)
        seen.uses |= follower.uses
        seen.paths |= follower.paths
        seen.reads += [(thing.log, len(thing.log)) for thing in follower.touched]
        star = isinstance(node, ast.ImportFrom) and node.names[0].name == "*"
        self.executed.append(
            Executed(
                now,
                cell,
                statement,
                seen,
                binds | follower.elsewhere,
                frozenset(follower.written),
                loads,
                "star" if star and follower.hidden else "code" if follower.hidden else "",
                failed,
            )
        )

    def _read_in_calls(self, follower: Follower, binds: frozenset[str]) -> Look:
        """Return what code that a statement called read of the notebook, beside what it reads by itself."""
        # a decorator called the function before it had its name: what had the name until then
        before = follower.loaded.keys() & binds
        things = NOTHING.union(*(follower.loaded[name] for name in before))
        before |= follower.given
        return look(self.world, before, optional=frozenset(before), things=things)

    def named_in_texts(self, node: ast.AST, source: str) -> frozenset[str]:
        """Return the notebook's names that stand in texts which a library evaluates: `df.query("a > @b")`."""
        named = names_in_texts(node, source, self.world.texts)
        if hands_names_out(source):  # to a template, which may be any text so far
            self._handed_out = True
            named = named.union(words_in(node), *(words_in(one.statement.node) for one in self.executed))
        elif self._handed_out and self._has_namespace(node):  # names = globals(), and names["x"] here
            named |= words_in(node)
        if finds_classes(source):
            self.world.asks_for_subclasses |= asks_for_subclasses(source)
            named = named.union(self.world.classes())
        return named & self.world.names.keys() if named else named

    def _has_namespace(self, node: ast.AST) -> bool:
        """Whether code reads a name that is bound to what `globals()` gives."""
        known = self.world.scope.vars
        names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
        return any(isinstance(thing, Namespace) for name in names for thing in known.get(name) or ())

    def look(self, names: Iterable[str], *, optional: frozenset[str] = frozenset()) -> Look:
        """Return what some names depend on now."""
        return look(self.world, names, optional=optional)

    def bound_in(self, cell: Execution) -> set[str]:
        """Return the names that a cell bound."""
        return {name for index in cell.statements for name in self.executed[index].binds}

    @property
    def unread(self) -> str:
        """Say which cell could not be looked into, and why; empty where there is none."""
        return next((f" ({cell.label}: {cell.unread})" for cell in self.cells if cell.unread), "")


def displayed(node: ast.AST) -> frozenset[str]:
    """Return the names of the displayed values that code reads as `Out[3]`: `_3`."""
    return frozenset(
        f"_{part.slice.value!r}"
        for part in ast.walk(node)
        if isinstance(part, ast.Subscript)
        and isinstance(part.value, ast.Name)
        and part.value.id == "Out"
        and isinstance(part.slice, ast.Constant)
    )


def _binds_last(node: ast.stmt) -> bool:
    """Whether a statement binds its names after all else that it does."""
    return isinstance(
        node, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Import, ast.ImportFrom, *_DEFINITIONS)
    )
