"""What it costs to note a cell in the history, and to capture one, in shells of fresh processes."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from benchmarks.measuring import Row, Times

_SHELL = '''
import json, time
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

shell = InteractiveShell.instance()

def run(source):
    start = time.perf_counter()
    with capture_output():
        result = shell.run_cell(source, store_history=True)
    result.raise_error()
    return time.perf_counter() - start

# cells as they stand in notebooks: definitions, values, changes in place, a class, a loop, a plain look
KINDS = [
    """def helper_{i}(x, y=OFFSET):
    'Adds.'
    if x > {i}:
        return scale(x) + y
    return x""",
    """rows_{i} = [helper_0(v) for v in VALUES]
total_{i} = sum(rows_{i}) / len(rows_{i})""",
    """table = {{'a': list(range({i} % 50)), 'b': [str(v) for v in range({i} % 50)]}}
table['c'] = table['a'][::2]""",
    """class Model_{i}:
    rate = {i}
    def __init__(self, n):
        self.n = n
    def fit(self):
        self.n += self.rate
        return self""",
    """found = []
for v in VALUES[:3]:
    found.append((v, {i}))
found.sort(key=lambda pair: pair[0])
len(found)""",
    """print(f'{{OFFSET:>5}} of {i}')
OFFSET""",
]
BEGIN = """import math
VALUES = list(range(10))
OFFSET = 2
def scale(v):
    return math.sqrt(v)"""

def cells(count):
    for i in range(count):
        yield KINDS[i % len(KINDS)].format(i=i)
'''

_NOTING = """
if {load}:
    run("%load_ext flownb")
run(BEGIN)
for source in cells(12):
    run(source)
print(json.dumps([run(source) for source in cells(300)]))
"""

_CAPTURING = """
CELL = "n: int = 3\\nrows = [helper_0(v) for v in VALUES][:n]\\ntotal = sum(rows) + OFFSET + len(found)\\n"
run("%load_ext flownb")
run(BEGIN)
for source in cells({cells}):
    run(source)
shell.user_ns.update({{f"name_{{i}}": i for i in range({names})}})
run("%%flow a --out total\\n" + CELL)
with_flow, without = [], []
for index in range({rounds}):
    with_flow.append(run("%%flow a --out total\\n" + CELL + f"# {{index}}"))
    without.append(run(CELL + f"# {{index}} plain"))
print(json.dumps([with_flow, without]))
"""


def rows(rounds: int) -> list[Row]:
    """Measure cells with flownb loaded and without, and a cell with and without its `%%flow` line."""
    pairs = [
        (_printed(_NOTING.format(load=True)), _printed(_NOTING.format(load=False))) for _ in range(rounds)
    ]
    ours = Times(tuple(Times(tuple(one)).median - Times(tuple(two)).median for one, two in pairs))
    peer = Times(tuple(Times(tuple(two)).median for _, two in pairs))
    found = [Row("a cell noted in the history", ours, "running the cell", peer, "under 0.5 ms")]
    for label, names, cells in (
        ("a cell captured, 10 cells run before", 10, 10),
        ("a cell captured, 1,000 names", 1000, 10),
        ("a cell captured, 1,000 cells run before", 10, 1000),
    ):
        code = _CAPTURING.format(names=names, cells=cells, rounds=10 * rounds)
        with_line, without = _printed(code)
        above = tuple(a - b for a, b in zip(with_line, without, strict=True))
        found.append(
            Row(label, Times(above), "the cell without the line", Times(tuple(without)), "under 15 ms")
        )
    return found


def _printed(code: str) -> Any:
    done = subprocess.run([sys.executable, "-c", _SHELL + code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])
