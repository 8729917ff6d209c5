"""A flow to its document.

The cells are the truth: their sources are what runs, in Jupyter, under plain papermill and here.
`metadata.flownb` of the notebook and of each cell only says which cell is what. The order of the cells:
imports, what is replayed and frozen (a cell for each cell of the notebook), `parameters` (papermill's tag),
what settles them (`flownb.parameters.settling`), one cell a step (with what belongs between it and the step
before), outputs.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flownb.document.fields import kernel
from flownb.document.files import Json, injected
from flownb.document.nbformats import import_nbformat
from flownb.errors import DocumentError
from flownb.files import notebook_bytes, write_atomic

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from nbformat import NotebookNode

    from flownb.flow import Carried, Flow, Parameter

QUIET = "\npass  # its value is not shown again"
"""Ends a cell of replayed statements that would show a value."""

SCHEMA = 3
"""Version of the layout that is written. A newer one is refused, older ones are read."""

MIME = "application/vnd.flownb.flow+json"
"""The type under which a cell's output holds a flow document."""


def to_dict(flow: Flow) -> Json:
    """Return the flow document as nbformat JSON. The same flow gives the same document."""
    if flow.notebook is not None:
        notebook = json.loads(json.dumps(flow.notebook))
        notebook["metadata"]["flownb"] = {**_about(flow), "whole": True}
        if kernel(notebook) != flow.kernel:
            notebook["metadata"]["kernelspec"] = _kernelspec(flow)
        if flow.steps and flow.steps[-1].outputs:
            notebook["metadata"]["flownb"]["outputs"] = list(flow.outputs)
        return {**notebook, "cells": [_without_outputs(cell) for cell in notebook["cells"]]}
    cells = _cells(flow)
    metadata = {
        "kernelspec": _kernelspec(flow),
        "language_info": {"name": flow.language},
        "flownb": _about(flow),
    }
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def dumps(flow: Flow) -> str:
    """Return the text of the flow document, as it is written to a file."""
    return notebook_bytes(to_dict(flow)).decode()


def to_notebook(flow: Flow) -> NotebookNode:
    """Return the flow document as a `NotebookNode`, ready to be executed."""
    import_nbformat()
    import nbformat

    return nbformat.from_dict(to_dict(flow))


def write(flow: Flow, path: str | os.PathLike[str]) -> None:
    """Write the flow document to `path`: whole, or not at all (`DocumentError`)."""
    write_atomic(Path(path), to_dict(flow), error=DocumentError)


def _kernelspec(flow: Flow) -> Json:
    return {"display_name": "Python 3", "language": flow.language, "name": flow.kernel}


def _about(flow: Flow) -> Json:
    about: Json = {"schema": 1 if flow.of_schema_1 else SCHEMA, "name": flow.name, "digest": flow.digest}
    if flow.description:
        about["description"] = flow.description
    needs = flow.requirements
    about["requirements"] = {
        "python": needs.python,
        "distributions": dict(sorted(needs.distributions.items())),
        "modules": dict(sorted(needs.modules.items())),
    }
    for key in ("storage", "environment", "location"):
        if (value := getattr(flow, key)) is not None:
            about[key] = dict(value) if key != "location" else value
    return about


def _cells(flow: Flow) -> list[Json]:
    from flownb.parameters import Settling

    shared = [entry for entry in flow.closure if not entry.step]
    imports = [entry for entry in shared if entry.how in ("import", "module")]
    rest = [entry for entry in shared if entry.how not in ("import", "module")]
    first = _needed_by(flow.parameters, rest) if flow.of_schema_1 else rest
    settling = Settling(flow)
    cells = [
        _carried_cell("imports", "imports", imports),
        *_closure_cells("closure-parameters" if flow.of_schema_1 else "closure", first),
        _parameters_cell(flow.parameters, settling.held),
    ]
    if source := settling.source:
        cells.append(_settling_cell(source))
    cells += _closure_cells("closure", [entry for entry in rest if entry not in first])
    for step in flow.steps:
        own = [entry for entry in flow.closure if entry.step == step.name]
        cells += _closure_cells(_cell_id("closure", step.name), own, step.name)
        about: Json = {
            "role": "step",
            "step": step.name,
            "outputs": list(step.outputs),
            "result": step.result,
            "line": step.line,
        }
        cells.append(_code_cell(_cell_id("step", step.name), step.source, about))
    if any(step.outputs for step in flow.steps):
        shown = f"display({', '.join(flow.outputs)})"
        cells.append(_code_cell("outputs", shown, {"role": "outputs"}))
    return [cell for cell in cells if cell]


def _closure_cells(cell_id: str, entries: Sequence[Carried], step: str = "") -> list[Json]:
    """Return a cell for each cell of the notebook that the entries are of, in their order."""
    groups: list[list[Carried]] = []
    last: tuple[str, int] | None = None
    for entry in entries:
        key = (entry.how, entry.cell) if entry.cell else ("", 0)
        if key == last:
            groups[-1].append(entry)
        else:
            groups.append([entry])
        last = key
    ids = [cell_id if number == 1 else f"{cell_id}-{number}" for number in range(1, len(groups) + 1)]
    return [_carried_cell(id_, "closure", group, step) for id_, group in zip(ids, groups, strict=True)]


def _needed_by(parameters: Sequence[Parameter], closure: Sequence[Carried]) -> list[Carried]:
    """Return the entries that must be executed before the parameters' declarations can be, in order."""
    wanted = set().union(*(_loaded(p.annotation) | _loaded(p.default or "") for p in parameters))
    while True:
        needed = [entry for entry in closure if wanted.intersection(entry.bound)]
        more = wanted.union(
            *(entry.reads_first or entry.reads for entry in needed), *(e.reads for e in needed)
        )
        if more == wanted:
            return needed
        wanted = more


def _loaded(expression: str) -> set[str]:
    try:
        tree = ast.parse(expression.strip() or "None", mode="eval")
    except SyntaxError:
        return set()
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for node in ast.walk(tree):  # an annotation, or a part of one, may be written as a string
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value != expression:
            names |= _loaded(node.value)
    return names


def _carried_cell(cell_id: str, role: str, entries: Sequence[Carried], step: str = "") -> Json:
    if not entries:
        return {}
    about: Json = {"role": role, "carried": [_carried_about(entry) for entry in entries]}
    if step:
        about["step"] = step
    # statements of one cell stand together, as they did; what was carried each by itself does not
    between = "\n" if role == "imports" or entries[0].how == "statement" else "\n\n"
    source = between.join(entry.source for entry in entries)
    quiet = entries[-1].how == "statement" and _shows(entries[-1].source)
    return _code_cell(cell_id, source + QUIET if quiet else source, about)


def _shows(source: str) -> bool:
    """Whether a cell that ends with this source shows a value."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError):
        return False  # a magic or shell line
    return bool(body) and isinstance(body[-1], ast.Expr)


def _carried_about(entry: Carried) -> Json:
    about: Json = {"name": entry.name, "how": entry.how, "lines": entry.source.count("\n") + 1}
    for key in ("binds", "reads", "reads_first"):
        if value := getattr(entry, key):
            about[key] = list(value)
    for key in ("identity", "type", "size", "cell", "at"):
        if value := getattr(entry, key):
            about[key] = value
    if entry.identity:
        about["sha256"] = source_sha(entry.source)  # an identity holds for just this source
    return about


def _parameters_cell(parameters: Iterable[Parameter], held: Collection[str]) -> Json:
    source = "\n".join(_held(p) if p.name in held else declaration(p) for p in parameters)
    cell = _code_cell("parameters", source, {"role": "parameters"})
    return {**cell, "metadata": {**cell["metadata"], "tags": ["parameters"]}}


def declaration(parameter: Parameter) -> str:
    """Return the parameter's declaration as it is written in a cell."""
    text = f"{parameter.name}: {parameter.annotation}" if parameter.annotation else parameter.name
    if parameter.default is not None:
        text += f" = {parameter.default}"
    return f"{text}  # {parameter.help}" if parameter.help else text


def _held(parameter: Parameter) -> str:
    """Return a declaration whose default is made in the cell below, of what the run is given."""
    default = " ".join((parameter.default or "").split())
    return f"# by default, made below: {default}\n{declaration(replace(parameter, default='...'))}"


def _settling_cell(source: str) -> Json:
    """Return the cell behind the parameters, which is there for the machine: JupyterLab shows it closed."""
    cell = _code_cell("coercion", source, {"role": "coercion"})
    return {**cell, "metadata": {**cell["metadata"], "jupyter": {"source_hidden": True}}}


def _code_cell(cell_id: str, source: str, about: Json) -> Json:
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": cell_id,
        "metadata": {"flownb": about},
        "outputs": [],
        "source": source,
    }


def _without_outputs(cell: Json) -> Json:
    return {**cell, "outputs": [], "execution_count": None} if cell["cell_type"] == "code" else cell


def source_sha(source: str) -> str:
    """Return the SHA-256 (hex) of a source text."""
    return hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()


def _cell_id(kind: str, name: str) -> str:
    """Return a cell id that nbformat allows (`[a-zA-Z0-9-_]{1,64}`), unique for the step's name."""
    if re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", name):
        return f"{kind}-{name}"
    return f"{kind}-{source_sha(name)[:16]}"


def inject(
    notebook: NotebookNode, source: str, values: Mapping[str, Any] | None = None, settling: str = ""
) -> NotebookNode:
    """Return the notebook with a cell of parameter values, tagged as papermill tags it.

    It stands right after the cell tagged `parameters`, before everything where there is none; one that
    is there already is replaced. `values` is noted in the notebook's papermill metadata. `settling` is the
    source of a second cell behind it, where one is needed.
    """
    import copy

    import nbformat

    notebook = copy.deepcopy(notebook)
    cells = [cell for cell in notebook.cells if not injected(cell)]
    at = next((i + 1 for i, cell in enumerate(cells) if "parameters" in cell.metadata.get("tags", ())), 0)
    put_in: list[NotebookNode] = []
    for name, text in (("injected-parameters", source), ("injected-settling", settling)):
        if text or not put_in:
            cell = nbformat.v4.new_code_cell(text, id=name)
            cell.metadata.tags = ["injected-parameters"]
            cell.metadata.flownb = {"role": "injected-parameters"}
            put_in.append(cell)
    notebook.cells = [*cells[:at], *put_in, *cells[at:]]
    notebook.metadata.setdefault("papermill", nbformat.from_dict({}))["parameters"] = dict(values or {})
    return notebook
