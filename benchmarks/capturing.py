"""What capturing a cell costs around running it, in a shell that stands in a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys

from benchmarks.measuring import Row, Times

_CODE = """
import json, time
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

shell = InteractiveShell.instance()
names, cells, rounds = {names}, {cells}, {rounds}
CELL = "n: int = 3\\nrows = [scale(v) for v in VALUES][:n]\\ntotal = sum(rows) + OFFSET\\n"

def run(source):
    start = time.perf_counter()
    with capture_output():
        result = shell.run_cell(source, store_history=True)
    result.raise_error()
    return time.perf_counter() - start

run("%load_ext flownb")
run("import math\\nVALUES = list(range(10))\\nOFFSET = 2\\ndef scale(v):\\n    return math.sqrt(v)")
for index in range(cells):
    run(f"def helper_{{index}}(x):\\n    return x + {{index}}")
shell.user_ns.update({{f"name_{{i}}": i for i in range(names)}})
first = run("%%flow a --out total\\n" + CELL)
with_flow, without = [], []
for index in range(rounds):
    with_flow.append(run("%%flow a --out total\\n" + CELL + f"# {{index}}"))
    without.append(run(CELL + f"# {{index}} plain"))
print(json.dumps([first, with_flow, without]))
"""


def rows(rounds: int) -> list[Row]:
    """Measure the same cell with and without its `%%flow` line."""
    found = []
    for label, names, cells in (
        ("a cell captured, 10 names", 10, 1),
        ("a cell captured, 1,000 names", 1000, 1),
        ("a cell captured, 50 cells run before", 10, 50),
    ):
        code = _CODE.format(names=names, cells=cells, rounds=10 * rounds)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        _, ours, peer = json.loads(done.stdout.splitlines()[-1])
        above = tuple(a - b for a, b in zip(ours, peer, strict=True))
        found.append(Row(label, Times(above), "the cell without the line", Times(tuple(peer)), "under 10 ms"))
    return found
