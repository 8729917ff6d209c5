from __future__ import annotations

from pathlib import Path

import pytest

from flownb.errors import FlownbError, RecordError
from flownb.runs.project import Project


@pytest.mark.parametrize("mark", ["flownb.toml", ".git", "pyproject.toml"])
def test_the_nearest_folder_with_a_mark_is_the_root(tmp_path: Path, mark: str) -> None:
    (tmp_path / "pyproject.toml").touch()
    inner = tmp_path / "a"
    (inner / "b" / "c").mkdir(parents=True)
    (inner / mark).touch()
    assert Project.of(inner / "b" / "c").root == inner
    assert Project.of(inner).root == inner
    assert Project.of(tmp_path).root == tmp_path


def test_a_file_belongs_to_the_project_of_its_folder(tmp_path: Path) -> None:
    notebook = tmp_path / "x.ipynb"
    notebook.touch()
    (tmp_path / ".git").mkdir()
    assert Project.of(notebook).root == tmp_path


def test_without_any_mark_the_folder_itself_is_the_root(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    assert Project.of(folder).root == folder


def test_a_relative_folder_is_taken_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Project.of(Path()).root == tmp_path


def test_settings_are_what_the_file_says_and_nothing_without_one(tmp_path: Path) -> None:
    project = Project(tmp_path)
    assert project.settings() == {}
    (tmp_path / "flownb.toml").write_text('\ufeff[environments.night]\nlabels = ["big"]\n', encoding="utf-8")
    assert project.settings() == {"environments": {"night": {"labels": ["big"]}}}


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"a = 1\nb = = 2\n", "line 2"),
        (b"a = 1\n\nb = \xff\n", "line 3"),
        (b"a = 1\nb = [1,\n", "line 2"),
    ],
)
def test_what_is_wrong_in_the_settings_is_named_with_file_and_line(
    tmp_path: Path, content: bytes, line: str
) -> None:
    (tmp_path / "flownb.toml").write_bytes(content)
    with pytest.raises(FlownbError) as caught:
        Project(tmp_path).settings()
    assert str(tmp_path / "flownb.toml") in str(caught.value)
    assert line in str(caught.value)


def test_the_records_folder_ignores_itself_in_git(tmp_path: Path) -> None:
    project = Project(tmp_path)
    assert project.ensure() == tmp_path / ".flownb"
    assert (project.records / ".gitignore").read_text() == "*\n"
    (project.records / ".gitignore").write_text("mine\n")
    project.ensure()
    assert (project.records / ".gitignore").read_text() == "mine\n"
    assert project.runs_folder.is_dir()


def test_a_records_folder_that_cannot_be_made_is_an_error_with_the_systems_word(tmp_path: Path) -> None:
    (tmp_path / ".flownb").touch()
    with pytest.raises(RecordError, match=r"File exists|Not a directory"):
        Project(tmp_path).ensure()
