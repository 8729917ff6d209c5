"""Repositories at URLs, through the clones in the cache."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from git_exchange import FIXTURES, add, exchange, flow, pull, push, tip, values, whole
from git_servers import git, hook
from polling import poll

from flownb.errors import FlowExistsError, StorageError
from flownb.storage.base import Storage
from flownb.storage.git.addresses import parse_address
from flownb.storage.git.cache import clone_for, place_of
from flownb.storage.git.remote import Exchange
from flownb.storage.git.repository import find
from flownb.storage.git.storage import GitStorage
from flownb.storage.git.writing import commit_change

if TYPE_CHECKING:
    from git_servers import HttpRemote

pytestmark = pytest.mark.kernel  # seconds of real git

remote, ann, bob, both, http = FIXTURES


# --- repositories at URLs


def test_a_url_is_read_through_a_clone_that_is_fetched_when_it_is_opened(
    both: tuple[Path, Path], http: HttpRemote
) -> None:
    ann, _ = both
    url = f"{http.url}/flows.git"
    assert list(GitStorage(url).flows) == ["co2"]
    add(ann, "rain")
    push(ann)
    assert list(GitStorage(url).flows) == ["co2", "rain"]


def test_a_full_commit_that_is_cached_needs_no_network(both: tuple[Path, Path], http: HttpRemote) -> None:
    address = parse_address(f"{http.url}/flows.git")
    place = clone_for(address, "flownb")
    commit = tip(place)
    http.seen.clear()
    assert clone_for(address, "flownb", commit=commit) == place
    assert http.seen == []
    http.refused = 404
    with pytest.raises(StorageError, match=f"can be read and run without the remote[^@]*NAME@{commit}"):
        clone_for(address, "flownb")


def test_a_clone_that_cannot_be_made_leaves_nothing(http: HttpRemote) -> None:
    address = parse_address(f"{http.url}/none.git")
    with pytest.raises(StorageError, match="no such repository"):
        clone_for(address, "flownb")
    assert [path.name for path in place_of(address).parent.glob(f"{place_of(address).name}*")] == [
        f"{place_of(address).name}.lock"
    ]


def test_a_remote_without_the_branch_is_an_empty_storage(http: HttpRemote) -> None:
    assert dict(GitStorage(f"{http.url}/flows.git").flows) == {}


def test_a_rewritten_remote_is_not_followed_by_its_clone_either(
    both: tuple[Path, Path], remote: Path, http: HttpRemote
) -> None:
    address = parse_address(f"{http.url}/flows.git")
    add(both[0], "rain")
    push(both[0])
    place = clone_for(address, "flownb")
    git(both[0], "push", "-qf", "origin", "flownb~1:flownb")
    with pytest.raises(StorageError, match="was rewritten"):
        clone_for(address, "flownb")
    clone_for(address, "flownb", take="theirs")
    assert tip(place) == tip(remote)


def _write(place: Path, name: str, value: object):  # type: ignore[no-untyped-def]
    """Return what `publish` calls: it commits a flow of a name on the ref that it is given."""
    from flownb.document import to_dict
    from flownb.files import notebook_bytes
    from flownb.storage.filenames import file_name
    from flownb.storage.git.objects import Objects
    from flownb.storage.git.writing import Change

    document = notebook_bytes(to_dict(flow(name, value)))
    repository = find(place)
    change = Change(f"Add {name}\n", {file_name(name): document})
    return lambda ref: commit_change(repository, Objects(repository.git), ref, "flows", lambda files: change)


def test_what_is_published_is_at_the_remote_or_nowhere(
    both: tuple[Path, Path], remote: Path, http: HttpRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    _identify(monkeypatch)
    address = parse_address(f"{http.url}/flows.git")
    place = clone_for(address, "flownb")
    at_url = Exchange(find(place), remote=address)
    made = at_url.publish(_write(place, "rain", 1))
    assert made == tip(remote) == tip(place)
    hook(remote, "pre-receive", "echo no >&2; exit 1")
    with pytest.raises(StorageError, match="hook there declined"):
        at_url.publish(_write(place, "snow", 1))
    assert tip(place) == tip(remote) == made
    assert git(place, "for-each-ref", "refs/flownb/publishing") == ""


def test_a_published_commit_is_made_again_when_others_pushed_meanwhile(
    both: tuple[Path, Path], remote: Path, http: HttpRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    _identify(monkeypatch)
    address = parse_address(f"{http.url}/flows.git")
    place = clone_for(address, "flownb")
    write = _write(place, "rain", 1)
    calls = []

    def late(ref: str) -> str | None:
        made: str | None = write(ref)
        if not calls:
            add(both[1], "sales")
            push(both[1])
        calls.append(made)
        return made

    made = Exchange(find(place), remote=address).publish(late)
    assert len(calls) == 2
    assert made == tip(remote)
    pull(both[0])
    assert sorted(values(both[0])) == ["co2", "rain", "sales"]


def test_a_tag_is_published_once(both: tuple[Path, Path], remote: Path) -> None:
    ann, _ = both
    exchange(ann).publish_tag("v1", tip(ann))
    assert tip(remote, "refs/tags/v1") == tip(ann)
    add(ann, "rain")
    with pytest.raises(StorageError, match="has a tag v1 already"):
        exchange(ann).publish_tag("v1", tip(ann))


def test_what_was_pushed_is_confirmed_by_the_remote(both: tuple[Path, Path], remote: Path) -> None:
    ann, _ = both
    exchange(ann).confirm(tip(ann))
    git(remote, "update-ref", "-d", "refs/heads/flownb")
    with pytest.raises(StorageError, match="somebody rewrote it meanwhile"):
        exchange(ann).confirm(tip(ann))


def _identify(monkeypatch: pytest.MonkeyPatch) -> None:
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Ann")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "ann@example.org")


_CLONE = """
import sys
from flownb.storage.git.addresses import parse_address
from flownb.storage.git.cache import clone_for
print(clone_for(parse_address(sys.argv[1]), "flownb"))
"""


def test_several_processes_make_one_clone(both: tuple[Path, Path], http: HttpRemote) -> None:
    words = [sys.executable, "-c", _CLONE, f"{http.url}/flows.git"]
    started = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    places = {process.communicate()[0] for process in started}
    assert all(process.returncode == 0 for process in started)
    assert len(places) == 1
    whole(Path(places.pop().strip()))


def test_a_process_killed_while_it_clones_leaves_nothing_that_is_read(
    both: tuple[Path, Path], http: HttpRemote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = parse_address(f"{http.url}/flows.git")
    making = place_of(address).with_name(f"{place_of(address).name}.making")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        # the same address, at a server that does not answer
        redirected = {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.git://127.0.0.1:{port}/.insteadOf",
            "GIT_CONFIG_VALUE_0": f"{http.url}/",
        }
        process = subprocess.Popen(
            [sys.executable, "-c", _CLONE, address.url], env={**os.environ, **redirected}
        )
        connection, _ = silent.accept()
        poll(making.is_dir, what="the clone to be begun")
        process.send_signal(signal.SIGKILL)
        process.wait()
        connection.close()
    assert making.is_dir()
    assert not place_of(address).exists()
    assert tip(clone_for(address, "flownb"))
    assert not making.exists()


# --- flows at a URL


@pytest.fixture
def at_url(both: tuple[Path, Path], http: HttpRemote, monkeypatch: pytest.MonkeyPatch) -> GitStorage:
    _identify(monkeypatch)
    http.password = "secret"
    return GitStorage(http.with_credentials("flows.git"))


def test_a_flow_added_at_a_url_is_at_the_remote_with_its_location(
    both: tuple[Path, Path], at_url: GitStorage, remote: Path
) -> None:
    location = at_url.add_flow(flow("rain"))
    assert location == f"rain@{tip(remote)}"
    pull(both[0])
    assert GitStorage(both[0]).get_flow(location) == flow("rain")
    assert at_url.add_flow(flow("rain"), replace=True) == location
    at_url.remove("co2")
    assert sorted(Storage.deserialize(json.loads(json.dumps(at_url.serialize()))).serialize()) == sorted(
        at_url.serialize()
    )
    pull(both[1])
    assert sorted(values(both[1])) == ["rain"]


def test_a_flow_that_others_pushed_since_is_there_already(
    both: tuple[Path, Path], at_url: GitStorage
) -> None:
    assert list(at_url.flows) == ["co2"]
    add(both[0], "rain", 1)
    push(both[0])
    with pytest.raises(FlowExistsError, match="rain already"):
        at_url.add_flow(flow("rain", 2))
    location = at_url.add_flow(flow("rain", 2), replace=True)
    assert at_url.history("rain")[0].location == location
    assert len(at_url.history("rain")) == 2


def test_what_a_remote_declines_is_not_in_the_storage(at_url: GitStorage, remote: Path) -> None:
    hook(remote, "pre-receive", "echo names begin with a letter >&2; exit 1")
    with pytest.raises(StorageError, match="names begin with a letter"):
        at_url.add_flow(flow("rain"))
    assert list(at_url.flows) == ["co2"]


def test_a_version_at_a_url_is_tagged_at_the_remote(at_url: GitStorage, remote: Path) -> None:
    location = at_url.resolve("co2")
    at_url.tag("co2", "v1")
    assert f"co2@{tip(remote, 'refs/tags/v1')}" == location
    at_url.add_flow(flow("co2", 2), replace=True)
    assert at_url.get_flow("co2@v1").location == location


def test_a_tag_that_somebody_made_is_known_at_the_url(both: tuple[Path, Path], at_url: GitStorage) -> None:
    first = tip(both[0])
    add(both[0], value=2)
    push(both[0])
    git(both[0], "tag", "v9", first)
    git(both[0], "push", "-q", "origin", "v9")
    assert at_url.get_flow("co2@v9").location == f"co2@{first}"


def test_building_pushes_and_reads_every_flow_back(both: tuple[Path, Path], remote: Path) -> None:
    ann, bob = both
    add(bob, "sales")
    push(bob)
    add(ann, "rain")
    assert sorted(GitStorage(ann).build().flows) == ["co2", "rain", "sales"]
    assert tip(remote) == tip(ann)


_ADD = """
import sys
from flownb.flow import Flow
from flownb.storage.git.storage import GitStorage
storage = GitStorage(sys.argv[1])
for number in range(4):
    print(storage.add_flow(Flow.from_cell(f"{sys.argv[2]}-{number}", f"total = {number}")))
"""


def test_machines_that_add_at_a_url_at_the_same_time_lose_nothing(
    both: tuple[Path, Path], http: HttpRemote, remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _identify(monkeypatch)
    url = f"{http.url}/flows.git"
    machines = [
        subprocess.Popen(
            [sys.executable, "-c", _ADD, url, f"machine{number}"],
            env={**os.environ, "FLOWNB_CACHE_DIR": str(tmp_path / f"cache{number % 2}")},
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    told = [line for machine in machines for line in machine.communicate()[0].splitlines()]
    assert [machine.returncode for machine in machines] == [0] * 4
    pull(both[0])
    storage = GitStorage(both[0])
    assert sorted(told) == sorted(place for name, place in storage.flows.items() if name != "co2")
    assert len(told) == 16
    whole(remote)
