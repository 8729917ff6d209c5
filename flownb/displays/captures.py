"""What people see after a capture: what the flow takes and gives, what a run replays, what is frozen.

Pure: from a `Flow` and a few facts of the history to a `Shown`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flownb.displays.flows import (
    frozen_texts,
    outputs_text,
    parameters_table,
    replayed_parts,
    shown_parameters,
)
from flownb.displays.parts import Details, Group, Line, Shown, Span, amber, muted
from flownb.displays.wording import count_text, seconds_text, shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flownb.flow import Flow, Parameter

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
        kept,
    ]
    told = " · ".join(fact for fact in facts if fact)
    line = ("✓ captured ", Span(title, "strong"), muted(f" · {told}"))
    declared = "; ".join(_declaration(parameter) for parameter in shown_parameters(flow))
    names = "; ".join(f"{cell.label}: {', '.join(cell.names)}" for cell in replayed if cell.names)
    brief = {"parameters": declared, "replays": names}
    replays = replayed_parts(flow)
    heading = [Line("Replayed before the step", "heading")] if replays else []
    notes = [*frozen_texts(flow), *_costs(replayed), *(f"note: {note}" for note in notes), *stale]
    return Shown(
        [
            Group([Details(line, [parameters_table(flow), *heading, *replays])], "notebook"),
            Group([Line(line), *(Line(f"  {of}  {text}") for of, text in brief.items() if text)], "terminal"),
            *map(amber, notes),
        ]
    )


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
    annotation = f": {parameter.annotation}" if parameter.annotation else ""
    if parameter.required:
        return f"{parameter.name}{annotation} (required)"
    return f"{parameter.name}{annotation} = {shorten(parameter.default or '', 40)}"
