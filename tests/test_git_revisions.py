"""What stands behind the @ of a flow in Git: resolved to one commit, or refused with what is near."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from git_repositories import assert_whole, flow, git, work_tree

from flownb.errors import FlowNotFoundError, StorageError
from flownb.storage.git import GitStorage

pytestmark = pytest.mark.long


DAYS = ("2024-03-01T12:00:00+00:00", "2024-03-05T12:00:00+00:00", "2024-03-09T12:00:00+00:00")


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a repository with three versions of co2, of three days, and another flow after them."""
    folder = work_tree(tmp_path / "repo")
    monkeypatch.setenv("TZ", "UTC")
    storage = GitStorage(folder)
    for number, day in enumerate(DAYS):
        monkeypatch.setenv("GIT_COMMITTER_DATE", day)
        storage.add_flow(flow("co2", number), replace=True)
    storage.add_flow(flow("other"))
    monkeypatch.delenv("GIT_COMMITTER_DATE")
    return folder


@pytest.fixture
def storage(repo: Path) -> GitStorage:
    return GitStorage(repo)


@pytest.fixture
def ids(repo: Path) -> list[str]:
    """Return the commits, oldest first."""
    return git(repo, "rev-list", "--reverse", "flownb").split()


def test_a_version_is_a_hash_in_full_or_short(storage: GitStorage, ids: list[str]) -> None:
    for number in range(3):
        for version in (ids[number], ids[number][:7], ids[number][:12].upper()):
            assert storage.get_flow(f"co2@{version}") == flow("co2", number)
            assert storage.resolve(f"co2@{version}") == f"co2@{ids[number]}"


@pytest.mark.parametrize(
    ("version", "number"),
    [
        ("HEAD", 2),
        ("@", 2),
        ("HEAD~1", 2),
        ("HEAD~2", 1),
        ("HEAD~3", 0),
        ("HEAD^^^", 0),
        ("flownb~3", 0),
        ("flownb", 2),
        ("heads/flownb~2", 1),
        ("refs/heads/flownb", 2),
        ("2024-03-01", 0),
        ("2024-03-04", 0),
        ("2024-03-05", 1),
        ("2024-03-05T11:59:59", 0),
        ("2024-03-05T12:00:00", 1),
        ("2024-03-05T12:00:00+02:00", 0),
        ("yesterday", 2),
        ("2.days.ago", 2),
        ("now", 2),
    ],
)
def test_a_version_is_a_step_back_a_branch_or_a_moment(
    version: str, number: int, storage: GitStorage, ids: list[str]
) -> None:
    assert storage.get_flow(f"co2@{version}") == flow("co2", number)
    assert storage.resolve(f"co2@{version}") == f"co2@{ids[number]}"


def test_head_is_the_tip_of_the_branch_of_flows_and_not_of_the_work_tree(
    repo: Path, storage: GitStorage
) -> None:
    assert git(repo, "rev-parse", "HEAD") != git(repo, "rev-parse", "flownb")
    assert storage.get_flow("co2@HEAD") == flow("co2", 2)


def test_a_version_is_a_tag_which_is_never_moved(repo: Path, storage: GitStorage, ids: list[str]) -> None:
    storage.tag("co2@HEAD~2", "v1.2")
    assert git(repo, "rev-parse", "v1.2") == ids[1]
    assert storage.resolve("co2@v1.2") == f"co2@{ids[1]}"
    storage.tag("co2@HEAD~2", "v1.2")
    with pytest.raises(StorageError, match=r"has a tag v1\.2 already"):
        storage.tag("co2", "v1.2")
    git(repo, "tag", "-a", "annotated", "-m", "words", ids[0])
    assert storage.resolve("co2@annotated") == f"co2@{ids[0]}"
    git(repo, "tag", "2024-03-09", ids[0])
    assert storage.get_flow("co2@2024-03-09") == flow("co2", 0)


@pytest.mark.parametrize(
    "tag", ["", "-x", "a b", "a..b", "a~1", "x.lock", "HEAD", "abcdef1", "a\nb", "a/.b", "@{1}"]
)
def test_tags_that_mean_something_else_are_refused(tag: str, storage: GitStorage) -> None:
    with pytest.raises(StorageError, match="is no name for a tag"):
        storage.tag("co2", tag)


def test_what_means_two_commits_is_refused(repo: Path, storage: GitStorage, ids: list[str]) -> None:
    git(repo, "tag", ids[0][:7], ids[1])
    with pytest.raises(FlowNotFoundError, match=r"means several things: refs/tags/.*the commit"):
        storage.get_flow(f"co2@{ids[0][:7]}")
    git(repo, "tag", "flownb", ids[0])
    with pytest.raises(FlowNotFoundError, match="means several things"):
        storage.get_flow("co2@flownb")
    assert storage.get_flow("co2@tags/flownb") == flow("co2", 0)


@pytest.mark.parametrize(
    ("version", "told"),
    [
        ("v1.3", "did you mean v1.2"),
        ("HEAD~99", "does not go back so far"),
        ("2020-01-01", "there was no version yet"),
        ("f" * 40, "there is no commit"),
        ("main", "does not have it"),
        ("nonsense", "its newest versions: [0-9a-f]{10} .2024-03-09."),
        (":/first", "no commit, tag, branch or date"),
        ("HEAD^{/x}", "is no version"),
        ("@{u}", "no commit, tag, branch or date"),
        ("main..flownb", "no commit, tag, branch or date"),
        ("../../x", "no commit, tag, branch or date"),
        ("refs/../x", "no commit, tag, branch or date"),
        ("\x1b[31m", "no version|is no commit|names no version"),
    ],
)
def test_what_cannot_be_resolved_is_refused_with_what_is_near(
    version: str, told: str, storage: GitStorage
) -> None:
    storage.tag("co2", "v1.2")
    with pytest.raises(StorageError, match=told) as caught:
        storage.get_flow(f"co2@{version}")
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("version", ["--output=pwned", "-x", "--upload-pack=touch pwned"])
def test_options_are_no_versions(version: str, repo: Path, storage: GitStorage) -> None:
    with pytest.raises(StorageError):
        storage.get_flow(f"co2@{version}")
    with pytest.raises(StorageError):
        GitStorage(repo, revision=version).get_flow("co2")
    assert not list(repo.rglob("pwned"))


def test_a_replaced_or_grafted_commit_is_not_taken_for_the_one_asked_for(
    repo: Path, storage: GitStorage, ids: list[str]
) -> None:
    git(repo, "replace", ids[1], ids[0])
    (repo / ".git" / "info" / "grafts").write_text(f"{ids[2]}\n")
    again = GitStorage(repo)
    assert again.get_flow(f"co2@{ids[1]}") == flow("co2", 1)
    assert len(again.history("co2")) == 3


def test_the_history_tells_every_version_newest_first_with_who_and_when(
    storage: GitStorage, ids: list[str]
) -> None:
    history = storage.history("co2")
    assert [version.id for version in history] == [ids[2], ids[1], ids[0]]
    assert [version.when for version in history] == [datetime.fromisoformat(day) for day in reversed(DAYS)]
    assert {version.who for version in history} == {"Mara Müller"}
    assert [version.message for version in history] == ["Change co2", "Change co2", "Add co2"]
    assert [storage.get_flow(version.location) for version in history] == [flow("co2", n) for n in (2, 1, 0)]
    with pytest.raises(FlowNotFoundError, match="did you mean co2"):
        storage.history("co3")


def test_a_removed_flow_keeps_its_history_and_its_versions(
    repo: Path, storage: GitStorage, ids: list[str]
) -> None:
    storage.remove("co2")
    assert set(storage.flows) == {"other"}
    history = storage.history("co2")
    assert (history[0].removed, len(history)) == (True, 4)
    assert storage.get_flow(f"co2@{ids[0]}") == flow("co2", 0)
    with pytest.raises(FlowNotFoundError):
        storage.get_flow("co2")
    with pytest.raises(FlowNotFoundError, match="does not have it"):
        storage.get_flow(history[0].location)
    with pytest.raises(FlowNotFoundError):
        storage.remove("co2")
    location = storage.restore(f"co2@{ids[1]}")
    assert storage.get_flow("co2") == flow("co2", 1)
    assert storage.flows["co2"] == location
    assert location != f"co2@{ids[1]}"
    assert_whole(repo)


def test_restoring_the_newest_makes_no_version(repo: Path, storage: GitStorage, ids: list[str]) -> None:
    assert storage.restore("co2@HEAD") == f"co2@{ids[2]}"
    storage.restore(f"co2@{ids[0]}")
    assert storage.get_flow("co2") == flow("co2", 0)
    assert storage.history("co2")[0].message == f"Restore co2 from {ids[0][:10]}"
    documents = [git(repo, "rev-parse", f"{commit}:flows/co2.ipynb") for commit in ("flownb", ids[0])]
    assert documents[0] == documents[1]


def test_the_same_content_at_two_times_is_two_versions(storage: GitStorage, ids: list[str]) -> None:
    again = storage.restore(f"co2@{ids[0]}")
    assert storage.resolve("co2@HEAD") == storage.flows["co2"] == again
    assert storage.resolve("co2@HEAD~1") == f"co2@{ids[2]}"
    assert storage.resolve(f"co2@{ids[0]}") == f"co2@{ids[0]}"


def test_a_storage_at_a_revision_reads_as_of_then_and_writes_nothing(repo: Path, ids: list[str]) -> None:
    pinned = GitStorage(repo, revision="2024-03-06")
    assert pinned.flows == {"co2": f"co2@{ids[1]}"}
    assert pinned.get_flow("co2") == flow("co2", 1)
    assert len(pinned.history("co2")) == 2
    for write in (
        lambda: pinned.add_flow(flow("new")),
        lambda: pinned.remove("co2"),
        lambda: pinned.restore("co2"),
        lambda: pinned.tag("co2", "v1"),
    ):
        with pytest.raises(StorageError, match="was opened at the revision"):
            write()


def test_a_merge_of_two_branches_of_flows_keeps_the_commits_that_made_the_versions(
    repo: Path, storage: GitStorage, ids: list[str]
) -> None:
    git(repo, "branch", "side", ids[0])
    side = GitStorage(repo, branch="side")
    theirs = side.add_flow(flow("theirs"))
    tree = git(repo, "merge-tree", "--write-tree", "flownb", "side")
    merge = git(repo, "commit-tree", tree, "-p", "flownb", "-p", "side", "-m", "merge")
    git(repo, "update-ref", "refs/heads/flownb", merge)
    assert storage.flows == {"co2": f"co2@{ids[2]}", "other": f"other@{ids[3]}", "theirs": theirs}
    assert GitStorage(repo).flows == storage.flows
    assert storage.resolve(f"theirs@{merge}") == theirs
    assert len(storage.history("theirs")) == 1


def test_a_branch_that_was_rewritten_is_read_as_it_is_now(
    repo: Path, storage: GitStorage, ids: list[str]
) -> None:
    assert len(storage.flows) == 2
    git(repo, "update-ref", "refs/heads/flownb", ids[1])
    assert storage.flows == {"co2": f"co2@{ids[1]}"}
    git(repo, "update-ref", "-d", "refs/heads/flownb")
    assert storage.flows == {}
    git(repo, "update-ref", "refs/heads/flownb", ids[3])
    assert storage.flows == {"co2": f"co2@{ids[2]}", "other": f"other@{ids[3]}"}


def test_the_kept_index_is_never_trusted_beyond_what_the_branch_says(repo: Path, storage: GitStorage) -> None:
    expected = storage.flows
    (file,) = (repo / ".git" / "flownb").glob("index-*.json")
    kept = file.read_text()
    for content in (
        "",
        "{",
        "[]",
        '{"format": 1}',
        kept.replace(":", ": -"),
        "null",
    ):
        file.write_text(content)
        assert GitStorage(repo).flows == expected
    first, second = expected["co2"].split("@")[1], expected["other"].split("@")[1]
    file.write_text(kept.replace(second, first))  # a commit that does not have the flow yet
    assert GitStorage(repo).get_flow("other").location == expected["other"]
    file.unlink(missing_ok=True)
    file.mkdir()
    assert GitStorage(repo).flows == expected


def test_packed_refs_and_objects_are_read_by_a_storage_that_is_open(repo: Path, storage: GitStorage) -> None:
    expected = storage.flows
    git(repo, "gc", "-q", "--prune=now")
    assert storage.flows == expected
    assert storage.get_flow("co2") == flow("co2", 2)
    code = (
        "import sys\nfrom flownb.storage.git import GitStorage\nfrom git_repositories import flow\n"
        "GitStorage(sys.argv[1]).add_flow(flow('by another process'))"
    )
    subprocess.run([sys.executable, "-c", code, str(repo)], check=True, cwd=Path(__file__).parent)
    assert storage.get_flow("by another process") == flow("by another process")


def test_dates_before_1970_and_beyond_the_calendar_do_not_stop_the_history(
    repo: Path, storage: GitStorage
) -> None:
    tree = git(repo, "rev-parse", "flownb~3^{tree}")
    raw = f"tree {tree}\nauthor A <a> 99999999999999 +0000\ncommitter A <a> 99999999999999 +9999\n\nodd\n"
    done = subprocess.run(
        ["git", "hash-object", "-t", "commit", "-w", "--stdin", "--literally"],
        cwd=repo, input=raw, capture_output=True, text=True, check=True,
    )  # fmt: skip
    git(repo, "update-ref", "refs/heads/odd", done.stdout.strip())
    history = GitStorage(repo, branch="odd").history("co2")
    assert (history[0].when, history[0].who) == (None, "A")
    assert datetime.now(UTC) > storage.history("co2")[0].when
