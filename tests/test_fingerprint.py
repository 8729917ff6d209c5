"""Fingerprints: the same for the same content in every process, another for any other content."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flownb.capture.fingerprint import fingerprint

ROOT = Path(__file__).resolve().parent.parent

SETUP = """
import array, collections, dataclasses, datetime as dt, decimal, enum, functools
import pathlib, random, re, uuid, types
import numpy as np, pandas as pd, polars as pl, pyarrow as pa
from matplotlib.figure import Figure

class Color(enum.Enum):
    RED = 1
    BLUE = 2

@dataclasses.dataclass
class Config:
    path: str
    tags: set = dataclasses.field(default_factory=set)

@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    x: int

class Node:
    def __init__(self): self.me = self; self.words = {"x", "y", "z"}

class Slotted:
    __slots__ = ("a", "b")
    def __init__(self): self.a = 1

def closure(n):
    def inner(x, k=[1]): return x + n
    return inner

def cyclic():
    a = [1]; a.append({"a": a}); return a

def plotted():
    figure = Figure(); figure.subplots().plot([1, 2], label="x"); figure.axes[0].legend(); return figure

frame = pd.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"], "c": [1.5, None, 2]})
"""

EXPRESSIONS = [
    "None", "True", "1", "1.0", "1j", "-0.0", "float('nan')", "'a'", "'\\udc80'", "b'a'", "bytearray(b'a')",
    "...", "10**5000", "[]", "()", "{}", "set()", "frozenset()", "[1, 'a']", "(1, 'a')", "list(range(100))",
    "list('abc' * 9)", "{'a': 1, 'b': 2}", "{'b': 2, 'a': 1}", "{'x', 'y', 'z', 'u'}",
    "frozenset({'x', 'y', 'z', 'u'})", "{1, 'a', None}", "{(1, 'a'), (2, 'b')}", "{'k': {'x', 'y', 'z'}}",
    "{Point(1), Point(2), Point(3)}", "cyclic()", "[[], []]", "[x := [], x]", "dt.date(2020, 1, 1)",
    "dt.datetime(2020, 1, 1)", "dt.timedelta(1)", "decimal.Decimal('1.0')", "decimal.Decimal('1.00')",
    "pathlib.Path('a')", "uuid.UUID(int=1)", "re.compile('a')", "range(3)", "slice(1)", "Color.RED",
    "Color.BLUE", "Color", "Config", "Config('a', {'x', 'y', 'z'})", "Config('a', {'x', 'y'})", "Point(1)",
    "Node()", "Slotted()", "closure(1)", "closure(2)", "lambda x: x + 1", "lambda x: x + 2",
    "lambda x: {'a', 'b', x}", "lambda x: x in {'a', 'b', 'c'}", "functools.partial(closure, 1)", "len",
    "np.mean", "np", "str.upper", "'a'.upper", "collections.OrderedDict(a=1)",
    "collections.defaultdict(list, a=[1])", "collections.Counter('aab')", "collections.deque([1, 2])",
    "types.SimpleNamespace(a=1, b={'x', 'y'})", "array.array('d', [1, 2])", "random.Random(1)",
    "ValueError('a')", "property(len)", "types.MappingProxyType({'a': 1})", "np.arange(6)",
    "np.arange(6).reshape(2, 3)", "np.arange(6.0)", "np.arange(6)[::2]", "np.array(['x', None], object)",
    "np.array(['x', 'y'])", "np.float32(1)", "np.float64(1)", "np.dtype('f4')",
    "np.datetime64('2020-01-01')", "np.zeros(2, [('a', 'i4'), ('b', object)])", "np.random.default_rng(1)",
    "np.ma.array([1, 2], mask=[0, 1])", "frame", "frame['a']", "frame['b']", "frame.index", "frame.columns",
    "frame.set_index('b')", "frame[frame.a > 1]", "frame.groupby('b')", "frame.assign(d=1)",
    "frame.astype({'b': 'category'})", "frame.convert_dtypes()",
    "pd.Timestamp('2020-01-01', tz='Europe/Berlin')", "pd.date_range('2020', periods=3)", "pd.NA", "pd.NaT",
    "pd.MultiIndex.from_tuples([(1, 'a'), (2, 'b')])", "pd.Series(['a', None], dtype='string')",
    "pd.Series([1, None], dtype='int64[pyarrow]')", "pd.Series(pd.interval_range(0, 3))",
    "pd.Series([{'x', 'y', 'z'}])", "pl.DataFrame({'a': [1, None], 'b': ['x', 'y']})",
    "pl.DataFrame({'a': [1, 2], 'b': ['x', 'y']})", "pl.Series('a', [[1], [2, 3]])",
    "pl.Series('a', [1.5, 2.5])", "pl.col('a') + 1", "pa.table({'a': [1, None], 'b': ['x', 'y']})",
    "pa.array([1, 2])", "pa.schema({'a': pa.int64()})", "plotted()",
]  # fmt: skip


def _fingerprints(seed: str) -> list[str]:
    script = (
        f"SETUP = {SETUP!r}\nEXPRESSIONS = {EXPRESSIONS!r}\n"
        """
import sys
junk = [object() for _ in range(int(sys.argv[1]) % 977)]  # other addresses
exec(compile(SETUP, "<setup>", "exec"))
from flownb.capture.fingerprint import fingerprint
for expression in EXPRESSIONS:
    print(fingerprint(eval(expression)))
"""
    )
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, seed],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.split()


@pytest.fixture(scope="module")
def two_processes() -> tuple[list[str], list[str]]:
    return _fingerprints("1"), _fingerprints("31337")


@pytest.mark.parametrize("number", range(len(EXPRESSIONS)), ids=lambda n: EXPRESSIONS[n])
def test_it_is_the_same_in_every_process(number: int, two_processes: tuple[list[str], list[str]]) -> None:
    first, second = two_processes
    assert len(first[number]) == 64
    assert first[number] == second[number]


def test_different_contents_have_different_ones(two_processes: tuple[list[str], list[str]]) -> None:
    first, _ = two_processes
    by_digest: dict[str, list[str]] = {}
    for expression, digest in zip(EXPRESSIONS, first, strict=True):
        by_digest.setdefault(digest, []).append(expression)
    assert [group for group in by_digest.values() if len(group) > 1] == []


def test_equal_values_made_in_different_ways_have_the_same() -> None:
    assert fingerprint({"a": [1, 2]}) == fingerprint({"a": list(range(1, 3))})
    assert fingerprint("a" * 2) == fingerprint("aa")
    assert fingerprint({3, 1, 2}) == fingerprint({1, 2, 3})


def test_layout_in_memory_and_filled_caches_do_not_matter() -> None:
    import numpy as np
    import pandas as pd

    array = np.arange(6).reshape(2, 3)
    assert fingerprint(np.asfortranarray(array)) == fingerprint(array)
    frame = pd.DataFrame({"a": [1, 2], "b": [3, 4]})
    built = pd.DataFrame({"a": [1, 2]})
    built["b"] = [3, 4]
    _ = built.index.is_unique, built.columns.hasnans
    assert fingerprint(built) == fingerprint(frame)


def test_a_figure_has_the_same_before_and_after_it_was_looked_at() -> None:
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot([1, 2])
    first = fingerprint(figure)
    assert fingerprint(figure) == first
    figure.axes[0].set_title("another")
    assert fingerprint(figure) != first


def test_what_has_a_name_elsewhere_stands_for_its_name() -> None:
    inner = [1]
    names = {id(inner): "inner"}

    def refer(value: object) -> str | None:
        return names.get(id(value))

    before = fingerprint({"k": inner}, refer)
    inner.append(2)
    assert fingerprint({"k": inner}, refer) == before
    assert fingerprint({"k": inner}) != before


def test_what_cannot_be_walked_has_one_all_the_same() -> None:
    deep: list[object] = []
    for _ in range(300):
        deep = [deep]
    assert len(fingerprint(deep)) == 64
