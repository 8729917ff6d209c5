"""Writes down a run while it goes on: steps, outputs, journal, log and the executed notebook."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from flownb.engine import Observer, Silent
from flownb.engine.ending import plain
from flownb.environments.meter import Meter, Taken
from flownb.environments.plan import step_of, steps_by_cell, wants_collecting
from flownb.environments.share import Share
from flownb.environments.times import END, IMPORTS, OUTPUTS, SETUP, START, STEP, Times
from flownb.errors import RecordError
from flownb.runs.collect import collected, snippet
from flownb.runs.executed import mark, write_atomic
from flownb.runs.record import RUN_CODE, OutputRecord, RunError, RunRecord, StepRecord
from flownb.runs.signing import Key
from flownb.runs.states import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbformat import NotebookNode

    from flownb.engine import CellError, Reply
    from flownb.environments.runlog import RunLog
    from flownb.environments.secrecy import Secrecy
    from flownb.flow import Flow
    from flownb.runs.journal import Journal
    from flownb.runs.store import RecordStore


@dataclass
class Books:
    """Where a run is written down, and the record as it stands: what supervisor and recorder share."""

    flow: Flow
    store: RecordStore
    journal: Journal
    log: RunLog
    redacted: Secrecy
    record: RunRecord
    notebook: NotebookNode  #: as it stands
    spans: list[Taken] = field(default_factory=list)  #: what each step took
    times: Times = field(default_factory=Times)
    revision: int = 0  #: counts up when there is something new to show
    _known: dict[int, int] = field(default_factory=dict)

    @cached_property
    def key(self) -> Key | None:
        """The user's key, for what runs code when it is read back; None where there can be none."""
        try:
            return Key.made()
        except RecordError as error:
            self.log.note(
                f"outputs that are pickled are not signed, so they are to be trusted first: {error}"
            )
            return None

    def change(self, **changed: Any) -> None:
        """Change the record, here and in the store."""
        self.store.change(self.record.id, **changed)
        self.record = replace(self.record, **changed)
        self.revision += 1

    def put_step(self, step: StepRecord, *, store: bool = True) -> None:
        """Change how a step stands."""
        steps = list(self.record.steps)
        steps[step.position] = step
        self.record = replace(self.record, steps=steps)
        self.revision += 1
        if store:
            self.store.set_step(self.record.id, step)

    def save_notebook(self, *, durable: bool = True) -> None:
        """Write the executed notebook with the statuses that are true now."""
        write_atomic(self.record.notebook, mark(self.notebook, self.record), durable=durable)

    def position_of(self, index: int | None) -> int | None:
        """Return the position of the step that the cell at `index` is; None where it is none."""
        return None if index is None else self._steps_by_cell.get(index)

    def step_name(self, index: int | None) -> str:
        """Return the name of the step that the cell at `index` is or belongs to; empty for none."""
        if index is None:
            return ""
        return step_of(self.flow, self.notebook.cells[index], self.position_of(index))

    @property
    def _steps_by_cell(self) -> dict[int, int]:
        if not self._known:
            self._known = steps_by_cell(self.flow, self.notebook)
        return self._known


class Recorder(Observer):
    """Hears what the engine does in one attempt, and writes it into the run's books.

    The executed notebook costs what it is long, so it is written at a pace that takes at most a twentieth
    of the time; steps and journal cost what is new, and are written as it happens.
    """

    def __init__(self, books: Books) -> None:
        """Write into `books`."""
        self._books = books
        self._share = Share()
        self._meter = Meter(None)
        self._at: int | None = None  # index of the cell at work
        self._began = 0.0
        self._unwritten = False  # a change that neither journal nor notebook has
        self._unrecorded: StepRecord | None = None  # a step that runs, and the store does not know it yet
        self.error: CellError | None = None  #: what ended a cell, where one ended badly
        self.touched: set[int] = set()  #: indices of the cells that ran

    def notebook_started(self, nb: NotebookNode) -> None:
        """Write the executed notebook for the first time."""
        self._books.notebook = nb
        began = time.monotonic()
        self._books.save_notebook(durable=False)  # a power cut now loses a run that has just begun
        self._share.wrote(time.monotonic() - began)

    def importing(self, modules: Sequence[str]) -> None:  # noqa: ARG002  # that the notebook imports
        """Note that it is the imports that take the time, before there is a process."""
        self._turn_to(IMPORTS)

    def kernel_started(self, pid: int | None) -> None:
        """Begin to measure."""
        self._turn_to(START)
        self._meter = Meter(pid)

    def cell_started(self, index: int, cell: NotebookNode) -> None:
        """Note the cell, and its step as running."""
        self._at, self._began = index, time.monotonic()
        self.touched.add(index)
        self._meter.begin()
        position = self._books.position_of(index)
        imports = cell.metadata.get("flownb", {}).get("role") == IMPORTS
        self._books.times.turn_to(STEP if position is not None else IMPORTS if imports else SETUP)
        if position is not None:
            step = self._books.record.steps[position]
            self._unrecorded = replace(step, state=State.RUNNING, started=datetime.now(UTC))
            self._books.put_step(self._unrecorded, store=False)
            self._books.log.note(f"step {step.name}: started")
        self._books.journal.cell(index, cell)
        self._unwritten = True

    def cell_output(self, index: int, cell: NotebookNode, output: NotebookNode | None) -> None:  # noqa: ARG002
        """Log what was printed."""
        self._unwritten = True
        if output is None:
            return
        if output.output_type == "stream":
            self._books.log.stream(output.name, output.text)
            self._share.grew(len(output.text))
        else:
            texts = (value for value in output.get("data", {}).values() if isinstance(value, str))
            self._share.grew(sum(map(len, texts)))

    def cell_ended(self, index: int, cell: NotebookNode, error: CellError | None) -> None:
        """Note how the cell and its step ended; how a step ended badly is known with the run's end."""
        self._books.times.turn_to(END)
        taken = self._meter.end()
        self.error = error or self.error
        self._books.spans.append(taken)
        self._books.log.flush()
        position = self._books.position_of(index)
        if position is not None:
            step = replace(
                self._books.record.steps[position],
                state=State.RUNNING if error else State.SUCCESS,
                ended=datetime.now(UTC),
                seconds=round(time.monotonic() - self._began, 6),
                cpu_seconds=taken.cpu_seconds,
                peak_memory_bytes=taken.peak_memory_bytes,
            )
            self._books.put_step(step)
            if error is None:
                self._books.log.note(f"step {step.name}: {step.state} after {step.seconds:.3g} s")
        if error is not None:
            self._books.log.text("\n".join(error.traceback) or f"{error.ename}: {error.evalue}")
        self._at = self._unrecorded = None
        self._books.journal.cell(index, cell)
        self._unwritten = True

    def follows_at_once(self, index: int, cell: NotebookNode) -> bool:  # noqa: ARG002  # its place tells
        """Return whether the cell is of no step whose outputs are to be stored."""
        position = self._books.position_of(index)
        return position is None or not wants_collecting(self._books.flow.steps[position])

    def code_after(self, index: int, cell: NotebookNode) -> Silent | None:
        """Ask for the step's outputs to be stored."""
        position = self._books.position_of(index)
        if position is None or not wants_collecting(step := self._books.flow.steps[position]):
            return None
        self._books.times.turn_to(OUTPUTS)
        count = cell.execution_count if step.result else None
        return Silent(snippet(step.outputs, count, self._books.record.outputs_folder, step=step.name))

    def code_ended(self, index: int, cell: NotebookNode, reply: Reply) -> None:
        """Record the step's outputs, and leave their records in the step's cell."""
        position = self._books.position_of(index)
        assert position is not None  # code_after asked for it
        step = self._books.flow.steps[position]
        records = collected(self._books.record.outputs_folder, step.name)
        if not reply.ok:
            why = f"{reply.error.ename}: {reply.error.evalue}" if reply.error else "no answer"
            names = (*step.outputs, *(("result",) if step.result else ()))
            records = [OutputRecord(name, step.name, format="error", error=why) for name in names]
        folder = self._books.record.outputs_folder
        records = [self._books.redacted.output(record, folder) for record in records]
        for record in records:
            key = self._books.key if record.format in RUN_CODE else None
            self._books.store.add_output(self._books.record.id, record, key)
            if record.error:
                self._books.log.note(f"output {record.name} of step {step.name}: {record.error}")
        about = cell.metadata.setdefault("flownb", type(cell)())
        about["collected"] = [record.to_json() for record in records]
        self._books.journal.cell(index, cell)
        self._turn_to(END)
        self._unwritten = True

    def _turn_to(self, what: str) -> None:
        """Note what takes the time from now on, where people look."""
        self._books.times.turn_to(what)
        self._books.record = replace(self._books.record, times=self._books.times.seconds)
        self._books.revision += 1

    def tick(self, nb: NotebookNode) -> None:
        """Write what is due."""
        self._meter.look()
        if self._unrecorded is not None:
            self._books.put_step(self._unrecorded)
            self._unrecorded = None
        if self._unwritten and self._share.allows:
            began = time.monotonic()
            if self._at is not None:
                self._books.journal.cell(self._at, nb.cells[self._at])
            self._books.save_notebook()
            self._share.wrote(time.monotonic() - began)
            self._unwritten = False

    def notebook_ended(self, nb: NotebookNode) -> None:
        """Note the notebook's own metadata; the supervisor writes the end."""
        self._books.journal.metadata(nb.metadata)


def run_error(
    kind: str, message: str, step: str = "", error: CellError | None = None, first_line: int = 1
) -> RunError:
    """Return why a run ended, with the place in the step where the kernel told it.

    `first_line` is the line of the captured cell on which the step begins: people look there.
    """
    if error is None:
        return RunError(kind, message, step)
    line = error.line + first_line - 1 if step and error.line is not None else None
    return RunError(kind, message, step, line, error.source_line or None, plain("\n".join(error.traceback)))
