"""Capture from a live namespace: a cell, and what it reads as it is before the cell runs."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flownb.capture.carry import Surroundings, carry
from flownb.capture.cell import Cell, Header, read_cell, split_name
from flownb.capture.part import Part, cell_sha
from flownb.capture.requirements import imported_in, modules_of, requirements_of
from flownb.capture.sources import Sources
from flownb.flow import Carried, Flow
from flownb.names import PROVIDED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


@dataclass(frozen=True)
class Notebook:
    """What surrounds a cell in a live notebook."""

    namespace: Mapping[str, Any]
    sources: Sources
    folder: Path | None = None  #: of the notebook
    project: Path | None = None  #: modules below it are the project's own


def capture_cell(
    cell: Cell, around: Notebook, others: Sequence[Part] = (), before: Sequence[Part] = ()
) -> Part:
    """Capture a cell that is about to run.

    `before` are the flow's parts that run before this one: what they bind is not carried. Of `others`,
    the rest of its parts, a name is only expected where the namespace has none. Raises `CaptureError`,
    with every name that stands in the way.
    """
    parameters = {p.name for part in (*before, *others) for p in part.flow.parameters}
    parameters |= {p.name for p in cell.parameters}
    provided = parameters.union(*(part.gives for part in before))
    later = {name for part in others for name in part.step.binds} | cell.names.binds | cell.names.optional
    provided |= {name for name in later if name not in around.namespace}
    wanted = ((cell.names.reads | cell.declared) - parameters) - _unshadowed(around.namespace)
    surroundings = Surroundings(
        namespace=around.namespace,
        sources=around.sources,
        project=around.project,
        provided=frozenset(provided),
    )
    hoisted = [entry for text in cell.leading.imports for entry in import_entries(text)]
    hoisted_names = {name for entry in hoisted for name in entry.bound}
    carried = carry(sorted(wanted - hoisted_names), surroundings, where=cell.where)
    return make_part(
        cell, (*hoisted, *(e for e in carried if e not in hoisted)), around.folder, around.project
    )


def make_part(cell: Cell, closure: tuple[Carried, ...], folder: Path | None, project: Path | None) -> Part:
    """Return the part that a cell and its closure make, with the requirements that they show."""
    modules = {*imported_in(cell.python), *modules_of(closure)}
    flow = Flow(
        name=cell.header.flow,
        parameters=cell.parameters,
        steps=(cell.step,),
        closure=closure,
        description=cell.leading.description,
        requirements=requirements_of(modules, project),
        environment={"named": cell.header.environment} if cell.header.environment else None,
        folder=folder,
    )
    notes = tuple(
        f"line {cell.leading.body_line + opaque.line}: {opaque.what} may read names that cannot be seen"
        for opaque in cell.names.opaque
    )
    return Part(flow, cell_sha(cell.source), notes)


def capture_source(name: str, source: str, namespace: Mapping[str, Any]) -> Flow:
    """Capture a cell given as text, as the flow (or its one step) `name`. See `Flow.from_cell`."""
    from flownb.capture.assemble import assemble

    flow, step = split_name(name)
    cell = read_cell(source, Header(flow, step))
    around = Notebook(namespace, Sources(()), Path.cwd(), Path.cwd())
    part = capture_cell(cell, around)
    return replace(assemble(flow, [part]), folder=around.folder)


def _unshadowed(namespace: Mapping[str, Any]) -> set[str]:
    """Return the names that every kernel has and that the namespace does not bind to something else."""
    import builtins

    missing = object()
    return {
        name
        for name in PROVIDED
        if namespace.get(name, missing) is missing
        or namespace[name] is getattr(builtins, name, namespace[name])
    }


def import_entries(statement: str) -> Iterator[Carried]:
    """Yield an entry for each name that an import statement binds, each with a statement of its own."""
    node = ast.parse(statement).body[0]
    if isinstance(node, ast.Import):
        for alias in node.names:
            bound = alias.asname or alias.name.partition(".")[0]
            text = f"import {alias.name}" + (f" as {alias.asname}" if alias.asname else "")
            yield Carried(bound, "import", text, type="module", size=len(text))
    elif isinstance(node, ast.ImportFrom):
        module = "." * node.level + (node.module or "")
        for alias in node.names:
            text = f"from {module} import {alias.name}" + (f" as {alias.asname}" if alias.asname else "")
            yield Carried(alias.asname or alias.name, "import", text, type=f"from {module}", size=len(text))
