"""What was recorded at a capture is compared with what a run finds: told in a line, or refused."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from environment_flows import flow, memory
from shell import ipython

from flownb import Flow, LocalEnvironment
from flownb.capture.requirements import file_sha, missing_module
from flownb.cli import main
from flownb.displays.run import run_card
from flownb.engine import installed as asking
from flownb.engine.installed import installed
from flownb.environments.differing import differences
from flownb.errors import EnvironmentRefusedError
from flownb.flow import Requirements
from flownb.runs import Run
from flownb.storage import DirectoryStorage

if TYPE_CHECKING:
    from pathlib import Path

HERE = platform.python_version()
SAME = Requirements(HERE, {"ipython": version("ipython")})


def needing(source: str = "1 + 1", **needs: Any) -> Flow:
    return flow("one", source, requirements=replace(SAME, **needs))


OTHER = needing(python="3.9.1", distributions={"ipython": "1.0", "scikit-learn": "1.5.0"})
TOLD = (
    f"not as at its capture: Python {HERE} (was 3.9.1), ipython {version('ipython')} (was 1.0), "
    "no scikit-learn (was 1.5.0)"
)


@pytest.mark.kernel
def test_a_run_says_in_one_line_what_differs_from_the_capture(project: Path) -> None:
    run = LocalEnvironment().execute(memory(project, OTHER), "one")
    assert run.state == "Success"
    assert run.differs == TOLD
    assert Run.load(run.id, project).differs == TOLD
    assert TOLD in run.logs
    assert run.logs.count("not as at its capture") == 1
    assert TOLD in run_card(run.record, []).text
    assert "no scikit-learn (was 1.5.0)" in run._repr_html_()


@pytest.mark.kernel
def test_a_run_where_all_is_as_it_was_says_nothing(project: Path) -> None:
    run = LocalEnvironment(strict=True).execute(memory(project, needing()), "one")
    assert (run.state, run.differs) == ("Success", "")
    assert "capture" not in run.logs
    assert "⚠" not in run_card(run.record, []).text


@pytest.mark.kernel
def test_the_command_line_and_the_magic_say_it(project: Path) -> None:
    DirectoryStorage("store").add_flow(OTHER)
    called = CliRunner().invoke(main, ["run", "dir:store#one", "-q"])
    assert called.exit_code == 0
    assert f"flownb: ⚠ {TOLD}" in called.stderr
    with ipython() as shell:
        assert shell.ok("run = %flow run dir:store#one\nrun").result.differs == TOLD


def test_strict_refuses_before_anything_is_recorded(project: Path) -> None:
    storage = memory(project, OTHER)
    for call in (LocalEnvironment(strict=True).execute, LocalEnvironment(strict=True).submit):
        with pytest.raises(
            EnvironmentRefusedError, match=r"one is not as at its capture: Python .*was 3\.9\.1"
        ):
            call(storage, "one")
    with pytest.raises(EnvironmentRefusedError, match="not as at its capture"):
        LocalEnvironment(strict=True).map(storage, "one", [{}])
    assert not (project / ".flownb").exists()


@pytest.mark.kernel
def test_strict_may_be_said_for_the_project_for_an_environment_and_for_a_run(project: Path) -> None:
    DirectoryStorage("store").add_flow(OTHER)

    def status(*words: str) -> int:
        return CliRunner().invoke(main, ["run", "dir:store#one", "-q", *words]).exit_code

    assert status("--strict") == 2
    (project / "flownb.toml").write_text("strict = true\n[environments.easy]\nstrict = false\n")
    assert status() == 2
    assert status("--no-strict") == 0
    assert status("--environment", "easy") == 0
    (project / "flownb.toml").write_text("strict = 'yes'\n")
    result = CliRunner().invoke(main, ["run", "dir:store#one"])
    assert (result.exit_code, "`strict` is true or false" in result.output) == (2, True)


@pytest.mark.kernel
def test_modules_of_the_notebook_s_folder_are_compared(project: Path) -> None:
    (project / "helper.py").write_text("x = 1\n")
    (project / "gone.py").write_text("y = 2\n")
    modules = {name: file_sha(project / f"{name}.py") for name in ("helper", "gone")}
    captured = needing("import helper, gone\nhelper.x + gone.y", modules=modules)
    captured = replace(captured, folder=project, steps=(replace(captured.steps[0], result=True),))
    (project / "helper.py").write_text("x = 5\n")
    run = LocalEnvironment().execute(memory(project, captured), "one")
    assert run.outputs["result"] == 7
    assert run.differs == "not as at its capture: helper.py was edited"
    (project / "gone.py").unlink()
    run = LocalEnvironment().execute(memory(project, captured), "one")
    assert run.error is not None
    assert (
        run.error.message == "No module named 'gone'; at its capture gone was a module of the notebook's own"
    )
    with pytest.raises(
        EnvironmentRefusedError, match=r"helper\.py was edited|its module gone is not there any more"
    ):
        LocalEnvironment(strict=True).execute(memory(project, captured), "one")


# -- the error of a missing module


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("source", "told"),
    [
        (
            "import no_such_thing",
            "No module named 'no_such_thing'; at its capture there was no-such-thing 2.0",
        ),
        ("import no_such_thing.part as p", "at its capture there was no-such-thing 2.0"),
        ("import sklearn_", "at its capture there was no-such-thing 2.0, scikit-learn 1.5.0"),
        ("from IPython import nothing", "at its capture there was ipython 1.0"),
        ("raise ValueError(\"No module named 'no_such_thing'\")", "No module named 'no_such_thing'"),
    ],
)
def test_the_error_of_a_missing_module_names_the_version_at_capture(
    source: str, told: str, project: Path
) -> None:
    needs = {"no-such-thing": "2.0", "scikit-learn": "1.5.0", "ipython": "1.0"}
    run = LocalEnvironment().execute(memory(project, needing(source, distributions=needs)), "one")
    assert run.error is not None
    assert run.error.message.endswith(told)
    assert run.error.step == "s1"


def test_a_flow_run_here_notes_it_on_the_exception() -> None:
    with pytest.raises(ModuleNotFoundError) as raised:
        needing("import no_such_thing", distributions={"No_Such.Thing": "2.0"}).run()
    assert raised.value.__notes__ == ["at its capture there was No_Such.Thing 2.0"]
    with pytest.raises(ModuleNotFoundError) as raised:
        needing("import another").run()
    assert not hasattr(raised.value, "__notes__")


def test_nothing_is_said_of_what_is_not_known() -> None:
    assert missing_module(SAME, "ModuleNotFoundError", "No module named 'x'", {}) == ""
    assert missing_module(SAME, "ModuleNotFoundError", "it is a strange message", {}) == ""


# -- another interpreter


@pytest.fixture
def other_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a kernel whose interpreter has other distributions; return where these lie."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    spec = tmp_path / "jupyter" / "kernels" / "other"
    spec.mkdir(parents=True)
    argv = [str(tmp_path / "venv" / "bin" / "python"), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (spec / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "o", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    (site,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    return site


def install(site: Path, name: str, number: str) -> None:
    about = site / f"{name}-{number}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {number}\n")


def test_the_kernel_s_own_interpreter_is_asked_and_asked_again_when_something_was_installed(
    other_kernel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = needing(distributions={"thing": "1.0", "ipython": version("ipython")})
    first = differences(flow, "other", {})
    assert first.told == (f"no ipython (was {version('ipython')})", "no thing (was 1.0)")
    calls: list[object] = []
    there = asking._there
    monkeypatch.setattr(asking, "_there", lambda *given: calls.append(given) or there(*given))
    assert differences(flow, "other", {}) == first
    assert calls == []
    install(other_kernel, "thing", "1.0")
    assert differences(flow, "other", {}).told == (f"no ipython (was {version('ipython')})",)
    assert len(calls) == 1


def test_what_cannot_be_asked_is_not_compared_and_refused_where_it_must_be(
    other_kernel: Path, tmp_path: Path
) -> None:
    spec = tmp_path / "jupyter" / "kernels" / "other" / "kernel.json"
    spec.write_text(json.dumps({"argv": ["/bin/sh", "start"], "display_name": "o", "language": "python"}))
    assert installed("other", {}, ["thing"]) is None
    found = differences(needing(), "other", {})
    assert str(found) == ""
    with pytest.raises(EnvironmentRefusedError, match="cannot be asked what it has"):
        found.refuse()
    assert differences(flow("x", "1"), "other", {}).missing == {}
