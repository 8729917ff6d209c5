"""`%flow storage`, `history`, `diff`, `restore`, `push` and `pull` in a real IPython shell, over real Git."""

from __future__ import annotations

import re
import socket
import subprocess
from typing import TYPE_CHECKING

import nbformat
import pytest
from shell import Shell, ipython

from flownb.displays.versions import VersionRow, version_list
from flownb.runs.project import Project
from flownb.runs.store import RecordStore
from flownb.storage import open_storage, trust
from flownb.storage.git import GitStorage
from flownb.storage.versions import Version
from flownb.ui.completion import candidates, offers_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FIRST = "%%flow co2 --out total\nsince: int = 1958  # first year\ntotal = since + K"
SECOND = "%%flow co2 --out total\nsince: int = 1990  # first year\ntotal = since - K"


def git(*words: str, cwd: Path) -> str:
    done = subprocess.run(["git", *words], cwd=cwd, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("FLOWNB_CONFIG_DIR", str(tmp_path / "config"))
    git("init", "-q", "-b", "main", cwd=project)
    git("config", "user.name", "Ada", cwd=project)
    git("config", "user.email", "ada@example.org", cwd=project)
    git("add", ".", cwd=project)
    git("commit", "-q", "-m", "begin", cwd=project)
    return project


@pytest.fixture
def notebook(repository: Path) -> Iterator[Shell]:
    with ipython() as shell:
        shell.ok("K = 3")
        yield shell


@pytest.fixture
def kept(notebook: Shell) -> Shell:
    """A shell whose captures go to Git, with two versions of `co2`."""
    notebook.ok("%flow storage git")
    notebook.ok(FIRST)
    notebook.ok(SECOND)
    return notebook


def locations(repository: Path) -> list[str]:
    return [version.location for version in GitStorage(repository).history("co2")]


def refused(shell: Shell, line: str) -> str:
    shown = shell.run(line)
    assert not shown.success
    assert "Traceback" not in shown.text
    return shown.text


# -- where captures go


def test_captures_go_to_the_repository_once_it_was_chosen(notebook: Shell, repository: Path) -> None:
    assert "in this notebook alone" in notebook.ok("%flow storage").text
    assert "branch flownb" in notebook.ok("%flow storage git").text
    shown = notebook.ok(FIRST)
    commit = git("rev-parse", "flownb", cwd=repository)
    assert f"committed as {commit[:10]} on flownb, flows/co2.ipynb" in shown.text
    assert shown.records
    assert git("status", "--porcelain", cwd=repository) == ""
    assert GitStorage(repository).get_flow("co2").run() == {"total": 1961}


def test_the_same_cell_again_makes_no_version(kept: Shell, repository: Path) -> None:
    assert "unchanged since" in kept.ok(SECOND).text
    assert len(locations(repository)) == 2


def test_the_default_is_that_of_the_project(notebook: Shell, repository: Path) -> None:
    (repository / "flownb.toml").write_text('[storage]\ndefault = "git"\n')
    assert "as flownb.toml says" in notebook.ok("%flow storage").text
    notebook.ok(FIRST)
    assert "co2" in GitStorage(repository)
    notebook.ok("%flow storage notebook")
    notebook.ok(SECOND)
    assert len(locations(repository)) == 1


def test_a_default_that_is_a_folder_lies_where_the_file_is(notebook: Shell, repository: Path) -> None:
    (repository / "flownb.toml").write_text('[storage]\ndefault = "dir:kept/"\n')
    (repository / "below").mkdir()
    notebook.ok("%cd -q below")
    assert "kept in" in notebook.ok(FIRST).text
    assert "co2" in open_storage(f"dir:{repository}/kept/")


def test_a_notebook_that_is_not_there_yet_is_made_and_the_open_one_refused(
    notebook: Shell, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook.ok("%flow storage x.ipynb")
    assert "kept in" in notebook.ok(FIRST).text
    assert "co2" in open_storage(repository / "x.ipynb")
    monkeypatch.setenv("JPY_SESSION_NAME", str(repository / "x.ipynb"))
    assert "is this notebook" in refused(notebook, "%flow storage x.ipynb")


def test_a_flow_that_another_notebook_kept_until_now_is_told(
    notebook: Shell, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.ipynb", "b.ipynb"):
        nbformat.write(nbformat.v4.new_notebook(), repository / name)
    notebook.ok("%flow storage git")
    monkeypatch.setenv("JPY_SESSION_NAME", str(repository / "a.ipynb"))
    assert "until now" not in notebook.ok(FIRST).text
    monkeypatch.setenv("JPY_SESSION_NAME", str(repository / "b.ipynb"))
    assert "until now co2 came from a.ipynb" in notebook.ok(SECOND).text
    assert "until now" not in notebook.ok(SECOND).text
    assert "until now" not in notebook.ok(FIRST).text


@pytest.mark.parametrize(
    "url",
    ["git@127.0.0.1:x/flows.git", "http://127.0.0.1:{port}/flows", "git+http://127.0.0.1:{port}/f.git/"],
)
def test_a_default_elsewhere_is_asked_nothing_until_it_is_trusted(
    notebook: Shell, repository: Path, url: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        url = url.format(port=server.getsockname()[1])
        (repository / "flownb.toml").write_text(f'[storage]\ndefault = "{url}"\n')
        shown = notebook.ok(FIRST)
        assert f"would have captures kept in {url}" in shown.text
        assert shown.records  # it is captured all the same
        for line in ("%flow storage", "%flow run co2", "%flow push", "%flow history co2"):
            assert f"`flownb trust {url}`" in refused(notebook, line)
        notebook.ok("%flow")
        with pytest.raises(BlockingIOError):
            server.accept()
    notebook.ok("%flow storage notebook")
    assert "would have" not in notebook.ok(SECOND).text


def test_a_default_elsewhere_is_used_once_it_is_trusted(notebook: Shell, repository: Path) -> None:
    url = "git@127.0.0.1:x/flows.git"
    assert trust.trust(open_storage(url))
    (repository / "flownb.toml").write_text(f'[storage]\ndefault = "git+{url}"\n')
    assert trust.trusts_url(url)
    assert notebook.live.keeping.storage.origin == url
    trust.forget(open_storage(url).identity)
    assert not trust.trusts_url(url)


@pytest.mark.parametrize("toml", ["storage = 1", "[storage]\ndefault = 3", "[storage]\ndefault = ''"])
def test_a_wrong_default_is_told(notebook: Shell, repository: Path, toml: str) -> None:
    (repository / "flownb.toml").write_text(toml)
    assert "[storage] takes `default`" in refused(notebook, "%flow storage")


def test_a_store_that_cannot_be_opened_changes_nothing(kept: Shell, tmp_path: Path) -> None:
    assert "nowhere.txt" in refused(kept, f"%flow storage {tmp_path}/nowhere.txt")
    assert "branch flownb" in kept.ok("%flow storage").text
    assert "one store at most" in refused(kept, "%flow storage a b")


def test_without_a_repository_git_is_refused(project: Path) -> None:
    with ipython() as shell:
        assert "epository" in refused(shell, "%flow storage git")
        shell.ok("%%flow a\n1 + 1")


def test_a_cell_whose_flow_cannot_be_kept_is_captured_all_the_same(kept: Shell, repository: Path) -> None:
    git("checkout", "-q", "flownb", cwd=repository)
    shown = kept.run("%%flow co2 --out total\ntotal = 5")
    assert shown.records
    assert "checked out" in shown.text
    assert kept.live.flow("co2").run() == {"total": 5}


def test_a_flow_of_several_steps_waits_for_those_that_have_not_run(
    notebook: Shell, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = nbformat.v4.new_notebook()
    content.cells = [
        nbformat.v4.new_code_cell("%%flow a.one\nx = 1", id="one"),
        nbformat.v4.new_code_cell("%%flow a.two --out y\ny = x", id="two"),
        nbformat.v4.new_code_cell("%%flow a.two --out y\ny = x + 0", id="copy"),
    ]
    nbformat.write(content, repository / "n.ipynb")
    monkeypatch.setenv("JPY_SESSION_NAME", str(repository / "n.ipynb"))
    notebook.ok("%flow storage git")
    shown = notebook.ok("%%flow a.one\nx = 1", cell_id="one")
    assert "step two has to run first" in shown.text
    assert "a" not in GitStorage(repository)
    assert "committed as" in notebook.ok("%%flow a.two --out y\ny = x", cell_id="two").text
    assert [step.name for step in GitStorage(repository).get_flow("a").steps] == ["one", "two"]


# -- versions


def test_history_shows_when_who_and_what_changed(kept: Shell, repository: Path) -> None:
    shown = kept.ok("%flow history co2").result
    lines = shown.to_text().splitlines()
    newest, oldest = (location.partition("@")[2][:10] for location in locations(repository))
    assert lines[1].startswith(newest)
    assert "parameter since: default 1958 → 1990" in lines[1]
    assert lines[2].startswith(oldest)
    assert "Ada" in shown.html


def test_what_a_commit_says_is_text_in_the_page(kept: Shell, repository: Path) -> None:
    kept.ok("%%flow co2 --out total\ntotal = '<img src=x>'")
    html = kept.ok("%flow diff co2 co2@HEAD~1").result.html
    assert "<img" not in html
    assert "&lt;img" in html
    hostile = Version("1", "a@1", None, "<script>\x1b[2J", "<img src=x>\u202e")
    shown = version_list("<b>", [VersionRow(hostile, "", "<i>", ())], where="<u>")
    assert not re.search("<(script|img|b|i|u)>", shown.html)
    assert "&lt;script&gt;\\x1b[2J" in shown.html
    assert "\x1b" not in shown.text
    assert "\u202e" not in shown.text


def test_without_a_storage_the_one_version_of_the_notebook_is_shown(notebook: Shell) -> None:
    notebook.ok(FIRST)
    assert len(notebook.ok("%flow history co2").result.text.splitlines()) == 2


def test_diff_shows_two_versions_side_by_side(kept: Shell) -> None:
    shown = kept.ok("%flow diff co2@HEAD~1 co2").result
    assert "default 1958 → 1990" in shown.text
    rows = re.findall(r"<tr.*?</tr>", shown.html)
    assert any("total = since + K" in row and "total = since - K" in row for row in rows)
    assert kept.ok("%flow diff co2").result == shown
    assert kept.ok("%flow diff co2@HEAD~1 @HEAD").result == shown


def test_diff_takes_what_was_captured_and_not_kept_yet(kept: Shell) -> None:
    kept.ok("%flow storage notebook")
    kept.ok("%%flow co2 --out total\ntotal = 1")
    kept.ok("%flow storage git")
    assert "parameter" in kept.ok("%flow diff co2 co2@HEAD").result.text


def test_yesterday_there_was_nothing(kept: Shell) -> None:
    assert "yesterday" in refused(kept, "%flow diff co2 co2@yesterday")


def test_a_version_that_is_not_there_is_told_with_those_that_are(kept: Shell, repository: Path) -> None:
    newest = locations(repository)[0].partition("@")[2]
    assert newest[:10] in refused(kept, "%flow show co2@nowhere")


def test_an_old_version_becomes_the_newest(kept: Shell, repository: Path) -> None:
    shown = kept.ok("%flow restore co2@HEAD~1").text
    restored = locations(repository)[0][: len("co2@") + 10]
    assert f"{restored} is the newest version in" in shown
    assert f"`%flow run co2` still runs what was captured here; `%flow run {restored}` runs" in shown
    assert GitStorage(repository).get_flow("co2").run() == {"total": 1961}
    assert kept.live.flow("co2").run() == {"total": 1987}
    assert "wants a version" in refused(kept, "%flow restore co2")
    kept.ok("%flow forget co2")
    assert "`%flow run co2` runs the restored version." in kept.ok("%flow restore co2@HEAD~1").text


@pytest.mark.kernel
@pytest.mark.parametrize("command", ["tag", "remove", "copy", "trust"])
def test_commands_of_the_command_line_are_told_as_it_takes_them(notebook: Shell, command: str) -> None:
    assert f"is on the command line: flownb {command} STORE" in refused(notebook, f"%flow {command} co2")


def test_a_store_with_spaces_is_told_to_want_quotes(notebook: Shell) -> None:
    words = refused(notebook, "%flow storage dir:../flows ordner")
    assert "%flow storage 'dir:../flows ordner'" in words


def test_a_run_is_pinned_to_the_commit_of_what_was_captured(kept: Shell, repository: Path) -> None:
    newest, oldest = locations(repository)
    kept.ok("run = %flow run co2")
    assert kept["run"].outputs["total"] == 1987
    kept.ok(f"run = %flow run {oldest[:11]} since=1990")
    assert kept["run"].outputs["total"] == 1993
    store = RecordStore(Project.of(repository))
    runs = store.list()
    store.close()
    assert [run.location for run in runs] == [oldest, newest]
    assert {run.storage["kind"] for run in runs if run.storage} == {"git"}
    assert "✓ Success 1" in kept.ok("%flow history co2").result.text


# -- others


@pytest.fixture
def remote(kept: Shell, tmp_path: Path, repository: Path) -> Path:
    path = tmp_path / "team.git"
    git("init", "-q", "--bare", str(path), cwd=tmp_path)
    git("remote", "add", "origin", str(path), cwd=repository)
    return path


def test_push_and_pull_exchange_flows(kept: Shell, remote: Path, repository: Path, tmp_path: Path) -> None:
    assert "sent" in kept.ok("%flow push").text
    git("clone", "-q", "-c", "user.name=B", "-c", "user.email=b@b", str(remote), "other", cwd=tmp_path)
    other = GitStorage(tmp_path / "other")
    other.pull()
    other.add_flow(GitStorage(repository).get_flow("co2@HEAD~1"), replace=True)
    other.push()
    kept.ok("%flow pull")
    assert GitStorage(repository).get_flow("co2").run is not None
    assert "flownb trust" in refused(kept, "%flow run co2@HEAD")


def test_pull_takes_a_side(kept: Shell, remote: Path) -> None:
    kept.ok("%flow push")
    kept.ok("%flow pull --take ours")
    assert "ours or theirs" in refused(kept, "%flow pull --take mine")


def test_what_has_no_remote_is_not_pushed(kept: Shell) -> None:
    assert "remote" in refused(kept, "%flow push")
    kept.ok("%flow storage notebook")
    assert "`%flow storage git` first" in refused(kept, "%flow push")


# -- completion


def completed(shell: Shell, line: str) -> list[str]:
    return candidates(line, offers_of(shell.shell.flownb.magics, ""))


def test_versions_stores_and_sides_are_completed(kept: Shell, repository: Path) -> None:
    versions = sorted(location[: len("co2@") + 10] for location in locations(repository))
    assert completed(kept, "%flow run co2@") == versions
    assert completed(kept, "%flow diff co2 @") == [version.removeprefix("co2") for version in versions]
    assert completed(kept, "%flow diff co2 c") == ["co2"]
    assert completed(kept, "%flow history ") == ["co2"]
    assert completed(kept, "%flow storage g") == ["git"]
    assert completed(kept, "%flow pull --take ") == ["ours", "theirs"]
    assert f"{versions[0]}" in completed(kept, "%flow restore co2@")
    assert "since=" in completed(kept, f"%flow run {versions[0]} ")
