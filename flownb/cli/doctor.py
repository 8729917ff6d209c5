"""`flownb doctor`: whether runs work here, and how."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flownb.cli.completing import complete_reference

if TYPE_CHECKING:
    from flownb.document.files import Json

_STYLES = {"good": "green", "note": "yellow", "bad": "red"}


@click.command("doctor")
@click.argument(
    "notebook", metavar="[NOTEBOOK|REF|FOLDER]", required=False, shell_complete=complete_reference
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
def doctor_command(notebook: str | None, *, as_json: bool) -> int:
    """Show whether runs work here: the engine and why, what is preloaded, the records, a run for trial.

    With a notebook or a flow it tells what would be preloaded for it. Nothing of it runs. With a folder it
    tells of runs there.
    """
    from flownb.environments.health import examine

    content, folder = (None, Path.cwd()) if notebook is None else _content(notebook)
    health = examine(content, folder)
    if as_json:
        from flownb.cli.printing import print_json

        print_json(health.to_dict())
    else:
        _print(health.to_text())
    return 0 if health.good else 1


def _content(text: str) -> tuple[Json | None, Path]:
    """Return the notebook that a run would execute, if one is meant, and the folder where."""
    path = Path(text)
    if path.suffix == ".ipynb" and path.is_file():
        from flownb.document import load_notebook

        return load_notebook(path), path.resolve().parent
    from flownb.document import to_dict
    from flownb.storage.naming import named

    if path.is_dir() and not _holds_one(text):
        return None, path.resolve()  # none is meant: it is about the folder
    found = named(text)
    flow = found.storage.get_flow(found.location)
    return to_dict(flow), flow.folder or Path.cwd()


def _holds_one(folder: str) -> bool:
    from flownb.errors import StorageError
    from flownb.storage import open_storage

    try:
        return len(open_storage(folder).flows) == 1
    except StorageError:  # it is no store
        return False


def _print(text: str) -> None:
    from flownb.displays.wording import visible

    marks = {"✓": _STYLES["good"], "!": _STYLES["note"], "✗": _STYLES["bad"]}
    for line in visible(text, lines=True).splitlines():
        style = marks.get(line[:1])
        click.echo(click.style(line[:1], fg=style, bold=True) + line[1:] if style else line)
