"""Parameters described for people, forms, help and completion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flownb.parameters import known
from flownb.parameters.build import plain_type
from flownb.parameters.context import context_of_flow
from flownb.parameters.secret import is_secret
from flownb.parameters.types import (
    NOTHING,
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
    infer,
    resolve,
    without_bounds,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flownb.flow import Flow, Parameter
    from flownb.parameters.context import Context

#: first words of what types are called that are counted
_COUNTED = frozenset(
    {
        "complex",
        "date",
        "decimal",
        "duration",
        "fraction",
        "list",
        "mail",
        "mapping",
        "number",
        "path",
        "regular",
        "set",
        "size",
        "time",
        "URL",
        "UUID",
        "whole",
    }
)
_COLLECTIONS: Mapping[str, str] = {
    "builtins.list": "list",
    "builtins.tuple": "list",
    "typing.Sequence": "list",
    "collections.deque": "list",
    "builtins.set": "set",
    "builtins.frozenset": "set",
    "collections.Counter": "counts",
}
_BOUNDS: Mapping[str, str] = {
    "ge": "≥ {}",
    "gt": "> {}",
    "le": "≤ {}",
    "lt": "< {}",
    "multiple_of": "a multiple of {}",
    "min_length": "at least {} long",
    "max_length": "at most {} long",
    "pattern": "matching {!r}",
    "max_digits": "at most {} digits",
    "decimal_places": "at most {} decimal places",
}


_Class = type  # the record below has a field of that name


@dataclass(frozen=True, slots=True)
class ParameterInfo:
    """One parameter, as a form or a help text shows it."""

    name: str
    type: str  #: for people: "date", "'EU' or 'US'", "number ≥ 0"; the annotation's source where unknown
    required: bool
    default: str | None  #: source text; None where required. For a secret, that there is one: "***"
    help: str
    secret: bool
    choices: tuple[Any, ...] | None = None  #: a Literal's values, an Enum's names
    python_type: _Class | None = (
        None  #: of a single value: `int`, `datetime.date`, ...; None if there is none
    )
    optional: bool = False  #: takes None
    limits: tuple[tuple[str, Any], ...] = ()  #: constraints of a single value: `(("ge", 0), ("le", 10))`


def describe(flow: Flow) -> tuple[ParameterInfo, ...]:
    """Return what a flow's parameters are, in order. Executes nothing of the flow, and never raises."""
    context = context_of_flow(flow)
    return tuple(_info(parameter, context) for parameter in flow.parameters)


def type_of(parameter: Parameter, context: Context) -> Type:
    """Return what a parameter takes: its declared type, else the one that its default suggests."""
    if parameter.annotation.strip():
        return resolve(parameter.annotation, context)
    return infer(parameter.default, context)


def type_text(kind: Type) -> str:
    """Return how people call a type: "date", "'EU' or 'US'", "list of number ≥ 0"."""
    match kind:
        case Anything():
            return "anything"
        case Unknown(text=text):
            return text
        case Plain(path=path):
            return known.PLAIN.get(path, path)
        case Choice(values=values):
            return _or([repr(getattr(value, "name", value)) for value in values])
        case Members(enum=members):
            return _or(list(members.__members__))
        case OneOf(types=types):
            texts = [type_text(each) for each in types if each != NOTHING]
            return _or([*texts, "none"] if NOTHING in types else texts)
        case Bounded(inner=inner, limits=limits):
            return _bounded_text(type_text(inner), limits)
        case Open(inner=Bounded(inner=inner, limits=limits), limits=more):
            return _bounded_text(type_text(inner), (*limits, *more))
        case Open(inner=inner, limits=limits):
            return _bounded_text(type_text(inner), limits)
        case Many():
            return _collection_text(kind)


def _bounded_text(text: str, limits: Sequence[tuple[str, Any]]) -> str:
    bounds = [_BOUNDS[name].format(value) for name, value in limits if name in _BOUNDS]
    return f"{text} {' and '.join(bounds)}".strip()


def expected(kind: Type) -> str:
    """Return what people call a type with its article: "a whole number"; choices stay as they are."""
    text = type_text(kind)
    first = text.partition(" ")[0]
    return f"a {text}" if first in _COUNTED else f"an {text}" if first.startswith("IP") else text


def _collection_text(kind: Many) -> str:
    items = [type_text(item) for item in kind.items]
    if kind.path == "builtins.tuple" and not kind.endless:
        return f"list of exactly ({', '.join(items)})"
    if kind.path in known.MAPPINGS and kind.path not in _COLLECTIONS:
        return f"mapping of {items[0]} to {items[1]}" if len(items) == 2 else "mapping"
    name = _COLLECTIONS[kind.path]
    return f"{name} of {items[0]}" if items else name


def _or(texts: Sequence[str]) -> str:
    """Join alternatives: "a, b or c"; a long list is cut."""
    if len(texts) > 12:
        texts = [*texts[:10], f"{len(texts) - 10} others"]
    return " or ".join(part for part in (", ".join(texts[:-1]), texts[-1]) if part) if texts else "nothing"


def _info(parameter: Parameter, context: Context) -> ParameterInfo:
    kind = type_of(parameter, context)
    optional = isinstance(kind, OneOf) and NOTHING in kind.types
    single = kind
    if isinstance(kind, OneOf):
        others = [part for part in kind.types if part != NOTHING]
        single = others[0] if len(others) == 1 else kind
    single = single.inner if isinstance(single, Open) else single
    limits = single.limits if isinstance(single, Bounded) else ()
    single = without_bounds(single)
    secret = is_secret(parameter.annotation, context)
    text = parameter.annotation if isinstance(kind, Unknown) else type_text(kind)
    return ParameterInfo(
        name=parameter.name,
        type=" ".join(text.split()),
        required=parameter.required,
        default="***" if secret and parameter.default is not None else parameter.default,
        help=parameter.help,
        secret=secret,
        choices=_choices(single),
        python_type=_single_type(single),
        optional=optional,
        limits=limits,
    )


def _choices(kind: Type) -> tuple[Any, ...] | None:
    if isinstance(kind, Choice):
        return tuple(getattr(value, "name", value) for value in kind.values)
    return tuple(kind.enum.__members__) if isinstance(kind, Members) else None


def _single_type(kind: Type) -> type | None:
    if not isinstance(kind, Plain) or kind == NOTHING or kind.path.startswith("pydantic."):
        return None
    found: type = plain_type(kind)
    return found
