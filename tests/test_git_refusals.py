"""What a remote's refusals are told as."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from git_exchange import FIXTURES, add, exchange, pull, push
from git_repositories import work_tree

from flownb.errors import FlowConflictError, StorageError
from flownb.storage.git.command import Completed
from flownb.storage.git.refusals import refusal

if TYPE_CHECKING:
    from pathlib import Path

remote, ann, bob, both, http = FIXTURES


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("SSL certificate problem: self-signed certificate", "its TLS certificate is not one"),
        ("server certificate verification failed. CAfile: none CRLfile: none", "its TLS certificate"),
        ("fatal: Authentication failed for 'https://host/flows.git/'", "the user or the password is wrong"),
        ("fatal: could not read Username for 'https://host': terminal prompts disabled", "who you are"),
        ("fatal: unable to access: Failed to connect to host port 443", "the connection failed"),
    ],
)
def test_what_git_says_is_told_as_what_it_is(said: str, told: str) -> None:
    assert told in str(refusal("fetching", Completed(b"", said, 128)))


def test_a_conflict_tells_the_command_lines_and_the_python_beside_them(both: tuple[Path, Path]) -> None:
    first, second = both
    add(first, value=2)
    push(first)
    add(second, value=3)
    with pytest.raises(FlowConflictError) as caught:
        pull(second)
    lines = str(caught.value).splitlines()
    assert f"  flownb pull {second} --take ours" in lines
    assert f"  flownb pull {second} --take theirs" in lines
    assert "(in Python: storage.pull(take='ours') or storage.pull(take='theirs'))" in lines


def test_a_repository_without_a_remote_says_so_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"^there is no remote yet; `git remote add origin URL` makes"):
        exchange(work_tree(tmp_path / "repo"))
