"""Repositories at URLs: each has a bare clone in the user's cache folder, with the branch of flows alone.

A clone is made beside its place and put there whole, and one process at a time makes or fetches it; who
is killed meanwhile leaves nothing that another would read. It holds nothing of its own: what is added
goes to the remote at once, and the branch here is what the remote has.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from flownb.errors import StorageError
from flownb.storage.git.command import NETWORK_TIMEOUT, Git
from flownb.storage.git.lock import alone
from flownb.storage.git.remote import Exchange
from flownb.storage.git.repository import find

if TYPE_CHECKING:
    from flownb.storage.git.addresses import Address
    from flownb.storage.git.joining import Take
    from flownb.storage.git.repository import Repository


def cache_folder() -> Path:
    """Return the folder of the clones: `FLOWNB_CACHE_DIR`, else the user's cache folder."""
    import platformdirs

    chosen = os.environ.get("FLOWNB_CACHE_DIR")
    return Path(chosen or platformdirs.user_cache_dir("flownb")).expanduser().absolute() / "git"


def place_of(address: Address) -> Path:
    """Return the folder of the clone of a URL, whether or not it is there."""
    return cache_folder() / f"{address.readable}-{address.key}"


def clone_for(
    address: Address,
    branch: str,
    *,
    commit: str | None = None,
    take: Take | None = None,
    timeout: float = NETWORK_TIMEOUT,
) -> Path:
    """Return the folder of a clone in which `branch` is as the remote has it now.

    Where `commit` is a full id that is in the clone already, nothing is asked of the network.
    `take="theirs"` follows a remote that rewrote the branch. Raises `StorageError`, which says what is
    cached where the remote does not answer.
    """
    place = place_of(address)
    if commit is not None and _holds(place, commit):
        return place
    with alone(place.with_name(f"{place.name}.lock"), f"fetching {address.url}"):
        if not place.is_dir():
            _make(place, address, branch, timeout)
            return place
        repository = find(place)
        try:
            Exchange(repository, branch, remote=address, timeout=timeout).follow(take)
        except StorageError as error:
            raise StorageError(f"{error}{_cached(repository, branch)}") from error
        Git(place, ("gc.autoDetach=false",)).run("gc", "--auto", "--quiet", timeout=timeout)
    return place


def _make(place: Path, address: Address, branch: str, timeout: float) -> None:
    making = place.with_name(f"{place.name}.making")
    shutil.rmtree(making, ignore_errors=True)  # of one that was killed
    try:
        Git().run(
            "init", "--bare", "--quiet", "--template=", "--end-of-options", str(making), cwd=place.parent
        )
        Git(making).run("config", "remote.origin.url", address.url)
        Exchange(find(making), branch, remote=address, timeout=timeout).follow()
        try:
            making.rename(place)
        except OSError as error:
            raise StorageError(f"{place} cannot be made: {error.strerror}") from None
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _holds(place: Path, commit: str) -> bool:
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", commit) or not place.is_dir():
        return False
    return Git(place).run("cat-file", "-e", f"{commit}^{{commit}}", check=False).code == 0


def _cached(repository: Repository, branch: str) -> str:
    """Say what can be read without the remote."""
    done = repository.git.run(
        "log", "--max-count=1", "--format=%H %cs", f"refs/heads/{branch}", "--", check=False
    )
    if done.code:
        return "\nNothing of it is cached."
    commit, day = done.text.split()
    return (
        f"\nIts flows as of {day} are cached, and can be read and run without the remote at that commit: "
        f"NAME@{commit}"
    )
