"""Where a branch of flows comes from, when that is not this user's own work: what trust asks about.

Own is what flownb committed here, on top of nothing or of what was own already. The newest such commits are
kept in `own`, in the repository's own folder, which no clone or fetch brings along. In a repository that has
to do with others, everything else is from elsewhere, however Git brought it. The mark `origin` is written
before the first commit of others becomes part of the branch, and stays: flows of others are among its
history from then on.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

from flownb.errors import StorageError
from flownb.files import write_atomic
from flownb.storage.git.addresses import is_remote, without_credentials
from flownb.storage.git.refs import is_ancestor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from flownb.storage.git.repository import Repository


def origin(repository: Repository, branch: str, tip: str | None) -> str | None:
    """Return where the flows of a branch at `tip` come from, as URLs or in words; None for this user's own.

    From elsewhere are: a branch into which flownb let the commits of a remote; a tip that flownb did not
    make here, in a repository that has a remote or into which something was fetched; and all of a
    repository that belongs to another user of this machine.
    """
    marked = _marks(repository).get(branch)
    if marked:
        return " and ".join(marked)
    if hasattr(os, "getuid") and repository.git_dir.stat().st_uid != os.getuid():
        return f"{repository.git_dir}, which belongs to another user"
    if tip is None or is_own(repository, tip):
        return None
    return _brought(repository, branch)


def is_own(repository: Repository, commit: str) -> bool:
    """Whether flownb made a commit here, and all before it."""
    own = _own(repository).values()
    return commit in own or any(is_ancestor(repository.git, commit, tip) for tip in own)


def has_others(repository: Repository) -> bool:
    """Whether a repository has a remote, or something was fetched into it."""
    return _brought(repository, "") is not None


def mark_origin(repository: Repository, branch: str, url: str) -> None:
    """Note that commits which came from `url` are about to become part of the branch."""
    marks = _marks(repository)
    there = marks.get(branch, [])
    url = without_credentials(url)
    if url not in there and url != " and ".join(there):
        _write(repository.own_folder / "origin", {**marks, branch: [*there, url]})


def mark_own(repository: Repository, branch: str, commit: str) -> None:
    """Note that a commit that is about to become the branch's tip was made here, on top of own ones."""
    own = _own(repository)
    if own.get(branch) != commit:
        _write(repository.own_folder / "own", {**own, branch: commit})


def remote_url(repository: Repository, remote: str) -> str:
    """Return the URL or absolute path of a remote, by its name, without credentials."""
    done = repository.git.run("remote", "get-url", "--", remote, check=False)
    if done.code or not done.text:
        return remote
    url = done.text.splitlines()[0]
    if is_remote(url):
        return without_credentials(url)
    # a relative path is one from the work tree
    here = repository.git_dir
    folder = here.parent if here.name == ".git" and not repository.bare else here
    return os.path.abspath(folder / os.path.expanduser(url))


def _write(file: Path, content: Mapping[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(file, f"{json.dumps(content, indent=1, sort_keys=True)}\n".encode(), error=StorageError)


def _marks(repository: Repository) -> dict[str, list[str]]:
    file = repository.own_folder / "origin"
    try:
        found = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise StorageError(
            f"{file} says where flows came from, and cannot be read: {error}; "
            "remove it only if all flows in the repository are your own"
        ) from None
    if not isinstance(found, dict):
        raise StorageError(f"{file} says where flows came from, and is damaged")
    return {
        str(branch): [str(url) for url in (urls if isinstance(urls, list) else [urls])]
        for branch, urls in found.items()
    }


def _own(repository: Repository) -> dict[str, str]:
    """Return branch -> newest commit made here; nothing where that is not known."""
    try:
        found = json.loads((repository.own_folder / "own").read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {
        branch: commit
        for branch, commit in found.items()
        if isinstance(commit, str) and re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", commit)
    }


def _brought(repository: Repository, branch: str) -> str | None:
    """Return what Git brought commits from, if anything: the remote that has the branch, first of all."""
    remotes = repository.git.run("remote").text.splitlines()
    refs = repository.git.run("for-each-ref", "--format=%(refname)", "refs/remotes").text.splitlines()
    having = [ref.split("/")[2] for ref in refs if ref.split("/", 3)[3:] == [branch]]
    tracked = [ref.split("/")[2] for ref in refs]
    preferred = ["origin"] if "origin" in having or ("origin" in remotes and not having) else []
    if found := [*preferred, *having, *remotes, *tracked]:
        return remote_url(repository, found[0])
    for fetched in (repository.git_dir, *repository.git_dir.glob("worktrees/*")):
        file = fetched / "FETCH_HEAD"
        if file.is_file() and (text := file.read_text("utf-8", "replace").strip()):
            last = text.splitlines()[0].rpartition("\t")[2]
            return without_credentials(last.rpartition(" of ")[2] or last)
    return None
