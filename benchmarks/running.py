"""What a run costs: the engine and a recorded run, beside papermill's engine, ploomber-engine and no engine.

The same notebooks, in the same process, in turn. What is wanted is told beside each figure, with whether it
is met. The peer `embedded` comes with the extra `bench`; without it its rows are missing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import notebooks
from benchmarks.measuring import Row, Times, in_fresh_process, in_turn, timed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_FIRST = """
import json, time, warnings
start = time.perf_counter()
warnings.simplefilter("ignore")
from benchmarks.notebooks import {act}, notebook, trivial
{act}(notebook(trivial(1)))
print(json.dumps(time.perf_counter() - start))
"""

_FIRST_RECORDED = """
import json, time, warnings
start = time.perf_counter()
warnings.simplefilter("ignore")
from flownb.environments import LocalEnvironment
from flownb.storage import open_storage
storage = open_storage({folder!r} + "/store.ipynb")
LocalEnvironment().execute(storage, "many", {{"n": 2}}).raise_for_state()
print(json.dumps(time.perf_counter() - start))
"""

_FIRST_SAVED = """
import json, time, warnings
start = time.perf_counter()
warnings.simplefilter("ignore")
import papermill
document = {folder!r} + "/document.ipynb"
papermill.execute_notebook(document, {folder!r} + "/out.ipynb", {{"n": 2}}, progress_bar=False)
print(json.dumps(time.perf_counter() - start))
"""

PAPERMILL, EMBEDDED, HERE = "papermill", "ploomber-engine", "run_cell in this process"


def rows(rounds: int) -> list[Row]:
    """Measure it all; the kinds of notebook first, then processes and commands as a whole."""
    return [
        *_notebook("1 trivial cell, warm", notebooks.trivial(1), rounds, quicker=100, above_ms=25),
        *_notebook("100 trivial cells", notebooks.trivial(100), rounds, quicker=60, cell_ms=1),
        *_notebook("1,000 trivial cells", notebooks.trivial(1000), _few(rounds), cell_ms=1),
        *_notebook("3 pandas cells", notebooks.PANDAS, rounds, quicker=60),
        *_notebook("a matplotlib plot", notebooks.PLOT, rounds, quicker=25),
        *_notebook("a 20 MB output", notebooks.TWENTY_MB, _few(rounds), quicker=4),
        _drop_in(rounds),
        _first(_few(rounds)),
        _first_recorded(_few(rounds)),
        _command(_few(rounds)),
        *_recorded(rounds),
    ]


def _few(rounds: int) -> int:
    return max(2, rounds // 2)


def _notebook(
    what: str,
    sources: tuple[str, ...],
    rounds: int,
    *,
    quicker: float | None = None,
    above_ms: float | None = None,
    cell_ms: float | None = None,
) -> Iterator[Row]:
    """Measure a notebook, by the engine alone and by each peer: nothing is written by any of them.

    Then, where a factor is wanted, beside papermill as it is used: the executed notebook is to be a file,
    which takes papermill longer with each cell. Both say whether the factor is reached.
    """
    nb = notebooks.notebook(sources)
    act: dict[str, Callable[[], object]] = {
        "flownb": lambda: notebooks.forked(nb),
        PAPERMILL: lambda: notebooks.papermill(nb),
        HERE: lambda: notebooks.here(nb),
    }
    if find_spec("ploomber_engine"):
        act[EMBEDDED] = lambda: notebooks.embedded(nb)
    times = notebooks.alternating(act, rounds)
    ours = times.pop("flownb")
    above = (ours.median - times[HERE].median) * 1000
    limit = times[HERE]
    wants = {PAPERMILL: _times_quicker(ours, times[PAPERMILL], quicker, limit), HERE: f"{above:+.1f} ms"}
    if above_ms is not None:
        wants[HERE] += f", wanted at most {above_ms:g}: {_met(above <= above_ms)}"
    if cell_ms is not None:
        each = ours.median * 1000 / len(sources)
        wants[HERE] += f"; {each:.2f} ms a cell, wanted at most {cell_ms:g}: {_met(each <= cell_ms)}"
    for peer, seconds in times.items():
        yield Row(what, ours, peer, seconds, wants.get(peer, _times_quicker(ours, seconds, None)))
    if quicker is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out.ipynb")
        saved = notebooks.alternating(
            {
                "ours": lambda: notebooks.forked(nb, output=out),
                PAPERMILL: lambda: notebooks.papermill(nb, None, out),
            },
            rounds,
        )
    told = _times_quicker(saved["ours"], saved[PAPERMILL], quicker, limit)
    yield Row(f"{what}, saved", saved["ours"], PAPERMILL, saved[PAPERMILL], told)


def _times_quicker(ours: Times, peer: Times, wanted: float | None, limit: Times | None = None) -> str:
    """Say how many times quicker, and whether that is what is wanted.

    Where it is not, it says as well how many times quicker the cells alone are, in this process: nothing
    that runs them can be quicker than that.
    """
    factor = peer.median / ours.median
    told = f"{factor:.1f} times quicker"
    if wanted is None:
        return told
    told = f"{told}, wanted {wanted:g}: {_met(factor >= wanted)}"
    if factor >= wanted or limit is None:
        return told
    return f"{told} (the cells alone, in this process: {peer.median / limit.median:.0f})"


def _met(yes: bool) -> str:
    return "met" if yes else "NOT MET"


def _drop_in(rounds: int) -> Row:
    """Measure papermill with this engine in it, which reads and writes as papermill does."""
    nb = notebooks.notebook(notebooks.trivial(1))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out.ipynb")
        times = notebooks.alternating(
            {
                "ours": lambda: notebooks.papermill(nb, "flownb", out),
                PAPERMILL: lambda: notebooks.papermill(nb, None, out),
            },
            rounds,
        )
    told = _times_quicker(times["ours"], times[PAPERMILL], None)
    return Row("papermill --engine flownb, 1 cell", times["ours"], PAPERMILL, times[PAPERMILL], told)


def _first(rounds: int) -> Row:
    """Measure the first run of a fresh process: imports, the template's start, the run."""
    ours, peer = in_turn(
        lambda: in_fresh_process(_FIRST.format(act="forked")),
        lambda: in_fresh_process(_FIRST.format(act="papermill")),
        rounds,
    )
    return Row("first run of a fresh process", ours, PAPERMILL, peer, _times_quicker(ours, peer, 1))


def _first_recorded(rounds: int) -> Row:
    """Measure the same of a stored flow, as a script runs it; papermill saves the executed notebook, too."""
    with tempfile.TemporaryDirectory() as folder:
        _store(Path(folder), 1)
        ours, peer = in_turn(
            lambda: in_fresh_process(_FIRST_RECORDED.format(folder=folder)),
            lambda: in_fresh_process(_FIRST_SAVED.format(folder=folder)),
            rounds,
        )
    told = _times_quicker(ours, peer, 1)
    return Row("first recorded run of a fresh process", ours, PAPERMILL, peer, told)


def _command(rounds: int) -> Row:
    """Measure the whole command, from the shell's view."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _store(folder, 1)

        def run(*words: str) -> float:
            start = time.perf_counter()
            subprocess.run([sys.executable, "-m", *words], cwd=folder, capture_output=True, check=True)
            return time.perf_counter() - start

        here = in_turn(
            lambda: run("flownb", "run", "store.ipynb#many", "-p", "n=2"),
            lambda: run("papermill", "document.ipynb", "out.ipynb", "-p", "n", "2", "--no-progress-bar"),
            rounds,
        )
    return Row("flownb run, the whole command", here[0], "papermill, the command", *_half(here))


def _half(times: tuple[Times, Times]) -> tuple[Times, str]:
    share = times[0].median / times[1].median
    return times[1], f"{share:.2f} of its time, wanted at most 0.5: {_met(share <= 0.5)}"


def _recorded(rounds: int) -> Iterator[Row]:
    """Measure recorded runs: the record, the executed notebook on the disk, beside the engine alone."""
    yield _against_papermill(1, rounds)
    yield _against_papermill(100, rounds)
    yield _share("a recorded run, 1 cell", notebooks.trivial(1), rounds)
    yield _share("a recorded run, 200 cells", notebooks.trivial(200), _few(rounds))
    yield _share("a recorded run, a 50 MB output", notebooks.FIFTY_MB, _few(rounds))
    yield _written_meanwhile()


def _store(folder: Path, cells: int | tuple[str, ...]) -> tuple[object, str]:
    """Write a flow to `store.ipynb`, and its document to `document.ipynb`; return the storage and where."""
    from flownb.flow import Flow, Parameter, Step
    from flownb.storage import NotebookStorage

    sources = (
        cells if isinstance(cells, tuple) else tuple(f"x{number} = n + {number}" for number in range(cells))
    )
    steps = tuple(Step(f"s{number}", source) for number, source in enumerate(sources))
    flow = Flow("many", parameters=(Parameter("n", "int", "1"),), steps=steps)
    flow.write(folder / "document.ipynb")
    storage = NotebookStorage(folder / "store.ipynb")
    return storage, storage.add_flow(flow)


def _against_papermill(cells: int, rounds: int) -> Row:
    from flownb.environments import LocalEnvironment

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        storage, location = _store(folder, cells)
        nb = _document(folder)
        times = notebooks.alternating(
            {
                "ours": lambda: LocalEnvironment().execute(storage, location, {"n": 2}).raise_for_state(),
                PAPERMILL: lambda: notebooks.papermill(nb, None, folder / "out.ipynb"),
            },
            rounds,
        )
    told = _times_quicker(times["ours"], times[PAPERMILL], 1)
    return Row(f"a recorded run, {cells} steps", times["ours"], PAPERMILL, times[PAPERMILL], told)


def _share(what: str, sources: tuple[str, ...], rounds: int) -> Row:
    from flownb.environments import LocalEnvironment

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        storage, location = _store(folder, sources)
        nb = _document(folder)
        times = notebooks.alternating(
            {
                "ours": lambda: LocalEnvironment().execute(storage, location, {"n": 2}).raise_for_state(),
                "bare": lambda: notebooks.forked(nb, folder),
            },
            rounds,
        )
    above = (times["ours"].median - times["bare"].median) * 1000
    return Row(what, times["ours"], "the engine alone", times["bare"], f"{above:+.1f} ms")


def _written_meanwhile() -> Row:
    """Measure, once, which part of a run's time goes into writing the notebook while it grows."""
    from flownb.environments import LocalEnvironment
    from flownb.environments.share import Share

    spent: list[float] = []
    wrote = Share.wrote

    def heard(share: Share, seconds: float) -> None:
        spent.append(seconds)
        wrote(share, seconds)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        storage, location = _store(folder, notebooks.SLOW_12_MB)
        nb = _document(folder)
        Share.wrote = heard  # type: ignore[method-assign]
        try:
            ours, peer = in_turn(
                lambda: timed(lambda: LocalEnvironment().execute(storage, location).raise_for_state()),
                lambda: timed(lambda: notebooks.forked(nb, folder)),
                1,
            )
        finally:
            Share.wrote = wrote  # type: ignore[method-assign]
    share = sum(spent) / ours.median
    told = f"written {len(spent)} times meanwhile: {share:.1%} of it, wanted at most 5: {_met(share <= 0.05)}"
    return Row("a recorded run of 6 s, 12 MB", ours, "the engine alone", peer, told)


def _document(folder: Path) -> object:
    import nbformat

    return nbformat.read(os.fspath(folder / "document.ipynb"), as_version=4)
