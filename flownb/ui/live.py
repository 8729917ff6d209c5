"""The live notebook: what `%%flow` does around a cell that runs.

The first line of a `%%flow` cell becomes a call that captures what the cell reads, as it is before the
cell runs; the rest of the cell is left alone, so tracebacks, top-level `await` and the last expression
are as without the line. When the cell has succeeded, its part of the flow is kept and displayed.
"""

from __future__ import annotations

import ast
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flownb.capture.assemble import assemble
from flownb.capture.cell import Cell, is_flow_cell, misplaced, read_cell, read_header, split_cell
from flownb.capture.live import Notebook, capture_cell
from flownb.capture.part import Part, to_record
from flownb.capture.sources import Sources
from flownb.document import MIME, load_notebook
from flownb.errors import CaptureError, DocumentError, FlownbError
from flownb.names import to_python
from flownb.parameters import split_leading

if TYPE_CHECKING:
    from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult, InteractiveShell

    from flownb.flow import Flow
    from flownb.ui.keeping import Keeping

MISPLACED = "`%%flow` must be the first line of its cell: move the comment or the other magic below it"

#: a `%%flow` line that only tells that it stands in the wrong place
_MISPLACED = "--misplaced"


@dataclass(frozen=True, slots=True)
class Captured:
    """A part, and where it came from."""

    part: Part
    cell_id: str | None


@dataclass(frozen=True, slots=True)
class _Pending:
    info: ExecutionInfo
    cell: Cell
    part: Part


class LiveNotebook:
    """The flows of one shell, captured so far."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self.captured: dict[tuple[str, str], Captured] = {}  #: by flow and step, in order of first capture
        self._pending: _Pending | None = None
        self._saved: tuple[int, list[dict[str, Any]]] = (0, [])

    # --- where it is ---

    @property
    def path(self) -> Path | None:
        """The notebook's file, where the front end tells it."""
        told = self.shell.user_ns.get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME")
        if not isinstance(told, str) or not told.endswith(".ipynb"):
            return None
        path = Path(told)
        return path if path.is_file() else None

    @property
    def folder(self) -> Path:
        """The notebook's folder: where its kernel was started."""
        return self.path.parent if self.path is not None else Path.cwd()

    @cached_property
    def keeping(self) -> Keeping:
        """Where what is captured goes beside this notebook."""
        from flownb.ui.keeping import Keeping

        return Keeping(self)

    @cached_property
    def sources(self) -> Sources:
        """The sources of the cells that this shell has run."""
        return Sources.from_shell(self.shell)

    # --- around a cell ---

    def transform(self, lines: list[str]) -> list[str]:
        """Rewrite the first line of a `%%flow` cell's source."""
        source = "".join(lines)
        if not is_flow_cell(source):
            return [_call(_MISPLACED), *(["\n"] * (len(lines) - 1))] if misplaced(source) else lines
        line, body = split_cell(source)
        if self._defines_only(line, body):
            return [_call(line), *(["\n"] * (len(lines) - 1))]
        return [_call(line), *_with_cell_magic(lines[1:])]

    def _defines_only(self, line: str, body: str) -> bool:
        """Whether the cell is not to run: asked for, or a required parameter has no value here.

        A cell that is not Python is left to run, so that IPython shows Python's own error.
        """
        try:
            ast.parse(to_python(split_leading(body).body))
            define = read_header(line).define
        except (SyntaxError, ValueError, FlownbError):
            return False
        return define or bool(self.unset(body))

    def unset(self, body: str) -> list[str]:
        """Return the required parameters of a cell that have no value in the namespace."""
        namespace = self.shell.user_ns
        return [p.name for p in split_leading(body).parameters if p.required and p.name not in namespace]

    def begin(self, line: str, info: ExecutionInfo | None) -> None:
        """Capture what the running cell reads, before it runs.

        Raises `CaptureError` for what cannot be a flow; then nothing of the cell has run.
        """
        self._pending = None
        if line == _MISPLACED:
            raise CaptureError(MISPLACED)
        if info is None or not is_flow_cell(info.raw_cell):
            raise CaptureError("`%%flow` must be the first line of a cell that is run as a whole")
        cell = read_cell(info.raw_cell)
        if cell.header.environment is not None:
            self._check_environment(cell.header.environment)
        part = self._capture(cell, getattr(info, "cell_id", None))
        pending = _Pending(info, cell, part)
        if self._defines_only(*split_cell(info.raw_cell)):
            self._keep(pending, ran=False)
        else:
            self._pending = pending

    def _check_environment(self, name: str) -> None:
        from flownb.environments.config import load_environment
        from flownb.runs.project import Project

        load_environment(Project.of(self.folder), name)

    def finish(self, result: ExecutionResult) -> None:
        """Keep and show what was captured, when the cell has succeeded."""
        pending = self._pending
        if pending is None or result.info is not pending.info:
            return  # a magic in the cell (%%capture) runs its body as a cell of its own
        self._pending = None
        if not result.success:
            return
        try:
            self._keep(pending, ran=True)
        except FlownbError:
            # Raised inside an event it would show as a traceback of ours; this shows its message.
            self.shell.showtraceback()

    def _capture(self, cell: Cell, cell_id: str | None) -> Part:
        key = (cell.header.flow, cell.header.step)
        parts = {k: c for k, c in self.captured.items() if k[0] == key[0] and not _moved(c, cell_id, k, key)}
        keys = self._ordered({**{k: c.cell_id for k, c in parts.items()}, key: cell_id})
        at = keys.index(key)
        before = [parts[k].part for k in keys[:at]]
        others = [parts[k].part for k in keys[at + 1 :]]
        around = Notebook(self.shell.user_ns, self.sources, self.folder, self._project)
        part = capture_cell(cell, around, others, before)
        assemble(cell.header.flow, [*before, part, *others])
        return part

    @property
    def _project(self) -> Path:
        from flownb.runs.project import Project

        return Project.of(self.folder).root

    def _keep(self, pending: _Pending, *, ran: bool) -> None:
        from flownb.ui.display import capture_summary

        header = pending.cell.header
        cell_id = getattr(pending.info, "cell_id", None)
        key = (header.flow, header.step)
        for other in [k for k, c in self.captured.items() if _moved(c, cell_id, k, key)]:
            del self.captured[other]  # the cell was that step before it was renamed
        self.captured[key] = Captured(pending.part, cell_id)
        flow = self.flow(header.flow)
        notes = list(pending.part.notes)
        if not ran and not header.define:
            unset = ", ".join(f"`{name}`" for name in self.unset(split_cell(pending.cell.source)[1]))
            notes.insert(0, f"captured without running: {unset} has no value here")
        kept = ""
        try:
            if header.storage is not None:
                from flownb.storage import open_storage

                location = open_storage(header.storage).add_flow(flow, replace=True)
                notes.append(f"kept in {header.storage} as {location}")
            kept = self.keeping.keep(flow)
        finally:  # whatever a storage says, the cell is captured, and its record is in its output
            shown = capture_summary(flow, header.step, notes=notes, ran=ran, kept=kept)
            bundle = shown._repr_mimebundle_()
            self.shell.display_pub.publish({**bundle, MIME: to_record(pending.part)})

    # --- what there is ---

    @property
    def names(self) -> list[str]:
        """Names of the flows captured here, in order of first capture."""
        return list(dict.fromkeys(flow for flow, _ in self.captured))

    def parts(self, name: str) -> list[Part]:
        """Return the parts of a flow: in the order of the saved notebook, else of their first capture."""
        keys = self._ordered({key: c.cell_id for key, c in self.captured.items() if key[0] == name})
        return [self.captured[key].part for key in keys]

    def _ordered(self, cell_ids: dict[tuple[str, str], str | None]) -> list[tuple[str, str]]:
        positions = self._positions()
        if not positions.keys() >= set(cell_ids.values()):
            return list(cell_ids)
        return sorted(cell_ids, key=lambda key: positions[cell_ids[key]])

    def _positions(self) -> dict[str | None, int]:
        """Return the place of each cell in the saved notebook, by its id; nothing where it is not known."""
        return {cell.get("id"): index for index, cell in enumerate(self._saved_cells()) if cell.get("id")}

    def _saved_cells(self) -> list[dict[str, Any]]:
        """Return the cells of the saved notebook; nothing where it is not known."""
        if self.path is None:
            return []
        stamp = self.path.stat().st_mtime_ns
        if self._saved[0] != stamp:
            try:
                cells = load_notebook(self.path)["cells"]
            except DocumentError:
                cells = []  # it is being saved, or is no notebook: the order of capture will do
            self._saved = stamp, cells
        return self._saved[1]

    def steps_to_come(self, name: str) -> list[str]:
        """Return the steps of a flow that the saved notebook has and this kernel has not captured yet.

        Cells that were captured here, whatever name they have in the file still, are none of them.
        """
        captured = {captured.cell_id for captured in self.captured.values()}
        steps = []
        for cell in self._saved_cells():
            if cell["cell_type"] != "code" or cell.get("id") in captured or not is_flow_cell(cell["source"]):
                continue
            try:
                header = read_header(split_cell(cell["source"])[0])
            except FlownbError:
                continue  # told when that cell is run
            if header.flow == name and (name, header.step) not in self.captured:
                steps.append(header.step)
        return list(dict.fromkeys(steps))  # two cells may bear one step's name: the one that runs last is it

    def flow(self, name: str) -> Flow:
        """Return the flow that the captured cells make. Raises `CaptureError`."""
        return assemble(name, self.parts(name))

    def forget(self, name: str, step: str | None = None) -> bool:
        """Forget a flow, or one step of it; False where there is none."""
        keys = [key for key in self.captured if key[0] == name and step in (None, key[1])]
        for key in keys:
            del self.captured[key]
        return bool(keys)


def _moved(captured: Captured, cell_id: str | None, key: tuple[str, str], now: tuple[str, str]) -> bool:
    """Whether a captured step is what the cell `cell_id` was before it got its present name."""
    return cell_id is not None and captured.cell_id == cell_id and key != now


def _call(line: str) -> str:
    return f"get_ipython().flownb.begin({line!r})\n"


def _with_cell_magic(lines: list[str]) -> list[str]:
    """Let a cell magic that stands below the `%%flow` line take the rest of the cell."""
    text = "".join(lines)
    if not text.lstrip().startswith("%%"):
        return lines
    from IPython.core.inputtransformer2 import cell_magic

    transformed: list[str] = cell_magic(text.lstrip().splitlines(keepends=True))
    return transformed
