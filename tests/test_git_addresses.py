"""Where remotes are, and what is planned for commits: decided without any repository."""

from __future__ import annotations

import pytest

from flownb.errors import StorageError
from flownb.storage.git import reapply
from flownb.storage.git.addresses import parse_address, without_credentials
from flownb.storage.git.command import Git


# --- addresses
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://ann:secret@host/x.git", "https://host/x.git"),
        ("https://token@host:8443/x.git", "https://host:8443/x.git"),
        ("git+https://a:b@host/x.git", "https://host/x.git"),
        ("ssh://git:secret@host:22/x.git", "ssh://git@host:22/x.git"),
        ("git@host:team/x.git", "git@host:team/x.git"),
        ("git://u:p@host/x", "git://host/x"),
        ("file:///srv/x.git", "file:///srv/x.git"),
        ("/srv/x.git", "/srv/x.git"),
    ],
)
def test_an_address_is_shown_without_its_credentials(text: str, shown: str) -> None:
    address = parse_address(text)
    assert address.url == shown
    assert "secret" not in repr(address)
    assert parse_address(address.url).url == shown


def test_credentials_are_taken_out_of_words() -> None:
    said = "fatal: unable to access 'https://u:p@ss@host/x/': no; see ssh://a:b@h/y and mail a@b.org"
    wanted = "fatal: unable to access 'https://host/x/': no; see ssh://a@h/y and mail a@b.org"
    assert without_credentials(said) == wanted


# --- plans


def test_a_plan_touches_no_repository() -> None:
    one, two, three = (reapply.Entry("100644", letter * 40) for letter in "abc")

    def commit(number: int, *changes: reapply.Change) -> reapply.Commit:
        return reapply.Commit(str(number), (), b"", b"", b"", False, changes)

    commits = [commit(1, reapply.Change("x", two)), commit(2, reapply.Change("y", two))]
    found = reapply.plan(commits, {"x": two, "z": three}, ["x", "z"], lambda a, b: False)
    assert ([c.id for c in found.commits], found.conflicts) == (["2"], ())
    found = reapply.plan(commits, {"x": one}, ["x"], lambda a, b: False)
    assert ([c.id for c in found.commits], found.conflicts) == (["1", "2"], ("x",))
    assert reapply.plan(commits, {"x": one}, ["x"], lambda a, b: True).conflicts == ()


def test_git_is_never_called_with_a_transport_for_local_work() -> None:
    with pytest.raises(StorageError, match="not allowed"):
        Git().run("ls-remote", "--end-of-options", "file:///nowhere")


def test_a_file_that_is_a_folder_on_the_other_side_is_refused() -> None:
    entry = reapply.Entry("100644", "a" * 40)
    commit = reapply.Commit("c" * 40, (), b"", b"", b"", False, (reapply.Change("flows/x", entry),))
    found = reapply.plan([commit], {"flows": entry}, ["flows"], lambda one, other: False)
    assert found.conflicts == ()
    with pytest.raises(StorageError, match="a folder on one side and a file on the other"):
        reapply.check_folders(found, {"flows": entry}, "origin")
