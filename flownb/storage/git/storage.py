"""GitStorage: flows on a branch of their own, in any repository; each version is a commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flownb.document import loads, to_dict
from flownb.errors import DocumentError, FlowExistsError, StorageError
from flownb.files import notebook_bytes
from flownb.storage.base import Storage
from flownb.storage.filenames import file_name
from flownb.storage.git.addresses import choose_remote, is_remote
from flownb.storage.git.checks import check_tag
from flownb.storage.git.origin import has_others, is_own, mark_origin, mark_own, origin
from flownb.storage.git.place import with_place
from flownb.storage.git.reading import SHORT, ReadStorage
from flownb.storage.git.refs import is_ancestor
from flownb.storage.git.writing import Change, commit_change
from flownb.storage.reference import location as location_of
from flownb.storage.reference import split_location

if TYPE_CHECKING:
    from typing import Literal, Self

    from flownb.flow import Flow
    from flownb.storage.git.objects import Tree
    from flownb.storage.git.remote import Exchange, Synced
    from flownb.storage.git.writing import Decide, Note


class GitStorage(ReadStorage):
    """Flows in the repository that a folder lies in, in a bare one, or at a URL (a clone in the cache).

    - `branch`: where they are committed; never one that is checked out. `folder`: where in its tree.
    - `remote`: the name or URL that `push` and `pull` go to; Git's own settings decide otherwise.
    - `revision`: read everything as of that version (a hash, tag, date, ...), and write nothing.
    - `sign`: sign commits with Git's own means: True, a key, or None for what `commit.gpgSign` says.
    - `verify="signed"`: read only flows whose commit has a signature that Git accepts.

    Work tree, index and HEAD are never touched. A version is the id of the commit that changed the
    flow last.
    """

    kind = "git"

    # --- writing

    def _to_keep(self, flow: Flow) -> Flow:
        """Return the flow as it is: of the notebook that it lay in, the path is kept (`place`)."""
        return flow

    def _write(self, flow: Flow, *, replace: bool) -> str:
        """Commit the flow and return the commit; of a URL, when the remote has it.

        Raises `FlowExistsError`; `StorageError` where the branch is checked out somewhere, no identity is
        configured, or something stands in the way. Then nothing has changed.
        """
        document = notebook_bytes(with_place(to_dict(flow), flow, self._root))

        def decide(files: Tree) -> Change | None:
            file = file_name(flow.name)
            there = files.get(file)
            if there is not None and not replace:
                raise FlowExistsError(
                    f"{self.name} holds a flow {flow.name} already; replace=True adds a version"
                )
            if there is not None and self._is_same(flow, there.id, document):
                return None
            return Change(f"{'Add' if there is None else 'Change'} {flow.name}\n", {file: document})

        return self._committed(flow.name, decide)

    def restore(self, location: str) -> str:
        """Make an old version the newest again, byte by byte; return its new location."""
        name, version = split_location(location)
        commit, blob = self._located(name, version)
        self._stored(self._read(name, commit), name, commit)  # what cannot be read is not made the newest
        file = file_name(name)

        def decide(files: Tree) -> Change | None:
            if file in files and files[file].id == blob:
                return None
            return Change(f"Restore {name} from {commit[:SHORT]}\n", {file: blob})

        return location_of(name, self._committed(name, decide))

    def _remove(self, name: str) -> None:
        """Commit that the flow is no longer there; its versions stay readable."""
        file = file_name(name)

        def decide(files: Tree) -> Change | None:
            return Change(f"Remove {name}\n", {file: None}) if file in files else None

        self._commit(decide)

    def _tag(self, name: str, version: str, tag: str) -> None:  # noqa: ARG002  # a commit has it
        """Give the commit of a version a tag. Raises `StorageError` where the tag is there already."""
        self._refuse_pinned()
        tag = check_tag(tag)
        if self.address is not None:
            self._exchange.publish_tag(tag, version)
        ref, git = f"refs/tags/{tag}", self.repository.git
        done = git.run("update-ref", "--end-of-options", ref, version, self.repository.null, check=False)
        if done.code == 0:
            return
        there = self.objects.commit(ref)
        if there is not None and there.id != version:
            raise StorageError(f"{self.name} has a tag {tag} already, of the commit {there.id[:SHORT]}")
        if there is None:
            raise StorageError(f"the tag {tag} could not be made in {self.name}: {done.stderr.strip()}")

    def _is_same(self, flow: Flow, blob: str, document: bytes) -> bool:
        found = self.objects.read(blob)
        if found is None or found.data == document:
            return found is not None
        try:
            there = loads(found.data.decode(), flow.name)
        except (DocumentError, UnicodeDecodeError):
            return False  # damaged: the new version mends it
        return there.digest == flow.digest == there.stated  # one that was edited by hand is written anew

    def _committed(self, name: str, decide: Decide) -> str:
        """Return the commit that was made, or else the one that has the flow as it is already."""
        return self._commit(decide) or self._pin(name, None)

    def _commit(self, decide: Decide) -> str | None:
        self._refuse_pinned()
        if self.address is not None:  # what the remote does not take is not in this storage
            return self._exchange.publish(lambda ref: self._commit_on(ref, decide))
        return self._commit_on(self.ref, decide, self._tracking, self._note)

    def _commit_on(
        self, ref: str, decide: Decide, start: str | None = None, note: Note | None = None
    ) -> str | None:
        return commit_change(self.repository, self.objects, ref, self.folder, decide, self.sign, start, note)

    def _note(self, base: str | None, made: str) -> None:
        """Note whose work the branch is with the commit `made` on top of `base`."""
        found = origin(self.repository, self.branch, base)
        if found is None:
            mark_own(self.repository, self.branch, made)
        else:
            mark_origin(self.repository, self.branch, found)  # their flows become part of the branch

    def _refuse_pinned(self) -> None:
        if self.revision is not None:
            raise StorageError(
                f"{self.name} was opened at the revision {self.revision!a}, where nothing is added or "
                "changed; open it without one"
            )

    # --- elsewhere

    def push(self, take: Literal["ours", "theirs"] | None = None) -> Synced:
        """Give the branch to its remote, with what others pushed meanwhile below; see `Exchange.push`."""
        self._refuse_pinned()
        return self._exchange.push(take)

    def pull(self, take: Literal["ours", "theirs"] | None = None) -> Synced:
        """Take what the remote's branch has, with what was committed here on top; see `Exchange.pull`."""
        self._refuse_pinned()
        if self.address is not None:
            self.repository = self._clone(None, take)
        return self._exchange.pull(take)

    @property
    def _exchange(self) -> Exchange:
        from flownb.storage.git.remote import Exchange

        remote = self._address or self.remote
        return Exchange(self.repository, self.branch, folder=self.folder, remote=remote, sign=self.sign)

    def build(self) -> Self:
        """Push where there is a remote, then read every flow back from the commit that the remote has.

        Raises one `StorageError` that tells every problem.
        """
        reaches = self.remote or self.address or self.repository.git.run("remote").text
        if not reaches or self.revision is not None or self.objects.commit(self.ref) is None:
            return super().build()
        pushed = self._exchange.push().commit
        self._exchange.confirm(pushed)
        Storage.build(type(self).from_serialized({**self.serialize(), "revision": pushed}))
        return self

    @property
    def origin(self) -> str | None:
        """The URL that flows here came from, where they came from elsewhere."""
        return self.address.url if self.address else origin(self.repository, self.branch, self.tip)

    def origin_of(self, location: str) -> str | None:
        """Return where a version came from: one that was not made here may have been fetched."""
        if (found := self.origin) is not None:
            return found
        commit = self._located(*split_location(location))[0]
        if is_own(self.repository, commit):
            return None
        ours = ("--count=1", f"--contains={commit}", "--format=%(refname)", "refs/heads")
        if not self.repository.git.run("for-each-ref", *ours).text:
            return f"the commit {commit[:SHORT]}, which none of its own branches has"
        if has_others(self.repository) and not self._is_before(commit):
            return f"the commit {commit[:SHORT]}, which was not made here"
        return None

    def _is_before(self, commit: str) -> bool:
        """Whether a commit is among those of the branch, whose origin was asked already."""
        return (tip := self.tip) is not None and is_ancestor(self.repository.git, commit, tip)

    def _elsewhere(self, flow: Flow) -> Storage:
        """Return the remote as a machine opens it that reaches it.

        Raises `StorageError` where there is no remote that others reach, or it lacks this version.
        """
        names = self.repository.git.run("remote").text.split()
        if self.address is None and self.remote is None and not names:
            return super()._elsewhere(flow)
        address = self._credentials or choose_remote(self.repository.git, self.branch, self.remote).address
        if not is_remote(address.url) or address.url.startswith("file:"):
            return super()._elsewhere(flow)
        commit = split_location(str(flow.location))[1]
        there = (
            "--count=1",
            f"--contains={commit}",
            "--format=%(refname)",
            "refs/flownb/seen",
            "refs/remotes",
        )
        if self.address is None and not self.repository.git.run("for-each-ref", *there).text:
            raise StorageError(
                f"{flow.location} was not pushed to {address.url} yet, and another machine gets it from "
                "there; push it (flownb push, or build())"
            )
        there_too = GitStorage(
            f"git+{address.url}", branch=self.branch, folder=self.folder, verify=self.verify
        )
        there_too.address = there_too._credentials = address
        return there_too
