"""Notebook files: read with care, written atomically. Plain JSON, no nbformat, nothing run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flownb.errors import DocumentError

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

Json = dict[str, Any]


def load_notebook(path: str | os.PathLike[str]) -> Json:
    """Read a notebook file as JSON, after a look that it is one: nbformat 4, Python, every cell whole.

    An empty file counts as a notebook without cells, as Jupyter takes it. Raises `DocumentError`.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DocumentError(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DocumentError(f"{path} cannot be read as a notebook: {error}") from None
    return loads_notebook(text, str(path))


def loads_notebook(text: str, what: str) -> Json:
    """Read a notebook's text; `what` names it in errors. See `load_notebook`."""
    if not text.strip():
        return {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    try:
        notebook = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise DocumentError(f"{what} is not a notebook: it is not JSON ({error})") from None
    if isinstance(notebook, dict) and isinstance(version := notebook.get("nbformat"), int) and version < 4:
        raise DocumentError(
            f"{what} is a notebook of the old format {version}; open and save it in Jupyter, "
            "or run: jupyter nbconvert --to notebook --nbformat 4"
        )
    if (
        not isinstance(notebook, dict)
        or not isinstance(notebook.get("cells"), list)
        or "nbformat" not in notebook
    ):
        raise DocumentError(f"{what} is not a notebook: a JSON object with `cells` and `nbformat` is wanted")
    if not isinstance(notebook.setdefault("metadata", {}), dict):
        raise DocumentError(f"{what} is not a notebook: its metadata is not an object")
    for number, cell in enumerate(notebook["cells"], start=1):
        _check_cell(cell, f"cell {number} of {what}")
    return notebook


def _check_cell(cell: Any, where: str) -> None:
    if not isinstance(cell, dict) or not isinstance(cell.get("cell_type"), str):
        raise DocumentError(f"{where} is not a cell: an object with `cell_type` is wanted")
    source = cell.get("source", "")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str):
        raise DocumentError(f"the source of {where} is not text")
    cell["source"] = source
    if not isinstance(cell.setdefault("metadata", {}), dict):
        raise DocumentError(f"the metadata of {where} is not an object")
    if cell["cell_type"] == "code" and not isinstance(cell.setdefault("outputs", []), list):
        raise DocumentError(f"the outputs of {where} are not a list")


def language_of(notebook: Mapping[str, Any]) -> str:
    """Return the language a notebook is written in, in lower case; Python where it does not say."""
    metadata = notebook.get("metadata", {})
    for block, key in (("kernelspec", "language"), ("language_info", "name")):
        value = metadata.get(block)
        if isinstance(value, dict) and isinstance(value.get(key), str) and value[key]:
            return str(value[key]).lower()
    return "python"


def check_python(notebook: Mapping[str, Any], what: str) -> None:
    """Raise `DocumentError` where a notebook is not written in Python."""
    language = language_of(notebook)
    if language not in ("python", "python3", "ipython"):
        raise DocumentError(
            f"{what} is a notebook in {language}; flows are Python (papermill itself runs others)"
        )


def injected(cell: Mapping[str, Any]) -> bool:
    """Whether a cell was put in by a run, with the values of its parameters."""
    return "injected-parameters" in cell["metadata"].get("tags", ())
