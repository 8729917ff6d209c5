"""What a reference names: a store and a flow in it, found without reading the flow."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flownb.errors import FlowNotFoundError, StorageError

if TYPE_CHECKING:
    from flownb.storage.base import Storage


@dataclass(frozen=True, slots=True)
class Named:
    """A flow in a storage, in the version asked for; None stands for the newest."""

    storage: Storage
    store: str  #: as it was written
    name: str
    version: str | None

    @property
    def location(self) -> str:
        """What the storage takes."""
        return self.name if self.version is None else f"{self.name}@{self.version}"


def named(text: str) -> Named:
    """Open the store of a reference; without a name its only flow is meant.

    Raises `StorageError`, and `FlowNotFoundError` where the store does not say which flow.
    """
    from flownb.storage.opening import open_storage
    from flownb.storage.reference import parse_reference

    reference = parse_reference(text)
    storage = open_storage(reference.store)
    name = reference.name
    if name is None:
        flows = list(storage.flows)
        if len(flows) != 1:
            which = f"; say which: {shlex.quote(f'{reference.store}#NAME')}" if flows else ""
            raise FlowNotFoundError(f"{storage.name} {storage.held}{which}")
        name = flows[0]
    return Named(storage, reference.store, name, reference.version)


def store_named(text: str) -> Storage:
    """Open a store that is named alone. Raises `StorageError` where a flow is named with it."""
    from flownb.storage.opening import open_storage
    from flownb.storage.reference import parse_reference

    reference = parse_reference(text)
    if reference.name is not None:
        raise StorageError(f"{text!r} names a flow; here a store is wanted: {shlex.quote(reference.store)}")
    return open_storage(reference.store)
