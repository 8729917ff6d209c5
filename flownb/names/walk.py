"""Python's statements, walked in the order in which they are executed."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from flownb.names import scopes
from flownb.names.execution import Closure, State, join
from flownb.names.expressions import Expressions
from flownb.names.scopes import Block

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Walker(Expressions):
    """Walks the statements of one body of code. Functions in it are walked apart, once."""

    def module(self, body: list[ast.stmt]) -> State:
        """Walk the module's statements; return the state at the end, or before what never ends."""
        end = self.state
        for node in body:
            if not self.state.dead:
                end = self.state.copy()
            self.visit(node)
        return end if self.state.dead else self.state

    def target(self, node: ast.expr) -> None:
        """Walk something that is assigned to."""
        if isinstance(node, ast.Name):
            self.bind(node.id)
        elif isinstance(node, (ast.Tuple, ast.List)):
            for item in node.elts:
                self.target(item)
        elif isinstance(node, ast.Starred):
            self.target(node.value)
        else:
            self.place(node)

    def place(self, node: ast.expr) -> None:
        """Walk an attribute or item that is assigned or deleted."""
        for part in ast.iter_child_nodes(node):
            self.visit(part)
        self.mutate(node)

    def loop(self, head: Callable[[], State], body: list[ast.stmt], orelse: list[ast.stmt]) -> None:
        """Walk a loop; `head` walks what starts each turn and returns the state in which none follows."""
        entry = self.state
        while True:
            hot = len(self.hot)
            self.state = entry.copy()
            self.loops.append(([], []))
            done = head()
            self.block(body)
            breaks, continues = self.loops.pop()
            again = join([entry, self.state, *continues])
            if again == entry and hot == len(self.hot):
                break
            entry = again  # what a turn unbinds or defines is so when the next one starts
        self.state = done
        self.block(orelse)
        self.state = join([self.state, *breaks])

    # ---- definitions

    def _on_functiondef(self, node: scopes.FunctionNode) -> None:
        keep, shared = self._decorators(node.decorator_list)
        outer = self.scope
        closures = self._type_parameters(node)
        self.block([*node.args.defaults, *node.args.kw_defaults])
        for annotation in (*(arg.annotation for arg in scopes.parameters(node.args)), node.returns):
            self.annotation(annotation)
        closures |= self.body(node, [*node.body], node.args)
        self.scope = outer
        self.cell.swallowers |= scopes.makes_swallower(node)
        self._define(node.name, closures, keep, shared)

    _on_asyncfunctiondef = _on_functiondef

    def _on_classdef(self, node: ast.ClassDef) -> None:
        keep, shared = self._decorators(node.decorator_list)
        outer, made = self.scope, len(self.made)
        self._type_parameters(node)
        self.block([*node.bases, *node.keywords])
        block = Block(*node.body)
        block.binds |= {"__module__", "__qualname__"}
        prefix = f"\0{id(node)}\0"
        self.scope = self.inner("class", block, node.name.lstrip("_"), prefix)
        self.bind("__module__")
        self.bind("__qualname__")
        self.block(node.body)
        self.scope = outer
        self.state.forget(prefix)
        self.cell.swallowers |= scopes.makes_swallower(node)
        enum = any(scopes.last_name(base).endswith(("Enum", "Flag")) for base in node.bases)
        keep = keep and not (node.keywords or enum or self.cell.eager)
        self.cell.eager |= not block.binds.isdisjoint({"__init_subclass__", "__set_name__"})
        self._define(node.name, frozenset(self.made[made:]), keep, shared)

    def _decorators(self, decorators: list[ast.expr]) -> tuple[bool, list[str]]:
        """Walk decorators; return whether all keep for later what they get, and what they join it to.

        `@area.setter` and `@area.register` do not call the function `area` that stands above them.
        """
        keep, shared = True, []
        for decorator in decorators:
            func = decorator.func if isinstance(decorator, ast.Call) else decorator
            key = self.scope.refers(scopes.accessor_of(decorator))
            if key in self.state.bound and key in self.state.holds:
                shared.append(key)
                self.block([*decorator.args, *decorator.keywords] if isinstance(decorator, ast.Call) else ())
                continue
            self.visit(decorator)
            own = isinstance(func, ast.Name) and func.id in self.cell.defined
            keep = keep and not own and scopes.keeps_for_later(decorator)
        return keep, shared

    def _define(self, name: str, closures: frozenset[Closure], keep: bool, shared: list[str]) -> None:
        self.cell.defined.add(name)
        for key in shared:
            closures |= self.state.holds[key]
        for key in shared:
            self.hold(key, closures)
        self.bind(name, closures)
        if not keep:
            self.activate(closures)

    def _type_parameters(self, node: ast.AST) -> frozenset[Closure]:
        """Enter the scope of PEP 695's type parameters, where there are any; their bounds are lazy."""
        params = getattr(node, "type_params", ())
        if not params:
            return frozenset()
        block = Block()
        block.binds.update(param.name for param in params)
        self.scope = self.inner("parameters", block)
        return frozenset[Closure]().union(
            *(self.closure(param, self.scope, ast.iter_child_nodes(param)) for param in params)
        )

    def _on_typealias(self, node: Any) -> None:
        outer = self.scope
        closures = self._type_parameters(node)
        closures |= self.closure(node, self.scope, [node.value])
        self.scope = outer
        self.bind(node.name.id, closures)

    def annotation(self, node: ast.AST | None) -> None:
        """Walk an annotation where it is evaluated; names in text are for whoever evaluates that."""
        if node is None:
            return
        if self.cell.future:  # every annotation is text then
            self._read_later(part.id for part in ast.walk(node) if isinstance(part, ast.Name))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            self._read_later(scopes.text_names(node.value))
        elif isinstance(node, ast.Subscript) and scopes.last_name(node.value) == "Literal":
            self.visit(node)
        elif isinstance(node, ast.Subscript) and scopes.last_name(node.value) == "Annotated":
            self.visit(node.value)
            first, *rest = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            self.annotation(first)
            self.block(rest)
        elif isinstance(node, (ast.Subscript, ast.BinOp, ast.Tuple, ast.List)):
            for child in ast.iter_child_nodes(node):
                self.annotation(child)
        else:
            self.visit(node)

    def _read_later(self, names: Iterable[str]) -> None:
        keys = map(self.scope.refers, names)
        self.cell.later.update(key for key in keys if key and "\0" not in key)

    # ---- statements

    def _on_assign(self, node: ast.Assign) -> None:
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        if isinstance(node.value, ast.Lambda) and len(names) == len(node.targets):
            closures = self.anonymous(node.value)
            for name in names:
                self.bind(name, closures)
            return
        self.visit(node.value)
        for target in node.targets:
            self.target(target)

    def _on_annassign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)
            self.target(node.target)
        elif not isinstance(node.target, ast.Name):
            self.block(ast.iter_child_nodes(node.target))
        if self.scope.kind != "function":
            self.annotation(node.annotation)

    def _on_augassign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self.load(node.target.id)
            self.mutate(node.target)
            self.visit(node.value)
            self.bind(node.target.id)
        else:
            self.place(node.target)
            self.visit(node.value)

    def _on_delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            self._delete_target(target)

    def _delete_target(self, node: ast.expr) -> None:
        if isinstance(node, ast.Name):
            self.load(node.id)
            self.unbind(node.id)
        elif isinstance(node, (ast.Tuple, ast.List)):
            for item in node.elts:
                self._delete_target(item)
        else:
            self.place(node)

    def _on_expr(self, node: ast.Expr) -> None:
        self.visit(node.value)
        value = node.value.value if isinstance(node.value, ast.Await) else node.value
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
            self.mutate(value.func)

    def _on_import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            if alias.name == "*":
                module = "." * node.level + (node.module or "") if isinstance(node, ast.ImportFrom) else ""
                self.opaque(node, f"from {module} import *")
            else:
                self.bind(scopes.bound_by_import(alias))

    _on_importfrom = _on_import

    def _on_return(self, node: ast.Return | ast.Raise) -> None:
        self.block(ast.iter_child_nodes(node))
        self.state = State(dead=True)

    _on_raise = _on_return

    def _on_break(self, node: ast.Break | ast.Continue) -> None:
        if self.loops:  # else it is a syntax error, and for the compiler to say
            self.loops[-1][isinstance(node, ast.Continue)].append(self.state)
            self.exits.append(self.state)
        self.state = State(dead=True)

    _on_continue = _on_break

    def _on_assert(self, node: ast.Assert) -> None:
        true, self.state = self.branch(node.test)
        self.block([node.msg])
        self.state = true

    def _on_if(self, node: ast.If) -> None:
        self.state, other = self.branch(node.test)
        self.block(node.body)
        done, self.state = self.state, other
        self.block(node.orelse)
        self.state = join([done, self.state])

    def _on_while(self, node: ast.While) -> None:
        def head() -> State:
            self.state, done = self.branch(node.test)
            return done

        self.loop(head, node.body, node.orelse)

    def _on_for(self, node: ast.For | ast.AsyncFor) -> None:
        def head() -> State:
            if isinstance(node, ast.AsyncFor):
                self.pause()
            done = self.state.copy()
            self.target(node.target)
            return done

        self.visit(node.iter)
        self.loop(head, node.body, node.orelse)

    _on_asyncfor = _on_for

    def _on_with(self, node: ast.With | ast.AsyncWith) -> None:
        swallows = self.cell.swallowers or any(scopes.may_swallow(item.context_expr) for item in node.items)
        entry, logs = self.state.copy(), (len(self.unbound), len(self.held))
        for item in node.items:
            self.visit(item.context_expr)
            if item.optional_vars is not None:
                self.target(item.optional_vars)
        if isinstance(node, ast.AsyncWith):
            self.pause()
        self.block(node.body)
        if isinstance(node, ast.AsyncWith):
            self.pause()
        if swallows:
            self.state = join([self.state, self.interrupted(entry, *logs)])

    _on_asyncwith = _on_with

    def _on_try(self, node: Any) -> None:
        entry, logs, exits = self.state.copy(), (len(self.unbound), len(self.held)), len(self.exits)
        lenient = self.lenient
        self.lenient = lenient or any(scopes.catches_missing_names(handler) for handler in node.handlers)
        self.block(node.body)
        self.lenient = lenient
        caught = self.interrupted(entry, *logs)
        self.block(node.orelse)
        ends = [self.state]
        for handler in node.handlers:
            # of `except` one is chosen, of `except*` one may come after another
            self.state = self.interrupted(entry, *logs) if isinstance(node, ast.TryStar) else caught
            self.block([handler.type])
            caught = self.state.copy()
            self._handler(handler)
            ends.append(self.state)
        normal = join(ends)
        if node.finalbody:
            self.state = self.interrupted(entry, *logs)
            held = len(self.held)
            self.block(node.finalbody)  # on its way out with an exception
            self._clean(exits, self.unbound[logs[0] :], held)
        self.state = normal
        self.block(node.finalbody)

    _on_trystar = _on_try

    def _handler(self, handler: ast.ExceptHandler) -> None:
        exits = len(self.exits)
        if handler.name:
            self.bind(handler.name)
        self.block(handler.body)
        if handler.name:
            self.unbind(handler.name)
            self._clean(exits, [self.scope.refers(handler.name)], len(self.held))

    def _clean(self, exits: int, unbound: list[str], held: int) -> None:
        """Correct the states at the jumps since `exits`, which pass other code before they arrive.

        That code unbinds `unbound`, and binds the functions that were logged since `held`.
        """
        for state in self.exits[exits:]:
            state.bound.difference_update(unbound)
            state.hold(self.held[held:])

    def _on_match(self, node: ast.Match) -> None:
        self.visit(node.subject)
        ends = []
        for case in node.cases:
            failed = [] if scopes.is_irrefutable(case.pattern) else [self.state.copy()]
            self._pattern(case.pattern)
            if case.guard is not None:
                self.state, refused = self.branch(case.guard)
                failed.append(refused)
            self.block(case.body)
            ends.append(self.state)
            self.state = join(failed)
        self.state = join([*ends, self.state])

    def _pattern(self, pattern: ast.pattern) -> None:
        """Walk a pattern: its names are bound together, when all of it has matched."""
        captured = []
        for node in ast.walk(pattern):
            if isinstance(node, (ast.MatchValue, ast.MatchClass)):
                self.visit(node.value if isinstance(node, ast.MatchValue) else node.cls)
            elif isinstance(node, ast.MatchMapping):
                self.block(node.keys)
                captured.append(node.rest)
            elif isinstance(node, (ast.MatchAs, ast.MatchStar)):
                captured.append(node.name)
        for name in captured:
            if name is not None:
                self.bind(name)
