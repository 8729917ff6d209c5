"""Flows, shown: in the list of a notebook's flows, and on a flow's own card.

Pure: from a `Flow` to a `Shown`. Nothing of a flow is run.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flownb.displays.parts import (
    Details,
    Drawing,
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
from flownb.displays.versions import stored_version
from flownb.displays.wording import count_text, seconds_text, shorten, size_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from flownb.displays.parts import Part, Words
    from flownb.flow import Carried, Flow, Parameter
    from flownb.runs.record import RunRecord

_HIDDEN = "***"
_NEVER_SECRET = {"int", "float", "str", "bool", "date", "datetime"}


def flow_list(
    flows: Iterable[Flow],
    *,
    last_runs: Mapping[str, RunRecord] | None = None,
    problems: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    where: str = "",
) -> Shown:
    """List flows with their parameters, steps, outputs and, from `last_runs` (by flow name), their last run.

    `problems` (by flow name) tells of flows that are there but cannot be read, `notes` of what is stale;
    `where` names the place.
    """
    rows = [_row(flow, (last_runs or {}).get(flow.name)) for flow in flows]
    refused = problems or {}
    if not rows and not refused:
        place = f" in {where}" if where else ""
        hint = (code("%%flow NAME"), " on the first line of a cell and run it.")
        return Shown([Line((f"No flows{place} yet: put ", *hint))])
    headers = ("flow", "parameters", "steps", "outputs", "version", "last run")
    parts: list[Part] = [Table(headers, rows, f"Flows in {where}" if where else "Flows")] if rows else []
    parts += map(amber, notes)
    parts += [Line(("✗ ", code(name), f" cannot be read: {problem}")) for name, problem in refused.items()]
    return Shown(parts)


def _row(flow: Flow, run: RunRecord | None) -> tuple[Words, ...]:
    steps = [step.name for step in flow.steps]
    parameters = [
        part
        for parameter in shown_parameters(flow)
        for part in (", ", code(parameter.name), muted(_value(parameter)))
    ]
    return (
        code(flow.name),
        tuple(parameters[1:]),
        listed(steps) if steps != [flow.name] else muted("one step"),
        listed(flow.outputs),
        muted(stored_version(flow)),
        (state(run.state), " ", muted(seconds_text(run.seconds))) if run else muted("never ran"),
    )


def _value(parameter: Parameter) -> str:
    return " required" if parameter.default is None else f"={shorten(parameter.default, 40)}"


def flow_card(flow: Flow, *, where: str = "", notes: Sequence[str] = ()) -> Shown:
    """Show all of a flow: what it says, takes, replays, does, gives, and what it was captured with."""
    about = f" version {stored_version(flow)}{f' · {where}' if where else ''}"
    parts: list[Part] = [Line((Span(flow.name, "strong"), muted(about)), "title")]
    if flow.description:
        parts.append(Line(flow.description))
    parts += map(amber, notes)
    parts.append(parameters_table(flow))
    if flow.steps:
        parts.append(Drawing(flow.graph))
    for number, step in enumerate(flow.steps, 1):
        given = (muted(" → "), *listed(step.outputs)) if step.outputs else ()
        parts += [Line((f"Step {number}: ", code(step.name), *given), "heading"), Source(step.source)]
    if flow.closure:
        parts.append(Details(_closure_text(flow), replayed_parts(flow)))
        parts += map(amber, frozen_texts(flow))
    if needs := _needs(flow):
        parts.append(Details("Captured with", [Line(need) for need in needs]))
    if not flow.graph.outputs and not flow.graph.results:
        parts.append(Line(muted("no outputs")))
    return Shown(parts)


def parameters_table(flow: Flow) -> Table:
    """Show a flow's parameters."""
    rows: list[tuple[Words, ...]] = [
        (
            code(parameter.name),
            code(parameter.annotation),
            Span("required", "strong") if parameter.default is None else code(parameter.default),
            parameter.help,
        )
        for parameter in shown_parameters(flow)
    ]
    return Table(("name", "type", "default", "help"), rows, "Parameters")


def shown_parameters(flow: Flow) -> tuple[Parameter, ...]:
    """Return a flow's parameters as they may be shown: the default of a secret is hidden."""
    if all(parameter.annotation in _NEVER_SECRET for parameter in flow.parameters):
        return flow.parameters
    from flownb.parameters import describe

    return tuple(
        replace(parameter, default=_HIDDEN) if info.secret and not parameter.required else parameter
        for parameter, info in zip(flow.parameters, describe(flow), strict=True)
    )


def outputs_text(outputs: Sequence[str]) -> str:
    """Write `output a`, `outputs a, b`; nothing where there are none."""
    if not outputs:
        return ""
    return f"{'output' if len(outputs) == 1 else 'outputs'} {', '.join(outputs)}"


def frozen_texts(flow: Flow) -> list[str]:
    """Say what is frozen, and how it is made again instead: a line for each moment of freezing."""
    moments: dict[str, list[Carried]] = {}
    for entry in flow.closure:
        if entry.how in ("frozen", "pickle"):  # which it was called in schema 1
            moments.setdefault(entry.at[:16], []).append(entry)
    return [_frozen_text(at, entries) for at, entries in moments.items()]


def _frozen_text(at: str, entries: Sequence[Carried]) -> str:
    when = f" since {at[:10]} {at[11:]} UTC" if at else ""
    told = ", ".join(
        f"{', '.join(f'`{name}`' for name in entry.bound)} ({entry.type}, {size_text(entry.size)})"
        for entry in entries
    )
    advice = "the same value in each run; bind it in a cell above, without --freeze, and runs make it again"
    if sum(len(entry.bound) for entry in entries) > 1:
        advice = (
            "the same values in each run; bind them in cells above, without --freeze, "
            "and runs make them again"
        )
    return f"frozen{when}: {told}, {advice}"


def replayed_parts(flow: Flow) -> list[Part]:
    """Show what a flow replays, as the cells that it stood in."""
    sources: dict[tuple[str, str, int], list[str]] = {}
    for entry in flow.closure:
        how = "import" if entry.how in ("import", "module") else entry.how
        if how not in ("frozen", "pickle"):
            sources.setdefault((entry.step, how, entry.cell), []).append(entry.source)
    parts: list[Part] = []
    step = ""
    for (before, _, _), texts in sources.items():
        if before != step:
            parts.append(Line((muted("before step "), code(before))))
            step = before
        parts.append(Source("\n".join(texts)))
    return parts


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
