"""`flownb doctor`: whether runs work here, and how."""

from __future__ import annotations

import json
import sqlite3
import subprocess

import nbformat
import nbformat.v4 as v4
import pytest
from click.testing import CliRunner

from flownb.cli import main
from flownb.environments.health import Finding, Health, _git, _records

pytestmark = pytest.mark.kernel


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "flownb.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def doctor(*words):
    return CliRunner().invoke(main, ["doctor", *words], catch_exceptions=False, standalone_mode=False)


def found(*words):
    result = doctor(*words, "--json")
    told = json.loads(result.stdout)
    return result.return_value, {each["what"]: each for each in told["findings"]}


def write(path, *sources, kernel="python3"):
    spec = {"name": kernel, "display_name": kernel, "language": "python"}
    cells = [v4.new_code_cell(source) for source in sources]
    nbformat.write(v4.new_notebook(cells=cells, metadata={"kernelspec": spec}), path)


def test_where_all_is_well_it_says_so_and_how_long_a_run_takes(project):
    result = doctor()
    assert result.return_value == 0
    assert "✓ engine" in result.stdout
    assert "flownb: a process is forked for each run" in result.stdout
    assert "✓ trial run" in result.stdout
    assert not (project / ".flownb").exists(), "nothing is recorded by looking"


def test_a_notebooks_imports_are_told_with_those_left_to_it(project):
    write(project / "a.ipynb", "import numpy\nimport polars", "raise SystemError('never run')")
    status, findings = found("a.ipynb")
    assert status == 0
    assert "numpy" in findings["preloaded"]["data"]["loaded"]
    assert "threads" in findings["preloaded"]["data"]["refused"]["polars"]


def test_what_a_notebook_imports_itself_is_named_first_and_what_comes_with_it_counted(project):
    write(project / "a.ipynb", "import pandas\nimport numpy")
    _, findings = found("a.ipynb")
    loaded = findings["preloaded"]["data"]["loaded"]
    assert loaded[:2] == ["pandas", "numpy"]
    assert loaded[2:] == sorted(loaded[2:])
    assert findings["preloaded"]["text"].startswith(f"pandas, numpy and {len(loaded) - 2} that they load (")


def test_a_folder_without_flows_is_reported_on_itself(project):
    (project / "below").mkdir()
    for folder in (".", "below"):
        status, findings = found(folder)
        assert status == 0
        assert findings["project"]["text"] == str(project)
    subprocess.run(["git", "init", "-q"], check=True, cwd=project)
    assert found(".")[0] == 0


def test_a_flow_of_a_store_is_told_of_too(project):
    from flownb.flow import Carried, Flow, Step
    from flownb.storage import NotebookStorage

    flow = Flow(
        "one", steps=(Step("s", "numpy.ones(3)"),), closure=(Carried("numpy", "import", "import numpy"),)
    )
    NotebookStorage(project / "store.ipynb").add_flow(flow)
    _, findings = found("store.ipynb#one")
    assert "numpy" in findings["preloaded"]["data"]["loaded"]


def test_a_kernel_that_is_not_there_is_bad_and_named(project):
    write(project / "a.ipynb", "1", kernel="no-such-kernel")
    status, findings = found("a.ipynb")
    assert status == 1
    assert findings["engine"]["level"] == "bad"
    assert "no-such-kernel" in findings["engine"]["text"]


def test_records_that_are_no_database_are_bad(project):
    (project / ".flownb").mkdir()
    (project / ".flownb" / "runs.db").write_bytes(b"no database at all" * 100)
    assert [each.level for each in _records(project)] == ["good", "bad"]


def test_records_of_a_newer_flownb_are_bad(project):
    (project / ".flownb").mkdir()
    base = sqlite3.connect(project / ".flownb" / "runs.db")
    base.execute("PRAGMA user_version = 99")
    base.close()
    assert "newer" in list(_records(project))[1].text


def test_settings_that_cannot_be_read_are_bad(project):
    (project / "flownb.toml").write_text("[")
    assert next(iter(_records(project))).level == "bad"


def test_a_machine_without_git_gets_a_note(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert _git().level == "note"


def test_notes_do_not_make_it_bad_and_anything_bad_does():
    good, note, bad = (Finding("a", level, "") for level in ("good", "note", "bad"))
    assert Health((good, note)).good
    assert not Health((good, bad)).good


def test_the_text_stands_in_columns_with_lines_below():
    health = Health((Finding("a", "good", "x", ("more",)), Finding("long", "bad", "y")))
    assert health.to_text() == "✓ a     x\n        more\n✗ long  y"
