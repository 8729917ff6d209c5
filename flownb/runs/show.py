"""How runs and outputs look, in a notebook and in a terminal. Pure: records in, HTML or text out.

Nothing here reads a value, let alone unpickles one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flownb.runs.markup import (
    bar,
    block,
    code,
    details,
    escape,
    html_table,
    lines_block,
    muted,
    nowrap,
    seconds_text,
    shorten,
    size_text,
    state_html,
    state_text,
    text_table,
    visible,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flownb.runs.record import OutputRecord, RunError, RunRecord, StepRecord

NOT_TRUSTED = "not trusted"  #: said of an output that is shown, but not read back yet
_TRACEBACK_LIMIT = 20_000
_VERSION = 10  #: characters of a version: so many are enough to ask for it


def run_html(run: RunRecord, outputs: Sequence[OutputRecord]) -> str:
    """Show a run in a notebook: state, error, steps, outputs, what it took, where its notebook is."""
    head = f"{state_html(run.state)} <strong>{escape(run.flow)}</strong> {muted(escape(_took(run)))}"
    parts = [
        f"<div>{head}</div>",
        f"<div>⚠ {escape(differs)}</div>" if (differs := run.metrics.get("differs")) else "",
        _error_html(run.error) if run.error else "",
        _steps_html(run),
        outputs_table_html(outputs),
        *(_callback_error_html(error) for error in run.callback_errors),
        _parameters_html(run),
        f"<div>{muted('run ' + code(run.id) + ' ')}{muted(code(str(run.notebook)))}</div>",
    ]
    return block("".join(parts))


def run_text(run: RunRecord, outputs: Sequence[OutputRecord]) -> str:
    """Show a run in a terminal."""
    took = _took(run)
    parts = [f"{state_text(run.state)}  {visible(run.flow)}{'  ' + took if took else ''}"]
    if differs := run.metrics.get("differs"):
        parts.append(f"  ⚠ {visible(differs)}")
    if run.error:
        parts.append("\n".join(f"  {line}" for line in error_lines(run.error)))
    if run.steps:
        rows = [
            (step.name, state_text(step.state), seconds_text(step.seconds), _memory(step))
            for step in run.steps
        ]
        parts.append(text_table(("step", "state", "time", "memory"), rows))
    if outputs:
        parts.append(outputs_text(outputs))
    parts += [shorten(f"callback {callback_error_text(error)}", 400) for error in run.callback_errors]
    if run.parameters:
        parts.append("parameters: " + ", ".join(visible(each) for each in _given(run, 80)))
    parts.append(f"run {visible(run.id)}  {visible(str(run.notebook))}")
    return "\n\n".join(parts) if len(parts) > 2 else "\n".join(parts)


def runs_html(runs: Sequence[RunRecord]) -> str:
    """Show many runs in a notebook, one row each."""
    rows = [
        (
            nowrap(code(run.id)),
            escape(run.flow),
            code(_version(run)) if _version(run) else "",
            state_html(run.state),
            nowrap(escape(_started(run))),
            nowrap(escape(seconds_text(run.seconds))),
            escape(shorten(", ".join(_given(run, 60)), 120)),
            escape(shorten(str(run.error), 160) if run.error else ""),
        )
        for run in runs
    ]
    return block(html_table(_RUNS, rows) or muted("no runs"))


def runs_text(runs: Sequence[RunRecord]) -> str:
    """Show many runs in a terminal, one line each."""
    rows = [
        (
            run.id,
            run.flow,
            _version(run),
            state_text(run.state),
            _started(run),
            seconds_text(run.seconds),
            ", ".join(_given(run, 60)),
            str(run.error) if run.error else "",
        )
        for run in runs
    ]
    return text_table(_RUNS, rows, limit=40) if rows else "no runs"


def outputs_table_html(outputs: Sequence[OutputRecord]) -> str:
    """Show outputs in a notebook: name, type, size, and the beginning as it was noted when it was stored."""
    rows = [
        (
            code(output.name),
            escape(output.step),
            escape(_type(output)),
            escape(size_text(output.size)) if output.size else "",
            escape(f"not stored: {shorten(output.error, 300)}")
            if output.error
            else _preview_html(output.preview),
        )
        for output in outputs
    ]
    return html_table(("output", "step", "type", "size", "preview"), rows)


def outputs_text(outputs: Sequence[OutputRecord]) -> str:
    """Show outputs in a terminal."""
    rows = [
        (
            output.name,
            _type(output),
            size_text(output.size) if output.size else "",
            f"not stored: {output.error}" if output.error else _first_line(output.preview),
        )
        for output in outputs
    ]
    return text_table(("output", "type", "size", "preview"), rows) if rows else "no outputs"


def error_lines(error: RunError) -> list[str]:
    """Return a run's error as lines: where, what, and the line of source."""
    where = ", ".join(
        filter(None, (f"step {error.step}" if error.step else "", f"line {error.line}" if error.line else ""))
    )
    lines = [f"{visible(where)}: {shorten(str(error), 600)}" if where else shorten(str(error), 600)]
    if error.source_line:
        lines.append(f"    {shorten(error.source_line, 200)}")
    return lines


def callback_error_text(error: Any) -> str:
    """Return what is recorded of a callback that failed, in a line."""
    if not isinstance(error, dict):
        return str(error)
    return f"{error.get('name', 'callback')}: {error.get('error') or error.get('message', '')}"


_RUNS = ("run", "flow", "version", "state", "started", "time", "parameters", "error")


def _version(run: RunRecord) -> str:
    """Return which version ran, as people write it: the store's, where it keeps any, else the content's."""
    _, _, pinned = run.location.partition("@")
    return (pinned or run.version)[:_VERSION]


def _took(run: RunRecord) -> str:
    memory = run.metrics.get("peak_memory_bytes") or max(
        (step.peak_memory_bytes or 0 for step in run.steps), default=0
    )
    if not isinstance(memory, int | float):  # anybody may note a metric
        memory = 0
    attempt = f"attempt {run.attempt}" if run.attempt > 1 else ""
    return "  ".join(filter(None, (seconds_text(run.seconds), size_text(memory) if memory else "", attempt)))


def _started(run: RunRecord) -> str:
    return (run.started or run.created).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _memory(step: StepRecord) -> str:
    return size_text(step.peak_memory_bytes) if step.peak_memory_bytes else ""


def _given(run: RunRecord, limit: int) -> list[str]:
    """Return the parameters of a run as somebody would type them."""
    from flownb.parameters import recorded_value, typed

    return [
        f"{name}={shorten(typed(recorded_value(source)), limit)}" for name, source in run.parameters.items()
    ]


def _parameters_html(run: RunRecord) -> str:
    shown = ", ".join(code(each) for each in _given(run, 200))
    return f"<div>{muted('parameters ')}{shown}</div>" if shown else ""


def _steps_html(run: RunRecord) -> str:
    longest = max((step.seconds or 0.0 for step in run.steps), default=0.0) or 1.0
    rows = [
        (
            escape(step.name),
            state_html(step.state),
            f"{bar((step.seconds or 0.0) / longest)} {escape(seconds_text(step.seconds))}"
            if step.seconds
            else "",
            escape(seconds_text(step.cpu_seconds)),
            escape(_memory(step)),
        )
        for step in run.steps
    ]
    return html_table(("step", "state", "time", "CPU", "memory"), rows)


def _error_html(error: RunError) -> str:
    where = ", ".join(
        filter(
            None,
            (f"step {code(error.step)}" if error.step else "", f"line {error.line}" if error.line else ""),
        )
    )
    said = f"<strong>{escape(error.kind)}</strong>: {escape(shorten(error.message, 1_000))}"
    parts = [f'<div style="margin:4px 0">{where + ": " if where else ""}{said}</div>']
    if error.source_line:
        parts.append(lines_block(error.source_line.rstrip("\n")))
    if error.traceback:
        parts.append(details("traceback", lines_block(error.traceback[-_TRACEBACK_LIMIT:])))
    return "".join(parts)


def _callback_error_html(error: Any) -> str:
    text = f"callback {shorten(callback_error_text(error), 400)}"
    return f'<div style="color:var(--jp-warn-color1,#f57c00)">{escape(text)}</div>'


def _type(output: OutputRecord) -> str:
    return shorten(output.type, 100) + (f" ({NOT_TRUSTED})" if output.needs_trust else "")


def _first_line(preview: str) -> str:
    first, more, _ = preview.partition("\n")
    return f"{shorten(first, 50)} …" if more else preview


def _preview_html(preview: str) -> str:
    if "\n" in preview:
        return details(escape(_first_line(preview)), lines_block(preview))
    return code(shorten(preview, 200)) if preview else ""
