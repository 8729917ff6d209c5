"""How two flows differ, shown: side by side in a notebook, in words in a terminal. All of it is escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flownb.runs.markup import block, code, escape, muted, nowrap
from flownb.storage.compare import MARKS, PARTS, title
from flownb.storage.lines import side_by_side
from flownb.ui.markup import Shown
from flownb.ui.versions import short_location

if TYPE_CHECKING:
    from flownb.storage.compare import Change, FlowDiff
    from flownb.storage.lines import Row

_TINTS = {
    "removed": "rgba(211,47,47,.14)",
    "added": "rgba(56,142,60,.14)",
    "changed": "rgba(25,118,210,.12)",
}
_LINE = (
    "font-family:var(--jp-code-font-family,ui-monospace,monospace);font-size:.95em;text-align:left;"
    "vertical-align:top;white-space:pre-wrap;overflow-wrap:anywhere;padding:0 8px;border:0;line-height:1.35"
)


def flow_diff(diff: FlowDiff) -> Shown:
    """Show a comparison by parameter, step, output and what is taken along; sources line beside line."""
    return Shown(_html(diff), diff.to_text())


def _html(diff: FlowDiff) -> str:
    old, new = (code(short_location(title(flow))) for flow in (diff.old, diff.new))
    names = f"{old} {muted('→')} {new}"
    parts = [f'<div style="font-size:1.15em;margin-bottom:2px">{names}</div>']
    if diff.same:
        parts.append(f"<div>{muted('no difference')}</div>")
    elif diff.same_content:
        parts.append(f"<div>{muted('the same content, captured with something else')}</div>")
    for part, heading in PARTS.items():
        if changes := diff.of(part):
            parts.append(f'<div style="margin-top:6px">{muted(escape(heading))}</div>')
            parts += [_change_html(change) for change in changes]
    return block("".join(parts))


def _change_html(change: Change) -> str:
    about = f" {escape(change.how)}" if change.how else ""
    mark = nowrap(f"{MARKS[change.kind]} {code(change.name)}")
    line = f"<div>{mark} {muted(escape(change.kind))}{about}</div>"
    return line + _sources_html(side_by_side(change.old, change.new))


def _sources_html(rows: list[Row]) -> str:
    if not rows:
        return ""
    body = "".join(_row_html(row) for row in rows)
    style = (
        "border-collapse:collapse;border:0;table-layout:fixed;width:100%;margin:2px 0 8px;color:inherit;"
        "background:var(--jp-layout-color2,rgba(128,128,128,.08))"
    )
    return f'<table style="{style}"><tbody>{body}</tbody></table>'


def _row_html(row: Row) -> str:
    if row.mark == "gap":
        return f'<tr style="background:none"><td colspan="2" style="{_LINE};text-align:center">⋯</td></tr>'
    left = "removed" if row.mark == "changed" else row.mark
    right = "added" if row.mark == "changed" else row.mark
    return (
        '<tr style="background:none">'
        + _side_html(row.old_number, row.old, left if row.old_number else "")
        + _side_html(row.new_number, row.new, right if row.new_number else "")
        + "</tr>"
    )


def _side_html(number: int | None, text: str, mark: str) -> str:
    tint = f";background:{_TINTS[mark]}" if mark in _TINTS else ""
    sign = {"removed": "- ", "added": "+ "}.get(mark, "  ")  # the sign says it, the colour only helps
    shown = f"{muted(f'{number:>4}')} {sign}{escape(text, lines=True)}" if number is not None else ""
    return f'<td style="{_LINE};width:50%{tint}">{shown}</td>'
