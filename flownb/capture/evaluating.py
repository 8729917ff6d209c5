"""Python's expressions, followed for the things that they give, hold and change.

What a call does is told by `flownb.capture.calling`, what a statement does by `flownb.capture.following`.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from flownb.capture.reaching import Reaching
from flownb.capture.things import (
    NOTHING,
    Class,
    Code,
    Container,
    Defaulting,
    Function,
    Library,
    Mask,
    Namespace,
    Object,
    Scope,
    Stream,
    Thing,
    Value,
)
from flownb.names.scopes import Block

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from flownb.capture.things import FunctionNode

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


class Evaluator(Reaching):
    """Follows the expressions of one executed statement."""

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

    def _attribute(self, node: ast.Attribute, _: bool) -> Value:
        value = self.value(node.value)
        if isinstance(node.value, ast.Call) and getattr(node.value.func, "id", "") == "super":
            return self._of_bases(node.attr)
        return self.attribute(value, node.attr)

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


def _is_mask(value: Value) -> bool:
    return bool(value) and all(isinstance(thing, Mask) for thing in value)


def _copies(key: ast.expr) -> bool:
    """Whether items asked for so are a copy: by a list of positions or names."""
    if isinstance(key, ast.Tuple):
        return any(map(_copies, key.elts))
    return isinstance(key, ast.List | ast.ListComp)
