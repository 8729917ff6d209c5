"""Exchanging flows with a remote: nothing is lost, nothing overwritten in silence."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from git_exchange import FIXTURES, add, flow, pull, push, subjects, tip, values, whole
from git_servers import git

from flownb.errors import FlowConflictError, StorageError
from flownb.flow import Requirements
from flownb.storage.git.storage import GitStorage

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.kernel  # seconds of real git

remote, ann, bob, both, http = FIXTURES


# --- sending and receiving


def test_the_first_push_to_an_empty_remote_makes_the_branch_and_no_other(ann: Path, remote: Path) -> None:
    (ann / "notes.txt").write_text("mine")
    git(ann, "add", ".")
    git(ann, "commit", "-qm", "work")
    commit = add(ann)
    synced = push(ann)
    assert (synced.commit, synced.sent, synced.received) == (commit, 1, 0)
    assert git(remote, "for-each-ref", "--format=%(refname)") == "refs/heads/flownb"
    assert tip(remote) == commit
    assert str(push(ann)) == f"flownb with origin: nothing new; it is at {commit[:12]}"


def test_what_one_pushes_the_other_pulls(both: tuple[Path, Path], remote: Path) -> None:
    ann, bob = both
    assert values(bob) == values(ann) == {"co2": "total = 1"}
    commit = add(bob, value=2)
    push(bob)
    synced = pull(ann)
    assert (synced.commit, synced.received, synced.reapplied) == (commit, 1, {})
    assert values(ann) == {"co2": "total = 2"}
    assert git(ann, "status", "--porcelain") == ""
    whole(ann, bob, remote)


def test_other_flows_that_others_pushed_come_in_and_authors_messages_and_dates_stay(
    both: tuple[Path, Path], remote: Path
) -> None:
    ann, bob = both
    add(bob, "sales")
    push(bob)
    mine = [add(ann, "rain", value) for value in (1, 2)]
    before = git(ann, "log", "--format=%an %ae %at %s", "-2", "flownb")
    synced = push(ann)
    assert (synced.sent, synced.received) == (2, 1)
    assert list(synced.reapplied) == mine
    assert synced.reapplied[mine[1]] == synced.commit == tip(remote) == tip(ann)
    assert git(ann, "log", "--format=%an %ae %at %s", "-2", "flownb") == before
    assert subjects(remote)[2:] == ["Bob: Add sales", "Ann: Add co2"]
    assert values(ann) == {"co2": "total = 1", "rain": "total = 2", "sales": "total = 1"}
    assert GitStorage(ann).get_flow(f"rain@{mine[0]}").steps[0].source == "total = 1"
    git(ann, "gc", "--quiet", "--prune=now")
    assert tip(ann, mine[1]) == mine[1]  # a run was recorded with it
    whole(ann, remote)


def test_two_who_begin_the_branch_at_the_same_time_both_keep_their_flows(
    ann: Path, bob: Path, remote: Path
) -> None:
    add(ann, "rain")
    add(bob, "sales")
    push(ann)
    push(bob)
    pull(ann)
    assert sorted(values(ann)) == ["rain", "sales"]
    assert subjects(remote) == ["Bob: Add sales", "Ann: Add rain"]


def test_commits_made_while_others_were_pulled_stay_on_top(both: tuple[Path, Path]) -> None:
    ann, bob = both
    add(bob, "sales")
    push(bob)
    add(ann, "rain")
    assert pull(ann).received == 1
    assert subjects(ann)[:2] == ["Ann: Add rain", "Bob: Add sales"]


def test_a_removal_is_exchanged_too(both: tuple[Path, Path]) -> None:
    ann, bob = both
    add(bob, "sales")
    push(bob)
    GitStorage(ann).remove("co2")
    push(ann)
    pull(bob)
    assert sorted(values(bob)) == ["sales"]


def test_the_same_content_on_both_sides_is_no_conflict_and_makes_no_commit(
    both: tuple[Path, Path],
) -> None:
    ann, bob = both
    theirs = add(bob, value=7)
    push(bob)
    mine = add(ann, value=7)
    synced = push(ann)
    assert tip(ann) == theirs
    assert synced.sent == 0
    assert synced.reapplied == {mine: theirs}


def test_two_documents_of_one_digest_are_the_same_flow(both: tuple[Path, Path]) -> None:

    ann, bob = both
    for clone, python in ((ann, "3.11"), (bob, "3.12")):
        here = replace(flow(value=9), requirements=Requirements(python=python))
        GitStorage(clone).add_flow(here, replace=True)
    assert tip(ann) != tip(bob)
    push(bob)
    push(ann)
    assert tip(ann) == tip(bob)


# --- conflicts


def test_one_flow_changed_on_both_sides_is_told_with_both_versions(
    both: tuple[Path, Path], remote: Path
) -> None:
    ann, bob = both
    theirs = add(bob, value=2)
    push(bob)
    add(ann, "rain")
    mine = add(ann, value=3)
    for action in (push, pull):
        with pytest.raises(FlowConflictError) as caught:
            action(ann)
        [conflict] = caught.value.conflicts
        assert (conflict.name, conflict.ours.id, conflict.theirs.id) == ("co2", mine, theirs)
        assert (conflict.ours.who, conflict.theirs.who) == ("Ann", "Bob")
        assert conflict.ours.when
        assert f"flownb diff '{ann}#co2@{mine[:12]}' '{ann}#co2@{theirs[:12]}'" in str(caught.value)
        assert conflict.theirs.location == f"co2@{theirs}"
        assert all(word in str(caught.value) for word in (mine[:12], theirs[:12], "Ann", "Bob", "--take"))
        assert (tip(ann), tip(remote)) == (mine, theirs)
        assert pickle.loads(pickle.dumps(caught.value)).conflicts == (conflict,)
        assert GitStorage(ann).get_flow(f"co2@{theirs}").steps[0].source == "total = 2"


@pytest.mark.parametrize(("take", "newest"), [("ours", "total = 3"), ("theirs", "total = 2")])
def test_the_version_that_is_taken_is_the_newest_and_the_other_stays_in_the_history(
    both: tuple[Path, Path], remote: Path, take: str, newest: str
) -> None:
    ann, bob = both
    add(bob, value=2)
    push(bob)
    add(ann, value=3)
    add(ann, "rain")
    push(ann, take)
    assert values(ann)["co2"] == newest
    storage = GitStorage(ann)
    told = [storage.get_flow(version.location).steps[0].source for version in storage.history("co2")]
    assert {"total = 1", "total = 2", "total = 3"} == set(told)
    assert told[0] == newest
    assert tip(remote) == tip(ann)
    pull(bob)
    assert values(bob) == values(ann)
    whole(ann, bob, remote)


def test_a_flow_changed_here_and_removed_there_is_a_conflict(both: tuple[Path, Path]) -> None:
    ann, bob = both
    GitStorage(bob).remove("co2")
    push(bob)
    add(ann, value=3)
    with pytest.raises(FlowConflictError, match=r"\(removed\)") as caught:
        push(ann)
    assert caught.value.conflicts[0].theirs.removed
    push(ann, "theirs")
    assert values(ann) == {}
    assert len(GitStorage(ann).history("co2")) == 4


def test_a_flow_that_was_changed_there_and_back_is_still_a_conflict(both: tuple[Path, Path]) -> None:
    ann, bob = both
    add(bob, value=2)
    add(bob, value=1)
    push(bob)
    add(ann, value=3)
    with pytest.raises(FlowConflictError):
        push(ann)


def test_a_choice_that_is_none_is_refused(both: tuple[Path, Path]) -> None:
    with pytest.raises(StorageError, match="'ours' or 'theirs', not 'mine'"):
        push(both[0], "mine")
