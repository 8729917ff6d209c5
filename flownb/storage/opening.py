"""From a text to a storage, and from a flow reference to a flow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flownb.errors import FlowNotFound, StorageError
from flownb.storage.notebook import NotebookStorage
from flownb.storage.reference import Reference, location, parse_reference

if TYPE_CHECKING:
    from os import PathLike

    from flownb.flow import Flow
    from flownb.storage.base import Storage


def kinds() -> dict[str, type[Storage]]:
    """Return the kinds of storage by the word that `serialize()` gives them."""
    return {cls.kind: cls for cls in (NotebookStorage,)}


def open_storage(url: str | PathLike[str]) -> Storage:
    """Open the storage that a path or URL names. Raises `StorageError` saying what can be opened."""
    text = str(url)
    if text.startswith("flownb://"):
        text = text.removeprefix("flownb://")
    path = Path(text).expanduser()
    if path.suffix == ".ipynb" and "://" not in text:
        return NotebookStorage(path)
    there = "; that file is not a notebook (.ipynb)" if path.is_file() else ""
    raise StorageError(f"{text!a} is no storage that can be opened here{there}; a notebook (x.ipynb) can")


def open_flow(reference: str | Reference) -> tuple[Storage, Flow]:
    """Return the storage and the flow that a reference names.

    Without a name, the store's only flow is taken. Raises `StorageError`, `FlowNotFound`.
    """
    if isinstance(reference, str):
        reference = parse_reference(reference)
    storage = open_storage(reference.store)
    name = reference.name
    if name is None:
        flows = list(storage.flows)
        if len(flows) != 1:
            some = (
                f"holds {', '.join(flows[:10])}; say which: {reference.store}#{flows[0]}"
                if flows
                else "holds no flows"
            )
            raise FlowNotFound(f"{storage.name} {some}")
        name = flows[0]
    return storage, storage.get_flow(location(name, reference.version))
