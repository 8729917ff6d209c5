"""What a notification says of a run: as data, and as a few lines of text."""

from __future__ import annotations

from string import Template
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flownb.runs import Run

#: What a template can name, as `$flow`.
FIELDS = ("flow", "run", "state", "seconds", "error", "step", "notebook", "outputs", "parameters")

_LONG = 1_500  # chats cut, or refuse, texts of more than 2,000 to 4,000 characters


def facts(run: Run) -> dict[str, Any]:
    """Return what a webhook is told of a run, as JSON data; parameters as recorded: secrets are `***`."""
    from flownb.parameters import json_value

    return {
        "flow": run.flow,
        "run": run.id,
        "state": str(run.state),
        "parameters": {name: json_value(value) for name, value in run.parameters.items()},
        "error": _error(run),
        "started": None if run.started is None else run.started.isoformat(),
        "ended": None if run.ended is None else run.ended.isoformat(),
        "seconds": None if run.seconds is None else round(run.seconds, 3),
        "notebook": str(run.notebook),
        "outputs": list(run.outputs),
    }


def text_of(told: Mapping[str, Any], template: str | None = None) -> str:
    """Return the text for people: by a template that names some of `FIELDS`, else the usual few lines."""
    if template is not None:
        return Template(template).safe_substitute(_words(told))
    words = _words(told)
    lines = [
        f"{words['flow']}: {words['state']}" + (f" after {words['seconds']}" if words["seconds"] else "")
    ]
    if words["error"]:
        lines.append(words["error"])
    if words["outputs"]:
        lines.append(f"Outputs: {words['outputs']}")
    lines.append(f"Run {words['run']}")
    return "\n".join(lines)


def _error(run: Run) -> dict[str, Any] | None:
    if run.error is None:
        return None
    return {
        "kind": run.error.kind,
        "message": _cut(run.error.message),
        "step": run.error.step,
        "line": run.error.line,
        "source_line": run.error.source_line,
    }


def _words(told: Mapping[str, Any]) -> dict[str, str]:
    from flownb.parameters import typed

    error = told["error"] or {}
    seconds = told["seconds"]
    return {
        **{name: str(told[name]) for name in ("flow", "run", "state", "notebook")},
        "seconds": ""
        if seconds is None
        else f"{seconds:.3g} s"
        if seconds < 60
        else f"{seconds / 60:.1f} min",
        "error": _sentence(error) if error else "",
        "step": str(error.get("step") or ""),
        "outputs": ", ".join(told["outputs"]),
        "parameters": ", ".join(f"{name}={typed(value)}" for name, value in told["parameters"].items()),
    }


def _sentence(error: Mapping[str, Any]) -> str:
    kind, message = error["kind"] or "", error["message"] or ""
    where = f"step {error['step']}" if error["step"] else ""
    if where and error["line"]:
        where += f", line {error['line']}"
    said = ": ".join(filter(None, (kind, message)))
    return f"{said} ({where})" if where else said


def _cut(text: str | None) -> str:
    text = text or ""
    return text if len(text) <= _LONG else text[:_LONG] + "..."
