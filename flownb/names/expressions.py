"""Python's expressions, walked in the order in which they are evaluated."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from flownb.names import scopes
from flownb.names.calls import look_into, named_in_namespace
from flownb.names.execution import Closure, Execution, State, join
from flownb.names.scopes import Block, Kind, Scope

if TYPE_CHECKING:
    from collections.abc import Iterable


class Expressions(Execution):
    """Walks expressions. Lambdas in them are walked apart, once, as functions are."""

    def visit(self, node: ast.AST) -> None:
        """Walk one node and what is in it."""
        visitor = getattr(self, "_on_" + type(node).__name__.lower(), None)
        if visitor is not None:
            visitor(node)
            return
        for child in ast.iter_child_nodes(node):
            self.visit(child)

    def block(self, nodes: Iterable[ast.AST | None]) -> None:
        """Walk nodes one after the other."""
        for node in nodes:
            if node is not None:
                self.visit(node)

    def branch(self, test: ast.expr) -> tuple[State, State]:
        """Walk a condition; return the states where it was true and where it was false."""
        if isinstance(test, ast.Constant):
            states = self.state, State(dead=True)
            return states if test.value else states[::-1]
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            return self.branch(test.operand)[::-1]
        if not isinstance(test, ast.BoolOp):
            self.visit(test)
            return self.state, self.state.copy()
        left = []  # the states in which the rest was not looked at
        for value in test.values:
            true, false = self.branch(value)
            self.state, out = (true, false) if isinstance(test.op, ast.And) else (false, true)
            left.append(out)
        states = self.state, join(left)
        return states if isinstance(test.op, ast.And) else states[::-1]

    def closure(self, node: ast.AST, scope: Scope, parts: Iterable[ast.AST | None]) -> frozenset[Closure]:
        """Walk code that runs later, once."""
        closure = self.cell.closures.get(node)
        if closure is None:
            walker = type(self)(self.cell, scope, top=False)
            walker.block(parts)
            found = frozenset(walker.reads), frozenset(walker.needed), frozenset(walker.mutates)
            closure = self.cell.closures[node] = Closure(*found)
        if not closure.reads:
            return frozenset()
        self.made.append(closure)
        return frozenset((closure,))

    def inner(self, kind: Kind, block: Block, private: str | None = None, prefix: str = "") -> Scope:
        """Return the scope of a block that is in the present one."""
        scope = Scope(kind, self.scope, block, private, prefix)
        self.cell.volatile |= scope.mangled(block.deletes) & scope.named_global
        return scope

    def body(self, node: ast.AST, body: list[ast.AST], args: ast.arguments) -> frozenset[Closure]:
        """Walk the body of a function or lambda, `node`."""
        block = Block(*body)
        block.binds.update(arg.arg for arg in scopes.parameters(args))
        return self.closure(node, self.inner("function", block), body)

    def _on_lambda(self, node: ast.Lambda) -> None:
        self.activate(self.anonymous(node))

    def anonymous(self, node: ast.Lambda) -> frozenset[Closure]:
        """Walk a lambda, which nobody may call yet."""
        self.block([*node.args.defaults, *node.args.kw_defaults])
        return self.body(node, [node.body], node.args)

    def _on_name(self, node: ast.Name) -> None:
        self.load(node.id)

    def _on_namedexpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        self.bind(node.target.id)

    def _on_boolop(self, node: ast.BoolOp | ast.IfExp) -> None:
        if isinstance(node, ast.BoolOp):
            self.state = join(self.branch(node))
            return
        self.state, other = self.branch(node.test)
        self.visit(node.body)
        done, self.state = self.state, other
        self.visit(node.orelse)
        self.state = join([done, self.state])

    _on_ifexp = _on_boolop

    def _on_compare(self, node: ast.Compare) -> None:
        self.visit(node.left)
        self.visit(node.comparators[0])
        if len(node.comparators) > 1:  # the rest is looked at only while the comparisons hold
            certain = set(self.state.bound)
            self.block(node.comparators[1:])
            self.state.bound &= certain

    def _on_dict(self, node: ast.Dict) -> None:
        for pair in zip(node.keys, node.values, strict=True):
            self.block(pair)

    def _on_listcomp(self, node: scopes.Comprehension) -> None:
        self.comprehension(node)

    _on_setcomp = _on_listcomp
    _on_dictcomp = _on_listcomp

    def comprehension(self, node: scopes.Comprehension, *, lazy: bool = False) -> None:
        """Walk a comprehension; a generator expression that is `lazy` runs whenever it is asked."""
        self.visit(node.generators[0].iter)
        scope = Scope("function", self.scope, Block(*(generator.target for generator in node.generators)))
        first, *more = node.generators
        parts: list[ast.AST] = [first.target, *first.ifs]
        for generator in more:
            parts += [generator.iter, generator.target, *generator.ifs]
        parts += [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        if lazy:
            self.activate(self.closure(node, scope, parts))
            return
        outer, certain = self.scope, set(self.state.bound)
        self.scope = scope
        self.block(parts)
        self.scope = outer
        if any(generator.is_async for generator in node.generators):
            self.pause()
        self.state.bound &= certain  # there may be nothing to go through

    def _on_generatorexp(self, node: ast.GeneratorExp) -> None:
        self.comprehension(node, lazy=True)

    def _on_await(self, node: ast.Yield | ast.YieldFrom | ast.Await) -> None:
        self.block(ast.iter_child_nodes(node))
        self.pause()

    _on_yield = _on_await
    _on_yieldfrom = _on_await

    def _on_attribute(self, node: ast.Attribute) -> None:
        self.visit(node.value)
        if node.attr in {"user_ns", "user_global_ns"}:
            self.opaque(node, f".{node.attr}")

    def _on_subscript(self, node: ast.Subscript) -> None:
        if (name := named_in_namespace(self, node)) is not None:
            self.load_key(name)
        else:
            self.block(ast.iter_child_nodes(node))

    def _on_binop(self, node: ast.BinOp) -> None:
        rights = [node.right]
        while isinstance(node.left, ast.BinOp):  # a sum of hundreds is no recursion
            node = node.left
            rights.append(node.right)
        self.block([node.left, *reversed(rights)])

    def _on_call(self, node: ast.Call) -> None:
        self.visit(node.func)
        first = node.args[0] if len(node.args) == 1 else None
        if isinstance(first, ast.GeneratorExp) and scopes.consumes(node.func):
            self.comprehension(first)
        else:
            self.block(node.args)
        self.block(node.keywords)
        look_into(self, node)

    def _on_constant(self, node: ast.Constant) -> None:
        """Pass over what holds no names, without looking inside."""

    _on_load = _on_constant
