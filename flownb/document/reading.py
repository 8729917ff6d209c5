"""A document to its flow: what `writing` wrote, also after somebody edited it in Jupyter.

Nothing of the document is run, unpickled or imported.
"""

from __future__ import annotations

import ast
import difflib
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flownb.document import fields
from flownb.document.files import Json, check_cells, check_python, injected, load_notebook, loads_notebook
from flownb.document.writing import QUIET, SCHEMA, source_sha
from flownb.errors import DocumentError, FlownbError
from flownb.flow import Carried, Flow, Parameter, Requirements, Step, check_name, nearest_name
from flownb.names import shows_result

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from flownb.flow import How


def read(path: str | os.PathLike[str]) -> Flow:
    """Read the flow document at `path`; its folder becomes the flow's. Raises `DocumentError`."""
    return replace(from_dict(load_notebook(path), str(path)), folder=Path(path).absolute().parent)


def loads(text: str, what: str) -> Flow:
    """Read a flow document's text; `what` names it in errors."""
    return from_dict(loads_notebook(text, what), what)


def is_document(notebook: Mapping[str, Any]) -> bool:
    """Whether a notebook is a flow document."""
    metadata = notebook.get("metadata")
    about = metadata.get("flownb") if isinstance(metadata, dict) else None
    return isinstance(about, dict) and "schema" in about and "name" in about


def from_dict(notebook: Json, what: str = "the flow document") -> Flow:
    """Return the flow that a document holds. Nothing in it is run. Raises `DocumentError`."""
    if not is_document(notebook):
        raise DocumentError(f"{what} is not a flow document; Flow.from_notebook takes any notebook as a flow")
    about = notebook["metadata"]["flownb"]
    schema = about["schema"]
    if not isinstance(schema, int) or schema > SCHEMA:
        raise DocumentError(
            f"{what} was written by a newer flownb (schema {schema!s:.20}, this one reads up to {SCHEMA}); "
            "upgrade it: pip install --upgrade flownb"
        )
    check_python(notebook, what)
    notebook = check_cells(notebook, what)
    try:
        name = check_name(fields.text(about, "name"))
        flow = _about_into((_whole if about.get("whole") else _from_cells)(notebook, name), about)
        if about.get("whole"):
            flow = with_outputs(flow, fields.texts(about, "outputs"))
        return _of_schema_2(flow) if schema < 3 else flow
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise DocumentError(f"{what} is damaged: {error}") from error


def _of_schema_2(flow: Flow) -> Flow:
    """Note by which digest a flow was known whose kernel and environment were not content yet."""
    former = flow.digest_of_schema_2
    return replace(flow, former=former, stated=flow.digest if flow.stated == former else flow.stated)


def _about_into(flow: Flow, about: Mapping[str, Any]) -> Flow:
    needs = fields.table(about, "requirements")
    return replace(
        flow,
        description=fields.text(about, "description", ""),
        requirements=Requirements(
            python=fields.text(needs, "python", ""),
            distributions=fields.text_table(needs, "distributions"),
            modules=fields.text_table(needs, "modules"),
        ),
        storage=fields.table(about, "storage") or None,
        environment=fields.table(about, "environment") or None,
        location=fields.text(about, "location", "") or None,
        stated=fields.text(about, "digest", "") or None,
    )


def _from_cells(notebook: Json, name: str) -> Flow:
    from flownb.parameters import declarations, with_held

    old = notebook["metadata"]["flownb"]["schema"] == 1
    parameters: tuple[Parameter, ...] = ()
    steps: list[Step] = []
    closure: list[Carried] = []
    for cell in notebook["cells"]:
        about = fields.table(cell["metadata"], "flownb")
        role = about.get("role") if cell["cell_type"] == "code" else None
        if role == "parameters":
            parameters = declarations(cell["source"])
        elif role == "coercion":
            parameters = with_held(parameters, cell["source"])
        elif role in ("imports", "closure"):
            closure.extend(_carried(cell["source"], about, "statements" if old else "statement"))
        elif role == "step" or (role is None and cell["cell_type"] == "code" and not injected(cell)):
            steps.append(_step(cell, about, len(steps) + 1))
    if not steps:
        raise ValueError("it has no steps")
    return Flow(
        name,
        parameters=parameters,
        steps=tuple(steps),
        closure=tuple(closure),
        kernel=fields.kernel(notebook),
    )


def _step(cell: Json, about: Mapping[str, Any], number: int) -> Step:
    from flownb.names import step_names

    reads, binds = step_names(cell["source"])
    return Step(
        name=check_name(fields.text(about, "step", f"cell-{number}"), "step"),
        source=cell["source"],
        outputs=fields.texts(about, "outputs"),
        reads=reads,
        binds=binds,
        result=bool(about.get("result", False)),
        line=fields.size(about, "line") or 1,
    )


def _carried(source: str, about: Mapping[str, Any], how: How) -> list[Carried]:
    """Cut a cell into the entries it was joined from; by statements, where it was edited since."""
    entries = about.get("carried", [])
    step = fields.text(about, "step", "")
    tight = about["role"] == "imports" or any(entry.get("how") == "statement" for entry in entries)
    gap = 0 if tight else 1
    lines = source.removesuffix(QUIET).split("\n")
    if sum(fields.size(entry, "lines") + gap for entry in entries) - gap == len(lines):
        carried, start = [], 0
        for entry in entries:
            text = "\n".join(lines[start : start + entry["lines"]])
            start += entry["lines"] + gap
            carried.append(_entry(text, entry, step))
        if all(_parses(entry.source) for entry in carried):
            return carried
    from flownb.document.statements import carried_statements

    return [replace(entry, step=step) for entry in carried_statements(source, how)]


def _entry(text: str, about: Mapping[str, Any], step: str) -> Carried:
    return Carried(
        name=fields.text(about, "name"),
        how=fields.how(about),
        source=text,
        binds=fields.texts(about, "binds"),
        reads=fields.texts(about, "reads"),
        reads_first=fields.texts(about, "reads_first"),
        identity=_trusted_identity(text, about),
        type=fields.text(about, "type", ""),
        size=fields.size(about, "size"),
        step=step,
        cell=fields.size(about, "cell"),
        at=fields.text(about, "at", ""),
    )


def _trusted_identity(text: str, about: Mapping[str, Any]) -> str:
    """Return the recorded identity, unless the source has been edited since: then it is the source."""
    return fields.text(about, "identity", "") if about.get("sha256") == source_sha(text) else ""


def _parses(source: str) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return source.lstrip().startswith(("%", "!")) or "!" in source or "%" in source
    return True


def whole_notebook(path: str | os.PathLike[str], outputs: Sequence[str] = ()) -> Flow:
    """Take the notebook at `path` as a flow named after the file. Raises `DocumentError`."""
    notebook = load_notebook(path)
    check_python(notebook, str(path))
    try:
        if is_document(notebook):
            flow = from_dict(notebook)
        else:
            flow = _whole(notebook, nearest_name(Path(path).stem) or "notebook")
        return replace(with_outputs(flow, outputs), folder=Path(path).absolute().parent)
    except FlownbError as error:
        raise type(error)(f"{path}: {error}") from error


def with_outputs(flow: Flow, outputs: Sequence[str]) -> Flow:
    """Return a notebook that was taken whole with its outputs declared: what the names are at its end.

    Raises `DocumentError` for a name that nothing in it binds, and for a flow that declares its own.
    """
    if not outputs:
        return flow
    if flow.notebook is None:
        raise DocumentError(
            f"{flow.name} declares its outputs itself, where it was captured: %%flow {flow.name} --out a,b"
        )
    names = tuple(dict.fromkeys(unicodedata.normalize("NFKC", name) for name in outputs))  # as Python does
    bound = {name for step in flow.steps for name in step.binds}
    bound |= {parameter.name for parameter in flow.parameters if flow.steps}
    for name in names:
        if name not in bound:
            near = difflib.get_close_matches(name, sorted(bound), 1)
            hint = (
                f"did you mean {near[0]}?" if near else f"it binds {', '.join(sorted(bound)[:10]) or 'none'}"
            )
            raise DocumentError(f"no cell of {flow.name} binds {name!a:.40}, to be an output; {hint}")
    last = replace(flow.steps[-1], outputs=names, result=False)
    return replace(flow, steps=(*flow.steps[:-1], last))


def _whole(notebook: Json, name: str) -> Flow:
    from flownb.parameters import declarations

    parameters: tuple[Parameter, ...] = ()
    steps: list[Step] = []
    notebook["cells"] = [cell for cell in notebook["cells"] if not injected(cell)]
    for number, cell in enumerate(notebook["cells"], start=1):
        if cell["cell_type"] != "code":
            continue
        if "parameters" in cell["metadata"].get("tags", ()):
            parameters = declarations(cell["source"])
        elif cell["source"].strip():
            about = {"step": f"cell-{number}", "role": "step"}
            steps.append(_step(cell, about, number))
    if steps:
        steps[-1] = replace(steps[-1], result=shows_result(steps[-1].source))
    return Flow(
        name, parameters=parameters, steps=tuple(steps), kernel=fields.kernel(notebook), notebook=notebook
    )
