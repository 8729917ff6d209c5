"""Parts as text for a terminal, by rich: as wide as the terminal is, in its colours where it has any."""

from __future__ import annotations

import io
import textwrap
from typing import TYPE_CHECKING

from flownb.displays import parts
from flownb.displays.wording import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console, RenderableType
    from rich.text import Text

_ENDLESS = 10_000  #: characters: a line that a program reads is not broken
_FEW = 24  #: characters of a cell that stay on one line
_STYLES = {
    "strong": "bold",
    "muted": "dim",
    "good": "green",
    "bad": "red",
    "amber": "yellow",
    "busy": "cyan",
    "title": "bold",
}


def render(shown: Sequence[parts.Part], width: int | None, *, colour: bool = False) -> str:
    """Return parts as text of at most `width` characters a line; None sets no limit."""
    from rich.console import Console
    from rich.text import Text

    console = Console(
        file=io.StringIO(),
        width=width or _ENDLESS,
        force_terminal=colour,
        force_jupyter=False,  # it would display what is printed
        color_system="standard" if colour else None,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    with console.capture() as captured:
        for renderable in _all(shown, console, width):
            # only what has columns knows how wide it may be; lines are the terminal's to break
            console.print(renderable, soft_wrap=width is None or isinstance(renderable, Text))
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def _all(shown: Sequence[parts.Part], console: Console, width: int | None) -> Iterator[RenderableType]:
    for number, part in enumerate(shown):
        # what comes first needs no title: it is what was asked for
        first = number == 0
        if not first and (isinstance(part, parts.Table) or getattr(part, "kind", "") == "heading"):
            yield ""
        yield from _one(part, console, width, first=first)


def _one(part: parts.Part, console: Console, width: int | None, *, first: bool) -> Iterator[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text

    match part:
        case parts.Line():
            yield _text(part.words, _STYLES.get(part.kind, ""), lines=True)
        case parts.Table() if part.rows:
            if part.title and not first:
                yield Text(visible(part.title), "dim")
            yield _table(part, console, width)
        case parts.Source():
            lines = visible(part.text.rstrip("\n"), lines=True)
            told = textwrap.indent(lines, "    ") if part.python else lines
            yield Text(told, no_wrap=True, overflow="ignore")
        case parts.Drawing():
            yield Text(part.graph.text(), no_wrap=True, overflow="ignore")
        case parts.Details() if part.in_terminal:
            yield _text(part.words)
            yield from (Padding(inner, (0, 0, 0, 2)) for inner in _all(part.parts, console, width))
        case parts.Group() if part.place == "terminal":
            yield from _all(part.parts, console, width)


def _text(words: parts.Words, style: str = "", *, lines: bool = False) -> Text:
    from rich.text import Text

    text = Text(style=style, no_wrap=lines, overflow="ignore" if lines else None)
    for span in parts.spans(words):
        told = span.text if lines else span.text.replace("\n", " ")
        text.append(visible(told, lines=lines), _STYLES.get(span.style, ""))
    return text


def _table(part: parts.Table, console: Console, width: int | None) -> RenderableType:
    from rich.table import Table

    used, endless = part.used, console.options.update(width=_ENDLESS)
    for narrower in (-1, *part.gives_way):
        used = [at for at in used if at != narrower]
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for at in used:
            few = all(sum(len(span.text) for span in parts.spans(row[at])) <= _FEW for row in part.rows)
            table.add_column(visible(part.headers[at]).upper(), overflow="fold", no_wrap=few)
        for row in part.rows:
            table.add_row(*(_text(row[at]) for at in used))
        if width is None or console.measure(table, options=endless).maximum <= width:
            break
    return table
