"""Where a flow of a Git repository runs, and by what its versions are asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from git_repositories import bare, flow, git, work_tree

from flownb.document import to_dict
from flownb.errors import FlowNotFoundError
from flownb.files import notebook_bytes
from flownb.storage.git import GitStorage
from flownb.storage.git.place import folder_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    folder = work_tree(tmp_path / "repo")
    (folder / "notebooks" / "deep").mkdir(parents=True)
    return folder


def about(folder: object) -> dict[str, Any]:
    return {"metadata": {"flownb": {"captured": {"folder": folder}}}}


# --- the folder


def test_a_flow_runs_in_the_folder_that_it_was_captured_in(repo: Path) -> None:
    storage = GitStorage(repo / "notebooks")
    storage.add_flow(replace(flow("co2"), folder=repo / "notebooks" / "deep"))
    for place in (repo, repo / "notebooks"):
        assert GitStorage(place).get_flow("co2").folder == repo / "notebooks" / "deep"
        assert [found.folder for found in GitStorage(place).get_flows()] == [repo / "notebooks" / "deep"]
    assert storage.get_flow("co2") == flow("co2")
    assert str(repo) not in git(repo, "show", "flownb:flows/co2.ipynb")


def test_in_another_work_tree_it_runs_in_that_ones_folder(repo: Path, tmp_path: Path) -> None:
    GitStorage(repo).add_flow(replace(flow("co2"), folder=repo / "notebooks"))
    git(repo, "worktree", "add", "-q", str(tmp_path / "side"))
    assert GitStorage(tmp_path / "side").get_flow("co2").folder == tmp_path / "side"
    (tmp_path / "side" / "notebooks").mkdir()
    assert GitStorage(tmp_path / "side").get_flow("co2").folder == tmp_path / "side" / "notebooks"


def test_captured_outside_of_the_work_tree_or_before_it_was_kept_it_runs_at_the_root(
    repo: Path, tmp_path: Path
) -> None:
    GitStorage(repo).add_flow(replace(flow("co2"), folder=tmp_path))
    assert GitStorage(repo / "notebooks").get_flow("co2").folder == repo
    assert notebook_bytes(to_dict(flow("co2"))).decode().strip() == git(
        repo, "show", "flownb:flows/co2.ipynb"
    )


def test_without_a_work_tree_it_runs_in_the_current_folder(repo: Path, tmp_path: Path) -> None:
    GitStorage(repo).add_flow(replace(flow("co2"), folder=repo / "notebooks"))
    git(repo, "push", "-q", str(bare(tmp_path / "b.git")), "flownb")
    assert GitStorage(tmp_path / "b.git").get_flow("co2").folder is None
    assert GitStorage(repo / ".git").get_flow("co2").folder is None


def test_the_same_content_captured_elsewhere_is_no_new_version(repo: Path) -> None:
    storage = GitStorage(repo)
    first = storage.add_flow(replace(flow("co2"), folder=repo))
    assert storage.add_flow(replace(flow("co2"), folder=repo / "notebooks"), replace=True) == first


@pytest.mark.parametrize(
    "folder",
    [
        "..",
        "../..",
        "notebooks/../..",
        "/etc",
        "/",
        ".git",
        "x/.GIT/y",
        "out",
        "a\0b",
        "\n",
        3,
        None,
        [],
        "\\x",
    ],
)
def test_a_folder_that_leads_out_of_the_work_tree_is_ignored(repo: Path, folder: object) -> None:
    (repo / "out").symlink_to(repo.parent)
    assert folder_of(about(folder), repo) == repo


@pytest.mark.parametrize("document", [{}, {"metadata": 1}, {"metadata": {"flownb": {"captured": "x"}}}])
def test_a_document_that_tells_no_folder_runs_at_the_root(repo: Path, document: dict[str, Any]) -> None:
    assert folder_of(document, repo) == repo


# --- versions


def test_a_version_is_found_by_the_digest_that_lists_show(repo: Path) -> None:
    storage = GitStorage(repo)
    locations = [storage.add_flow(flow("co2", number), replace=True) for number in range(3)]
    for number, location in enumerate(locations):
        digest = flow("co2", number).digest
        for asked in (digest[:7], digest[:12], digest):
            assert storage.resolve(f"co2@{asked}") == location
    again = storage.restore(locations[0])
    assert storage.resolve(f"co2@{flow('co2', 0).version}") == again


def test_a_digest_of_another_flow_or_too_short_a_one_is_refused(repo: Path) -> None:
    storage = GitStorage(repo)
    storage.add_flow(flow("co2"))
    storage.add_flow(flow("other"))
    for asked in (flow("other").version, flow("co2").digest[:6], "0" * 64):
        with pytest.raises(FlowNotFoundError, match="its newest versions"):
            storage.resolve(f"co2@{asked}")


def test_versions_are_counted_back_in_the_flows_own_history(repo: Path) -> None:
    storage = GitStorage(repo)
    locations = []
    for number in range(3):
        locations.append(storage.add_flow(flow("co2", number), replace=True))
        storage.add_flow(flow("other", number), replace=True)
    for back, location in enumerate(reversed(locations)):
        assert storage.resolve(f"co2@~{back}") == location
    with pytest.raises(FlowNotFoundError, match="it has 3 versions"):
        storage.resolve("co2@~3")
    storage.remove("co2")
    assert storage.resolve("co2@~1") == locations[-1]
    with pytest.raises(FlowNotFoundError, match="it was removed by"):
        storage.resolve("co2@~0")


# --- the notebook


def test_the_notebook_that_a_flow_was_captured_in_is_kept_relative_to_the_work_tree(repo: Path) -> None:
    storage = GitStorage(repo)

    def captured(name: str, content: int) -> str:
        notebook = {"kind": "notebook", "path": str(repo / "notebooks" / name)}
        return storage.add_flow(replace(flow("co2", content), storage=notebook), replace=True)

    first, second = captured("a.ipynb", 1), captured("b.ipynb", 2)
    assert storage.captured_in(first) == "notebooks/a.ipynb"
    assert storage.captured_in(second) == "notebooks/b.ipynb"
    assert storage.captured_in(second, before=True) == "notebooks/a.ipynb"
    assert storage.captured_in(first, before=True) is None
    assert str(repo) not in git(repo, "show", "flownb:flows/co2.ipynb")
