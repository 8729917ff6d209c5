"""What is known of a module's names at one point of its execution, and how it changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flownb.names import scopes

if TYPE_CHECKING:
    import ast
    from collections.abc import Callable, Iterable

    from flownb.names.scopes import Scope


@dataclass(frozen=True, slots=True)
class Opaque:
    """A reading of names that analysis cannot see."""

    line: int  #: 1-based, in the code as its author sees it
    what: str  #: "exec(...)", "globals()", "from m import *", 'df.query("@t")'


@dataclass(eq=False, slots=True)
class Closure:
    """Code that runs when somebody calls it: what it then reads of the module's names."""

    reads: frozenset[str]
    needed: frozenset[str]  #: those of `reads` that it cannot do without
    mutates: frozenset[str]


@dataclass(slots=True)
class State:
    """What is known at one point of the code; keys are those of `Scope.refers`."""

    bound: set[str] = field(default_factory=set)  #: certainly bound
    holds: dict[str, frozenset[Closure]] = field(default_factory=dict)  #: what a name may refer to
    dead: bool = False  #: this point is never reached

    def copy(self) -> State:
        """Return the same knowledge, to go another way."""
        return State(set(self.bound), dict(self.holds), self.dead)

    def hold(self, more: Iterable[tuple[str, frozenset[Closure]]]) -> None:
        """Add functions that names may refer to as well."""
        for key, closures in more:
            self.holds[key] = self.holds.get(key, frozenset()) | closures

    def forget(self, prefix: str) -> None:
        """Drop the names that a class body has bound: nothing refers to them by these keys any more."""
        self.bound = {key for key in self.bound if not key.startswith(prefix)}
        self.holds = {key: closures for key, closures in self.holds.items() if not key.startswith(prefix)}


def join(states: Iterable[State]) -> State:
    """Return what is known where several ways through the code meet."""
    live = [state for state in states if not state.dead]
    if not live:
        return State(dead=True)
    joined = live[0].copy()
    for state in live[1:]:
        joined.bound &= state.bound
        joined.hold(state.holds.items())
    return joined


@dataclass(slots=True)
class Cell:
    """What is known of the whole code, and shared by the walks through it and through its functions."""

    transform: Callable[[str], str] | None
    future: bool
    binds: set[str] = field(default_factory=set)
    deletes: set[str] = field(default_factory=set)
    opaque: dict[Opaque, None] = field(default_factory=dict)
    defined: set[str] = field(default_factory=set)  #: names of its functions and classes
    later: set[str] = field(default_factory=set)  #: names in string annotations
    volatile: set[str] = field(default_factory=set)  #: functions unbind these: never certain
    closures: dict[ast.AST, Closure] = field(default_factory=dict)  #: of functions walked already
    swallowers: bool = False  #: it defines context managers that may end exceptions
    eager: bool = False  #: it defines classes that are told of subclasses or attributes
    offset: int = 0  #: lines above what is walked now, where that is the body of a magic
    trees: dict[ast.AST, list[ast.stmt]] = field(default_factory=dict)  #: of text in the code, parsed


class Execution:
    """What one body of code, the module's (`top`) or a function's, does to names as it is executed.

    What the functions defined on the way read is charged when they may be called. In a module a function
    with a name waits until its name is loaded; any other is taken to be called from the moment on that
    it exists. What may be called once may be called again: names that it reads stay under watch (`hot`).
    """

    def __init__(self, cell: Cell, scope: Scope, *, top: bool) -> None:
        self.cell = cell
        self.scope = scope
        self.top = top
        self.state = State()
        self.reads: set[str] = set()
        self.needed: set[str] = set()
        self.mutates: set[str] = set()
        self.hot: set[str] = set()  # globals that functions which may run at any time from now on read
        self.made: list[Closure] = []
        self.unbound: list[str] = []  # a log of the keys unbound
        self.held: list[tuple[str, frozenset[Closure]]] = []  # a log of the functions bound
        self.loops: list[tuple[list[State], list[State]]] = []  # states at `break` and at `continue`
        self.exits: list[State] = []  # a log of those states
        self.lenient = False  # a missing name is coped with here

    def load(self, name: str) -> None:
        """Take note that `name` is read here."""
        self.load_key(self.scope.refers(name))

    def load_key(self, key: str) -> None:
        """Take note that a name of the module is read here, or one of a scope's own."""
        state = self.state
        if not key or state.dead:
            return
        if key not in state.bound:
            self.activate(state.holds.get(key, ()))
            key = scopes.global_name(key)
            self._read(key)
        if key in state.holds:
            self.activate(state.holds[key])

    def _read(self, name: str) -> None:
        if name not in self.state.bound:
            self.reads.add(name)
            if not self.lenient:
                self.needed.add(name)

    def activate(self, closures: Iterable[Closure]) -> None:
        """Charge what functions read that may be called from now on, and what those call in turn."""
        state, todo, seen = self.state, list(closures), set[Closure]()
        while todo:
            closure = todo.pop()
            if closure in seen or state.dead:
                continue
            seen.add(closure)
            self.hot |= closure.reads
            unbound = closure.reads - state.bound
            self.reads |= unbound
            self.mutates |= unbound & closure.mutates
            if not self.lenient:
                self.needed |= unbound & closure.needed
            for name in closure.reads & state.holds.keys():
                todo.extend(state.holds[name])

    def bind(self, name: str, closures: frozenset[Closure] = frozenset()) -> None:
        """Take note that `name` is bound here, to one of `closures` if to a function."""
        key = self.scope.refers(name)
        if key:
            if "\0" not in key:
                self.cell.binds.add(key)
            if key not in self.cell.volatile:
                self.state.bound.add(key)
            self.state.holds.pop(key, None)
        if closures:
            self.hold(key, closures)

    def hold(self, key: str, closures: frozenset[Closure]) -> None:
        """Take note that `key` refers to one of `closures`."""
        if not self.top or not key or key in self.hot:
            self.activate(closures)
        if self.top and key:
            self.state.holds[key] = closures
            self.held.append((key, closures))

    def unbind(self, name: str) -> None:
        """Take note that `name` is unbound here."""
        key = self.scope.refers(name)
        if key:
            self.state.bound.discard(key)
            self.state.holds.pop(key, None)
            self.unbound.append(key)
            if "\0" not in key:
                self.cell.deletes.add(key)
            if key in self.hot and not self.state.dead:
                self._read(key)

    def pause(self) -> None:
        """Take note that a function waits here: until it goes on, anything may be unbound elsewhere."""
        if not self.top:
            self.unbound.extend(self.state.bound)
            self.state.bound.clear()

    def mutate(self, node: ast.expr) -> None:
        """Take note that the object at the root of `node` may be changed in place."""
        name = scopes.root_name(node)
        key = self.scope.refers(name) if name else ""
        if key and key not in self.state.bound:
            key = scopes.global_name(key)
            if key in self.reads and key not in self.state.bound:
                self.mutates.add(key)

    def opaque(self, node: ast.expr | ast.stmt, what: str) -> None:
        """Report something at `node` whose reading of names cannot be seen."""
        self.cell.opaque[Opaque(node.lineno + self.cell.offset, what)] = None

    def interrupted(self, entry: State, unbound: int, held: int) -> State:
        """Return the state where anything since `entry` may have been cut short by an exception."""
        state = entry.copy()
        state.bound.difference_update(self.unbound[unbound:])
        state.hold(self.held[held:])
        return state
