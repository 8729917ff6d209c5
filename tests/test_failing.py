"""A cell that failed counts up to its error, also where other code runs in its namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from shell import Shell, ipython
from traitlets.config import Config

from flownb.capture.saved import SavedNotebook

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.long


ABOVE = "a = b = 0\ndef f(x): return 1 / x"
FLOW = "%%flow g\n(a, b)"

#: cells that end with an error, and what `a` and `b` are then
CELLS = {
    "a = 1\nb = 2\nf(0)\nb = 3": (1, 2),
    "\n\na = 1\nb = 2\nf(0)\nb = 3": (1, 2),
    "a = 1; b = 2\ndef g():\n    f(0)\n\ng()\nb = 3": (1, 2),
    "a = 1\nb = 2\nf(\n    0\n)\nb = 3": (1, 2),
    "a = 1\nb = 2\ntry:\n    f(0)\nexcept Exception as error:\n    raise ValueError from error\nb = 3": (
        1,
        2,
    ),
    "import asyncio\na = 1\nb = 2\nawait asyncio.sleep(0)\nf(0)\nb = 3": (1, 2),
    "a = 1\nb = 2\n%time f(0)\nb = 3": (1, 2),
    "a = 1\nb = 2\n%time b = f(0)\nb = 3": (1, 2),
    "a = 1\nb = 2\n%timeit -n1 -r1 f(0)\nb = 3": (1, 2),
    "a = 1\nb = 2\nexec('1 / 0')\nb = 3": (1, 2),
    "a = 1\nb = 2\nexec('pass\\n' * 9 + '1 / 0', globals())\nb = 3": (1, 2),
    "%%time\na = 1\nb = 2\nf(0)\nb = 3": (1, 2),
    "\n%%time\n\n\na = 1\nb = 2\nf(0)\nb = 3": (1, 2),
    "%%prun -q\na = 1\nb = 2\nf(0)\nb = 3": (1, 2),
    "%%time\n%%prun -q\na = 1\nb = 2\nf(0)\nb = 3": (1, 2),
    "a = 1\nb = = 2": (0, 0),
}
#: cells of which IPython tells in its events alone
LIVE = {
    "a = 1\nreturn b": (1, 0),  # Python refuses the second statement when the first one was executed
    "%%flow q\n\na = 1\nb = 2\nf(0)\nb = 3": (1, 2),
    "%%flow q\n%%time\na = 1\nb = 2\nexec('1 / 0')\nb = 3": (1, 2),
}


@pytest.fixture
def plain() -> Iterator[Shell]:
    """Give a shell in which the extension is not loaded yet, with the colours that people have."""
    InteractiveShell.clear_instance()
    config = Config()
    config.HistoryManager.enabled = False
    shell = Shell(InteractiveShell.instance(config=config))
    yield shell
    shell.run("%unload_ext flownb")
    InteractiveShell.clear_instance()


@pytest.mark.parametrize(("cell", "values"), [*CELLS.items(), *LIVE.items()])
def test_a_cell_counts_up_to_its_error(cell: str, values: tuple[int, int], project: Path) -> None:
    with ipython() as shell:
        shell.ok(ABOVE)
        assert not shell.run(cell).success
        assert (shell["a"], shell["b"]) == values
        shell.ok(FLOW)
        assert shell.live.flow("g").run() == {"result": values}


@pytest.mark.parametrize(("cell", "values"), CELLS.items())
def test_so_does_one_from_before_the_extension_and_one_of_a_saved_notebook(
    cell: str, values: tuple[int, int], plain: Shell, project: Path
) -> None:
    plain.ok(ABOVE)
    plain.run(cell)
    error: dict[str, Any] = plain.shell.history_manager.exceptions[2]
    plain.ok("%load_ext flownb")
    plain.ok(FLOW)
    assert plain.live.flow("g").run() == {"result": values}
    sources = {ABOVE: [], cell: [{"output_type": "error", **error}], FLOW: []}
    cells = [
        {"cell_type": "code", "metadata": {}, "source": source, "outputs": outputs}
        for source, outputs in sources.items()
    ]
    assert SavedNotebook(cells, "it.ipynb").flow("g").run() == {"result": values}
