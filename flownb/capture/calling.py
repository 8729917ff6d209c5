"""Calls of functions and classes whose source is known: their bodies are followed."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from flownb.capture import known
from flownb.capture.call import Call
from flownb.capture.evaluating import Evaluator
from flownb.capture.things import (
    NOTHING,
    Class,
    Code,
    Container,
    Function,
    Library,
    Method,
    Object,
    Partial,
    Scope,
    Stream,
    Thing,
    Value,
    Vars,
    call_scope,
)
from flownb.names.scopes import parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from flownb.capture.things import FunctionNode

_DEEPEST = 40  #: calls inside of calls that are followed
_OFTEN = 12  #: calls of one function with different things that are followed apart in one statement


class Caller(Evaluator):
    """Follows the calls of one executed statement."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.depth = 0
        self.times: dict[FunctionNode, int] = {}
        self.met: set[object] = set()  #: calls that were met again
        self.widest: dict[FunctionNode, Value] = {}

    def _call(self, node: ast.Call, thrown: bool) -> Value:
        func = node.func
        if isinstance(func, ast.Attribute):
            receiver = self.value(func.value)
            called = self._of_bases(func.attr) if _is_super(func.value) else NOTHING
        else:
            receiver, called = NOTHING, self.value(func, thrown=False)
        args: list[Value] = []
        for arg in node.args:
            args.append(self.value(arg))
            if isinstance(arg, ast.Starred):
                args.append(args[-1])
        words: dict[str, Value] = {}
        for word in node.keywords:
            value = self.value(word.value)
            words[word.arg or "**"] = self.items(value) if word.arg is None else value
        call = Call(node, args, words, thrown)
        if not isinstance(func, ast.Attribute) or _is_super(func.value):
            return self.call_things(called, call)
        return self.call_attribute(receiver, func.attr, call)

    def call_attribute(self, receiver: Value, name: str, call: Call) -> Value:
        """Call a method of things, or a function in libraries."""
        given: Value = NOTHING
        others: set[Thing] = set()
        for thing in receiver:
            if isinstance(thing, Library):
                given |= self.call_things(self.inside(thing.path, name), call)
                continue
            found = _known_method(self, thing, name)
            if found:
                given |= self.call_things(found, call)
            else:
                others.add(thing)
        if others or not receiver:
            given |= self.call_method(frozenset(others), name, call)
        return given

    def call(self, called: Value, args: list[Value]) -> Value:
        """Call things with arguments by their places; the value is used."""
        return self.call_things(called, Call(None, args, {}, thrown=False))

    def call_things(self, called: Value, call: Call) -> Value:
        """Call what an expression gave."""
        if not called:
            return self._call_unknown(NOTHING, "", call)
        given: Value = NOTHING
        for thing in called:
            match thing:
                case Function():
                    given |= self.run(thing, call)
                case Class():
                    given |= self._instance(thing, call)
                case Library(path=path):
                    given |= self.call_library(path, call)
                case Method(receiver=receiver, name=name, given=first):
                    if not receiver:  # `methodcaller`: what it is given first is what it is called on
                        receiver, rest = call.first, call.args[1:]
                        given |= self.call_attribute(receiver, name, call.with_args([*first, *rest]))
                    elif name == "?":
                        self.write_deep(receiver)
                        self.put(call.every, receiver)
                    else:
                        given |= self.call_attribute(receiver, name, call.with_args([*first, *call.args]))
                case Partial(called=inner, given=first):
                    given |= self.call_things(frozenset((inner,)), call.with_args([*first, *call.args]))
                case Object() if thing.kind.find("__call__"):
                    given |= self.call_things(_known_method(self, thing, "__call__"), call)
                case _:
                    given |= self._call_unknown(frozenset((thing,)), "", call)
        return given

    def run(self, function: Function, call: Call) -> Value:
        """Follow a function's body, once for the same arguments in one statement."""
        args = [*function.bound, *call.args]
        words = tuple(sorted(call.words.items(), key=_word))
        key = ("run", function.node, function.scope, tuple(args), words)
        done = self.made.get(key)
        if done is not None:
            self.met.add(key)
            return frozenset(done.parts)
        if self.depth > _DEEPEST:
            self.write_deep(call.every)
            return call.every
        self.spend(len(call.every) + 10)
        times = self.times[function.node] = self.times.get(function.node, 0) + 1
        if times > _OFTEN and not call.loose:  # from now on all its calls are one: they come to an end
            return self.run(function, self._widened(function, call))
        result = self.made[key] = Thing()
        if "cached" in function.marks and any(self._is_data(name) for name in function.late):
            self.write([function])  # it goes on giving what it gave
        scope = call_scope(function.node, self.world.blocks, function.scope, self.now)
        scope.owner = function.owner or scope.owner
        scope.first = args[0] if args else NOTHING
        _fill(scope.vars, function, args, call, self)
        node = function.node
        if isinstance(node, ast.Lambda):
            result.parts |= self.inside_scope(
                scope, function, lambda: self.value(node.body, thrown=call.thrown)
            )
        elif _yields(node):
            result.parts |= self._generator(node, scope, function, [scope, function, *call.every])
        else:
            self.met.discard(key)
            self.inside_scope(scope, function, lambda: self._body(node, scope))
            result.parts |= scope.returned
            if key in self.met and scope.returned:  # what a call of itself returned is known the second time
                self.inside_scope(scope, function, lambda: self._body(node, scope))
                result.parts |= scope.returned
        return frozenset(result.parts)

    def _widened(self, function: Function, call: Call) -> Call:
        """Return a call with all that a function was called with so often, wherever that may be handed."""
        every = self.widest[function.node] = self.widest.get(function.node, NOTHING) | call.every
        count = len(parameters(function.node.args)) - len(function.bound)
        return Call(None, [every] * max(count, 0), {}, thrown=call.thrown, loose=True)

    def _body(self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> Value:
        """Follow a function's statements; functions made in it go on reading its names as it left them."""
        self.block(node.body)
        for names in scope.left:
            for name, value in names.items():
                scope.vars.add(name, value)
        return NOTHING

    def _generator(
        self,
        node: ast.FunctionDef | ast.AsyncFunctionDef,
        scope: Scope,
        function: Function,
        parts: Iterable[Thing],
    ) -> Value:
        """Make the generator that a call gives: its body runs as it is read."""

        def pending(follower: Any) -> Value:
            follower.inside_scope(scope, function, lambda: follower._body(node, scope))  # noqa: SLF001
            return frozenset(scope.returned)

        streams = self.fresh((node, scope), parts, Stream)
        for stream in streams:
            stream.pending = pending  # type: ignore[attr-defined]  # it is a stream
        return streams

    def _is_data(self, name: str) -> bool:
        """Whether a name of the notebook is bound to something else than code."""
        value = self.world.scope.vars.get(name)
        return value is not None and not (value and all(isinstance(thing, Code) for thing in value))

    def inside_scope(self, scope: Scope, function: Function, body: Callable[[], Value]) -> Value:
        """Follow code in a scope, and come back to the one before."""
        before = self.scope, self.late, self.fuzzy
        self.scope, self.late, self.fuzzy = scope, function.late, 0
        self.depth += 1
        try:
            return body()
        finally:
            self.depth -= 1
            self.scope, self.late, self.fuzzy = before

    def block(self, body: list[ast.stmt]) -> None:
        """Follow statements."""
        raise NotImplementedError

    def _instance(self, kind: Class, call: Call) -> Value:
        """Make an instance of a class whose source is known."""
        for meta in kind.meta:
            if isinstance(meta, Class):
                for method in meta.find("__call__"):
                    if isinstance(method, Function):
                        self.run(method.with_first(frozenset((kind,))), call)
        key = ("instance", kind, call.node)
        if key not in self.made:
            self.made[key] = Object([self.now], kind)
        made = self.made[key]
        itself = frozenset((made,))
        given: Value = itself
        for method in kind.find("__new__"):
            if isinstance(method, Function):
                given |= self.run(method, call.with_args([frozenset((kind,)), *call.args]))
        starts = [m for m in kind.find("__init__") if isinstance(m, Function)]
        for method in starts:
            self.run(self.bind_first(method, made), call)
        if not starts:
            made.parts |= call.every | self._defaults(kind)
            self.implicit(made, ("__post_init__",))  # type: ignore[arg-type]  # it is an object
        if any(isinstance(base, Library) for one in kind.line() for base in one.bases):
            made.parts |= call.every
        return given

    def _defaults(self, kind: Class) -> Value:
        """Return what an instance gets by its class: `field(default_factory=...)` is called for it."""
        fields = (thing for one in kind.line() for value in one.fields.values() for thing in value)
        return NOTHING.union(
            *(self.call_back(thing.parts) for thing in fields if not isinstance(thing, Code))
        )

    def _call_unknown(self, called: Value, _: str, call: Call) -> Value:
        """Call what nothing is known of: thrown away, it changes its object and what it is given."""
        held = NOTHING.union(*(thing.parts for thing in called if not isinstance(thing, Code)))
        returned = self.call_back(call.every | held, called)
        if call.thrown:
            self.write_deep(called | call.every)
            self.write(thing for thing in called if isinstance(thing, Function | Class))
            self.put(call.every, called)
        parts = called | call.every | returned
        return self.fresh(call.key("?"), parts) | called | self.items(called) | call.every

    def call_back(self, value: Iterable[Thing], given: Value = NOTHING) -> Value:
        """Call the functions among what a call is given: it may call them, with anything that it has."""
        value = frozenset(value)
        self.spend(len(value))
        functions = [thing for thing in value if is_callable(thing)]
        functions += [
            part
            for thing in value
            if isinstance(thing, Container)
            for part in thing.parts
            if is_callable(part)
        ]
        if not functions:
            return NOTHING
        every = given | frozenset(t for t in value if not isinstance(t, Code))
        every |= frozenset(part for thing in every for part in thing.items() if not isinstance(part, Code))
        returned: Value = NOTHING
        for function in functions:
            count = (
                len(parameters(function.node.args)) - len(function.bound)
                if isinstance(function, Function)
                else 2
            )
            call = Call(None, [every] * max(count, 0), {}, thrown=False, loose=True)
            returned |= self.call_things(frozenset((function,)), call)
        return returned

    def call_library(self, path: str, call: Call) -> Value:
        """Call a function of a library, or a builtin."""
        raise NotImplementedError

    def call_method(self, receiver: Value, name: str, call: Call) -> Value:
        """Call a method of things whose class is not known."""
        raise NotImplementedError


def is_callable(thing: Thing) -> bool:
    """Whether whoever gets a thing may call it, and something comes of that."""
    match thing:
        case Function() | Method() | Partial():
            return True
        case Object():
            return bool(thing.kind.find("__call__"))
        case Library(path=path):  # `list.append`, `heapq.heappush`
            return path in known.FIRST_CHANGED or (path.startswith("builtins.") and path.count(".") > 1)
    return False


def _word(pair: tuple[str, Value]) -> str:
    return pair[0]


def _is_super(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super"


def _known_method(caller: Caller, thing: Thing, name: str) -> Value:
    """Return the method that an object of a known class, or a class, has; nothing where it has none."""
    if isinstance(thing, Object):
        own = thing.fields.get(name, NOTHING)
        found = [part for part in thing.kind.find(name) if isinstance(part, Function)]
        if any("property" in part.marks for part in found):
            return caller.attribute(frozenset((thing,)), name)
        bound = (
            part
            if "staticmethod" in part.marks
            else caller.bind_first(part, thing.kind if "classmethod" in part.marks else thing)
            for part in found
        )
        others = (part for part in thing.kind.find(name) if not isinstance(part, Function))
        return own.union(bound, others)
    if isinstance(thing, Class):
        found_here = thing.find(name) | NOTHING.union(
            *(meta.find(name) for meta in thing.meta if isinstance(meta, Class))
        )
        return frozenset(
            caller.bind_first(part, thing)
            if isinstance(part, Function) and "classmethod" in part.marks
            else part
            for part in found_here
        )
    return NOTHING


def _fill(names: Vars, function: Function, args: list[Value], call: Call, caller: Caller) -> None:
    """Bind a function's parameters to what it is called with."""
    signature = function.node.args
    plain = [arg.arg for arg in (*signature.posonlyargs, *signature.args)]
    for name, value in zip(plain, args, strict=False):
        names[name] = value
    rest = args[len(plain) :]
    loose = call.words.get("**", NOTHING)
    taken = {*plain, *(arg.arg for arg in signature.kwonlyargs)}
    extra = loose.union(*(value for word, value in call.words.items() if word not in taken))
    for name in taken:
        value = names.get(name) or NOTHING
        value |= call.words.get(name, NOTHING)
        if name not in names or call.loose:
            value |= function.defaults.get(name, NOTHING) | loose
        names[name] = value
    if signature.vararg is not None:
        key = (function.node, "*", tuple(rest))
        names[signature.vararg.arg] = caller.fresh(key, NOTHING.union(*rest), Container)
    if signature.kwarg is not None:
        names[signature.kwarg.arg] = caller.fresh((function.node, "**", extra), extra, Container)


def _yields(node: Any) -> bool:
    """Whether a function is a generator."""
    waiting = list(node.body)
    while waiting:
        part = waiting.pop()
        if isinstance(part, ast.Yield | ast.YieldFrom):
            return True
        if not isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            waiting += ast.iter_child_nodes(part)
    return False
