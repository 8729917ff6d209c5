"""What executing a statement may change besides the names that it binds, told by its syntax.

What calls do is a guess that errs towards too much: a statement too many in a flow costs time, one too few
makes another value.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: called as statements, these only show something: they are no part of what makes a value
_SHOWING = frozenset({
    "print", "display", "head", "tail", "sample", "describe", "info", "show", "savefig",
    "to_csv", "to_parquet", "to_excel", "to_json", "help", "type", "len", "repr", "str", "dir", "id",
    "summary", "style",
})  # fmt: skip
#: these show a table; given something to draw, they change a plot
_DRAWING = frozenset({"plot", "hist"})
#: methods that give something and change their object, which another than these is not taken to do
_TAKING = frozenset({
    "pop", "popleft", "popitem", "setdefault", "send", "read", "readline", "readlines", "get_nowait",
    "random", "integers", "normal", "standard_normal", "uniform", "choice", "choices", "randint",
    "randrange", "permutation", "gauss", "poisson", "binomial", "exponential", "twinx", "scatter", "bar",
    "barh", "imshow", "axhline", "axvline", "text", "annotate", "legend", "colorbar", "add_subplot",
    "add_axes", "contour", "contourf", "fill_between", "pie", "errorbar", "step", "pcolormesh",
})  # fmt: skip
#: methods after which an object holds what it was given
_KEEPING = frozenset({"append", "appendleft", "add", "insert", "extend", "update", "setdefault", "put"})

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(slots=True)
class Effects:
    """What a statement does to objects, by the names at whose root they are."""

    changed: set[str] = field(default_factory=set)  #: objects that calls in it may change
    called: set[str] = field(default_factory=set)  #: functions and classes that it may call
    #: the name and the method (empty: none) of each call of something that has a name
    methods: set[tuple[str, str]] = field(default_factory=set)
    shared: list[set[str]] = field(default_factory=list)  #: names that may be of one object from then on
    shows: bool = False  #: it is there to show something


def effects_of(node: ast.stmt) -> Effects:
    """Return the effects of a top-level statement; names of modules and builtins may be among them."""
    found = Effects(shows=_only_shows(node))
    for part in _executed(node):
        match part:
            case ast.Call():
                _call(part, found)
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    _share(target, value, found)
                if len(targets) > 1:
                    found.shared.append({name for target in targets for name in _stored(target)})
            case (
                ast.For(target=target, iter=over, body=body)
                | ast.AsyncFor(target=target, iter=over, body=body)
            ):
                if _changes_one_of(set(_stored(target)), body):
                    found.changed |= set(_gone_through(over))
            case (
                ast.AnnAssign(target=target, value=ast.expr() as value)
                | ast.NamedExpr(target=target, value=value)
            ):
                _share(target, value, found)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                _decorated(part, found)
    if isinstance(node, ast.Expr) and not found.shows:
        _called_alone(node.value, found)
    return found


def _only_shows(node: ast.stmt) -> bool:
    if not (isinstance(node, ast.Expr) and isinstance(call := node.value, ast.Call)):
        return False
    called = call.func
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    if name in _DRAWING and call.args:
        return False
    return name in _SHOWING | _DRAWING or ast.unparse(called).startswith("get_ipython()")


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the parts of a statement that are executed with it: not what stands in functions."""
    yield node
    if isinstance(node, _Function):
        inner: list[ast.AST] = [*node.decorator_list, *_defaults(node.args)]
    elif isinstance(node, ast.Lambda):
        inner = _defaults(node.args)
    else:
        inner = list(ast.iter_child_nodes(node))
        if isinstance(node, ast.Call):  # what is given to a call may be called there
            inner += [arg.body for arg in node.args if isinstance(arg, ast.Lambda)]
            inner += [word.value.body for word in node.keywords if isinstance(word.value, ast.Lambda)]
    for child in inner:
        yield from _executed(child)


def _defaults(args: ast.arguments) -> list[ast.AST]:
    return [*args.defaults, *(default for default in args.kw_defaults if default is not None)]


def _call(call: ast.Call, found: Effects) -> None:
    root = root_of(call.func)
    given = {arg.id for arg in _arguments(call) if isinstance(arg, ast.Name)}
    found.called |= given | ({root} if root else set())
    match call.func:
        case ast.Name(id=name):
            found.methods.add((name, ""))
        case ast.Attribute(value=ast.Name(id=name), attr=method):
            found.methods.add((name, method))
    if isinstance(call.func, ast.Attribute):
        drawn = call.func.attr in _DRAWING and bool(call.args)
        if (call.func.attr in _TAKING or drawn) and root:
            found.changed.add(root)
        if call.func.attr in _KEEPING and root and given:
            found.shared.append({root, *given})
    elif root == "next" or root == "setattr":
        found.changed |= given


def _called_alone(value: ast.expr, found: Effects) -> None:
    """Nobody calls a thing for nothing: what is called, and what it is given, may be changed by it."""
    call = value.value if isinstance(value, ast.Await) else value
    if isinstance(call, ast.Call):
        found.changed |= {arg.id for arg in _arguments(call) if isinstance(arg, ast.Name)}
        if root := root_of(call.func):
            found.changed.add(root)


def _decorated(node: _Definition, found: Effects) -> None:
    bases = [*node.bases, *(word.value for word in node.keywords)] if isinstance(node, ast.ClassDef) else []
    for expression in (*node.decorator_list, *bases):
        if root := root_of(expression):
            found.called.add(root)
    for decorator in node.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        if isinstance(called, ast.Attribute) and (root := root_of(called)):
            found.changed.add(root)  # `@app.route("/")`, `@show.register`


def _share(target: ast.expr, value: ast.expr, found: Effects) -> None:
    """Note which names may be of one object after an assignment."""
    names = set(_stored(target))
    given = set(_held(value))
    if given or (isinstance(target, ast.Tuple | ast.List) and isinstance(value, ast.Call)):
        found.shared.append(names | given)


def _stored(target: ast.expr) -> Iterator[str]:
    """Yield the names that an assignment binds, or whose objects it changes."""
    match target:
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            for element in elements:
                yield from _stored(element)
        case ast.Starred(value=inner):
            yield from _stored(inner)
        case _:
            if root := root_of(target):
                yield root


def _gone_through(over: ast.expr) -> Iterator[str]:
    """Yield the names whose elements a loop takes: `rows`, `d.items()`, `zip(a, b)`, `enumerate(rows)`."""
    yield from _held(over)
    if isinstance(over, ast.Call):
        if isinstance(over.func, ast.Attribute) and (root := root_of(over.func)):
            yield root
        for arg in over.args:
            yield from _gone_through(arg)


def changes_itself(node: ast.stmt) -> bool:
    """Whether calling a function or a class, or its methods, may change that function or class."""
    return isinstance(node, _Definition) and _changes_one_of({node.name}, node.body)


def keeps_state(node: _Function) -> bool:
    """Whether a function may return a function that changes with each call."""
    parts = list(ast.walk(node))
    own = {part.arg for part in parts if isinstance(part, ast.arg)}
    own |= {part.id for part in parts if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
    inner = [part for part in parts if isinstance(part, _Function) and part is not node]
    return any(isinstance(part, ast.Nonlocal) for part in parts) or any(
        _changes_one_of(own, function.body) for function in inner
    )


def changing_methods(node: ast.ClassDef) -> set[str]:
    """Return the methods of a class that may change the object that they are called on.

    That of a call of the object itself is the empty text.
    """
    left = {part.name: part for part in node.body if isinstance(part, _Function)}
    found: set[str] = set()
    while more := {name for name, method in left.items() if _changes_self(method, found)}:
        found |= more
        left = {name: method for name, method in left.items() if name not in found}
    return {"" if name == "__call__" else name for name in found}


def _changes_self(method: _Function, changing: set[str]) -> bool:
    first = [arg.arg for arg in (*method.args.posonlyargs, *method.args.args)][:1]
    calls = (
        part.func.attr
        for part in ast.walk(method)
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and root_of(part.func) in first
    )
    return _changes_one_of(set(first), method.body) or any(name in changing for name in calls)


def _changes_one_of(names: set[str], body: list[ast.stmt]) -> bool:
    """Whether statements change the objects that these names are bound to."""
    for part in (part for statement in body for part in ast.walk(statement)):
        match part:
            case ast.Subscript(ctx=ast.Store() | ast.Del()) | ast.Attribute(ctx=ast.Store() | ast.Del()):
                if root_of(part) in names:
                    return True
            case ast.Expr(value=ast.Call(func=ast.Attribute() as called)):
                if root_of(called) in names and not _only_shows(part):
                    return True
            case ast.Call(func=ast.Attribute(attr=attr) as called) if attr in _TAKING:
                if root_of(called) in names:
                    return True
    return False


def _held(value: ast.expr) -> Iterator[str]:
    """Yield the names whose objects an expression hands on, itself or in a container."""
    match value:
        case ast.Name() | ast.Attribute() | ast.Subscript():
            if root := root_of(value):
                yield root
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            for element in elements:
                yield from _held(element)
        case ast.Dict(values=elements):
            for element in elements:
                yield from _held(element)
        case ast.Call(func=ast.Attribute(attr=attr) as called) if attr in _TAKING | _DRAWING:
            if root := root_of(called):
                yield root
        case ast.Starred(value=inner) | ast.NamedExpr(value=inner):
            yield from _held(inner)
        case ast.IfExp(body=one, orelse=other):
            yield from _held(one)
            yield from _held(other)


def _arguments(call: ast.Call) -> Iterator[ast.expr]:
    for arg in call.args:
        yield arg.value if isinstance(arg, ast.Starred) else arg
    for word in call.keywords:
        yield word.value


def is_constant(node: ast.AST | None) -> bool:
    """Whether an expression is of an object that nothing can change: a number, a text, a tuple of such."""
    if isinstance(node, ast.Tuple):
        return all(map(is_constant, node.elts))
    if isinstance(node, ast.UnaryOp):
        return is_constant(node.operand)
    return isinstance(node, ast.Constant | ast.JoinedStr | ast.Compare)


def root_of(node: ast.expr) -> str:
    """Return the name that a chain of attributes, items and calls begins with; empty where it has none."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""
