"""What another machine is told runs there, as it stands: in an empty home, with nothing but the command."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import fsspec
import pytest
from git_servers import bare, cloned, daemon, git, over_http
from storage_servers import s3_server

from flownb.errors import NotTrusted, StorageError
from flownb.flow import Flow, Parameter, Step
from flownb.storage import trust
from flownb.storage.directory import DirectoryStorage
from flownb.storage.git import GitStorage

if TYPE_CHECKING:
    from pathlib import Path

    from flownb.storage.base import EnvRunner

pytestmark = pytest.mark.kernel


def sales(factor: int) -> Flow:
    return Flow(
        "sales",
        parameters=(Parameter("n", "int", "1"),),
        steps=(Step("only", f"total = n * {factor}\nprint(total)", ("total",), reads=("n",)),),
    )


def run_elsewhere(runner: EnvRunner, machine: Path) -> str:
    """Run the command as it is given, with a home and a working directory in which there is nothing."""
    (machine / "home").mkdir(parents=True)
    (machine / "work").mkdir()
    kept = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "GIT_CONFIG"))}
    env = {**kept, "PATH": f"{os.path.dirname(sys.executable)}:/usr/bin:/bin", "HOME": str(machine / "home")}
    done = subprocess.run(
        [*runner.command, "-p", "n=4"],
        cwd=machine / "work", env={**env, **runner.variables}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("serve", ["git daemon", "git http-backend"])
def test_a_version_in_a_repository_is_run_on_another_machine(serve: str, tmp_path: Path) -> None:
    remote = bare(tmp_path / "remotes" / "flows.git")
    with daemon(remote.parent) as over_git, over_http(remote.parent) as web:
        url = f"{over_git if serve == 'git daemon' else web.url}/flows.git"
        storage = GitStorage(cloned(url, tmp_path / "ann"))
        location = storage.add_flow(sales(5))
        with pytest.raises(StorageError, match="was not pushed"):
            storage.get_env_runner("sales")
        storage.push()
        runner = storage.get_env_runner("sales")
        assert location in runner.command[-1]
        storage.add_flow(sales(6), replace=True)
        storage.push()
        assert "20" in run_elsewhere(runner, tmp_path / "one")
        there = GitStorage(url)
        assert "24" in run_elsewhere(there.get_env_runner("sales"), tmp_path / "another")
        with pytest.raises(NotTrusted):  # who launches the command has to have decided
            trust.require(there, there.resolve("sales"))
    assert git(remote, "rev-list", "--count", "flownb") == "2"


def test_a_version_in_a_bucket_is_run_on_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3_server() as endpoint:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tests")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret of the tests")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        fsspec.filesystem("s3", endpoint_url=endpoint).mkdir("bucket")
        storage = DirectoryStorage("s3://bucket/flows", endpoint_url=endpoint)
        storage.add_flow(sales(5))
        runner = storage.get_env_runner("sales")
        storage.add_flow(sales(6), replace=True)
        assert "secret of the tests" not in str(runner)
        assert "20" in run_elsewhere(runner, tmp_path / "machine")
