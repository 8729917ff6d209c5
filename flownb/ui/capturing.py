"""What people see after a capture: what the flow takes and gives, what a run replays, what is frozen.

Pure: from a `Flow` and a few facts of the history to a `Shown`.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
    visible,
)
from flownb.ui.display import parameters_html, shown_parameters
from flownb.ui.markup import Shown, amber_html, count_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flownb.flow import Carried, Flow, Parameter

_WIDTH = 110
_LONG = 10.0  #: seconds of replaying in each run that are worth a word
_FEW = 6  #: cells that are named one by one


@dataclass(frozen=True, slots=True)
class Replayed:
    """An executed cell of which a flow replays statements."""

    label: str  #: "In[3]"
    statements: int
    seconds: float | None = None  #: that the whole cell took here
    names: tuple[str, ...] = ()  #: that the step reads and the cell binds


def capture_summary(
    flow: Flow,
    step: str,
    *,
    replayed: Sequence[Replayed] = (),
    notes: Sequence[str] = (),
    stale: Sequence[str] = (),
    ran: bool = True,
    kept: str = "",
) -> Shown:
    """Say what was captured of the step `step`: one line, the rest behind it; what is amber always shows.

    `replayed` are the cells that a run replays statements of, `notes` what the person should know, `stale`
    what makes other steps of the flow stale; `ran` is whether the cell was also run here; `kept` says where
    its flow went beside the notebook.
    """
    title = flow.name if step == flow.name else f"{flow.name}.{step}"
    facts = [
        f"version {flow.version}",
        count_text(len(flow.parameters), "parameter") if flow.parameters else "",
        outputs_text(tuple(edge.target for edge in flow.graph.results if edge.source == step)),
        replays_text(replayed),
        "" if ran else "captured without running",
        visible(kept),
    ]
    told = " · ".join(fact for fact in facts if fact)
    amber = [*frozen_texts(flow), *_costs(replayed), *(f"note: {note}" for note in notes), *stale]
    html = details(
        f"<span>✓ captured</span> <strong>{code(title)}</strong> {muted(escape(' · ' + told))}",
        parameters_html(flow) + replayed_html(flow),
    )
    if amber:
        html += f'<div style="margin-left:16px">{"".join(map(amber_html, amber))}</div>'
    lines = [f"✓ captured {visible(title)} · {told}"]
    lines += _paragraph("parameters", [_declaration(parameter) for parameter in shown_parameters(flow)])
    lines += _paragraph(
        "replays", [f"{cell.label}: {', '.join(cell.names)}" for cell in replayed if cell.names]
    )
    for line in amber:
        lines += textwrap.wrap(f"⚠ {visible(line)}", _WIDTH, initial_indent="  ", subsequent_indent="    ")
    return Shown(block(html), "\n".join(lines))


def outputs_text(outputs: Sequence[str]) -> str:
    """Write `output a`, `outputs a, b`; nothing where there are none."""
    if not outputs:
        return ""
    return f"{'output' if len(outputs) == 1 else 'outputs'} {', '.join(visible(name) for name in outputs)}"


def replays_text(replayed: Sequence[Replayed]) -> str:
    """Write `replays 14 statements of In[2], In[3], In[7]: 41 s`; nothing where nothing is replayed."""
    if not replayed:
        return ""
    labels = [cell.label for cell in replayed]
    if len(labels) > _FEW:
        labels = [*labels[: _FEW - 1], f"{len(labels) - _FEW + 1} more"]
    took = sum(cell.seconds or 0 for cell in replayed)
    time = f": {seconds_text(took)}" if took >= 0.1 else ""
    return (
        f"replays {count_text(sum(c.statements for c in replayed), 'statement')} of {', '.join(labels)}{time}"
    )


def frozen_texts(flow: Flow) -> list[str]:
    """Say what is frozen, and how it is made again instead: a line for each moment of freezing."""
    moments: dict[str, list[Carried]] = {}
    for entry in flow.closure:
        if entry.how == "frozen":
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


def replayed_html(flow: Flow) -> str:
    """Show what a flow replays, as the cells that it stood in."""
    sources: dict[tuple[str, str, int], list[str]] = {}
    for entry in flow.closure:
        how = "import" if entry.how in ("import", "module") else entry.how
        if how != "frozen":
            sources.setdefault((entry.step, how, entry.cell), []).append(entry.source)
    parts = []
    step = ""
    for (before, _, _), texts in sources.items():
        if before != step:
            parts.append(f"<div>{muted(escape('before step '))}{code(before)}</div>")
            step = before
        parts.append(lines_block("\n".join(texts)))
    title = f'<div style="margin-top:6px">{muted("Replayed before the step")}</div>'
    return title + "".join(parts) if parts else ""


def _costs(replayed: Sequence[Replayed]) -> list[str]:
    """Say what to do where replaying takes long."""
    took = sum(cell.seconds or 0 for cell in replayed)
    if took < _LONG:
        return []
    worst = max(replayed, key=lambda cell: cell.seconds or 0)
    name = worst.names[0] if worst.names else "NAME"
    told = (
        f"each run replays {seconds_text(took)} of work, most of it {worst.label}: `--freeze {name}` keeps "
        f"the value as it is now, and `%%flow NAME.STEP` on {worst.label} makes it a step of its own"
    )
    return [told]


def _declaration(parameter: Parameter) -> str:
    annotation = f": {visible(parameter.annotation)}" if parameter.annotation else ""
    if parameter.required:
        return f"{visible(parameter.name)}{annotation} (required)"
    return f"{visible(parameter.name)}{annotation} = {shorten(parameter.default or '', 40)}"


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
