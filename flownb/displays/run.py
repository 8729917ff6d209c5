"""A run, shown: what came of it first, then how it went, then what it was given and where it is.

Pure: records in, parts out. What is read for it (pictures, the log, the flow) is read by whoever asks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flownb.displays.outputs import output_parts
from flownb.displays.parts import (
    Details,
    Group,
    Line,
    Shown,
    Source,
    Span,
    Table,
    amber,
    code,
    listed,
    muted,
    state,
)
from flownb.displays.wording import seconds_text, shorten, size_text, visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flownb.displays.parts import Part, Picture, Words
    from flownb.runs.record import OutputRecord, RunError, RunRecord, StepRecord

_TRACEBACK_LIMIT = 20_000
_PLACES = ("path", "url", "repository")  #: what storages say of where they are
_LEAST_SECONDS = 0.1  #: what took less time beside the steps has no row
_AFTER = ("outputs", "end")  #: what takes time when the steps have run
_VERSION = 10  #: characters of a version: so many are enough to ask for it


@dataclass(frozen=True)
class Beside:
    """What lies beside a run's record and is shown with it."""

    pictures: Mapping[str, Picture] = field(default_factory=dict)  #: by output
    link: str = ""  #: where the executed notebook opens from a notebook
    log: str = ""  #: the last lines of it, while the run goes on
    defaults: Mapping[str, str] = field(default_factory=dict)  #: of the parameters that were not given


def run_card(run: RunRecord, outputs: Sequence[OutputRecord], beside: Beside | None = None) -> Shown:
    """Show a run: its state, what is amber, the error, results, steps, parameters, where all of it is."""
    beside = beside or Beside()
    title: Words = (state(run.state), "  ", Span(run.flow, "strong"), "  ", muted(_took(run)))
    parts: list[Part] = [Line(title, "title")]
    if differs := run.metrics.get("differs"):
        parts.append(amber(str(differs)))
    if run.error:
        parts += _error_parts(run.error)
    parts += output_parts(outputs, beside.pictures)
    if run.steps:
        parts.append(_steps(run))
    if beside.log and not run.state.terminal:
        parts.append(Source(beside.log, python=False))
    parts += [amber(shorten(f"callback {callback_error_text(error)}", 400)) for error in run.callback_errors]
    told = [
        code(text) if name in run.parameters else muted(text)
        for name, value in given_values(run, beside.defaults).items()
        for text in [f"{name}={shorten(value, 200)}"]
    ]
    if told:
        parts.append(Line((muted("parameters "), *listed(told))))
    version = short_version_of(run)
    facts = (f"version {version}" if version else "", ", ".join(run.labels), source_of(run))
    about = " · ".join(filter(None, facts))
    where = str(run.notebook)
    opens = Span("executed notebook", "", beside.link) if beside.link else code(where)
    parts += [
        Group([Line((opens, muted(f" · {about} · run "), code(run.id)))], "notebook"),
        Group([Line(muted(f"{about} · run {run.id}")), Line(muted(where))], "terminal"),
    ]
    return Shown(parts)


def error_lines(error: RunError) -> list[str]:
    """Return a run's error as lines: where, what, and the line of source."""
    where = _where(error)
    lines = [f"{visible(where)}: {shorten(str(error), 600)}" if where else shorten(str(error), 600)]
    if error.source_line:
        lines.append(f"    {shorten(error.source_line, 200)}")
    return lines


def callback_error_text(error: Any) -> str:
    """Return what is recorded of a callback that failed, in a line."""
    if not isinstance(error, dict):
        return str(error)
    return f"{error.get('name', 'callback')}: {error.get('error') or error.get('message', '')}"


def given_values(run: RunRecord, defaults: Mapping[str, str]) -> dict[str, str]:
    """Return the values of the parameters, as somebody would type them: those given, and the defaults."""
    from flownb.parameters import recorded_value, typed

    given = {name: typed(recorded_value(source)) for name, source in run.parameters.items()}
    return {**{name: given.get(name, default) for name, default in defaults.items()}, **given}


def short_version_of(run: RunRecord) -> str:
    """Return which version ran, as people write it: the store's, where it keeps any, else the content's."""
    _, _, pinned = run.location.partition("@")
    return (pinned or run.version)[:_VERSION]


def source_of(run: RunRecord) -> str:
    """Return the notebook, repository or folder that the flow is from, by its name."""
    if run.source:
        return run.source
    place = next((value for key, value in (run.storage or {}).items() if key in _PLACES), "")
    return shorten(str(place).rstrip("/").rpartition("/")[2], 60)


def _where(error: RunError) -> str:
    place = (f"step {error.step}" if error.step else "", f"line {error.line}" if error.line else "")
    return ", ".join(filter(None, place))


def _error_parts(error: RunError) -> list[Part]:
    where = f"{_where(error)}: " if _where(error) else ""
    message = f": {shorten(error.message, 1_000)}" if error.message else ""
    parts: list[Part] = [Line((where, Span(error.kind, "strong"), message))]
    if error.source_line:
        parts.append(Source(error.source_line.rstrip("\n")))
    if error.traceback:
        lines = Source(error.traceback[-_TRACEBACK_LIMIT:], python=False)
        parts.append(Details("traceback", [lines], in_terminal=False))
    return parts


def _steps(run: RunRecord) -> Table:
    rows: list[tuple[Words, ...]] = [
        (
            step.name,
            state(step.state),
            seconds_text(_clock(step)),
            seconds_text(step.cpu_seconds),
            size_text(step.peak_memory_bytes) if step.peak_memory_bytes else "",
        )
        for step in run.steps
    ]
    least = max(_LEAST_SECONDS, (run.seconds or 0.0) / 50)
    beside: list[tuple[str, tuple[Words, ...]]] = [
        (what, (muted(f"({what})"), "", muted(seconds_text(seconds)), "", ""))
        for what, seconds in run.times.items()
        if seconds >= least
    ]
    before = [row for what, row in beside if what not in _AFTER]
    after = [row for what, row in beside if what in _AFTER]
    headers = ("step", "state", "time", "CPU", "memory")
    return Table(headers, [*before, *rows, *after], fixed=True)


def _clock(step: StepRecord) -> float | None:
    """Return what a step took; of one that is at work, what it has taken so far."""
    if step.state != "Running" or step.seconds is not None or step.started is None:
        return step.seconds
    return (datetime.now(UTC) - step.started).total_seconds()


def _took(run: RunRecord) -> str:
    memory = run.metrics.get("peak_memory_bytes") or max(
        (step.peak_memory_bytes or 0 for step in run.steps), default=0
    )
    if not isinstance(memory, int | float):  # anybody may note a metric
        memory = 0
    attempt = f"attempt {run.attempt}" if run.attempt > 1 else ""
    return "  ".join(filter(None, (seconds_text(run.seconds), size_text(memory) if memory else "", attempt)))
