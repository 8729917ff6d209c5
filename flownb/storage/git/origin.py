"""Where a branch of flows comes from, when that is not this user's own work: what trust asks about.

The mark is written before the first commit of others becomes part of the branch, and stays: flows of
others are among its history from then on.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from flownb.errors import StorageError
from flownb.files import write_atomic
from flownb.storage.git.addresses import without_credentials

if TYPE_CHECKING:
    from pathlib import Path

    from flownb.storage.git.repository import Repository


def origin(repository: Repository, branch: str) -> str | None:
    """Return where the flows of a branch come from, as a URL or in words; None for this user's own.

    From elsewhere are: a branch into which flownb let the commits of a remote; one that is known as a
    remote's branch only; the branches of a bare or mirrored clone with which flownb never exchanged
    anything; and all of a repository that belongs to another user of this machine.
    """
    marked = _marks(_file(repository)).get(branch)
    if marked is not None:
        return marked
    if hasattr(os, "getuid") and repository.git_dir.stat().st_uid != os.getuid():
        return f"{repository.git_dir}, which belongs to another user"
    return _untouched(repository, branch)


def mark_origin(repository: Repository, branch: str, url: str) -> None:
    """Note that commits which came from `url` are about to become part of the branch."""
    file = _file(repository)
    marks = _marks(file)
    if branch not in marks:
        file.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({**marks, branch: without_credentials(url)}, indent=1, sort_keys=True)
        write_atomic(file, f"{text}\n".encode(), error=StorageError)


def _file(repository: Repository) -> Path:
    return repository.own_folder / "origin"


def _marks(file: Path) -> dict[str, str]:
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
    return {str(branch): str(url) for branch, url in found.items()}


def _untouched(repository: Repository, branch: str) -> str | None:
    """Return the remote of a branch that git alone brought here."""
    format_ = "--format=%(refname)"
    refs = repository.git.run(
        "for-each-ref", format_, f"refs/heads/{branch}", "refs/remotes", "refs/flownb/seen"
    ).text.splitlines()
    tracking = [ref for ref in refs if ref.startswith("refs/remotes/") and ref.endswith(f"/{branch}")]
    if f"refs/heads/{branch}" not in refs:
        return _url(repository, tracking[0].split("/")[2]) if tracking else None
    exchanged = any(ref.startswith("refs/flownb/seen/") and ref.endswith(f"/{branch}") for ref in refs)
    remotes = repository.git.run("remote").text.split()
    if repository.bare and remotes and not exchanged:
        return _url(repository, remotes[0])
    return None


def _url(repository: Repository, remote: str) -> str:
    done = repository.git.run("remote", "get-url", "--", remote, check=False)
    return without_credentials(done.text) if done.code == 0 and done.text else remote
