"""From what a declaration means to the type that pydantic validates with."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, cast

from flownb.errors import ParameterError
from flownb.parameters import known
from flownb.parameters.secret import Secret
from flownb.parameters.types import (
    Anything,
    Bounded,
    Choice,
    Many,
    Members,
    OneOf,
    Open,
    Plain,
    Type,
    Unknown,
)

if TYPE_CHECKING:
    from pydantic import TypeAdapter


def python_type(kind: Type) -> Any:
    """Return the Python type that `kind` stands for; `Any` where nothing is known.

    Imports pydantic only for types and constraints that are pydantic's.
    """
    match kind:
        case Anything() | Unknown():
            return Any
        case Plain():
            return plain_type(kind)
        case Choice(values=values):
            return cast("Any", Literal)[values]
        case Members(enum=members):
            return members
        case OneOf(types=types):
            return cast("Any", Union)[tuple(python_type(each) for each in types)]
        case Bounded(inner=inner, limits=limits):
            return _annotated(python_type(inner), dict(limits))
        case Open(inner=inner):
            return python_type(inner)
        case Many():
            return _collection(kind)


def plain_type(kind: Plain) -> Any:
    """Return the class of a type without parts."""
    if kind.path == "builtins.None":
        return None
    if kind.path == "flownb.Secret":
        return Secret
    module, _, name = kind.path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def adapter(kind: Type) -> TypeAdapter[Any]:
    """Return pydantic's validator for a type.

    Raises `ParameterError` where the declaration contradicts itself, such as a length for a number.
    """
    from pydantic import ConfigDict, TypeAdapter
    from pydantic.errors import PydanticUserError
    from pydantic_core import SchemaError

    try:
        return TypeAdapter(python_type(kind), config=ConfigDict(arbitrary_types_allowed=True))
    except (PydanticUserError, SchemaError, ImportError, TypeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ParameterError(f"cannot be checked: {reason}") from error


def _annotated(inner: Any, limits: dict[str, Any]) -> Any:
    from pydantic import Field, StringConstraints

    texts = {name: limits.pop(name) for name in tuple(limits) if name in known.TEXT_LIMITS}
    if texts:
        inner = Annotated[inner, StringConstraints(**texts)]
    return Annotated[inner, Field(**limits)] if limits else inner


def _collection(kind: Many) -> Any:
    origin = plain_type(Plain(kind.path))
    items = tuple(python_type(item) for item in kind.items)
    if kind.path == "builtins.tuple" and (items or not kind.endless):
        return cast("Any", tuple)[(*items, ...) if kind.endless else items]
    return origin[items if len(items) > 1 else items[0]] if items else origin
