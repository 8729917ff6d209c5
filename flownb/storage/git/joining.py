"""Two sides of a branch made one: what is put on top of what, and when a person has to choose."""

from __future__ import annotations

import shlex
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from flownb.errors import FlowConflictError, StorageError
from flownb.storage.filenames import flow_name, is_hashed
from flownb.storage.git import reapply
from flownb.storage.git.index import hashed_name
from flownb.storage.git.objects import Objects
from flownb.storage.git.refs import are_related, is_ancestor
from flownb.storage.versions import Version

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flownb.storage.git.command import Git
    from flownb.storage.git.repository import Repository
    from flownb.storage.git.signatures import Sign

Take = Literal["ours", "theirs"]

#: what may lie beside the folder of flows on a branch that is flownb's
_BESIDE = ("readme", "license", ".git")


@dataclass(frozen=True, slots=True)
class Joining:
    """What both sides of a branch are put together with."""

    repository: Repository
    branch: str
    folder: str  #: of the flows
    remote: str  #: for people
    sign: Sign

    @property
    def _git(self) -> Git:
        return self.repository.git

    def join(
        self,
        ours: str | None,
        theirs: str,
        since: str | None,
        take: Take | None,
        deepen: Callable[[], object],
    ) -> tuple[str, Mapping[str, str]]:
        """Return a commit that holds both sides, and what became of ours. No branch is moved.

        Ours are the commits that are in neither `theirs` nor `since`, which is what both sides had before
        the remote rewrote it. `deepen` completes the history of a shallow clone. Raises `FlowConflictError`,
        unless `take` says which side's version of such flows is the newest; and `StorageError`.
        """
        if ours is None:
            return theirs, {}
        if since is None and is_ancestor(self._git, theirs, ours):
            return ours, {}
        if since is None and is_ancestor(self._git, ours, theirs):
            return theirs, {}
        if since is None:
            self._check_related(ours, theirs, deepen)
        git = self._git
        own = reapply.own_commits(git, ours, theirs, since)
        onto = reapply.files(git, theirs)
        plan = reapply.plan(own, onto, self._touched(ours, theirs, since), reapply.same_flow(git))
        if plan.conflicts and take is None:
            raise self._conflict(plan.conflicts, ours, theirs)
        reapply.check_folders(plan, onto, self.remote)
        commits = plan.commits
        if plan.conflicts and take == "theirs":
            commits = (*commits, self._theirs_again(plan.conflicts, onto, theirs, own))
        written = reapply.write(self.repository, commits, theirs, self.sign)
        tip, found = theirs, {}
        for commit in own:
            tip = found[commit.id] = written.get(commit.id, tip)
        return (written[commits[-1].id] if commits else theirs), found

    def _touched(self, ours: str, theirs: str, since: str | None) -> set[str]:
        """Return the files that were changed there since what both sides had."""
        if since is not None:
            return set(reapply.changed_between(self._git, since, theirs))
        ids = self._git.run("rev-list", theirs, f"^{ours}").text.split()
        changed = reapply.changed_files(self._git, ids)
        return {change.path for changes in changed.values() for change in changes}

    def _theirs_again(
        self,
        paths: Sequence[str],
        onto: Mapping[str, reapply.Entry],
        theirs: str,
        own: Sequence[reapply.Commit],
    ) -> reapply.Commit:
        """Return the commit by which the remote's version of some flows is the newest again."""
        names = ", ".join(self._name(path, theirs) for path in paths)
        return reapply.Commit(
            id=theirs,
            parents=(),
            author=self._git.run("var", "GIT_AUTHOR_IDENT").stdout.rstrip(b"\n"),
            encoding=b"",
            message=f"Keep {names} as {self.remote} has it ({theirs[:12]})\n".encode(),
            signed=any(commit.signed for commit in own),
            changes=tuple(reapply.Change(path, onto.get(path)) for path in paths),
        )

    def _conflict(self, paths: Sequence[str], ours: str, theirs: str) -> FlowConflictError:
        found = []
        for path in paths:
            name = self._name(path, ours, theirs)
            versions = self._version(path, name, ours), self._version(path, name, theirs)
            found.append(reapply.Conflict(name, *versions))
        place = shlex.quote(str(self.repository.path))
        told = "\n".join(
            f"  {conflict.name}\n    here: {_told(conflict.ours)}"
            f"\n    {self.remote}: {_told(conflict.theirs)}"
            for conflict in found
        )
        return FlowConflictError(
            f"changed here and, differently, at {self.remote}; nothing was pushed or changed:\n{told}\n"
            f"Compare:\n"
            f"  flownb diff {self._reference(found[0].ours)} {self._reference(found[0].theirs)}\n"
            "Then choose which version is the newest; the other one stays in the history:\n"
            f"  flownb pull {place} --take ours\n"
            f"  flownb pull {place} --take theirs\n"
            "(in Python: storage.pull(take='ours') or storage.pull(take='theirs'))",
            found,
        )

    def _reference(self, version: Version) -> str:
        name, _, commit = version.location.rpartition("@")
        return shlex.quote(f"{self.repository.path}#{name}@{commit[:12]}")

    def _version(self, path: str, name: str, tip: str) -> Version:
        """Return the version of a file that a commit holds: the last commit that changed it."""
        made = self._git.run("rev-list", "--max-count=1", tip, "--", path).text or tip
        with closing(Objects(self._git)) as objects:
            commit, there = objects.commit(made), objects.read(f"{tip}:{path}")
        assert commit is not None  # rev-list has read it
        message = commit.message.strip()
        return Version(made, f"{name}@{made}", commit.when, commit.author, message, None, there is None)

    def _name(self, path: str, *tips: str) -> str:
        """Return the name of the flow in a file, as one of the commits has it; of another file the path."""
        folder, _, file = path.rpartition("/")
        name = flow_name(file) if folder == self.folder else None
        if name is None and folder == self.folder and is_hashed(file):
            with closing(Objects(self._git)) as objects:
                found = [there for there in objects.read_many(f"{tip}:{path}" for tip in tips) if there]
            name = next((name for there in found if (name := hashed_name(there.data, file))), None)
        return name or ascii(path)[1:-1]

    def _check_related(self, ours: str, theirs: str, deepen: Callable[[], object]) -> None:
        """Complete a shallow clone where needed, and refuse a remote branch that is something else."""
        if are_related(self._git, ours, theirs):
            return
        if self.repository.shallow:
            deepen()
            if are_related(self._git, ours, theirs):
                return
        top = self.folder.partition("/")[0]
        names = [path.partition("/")[0] for path in reapply.files(self._git, theirs)]
        if any(name != top and not name.lower().startswith(_BESIDE) for name in names):
            raise StorageError(
                f"the branch {self.branch} of {self.remote} has another history and holds other things "
                f"than flows; choose another branch for flows, or another remote. Nothing was changed"
            )


def _told(version: Version) -> str:
    when = f"{version.when:%Y-%m-%d %H:%M}" if version.when else "at an unknown time"
    subject = ascii(version.message.partition("\n")[0][:80])[1:-1]
    what = " (removed)" if version.removed else ""
    return f"{version.id[:12]}{what}, {when}, {ascii(version.who)[1:-1]}: {subject}"
