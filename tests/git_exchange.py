"""People who exchange flows through a remote: what the tests of it have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest
from git_servers import bare, cloned, git, over_http

from flownb.flow import Flow
from flownb.storage.git.remote import Exchange, Synced
from flownb.storage.git.repository import find
from flownb.storage.git.storage import GitStorage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from git_servers import HttpRemote

Take = Literal["ours", "theirs"]


def flow(name: str = "co2", value: object = 1) -> Flow:
    return Flow.from_cell(name, f"total = {value!r}")


def add(clone: Path, name: str = "co2", value: object = 1) -> str:
    """Commit a flow as the person of the clone does; returns the commit."""
    return GitStorage(clone).add_flow(flow(name, value), replace=True).partition("@")[2]


def exchange(clone: Path, **options: object) -> Exchange:
    return Exchange(find(clone), **options)  # type: ignore[arg-type]


def push(clone: Path, take: str | None = None, **options: object) -> Synced:
    return exchange(clone, **options).push(take)  # type: ignore[arg-type]


def pull(clone: Path, take: str | None = None, **options: object) -> Synced:
    return exchange(clone, **options).pull(take)  # type: ignore[arg-type]


def tip(repository: Path, ref: str = "refs/heads/flownb") -> str:
    return git(repository, "rev-parse", "--verify", "--quiet", ref, check=False)


def subjects(repository: Path) -> list[str]:
    return git(repository, "log", "--format=%an: %s", "flownb").splitlines()


def values(clone: Path) -> dict[str, str]:
    storage = GitStorage(clone)
    return {name: storage.get_flow(name).steps[0].source for name in storage.flows}


def whole(*repositories: Path) -> None:
    for repository in repositories:
        git(repository, "fsck", "--strict", "--no-dangling")


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return bare(tmp_path / "remotes" / "flows.git")


@pytest.fixture
def ann(remote: Path, tmp_path: Path) -> Path:
    return cloned(remote, tmp_path / "ann", "Ann")


@pytest.fixture
def bob(remote: Path, tmp_path: Path) -> Path:
    return cloned(remote, tmp_path / "bob", "Bob")


@pytest.fixture
def both(ann: Path, bob: Path) -> tuple[Path, Path]:
    """Ann and Bob, who have the flow co2 in common."""
    add(ann)
    push(ann)
    pull(bob)
    return ann, bob


@pytest.fixture
def http(remote: Path) -> Iterator[HttpRemote]:
    with over_http(remote.parent) as server:
        yield server


#: a module of tests takes these by names of its own, so that pytest finds them there
FIXTURES = (remote, ann, bob, both, http)
