"""Python's own values and objects of any class: what they consist of, and how they are said in short."""

from __future__ import annotations

import copyreg
import enum
from collections import OrderedDict
from itertools import chain
from typing import TYPE_CHECKING, Any

from .walk import LISTED, PLAIN, Form, OpaqueError

if TYPE_CHECKING:
    from .walk import Forms, Pairs, Walk

_SHORT = 40  #: characters
#: packages with values whose text says all, and classes of others; what these reduce to changes with Python
_BY_TEXT = frozenset({"datetime", "decimal", "fractions", "pathlib", "uuid", "zoneinfo"}) | {
    f"pandas.{name}" for name in ("Timestamp", "Timedelta", "Period", "Interval", "NaTType", "NAType")
}


def root(kind: type) -> str:
    """Return the package of a class."""
    return str(kind.__module__).partition(".")[0]


def short(value: Any) -> str:
    """Say a plain value in a few characters, ending in "…" if that is not all; of others, what it is."""
    kind = type(value)
    if kind in PLAIN:
        try:
            value = value + kind() if kind in (float, complex) else value  # -0.0 equals 0.0
            return _cut(repr(value[: _SHORT + 1] if kind in (str, bytes) else value))
        except ValueError:  # an integer of thousands of digits
            return "…"
    if issubclass(kind, enum.Enum):
        return f"{kind.__name__}.{value.name}"
    if is_by_text(kind):
        return _line(str(value))
    if kind.__module__ == "numpy" and hasattr(value, "item") and not hasattr(value, "__len__"):
        plain = value.item()
        return short(plain) if type(plain) in PLAIN else _line(str(value))
    return f"{kind.__name__} of {len(value)}" if kind in (list, tuple, dict, set) else kind.__qualname__


def is_by_text(kind: type) -> bool:
    """Whether the text of such a value says all of it."""
    return root(kind) in _BY_TEXT or f"{root(kind)}.{kind.__name__}" in _BY_TEXT


def label(what: str, name: object) -> str:
    """Name a part of a value in one line."""
    return f"{what} `{_line(name if isinstance(name, str) else short(name), 30)}`"


def _line(text: str, most: int = _SHORT) -> str:
    return _cut(" ".join(text[: most + 1].split()).replace("`", "'"), most)


def _cut(text: str, most: int = _SHORT) -> str:
    return text if len(text) <= most else text[:most] + "…"


def _sequence(_walk: Walk, value: Any) -> Form:
    labels = (f"item {i}" for i in range(len(value)))
    return Form(type(value).__name__, value, labels, size={"items": len(value)})


def _mapping(walk: Walk, value: Any) -> Form:
    pairs = walk.in_order(value.items())
    keys, labels = walk.sequence([key for key, _ in pairs]), (label("item", key) for key, _ in pairs)
    size = {"items": len(pairs)}
    return Form(type(value).__name__, [item for _, item in pairs], labels, [keys], size)


def _members(walk: Walk, value: Any) -> Form:
    kind, size = type(value).__name__, {"items": len(value)}
    if not set(map(type, value)) <= LISTED:
        return Form(kind, nodes=[walk.members(value)], size=size)
    ordered = sorted(value, key=lambda one: PLAIN[type(one)](one))
    return Form(kind, ordered, (label("member", one) for one in ordered), size=size)


def _function(_walk: Walk, value: Any) -> Form:
    if value.__module__ not in {"__main__", None} and "<" not in value.__qualname__:
        return Form("function", (value.__module__, value.__qualname__))
    cells = [cell.cell_contents for cell in value.__closure__ or ()]
    parts = (value.__code__, value.__defaults__, value.__kwdefaults__, cells, vars(value))
    return Form(f"function `{value.__qualname__}`", parts)


def _code(walk: Walk, value: Any) -> Form:
    walk.by_code = True
    counts = (value.co_argcount, value.co_posonlyargcount, value.co_kwonlyargcount)
    names = (value.co_names, value.co_varnames, value.co_freevars, value.co_cellvars)
    return Form("code", (counts, names, value.co_consts, value.co_code, value.co_exceptiontable))


def _nothing(_walk: Walk, _value: Any) -> Form:
    raise OpaqueError


def an_object(walk: Walk, value: Any) -> Form:
    """Take an object of any class apart as copying it would."""
    kind, name = type(value), type(value).__qualname__
    if is_by_text(kind):
        return Form(name, (repr(value),), text=short(value))
    if isinstance(value, enum.Enum):
        return Form(name, (kind, value.name, value.value), text=short(value))
    reducer = copyreg.dispatch_table.get(kind)
    reduced: Any = reducer(value) if reducer else value.__reduce_ex__(4)
    if isinstance(reduced, str):  # a function, say; maybe one that was given a cache
        return Form(name, [getattr(value, "__module__", ""), reduced, getattr(value, "__wrapped__", None)])
    made_by, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
    attributes, state = _attributes(kind, state)
    pairs = list(pairs or ()) if issubclass(kind, OrderedDict) else walk.in_order(pairs or ())
    told = [kind, made_by, state, *arguments, *(name for name, _ in attributes)]
    nodes = [walk.sequence(told), walk.sequence([key for key, _ in pairs])]
    if issubclass(kind, tuple):
        attributes = [(field, getattr(value, field)) for field in getattr(kind, "_fields", ())]
    named = [*(("attribute", name) for name, _ in attributes), *(("item", key) for key, _ in pairs)]
    items = list(items or ())
    labels = chain((label(*one) for one in named), (f"item {i}" for i in range(len(items))))
    whole = bool(attributes) and kind.__module__ != "__main__"  # a connection, a process, an executor
    return Form(name, [part for _, part in attributes + pairs] + items, labels, nodes, whole=whole)


def _attributes(kind: type, state: Any) -> tuple[Pairs, Any]:
    """Return the attributes by name that a state consists of, and the state if it is of another kind."""
    if isinstance(state, tuple) and len(state) == 2 and {type(part) for part in state} <= {dict, type(None)}:
        state = {**(state[0] or {}), **(state[1] or {})}  # of a class with slots
    fields = list(getattr(kind, "__dataclass_fields__", ()))
    if type(state) is list and len(state) == len(fields):
        state = dict(zip(fields, state, strict=True))
    if state is None or (type(state) is dict and all(type(name) is str for name in state)):
        return sorted((state or {}).items()), None
    return [], state


FORMS: Forms = {
    "builtins.list": _sequence,
    "builtins.tuple": _sequence,
    "builtins.dict": _mapping,
    "builtins.set": _members,
    "builtins.frozenset": _members,
    "builtins.code": _code,
    "builtins.function": _function,
    "builtins.module": lambda _, value: Form(f"module `{value.__name__}`"),
    "builtins.type": lambda _, value: Form(f"class `{value.__qualname__}`", (value.__module__,)),
    "collections.Counter": _mapping,
    "matplotlib.Container": _sequence,
    "matplotlib.Animation": _nothing,
    "matplotlib.Colorbar": _nothing,
    "pandas.Styler": _nothing,
    "traitlets.HasTraits": _nothing,
}
