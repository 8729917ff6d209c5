"""Flows in Git repositories of every kind: added, read, listed, removed; nothing else is touched."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from git_repositories import (
    KINDS,
    assert_whole,
    bare,
    configured,
    empty,
    flow,
    git,
    shallow,
    state,
    work_tree,
)

from flownb.document import dumps, loads
from flownb.errors import FlowExistsError, FlowNotFoundError, StorageError
from flownb.storage import Storage
from flownb.storage.git import GitStorage

NAMES = ("co2", "CO2", "Co2", "été", "ete", "e\u0301té", "con", "nul", "a b", "日本", "x" * 100, "é" * 100)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return work_tree(tmp_path / "repo")


@pytest.mark.kernel
@pytest.mark.parametrize("kind", KINDS)
def test_flows_are_kept_in_every_kind_of_repository_and_nothing_else_is_touched(
    kind: str, tmp_path: Path
) -> None:
    folder = KINDS[kind](tmp_path / "repo")
    before = state(folder)
    storage = GitStorage(folder)
    first = storage.add_flow(flow("co2"))
    second = storage.add_flow(flow("co2", 2), replace=True)
    storage.add_flow(flow("other"))
    storage.remove("other")
    assert storage.get_flow(first) == flow("co2")
    assert storage.get_flow("co2") == flow("co2", 2)
    assert storage.flows["co2"] == second
    assert "other" not in storage
    assert storage.restore(first) not in (first, second)
    assert GitStorage(folder).get_flow("co2") == flow("co2")
    assert state(folder) == before
    assert storage.build() is storage
    assert_whole(folder)


def test_a_location_is_the_commit_that_changed_the_flow_last(repo: Path) -> None:
    storage = GitStorage(repo)
    location = storage.add_flow(flow("co2"))
    storage.add_flow(flow("other"))
    commit = git(repo, "log", "-1", "--format=%H", "flownb", "--", "flows/co2.ipynb")
    assert location == storage.flows["co2"] == storage.resolve("co2") == f"co2@{commit}"
    assert storage.resolve("co2@flownb") == location
    read = storage.get_flow("co2@HEAD")
    assert (read.location, read.storage) == (location, storage.serialize())


def test_what_is_committed_is_the_flow_document(repo: Path) -> None:
    GitStorage(repo).add_flow(flow("co2"))
    text = subprocess.run(
        ["git", "cat-file", "blob", "flownb:flows/co2.ipynb"], cwd=repo, capture_output=True, check=True
    ).stdout.decode()
    assert text == dumps(flow("co2"))
    assert (
        git(repo, "log", "-1", "--format=%an <%ae> %s", "flownb") == "Mara Müller <mara@example.com> Add co2"
    )


def test_a_name_that_is_there_is_refused_unless_replaced_and_the_same_content_is_no_new_version(
    repo: Path,
) -> None:
    storage = GitStorage(repo)
    first = storage.add_flow(flow("co2"))
    with pytest.raises(FlowExistsError, match="holds a flow co2 already; replace=True"):
        storage.add_flow(flow("co2"))
    assert storage.add_flow(flow("co2"), replace=True) == first
    assert git(repo, "rev-list", "--count", "flownb") == "1"


def test_names_that_collide_on_other_file_systems_stay_apart(repo: Path) -> None:
    storage = GitStorage(repo)
    for name in NAMES:
        if name not in storage:
            storage.add_flow(flow(name, name))
    files = git(repo, "ls-tree", "--name-only", "flownb:flows").splitlines()
    assert (
        len({file.lower() for file in files}) == len(storage.flows) == len(NAMES) - 1
    )  # é is é, composed or not
    for name in storage.flows:
        assert storage.get_flow(name) == flow(name, name)
    assert GitStorage(repo).flows == storage.flows


def test_in_takes_a_name_or_a_flow_with_that_content(repo: Path) -> None:
    storage = GitStorage(repo)
    storage.add_flow(flow("co2"))
    assert "co2" in storage
    assert flow("co2") in storage
    assert flow("co2", 2) not in storage
    assert "CO2" not in storage
    assert 3 not in storage


def test_an_empty_storage_holds_nothing_and_says_so(repo: Path) -> None:
    storage = GitStorage(repo)
    assert (storage.flows, storage.problems) == ({}, ())
    with pytest.raises(FlowNotFoundError, match="its branch flownb has no commit yet"):
        storage.get_flow("co2")
    with pytest.raises(FlowNotFoundError):
        storage.history("co2")
    assert storage.build() is storage


def test_a_storage_is_made_again_from_its_serialized_form_and_from_a_pickle(
    repo: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(repo)
    storage = GitStorage(".", branch="flows/main", folder="a/b", sign=False)
    location = storage.add_flow(flow("co2"))
    monkeypatch.chdir(tmp_path)
    for again in (Storage.deserialize(storage.serialize()), pickle.loads(pickle.dumps(storage))):
        assert isinstance(again, GitStorage)
        assert again.serialize() == storage.serialize()
        assert again.get_flow(location) == flow("co2")
    assert git(repo, "ls-tree", "-r", "--name-only", "flows/main") == "a/b/co2.ipynb"


def test_the_folder_of_a_work_tree_is_where_its_flows_run(repo: Path, tmp_path: Path) -> None:
    GitStorage(repo).add_flow(flow("co2"))
    assert GitStorage(repo).get_flow("co2").folder == repo
    GitStorage(bare(tmp_path / "b.git")).add_flow(flow("co2"))
    assert GitStorage(tmp_path / "b.git").get_flow("co2").folder is None


@pytest.mark.parametrize("branch", ["main", "side"])
def test_a_checked_out_branch_is_refused_in_every_work_tree(branch: str, tmp_path: Path) -> None:
    folder = KINDS["a linked work tree"](tmp_path / "repo")
    before = state(folder)
    with pytest.raises(StorageError, match=f"the branch {branch} is checked out in .*git switch"):
        GitStorage(folder, branch=branch).add_flow(flow("co2"))
    assert state(folder) == before


def test_a_branch_that_is_being_rebased_counts_as_checked_out(repo: Path) -> None:
    storage = GitStorage(repo)
    storage.add_flow(flow("co2"))
    (repo / ".git" / "rebase-merge").mkdir()
    (repo / ".git" / "rebase-merge" / "head-name").write_text("refs/heads/flownb\n")
    with pytest.raises(StorageError, match="is checked out"):
        storage.add_flow(flow("other"))


def test_an_unborn_branch_that_is_checked_out_is_refused(tmp_path: Path) -> None:
    folder = empty(tmp_path / "repo")
    git(folder, "symbolic-ref", "HEAD", "refs/heads/flownb")
    with pytest.raises(StorageError, match="checked out"):
        GitStorage(folder).add_flow(flow("co2"))


def test_flows_are_kept_while_head_is_detached(repo: Path) -> None:
    git(repo, "checkout", "-q", "--detach", "--force")
    before = state(repo)
    GitStorage(repo).add_flow(flow("co2"))
    assert state(repo) == before


def test_a_clone_shows_the_flows_of_its_remotes_branch_and_adds_on_top_of_them(
    repo: Path, tmp_path: Path
) -> None:
    GitStorage(repo).add_flow(flow("theirs"))
    git(tmp_path, "clone", "-q", str(repo), "clone")
    clone = GitStorage(configured(tmp_path / "clone"))
    assert clone.get_flow("theirs") == flow("theirs")
    assert clone.origin == str(repo)
    clone.add_flow(flow("mine"))
    assert set(clone.flows) == {"theirs", "mine"}
    assert clone.origin == str(repo)
    assert git(tmp_path / "clone", "merge-base", "flownb", "origin/flownb") == git(
        repo, "rev-parse", "flownb"
    )
    assert GitStorage(repo).origin is None


def test_flows_beside_other_files_of_the_branch_leave_those_alone(repo: Path) -> None:
    git(repo, "branch", "flownb", "main")
    GitStorage(repo).add_flow(flow("co2"))
    assert git(repo, "ls-tree", "-r", "--name-only", "flownb").split() == [
        "analysis.py",
        "flows/co2.ipynb",
        "staged.txt",
    ]


def test_a_file_in_the_place_of_the_folder_is_told(repo: Path) -> None:
    git(repo, "branch", "flownb", "main")
    with pytest.raises(StorageError, match=r"analysis.py is not a folder in the commit"):
        GitStorage(repo, folder="analysis.py").add_flow(flow("co2"))


def test_a_shallow_clone_tells_the_versions_that_it_has(tmp_path: Path) -> None:
    folder = shallow(tmp_path / "repo")
    storage = GitStorage(folder)
    assert len(storage.history("old")) == 1
    assert storage.get_flow("old") == flow("old", 2)
    git(folder, "fetch", "-q", "--unshallow")
    assert len(storage.history("old")) == 3
    assert storage.get_flow("old@HEAD~2") == flow("old", 0)


def test_many_flows_are_read_through_one_process(repo: Path) -> None:
    storage = GitStorage(repo)
    for number in range(5):
        storage.add_flow(flow(f"flow {number}", number))
    assert {read.name for read in storage.get_flows()} == set(storage.flows)
    assert [read.name for read in storage.get_flows(["flow 3", "flow 1@HEAD"])] == ["flow 3", "flow 1"]


def test_a_forked_child_reads_through_a_process_of_its_own(repo: Path) -> None:
    storage = GitStorage(repo)
    storage.add_flow(flow("co2"))
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if storage.get_flow("co2") == flow("co2") else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert storage.get_flow("co2") == flow("co2")


def test_a_flow_that_was_edited_by_hand_is_read_with_its_edits(repo: Path) -> None:
    GitStorage(repo).add_flow(flow("co2"))
    text = dumps(flow("co2")).replace("x = 1", "x = 41")
    _commit_file(repo, "flows/co2.ipynb", text)
    assert GitStorage(repo).get_flow("co2") == loads(text, "edited")


def test_what_is_no_flow_hides_no_other_and_is_told(repo: Path) -> None:
    storage = GitStorage(repo)
    storage.add_flow(flow("good"))
    _commit_file(repo, "flows/damaged.ipynb", "{")
    _commit_file(repo, "flows/Upper.ipynb", dumps(flow("upper")))
    _commit_file(repo, "flows/renamed.ipynb", dumps(flow("another")))
    _commit_file(repo, "flows/README.md", "hello")
    assert set(storage.flows) == {"good", "damaged", "renamed"}
    assert len(storage.problems) == 1
    assert "Upper.ipynb" in storage.problems[0]
    assert storage.get_flow("good") == flow("good")
    with pytest.raises(StorageError) as caught:
        storage.build()
    assert "damaged" in str(caught.value)
    assert "says that it is another" in str(caught.value)


@pytest.mark.kernel
def test_eight_processes_at_once_lose_nothing(repo: Path) -> None:
    code = (
        "import sys\nfrom flownb.storage.git import GitStorage\nfrom git_repositories import flow\n"
        "storage = GitStorage(sys.argv[1])\n"
        "for number in range(5):\n"
        "    storage.add_flow(flow(f'of {sys.argv[2]} {number}', number))\n"
        "    storage.add_flow(flow('shared', f'{sys.argv[2]} {number}'), replace=True)\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(repo), str(number)], cwd=Path(__file__).parent)
        for number in range(8)
    ]
    assert [writer.wait(120) for writer in writers] == [0] * 8
    storage = GitStorage(repo)
    assert len(storage.flows) == 8 * 5 + 1
    assert len(storage.history("shared")) == 8 * 5
    assert git(repo, "rev-list", "--count", "--first-parent", "flownb") == "80"
    assert_whole(repo)


@pytest.mark.kernel
def test_of_two_processes_that_add_one_name_one_is_told_that_it_is_there(repo: Path) -> None:
    code = (
        "import sys\nfrom flownb.errors import FlowExistsError\nfrom flownb.storage.git import GitStorage\n"
        "from git_repositories import flow\n"
        "try:\n    GitStorage(sys.argv[1]).add_flow(flow('co2', sys.argv[2]))\n"
        "except FlowExistsError:\n    sys.exit(3)\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(repo), str(number)], cwd=Path(__file__).parent)
        for number in range(4)
    ]
    assert sorted(writer.wait(60) for writer in writers) == [0, 3, 3, 3]


def _commit_file(repo: Path, path: str, text: str) -> None:
    """Commit a file to the branch of flows with plumbing, as a person with git could."""
    env = {**os.environ, "GIT_INDEX_FILE": str(repo / ".git" / "other-index")}

    def run(*args: str, data: str = "") -> str:
        return subprocess.run(
            ["git", *args], cwd=repo, env=env, input=data, capture_output=True, text=True, check=True
        ).stdout.strip()

    run("read-tree", "flownb")
    blob = run("hash-object", "-w", "--stdin", data=text)
    run("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")
    commit = run("commit-tree", run("write-tree"), "-p", "flownb", "-m", "by hand")
    run("update-ref", "refs/heads/flownb", commit)
