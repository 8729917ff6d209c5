"""What a program being generated has bound so far: the live namespace, and how to reach what is in it.

Programs are typed by looking: each statement is executed as soon as it is made, and what the next may use is
found in the namespace. Only what a callable takes and gives must be said by the statement that makes it.
"""

from __future__ import annotations

import collections
import enum
import io
import random
import types
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from program_runs import LIBRARY_NAMES, compiled, limit_again

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DATA = ("a", "b", "c", "d", "e", "xs", "ys")
FUNCTIONS = ("f", "g", "h", "run")
CLASSES = ("A", "B", "C")
NOISE = ("z0", "z1")

#: what the methods and properties of generated classes take and give, by their names; `self` is left out
MEMBERS = {
    "add": "eff",
    "area": "get",
    "chain": "chain",
    "clone": "clone",
    "feed": "mut",
    "fresh": "fresh",
    "level": "level",
    "mine": "mk",
    "register": "deco",
    "size": "size",
    "stream": "stream",
    "total": "get",
    "visit": "caller",
    "__call__": "fn",
    "__contains__": "holder",
    "__enter__": "ctx",
    "__getitem__": "indexed",
    "__iadd__": "addable",
    "__iter__": "looped",
    "__len__": "sized",
    "__setitem__": "settable",
}
_DEPTH = 3
_WIDTH = 3
_LONGEST = 24  #: longer lists are read but no more lengthened, so that programs stay small


@dataclass
class World:
    """A namespace, and what is known of the objects in it."""

    namespace: dict[str, Any]
    _roles: dict[int, str] = field(default_factory=dict)
    _kept: list[object] = field(default_factory=list)
    _paths: dict[str, list[str]] | None = None

    def execute(self, text: str, roles: tuple[tuple[str, str], ...]) -> None:
        """Execute a statement, and note what the callables and iterators that it binds take and give.

        Args:
            text: the statement.
            roles: names with a kind; `each KIND` is said of the elements.

        Raises:
            TooLongError: in `program_runs.limited`, the statement takes too long.
        """
        self._paths = None
        limit_again(1.0)  # much more than any takes, also where others are busy
        try:
            exec(compiled(text), self.namespace)
        finally:
            limit_again(0)
        for name, role in roles:
            value = self.namespace.get(name)
            for each in value if role.startswith("each ") and type(value) is list else (value,):
                if (callable(each) or hasattr(each, "__next__")) and id(each) not in self._roles:
                    self._roles[id(each)] = role.removeprefix("each ")
                    self._kept.append(each)

    def bound(self, names: tuple[str, ...]) -> list[str]:
        """Give those of the names that are bound."""
        return [name for name in names if name in self.namespace]

    def paths(self, kind: str) -> list[str]:
        """Give the expressions that reach something of a kind, shallow ones more than once."""
        if self._paths is None:
            self._paths = collections.defaultdict(list)
            for name, value in list(self.namespace.items()):
                if not name.startswith("_") and name not in NOISE:
                    self._visit(name, value, 0)
        return self._paths.get(kind, [])

    def _visit(self, text: str, value: Any, depth: int) -> None:
        assert self._paths is not None
        weight = _DEPTH - depth
        for kind in self._kinds(value):
            self._paths[kind] += [text] * weight
        for path, kind in _members(text, value):
            self._paths[kind] += [path] * weight
        if depth + 1 < _DEPTH:
            for part, inner in _parts(text, value):
                self._visit(part, inner, depth + 1)

    def _kinds(self, value: Any) -> tuple[str, ...]:
        role = self._roles.get(id(value))
        if role is None and isinstance(value, types.MethodType):
            made_here = value.__func__.__module__ == "__main__"
            role = MEMBERS.get(value.__func__.__name__) if made_here else None
        if role is not None:
            own = ("func",) if isinstance(value, types.FunctionType) else ()
            return (role, "anyiter", *own) if role == "iter" else (role, *own)
        kind = _KINDS.get(type(value))
        if kind is not None:
            return kind(value)
        if isinstance(value, type):
            return tuple(_class_kinds(value))
        return ("obj",) if _is_instance(value) else ()


def _is_instance(value: Any) -> bool:
    kind = type(value)
    return (kind.__module__ == "__main__" and not isinstance(value, type | enum.Enum)) or (
        kind.__module__ in LIBRARY_NAMES
    )


def _members(text: str, value: Any) -> Iterator[tuple[str, str]]:
    """Give paths: what the methods and properties of an instance take and give.

    What a method of a library changes is a change only where its value is thrown away. So only methods of the
    program are callables like others; `has_add` is an instance with any method `add`, `own_add` with its own.
    """
    if not _is_instance(value):
        return
    if "extra" in getattr(value, "__dict__", ()):
        yield text, "has_extra"
    for owner in type(value).__mro__[:-1]:
        for name in (name for name in MEMBERS if name in vars(owner)):  # in an order that never changes
            yield text, f"has_{name}"
            if owner.__module__ == "__main__":
                yield text, f"own_{name}"
                yield text if name.startswith("_") else f"{text}.{name}", MEMBERS[name]


def _parts(text: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list | tuple | collections.deque):
        elements = list(value)[:_WIDTH]
        plain = all(type(each) is int for each in elements)
        yield from ((f"{text}[{i}]", each) for i, each in enumerate(elements[:1] if plain else elements))
    elif isinstance(value, dict):
        keys = [key for key in value if type(key) is str][:_WIDTH]
        yield from ((f"{text}[{key!r}]", value[key]) for key in keys)
    elif isinstance(value, enum.EnumMeta):
        members: list[enum.Enum] = list(value)
        yield from ((f"{text}.{each.name}.value", each.value) for each in members)
    elif _has_attributes(value):
        for name, inner in vars(value).items():
            if not name.startswith("_") and not isinstance(inner, _CODE):
                yield f"{text}.{name}", inner


_CODE = (types.FunctionType, types.ModuleType, staticmethod, classmethod, property)


def _has_attributes(value: Any) -> bool:
    if isinstance(value, types.ModuleType):
        return value.__name__ in LIBRARY_NAMES
    if isinstance(value, type):
        return value.__module__ == "__main__" or value.__module__ in LIBRARY_NAMES
    return (_is_instance(value) and hasattr(value, "__dict__")) or isinstance(value, types.FunctionType)


def _class_kinds(value: type) -> Iterator[str]:
    if issubclass(value, enum.Enum) and value.__module__ == "__main__":
        yield "enum"
    elif value.__module__ == "__main__" and _has_constructor(value):
        yield "class"
        if hasattr(value, "add"):
            yield "adding"
        if hasattr(value, "make"):
            yield "maker"
        if "kids" in vars(value):
            yield "parent"
        if hasattr(value, "shared"):
            yield "sharing"


def _has_constructor(value: type) -> bool:
    return any(isinstance(vars(kind).get("__init__"), types.FunctionType) for kind in value.__mro__)


def _list_kinds(value: list[Any]) -> tuple[str, ...]:
    if len(value) > _LONGEST:
        return ("long",)
    if all(type(each) is int for each in value):
        return ("ints", "seq", "sizable")
    if all(type(each) is list for each in value):
        return ("lists", "seq", "sizable")
    return ("mixed", "seq", "sizable")


def _tuple_kinds(value: tuple[Any, ...]) -> tuple[str, ...]:
    return ("tuple", "tuplelist", "sizable") if value and type(value[0]) is list else ("tuple", "sizable")


def _dict_kinds(value: dict[str, Any]) -> tuple[str, ...]:
    held = list(value.values())
    if held and all(type(each) is list for each in held):
        return ("dictl", "mapping", "sizable")
    if all(type(each) is int for each in held):
        return ("dict", "mapping", "sizable")
    return ("mapping", "sizable")


def _array_kinds(value: np.ndarray) -> tuple[str, ...]:
    if value.dtype.kind != "i" or not value.flags.writeable:
        return ("anyarr",)
    if value.ndim == 1 and 3 <= value.size <= _LONGEST:
        return ("arr", "anyarr", "sizable")
    if value.ndim == 2 and value.size >= 2:
        return ("grid", "anyarr", "sizable")
    return ("anyarr",)


_VIEWS: tuple[type, ...] = (type({}.keys()), type({}.values()), type({}.items()))
_KINDS: dict[type, Callable[[Any], tuple[str, ...]]] = {
    int: lambda value: ("int",) if abs(value) < 10**6 else (),
    bool: lambda _: ("int",),
    str: lambda value: ("str",) if len(value) < _LONGEST else (),
    list: _list_kinds,
    tuple: _tuple_kinds,
    dict: _dict_kinds,
    collections.defaultdict: lambda value: ("ddict", *_dict_kinds(value)),
    collections.Counter: lambda _: ("counter", "mapping", "sizable"),
    collections.deque: lambda _: ("deque", "sizable"),
    set: lambda _: ("set", "sizable"),
    np.ndarray: _array_kinds,
    io.StringIO: lambda _: ("text",),
    random.Random: lambda _: ("chance",),
    **dict.fromkeys(_VIEWS, lambda _: ("view", "sizable")),
}
