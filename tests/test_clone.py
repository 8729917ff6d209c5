"""A project from elsewhere: looking at it runs nothing, asking for a run runs what was asked for."""

from __future__ import annotations

import base64
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from shell import ipython

from flownb.runs import OutputRecord, Project, RecordStore, RunRecord, State
from flownb.runs.values import store as store_value

pytestmark = pytest.mark.long


COMMAND = [str(Path(sys.executable).with_name("flownb"))]
ACT = "from pathlib import Path\nPath('{acted}').open('a').write(__name__ + ' ')\n"
CELLS = (
    "import evil\nfrom helpers import K\nimport pickle, base64",
    "%%flow f --out y --environment night\nn: int = evil.n  # how many\ny = n + K\nevil.act()",
    "%%flow g --out z\nz = pickle.loads(base64.b64decode({pickled!r}))",
)


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.fixture
def acted(tmp_path: Path) -> Path:
    return tmp_path / "acted"


@pytest.fixture
def clone(tmp_path: Path, acted: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a project in which everything acts that is imported, called, run or unpickled."""
    folder = tmp_path / "clone"
    folder.mkdir()
    monkeypatch.setenv("FLOWNB_DATA_DIR", str(tmp_path / "data"))
    pickled = base64.b64encode(pickle.dumps(Trap(acted))).decode()
    for module in ("evil", "helpers", "hooks", "sitecustomize", "conftest"):
        (folder / f"{module}.py").write_text(ACT.format(acted=acted) + "n = K = 1\ndef act(*_): pass\n")
    (folder / "flownb.toml").write_text(
        '[environments.night]\non_start = "hooks:act"\n'
        'on_exit = [{callback = "hooks:act"}, {callback = "collect_metrics", path = "m.csv"}]\n'
    )
    content = nbformat.v4.new_notebook()
    content.cells = [nbformat.v4.new_code_cell(cell.format(pickled=pickled)) for cell in CELLS]
    nbformat.write(content, folder / "flows.ipynb")
    project = Project(folder)
    callback = {"pickle": pickled, "python": "3.11.7", "magic": "00", "name": "c"}
    record = RunRecord(
        "r1",
        "f",
        project.run_folder("r1"),
        State.RUNNING,
        parameters={"n": f"__import__('os').mkdir({str(acted)!r})"},
        environment={"kind": "local", "on_start": [callback, {"callback": "hooks:act"}]},
        storage={"kind": "hooks:act"},
    )
    record.outputs_folder.mkdir(parents=True)
    store = RecordStore(project)
    store.create(record)
    store.add_output("r1", OutputRecord.from_json(store_value("y", Trap(acted), record.outputs_folder)))
    store.close()
    shutil.copy(folder / "flows.ipynb", record.document)
    return folder


def call(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words], cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize(
    "words",
    [
        ["list", "flows.ipynb"],
        ["show", "flows.ipynb#f"],
        ["show", "flows.ipynb#g", "--json"],
        ["params", "flows.ipynb#f"],
        ["diff", "flows.ipynb#f", "flows.ipynb#g"],
        ["history", "flows.ipynb#f"],
        ["copy", "flows.ipynb#g", "dir:copies/"],
        ["runs"],
        ["runs", "--json"],
        ["logs", "r1"],
        ["outputs", "r1"],
        ["outputs", "r1", "y"],
        ["outputs", "r1", "--to", "copies"],
        ["cancel", "r1"],
        ["trust", "--run", "all"],
        ["doctor"],
        ["doctor", "flows.ipynb#f"],
    ],
    ids=" ".join,
)
def test_looking_runs_nothing(words: list[str], clone: Path, acted: Path) -> None:
    done = call(*words, cwd=clone)
    assert done.returncode == 0, done.stderr
    assert not acted.exists()


def test_completing_runs_nothing(clone: Path, acted: Path) -> None:
    for line in (
        "flownb run flows.ipynb#",
        "flownb run flows.ipynb#f -p ",
        "flownb outputs ",
        "flownb outputs r1 ",
    ):
        words = {
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split(" ")) - 1),
            "_FLOWNB_COMPLETE": "bash_complete",
        }
        done = subprocess.run(
            COMMAND,
            cwd=clone,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, **words},
        )
        assert done.stdout
    assert not acted.exists()


def test_looking_in_a_notebook_runs_nothing(
    clone: Path, acted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(clone)
    with ipython() as shell:
        for line in (
            "%flow",
            "%flow show flows.ipynb#f",
            "%flow diff flows.ipynb#f flows.ipynb#g",
            "%flow runs",
            "%flow last",
            "%flow outputs last",
            "%flow logs last",
        ):
            shell.ok(line)
        assert "is pickled" in shell.run("%flow outputs last y").text
        shell.ok("run = %flow last\nrun.trust()")
        assert not acted.exists()
        shell.ok("run.outputs['y']")
    assert acted.is_dir()


def test_asking_for_an_environment_by_name_imports_nothing_of_it(clone: Path, acted: Path) -> None:
    from flownb.environments.config import environment_names, load_environment

    path = list(sys.path)
    try:
        project = Project(clone)
        assert environment_names(project) == ("night",)
        environment = load_environment(project, "night")
        assert "hooks:act" in repr(environment.serialize())
        assert not acted.exists()
    finally:
        sys.path[:] = path


@pytest.mark.kernel
def test_a_run_that_was_asked_for_runs_what_was_asked_for(clone: Path, acted: Path) -> None:
    done = call("run", "flows.ipynb#f", "-q", cwd=clone)
    assert done.returncode == 0, done.stderr
    assert set(acted.read_text().split()) == {"evil", "helpers", "hooks"}
