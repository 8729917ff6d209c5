"""Calls of Python's builtins, followed."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from flownb.capture import known
from flownb.capture.calling import Caller, is_callable
from flownb.capture.things import (
    NOTHING,
    Class,
    Container,
    Function,
    Method,
    Namespace,
    Object,
    Stream,
    Thing,
    Value,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from flownb.capture.call import Call

_WRITING_MODES = frozenset("wax+")
_MARKS = {
    "property": frozenset({"property"}),
    "cached_property": frozenset({"property", "cached"}),
    "classmethod": frozenset({"classmethod"}),
    "staticmethod": frozenset({"staticmethod"}),
    "lru_cache": frozenset({"cached"}),
    "cache": frozenset({"cached"}),
}


class BuiltinCalls(Caller):
    """Follows the calls of builtins: `_builtin_NAME` for those that are unlike any other."""

    def call_builtin(self, name: str, call: Call) -> Value:
        """Call a builtin."""
        _, _, method = name.partition(".")
        if method == "fromkeys":
            inside = self.items(call.first).union(*call.args[1:])
            return self.fresh(call.key(name), inside, Container)
        if method:  # `list.append(x, 1)`, `str.upper`
            return self.call_attribute(call.first, method, call.with_args(call.args[1:]))
        own: Callable[[Call], Value] | None = getattr(self, f"_builtin_{name}", None)
        if own is not None:
            return own(call)
        if name in known.STREAMS:
            return self.stream(call.key(name), call.every)
        if name in known.GOING_THROUGH:
            return self._go_through(name, call)
        if name in known.PLAIN_BUILTINS:
            self._ask(call, f"__{name}__", "__str__", "__repr__", "__format__")
            return NOTHING
        return self.fresh(call.key(name), call.every)

    def _ask(self, call: Call, *names: str) -> None:
        """Call the methods by which a builtin asks the objects that it is given."""
        self._asked(call.every, *names)

    def _go_through(self, name: str, call: Call) -> Value:
        """`list`, `sorted`, `sum`: what is in their arguments is in what they give."""
        key = call.words.get("key", NOTHING)
        inside = self.items(call.every - key)
        self._ask(call, "__len__", "__bool__")
        self._asked(inside, "__lt__", "__gt__", "__add__", "__radd__", "__eq__", "__hash__")
        self.call_back(key, inside)
        if name in ("any", "all"):
            return NOTHING
        if name in ("sum", "min", "max"):
            deeper = frozenset(part for thing in inside for part in thing.parts)
            return inside | call.words.get("default", NOTHING) | self.fresh(call.key(name), deeper)
        named = NOTHING.union(*call.words.values()) if name == "dict" else NOTHING
        return self.fresh(call.key(name), inside | named, Container)

    # -- what is used up by being read ---------------------------------------------------------------------

    def stream(self, key: object, parts: Iterable[Thing]) -> Value:
        """Return the new stream that a call makes."""
        return self.fresh(key, parts, Stream)

    def _builtin_next(self, call: Call) -> Value:
        self.write(call.first)
        return self.items(call.first) | call.every - call.first

    _builtin_anext = _builtin_next

    def _builtin_iter(self, call: Call) -> Value:
        same = frozenset(thing for thing in call.first if isinstance(thing, Stream))
        return self.stream(call.key("iter"), call.every) | same

    def _builtin_open(self, call: Call) -> Value:
        self.uses.add("open")
        streams = self.stream(call.key("open"), call.every)
        mode = call.text(1) or call.word_text("mode") or ""
        for stream in streams:
            stream.writes = bool(_WRITING_MODES & set(mode))  # type: ignore[attr-defined]  # it is a stream
        return streams

    def _builtin_map(self, call: Call) -> Value:
        return self.lazily("map", call)

    def _builtin_filter(self, call: Call) -> Value:
        return self.lazily("filter", call)

    def lazily(self, name: str, call: Call) -> Value:
        """Make a stream that calls what it was given as it is read."""
        function = frozenset(filter(is_callable, call.every))
        rest = call.every - function

        def pending(follower: Any) -> Value:
            inside: Value = follower.items(rest)
            returned: Value = follower.call_back(function, inside)
            return returned | (NOTHING if name == "map" else inside)

        streams = self.stream(call.key(name), call.every)
        for stream in streams:
            stream.pending = pending  # type: ignore[attr-defined]  # it is a stream
        return streams

    def _builtin_print(self, call: Call) -> Value:
        self._ask(call, "__str__", "__repr__")
        self.write(call.words.get("file", NOTHING))
        if "file" not in call.words and (state := self.world.states.get("sys")) is not None:
            self.write(part for part in state.parts if isinstance(part, Stream))  # `sys.stdout = buffer`
        return NOTHING

    # -- attributes, names and code by text ----------------------------------------------------------------

    def _builtin_getattr(self, call: Call) -> Value:
        attribute = call.text(1)
        if attribute is None:
            loose = frozenset(Method(frozenset((thing,)), "?") for thing in call.first)
            return loose | call.every | self.items(call.first)
        return self.attribute(call.first, attribute) | call.every - call.first

    def _builtin_setattr(self, call: Call) -> Value:
        for thing in call.first:
            self.set_attribute(thing, call.text(1) or "*", call.every - call.first)
        return NOTHING

    _builtin_delattr = _builtin_setattr

    def _builtin_globals(self, call: Call) -> Value:
        return self.fresh(call.key("globals"), kind=Namespace)

    _builtin_locals = _builtin_globals

    def _builtin_vars(self, call: Call) -> Value:
        return call.first or self._builtin_globals(call)

    def _builtin_memoryview(self, call: Call) -> Value:
        return call.every

    def _builtin_exec(self, call: Call) -> Value:
        space = call.args[1] if len(call.args) > 1 else NOTHING
        if space:
            self.write_deep(space)
        else:
            self.hidden = self.hidden or call.text(0) is None
        return self._builtin_eval(call)

    def _builtin_eval(self, call: Call) -> Value:
        """Follow code that is given as text, where it is written out, and has the notebook's names."""
        text = call.text(0) if len(call.args) == 1 else None
        if text is None:
            return self.fresh(call.key("eval"), call.every)
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError):
            return NOTHING
        self.block(tree.body)
        last = tree.body[-1] if tree.body else None
        return self.value(last.value) if isinstance(last, ast.Expr) else NOTHING

    def _builtin___import__(self, call: Call) -> Value:
        return frozenset((self.world.library((call.text(0) or "?").partition(".")[0]),))

    def _builtin_get_ipython(self, _: Call) -> Value:
        return frozenset((self.world.library("IPython"),))

    # -- classes -------------------------------------------------------------------------------------------

    def _builtin_super(self, _: Call) -> Value:
        return self.scope_of_function().first

    def _builtin_type(self, call: Call) -> Value:
        if len(call.args) == 1:
            return frozenset(thing.kind for thing in call.first if isinstance(thing, Object))
        key = ("class", call.node)
        if key not in self.made:
            bases = self.items(call.args[1]) if len(call.args) > 1 else NOTHING
            made = self.made[key] = Class([self.now], self.late, bases)
            made.parts |= call.every
            fields = call.node.args[2] if call.node is not None and len(call.node.args) > 2 else None
            for name, item in (
                zip(fields.keys, fields.values, strict=True) if isinstance(fields, ast.Dict) else ()
            ):
                if isinstance(name, ast.Constant):
                    made.fields[str(name.value)] = self.value(item)
        return frozenset((self.made[key],))

    def _builtin_property(self, call: Call) -> Value:
        self.mark("property", call.first)
        return call.every

    def _builtin_staticmethod(self, call: Call) -> Value:
        self.mark("staticmethod", call.first)
        return call.every

    def _builtin_classmethod(self, call: Call) -> Value:
        self.mark("classmethod", call.first)
        return call.every

    def mark(self, name: str, value: Value) -> None:
        """Note what a decorator makes of functions: properties, class methods, cached ones."""
        marks = _MARKS.get(name.rpartition(".")[2])
        if marks:
            for thing in value:
                if isinstance(thing, Function):
                    thing.marks |= marks
