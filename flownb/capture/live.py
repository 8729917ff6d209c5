"""Capture in a live notebook: a `%%flow` cell over the history of what its kernel has executed."""

from __future__ import annotations

import contextlib
import difflib
import sys
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from flownb.capture.assemble import assemble, cell_name
from flownb.capture.captured import Captured
from flownb.capture.cell import Header, check_outputs, read_cell, split_name
from flownb.capture.freezing import freeze
from flownb.capture.history import History, displayed
from flownb.capture.texts import unseen_texts
from flownb.errors import CaptureError, concerning
from flownb.flow import Carried, Flow
from flownb.marks import mark
from flownb.names import PROVIDED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from flownb.capture.cell import Cell

_CODE = (ModuleType, type, FunctionType, BuiltinFunctionType)
#: what IPython keeps of what was typed: another thing in every session
_TYPED = frozenset({"In", "_i", "_ii", "_iii", "_ih", "_dh", "_oh", "_sh"})
_SESSIONS = _TYPED | {"Out"}  #: it has an item for each value that was displayed


def begin(
    history: History, cell: Cell, namespace: Mapping[str, Any], steps: Iterable[Captured] = ()
) -> Captured:
    """Note what lies behind the names that a cell reads, just before it is executed.

    What no executed statement binds is frozen from `namespace`, and so is what the cell asks to be. `steps`
    are the other steps of the flow: what they bind is theirs. Raises `CaptureError`.
    """
    others = [step for step in steps if step.name != cell.header.step]
    check_outputs(cell, {*namespace, *(name for step in others for name in step.cell.names.binds)})
    own = {parameter.name for step in others for parameter in step.cell.parameters}
    own |= {parameter.name for parameter in cell.parameters}
    look = history.look(wanted_names(cell, history), optional=cell.names.optional)
    captured = Captured(cell, len(history.executed), look, notes=_notes(cell, history))
    sliced, _ = captured.slice(history, frozenset(own), {step.name: step for step in others})
    theirs = {name for step in others for name in step.cell.step.binds} | cell.names.binds
    outside = [
        name
        for name in sorted(sliced.missing | sliced.later)
        if name in namespace
        and name not in own
        and name not in history.world.names
        and not (name in theirs and name not in sliced.missing)
    ]
    if typed := [name for name in outside if name in _TYPED]:
        raise CaptureError(
            f"{cell.where}: `{typed[0]}` is this session's history, and another thing in every session: give "
            "the value a name in a cell above, and read that"
        )
    imports, values = [], {}
    for name in dict.fromkeys([*outside, *_asked(cell, namespace)]):
        if name in outside and _in_star(history, name, namespace[name]):
            continue
        found = _import_of(name, namespace[name]) if name in outside else None
        if found is not None:
            imports.append(found)
        else:
            values[name] = namespace[name]
    bound = history.world.names.keys()
    frozen = freeze(values, namespace, bound, where=cell.where)
    behind = history.look(values)
    captured.held = dict(behind.reads)
    captured.look.reads += history.look(frozen.reads).reads
    captured.frozen = (*imports, *frozen.entries)
    missing = sorted(look.missing - PROVIDED - namespace.keys() - own - theirs - cell.names.optional)
    if missing and not _stars(history):
        raise CaptureError(_unknown(cell, missing[0], namespace))
    return captured


def wanted_names(cell: Cell, history: History) -> frozenset[str]:
    """Return the names that a cell reads from the notebook, in texts that it has evaluated too."""
    names = (cell.names.reads | cell.declared | cell.given) - {
        parameter.name for parameter in cell.parameters
    }
    names -= {name for one in cell.imports for name in one.names.binds}
    names |= history.named_in_texts(cell.tree, cell.source)
    return names | (displayed(cell.tree) if "Out" in names else frozenset())


def capture_source(name: str, source: str, namespace: Mapping[str, Any]) -> Flow:
    """Capture a cell given as text, as the flow (or its one step) `name`. See `Flow.from_cell`."""
    flow, step = split_name(name)
    with concerning(flow):
        cell = read_cell(source, Header(flow, step))
        history = History(Path.cwd())
        captured = begin(history, cell, namespace)
        captured.execution = history.add(source, imagined=True)
        return assemble(flow, [captured], history).flow


def marks_of(names: Iterable[str], namespace: Mapping[str, Any]) -> dict[str, Any]:
    """Return marks of the values that names have; what is code, or a session's own, has none."""
    return {
        name: mark(value)
        for name in names
        if name in namespace
        and name not in _SESSIONS
        and not isinstance(value := namespace[name], _CODE)
        and value is not namespace
    }


def _notes(cell: Cell, history: History) -> tuple[str, ...]:
    """Say where the cell may read names that cannot be seen."""
    above = cell.step.line - 1
    unseen = [(opaque.line, opaque.what) for opaque in cell.names.opaque]
    unseen += unseen_texts(cell.tree, history.world.texts)
    return tuple(
        f"line {line + above}: {what} may read names that cannot be seen" for line, what in sorted(unseen)
    )


def _asked(cell: Cell, namespace: Mapping[str, Any]) -> list[str]:
    for name in cell.header.freeze:
        if name not in namespace:
            raise CaptureError(f"{cell.where}: `{name}` is to be frozen, and has no value here")
    return list(cell.header.freeze)


def _stars(history: History) -> bool:
    return any(one.hidden == "star" for one in history.executed)


def _in_star(history: History, name: str, value: object) -> bool:
    """Whether a module all of whose names were imported has this very value under the name."""
    modules = (getattr(one.statement.node, "module", "") for one in history.executed if one.hidden == "star")
    return any(getattr(sys.modules.get(module), name, history) is value for module in modules)


def _import_of(name: str, value: object) -> Carried | None:
    """Return the import that gives a value which came from outside of all cells; None where there is none."""
    if isinstance(value, ModuleType):
        module = value.__name__
        if module == "__main__" or sys.modules.get(module) is not value:
            return None
        text = f"import {module}" if module == name else f"import {module} as {name}"
        return Carried(name, "import", text, (name,), type="module", size=len(text))
    with contextlib.suppress(Exception):  # proxies raise what they like
        module, qualname = value.__module__, value.__qualname__  # type: ignore[attr-defined]
        if module != "__main__" and getattr(sys.modules.get(module), qualname, None) is value:
            text = f"from {module} import {qualname}" + ("" if qualname == name else f" as {name}")
            return Carried(name, "import", text, (name,), type=f"from {module}", size=len(text))
    return None


def _unknown(cell: Cell, name: str, namespace: Mapping[str, Any]) -> str:
    known = [n for n in namespace if not n.startswith("_")]
    near = difflib.get_close_matches(name, known, 1) or difflib.get_close_matches(
        name, sorted(PROVIDED), 1, 0.8
    )
    hint = f"did you mean `{near[0]}`? If not, " if near else ""
    where = cell_name(cell.header.flow, cell.header.step)
    return f"{where}: `{name}` is not defined here: {hint}run the cell that defines it first"
