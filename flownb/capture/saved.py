"""Capture from a saved notebook: by the records in its outputs, else over its cells from top to bottom."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from flownb.capture.assemble import assemble, cell_name
from flownb.capture.captured import Captured
from flownb.capture.cell import check_outputs, is_flow_cell, read_cell, read_header, split_cell
from flownb.capture.failing import line_told
from flownb.capture.history import History
from flownb.capture.legacy import assemble_parts, part_of
from flownb.capture.live import wanted_names
from flownb.capture.record import Record, cell_sha, from_record
from flownb.capture.stale import difference
from flownb.document import MIME
from flownb.errors import CaptureError, FlownbError
from flownb.names import PROVIDED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from flownb.capture.cell import Cell, Header
    from flownb.flow import Flow


@dataclass(frozen=True)
class SavedNotebook:
    """A notebook as it was read from its file, and the flows in it."""

    cells: Sequence[Mapping[str, Any]]
    what: str  #: names the notebook in errors
    folder: Path | None = None
    document: Flow | None = None  #: the one flow, where the notebook is a flow document itself

    @cached_property
    def headers(self) -> dict[int, Header]:
        """The `%%flow` lines, by the index of their cell. One that cannot be read is left to `problems`."""
        return {index: header for index, header in self._headers() if not isinstance(header, FlownbError)}

    @cached_property
    def problems(self) -> list[str]:
        """What is wrong with `%%flow` lines, so that one of them does not hide the other flows."""
        return [f"cell {i + 1} of {self.what}: {e}" for i, e in self._headers() if isinstance(e, FlownbError)]

    def _headers(self) -> Iterator[tuple[int, Header | FlownbError]]:
        for index, cell in enumerate(self.cells):
            if cell["cell_type"] == "code" and is_flow_cell(cell["source"]):
                try:
                    yield index, read_header(split_cell(cell["source"])[0])
                except FlownbError as error:
                    yield index, error

    @property
    def names(self) -> list[str]:
        """Names of the flows, in the order of their first cells."""
        if self.document is not None:
            return [self.document.name]
        return list(dict.fromkeys(header.flow for header in self.headers.values()))

    def cells_of(self, name: str) -> list[int]:
        """Return the indices of a flow's cells; of several cells of one step the last one counts."""
        steps = {header.step: index for index, header in self.headers.items() if header.flow == name}
        return sorted(steps.values())

    def flow(self, name: str) -> Flow:
        """Return the flow of that name: as recorded, else from source.

        Raises `CaptureError` or `DocumentError`, naming the cell.
        """
        if name not in self._flows:
            with self._naming(name):
                found = self.recorded(name)
                flow = found.flow if found is not None else self._from_source(name)
                self._flows[name] = replace(flow, folder=self.folder)
        return self._flows[name]

    def from_source(self, name: str) -> Flow:
        """Return the flow that the notebook's code cells give from top to bottom, whatever was recorded."""
        with self._naming(name):
            return replace(self._from_source(name), folder=self.folder)

    def notes(self, name: str) -> list[str]:
        """Say which was used, the records or the cells, where both give a flow, or do not fit together."""
        if self.document is not None:
            return []
        try:
            recorded = self.recorded(name)
            if recorded is None:
                told = self._changed_since(name)
                return [f"{told}: {name} is taken from the cells"] if told else []
            # from its cells alone the environment is known by its name, which they have in common
            source = replace(self._from_source(name), environment=recorded.flow.environment)
            told = difference(recorded.flow, source)
        except FlownbError:
            return []  # what is wrong is told by whoever asks for the flow
        return [f"{told}; the captured one is used"] if told and not recorded.flow.of_schema_1 else []

    def recorded(self, name: str) -> Record | None:
        """Return the record that is of all cells of a flow as they are now; of several the last one made."""
        if name not in self._recorded:
            self._recorded[name] = self._find_record(name)
        return self._recorded[name]

    def _find_record(self, name: str) -> Record | None:
        wanted = self._shas(name)
        made = [record for record in self._records(name) if dict(record.cells) == wanted]
        if made:
            return made[-1]
        parts = []
        for index in self.cells_of(name):
            data = self._record_in(index)
            if data is not None and not _is_whole(data):
                sha = cell_sha(self.cells[index]["source"])
                part = part_of(data, f"the record in cell {index + 1}", sha, name)
                parts += [part] if part is not None else []
        return Record(assemble_parts(name, parts), wanted) if parts and len(parts) == len(wanted) else None

    def _shas(self, name: str) -> dict[str, str]:
        """Return the digests of a flow's cells, by the steps that they are."""
        return {self.headers[i].step: cell_sha(self.cells[i]["source"]) for i in self.cells_of(name)}

    def _records(self, name: str) -> list[Record]:
        """Return the records of a flow that its cells have, in the order in which they were made."""
        found: list[tuple[float, int, int, Record]] = []
        for index in self.cells_of(name):
            data = self._record_in(index)
            if data is not None and _is_whole(data):
                record = from_record(data, f"the record in cell {index + 1}")
                if record.flow.name == name:
                    count = self.cells[index].get("execution_count") or 0
                    found.append((record.at, count, index, record))
        return [record for *_, record in sorted(found, key=lambda one: one[:3])]

    def _changed_since(self, name: str) -> str:
        """Say in what the cells of a flow are other ones than those that were captured; else nothing."""
        records = self._records(name)
        if not records:
            other = any(self._record_in(index) is not None for index in self.cells_of(name))
            return "the records in its outputs are not of its cells as they are now" if other else ""
        captured, now = records[-1].cells, self._shas(name)
        steps = {self.headers[index].step: index + 1 for index in self.cells_of(name)}
        edited = [steps[step] for step, sha in now.items() if captured.get(step, sha) != sha]
        gone = [f"{cell_name(name, step)} is gone from the notebook" for step in captured if step not in now]
        new = [steps[step] for step in now if step not in captured]
        told = [*([_cells(edited, "edited")] if edited else []), *gone]
        return ", ".join([*told, *([_cells(new, "added")] if new else [])])

    def _record_in(self, index: int) -> dict[str, Any] | None:
        for output in reversed(self.cells[index].get("outputs", ())):
            record = output.get("data", {}).get(MIME) if isinstance(output, dict) else None
            if isinstance(record, dict):
                return record
        return None

    @cached_property
    def _flows(self) -> dict[str, Flow]:
        return {self.document.name: self.document} if self.document is not None else {}

    @cached_property
    def _recorded(self) -> dict[str, Record | None]:
        return {}

    # -- from source ---------------------------------------------------------------------------------------

    def _from_source(self, name: str) -> Flow:
        history, steps = self._followed
        found = [steps[index] for index in self.cells_of(name)]
        for step in found:
            if isinstance(step, FlownbError):
                raise step
        captured = [step for step in found if isinstance(step, Captured)]
        self._look_below(captured, history)
        return assemble(name, captured, history).flow

    @cached_property
    def _followed(self) -> tuple[History, dict[int, Captured | FlownbError]]:
        """The history of all code cells, executed from top to bottom, and the steps met on the way."""
        history = History(self.folder, frozenset({"star", "code"}))
        steps: dict[int, Captured | FlownbError] = {}
        count = 0
        for index, cell in enumerate(self.cells):
            if cell["cell_type"] != "code" or not cell["source"].strip():
                continue
            count += 1
            header = self.headers.get(index)
            captured = None
            if header is not None:
                captured = self._captured(index, history)
                steps[index] = captured
            executed = history.add(
                cell["source"],
                label=f"cell {index + 1}",
                cell_id=cell.get("id"),
                step=(header.flow, header.step) if header is not None else None,
                imagined=isinstance(captured, Captured) and _only_defined(captured.cell, history),
                failed_at=_failed_at(cell),
                count=cell.get("execution_count") or count,
                shown=_shows(cell),
            )
            if isinstance(captured, Captured):
                captured.execution = executed
        return history, steps

    def _captured(self, index: int, history: History) -> Captured | FlownbError:
        try:
            cell = read_cell(self.cells[index]["source"])
        except SyntaxError as error:
            return CaptureError(f"cell {index + 1}, line {error.lineno}: {error.msg}")
        except FlownbError as error:
            return error
        return Captured(
            cell,
            len(history.executed),
            history.look(wanted_names(cell, history), optional=cell.names.optional),
        )

    def _look_below(self, steps: Sequence[Captured], history: History) -> None:
        """Take what only cells below a step bind from there, as a person would have run them first."""
        theirs = {bound for step in steps for bound in step.cell.step.binds}
        theirs |= {parameter.name for step in steps for parameter in step.cell.parameters}
        for step in steps:
            check_outputs(step.cell, {*theirs, *history.world.names})
            sliced, _ = step.slice(history, frozenset(theirs), {other.name: other for other in steps})
            left = sliced.missing - theirs - PROVIDED
            below = {name for name in left | sliced.later - theirs if name in history.world.names}
            step.look.reads += history.look(below).reads
            step.look.missing -= below
            for missing in sorted(left - below - step.cell.names.optional):
                known = [known for known in history.world.names if not known.startswith("_")]
                near = difflib.get_close_matches(missing, known, 1)
                hint = f"did you mean `{near[0]}`? If not, " if near else ""
                raise CaptureError(
                    f"{step.cell.where} reads `{missing}`, which no cell of the notebook binds"
                    f"{history.unread}; {hint}mend the cell, or run it where the name has a value"
                )

    def _naming(self, name: str) -> _Naming:
        return _Naming(self.what, name)


class _Naming:
    """Puts the notebook's name before what goes wrong in it."""

    def __init__(self, what: str, name: str) -> None:
        self.what = what
        self.name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, FlownbError):
            raise type(error)(f"{self.what}: {error}").about(self.name) from error
        if isinstance(error, RecursionError):
            raise CaptureError(
                f"{self.what}: a cell that {self.name} needs is nested too deeply to be read; "
                "split its longest expression into several",
                flow=self.name,
            ) from error


def _is_whole(data: Mapping[str, Any]) -> bool:
    """Whether a record is of a whole flow: those of schema 1 are of a step each."""
    return "captured" in data.get("metadata", {}).get("flownb", {})


def _cells(numbers: Sequence[int], what: str) -> str:
    cells = f"cell {numbers[0]} was" if len(numbers) == 1 else f"cells {', '.join(map(str, numbers))} were"
    return f"{cells} {what} since the capture"


def _only_defined(cell: Cell, history: History) -> bool:
    """Whether a cell is captured without being executed: a required parameter has no value."""
    unset = (parameter.name for parameter in cell.parameters if parameter.required)
    return cell.header.define or any(name not in history.world.names for name in unset)


def _failed_at(cell: Mapping[str, Any]) -> int | None:
    """Return the line at which an exception ended a cell, as its output tells; None where none did."""
    for output in cell.get("outputs", ()):
        if output.get("output_type") == "error":
            return line_told(output.get("traceback", ()), cell["source"])
    return None


def _shows(cell: Mapping[str, Any]) -> bool:
    """Whether a cell's last expression gave a value, as its outputs tell; without any it is taken to."""
    outputs = cell.get("outputs", ())
    return any(output.get("output_type") == "execute_result" for output in outputs) if outputs else True
