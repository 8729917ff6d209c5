"""The cells that set a flow's parameters, written as Python that says what it means."""

from __future__ import annotations

import enum
import keyword
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from flownb.errors import ParameterError
from flownb.parameters.coerce import Text, holds
from flownb.parameters.context import bindings, context_of_flow
from flownb.parameters.description import type_of
from flownb.parameters.expressions import render
from flownb.parameters.instances import of_the_notebook
from flownb.parameters.judging import EXACT
from flownb.parameters.secret import is_secret
from flownb.parameters.settling import Settling
from flownb.parameters.types import Choice, Members, is_open, parts

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from flownb.flow import Flow
    from flownb.parameters.types import Type

#: names of Python's own that `render` writes
_BUILTINS_USED = ("bytearray", "complex", "float", "frozenset", "range", "set", "slice")


def render_assignments(values: Mapping[str, Any], flow: Flow, *, hidden: Collection[str] = ()) -> str:
    """Return the source of the cell that sets a flow's parameters: a line for each, in declared order.

    A parameter in `hidden`, or declared as a secret, is a comment that says that it was given.
    Raises `ParameterError` for a name that is not one of the flow's, or that is not an identifier.
    """
    hidden, bound = {*hidden, *secret_names(flow)}, names_at_hand(flow)
    lines = [
        f"# {name}: given, not written" if name in hidden else _assignment(name, value, flow, bound)
        for name, value in _in_order(values, flow)
    ]
    # texts that nobody has written as text: the run is not to read them as anything else
    judged = Settling(flow).judged
    exact = [name for name, value in _in_order(values, flow) if name in judged and _exact(value)]
    return "\n".join([*lines, f"{EXACT} = {exact}"] if exact else lines)


def _exact(value: Any) -> bool:
    return holds(value, str) and not holds(value, Text)


def render_secrets(values: Mapping[str, Any], flow: Flow, *, hidden: Collection[str] = ()) -> str:
    """Return the source that sets the parameters which `render_assignments` left out.

    It holds the values: it is to be executed, never stored or shown.
    """
    hidden, bound = {*hidden, *secret_names(flow)}, names_at_hand(flow)
    chosen = [(name, value) for name, value in _in_order(values, flow) if name in hidden]
    return "\n".join(_assignment(name, value, flow, bound, secrets=True) for name, value in chosen)


def secret_names(flow: Flow) -> frozenset[str]:
    """Return the names of the parameters whose values are never written."""
    context = context_of_flow(flow)
    return frozenset(p.name for p in flow.parameters if is_secret(p.annotation, context))


def retold(values: Mapping[str, Any], flow: Flow) -> str:
    """Return the source that makes values of the notebook's classes those of the flow's, which has them anew.

    For a run in this process: `validate` gives members of an equal Enum, and what is given are instances of
    the notebook's own models, dataclasses and named tuples. What cannot be written stays as it is.
    """
    context, bound = context_of_flow(flow), names_at_hand(flow)
    kinds = {parameter.name: type_of(parameter, context) for parameter in flow.parameters}
    lines = []
    for name, value in values.items():
        if any(map(_has_members, parts(kinds[name]))) or (is_open(kinds[name]) and of_the_notebook(value)):
            with suppress(ParameterError):
                lines.append(_assignment(name, value, flow, bound))
    return "\n".join(lines)


def _has_members(kind: Type) -> bool:
    if isinstance(kind, Choice):
        return any(isinstance(value, enum.Enum) for value in kind.values)
    return isinstance(kind, Members)


def names_at_hand(flow: Flow) -> dict[str, str]:
    """Return the `bound` of `render` for a flow's parameters cell.

    Python's own `set`, `float` and so on are reached by a detour where the flow binds such a name.
    """
    taken = {parameter.name for parameter in flow.parameters}
    taken.update(name for entry in flow.closure for name in entry.bound)
    detours = {
        f"builtins.{name}": f'__import__("builtins").{name}' for name in _BUILTINS_USED if name in taken
    }
    return {**bindings(flow), **detours}


def check_identifier(name: str) -> str:
    """Return a name that Python takes as a variable, or raise `ParameterError`."""
    if not name.isidentifier() or keyword.iskeyword(name) or name == "__debug__":
        label = ascii(name)
        raise ParameterError(
            f"{label if len(label) <= 60 else label[:60] + '...'} cannot be a parameter's name: "
            "letters, digits and `_` are allowed, and Python's own keywords are not"
        )
    return name


def _in_order(values: Mapping[str, Any], flow: Flow) -> list[tuple[str, Any]]:
    for name in values:
        check_identifier(name)
    declared = [parameter.name for parameter in flow.parameters]
    for name in values:
        if name not in declared:
            raise ParameterError(f"flow `{flow.name}` has no parameter `{name}`")
    return [(name, values[name]) for name in declared if name in values]


def _assignment(name: str, value: Any, flow: Flow, bound: Mapping[str, str], *, secrets: bool = False) -> str:
    try:
        return f"{check_identifier(name)} = {render(value, bound, secrets=secrets)}"
    except ParameterError as error:
        raise ParameterError(f"parameter `{name}` of flow `{flow.name}`: {error}") from None
