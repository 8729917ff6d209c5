"""A flow written into a notebook as ordinary cells, so that the notebook runs and reads as any other."""

from __future__ import annotations

import hashlib
import html
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flownb.capture.cell import is_flow_cell, read_header, split_cell
from flownb.capture.record import Record, cell_sha, to_record
from flownb.document import MIME, declaration
from flownb.errors import FlownbError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flownb.flow import Carried, Flow, Step

Json = dict[str, Any]


def with_flow(notebook: Json, flow: Flow) -> Json:
    """Return the notebook with the flow at its end: what it replays as code cells, then a cell a step.

    Cells of an earlier version of the flow are taken out.
    """
    kept = [cell for cell in notebook["cells"] if not _is_of(cell, flow.name)]
    cells = _replayed_cells([entry for entry in flow.closure if not entry.step], flow.name)
    steps = [_step_cell(flow, step, first=step is flow.steps[0]) for step in flow.steps]
    shas = {step.name: cell_sha(cell["source"]) for step, cell in zip(flow.steps, steps, strict=True)}
    record = to_record(Record(replace(flow, storage=None, location=None), shas))
    for step, cell in zip(flow.steps, steps, strict=True):
        said = f"flow {_full_name(flow, step)}, version {flow.version}"
        data = {MIME: record, "text/plain": said, "text/html": f"<p>{html.escape(said)}</p>"}
        cell["outputs"] = [{"output_type": "display_data", "data": data, "metadata": {}}]
        cells += _replayed_cells([entry for entry in flow.closure if entry.step == step.name], flow.name)
        cells.append(cell)
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


def _replayed_cells(entries: Sequence[Carried], name: str) -> list[Json]:
    """Return cells as the notebook had them: the imports, then a cell for each cell of before."""
    sources: dict[tuple[str, int], list[str]] = {}
    for entry in entries:
        how = "import" if entry.how in ("import", "module") else entry.how
        sources.setdefault((how, entry.cell), []).append(entry.source)
    return [_code_cell("\n".join(texts), {"flownb": {"of": name}}) for texts in sources.values()]


def _full_name(flow: Flow, step: Step) -> str:
    return flow.name if step.name == flow.name else f"{flow.name}.{step.name}"


def _step_cell(flow: Flow, step: Step, *, first: bool) -> Json:
    full = _full_name(flow, step)
    line = f'%%flow "{full}"' if " " in full else f"%%flow {full}"
    if step.outputs:
        line += f" --out {','.join(step.outputs)}"
    if first and flow.environment and (name := flow.environment.get("named")):
        line += f" --environment {shlex.quote(str(name))}"
    declared = [declaration(parameter) for parameter in flow.parameters] if first else []
    description = [f'"""{flow.description}"""'] if flow.description and declared else []
    return _code_cell("\n".join([line, *description, *declared, step.source]), {})


def _code_cell(source: str, metadata: Json) -> Json:
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()[:16],
        "metadata": metadata,
        "outputs": [],
        "source": source,
    }
