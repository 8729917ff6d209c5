"""Flows from elsewhere run only after their user said so; everything else about them needs no leave."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flownb import LocalEnvironment
from flownb.errors import NotTrustedError, StorageError
from flownb.flow import Flow, Step
from flownb.runs.project import Project
from flownb.storage import Storage, trust
from flownb.storage.git import GitStorage

if TYPE_CHECKING:
    from collections.abc import Mapping

FLOW = Flow("a", steps=(Step("a", "x = 1", ("x",)),))


class Elsewhere(Storage):
    """A storage of one flow, at a URL."""

    kind = "elsewhere"

    def __init__(self, url: str | None = "https://example.org/flows.git") -> None:
        self.url = url

    @property
    def name(self) -> str:
        return self.url or "here"

    @property
    def origin(self) -> str | None:
        return self.url

    def _newest(self) -> Mapping[str, str]:
        return {"a": FLOW.version}

    def _write(self, flow: Flow, *, replace: bool) -> str:
        raise NotImplementedError

    def _read(self, name: str, version: str) -> Flow:
        return FLOW

    def _options(self) -> Mapping[str, Any]:
        return {"url": self.url}


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "config"
    monkeypatch.setenv("FLOWNB_CONFIG_DIR", str(folder))
    return folder


@pytest.fixture
def pulled(tmp_path: Path) -> GitStorage:
    """A local repository into which flownb pulled the flows of somebody else."""
    for name, words in {"theirs": [], "ours": []}.items():
        subprocess.run(["git", "init", "-q", "-b", "main", name, *words], cwd=tmp_path, check=True)
        for setting in ("user.name=Ada", "user.email=ada@example.org"):
            command = ["git", "config", *setting.split("=")]
            subprocess.run(command, cwd=tmp_path / name, check=True)
    GitStorage(tmp_path / "theirs").add_flow(FLOW)
    storage = GitStorage(tmp_path / "ours", remote=str(tmp_path / "theirs"))
    storage.pull()
    return storage


# -- whose flows may run


def test_a_storage_of_ones_own_needs_no_trust(config: Path) -> None:
    trust.require(Elsewhere(None))
    assert not trust.trust(Elsewhere(None))
    assert not config.exists()


def test_a_storage_from_elsewhere_is_refused_with_what_to_do() -> None:
    with pytest.raises(NotTrustedError) as caught:
        trust.require(Elsewhere())
    for words in ("https://example.org/flows.git", "flownb show", "flownb trust https://", "--trust"):
        assert words in str(caught.value)


def test_a_trusted_storage_is_trusted_from_then_on() -> None:
    assert trust.trust(Elsewhere())
    assert not trust.trust(Elsewhere())
    trust.require(Elsewhere())
    with pytest.raises(NotTrustedError):
        trust.require(Elsewhere("https://example.org/flows.git/other"))


def test_trust_is_taken_back() -> None:
    trust.trust(Elsewhere())
    trust.forget(Elsewhere().identity)
    with pytest.raises(NotTrustedError):
        trust.require(Elsewhere())
    with pytest.raises(StorageError, match="is not trusted"):
        trust.forget(Elsewhere().identity)


def test_forgetting_what_is_not_trusted_names_the_nearest() -> None:
    trust.trust(Elsewhere())
    with pytest.raises(StorageError, match=r"did you mean elsewhere:https://example.org/flows.git\?"):
        trust.forget("elsewhere:https://example.org/flow.git")


def test_allowing_once_ends_with_its_block() -> None:
    with trust.allow_once(Elsewhere()):
        trust.require(Elsewhere())
        with pytest.raises(NotTrustedError):
            trust.require(Elsewhere("https://example.org/other.git"))
    with pytest.raises(NotTrustedError):
        trust.require(Elsewhere())
    assert trust.trusted_storages() == []


def test_what_a_store_is_called_cannot_move_a_terminal() -> None:
    with pytest.raises(NotTrustedError) as caught:
        trust.require(Elsewhere("https://x/\x1b[2J\u202e"))
    assert str(caught.value).isprintable()


# -- where it is enforced


def test_a_runner_refuses(project: Path) -> None:
    runner = Elsewhere().get_runner("a")
    with pytest.raises(NotTrustedError):
        runner.run()
    with trust.allow_once(Elsewhere()):
        assert runner.run() == {"x": 1}


def test_a_flow_remembers_where_it_is_from(pulled: GitStorage) -> None:
    flow = pulled.get_flow("a")
    with pytest.raises(NotTrustedError):
        flow.run()
    trust.trust(pulled)
    assert flow.run() == {"x": 1}


def test_an_environment_refuses_before_anything_is_recorded(project: Path) -> None:
    environment = LocalEnvironment()
    with pytest.raises(NotTrustedError):
        environment.execute(Elsewhere(), "a")
    with pytest.raises(NotTrustedError):
        environment.submit(Elsewhere(), "a")
    with pytest.raises(NotTrustedError):
        environment.map(Elsewhere(), "a", [{}])
    assert not Project.of(project).records.exists()


def test_plain_papermill_refuses(pulled: GitStorage) -> None:
    from flownb.storage.papermill_io import FlowHandler

    url = f"flownb://{Path(pulled.name)}#a"
    with pytest.raises(NotTrustedError):
        FlowHandler.read(url)
    assert FlowHandler.listdir(url.removesuffix("#a")) == [url]
    trust.trust(pulled)
    assert "x = 1" in FlowHandler.read(url)


def test_looking_needs_no_trust(pulled: GitStorage) -> None:
    assert pulled.get_flow("a") == FLOW
    assert list(pulled.flows) == ["a"]
    assert len(pulled.history("a")) == 1


def test_what_git_fetched_beside_ones_own_branch_is_from_elsewhere(
    tmp_path: Path, pulled: GitStorage
) -> None:
    subprocess.run(["git", "clone", "-q", "theirs", "third"], cwd=tmp_path, check=True)
    for words in (["update-ref", "-d", "refs/remotes/origin/flownb"], ["config", "user.name", "C"]):
        subprocess.run(["git", *words], cwd=tmp_path / "third", check=True)
    subprocess.run(["git", "config", "user.email", "c@d"], cwd=tmp_path / "third", check=True)
    storage = GitStorage(tmp_path / "third")
    own = Flow("a", steps=(Step("a", "x = 2", ("x",)),))
    storage.add_flow(own)
    subprocess.run(["git", "fetch", "-q"], cwd=tmp_path / "third", check=True)
    assert storage.get_flow("a").run() == {"x": 2}
    assert storage.get_flow("a@origin/flownb") == FLOW
    with pytest.raises(NotTrustedError, match="none of its own branches has"):
        storage.get_runner("a@origin/flownb").run()
    with pytest.raises(NotTrustedError, match="flownb restore"):
        storage.get_flow("a@origin/flownb").run()
    storage.restore("a@origin/flownb")
    assert storage.get_flow("a").run() == {"x": 1}


# -- how it is kept


def test_it_is_kept_for_the_user_alone(config: Path) -> None:
    trust.trust(Elsewhere())
    assert stat.S_IMODE(config.stat().st_mode) == 0o700
    data = json.loads((config / "trust.json").read_text())
    assert list(data["trusted"]) == ["elsewhere:https://example.org/flows.git"]
    (kept,) = trust.trusted_storages()
    assert kept.origin == "https://example.org/flows.git"


def test_without_a_folder_of_its_own_it_is_in_the_users(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("FLOWNB_CONFIG_DIR")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path / "xdg"))
    trust.trust(Elsewhere())
    assert list((tmp_path / "xdg").rglob("trust.json"))


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"schema": 1}', '{"schema": 1, "trusted": {"a": 1}}', "\xff"]
)
def test_a_damaged_file_trusts_nobody_and_is_left_as_it_is(config: Path, content: str) -> None:
    config.mkdir()
    file = config / "trust.json"
    file.write_text(content, encoding="latin-1")
    for call in (trust.require, trust.trust):
        with pytest.raises(StorageError, match="is damaged; move it away"):
            call(Elsewhere())
    assert file.read_text(encoding="latin-1") == content


def test_a_file_of_a_later_version_is_refused(config: Path) -> None:
    config.mkdir()
    (config / "trust.json").write_text('{"schema": 2, "trusted": {}}')
    with pytest.raises(StorageError, match="upgrade flownb"):
        trust.require(Elsewhere())


def test_of_many_who_trust_at_once_none_loses_its_own() -> None:
    code = (
        "import sys; from types import SimpleNamespace; from flownb.storage import trust\n"
        "trust.trust(SimpleNamespace(origin='https://example.org', identity=sys.argv[1]))"
    )
    root = str(Path(__file__).parent.parent)
    processes = [subprocess.Popen([sys.executable, "-c", code, str(number)], cwd=root) for number in range(6)]
    assert [process.wait(60) for process in processes] == [0] * 6
    assert len(trust.trusted_storages()) == 6
