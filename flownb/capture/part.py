"""A part: what one `%%flow` cell gives to its flow, and the record of it that a notebook keeps."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flownb.document import from_dict, to_dict
from flownb.errors import DocumentError
from flownb.names import find_names

if TYPE_CHECKING:
    from flownb.flow import Flow, Step


@dataclass(frozen=True, slots=True)
class Part:
    """One captured cell: a flow of a single step, with all that the step reads from elsewhere.

    Names that other steps of the flow bind are not carried: `flownb.capture.assemble` puts the parts
    of a flow together and sees to it that every name comes from somewhere.
    """

    flow: Flow
    source: str  #: SHA-256 of the cell that was captured
    notes: tuple[str, ...] = ()  #: what the person should know, such as reads that cannot be seen

    @property
    def step(self) -> Step:
        """The one step."""
        return self.flow.steps[0]

    @property
    def gives(self) -> frozenset[str]:
        """The names that running the step may bind or change, itself or through functions that it carries.

        What a later step reads of these is what this one left, not what was there when it was captured.
        """
        given = set(self.step.binds)
        for entry in self.flow.closure:
            if entry.how == "definition":
                names = find_names(entry.source)
                given |= (names.mutates | names.binds) - set(entry.bound)
        return frozenset(given)


def cell_sha(source: str) -> str:
    """Return the SHA-256 (hex) of a cell's source; blank space at its ends does not count."""
    return hashlib.sha256(source.strip().encode("utf-8", "surrogatepass")).hexdigest()


def to_record(part: Part) -> dict[str, Any]:
    """Return what is kept in the cell's output: the flow document of the part, and its cell's digest."""
    document = to_dict(part.flow)
    document["metadata"]["flownb"]["cell"] = {"sha256": part.source, "notes": list(part.notes)}
    return document


def from_record(record: dict[str, Any], what: str) -> Part:
    """Read a record back. Raises `DocumentError`."""
    flow = from_dict(record, what)
    about = record["metadata"]["flownb"].get("cell", {})
    if not isinstance(about, dict) or not isinstance(notes := about.get("notes", []), list):
        raise DocumentError(f"{what} is damaged: `cell` is not an object with a list of `notes`")
    return Part(flow, str(about.get("sha256", "")), tuple(map(str, notes)))
