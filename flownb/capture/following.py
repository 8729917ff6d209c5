"""Python's statements, followed for what they make, hold and change."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from flownb.capture import library_state
from flownb.capture.call import Call
from flownb.capture.library_calls import LibraryCalls
from flownb.capture.texts import asks_for_subclasses
from flownb.capture.things import (
    NOTHING,
    Class,
    Function,
    Library,
    Object,
    Scope,
    Value,
    Vars,
)
from flownb.capture.world import inner_modules, parsed_module
from flownb.names.scopes import Block, bound_by_import

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class Follower(LibraryCalls):
    """Follows one executed statement, or the body of a module."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.loops: list[list[Vars]] = []
        self.loads: set[str] = set()  #: modules that it imports
        self.texts: dict[str, str] = {}  #: names that it binds to texts written out

    def block(self, body: Iterable[ast.stmt]) -> None:
        """Follow statements one after the other."""
        for node in body:
            self.statement(node)

    def statement(self, node: ast.stmt) -> None:
        """Follow a statement."""
        method: Callable[[Any], None] = getattr(self, f"_on_{type(node).__name__.lower()}", self._on_other)
        method(node)

    def _on_other(self, node: ast.stmt) -> None:
        for part in ast.iter_child_nodes(node):
            if isinstance(part, ast.expr):
                self.value(part)

    def _on_expr(self, node: ast.Expr) -> None:
        self.value(node.value, thrown=True)

    def _on_return(self, node: ast.Return) -> None:
        scope = self.scope_of_function()
        if node.value is not None:
            scope.returned |= self.value(node.value)
        scope.left.append(scope.vars.copy())  # functions that were made here go on reading them

    def _on_assign(self, node: ast.Assign) -> None:
        if len(node.targets) == 1 and _pairs(node.targets[0], node.value):
            values = [self.value(part) for part in node.value.elts]  # type: ignore[attr-defined]
            for one, value in zip(node.targets[0].elts, values, strict=True):  # type: ignore[attr-defined]
                self.unpack(one, value)
        else:
            value = self.value(node.value)
            for target in node.targets:
                self.unpack(target, value)
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))):
                self.texts[name] = text

    def _on_annassign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.store(node.target, self.value(node.value))

    def _on_augassign(self, node: ast.AugAssign) -> None:
        value = self.value(node.value)
        target = node.target
        if isinstance(target, ast.Name):
            before = self.load(target.id)
            self._change_in_place(before, node, value)
            self.bind(target.id, before | self.fresh(node, value) if before or value else NOTHING)
        else:
            loaded: Any = ast.copy_location(type(target)(**{**vars(target), "ctx": ast.Load()}), target)
            before = self.value(loaded)
            self._change_in_place(before, node, value)
            self.store(target, before | value)

    def _change_in_place(self, before: Value, node: ast.AugAssign, value: Value) -> None:
        name = type(node.op).__name__.lower()
        short = {"mult": "mul", "div": "truediv", "bitor": "or", "bitand": "and", "bitxor": "xor"}.get(
            name, name
        )
        for thing in before:
            if isinstance(thing, Library):
                self.set_state(thing.path, value)
            elif isinstance(thing, Object) and thing.kind.find(f"__i{short}__"):
                self._asked(frozenset((thing,)), f"__i{short}__")
            else:
                self.write([thing])
        self.put(self.items(value), (thing for thing in before if not isinstance(thing, Library)))

    def _on_delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if isinstance(target, ast.Name):
                scope = self.scope.around(target.id) or self.scope.home
                if scope is self.scope and not self.fuzzy:
                    scope.vars.drop(target.id)
                elif scope.outermost and scope is not self.scope:
                    self.elsewhere.add(target.id)
            elif isinstance(target, ast.Attribute | ast.Subscript):
                self._delete_part(target)
            else:
                self._on_delete(ast.Delete(targets=getattr(target, "elts", [])))

    def _delete_part(self, target: ast.Attribute | ast.Subscript) -> None:
        for thing in self.value(target.value):
            if isinstance(thing, Library):
                self.set_state(thing.path)
            elif isinstance(thing, Object) and isinstance(target, ast.Subscript):
                self.implicit(thing, ("__delitem__",))
            self.write([thing])

    # -- ways through the code -----------------------------------------------------------------------------

    def _ways(self, *bodies: Iterable[ast.stmt]) -> None:
        """Follow bodies of which one is executed."""
        scope = self.scope
        before = scope.vars
        ends = []
        for body in bodies:
            scope.vars = before.copy()
            self.block(body)
            ends.append(scope.vars)
        scope.vars = Vars.joined(ends)

    def _on_if(self, node: ast.If) -> None:
        self.value(node.test)
        self._ways(node.body, node.orelse)

    def _on_for(self, node: ast.For | ast.AsyncFor) -> None:
        over = self.items(self.value(node.iter))
        self._loop(node.body, node.orelse, lambda: self.unpack(node.target, over))

    _on_asyncfor = _on_for

    def _on_while(self, node: ast.While) -> None:
        self._loop(node.body, node.orelse, lambda: self.value(node.test))

    def _loop(self, body: list[ast.stmt], orelse: list[ast.stmt], head: Callable[[], object]) -> None:
        scope = self.scope
        self.loops.append([])
        for _ in range(2):  # what one turn leaves is there in the next
            before = scope.vars
            scope.vars = before.copy()
            head()
            self.block(body)
            scope.vars = Vars.joined([before, scope.vars, *self.loops[-1]])
        self.loops.pop()
        self.block(orelse)

    def _on_break(self, _: ast.Break | ast.Continue) -> None:
        if self.loops:
            self.loops[-1].append(self.scope.vars.copy())

    _on_continue = _on_break

    def _on_with(self, node: ast.With | ast.AsyncWith) -> None:
        managers: Value = NOTHING
        undone: set[str] = set()
        for item in node.items:
            value = self.value(item.context_expr)
            managers |= value
            undone.update(self._put_back(item.context_expr))
            entered = self._asked(value, "__enter__", "__aenter__")
            self.consume(thing for thing in value if getattr(thing, "pending", None) is not None)
            if item.optional_vars is not None:
                self.unpack(item.optional_vars, value | entered | self._yielded(value))
        own = [log for name in undone if (log := self.world.state(name).log) not in self.written]
        self.fuzzy += 1
        self.block(node.body)
        self.fuzzy -= 1
        self._asked(managers, "__exit__", "__aexit__")
        for log in own:
            if log in self.written:
                log.pop()
                self.written.remove(log)

    _on_asyncwith = _on_with

    def _put_back(self, manager: ast.expr) -> Iterator[str]:
        """Yield the states that a context manager of a library puts back in the end."""
        called = self.value(manager.func) if isinstance(manager, ast.Call) else NOTHING
        for thing in called:
            if isinstance(thing, Library) and library_state.puts_back(thing.path):
                yield from library_state.states_set(thing.path)

    def _yielded(self, value: Value) -> Value:
        """Return what generators among context managers give."""
        return NOTHING.union(*(thing.items() for thing in value if hasattr(thing, "pending")))

    def _on_try(self, node: Any) -> None:
        self.fuzzy += 1
        self.block(node.body)
        before = self.scope.vars
        ends = []
        for handler in node.handlers:
            self.scope.vars = before.copy()
            if handler.name:
                self.bind(handler.name, self.fresh(handler))
            self.block(handler.body)
            ends.append(self.scope.vars)
        self.scope.vars = before.copy()
        self.block(node.orelse)
        self.scope.vars = Vars.joined([*ends, self.scope.vars])
        self.block(node.finalbody)
        self.fuzzy -= 1

    _on_trystar = _on_try

    def _on_match(self, node: ast.Match) -> None:
        subject = self.value(node.subject)
        inside = subject | self.items(subject)
        scope = self.scope
        before = scope.vars
        ends = [before]
        for case in node.cases:
            scope.vars = before.copy()
            for part in ast.walk(case.pattern):
                name = getattr(part, "name", None) or getattr(part, "rest", None)
                if isinstance(part, ast.MatchAs | ast.MatchStar | ast.MatchMapping) and name:
                    self.bind(name, inside)
            if case.guard is not None:
                self.value(case.guard)
            self.block(case.body)
            ends.append(scope.vars)
        scope.vars = Vars.joined(ends)

    # -- definitions ---------------------------------------------------------------------------------------

    def _on_functiondef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.bind(node.name, self._decorated(node, self.function(node)))

    _on_asyncfunctiondef = _on_functiondef

    def _on_typealias(self, node: Any) -> None:
        """Bind `type X = ...` of Python 3.12, whose value is evaluated when somebody asks for it."""
        key = (node, self.scope)
        if key not in self.made:
            self.made[key] = self._lambda_of(node.value, self.late)
        self.bind(node.name.id, frozenset((self.made[key],)))

    def _decorated(self, node: Any, value: Value) -> Value:
        """Apply the decorators of a definition."""
        for decorator in reversed(node.decorator_list):
            name = decorator.attr if isinstance(decorator, ast.Attribute) else ""
            if name in ("setter", "getter", "deleter"):
                for thing in value:
                    if isinstance(thing, Function):
                        thing.marks |= {"property"}
                value |= self.value(decorator.value)
                continue
            called = self._registering(decorator, value)
            value = self.call_things(called, Call(None, [value], {}, thrown=False)) | frozenset(
                thing for thing in value if isinstance(thing, Class)
            )
        return value

    def _registering(self, decorator: ast.expr, value: Value) -> Value:
        """Return the decorator; a method of an object may keep what it decorates: `@app.route("/")`."""
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        if isinstance(called, ast.Attribute):
            for thing in self.value(called.value):
                if isinstance(thing, Library):
                    path = f"{thing.path}.{called.attr}"
                    if self.own_module(thing.path) is None and _registers(path):
                        self.set_state(path, value)
                elif not isinstance(thing, Object | Class) or not self.attribute(
                    frozenset((thing,)), called.attr
                ):
                    self.write([thing])
                    self.put(value, [thing])
        elif isinstance(called, ast.Name):
            for thing in self.load(called.id):
                if isinstance(thing, Library) and _registers(thing.path):
                    self.set_state(thing.path, value)
        return self.value(decorator)

    def _on_classdef(self, node: ast.ClassDef) -> None:
        bases = self.values(node.bases)
        words = {word.arg or "**": self.value(word.value) for word in node.keywords}
        key = ("class", node, self.scope)
        made = self.made.get(key)
        if not isinstance(made, Class):
            made = self.made[key] = Class([self.now], self.late, bases)
        made.meta = words.get("metaclass", NOTHING) | NOTHING.union(
            *(base.meta for base in bases if isinstance(base, Class))
        )
        made.parts |= NOTHING.union(*words.values())
        outer = self.scope
        block = Block(*node.body)
        inner = Scope("class", outer, [self.now], frozenset(block.binds - block.global_ - block.nonlocal_))
        inner.owner = made
        self.scope = inner
        self.block(node.body)
        self.scope = outer
        for name, value in inner.vars.items():
            made.fields[name] = made.fields.get(name, NOTHING) | value
            made.parts |= value
            for thing in value:
                if isinstance(thing, Function) and thing.owner is None:
                    thing.owner = made
                if isinstance(thing, Object):
                    self.implicit(thing, ("__set_name__",))
        if not outer.outermost:
            made.parts.add(outer)
        self._announce(made, bases, words)
        self.bind(node.name, self._decorated(node, frozenset((made,))))

    def _announce(self, made: Class, bases: Value, words: dict[str, Value]) -> None:
        """Tell bases and metaclasses of a new class, as Python does."""
        itself = frozenset((made,))
        for base in bases:
            if not isinstance(base, Class):
                continue
            if self.world.asks_for_subclasses:
                self.write(base.line())
                base.parts.add(made)
            for hook in base.find("__init_subclass__"):
                if isinstance(hook, Function):
                    self.run(hook.with_first(itself), Call(None, [], words, thrown=True))
        for meta in made.meta:
            if isinstance(meta, Class):
                for name in ("__new__", "__init__", "__prepare__"):
                    for hook in meta.find(name):
                        if isinstance(hook, Function):
                            given = [frozenset((meta,)), NOTHING, bases, itself | frozenset(made.parts)]
                            self.run(hook, Call(None, given, words, thrown=True))

    # -- imports -------------------------------------------------------------------------------------------

    def _on_import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._imported(alias.name)
            path = alias.name if alias.asname else alias.name.partition(".")[0]
            self.bind(bound_by_import(alias), self._module(path))

    def _on_importfrom(self, node: ast.ImportFrom) -> None:
        module = self._absolute(node)
        if module == "__future__":
            self.set_state("__future__")
        self._imported(module)
        for alias in node.names:
            if alias.name == "*":
                own = self.own_module(module)
                if own is not None:
                    for name, value in own.vars.items():
                        if not name.startswith("_"):
                            self.bind(name, value)
                            self.elsewhere.add(name)
                else:
                    self.hidden = True
                    self.world.stars.append(module)
                continue
            full = f"{module}.{alias.name}"
            if self.world.own_file(full) is not None:
                self._imported(full)
                self.bind(bound_by_import(alias), self._module(full))
            else:
                self._imported(full, certain=False)
                self.bind(bound_by_import(alias), self.inside(module, alias.name))

    def _absolute(self, node: ast.ImportFrom) -> str:
        module = node.module or ""
        if not node.level:
            return module
        package = self.scope.home.vars.get("__package__") or NOTHING
        name = next((thing.path for thing in package if isinstance(thing, Library)), "")
        parts = name.split(".") if name else []
        base = parts[: len(parts) - node.level + 1]
        return ".".join([*base, module] if module else base)

    def _imported(self, module: str, *, certain: bool = True) -> None:
        """Take note that a module, and the packages that it is in, are there from now on."""
        self.uses.add(module.partition(".")[0])
        for path in inner_modules(module):
            if self.scope.home.outermost and (certain or "." in path):
                self.loads.add(path)
            if self.world.own_file(path) is not None:
                self.own_module(path)

    def _module(self, path: str) -> Value:
        return frozenset((self.world.library(path),))

    def own_module(self, path: str) -> Scope | None:
        """Return the names of a module that lies beside the notebook; its body is followed the first time."""
        modules = self.world.modules
        if path in modules:
            return modules[path]
        modules[path] = None  # whoever imports it in a circle finds nothing of it yet
        file = self.world.own_file(path)
        tree = parsed_module(file) if file is not None else None
        if file is None or tree is None:
            return None
        self.world.asks_for_subclasses |= any(map(asks_for_subclasses, _attributes(tree)))
        scope = modules[path] = Scope("module", None, [self.now])
        package = path if file.name == "__init__.py" else path.rpartition(".")[0]
        scope.vars["__package__"] = self._module(package) if package else NOTHING
        before = self.scope, self.late, self.fuzzy, self.loops
        self.scope, self.late, self.fuzzy, self.loops = scope, frozenset(), 0, []
        try:
            self.block(tree.body)
        finally:
            self.scope, self.late, self.fuzzy, self.loops = before
        return scope


def _attributes(tree: ast.Module) -> Iterator[str]:
    return (part.attr for part in ast.walk(tree) if isinstance(part, ast.Attribute))


def _registers(path: str) -> bool:
    """Whether a decorator of a library keeps what it decorates for others."""
    name = path.rpartition(".")[2]
    return name.startswith("register") or name in ("route", "command", "task", "callback", "hookimpl")


def _pairs(target: ast.expr, value: ast.expr) -> bool:
    """Whether an assignment is of as many values as targets, one for each: `a, b = b, a`."""
    return (
        isinstance(target, ast.Tuple | ast.List)
        and isinstance(value, ast.Tuple | ast.List)
        and len(target.elts) == len(value.elts)
        and not any(isinstance(node, ast.Starred) for node in (*target.elts, *value.elts))
    )
