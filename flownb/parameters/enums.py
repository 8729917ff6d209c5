"""Enum classes of a notebook, built again from their source without executing it."""

from __future__ import annotations

import ast
import enum
import types
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from flownb.parameters.readings import NotReadableError, member

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flownb.parameters.context import Context

_BASES: dict[str, type] = {
    "enum.Enum": enum.Enum,
    "enum.IntEnum": enum.IntEnum,
    "enum.StrEnum": enum.StrEnum,
    "enum.Flag": enum.Flag,
    "enum.IntFlag": enum.IntFlag,
}
_MIXINS: dict[str, type] = {"str": str, "int": int, "float": float, "bytes": bytes}
#: methods that make a member's value another one than is written
_MAKES_VALUES = frozenset(
    {"__new__", "__init__", "_generate_next_value_", "__init_subclass__", "_missing_"}
    | {"__get_pydantic_core_schema__"}
)


class _NotStaticError(Exception):
    """The class cannot be told from its source alone."""


def static_enum(definition: ast.ClassDef, context: Context) -> type[enum.Enum] | None:
    """Return an Enum with the name, bases and members of a class statement, or None.

    None where it is no Enum, or one whose members are not literals: nothing of the source is executed.
    Methods are left out. A member of the notebook's own class is taken as the member of that name, and so is
    the name.
    """
    try:
        bases = _bases(definition, context)
        if bases is None:
            return None
        members = dict(_members(definition, context))

        def fill(namespace: dict[str, Any]) -> None:
            namespace["__module__"] = "__main__"
            namespace["__qualname__"] = definition.name
            namespace.update(members)
            namespace["_missing_"] = classmethod(_by_name)

        return types.new_class(definition.name, bases, exec_body=fill)
    except (_NotStaticError, TypeError, ValueError):
        return None


def _by_name(cls: type[enum.Enum], value: object) -> enum.Enum | None:
    """Return the member of that name, or that a member of the real class stands for."""
    if isinstance(value, enum.Enum) and type(value).__name__ == cls.__name__:
        return cls.__members__.get(value.name) or cls(value.value)
    if isinstance(value, str):
        with suppress(NotReadableError):
            found: enum.Enum = member(value, cls.__members__)
            return found
    inherited: enum.Enum | None = super(cls, cls)._missing_(value)  # type: ignore[misc]  # it makes flags
    return inherited


def _bases(definition: ast.ClassDef, context: Context) -> tuple[type, ...] | None:
    found: list[type] = []
    for node in definition.bases:
        path = context.path(node)
        if path in _BASES:
            found.append(_BASES[path])
        elif isinstance(node, ast.Name) and node.id in _MIXINS and node.id not in context.names:
            found.append(_MIXINS[node.id])
        else:
            return None
    is_enum = any(issubclass(base, enum.Enum) for base in found)
    plain = all((context.path(d) or "").startswith("enum.") for d in definition.decorator_list)
    return tuple(found) if is_enum and plain and not definition.keywords else None


def _members(definition: ast.ClassDef, context: Context) -> Iterator[tuple[str, Any]]:
    known: dict[str, Any] = {}
    for statement in definition.body:
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                if name in _MAKES_VALUES:
                    raise _NotStaticError
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                if name.startswith("_"):
                    raise _NotStaticError
                known[name] = _value(value, known, context)
                yield name, known[name]
            case ast.Expr(value=ast.Constant()) | ast.Pass() | ast.AnnAssign(value=None):
                pass
            case _:
                raise _NotStaticError


def _value(node: ast.expr, known: Mapping[str, Any], context: Context) -> Any:
    match node:
        case ast.Call(func=func, args=[], keywords=[]) if context.path(func) == "enum.auto":
            return enum.auto()
        case ast.Name(id=name) if name in known:
            return known[name]
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _small(_value(left, known, context)) | _small(_value(right, known, context))
        case ast.BinOp(left=left, op=ast.LShift(), right=right):
            shift = _small(_value(right, known, context))
            if shift > 64:
                raise _NotStaticError
            return _small(_value(left, known, context)) << shift
    return ast.literal_eval(node)


def _small(value: object) -> int:
    if not isinstance(value, int) or not 0 <= value < 1 << 64:
        raise _NotStaticError
    return value
