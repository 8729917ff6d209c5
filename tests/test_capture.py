"""What a run has of what ran before: state of libraries, data read anew, frozen values, open things."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest
from faithful import run_live, save, stored
from notebook_corpus import Notebook

from flownb.parameters import render

if TYPE_CHECKING:
    from pathlib import Path


def test_a_parameter_replaces_the_value_and_what_was_made_from_the_old_one_stays(project: Path) -> None:
    cells = ("n = 3\nlim = n * 100\ndef late(): return n", "%%flow f\nn: int = 3\n(n, lim, late())")
    live = run_live(Notebook(cells))
    cleared = save(live.cells, project / "cleared.ipynb", outputs=False)
    for flow in (live.flows["f"], stored(cleared, "f")):
        assert flow.run(n=5) == {"result": (5, 300, 5)}


STATE = [
    ("import numpy as np\nnp.random.seed(2)\nnp.random.rand(3)", "np.random.rand(2).tolist()"),
    ("import random\nrandom.seed(2)\n[random.random() for _ in range(3)]", "random.random()"),
    (
        "import pandas as pd\npd.set_option('display.max_rows', 4)\ndf = pd.DataFrame({'a': range(9)})",
        "repr(df)",
    ),
    (
        "import matplotlib.pyplot as plt\nplt.rcParams['lines.linewidth'] = 7",
        "plt.rcParams['lines.linewidth']",
    ),
    ("import decimal\ndecimal.getcontext().prec = 5", "str(decimal.Decimal(1) / 3)"),
    ("import warnings, numpy as np\nwarnings.filterwarnings('error')", "warnings.filters[0][0]"),
    (
        "import logging\nlog = logging.getLogger('x')\nlog.setLevel(logging.ERROR)",
        "logging.getLogger('x').level",
    ),
    (
        "import codecs\ncodecs.register_error('dots', lambda error: ('...', error.end))",
        "'a\u00e9'.encode('ascii', 'dots')",
    ),
    ("import sys\nsys.path.append('elsewhere')", "'elsewhere' in sys.path"),
    ("import sys\nsys.setrecursionlimit(4321)", "sys.getrecursionlimit()"),
    ("import os\nos.environ['FLOWNB_TEST'] = 'here'", "os.environ['FLOWNB_TEST']"),
    (
        "import pandas as pd\npd.DataFrame.shout = lambda self: len(self) * '!'",
        "pd.DataFrame([1, 2]).shout()",
    ),
    (
        (
            "import pandas as pd\n@pd.api.extensions.register_dataframe_accessor('mine')\nclass Mine:\n"
            "    def __init__(self, df): self.df = df\n    def size(self): return self.df.size"
        ),
        "pd.DataFrame([1, 2]).mine.size()",
    ),
    ("import own, matplotlib.pyplot as plt\nown.set_plot_style()", "plt.rcParams['axes.labelsize']"),
    (
        "import matplotlib.pyplot as plt\ndef mine():\n    plt.rcParams['axes.titlesize'] = 31\nmine()",
        "plt.rcParams['axes.titlesize']",
    ),
]
OWN = {
    "own.py": "import matplotlib as mpl\n\ndef set_plot_style():\n    mpl.rcParams['axes.labelsize'] = 23.0\n"
}


@pytest.mark.kernel
@pytest.mark.parametrize(("above", "step"), STATE, ids=[above.split("\n")[-1][:40] for above, _ in STATE])
def test_state_of_libraries_that_a_cell_above_set_is_there_in_a_run(
    above: str, step: str, project: Path
) -> None:
    from flownb.environments import LocalEnvironment
    from flownb.storage import open_storage

    live = run_live(Notebook((above, f"%%flow f\n{step}"), OWN))
    wanted = live.outputs["f"]["result"]
    for outputs in (True, False):
        path = save(live.cells, project / f"saved-{outputs}.ipynb", outputs=outputs)
        run = LocalEnvironment().execute(open_storage(path), "f")
        run.raise_for_state()
        from faithful import plain

        assert plain(run.outputs["result"]) == wanted


def test_data_is_read_anew_and_kept_where_it_is_frozen(project: Path) -> None:
    cells = (
        "from pathlib import Path\nraw = Path('d.csv').read_text().split()",
        "%%flow count --out n\nn = len(raw)",
        "%%flow frozen --freeze raw --out n\nn = len(raw)",
    )
    notebook = Notebook(cells, {"d.csv": "1\n2\n"})
    live = run_live(notebook)
    cleared = save(live.cells, project / "cleared.ipynb", outputs=False)
    (project / "d.csv").write_text("1\n2\n3\n")
    assert live.flows["count"].run() == {"n": 3}
    assert stored(cleared, "count").run() == {"n": 3}
    assert live.flows["frozen"].run() == {"n": 2}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of files left open
@pytest.mark.parametrize(
    "made",
    [
        "import threading\nx = threading.Lock()\ny = x.locked()",
        (
            "import sqlite3\nx = sqlite3.connect(':memory:')\nx.execute('create table t (a)')\n"
            "x.execute('insert into t values (7)')\ny = 1"
        ),
        "x = open('d.csv')\nx.readline()\ny = 1",
        "import pandas as pd, numpy as np\nx = pd.DataFrame(np.zeros((200_000, 17)))\ny = x.size",
        "x = (v for v in range(5))\nnext(x)\ny = 1",
    ],
    ids=["lock", "connection", "open file", "table of 27 MB", "generator"],
)
def test_what_cannot_be_written_down_is_made_again(made: str, project: Path) -> None:
    live = run_live(Notebook((made, "%%flow f\n(type(x).__name__, y)"), {"d.csv": "1\n2\n"}))
    flow = live.flows["f"]
    assert all(entry.how != "frozen" for entry in flow.closure)
    assert sum(entry.size for entry in flow.closure) < 1000
    cleared = save(live.cells, project / "cleared.ipynb", outputs=False)
    assert flow.digest == stored(cleared, "f").digest
    assert {name: render(value) for name, value in flow.run().items()}
    del live, flow
    gc.collect()  # what the notebook leaves open is told of here, and not in another test


def test_a_cell_that_failed_counts_up_to_its_error(project: Path) -> None:
    from shell import ipython

    with ipython() as shell:
        shell.ok("rows = []")
        shell.run(
            "rows.append(1)\nfor v in (2, 3):\n    rows.append(v)\n    if v == 3: raise ValueError\nrows = 7"
        )
        shell.ok("%%flow f\nrows")
        assert shell.live.flow("f").run() == {"result": [1, 2, 3]}


def test_what_is_frozen_at_once_is_told_in_one_line(project: Path) -> None:
    from shell import ipython

    with ipython() as shell:
        shell.ok("rows = [[1]]\npair = (rows[0], rows)\nname = 'x'")
        told = " ".join(shell.ok("%%flow f --freeze rows,pair,name\nrows, pair, name").text.split())
        assert told.count("frozen since") == 1
        assert "`name` (str, 3 B), `rows`, `pair` (list of 1; tuple of 2, " in told
        assert "the same values in each run; bind them in cells above" in told
        card = shell.ok("%flow show f").text
        assert "Has 3 values frozen (" in card
        assert "0 statements" not in card
        assert "# frozen: rows (list of 1), pair (tuple of 2)\n" in shell.live.flow("f").closure[-1].source
        found = shell.live.flow("f").run()["result"]
        assert found[1][0] is found[0][0]


def test_a_frozen_name_is_not_among_those_that_are_made_again(project: Path) -> None:
    from shell import ipython

    with ipython() as shell:
        shell.ok("kept = [1]\nmade = [2]")
        assert "replays  In[1]: made\n" in shell.ok("%%flow f --freeze kept\nkept, made").text


def test_a_name_that_no_cell_binds_is_frozen_together_with_what_it_shares(project: Path) -> None:
    from shell import ipython

    with ipython() as shell:
        shell.ok("class Config:\n    lr = 1")
        shell.shell.user_ns["shared"] = [1]
        shell.shell.user_ns["one"] = {"rows": shell["shared"], "config": shell["Config"]()}
        shell.ok("%%flow f\nshared.append(5)\n(one['rows'], isinstance(one['config'], Config))")
        flow = shell.live.flow("f")
        assert [entry.how for entry in flow.closure] == ["statement", "frozen"]
        assert flow.run() == {"result": ([1, 5], True)}
        assert flow.run() == {"result": ([1, 5], True)}
