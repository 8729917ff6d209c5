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
    version = notebook.get("nbformat") if isinstance(notebook, dict) else None
    if isinstance(version, int) and version < 4:
        raise DocumentError(
            f"{what} is a notebook of the old format {version}; open and save it in Jupyter, "
            "or run: jupyter nbconvert --to notebook --nbformat 4"
        )
    if isinstance(version, int) and version > 4:
        raise DocumentError(
            f"{what} is a notebook of the newer format {version}, and this flownb reads 4; upgrade it: "
            "pip install --upgrade flownb"
        )
    if (
        not isinstance(notebook, dict)
        or not isinstance(notebook.get("cells"), list)
        or "nbformat" not in notebook
    ):
        raise DocumentError(f"{what} is not a notebook: a JSON object with `cells` and `nbformat` is wanted")
    return check_cells(notebook, what)


def check_cells(notebook: Json, what: str) -> Json:
    """Return the notebook, every cell of it whole and its source one text; else `DocumentError`."""
    if not isinstance(metadata := notebook.get("metadata", {}), dict):
        raise DocumentError(f"{what} is not a notebook: its metadata is not an object")
    if not isinstance(cells := notebook.get("cells"), list):
        raise DocumentError(f"{what} is not a notebook: its cells are not a list")
    checked = [_checked(cell, f"cell {number} of {what}") for number, cell in enumerate(cells, start=1)]
    return {**notebook, "metadata": metadata, "cells": checked}


def _checked(cell: Any, where: str) -> Json:
    if not isinstance(cell, dict) or not isinstance(cell.get("cell_type"), str):
        raise DocumentError(f"{where} is not a cell: an object with `cell_type` is wanted")
    source = cell.get("source", "")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str):
        raise DocumentError(f"the source of {where} is not text")
    metadata = cell.get("metadata", {})
    if not isinstance(metadata, dict) or not isinstance(metadata.get("tags", []), list):
        raise DocumentError(f"the metadata of {where} is not an object, or its tags are not a list")
    checked: Json = {**cell, "source": source, "metadata": metadata}
    if checked["cell_type"] == "code":
        outputs = checked.setdefault("outputs", [])
        if not isinstance(outputs, list) or not all(map(_is_output, outputs)):
            raise DocumentError(f"the outputs of {where} are not a list of outputs")
    return checked


def _is_output(output: Any) -> bool:
    return isinstance(output, dict) and isinstance(output.get("data", {}), dict)


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
