"""What cannot be carried: which name, why, and what to do, for all names of a cell at once."""

from __future__ import annotations

import pytest
from carrying import Case, Outcome, outcomes

FILE = "f = open('/dev/null')"

#: title, cells, names read, what the message says
REFUSED: list[tuple[str, str, str, tuple[str, ...]]] = [
    ("open file", FILE, "f", ("`f` is an open file", "carry its path")),
    (
        "open file in a dict",
        f"{FILE}\ncfg = {{'log': [f]}}",
        "cfg",
        ("`cfg` holds `cfg['log'][0]`, an open file",),
    ),
    ("binary file", "f = open('/dev/null', 'rb')", "f", ("an open file",)),
    ("temporary file", "import tempfile\nf = tempfile.NamedTemporaryFile()", "f", ("`f` is an open file",)),
    (
        "socket",
        "import socket\ns = socket.socket()",
        "s",
        ("`s` is a network connection", "connect in the flow's cell"),
    ),
    ("lock", "import threading\nl = threading.Lock()", "l", ("`l` is a lock",)),
    ("reentrant lock", "import threading\nl = threading.RLock()", "l", ("`l` is a lock",)),
    ("event", "import threading\nl = threading.Event()", "l", ("`l` is a lock",)),
    ("thread", "import threading\nt = threading.Thread(target=print)", "t", ("`t` is a thread",)),
    ("queue", "import queue\nq = queue.Queue()", "q", ("`q` holds `q.mutex`, a lock",)),
    ("generator", "g = (x for x in range(3))", "g", ("`g` is a generator", "`g = list(g)`")),
    ("coroutine", "async def a(): pass\nc = a()", "c", ("`c` is a coroutine",)),
    (
        "database",
        "import sqlite3\ndb = sqlite3.connect(':memory:')",
        "db",
        ("`db` is a database connection",),
    ),
    (
        "cursor",
        "import sqlite3\nc = sqlite3.connect(':memory:').cursor()",
        "c",
        ("`c` is a database connection",),
    ),
    (
        "process",
        "import subprocess\np = subprocess.Popen(['true']); p.wait()",
        "p",
        ("`p` is a running process",),
    ),
    (
        "pool",
        ("from concurrent.futures import ThreadPoolExecutor\np = ThreadPoolExecutor()"),
        "p",
        ("`p` is a pool",),
    ),
    (
        "widget",
        "import ipywidgets\nw = ipywidgets.IntSlider()",
        "w",
        ("`w` is a widget", "`value = w.value`"),
    ),
    ("shell", "shell = get_ipython()", "shell", ("`shell` is IPython's shell", "call `get_ipython()`")),
    (
        "weak reference",
        "import weakref\nclass A: pass\na = A(); r = weakref.ref(a)",
        "r",
        ("`r` is a weak reference",),
    ),
    (
        "traceback",
        "try:\n    1/0\nexcept Exception as e:\n    t = e.__traceback__",
        "t",
        ("`t` is part of this process's",),
    ),
    ("memory", "m = memoryview(b'abc')", "m", ("`m` is memory of this process", "`bytes(m)`")),
    (
        "context variable",
        "import contextvars\nv = contextvars.ContextVar('v')",
        "v",
        ("`v` is a context variable",),
    ),
    (
        "module made at runtime",
        "import types\nm = types.ModuleType('made')",
        "m",
        ("`m` is a module made at runtime",),
    ),
    ("the notebook's module", "import __main__ as me", "me", ("`me` is the notebook's own module",)),
    ("attribute", f"{FILE}\nclass A: pass\na = A(); a.log = f", "a", ("`a` holds `a.log`, an open file",)),
    (
        "slot",
        f"{FILE}\nclass A: __slots__ = 'log'\na = A(); a.log = f",
        "a",
        ("`a` holds `a.log`, an open file",),
    ),
    (
        "closure",
        f"def make():\n    {FILE}\n    return lambda: f\ng = make()",
        "g",
        ("through its variable `f`", "open file"),
    ),
    ("foreign object", "import _csv\nr = _csv.reader([])", "r", ("`r` is a _csv.reader",)),
    (
        "read by a function",
        f"{FILE}\ndef log(x): f.write(x)\ndef main(): log(1)",
        "main",
        ("`f` is an open file", "(`f` is read by `log`, which is read by `main`)"),
    ),
    ("history", "1 + 1", "_", ("`_` is this session's history", "give the value a name")),
    ("input history", "1 + 1", "In", ("`In` is this session's history",)),
    ("unknown", "region = 1", "regoin", ("`regoin` is not defined here: did you mean `region`?",)),
    ("unknown builtin", "1", "pritn", ("did you mean `print`?",)),
    (
        "unknown and like nothing",
        "1",
        "zzzzqqq",
        ("`zzzzqqq` is not defined here: run the cell that defines it",),
    ),
    (
        "read first by a function",
        "def f(x=1): return x\nf.__defaults__ = (2,)",
        "nothing f",
        ("`nothing` is not",),
    ),
    (
        "secret",
        "from pydantic import SecretStr\ncfg = {'k': SecretStr('x')}",
        "cfg",
        ("`cfg['k']`, a secret", "declare it as a"),
    ),
    (
        "missing here and in a function",
        "def a(): return zzzzqqq",
        "a zzzzqqq",
        ("`zzzzqqq` is not defined here",),
    ),
    (
        "several",
        f"{FILE}\nimport threading\nl = threading.Lock()",
        "f l nope",
        ("3 names stand in the way", "- `f` is an open file", "- `l` is a lock", "- `nope` is not defined"),
    ),
]

CASES = [Case(title, (cell,), reads) for title, cell, reads, _ in REFUSED]
BIG = [
    Case("big bytes", ("data = b'x' * 3_000_000",), "data", limit=1_000_000),
    Case("big array", ("import numpy as np\na = np.zeros(1_000_000)",), "a", limit=1_000_000),
    Case(
        "big frame",
        ("import pandas as pd\ndf = pd.DataFrame({'a': range(1_000_000)})",),
        "df",
        limit=1_000_000,
    ),
    Case("big in all", ("a = b'x' * 700_000; b = b'y' * 600_000",), "a b", limit=1_000_000),
    Case("just small enough", ("a = b'x' * 700_000",), "a", "assert len(a) == 700_000", limit=1_000_000),
]


@pytest.fixture(scope="module")
def done() -> dict[str, Outcome]:
    return outcomes([*CASES, *BIG])


@pytest.mark.parametrize(("title", "words"), [(title, words) for title, _, _, words in REFUSED])
def test_it_is_refused_with_the_reason_and_the_way_out(
    title: str, words: tuple[str, ...], done: dict[str, Outcome]
) -> None:
    message = done[title].error
    assert message.startswith("cell `x`: ")
    for word in words:
        assert word in message
    assert "{" not in message


def test_a_big_value_is_refused_with_its_size_and_what_would_work(done: dict[str, Outcome]) -> None:
    assert "`data` (bytes) is too big to carry: 3.0 MB, and at most 1.0 MB fit" in done["big bytes"].error
    assert "`a` (ndarray, 1000000, float64) is too big to carry: 8.0 MB" in done["big array"].error
    assert "`df` (DataFrame, 1000000 x 1) is too big to carry: 8.0 MB" in done["big frame"].error
    for title in ("big bytes", "big array", "big frame"):
        assert "%%flow NAME.STEP" in done[title].error
        assert "read it from its file" in done[title].error


def test_values_that_are_too_big_only_together_are_listed_by_size(done: dict[str, Outcome]) -> None:
    assert "too big to carry: 1.3 MB (`a` 700 kB, `b` 600 kB)" in done["big in all"].error


def test_what_is_within_the_limit_is_carried(done: dict[str, Outcome]) -> None:
    assert not done["just small enough"].error
    assert not done["just small enough"].failure


def test_what_others_provide_is_neither_carried_nor_missed() -> None:
    case = Case("provided", ("x = 1",), "x y", "assert 'x' not in globals()", provided=("x", "y"))
    outcome = outcomes([case])["provided"]
    assert not outcome.error
    assert outcome.entries == []
    assert not outcome.failure
