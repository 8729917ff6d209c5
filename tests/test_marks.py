"""Marks: the same for the same content in every process, and other ones for another."""

from __future__ import annotations

import json
import math
import re
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marking import Plain, differ, digest, in_another_process

from flownb.marks import compare, identity, mark

if TYPE_CHECKING:
    import random


ATOMS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.integers()
    | st.sampled_from([0.0, -0.0, 1.0, 2.5, math.nan, math.inf, -math.inf, 0j, complex(0, -0.0)])
    | st.floats()
    | st.text(max_size=3)
    | st.binary(max_size=2)
)


KEYS = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.sampled_from([0.0, 1.0, "1", "a", b"a"])
    | st.text(max_size=2)
)


HASHABLE = KEYS | st.tuples(KEYS, KEYS) | st.frozensets(KEYS, max_size=3)


DATA = st.recursive(
    ATOMS | st.sets(HASHABLE, max_size=4) | st.frozensets(HASHABLE, max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(HASHABLE, inner, max_size=4)
        | st.lists(st.floats(), max_size=12)
        | st.lists(st.integers(0, 1) | st.text(max_size=1), max_size=12)
    ),
    max_leaves=12,
)


def typed(value: Any) -> object:
    """What equals another one exactly if the values are equal, with equal types, and NaN equals NaN."""
    kind = type(value)
    if kind in (list, tuple):
        return kind, tuple(map(typed, value))
    if kind in (set, frozenset):
        return kind, frozenset(Counter(map(typed, value)).items())
    if kind is dict:
        return kind, frozenset(Counter((typed(key), typed(value[key])) for key in value).items())
    return kind, "nan" if value != value else value


def made_anew(value: Any) -> Any:
    """An equal value, made in another order and of other objects."""
    if type(value) in (list, tuple):
        return type(value)([made_anew(item) for item in value])
    if type(value) in (set, frozenset):
        return type(value)(reversed([made_anew(item) for item in value]))
    if type(value) is dict:
        return {made_anew(key): made_anew(item) for key, item in reversed(value.items())}
    if type(value) is str:
        return "".join(list(value))
    return value * (1 if value else -1) if type(value) in (float, complex) else value  # -0.0 equals 0.0


@given(DATA, DATA)
@settings(max_examples=30, deadline=None)
def test_digests_are_equal_exactly_where_values_and_types_are(one: object, other: object) -> None:
    assert (digest(one) == digest(other)) == (typed(one) == typed(other))
    assert (identity(one) == identity(other)) == (typed(one) == typed(other))
    found = differ(one, other)[0]  # close, if one has a tiny float where the other has 0.0
    assert found == "equal" if typed(one) == typed(other) else found in {"differs", "close"}


@given(DATA)
@settings(max_examples=30, deadline=None)
def test_a_value_that_was_made_in_another_way_has_the_same_mark(value: object) -> None:
    anew = made_anew(value)
    assert typed(anew) == typed(value)
    assert digest(anew) == digest(value)
    assert differ(value, anew) == ("equal", "")


@given(DATA, st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_one_change_deep_inside_shows_in_words(value: object, chance: random.Random) -> None:
    changed = with_a_change(value, chance)
    found, words = differ(value, changed)
    assert found == "differs"
    assert words
    assert "\n" not in words
    assert len(words) < 200


def with_a_change(value: Any, chance: random.Random) -> Any:
    if type(value) in (list, tuple) and value:
        place = chance.randrange(len(value))
        return type(value)(
            [with_a_change(item, chance) if i == place else item for i, item in enumerate(value)]
        )
    if type(value) is dict and value:
        keys = list(value)
        place = chance.randrange(len(keys))
        if chance.random() < 0.3:  # another key
            return {("another" if i == place else key): value[key] for i, key in enumerate(keys)}
        return {
            key: with_a_change(value[key], chance) if i == place else value[key] for i, key in enumerate(keys)
        }
    return "changed" if value != "changed" else None


@pytest.mark.parametrize(
    "expression", ["10**{}", "'ä' * {}", "b'a' * {}", "[10**{}, 1]", "{{'k': 'x' * {}}}"]
)
def test_long_numbers_and_texts_are_told_by_all_of_them(expression: str) -> None:
    big, same, other = (eval(expression.format(count)) for count in (5000, 5000, 5001))
    assert mark(same) == mark(big)
    assert len(json.dumps(mark(big))) < 500
    assert differ(big, other)[0] == "differs"


def test_shared_objects_are_as_good_as_equal_ones() -> None:
    shared = [1, 2.5]
    assert mark([shared, shared]) == mark([[1, 2.5], [1, 2.5]])
    doubled: list[object] = []
    for _ in range(60):  # 2 ** 60 paths to one list
        doubled = [doubled, doubled]
    assert "digest" in mark(doubled)


def test_a_value_that_holds_itself_is_told_from_others_that_do() -> None:
    def ring(length: int, end: object = None) -> list[object]:
        first: list[object] = [end]
        last = first
        for _ in range(length - 1):
            following: list[object] = [end]
            last.append(following)
            last = following
        last.append(first)
        return first

    assert digest(ring(2)) == digest(ring(2))
    assert len({digest(ring(length)) for length in (1, 2, 3)} | {digest(ring(2, "end"))}) == 4
    one, other = {"a": 1}, {"b": 2}
    one["other"], other["one"] = other, one  # type: ignore[assignment]
    both = {"x": one, "y": other}
    assert digest(both) == digest(dict(reversed(both.items())))
    assert identity(ring(2)) == identity(ring(2))


def tangle(chance: random.Random, count: int) -> list[Any]:
    """Make lists, dicts and objects that hold each other at random."""
    nodes: list[Any] = [chance.choice([list, dict, Plain])() for _ in range(count)]
    for node in nodes:
        for i in range(chance.randrange(4)):
            other = chance.choice([*nodes, 1, "a", 2.5, (1, 2)])
            if type(node) is list:
                node.append(other)
            elif type(node) is dict:
                node[f"k{i}"] = other
            else:
                setattr(node, f"a{i}", other)
    return nodes


def tangled_anew(value: Any, made: dict[int, Any]) -> Any:
    """Copy it, with the keys and attributes in another order."""
    if id(value) not in made and type(value) in (list, dict, Plain):
        copied = made[id(value)] = type(value)()
        if type(value) is list:
            copied.extend(tangled_anew(item, made) for item in value)
        inside = copied if type(value) is dict else vars(copied) if type(value) is Plain else {}
        for name, item in reversed(
            () if type(value) is list else (value if inside is copied else vars(value)).items()
        ):
            inside[name] = tangled_anew(item, made)
    return made.get(id(value), value)


@given(st.randoms(use_true_random=False), st.integers(1, 12))
@settings(max_examples=30, deadline=None)
def test_a_tangle_of_objects_is_told_by_what_refers_to_what(chance: random.Random, count: int) -> None:
    nodes = tangle(chance, count)
    anew = tangled_anew(nodes, {})
    assert digest(anew) == digest(nodes)
    assert digest([nodes, anew, [nodes]]) == digest([nodes, nodes, [anew]])
    assert identity(anew) == identity(nodes)
    place = chance.randrange(count)
    if type(anew[place]) is list:
        anew[place].append("more")
    else:
        (anew[place] if type(anew[place]) is dict else vars(anew[place]))["more"] = 1
    assert digest(anew) != digest(nodes)


SETUP = """
import array, collections, dataclasses, datetime as dt, decimal, enum, fractions, functools
import pathlib, random, re, types, uuid, zoneinfo
import numpy as np, pandas as pd, polars as pl, pyarrow as pa
from matplotlib.figure import Figure

class Color(enum.Enum):
    RED = 1
    BLUE = 2

class Flags(enum.Flag):
    A = 1
    B = 2

@dataclasses.dataclass
class Config:
    path: str
    tags: set = dataclasses.field(default_factory=set)

@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    x: float

class Node:
    def __init__(self): self.me = self; self.words = {"x", "y", "z"}

class Slotted:
    __slots__ = ("a", "b")
    def __init__(self, a): self.a = a

class Words(list):
    pass

Pair = collections.namedtuple("Pair", "left right")

class Model:
    def __init__(self, rate): self.rate = rate; self.coef_ = np.arange(3.0); self.names = {"a", "b", "c"}
    def fit(self): return self

@functools.lru_cache
def cached(x): return x + 1

def closure(n):
    def inner(x, k=[1]): return x + n
    return inner

def recursive():
    def down(n): return down(n - 1) if n else 0
    return down

def plotted(title="t"):
    figure = Figure()
    left, right = figure.subplots(1, 2)
    left.plot([1, 2], [3.0, 4.0], label="x"); left.legend(); left.set_title(title); left.set_xlim(0, 5)
    right.bar(["a", "b"], [1, 2]); right.scatter([1, 2], [3, 4]); right.imshow(np.eye(3))
    right.fill_between([1, 2], [3, 4]); right.text(1, 1, "here")
    return figure

frame = pd.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"], "c": [1.5, None, 2]})
many = pd.DataFrame({"k": [f"k{i}" for i in range(500)], "v": np.arange(500) / 7})
"""
SETUP += """
class N:
    def __init__(self, name): self.name = name
def friends():
    nodes = [N(str(i)) for i in range(9)]
    for i, node in enumerate(nodes): node.friends = {nodes[i - 1], nodes[i - 2]}
    return nodes
"""

EXPRESSIONS = [
    "friends()", "set(friends())",
    "None", "...", "True", "1", "1.0", "1j", "float('nan')", "float('inf')", "'a'", "'\\udc80'", "b'a'",
    "bytearray(b'a')", "10**5000", "'a' * 2000", "[]", "()", "{}", "set()", "frozenset()", "[1, 'a']",
    "(1, 'a')", "list(range(100))", "[i / 7 for i in range(100)]", "{'x', 'y', 'z', 'u'}",
    "frozenset({'x', 'y', 'z', 'u'})", "{1, 'a', None}", "{(1, 'a'), (2, 'b')}", "{'k': {'x', 'y', 'z'}}",
    "{Point(1), Point(2), Point(3)}", "{1: 'a', 'b': 2, None: 3}", "dt.date(2020, 1, 1)",
    "dt.datetime(2020, 1, 1)", "dt.timedelta(1)",
    "dt.datetime(2020, 1, 1, tzinfo=zoneinfo.ZoneInfo('Europe/Berlin'))", "dt.timezone.utc",
    "decimal.Decimal('1.0')", "decimal.Decimal('1.00')", "fractions.Fraction(1, 3)", "pathlib.Path('a')",
    "uuid.UUID(int=1)", "re.compile('a')", "range(3)", "slice(1)", "Color.RED", "Color.BLUE",
    "Flags.A | Flags.B", "Color", "Config", "Config('a', {'x', 'y', 'z'})", "Config('a', {'x', 'y'})",
    "Point(1)", "Pair(1, 'a')", "Node()", "Slotted(1)", "Slotted({'x', 'y'})", "Words(['a'])", "Model(0.1)",
    "Model(0.1).fit", "closure(1)", "closure(2)", "recursive()", "cached", "lambda x: x + 1",
    "lambda x: x - 1", "lambda x: {'a', 'b', x}", "lambda x: x in {'a', 'b', 'c'}",
    "functools.partial(closure, 1)", "len", "np.mean", "np.add", "np", "str.upper", "'a'.upper",
    "collections.OrderedDict(a=1)", "collections.defaultdict(list, a=[1])", "collections.Counter('aab')",
    "collections.deque([1, 2])", "types.SimpleNamespace(a=1, b={'x', 'y'})", "array.array('d', [1, 2])",
    "random.Random(1)", "ValueError('a')",  "np.arange(6)",
    "np.arange(6).reshape(2, 3)", "np.arange(6.0)", "np.arange(6)[::2]", "np.array(['x', None], object)",
    "np.array(['x', 'y'])", "np.float32(1)", "np.float64(1)",
      "np.dtype('f4')",
    "np.datetime64('2020-01-01')", "np.array(['2020-01-01', 'NaT'], 'M8[D]')", "np.array([1, 2j])",
    "np.array(5.0)", "np.zeros((0, 3))", "np.zeros(2, [('a', 'i4'), ('b', object)])",
    "np.zeros(2, 'i1,f8')", "np.random.default_rng(1)", "np.ma.array([1, 2], mask=[0, 1])",
    "np.array(['x'], np.dtypes.StringDType())", "frame", "frame['a']", "frame['b']", "frame['c']",
    "frame.index", "frame.columns", "frame.set_index('b')", "frame[frame.a > 1]", "frame.groupby('b')",
    "frame.assign(d=1)", "frame.astype({'b': 'category'})", "frame.convert_dtypes()", "frame.iloc[:0]",
    "pd.DataFrame()", "many", "many.set_index(['k', 'v'])",
    "pd.Timestamp('2020-01-01', tz='Europe/Berlin')", "pd.date_range('2020', periods=3)", "pd.NA", "pd.NaT",
    "pd.date_range('2020', periods=3, tz='Europe/Berlin')", "pd.period_range('2020', periods=3, freq='M')",
    "pd.to_timedelta([1, None], 's')", "pd.MultiIndex.from_tuples([(1, 'a'), (2, 'b')])",
    "pd.Interval(0, 1)", "pd.Series(['a', None], dtype='string')", "pd.Series(['a', None], dtype=object)",
    "pd.Series([1, None], dtype='int64[pyarrow]')", "pd.Series([1, None], dtype='Int64')",
    "pd.Series([True, None], dtype='boolean')", "pd.Series([1.5, None], dtype='Float64')",
    "pd.Series(pd.interval_range(0, 3))", "pd.Series([{'x', 'y', 'z'}])", "pd.Series([[1], [2, 3]])",
    "pd.Series([1.0, 0, 0], dtype='Sparse[float]')", "pd.array([1, None], dtype='Int64')",
    "pl.DataFrame({'a': [1, None], 'b': ['x', 'y']})", "pl.DataFrame({'a': [1, 2], 'b': ['x', None]})",
    "pl.Series('a', [[1], [2, 3]])", "pl.Series('a', [1.5, 2.5])", "pl.Series('b', [1.5, 2.5])",
    "pl.Series([dt.date(2020, 1, 1), None])", "pl.Series([dt.datetime(2020, 1, 1), None])",
    "pl.Series(['a', 'b'], dtype=pl.Categorical)", "pl.Series([decimal.Decimal('1.5')])",
    "pl.Series([True, None])", "pl.Series([{'a': 1}])", "pa.table({'a': [1, None], 'b': ['x', 'y']})",
    "pa.array([1, 2])", "pa.array(['a', None])", "pa.array([1.5, None])", "pa.array([[1], None])",
    "pa.array(['a', 'b']).dictionary_encode()", "pa.array([dt.date(2020, 1, 1), None])",
    "pa.array([dt.datetime(2020, 1, 1)])", "pa.array([], 'string')", "pa.record_batch({'a': [1]})",
    "pa.schema({'a': pa.int64()})", "pa.chunked_array([[1], [2]], 'int32')", "plotted()", "plotted('u')",
    "plotted().axes[0]", "plotted().axes[1].containers[0]", "plotted().axes[0].lines[0]",
    "plotted().axes[1].patches[0]",
]  # fmt: skip


@pytest.fixture(scope="module")
def elsewhere() -> list[dict[str, Any]]:
    return in_another_process(SETUP, EXPRESSIONS)


def test_marks_are_the_same_in_every_process(elsewhere: list[dict[str, Any]]) -> None:
    here: dict[str, Any] = {"__name__": "__main__"}
    exec(SETUP, here)
    for expression, found in zip(EXPRESSIONS, elsewhere, strict=True):
        value = eval(expression, here)
        assert {**mark(value), "identity": identity(value)} == found, expression


def test_each_value_is_told_whole_and_in_short(elsewhere: list[dict[str, Any]]) -> None:
    for expression, found in zip(EXPRESSIONS, elsewhere, strict=True):
        assert "partly" not in found, expression
        assert re.fullmatch("[0-9a-f]{64}", found["digest"])
        assert re.fullmatch("[0-9a-f]{64}", found["identity"]), expression
        assert len(json.dumps(found)) < 4500


def test_different_contents_have_different_digests(elsewhere: list[dict[str, Any]]) -> None:
    by_digest: dict[str, list[str]] = {}
    for expression, found in zip(EXPRESSIONS, elsewhere, strict=True):
        by_digest.setdefault(found["digest"], []).append(expression)
    assert [group for group in by_digest.values() if len(group) > 1] == []


def test_data_of_any_kind_has_the_same_mark_under_another_hash_seed() -> None:
    collected: list[object] = []

    @given(DATA)
    @settings(max_examples=30, deadline=None, database=None)
    def collect(value: object) -> None:
        collected.append(value)

    collect()
    marked = in_another_process("", list(map(repr, collected)))
    assert [one["digest"] for one in marked] == list(map(digest, collected))


def test_identity_is_a_digest_wherever_the_value_can_be_walked() -> None:
    frame = pd.DataFrame({"x": [1, 2]})
    assert identity({"a": [1, frame]}) == identity({"a": [1, frame.copy()]})
    assert identity({"a": [1, frame]}) != identity({"a": [1, frame.assign(x=5)]})
    deep: list[object] = []
    for _ in range(150):
        deep = [deep]
    assert re.fullmatch("pickle:[0-9a-f]{64}", identity(deep))
    assert identity(deep) != identity([deep])
    with pytest.raises(TypeError):
        identity(threading.Lock())


BIGGER_THAN_THE_BUDGET = [
    "np.zeros(20_000)", "np.zeros((100, 200)).T", "b'a' * 100_000", "'a' * 100_000", "list(range(20_000))",
    "[0.5] * 20_000", "pd.DataFrame({'x': np.zeros(20_000), 'y': np.zeros(20_000)})",
    "pd.Series(['abc'] * 20_000)", "[[i] for i in range(1000)]", "{i: [i] for i in range(1000)}",
    "[Plain(a=i) for i in range(1000)]", "['x' * 1500 + str(i) for i in range(200)]",
    "{'k': [[[i] for i in range(100)] for _ in range(10)]}",
]  # fmt: skip


@pytest.mark.parametrize("expression", BIGGER_THAN_THE_BUDGET)
def test_a_mark_looks_at_what_the_budget_allows_and_identity_at_all_of_it(expression: str) -> None:
    value = eval(expression)
    small = mark(value, budget=20_000)
    assert small["sampled"] is True
    assert small == mark(eval(expression), budget=20_000)
    assert "sampled" not in mark(value)
    assert compare(small, small) == ("equal", "compared by samples")
    assert re.fullmatch("[0-9a-f]{64}", identity(value))


def test_evenly_spaced_parts_are_looked_at() -> None:
    numbers = np.zeros((500, 200))
    for zeros in (numbers, numbers.T, numbers[::2]):
        whole = digest_of_some(zeros)
        for start in range(0, zeros.size, 20_000):
            changed = zeros.copy()
            changed.flat[start : start + 8000] = 1
            assert digest_of_some(changed) != whole


def digest_of_some(value: object) -> str:
    return str(mark(value, budget=8_000)["digest"])


def test_every_column_and_every_item_gets_its_share_of_the_budget() -> None:
    columns = {f"c{i}": np.zeros(20_000) for i in range(10)}
    whole = mark(pd.DataFrame(columns), budget=300_000)
    for name in columns:
        changed = {**columns, name: np.ones(20_000)}
        assert mark(pd.DataFrame(changed), budget=300_000)["digest"] != whole["digest"]
        assert mark(changed, budget=300_000)["digest"] != mark(columns, budget=300_000)["digest"]


def test_sets_of_objects_that_know_each_other_end_in_time() -> None:
    people = [Plain() for _ in range(60)]
    for person in people:
        person.friends = set(people) - {person}
    assert "digest" in mark(people, budget=3_000_000)


def test_a_big_set_of_objects_is_sampled_alike_in_any_order() -> None:
    points = [(str(i), (i,)) for i in range(1000)]
    forth, back = mark(set(points), budget=200_000), mark({*reversed(points)}, budget=200_000)
    assert forth["sampled"]
    assert forth == back
