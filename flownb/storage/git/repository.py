"""Where a repository is: with a work tree, bare, a linked work tree, a submodule, empty or shallow."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flownb.errors import StorageError
from flownb.storage.git.command import Git

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository on this machine. Refs, objects and settings are those of all its work trees together."""

    path: Path  #: as it was asked for, absolute
    git_dir: Path  #: the folder of the repository itself, which all its work trees share
    bare: bool
    algorithm: str = "sha1"  #: that makes its ids

    @property
    def git(self) -> Git:
        """`git` for it."""
        return Git(self.git_dir)

    @property
    def work_tree(self) -> Path | None:
        """The root of the work tree that was asked for; None in a bare repository or Git's own folder."""
        if self.bare or self.path.resolve().is_relative_to(self.git_dir):
            return None
        return next((each for each in (self.path, *self.path.parents) if (each / ".git").exists()), None)

    @property
    def own_folder(self) -> Path:
        """Where flownb keeps what it can make again: inside the repository's folder, no part of it."""
        return self.git_dir / "flownb"

    @property
    def null(self) -> str:
        """The id that stands for no object."""
        return "0" * (64 if self.algorithm == "sha256" else 40)

    @property
    def shallow(self) -> str:
        """Where its history was cut off, as text; empty where it was not."""
        try:
            return (self.git_dir / "shallow").read_text("ascii", "replace")
        except FileNotFoundError:
            return ""

    def checked_out(self, ref: str) -> Sequence[str]:
        """Return the work trees in which a branch is checked out, or about to be (a rebase, a bisection)."""
        heads = [] if self.bare else [self.git_dir / "HEAD"]
        found = []
        for head in [*heads, *self.git_dir.glob("worktrees/*/HEAD")]:
            if head.is_symlink() or (text := head.read_text("utf-8", "replace").strip()) == _ELSEWHERE:
                return self._asked(ref)
            if text == f"ref: {ref}":
                found.append(_work_tree(head.parent))
        names = (ref, ref.removeprefix("refs/heads/"))
        busy = [
            file for file in _busy_heads(self.git_dir) if file.read_text("utf-8", "replace").strip() in names
        ]
        return [*found, *(str(file.parent) for file in busy)]

    def _asked(self, ref: str) -> Sequence[str]:
        """Ask Git for the work trees that have a branch checked out: of refs that are not in files."""
        found, folder = [], ""
        for line in self.git.run("worktree", "list", "--porcelain").text.splitlines():
            key, _, value = line.partition(" ")
            if key == "worktree":
                folder = value
            elif key == "branch" and value == ref:
                found.append(folder)
        return found


#: what HEAD says where Git keeps its refs in tables
_ELSEWHERE = "ref: refs/heads/.invalid"


def _work_tree(own: Path) -> str:
    """Return the folder of the work tree whose HEAD lies in the folder `own`, for people."""
    if (own / "gitdir").is_file():
        return str(Path((own / "gitdir").read_text("utf-8", "replace").strip()).parent)
    return str(own.parent if own.name == ".git" else own)


def find(path: str | os.PathLike[str]) -> Repository:
    """Find the repository that a folder or file lies in. Raises `StorageError` saying what to do."""
    given = Path(path).expanduser().absolute()
    folder = given if given.is_dir() else given.parent
    if not folder.is_dir():
        raise StorageError(f"there is no folder {given}, and so no Git repository")
    # Who names a bare repository itself means it, whatever `safe.bareRepository` says of finding one.
    settings = ("safe.bareRepository=all",) if (folder / "HEAD").is_file() else ()
    asked = ("--git-common-dir", "--is-bare-repository", "--show-object-format")
    done = Git(settings=settings).run("rev-parse", "--path-format=absolute", *asked, cwd=folder, check=False)
    lines = done.text.splitlines()
    if done.code or len(lines) != len(asked):
        raise StorageError(_why_not(folder, done.stderr))
    return Repository(given, Path(os.path.realpath(lines[0])), lines[1] == "true", lines[2])


def _why_not(folder: Path, said: str) -> str:
    if "not a git repository" in said:
        return f"{folder} is not in a Git repository; `git init` there makes one, or name another folder"
    words = " ".join(said.split()).removeprefix("fatal: ")
    return f"the Git repository of {folder} cannot be opened: {words[:600]}"


def _busy_heads(git_dir: Path) -> list[Path]:
    """Return the files in which Git keeps the branch that a rebase or bisection will come back to."""
    names = ("rebase-merge/head-name", "rebase-apply/head-name", "BISECT_START")
    folders = [git_dir, *git_dir.glob("worktrees/*")]
    return [folder / name for folder in folders for name in names if (folder / name).is_file()]
