"""The live notebook: what `%%flow` does around a cell that runs.

The first line of a `%%flow` cell is blank to Python; the cell runs as without it, so tracebacks, top-level
`await` and the last expression are its own. What it reads is looked up in the history before it runs; when it
has succeeded, it is captured and displayed. What keeps it from being captured is told then, and never keeps
it from running.
"""

from __future__ import annotations

import ast
import os
import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flownb.capture.assemble import Assembled, assemble, cell_name
from flownb.capture.cell import Cell, begins_flow, is_flow_cell, misplaced, read_cell, read_header, split_cell
from flownb.capture.failing import line_raised, line_told
from flownb.capture.history import History
from flownb.capture.live import begin, marks_of
from flownb.capture.record import Record, cell_sha, to_record
from flownb.capture.saved import SavedNotebook
from flownb.capture.stale import executed_since
from flownb.capture.statements import without_magics
from flownb.document import MIME, load_notebook
from flownb.errors import CaptureError, DocumentError, FlownbError
from flownb.names import to_python
from flownb.parameters import split_leading

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult, InteractiveShell

    from flownb.capture.captured import Captured
    from flownb.capture.history import Execution
    from flownb.flow import Flow, Requirements
    from flownb.ui.keeping import Keeping

MISPLACED = "`%%flow` must be the first line of its cell: move the comment or the other magic below it"

Key = tuple[str, str]  #: flow and step

_ASK_AGAIN = 2.0  #: seconds after which the server is asked again where the notebook is


@dataclass(frozen=True, slots=True)
class Step:
    """A captured step, and the front end's cell that it is."""

    captured: Captured
    cell_id: str | None
    at: float  #: when it was captured, in seconds of the system's clock
    marks: Mapping[str, Mapping[str, Any]]  #: "reads" and "gives": name -> mark of its value


@dataclass(slots=True)
class _Pending:
    """A `%%flow` cell that is running."""

    info: ExecutionInfo
    cell: Cell | None = None
    captured: Captured | None = None
    reads: Mapping[str, Any] = field(default_factory=dict)  #: marks of what it reads
    problem: Exception | None = None  #: why it cannot be captured
    ran: bool = True


class LiveNotebook:
    """The flows of one shell, captured so far."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self._place: tuple[float, Path | None] = (
            float("-inf"),
            None,
        )  # when the server was asked, its answer
        self.steps: dict[Key, Step] = {}  #: in order of first capture
        self._needs: dict[str, Requirements] = {}  #: what flows were seen to need when they were captured
        self.history = History(self.folder)
        raised = getattr(shell.history_manager, "exceptions", {})  # not every IPython keeps them
        for number, source in enumerate(shell.history_manager.input_hist_raw[1 : shell.execution_count], 1):
            error = raised.get(number)
            self.history.add(
                source,
                label=f"In[{number}]",
                count=number,
                failed_at=line_told(error["traceback"], source) if error else None,
                shown=number in shell.user_ns["Out"],
            )
        self._pending: _Pending | None = None
        self._started = time.monotonic()
        self._saved: tuple[int, list[dict[str, Any]]] = (0, [])

    # --- where it is ---

    @property
    def path(self) -> Path | None:
        """The notebook's file, where the front end tells it."""
        told = self.shell.user_ns.get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME")
        if not isinstance(told, str) or not told.endswith(".ipynb"):
            return None
        path = Path(told)
        return path if path.is_file() else self._renamed()

    def _renamed(self) -> Path | None:
        """Return where the notebook is that is no more where it was; the server is asked now and then."""
        asked, path = self._place
        if (path is None or not path.is_file()) and time.monotonic() - asked > _ASK_AGAIN:
            from flownb.ui.sessions import this_notebook

            path = this_notebook()
            self._place = time.monotonic(), path
        return path if path is not None and path.is_file() else None

    @property
    def folder(self) -> Path:
        """The notebook's folder: where its kernel was started."""
        return self.path.parent if self.path is not None else Path(self.shell.starting_dir)

    @cached_property
    def keeping(self) -> Keeping:
        """Where what is captured goes beside this notebook."""
        from flownb.ui.keeping import Keeping

        return Keeping(self)

    # --- around a cell ---

    def transform(self, lines: list[str]) -> list[str]:
        """Blank the first line of a `%%flow` cell's source; all of it, where the cell is not to run."""
        source = "".join(lines)
        if not is_flow_cell(source):
            return [*map(_without_flow_line, lines)] if misplaced(source) else lines
        if self._defines_only(*split_cell(source)):
            return ["\n"] * len(lines)
        return ["\n", *_with_cell_magic(lines[1:])]

    def _defines_only(self, line: str, body: str) -> bool:
        """Whether the cell is not to run: asked for, or a required parameter has no value here.

        A cell that is not Python is left to run, so that IPython shows Python's own error.
        """
        try:
            ast.parse(to_python(split_leading(without_magics(body)[0]).body))
            define = read_header(line).define
        except (SyntaxError, ValueError, FlownbError):
            return False
        return define or bool(self.unset(body))

    def unset(self, body: str) -> list[str]:
        """Return the required parameters of a cell that have no value in the namespace."""
        namespace = self.shell.user_ns
        declared = split_leading(without_magics(body)[0]).parameters
        return [p.name for p in declared if p.required and p.name not in namespace]

    def before(self, info: ExecutionInfo) -> None:
        """Look up what a `%%flow` cell reads, before it runs."""
        if self._pending is not None and self._pending.info is not info:
            return  # a magic in the cell (%%capture) runs its body as a cell of its own
        self._started = time.monotonic()
        self._pending = pending = _Pending(info)
        if not is_flow_cell(info.raw_cell):
            if misplaced(info.raw_cell):
                pending.problem = CaptureError(MISPLACED)
            return
        try:
            pending.ran = not self._defines_only(*split_cell(info.raw_cell))
            pending.cell = cell = read_cell(info.raw_cell)
            environment = self._environment(cell.header.environment)
            key = (cell.header.flow, cell.header.step)
            others = [
                step.captured for other, step in self._others(key, getattr(info, "cell_id", None)).items()
            ]
            pending.captured = begin(self.history, cell, self.shell.user_ns, others)
            pending.captured.environment = environment
            if pending.ran:
                pending.reads = marks_of(cell.step.reads, self.shell.user_ns)
        except SyntaxError:
            pending.cell = None  # Python tells of it
        except (FlownbError, RecursionError) as error:
            pending.problem = error

    def _environment(self, name: str | None) -> Mapping[str, Any] | None:
        """Return the environment that a `%%flow` line names, as a flow keeps it."""
        if name is None:
            return None
        from flownb.environments.chosen import named_environment
        from flownb.runs.project import Project

        return named_environment(Project.of(self.folder), name)

    def after(self, result: ExecutionResult) -> None:
        """Note what was executed; keep and show what was captured, when the cell has succeeded."""
        pending = self._pending
        if pending is None or result.info is not pending.info:
            return
        self._pending = None
        execution = self._note(result, pending)
        if not result.success or (pending.cell is None and pending.problem is None):
            return
        try:
            if pending.problem is not None:
                raise pending.problem
            assert pending.captured is not None
            pending.captured.execution = execution
            self._keep(pending, pending.captured, self._given(pending, result))
        except FlownbError:
            # Raised inside an event it would show as a traceback of ours; this shows its message.
            self.shell.showtraceback()
        except RecursionError:
            self.shell.showtraceback(
                (
                    CaptureError,
                    CaptureError("the cell, or one that it needs, is nested too deeply to be read"),
                    None,
                )
            )

    def _note(self, result: ExecutionResult, pending: _Pending) -> Any:
        """Add a cell to the history."""
        info = pending.info
        header = pending.cell.header if pending.cell is not None else None
        count, failed = result.execution_count, result.error_in_exec
        if result.error_before_exec is not None and pending.ran:
            # IPython compiles statement by statement: those above the one that it refuses were executed
            if not isinstance(result.error_before_exec, SyntaxError):
                return None
            failed = result.error_before_exec
        return self.history.add(
            info.raw_cell,
            label=f"In[{count}]" if count is not None else "a cell",
            cell_id=getattr(info, "cell_id", None),
            seconds=time.monotonic() - self._started,
            step=(header.flow, header.step) if header is not None else None,
            failed_at=line_raised(failed, info.raw_cell, self.shell.user_ns) if failed is not None else None,
            imagined=not pending.ran,
            count=count,
            shown=result.result is not None,
        )

    def _others(self, key: Key, cell_id: str | None) -> dict[Key, Step]:
        """Return the flow's other steps, without what the cell was before it got its present name."""
        return {
            other: step
            for other, step in self.steps.items()
            if other[0] == key[0] and other != key and not _moved(step, cell_id, other, key)
        }

    def _given(self, pending: _Pending, result: ExecutionResult) -> dict[str, Any]:
        """Return marks of what a cell that ran gives."""
        if pending.cell is None or not pending.ran:
            return {}
        step = pending.cell.step
        shown = {"result": result.result} if pending.cell.result and result.result is not None else {}
        return {**marks_of(step.outputs, self.shell.user_ns), **marks_of(shown, shown)}

    def _keep(self, pending: _Pending, captured: Captured, given: Mapping[str, Any]) -> None:
        from flownb.displays.captures import Replayed, capture_summary

        header = captured.cell.header
        cell_id = getattr(pending.info, "cell_id", None)
        key = (header.flow, header.step)
        others = self._others(key, cell_id)
        step = Step(captured, cell_id, time.time(), {"reads": pending.reads, "gives": given})
        captured.proved = pending.ran
        assembled = self._assembled(header.flow, {**others, key: step})  # what is wrong leaves all as it was
        flow = replace(assembled.flow, folder=self.folder)
        for other in [k for k, c in self.steps.items() if _moved(c, cell_id, k, key)]:
            del self.steps[other]
        self.steps[key] = step
        self._needs[flow.name] = flow.requirements
        notes = list(captured.notes)
        if not pending.ran and not header.define:
            unset = ", ".join(f"`{name}`" for name in self.unset(split_cell(captured.cell.source)[1]))
            notes.insert(0, f"captured without running: {unset} has no value here")
        kept = ""
        try:
            if header.storage is not None:
                from flownb.storage import open_storage

                location = open_storage(header.storage).add_flow(flow, replace=True)
                notes.append(f"kept in {header.storage} as {location}")
            kept = self.keeping.keep(flow)
        finally:  # whatever a storage says, the cell is captured, and its record is in its output
            read = set(captured.cell.step.reads).difference(*(entry.bound for entry in captured.frozen))
            replayed = [
                Replayed(cell.label, count, cell.seconds, tuple(sorted(read & self.history.bound_in(cell))))
                for cell, count in assembled.cells.items()
            ]
            shown = capture_summary(
                flow,
                header.step,
                replayed=replayed,
                notes=notes,
                stale=self._stale(flow.name, self._before(key)),
                ran=pending.ran,
                kept=kept,
            )
            record = Record(flow, self._shas(header.flow), tuple(notes), self.marks(flow), step.at)
            self.shell.display_pub.publish({**shown._repr_mimebundle_(), MIME: to_record(record)})
        if header.check or self._checks():
            self._check(flow)

    def _checks(self) -> bool:
        """Whether the project has each capture checked: `check = true` in `flownb.toml`."""
        from flownb.runs.project import Project

        project = Project.of(self.folder)
        checks = project.settings().get("check", False)
        if not isinstance(checks, bool):
            raise CaptureError(
                f"{project.root / 'flownb.toml'}: `check` is true or false, and not {checks!r}"
            )
        return checks

    def _check(self, flow: Flow) -> None:
        from flownb.ui.checking import show_check

        show_check(self, flow, self.marks(flow), {})

    def marks(self, flow: Flow) -> dict[str, Any]:
        """Return the marks that were kept of what a flow's steps read and gave here."""
        from flownb.environments.checking import without_secrets

        marks = {key[1]: step.marks for key, step in self.steps.items() if key[0] == flow.name}
        return without_secrets(marks, flow, self.shell.user_ns)

    def _shas(self, flow: str) -> dict[str, str]:
        return {
            key[1]: cell_sha(step.captured.cell.source) for key, step in self.steps.items() if key[0] == flow
        }

    # --- what there is ---

    @property
    def names(self) -> list[str]:
        """Names of the flows captured here, in order of first capture."""
        return list(dict.fromkeys(flow for flow, _ in self.steps))

    def _ordered(self, steps: dict[Key, Step]) -> list[Key]:
        """Return steps in the order of the saved notebook, else of their first capture."""
        positions = self._positions()
        if not positions.keys() >= {step.cell_id for step in steps.values()}:
            return list(steps)
        return sorted(steps, key=lambda key: positions[steps[key].cell_id])

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
        captured = {step.cell_id for step in self.steps.values()}
        steps = []
        for cell in self._saved_cells():
            if cell["cell_type"] != "code" or cell.get("id") in captured or not is_flow_cell(cell["source"]):
                continue
            try:
                header = read_header(split_cell(cell["source"])[0])
            except FlownbError:
                continue  # told when that cell is run
            if header.flow == name and (name, header.step) not in self.steps:
                steps.append(header.step)
        return list(dict.fromkeys(steps))  # two cells may bear one step's name: the one that runs last is it

    def flow(self, name: str) -> Flow:
        """Return the flow as captured here, other steps from the saved notebook. Raises `CaptureError`."""
        if self.steps_to_come(name):
            return self._completed(name)
        steps = {key: step for key, step in self.steps.items() if key[0] == name}
        flow = self._assembled(name, steps).flow
        return replace(flow, folder=self.folder, requirements=self._needs.get(name, flow.requirements))

    def _assembled(self, name: str, steps: dict[Key, Step]) -> Assembled:
        return assemble(name, [steps[key].captured for key in self._ordered(steps)], self.history)

    def _completed(self, name: str) -> Flow:
        """Return the flow as the saved notebook has it, with the cells captured here as they are."""
        here = {step.cell_id: step.captured.cell.source for step in self.steps.values() if step.cell_id}
        saved = self._saved_cells()
        cells = [{**cell, "source": here.get(str(cell.get("id")), cell["source"])} for cell in saved]
        flow = SavedNotebook(cells, str(self.path), self.folder).flow(name)
        own = [step.captured for key, step in self.steps.items() if key[0] == name]
        environment = next((captured.environment for captured in own if captured.environment), None)
        return replace(flow, environment=environment or flow.environment)

    def notes(self, name: str) -> list[str]:
        """Say what makes a flow that was captured here stale, a line each."""
        told = [
            f"step {step} did not run in this kernel: it is as saved" for step in self.steps_to_come(name)
        ]
        steps = {key: step for key, step in self.steps.items() if key[0] == name}
        return [*told, *self._stale(name, [steps[key] for key in self._ordered(steps)])]

    def _stale(self, name: str, steps: Sequence[Step]) -> list[str]:
        again = "run that cell again to capture it as it is now"
        since = executed_since([step.captured for step in steps], self.history, self._below(steps))
        told = [f"{text}, after {cell_name(name, step)} was captured: {again}" for step, text in since]
        return [*told, *self._edited(name, steps)]

    def _before(self, key: Key) -> list[Step]:
        """Return the steps of a flow that come before one: those behind it may well run next."""
        ordered = self._ordered({other: step for other, step in self.steps.items() if other[0] == key[0]})
        return [self.steps[other] for other in ordered[: ordered.index(key)]]

    def _below(self, steps: Sequence[Step]) -> Callable[[Captured, Execution], bool]:
        """Return what tells whether an executed cell is known to stand below a step's cell."""
        positions = self._positions()
        cells = {step.captured.name: positions.get(step.cell_id, -1) for step in steps}
        return lambda step, cell: -1 < cells[step.name] < positions.get(cell.id, -1)

    def _edited(self, name: str, steps: Sequence[Step]) -> list[str]:
        """Say which steps' cells are other ones in the notebook's file, where that was saved since."""
        saved = {cell.get("id"): cell["source"] for cell in self._saved_cells()}
        told = []
        for step in steps:
            if self.path is None or self.path.stat().st_mtime < step.at:
                continue
            title = cell_name(name, step.captured.name)
            if step.cell_id is not None and step.cell_id not in saved:
                wanted = name if step.captured.name == name else f"{name}.{step.captured.name}"
                told.append(
                    f"{title} is gone from the notebook: `%flow forget {wanted}` takes it out of {name}"
                )
            elif step.cell_id is not None and cell_sha(saved[step.cell_id]) != cell_sha(
                step.captured.cell.source
            ):
                told.append(
                    f"{title} was edited since it was captured: run it again to capture it as it is now"
                )
        return told

    def forget(self, name: str, step: str | None = None) -> bool:
        """Forget a flow, or one step of it; False where there is none."""
        keys = [key for key in self.steps if key[0] == name and step in (None, key[1])]
        for key in keys:
            del self.steps[key]
        return bool(keys)


def _moved(step: Step, cell_id: str | None, key: Key, now: Key) -> bool:
    """Whether a captured step is what the cell `cell_id` was before it got its present name."""
    return cell_id is not None and step.cell_id == cell_id and key != now


def _with_cell_magic(lines: list[str]) -> list[str]:
    """Let a cell magic that stands below the `%%flow` line take the rest of the cell."""
    text = "".join(lines)
    if not text.lstrip().startswith("%%"):
        return lines
    from IPython.core.inputtransformer2 import cell_magic

    transformed: list[str] = cell_magic(text.lstrip().splitlines(keepends=True))
    return transformed


def _without_flow_line(line: str) -> str:
    """Blank a `%%flow` line that stands in the wrong place: the cell runs as without it."""
    return "\n" if begins_flow(line) else line
