"""What was executed, edited or taken away after a capture is told; what changes nothing is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from faithful import save
from shell import Shell, ipython

from flownb.capture.stale import changed_modules
from flownb.storage import open_storage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import Any

pytestmark = pytest.mark.long


@pytest.fixture
def notebook(project: Path) -> Iterator[Shell]:
    with ipython() as shell:
        yield shell


FLOW = "%%flow f\n"
CHANGES = [
    ("def helper(): return 1", "helper()", "def helper(): return 2", "`helper` was redefined in In[3]"),
    ("rows = [1]", "rows", "rows = [2]", "`rows` was bound again in In[3]"),
    ("rows = [1]", "rows", "rows.append(2)", "`rows` was changed in In[3]"),
    ("rows = [1]", "rows", "same = rows; same.append(2)", "`same` was changed in In[3]"),
    (
        "import pandas as pd",
        "repr(pd.DataFrame([0.5]))",
        "pd.set_option('display.precision', 1)",
        "what pandas is set to was changed in In[3]",
    ),
    (
        "import random\nrandom.seed(1)",
        "random.random()",
        "random.seed(2)",
        "what random is set to was changed in In[3]",
    ),
    (
        "import numpy as np\nnp.random.seed(1)",
        "np.random.rand()",
        "np.random.seed(2)",
        "what numpy.random is set to was changed in In[3]",
    ),
    (
        "import numpy as np\nrng = np.random.default_rng(1)",
        "rng.random()",
        "rng = np.random.default_rng(2)",
        "`rng` was bound again in In[3]",
    ),
    (
        "import numpy as np\nnp.random.seed(1)",
        "np.random.rand()",
        "np.random.seed(4); y = np.random.rand()",
        "what numpy.random is set to was changed in In[3]",
    ),
    ("rows = [1]", "rows", "other, rows = 1, [2]", "`rows` was bound again in In[3]"),
    ("from math import pi", "pi", "from cmath import pi", "`pi` was imported again in In[3]"),
]


@pytest.mark.parametrize(("above", "step", "then", "told"), CHANGES, ids=[one[2] for one in CHANGES])
def test_what_was_executed_since_is_told_with_its_cell(
    above: str, step: str, then: str, told: str, notebook: Shell
) -> None:
    notebook.ok(above)
    notebook.ok(FLOW + step)
    assert notebook.live.notes("f") == []
    notebook.ok(then)
    (note,) = notebook.live.notes("f")
    assert note == f"{told}, after `%%flow f` was captured: run that cell again to capture it as it is now"
    for line in ("%flow", "%flow show f", "%flow check f"):
        assert told in " ".join(notebook.ok(line).text.split())
    notebook.ok(FLOW + step)
    assert notebook.live.notes("f") == []


NO_CHANGES = [
    ("x = 5\nx", "_ + 1", "x + 10"),
    ("x = 5\nx", "Out[1] + 1", "x + 10"),
    ("import numpy as np", "np.random.seed(3)\nnp.random.rand()", "np.random.seed(1)\ny = np.random.rand()"),
    ("import pandas as pd, math", "math.pi", "pd.set_option('display.precision', 1)"),
    ("import numpy as np\nnp.random.seed(3)", "np.random.rand()", "y = np.random.rand()"),
    ("rows = [1]", "rows", "print(rows)\nlen(rows)\nother = [*rows, 2]"),
]


@pytest.mark.parametrize(("above", "step", "then"), NO_CHANGES, ids=[one[1] for one in NO_CHANGES])
def test_what_leaves_the_flow_as_it_is_is_not_told(above: str, step: str, then: str, notebook: Shell) -> None:
    notebook.ok(above)
    notebook.ok(FLOW + step)
    notebook.ok(then)
    assert notebook.live.notes("f") == []


def test_an_edited_module_is_told(notebook: Shell, project: Path) -> None:
    (project / "own.py").write_text("def h(): return 1\n")
    notebook.ok("import sys\nsys.path.insert(0, '')\nimport own")
    notebook.ok(FLOW + "own.h()")
    assert "own.py" not in notebook.ok("%flow").text
    (project / "own.py").write_text("def h(): return 22\n")
    assert "own.py was edited since f was captured; a run uses what is there now" in notebook.ok("%flow").text


def test_a_module_in_a_folder_that_the_notebook_added_is_found(notebook: Shell, project: Path) -> None:
    (project / "lib").mkdir()
    (project / "lib" / "aside.py").write_text("def h(): return 1\n")
    notebook.ok("import sys\nsys.path.insert(0, 'lib')\nimport aside")
    flow = notebook.ok(FLOW + "aside.h()").records and notebook.live.flow("f")
    assert list(changed_modules(flow)) == []
    (project / "lib" / "aside.py").write_text("def h(): return 22\n")
    assert list(changed_modules(flow)) == ["aside.py was edited"]
    (project / "lib" / "aside.py").unlink()
    assert list(changed_modules(flow)) == ["its module aside is not there any more"]


CELLS = ("k = 2", "%%flow f.a\nx = k", "%%flow f.b\nx + 1")


def saved(path: Path, *sources: str) -> None:
    cells = [
        {"cell_type": "code", "id": f"cell-{i}", "metadata": {}, "source": source}
        for i, source in enumerate(sources)
        if source
    ]
    save(cells, path, outputs=False)


def test_a_cell_that_was_edited_and_saved_or_taken_away_is_told(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = project / "n.ipynb"
    saved(path, *CELLS)
    monkeypatch.setenv("JPY_SESSION_NAME", str(path))
    with ipython() as shell:
        for index, source in enumerate(CELLS):
            shell.ok(source, f"cell-{index}")
        assert shell.live.notes("f") == []
        saved(path, CELLS[0], "%%flow f.a\nx = k * 3", CELLS[2])
        assert shell.live.notes("f") == [
            "`%%flow f.a` was edited since it was captured: run it again to capture it as it is now"
        ]
        saved(path, CELLS[0], CELLS[1], "")
        assert shell.live.notes("f") == [
            "`%%flow f.b` is gone from the notebook: `%flow forget f.b` takes it out of f"
        ]


def test_a_step_that_did_not_run_in_this_kernel_is_told(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = project / "n.ipynb"
    saved(path, *CELLS)
    monkeypatch.setenv("JPY_SESSION_NAME", str(path))
    with ipython() as shell:
        shell.ok(CELLS[0], "cell-0")
        shell.ok(CELLS[1], "cell-1")
        assert shell.live.notes("f") == ["step b did not run in this kernel: it is as saved"]
        assert [step.name for step in shell.live.flow("f").steps] == ["a", "b"]


def test_a_notebook_that_changes_its_folder_keeps_its_place(project: Path) -> None:
    with ipython() as shell:
        shell.ok("import os\nos.makedirs('data', exist_ok=True)\nos.chdir('data')")
        shell.ok(FLOW + "os.getcwd()")
        flow = shell.live.flow("f")
        assert flow.folder == project
        assert [entry.source for entry in flow.closure] == ["import os", "os.chdir('data')"]


def recorded(shell: Shell, sources: Sequence[str], counts: Sequence[int]) -> list[dict[str, Any]]:
    """Run cells, and return them as a front end would save them."""
    cells = []
    for index, (source, count) in enumerate(zip(sources, counts, strict=True)):
        data = shell.ok(source, f"cell-{index}").outputs
        outputs = [{"output_type": "display_data", "data": one, "metadata": {}} for one in data]
        cells.append(cell(index, source, count, outputs))
    return cells


def cell(
    index: int, source: str, count: int | None = None, outputs: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "id": f"cell-{index}",
        "metadata": {},
        "source": source,
        "outputs": list(outputs),
        "execution_count": count,
    }


def test_the_newest_record_counts_after_the_kernel_was_started_again(project: Path) -> None:
    path = project / "n.ipynb"
    with ipython() as shell:
        before = recorded(shell, CELLS, (55, 56, 57))
    with ipython() as shell:
        now = recorded(shell, ("k = 300", CELLS[1]), (1, 2))
        after = recorded(shell, (CELLS[2],), (3,))
    storage = open_storage(save([*now, before[2]], path, outputs=True))
    flow = storage.get_flow("f")
    assert [entry.source for entry in flow.closure] == ["k = 2"]  # step b did not run again
    assert "`k = 300` is in one of them only" in " ".join(storage.notes(flow))
    flow = open_storage(save([*now, *after], path, outputs=True)).get_flow("f")
    assert [entry.source for entry in flow.closure] == ["k = 300"]


CHANGED = [
    ("", CELLS[1], "%%flow f.b\nx + 100", "cell 3 was edited since the capture"),
    ("", CELLS[1], "x + 1", "`%%flow f.b` is gone from the notebook"),
    ("", "%%flow f.a\nx = k + 1", "x + 1", "cell 2 was edited since the capture, `%%flow f.b` is gone"),
    ("%%flow f.c\nprint(x)", CELLS[1], CELLS[2], "cell 4 was added since the capture"),
]


@pytest.mark.parametrize(("more", "a", "b", "told"), CHANGED, ids=[one[3] for one in CHANGED])
def test_a_notebook_saved_with_other_cells_than_were_captured_says_which(
    more: str, a: str, b: str, told: str, project: Path
) -> None:
    with ipython() as shell:
        recorded(shell, CELLS, (1, 2, 3))
        cells = recorded(shell, CELLS, (4, 5, 6))  # now each record knows both steps
    cells[1]["source"], cells[2]["source"] = a, b
    storage = open_storage(
        save([*cells, *([cell(3, more)] if more else [])], project / "n.ipynb", outputs=True)
    )
    (note,) = storage.notes(storage.get_flow("f"))
    assert told in note
    assert note.endswith(": f is taken from the cells")


BETWEEN = ("k = 5", "%%flow f.a --out x\nx = k", "k = 6", "%%flow f.b --out y\ny = (x, k)")


def test_what_stands_between_two_steps_is_no_news_for_the_one_above(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(project / "n.ipynb", *BETWEEN)
    monkeypatch.setenv("JPY_SESSION_NAME", str(project / "n.ipynb"))
    with ipython() as shell:
        for _ in range(2):
            for index, source in enumerate(BETWEEN):
                assert "⚠" not in shell.ok(source, f"cell-{index}").text
            assert shell.live.notes("f") == []
        assert shell.live.flow("f").run() == {"x": 5, "y": (5, 6)}
        shell.ok("k = 7", "cell-2")
        (note,) = shell.live.notes("f")
        assert "after `%%flow f.b` was captured" in note
        shell.ok(BETWEEN[3], "cell-3")
        shell.ok("k = 8", "cell-0")
        assert [note.split("`")[3] for note in shell.live.notes("f")] == ["%%flow f.a", "%%flow f.b"]


def test_a_capture_says_which_steps_above_are_stale(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(project / "n.ipynb", *CELLS)
    monkeypatch.setenv("JPY_SESSION_NAME", str(project / "n.ipynb"))
    told = "⚠ `k` was bound again in In[4], after `%%flow f.a` was captured"
    with ipython() as shell:
        for index, source in enumerate(CELLS):
            shell.ok(source, f"cell-{index}")
        shell.ok("k = 3", "cell-0")
        shown = shell.ok(CELLS[2], "cell-2")
        assert told in " ".join(shown.text.split())
        (record,) = shown.records
        assert "bound again" not in str(record)  # it is what is now, and no part of the flow
        assert "⚠" not in shell.ok(CELLS[1], "cell-1").text
        assert "⚠" not in shell.ok(CELLS[2], "cell-2").text
