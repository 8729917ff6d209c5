"""What displays of flows are made of, beside the pieces of `flownb.runs.markup`.

No IPython in here, no style sheet, no script: inline styles built on JupyterLab's colour variables, with
fallbacks that take the colours of whatever front end shows them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flownb.runs.markup import block, code, escape, html_table, muted, visible

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

_AMBER = "var(--jp-warn-color0,#b26a00)"


@dataclass(frozen=True, slots=True)
class Shown:
    """Something made for people to look at: HTML for a notebook, text for a terminal."""

    html: str
    text: str

    def __str__(self) -> str:
        return self.text

    def _repr_mimebundle_(
        self,
        include: Collection[str] | None = None,  # noqa: ARG002 - IPython passes both; there are two kinds to choose from
        exclude: Collection[str] | None = None,  # noqa: ARG002
    ) -> dict[str, str]:
        return {"text/html": self.html, "text/plain": self.text}


def amber_html(line: str) -> str:
    """Set a line that the person should see, such as what makes a flow stale; names are in backticks."""
    parts = line.split("`")
    if len(parts) % 2:
        told = "".join(code(part) if at % 2 else escape(part) for at, part in enumerate(parts))
    else:
        told = escape(line)
    return f'<div style="color:{_AMBER}">⚠ {told}</div>'


def amber_lines(lines: Sequence[str]) -> Shown:
    """Show lines that the person should see, by themselves."""
    return Shown(block("".join(map(amber_html, lines))), "\n".join(f"⚠ {visible(line)}" for line in lines))


def count_text(number: int, one: str, many: str = "") -> str:
    """Write `1 step`, `2 steps`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def unbroken(text: str) -> str:
    """Set a few words in HTML that stay on one line."""
    return f'<span style="white-space:nowrap">{escape(text)}</span>' if text else ""


def titled_table(title: str, headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table under a title; cells are HTML, title and headers text. No rows make neither."""
    table = html_table(headers, rows)
    return f'<div style="margin-top:6px">{muted(escape(title))}</div>{table}' if table else ""
