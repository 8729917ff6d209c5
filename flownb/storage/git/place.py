"""Where a flow was captured, kept in its document relative to the work tree: the folder it runs in.

It is no part of the content, and anybody may have written it: what leads out of the work tree is nothing.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flownb.flow import Flow

_KEY = "captured"
_LIMIT = 1000  #: characters of a path


def with_place(document: dict[str, Any], flow: Flow, root: Path | None) -> dict[str, Any]:
    """Return the document of a flow with the folder and notebook that it was captured in, under `root`."""
    place = {}
    if (folder := _relative(flow.folder, root)) is not None:
        place["folder"] = folder
    from_notebook = flow.storage is not None and flow.storage.get("kind") == "notebook"
    path = flow.storage.get("path") if from_notebook and flow.storage is not None else None
    if isinstance(path, str) and (notebook := _relative(Path(path), root)) is not None:
        place["notebook"] = notebook
    metadata = document["metadata"]
    about = {key: value for key, value in metadata["flownb"].items() if key not in ("storage", "location")}
    return {**document, "metadata": {**metadata, "flownb": about | ({_KEY: place} if place else {})}}


def folder_of(document: Mapping[str, Any], root: Path | None) -> Path | None:
    """Return the folder under `root` that a document names, where it is there; else `root` itself."""
    if root is None:
        return None
    found = _inside(_told(document, "folder"), root)
    return found if found is not None and found.is_dir() else root


def notebook_of(document: Mapping[str, Any]) -> str | None:
    """Return the path, relative to the work tree, of the notebook that a document names."""
    return _told(document, "notebook")


def _told(document: Mapping[str, Any], key: str) -> str | None:
    metadata = document.get("metadata")
    about = metadata.get("flownb") if isinstance(metadata, dict) else None
    place = about.get(_KEY) if isinstance(about, dict) else None
    text = place.get(key) if isinstance(place, dict) else None
    return text if isinstance(text, str) and 0 < len(text) <= _LIMIT and text.isprintable() else None


def _relative(path: Path | None, root: Path | None) -> str | None:
    if path is None or root is None:
        return None
    try:
        found = path.resolve().relative_to(root.resolve()).as_posix()
    except (OSError, ValueError):  # it lies elsewhere
        return None
    return found if found.isprintable() and len(found) <= _LIMIT else None


def _inside(text: str | None, root: Path) -> Path | None:
    """Return the path under `root`; None for one that leads out of it, through a link also, or into Git's."""
    if text is None:
        return None
    parts = PurePosixPath(text).parts
    if "\\" in text or text.startswith("/") or any(part == ".." or part.lower() == ".git" for part in parts):
        return None
    try:
        path = root.joinpath(*parts)
        return path if path.resolve().is_relative_to(root.resolve()) else None
    except (OSError, ValueError, RuntimeError):
        return None
