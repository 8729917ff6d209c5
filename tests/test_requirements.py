"""What a flow needs to run elsewhere."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import sys
import time
from typing import TYPE_CHECKING

import pytest

from flownb.capture.requirements import imported_in, requirements_of
from flownb.capture.world import World
from flownb.flow import Carried, Requirements

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "__init__.py").write_text("")
    (tmp_path / "ours" / "load.py").write_text(
        "import numpy\nfrom . import clean\nfrom ours_helpers import h\n"
    )
    (tmp_path / "ours" / "clean.py").write_text("import json\n")
    (tmp_path / "ours_helpers.py").write_text("h = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    __import__("ours.load")
    yield tmp_path
    for name in ("ours", "ours.load", "ours.clean", "ours_helpers"):
        sys.modules.pop(name, None)


def needed(*modules: str, folder: Path | None = None) -> Requirements:
    return requirements_of((), [f"import {module}" for module in modules], World(folder))


def test_versions_are_those_of_the_distributions_that_the_modules_come_from() -> None:
    seen = needed("pandas", "yaml", "os.path", "json", "dateutil.parser", "IPython")
    assert seen.python == platform.python_version()
    assert dict(seen.distributions) == {
        name: importlib.metadata.version(name) for name in ("PyYAML", "ipython", "pandas", "python-dateutil")
    }
    assert seen.modules == {}


def test_modules_of_the_project_are_followed_and_have_their_digests(project: Path) -> None:
    seen = needed("ours.load", folder=project)
    files = {
        "ours": "ours/__init__.py", "ours.load": "ours/load.py", "ours.clean": "ours/clean.py",
        "ours_helpers": "ours_helpers.py",
    }  # fmt: skip
    assert dict(seen.modules) == {
        name: hashlib.sha256((project / file).read_bytes()).hexdigest() for name, file in files.items()
    }
    assert list(seen.distributions) == ["numpy"]


def test_a_module_of_the_project_that_has_changed_is_read_again(project: Path) -> None:
    assert list(needed("ours.clean", folder=project).distributions) == []
    (project / "ours" / "clean.py").write_text("import json, numpy\n")
    assert list(needed("ours.clean", folder=project).distributions) == ["numpy"]


def test_an_import_from_beyond_the_top_is_passed_over(project: Path) -> None:
    (project / "ours" / "clean.py").write_text("def f():\n    from .... import x\n\nimport numpy\n")
    assert list(needed("ours.clean", folder=project).distributions) == ["numpy"]


def test_a_module_that_is_nowhere_needs_nothing() -> None:
    assert needed("no_such_module_at_all").distributions == {}


def test_the_second_time_is_quick() -> None:
    needed("pandas", "yaml")
    start = time.perf_counter()
    needed("pandas", "yaml")
    assert time.perf_counter() - start < 0.05


def test_imports_are_found_in_functions_and_frozen_values() -> None:
    carried = [
        Carried("np", "import", "import numpy as np"),
        Carried("f", "statement", "def f():\n    import yaml.nodes\n    return __import__('dateutil')"),
        Carried("m", "frozen", "# frozen: m (Model); uses pandas, pydantic\nm = 1"),
        Carried("p", "frozen", "# frozen: p (list of 2)\np = 1"),
        Carried("t", "statement", "t = 'import nothing'"),
    ]
    seen = requirements_of(carried, ["import polars"], World())
    assert set(seen.distributions) == {"numpy", "PyYAML", "pandas", "pydantic", "polars", "python-dateutil"}


def test_what_is_not_python_imports_nothing() -> None:
    assert list(imported_in("%matplotlib inline")) == []
