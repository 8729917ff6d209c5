"""What people see of flows: in the list of a notebook's flows, and on a flow's own card.

Pure functions from a `Flow` to a `Shown`, which a notebook shows as HTML and a terminal as text. Nothing
of a flow is run, and every name and source is escaped.
"""

from __future__ import annotations

import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from flownb.runs.markup import (
    block,
    code,
    details,
    escape,
    lines_block,
    muted,
    seconds_text,
    shorten,
    size_text,
    state_html,
    state_text,
    text_table,
    visible,
)
from flownb.ui.markup import Shown, amber_html, count_text, titled_table, unbroken
from flownb.ui.versions import stored_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from flownb.flow import Carried, Flow, Parameter

_WIDTH = 110
_HOW = {
    "import": "imported",
    "module": "local module",
    "statement": "replayed",
    "frozen": "frozen",
    "definition": "its source",
    "literal": "its value, written out",
    "statements": "the statements that make it",
    "pickle": "pickled",
}
_HIDDEN = "***"


class LastRun(Protocol):
    """What the list of flows tells of a flow's last run."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def state(self) -> str: ...  # noqa: D102
    @property
    def seconds(self) -> float | None: ...  # noqa: D102


def flow_list(
    flows: Iterable[Flow],
    *,
    last_runs: Mapping[str, LastRun] | None = None,
    problems: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    where: str = "",
) -> Shown:
    """List flows with their parameters, steps, outputs and, from `last_runs` (by flow name), their last run.

    `problems` (by flow name) tells of flows that are there but cannot be read, `notes` of what is stale;
    `where` names the place.
    """
    listed = list(flows)
    last = last_runs or {}
    refused = problems or {}
    if not listed and not refused:
        hint = "put `%%flow NAME` on the first line of a cell and run it"
        place = f" in {where}" if where else ""
        return Shown(
            block(f"No flows{escape(place)} yet: {escape(hint)}."), visible(f"No flows{place} yet: {hint}.")
        )
    headers = ["flow", "parameters", "steps", "outputs", "version", "last run"]
    html_rows = []
    text_rows = []
    for flow in listed:
        run = last.get(flow.name)
        parameters = [parameter.name + ("*" if parameter.required else "") for parameter in flow.parameters]
        steps = [step.name for step in flow.steps]
        took = seconds_text(run.seconds) if run else ""
        html_rows.append(
            [
                code(flow.name),
                "<br>".join(_short_declaration_html(parameter) for parameter in shown_parameters(flow)),
                ", ".join(code(step) for step in steps) if steps != [flow.name] else muted("one step"),
                ", ".join(code(name) for name in flow.outputs),
                muted(code(stored_version(flow))),
                f"{state_html(run.state)} {muted(unbroken(took))}" if run else muted(unbroken("never ran")),
            ]
        )
        text_rows.append(
            [
                flow.name,
                ", ".join(parameters),
                ", ".join(steps) if steps != [flow.name] else "one step",
                ", ".join(flow.outputs),
                stored_version(flow),
                f"{state_text(run.state)} {took}".rstrip() if run else "never ran",
            ]
        )
    text = text_table(headers, text_rows) if text_rows else ""
    if any(parameter.required for flow in listed for parameter in flow.parameters):
        text += "\n* a value is required"
    for name, problem in refused.items():
        text += f"\n✗ {visible(name)} cannot be read: {visible(problem)}"
    text += "".join(f"\n⚠ {visible(note)}" for note in notes)
    html = titled_table(f"Flows in {where}" if where else "Flows", headers, html_rows)
    html += "".join(map(amber_html, notes))
    html += "".join(
        f"<div>✗ {code(name)} cannot be read: {escape(problem)}</div>" for name, problem in refused.items()
    )
    return Shown(block(html), text.lstrip("\n"))


def flow_card(flow: Flow, *, where: str = "", notes: Sequence[str] = ()) -> Shown:
    """Show all of a flow: what it says, takes, replays, does, gives, and what it was captured with."""
    return Shown(_card_html(flow, where, notes), _card_text(flow, where, notes))


def _card_html(flow: Flow, where: str, notes: Sequence[str]) -> str:
    about = "version " + code(stored_version(flow)) + (" · " + escape(where) if where else "")
    title = f"<strong>{code(flow.name)}</strong> {muted(about)}"
    parts = [f'<div style="font-size:1.15em;margin-bottom:2px">{title}</div>']
    if flow.description:
        parts.append(f'<div style="white-space:pre-line">{escape(flow.description, lines=True)}</div>')
    parts += map(amber_html, notes)
    parts.append(parameters_html(flow))
    if len(flow.steps) > 1:
        parts.append(lines_block(flow.graph.text()))
    for number, step in enumerate(flow.steps, 1):
        given = f" {muted('→')} {', '.join(code(name) for name in step.outputs)}" if step.outputs else ""
        lines = count_text(len(step.source.splitlines()), "line")
        parts.append(
            details(
                f"Step {number}: {code(step.name)} {muted(escape(lines))}{given}", lines_block(step.source)
            )
        )
    if flow.closure:
        parts.append(details(escape(_closure_text(flow)), _closure_html(flow)))
    needs = _needs(flow)
    if needs:
        parts.append(details("Captured with", f"<div>{'<br>'.join(escape(need) for need in needs)}</div>"))
    about = f"{escape(_outputs_text(flow.outputs) or 'no outputs')} · digest {code(flow.digest)}"
    parts.append(f"<div>{muted(about)}</div>")
    return block("".join(parts))


def _card_text(flow: Flow, where: str, notes: Sequence[str]) -> str:
    lines = [
        f"{visible(flow.name)} · version {stored_version(flow)}{' · ' + visible(where) if where else ''}"
    ]
    if flow.description:
        lines.append(textwrap.indent(visible(flow.description, lines=True), "  "))
    for note in notes:
        lines += _paragraph("⚠", [visible(note)])
    if flow.parameters:
        lines += ["", "parameters", textwrap.indent(parameters_text(flow), "  ")]
    lines += ["", "steps", textwrap.indent(flow.graph.text(), "  ")]
    if flow.closure:
        told = _closure_text(flow)
        lines += ["", told[0].lower() + told[1:]]
        rows = [
            [_names(entry), _HOW[entry.how], entry.type, size_text(entry.size), entry.step]
            for entry in flow.closure
        ]
        lines.append(textwrap.indent(text_table(["name", "how", "type", "size", "for step"], rows), "  "))
    for step in flow.steps:
        lines += [
            "",
            f"step {visible(step.name)}",
            textwrap.indent(visible(step.source, lines=True).rstrip(), "  │ "),
        ]
    needs = _needs(flow)
    if needs:
        lines += ["", "captured with", *(f"  {visible(need)}" for need in needs)]
    lines += ["", f"{_outputs_text(flow.outputs) or 'no outputs'} · digest {flow.digest}"]
    return "\n".join(lines)


def parameters_text(flow: Flow) -> str:
    """Lay out a flow's parameters as a table for a terminal."""
    rows = [
        [p.name, p.annotation, "required" if p.default is None else p.default, p.help]
        for p in shown_parameters(flow)
    ]
    return text_table(["name", "type", "default", "help"], rows)


def parameters_html(flow: Flow) -> str:
    """Show a flow's parameters as a table."""
    rows = [
        [
            code(parameter.name),
            code(parameter.annotation),
            "<em>required</em>" if parameter.required else code(parameter.default or ""),
            escape(parameter.help),
        ]
        for parameter in shown_parameters(flow)
    ]
    return titled_table("Parameters", ["name", "type", "default", "help"], rows)


def _carried_html(carried: Sequence[Carried]) -> str:
    rows = []
    for entry in carried:
        name = code(_names(entry))
        if entry.how in ("definition", "statements", "literal", "statement"):
            source = f'<div style="font-weight:normal">{lines_block(entry.source)}</div>'
            name = details(name, source)
        rows.append(
            [
                name,
                escape(_HOW[entry.how]),
                escape(entry.type),
                escape(size_text(entry.size)),
                code(entry.step),
            ]
        )
    return titled_table("Carried from the notebook", ["name", "how", "what it is", "size", "for step"], rows)


def _names(entry: Carried) -> str:
    return entry.name if entry.name in entry.bound or not entry.binds else ", ".join(entry.bound)


def _outputs_text(outputs: Sequence[str]) -> str:
    if not outputs:
        return ""
    return f"{'output' if len(outputs) == 1 else 'outputs'} {', '.join(visible(name) for name in outputs)}"


def _closure_text(flow: Flow) -> str:
    """Write `Replays 12 statements, has 2 values frozen (2.1 MB)`; of schema 1, what is carried."""
    if flow.of_schema_1:
        names = len({name for entry in flow.closure for name in entry.bound})
        return f"Carries {count_text(names, 'name')} ({size_text(sum(e.size for e in flow.closure))})"
    frozen = [entry for entry in flow.closure if entry.how == "frozen"]
    replayed = len(flow.closure) - len(frozen)
    told = [f"replays {count_text(replayed, 'statement')}"] if replayed else []
    if frozen:
        values = count_text(sum(len(entry.bound) for entry in frozen), "value")
        told.append(f"has {values} frozen ({size_text(sum(entry.size for entry in frozen))})")
    text = ", ".join(told)
    return text[0].upper() + text[1:]


def _closure_html(flow: Flow) -> str:
    if flow.of_schema_1:
        return _carried_html(flow.closure)
    from flownb.ui.capturing import frozen_texts, replayed_html

    return replayed_html(flow) + "".join(map(amber_html, frozen_texts(flow)))


def shown_parameters(flow: Flow) -> tuple[Parameter, ...]:
    """Return a flow's parameters as they may be shown: the default of a secret is hidden."""
    if not flow.parameters:
        return ()
    from flownb.parameters import describe

    return tuple(
        replace(parameter, default=_HIDDEN) if info.secret and not parameter.required else parameter
        for parameter, info in zip(flow.parameters, describe(flow), strict=True)
    )


def _short_declaration_html(parameter: Parameter) -> str:
    value = (
        " <em>required</em>"
        if parameter.required
        else muted(f" = {code(shorten(parameter.default or '', 40))}")
    )
    return code(parameter.name) + value


def _needs(flow: Flow) -> list[str]:
    from flownb.storage.compare import environment_options

    requirements = flow.requirements
    needs = [f"Python {requirements.python}"] if requirements.python else []
    needs += [f"{name} {version}".rstrip() for name, version in sorted(requirements.distributions.items())]
    needs += [
        f"{name}.py of this project ({digest[:12]})" for name, digest in sorted(requirements.modules.items())
    ]
    needs += [f"kernel {flow.kernel}"] if flow.kernel != "python3" else []
    needs += [f"{name} {text}" for name, text in environment_options(flow).items()]
    return needs


def _paragraph(label: str, items: Sequence[str]) -> list[str]:
    """Set items behind a label, wrapped to a terminal's width; no items make no lines."""
    if not items:
        return []
    start = f"  {label:<10}  "
    return textwrap.wrap(
        "; ".join(items),
        _WIDTH,
        initial_indent=start,
        subsequent_indent=" " * len(start),
        break_long_words=False,
        break_on_hyphens=False,
    )
