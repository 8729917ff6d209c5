"""Names and things, reached from one executed statement: looked up, called by Python itself, changed, held.

What an expression gives is told by `flownb.capture.evaluating`.
"""

from __future__ import annotations

import ast
import builtins
from typing import TYPE_CHECKING, Any

from flownb.capture.known import MUTATORS, PLAIN_ATTRIBUTES
from flownb.capture.library_state import states_set
from flownb.capture.things import (
    NOTHING,
    Class,
    Code,
    Container,
    Function,
    Library,
    Method,
    Namespace,
    Object,
    Scope,
    Stream,
    Thing,
    Value,
)
from flownb.capture.world import inner_modules

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flownb.capture.things import Log
    from flownb.capture.world import World

_BUILTINS = frozenset(dir(builtins)) | {"get_ipython", "display"}


_EFFORT = 6_000  #: things that are looked at in one statement


class Reaching:
    """Reaches the names and things of one executed statement, whose place in the history is `now`."""

    def __init__(self, world: World, now: int, late: frozenset[str]) -> None:
        self.world = world
        self.now = now
        self.scope: Scope = world.scope
        self.late = late  #: names of the notebook that functions made here read when they are called
        self.made: dict[tuple[Any, ...], Thing] = {}
        self.elsewhere: set[str] = set()  #: names of the notebook that functions bound
        self.uses: set[str] = set()  #: libraries
        self.paths: set[str] = set()  #: dotted names of what was used of them
        self.hidden = False  #: it may bind names that cannot be seen
        self.touched: list[Thing] = []  #: things beside the names' own that it looked at
        self.written: set[Log] = set()  #: logs of what it changed
        #: names of the notebook that functions read in calls made here, and what they were bound to
        self.loaded: dict[str, Value] = {}
        self.given: set[str] = set()  #: names of the notebook that are given to a script
        self.displayed: ast.expr | None = None  #: the expression that ends its cell, whose value is shown
        self.left = _EFFORT
        self.fuzzy = 0  #: within a body that may be left at any point

    # -- things --------------------------------------------------------------------------------------------

    def fresh(self, node: object, parts: Iterable[Thing] = (), kind: type[Thing] = Thing) -> Value:
        """Return the new thing that `node` makes; one for each place in the source and statement."""
        key = (node, kind)
        thing = self.made.get(key)
        if thing is None:
            thing = self.made[key] = kind([self.now])
        thing.parts.update(part for part in parts if part is not thing)
        return frozenset((thing,))

    def write(self, value: Iterable[Thing]) -> None:
        """Take note that things are changed here; what they hold is not."""
        for thing in value:
            if not isinstance(thing, Library):
                if not thing.log or thing.log[-1] != self.now:
                    thing.log.append(self.now)
                self.written.add(thing.log)

    def write_deep(self, value: Iterable[Thing]) -> set[Thing]:
        """Take note that things, and data that they hold, may be changed here; return them."""
        waiting = [thing for thing in value if not isinstance(thing, Code)]
        seen: set[Thing] = set()
        while waiting:
            thing = waiting.pop()
            if thing not in seen:
                seen.add(thing)
                waiting += (part for part in thing.parts if not isinstance(part, Code))
                if isinstance(thing, Container):
                    thing.open = True
        self.write(seen)
        self.spend(len(seen))
        return seen

    def spend(self, effort: int) -> None:
        """Raise `RecursionError` where a statement takes too much to follow."""
        self.left -= effort
        if self.left < 0:
            raise RecursionError

    def put(self, value: Iterable[Thing], into: Iterable[Thing]) -> None:
        """Take note that things hold `value` from now on."""
        for thing in into:
            itself = isinstance(thing, Container)  # a list may hold itself
            thing.parts.update(part for part in value if itself or part is not thing)

    def items(self, value: Value) -> Value:
        """Return what going through `value` gives; streams are used up by it."""
        self.consume(value)
        found: set[Thing] = set()
        for thing in value:
            if isinstance(thing, Object):
                given = self.implicit(thing, ("__iter__", "__next__", "__getitem__"))
                self.consume(given)
                found |= given
                for part in given:
                    found.update(part.items())
            elif isinstance(thing, Class):
                found.update(*thing.fields.values())
            found.update(thing.items())
        return frozenset(found)

    def consume(self, value: Iterable[Thing]) -> None:
        """Take note that streams among `value` are read here."""
        for thing in tuple(value):
            if isinstance(thing, Stream) and ("consumed", thing) not in self.made:
                self.made["consumed", thing] = thing
                self.write([thing])
                if thing.pending is not None:
                    thing.parts |= thing.pending(self)  # type: ignore[arg-type]  # a follower is an evaluator
                self.consume(thing.parts)

    def implicit(self, thing: Object, names: Iterable[str]) -> Value:
        """Call the methods of an object that Python calls by itself."""
        given: set[Thing] = set()
        for name in names:
            for method in thing.kind.find(name):
                if isinstance(method, Function):
                    given |= self.call(frozenset((self.bind_first(method, thing),)), [])
        return frozenset(given)

    def bind_first(self, function: Function, thing: Thing) -> Function:
        """Return a method with the object that it is called on."""
        key = ("bound", function, thing)
        if key not in self.made:
            self.made[key] = function.with_first(frozenset((thing,)))
        return self.made[key]  # type: ignore[return-value]  # that is what was put there

    def call(self, called: Value, args: list[Value]) -> Value:
        """Call things with arguments by their places."""
        raise NotImplementedError

    # -- names ---------------------------------------------------------------------------------------------

    def load(self, name: str) -> Value:
        """Return what a name is bound to here."""
        scope = self.scope.around(name)
        found = scope.vars.get(name) if scope is not None else None
        if found is not None:
            return found
        home = self.scope.home
        found = home.vars.get(name)
        if home.outermost and self.scope is not home:
            self.loaded.setdefault(name, found or NOTHING)
        if found is not None:
            return found
        if name in _BUILTINS:
            return frozenset((self.world.library(f"builtins.{name}"),))
        if home.outermost:
            # nobody is seen to make it: a library's `import *` did, or it came from outside
            made = (self.world.library(f"{module}.{name}") for module in self.world.stars)
            home.vars[name] = frozenset(made) or frozenset((Thing(),))
            return home.vars[name]
        return NOTHING

    def bind(self, name: str, value: Value) -> None:
        """Bind a name here."""
        scope = self.scope
        while scope.kind == "comprehension" and name not in scope.local_names and scope.parent is not None:
            scope = scope.parent
        target = scope.around(name) or scope.home
        if target is scope.home and scope is not scope.home and target.outermost:
            self.elsewhere.add(name)
        if target is not scope or self.fuzzy:
            target.vars.add(name, value)
            if not target.outermost:
                self.write([target])
            return
        target.vars[name] = value

    def scope_of_function(self) -> Scope:
        """Return the scope of the call that is followed."""
        scope = self.scope
        while scope.kind == "comprehension" and scope.parent is not None:
            scope = scope.parent
        return scope

    def value(self, node: ast.expr, *, thrown: bool = False) -> Value:
        """Return the things that an expression may give; `thrown`: its value is not used."""
        raise NotImplementedError

    # -- parts of things -----------------------------------------------------------------------------------

    def attribute(self, value: Value, name: str) -> Value:
        """Return what an attribute of things is."""
        found: Value = NOTHING
        for thing in value:
            found |= self._one_attribute(thing, name)
        return found

    def _one_attribute(self, thing: Thing, name: str) -> Value:
        match thing:
            case Library(path=path):
                return self.inside(path, name)
            case Object():
                return self._of_object(thing, name)
            case Class():
                found = thing.find(name)
                return frozenset(
                    self.bind_first(part, thing)
                    if isinstance(part, Function) and "classmethod" in part.marks
                    else part
                    for part in found
                ) or frozenset(thing.items())
            case Function() | Method():
                return frozenset((thing, *thing.parts))
        if name in MUTATORS:
            return frozenset((self._method(thing, name),))
        return NOTHING if name in PLAIN_ATTRIBUTES else frozenset((thing, *thing.parts))

    def _method(self, thing: Thing, name: str) -> Method:
        key = ("method", thing, name)
        if key not in self.made:
            self.made[key] = Method(frozenset((thing,)), name)
        return self.made[key]  # type: ignore[return-value]  # that is what was put there

    def _of_object(self, thing: Object, name: str) -> Value:
        found = thing.fields.get(name, NOTHING)
        for part in thing.kind.find(name):
            if not isinstance(part, Function) or "staticmethod" in part.marks:
                found |= {part}
            elif "property" in part.marks:
                if "cached" in part.marks:
                    self.write([thing])
                found |= self.call(frozenset((self.bind_first(part, thing),)), [])
            else:
                found |= {self.bind_first(part, thing.kind if "classmethod" in part.marks else thing)}
        if name in thing.fields or any(isinstance(part, Function) for part in found):
            return found
        if found:  # data of the class: the object may have got some of its own
            return found.union((thing,), thing.parts)
        found = self.implicit(thing, ("__getattr__", "__getattribute__"))
        if name in MUTATORS:
            return found | {self._method(thing, name)}
        return found | {thing, *(part for part in thing.parts if part is not thing.kind)}

    def _of_bases(self, name: str) -> Value:
        """Return the method that `super()` finds, with its object."""
        scope = self.scope_of_function()
        owner, first = scope.owner, scope.first
        if owner is None:
            return NOTHING
        found: set[Thing] = set()
        for base in owner.bases:
            for part in base.find(name) if isinstance(base, Class) else ():
                if isinstance(part, Function) and "staticmethod" not in part.marks:
                    found |= {self.bind_first(part, thing) for thing in first}
                else:
                    found.add(part)
        return frozenset(found)

    def inside(self, path: str, name: str) -> Value:
        """Return what is called `name` in a library; the notebook's own modules are looked into."""
        full = f"{path}.{name}"
        own = self.own_module(path)
        if own is not None and name in own.vars:
            return own.vars[name]
        self.paths.add(full)
        return frozenset((self.world.library(full),))

    def own_module(self, path: str) -> Scope | None:
        """Return the names of one of the notebook's own modules."""
        raise NotImplementedError

    # -- what is assigned to -------------------------------------------------------------------------------

    def unpack(self, target: ast.expr, value: Value) -> None:
        """Assign what is in `value`, or `value` itself, to a target."""
        if isinstance(target, ast.Tuple | ast.List):
            inside = self.items(value)
            for element in target.elts:
                self.unpack(element, inside)
        elif isinstance(target, ast.Starred):
            self.unpack(target.value, self.fresh(target, value, Container))
        else:
            self.store(target, value)

    def store(self, target: ast.expr, value: Value) -> None:
        """Assign to a name, an attribute or an item."""
        if isinstance(target, ast.Name):
            self.bind(target.id, value)
        elif isinstance(target, ast.Attribute):
            for thing in self.value(target.value):
                self.set_attribute(thing, target.attr, value)
        elif isinstance(target, ast.Subscript):
            holders = self.value(target.value)
            if isinstance(
                target.value, ast.Subscript
            ):  # what a selection shares with its table is set in both
                holders |= self.value(target.value.value)
            self.value(target.slice)
            for thing in holders:
                self._set_item(thing, target.slice, value)

    def set_attribute(self, thing: Thing, name: str, value: Value) -> None:
        """Take note that an attribute of a thing is set."""
        if isinstance(thing, Library):
            own = self.own_module(thing.path)
            if own is not None:
                own.vars.add(name, value)
            self.set_state(f"{thing.path}.{name}", value)
            return
        if isinstance(thing, Object):
            for part in thing.kind.find(name):
                if isinstance(part, Function) and "property" in part.marks:
                    self.call(frozenset((self.bind_first(part, thing),)), [value])
            self.implicit(thing, ("__setattr__",))
        if isinstance(thing, Object | Class):
            thing.fields[name] = thing.fields.get(name, NOTHING) | value
        self.write([thing])
        self.put(value, [thing])

    def _set_item(self, thing: Thing, key: ast.expr, value: Value) -> None:
        if isinstance(thing, Library):
            self.set_state(thing.path, value)
        elif isinstance(thing, Namespace):
            self.bind_in_notebook(key, value)
        elif isinstance(thing, Object) and (found := thing.kind.find("__setitem__")):
            bound = frozenset(self.bind_first(part, thing) for part in found if isinstance(part, Function))
            self.call(bound, [NOTHING, value])
        elif not isinstance(thing, Code) or isinstance(thing, Class):
            self.write([thing])
            self.put(value, [thing])

    def bind_in_notebook(self, key: ast.expr | str | None, value: Value) -> None:
        """Take note that a name of the notebook is bound through `globals()`, in whatever scope."""
        name = key.value if isinstance(key, ast.Constant) else key
        if isinstance(name, str):
            self.elsewhere.add(name)
            self.world.scope.vars.add(name, value)
        else:
            self.hidden = True

    def set_state(self, path: str, value: Iterable[Thing] = ()) -> None:
        """Take note that something of a library, or of the process, is set here."""
        own = next((scope for scope in map(self.own_module, inner_modules(path)) if scope is not None), None)
        if own is not None:
            self.write([own])
            return
        for name in states_set(path):
            state = self.world.state(name)
            self.write([state])
            self.put(value, [state])
