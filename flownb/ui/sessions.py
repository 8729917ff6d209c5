"""Which notebook a kernel belongs to: asked of the Jupyter server that has its session.

A kernel is told its notebook's path when it starts. The server alone knows where a renamed one is now.
"""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECONDS = 2.0  #: that a server gets to answer; it takes milliseconds
_KERNEL = re.compile(r"kernel-(.+)\.json")


def this_notebook() -> Path | None:
    """Return the notebook of the kernel that this process is; None where no server tells."""
    kernel = _kernel_id()
    for server in _servers() if kernel else ():
        try:
            sessions = _asked(server)
            found = [each for each in sessions if each["kernel"]["id"] == kernel]
            if found:
                drive, _, path = str(found[0]["path"]).rpartition(":")  # a drive is another view of the file
                return Path(server["root_dir"], path if drive else found[0]["path"])
        except (OSError, ValueError, LookupError, TypeError):  # it has gone, or is none that we know
            continue
    return None


def _kernel_id() -> str | None:
    from ipykernel.connect import get_connection_file

    try:
        found = _KERNEL.fullmatch(Path(get_connection_file()).name)
    except RuntimeError:  # this is no kernel
        return None
    return found[1] if found else None


def _servers() -> Iterator[dict[str, Any]]:
    """Yield what the user's running servers have written down of themselves, the newest first."""
    from jupyter_core.paths import jupyter_runtime_dir

    files = [(path.stat().st_mtime, path) for path in Path(jupyter_runtime_dir()).glob("jpserver-*.json")]
    for _, path in sorted(files, reverse=True):
        try:
            yield json.loads(path.read_bytes())
        except (OSError, ValueError):  # it ends, or is being written
            continue


def _asked(server: dict[str, Any]) -> list[dict[str, Any]]:
    request = urllib.request.Request(f"{server['url']}api/sessions")  # noqa: S310  # http or https
    if server.get("token"):
        request.add_header("Authorization", f"token {server['token']}")
    with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
        told: list[dict[str, Any]] = json.load(answer)
    return told
