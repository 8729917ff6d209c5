"""Flows copied from one storage to another, with the content that they have."""

from __future__ import annotations

from dataclasses import replace as changed
from typing import TYPE_CHECKING

from flownb.errors import FlowExists, StorageError

if TYPE_CHECKING:
    from flownb.storage import Storage


def flows_to_copy(source: str, target: str, *, replace: bool) -> tuple[Storage, list[str], Storage]:
    """Return the storage to copy from, the locations in it, and the storage to copy to.

    Nothing is written. Raises `FlowExists` where the target holds one of the names and is not to `replace`
    it, and `StorageError` where it is to get another name: the name is part of what a flow is.
    """
    from flownb.storage import open_storage, parse_reference
    from flownb.storage.reference import location

    wanted, place = parse_reference(source), parse_reference(target)
    origin, storage = open_storage(wanted.store), open_storage(place.store)
    if place.version is not None:
        raise StorageError(f"{target}: a copy becomes the newest version; leave the @{place.version} out")
    if wanted.name is None:
        if place.name is not None:
            raise StorageError(
                f"{source} names a whole store, which is copied to a store, {place.store}; "
                "or name one flow of it"
            )
        names = list(origin.flows)
        locations = list(origin.flows.values())
        if not names:
            raise StorageError(f"{origin.name} holds no flows to copy")
    else:
        if place.name not in (None, wanted.name):
            raise StorageError(
                f"a copy of {wanted.name} has that name too, not {place.name}: the name is part of the "
                f"content. Leave it out: flownb copy {source} {place.store}"
            )
        names = [wanted.name]
        locations = [location(wanted.name, wanted.version)]
    if not replace:
        there = storage.flows
        if taken := [name for name in names if name in there]:
            more = f" and {len(taken) - 5} more" if len(taken) > 5 else ""
            raise FlowExists(
                f"{storage.name} holds {', '.join(taken[:5])}{more} already; --replace adds a new version"
            )
    return origin, locations, storage


def copy_flow(origin: Storage, location: str, storage: Storage, *, replace: bool) -> str:
    """Copy one flow and return its location in `storage`; that it has the same content is looked at."""
    flow = changed(origin.get_flow(location), storage=None, location=None)
    there = storage.add_flow(flow, replace=replace)
    if (found := storage.get_flow(there).digest) != flow.digest:
        raise StorageError(
            f"{location} of {origin.name} was copied, and is not the same in {storage.name}: "
            f"{there} has the digest {found[:12]}, not {flow.version}"
        )
    return there
