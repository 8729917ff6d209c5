"""Records of schema 1: a captured cell kept its own part of a flow, and what that read as values and sources.

They are read and run as they are. Nothing here is used for a new capture.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from flownb.document import from_dict
from flownb.errors import CaptureError
from flownb.flow import Requirements
from flownb.graph import order
from flownb.names import find_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from flownb.flow import Carried, Flow, Step

_CHANGED = "# as it was when it was captured"  #: below it stands what was set on a definition since


@dataclass(frozen=True)
class Part:
    """One captured cell: a flow of a single step, with all that the step reads from elsewhere."""

    flow: Flow

    @property
    def step(self) -> Step:
        """The one step."""
        return self.flow.steps[0]

    @property
    def gives(self) -> frozenset[str]:
        """The names that running the step may bind or change, itself or through functions that it carries."""
        given = set(self.step.binds)
        for entry in self.flow.closure:
            if entry.how == "definition":
                names = find_names(entry.source)
                given |= (names.mutates | names.binds) - set(entry.bound)
        return frozenset(given)


def part_of(record: Mapping[str, Any], what: str, sha: str, flow: str) -> Part | None:
    """Return the part that a record is, where it is of a cell with this digest and of that flow."""
    part = Part(from_dict(dict(record), what))
    about = record["metadata"]["flownb"].get("cell", {})
    same = isinstance(about, dict) and about.get("sha256") == sha and part.flow.name == flow
    return part if same else None


def assemble_parts(name: str, parts: Sequence[Part]) -> Flow:
    """Return the flow that the parts make, given in the order of the notebook."""
    declared_by = {p.name: p for part in reversed(parts) for p in part.flow.parameters}
    in_turn = dict.fromkeys(p.name for part in parts for p in part.flow.parameters)
    names = set(in_turn)
    by_step = {part.step.name: part for part in parts}
    ordered = order([_with_open_reads(part, names, parts[:at]) for at, part in enumerate(parts)])
    in_order = [by_step[step.name] for step in ordered]
    declared = any(part.step.outputs for part in parts)
    if not in_order:
        raise CaptureError(f"nothing is recorded of {name}")
    last = in_order[-1].step.name
    first = in_order[0].flow
    return replace(
        first,
        name=name,
        parameters=tuple(declared_by[parameter] for parameter in in_turn),
        steps=tuple(
            replace(part.step, result=part.step.result and not declared and part.step.name == last)
            for part in in_order
        ),
        closure=_closure(in_order, names),
        description=next((part.flow.description for part in in_order if part.flow.description), ""),
        requirements=_requirements(part.flow.requirements for part in in_order),
        environment=next((part.flow.environment for part in in_order if part.flow.environment), None),
    )


def _with_open_reads(part: Part, parameters: set[str], before: Sequence[Part]) -> Step:
    """Return the step with only those reads that neither it nor a part before it brings."""
    bound = {name for other in before for name in other.step.binds}
    brought = {name for entry in part.flow.closure for name in entry.bound} | parameters
    brought |= set(part.step.reads).intersection(part.step.binds) - bound
    brought |= {name for other in before for entry in other.flow.closure for name in entry.bound} - bound
    return replace(part.step, reads=tuple(name for name in part.step.reads if name not in brought))


def _closure(parts: Sequence[Part], parameters: set[str]) -> tuple[Carried, ...]:
    """Merge what the parts carry: alike entries once, others just before the step that they are for."""
    provided = set(parameters)
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
    rank = {"import": 1, "module": 1}
    shared = (entry for entry in merged if not entry.step)
    ordered = sorted(shared, key=lambda e: 0 if e.name == "__future__" else rank.get(e.how, 2))
    return (*ordered, *(entry for entry in merged if entry.step))


def _lasting(entry: Carried) -> str:
    """Return the content of an entry without state that its own code changes: each step hands that on."""
    if entry.how != "definition" or _CHANGED not in entry.source:
        return entry.content
    written = entry.source.partition(_CHANGED)[0].rstrip()
    nodes = ast.parse(written).body
    return written if not nodes or any(map(_changes_itself, nodes)) else entry.content


def _changes_itself(node: ast.stmt) -> bool:
    """Whether calling a function or a class, or its methods, may set something on that function or class."""
    name = getattr(node, "name", "")
    return any(
        isinstance(part, ast.Attribute | ast.Subscript)
        and not isinstance(part.ctx, ast.Load)
        and _root(part) == name
        for part in ast.walk(node)
    )


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _requirements(all_of_them: Iterable[Requirements]) -> Requirements:
    merged = Requirements()
    for needs in all_of_them:
        merged = Requirements(
            python=needs.python or merged.python,
            distributions={**merged.distributions, **needs.distributions},
            modules={**merged.modules, **needs.modules},
        )
    return merged
