"""What every test has: an environment of its own, so that nobody's configuration is read or written."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from flownb.document import import_nbformat

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

import_nbformat()  # seconds quicker than what the tests would import, in each of the processes that run them

settings.register_profile("flownb", deadline=None)  # a machine that is busy with something else is no failure
settings.load_profile("flownb")

#: what a front end, a shell or a developer sets, and no test may depend on
_STRIPPED = (
    "JPY_SESSION_NAME",
    "JPY_PARENT_PID",
    "JUPYTER_PATH",
    "JUPYTER_TOKEN",
    "MPLBACKEND",
    "PAPERMILL_KERNEL_NAME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PYTHONWARNINGS",
    "VIRTUAL_ENV",
)


@pytest.fixture(scope="session", autouse=True)
def isolated_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give this process, and every process that it starts, a home folder that nobody else has."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name in _STRIPPED or name.startswith("FLOWNB_RUN")]:
            patch.delenv(name)
        folders = {
            "HOME": home,
            "IPYTHONDIR": home / "ipython",
            "JUPYTER_CONFIG_DIR": home / "jupyter" / "config",
            "JUPYTER_DATA_DIR": home / "jupyter" / "data",
            "JUPYTER_RUNTIME_DIR": home / "jupyter" / "runtime",
            "MPLCONFIGDIR": home / "matplotlib",
            "XDG_CACHE_HOME": home / "cache",
            "XDG_CONFIG_HOME": home / "config",
            "XDG_DATA_HOME": home / "data",
            "XDG_STATE_HOME": home / "state",
        }
        for name, folder in folders.items():
            folder.mkdir(parents=True, exist_ok=True)
            patch.setenv(name, str(folder))
        patch.setenv("JUPYTER_PLATFORM_DIRS", "1")
        patch.setenv("PYTHONUTF8", "1")
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        yield home


@pytest.fixture(autouse=True)
def same_main_module() -> Iterator[None]:
    """Put back `__main__`, which an IPython shell takes the place of, and which new processes are told of."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder that is a project of flownb's (it has a `flownb.toml`), and work in it."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "flownb.toml").touch()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def free_port() -> int:
    """Find a TCP port on loopback on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a folder on a disk of half a megabyte; where none can be mounted the test is skipped."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("a file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
