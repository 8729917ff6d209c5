"""Exchanging the branch of flows with a remote: nothing is lost, nothing is overwritten in silence.

What others pushed meanwhile is fetched, and what was committed here is put on top of it; the same flow
changed on both sides is a `FlowConflictError`, until a person chooses. A push names the commit that it found
at the remote, so it takes the place of that one and of no other, whoever else pushes at the same time.

Refs of its own (`refs/flownb/`): `incoming`, what was fetched last; `seen`, what both sides last had in
common, by which a branch that was rewritten at the remote is noticed; `kept`, commits that were put on
top of others, so that a version recorded with a run stays readable.
"""

from __future__ import annotations

import os
import secrets
import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from flownb.errors import StorageError
from flownb.storage.git.addresses import choose_remote
from flownb.storage.git.command import NETWORK_TIMEOUT, printable
from flownb.storage.git.joining import Joining
from flownb.storage.git.lock import alone
from flownb.storage.git.origin import is_own, mark_origin, mark_own, origin, remote_url
from flownb.storage.git.programs import own_programs, told_left_out
from flownb.storage.git.refs import count, is_ancestor, put, tip_of
from flownb.storage.git.refusals import is_contention, refusal
from flownb.storage.git.signatures import settings_of
from flownb.storage.git.writing import refuse_checked_out

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from flownb.storage.git.addresses import Address
    from flownb.storage.git.command import Completed, Git
    from flownb.storage.git.joining import Take
    from flownb.storage.git.programs import Programs
    from flownb.storage.git.repository import Repository

#: how often a push is tried again when others keep pushing; each time one of them gets through
ATTEMPTS = 60


@dataclass(frozen=True, slots=True)
class Synced:
    """What an exchange did."""

    remote: str  #: name or URL, without credentials
    branch: str
    commit: str  #: where the branch is now, here (and there, after a push)
    sent: int = 0  #: commits that the remote did not have
    received: int = 0  #: commits that were not here
    reapplied: Mapping[str, str] = field(default_factory=dict)  #: id of a commit before -> its id now

    def __str__(self) -> str:
        done = [
            f"{_counted(self.received)} came in" if self.received else "",
            f"{_counted(self.sent)} sent" if self.sent else "",
            f"{_counted(len(self.reapplied))} put on top" if self.reapplied else "",
        ]
        told = ", ".join(text for text in done if text) or "nothing new"
        return f"{self.branch} with {self.remote}: {told}; it is at {self.commit[:12]}"


class Exchange:
    """One branch of one repository, and the same branch of one remote."""

    def __init__(
        self,
        repository: Repository,
        branch: str = "flownb",
        *,
        folder: str = "flows",
        remote: str | Address | None = None,
        sign: bool | str | None = None,
        timeout: float = NETWORK_TIMEOUT,
    ) -> None:
        self.repository = repository
        self.branch = branch
        self.timeout = timeout
        self.remote = choose_remote(repository.git, branch, remote)
        self._joining = Joining(repository, branch, folder, self.remote.name, sign)
        self._ref = f"refs/heads/{branch}"
        self._incoming = f"refs/flownb/incoming/{self.remote.key}/{branch}"
        self._seen = f"refs/flownb/seen/{self.remote.key}/{branch}"

    @property
    def _git(self) -> Git:
        return self.repository.git

    def push(self, take: Take | None = None) -> Synced:
        """Give the branch, and no other, to the remote; what others pushed comes in first.

        Raises `FlowConflictError` where a flow was changed on both sides, unless `take` says which version is
        the newest from now on, and `StorageError`. Whatever is raised, the commits are here still.
        """
        _check_take(take)
        with self._alone():
            received = 0
            moved: Mapping[str, str] = {}
            for attempt in range(ATTEMPTS):
                ours, seen = tip_of(self._git, self._ref), tip_of(self._git, self._seen)
                if ours is None:
                    raise StorageError(
                        f"there is nothing to push: no flow was committed to {self.branch} yet"
                    )
                if attempt or take or seen in (None, ours) or not is_ancestor(self._git, seen, ours):
                    theirs = self.fetch()
                    step = self._adopted(ours, theirs, take)
                    if step is None:
                        continue  # somebody committed here meanwhile
                    received, moved = received + step.received, _chained(moved, step.reapplied)
                    ours, seen = step.commit, theirs
                if ours == seen:
                    return Synced(self.remote.name, self.branch, ours, 0, received, moved)
                sent = count(self._git, ours, seen)
                if self._pushed(ours, seen):
                    return Synced(self.remote.name, self.branch, ours, sent, received, moved)
                _pause(attempt)
        raise StorageError(self._contended("the commits are here; push again"))

    def pull(self, take: Take | None = None) -> Synced:
        """Let the remote's commits come in, with what was committed here on top; see `push`."""
        _check_take(take)
        with self._alone():
            for _ in range(ATTEMPTS):
                ours, theirs = tip_of(self._git, self._ref), self.fetch()
                if theirs is None and (ours is None or tip_of(self._git, self._seen) is None):
                    raise StorageError(f"{self.remote.name} has no branch {self.branch} yet; a push makes it")
                step = self._adopted(ours, theirs, take)
                if step is not None:
                    return step
        raise StorageError(f"{self.branch} was changed here each time while it was pulled; pull again")

    def follow(self, take: Take | None = None) -> str | None:
        """Make the branch here what the remote has, as in a clone that holds nothing of its own.

        Returns its commit, None where the remote has no such branch yet. Raises `StorageError`, also
        where the remote rewrote the branch, unless `take="theirs"` follows it.
        """
        with self._alone():
            return self._followed(take)

    def publish(self, write: Callable[[str], str | None]) -> str | None:
        """Commit and push at once, in a clone that holds nothing of its own.

        `write` commits on the ref that it is given, which is as the remote has the branch, and returns
        the commit, or None where there is nothing to do. When others push meanwhile it is called again.
        Returns the commit that the remote has now. Whatever is raised, nothing was added.
        """
        scratch = f"refs/flownb/publishing/{self.branch}"
        with self._alone():
            for attempt in range(ATTEMPTS):
                theirs = self._followed(None)
                put(self._git, scratch, theirs)
                try:
                    made = write(scratch)
                    if made is None:
                        return None
                    if self._pushed(made, theirs):
                        put(self._git, self._ref, made)
                        return made
                finally:
                    put(self._git, scratch, None)
                _pause(attempt)
        raise StorageError(self._contended("nothing was added; try again"))

    def publish_tag(self, tag: str, commit: str) -> None:
        """Give a commit a tag at the remote. Raises `StorageError`, also where the tag is there already."""
        ref = f"refs/tags/{tag}"
        with self._alone():
            done = self._send(commit, ref, None)
        if done.code:
            if is_contention(done):
                raise StorageError(f"{self.remote.name} has a tag {tag} already; choose another name")
            raise self._refusal("pushing", done)

    def confirm(self, commit: str) -> None:
        """Ask the remote anew, and make sure that its branch holds `commit`. Raises `StorageError`."""
        with self._alone():
            theirs = self.fetch()
        if theirs is None or not is_ancestor(self._git, commit, theirs):
            raise StorageError(
                f"{self.remote.name} took {commit[:12]}, but its branch {self.branch} "
                + (f"is at {theirs[:12]}, which does not hold it" if theirs else "is not there")
                + "; somebody rewrote it meanwhile: pull tells what changed"
            )

    def fetch(self, *words: str) -> str | None:
        """Fetch the remote's branch; returns its commit, None where the remote has no such branch."""
        done = self._network(
            *("fetch", "--quiet", "--no-prune", "--no-prune-tags", "--no-write-fetch-head"),
            *("--no-auto-maintenance", "--recurse-submodules=no", *words, *self._programs.fetch_options),
            *("--end-of-options", self.remote.where, f"+{self._ref}:{self._incoming}"),
            doing="fetching",
        )
        if done.code and "couldn't find remote ref" in done.stderr:
            return None
        if done.code:
            raise self._refusal("fetching", done)
        return tip_of(self._git, self._incoming)

    def _pushed(self, new: str, old: str | None) -> bool:
        """Push a commit in place of the one that is there; False when that was another one."""
        done = self._send(new, self._ref, old)
        if done.code == 0:
            put(self._git, self._seen, new)
            return True
        if is_contention(done):
            return False
        raise self._refusal("pushing", done, "Nothing is lost here.")

    def _send(self, new: str, ref: str, old: str | None) -> Completed:
        return self._network(
            *("push", "--porcelain", "--no-verify", "--no-follow-tags", "--recurse-submodules=no"),
            *self._programs.push_options,
            f"--force-with-lease={ref}:{old or ''}",
            *("--end-of-options", self.remote.where, f"{new}:{ref}"),
            doing="pushing",
        )

    def _followed(self, take: Take | None) -> str | None:
        seen, theirs = tip_of(self._git, self._seen), self.fetch()
        if (
            seen is not None
            and take != "theirs"
            and (theirs is None or not is_ancestor(self._git, seen, theirs))
        ):
            raise StorageError(self._rewriting(seen, theirs))
        if theirs is not None:
            mark_origin(self.repository, self.branch, self._from)
        put(self._git, self._ref, theirs)
        put(self._git, self._seen, theirs)
        return theirs

    def _adopted(self, ours: str | None, theirs: str | None, take: Take | None) -> Synced | None:
        """Make the local branch one that holds the remote's commits; None when the branch moved meanwhile."""
        seen = tip_of(self._git, self._seen)
        rewritten = (
            ours is not None
            and seen is not None
            and (theirs is None or not is_ancestor(self._git, seen, theirs))
        )
        if rewritten and (take is None or (take == "theirs" and theirs is None)):
            raise StorageError(self._rewriting(seen, theirs))
        if theirs is None:
            assert ours is not None  # callers have seen to it
            put(self._git, self._seen, None)
            return Synced(self.remote.name, self.branch, ours)
        since = seen if rewritten and take == "theirs" else None
        new, moved = self._joining.join(ours, theirs, since, take, lambda: self.fetch("--unshallow"))
        received = count(self._git, theirs, ours)
        if received:
            mark_origin(self.repository, self.branch, self._from)
        elif new != ours and is_own(self.repository, theirs) and self._is_ours(ours):
            mark_own(self.repository, self.branch, new)
        if new != ours:
            refuse_checked_out(self.repository, self._ref)
        if not self._moved(ours, new, theirs):
            return None
        return Synced(self.remote.name, self.branch, new, 0, received, moved)

    @property
    def _from(self) -> str:
        """Where its commits come from, as trust tells it."""
        url = self.remote.address.url
        return url if self.remote.where == url else remote_url(self.repository, self.remote.where)

    def _is_ours(self, commit: str | None) -> bool:
        return origin(self.repository, self.branch, commit) is None

    def _rewriting(self, seen: str | None, theirs: str | None) -> str:
        name = f"the branch {self.branch} of {self.remote.name}"
        if theirs is None or seen is None:
            return (
                f"{name} was there, and is gone; nothing was changed here. Ask who removed it, and why; "
                "push with take='ours' (--take ours) puts it back"
            )
        number = _counted(count(self._git, seen, theirs))
        lost = self._git.run("log", "--format=%h %an: %s", "--max-count=5", seen, f"^{theirs}").text
        lines = "".join(f"\n    {printable(line.encode())}" for line in lost.splitlines())
        return (
            f"{name} was rewritten: it is at {theirs[:12]} now, and {number} of "
            f"before no longer in it:{lines}\n"
            "Nothing was changed here. Ask who rewrote it, and why; take='theirs' (--take theirs) follows "
            "the remote, with your own commits on top, and take='ours' puts back what it dropped"
        )

    def _moved(self, ours: str | None, new: str, theirs: str) -> bool:
        """Move the branch from `ours` to `new`, all refs in one transaction; False when it is elsewhere."""
        null = self.repository.null
        words = [f"update {self._seen} {theirs}"]
        if new != ours:
            words.append(f"update {self._ref} {new} {ours or null}")
        if ours is not None and not is_ancestor(self._git, ours, new):
            words.append(f"update refs/flownb/kept/{ours} {ours}")
        text = "".join(f"{line}\n" for line in words)
        done = self._git.run("update-ref", "--stdin", input=text.encode(), check=False)
        if done.code and tip_of(self._git, self._ref) == ours:
            raise refusal(f"{self.branch} cannot be moved", done)
        return done.code == 0

    def _network(self, *words: str, doing: str) -> Completed:
        git = self._git
        if self.remote.where != self.remote.address.url:  # a mirror pushes, and deletes, all branches
            git = replace(git, settings=(*git.settings, f"remote.{self.remote.where}.mirror=false"))
        env = {**self._programs.variables, **self.remote.address.variables(*self._programs.settings)}
        here = self.repository.git_dir
        # a relative URL in the configuration is one from the work tree
        folder = here.parent if here.name == ".git" and not self.repository.bare else here
        try:
            return git.network(*words, timeout=self.timeout, check=False, env=env, cwd=folder)
        except StorageError as error:
            raise StorageError(
                f"{self._doing(doing)}: {error}. Nothing is lost here; look at the network, and try again"
            ) from error

    @cached_property
    def _programs(self) -> Programs:
        git = self._git
        return own_programs(settings_of(git), self.repository.git_dir, self.remote.where, os.environ)

    def _refusal(self, doing: str, done: Completed, keeps: str = "") -> StorageError:
        error = refusal(self._doing(doing), done, keeps)
        left_out = told_left_out(self._programs, self.repository.git_dir)
        more = [text for text in (self.remote.address.hint, left_out) if text]
        return StorageError("\n".join([str(error), *more])) if more else error

    def _contended(self, then: str) -> str:
        return f"{self._doing('pushing')}: others pushed each time just before, {ATTEMPTS} times; {then}"

    def _doing(self, doing: str) -> str:
        url = self.remote.address.url
        where = self.remote.name if self.remote.name == url else f"{self.remote.name} ({url})"
        return f"{doing} {self.branch} {'to' if doing == 'pushing' else 'from'} {where}"

    def _alone(self) -> AbstractContextManager[None]:
        return alone(self.repository.own_folder / "remote.lock", f"exchanging {self.branch} with a remote")


def _pause(attempt: int) -> None:
    """Let the others finish; for random times, so that the same ones do not meet again."""
    time.sleep(secrets.randbelow(50 * min(attempt + 1, 10)) / 1000)


def _check_take(take: str | None) -> None:
    if take not in (None, "ours", "theirs"):
        raise StorageError(f"take is 'ours' or 'theirs', not {take!a}")


def _chained(first: Mapping[str, str], then: Mapping[str, str]) -> dict[str, str]:
    """Return what became of commits that were put on top of others twice."""
    found = {old: then.get(new, new) for old, new in first.items()}
    between = set(first.values())
    return found | {old: new for old, new in then.items() if old not in between}


def _counted(number: int) -> str:
    return f"{number} commit" + ("" if number == 1 else "s")
