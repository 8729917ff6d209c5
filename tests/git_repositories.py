"""Real Git repositories for tests, of every kind that people have."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from flownb.flow import Flow, Step
from flownb.storage.git import GitStorage

if TYPE_CHECKING:
    from pathlib import Path

IDENTITY = ("-c", "user.name=Mara Müller", "-c", "user.email=mara@example.com")


def git(folder: Path, *args: str, check: bool = True) -> str:
    """Run `git` in a folder, as a person would; returns what it printed."""
    done = subprocess.run(
        ["git", *IDENTITY, *args], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    assert not check or done.returncode == 0, f"git {args}: {done.stderr}"
    return done.stdout.strip()


def configured(folder: Path) -> Path:
    """Say in a repository who commits there."""
    git(folder, "config", "user.name", "Mara Müller")
    git(folder, "config", "user.email", "mara@example.com")
    return folder


def work_tree(folder: Path) -> Path:
    """Make a repository with a commit on `main` and a work tree in which something is unfinished."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    (folder / "analysis.py").write_text("print(1)\n")
    (folder / "staged.txt").write_text("one\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    (folder / "analysis.py").write_text("print(2)\n")
    (folder / "staged.txt").write_text("two\n")
    git(folder, "add", "staged.txt")
    (folder / "untracked.txt").write_text("mine\n")
    return configured(folder)


def bare(folder: Path) -> Path:
    """Make a bare repository."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "--bare", "-b", "main")
    return configured(folder)


def empty(folder: Path) -> Path:
    """Make a repository without any commit."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    return configured(folder)


def linked(folder: Path) -> Path:
    """Make a repository and return a linked work tree of it."""
    main = work_tree(folder.parent / f"{folder.name}-main")
    git(main, "worktree", "add", "-q", str(folder), "-b", "side")
    return folder


def submodule(folder: Path) -> Path:
    """Make a repository with a submodule and return the submodule's work tree."""
    inner = work_tree(folder.parent / f"{folder.name}-inner")
    outer = work_tree(folder)
    git(outer, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner), "part")
    return configured(outer / "part")


def shallow(folder: Path) -> Path:
    """Make a clone of depth 1 of a repository that has flows with a history, on their branch."""
    origin = work_tree(folder.parent / f"{folder.name}-origin")
    storage = GitStorage(origin)
    for number in range(3):
        storage.add_flow(flow("old", number), replace=True)
    git(folder.parent, "clone", "-q", "--depth=1", "--no-single-branch", origin.as_uri(), folder.name)
    git(folder, "branch", "-q", "flownb", "origin/flownb")
    return configured(folder)


def sha256(folder: Path) -> Path:
    """Make a repository whose ids are SHA-256."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main", "--object-format=sha256")
    return configured(folder)


KINDS = {
    "a work tree": work_tree,
    "a bare repository": bare,
    "an empty repository": empty,
    "a linked work tree": linked,
    "a submodule": submodule,
    "a shallow clone": shallow,
    "a SHA-256 repository": sha256,
}


def flow(name: str, content: object = 1) -> Flow:
    """Return a small flow."""
    return Flow(name, steps=(Step("only", f"x = {content!r}", ("x",), binds=("x",)),))


def state(folder: Path) -> tuple[str, ...]:
    """Return what committing flows must not change: HEAD, index, work tree, branches but `flownb`."""
    index = folder / git(folder, "rev-parse", "--git-path", "index")
    refs = git(folder, "for-each-ref").splitlines()
    return (
        git(folder, "symbolic-ref", "HEAD", check=False) or git(folder, "rev-parse", "HEAD"),
        index.read_bytes().hex() if index.exists() else "",
        git(folder, "status", "--porcelain=v2", check=False),
        "\n".join(ref for ref in refs if not ref.endswith("refs/heads/flownb")),
    )


def assert_whole(folder: Path) -> None:
    """Assert that `git fsck --strict` finds nothing to complain about."""
    done = subprocess.run(
        ["git", "fsck", "--strict", "--no-progress"], cwd=folder, capture_output=True, text=True, check=False
    )
    told = [
        line
        for line in (done.stdout + done.stderr).splitlines()
        if not line.startswith(("dangling", "notice"))
    ]
    assert (done.returncode, told) == (0, [])
