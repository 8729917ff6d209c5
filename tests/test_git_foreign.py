"""Which flows of a repository are this user's own, however Git brought the others."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from git_repositories import bare, configured, flow, git, work_tree

from flownb.errors import NotTrustedError
from flownb.storage import trust
from flownb.storage.git import GitStorage

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWNB_CONFIG_DIR", str(tmp_path / "config"))


def remote_with(folder: Path, content: object, head: str = "main") -> Path:
    """Make a bare repository to which somebody pushed `main` and a flow."""
    somebody = work_tree(folder.parent / f"{folder.stem}-somebody")
    GitStorage(somebody).add_flow(flow("co2", content))
    bare(folder)
    git(somebody, "push", "-q", str(folder), "main", "flownb")
    git(folder, "symbolic-ref", "HEAD", f"refs/heads/{head}")
    return folder


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    return remote_with(tmp_path / "theirs.git", "theirs")


def cloned(theirs: Path, *options: str) -> Path:
    place = theirs.parent / "clone"
    git(theirs.parent, "clone", "-q", *options, str(theirs), "clone")
    return configured(place)


def runs(folder: Path, location: str = "co2") -> object:
    return GitStorage(folder).get_flow(location).run()["x"]


# --- what Git brought


WAYS = {
    "a clone": ([], []),
    "a checkout": ([], ["checkout", "-q", "flownb"]),
    "a branch of the remote's": ([], ["branch", "-q", "flownb", "origin/flownb"]),
    "a fetch into the branch": ([], ["fetch", "-q", "origin", "flownb:flownb"]),
    "a clone of the branch": (["-b", "flownb"], []),
    "a clone of this branch only": (["-b", "flownb", "--single-branch"], []),
    "a mirror": (["--mirror"], []),
}


@pytest.mark.parametrize("way", WAYS)
def test_flows_that_git_itself_brought_are_asked_for_once(theirs: Path, way: str) -> None:
    options, then = WAYS[way]
    place = cloned(theirs, *options)
    if then:
        git(place, *then)
    with pytest.raises(NotTrustedError, match=r"theirs\.git"):
        runs(place)
    assert trust.trust(GitStorage(place))
    assert runs(place) == "theirs"
    assert not trust.trust(GitStorage(place))


def test_a_clone_whose_head_is_the_branch_of_flows_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(NotTrustedError):
        runs(cloned(remote_with(tmp_path / "theirs.git", 1, "flownb")))


def test_what_was_fetched_from_no_remote_at_all_is_asked_for(tmp_path: Path, theirs: Path) -> None:
    mine = work_tree(tmp_path / "mine")
    git(mine, "fetch", "-q", str(theirs), "flownb:flownb")
    with pytest.raises(NotTrustedError, match="theirs"):
        runs(mine)


def test_another_branch_of_the_remote_is_asked_for_beside_ones_own(tmp_path: Path, theirs: Path) -> None:
    mine = work_tree(tmp_path / "mine")
    GitStorage(mine).add_flow(flow("co2", "mine"))
    git(mine, "remote", "add", "origin", str(theirs))
    git(mine, "fetch", "-q", "origin")
    git(mine, "branch", "-q", "other", "origin/flownb")
    assert runs(mine) == "mine"
    for version in ("other", "origin/flownb", git(mine, "rev-parse", "other")):
        with pytest.raises(NotTrustedError, match="restore"):
            runs(mine, f"co2@{version}")


def test_own_flows_on_top_of_what_git_brought_make_it_none_of_ones_own(theirs: Path) -> None:
    place = cloned(theirs, "-b", "flownb")
    git(place, "checkout", "-q", "main")
    GitStorage(place).add_flow(flow("mine"))
    git(place, "update-ref", "-d", "refs/remotes/origin/flownb")
    with pytest.raises(NotTrustedError):
        runs(place)


def test_a_branch_that_was_reset_to_the_remotes_is_asked_for(tmp_path: Path, theirs: Path) -> None:
    mine = work_tree(tmp_path / "mine")
    GitStorage(mine).add_flow(flow("co2", "mine"))
    git(mine, "remote", "add", "origin", str(theirs))
    git(mine, "fetch", "-q", "origin")
    git(mine, "branch", "-q", "-f", "flownb", "origin/flownb")
    with pytest.raises(NotTrustedError):
        runs(mine)


# --- one's own


def test_whoever_captures_and_pushes_is_never_asked(tmp_path: Path) -> None:
    remote = bare(tmp_path / "remote.git")
    mine = work_tree(tmp_path / "mine")
    git(mine, "remote", "add", "origin", str(remote))
    git(mine, "push", "-q", "origin", "main")
    storage = GitStorage(mine)
    first = storage.add_flow(flow("co2", 1))
    storage.push()
    for number in (2, 3):
        storage.add_flow(flow("co2", number), replace=True)
        git(mine, "push", "-q", "origin", "flownb")
        git(mine, "fetch", "-q", "origin")
        assert runs(mine) == number
    assert runs(mine, first) == 1
    assert runs(mine, "co2@origin/flownb") == 3
    storage.pull()
    git(mine, "branch", "-q", "-f", "flownb", "flownb~1")
    assert runs(mine) == 2
    storage.add_flow(flow("co2", 4), replace=True)
    assert runs(mine) == 4


def test_flows_that_were_captured_before_there_was_a_remote_are_ones_own(
    tmp_path: Path, theirs: Path
) -> None:
    mine = work_tree(tmp_path / "mine")
    git(mine, "branch", "-q", "flownb", "main")
    GitStorage(mine).add_flow(flow("co2", "mine"))
    git(mine, "remote", "add", "origin", str(theirs))
    git(mine, "fetch", "-q", "origin")
    assert runs(mine) == "mine"


def test_asking_whose_flows_they_are_is_cheap(tmp_path: Path, theirs: Path) -> None:
    mine = work_tree(tmp_path / "mine")
    storage = GitStorage(mine)
    storage.add_flow(flow("co2", "mine"))
    git(mine, "remote", "add", "origin", str(theirs))
    taken = []
    for _ in range(10):
        start = time.perf_counter()
        assert storage.origin is None
        taken.append(time.perf_counter() - start)
    assert min(taken) < 0.01


# --- trust holds for an origin


def test_another_repository_at_the_same_place_is_asked_for_anew(tmp_path: Path, theirs: Path) -> None:
    place = cloned(theirs)
    trust.trust(GitStorage(place))
    assert runs(place) == "theirs"
    place.rename(tmp_path / "away")
    other = remote_with(tmp_path / "other.git", "other")
    place = cloned(other)
    with pytest.raises(NotTrustedError) as caught:
        runs(place)
    assert str(theirs) in str(caught.value)
    assert str(other) in str(caught.value)
    assert trust.trust(GitStorage(place))
    assert runs(place) == "other"


def test_what_is_pulled_from_another_remote_is_asked_for_anew(tmp_path: Path, theirs: Path) -> None:
    place = cloned(theirs)
    GitStorage(place).pull()
    trust.trust(GitStorage(place))
    assert runs(place) == "theirs"
    somebody = work_tree(tmp_path / "somebody")
    git(somebody, "fetch", "-q", str(theirs), "flownb:flownb")
    GitStorage(somebody).add_flow(flow("co2", "worse"), replace=True)
    GitStorage(place, remote=str(somebody)).pull()
    with pytest.raises(NotTrustedError, match="somebody now; you trusted it when"):
        runs(place)


def test_trust_outlives_a_pull_from_the_remote_that_was_trusted(tmp_path: Path, theirs: Path) -> None:
    place = cloned(theirs)
    trust.trust(GitStorage(place))
    GitStorage(place).pull()
    assert runs(place) == "theirs"
