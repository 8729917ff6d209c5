"""What the commands print."""

from __future__ import annotations

import json
import re
import shutil
import sys
import textwrap
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pathlib import Path

    from flownb.displays.parts import Shown
    from flownb.runs.record import OutputRecord, RunRecord

_PREVIEW_LINES = 8
# colours, which people print on purpose; all other control sequences could do more than colour
_COLOUR = re.compile(r"(\x1b\[[0-9;]*m)")


def print_json(data: Any) -> None:
    """Print data for machines: one JSON document, and nothing else, on standard output."""
    # a lone surrogate, which a terminal cannot take, is written the way JSON writes it
    text = json.dumps(data, ensure_ascii=False, indent=2, default=str)
    click.echo(text.encode("utf-8", "backslashreplace").decode("utf-8"))


def run_json(record: RunRecord) -> dict[str, Any]:
    """Return what is recorded of a run, for machines: its parameters as values of JSON."""
    from flownb.parameters import json_value, recorded_value

    given = {name: json_value(recorded_value(source)) for name, source in record.parameters.items()}
    return {**record.to_json(), "parameters": given, "seconds": record.seconds}


def say(text: str = "") -> None:
    """Tell a person something beside the output, on standard error, as long as somebody reads it."""
    with suppress(OSError):
        click.echo(text, err=True)


def terminal_width() -> int | None:
    """Return how many characters fit on a line where a person looks; None where a program reads it."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def show(shown: Shown) -> None:
    """Show something on standard output: as wide as the terminal, in its colours, where it is one."""
    width = terminal_width()
    click.echo(shown.to_text(width, colour=width is not None))


def terminal_text(text: str) -> str:
    """Return text as a terminal may show it: colours and line ends stay, other control characters show."""
    from flownb.displays.wording import visible

    parts = _COLOUR.split(text.replace("\r\n", "\n"))
    return "".join(part if number % 2 else visible(part, lines=True) for number, part in enumerate(parts))


def output_text(output: OutputRecord, folder: Path) -> str:
    """Write one output for people: name, type, size, and a few lines of what it is, or where."""
    from flownb.displays.outputs import NOT_TRUSTED
    from flownb.displays.wording import size_text, visible

    title = f"{visible(output.name)} · {visible(output.type)}"
    if output.needs_trust:
        title += f" · {NOT_TRUSTED}"
    if output.format == "error":
        return f"{title} · ✗ could not be stored: {visible(output.error)}"
    lines = [f"{title} · {size_text(output.size)}"]
    shown = visible(output.preview, lines=True).splitlines()
    if output.format == "picture" or not shown:
        shown = [visible(str(folder / name)) for name in output.files]
    lines += shown[:_PREVIEW_LINES]
    if len(shown) > _PREVIEW_LINES:
        lines.append("…")
    return textwrap.indent("\n".join(lines), "    ")[4:]
