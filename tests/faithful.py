"""Runs a notebook of the corpus in every way there is, and says what came out, in plain data."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import sys
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from process_state import process_state
from shell import ipython

from flownb.capture.cell import is_flow_cell, read_header, split_cell
from flownb.storage import open_storage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from notebook_corpus import Notebook

    from flownb.flow import Flow

#: bound by IPython itself, and other things in every session
_SESSION = re.compile(r"_+(\d+|i|ii|iii|i\d+|oh|dh|ih|)$|In$|Out$|exit$|quit$|open$|get_ipython$|__\w+__$")
_ATOMS = (type(None), bool, int, float, complex, str, bytes, type(...), type(NotImplemented), range)


@dataclass
class Ran:
    """What a notebook did in a shell."""

    namespace: dict[str, Any]  #: plain
    outputs: dict[str, dict[str, Any]]  #: flow -> output -> plain, as they were right after the cell
    digests: dict[str, str] = field(default_factory=dict)
    flows: dict[str, Flow] = field(default_factory=dict)
    cells: list[dict[str, Any]] = field(default_factory=list)  #: as a front end would save them


def run_plain(notebook: Notebook) -> Ran:
    """Run the cells without their `%%flow` lines."""
    return _run(notebook, live=False)


def run_live(notebook: Notebook) -> Ran:
    """Run the cells as they are."""
    return _run(notebook, live=True)


def _run(notebook: Notebook, *, live: bool) -> Ran:
    ran = Ran({}, {})
    with fresh(notebook, write=True), ipython() as shell:
        for index, source in enumerate(notebook.cells):
            flow_cell = is_flow_cell(source)
            header = read_header(split_cell(source)[0]) if flow_cell else None
            shown = shell.ok(source if live or header is None else split_cell(source)[1], f"cell-{index}")
            ran.cells.append(_saved(source, index, shown.outputs if live else []))
            if header is not None:
                outputs = ran.outputs.setdefault(header.flow, {})
                outputs.update({name: plain(shell[name]) for name in header.outputs})
                if not header.outputs and shown.result is not None:
                    outputs["result"] = plain(shown.result)
        # only the namespace at the end is compared as a whole
        ran.namespace = {
            name: plain(value) for name, value in shell.shell.user_ns.items() if not _SESSION.match(name)
        }
        if live:
            for name in shell.live.names:
                ran.flows[name] = shell.live.flow(name)
                ran.digests[name] = ran.flows[name].digest
    for outputs in ran.outputs.values():
        if len(outputs) > 1:
            outputs.pop("result", None)  # of an earlier step, or beside declared outputs
    return ran


def _saved(source: str, index: int, bundles: list[dict[str, Any]]) -> dict[str, Any]:
    outputs = [{"output_type": "display_data", "data": data, "metadata": {}} for data in bundles]
    return {
        "cell_type": "code",
        "execution_count": index + 1,
        "id": f"cell-{index}",
        "metadata": {},
        "outputs": json.loads(json.dumps(outputs)),
        "source": source.splitlines(keepends=True),
    }


def save(cells: list[dict[str, Any]], path: Path, *, outputs: bool) -> Path:
    """Write a notebook file, with the cells' outputs or with all outputs cleared."""
    kept = [cell if outputs else {**cell, "outputs": [], "execution_count": None} for cell in cells]
    notebook = {"cells": kept, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path


def stored(path: Path, name: str) -> Flow:
    """Read a flow from a notebook file."""
    return open_storage(path).get_flow(name)


def run_flow(flow: Flow, notebook: Notebook, values: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Run the flow in this process, with `values` of parameters, and return its outputs as plain data."""
    with fresh(notebook), contextlib.redirect_stdout(io.StringIO()):
        return {name: plain(value) for name, value in flow.run(**notebook.given, **(values or {})).items()}


@contextlib.contextmanager
def fresh(notebook: Notebook, *, write: bool = False) -> Iterator[None]:
    """Let modules be imported as if for the first time; `write` the notebook's files as at its start."""
    for name, text in notebook.files.items() if write else ():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text, encoding="utf-8")
        # the same size and second: a compiled file of the former text would be taken for this one's
        stamp = Path(name).stat().st_mtime + 10 * len(list(Path(name).parent.glob("__pycache__/*")))
        os.utime(name, (stamp, stamp))
    with process_state(notebook.files):
        if "" not in sys.path:
            sys.path.insert(0, "")
        yield


def plain(value: Any) -> Any:
    """Return what a value is, as data that can be compared: same shape for the same content."""
    return _Plain().of(value)


def _own(kind: type) -> bool:
    """Whether a class is of the notebook, or of the module that a flow has to itself while it runs."""
    return kind.__module__ == "__main__" or kind.__module__.startswith("flow_")


class _Plain:
    def __init__(self) -> None:
        self.seen: dict[int, int] = {}
        self.kept: list[Any] = []

    def of(self, value: Any) -> Any:
        if isinstance(value, _ATOMS) and type(value) in _ATOMS:
            return f"{type(value).__name__} {value!r}"
        if id(value) in self.seen:
            return f"seen {self.seen[id(value)]}"
        self.seen[id(value)] = len(self.seen)
        self.kept.append(value)
        return self._of(value)

    def _of(self, value: Any) -> Any:
        kind = type(value)
        name = f"{'__main__' if _own(kind) else kind.__module__}.{kind.__qualname__}"
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, types.FunctionType):
            return ["function", value.__qualname__, value.__code__.co_code.hex(), self.of(value.__defaults__)]
        if isinstance(value, types.ModuleType | types.BuiltinFunctionType):
            return [name, value.__name__]
        if kind.__module__.startswith("pandas."):
            return [name, repr(value), self._pandas(value)]
        if hasattr(value, "tolist") and hasattr(value, "dtype"):
            return [name, str(value.dtype), self.of(value.tolist())]
        if kind.__module__.split(".")[0] in ("matplotlib", "numpy", "polars", "random", "_io", "posix"):
            return name
        if isinstance(value, dict):
            return [name, [[self.of(k), self.of(v)] for k, v in value.items()]]
        if isinstance(value, set | frozenset):
            return [name, sorted(repr(_Plain().of(v)) for v in value)]
        if isinstance(value, list | tuple):
            return [name, [self.of(v) for v in value]]
        return [name, self._state(value)]

    def _pandas(self, value: Any) -> Any:
        dtypes = getattr(value, "dtypes", None)
        return [str(dtypes), repr(getattr(value, "attrs", None))]

    def _class(self, value: type) -> Any:
        if not _own(value):
            return ["class", value.__module__, value.__qualname__]
        own = sorted(n for n in vars(value) if not n.startswith("__") and not n.startswith("_abc"))
        return ["class", value.__qualname__, [b.__qualname__ for b in value.__mro__], own]

    def _state(self, value: Any) -> Any:
        if _own(type(value)) or type(value).__module__ == "types":
            state = dict(getattr(value, "__dict__", {}))
            for klass in type(value).__mro__:
                slots = vars(klass).get("__slots__", ())
                state.update({n: getattr(value, n) for n in slots if hasattr(value, n)})
            return self.of(state)
        return re.sub(r" at 0x[0-9a-f]+", "", repr(value))
