"""The notebooks that are run for measuring, and what runs them: this engine, and its peers."""

from __future__ import annotations

import contextlib
import io
import logging
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat.v4 as v4

from benchmarks.measuring import Times, timed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbformat import NotebookNode

_WARM_UP = 5  #: times more that what is quick is done first
_SETTLING = 2.0  #: seconds
_QUICK = 0.5  #: seconds that it takes at most
_OFTEN = 5  #: times that it is done in each round
_PAUSE = 0.2  #: seconds

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}

PANDAS = (
    "import numpy as np\nimport pandas as pd",
    "table = pd.DataFrame({'a': np.arange(1000), 'b': np.arange(1000) % 7})\ntable.head()",
    "table.merge(table.groupby('b').a.mean().rename('mean'), left_on='b', right_index=True).describe()",
)
PLOT = (
    "import matplotlib.pyplot as plt",
    "fig, ax = plt.subplots()\nax.plot([1, 3, 2, 4])\nax.set_title('four points')\nplt.close(fig)",
    "fig",
)
TWENTY_MB = ("print(('x' * 99 + chr(10)) * 200_000, end='')",)
SLOW_12_MB = ("import time",) + 60 * ("time.sleep(0.1)\nprint(('x' * 99 + chr(10)) * 2_000, end='')",)
FIFTY_MB = ("print(('x' * 99 + chr(10)) * 500_000, end='')",)


def trivial(cells: int) -> tuple[str, ...]:
    """Return the sources of that many trivial cells."""
    return tuple(f"x{number} = 1 + {number}" for number in range(cells))


def notebook(sources: tuple[str, ...]) -> NotebookNode:
    """Return a notebook of these cells."""
    cells = [v4.new_code_cell(source) for source in sources]
    return v4.new_notebook(cells=cells, metadata={"kernelspec": KERNEL})


def here(nb: NotebookNode) -> None:
    """Execute the cells in this process, in one IPython shell that is not even cleaned in between."""
    from IPython.utils.capture import capture_output

    shell = _shell()
    with capture_output():
        for cell in nb.cells:
            shell.run_cell(cell.source).raise_error()


@cache
def _shell() -> Any:
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.core.pylabtools import select_figure_formats

    shell = InteractiveShell.instance()
    shell.enable_gui = lambda _gui=None: None  # this bare shell has none, and pyplot asks for one
    with contextlib.suppress(ImportError):  # where there is no matplotlib, nothing is plotted
        select_figure_formats(shell, {"png"}, bbox_inches="tight")
    return shell


def forked(nb: NotebookNode, folder: Path | None = None, output: Path | None = None) -> NotebookNode:
    """Execute with flownb's engine alone: nothing is recorded. Returns the executed notebook.

    It is written to `output`, where there is one, as papermill's standard engine writes it: while it runs,
    and at the end.
    """
    from flownb.engine import execute
    from flownb.engine.observe import Observer

    kept: list[NotebookNode] = []

    def keep(nb: NotebookNode) -> None:
        kept.append(nb)
        started(nb)

    observer: Any = Observer()
    if output is not None:
        from flownb.engine.saver import Saver  # which imports papermill

        observer = Saver(str(output))
    started = observer.notebook_started
    observer.notebook_started = keep
    ending = execute(nb, engine="flownb", cwd=folder or Path.cwd(), observer=observer)
    if output is not None:
        observer.write(kept[0])
    if ending.engine != "flownb" or ending.how != "success":
        raise RuntimeError(f"that was no run to be measured: {ending}")
    return kept[0]


def papermill(nb: NotebookNode, engine: str | None = None, output: Path | None = None) -> NotebookNode:
    """Execute through papermill: with its standard engine, or the one of that name."""
    import papermill as pm

    logging.getLogger("papermill").setLevel(logging.ERROR)
    with contextlib.redirect_stderr(io.StringIO()):
        return pm.execute_notebook(nb, output, engine_name=engine, progress_bar=False)


def embedded(nb: NotebookNode) -> NotebookNode:
    """Execute with ploomber-engine, in this process."""
    with contextlib.redirect_stdout(io.StringIO()):
        return papermill(nb, "embedded")


def alternating(act: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Times]:
    """Do all of it to warm up, then in turn, so that a machine that slows down slows all.

    What takes a second is done twice first. What is quick is done more often first, and several times in
    each round: of milliseconds, a few are no measure. Before each there is a pause, as there is between the
    runs of people; runs without one are the benchmark `engine`'s.
    """
    quick = {name: each for name, each in act.items() if _is_quick(each)}
    time.sleep(_SETTLING)  # what a template does behind its second run has its time
    for _ in range(_WARM_UP):
        for each in quick.values():
            _timed_later(each)
    seconds: dict[str, list[float]] = {name: [] for name in act}
    for _ in range(rounds):
        for acts in (act, *[quick] * (_OFTEN - 1)):
            for name, each in acts.items():
                seconds[name].append(_timed_later(each))
    return {name: Times(tuple(found)) for name, found in seconds.items()}


def _is_quick(act: Callable[[], object]) -> bool:
    return min(_timed_later(act), _timed_later(act)) < _QUICK


def _timed_later(act: Callable[[], object]) -> float:
    time.sleep(_PAUSE)
    return timed(act)
