"""Reading flows of a branch: newest and old ones, one and many, and their history. Nothing is run."""

from __future__ import annotations

import contextlib
import difflib
import re
from dataclasses import replace as changed
from functools import cached_property
from typing import TYPE_CHECKING

from flownb.document.files import loads_notebook
from flownb.document.reading import from_dict
from flownb.errors import DocumentError, FlownbError, FlowNotFoundError, StorageError
from flownb.storage.git.index import FlowIndex, State, changes
from flownb.storage.git.opened import OpenedStorage
from flownb.storage.git.place import folder_of, notebook_of
from flownb.storage.git.signatures import require_signature
from flownb.storage.reference import location as location_of
from flownb.storage.reference import split_location
from flownb.storage.versions import Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from flownb.flow import Flow
    from flownb.storage.git.objects import Object

#: letters of a commit's id, as people are shown it
SHORT = 10
#: the beginning of a content's digest, as lists of flows show it
_DIGEST = re.compile(r"[0-9a-f]{7,64}")


class ReadStorage(OpenedStorage):
    """The reading half of a Git storage."""

    @cached_property
    def _index(self) -> FlowIndex:
        keep = self.revision is None
        return FlowIndex(self.repository, self.objects, self.ref, self.folder, keep=keep)

    @property
    def _state(self) -> State:
        tip = self.tip
        return State("", {}, ()) if tip is None else self._index.at(tip)

    def _newest(self) -> Mapping[str, str]:
        """Return name -> commit; no document is read for it."""
        return {name: kept.commit for name, kept in sorted(self._state.flows.items())}

    def reach(self) -> None:
        """Ask the repository for its newest commit."""
        _ = self.tip

    @property
    def problems(self) -> Sequence[str]:
        """Notebooks in the folder that are no flows, as their names are not those of flows."""
        return self._state.problems

    def _has(self, name: str) -> bool:
        """Whether the tip has the flow's file: asked of Git alone."""
        return (tip := self.tip) is not None and self._entry(tip, self._path(name)) is not None

    def _pin(self, name: str, version: str | None) -> str:
        """Return the full id of the commit that changed the flow last, as of a version.

        That is a hash, tag, branch, `HEAD~2`, date or `yesterday`.
        """
        return self._located(name, version)[0]

    def _read(self, name: str, version: str) -> Flow:
        found = self.objects.read(f"{version}:{self._path(name)}")
        return self._flow(name, version, None if found is None else found.data)

    def get_flows(self, locations: Iterable[str] | None = None) -> Iterator[Flow]:
        """Yield many flows, all of them by default, read through one process. Raises as `get_flow`."""
        if locations is None:
            found = [(kept.name, kept.commit, kept.blob) for kept in self._state.flows.values()]
        else:
            split = [split_location(text) for text in locations]
            found = [(name, *self._located(name, version)) for name, version in split]
        documents = self.objects.read_many(blob for _, _, blob in found)
        for (name, commit, _), document in zip(found, documents, strict=True):
            flow = self._flow(name, commit, None if document is None else document.data)
            yield self._stored(flow, name, commit)

    def _located(self, name: str, version: str | None) -> tuple[str, str]:
        """Return the commit that changed a flow last, as of a version, and its document's blob."""
        if version is None:
            return self._newest_of(name)
        if self.address is not None and "repository" not in vars(self):
            self.repository, self._behind = self._clone(version), True
        if steps := re.fullmatch(r"~(\d{1,6})", version):
            return self._versions_back(name, int(steps[1]))
        try:
            asked = self._revisions.resolve(version)
        except FlowNotFoundError as error:
            found = self._of_digest(name, version) if _DIGEST.fullmatch(version) else None
            if found is None:
                raise self._no_version(name, version, str(error)) from None
            return found
        path = self._path(name)
        entry = self._entry(asked, path)
        if entry is None:
            raise self._no_version(name, version, f"the commit {asked[:SHORT]} does not have it")
        return self._last_change(asked, path, entry), entry

    def _versions_back(self, name: str, steps: int) -> tuple[str, str]:
        """Return the version of a flow that is so many before its newest, as its history counts them."""
        versions = self.history(name)
        if steps >= len(versions):
            known = "1 version" if len(versions) == 1 else f"{len(versions)} versions"
            raise self._no_version(name, f"~{steps}", f"it has {known}")
        commit = versions[steps].id
        entry = self._entry(commit, self._path(name))
        if entry is None:
            raise self._no_version(name, f"~{steps}", f"it was removed by {commit[:SHORT]}")
        return commit, entry

    def _of_digest(self, name: str, beginning: str) -> tuple[str, str] | None:
        """Return the newest version of a flow whose content's digest begins so; None where there is none.

        Raises `FlowNotFoundError` where there are several such contents.
        """
        try:
            versions = [version for version in self.history(name) if not version.removed]
        except FlowNotFoundError:
            return None
        path = self._path(name)
        found = self.objects.read_many(f"{version.id}:{path}" for version in versions)
        blobs = [(version.id, blob) for version, blob in zip(versions, found, strict=True) if blob]
        telling = [(commit, blob) for commit, blob in blobs if beginning.encode() in blob.data]
        # a document that was edited by hand tells its old digest: all are computed before none is found
        matches = _with_digest(telling, beginning) or _with_digest(blobs, beginning)
        if len(matches) > 1:
            told = ", ".join(digest[:12] for digest in matches)
            raise self._no_version(name, beginning, f"several versions begin so: {told}; write more of it")
        return next(iter(matches.values()), None)

    def _newest_of(self, name: str) -> tuple[str, str]:
        kept = self._state.flows.get(name)
        if kept is not None and self._entry(kept.commit, self._path(name)) != kept.blob:
            self._index.forget()  # the file in which it was kept was changed by others
            kept = self._state.flows.get(name)
        if kept is None:
            raise self._not_found(name)
        return kept.commit, kept.blob

    def _last_change(self, asked: str, path: str, blob: str) -> str:
        """Return the newest commit, of `asked` and those before, that put this content at the path."""
        commit = self.objects.commit(asked)
        assert commit is not None
        if all(self._entry(parent, path) != blob for parent in commit.parents):
            return asked
        ids = self.repository.git.run("rev-list", "--topo-order", "--full-history", asked, "--", path).text
        for found in changes(self.repository, ids.split(), path):
            if found.blobs.get(path) == blob:
                return found.commit
        raise StorageError(f"{self.name}: no commit is known that made {path} what it is in {asked[:SHORT]}")

    def _entry(self, commit: str, path: str) -> str | None:
        """Return the id of the blob at a path of a commit; Git finds it in the trees."""
        found = self.objects.read(f"{commit}:{path}")
        return found.id if found is not None and found.kind == "blob" else None

    def _flow(self, name: str, commit: str, document: bytes | None) -> Flow:
        what = f"{name}@{commit[:SHORT]} of {self.name}"
        if document is None:
            raise StorageError(f"{what} cannot be read: its document is missing from the repository")
        if self.verify:
            require_signature(self.repository.git, commit, what)
        try:
            notebook = loads_notebook(document.decode(), what)
            flow = from_dict(notebook, what)
        except UnicodeDecodeError as error:
            raise DocumentError(f"{what} is damaged: {error}") from None
        return changed(flow, folder=folder_of(notebook, self._root))

    @cached_property
    def _root(self) -> Path | None:
        """The work tree, in which flows run; None where there is none."""
        return None if self.address else self.repository.work_tree

    def captured_in(self, location: str, *, before: bool = False) -> str | None:
        """Return the notebook, relative to the work tree, that a version was captured in, if that is known.

        `location` is a pinned one; `before` asks for the version that was there just before it.
        """
        name, commit = split_location(location)
        found = self.objects.read(f"{commit}{'^' if before else ''}:{self._path(name)}")
        try:
            return None if found is None else notebook_of(loads_notebook(found.data.decode(), location))
        except (DocumentError, UnicodeDecodeError):
            return None

    def _versions(self, name: str) -> Sequence[Version]:
        """Return every version that the branch had of a flow, newest first; removals are among them."""
        path, tip = self._path(name), self.tip
        if tip is None:
            return []
        ids = self.repository.git.run("rev-list", "--topo-order", "--full-history", tip, "--", path).text
        found = changes(self.repository, ids.split(), path)
        return [self._version(name, item.commit, item.blobs[path]) for item in found]

    def _version(self, name: str, commit_id: str, blob: str) -> Version:
        commit = self.objects.commit(commit_id)
        assert commit is not None
        return Version(
            id=commit_id,
            location=location_of(name, commit_id),
            when=commit.when,
            who=commit.author,
            message=commit.message.strip(),
            removed=not blob.strip("0"),
        )

    # --- refusals

    def _not_found(self, name: str, version: str | None = None) -> FlowNotFoundError:
        error = super()._not_found(name, version)
        if self.tip is None:
            return FlowNotFoundError(
                f"{self.name} holds no flow {name}: its branch {self.branch} has no commit yet"
            )
        return error

    def _no_version(self, name: str, version: str, why: str) -> FlowNotFoundError:
        told = f"{self.name} does not hold {name} in version {ascii(version)[1:-1]}: {why}"
        names = [text for text in self._revisions.names() if not re.search(r"[^\x20-\x7e]", text)]
        near = difflib.get_close_matches(version, names, 3)
        if near:
            told += f"; did you mean {' or '.join(near)}?"
        try:
            newest = self.history(name)[:3]
        except FlowNotFoundError:
            return FlowNotFoundError(told)
        shown = (
            f"{item.id[:SHORT]} ({item.when:%Y-%m-%d})" if item.when else item.id[:SHORT] for item in newest
        )
        return FlowNotFoundError(f"{told}; its newest versions: {', '.join(shown)}")


def _with_digest(versions: Iterable[tuple[str, Object]], beginning: str) -> dict[str, tuple[str, str]]:
    """Return digest -> commit and blob of the first version with it, of the digests that begin so."""
    found: dict[str, tuple[str, str]] = {}
    for commit, blob in versions:
        with contextlib.suppress(FlownbError, UnicodeDecodeError):  # a damaged one is not what is looked for
            digest = from_dict(loads_notebook(blob.data.decode(), commit)).digest
            if digest.startswith(beginning):
                found.setdefault(digest, (commit, blob.id))
    return found
