"""Refs and how commits stand to one another: small questions, each one call of git."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flownb.storage.git.command import Git


def tip_of(git: Git, ref: str) -> str | None:
    """Return the commit of a full ref, None where there is no such ref."""
    done = git.run("rev-parse", "--verify", "--quiet", "--end-of-options", ref, check=False)
    return done.text or None


def put(git: Git, ref: str, commit: str | None) -> None:
    """Make a ref stand for a commit, or remove it."""
    if tip_of(git, ref) != commit:
        git.run("update-ref", *([ref, commit] if commit else ["-d", ref]))


def is_ancestor(git: Git, old: str | None, new: str) -> bool:
    """Whether `new` holds all that `old` is; a commit that is not there is nobody's ancestor."""
    return old is not None and git.run("merge-base", "--is-ancestor", old, new, check=False).code == 0


def are_related(git: Git, one: str, other: str) -> bool:
    """Whether two commits have one in common, as far as the history is here."""
    return git.run("merge-base", one, other, check=False).code == 0


def count(git: Git, commit: str, without: str | None) -> int:
    """Return how many commits `commit` is made of that `without` is not."""
    words = [commit, *([f"^{without}"] if without else [])]
    return int(git.run("rev-list", "--count", *words).text)
