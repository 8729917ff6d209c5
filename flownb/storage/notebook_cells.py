"""A flow written into a notebook as ordinary cells, so that the notebook runs and reads as any other."""

from __future__ import annotations

import hashlib
import html
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flownb.capture.cell import is_flow_cell, read_header, split_cell
from flownb.capture.part import Part, cell_sha, to_record
from flownb.document import MIME, declaration
from flownb.errors import FlownbError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flownb.flow import Carried, Flow, Step

Json = dict[str, Any]


def with_flow(notebook: Json, flow: Flow) -> Json:
    """Return the notebook with the flow at its end: what it carries as code cells, then a cell a step.

    Cells of an earlier version of the flow are taken out.
    """
    kept = [cell for cell in notebook["cells"] if not _is_of(cell, flow.name)]
    shared = [entry for entry in flow.closure if not entry.step]
    cells = _carried_cells(shared, flow.name)
    left = list(flow.parameters)
    for step in flow.steps:
        own = [entry for entry in flow.closure if entry.step == step.name]
        cells += _carried_cells(own, flow.name)
        declared = left if step is flow.steps[0] else []
        cells.append(_step_cell(flow, step, declared))
    return {**notebook, "cells": [*kept, *cells]}


def _is_of(cell: Json, name: str) -> bool:
    if cell["cell_type"] != "code":
        return False
    if cell["metadata"].get("flownb", {}).get("of") == name:
        return True
    try:
        return is_flow_cell(cell["source"]) and read_header(split_cell(cell["source"])[0]).flow == name
    except FlownbError:
        return False  # a line that cannot be read belongs to no flow, and stays where it is


def _carried_cells(entries: Sequence[Carried], name: str) -> list[Json]:
    imports = "\n".join(entry.source for entry in entries if entry.how in ("import", "module"))
    rest = "\n\n".join(entry.source for entry in entries if entry.how not in ("import", "module"))
    return [_code_cell(source, {"flownb": {"of": name}}) for source in (imports, rest) if source]


def _step_cell(flow: Flow, step: Step, parameters: Sequence[Any]) -> Json:
    full = flow.name if step.name == flow.name else f"{flow.name}.{step.name}"
    line = f'%%flow "{full}"' if " " in full else f"%%flow {full}"
    if step.outputs:
        line += f" --out {','.join(step.outputs)}"
    description = [f'"""{flow.description}"""'] if flow.description and parameters else []
    source = "\n".join([line, *description, *map(declaration, parameters), step.source])
    part = Part(
        replace(
            flow,
            parameters=tuple(parameters),
            steps=(step,),
            closure=tuple(replace(e, step="") for e in flow.closure if e.step in ("", step.name)),
            storage=None,
            location=None,
        ),
        cell_sha(source),
    )
    cell = _code_cell(source, {})
    said = f"flow {full}, version {flow.version}"
    data = {MIME: to_record(part), "text/plain": said, "text/html": f"<p>{html.escape(said)}</p>"}
    cell["outputs"] = [{"output_type": "display_data", "data": data, "metadata": {}}]
    return cell


def _code_cell(source: str, metadata: Json) -> Json:
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()[:16],
        "metadata": metadata,
        "outputs": [],
        "source": source,
    }
