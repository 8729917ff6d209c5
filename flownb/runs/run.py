"""A run, as people and callbacks meet it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from flownb.displays.run import error_lines, run_card
from flownb.displays.wording import shorten, visible
from flownb.errors import ParametersRefusedError, RecordError, RunFailedError
from flownb.runs.liveness import cancel_requested, request_cancel
from flownb.runs.outputs import Outputs
from flownb.runs.project import Project
from flownb.runs.states import State
from flownb.runs.store import RecordStore
from flownb.runs.zombies import bury

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from os import PathLike
    from pathlib import Path
    from typing import Self

    from flownb.runs.record import RunError, RunRecord, StepRecord

__all__ = ["Run", "cancel_requested"]

_POLL = (0.01, 0.25)  #: seconds between two looks while waiting: at first, at most


class Run:
    """One run of a flow. What it tells is as of now while the run goes on, and final once it has ended.

    Got from an environment, `Run.load`, or `Runs.load`; callbacks are given one.
    """

    def __init__(
        self, record: RunRecord, store: RecordStore, *, cancel: Callable[[], object] | None = None
    ) -> None:
        """`cancel` stops a run that this very process supervises; others are asked through their folder."""
        self._record = record
        self._store = store
        self._cancel = cancel
        self._outputs: Outputs | None = None

    @classmethod
    def load(cls, run_id: str = "last", project: Project | PathLike[str] | str = ".") -> Self:
        """Return a recorded run by its id, a beginning or end of it that is unique, or `last`.

        `project` may be any folder inside the project.

        Raises `RunNotFoundError`, naming the candidates where there are several; also for a folder
        that is not there.
        """
        store = RecordStore(Project.at(project))
        return cls(store.get(run_id), store)

    @property
    def record(self) -> RunRecord:
        """All that is recorded, as it is now."""
        return self._record if self._record.state.terminal else self._latest()

    @property
    def id(self) -> str:
        """The run's name, unique in its project."""
        return self._record.id

    @property
    def flow(self) -> str:
        """The flow's name."""
        return self._record.flow

    @property
    def folder(self) -> Path:
        """The folder of the run's files."""
        return self._record.folder

    @property
    def notebook(self) -> Path:
        """The executed notebook."""
        return self._record.notebook

    @property
    def document(self) -> Path:
        """The flow document that was executed."""
        return self._record.document

    @property
    def parameters(self) -> dict[str, Any]:
        """The values that were given; `***` for secrets.

        Of the notebook's own classes, the name of an Enum's member, and a dict of what a model was made of.
        """
        from flownb.parameters import recorded_value

        return {name: recorded_value(source) for name, source in self._record.parameters.items()}

    @property
    def digest(self) -> str:
        """The digest of the flow as it ran."""
        return self._record.digest

    @property
    def location(self) -> str:
        """Where the flow is in its storage, version and all."""
        return self._record.location

    @property
    def labels(self) -> list[str]:
        """The labels of the environment."""
        return self._record.labels

    @property
    def asked_by(self) -> str:
        """Who asked for it: "notebook", "command line", "python" or "schedule"."""
        return self._record.asked_by

    @property
    def state(self) -> State:
        """Where it stands."""
        return self.record.state

    @property
    def error(self) -> RunError | None:
        """Why it did not succeed."""
        return self.record.error

    @property
    def steps(self) -> list[StepRecord]:
        """Its steps in their order."""
        return self.record.steps

    @property
    def started(self) -> datetime | None:
        """When it started (aware)."""
        return self.record.started

    @property
    def ended(self) -> datetime | None:
        """When it ended (aware)."""
        return self.record.ended

    @property
    def seconds(self) -> float | None:
        """Wall time in seconds, up to now while it runs; None before it started."""
        return self.record.seconds

    @property
    def differs(self) -> str:
        """What was other than at the flow's capture, in a line; empty where nothing was."""
        return str(self._latest().metrics.get("differs", ""))

    @property
    def metrics(self) -> dict[str, Any]:
        """What was measured: `cpu_seconds`, `peak_memory_bytes` and what callbacks added."""
        return self._latest().metrics

    @property
    def callback_errors(self) -> list[Any]:
        """Callbacks that failed; they never change the run's state."""
        return self._latest().callback_errors

    @property
    def outputs(self) -> Outputs:
        """The outputs stored so far; their values are read when they are asked for."""
        record = self.record
        if self._outputs is None or not self._outputs_are_final:
            records = self._store.outputs(record.id)
            waiting = any(output.needs_trust for output in records)  # which may come from another process
            self._outputs_are_final = record.state.terminal and not waiting
            self._outputs = Outputs.of(record, records)
        return self._outputs

    _outputs_are_final = False

    def trust(self) -> list[str]:
        """Let the outputs of a run that came from elsewhere be read back; return the names of those.

        To read what is pickled is to run what is in it. What you recorded on this machine needs no trust.
        """
        trusted = self._store.trust(self.id)
        self._outputs = None
        return [output.name for output in trusted]

    @property
    def logs(self) -> str:
        """What the flow printed, and what flownb noted; empty where there is no log."""
        try:
            return self._record.log.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise RecordError(f"{self._record.log} cannot be read: {error.strerror or error}") from error

    @property
    def link(self) -> Path | None:
        """A link to the executed notebook that Jupyter opens, where one can be made; it is made now."""
        from flownb.runs.beside import linked

        return linked(self._store.project, self.record)

    def refresh(self) -> Self:
        """Read the record again; a run whose supervisor died is found to be `Crashed` here."""
        self._latest()
        return self

    def _latest(self) -> RunRecord:
        record = self._store.get(self._record.id)
        if not record.state.terminal:
            record = bury(self._store, record) or record
        self._record = record
        return record

    def wait(self, timeout: float | None = None) -> Self:
        """Wait until it has ended, at most `timeout` seconds, and return it.

        Raises `TimeoutError`; the run goes on then.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        pause, longest = _POLL
        while not self.state.terminal:
            left = longest if deadline is None else deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(
                    f"run {self.id} of flow `{self.flow}` has not ended after {timeout} s; it goes on"
                )
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, longest)
        return self

    def cancel(self) -> bool:
        """Ask that the run be stopped; False where it has ended already. `wait` tells what came of it.

        From any process: one that does not supervise the run leaves word in its folder.
        """
        if self.state.terminal:
            return False
        if self._cancel is not None:
            self._cancel()
        else:
            request_cancel(self.folder)
        return True

    def raise_for_state(self) -> Self:
        """Return the run if it ended as `Success`; else raise `RunFailedError`, which says why and where.

        Where a parameter was not what was declared, that is a `ParametersRefusedError`, which is a
        `ParameterError` as well.
        """
        record = self.record
        if record.state is State.SUCCESS:
            return self
        if not record.state.terminal:
            raise RunFailedError(
                f"flow `{record.flow}` has not ended yet (run {record.id}: {record.state}); wait() for it",
                run=self,
            )
        if record.error is not None and record.error.of_parameters:
            raise ParametersRefusedError(record.error.message, run=self)
        lines = [f"flow `{visible(record.flow)}` ended as {record.state}"]
        if record.error is not None:
            first, *rest = error_lines(record.error)
            lines = [f"{lines[0]} in {first}" if record.error.step else f"{lines[0]}: {first}", *rest]
        if record.notebook.exists():
            lines.append(f"executed notebook: {record.notebook}")
        raise RunFailedError("\n".join(lines), run=self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Run):
            return NotImplemented
        return (self.id, self.folder) == (other.id, other.folder)

    def __hash__(self) -> int:
        return hash(self.id)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).load, (self.id, self._store.project)

    def __repr__(self) -> str:
        return f"<Run {visible(self.id)}: {shorten(self.flow, 100)}, {self._record.state}>"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else run_card(self._latest(), self.outputs.records).text)

    def _repr_html_(self) -> str:
        from flownb.runs.beside import beside

        record, outputs = self._latest(), self.outputs.records
        return run_card(record, outputs, beside(self._store.project, record, outputs)).html
