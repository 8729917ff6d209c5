"""Flows copied from one storage to another, with the content that they have."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from dataclasses import replace as changed
from typing import TYPE_CHECKING

from flownb.errors import FlowExistsError, FlownbError, StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flownb.storage import Storage


@dataclass(frozen=True, slots=True)
class Copying:
    """What a copy has to do: which flows to bring where, and which are there already."""

    origin: Storage
    storage: Storage
    locations: tuple[str, ...]  #: in `origin`, of the flows to copy
    there: Mapping[str, str]  #: what the target holds: flow -> location
    same: tuple[str, ...] = ()  #: names that are there with this content
    different: tuple[str, ...] = ()  #: names that are there with another one


def what_to_copy(source: str, target: str, *, replace: bool) -> Copying:
    """Return what is to be copied; flows that the target holds are so only where it is to `replace` them.

    Nothing is written. Raises `FlowExistsError` where the only flow to copy is there with another content,
    and `StorageError` where it is to get another name: the name is part of what a flow is.
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
        flows = dict(origin.flows)
        if not flows:
            raise StorageError(f"{origin.name} holds no flows to copy")
    else:
        if place.name not in (None, wanted.name):
            raise StorageError(
                f"a copy of {wanted.name} has that name too, not {place.name}: the name is part of the "
                f"content. Leave it out: flownb copy {shlex.quote(source)} {shlex.quote(place.store)}"
            )
        flows = {wanted.name: location(wanted.name, wanted.version)}
    there = dict(storage.flows)
    if replace:
        return Copying(origin, storage, tuple(flows.values()), there)
    taken = [name for name in flows if name in there]
    same = [name for name in taken if _have_same(origin, flows[name], storage, there[name])]
    different = [name for name in taken if name not in same]
    if different and wanted.name is not None:
        raise FlowExistsError(
            f"{storage.name} holds another {wanted.name} already; --replace adds a new version: "
            f"flownb copy --replace {shlex.quote(source)} {shlex.quote(target)}"
        )
    new = tuple(place for name, place in flows.items() if name not in there)
    return Copying(origin, storage, new, there, tuple(same), tuple(different))


def _have_same(origin: Storage, location: str, storage: Storage, there: str) -> bool:
    flow = origin.get_flow(location)
    try:
        return storage.get_flow(there).digest == flow.digest
    except FlownbError:  # damaged: whether it is to be replaced is for a person to say
        return False


def copy_flow(origin: Storage, location: str, storage: Storage, *, replace: bool) -> str:
    """Copy one flow and return its location in `storage`; that it has the same content is looked at."""
    flow = origin.get_flow(location)
    if storage.kind != "git":  # which keeps of it in which notebook it was captured, and no more
        flow = changed(flow, storage=None)
    flow = changed(flow, location=None)
    there = storage.add_flow(flow, replace=replace)
    if (found := storage.get_flow(there).digest) != flow.digest:
        raise StorageError(
            f"{location} of {origin.name} was copied, and is not the same in {storage.name}: "
            f"{there} has the digest {found[:12]}, not {flow.version}"
        )
    return there
