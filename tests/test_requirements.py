"""What a flow needs to run elsewhere."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import sys
import time
from typing import TYPE_CHECKING

import pytest

from flownb.capture.requirements import imported_in, modules_of, requirements_of
from flownb.flow import Carried

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


def test_versions_are_those_of_the_distributions_that_the_modules_come_from() -> None:
    seen = requirements_of(["pandas", "yaml", "os.path", "json", "dateutil.parser", "IPython"])
    assert seen.python == platform.python_version()
    assert dict(seen.distributions) == {
        name: importlib.metadata.version(name) for name in ("PyYAML", "ipython", "pandas", "python-dateutil")
    }
    assert seen.modules == {}


def test_modules_of_the_project_are_followed_and_have_their_digests(project: Path) -> None:
    seen = requirements_of(["ours.load"], project)
    files = {
        "ours": "ours/__init__.py", "ours.load": "ours/load.py", "ours.clean": "ours/clean.py",
        "ours_helpers": "ours_helpers.py",
    }  # fmt: skip
    assert dict(seen.modules) == {
        name: hashlib.sha256((project / file).read_bytes()).hexdigest() for name, file in files.items()
    }
    assert list(seen.distributions) == ["numpy"]


def test_a_module_of_the_project_that_has_changed_is_read_again(project: Path) -> None:
    assert list(requirements_of(["ours.clean"], project).distributions) == []
    (project / "ours" / "clean.py").write_text("import json, numpy\n")
    assert list(requirements_of(["ours.clean"], project).distributions) == ["numpy"]


def test_an_import_from_beyond_the_top_is_passed_over(project: Path) -> None:
    (project / "ours" / "clean.py").write_text("def f():\n    from .... import x\n\nimport numpy\n")
    assert list(requirements_of(["ours.clean"], project).distributions) == ["numpy"]


def test_a_module_that_is_nowhere_needs_nothing() -> None:
    assert requirements_of(["no_such_module_at_all"]).distributions == {}


def test_the_second_time_is_quick() -> None:
    requirements_of(["pandas", "yaml"])
    start = time.perf_counter()
    requirements_of(["pandas", "yaml"])
    assert time.perf_counter() - start < 0.05


def test_imports_are_found_in_functions_and_pickles() -> None:
    carried = [
        Carried("np", "import", "import numpy as np"),
        Carried("f", "definition", "def f():\n    import scipy.stats\n    return __import__('yaml')"),
        Carried("m", "pickle", "# m: Model, 1.2 kB, pickled by Python 3.11; uses pandas, sklearn\nm = 1"),
        Carried("p", "pickle", "# p: list of 2, 12 bytes, pickled by Python 3.11\np = 1"),
        Carried("t", "literal", "t = 'import nothing'"),
    ]
    assert modules_of(carried) == {"numpy", "scipy.stats", "yaml", "pandas", "sklearn"}


def test_what_is_not_python_imports_nothing() -> None:
    assert list(imported_in("%matplotlib inline")) == []
