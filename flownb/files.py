"""Files written whole or not at all, and notebooks in the form in which Jupyter saves them."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flownb.errors import FlownbError, RecordError

if TYPE_CHECKING:
    from collections.abc import Mapping


_TEXTS = ("application/javascript", "image/svg+xml")


def write_atomic(
    path: Path, content: Mapping[str, Any] | bytes, *, error: type[FlownbError] = RecordError
) -> None:
    """Write bytes, or a notebook in the form in which Jupyter saves it, to `path`.

    A reader finds the old content or the new, also when the writer is killed or the machine goes down;
    a link stays a link, a file keeps its mode. Raises `error` with the system's word; then the old
    content is there still, and nothing else.
    """
    data = content if isinstance(content, bytes) else notebook_bytes(content)
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(6)}.part")
    try:
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileNotFoundError):
                temporary.chmod(target.stat().st_mode & 0o7777)
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as refusal:
        raise error(f"{path} cannot be written: {refusal.strerror or refusal}") from refusal


def notebook_bytes(notebook: Mapping[str, Any]) -> bytes:
    """Return a notebook as Jupyter saves it: sorted keys, sources and texts as lists of lines."""
    text = json.dumps(_lines(notebook), ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    # a lone surrogate, which UTF-8 cannot hold, becomes the six characters with which JSON writes it
    return text.encode("utf-8", "backslashreplace")


def _lines(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """Split the long texts of a notebook; the rest is shared, not copied."""
    cells = [
        {key: value for key, value in cell.items() if key not in ("source", "outputs")}
        | {"source": _split(cell.get("source", ""))}
        | ({"outputs": [_split_output(output) for output in cell["outputs"]]} if "outputs" in cell else {})
        for cell in notebook.get("cells", ())
    ]
    return {**notebook, "cells": cells}


def _split_output(output: Mapping[str, Any]) -> dict[str, Any]:
    shown = dict(output)
    if "text" in shown:
        shown["text"] = _split(shown["text"])
    if isinstance(shown.get("data"), dict):
        shown["data"] = {
            mime: _split(value) if mime.startswith("text/") or mime in _TEXTS else value
            for mime, value in shown["data"].items()
        }
    return shown


def _split(text: Any) -> Any:
    return text.splitlines(keepends=True) if isinstance(text, str) else text
