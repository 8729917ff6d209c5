"""Remotes that became something else, refuse or are hostile; signatures; where flows come from."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from git_exchange import FIXTURES, add, flow, pull, push, subjects, tip, values, whole
from git_servers import bare, cloned, git, hook, known_as

from flownb.errors import StorageError
from flownb.storage.git.addresses import parse_address
from flownb.storage.git.storage import GitStorage

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.kernel  # seconds of real git

remote, ann, bob, both, http = FIXTURES


# --- what a remote may have become


def test_a_branch_of_something_else_is_left_alone(ann: Path, remote: Path, tmp_path: Path) -> None:
    other = cloned(remote, tmp_path / "other")
    (other / "program.py").write_text("print()")
    git(other, "add", ".")
    git(other, "commit", "-qm", "a program")
    git(other, "push", "-q", "origin", "HEAD:flownb")
    before = tip(remote)
    mine = add(ann)
    for take in (None, "ours"):
        with pytest.raises(StorageError, match="another history and holds other things than flows"):
            push(ann, take)
    assert (tip(remote), tip(ann)) == (before, mine)


@pytest.mark.parametrize("how", ["reset", "rewritten"])
def test_a_rewritten_branch_is_told_and_followed_only_when_asked(
    both: tuple[Path, Path], remote: Path, how: str
) -> None:
    ann, bob = both
    add(ann, "rain")
    push(ann)
    pull(bob)
    lost = tip(bob)
    git(ann, "branch", "-f", "flownb", "flownb~1")
    if how == "rewritten":
        add(ann, "snow")
    git(ann, "push", "-qf", "origin", "flownb")
    rewritten = tip(remote)
    add(bob, "sales")
    mine = tip(bob)
    for action in (push, pull):
        with pytest.raises(StorageError, match=r"was rewritten: it is at .*1 commit of before no"):
            action(bob)
        assert (tip(bob), tip(remote)) == (mine, rewritten)
    pull(bob, "theirs")
    assert "rain" not in values(bob)
    assert "sales" in values(bob)
    assert tip(bob, lost) == lost
    push(bob)
    assert ("snow" in values(bob)) == (how == "rewritten")


def test_what_a_rewriting_dropped_can_be_put_back(both: tuple[Path, Path], remote: Path) -> None:
    ann, bob = both
    add(ann, "rain")
    push(ann)
    pull(bob)
    git(ann, "push", "-qf", "origin", "flownb~1:flownb")
    push(bob, "ours")
    assert tip(remote) == tip(ann)


def test_a_branch_that_is_gone_is_told_and_put_back_only_when_asked(
    both: tuple[Path, Path], remote: Path
) -> None:
    ann, _ = both
    git(remote, "update-ref", "-d", "refs/heads/flownb")
    add(ann, "rain")
    for action in (push, pull):
        with pytest.raises(StorageError, match="was there, and is gone"):
            action(ann)
    with pytest.raises(StorageError, match="is gone"):
        push(ann, "theirs")
    push(ann, "ours")
    assert tip(remote) == tip(ann)


def test_pulling_what_is_not_there_says_so(ann: Path) -> None:
    with pytest.raises(StorageError, match="origin has no branch flownb yet"):
        pull(ann)
    with pytest.raises(StorageError, match="there is nothing to push"):
        push(ann)


def test_a_shallow_clone_exchanges_as_any_other(
    both: tuple[Path, Path], remote: Path, tmp_path: Path
) -> None:
    ann, bob = both
    for value in range(3):
        add(bob, "sales", value)
    push(bob)
    git(tmp_path, "clone", "-q", "--depth=1", "-b", "flownb", remote.as_uri(), "shallow")
    shallow = known_as(tmp_path / "shallow", "Eve")
    git(shallow, "switch", "-q", "--orphan", "work")
    add(shallow, "rain")
    git(ann, "push", "-qf", "origin", "flownb:other")
    pull(ann)
    add(ann, "snow")
    push(ann)
    push(shallow)
    pull(ann)
    assert sorted(values(ann)) == ["co2", "rain", "sales", "snow"]
    whole(remote)


def test_merges_made_by_hand_are_not_taken_apart(both: tuple[Path, Path]) -> None:
    ann, bob = both
    git(ann, "branch", "side", "flownb")
    add(ann, "rain")
    GitStorage(ann, branch="side").add_flow(flow("snow"))
    git(ann, "switch", "-q", "flownb")
    git(ann, "merge", "-q", "--no-edit", "side")
    git(ann, "switch", "-q", "--orphan", "work")
    add(bob, "sales")
    push(bob)
    mine = tip(ann)
    with pytest.raises(StorageError, match="merges others"):
        push(ann)
    assert tip(ann) == mine


def test_a_checked_out_branch_is_not_moved(both: tuple[Path, Path]) -> None:
    ann, bob = both
    add(bob, "sales")
    push(bob)
    git(ann, "switch", "-q", "flownb")
    before = tip(ann)
    with pytest.raises(StorageError, match="checked out in"):
        pull(ann)
    assert tip(ann) == before


# --- refusals of the remote


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("GH006: Protected branch update failed", "the branch is protected there"),
        ("names must begin with a letter", "a hook there declined it"),
        ("fatal: disk quota exceeded", "there is no room for it"),
    ],
)
def test_a_push_that_is_declined_says_why_and_loses_nothing(
    both: tuple[Path, Path], remote: Path, words: str, told: str
) -> None:
    ann, _ = both
    hook(remote, "pre-receive", f"printf '{words}\\033]0;title\\007\\n' >&2; exit 1")
    mine = add(ann, "rain")
    before = tip(remote)
    with pytest.raises(StorageError, match=told) as caught:
        push(ann)
    assert words in str(caught.value)
    assert "\\x1b]0;title" in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert "Nothing is lost here" in str(caught.value)
    assert (tip(ann), tip(remote)) == (mine, before)
    hook(remote, "pre-receive", "exit 0")
    assert push(ann).sent == 1


def test_a_remote_that_went_away_is_told(both: tuple[Path, Path], remote: Path) -> None:
    ann, _ = both
    remote.rename(remote.with_name("elsewhere"))
    mine = add(ann, "rain")
    with pytest.raises(StorageError, match="there is no such repository") as caught:
        push(ann)
    assert str(remote) in str(caught.value)
    assert tip(ann) == mine


def test_which_remote_is_asked_where_there_are_several(ann: Path, remote: Path, tmp_path: Path) -> None:
    commit = add(ann)
    second = bare(tmp_path / "second.git")
    git(ann, "remote", "rename", "origin", "first")
    git(ann, "remote", "add", "second", str(second))
    with pytest.raises(StorageError, match="which remote\\? there are first, second"):
        push(ann)
    with pytest.raises(StorageError, match="there is no remote 'third'; there are first, second"):
        push(ann, remote="third")
    git(ann, "config", "branch.flownb.remote", "second")
    assert push(ann).remote == "second"
    assert (tip(second), tip(remote)) == (commit, "")
    assert push(ann, remote=str(remote)).remote == str(remote)
    assert tip(remote) == commit


def test_a_relative_url_is_one_from_the_work_tree(ann: Path, remote: Path, tmp_path: Path) -> None:
    git(ann, "remote", "set-url", "origin", "../remotes/flows.git")
    commit = add(ann)
    push(ann)
    assert tip(remote) == commit


def test_a_mirror_pushes_no_other_branches(ann: Path, remote: Path) -> None:
    git(ann, "commit", "-q", "--allow-empty", "-m", "work")
    git(ann, "config", "remote.origin.mirror", "true")
    add(ann)
    push(ann)
    assert git(remote, "for-each-ref", "--format=%(refname)") == "refs/heads/flownb"


# --- hostile addresses


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c touch% {marker}",
        "fd::17/x",
        "-oProxyCommand=touch {marker}",
        "--upload-pack=touch {marker}",
        "ssh://-oProxyCommand=touch%20{marker}/x",
        "ssh://%2DoProxyCommand=touch%20{marker}/x",
        "ssh://-oProxyCommand=x@host/x",
        "git@-oProxyCommand=touch:x",
        "ftp://host/x",
        "https://host/x.git?token=abc",
        "https://host/x\n.git",
        "http://ann:a%0ab@host/x.git",
        "",
    ],
)
def test_a_hostile_address_is_refused_and_runs_nothing(ann: Path, tmp_path: Path, url: str) -> None:
    marker = tmp_path / "ran"
    add(ann)
    with pytest.raises(StorageError):
        parse_address(url.format(marker=marker))
    if url:
        git(ann, "config", "remote.origin.url", url.format(marker=marker))
        for action in (push, pull):
            with pytest.raises(StorageError):
                action(ann)
    assert not marker.exists()


def test_the_remote_s_repository_is_reached_with_no_programs_of_this_one(
    both: tuple[Path, Path], tmp_path: Path
) -> None:
    ann, _ = both
    marker = tmp_path / "ran"
    hooks = ann / ".git" / "hooks"
    for name in ("pre-push", "reference-transaction", "post-update", "post-checkout", "pre-auto-gc"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {marker}\n")
        (hooks / name).chmod(0o755)
    git(ann, "config", "core.fsmonitor", f"touch {marker}")
    git(ann, "config", "alias.push", f"!touch {marker}")
    marker.unlink(missing_ok=True)
    add(ann, "rain")
    push(ann)
    pull(ann)
    assert not marker.exists()


# --- signatures


def test_signed_commits_are_signed_anew_or_it_is_told(
    both: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = both
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    signers = tmp_path / "signers"
    signers.write_text(f"ann@example.org {key.with_suffix('.pub').read_text()}")
    settings = tmp_path / "gitconfig"
    settings.write_text(
        f'[gpg]\n format = ssh\n[gpg "ssh"]\n allowedSignersFile = {signers}\n[user]\n signingKey = {key}\n'
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    add(bob, "sales")
    push(bob)
    GitStorage(ann, sign=True).add_flow(flow("rain"))
    mine = tip(ann)
    hidden = key.rename(tmp_path / "hidden")
    with pytest.raises(StorageError, match="is signed, and has to be signed anew"):
        push(ann)
    assert tip(ann) == mine
    hidden.rename(key)
    push(ann)
    assert tip(ann) != mine
    git(ann, "verify-commit", "flownb")
    assert subjects(ann)[:2] == ["Ann: Add rain", "Bob: Add sales"]


# --- where flows come from


def test_a_branch_is_from_elsewhere_as_soon_as_others_commits_came_in(ann: Path, bob: Path) -> None:
    add(ann)
    push(ann)
    assert GitStorage(ann).origin is None
    git(bob, "fetch", "-q")
    url = git(bob, "remote", "get-url", "origin")
    assert GitStorage(bob).origin == url  # known as a remote's only
    pull(bob)
    assert GitStorage(bob).origin == url
    add(bob, "rain")
    push(bob)
    pull(ann)
    assert GitStorage(ann).origin == url
    assert GitStorage(ann, branch="other").origin is None


def test_the_branch_of_a_bare_clone_is_from_elsewhere(both: tuple[Path, Path], tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(both[0]), "copy.git")
    assert GitStorage(tmp_path / "copy.git").origin == str(both[0])
