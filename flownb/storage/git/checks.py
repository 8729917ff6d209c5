"""Names of branches, tags and folders: those that Git, and a command line, read as nothing else."""

from __future__ import annotations

import re

from flownb.errors import StorageError

#: what no part of a ref's name may hold, and what would be read as an option
_NO_REF = re.compile(r"^[-/]|//|/$|\.\.|@\{|[\s~^:?*\[\\\0-\x1f\x7f]|(^|/)\.|\.$|\.lock(/|$)|^@$|^HEAD$")
_FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


def check_branch(branch: str) -> str:
    """Return the name of a branch, without `refs/heads/`. Raises `StorageError`."""
    name = branch.removeprefix("refs/heads/")
    if not name or _NO_REF.search(name) or len(name) > 200:
        raise StorageError(f"{ascii(branch)[:80]} is no name for a branch; letters, digits, - and / are")
    return name


def check_tag(tag: str) -> str:
    """Return the name of a tag, without `refs/tags/`; one that reads as a commit is a `StorageError`."""
    name = tag.removeprefix("refs/tags/")
    if not name or _NO_REF.search(name) or len(name) > 200:
        raise StorageError(f"{ascii(tag)[:80]} is no name for a tag; v1.2, say, is")
    if re.fullmatch(r"[0-9a-fA-F]{4,64}", name):
        raise StorageError(f"{name} is no name for a tag: it reads as the id of a commit")
    return name


def check_folder(folder: str) -> str:
    """Return a folder of a repository, as names with `/` between. Raises `StorageError`."""
    name = folder.strip("/")
    if not _FOLDER.fullmatch(name) or name.lower().endswith(".git"):
        raise StorageError(
            f"{ascii(folder)[:80]} is no folder for flows: letters, digits, `_`, `-`, `.` are, with / between"
        )
    return name
