"""From a text to a storage, and from a flow reference to a flow."""

from __future__ import annotations

import os
import re
import shlex
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from flownb.errors import FlowNotFoundError, StorageError
from flownb.kinds import Kinds
from flownb.storage.base import Storage
from flownb.storage.directory_options import scheme_of, shown_url
from flownb.storage.reference import Reference, location, parse_reference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flownb.flow import Flow

#: entry points of other distributions: the word for a kind of storage -> its class
GROUP = "flownb.storage"

_OWN = {
    "directory": "flownb.storage.directory:DirectoryStorage",
    "git": "flownb.storage.git:GitStorage",
    "notebook": "flownb.storage.notebook:NotebookStorage",
}
_GIT_SCHEMES = ("ssh", "git")
_DIRECTORY_SCHEMES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "memory", "file")
#: `user@host:path`, as ssh and git take it
_SCP = re.compile(r"[\w.~+-]+@[\w.-]+:(?!//).+")
#: seconds in which a web server must have said whether it serves a Git repository
_PROBE_TIMEOUT = 30.0


def kinds() -> Kinds[Storage]:
    """Return the kinds of storage by the word that `serialize()` gives them; loaded as they are asked for.

    Other distributions add kinds through the entry point group `flownb.storage`. Where such a class has
    `from_url(url)`, `open_storage("KIND://...")` calls it.
    """
    return Kinds(Storage, _OWN, GROUP, StorageError)  # type: ignore[type-abstract]  # it makes none


def open_storage(url: str | PathLike[str]) -> Storage:
    """Open the storage that a path or URL names. Raises `StorageError` saying what can be opened.

    - `x.ipynb`: a notebook
    - `git` (the repository of this folder), a folder in a repository, a path or URL that ends with `.git`,
      `user@host:path`, `ssh://`, `git://`, `git+URL`: a Git repository
    - another folder, one to be made (`flows/`), `dir:PATH`, `file://`, `s3://`, `gs://`, `az://`, `abfs://`,
      `memory://`: a directory
    - `http://`, `https://`: a Git repository where one answers, else a directory that is read only
    - `KIND://...`: a kind of another distribution (`kinds`)
    """
    if isinstance(url, PathLike):
        return _open_path(str(url))
    text = url.removeprefix("flownb://")
    scheme = scheme_of(text)
    if text == "git":
        return _git(".")
    if text.startswith("git+") or scheme in _GIT_SCHEMES or (not scheme and _SCP.fullmatch(text)):
        return _git(text)
    if text.startswith("dir:"):
        return _directory(text.removeprefix("dir:"))
    if not scheme:
        return _open_path(text)
    if text.rstrip("/").endswith(".git"):
        return _git(text)
    if scheme in _DIRECTORY_SCHEMES:
        return _directory(text)
    if scheme in ("http", "https") and not text.endswith(".ipynb"):
        return _git(text) if _is_git_server(text) else _directory(text)
    if scheme in kinds():
        return _of_other(kinds()[scheme], text)
    raise _refused(shown_url(text))


def _open_path(text: str) -> Storage:
    """Open what a path names; no Git is called for it."""
    if not text or "\0" in text:
        raise _refused(text)
    path = Path(text).expanduser()
    if path.suffix == ".ipynb":
        from flownb.storage.notebook import NotebookStorage

        return NotebookStorage(path)
    if path.suffix == ".git" or (path.is_dir() and _in_repository(path)):
        return _git(text)
    if path.is_dir():
        if Path.cwd().is_relative_to(path.resolve()) and not _holds_flows(path):
            raise StorageError(
                f"{text!r} is in no Git repository, and no folder of flows: `git init` makes it a "
                f"repository; {shlex.quote(f'dir:{text}')} keeps flows in the folder itself"
            )
        return _directory(text)
    if text.endswith("/") and not path.exists():
        if _in_repository(path):  # once it is there, the same words would open the repository
            raise StorageError(
                f"{text!r} would be a folder in a Git repository: say {shlex.quote(f'dir:{text}')} to keep "
                "flows in that folder, or git to keep them in the repository"
            )
        return _directory(text)
    raise _refused(text, "; that file is not a notebook (.ipynb)" if path.is_file() else "")


def _in_repository(path: Path) -> bool:
    """Whether a folder lies in a Git repository, or is a bare one; told from the names of files."""
    folder = path.resolve()
    return any(
        (parent / ".git").exists()
        or ((parent / "HEAD").is_file() and (parent / "objects").is_dir() and (parent / "refs").is_dir())
        for parent in (folder, *folder.parents)
    )


def _holds_flows(folder: Path) -> bool:
    """Whether a folder holds flows as `DirectoryStorage` keeps them; told from the names of files."""
    from flownb.storage.directory_versions import entries

    try:
        return any(entries(os.listdir(inner)) for inner in folder.iterdir() if inner.is_dir())
    except OSError:  # the storage tells what cannot be read
        return True


def _is_git_server(url: str) -> bool:
    """Ask a web server for a Git repository's refs. Where no git is installed, it serves none for us."""
    from flownb.storage.git.addresses import parse_address
    from flownb.storage.git.command import Git

    address = parse_address(url)
    try:
        done = Git().network(
            *("ls-remote", "--", address.url, "HEAD"),
            timeout=_PROBE_TIMEOUT,
            check=False,
            env=address.variables(),
            cwd=Path(os.path.abspath(os.sep)),  # in no repository, whose settings would hold
        )
    except StorageError:
        return False
    return done.code == 0


def _git(url: str) -> Storage:
    from flownb.storage.git import GitStorage

    return GitStorage(url)


def _directory(url: str) -> Storage:
    from flownb.storage.directory import DirectoryStorage

    return DirectoryStorage(url)


def _of_other(cls: type[Storage], url: str) -> Storage:
    from_url = getattr(cls, "from_url", None)
    if from_url is None:
        raise StorageError(
            f"{shown_url(url)!r} cannot be opened by its URL: {cls.__name__} has no from_url; "
            f"make one in Python: {cls.__name__}(...)"
        )
    storage: Storage = from_url(url)
    return storage


def _refused(text: str, why: str = "") -> StorageError:
    return StorageError(
        f"{text!r} is no storage that can be opened here{why}; a notebook (x.ipynb) can, a Git repository "
        "(git, a folder in it, its URL), a folder (flows/, dir:flows), and a bucket (s3://bucket/flows)"
    )


def open_flow(reference: str | Reference, outputs: Sequence[str] = ()) -> tuple[Storage, Flow]:
    """Return the storage and the flow that a reference names.

    Without a name, the store's only flow is taken; a notebook without flows is taken whole, with the
    `outputs` that are declared for it. Raises `StorageError`, `FlowNotFoundError`.
    """
    if isinstance(reference, str):
        reference = parse_reference(reference)
    storage = open_storage(reference.store)
    if outputs:
        storage = _declaring(storage, outputs)
    name = reference.name
    if name is None:
        flows = list(storage.flows)
        whole: Flow | None = getattr(storage, "whole", None) if not flows else None
        if whole is not None:
            return storage, storage.get_flow(whole.name)
        if len(flows) != 1:
            which = f"; say which: {shlex.quote(f'{reference.store}#{flows[0]}')}" if flows else ""
            raise FlowNotFoundError(f"{storage.name} {storage.held}{which}")
        name = flows[0]
    return storage, storage.get_flow(location(name, reference.version))


def _declaring(storage: Storage, outputs: Sequence[str]) -> Storage:
    """Return the storage of a notebook that is taken whole, with its outputs declared."""
    from flownb.storage.notebook import NotebookStorage

    if not isinstance(storage, NotebookStorage):
        raise StorageError(
            f"outputs are declared for a notebook that is taken whole, and {storage.name} is none; "
            "a flow declares its own in its cell: %%flow NAME --out a,b"
        )
    return NotebookStorage(storage.name, outputs=outputs)
