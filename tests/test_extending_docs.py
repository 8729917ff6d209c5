"""What the page on storages of one's own shows works as it stands there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from flownb import Storage, open_storage
from flownb.testing.flows import sample
from flownb.testing.storage import sentences

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "extending-storage.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Write the page's code into files, and install it as its entry point says."""
    storage, tests, _ = blocks("python")
    (tmp_path / "table_storage.py").write_text(storage, "utf-8")
    (tmp_path / "test_table_storage.py").write_text(tests, "utf-8")
    about = tmp_path / "tables-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: tables\nVersion: 1.0\n")
    ((group, kinds),) = tomllib.loads(blocks("toml")[0])["project"]["entry-points"].items()
    lines = [f"[{group}]", *(f"{kind} = {place}" for kind, place in kinds.items())]
    (about / "entry_points.txt").write_text("\n".join(lines))
    return tmp_path


@pytest.mark.kernel
def test_the_storage_of_the_page_keeps_the_contract(written: Path) -> None:
    path = os.pathsep.join([str(written), *(p for p in sys.path if p)])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_table_storage.py"],
        cwd=written, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    assert f"{len(sentences())} passed" in done.stdout


def test_the_storage_of_the_page_is_typed(written: Path) -> None:
    command = [sys.executable, "-m", "mypy", str(written / "table_storage.py")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_kind_of_the_page_is_known_by_its_entry_point(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(written)
    storage = open_storage(f"table://{written}/flows.db")
    location = storage.add_flow(sample())
    again = Storage.deserialize(json.loads(json.dumps(storage.serialize())))
    assert type(again).__name__ == "TableStorage"
    assert again == storage
    assert again.get_flow(location) == sample()


def test_the_page_tells_of_all_that_a_kind_writes() -> None:
    own = {name for name in Storage.__abstractmethods__ if name != "name"}
    optional = {"_versions", "_remove", "_tag", "_has", "_secrets", "_elsewhere", "origin"}
    for name in own | optional:
        assert f"`{name}" in PAGE
        assert hasattr(Storage, name)
