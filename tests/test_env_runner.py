"""What another machine is told runs there, as it stands: for another user, with nothing but the variables."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import fsspec
import pytest
from git_servers import bare, cloned, daemon, git, over_http
from storage_servers import s3_server

from flownb import Secret, Storage
from flownb.errors import NotTrustedError, ParameterError, StorageError
from flownb.flow import Carried, Flow, Parameter, Step
from flownb.storage import trust
from flownb.storage.directory import DirectoryStorage
from flownb.storage.git import GitStorage
from flownb.storage.variables import env_runner, flow_told, parameters_told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flownb.storage import EnvRunner

NOBODY = 65534


def sales(factor: int) -> Flow:
    return Flow(
        "sales",
        parameters=(
            Parameter("n", "int", "1"),
            Parameter("since", "date", "date(2026, 1, 1)"),
            Parameter("token", "Secret", "Secret('')"),
        ),
        steps=(Step("only", f"total = f'{{n * {factor}}} {{since.year}} {{len(token)}}'", ("total",)),),
        closure=(
            Carried("date", "import", "from datetime import date"),
            Carried("Secret", "import", "from flownb import Secret"),
        ),
    )


@pytest.fixture
def machine() -> Iterator[Path]:
    """Give a machine: a folder with an empty home and an empty working directory, which another user has."""
    folder = Path(tempfile.mkdtemp(prefix="machine-"))
    folder.chmod(0o755)
    for name in ("home", "work"):
        (folder / name).mkdir()
        if _is_root():
            os.chown(folder / name, NOBODY, NOBODY)
    yield folder
    shutil.rmtree(folder)


def _is_root() -> bool:
    return os.geteuid() == 0


def run_elsewhere(runner: EnvRunner, machine: Path, *, fails: bool = False, **more: str) -> str:
    """Run the command as it is given; as another user, where this one may become one."""
    as_nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    # it reads this user's Python, and writes nothing of this user's
    as_nobody += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    kept = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "GIT_CONFIG"))}
    path = f"{os.path.dirname(sys.executable)}:/usr/bin:/bin"
    env = {**kept, "PATH": path, "HOME": str(machine / "home"), **runner.variables, **more}
    done = subprocess.run(
        [*(as_nobody if _is_root() else []), *runner.command],
        cwd=machine / "work", env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.kernel
@pytest.mark.parametrize("serve", ["git daemon", "git http-backend"])
def test_a_version_in_a_repository_is_run_on_another_machine(
    serve: str, tmp_path: Path, machine: Path
) -> None:
    remote = bare(tmp_path / "remotes" / "flows.git")
    with daemon(remote.parent) as over_git, over_http(remote.parent) as web:
        url = f"{over_git if serve == 'git daemon' else web.url}/flows.git"
        storage = GitStorage(cloned(url, tmp_path / "ann"), branch="team/flows", folder="a/b")
        location = storage.add_flow(sales(5))
        with pytest.raises(StorageError, match="was not pushed"):
            storage.get_env_runner("sales")
        storage.push()
        runner = storage.get_env_runner("sales").with_parameters(n=4, since="1990-02-03")
        assert runner.variables["FLOWNB_LOCATION"] == location
        assert runner.command == ("flownb", "run", "--trust", "--environment", "local")
        storage.add_flow(sales(6), replace=True)
        storage.push()
        assert "20 1990 0" in run_elsewhere(runner, machine)
        there = GitStorage(url, branch="team/flows", folder="a/b")
        assert "6 2026 0" in run_elsewhere(there.get_env_runner("sales"), machine)
        with pytest.raises(NotTrustedError):  # who launches the command has to have decided
            trust.require(there, there.resolve("sales"))
    assert git(remote, "rev-list", "--count", "team/flows") == "2"


@pytest.mark.kernel
def test_secrets_come_by_files_and_are_named_where_they_do_not(tmp_path: Path, machine: Path) -> None:
    remote = bare(tmp_path / "remotes" / "flows.git")
    with over_http(remote.parent) as web:
        web.password = "pw of the tests"
        url = web.with_credentials("flows.git").replace("pw of the tests", "pw%20of%20the%20tests")
        storage = GitStorage(url)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GIT_AUTHOR_NAME", "Ann")
            patch.setenv("GIT_AUTHOR_EMAIL", "ann@example.org")
            patch.setenv("GIT_COMMITTER_NAME", "Ann")
            patch.setenv("GIT_COMMITTER_EMAIL", "ann@example.org")
            storage.add_flow(sales(5))
        runner = storage.get_env_runner("sales")
        assert runner.secrets == (
            "FLOWNB_STORAGE_PASSWORD",
            "FLOWNB_STORAGE_USERNAME",
            "FLOWNB_PARAM_token",
        )
        assert "pw of the tests" not in str(runner)
        assert "pw%20of" not in str(runner)
        told = run_elsewhere(runner, machine, fails=True)
        assert "it wants to know who you are" in told
        assert "opened with password, username" in told
        assert "FLOWNB_STORAGE_PASSWORD_FILE" in told
        files = {}
        for variable, value in zip(runner.secrets, ("pw of the tests", "ann", "s3cr3t-token"), strict=True):
            path = machine / variable
            path.write_text(f"{value}\n")
            files[f"{variable}_FILE"] = str(path)
        told = run_elsewhere(runner.with_parameters(n=2), machine, **files)
        assert "10 2026 12" in told
        assert "s3cr3t-token" not in told
    again = Storage.deserialize(storage.serialize())
    assert list(again.missing) == ["password", "username"]


@pytest.mark.kernel
def test_a_version_in_a_bucket_is_run_on_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: Path
) -> None:
    with s3_server() as endpoint:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tests")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret of the tests")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        fsspec.filesystem("s3", endpoint_url=endpoint).mkdir("bucket")
        storage = DirectoryStorage("s3://bucket/flows", endpoint_url=endpoint)
        storage.add_flow(sales(5))
        runner = storage.get_env_runner("sales").with_parameters(n=4)
        storage.add_flow(sales(6), replace=True)
        assert "secret of the tests" not in str(runner)
        assert "20 2026 0" in run_elsewhere(runner, machine)


# --- variables ---


def test_secrets_go_to_the_storage_that_the_variables_tell_of_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    storage = DirectoryStorage(tmp_path, key="me", secret="pw")
    monkeypatch.setenv("FLOWNB_STORAGE", json.dumps(storage.serialize()))
    monkeypatch.setenv("FLOWNB_LOCATION", storage.add_flow(sales(5)))
    (tmp_path / "secret").write_text("pw\n")
    monkeypatch.setenv("FLOWNB_STORAGE_KEY", "me")
    monkeypatch.setenv("FLOWNB_STORAGE_SECRET_FILE", str(tmp_path / "secret"))
    told, flow = flow_told()
    assert flow == sales(5)
    assert isinstance(told, DirectoryStorage)
    assert told.storage_options == {"key": "me", "secret": "pw"}
    assert list(Storage.deserialize(storage.serialize()).missing) == ["key", "secret"]
    monkeypatch.setenv("FLOWNB_STORAGE_SECRET", "pw")
    with pytest.raises(StorageError, match="both FLOWNB_STORAGE_SECRET and FLOWNB"):
        flow_told()


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DirectoryStorage:
    storage = DirectoryStorage(tmp_path / "flows")
    monkeypatch.setenv("FLOWNB_STORAGE", f"dir:{tmp_path / 'flows'}")
    monkeypatch.setenv("FLOWNB_LOCATION", storage.add_flow(sales(5)))
    return storage


def test_a_storage_is_told_as_it_is_typed_too(kept: DirectoryStorage) -> None:
    storage, flow = flow_told()
    assert (storage, flow) == (kept, sales(5))


def test_variables_that_tell_no_flow_say_what_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLOWNB_STORAGE", raising=False)
    with pytest.raises(StorageError, match="set the variables FLOWNB_STORAGE and FLOWNB_LOCATION"):
        flow_told()
    monkeypatch.setenv("FLOWNB_LOCATION", "sales")
    for text in ('{"kind": ', '{"kind": "git"}', '{"kind": "tape"}', "{}"):
        monkeypatch.setenv("FLOWNB_STORAGE", text)
        with pytest.raises(StorageError):
            flow_told()


def test_parameters_are_told_by_variables(
    kept: DirectoryStorage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    flow = kept.get_flow("sales")
    assert parameters_told(flow) == {}
    monkeypatch.setenv("FLOWNB_PARAM_n", "7")
    (tmp_path / "token").write_text("abc\r\n")
    monkeypatch.setenv("FLOWNB_PARAM_token_FILE", str(tmp_path / "token"))
    assert parameters_told(flow) == {"n": "7", "token": "abc"}
    monkeypatch.setenv("FLOWNB_PARAM_token_FILE", str(tmp_path / "missing"))
    with pytest.raises(StorageError, match="that FLOWNB_PARAM_token_FILE names cannot be read: No such file"):
        parameters_told(flow)
    monkeypatch.delenv("FLOWNB_PARAM_token_FILE")
    monkeypatch.setenv("FLOWNB_PARAM_m", "1")
    with pytest.raises(ParameterError, match="no parameter `m`; it has n, since, token"):
        parameters_told(flow)


def test_a_parameter_whose_name_ends_with_file_is_one_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = Flow(
        "a", parameters=(Parameter("data", "str"), Parameter("data_FILE", "str")), steps=(Step("a", "1"),)
    )
    monkeypatch.setenv("FLOWNB_PARAM_data_FILE", "/etc/hostname")
    assert parameters_told(flow) == {"data_FILE": "/etc/hostname"}


def test_a_runner_takes_parameters_that_the_flow_has_and_no_secrets(tmp_path: Path) -> None:
    flow = sales(5)
    runner = env_runner(DirectoryStorage(tmp_path), replace(flow, location="sales@1"))
    told = runner.with_parameters(n=3, since=date(1990, 1, 2))
    assert told.variables["FLOWNB_PARAM_n"] == "3"
    assert told.variables["FLOWNB_PARAM_since"] == "1990-01-02"
    assert "FLOWNB_PARAM_n" not in runner.variables
    with pytest.raises(ParameterError, match="no parameter `m`"):
        runner.with_parameters(m=3)
    for given in ({"token": "abc"}, {"n": Secret("abc")}):
        with pytest.raises(ParameterError, match=r"is secret.*_FILE") as caught:
            runner.with_parameters(**given)
        assert "abc" not in str(caught.value)
