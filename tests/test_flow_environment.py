"""A flow's environment is part of the flow: kept whole, used by runs, and content of its versions."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from click.testing import CliRunner
from shell import ipython

from flownb import Environment, LocalEnvironment
from flownb.cli import main
from flownb.environments.chosen import changed_environment, environment_for, named_environment
from flownb.errors import EnvironmentRefusedError
from flownb.flow import Flow
from flownb.runs import Project, Runs
from flownb.storage import DirectoryStorage, GitStorage, NotebookStorage, Storage, open_storage
from flownb.storage.compare import compare
from flownb.testing.flows import sample

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from shell import Shell

NIGHT = """
[environments.night]
type = "local"
timeout = 3600
labels = ["night"]
cwd = "data"
on_exit = [{callback = "collect_metrics", path = "m.csv"}]
"""


@pytest.fixture
def shell(project: Path) -> Iterator[Shell]:
    (project / "flownb.toml").write_text(NIGHT)
    (project / "data").mkdir()
    with ipython() as shell:
        yield shell


def notebook_of(*sources: str) -> str:
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    return nbformat.writes(nbformat.v4.new_notebook(cells=cells))


def captured(shell: Shell) -> Flow:
    shell.ok("%%flow a --environment night\nimport os\nos.path.basename(os.getcwd())")
    flow: Flow = shell.live.flow("a")
    return flow


def test_a_capture_keeps_the_environment_itself_with_its_name_and_where_that_came_from(shell: Shell) -> None:
    flow = captured(shell)
    kept = dict(flow.environment or {})
    assert (kept["named"], kept["named_in"]) == ("night", "flownb.toml")
    back = Environment.deserialize(json.loads(json.dumps(kept)))
    assert isinstance(back, LocalEnvironment)
    assert (back.timeout, back.labels, len(back.on_exit)) == (3600.0, ("night",), 1)
    (record,) = shell.run("%%flow b --environment night\n1").records
    assert record["metadata"]["flownb"]["environment"] == {**kept}


def test_folders_of_the_project_are_kept_relative_to_it(shell: Shell, tmp_path: Path) -> None:
    flow = captured(shell)
    assert str(tmp_path) not in json.dumps(dict(flow.environment or {}))
    there = tmp_path / "there"
    there.mkdir()
    found = environment_for(flow, Project(there))
    assert isinstance(found, LocalEnvironment)
    assert found.cwd == there / "data"


def test_the_kept_environment_is_used_where_nobody_knows_its_name(shell: Shell, project: Path) -> None:
    flow = captured(shell)
    (project / "flownb.toml").write_text("")
    found = environment_for(flow, Project(project))
    assert isinstance(found, LocalEnvironment)
    assert (found.timeout, found.cwd) == (3600.0, project / "data")
    assert environment_for(flow, Project(project), timeout=5).replace(timeout=3600) == found


def test_another_environment_can_be_asked_for_by_name_or_kind(shell: Shell, project: Path) -> None:
    flow = captured(shell)
    (project / "flownb.toml").write_text("[environments.day]\nretries = 2\n")
    assert environment_for(flow, Project(project), "day") == LocalEnvironment(retries=2)
    assert environment_for(flow, Project(project), "local") == LocalEnvironment()
    with pytest.raises(EnvironmentRefusedError, match=r"no environment 'dya'; .*did you mean day"):
        environment_for(flow, Project(project), "dya")


@pytest.mark.kernel
def test_magic_and_command_line_run_in_the_environment_that_the_flow_keeps(
    shell: Shell, project: Path
) -> None:
    flow = captured(shell)
    DirectoryStorage("store").add_flow(flow)
    (project / "flownb.toml").write_text("")
    assert shell.ok("%flow run a").result.outputs["result"] == "data"
    called = CliRunner().invoke(main, ["run", "dir:store#a", "-q"], standalone_mode=False)
    assert called.return_value == 0, called.output
    runs = Runs.load(project=project)
    assert [tuple(run.labels) for run in runs] == [("night",)] * 2
    assert [run.record.environment["timeout"] for run in runs] == [3600.0] * 2
    told = (project / "m.csv").read_text()
    assert all(run.id in told for run in runs)


def test_a_kind_can_be_named_where_the_file_has_no_such_name(shell: Shell, project: Path) -> None:
    shell.ok("%%flow b --environment local\n1")
    flow = shell.live.flow("b")
    assert flow.environment == {"named": "local", **LocalEnvironment().serialize()}
    assert environment_for(flow, Project(project)) == LocalEnvironment()
    (project / "n.ipynb").write_text(notebook_of("%%flow b --environment local\n1"))
    flow = open_storage("n.ipynb").get_flow("b")
    assert environment_for(flow, Project(project), retries=1) == LocalEnvironment(retries=1)
    (project / "flownb.toml").write_text("[environments.local]\nretries = 2\n")
    assert environment_for(flow, Project(project)) == LocalEnvironment(retries=2)


def test_an_environment_changed_in_the_file_since_is_told(shell: Shell, project: Path) -> None:
    flow = captured(shell)
    assert changed_environment(flow, Project(project)) == []
    (project / "flownb.toml").write_text(NIGHT.replace("3600", "60"))
    (told,) = changed_environment(flow, Project(project))
    assert "flownb.toml has another environment night" in told
    assert "(timeout)" in told
    assert "a run uses the captured one" in told
    assert captured(shell) != flow
    assert changed_environment(shell.live.flow("a"), Project(project)) == []


def test_an_environment_that_cannot_be_stored_is_told_at_the_capture(shell: Shell, project: Path) -> None:
    (project / "flownb.toml").write_text(
        "[environments.night]\non_exit = {callback = 'notify', url = 'https://user:hunter2@x.org/h'}\n"
    )
    shown = shell.run("%%flow a --environment night\n5")
    assert shown.result == 5  # the cell runs
    assert "hunter2" not in shown.text
    assert "CallbackError" in shown.text
    assert shown.records == []


def test_two_environments_in_one_flow_are_an_error(shell: Shell, project: Path) -> None:
    (project / "flownb.toml").write_text(NIGHT + "[environments.day]\n")
    shell.ok("%%flow f.a --environment night\nx = 1")
    shown = shell.run("%%flow f.b --environment day\ny = x")
    assert "`%%flow f.a` names the environment 'night', and `%%flow f.b` 'day'" in shown.text
    shell.ok("%%flow f.b\ny = x")
    assert shell.live.flow("f").environment["named"] == "night"


def test_a_flow_read_from_cells_alone_knows_the_name_and_runs_in_what_the_file_says(project: Path) -> None:
    (project / "flownb.toml").write_text(NIGHT)
    (project / "n.ipynb").write_text(notebook_of("%%flow a --environment night\n1"))
    flow = open_storage("n.ipynb").get_flow("a")
    assert flow.environment == {"named": "night", "named_in": "flownb.toml"}
    found = environment_for(flow, Project(project))
    assert found.labels == ("night",)
    with pytest.raises(EnvironmentRefusedError, match="only its name is known, 'night'"):
        Environment.deserialize(flow.environment)


def test_record_and_cells_are_compared_without_the_options_that_the_file_has(
    shell: Shell, project: Path
) -> None:
    captured(shell)
    path = project / "n.ipynb"
    NotebookStorage(path).add_flow(shell.live.flow("a"))
    storage = NotebookStorage(path)
    assert storage.notes(storage.get_flow("a")) == []
    content = json.loads(path.read_text())
    for cell in content["cells"]:
        cell["outputs"] = []
    path.write_text(json.dumps(content))
    assert NotebookStorage(path).get_flow("a").environment == {"named": "night", "named_in": "flownb.toml"}


# -- a version


def git(folder: Path) -> Storage:
    for words in (["init", "-q"], ["config", "user.name", "A"], ["config", "user.email", "a@example.org"]):
        subprocess.run(["git", "-C", str(folder), *words], check=True)
    return GitStorage(folder)


STORAGES: dict[str, Any] = {
    "git": git,
    "directory": lambda folder: DirectoryStorage(folder / "flows"),
    "notebook": lambda folder: NotebookStorage(folder / "n.ipynb"),
}
LOCAL = LocalEnvironment(timeout=5).serialize()


@pytest.mark.parametrize("kind", STORAGES)
@pytest.mark.parametrize(
    "changes",
    [
        {"environment": LOCAL},
        {"environment": {"named": "night", "named_in": "flownb.toml"}},
        {"environment": {"named": "night", "named_in": "flownb.toml", **LOCAL}},
        {"kernel": "analysis"},
    ],
    ids=str,
)
def test_another_environment_or_kernel_is_a_new_version_in_every_storage(
    kind: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    storage = STORAGES[kind](tmp_path)
    first = storage.add_flow(sample())
    other = replace(sample(), **changes)
    assert other != sample()
    second = storage.add_flow(other, replace=True)
    assert second != first
    assert storage.add_flow(other, replace=True) == second
    back = storage.get_flow(second)
    for name, value in changes.items():
        assert getattr(back, name) == value
    assert back.digest == other.digest
    assert storage.add_flow(sample(), replace=True) != second


@pytest.mark.parametrize("kind", ["git", "directory"])
def test_the_kernel_of_a_whole_notebook_is_one_too(kind: str, tmp_path: Path) -> None:
    (tmp_path / "w.ipynb").write_text(notebook_of("1 + 1"))
    whole = Flow.from_notebook(tmp_path / "w.ipynb")
    storage = STORAGES[kind](tmp_path)
    first = storage.add_flow(whole)
    second = storage.add_flow(replace(whole, kernel="analysis"), replace=True)
    assert second != first
    assert storage.get_flow(second).kernel == "analysis"


def test_equal_environments_count_alike_whatever_the_order_of_their_keys() -> None:
    turned = dict(reversed(LOCAL.items()))
    assert replace(sample(), environment=LOCAL).digest == replace(sample(), environment=turned).digest


def test_a_diff_says_what_of_the_environment_is_another(project: Path) -> None:
    (project / "flownb.toml").write_text(NIGHT)
    night = named_environment(Project(project), "night")
    flow = replace(sample(), environment=night)
    text = compare(flow, replace(flow, environment={**night, "timeout": 60.0, "named": "day"})).to_text()
    assert "environment timeout" in text
    assert "3600.0 → 60.0" in text
    assert "night → day" in text
    added = compare(sample(), flow).to_text()
    assert "environment on_exit" in added
    assert "collect_metrics" in added or "CollectMetrics" in added


def test_the_card_and_the_json_of_a_flow_tell_its_environment(project: Path) -> None:
    (project / "flownb.toml").write_text(NIGHT)
    flow = replace(sample(), environment=named_environment(Project(project), "night"), kernel="analysis")
    DirectoryStorage("store").add_flow(flow)
    shown = CliRunner().invoke(main, ["show", "dir:store#sales"])
    assert "environment night" in shown.output
    assert "environment timeout 3600" in shown.output
    assert "kernel analysis" in shown.output
    told = json.loads(CliRunner().invoke(main, ["show", "dir:store#sales", "--json"]).output)
    assert told["environment"] == flow.environment
