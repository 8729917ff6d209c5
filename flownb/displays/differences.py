"""How two flows differ, shown: side by side in a notebook, in words in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flownb.displays.parts import Group, Line, Shown, Sides, Source, code, muted
from flownb.displays.versions import short_location
from flownb.storage.compare import MARKS, PARTS, title
from flownb.storage.lines import side_by_side

if TYPE_CHECKING:
    from flownb.displays.parts import Part
    from flownb.storage.compare import FlowDiff


def flow_diff(diff: FlowDiff) -> Shown:
    """Show a comparison by parameter, step, output and what is taken along; sources line beside line."""
    old, new = (code(short_location(title(flow))) for flow in (diff.old, diff.new))
    parts: list[Part] = [Line((old, muted(" → "), new), "title")]
    if diff.same:
        parts.append(Line(muted("no difference")))
    elif diff.same_content:
        parts.append(Line(muted("the same content, captured with something else")))
    for part, heading in PARTS.items():
        if changes := diff.of(part):
            parts.append(Line(heading, "heading"))
        for change in changes:
            about = (f"{MARKS[change.kind]} ", code(change.name), muted(f" {change.kind}"), f" {change.how}")
            parts.append(Line(about))
            if change.old and change.new:
                parts.append(Sides(side_by_side(change.old, change.new)))
            elif source := change.old or change.new:
                parts.append(Source(source))
    return Shown([Group(parts, "notebook"), Group([Source(diff.to_text(), python=False)], "terminal")])
