"""Which storage a text opens, and kinds of storage that other distributions bring."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from storage_servers import web_server

from flownb import Storage, open_storage
from flownb.errors import StorageError
from flownb.storage import open_flow
from flownb.storage.directory import DirectoryStorage
from flownb.storage.opening import kinds
from flownb.testing.flows import sample

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder that is in no repository, with one and a plain folder beside each other."""
    for name, options in (("repo", []), ("bare", ["--bare"])):
        subprocess.run(["git", "init", "--quiet", *options, str(tmp_path / name)], check=True)
    (tmp_path / "repo" / "notebooks").mkdir()
    (tmp_path / "plain").mkdir()
    (tmp_path / "a.txt").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("a.ipynb", "notebook"),
        ("repo/a.ipynb", "notebook"),
        ("flownb://a.ipynb", "notebook"),
        ("git", "git"),
        ("repo", "git"),
        ("repo/notebooks", "git"),
        ("repo/notebooks/", "git"),
        ("bare", "git"),
        ("anywhere.git", "git"),
        ("git@host:team/flows.git", "git"),
        ("git@host:team/flows", "git"),
        ("ssh://git@host:22/team/flows", "git"),
        ("git://host/flows", "git"),
        ("https://host/team/flows.git", "git"),
        ("https://host/team/flows.git/", "git"),
        ("file:///srv/flows.git", "git"),
        ("git+https://host/flows", "git"),
        ("git+file:///srv/flows", "git"),
        ("dir:.", "directory"),
        ("repo/../plain", "directory"),
        ("plain", "directory"),
        ("new/", "directory"),
        ("dir:new", "directory"),
        ("dir:repo/notebooks", "directory"),
        ("file:///srv/flows", "directory"),
        ("s3://bucket/flows", "directory"),
        ("gs://bucket/flows", "directory"),
        ("gcs://bucket", "directory"),
        ("az://box/flows", "directory"),
        ("abfs://box@account.example/flows", "directory"),
        ("memory://x", "directory"),
    ],
)
def test_a_text_opens_the_storage_that_it_looks_like(here: Path, text: str, kind: str) -> None:
    assert open_storage(text).kind == kind


def test_the_current_folder_is_a_store_once_it_holds_flows(here: Path) -> None:
    open_storage("dir:.").add_flow(sample())
    assert open_storage(".").get_flow("sales") == sample()


def test_a_folder_beside_a_repository_is_not_in_it(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(here / "repo" / "notebooks")
    assert open_storage("../../new/").kind == "directory"
    assert open_storage("../../plain").kind == "directory"
    assert open_storage("..").kind == "git"


def test_a_path_opens_what_its_text_opens(here: Path) -> None:
    assert open_storage(here / "repo").kind == "git"
    assert open_storage(here / "plain").kind == "directory"
    assert open_storage(here / "a.ipynb").kind == "notebook"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (".", r"in no Git repository, and no folder of flows: `git init`.*; dir:\. keeps flows"),
        ("..", r"dir:\.\. keeps flows in the folder itself"),
        ("repo/a b/", r"say 'dir:repo/a b/' to keep"),
        ("größe", "'größe' is no storage"),
        ("", "is no storage that can be opened"),
        ("missing", "'missing' is no storage"),
        ("a.txt", "not a notebook"),
        ("a\0b", "is no storage"),
        ("ftp://host/x", "'ftp://host/x' is no storage"),
        ("ftp://me:pw@host/x", "'ftp://host/x' is no storage"),
        ("https://host/a.ipynb", "is no storage"),
        ("repo/new/", r"say dir:repo/new/ to keep flows in that folder, or git"),
        ("git+ext::sh -c true", "ext"),
        ("git+--upload-pack=x", "not a URL"),
        ("dir:", "names no folder"),
        ("s3://", "names no bucket"),
    ],
)
def test_what_opens_no_storage_is_told(here: Path, text: str, words: str) -> None:
    with pytest.raises(StorageError, match=words) as caught:
        open_storage(text)
    assert "pw" not in str(caught.value)


@pytest.mark.kernel
def test_a_web_address_is_a_repository_where_one_answers_and_else_a_directory(here: Path) -> None:
    subprocess.run(["git", "update-server-info"], cwd=here / "bare", check=True)
    DirectoryStorage(here / "plain").add_flow(sample())
    with web_server(here) as address:
        assert open_storage(f"{address}/bare").kind == "git"
        assert open_storage(f"{address}/plain").kind == "directory"
        assert open_flow(f"{address}/plain#sales")[1] == sample()
        assert open_storage(f"git+{address}/plain").kind == "git"


# --- kinds of others ---

STORAGE = """
from flownb.storage.directory import DirectoryStorage

class ShelfStorage(DirectoryStorage):
    kind = "shelf"

    @classmethod
    def from_url(cls, url):
        return cls(url.removeprefix("shelf://"))
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a distribution on the path that brings kinds of storage, a working one and wrong ones."""
    about = tmp_path / "shelves-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: shelves\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[flownb.storage]\nshelf = shelves_of_tests:ShelfStorage\nbroken = shelves_of_tests:Missing\n"
        "odd = shelves_of_tests:DirectoryStorage\nnotebook = shelves_of_tests:ShelfStorage\n"
    )
    (tmp_path / "shelves_of_tests.py").write_text(STORAGE)
    monkeypatch.syspath_prepend(tmp_path)


def test_a_kind_of_another_distribution_is_opened_and_made_again(installed: None, tmp_path: Path) -> None:
    storage = open_storage(f"shelf://{tmp_path}/flows")
    assert storage.kind == "shelf"
    storage.add_flow(sample())
    again = Storage.deserialize(storage.serialize())
    assert type(again) is type(storage)
    assert again.get_flow("sales") == sample()
    assert open_flow(f"shelf://{tmp_path}/flows#sales")[1] == sample()


def test_a_kind_that_cannot_be_loaded_is_told_and_hides_no_other(installed: None) -> None:
    assert set(kinds()) >= {"notebook", "directory", "git", "shelf", "broken", "odd"}
    with pytest.raises(StorageError, match=r"'broken' of shelves cannot be loaded: AttributeError"):
        Storage.deserialize({"kind": "broken"})
    with pytest.raises(StorageError, match=r"is no Storage of the kind 'odd'"):
        open_storage("odd://x")
    assert kinds()["shelf"].kind == "shelf"


def test_our_own_kinds_are_not_replaced(installed: None) -> None:
    assert kinds()["notebook"].__module__ == "flownb.storage.notebook"
    assert len(kinds()) == len(list(kinds()))
    with pytest.raises(KeyError):
        kinds()["tape"]
