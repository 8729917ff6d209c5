"""The parts of a flow put together: parameters, the order of the steps, one closure for all."""

from __future__ import annotations

import ast
import difflib
from dataclasses import replace
from typing import TYPE_CHECKING

from flownb.capture.carry import CHANGED
from flownb.capture.effects import changes_itself
from flownb.errors import CaptureError
from flownb.flow import Carried, Flow, Parameter, Requirements, Step
from flownb.graph import order
from flownb.names import statement_names, to_python
from flownb.parameters import check_defaults

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flownb.capture.part import Part


def assemble(name: str, parts: Sequence[Part]) -> Flow:
    """Return the flow that the parts make, given in the order of the notebook.

    Raises `CaptureError`, naming the cells, for an output or a parameter that two steps have, for a
    cycle of steps, and for a name that nothing brings; `ParameterError` for a default that reads a
    parameter of a later cell.
    """
    parameters = _parameters(name, parts)
    _check_outputs(name, parts)
    _check_rebound(name, parts, parameters)
    by_step = {part.step.name: part for part in parts}
    ordered = order([_with_open_reads(part, parameters, parts[:at]) for at, part in enumerate(parts)])
    in_order = [by_step[step.name] for step in ordered]
    closure = _closure(in_order, parameters)
    _check_resolved(name, in_order, closure, parameters)
    declared = any(part.step.outputs for part in parts)
    last = in_order[-1].step.name if in_order else ""
    return Flow(
        name=name,
        parameters=parameters,
        steps=tuple(
            replace(part.step, result=part.step.result and not declared and part.step.name == last)
            for part in in_order
        ),
        closure=closure,
        description=next((part.flow.description for part in in_order if part.flow.description), ""),
        requirements=_requirements(part.flow.requirements for part in in_order),
        environment=next((part.flow.environment for part in in_order if part.flow.environment), None),
        folder=next((part.flow.folder for part in in_order if part.flow.folder), None),
    )


def _cell(flow: str, step: str) -> str:
    return f"`%%flow {flow}`" if flow == step else f"`%%flow {flow}.{step}`"


def _parameters(name: str, parts: Sequence[Part]) -> tuple[Parameter, ...]:
    merged: dict[str, tuple[Parameter, str]] = {}
    for part in parts:
        for parameter in part.flow.parameters:
            first, step = merged.setdefault(parameter.name, (parameter, part.step.name))
            if replace(first, help="") != replace(parameter, help=""):
                raise CaptureError(
                    f"the parameter `{parameter.name}` is declared differently in {_cell(name, step)} and in "
                    f"{_cell(name, part.step.name)}; declare it in one of them, or in both alike"
                )
    parameters = tuple(parameter for parameter, _ in merged.values())
    check_defaults(parameters)
    return parameters


def _check_outputs(name: str, parts: Sequence[Part]) -> None:
    seen: dict[str, str] = {}
    for part in parts:
        for output in part.step.outputs:
            if output in seen:
                raise CaptureError(
                    f"the output `{output}` is declared by two steps, {_cell(name, seen[output])} and "
                    f"{_cell(name, part.step.name)}; name it in one --out only"
                )
            seen[output] = part.step.name


def _check_rebound(name: str, parts: Sequence[Part], parameters: Iterable[Parameter]) -> None:
    names = {parameter.name for parameter in parameters}
    for part in parts:
        from flownb.names import find_names, to_python

        if not names.intersection(part.step.binds):
            continue
        bound = find_names(to_python(part.step.source), transform=to_python).binds
        if rebound := sorted(names & bound):
            declaring = next(p.step.name for p in parts if rebound[0] in {q.name for q in p.flow.parameters})
            raise CaptureError(
                f"the parameter `{rebound[0]}`, declared in {_cell(name, declaring)}, is bound again by "
                f"{_cell(name, part.step.name)}; bind another name"
            )


def _with_open_reads(part: Part, parameters: Iterable[Parameter], before: Sequence[Part]) -> Step:
    """Return the step with only those reads that neither it nor a part before it brings."""
    brought = {name for entry in part.flow.closure for name in entry.bound} | {p.name for p in parameters}
    bound = {name for other in before for name in other.step.binds}
    brought |= _own(part.step) - bound
    brought |= {name for other in before for entry in other.flow.closure for name in entry.bound} - bound
    return replace(part.step, reads=tuple(name for name in part.step.reads if name not in brought))


def _own(step: Step) -> set[str]:
    """Return the names that a step may read unbound, though it binds them itself.

    That is in a loop or under a condition: `for row in rows: last = row`, and `last` below. Where nothing
    else binds the name, that must do.
    """
    open_ones = set(step.reads).intersection(step.binds)
    own: set[str] = set()
    if not open_ones:
        return own
    try:
        statements = statement_names(ast.parse(to_python(step.source)), transform=to_python)
    except (SyntaxError, ValueError):
        return own
    for node, names in statements:
        walrus = {part.target.id for part in ast.walk(node) if isinstance(part, ast.NamedExpr)}
        own |= (open_ones & names.binds) - (names.reads - walrus)
        open_ones -= names.binds | names.reads
    return own


def _closure(parts: Sequence[Part], parameters: Iterable[Parameter]) -> tuple[Carried, ...]:
    """Merge what the parts carry.

    Alike entries are there once, for all steps. Where a later step was captured with another content
    under the same name, it is carried for that step, just before it: each step runs with what it was
    captured with.
    """
    provided = {parameter.name for parameter in parameters}
    current: dict[tuple[str, ...], list[str]] = {}
    merged: list[Carried] = []
    for part in parts:
        entries = [entry for entry in part.flow.closure if not provided.issuperset(entry.bound)]
        contents: dict[tuple[str, ...], list[str]] = {}
        for entry in entries:
            contents.setdefault(entry.bound, []).append(_lasting(entry))
        other = {bound for bound, content in contents.items() if current.get(bound, content) != content}
        changed = {name for bound in other for name in bound}
        for entry in entries:
            if entry.bound in other or changed.intersection(entry.reads_first):
                changed.update(entry.bound)
                merged.append(replace(entry, step=part.step.name))
            elif entry.bound not in current:
                merged.append(replace(entry, step=""))
        current.update(contents)
        if part is not parts[-1]:
            provided.update(part.gives)
    return _in_order(merged)


def _lasting(entry: Carried) -> str:
    """Return the content of an entry without state that its own code changes: each step hands that on."""
    if entry.how != "definition" or CHANGED not in entry.source:
        return entry.content
    written = entry.source.partition(CHANGED)[0].rstrip()
    nodes = ast.parse(written).body
    return written if not nodes or any(map(changes_itself, nodes)) else entry.content


def _in_order(entries: list[Carried]) -> tuple[Carried, ...]:
    """Return the closure as the document has it: imports, the rest, then what single steps carry."""
    rank = {"import": 1, "module": 1}
    # Python wants the features of `__future__` before everything else in a cell.
    shared = sorted(
        (e for e in entries if not e.step), key=lambda e: 0 if e.name == "__future__" else rank.get(e.how, 2)
    )
    return (*shared, *(e for e in entries if e.step))


def _check_resolved(
    name: str, parts: Sequence[Part], closure: Iterable[Carried], parameters: Iterable[Parameter]
) -> None:
    known = {bound for entry in closure for bound in entry.bound} | {p.name for p in parameters}
    for part in parts:
        own = _own(part.step)
        for read in part.step.reads:
            if read not in known and read not in own:
                near = difflib.get_close_matches(read, sorted(known), 1)
                hint = f" (did you mean `{near[0]}`?)" if near else ""
                raise CaptureError(
                    f"{_cell(name, part.step.name)} reads `{read}`, which no step of the flow binds and "
                    f"nothing carries{hint}; run the cell that makes it, then this one again"
                )
        known.update(part.step.binds)


def _requirements(all_of_them: Iterable[Requirements]) -> Requirements:
    merged = Requirements()
    for needs in all_of_them:
        merged = Requirements(
            python=needs.python or merged.python,
            distributions={**merged.distributions, **needs.distributions},
            modules={**merged.modules, **needs.modules},
        )
    return merged
