"""What a value is, as plain data: what it holds, to any depth, and which of it is one and the same object.

Nothing of the value is called that could change it: no method of a class of the program, and no `next`.
"""

from __future__ import annotations

import collections
import decimal
import enum
import functools
import gc
import io
import opcode
import random
import types
from typing import Any

import numpy as np

Plain = Any  #: nested tuples of atoms, compared with ==

_ATOMS = frozenset({int, bool, type(None), str, bytes, complex, range, type(...), type(NotImplemented)})
_VIEWS: tuple[type, ...] = (type({}.keys()), type({}.values()), type({}.items()))
_OPERATORS = frozenset(
    number
    for name, number in opcode.opmap.items()
    if name in ("BINARY_OP", "COMPARE_OP", "CONTAINS_OP", "IS_OP", "UNARY_NOT", "LOAD_SMALL_INT")
)
_STOPS = frozenset(opcode.opmap[name] for name in ("YIELD_VALUE", "SEND"))
_NOISE = frozenset({"__module__", "__dict__", "__weakref__", "__doc__", "__annotations__", "__match_args__"})


class PlainData:
    """Tells values as plain data; an object seen before, in any of the values, is told by its number."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self._kept: list[object] = []  # else another object could come to have the same number
        self._memories: dict[int, int] = {}

    def __call__(self, value: Any) -> Plain:
        """Tell one value."""
        kind = type(value)
        if kind in _ATOMS:
            return (kind.__name__, value)
        if kind is tuple:  # equal constants of one source may be one object: they are told each time
            return ("tuple", *map(self, value))
        if kind is frozenset:
            return ("frozenset", *sorted(map(self, value), key=repr))
        if kind is float:
            return ("float", repr(value))
        number = self._numbers.get(id(value))
        if number is not None:
            return ("seen", number)
        self._numbers[id(value)] = len(self._numbers)
        self._kept.append(value)
        return (_name(kind), *_tell(value, self))

    def mapping(self, items: dict[Any, Any]) -> Plain:
        """Tell keys and values in their order."""
        return tuple((self(key), self(value)) for key, value in items.items())

    def memory(self, array: np.ndarray) -> tuple[int, int]:
        """Tell where the elements are: the number of the array that owns them, and how far into it."""
        owner: Any = array
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        self._kept.append(owner)
        address, start = (each.__array_interface__["data"][0] for each in (array, owner))
        return self._memories.setdefault(id(owner), len(self._memories)), address - start

    def attributes(self, value: Any) -> Plain:
        """Tell the class of an instance, if the program made it, and what the instance holds."""
        kind = type(value)
        held = getattr(value, "__dict__", None)
        made = self(kind) if kind.__module__ == "__main__" else ()
        return (made, self.mapping(held) if type(held) is dict else ())


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _code(code: types.CodeType) -> Plain:
    # not all of it: how a call is compiled depends on the imports beside the function in its source
    pairs = zip(code.co_code[::2], code.co_code[1::2], strict=True)
    operators = tuple(pair for pair in pairs if pair[0] in _OPERATORS)
    constants = code.co_consts
    if "__firstlineno__" in code.co_names:  # one of the numbers in a class body is the line that it is on
        operators, constants = (), tuple(each for each in constants if not isinstance(each, int))
    parts = tuple(_code(each) if isinstance(each, types.CodeType) else repr(each) for each in constants)
    return (code.co_name, code.co_names, code.co_varnames, operators, parts)


@functools.singledispatch
def _tell(value: Any, told: PlainData) -> Plain:
    if isinstance(value, _VIEWS):  # abstract classes would ask each class of the program whether it is one
        return (told(gc.get_referents(value)[0]),)
    return told.attributes(value)


@_tell.register(list)
@_tell.register(collections.deque)
def _(value: Any, told: PlainData) -> Plain:
    if isinstance(value, list):
        return (tuple(map(told, list.__iter__(value))), *told.attributes(value))
    return (tuple(map(told, collections.deque.__iter__(value))), value.maxlen, *told.attributes(value))


@_tell.register(tuple)
def _(value: tuple[Any, ...], told: PlainData) -> Plain:
    return (tuple(map(told, tuple.__iter__(value))), *told.attributes(value))


@_tell.register(dict)
def _(value: dict[Any, Any], told: PlainData) -> Plain:
    factory = told(value.default_factory) if isinstance(value, collections.defaultdict) else ()
    items = tuple((told(key), told(held)) for key, held in dict.items(value))
    return (items, factory, *told.attributes(value))


@_tell.register
def _(value: set, told: PlainData) -> Plain:  # type: ignore[type-arg]
    return (tuple(sorted(map(told, set.__iter__(value)), key=repr)), *told.attributes(value))


@_tell.register
def _(value: np.ndarray, told: PlainData) -> Plain:
    elements = tuple(map(told, value.ravel().tolist())) if value.dtype.hasobject else repr(value.tolist())
    return (told.memory(value), value.strides, str(value.dtype), elements, value.shape)


@_tell.register
def _(value: np.generic, told: PlainData) -> Plain:
    return (repr(value.item()),)


@_tell.register(decimal.Decimal)
def _(value: Any, told: PlainData) -> Plain:
    return (repr(value),)


@_tell.register
def _(value: types.FunctionType, told: PlainData) -> Plain:
    cells = tuple(map(told, value.__closure__ or ()))
    defaults = (told(value.__defaults__), told(value.__kwdefaults__))
    return (value.__qualname__, _code(value.__code__), cells, defaults, told.mapping(value.__dict__))


@_tell.register
def _(value: types.CellType, told: PlainData) -> Plain:
    try:
        return (told(value.cell_contents),)
    except ValueError:
        return ("empty",)


@_tell.register
def _(value: types.MethodType, told: PlainData) -> Plain:
    return (told(value.__func__), told(value.__self__))


@_tell.register
def _(value: types.BuiltinMethodType, told: PlainData) -> Plain:
    return (value.__qualname__, () if isinstance(value.__self__, types.ModuleType) else told(value.__self__))


@_tell.register
def _(value: functools.partial, told: PlainData) -> Plain:  # type: ignore[type-arg]
    return (told(value.func), told(value.args), told(value.keywords))


@_tell.register(functools._lru_cache_wrapper)
def _(value: Any, told: PlainData) -> Plain:
    return (told(value.__wrapped__),)


@_tell.register
def _(value: types.ModuleType, told: PlainData) -> Plain:
    return (value.__name__,)


@_tell.register
def _(value: type, told: PlainData) -> Plain:
    if value.__module__ != "__main__":
        return (_name(value),)
    held = {
        name: item
        for name, item in vars(value).items()
        if name not in _NOISE and (not name.startswith("__") or isinstance(item, types.FunctionType))
    }
    return (_name(value), tuple(map(told, value.__bases__)), told.mapping(held))


@_tell.register
def _(value: property, told: PlainData) -> Plain:
    return (told(value.fget), told(value.fset), told(value.fdel))


@_tell.register(staticmethod)
@_tell.register(classmethod)
def _(value: Any, told: PlainData) -> Plain:
    return (told(value.__func__),)


@_tell.register
def _(value: enum.Enum, told: PlainData) -> Plain:
    return (value._name_, told(value._value_), told(type(value)))


@_tell.register
def _(value: BaseException, told: PlainData) -> Plain:
    return (told(value.args),)


@_tell.register
def _(value: types.GeneratorType, told: PlainData) -> Plain:  # type: ignore[type-arg]
    frame = value.gi_frame
    code = _code(value.gi_code)
    if frame is None:
        return (code, "over")
    stops = sum(op in _STOPS for op in value.gi_code.co_code[: frame.f_lasti + 1 : 2])
    return (code, stops, frame.f_lasti < 0, told.mapping(dict(frame.f_locals)))


@_tell.register
def _(value: io.StringIO, told: PlainData) -> Plain:
    return ("closed",) if value.closed else (value.getvalue(), value.tell())


@_tell.register
def _(value: random.Random, told: PlainData) -> Plain:
    return (hash(value.getstate()),)


@_tell.register
def _(value: np.random.Generator, told: PlainData) -> Plain:
    return (repr(value.bit_generator.state),)


def _iterator(value: Any, told: PlainData) -> Plain:
    try:  # an iterator of Python itself says what it is over, and where it is
        return (told(value.__reduce__()),)
    except RuntimeError:  # over a dict or set that has changed its size
        return ("broken",)


_EMPTY: tuple[Any, ...] = ([], (), {}, set(), "", b"", collections.deque(), range(0), range(1 << 70))
_ITERATORS: tuple[type, ...] = (
    *map(type, map(iter, (*_EMPTY, _EMPTY[2].values(), _EMPTY[2].items()))),
    *map(type, map(reversed, _EMPTY[:3:2])),
    *(zip, map, filter, enumerate, reversed),
)
for _kind in _ITERATORS:
    _tell.register(_kind, _iterator)
