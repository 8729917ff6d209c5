"""Small pieces of text and HTML that runs show themselves with; all that is user-given passes `escape`."""

from __future__ import annotations

import html
import re
import textwrap
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
_UNITS = {
    f"{letter}{form}B": base**power
    for power, letter in ((3, "G"), (2, "M"), (1, "k"))
    for form, base in (("", 1000), ("i", 1024))
}
_JOINERS = "\u200c\u200d"  # scripts and emoji need them; they neither move nor hide what stands beside them
_MARKS = {
    "Pending": ("○", "var(--jp-ui-font-color2,inherit)"),
    "Running": ("▶", "var(--jp-brand-color1,#1976d2)"),
    "Success": ("✓", "var(--jp-success-color1,#388e3c)"),
    "Failed": ("✗", "var(--jp-error-color1,#d32f2f)"),
    "Crashed": ("✗", "var(--jp-error-color1,#d32f2f)"),
    "Cancelled": ("■", "var(--jp-warn-color1,#f57c00)"),
    "Skipped": ("-", "var(--jp-ui-font-color2,inherit)"),
}
_LINE = "var(--jp-border-color2,rgba(128,128,128,.4))"
_TAG = re.compile(r"<[^>]*>")
_SHORT = 24  #: characters
_NARROWEST = 20  #: characters: a column that gives way is at least so wide
_CODE = "font-family:var(--jp-code-font-family,ui-monospace,monospace);font-size:.95em"
_CELL = f"text-align:left;vertical-align:top;padding:2px 14px 2px 0;border:0;border-bottom:1px solid {_LINE}"


def visible(text: str, *, lines: bool = False) -> str:
    r"""Write control, bidirectional and other invisible characters as `\x1b`, `\u202e` and the like.

    Line ends and tabs stay as they are where `lines` is true.
    """
    kept = _JOINERS + ("\n\t" if lines else "")
    return "".join(
        ascii(char)[1:-1] if char not in kept and unicodedata.category(char) in _INVISIBLE else char
        for char in text
    )


def shorten(text: str, limit: int) -> str:
    """Return `text` on one line, at most `limit` characters long."""
    line = visible(" ".join(text[: 10 * limit].split()))
    return line if len(line) <= limit else line[: limit - 1] + "…"


def escape(text: str, *, lines: bool = False) -> str:
    """Make user-given text safe to stand in HTML, also inside a quoted attribute, and visible."""
    return html.escape(visible(text, lines=lines), quote=True)


def size_text(size: float) -> str:
    """Write a number of bytes for people: `340 B`, `1.2 kB`, `5.0 MB`."""
    if size < 1000:
        return f"{size:.0f} B"
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 999.95:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.1f} TB"


def exact_size_text(size: int) -> str:
    """Write a number of bytes in the unit in which it is a short number: `500 MB`, `1.5 GB`, `512 MiB`."""
    for unit, factor in _UNITS.items():
        if size >= factor and size * 100 % factor == 0:
            return f"{size / factor:.12g} {unit}"
    return f"{size} B"


def seconds_text(seconds: float | None) -> str:
    """Write a duration for people: `0.12 s`, `12.3 s`, `4 min 05 s`, `2 h 13 min`; empty for None."""
    if seconds is None:
        return ""
    if seconds < 59.95:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def state_text(state: str) -> str:
    """Write a state with its mark: `✓ Success`."""
    return f"{_MARKS.get(state, '·')[0]} {visible(state)}"


def state_html(state: str) -> str:
    """Write a state with its mark and its colour; the word says all, the colour only helps."""
    colour = _MARKS.get(state, ("", "inherit"))[1]
    return f'<span style="color:{colour};white-space:nowrap">{escape(state_text(state))}</span>'


def block(markup: str) -> str:
    """Put HTML into the front end's own font and colour."""
    style = (
        "font-family:var(--jp-ui-font-family,system-ui,sans-serif);font-size:var(--jp-ui-font-size1,13px);"
        "line-height:1.45;color:var(--jp-ui-font-color1,inherit)"
    )
    return f'<div style="{style}">{markup}</div>'


def muted(markup: str) -> str:
    """Set HTML in the front end's second text colour."""
    return (
        f'<span style="color:var(--jp-ui-font-color2,inherit);opacity:.85">{markup}</span>' if markup else ""
    )


def nowrap(markup: str) -> str:
    """Keep a piece of HTML on one line."""
    return f'<span style="white-space:nowrap">{markup}</span>' if markup else ""


def code(text: str) -> str:
    """Set a name or a short piece of source in HTML; its direction stays its own."""
    return f'<code style="{_CODE};background:none;padding:0;unicode-bidi:isolate">{escape(text)}</code>'


def lines_block(text: str) -> str:
    """Set whole lines of source or text in HTML."""
    style = (
        f"{_CODE};background:var(--jp-layout-color2,rgba(128,128,128,.12));color:inherit;margin:4px 0;"
        "padding:6px 10px;white-space:pre;overflow-x:auto;line-height:1.35;max-height:20em"
    )
    return f'<pre style="{style}">{escape(text, lines=True)}</pre>'


def details(summary: str, body: str) -> str:
    """Return HTML that is one line until somebody opens it; both are HTML."""
    opener = f'<summary style="cursor:pointer;display:list-item">{summary}</summary>'
    return f'<details style="margin:2px 0">{opener}<div style="margin:2px 0 4px 16px">{body}</div></details>'


def bar(share: float) -> str:
    """Draw a share (0 to 1) as a bar in the text's own colour; the number belongs beside it."""
    width = round(min(max(share, 0.0), 1.0) * 100, 1)
    return (
        '<span aria-hidden="true" style="display:inline-block;width:8em;height:.6em;border-radius:2px;'
        'background:var(--jp-layout-color2,rgba(128,128,128,.15))"><span style="display:block;height:100%;'
        f'border-radius:2px;background:currentColor;opacity:.55;width:{width}%"></span></span>'
    )


def html_table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table whose first column names the row; cells are HTML, headers text.

    Columns that are empty in all rows are left out; no rows make no table.
    """
    cells = [list(row) for row in rows]
    used = [index for index in range(len(headers)) if any(row[index] for row in cells)]
    if not cells:
        return ""
    head = f"{_CELL};font-weight:600;background:none;color:var(--jp-ui-font-color2,inherit)"
    top = "".join(f'<th scope="col" style="{head}">{escape(headers[index])}</th>' for index in used)
    body = "".join(
        '<tr style="background:none">'
        + "".join(_cell(row[index], first=index == used[0]) for index in used)
        + "</tr>"
        for row in cells
    )
    style = "border-collapse:collapse;border:0;margin:4px 0 8px;width:auto;font-size:1em;color:inherit"
    return (
        f'<div style="overflow-x:auto"><table style="{style}"><thead style="border:0">'
        f'<tr style="background:none">{top}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _cell(markup: str, *, first: bool) -> str:
    # a few words stay on one line; longer texts may break anywhere, but leave no column of single letters
    broken = "white-space:nowrap" if _is_short(markup) else "min-width:12em;overflow-wrap:anywhere"
    if first:
        return f'<th scope="row" style="{_CELL};{broken};font-weight:600;background:none">{markup}</th>'
    return f'<td style="{_CELL};max-width:60em;{broken}">{markup}</td>'


def _is_short(markup: str) -> bool:
    """Whether each line of a cell is so short that it need not be broken."""
    lines = _TAG.sub("", markup.replace("<br>", "\n")).split("\n")
    return all(len(html.unescape(line)) <= _SHORT for line in lines)


def text_table(
    headers: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    limit: int = 60,
    wrap: str | None = None,
    width: int | None = None,
) -> str:
    """Lay out rows under headers; columns that are empty in all rows are left out, long cells shortened.

    Where the table is to be `width` wide, the column with the header `wrap` gives way: its cells go on in
    the lines below.
    """
    cells = [
        [
            shorten(cell, 10 * limit if width and header == wrap else limit)
            for header, cell in zip(headers, row, strict=True)
        ]
        for row in rows
    ]
    used = [index for index in range(len(headers)) if any(row[index] for row in cells)]
    table = [[header.upper() for header in headers], *cells]
    widths = {index: max(_columns(row[index]) for row in table) for index in used}
    wrapped = next((index for index in used if headers[index] == wrap), None)
    if width is not None and wrapped is not None:
        over = sum(widths.values()) + 2 * (len(used) - 1) - width
        widths[wrapped] = max(min(widths[wrapped] - over, widths[wrapped]), _NARROWEST)
        table = [line for row in table for line in _wrapped(row, wrapped, widths[wrapped])]
    return "\n".join(
        "  ".join(row[index] + " " * (widths[index] - _columns(row[index])) for index in used).rstrip()
        for row in table
    )


def _wrapped(row: Sequence[str], index: int, width: int) -> Iterator[list[str]]:
    """Yield a row as the lines that it takes where one cell is at most so many characters wide."""
    for number, part in enumerate(textwrap.wrap(row[index], width) or [""]):
        yield [part if at == index else "" if number else cell for at, cell in enumerate(row)]


def _columns(text: str) -> int:
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )
