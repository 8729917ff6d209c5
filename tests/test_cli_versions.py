"""The commands about versions, stores and trust, over real Git repositories and folders."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from storage_servers import s3_server, web_server

from flownb.cli import main
from flownb.errors import StorageError
from flownb.flow import Carried, Flow, Parameter, Requirements, Step
from flownb.runs.project import Project
from flownb.runs.record import RunRecord, new_run_id
from flownb.runs.states import State
from flownb.runs.store import RecordStore
from flownb.storage import open_storage
from flownb.storage.git import GitStorage
from flownb.storage.trust import forget, trusted_storages

FIRST = Flow(
    "co2",
    parameters=(Parameter("since", "int", "1958", "first year"),),
    steps=(Step("load", "years = [since, K]"), Step("report", "total = sum(years)", ("total",))),
    closure=(Carried("K", "literal", "K = 3", type="int"),),
    requirements=Requirements("3.11.9"),
)
SECOND = Flow(
    "co2",
    parameters=(Parameter("since", "int", "1990", "first year"),),
    steps=(Step("load", "years = [since, K]"), Step("report", "total = sum(years) + 1", ("total",))),
    closure=(Carried("K", "literal", "K = 4", type="int"),),
    requirements=Requirements("3.11.9"),
)


def call(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def told(*words: object) -> str:
    """Call a command that must succeed, and return what it printed."""
    result = call(*words)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*words: object) -> str:
    """Call a command that ends with a message, and return it."""
    result = call(*words)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return result.output


def git(*words: str, cwd: Path) -> str:
    done = subprocess.run(["git", *words], cwd=cwd, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWNB_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("FLOWNB_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def repository(project: Path) -> Path:
    """The project's folder as a Git repository with one commit and an identity."""
    git("init", "-q", "-b", "main", cwd=project)
    git("config", "user.name", "Ada", cwd=project)
    git("config", "user.email", "ada@example.org", cwd=project)
    git("add", ".", cwd=project)
    git("commit", "-q", "-m", "begin", cwd=project)
    return project


@pytest.fixture
def versions(repository: Path) -> tuple[str, str]:
    """Two versions of `co2` in the repository: their full ids, the older one first."""
    storage = GitStorage(repository)
    found = [storage.add_flow(flow, replace=True).partition("@")[2] for flow in (FIRST, SECOND)]
    return found[0], found[1]


# -- history


def test_history_tells_of_each_version_when_who_and_what_changed(versions: tuple[str, str]) -> None:
    lines = told("history", ".#co2").splitlines()
    assert lines[1].startswith(versions[1][:10])
    assert "Ada" in lines[1]
    assert "parameter since: default 1958 → 1990" in lines[1]
    assert lines[2].startswith(versions[0][:10])
    assert " added" in lines[2]


def test_history_tells_the_runs_of_each_version(versions: tuple[str, str], project: Path) -> None:
    store = RecordStore(Project.of(project))
    pinned = [f"co2@{versions[0]}", f"co2@{versions[0]}", "co2@captured elsewhere"]
    for location, digest, state in zip(
        pinned, ["", "", SECOND.digest], [State.SUCCESS, State.FAILED, State.SUCCESS], strict=True
    ):
        run_id = new_run_id()
        folder = store.project.run_folder(run_id)
        store.create(RunRecord(run_id, "co2", folder, location=location, digest=digest))
        store.change(run_id, state=state)
    store.close()
    rows = json.loads(told("history", ".#co2", "--json"))
    assert [[run["state"] for run in row["runs"]] for row in rows] == [["Success"], ["Failed", "Success"]]
    assert "✗ Failed 1" in told("history", ".#co2").splitlines()[2]


def test_history_for_machines_has_what_a_person_sees(versions: tuple[str, str]) -> None:
    newest, oldest = json.loads(told("history", ".#co2", "--json"))
    assert newest["version"] == versions[1]
    assert newest["location"] == f"co2@{versions[1]}"
    assert newest["digest"] == SECOND.digest
    assert newest["who"].startswith("Ada")
    assert oldest["changed"] == "added"


def test_history_begins_with_the_version_asked_for(versions: tuple[str, str]) -> None:
    rows = json.loads(told("history", f".#co2@{versions[0][:8]}", "--json"))
    assert [row["version"] for row in rows] == [versions[0]]


def test_history_is_cut_and_says_how_much_more_there_is(versions: tuple[str, str]) -> None:
    output = told("history", ".#co2", "-n", 1)
    assert versions[0][:10] not in output
    assert "and 1 older" in output
    assert "parameter since" in output  # compared with the one that is not shown


def test_history_fits_the_terminal_and_repeats_nothing(
    versions: tuple[str, str], repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = replace(SECOND, steps=(Step("load", "a = 1"), Step("clean", "b = a"), Step("tell", "c = b")))
    GitStorage(repository).add_flow(changed, replace=True)
    whole = told("history", ".#co2")
    assert "MESSAGE" not in whole, "Add co2, Change co2: the column beside it says that"
    with monkeypatch.context() as patched:
        patched.setattr("flownb.cli.printing.terminal_width", lambda: 80)
        narrow = re.sub(r"\x1b\[[0-9;]*m", "", told("history", ".#co2"))
    assert max(map(len, whole.splitlines())) > 80
    assert max(map(len, narrow.splitlines())) <= 80
    GitStorage(repository).restore(f"co2@{versions[0]}")
    assert f"Restore co2 from {versions[0][:4]}" in told("history", ".#co2")


def test_what_a_commit_says_cannot_move_a_terminal(repository: Path) -> None:
    git("config", "user.name", "\x1b[2JMallory\u202e", cwd=repository)
    GitStorage(repository).add_flow(FIRST)
    output = told("history", ".#co2")
    assert "Mallory" in output
    assert "\x1b" not in output
    assert "\u202e" not in output


def test_a_flow_that_is_not_there_is_told_with_the_nearest(versions: tuple[str, str]) -> None:
    assert "did you mean co2?" in refused("history", ".#c02")
    assert versions[1][:10] in refused("show", ".#co2@nowhere")


# -- diff


def test_diff_tells_by_meaning_how_two_versions_differ(versions: tuple[str, str]) -> None:
    output = told("diff", f".#co2@{versions[0][:7]}", f".#co2@{versions[1][:7]}")
    assert "~ since changed: default 1958 → 1990" in output
    assert "-total = sum(years)\n" in output
    assert "+total = sum(years) + 1" in output
    assert "~ K changed: K = 3 → K = 4" in output


@pytest.mark.parametrize("words", [(".#co2@HEAD~1", ".#co2"), (".#co2@HEAD~1", "@HEAD")])
def test_a_version_is_named_as_git_names_them(versions: tuple[str, str], words: tuple[str, ...]) -> None:
    found = json.loads(told("diff", *words, "--json"))
    assert found["old"] == f"co2@{versions[0]}"
    assert found["new"] == f"co2@{versions[1]}"


def test_one_flow_is_compared_with_the_version_before_it(versions: tuple[str, str]) -> None:
    found = json.loads(told("diff", ".#co2", "--json"))
    assert (found["old"], found["new"]) == (f"co2@{versions[0]}", f"co2@{versions[1]}")
    assert not found["same"]
    assert "before" in refused("diff", f".#co2@{versions[0]}")


def test_diff_as_text_is_one_unified_diff(versions: tuple[str, str]) -> None:
    output = told("diff", ".#co2@HEAD~1", ".#co2", "--text")
    assert output.startswith(f"--- co2@{versions[0]}\n+++ co2@{versions[1]}\n@@")
    assert "-since: int = 1958  # first year\n+since: int = 1990  # first year" in output


def test_diff_of_a_flow_with_itself_says_that_there_is_none(versions: tuple[str, str]) -> None:
    assert "no difference" in told("diff", ".#co2", ".#co2")
    assert "no difference" in told("diff", ".#co2", ".#co2", "--text")


# -- restore, remove, tag


def test_an_old_version_is_restored_and_those_since_stay(versions: tuple[str, str]) -> None:
    assert "is the newest version" in told("restore", f".#co2@{versions[0][:9]}")
    rows = json.loads(told("history", ".#co2", "--json"))
    assert len(rows) == 3
    assert rows[0]["digest"] == rows[2]["digest"] == FIRST.digest
    assert "names no version to restore" in refused("restore", ".#co2")


def test_a_removed_flow_stays_in_the_history(versions: tuple[str, str]) -> None:
    assert "versions are never removed" in refused("remove", f".#co2@{versions[0]}")
    assert "co2 is removed" in told("remove", ".#co2")
    assert "No flows" in told("list", ".")
    assert json.loads(told("history", ".#co2", "--json"))[0]["changed"] == "removed"
    told("restore", f".#co2@{versions[1]}")
    assert open_storage(".").get_flow("co2").digest == SECOND.digest


def test_a_tag_names_a_version_from_then_on(versions: tuple[str, str]) -> None:
    assert told("tag", f".#co2@{versions[0]}", "v1.2") == f"co2@{versions[0][:10]} is co2@v1.2 too\n"
    assert f"version {versions[0][:10]}" in told("show", ".#co2@v1.2")
    assert "v1.2" in refused("tag", ".#co2", "v1.2")
    assert "no tags" in refused("tag", notebook(FIRST), "v1")


# -- copy


def notebook(*flows: Flow, path: str = "x.ipynb") -> str:
    for flow in flows:
        open_storage(path).add_flow(flow, replace=True)
    return f"{path}#{flows[0].name}"


def many(count: int) -> list[Flow]:
    return [Flow(f"flow {number}", steps=(Step("a", f"x = {number}"),)) for number in range(count)]


def test_a_flow_is_copied_from_a_notebook_into_the_repository(repository: Path) -> None:
    source = notebook(FIRST)
    digest = open_storage("x.ipynb").get_flow("co2").digest
    assert " is in " in told("copy", source, ".#co2")
    assert open_storage(".").get_flow("co2").digest == digest
    assert git("status", "--porcelain", cwd=repository) == "?? x.ipynb"
    assert git("ls-tree", "--name-only", "flownb", "flows/", cwd=repository) == "flows/co2.ipynb"


def test_a_flow_is_copied_from_the_repository_into_a_folder(versions: tuple[str, str]) -> None:
    told("copy", f".#co2@{versions[0]}", "dir:kept/")
    assert open_storage("dir:kept/").get_flow("co2").digest == FIRST.digest


def test_a_copy_of_a_name_that_is_there_must_be_asked_for(versions: tuple[str, str]) -> None:
    told("copy", ".#co2@HEAD~1", "dir:kept/")
    message = refused("copy", ".#co2", "dir:kept/")
    assert "another co2 already; --replace" in message
    assert "co2@" in told("copy", ".#co2@~1", "dir:kept/")
    assert "already, with this content" in told("copy", ".#co2@HEAD~1", "dir:kept/")
    assert open_storage("dir:kept/").get_flow("co2").digest == FIRST.digest
    assert "a new version" in told("copy", ".#co2", "dir:kept/", "--replace")
    assert "already, with this content" in told("copy", ".#co2", "dir:kept/", "--replace")
    assert [row["digest"] for row in json.loads(told("history", "dir:kept/#co2", "--json"))] == [
        SECOND.digest,
        FIRST.digest,
    ]


def test_all_flows_of_a_store_are_copied(project: Path) -> None:
    for flow in many(12):
        open_storage("one/").add_flow(flow)
    assert told("copy", "one/", "two/").startswith("12 of 12 flows of ")
    one, two = open_storage("one/"), open_storage("two/")
    assert {name: one.get_flow(name) for name in one.flows} == {
        name: two.get_flow(name) for name in two.flows
    }
    assert told("copy", "one/", "two/").endswith("12 there already, the same\n")
    two.remove("flow 0")
    two.add_flow(Flow("flow 1", steps=(Step("a", "other = 1"),)), replace=True)
    result = call("copy", "one/", "two/")
    assert result.exit_code == 1
    assert "11 of 12 flows of one/ are in two/: 1 new, 10 there already, the same" in result.output
    assert "another content: flow 1; new versions of them: flownb copy --replace one/ two/" in result.output
    assert "1 in a new version, 11 there already" in told("copy", "one/", "two/", "--replace")
    assert one.get_flow("flow 1") == two.get_flow("flow 1")
    assert "holds no flows to copy" in refused("copy", "three/", "two/")


def test_a_copy_has_the_name_of_what_it_is_a_copy_of(versions: tuple[str, str]) -> None:
    assert "has that name too, not methane" in refused("copy", ".#co2", "dir:kept/#methane")
    assert "names a whole store" in refused("copy", ".", "dir:kept/#co2")
    assert "becomes the newest version" in refused("copy", ".#co2", "dir:kept/#co2@v1")


def test_one_flow_that_cannot_be_copied_keeps_none_of_the_others(repository: Path) -> None:
    source = GitStorage(repository)
    for flow in many(3):
        source.add_flow(flow)
    path = "flows/flow~201.ipynb"
    damaged = subprocess.run(
        ["git", "hash-object", "-w", "--stdin"], input="{}", text=True, capture_output=True, check=True
    ).stdout.strip()
    index = {**os.environ, "GIT_INDEX_FILE": str(repository / ".git" / "other-index")}
    for words in (
        ["read-tree", "flownb"],
        ["update-index", "--cacheinfo", f"100644,{damaged},{path}"],
    ):
        subprocess.run(["git", *words], env=index, check=True)
    tree = subprocess.run(["git", "write-tree"], env=index, check=True, capture_output=True, text=True).stdout
    commit = git("commit-tree", "-p", "flownb", "-m", "damage", tree.strip(), cwd=repository)
    git("update-ref", "refs/heads/flownb", commit, cwd=repository)
    result = call("copy", ".", "dir:kept/")
    assert result.exit_code == 2
    assert "2 of 3 flows" in result.output
    assert "not copied: flow 1@" in result.output
    assert sorted(open_storage("dir:kept/").flows) == ["flow 0", "flow 2"]
    listed = call("list", ".")
    assert "flow 0" in listed.output
    assert "flow 1 cannot be read" in listed.output


# -- push, pull, trust


@pytest.fixture
def remote(versions: tuple[str, str], tmp_path: Path, repository: Path) -> Path:
    """A bare repository that the flows were pushed to."""
    path = tmp_path / "team.git"
    git("init", "-q", "--bare", str(path), cwd=tmp_path)
    git("remote", "add", "origin", str(path), cwd=repository)
    assert "sent" in told("push", ".")
    return path


@pytest.fixture
def colleague(remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone of the remote by git alone, in which the test goes on working."""
    path = tmp_path / "colleague"
    git("clone", "-q", str(remote), str(path), cwd=tmp_path)
    git("config", "user.name", "Grace", cwd=path)
    git("config", "user.email", "grace@example.org", cwd=path)
    monkeypatch.chdir(path)
    return path


def test_flows_that_others_pushed_come_in(colleague: Path, project: Path) -> None:
    told("pull", ".")
    assert "co2" in told("list", ".")
    GitStorage(colleague).add_flow(many(1)[0])
    told("push", ".")
    os.chdir(project)
    told("pull", ".")
    assert "flow 0" in told("list", ".")


def test_a_conflict_is_told_and_one_side_chosen(colleague: Path, project: Path) -> None:
    told("pull", ".")
    GitStorage(colleague).add_flow(FIRST, replace=True)
    third = Flow("co2", steps=(Step("a", "x = 1"),))
    GitStorage(project).add_flow(third, replace=True)
    told("push", project)
    message = refused("pull", ".")
    assert "co2" in message
    assert "theirs" in message
    told("pull", ".", "--take", "theirs")
    assert GitStorage(colleague).get_flow("co2").digest == third.digest


def test_only_a_repository_is_pushed(project: Path) -> None:
    open_storage("dir:kept/").add_flow(FIRST)
    assert "only a Git repository is pushed" in refused("push", "dir:kept/")
    assert "a store is wanted" in refused("push", ".#co2")


@pytest.mark.kernel
def test_a_flow_from_elsewhere_is_shown_freely_and_run_when_it_is_trusted(colleague: Path) -> None:
    told("pull", ".")
    told("show", ".#co2")
    told("diff", ".#co2")
    told("copy", ".#co2", "dir:kept/")
    message = refused("run", ".#co2")
    assert "flownb trust ." in message
    assert not Project.of(colleague).database.exists()
    assert "total" in told("run", ".#co2", "--trust")
    refused("run", ".#co2")  # it was for once
    assert "run from now on" in told("trust", ".")
    assert "trusted already" in told("trust", ".")
    assert "total" in told("run", ".#co2@HEAD~1", "-p", "since=1")
    told("trust", ".", "--forget")
    refused("run", ".#co2")


def test_trust_is_listed_and_taken_back_by_the_name_in_the_list(colleague: Path) -> None:
    told("pull", ".")
    told("trust", ".")
    (trusted,) = trusted_storages()
    assert trusted.identity in told("trust", "--list")
    assert "`flownb trust --list` tells" in refused("trust", "https://e.invalid/x.git", "--forget")
    with pytest.raises(StorageError, match="did you mean git:"):
        forget(trusted.identity.removesuffix("s"))
    told("trust", trusted.identity, "--forget")
    assert call("trust", "--list").stderr == "you trust no store from elsewhere\n"


def test_ones_own_store_needs_no_trust(versions: tuple[str, str]) -> None:
    assert "is your own" in told("trust", ".")
    assert trusted_storages() == []


def test_trust_wants_a_store_or_the_list() -> None:
    assert "name a STORE" in refused("trust")
    assert "name a STORE" in refused("trust", ".", "--list")


@pytest.mark.kernel
def test_the_very_version_is_run_and_recorded(versions: tuple[str, str], project: Path) -> None:
    told("tag", ".#co2@HEAD~1", "v1.2")
    record = json.loads(told("run", ".#co2@v1.2", "-p", "since=1", "--json"))
    assert record["location"] == f"co2@{versions[0]}"
    assert record["storage"]["kind"] == "git"
    assert told("outputs", "last", "total") == "4\n"
    assert json.loads(told("history", ".#co2", "--json"))[1]["runs"][0]["id"] == record["id"]


# -- completion


def completed(*words: str) -> list[str]:
    from click.shell_completion import ShellComplete

    *args, incomplete = words
    complete = ShellComplete(main, {}, "flownb", "_FLOWNB_COMPLETE")
    return [item.value for item in complete.get_completions(list(args), incomplete)]


def test_names_and_versions_are_completed(versions: tuple[str, str]) -> None:
    assert completed("history", ".#c") == [".#co2"]
    newest_first = [f".#co2@{version[:10]}" for version in reversed(versions)]
    assert completed("run", ".#co2@") == newest_first
    assert completed("diff", f".#co2@{versions[0][:3]}") == newest_first[1:]
    assert completed("diff", ".#co2", "@") == [word.removeprefix(".#co2") for word in newest_first]


def test_completion_asks_no_store_elsewhere() -> None:
    assert completed("run", "https://example.invalid/flows.git#") == []
    assert completed("run", "https://example.invalid/flows.git#co2@") == []


def test_two_thousand_flows_are_listed(project: Path) -> None:
    repository = project / "bare.git"
    git("init", "-q", "--bare", str(repository), cwd=project)
    stream = [b"commit refs/heads/flownb\ncommitter A <a@b> 1700000000 +0000\ndata 1\na\n"]
    from flownb.document import to_dict
    from flownb.files import notebook_bytes
    from flownb.storage.filenames import file_name

    for flow in many(2000):
        document = notebook_bytes(to_dict(flow))
        stream.append(f"M 100644 inline flows/{file_name(flow.name)}\ndata {len(document)}\n".encode())
        stream.append(document + b"\n")
    subprocess.run(["git", "fast-import", "--quiet"], cwd=repository, input=b"".join(stream), check=True)
    lines = told("list", repository).splitlines()
    assert sum(line.startswith("flow ") for line in lines) == 2000


def test_a_flow_is_copied_to_a_url(versions: tuple[str, str]) -> None:
    assert "memory://bucket/flows" in told("copy", ".#co2", "memory://bucket/flows")
    assert open_storage("memory://bucket/flows").get_flow("co2").digest == SECOND.digest
    assert "no difference" in told("diff", ".#co2", "memory://bucket/flows#co2")


def test_the_page_on_storages_names_commands_and_options_that_there_are() -> None:
    page = (Path(__file__).parent.parent / "docs" / "storage.md").read_text("utf-8")
    found = re.findall(r"^flownb (.*)|`flownb ([^`]*)`", page, re.MULTILINE)
    lines = [first or second for first, second in found]
    assert len(lines) > 15
    for line in lines:
        name, *words = shlex.split(line)
        command = main.get_command(None, name)
        params = command.get_params(click.Context(command))
        known = {option for each in params for option in each.opts}
        assert {word for word in words if word.startswith("-")} <= known, line


@pytest.mark.kernel
def test_a_flow_is_copied_into_a_bucket_and_runs_from_there_when_trusted(
    versions: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import s3fs

    with s3_server() as url:
        for name, value in {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            monkeypatch.setenv(name, value)
        s3fs.S3FileSystem(skip_instance_cache=True).mkdir("bucket")
        for version in versions:
            told("copy", f".#co2@{version}", "s3://bucket/flows", "--replace")
        rows = json.loads(told("history", "s3://bucket/flows#co2", "--json"))
        assert [row["digest"] for row in rows] == [SECOND.digest, FIRST.digest]
        assert "co2" in told("list", "s3://bucket/flows")
        assert "flownb trust s3://bucket/flows" in refused("run", "s3://bucket/flows#co2")
        told("trust", "s3://bucket/flows")
        assert "total" in told("run", f"s3://bucket/flows#co2@{FIRST.digest[:8]}")


def test_a_folder_on_a_web_server_is_read_and_not_written(versions: tuple[str, str], tmp_path: Path) -> None:
    told("copy", ".", f"dir:{tmp_path}/site/flows")
    with web_server(tmp_path / "site") as url:
        assert "co2" in told("list", f"{url}/flows")
        told("copy", f"{url}/flows#co2", "dir:kept")
        assert "flownb trust http" in refused("run", f"{url}/flows#co2")
        refused("copy", ".#co2@HEAD~1", f"{url}/flows", "--replace")


# -- what an empty store says, and where a copy runs


def test_an_empty_store_says_what_brings_flows_into_it(repository: Path) -> None:
    assert "`flownb copy NOTEBOOK.ipynb .`" in told("list", ".")
    assert "`%flow storage git`" in told("list", ".")
    GitStorage(repository).add_flow(FIRST)
    GitStorage(repository).remove("co2")
    assert "flownb history '.#NAME'" in told("list", ".")
    assert "removed" in told("history", ".#co2")


def test_the_current_folder_without_a_repository_is_no_store_by_itself(project: Path) -> None:
    for words in (("history", ".#co2"), ("list", "."), ("copy", "x.ipynb", ".")):
        assert "dir:. keeps flows in the folder itself" in refused(*words)
    open_storage("dir:.").add_flow(FIRST)
    assert "co2" in told("list", ".")


def test_a_list_shows_the_version_that_the_store_has(versions: tuple[str, str]) -> None:
    assert versions[1][:10] in told("list", ".")
    assert f"version {versions[1][:10]}" in told("show", ".#co2")
    (flow,) = json.loads(told("list", ".", "--json"))["flows"]
    assert (flow["version"], flow["location"]) == (SECOND.version, f"co2@{versions[1]}")
    assert json.loads(told("show", f".#co2@{FIRST.version}", "--json"))["digest"] == FIRST.digest


@pytest.mark.kernel
def test_a_notebooks_flow_in_the_repository_runs_in_the_notebooks_folder(repository: Path) -> None:
    (repository / "notebooks").mkdir()
    (repository / "notebooks" / "data.txt").write_text("42")
    flow = Flow("co2", steps=(Step("co2", "x = open('data.txt').read()", ("x",)),))
    source = notebook(flow)
    (repository / "x.ipynb").rename(repository / "notebooks" / "x.ipynb")
    told("copy", f"notebooks/{source}", ".#co2")
    assert GitStorage(repository).captured_in(GitStorage(repository).resolve("co2")) == "notebooks/x.ipynb"
    told("run", ".#co2")
