"""What importing and loading cost, in fresh processes."""

from __future__ import annotations

from benchmarks.measuring import Row, in_fresh_process, in_turn

_IMPORT = """
import json, time
start = time.perf_counter()
import {name}
print(json.dumps(time.perf_counter() - start))
"""

_SHELL = """
import json, time
from IPython.core.interactiveshell import InteractiveShell
start = time.perf_counter()
shell = InteractiveShell.instance()
ready = time.perf_counter()
shell.run_line_magic("load_ext", "{extension}")
loaded = time.perf_counter()
print(json.dumps({seconds}))
"""


def rows(rounds: int) -> list[Row]:
    """Measure `import flownb` and `%load_ext flownb`."""
    ours, peer = in_turn(
        lambda: in_fresh_process(_IMPORT.format(name="flownb")),
        lambda: in_fresh_process(_IMPORT.format(name="papermill")),
        rounds,
    )
    load, bare = in_turn(
        lambda: in_fresh_process(_SHELL.format(extension="flownb", seconds="loaded - ready")),
        lambda: in_fresh_process(_SHELL.format(extension="autoreload", seconds="ready - start")),
        rounds,
    )
    return [
        Row("import flownb", ours, "import papermill", peer),
        Row("%load_ext flownb", load, "IPython's bare shell made", bare, "under 60 ms"),
    ]
