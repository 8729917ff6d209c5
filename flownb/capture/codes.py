"""Compiled code, compared: whether two functions do the same, wherever they were written."""

from __future__ import annotations
import __future__

import gc
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: the flags of code objects that say which features of `__future__` they were compiled with
FUTURE = 0
for _feature in __future__.all_feature_names:
    FUTURE |= getattr(__future__, _feature).compiler_flag

#: how far into a decorated object its function is looked for
_DEPTH, _WIDTH = 5, 400


def is_own(function: types.FunctionType, namespace: Mapping[str, Any]) -> bool:
    """Whether a function's globals are the notebook's: source found in a file reads that file's names."""
    main = namespace.get("__name__", "__main__")
    return bool(function.__globals__.get("__name__", main) == main)


def functions_of(value: object) -> Iterator[types.FunctionType]:
    """Yield the functions that an object is made of: itself, what it wraps, a class's methods."""
    if isinstance(value, types.FunctionType):
        yield value
    elif isinstance(value, type):
        for attribute in vars(value).values():
            yield from functions_within(attribute)
    if not isinstance(value, type):
        yield from functions_within(value)


def functions_within(value: object) -> Iterator[types.FunctionType]:
    """Yield the functions that are reachable from `value` without going through a namespace or a class."""
    seen = {id(value)}
    layer = [value]
    for _ in range(_DEPTH):
        following: list[object] = []
        for item in layer:
            if isinstance(item, types.FunctionType):
                yield item
            for inner in gc.get_referents(item):
                if id(inner) not in seen and not _leads_away(inner):
                    seen.add(id(inner))
                    following.append(inner)
        if len(seen) > _WIDTH:
            return
        layer = following


def _leads_away(value: object) -> bool:
    if isinstance(value, dict):
        return "__builtins__" in value or "__spec__" in value
    return isinstance(value, type | types.ModuleType | types.CodeType | str | bytes | int | float)


def same_code(one: types.CodeType, other: types.CodeType) -> bool:
    """Whether two code objects do the same, wherever they were written."""
    alike = (
        one.co_code == other.co_code
        and one.co_names == other.co_names
        and one.co_varnames == other.co_varnames
        and one.co_freevars == other.co_freevars
        and one.co_cellvars == other.co_cellvars
        and (one.co_argcount, one.co_posonlyargcount, one.co_kwonlyargcount, one.co_flags)
        == (other.co_argcount, other.co_posonlyargcount, other.co_kwonlyargcount, other.co_flags)
        and len(one.co_consts) == len(other.co_consts)
    )
    return alike and all(map(same_constant, one.co_consts, other.co_consts))


def same_constant(one: object, other: object) -> bool:
    """Whether two constants are equal and of the same types, all the way down."""
    if isinstance(one, types.CodeType) and isinstance(other, types.CodeType):
        return same_code(one, other)
    if type(one) is not type(other):
        return False
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(same_constant, one, other))
    if isinstance(one, frozenset) and isinstance(other, frozenset):
        return {(type(item), item) for item in one} == {(type(item), item) for item in other}
    return repr(one) == repr(other)  # tells 0.0 from -0.0, and a NaN is like itself


def future_flags(value: object) -> int:
    """Return the flags of the `__future__` features that an object's functions were compiled with."""
    flags = 0
    for function in functions_of(value):
        generated = function.__code__.co_filename == "<string>"  # by dataclasses and the like
        of_library = function.__globals__.get("__spec__") is not None  # a decorator's, or pydantic's
        if not generated and not of_library:
            flags |= function.__code__.co_flags & FUTURE
    return flags


def code_inside(code: types.CodeType, name: str, line: int | None = None) -> list[types.CodeType]:
    """Return the code of what a statement defines by `name`, in what it was compiled to (at that line)."""
    return [
        const
        for const in code.co_consts
        if isinstance(const, types.CodeType)
        and const.co_name == name
        and line in {None, const.co_firstlineno}
    ]


def all_code_inside(code: types.CodeType) -> Iterator[types.CodeType]:
    """Yield the code of all that is defined anywhere inside."""
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            yield const
            yield from all_code_inside(const)
