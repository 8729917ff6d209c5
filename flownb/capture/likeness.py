"""Whether a statement found in the notebook is what made a live object, and what was changed on it since.

Source is only worth carrying when executing it gives the object that is there now: people run cells out
of order, redefine, patch and decorate. Functions are compared by their compiled code, what is decorated
by the function inside.
"""

from __future__ import annotations
import __future__

import ast
import types
from typing import TYPE_CHECKING, Any

from flownb.capture.class_likeness import class_changes, own_annotations
from flownb.capture.codes import (
    FUTURE,
    all_code_inside,
    code_inside,
    functions_of,
    functions_within,
    is_own,
    same_code,
    same_constant,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flownb.capture.statements import Statement, Text


def changes(statement: Statement, value: object, namespace: Mapping[str, Any]) -> dict[str, object] | None:
    """Return what was changed on `value` since `statement` made it: attribute -> value, usually nothing.

    None: it was not this statement that made it, or what was changed cannot be said by setting attributes.
    """
    match statement.node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return _function_changes(statement, value, namespace)
        case ast.ClassDef():
            return class_changes(statement, value, namespace) if isinstance(value, type) else None
        case ast.Assign(value=ast.Lambda() as made) | ast.AnnAssign(value=ast.Lambda() as made):
            if isinstance(value, types.FunctionType) and _made_by(
                statement, value, made.args, "<lambda>", namespace
            ):
                return dict(vars(value))
        case ast.Assign(value=ast.Call() as call) | ast.AnnAssign(value=ast.Call() as call):
            return {} if _names_itself(call, value, statement.name, namespace) else None
        case ast.Assign(value=expression) if _is_type_expression(expression):
            return {} if _is_that_type(expression, value, namespace) else None
    return None


def postpones_annotations(statement: Statement, value: object, namespace: Mapping[str, Any]) -> bool:
    """Whether the statement was executed under `from __future__ import annotations`, and may need it."""
    flag = __future__.annotations.compiler_flag
    if any(is_own(f, namespace) and f.__code__.co_flags & flag for f in functions_of(value)):
        return True
    if not (isinstance(statement.node, ast.ClassDef) and isinstance(value, type)):
        return False
    live = own_annotations(value)
    return any(
        isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and not isinstance(node.annotation, ast.Constant)
        and isinstance(live.get(node.target.id), str)
        for node in statement.node.body
    )


def _made_by(
    statement: Statement,
    function: types.FunctionType,
    args: ast.arguments,
    name: str,
    namespace: Mapping[str, Any],
) -> bool:
    if function.__closure__ is not None or not is_own(function, namespace):
        return False
    if not _same_defaults(function, args, namespace):
        return False
    line = statement.line if name != "<lambda>" else None
    return any(
        same_code(function.__code__, code)
        for compiled in statement.compiled(function.__code__.co_flags & FUTURE)
        for code in code_inside(compiled, name, line)
    )


def is_lambda(
    node: ast.Lambda, function: types.FunctionType, text: Text, namespace: Mapping[str, Any]
) -> bool:
    """Whether `function` was made by this lambda of a text, and by nothing besides."""
    code = function.__code__
    if code.co_name != "<lambda>" or function.__closure__ is not None or vars(function):
        return False
    start, end = (node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0)
    for line, end_line, column, end_column in code.co_positions():
        if None in {line, end_line, column, end_column} or (line, column) == (node.lineno, 0):
            continue  # what the compiler added
        if not (start <= (line, column) and (end_line, end_column) <= end):
            return False
    flags = code.co_flags & FUTURE
    expression = compile(ast.Expression(node), "<captured>", "eval", flags=flags, dont_inherit=True)
    same = any(
        same_code(code, other)
        for whole in (expression, text.compiled(flags))
        for other in all_code_inside(whole)
    )
    return same and _same_defaults(function, node.args, namespace)


def _same_defaults(function: types.FunctionType, args: ast.arguments, namespace: Mapping[str, Any]) -> bool:
    """Whether constants and plain names given as defaults still are the function's defaults."""
    live = list(function.__defaults__ or ())
    if len(live) != len(args.defaults):
        return False
    pairs = list(zip(args.defaults, live, strict=True))
    keywords = function.__kwdefaults__ or {}
    for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        if default is not None:
            if arg.arg not in keywords:
                return False
            pairs.append((default, keywords[arg.arg]))
    return all(_still(node, value, namespace) for node, value in pairs)


def _still(node: ast.expr, value: object, namespace: Mapping[str, Any]) -> bool:
    match node:
        case ast.Constant(value=constant):
            return same_constant(constant, value)
        case ast.Name(id=name) if name in namespace:
            return namespace[name] is value
        case ast.List(elts=[]) | ast.Dict(keys=[]):
            return not value  # a default that was filled by calls is another value now
    return True


def _function_changes(
    statement: Statement, value: object, namespace: Mapping[str, Any]
) -> dict[str, object] | None:
    node = statement.node
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    if not node.decorator_list:
        if isinstance(value, types.FunctionType) and _made_by(
            statement, value, node.args, node.name, namespace
        ):
            return dict(vars(value))
        return None
    if any(
        _made_by(statement, function, node.args, node.name, namespace) for function in functions_within(value)
    ):
        return {}
    return None


def _names_itself(call: ast.Call, value: object, name: str, namespace: Mapping[str, Any]) -> bool:
    """Whether `value` is a class or type variable made as in `P = namedtuple("P", "x y")`."""
    if getattr(value, "__name__", None) != name or not call.args:
        return False
    first, *others = [*call.args, *(keyword.value for keyword in call.keywords)]
    if not (isinstance(first, ast.Constant) and first.value == name):
        return False
    for other in others:
        try:
            ast.literal_eval(other)
        except ValueError:
            if not isinstance(other, ast.Name) or not isinstance(namespace.get(other.id, int), type):
                return False
    fields = getattr(value, "_fields", None)
    return fields is None or all(isinstance(part, str) and part in ast.unparse(call) for part in fields)


def _is_type_expression(node: ast.expr) -> bool:
    allowed = (
        ast.Name,
        ast.Attribute,
        ast.Subscript,
        ast.Tuple,
        ast.List,
        ast.BinOp,
        ast.BitOr,
        ast.Constant,
        ast.Load,
    )
    return isinstance(node, ast.Subscript | ast.BinOp) and all(
        isinstance(part, allowed) for part in ast.walk(node)
    )


def _is_that_type(node: ast.expr, value: object, namespace: Mapping[str, Any]) -> bool:
    """Whether `value` is the type that an expression of names and subscripts stands for: `list[float]`."""
    if type(value).__module__ not in {"typing", "types"}:
        return False
    code = compile(ast.Expression(node), "<captured>", "eval", dont_inherit=True)
    try:
        made = eval(code, dict(namespace))  # noqa: S307 - names and subscripts, which the notebook has executed before
    except Exception:  # noqa: BLE001 - then what its names mean has changed, in whatever way
        return False
    return type(made) is type(value) and made == value
