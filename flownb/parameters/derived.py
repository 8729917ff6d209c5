"""Defaults that read other parameters: `end = start + timedelta(7)` is made of the `start` that is given."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from flownb.errors import ParameterError
from flownb.names import find_names, statement_names, to_python

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from flownb.flow import Flow, Parameter
    from flownb.names import Names


def check_defaults(parameters: Sequence[Parameter]) -> None:
    """Refuse a default that reads a parameter which is only bound by it or below it (`ParameterError`)."""
    for at, parameter in enumerate(parameters):
        names = _names(parameter.default or "")
        if names is not None and parameter.name in names.reads_first:
            raise ParameterError(
                f"the default of the parameter `{parameter.name}` reads `{parameter.name}` itself: give the "
                "value that is meant another name in a cell above"
            )
        for later in parameters[at + 1 :]:
            if names is not None and later.name in names.reads_first:
                raise ParameterError(
                    f"the default of the parameter `{parameter.name}` reads `{later.name}`, which is "
                    f"declared below it; declare `{later.name}` first"
                )


def derived(flow: Flow) -> frozenset[str]:
    """Return the names of the parameters whose defaults read other parameters.

    At once or when they call what the flow carries: a function reads a parameter as it is when it is called.
    """
    names = {parameter.name for parameter in flow.parameters}
    if len(names) < 2:
        return frozenset()
    carried: dict[str, list[str]] = {}
    for entry in flow.closure:
        if entry.how not in _TELL_NOTHING:
            for name in entry.bound:
                carried.setdefault(name, []).append(entry.source)
    found = {p.name: read.reads for p in flow.parameters if (read := _names(p.default or "")) is not None}
    return frozenset(name for name, reads in found.items() if _reached(reads, carried) & (names - {name}))


#: ways of carrying things that read no parameter
_TELL_NOTHING = frozenset({"import", "module", "literal", "pickle", "frozen"})


def _reached(reads: frozenset[str], carried: Mapping[str, Sequence[str]]) -> set[str]:
    """Return the names that are read, also when what is carried under them is called."""
    reached, waiting, seen = set(reads), set(reads), set[str]()
    while waiting := (waiting & carried.keys()) - seen:
        seen |= waiting
        for source in {source for name in waiting for source in carried[name]}:
            for _, names in _statements(source):
                reached |= names.reads - names.reads_first
                waiting |= names.reads
    return reached


def replayed(cell: str, given: Collection[str], above: Iterable[str] = ()) -> list[str]:
    """Return the statements of a `parameters` cell that are to be executed again when some names were given.

    Those are the ones that bind what depends on the given names. `above` are the cells before it, whose
    functions may read parameters. A statement that binds a given name as well is followed by one that puts
    the given value back.
    """
    body, affected, before = _statements(cell), set(given), set[str]()
    functions = [
        names for source in above for _, names in _statements(source) if names.reads - names.reads_first
    ]
    while before != affected:
        before = set(affected)
        for names in functions:
            if (names.reads - names.reads_first) & affected:
                affected |= names.binds
        for _, names in body:
            if names.reads & affected:
                affected |= names.binds | names.mutates
    again = affected - set(given)
    lines: list[str] = []
    back: set[str] = set()
    for node, names in body:
        if (names.binds | names.mutates) & again:
            taken = sorted(names.binds.intersection(given))
            lines += [ast.unparse(node), *(f"{name} = {_KEPT}[{name!r}]" for name in taken)]
            back.update(taken)
    if not back:
        return lines
    kept = ", ".join(f"{name!r}: {name}" for name in sorted(back))
    return [f"{_KEPT} = {{{kept}}}", *lines, f"del {_KEPT}"]


_KEPT = "__flownb_given__"


def _statements(source: str) -> list[tuple[ast.stmt, Names]]:
    try:
        return list(statement_names(ast.parse(to_python(source)), transform=to_python))
    except (SyntaxError, ValueError):
        return []


def _names(expression: str) -> Names | None:
    try:
        # assigned, so that a lambda is not taken for one that is called
        return find_names(f"_ = (\n{expression}\n)") if expression.strip() else None
    except (SyntaxError, ValueError, RecursionError):
        return None
