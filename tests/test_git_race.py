"""Somebody else commits just between our look at the branch and its move: both commits are kept."""

from __future__ import annotations

import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from git_repositories import assert_whole, flow, git, work_tree

from flownb.errors import FlowExistsError
from flownb.storage.git import GitStorage, writing

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.kernel  # seconds of real git

_WRITER = """
import sys
from flownb.storage.git import GitStorage
from git_repositories import flow
GitStorage(sys.argv[1]).add_flow(flow(sys.argv[2], "by another"))
"""


def by_flownb(repo: Path, name: str) -> None:
    subprocess.run([sys.executable, "-c", _WRITER, str(repo), name], check=True, cwd=Path(__file__).parent)


def by_git(repo: Path, name: str) -> None:
    """Do what people do by hand, who know nothing of flownb's lock."""
    blob = git(repo, "rev-parse", "flownb:flows/co2.ipynb")
    git(repo, "worktree", "add", "-q", "--detach", "../by-hand", "flownb")
    there = repo.parent / "by-hand"
    git(there, "update-index", "--add", "--cacheinfo", f"100644,{blob},flows/{name}.txt")
    git(there, "commit", "-q", "-m", "by hand")
    git(repo, "update-ref", "refs/heads/flownb", git(there, "rev-parse", "HEAD"))


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], list[str | None]]:
    """Let something happen once between the commit and the branch's move; gives the tips that were found."""

    def arrange(between: Callable[[], object]) -> list[str | None]:
        found: list[str | None] = []
        move = writing.move

        def delayed(repository: Any, objects: Any, ref: str, new: str, old: str | None) -> bool:
            found.append(old)
            if len(found) == 1:
                between()
            return move(repository, objects, ref, new, old)

        monkeypatch.setattr(writing, "move", delayed)
        # the lock keeps flownb's own writers apart; what is tested is what holds without it
        monkeypatch.setattr(writing, "alone", lambda *args, **options: nullcontext())
        return found

    return arrange


@pytest.mark.parametrize("another", [by_flownb, by_git])
def test_a_branch_that_moved_meanwhile_is_looked_at_again(
    another: Callable[[Path, str], None], tmp_path: Path, interrupt: Any
) -> None:
    repo = work_tree(tmp_path / "repo")
    storage = GitStorage(repo)
    before = storage.add_flow(flow("co2")).partition("@")[2]
    found = interrupt(lambda: another(repo, "theirs"))
    location = storage.add_flow(flow("ours"))
    theirs = git(repo, "rev-parse", "flownb~1")
    assert found == [before, theirs]
    assert git(repo, "rev-parse", "flownb~2") == before
    assert location == f"ours@{git(repo, 'rev-parse', 'flownb')}"
    assert "theirs" in git(repo, "ls-tree", "--name-only", "flownb:flows")
    assert {"co2", "ours"} <= set(GitStorage(repo).flows)
    assert_whole(repo)


@pytest.mark.parametrize("first", [True, False], ids=["an empty branch", "a branch with flows"])
def test_of_two_who_add_one_name_the_later_one_is_told(first: bool, tmp_path: Path, interrupt: Any) -> None:
    repo = work_tree(tmp_path / "repo")
    storage = GitStorage(repo)
    if not first:
        storage.add_flow(flow("co2"))
    found = interrupt(lambda: by_flownb(repo, "new"))
    with pytest.raises(FlowExistsError, match="holds a flow new already"):
        storage.add_flow(flow("new", "ours"))
    assert len(found) == 1
    assert GitStorage(repo).get_flow("new") == flow("new", "by another")
    assert_whole(repo)
