"""What a template is to import ahead of time, decided without importing anything."""

from __future__ import annotations

import subprocess
import sys
import time

import nbformat.v4 as v4
import pytest

from flownb.engine.fork.wanted import COMPANIONS, judged, names_in, wanted


def notebook(*sources):
    return v4.new_notebook(cells=[v4.new_code_cell(source) for source in sources])


def modules(*sources, folder=None, **options):
    """What is wanted but for companions."""
    extra = {name for names in COMPANIONS.values() for name in names}
    return [name for name in wanted(notebook(*sources), folder, **options) if name not in extra]


def test_the_imports_of_all_cells_in_their_order():
    assert modules("import pandas as pd\nimport json", "x = 1", "from pathlib import Path") == [
        "pandas",
        "json",
        "pathlib",
    ]


def test_each_once():
    assert modules("import json", "import json\nfrom json import loads") == ["json"]


def test_a_submodule_named_after_from_is_wanted_too():
    assert modules("from matplotlib import pyplot as plt") == ["matplotlib", "matplotlib.pyplot"]
    assert modules("from concurrent import futures") == ["concurrent", "concurrent.futures"]


def test_a_name_that_the_package_binds_itself_is_no_submodule(tmp_path, monkeypatch):
    # tqdm.tqdm is a class; a submodule that a package hides behind a function must stay hidden
    assert modules("from tqdm import tqdm, auto") == ["tqdm", "tqdm.auto"]
    monkeypatch.setattr("flownb.engine.fork.wanted.installed_folders", lambda: (str(tmp_path),))
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "hides_one"
    package.mkdir()
    (package / "__init__.py").write_text("from ._real import (\n    thing,\n)\n")
    (package / "thing.py").write_text("")
    (package / "other.py").write_text("")
    assert modules("from hides_one import thing, other") == ["hides_one", "hides_one.other"]


def test_imports_that_may_not_happen_are_not_wanted():
    source = "if x:\n    import csv\ntry:\n    import json\nfinally:\n    pass\ndef f():\n    import glob"
    assert modules(source) == []


def test_nothing_of_the_project_is_wanted_and_nothing_installed_after_it(tmp_path):
    (tmp_path / "mine.py").write_text("import os; os.environ['X'] = '1'")
    source = "import numpy\nimport mine\nimport pandas\nimport csv"
    assert modules(source, folder=tmp_path) == ["numpy", "csv"]
    assert modules("import mine.deep", "import pandas", folder=tmp_path) == []
    assert modules("try:\n    import mine\nexcept ImportError: pass", "import pandas", folder=tmp_path) == []
    assert modules("from . import x", "import pandas") == []


def test_folders_of_the_path_that_hold_no_installed_packages_are_the_projects_own(tmp_path, monkeypatch):
    (tmp_path / "from_pythonpath.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    assert modules("import from_pythonpath\nimport pandas") == []


def test_a_link_in_site_packages_to_the_project_is_the_projects_own(tmp_path, monkeypatch):
    packages, project = tmp_path / "packages", tmp_path / "project"
    (project / "linked").mkdir(parents=True)
    packages.mkdir()
    (project / "linked" / "__init__.py").write_text("")
    (packages / "linked").symlink_to(project / "linked")
    monkeypatch.setattr("flownb.engine.fork.wanted.installed_folders", lambda: (str(packages),))
    monkeypatch.syspath_prepend(packages)
    assert modules("import linked") == []


def test_what_lies_in_the_folder_is_told_by_the_names_that_an_import_may_look_for(tmp_path):
    for name in ("dateutil.py", "data.csv", "matplotlibrc", ".numba_config.yaml", "my_own.py", "fast.so"):
        (tmp_path / name).write_text("")
    for name in ("tests", "figures", "no-name"):
        (tmp_path / name).mkdir()
    for name in ("tests", "no-name"):
        (tmp_path / name / "__init__.py").write_text("")
    names = {"dateutil", "matplotlibrc", ".numba_config.yaml", "my_own", "fast", "tests"}
    assert names_in(tmp_path) == names  # a folder without __init__.py hides no package
    assert names_in(tmp_path / "gone") == frozenset()
    assert modules("import pandas\nimport csv", folder=tmp_path) == ["pandas", "csv"]


def test_a_folder_that_is_gone_leaves_installed_modules_to_the_notebook(tmp_path):
    assert modules("import pandas\nimport csv", folder=tmp_path / "gone") == ["csv"]


@pytest.mark.parametrize(
    "line",
    [
        "os.environ['MPLBACKEND'] = 'agg'",
        "environ.update(X='1')",
        "os.putenv('A', 'b')",
        "%env A=1",
        "%set_env A 1",
        "sys.path.insert(0, 'lib')",
        "sys.modules['x'] = y",
        "importlib.invalidate_caches()",
        "warnings.simplefilter('error')",
        "warnings.filterwarnings(action='once')",
        "matplotlib.use('agg')",
        "multiprocessing.set_start_method('spawn')",
        "%load_ext autoreload",
        "%pip install x",
        "!pip install x",
        "!{sys.executable} -m pip install x",
        "%%bash\npip install x",
        "%cd ..",
        "%run setup.py",
        "exec(code)",
        "load_dotenv()",
    ],
)
def test_what_may_change_what_imports_see_ends_preloading_of_installed_modules(line):
    assert modules("import numpy", line, "import pandas\nimport csv") == ["numpy", "csv"]


def test_within_a_cell_what_stands_before_the_change_is_certain():
    assert modules("import os\nimport numpy\nos.environ['A'] = '1'\nimport pandas") == ["os", "numpy"]


@pytest.mark.parametrize(
    "line",
    ["%load_ext flownb", "warnings.filterwarnings('ignore')", "%matplotlib inline", "!ls", "x = !ls", "pd?"],
)
def test_what_changes_nothing_for_imports_is_passed_over(line):
    assert modules(f"{line}\nimport numpy", "import pandas") == ["numpy", "pandas"]


def test_a_cell_that_is_no_python_ends_preloading_of_installed_modules():
    assert modules("import numpy", "import pandas as as", "import pandas") == ["numpy"]


def test_cells_under_a_magic():
    assert modules("%%time\nimport numpy") == ["numpy"]
    assert modules("%%bash\nimport numpy", "%%script python\nimport csv") == []


def test_cells_that_do_not_run_say_nothing():
    skipped = v4.new_code_cell("import numpy", metadata={"tags": ["skip-execution"]})
    cells = [v4.new_markdown_cell("import numpy"), v4.new_raw_cell("import numpy"), skipped]
    assert wanted(v4.new_notebook(cells=cells)) == ()


def test_what_is_not_installed_is_passed_over():
    assert modules("import no_such_module_at_all", "import numpy") == ["numpy"]


def test_flownb_itself_is_not_wanted_and_no_hindrance():
    assert modules("from flownb import Secret\nimport numpy") == ["numpy"]


def test_companions_come_last_and_exist():
    assert wanted(notebook("import pandas", "import csv"))[:2] == ("pandas", "csv")
    together = wanted(notebook("import pandas, numpy, matplotlib.pyplot"))
    assert set(together) == {"pandas", "numpy", "matplotlib.pyplot", *sum(COMPANIONS.values(), ())}


def test_the_modules_of_another_interpreter_are_passed_on_by_name():
    assert modules("import not_here\nfrom json import loads", python="/opt/other/bin/python") == [
        "not_here",
        "json",
    ]


def test_sources_as_lists_of_lines():
    assert wanted({"cells": [{"cell_type": "code", "source": ["import csv\n", "import glob"]}]}) == (
        "csv",
        "glob",
    )


def test_nothing_is_imported_to_decide():
    code = (
        "import sys; from flownb.engine.fork.wanted import wanted; before = set(sys.modules);"
        "nb = {'cells': [{'cell_type': 'code', 'source': 'import pandas\\nfrom matplotlib import pyplot'}]};"
        "assert 'pandas' in wanted(nb, '/'); new = set(sys.modules) - before;"
        "assert not [name for name in new if name.split('.')[0] in ('pandas', 'numpy', 'matplotlib')], new"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_thousand_cells_take_milliseconds(tmp_path):
    many = notebook("import pandas", *(f"x{n} = {n} + n" for n in range(1000)))
    wanted(many, tmp_path)
    start = time.perf_counter()
    wanted(many, tmp_path)
    assert time.perf_counter() - start < 0.1


def test_what_is_left_to_the_notebook_is_told_with_the_reason(tmp_path):
    (tmp_path / "beside.py").write_text("")
    sources = (
        "import numpy\nfrom . import one\nif numpy:\n    import scipy, glob",
        "import nowhere_at_all",
        "%env A=1\nimport PIL, numpy, flownb",
        "import networkx",
        "def f():\n    import yaml, json",
        "import beside",
    )
    assert judged(notebook(*sources))[1] == {
        "from .": "it is the project's own, and may change between runs",
        "scipy": "it is imported under a condition",
        "nowhere_at_all": "it is not installed",
        "PIL": "it is imported behind a module of the project's own",
        "networkx": "it is imported behind a module of the project's own",
        "yaml": "it is imported within a function",
        "beside": "it is not installed",
    }
    assert judged(notebook(*sources[1:]), tmp_path) == (
        (),
        {
            "nowhere_at_all": "it is not installed",
            "PIL": "it is imported behind '%env'",
            "numpy": "it is imported behind '%env'",
            "networkx": "it is imported behind '%env'",
            "yaml": "it is imported within a function",
            "beside": "it is the project's own, and may change between runs",
        },
    )


def test_a_folder_that_cannot_be_read_is_a_reason(tmp_path):
    _, left = judged(notebook("import pandas"), tmp_path / "gone")
    assert left == {"pandas": "the working directory cannot be read: No such file or directory"}


def test_a_cell_that_is_no_python_is_a_reason():
    assert judged(notebook("import json; (", "import pandas"))[1] == {
        "pandas": "it is imported behind a cell that is no Python"
    }
