"""What differs between two marks, in words; and what of an object is compared."""

from __future__ import annotations

import collections
import io
import itertools
import json
import os
import threading
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from marking import Plain, differ, digest
from matplotlib.figure import Figure

from flownb.marks import compare, identity, mark

CLASSES = """
import collections, dataclasses, enum
import numpy as np, pandas as pd

class Model:
    def __init__(self, lr=0.5, **more): self.lr = lr; self.__dict__.update(more)

class Slotted:
    __slots__ = ("a", "b")
    def __init__(self, a, b=0): self.a = a; self.b = b

@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    x: int
    y: int = 0

class Color(enum.Enum):
    RED = 1
    BLUE = 2

class Bag(dict):
    def __init__(self, owner, **more): super().__init__(more); self.owner = owner

def frame(**columns): return pd.DataFrame({"x": [1.0, 2.0, 3.0], **columns})
def long(**changed):
    made = pd.DataFrame({"x": np.arange(100.0), "n": range(100)})
    for name, value in changed.items(): made.loc[50, name] = value
    return made
def adder(n): return lambda x: x + n
"""
WORDS = [
    ("3", "4", "4, was 3"),
    ("3", "3.0", "3.0, was 3"),
    ("None", "frame()", "is a DataFrame, 3 x 1, was None"),
    ("'abc'", "'abd'", "'abd', was 'abc'"),
    ("['a  b']", "['a b']", "item 0: 'a b', was 'a  b'"),
    ("['a`b']", "[\"a'b\"]", "item 0: \"a'b\", was 'a`b'"),
    ("'a' * 50 + 'b'", "'a' * 50 + 'c'", "differs after the first 39 characters"),
    ("'a' * 50", "'a' * 51", "51 characters, was 50"),
    ("{'k': 1}", "[1, 2, 3]", "is a list of 3, was a dict of 1"),
    ("[1, 2, 3]", "(1, 2, 3)", "is a tuple of 3, was a list of 3"),
    ("[1, 2, 3]", "[1, 2]", "2 items, was 3"),
    ("[1, 2, 3]", "[1]", "1 item, was 3"),
    ("[1, 2, 3]", "[1, 2, 4]", "item 2: 4, was 3"),
    ("list(range(30))", "[*range(29), 0]", "differs after the first 20 items"),
    ("{'k': 4, 'm': 1}", "{'m': 1, 'k': 3}", "item `k`: 3, was 4"),
    ("{'k': 4, 'm': 1}", "{'m': 1}", "item `k` is missing"),
    ("{'k': 4}", "{'m': 1, 'k': 4}", "item `m` is new"),
    ("{'k': 4}", "{'m': 4}", "item `k` is missing"),
    ("{(1, 2): 4}", "{(1, 3): 4}", "its content differs"),
    ("{1: 4}", "{1: 5}", "item `1`: 5, was 4"),
    ("{'k': {'m': [1, 2]}}", "{'k': {'m': [1, 3]}}", "item `k`: item `m`: item 1: 3, was 2"),
    ("{'k': 1}", "{'k': [1]}", "item `k` is a list of 1, was 1"),
    ("{'x', 'y'}", "{'x', 'z'}", "member `y` is missing"),
    ("{(1, 2)}", "{(1, 3)}", "its content differs"),
    ("collections.defaultdict(list, k=1)", "collections.defaultdict(list, m=1)", "item `k` is missing"),
    ("collections.defaultdict(list, k=1)", "collections.defaultdict(set, k=1)", "its content differs"),
    ("collections.OrderedDict(k=1, m=2)", "collections.OrderedDict(m=2, k=1)", "the order is another"),
    ("collections.Counter('aab')", "collections.Counter('abb')", "item `a`: 1, was 2"),
    ("Bag(1, k=2)", "Bag(3, k=2)", "attribute `owner`: 3, was 1"),
    ("{10**5000, 'a'}", "{10**5000 + 1, 'a'}", "member `…`: its content differs"),
    ("Bag(1, k=2)", "Bag(1, k=3)", "item `k`: 3, was 2"),
    ("collections.deque([1, 2])", "collections.deque([1, 3])", "item 1: 3, was 2"),
    ("collections.namedtuple('P', 'x y')(1, 2)", "collections.namedtuple('P', 'x y')(1, 3)",
     "attribute `y`: 3, was 2"),
    ("Model()", "Model(0.1)", "attribute `lr`: 0.1, was 0.5"),
    ("Model()", "Model(b=1)", "attribute `b` is new"),
    ("Model(w=np.zeros(3))", "Model(w=np.ones(3))", "attribute `w`: first value 1.0, was 0.0 (position 0)"),
    ("Slotted(1)", "Slotted(2)", "attribute `a`: 2, was 1"),
    ("Point(1)", "Point(1, 2)", "attribute `y`: 2, was 0"),
    ("Point(1)", "Slotted(1)", "is a Slotted, was a Point"),
    ("Color.RED", "Color.BLUE", "Color.BLUE, was Color.RED"),
    ("adder(1)", "lambda x: x + 1", "is a function `<lambda>`, was a function `adder.<locals>.<lambda>`"),
    ("adder(1)", "adder(2)", "its code differs"),
    ("np.arange(3)", "np.arange(3.0)", "float64, was int64"),
    ("np.arange(6).reshape(2, 3)", "np.arange(6).reshape(3, 2)", "shape 3 x 2, was 2 x 3"),
    ("np.arange(3)", "np.array([0, 1, 3])", "value 3, was 2 (position 2)"),
    ("np.arange(99)", "np.r_[0:98, 0]", "values differ below the first 10 rows"),
    ("np.float64(1)", "np.float64(2)", "2.0, was 1.0"),
    ("pd.Timestamp('2020')", "pd.Timestamp('2021')", "2021-01-01 00:00:00, was 2020-01-01 00:00:00"),
    ("frame()", "frame()[:2]", "2 rows, was 3"),
    ("frame(b=1)", "frame()", "column `b` is missing"),
    ("frame()", "frame(b=1)", "column `b` is new"),
    ("frame(b=1)", "frame(b=1)[['b', 'x']]", "the order is another"),
    ("frame()", "frame(x=[2.5, 2.0, 3.0])", "column `x`: first value 2.5, was 1.0 (row 0)"),
    ("frame()", "frame(x=[1.0, 2.0, 2.5])", "column `x`: value 2.5, was 3.0 (row 2)"),
    ("frame()", "frame(x=[1, 2, 3])", "column `x`: int64, was float64"),
    ("frame()", "frame(x=[1.0, None, None])", "column `x`: 2 missing values, was 0"),
    ("frame()", "frame().set_axis([5, 6, 7])", "the index: first value 5, was 0 (row 0)"),
    ("frame()", "frame()['x']", "is a float64 Series, 3, was a DataFrame, 3 x 1"),
    ("frame()['x']", "frame(x=[1.0, 2.0, 2.5])['x']", "value 2.5, was 3.0 (row 2)"),
    ("frame()['x']", "frame()['x'].astype(int)", "int64, was float64"),
    ("long()", "long(x=7.5)", "values differ below the first 10 rows of column `x`"),
    ("long()", "long(n=7)", "values differ below the first 10 rows of column `n`"),
    ("{'f': long()}", "{'f': long(n=7)}", "values differ below the first 10 rows of column `n` of item `f`"),
    ("long().set_index('n')", "long(n=7).set_index('n')",
     "values differ below the first 10 rows of the index"),
    ("long().set_index(['x', 'n'])", "long(n=7).set_index(['x', 'n'])",
     "values differ below the first 10 rows of index level 1"),
]  # fmt: skip


@pytest.mark.parametrize(("was", "now", "words"), WORDS)
def test_what_differs_is_said_in_a_line(was: str, now: str, words: str) -> None:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(CLASSES, namespace)
    assert differ(eval(was, namespace), eval(was, namespace)) == ("equal", "")
    assert differ(eval(was, namespace), eval(now, namespace)) == ("differs", words)


def test_names_and_texts_stay_on_one_line_and_short() -> None:
    wild = "a`b\n" * 100
    for was, now in (
        ({wild: 1}, {wild: 2}),
        ({wild: 1}, {}),
        ([wild], [wild + "x"]),
        (pd.DataFrame({wild: [1]}), 1),
    ):
        found, words = differ(was, now)
        assert found == "differs"
        assert "\n" not in words
        assert len(words) < 120


class Connection:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.number = 1


async def nothing() -> None:
    pass


OPAQUE: dict[str, Any] = {
    "generator": lambda: (i for i in range(3)),
    "lock": threading.Lock,
    "FileIO": lambda: io.FileIO(os.dup(0)),
    "Connection": Connection,
    "Thread": threading.Thread,
    "coroutine": nothing,
    "dict_keys": {"a": 1}.keys,
}


@pytest.mark.parametrize("kind", OPAQUE)
def test_what_has_no_content_is_opaque(kind: str) -> None:
    value = OPAQUE[kind]()
    found = mark(value)
    assert (found["type"], found["opaque"]) == (kind, True)
    assert "digest" not in found
    article = "an" if kind[0] in "aeiou" else "a"
    assert differ(value, value) == ("unknown", f"{article} {kind} cannot be compared")
    assert differ([value, 1], [value, 1]) == (
        "unknown",
        f"it holds {article} {kind}, which cannot be compared",
    )
    assert differ([value, 1], [value, 2]) == ("differs", "item 1: 2, was 1")
    assert differ([1], value) == ("differs", f"is {article} {kind}, was a list of 1")
    if hasattr(value, "close"):
        value.close()


def test_widgets_and_objects_of_their_kind_are_opaque() -> None:
    import traitlets

    class Widget(traitlets.HasTraits):
        value = traitlets.Int(1)

    assert mark(Widget())["opaque"] is True


def test_an_object_of_the_notebook_with_a_lock_is_compared_but_for_the_lock() -> None:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec("class Own:\n    def __init__(self, lock, n): self.lock = lock; self.n = n", namespace)
    one, same, other = (namespace["Own"](threading.Lock(), n) for n in (1, 1, 2))
    assert differ(one, same) == ("unknown", "it holds a lock, which cannot be compared")
    assert differ(one, other) == ("differs", "attribute `n`: 2, was 1")


def test_nothing_is_taken_from_an_iterator() -> None:
    opened, iterators = io.StringIO("line\n"), [(i for i in range(3)), iter([0, 1, 2]), iter(range(3))]
    iterators += [
        map(int, "012"),
        filter(str, range(3)),
        itertools.chain([0], [1, 2]),
        itertools.islice(itertools.count(), 3),
    ]
    for value in (*iterators, opened):
        mark([value])
    assert [list(iterator) for iterator in iterators] == [[0, 1, 2]] * len(iterators)
    assert opened.tell() == 0


class Hostile:
    """Raises whatever is done with it."""

    def _refuse(self, *given: object) -> Any:
        raise ZeroDivisionError(given)

    __getattr__ = __reduce_ex__ = __len__ = __iter__ = __eq__ = __bool__ = __repr__ = __str__ = _refuse
    __hash__ = object.__hash__
    __class__ = property(_refuse)  # type: ignore[assignment]


class Raises:
    """Raises when it is copied."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __getstate__(self) -> object:
        raise self.error


def array_of(value: object) -> np.ndarray:
    array = np.empty(2, object)
    array[0] = value
    return array


@pytest.mark.parametrize(
    "where", ["{}", "[{}]", "{{'k': {}}}", "{{{}}}", "(1, [{}])", "array_of({})", "Plain(a={})"]
)
def test_what_a_foreign_object_raises_makes_it_opaque(where: str) -> None:
    for value in (Hostile(), Raises(ValueError("not this")), Raises(RecursionError()), Raises(MemoryError())):
        found = mark(eval(where.format("value"), {**globals(), "value": value}))
        assert "opaque" in found or "partly" in found
        json.dumps(found, allow_nan=False)


def test_an_interrupt_is_not_swallowed() -> None:
    with pytest.raises(KeyboardInterrupt):
        mark([Raises(KeyboardInterrupt())])


def test_it_does_not_warn(capfd: pytest.CaptureFixture[str]) -> None:
    class Loud:
        def __getstate__(self) -> object:
            warnings.warn("copied", stacklevel=1)
            return {"a": 1}

    filters = list(warnings.filters)
    with np.errstate(all="raise"):
        for value in (
            Loud(),
            [Loud()],
            np.array([1e300, np.inf, np.nan]),
            np.array([np.nan]),
            np.float32(3e38),
        ):
            assert "opaque" not in mark(value)
            assert len(identity(value)) == 64
    assert capfd.readouterr() == ("", "")
    assert warnings.filters == filters


def test_what_is_nested_too_deeply_is_compared_but_for_the_depths() -> None:
    def nested(inmost: object, depth: int = 5000) -> list[object]:
        value = [inmost]
        for _ in range(depth):
            value = [value]
        return value

    assert differ(nested(1), nested(2)) == ("unknown", "it holds a list, which cannot be compared")
    assert differ([nested(1), 1], [nested(1), 2]) == ("differs", "item 1: 2, was 1")
    assert differ(nested(1, 90), nested(1, 90)) == ("equal", "")
    assert differ(nested(1, 90), nested(2, 90))[0] == "differs"


def test_marking_changes_nothing() -> None:
    figure = Figure()
    axes = figure.subplots()
    axes.plot([1, 2], [3, 4])
    frame = pd.DataFrame({"x": [1, None], "s": ["a", "b"]})
    untouched = frame.copy()
    values = [figure, frame, np.arange(3.0), Plain(a=[1]), collections.deque([1])]
    for value in values:
        before = set(vars(value)) if hasattr(value, "__dict__") else set()
        mark(value)
        assert (set(vars(value)) if hasattr(value, "__dict__") else set()) == before
    assert axes._stale_viewlims == {"x": True, "y": True}
    pd.testing.assert_frame_equal(frame, untouched)


def test_functions_are_told_by_code_defaults_and_what_they_close_over() -> None:
    def made(n: int, source: str = "x + n", default: str = "1") -> Any:
        namespace: dict[str, Any] = {"__name__": "__main__"}
        exec(f"def outer(n):\n def inner(x, k={default}):\n  return {source}\n return inner", namespace)
        return namespace["outer"](n)

    assert mark(made(1)) == mark(made(1))
    variants = [made(1), made(2), made(1, "x - n"), made(1, "x + n + 1"), made(1, default="2")]
    assert len(set(map(digest, variants))) == len(variants)
    plain: list[dict[str, Any]] = [{"__name__": "__main__"}, {"__name__": "__main__"}]
    for sign, namespace in zip("+-", plain, strict=True):
        exec(f"def shift(x): return x {sign} 1", namespace)
    assert differ(plain[0]["shift"], plain[1]["shift"]) == ("differs", "its code differs")
    was, now = mark(made(1)), mark(made(1, "x - n"))
    assert compare(was, now) == ("differs", "its code differs")
    assert compare(was, {**now, "python": "3.99"})[0] == "unknown"
    assert digest(json.dumps) == digest(json.dumps)
    assert "python" not in mark(json.dumps)
