"""`setup` refuses a storage that cannot be reached, before anything starts, and once for many runs."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from environment_flows import flow, memory

from flownb import LocalEnvironment
from flownb.errors import EnvironmentRefusedError
from flownb.storage import DirectoryStorage, GitStorage, NotebookStorage, Storage
from flownb.testing.flows import sample

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def damaged(folder: Path) -> Storage:
    (folder / "n.ipynb").write_text("{")
    return NotebookStorage(folder / "n.ipynb")


def no_folder(folder: Path) -> Storage:
    (folder / "file").write_text("")
    return DirectoryStorage(folder / "file")


UNREACHABLE: dict[str, Callable[[Path], Storage]] = {
    "no repository": lambda _: GitStorage("/nowhere"),
    "no such notebook's server": lambda _: DirectoryStorage("http://127.0.0.1:9/flows"),
    "a damaged notebook": damaged,
    "a file in place of a folder": no_folder,
}


@pytest.mark.parametrize("kind", UNREACHABLE)
def test_a_storage_that_cannot_be_reached_is_refused(kind: str, project: Path) -> None:
    storage = UNREACHABLE[kind](project)
    environment = LocalEnvironment()
    calls: list[Callable[[], Any]] = [
        lambda: environment.setup(storage),
        lambda: environment.execute(storage, "a"),
        lambda: environment.submit(storage, "a"),
        lambda: environment.map(storage, "a", [{}, {}]),
    ]
    for call in calls:
        with pytest.raises(EnvironmentRefusedError, match="cannot be reached"):
            call()
    assert not (project / ".flownb").exists()


def test_storages_that_can_be_reached_pass_and_no_flow_of_them_is_read(project: Path) -> None:
    subprocess.run(["git", "init", "-q", str(project)], check=True)
    (project / "n.ipynb").write_text("")
    for storage in (
        GitStorage(project),
        DirectoryStorage(project / "flows"),
        DirectoryStorage("memory://reach"),
        NotebookStorage(project / "n.ipynb"),
    ):
        LocalEnvironment().setup(storage)
        LocalEnvironment().setup(storage)
    storage = DirectoryStorage(project / "flows")
    storage.add_flow(sample())
    for file in (project / "flows" / "sales").iterdir():
        file.write_text("damaged")
    LocalEnvironment().setup(storage)


@pytest.mark.kernel
def test_many_runs_are_set_up_once(project: Path) -> None:
    asked: list[Storage] = []

    class Counting(LocalEnvironment):
        kind = "counting"

        def setup(self, storage: Storage) -> None:
            asked.append(storage)
            super().setup(storage)

    storage = memory(project, flow("one", "1 + 1"))
    runs = Counting().map(storage, "one", [{}] * 3)
    assert [run.state for run in runs] == ["Success"] * 3
    assert asked == [storage]
    asked.clear()
    Counting().execute(storage, "one")
    assert asked == [storage]
