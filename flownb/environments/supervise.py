"""The life of one run, in the process that supervises it.

    recorded as Pending, its lock held -> on_start -> Running -> the engine, again where retries are left
    -> executed notebook and record say how it ended -> on_exit -> the lock is let go

Whoever asks for the run waits here, or has a thread wait. An interrupt cancels the run; it is a state, not
an exception that leaves the record behind.
"""

from __future__ import annotations

import shutil
import threading
import time
import traceback
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flownb.callbacks.base import CallbackFailure, name_of, run_all
from flownb.engine import Ending, Limits, Stop, execute
from flownb.environments.meter import together
from flownb.environments.plan import settles
from flownb.environments.recording import Books, Recorder, run_error
from flownb.environments.runlog import RunLog
from flownb.environments.secrecy import Secrecy
from flownb.environments.signals import stopped_by_signals
from flownb.environments.times import Times
from flownb.errors import FlownbError, RecordError
from flownb.runs.executed import mark, write_atomic
from flownb.runs.journal import Journal
from flownb.runs.liveness import Lock, cancel_requested
from flownb.runs.record import PARAMETERS, RunError, RunRecord, StepRecord, new_run_id
from flownb.runs.reserve import Reserve
from flownb.runs.run import Run
from flownb.runs.states import State
from flownb.runs.store import RecordStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from flownb.callbacks import Callback
    from flownb.engine import CellError
    from flownb.environments.differing import Differences
    from flownb.environments.plan import Plan
    from flownb.runs.project import Project

_TOLD_EVERY = 0.5  #: seconds after which a run that goes on is shown again, for its clock
_POLL = 0.1  #: seconds between looks for a word that the run be cancelled, while it waits to try again


@dataclass(frozen=True)
class Settings:
    """How a run is to be done: what an environment has made of its options."""

    kernel: str
    cwd: Path
    engine: str = "flownb"
    env: Mapping[str, str] = field(default_factory=dict)  #: variables, beside those of this process
    timeout: float | None = None  #: seconds for the whole run, all attempts and waits together
    step_timeout: float | None = None
    memory: int | None = None  #: bytes
    retries: int = 0
    backoff: float = 0.0  #: seconds before the first retry; doubled for each that follows
    on_start: tuple[Callback, ...] = ()
    on_exit: tuple[Callback, ...] = ()


@dataclass(frozen=True)
class Request:
    """What is to be run for whom: what the record says of it beside the outcome."""

    plan: Plan
    storage: dict[str, Any] | None
    source: str
    location: str
    environment: dict[str, Any]
    labels: tuple[str, ...]
    asked_by: str
    differing: Differences


@dataclass(frozen=True)
class Outcome:
    """What a run, or one attempt, came to."""

    state: State
    error: RunError | None = None


class Supervisor:
    """Supervises one run: `begin` records it, `work` does it. Both raise `RecordError`."""

    def __init__(self, project: Project, request: Request, settings: Settings) -> None:
        """Prepare; nothing is written yet."""
        self.stop = Stop()
        self._plan = request.plan
        self._settings = settings
        self._differing = request.differing
        self._store = RecordStore(project)
        redacted = Secrecy(request.plan.secrets.hidden)
        run_id = new_run_id()
        steps = [StepRecord(step.name, position) for position, step in enumerate(request.plan.flow.steps)]
        record = RunRecord(
            id=run_id,
            flow=request.plan.flow.name,
            folder=project.run_folder(run_id),
            storage=request.storage,
            source=request.source,
            location=request.location,
            version=request.plan.flow.version,
            digest=request.plan.flow.digest,
            parameters=redacted(request.plan.parameters),
            environment=redacted(request.environment),  # a stored callback may hold what it is not told
            labels=list(request.labels),
            asked_by=request.asked_by,
            engine=settings.engine,
            metrics={"differs": str(request.differing)} if request.differing.told else {},
            steps=steps,
        )
        self._books = Books(
            flow=request.plan.flow,
            store=self._store,
            journal=Journal(record.journal),
            log=RunLog(record.log, redacted),
            redacted=redacted,
            record=record,
            notebook=request.plan.notebook,
        )
        self._lock = Lock(record.lock)
        self._reserve = Reserve(record.reserve)
        self._on_change: Callable[[Run], object] | None = None
        self._told: tuple[int, float] = (-1, 0.0)  # revision and time when the run was last shown
        self._watcher_failed = False
        self._deadline: float | None = None
        self._began = 0.0

    @property
    def run(self) -> Run:
        """The run, as others see it; cancelling it stops it from any thread."""
        return Run(self._books.record, self._store, cancel=self.stop.request)

    def begin(self) -> None:
        """Record the run as `Pending`, with its folder, document and lock; else nothing is left of it."""
        record = self._books.record
        self._store.project.ensure()
        try:
            record.outputs_folder.mkdir(parents=True)
            self._lock.acquire()
            self._reserve.hold()
            write_atomic(record.document, self._plan.document, durable=False)  # the run has yet to begin
            self._store.create(record)
        except BaseException as error:
            self._lock.release()
            shutil.rmtree(record.folder, ignore_errors=True)
            if isinstance(error, OSError):
                raise RecordError(
                    f"the run cannot be recorded in {record.folder}: {error.strerror or error}"
                ) from error
            raise

    def work(self, on_change: Callable[[Run], object] | None = None) -> Run:
        """Do the run, to its end and through `on_exit`, and return it.

        `on_change` is called in this thread, at most ten times a second while something changes, and at
        the end. It changes nothing of what the run comes to: its first failure is recorded as a callback's.
        """
        self._on_change = on_change
        if self._differing.told:
            self._books.log.note(str(self._differing))
        with ExitStack() as held:
            held.enter_context(stopped_by_signals(self.stop.request))
            held.callback(self._lock.release)
            held.callback(self._reserve.free)
            held.callback(self._books.journal.close)
            held.callback(self._books.log.close)
            try:
                outcome = self._outcome()
                _uninterrupted(lambda: self._finish(outcome))
            finally:
                self._call(self._settings.on_exit, "on_exit")
            self._tell(always=True)
        return self.run.refresh()

    # how it goes

    def _outcome(self) -> Outcome:
        """Do what the run is for. Whatever happens is what it came to: nothing passes by the record."""
        try:
            self._tell(always=True)
            failures = self._call(self._settings.on_start, "on_start")
            if failures:
                first = failures[0]
                message = f"on_start failed, so the flow was not started: {first}"
                return Outcome(State.FAILED, RunError("CallbackError", message, traceback=first.traceback))
            self._books.change(state=State.RUNNING, started=datetime.now(UTC))
            self._books.journal.state(State.RUNNING)
            self._tell(always=True)  # a quick run is over before it would be due
            self._began = time.monotonic()
            self._books.times = Times()
            if self._settings.timeout is not None:
                self._deadline = self._began + self._settings.timeout
            return self._attempts()
        except KeyboardInterrupt:
            return Outcome(State.CANCELLED, RunError("Cancelled", "the run was cancelled"))
        except FlownbError as error:
            return Outcome(State.FAILED, RunError(type(error).__name__, str(error)))
        except Exception as error:  # noqa: BLE001  # it becomes the run's error
            told = "".join(traceback.format_exception(error))
            return Outcome(State.FAILED, RunError(type(error).__name__, str(error), traceback=told))

    def _attempts(self) -> Outcome:
        attempt = 1
        while True:
            began, recorder = time.monotonic(), Recorder(self._books)
            outcome = self._attempt(recorder)
            again = outcome.state in (State.FAILED, State.CRASHED) and attempt <= self._settings.retries
            if outcome.error is not None and outcome.error.of_parameters:
                again = False  # it was given the same as before
            wait = self._settings.backoff * 2 ** (attempt - 1)
            if not again or (self._deadline is not None and time.monotonic() + wait >= self._deadline):
                return outcome
            self._note_attempt(attempt, outcome, time.monotonic() - began, wait)
            if self._stopped_within(wait):
                return Outcome(
                    State.CANCELLED, RunError("Cancelled", "cancelled while it waited to try again")
                )
            attempt += 1
            self._start_again(attempt, recorder)

    def _attempt(self, recorder: Recorder) -> Outcome:
        settings = self._settings
        # the limit goes there as it was set: it is what the engine tells of when it is passed
        limits = Limits(
            settings.timeout, settings.step_timeout, settings.memory, time.monotonic() - self._began
        )
        ending = execute(
            self._plan.notebook,
            engine=settings.engine,
            kernel=settings.kernel,
            cwd=settings.cwd,
            env=settings.env,
            limits=limits,
            observer=recorder,
            secrets=self._plan.secrets,
            stop=self.stop,
            tick=self._tick,
        )
        if ending.engine and ending.engine != self._books.record.engine:
            self._books.change(engine=ending.engine)
        for note in ending.notes:
            self._books.log.note(note)
        if ending.log:
            self._books.log.text(ending.log)
        return self._outcome_of(ending, recorder.error)

    def _outcome_of(self, ending: Ending, where: CellError | None) -> Outcome:
        step = self._books.step_name(ending.cell)
        first = next((known.line for known in self._plan.flow.steps if known.name == step), 1)
        if ending.how == "success":
            if ending.early:
                self._books.log.note(
                    f"step {step}: ended the run by itself; outputs that it declares are not stored"
                )
            return Outcome(State.SUCCESS)
        if ending.how == "failed":
            assert ending.error is not None
            kind, message = ending.error.ename, ending.error.evalue
            if kind == PARAMETERS and self._settles(ending.cell):
                return Outcome(State.FAILED, RunError(PARAMETERS, message))
            if hint := self._differing.hint(kind, message):
                message = f"{message}; {hint}"
            return Outcome(State.FAILED, run_error(kind, message, step, ending.error, first))
        if ending.how == "died":
            return Outcome(State.CRASHED, run_error("DeadKernel", ending.reason, step, where, first))
        if ending.how == "timed out":
            told = f"{ending.reason}{self._where_it_went()}" if ending.limit == "run" else ending.reason
            return Outcome(State.FAILED, run_error("TimeOut", told, step, where, first))
        return Outcome(State.CANCELLED, run_error("Cancelled", ending.reason, step, where, first))

    def _where_it_went(self) -> str:
        """Say what took more than a tenth of the run's limit."""
        assert self._settings.timeout is not None
        steps = {f"step {step.name}": step.seconds or 0.0 for step in self._books.record.steps}
        spent = {**self._books.times.seconds, **steps}
        tenth = self._settings.timeout / 10
        most = [f"{what} {seconds:.2g} s" for what, seconds in spent.items() if seconds > tenth]
        return f": {', '.join(most)}" if most else ""

    def _settles(self, index: int | None) -> bool:
        return index is not None and settles(self._books.notebook["cells"][index])

    def _note_attempt(self, attempt: int, outcome: Outcome, seconds: float, wait: float) -> None:
        """Keep what a failed attempt came to: a line in the metrics, its notebook beside the last one's."""
        outcome = self._redacted(outcome)
        record = self._books.record
        noted = {
            "attempt": attempt,
            "state": outcome.state.value,
            "error": str(outcome.error),
            "seconds": round(seconds, 6),
        }
        attempts = [*record.metrics.get("attempts", ()), noted]
        self._books.log.note(f"attempt {attempt}: {outcome.state}: {outcome.error}; next one in {wait:g} s")
        self._books.journal.append({"event": "attempt", **noted})
        ended = replace(record, state=outcome.state, error=outcome.error, ended=datetime.now(UTC))
        write_atomic(record.folder / f"attempt-{attempt}.ipynb", mark(self._books.notebook, ended))
        self._books.change(metrics={**record.metrics, "attempts": attempts})

    def _start_again(self, attempt: int, before: Recorder) -> None:
        for step in self._books.record.steps:
            if step.state != State.PENDING:
                self._books.put_step(StepRecord(step.name, step.position))
        for index in sorted(before.touched):  # else the journal would still tell of the attempt before
            self._books.journal.cell(index, self._plan.notebook.cells[index])
        self._books.times.begin_again()
        self._books.change(attempt=attempt)
        self._books.log.note(f"attempt {attempt}: started")

    def _stopped_within(self, seconds: float) -> bool:
        """Wait; whether somebody asked meanwhile that the run be stopped."""
        asked, until = threading.Event(), time.monotonic() + seconds
        with self.stop.listening(asked.set):
            while (left := until - time.monotonic()) > 0 and not asked.is_set():
                asked.wait(min(_POLL, left))
                self._tick()
        return asked.is_set()

    # what is done while it goes

    def _tick(self) -> None:
        if self.stop.requests == 0 and cancel_requested(self._books.record.folder):
            self.stop.request()
        self._tell()

    def _tell(self, *, always: bool = False) -> None:
        if self._on_change is None:
            return
        revision, now = self._books.revision, time.monotonic()
        shown, when = self._told
        if always or (revision != shown and now - when >= _POLL) or now - when >= _TOLD_EVERY:
            self._told = (revision, now)
            failures = run_all([self._on_change], self.run)
            if failures and not self._watcher_failed:
                self._watcher_failed = True  # once: it may fail ten times a second
                self._record(failures, "on_change")

    def _call(self, callbacks: Iterable[Callback], when: str) -> list[CallbackFailure]:
        """Call each; those that fail are recorded, and the next still runs."""
        failures: list[CallbackFailure] = []
        for callback in callbacks:
            try:
                failures += run_all([callback], self.run)
            except KeyboardInterrupt:
                if when == "on_start":
                    raise
                failures.append(CallbackFailure(name_of(callback), "interrupted", ""))
        if failures:
            self._record(failures, when)
        return failures

    def _record(self, failures: Iterable[CallbackFailure], when: str) -> None:
        told = [{"when": when, **self._books.redacted(asdict(failure))} for failure in failures]
        self._books.change(callback_errors=[*self._books.record.callback_errors, *told])
        for each in told:
            self._books.log.note(f"{when}: {each['name']} failed: {each['error']}")

    # how it ends

    def _finish(self, outcome: Outcome) -> None:
        """Say in the executed notebook, and then in the record, how it ended."""
        outcome = self._redacted(outcome)
        measured = {
            name: value for name, value in asdict(together(self._books.spans)).items() if value is not None
        }
        self._books.record = replace(
            self._books.record,
            state=outcome.state,
            error=outcome.error,
            ended=datetime.now(UTC),
            times=self._books.times.seconds if self._began else {},
            metrics={**self._books.record.metrics, **measured},
        )
        for write in (self._journal_end, self._log_end, self._books.save_notebook):
            try:
                self._at_last(write)
            except RecordError as error:  # what can still be written is
                if self._books.record.state is State.SUCCESS:
                    failure = RunError("RecordError", str(error))
                    self._books.record = replace(self._books.record, state=State.FAILED, error=failure)
        self._at_last(self._record_end)

    def _record_end(self) -> None:
        record = self._books.record
        steps = [_over(step, record) for step in record.steps]
        self._store.change(
            record.id,
            state=record.state,
            error=record.error,
            ended=record.ended,
            times=record.times,
            metrics=record.metrics,
            steps=[step for step, known in zip(steps, record.steps, strict=True) if step is not known],
        )
        self._books.record = replace(record, steps=steps)  # now: until it is recorded it may be tried again
        self._books.revision += 1

    def _at_last(self, action: Callable[[], None]) -> None:
        """Write what must be written of the end; where the disk is full, with what was kept free for it."""
        try:
            action()
        except RecordError:
            self._reserve.free()
            action()

    def _journal_end(self) -> None:
        record = self._books.record
        self._books.journal.state(record.state, asdict(record.error) if record.error else None)

    def _log_end(self) -> None:
        record = self._books.record
        why = f": {record.error}" if record.error else ""
        self._books.log.note(f"{record.flow}: {record.state}{why}")

    def _redacted(self, outcome: Outcome) -> Outcome:
        if outcome.error is None:
            return outcome
        return replace(outcome, error=self._books.redacted.error(outcome.error))


def _over(step: StepRecord, run: RunRecord) -> StepRecord:
    """Return how a step stands at the end of its run; the very same where that is recorded already."""
    if step.state == State.RUNNING:
        return replace(step, state=run.state, ended=step.ended or run.ended, error=run.error)
    if step.state == State.PENDING:
        return replace(step, state=State.SKIPPED)
    return step


def _uninterrupted(action: Callable[[], None]) -> None:
    """Do what must be done though somebody is impatient; it can be done twice."""
    while True:
        try:
            return action()
        except KeyboardInterrupt:
            continue
