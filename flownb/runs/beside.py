"""What lies beside a run's record and is shown with it: pictures, the log's end, defaults, a link that opens.

Jupyter opens nothing that is in a hidden folder, as the records are. So the executed notebook of a run that a
notebook shows gets a link in `flownb-runs` of the project, a folder that Git leaves alone by itself.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from flownb.displays.parts import Picture
from flownb.displays.run import Beside
from flownb.errors import FlownbError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flownb.runs.project import Project
    from flownb.runs.record import OutputRecord, RunRecord

OPEN = "flownb-runs"  #: the folder in a project with links to executed notebooks
_PICTURES = {".png": "image/png", ".svg": "image/svg+xml"}  #: the first that is there is shown
_LARGEST = 2_000_000  #: bytes of a picture that goes into the page
_LOG = 4_000  #: bytes of the log that are looked at
_LINES = 8


def beside(project: Project, record: RunRecord, outputs: Iterable[OutputRecord]) -> Beside:
    """Read what is shown with a run in a notebook; while it goes on, no more than a moment takes."""
    link = address(linked(project, record))
    if not record.state.terminal:
        return Beside(link=link, log=_tail(record.log))
    return Beside(
        pictures=pictures(record.outputs_folder, outputs),
        link=link,
        defaults=defaults(record.document),
    )


def pictures(folder: Path, outputs: Iterable[OutputRecord]) -> dict[str, Picture]:
    """Return the stored pictures among some outputs, by name: those that are there and not too large."""
    from flownb.runs.values import inside

    found = {}
    for output in outputs:
        if output.format != "picture":
            continue
        files = {Path(file).suffix: file for file in output.files}
        kind = next((kind for kind in _PICTURES if kind in files), "")
        with contextlib.suppress(OSError, ValueError):  # then the line above it is all that is shown
            path = inside(folder, files.get(kind, ""))
            if path.stat().st_size <= _LARGEST:
                found[output.name] = Picture(output.name, path.read_bytes(), _PICTURES[kind])
    return found


def defaults(document: Path) -> dict[str, str]:
    """Return the defaults of the parameters of a flow document, as somebody would type them.

    Only for showing them: none where the document cannot be read. Those of secrets are hidden.
    """
    from flownb.displays.flows import shown_parameters
    from flownb.document import read
    from flownb.parameters import recorded_value, typed

    try:
        parameters = shown_parameters(read(document))
    except FlownbError:
        return {}
    return {each.name: typed(recorded_value(each.default)) for each in parameters if each.default is not None}


def linked(project: Project, record: RunRecord) -> Path | None:
    """Return a link to the executed notebook that Jupyter opens; None where there is no place for one."""
    folder = project.root / OPEN
    link = folder / (re.sub(r"[^\w-]+", "_", f"{record.flow[:40]}-{record.id[-6:]}") + ".ipynb")
    target = os.path.relpath(record.notebook, folder)
    if not record.notebook.is_file() or folder.is_symlink():
        return None
    try:
        folder.mkdir(exist_ok=True)
        with contextlib.suppress(FileExistsError), (folder / ".gitignore").open("x") as ignore:
            ignore.write("*\n")
        with contextlib.suppress(FileExistsError):
            link.symlink_to(target)
        return link if os.readlink(link) == target else None
    except OSError:  # a file of that name, or a folder in which nobody can write
        return None


def address(link: Path | None) -> str:
    """Return where a file is, seen from the notebook that is open; empty for None."""
    session = Path(os.environ.get("JPY_SESSION_NAME", ""))  # the notebook's path, where Jupyter says it
    here = session.parent if session.is_absolute() and session.parent.is_dir() else Path.cwd()
    return "" if link is None else quote(os.path.relpath(link, here))


def _tail(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - _LOG, 0))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:  # nothing has been logged yet
        return ""
    return "\n".join(lines[-_LINES:])
