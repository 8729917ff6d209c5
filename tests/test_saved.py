"""Flows found in a saved notebook, from its source alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flownb.capture.saved import SavedNotebook
from flownb.errors import CaptureError

if TYPE_CHECKING:
    from pathlib import Path

    from flownb.flow import Flow


def code(source: str) -> dict[str, Any]:
    return {"cell_type": "code", "metadata": {}, "source": source, "outputs": []}


def saved(*sources: str, folder: Path | None = None) -> SavedNotebook:
    return SavedNotebook([code(source) for source in sources], "it.ipynb", folder)


def flow(*sources: str) -> Flow:
    notebook = saved(*sources)
    return notebook.flow(notebook.names[0])


def carried(found: Flow) -> list[str]:
    return [entry.source for entry in found.closure]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["x = 1", "%%flow a\nx + 1"], 2),
        (["x = 1\nx = 2", "%%flow a\nx + 1"], 3),
        (["x = []", "x.append(4)", "%%flow a\nx[0]"], 4),
        (["import random", "x = [3]", "random.shuffle(x)", "%%flow a\nx[0]"], 3),
        (["d = {}\nd['a'] = 5", "%%flow a\nd['a']"], 5),
        (["x = 1", "x += 1", "%%flow a\nx"], 2),
        (["def f(): return g()", "def g(): return 7", "%%flow a\nf()"], 7),
        (["def f(): return 1", "def f(): return 2", "%%flow a\nf()"], 2),
        (["x = 1", "y = x + 1", "x = 10", "%%flow a\n(x, y)"], (10, 2)),
        (["for i in range(3):\n    total = i", "%%flow a\ntotal"], 2),
        (["import math as m, os", "%%flow a\nm.floor(2.5)"], 2),
        (["a, b = 1, 2", "%%flow a\na + b"], 3),
        (["%%flow a\nlater()", "def later(): return 9"], 9),
        (["%%time\nx = 6", "%%flow a\nx"], 6),
        (["x = 1", "x = 2\n% time y\nx = 3", "%%flow a\nx"], 2),  # a magic without a name ends its cell
        (["if True:\n    x = 1\nelse:\n    x = 2", "%%flow a\nx"], 1),
        (["x = 1", "print(x)\nx", "%%flow a\nx"], 1),
        (
            [
                "from dataclasses import dataclass\n@dataclass\nclass P:\n    n: int",
                "p = P(3)",
                "%%flow a\np.n",
            ],
            3,
        ),
        (["x = 1", "del x", "x = 2", "%%flow a\nx"], 2),
        (["with open('/dev/null') as f:\n    text = f.read()", "%%flow a\ntext"], ""),
        (["n = 3\nsquares = [i * n for i in range(n)]", "%%flow a\nsquares"], [0, 3, 6]),
        (["%%flow other\nk: int = 4\nmade = k * 2", "%%flow a\nmade"], 8),
    ],
)
def test_a_value_is_carried_as_the_statements_that_make_it(cells: list[str], expected: object) -> None:
    assert saved(*cells).flow("a").run() == {"result": expected}


def test_only_what_is_needed_is_carried() -> None:
    found = flow("import os\nimport math", "unused = 1\nx = math.floor(1.5)", "display(x)", "%%flow a\nx")
    assert carried(found) == ["import math", "x = math.floor(1.5)"]


def test_a_definition_is_carried_with_its_decorators_and_its_comments() -> None:
    found = flow(
        "import functools\n# a comment\n@functools.cache\ndef f(n):\n    # inside\n    return n",
        "%%flow a\nf(1)",
    )
    assert "# a comment\n@functools.cache\ndef f(n):\n    # inside\n    return n" in carried(found)


def test_steps_of_one_flow_give_to_each_other() -> None:
    found = flow(
        "k = 2",
        "%%flow a.load\nn: int = 3\nrows = [k] * n",
        "rows",
        "%%flow a.sum --out total\ntotal = sum(rows)",
    )
    assert carried(found) == ["k = 2"]
    assert found.run(n=5) == {"total": 10}


def test_steps_written_in_the_wrong_order_are_moved() -> None:
    assert flow("%%flow a.sum --out total\ntotal = sum(rows)", "%%flow a.load\nrows = [1, 2]").run() == {
        "total": 3
    }


def test_the_last_cell_of_a_step_counts() -> None:
    assert flow("%%flow a\n1 + 1", "%%flow a\n1 + 2").run() == {"result": 3}


def test_a_name_that_no_cell_binds_is_told_with_its_cell() -> None:
    with pytest.raises(CaptureError, match=r"it\.ipynb: `%%flow a` reads `missing`, which no cell"):
        flow("x = 1", "%%flow a\nx + missing")


def test_a_cell_that_is_not_python_is_told_with_its_line() -> None:
    with pytest.raises(CaptureError, match="cell 2, line 3"):
        flow("x = 1", "%%flow a\ny = 1\nx = = 2")


def test_a_line_that_cannot_be_read_does_not_hide_other_flows() -> None:
    notebook = saved("%%flow ../x\n1", "%%flow good\n1 + 1")
    assert notebook.names == ["good"]
    assert "cell 1 of it.ipynb" in notebook.problems[0]


def test_a_module_beside_the_notebook_is_recorded_as_the_projects_own(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("K = 1")
    found = saved("from mine import K", "%%flow a\nK", folder=tmp_path).flow("a")
    assert [(entry.how, entry.source) for entry in found.closure] == [("module", "from mine import K")]
    assert list(found.requirements.modules) == ["mine"]


def test_values_made_from_a_changed_one_are_other_content() -> None:
    one = flow("x = int('1')", "y = x + 1", "%%flow a\ny")
    two = flow("x = int('2')", "y = x + 1", "%%flow a\ny")
    assert one != two
    assert one == flow("unused = 5", "x = int('1')", "y = x + 1", "%%flow a\ny")


def test_features_of_the_future_hold_for_what_is_carried() -> None:
    found = flow(
        "import math",
        "from __future__ import annotations",
        "def f(x: int): return math.pi",
        "%%flow a\nf.__annotations__",
    )
    assert carried(found) == [
        "import math",
        "from __future__ import annotations",
        "def f(x: int): return math.pi",
    ]
    assert found.run() == {"result": {"x": "int"}}


def test_a_misspelt_name_is_told_with_the_nearest() -> None:
    with pytest.raises(CaptureError, match=r"`read_co`.*did you mean `read_co2`"):
        flow("def read_co2(): return 1", "%%flow a\nread_co()")


def test_an_expression_too_long_to_be_read_is_told() -> None:
    with pytest.raises(CaptureError, match=r"it\.ipynb: .*nested too deeply"):
        flow("x = " + "-" * 800 + "1", "def f(y): return y", "z = f(" + "x + " * 30_000 + "x)", "%%flow a\nz")


def test_text_that_is_no_text_is_told() -> None:
    with pytest.raises(CaptureError, match="not text that Python reads"):
        flow("%%flow a\nx = '\ud800'\nx")
