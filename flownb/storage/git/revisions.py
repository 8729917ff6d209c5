"""From what people write behind the @ to one commit, by its full id; or a refusal, never another commit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flownb.errors import FlowNotFoundError
from flownb.storage.moments import moment

if TYPE_CHECKING:
    from datetime import datetime

    from flownb.storage.git.objects import Objects
    from flownb.storage.git.repository import Repository

_FULL = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHORT = re.compile(r"[0-9a-f]{4,64}")
_STEPS = re.compile(r"(?P<base>[^~^]*)(?P<steps>(?:[~^]\d{0,6})*)")
_SPACES = ("refs/tags/", "refs/heads/", "refs/remotes/")


class Revisions:
    """Resolves versions of a branch: hashes, tags, branches, `HEAD~2` (of this branch), dates."""

    def __init__(self, repository: Repository, objects: Objects, ref: str) -> None:
        self._repository = repository
        self._objects = objects
        self._ref = ref

    def resolve(self, version: str) -> str:
        """Return the full id of the commit that a version means.

        Raises `FlowNotFoundError` for what means nothing, or more than one commit.
        """
        parts = _STEPS.fullmatch(version)
        if parts is None or re.search(r"[\0-\x1f\x7f]", version):
            raise FlowNotFoundError(f"{version!a} is no version")
        start = self._base(parts["base"], version)
        if not parts["steps"]:
            return start
        commit = self._objects.commit(start + parts["steps"])
        if commit is None:
            raise FlowNotFoundError(f"there is no commit {version}: the history does not go back so far")
        return commit.id

    def before(self, when: datetime) -> str | None:
        """Return the newest commit of the branch that was made at a moment or before it."""
        if self._objects.commit(self._ref) is None:
            return None
        asked = ("-1", f"--min-age={int(when.timestamp())}", "--end-of-options", self._ref)
        return self._repository.git.run("rev-list", *asked).text or None

    def names(self) -> list[str]:
        """Return the tags and branches that can be asked for."""
        refs = self._repository.git.run("for-each-ref", "--format=%(refname)", *_SPACES, check=False).text
        return [ref.split("/", 2)[2] for ref in refs.splitlines()]

    def _base(self, base: str, version: str) -> str:
        if base in ("", "@", "HEAD"):
            return self._known(self._ref, f"the branch {self._ref} has no commit yet")
        if _FULL.fullmatch(base):
            return self._known(base, f"there is no commit {base} here")
        found = {ref: commit for ref in self._refs(base) if (commit := self._commit(ref)) is not None}
        several = self._beginning_with(base.lower()) if _SHORT.fullmatch(base.lower()) else []
        if len(several) == 1:
            found["the commit"] = several[0]
        if len(set(found.values())) > 1:
            told = ", ".join(f"{what} ({commit[:10]})" for what, commit in found.items())
            raise FlowNotFoundError(
                f"{base} means several things: {told}; name the one that is meant in full"
            )
        if found:
            return next(iter(found.values()))
        if several:
            told = ", ".join(commit[:12] for commit in several[:5])
            raise FlowNotFoundError(f"{base} is the beginning of several commits: {told}; write more of it")
        when = moment(base)
        if when is None:
            raise FlowNotFoundError(f"{version!a} is no commit, tag, branch or date here")
        found_then = self.before(when)
        if found_then is None:
            raise FlowNotFoundError(f"{base}: there was no version yet, {when.astimezone():%Y-%m-%d %H:%M}")
        return found_then

    def _refs(self, name: str) -> list[str]:
        """Return the full refs that a name may stand for; none for what can be no ref's name."""
        if re.search(r"^[-/.]|\.\.|@\{|[\s:?*\[\\\0-\x1f\x7f]|//|/\.|[/.]$|\.lock(/|$)", name):
            return []
        if name.startswith("refs/"):
            return [name] if name.startswith(_SPACES) else []
        if name.startswith(("tags/", "heads/", "remotes/")):
            return [f"refs/{name}", *(space + name for space in _SPACES)]
        return [space + name for space in _SPACES]

    def _commit(self, name: str) -> str | None:
        commit = self._objects.commit(name)
        return None if commit is None else commit.id

    def _known(self, name: str, otherwise: str) -> str:
        commit = self._commit(name)
        if commit is None:
            raise FlowNotFoundError(otherwise)
        return commit

    def _beginning_with(self, short: str) -> list[str]:
        """Return the commits whose ids begin so; asked like this, no ref is taken for one of them."""
        ids = self._repository.git.run("rev-parse", f"--disambiguate={short}", check=False).text.split()
        return [found.id for found in self._objects.read_many(ids) if found and found.kind == "commit"]
