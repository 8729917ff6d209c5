"""What a run is going to execute: made and checked before anything starts or is recorded."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from flownb.document import inject, to_dict, to_notebook
from flownb.engine import Secrets
from flownb.errors import ParameterError
from flownb.files import notebook_bytes
from flownb.parameters import (
    PLAIN_NAMES,
    Secret,
    Settling,
    as_written,
    names_at_hand,
    render,
    render_assignments,
    render_secrets,
    secret_names,
)

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from flownb.flow import Flow, Step

HIDDEN = "***"


@dataclass(frozen=True)
class Plan:
    """A flow with the values of its parameters, which have been validated."""

    flow: Flow
    values: Mapping[str, Any]

    @cached_property
    def hidden(self) -> frozenset[str]:
        """The names of the parameters whose values are not written."""
        given = {name for name, value in self.values.items() if any(_secret_texts(value))}
        return (secret_names(self.flow) & set(self.values)) | given

    @cached_property
    def secrets(self) -> Secrets:
        """The secret values, for the kernel alone."""
        if not self.hidden:
            return Secrets()
        texts = {text for name in self.hidden for text in texts_in(self.values[name])}
        source = render_secrets(self.values, self.flow, hidden=self.hidden)
        return Secrets(source, tuple(sorted(texts, key=len, reverse=True)))

    @cached_property
    def parameters(self) -> dict[str, str]:
        """The values as Python source, for the record, which can read it back; `***` for secrets."""
        at_hand = names_at_hand(self.flow).items()
        own = {path: name for path, name in at_hand if path.partition(".")[0] not in PLAIN_NAMES}
        bound = {**own, **PLAIN_NAMES}  # which read the same whatever a flow has imported
        return {name: self._written(name, value, bound) for name, value in self.values.items()}

    def _written(self, name: str, value: Any, bound: Mapping[str, str]) -> str:
        if name in self.hidden:
            return HIDDEN
        try:
            return render(as_written(value), bound)
        except ParameterError as error:
            told = f"parameter `{name}` of flow `{self.flow.name}`: {error}"
            raise ParameterError(told, flow=self.flow.name, parameter=name) from None

    @cached_property
    def document(self) -> bytes:
        """The flow document, as it is kept beside the run."""
        return notebook_bytes(to_dict(self.flow))

    @cached_property
    def notebook(self) -> NotebookNode:
        """The notebook to execute: the document with the values in a cell behind the parameters'."""
        noted = {name: _noted(self.values[name], text) for name, text in self.parameters.items()}
        source = render_assignments(self.values, self.flow, hidden=self.hidden)
        notebook = to_notebook(self.flow)
        if self.values:
            whole = self.flow.notebook is not None  # a document has settled its parameters
            settling = Settling(self.flow).source_given(self.values) if whole else ""
            notebook = inject(notebook, source, noted, settling)
        about = notebook.metadata.setdefault("papermill", type(notebook)())
        for name in ("default_parameters", "parameters", "environment_variables"):
            about.setdefault(name, type(notebook)())
        about["version"] = _version_of("papermill")
        for cell in notebook.cells:
            if cell.metadata.get("tags") == ["injected-parameters"]:
                cell.metadata.setdefault("papermill", type(notebook)())
        return notebook


@functools.cache
def _version_of(distribution: str) -> str:
    """Return a distribution's version; read once, as reading it takes as long as a short run."""
    from importlib.metadata import version

    return version(distribution)


def steps_by_cell(flow: Flow, notebook: Mapping[str, Any]) -> dict[int, int]:
    """Return which cell of an executed notebook, by index, is which step of the flow, by position.

    In a flow document each step's cell says so; in a notebook that was taken whole, its code cells are
    the steps in their order.
    """
    cells = notebook["cells"]
    if flow.notebook is None:
        positions = {step.name: position for position, step in enumerate(flow.steps)}
        about = [cell["metadata"].get("flownb", {}) for cell in cells]
        return {
            index: positions[each["step"]]
            for index, each in enumerate(about)
            if each.get("role") == "step" and each.get("step") in positions
        }
    apart = ("parameters", "injected-parameters")
    code = [
        index
        for index, cell in enumerate(cells)
        if cell["cell_type"] == "code"
        and cell["source"].strip()
        and not any(tag in apart for tag in cell["metadata"].get("tags", ()))
    ]
    return {index: position for position, index in enumerate(code[: len(flow.steps)])}


def step_of(flow: Flow, cell: Mapping[str, Any], position: int | None) -> str:
    """Return the name of the step that a cell is, or belongs to; empty where it belongs to none."""
    if position is not None:
        return flow.steps[position].name
    return str(cell["metadata"].get("flownb", {}).get("step", ""))


def settles(cell: Mapping[str, Any]) -> bool:
    """Whether a cell makes of what was given what is declared, before the first step."""
    return cell["metadata"].get("flownb", {}).get("role") in ("coercion", "injected-parameters")


def wants_collecting(step: Step) -> bool:
    """Whether a step has outputs that are to be stored when it has ended well."""
    return bool(step.outputs) or step.result


def _noted(value: Any, text: str) -> Any:
    """Return a value for papermill's metadata: itself where JSON keeps it, else its Python source."""
    if text == HIDDEN:
        return text
    try:
        return value if json.loads(json.dumps(value, allow_nan=False)) == value else text
    except (TypeError, ValueError, RecursionError):
        return text


def _secret_texts(value: object) -> Iterable[str]:
    """Yield the texts in a value that were given as secrets, whatever was declared."""
    if isinstance(value, Secret) or hasattr(value, "get_secret_value"):
        yield from texts_in(value)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _secret_texts(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _secret_texts(item)


def texts_in(value: object) -> Iterable[str]:
    """Yield all texts in a value; numbers and the like as they are written."""
    if hasattr(value, "get_secret_value"):
        value = value.get_secret_value()
    if isinstance(value, str):
        yield str.__str__(value)
    elif isinstance(value, bytes):
        yield value.decode("utf-8", "surrogateescape")
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from texts_in(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from texts_in(item)
    elif value is not None and not isinstance(value, bool):
        yield str(value)
