"""The record that a captured cell keeps in its output: the flow as it was, and of which cells it was made."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flownb.document import from_dict, to_dict
from flownb.errors import DocumentError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flownb.flow import Flow


@dataclass(frozen=True)
class Record:
    """A captured flow, and the sources of its cells by which a saved notebook is compared with it."""

    flow: Flow
    cells: Mapping[str, str]  #: step -> SHA-256 of its cell's source
    notes: tuple[str, ...] = ()  #: what the person should know, such as reads that cannot be seen
    marks: Mapping[str, Any] = field(default_factory=dict)  #: of values that the steps read and gave here
    at: float = 0.0  #: when it was captured, in seconds of the system's clock; 0 where that is not known


def cell_sha(source: str) -> str:
    """Return the SHA-256 (hex) of a cell's source; blank space at its ends does not count."""
    return hashlib.sha256(source.strip().encode("utf-8", "surrogatepass")).hexdigest()


def to_record(record: Record) -> dict[str, Any]:
    """Return what is kept in the cell's output: the flow document, and the digests of the cells."""
    document = to_dict(record.flow)
    about: dict[str, Any] = {"cells": dict(record.cells), "notes": list(record.notes)}
    if record.marks:
        about["marks"] = dict(record.marks)
    if record.at:
        about["at"] = round(record.at, 3)
    document["metadata"]["flownb"]["captured"] = about
    return document


def from_record(data: Mapping[str, Any], what: str) -> Record:
    """Read a record back. Raises `DocumentError`."""
    flow = from_dict(dict(data), what)
    about = data["metadata"]["flownb"].get("captured", {})
    if not isinstance(about, dict):
        raise DocumentError(f"{what} is damaged: `captured` is not an object")
    cells, notes, marks = about.get("cells", {}), about.get("notes", []), about.get("marks", {})
    if not isinstance(cells, dict) or not isinstance(notes, list) or not isinstance(marks, dict):
        raise DocumentError(
            f"{what} is damaged: `captured` has no `cells`, `notes` and `marks` as they should be"
        )
    at = about.get("at", 0.0)
    at = float(at) if isinstance(at, int | float) else 0.0
    shas = {str(step): str(sha) for step, sha in cells.items()}
    return Record(flow, shas, tuple(map(str, notes)), marks, at)
