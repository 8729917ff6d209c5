"""Python's expressions, followed for the things that they give, hold and change.

What a call does is told by `flownb.capture.calling`, what a statement does by `flownb.capture.following`.
"""

from __future__ import annotations

import ast
import builtins
from typing import TYPE_CHECKING, Any

from flownb.capture.known import MUTATORS, PLAIN_ATTRIBUTES, states_set
from flownb.capture.things import (
    NOTHING,
    Class,
    Code,
    Container,
    Defaulting,
    Function,
    Library,
    Mask,
    Method,
    Namespace,
    Object,
    Scope,
    Stream,
    Thing,
    Value,
)
from flownb.capture.world import inner_modules
from flownb.names.scopes import Block

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from flownb.capture.things import FunctionNode, Log
    from flownb.capture.world import World

_BUILTINS = frozenset(dir(builtins)) | {"get_ipython", "display"}
_LOADED_BY_BINARY = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "truediv",
    ast.FloorDiv: "floordiv",
    ast.Mod: "mod",
    ast.Pow: "pow",
    ast.MatMult: "matmul",
    ast.BitAnd: "and",
    ast.BitOr: "or",
    ast.BitXor: "xor",
    ast.LShift: "lshift",
    ast.RShift: "rshift",
}


_EFFORT = 6_000  #: things that are looked at in one statement


class Evaluator:
    """Follows the expressions of one executed statement, whose place in the history is `now`."""

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

    # -- expressions ---------------------------------------------------------------------------------------

    def value(self, node: ast.expr, *, thrown: bool = False) -> Value:
        """Return the things that an expression may give; `thrown`: its value is not used."""
        method: Callable[[Any, bool], Value] = getattr(self, f"_{type(node).__name__.lower()}", self._other)
        return method(node, thrown)

    def values(self, nodes: Iterable[ast.expr | None], *, thrown: bool = False) -> Value:
        """Return the things that expressions may give, together."""
        found: Value = NOTHING
        for node in nodes:
            if node is not None:
                found |= self.value(node, thrown=thrown)
        return found

    def _other(self, node: ast.expr, _: bool) -> Value:
        children = [part for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr)]
        self._asked(self.values(children), "__format__", "__str__", "__repr__")
        return NOTHING

    def _constant(self, _node: ast.Constant, _: bool) -> Value:
        return NOTHING

    def _name(self, node: ast.Name, _: bool) -> Value:
        return self.load(node.id)

    def _namedexpr(self, node: ast.NamedExpr, _: bool) -> Value:
        value = self.value(node.value)
        self.bind(node.target.id, value)
        return value

    def _starred(self, node: ast.Starred, _: bool) -> Value:
        return self.items(self.value(node.value))

    def _await(self, node: ast.Await, thrown: bool) -> Value:
        value = self.value(node.value, thrown=thrown)
        self.consume(value)
        return value

    def _ifexp(self, node: ast.IfExp, thrown: bool) -> Value:
        self.value(node.test)
        return self._perhaps((node.body, node.orelse), thrown)

    def _perhaps(self, nodes: Iterable[ast.expr], thrown: bool) -> Value:
        """Return what expressions give that may not be evaluated at all."""
        self.fuzzy += 1
        value = self.values(nodes, thrown=thrown)
        self.fuzzy -= 1
        return value

    def _boolop(self, node: ast.BoolOp, thrown: bool) -> Value:
        value = self.value(node.values[0], thrown=thrown) | self._perhaps(node.values[1:], thrown)
        self._asked(value, "__bool__", "__len__")
        return value

    def _compare(self, node: ast.Compare, _: bool) -> Value:
        value = self.values((node.left, *node.comparators))
        if any(isinstance(operator, ast.In | ast.NotIn) for operator in node.ops):
            self.consume(value)
        self._asked(value, "__eq__", "__lt__", "__gt__", "__le__", "__ge__", "__ne__", "__contains__")
        return self.fresh(node, kind=Mask) if value else NOTHING

    def _unaryop(self, node: ast.UnaryOp, _: bool) -> Value:
        value = self.value(node.operand)
        self._asked(value, "__neg__", "__invert__", "__pos__", "__bool__", "__len__")
        if not value or isinstance(node.op, ast.Not):
            return NOTHING
        return self.fresh(node, kind=Mask if _is_mask(value) else Thing)

    def _binop(self, node: ast.BinOp, _: bool) -> Value:
        operands, operators = [node.right], [node.op]
        left = node.left
        while isinstance(left, ast.BinOp):  # a sum of hundreds is no recursion
            operands.append(left.right)
            operators.append(left.op)
            left = left.left
        value = self.value(left) | self.values(reversed(operands))
        if not value:
            return NOTHING
        given: set[Thing] = set()
        for operator in operators:
            name = _LOADED_BY_BINARY[type(operator)]
            given |= self._asked(value, f"__{name}__", f"__r{name}__")
        for thing in value:
            if not isinstance(thing, Code):
                given |= thing.parts  # a list's items are in the sum
        if _is_mask(value):
            return self.fresh(node, kind=Mask)
        return self.fresh(node, given) | frozenset(given)

    def _asked(self, value: Value, *names: str) -> Value:
        """Call the methods by which Python asks objects of known classes."""
        given: Value = NOTHING
        for thing in value:
            if isinstance(thing, Object):
                given |= self.implicit(thing, names)
        return given

    def _list(self, node: ast.List | ast.Tuple | ast.Set, _: bool) -> Value:
        return self.fresh(node, self.values(node.elts), Container)

    _tuple = _list
    _set = _list

    def _dict(self, node: ast.Dict, _: bool) -> Value:
        parts: Value = NOTHING
        for key, item in zip(node.keys, node.values, strict=True):
            value = self.value(item)
            parts |= self.value(key) | value if key is not None else self.items(value)
        return self.fresh(node, parts, Container)

    def _listcomp(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp, thrown: bool) -> Value:
        return self.fresh(node, self._comprehension(node, [node.elt], thrown), Container)

    _setcomp = _listcomp

    def _dictcomp(self, node: ast.DictComp, thrown: bool) -> Value:
        return self.fresh(node, self._comprehension(node, [node.key, node.value], thrown), Container)

    def _generatorexp(self, node: ast.GeneratorExp, thrown: bool) -> Value:
        first = self.value(node.generators[0].iter)
        scope, late = self.scope, self.late

        def rest(follower: Evaluator) -> Value:
            before, follower.scope = follower.scope, scope
            try:
                return follower._comprehension(node, [node.elt], thrown)  # one of its kind
            finally:
                follower.scope = before

        key = (node, Stream)
        if key not in self.made:
            self.made[key] = Stream([self.now], [*first, self._lambda_of(node, late)], rest)
        return frozenset((self.made[key],))

    def _lambda_of(self, node: ast.expr, late: frozenset[str]) -> Thing:
        """Return a function that stands for what an expression reads later."""
        arguments = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
        return Function([self.now], ast.Lambda(arguments, node), self.scope, late, {})

    def _comprehension(self, node: Any, elements: list[ast.expr], thrown: bool) -> Value:
        targets = Block(*(generator.target for generator in node.generators))
        outer = self.scope
        parts: Value = NOTHING
        inner = Scope("comprehension", outer, [self.now], frozenset(targets.binds))
        for index, generator in enumerate(node.generators):
            if index == 0:
                over = self.value(generator.iter)
                self.scope = inner
            else:
                over = self.value(generator.iter)
            self.unpack(generator.target, self.items(over))
            self.fuzzy += 1  # there may be nothing to go through
            self.values(generator.ifs)
        parts = self.values(elements, thrown=thrown)
        self.fuzzy -= len(node.generators)
        self.scope = outer
        return parts

    def _lambda(self, node: ast.Lambda, _: bool) -> Value:
        return self.function(node)

    def function(self, node: FunctionNode) -> Value:
        """Return the function that a definition makes; its defaults are evaluated here."""
        args = node.args
        plain = [*args.posonlyargs, *args.args]
        pairs = [
            *zip(plain[len(plain) - len(args.defaults) :], args.defaults, strict=True),
            *zip(args.kwonlyargs, args.kw_defaults, strict=True),
        ]
        defaults = {arg.arg: self.value(node) for arg, node in pairs if node is not None}
        key = (node, self.scope)
        if key not in self.made:
            self.made[key] = Function([self.now], node, self.scope, self.late, defaults)
        return frozenset((self.made[key],))

    def _yield(self, node: ast.Yield | ast.YieldFrom, _: bool) -> Value:
        value = self.value(node.value) if node.value is not None else NOTHING
        self.scope_of_function().returned |= self.items(value) if isinstance(node, ast.YieldFrom) else value
        return NOTHING

    _yieldfrom = _yield

    def scope_of_function(self) -> Scope:
        """Return the scope of the call that is followed."""
        scope = self.scope
        while scope.kind == "comprehension" and scope.parent is not None:
            scope = scope.parent
        return scope

    # -- parts of things -----------------------------------------------------------------------------------

    def _attribute(self, node: ast.Attribute, _: bool) -> Value:
        value = self.value(node.value)
        if isinstance(node.value, ast.Call) and getattr(node.value.func, "id", "") == "super":
            return self._of_bases(node.attr)
        return self.attribute(value, node.attr)

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

    def _subscript(self, node: ast.Subscript, _: bool) -> Value:
        value = self.value(node.value)
        key = self.value(node.slice)
        if not value:
            return NOTHING
        copies = _copies(node.slice) or any(
            isinstance(part, Mask) for thing in key for part in (thing, *thing.parts)
        )
        found: set[Thing] = set()
        for thing in value:
            match thing:
                case Namespace() if isinstance(node.slice, ast.Constant):
                    found |= self.load(str(node.slice.value))
                case Namespace():
                    self.hidden = True
                case Object():
                    found |= self.implicit(thing, ("__getitem__", "__missing__")) or thing.parts
                case Defaulting():
                    self.write([thing])
                    made = (
                        self.call(frozenset((part,)), [])
                        for part in tuple(thing.parts)
                        if isinstance(part, Code)
                    )
                    found.update(thing.items(), *made)
                case Library() | Class():
                    found.add(thing)  # `list[int]`, a generic class with its types, an Enum's member
                    found |= thing.parts
                case Container() if isinstance(node.slice, ast.Slice):
                    found |= self.fresh(node, thing.parts, Container)
                case _ if copies:
                    found |= self.fresh(node, thing.parts)
                case _:
                    found.update(thing.items())
        return frozenset(found)

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


def _is_mask(value: Value) -> bool:
    return bool(value) and all(isinstance(thing, Mask) for thing in value)


def _copies(key: ast.expr) -> bool:
    """Whether items asked for so are a copy: by a list of positions or names."""
    if isinstance(key, ast.Tuple):
        return any(map(_copies, key.elts))
    return isinstance(key, ast.List | ast.ListComp)
