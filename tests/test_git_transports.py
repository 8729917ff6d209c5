"""Real transports: `git daemon`, HTTP with passwords, ssh's part; and many who push at once."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from git_exchange import FIXTURES, add, exchange, pull, push, subjects, tip, values, whole
from git_servers import cloned, daemon, git, ssh_stand_in
from polling import poll

from flownb.errors import StorageError
from flownb.storage.git.addresses import parse_address
from flownb.storage.git.cache import place_of
from flownb.storage.git.storage import GitStorage

if TYPE_CHECKING:
    from git_servers import HttpRemote

pytestmark = pytest.mark.kernel  # seconds of real git

remote, ann, bob, both, http = FIXTURES


# --- transports


def test_git_daemon_is_pushed_to_and_pulled_from(remote: Path, tmp_path: Path) -> None:
    with daemon(remote.parent) as url:
        ann = cloned(f"{url}/flows.git", tmp_path / "ann", "Ann")
        bob = cloned(f"{url}/flows.git", tmp_path / "bob", "Bob")
        add(ann)
        push(ann)
        pull(bob)
        assert values(bob) == values(ann)
        git(ann, "remote", "set-url", "origin", f"{url}/none.git")
        with pytest.raises(StorageError, match="there is no such repository"):
            pull(ann)
    git(ann, "remote", "set-url", "origin", f"{url}/flows.git")
    with pytest.raises(StorageError, match=r"the connection failed[\s\S]*refused"):
        pull(ann)


def test_http_is_pushed_to_and_pulled_from(http: HttpRemote, tmp_path: Path) -> None:
    ann = cloned(f"{http.url}/flows.git", tmp_path / "ann", "Ann")
    bob = cloned(f"{http.url}/flows.git", tmp_path / "bob", "Bob")
    add(ann)
    push(ann)
    add(bob, "sales", "x" * 3_000_000)  # more than one HTTP request holds
    push(bob)
    pull(ann)
    assert sorted(values(ann)) == ["co2", "sales"]


def test_a_password_is_used_and_never_shown_stored_or_recorded(
    http: HttpRemote, ann: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    http.password = "hunter two/@:"
    http.user = "ann"
    secret = "hunter%20two%2F%40%3A"
    store = tmp_path / "stored"
    git(ann, "config", "credential.helper", f"store --file={store}")
    url = f"http://ann:{secret}@{http.url.removeprefix('http://')}/flows.git"
    add(ann)
    arguments = tmp_path / "arguments"
    wrapper = tmp_path / "bin" / "git"
    wrapper.parent.mkdir()
    real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
    wrapper.write_text(f'#!/bin/sh\necho "$@" >> {arguments}\nexec {real} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}:{os.environ['PATH']}")
    synced = push(ann, remote=url)
    storage = GitStorage(url)
    assert list(storage.flows) == ["co2"]
    http.refused = 500
    with pytest.raises(StorageError) as caught:
        push(ann, remote=url)
    with pytest.raises(StorageError) as cached:
        _ = GitStorage(url).flows
    told = [str(synced), repr(exchange(ann, remote=url).remote), str(caught.value), str(cached.value)]
    told += [json.dumps(storage.serialize()), storage.name, repr(storage), arguments.read_text()]
    for folder in (ann / ".git", place_of(parse_address(url))):
        files = (file for file in folder.rglob("*") if file.is_file())
        told += [file.read_bytes().decode("latin-1") for file in files]
    for text in told:
        assert "hunter" not in text
    assert not store.exists()
    assert "flows.git" in arguments.read_text()


def test_a_missing_password_is_asked_of_nobody(http: HttpRemote, ann: Path) -> None:
    http.password = "unknown"
    mine = add(ann)
    with pytest.raises(StorageError, match="it wants to know who you are; give Git the credentials"):
        push(ann, remote=f"{http.url}/flows.git")
    with pytest.raises(StorageError, match="the user or the password is wrong") as caught:
        push(ann, remote=f"http://ann:hunter2@{http.url.removeprefix('http://')}/flows.git")
    assert "hunter2" not in str(caught.value)
    assert tip(ann) == mine


@pytest.mark.parametrize(
    ("status", "told"),
    [(403, "you may not do"), (404, "no such repository"), (503, "the connection failed"), (413, "no room")],
)
def test_what_an_http_server_answers_is_told(http: HttpRemote, ann: Path, status: int, told: str) -> None:
    add(ann)
    http.refused = status
    with pytest.raises(StorageError, match=told):
        push(ann, remote=f"{http.url}/flows.git")


def test_ssh_is_called_as_the_user_set_it_up(
    ann: Path, bob: Path, remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_SSH_COMMAND", ssh_stand_in(tmp_path))
    for clone in (ann, bob):
        git(clone, "remote", "set-url", "origin", f"git@example.org:{remote}")
    add(ann)
    assert push(ann).sent == 1
    assert pull(bob).received == 1
    assert "git@example.org" in (tmp_path / "ssh.log").read_text()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("Host key verification failed.", "its host key is not known here"),
        ("git@example.org: Permission denied (publickey).", "it does not accept your ssh key"),
        ("ssh: Could not resolve hostname example.org: Name or service not known", "its host is not found"),
        ("ssh: connect to host example.org port 22: Connection timed out", "the connection failed"),
        ("ERROR: Permission to team/flows.git denied to ann.", "you may not do that there"),
        ("ERROR: Repository not found.", "there is no such repository"),
    ],
)
def test_what_ssh_and_its_server_refuse_is_told(
    ann: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, told: str
) -> None:
    monkeypatch.setenv("GIT_SSH_COMMAND", ssh_stand_in(tmp_path, words))
    git(ann, "remote", "set-url", "origin", "git@example.org:team/flows.git")
    add(ann)
    with pytest.raises(StorageError, match=told) as caught:
        push(ann)
    assert words in str(caught.value)


def test_a_server_that_never_answers_is_given_up(ann: Path) -> None:
    mine = add(ann)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"git://127.0.0.1:{silent.getsockname()[1]}/flows.git"
        began = time.monotonic()
        with pytest.raises(StorageError, match=r"had not ended after 0\.5 s .* Nothing is lost here"):
            push(ann, remote=url, timeout=0.5)
    assert time.monotonic() - began < 10
    assert tip(ann) == mine


# --- many at once


def _pusher(clone: Path, count: int, every: int) -> None:
    for number in range(count):
        add(clone, f"{clone.name}-{number}", number)
        add(clone, f"shared-{clone.name}", number)
        if number % every == every - 1:
            push(clone)


@pytest.mark.kernel
def test_eight_clones_that_push_at_the_same_time_lose_nothing(remote: Path, tmp_path: Path) -> None:
    clones = [cloned(remote, tmp_path / f"machine{number}", f"Writer{number}") for number in range(8)]
    context = multiprocessing.get_context("fork")
    began = time.monotonic()
    writers = [context.Process(target=_pusher, args=(clone, 5, 1)) for clone in clones]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(240)
    took = time.monotonic() - began
    assert [writer.exitcode for writer in writers] == [0] * 8
    told = subjects(remote)
    assert len(told) == len(set(git(remote, "rev-list", "flownb").split())) == 80
    for number in range(8):
        assert sum(line.startswith(f"Writer{number}:") for line in told) == 10
    pull(clones[0])
    names = {f"machine{number}-{item}" for number in range(8) for item in range(5)}
    assert set(values(clones[0])) == names | {f"shared-machine{number}" for number in range(8)}
    whole(remote, *clones)
    print(f"8 clones x 10 commits, 40 pushes at once: {took:.1f} s, {80 / took:.0f} commits/s, none lost")


_PUSH_FOR_EVER = """
import itertools, pathlib, sys
from git_exchange import add, push
clone = pathlib.Path(sys.argv[1])
for number in itertools.count():
    print(add(clone, f"flow-{number}", number), flush=True)
    push(clone)
"""


def test_whoever_is_killed_while_pushing_leaves_both_sides_whole(
    both: tuple[Path, Path], remote: Path
) -> None:
    ann, bob = both
    for round_ in range(3):
        add(bob, f"sales-{round_}")
        push(bob)
        words = [sys.executable, "-c", _PUSH_FOR_EVER, str(ann)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent) as process:
            assert process.stdout is not None
            made = [process.stdout.readline().strip() for _ in range(2 + round_)]
            process.kill()
            made += process.stdout.read().split()
        poll(lambda: not list((ann / ".git" / "refs").rglob("*.lock")), what="git's own commands to end")
        push(ann)
        whole(ann, remote)
        pull(bob)
        assert values(ann) == values(bob)
        storage = GitStorage(ann)
        names = {f"flow-{number}" for number in range(len(made))}
        assert names <= set(storage.flows)
        assert all(tip(ann, commit) for commit in made)
