"""Every kind of thing, carried out of a real session, brought back in a fresh process."""

from __future__ import annotations

import pytest
from carrying import Case, Outcome, outcomes

DATACLASS = """
from dataclasses import dataclass, field

@dataclass
class Config:
    \"\"\"Where the data is.\"\"\"

    path: str
    n: int = 3
    tags: list = field(default_factory=list)

    def double(self):
        return self.n * 2
"""

CASES = [
    # imports
    Case(
        "module under another name",
        ("import numpy as np",),
        "np",
        "assert np.arange(3).sum() == 3",
        {"np": "import"},
    ),
    Case("submodule", ("import os.path",), "os", "assert os.path.join('a', 'b')", {"os": "import"}),
    Case(
        "two submodules of one package",
        ("import xml.dom", "import xml.etree.ElementTree"),
        "xml",
        "assert xml.etree.ElementTree.Element('a').tag == 'a' and xml.dom.Node",
    ),
    Case(
        "module without its statement",
        ("m = __import__('json')",),
        "m",
        "assert m.loads('1') == 1",
        {"m": "import"},
    ),
    Case("value from a module", ("from math import pi",), "pi", "assert pi > 3", {"pi": "import"}),
    Case("renamed", ("from math import tau as circle",), "circle", "assert circle > 6", {"circle": "import"}),
    Case(
        "class from a module", ("from datetime import date",), "date", "assert date(2020, 1, 1).year == 2020"
    ),
    Case(
        "star import", ("from math import *",), "e floor", "assert e > 2 and floor(2.5) == 2", {"e": "import"}
    ),
    Case(
        "imported under time", ("%%time\nimport decimal as d",), "d", "assert d.Decimal('1')", {"d": "import"}
    ),
    Case(
        "imported name rebound to a value",
        ("from math import pi\npi = 3",),
        "pi",
        "assert pi == 3",
        {"pi": "literal"},
    ),
    Case(
        "function found by its module",
        ("import json\ndumps = json.dumps",),
        "dumps",
        "assert dumps(1) == '1'",
    ),
    Case(
        "submodule of a package",
        ("from os import path",),
        "path",
        "assert path.join('a', 'b')",
        {"path": "import"},
    ),
    # builtins and what the kernel has
    Case("builtins", ("x = 1",), "len print x open exit display get_ipython __name__", "assert x == 1"),
    Case("shadowed builtin", ("len = 3",), "len", "assert len == 3", {"len": "literal"}),
    Case(
        "shadowed by a function",
        ("def sum(x): return 42",),
        "sum",
        "assert sum([]) == 42",
        {"sum": "definition"},
    ),
    # functions
    Case(
        "function",
        ("K = 2\ndef f(x):\n    return x * K",),
        "f",
        "assert f(4) == 8",
        {"f": "definition", "K": "literal"},
    ),
    Case("redefined function", ("def f(): return 1", "def f(): return 2"), "f", "assert f() == 2"),
    Case(
        "function kept from before it was defined again",
        ("def f(): return 1\ng = f", "def f(): return 2"),
        "g f",
        "assert (g(), f()) == (1, 2)",
    ),
    Case(
        "alias", ("def f(): return 1\ng = f",), "g", "assert g is f", {"g": "definition", "f": "definition"}
    ),
    Case(
        "recursion",
        ("def fact(n):\n    return 1 if n < 2 else n * fact(n - 1)",),
        "fact",
        "assert fact(5) == 120",
    ),
    Case(
        "mutual recursion",
        ("def even(n): return n == 0 or odd(n - 1)\ndef odd(n): return n != 0 and even(n - 1)",),
        "even",
        "assert even(10) and odd(7)",
    ),
    Case("lambda", ("K = 3\nf = lambda x: x + K",), "f", "assert f(1) == 4", {"f": "definition"}),
    Case("recursive lambda", ("f = lambda n: 1 if n < 2 else n * f(n - 1)",), "f", "assert f(4) == 24"),
    Case(
        "under time",
        ("%%time\ndef f():\n    return 'timed'",),
        "f",
        "assert f() == 'timed'",
        {"f": "definition"},
    ),
    Case(
        "under capture",
        ("%%capture out\ndef f():\n    return 5",),
        "f",
        "assert f() == 5",
        {"f": "definition"},
    ),
    Case(
        "inside if and with",
        (
            (
                "import contextlib\n"
                "if True:\n"
                "    with contextlib.suppress(OSError):\n"
                "        def f():\n"
                "            '''a\n"
                "  b'''\n"
                "            return 5"
            ),
        ),
        "f",
        "assert f() == 5 and f.__doc__ in ('a\\n  b', 'a\\nb')",
        {"f": "definition"},
    ),
    Case(
        "decorated by a function of the notebook",
        (
            (
                "import functools\n"
                "CALLS = []\n"
                "def traced(f):\n"
                "    @functools.wraps(f)\n"
                "    def wrapper(*args):\n"
                "        CALLS.append(f.__name__)\n"
                "        return f(*args)\n"
                "    return wrapper"
            ),
            "@traced\ndef area(r):\n    return r * r",
        ),
        "area",
        "assert area(3) == 9 and CALLS == ['area']",
        {"area": "definition", "traced": "definition"},
    ),
    Case(
        "decorated without wraps",
        (
            "def twice(f):\n    def wrapper(x):\n        return f(f(x))\n    return wrapper",
            "@twice\ndef inc(x): return x + 1",
        ),
        "inc",
        "assert inc(1) == 3",
        {"inc": "definition"},
    ),
    Case(
        "decorated after it was defined",
        ("import functools\n@functools.lru_cache\ndef f(x): return x", "f = functools.partial(f, 7)"),
        "f",
        "assert f() == 7",
    ),
    Case(
        "decorator with arguments",
        (
            (
                "SCALE = 10\n"
                "def scaled(by):\n"
                "    def decorate(f):\n"
                "        return lambda x: f(x) * by\n"
                "    return decorate"
            ),
            "@scaled(by=SCALE)\ndef f(x): return x",
        ),
        "f",
        "assert f(2) == 20",
        {"f": "definition", "SCALE": "literal"},
    ),
    Case(
        "lru_cache",
        (
            (
                "from functools import lru_cache\n"
                "@lru_cache(maxsize=4)\n"
                "def fib(n):\n"
                "    return n if n < 2 else fib(n-1) + fib(n-2)\n"
                "fib(3)"
            ),
        ),
        "fib",
        "assert fib(20) == 6765 and fib.cache_parameters()['maxsize'] == 4",
        {"fib": "definition"},
    ),
    Case(
        "lru_cache applied later",
        ("from functools import lru_cache\ndef f(x): return x + 1\nf = lru_cache(maxsize=3)(f)",),
        "f",
        "assert f(1) == 2 and f.cache_parameters()['maxsize'] == 3",
        {"f": "pickle"},
    ),
    Case(
        "closure",
        ("def make(n):\n    def add(x):\n        return x + n\n    return add\nadd5 = make(5)",),
        "add5",
        "assert add5(1) == 6",
        {"add5": "pickle"},
    ),
    Case(
        "closure that reads a global",
        ("K = 100\ndef make(n):\n    def add(x):\n        return x + n + K\n    return add\nadd5 = make(5)",),
        "add5",
        "assert add5(1) == 106\nK = 0\nassert add5(1) == 6",
        {"add5": "pickle", "K": "literal"},
    ),
    Case(
        "partial",
        ("from functools import partial\ndef f(a, b, c=1): return a, b, c\ng = partial(f, 1, c=9)",),
        "g",
        "assert g(2) == (1, 2, 9)",
        {"g": "literal"},
    ),
    Case("default that a name gives", ("K = 4\ndef f(x=K): return x",), "f", "assert f() == 4"),
    Case(
        "default of a name that was rebound",
        ("K = 4\ndef f(x=K): return x\nK = 5",),
        "f K",
        "assert (f(), K) == (4, 5)",
    ),
    Case(
        "mutable default that was filled",
        ("def f(x, seen=[]):\n    seen.append(x)\n    return list(seen)\nf(1)",),
        "f",
        "assert f(2) == [1, 2]",
    ),
    Case(
        "attributes of a function",
        ("def f(): return f.limit\nf.limit = 3",),
        "f",
        "assert f() == 3",
        {"f": "definition"},
    ),
    Case(
        "async and generator functions",
        ("async def a(): return 1\ndef g():\n    yield 1",),
        "a g",
        "assert list(g()) == [1]\na().close()",
        {"a": "definition", "g": "definition"},
    ),
    Case(
        "annotations read names",
        ("from __future__ import annotations\ndef f(x: NotThere) -> Nowhere: return x",),
        "f",
        "assert f(1) == 1",
        {"f": "definition"},
    ),
    Case("body reads what is nowhere", ("def f(x): return missing if x else 1",), "f", "assert f(0) == 1"),
    Case(
        "two statements on a line",
        ("a = 1; f = lambda: a; b = 2",),
        "f",
        "assert f() == 1",
        {"f": "definition"},
    ),
    Case(
        "cell that failed later",
        ("def f(): return 1",),
        "f",
        "assert f() == 2",
        expected_to_fail=("def f(): return 2\n1/0",),
    ),
    Case(
        "cell that failed before",
        ("def f(): return 1",),
        "f",
        "assert f() == 1",
        expected_to_fail=("1/0\ndef f(): return 2",),
    ),
    Case(
        "imports in the cell of a method call",
        ("import json\ndef f(x): return json.dumps(x)",),
        "f",
        "assert f(1) == '1'",
        {"f": "definition"},
    ),
    Case(
        "singledispatch",
        ("from functools import singledispatch\n@singledispatch\ndef f(x): return 'any'",),
        "f",
        "assert f(1) == 'any'",
        {"f": "definition"},
    ),
    Case(
        "contextmanager",
        ("from contextlib import contextmanager\n@contextmanager\ndef f():\n    yield 3",),
        "f",
        "with f() as x: assert x == 3",
        {"f": "definition"},
    ),
    Case(
        "class instance as decorator",
        (
            (
                "class Task:\n"
                "    def __init__(self, f): self.f = f\n"
                "    def run(self): return self.f()\n"
                "@Task\n"
                "def job(): return 8"
            ),
        ),
        "job",
        "assert job.run() == 8 and type(job) is Task",
        {"job": "definition"},
    ),
    # classes
    Case(
        "class",
        ("class A:\n    x = 1\n    def m(self): return self.x",),
        "A",
        "assert A().m() == 1",
        {"A": "definition"},
    ),
    Case(
        "class with a base",
        ("class A:\n    x = 1", "class B(A):\n    y = 2"),
        "B",
        "assert B().x == 1 and issubclass(B, A)",
        {"B": "definition"},
    ),
    Case(
        "dataclass",
        (DATACLASS,),
        "Config",
        "assert Config('a').double() == 6 and Config.__doc__",
        {"Config": "definition"},
    ),
    Case(
        "instance of a dataclass",
        (DATACLASS, "cfg = Config('a', tags=['x'])"),
        "cfg",
        "assert cfg == Config('a', 3, ['x']) and isinstance(cfg, Config)",
        {"cfg": "literal"},
    ),
    Case(
        "instance with an attribute more",
        (DATACLASS, "cfg = Config('a')\ncfg.extra = 1"),
        "cfg",
        "assert cfg.extra == 1 and isinstance(cfg, Config)",
        {"cfg": "pickle"},
    ),
    Case(
        "instance of a class that was defined again",
        ("class A: v = 1\na = A()", "class A: v = 2"),
        "a A",
        "assert a.v == 1 and A.v == 2 and not isinstance(a, A)",
        {"a": "pickle", "A": "definition"},
    ),
    Case(
        "class attribute set later",
        ("class A:\n    count = 0\nA.count = 5",),
        "A",
        "assert A.count == 5",
        {"A": "definition"},
    ),
    Case(
        "method added later",
        ("class A: pass\ndef m(self): return 3\nA.m = m",),
        "A",
        "assert A().m() == 3 and A.m is m",
        {"A": "definition"},
    ),
    Case(
        "registry filled by subclasses",
        (
            (
                "class Base:\n"
                "    known = {}\n"
                "    def __init_subclass__(cls): Base.known[cls.__name__] = cls\n"
                "class A(Base): pass"
            ),
        ),
        "A Base",
        "assert Base.known == {'A': A}",
        {"A": "definition", "Base": "definition"},
    ),
    Case(
        "enum",
        ("import enum\nclass Color(enum.Enum):\n    RED = 1\n    BLUE = 2\nbest = Color.BLUE",),
        "best",
        "assert best is Color.BLUE",
        {"best": "literal", "Color": "definition"},
    ),
    Case(
        "flags",
        ("import re\nflags = re.I | re.M",),
        "flags",
        "import re\nassert flags == re.I | re.M and type(flags) is re.RegexFlag",
    ),
    Case(
        "named tuples",
        ("from collections import namedtuple\nP = namedtuple('P', 'x y')\np = P(1, [2])",),
        "p",
        "assert p == P(1, [2]) and type(p) is P",
        {"P": "definition", "p": "literal"},
    ),
    Case(
        "typed named tuple",
        ("from typing import NamedTuple\nclass P(NamedTuple):\n    x: int = 1\np = P(4)",),
        "p",
        "assert p.x == 4 and isinstance(p, P)",
        {"P": "definition", "p": "literal"},
    ),
    Case(
        "typed dict",
        ("from typing import TypedDict\nclass D(TypedDict):\n    x: int\nd = D(x=1)",),
        "D d",
        "assert d == {'x': 1} and D(x=2)",
        {"D": "definition"},
    ),
    Case(
        "protocol and generic",
        (
            (
                "from typing import Generic, TypeVar\n"
                "T = TypeVar('T')\n"
                "class Box(Generic[T]):\n"
                "    def __init__(self, v): self.v = v\n"
                "b = Box(3)"
            ),
        ),
        "b",
        "assert b.v == 3 and isinstance(b, Box)",
        {"Box": "definition", "T": "definition"},
    ),
    Case(
        "type alias",
        ("Vector = list[float] | None",),
        "Vector",
        "assert Vector == (list[float] | None)",
        {"Vector": "definition"},
    ),
    Case(
        "property and class methods",
        (
            (
                "class A:\n"
                "    def __init__(self): self._x = 1\n"
                "    @property\n"
                "    def x(self): return self._x\n"
                "    @x.setter\n"
                "    def x(self, v): self._x = v\n"
                "    @classmethod\n"
                "    def make(cls): return cls()\n"
                "    @staticmethod\n"
                "    def s(): return 's'"
            ),
        ),
        "A",
        "a = A.make(); a.x = 4\nassert a.x == 4 and A.s() == 's'",
        {"A": "definition"},
    ),
    Case(
        "super and private names",
        (
            (
                "class A:\n"
                "    def __secret(self): return 1\n"
                "    def m(self): return self.__secret()\n"
                "class B(A):\n"
                "    def m(self): return super().m() + 1"
            ),
        ),
        "B",
        "assert B().m() == 2",
        {"A": "definition", "B": "definition"},
    ),
    Case(
        "nested class",
        ("class A:\n    class Inner:\n        def __init__(self): self.v = [1]\ni = A.Inner()",),
        "i",
        "assert i.v == [1] and isinstance(i, A.Inner)",
        {"A": "definition"},
    ),
    Case(
        "instance by pickle",
        ("class A:\n    def __init__(self): self.v = [1]\na = A()",),
        "a",
        "assert a.v == [1] and isinstance(a, A)",
        {"a": "pickle", "A": "definition"},
    ),
    Case(
        "class of a function",
        ("def make():\n    class Local:\n        v = 3\n    return Local()\na = make()",),
        "a",
        "assert a.v == 3",
        {"a": "pickle"},
    ),
    Case(
        "exception class",
        ("class Mine(ValueError):\n    pass\ne = Mine('x')",),
        "e",
        "assert isinstance(e, Mine) and e.args == ('x',)",
    ),
    Case(
        "bound method",
        ("class A:\n    def __init__(self): self.v = 6\n    def m(self): return self.v\nm = A().m",),
        "m",
        "assert m() == 6",
    ),
    Case(
        "singledispatch with more",
        (
            "from functools import singledispatch\n@singledispatch\ndef f(x): return 'any'",
            "@f.register\ndef _(x: int): return 'int'\n@f.register(str)\ndef _(x): return 'str'",
        ),
        "f",
        "assert (f(1), f('a'), f([])) == ('int', 'str', 'any')",
        {"f": "definition"},
    ),
    Case(
        "postponed annotations of a class",
        (
            (
                "from __future__ import annotations\n"
                "from dataclasses import dataclass\n"
                "@dataclass\n"
                "class A:\n"
                "    x: NotThere = 1"
            ),
        ),
        "A",
        "assert A().x == 1",
        {"A": "definition"},
    ),
    Case(
        "not postponed by a decorator's library",
        ("import contextlib\n@contextlib.contextmanager\ndef f(x: int):\n    yield x",),
        "f",
        "assert f.__annotations__ == {'x': int}",
    ),
    Case(
        "cached function in a container",
        ("from functools import lru_cache\n@lru_cache\ndef f(x): return x\nfs = [f, object]; h = f",),
        "fs h",
        "assert fs[0] is f and h is f",
        {"fs": "literal", "h": "definition"},
    ),
    Case(
        "decorated into an object that is held elsewhere",
        ("class Task:\n    def __init__(self, f): self.f = f\n@Task\ndef job(): return 8\njobs = [job]",),
        "job jobs",
        "assert jobs[0] is job",
        {"jobs": "literal"},
    ),
    Case(
        "imported object that is held elsewhere",
        ("from string import Formatter as F\nfrom logging import root\nr = {'root': root}",),
        "root r",
        "assert r['root'] is root",
    ),
    Case(
        "class that an earlier step provides",
        ("class A:\n    def __init__(self): self.v = [1]\na = A()",),
        "a",
        "assert a.v == [1] and 'A' not in globals()",
        {"a": "pickle"},
        provided=("A",),
    ),
    Case(
        "class made by a call",
        ("A = type('A', (), {'x': 1})\nfrom typing import NewType\nUserId = NewType('UserId', int)",),
        "A UserId",
        "assert A.x == 1 and UserId(3) == 3",
        {"A": "definition"},
    ),
    Case(
        "lambda as a method added later",
        ("class A: pass\nA.m = lambda self: 2",),
        "A",
        "assert A().m() == 2",
        {"A": "definition"},
    ),
    Case(
        "a name called annotations",
        ("from __future__ import annotations\ndef f(x: Nope): return x", "annotations = [1]"),
        "annotations f",
        "assert annotations == [1] and f(1) == 1",
    ),
    Case(
        "one closure under two names",
        ("a = b = (lambda n: lambda x: x + n)(2)",),
        "a b",
        "assert a is b and a(1) == 3",
    ),
    Case(
        "named lambda in a container",
        ("f = lambda x: x\nd = {'f': f}",),
        "d f",
        "assert d['f'] is f",
        {"f": "definition", "d": "literal"},
    ),
    # values of libraries
    Case(
        "array",
        ("import numpy as np\na = np.arange(6).reshape(2, 3)",),
        "a",
        "assert a.tolist() == [[0, 1, 2], [3, 4, 5]]",
        {"a": "pickle"},
    ),
    Case(
        "object array and scalar",
        ("import numpy as np\na = np.array(['x', None], dtype=object); s = np.float32(1.5)",),
        "a s",
        "assert a.tolist() == ['x', None] and s == 1.5 and type(s).__name__ == 'float32'",
    ),
    Case(
        "pandas",
        (
            (
                "import pandas as pd\n"
                "df = pd.DataFrame({'a': [1, 2], 'b': ['x', None]}); s = df['a']; i = df.index"
            ),
        ),
        "df s i",
        "assert df.shape == (2, 2) and s.sum() == 3 and list(i) == [0, 1]",
        {"df": "pickle"},
    ),
    Case(
        "polars",
        ("import polars as pl\ndf = pl.DataFrame({'a': [1, None]})",),
        "df",
        "assert df['a'].to_list() == [1, None]",
        {"df": "pickle"},
    ),
    Case(
        "arrow",
        ("import pyarrow as pa\nt = pa.table({'a': [1, 2]})",),
        "t",
        "assert t['a'].to_pylist() == [1, 2]",
        {"t": "pickle"},
    ),
    Case(
        "functions of a library in a dict",
        ("import numpy as np\naggs = {'m': np.mean, 'n': len}",),
        "aggs",
        "assert aggs['m']([1, 3]) == 2 and aggs['n'] is len",
        {"aggs": "literal"},
    ),
    Case(
        "lambdas in a dict",
        ("K = 2\nfs = {'a': lambda x: x * K, 'b': lambda x: x + K}",),
        "fs",
        "assert (fs['a'](5), fs['b'](5)) == (10, 7)",
        {"fs": "literal", "K": "literal"},
    ),
    Case(
        "logger and standard output",
        ("import logging, sys\nlog = logging.getLogger('me')\nout = {'to': sys.stdout}",),
        "log out",
        "import sys\nassert log.name == 'me' and out['to'] is sys.stdout",
    ),
    Case(
        "regular expression",
        ("import re\nword = re.compile(r'\\w+', re.I)",),
        "word",
        "assert word.match('ab') and word.flags & 2",
        {"word": "literal"},
    ),
    Case("bytes in memory", ("import io\nb = io.BytesIO(b'abc')",), "b", "assert b.getvalue() == b'abc'"),
    Case(
        "counter and ordered dict",
        ("from collections import Counter, defaultdict\nc = Counter('aab'); d = defaultdict(list, x=[1])",),
        "c d",
        "assert c['a'] == 2 and d['y'] == [] and d['x'] == [1]",
    ),
    # sharing
    Case("one list under two names", ("a = b = [1]",), "a b", "assert a is b", {"b": "literal"}),
    Case(
        "named list inside another",
        ("a = [1]\nb = {'x': a}",),
        "a b",
        "assert b['x'] is a",
        {"a": "literal", "b": "literal"},
    ),
    Case(
        "unnamed list in two values",
        ("x = [0]\na = [x]; b = {'k': x}\ndel x",),
        "a b",
        "assert a[0] is b['k']",
        {"a": "pickle"},
    ),
    Case("twice in one value", ("x = []\na = [x, x]",), "a", "assert a[0] is a[1]", {"a": "pickle"}),
    Case("holds itself", ("a = [1]\na.append(a)",), "a", "assert a[1] is a", {"a": "pickle"}),
    Case(
        "two that hold each other", ("a = []; b = [a]\na.append(b)",), "a b", "assert a[0] is b and b[0] is a"
    ),
    Case(
        "one frame under two names",
        ("import pandas as pd\ndf = pd.DataFrame({'a': [1]}); same = df; held = [df]",),
        "df same held",
        "assert df is same and held[0] is df",
    ),
    Case(
        "function and what it changes",
        ("LOG = []\ndef note(x): LOG.append(x)\nkeep = {'log': LOG, 'note': note}",),
        "keep",
        "keep['note'](1)\nassert keep['log'] == [1]",
    ),
    Case(
        "object with a callback",
        (
            (
                "class Bus:\n"
                "    def __init__(self): self.on = []\n"
                "seen = []\n"
                "bus = Bus()\n"
                "bus.on.append(lambda x: seen.append(x))"
            ),
        ),
        "bus seen",
        "bus.on[0](3)\nassert seen == [3]",
    ),
]


@pytest.fixture(scope="module")
def done() -> dict[str, Outcome]:
    return outcomes(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_it_comes_back(case: Case, done: dict[str, Outcome]) -> None:
    outcome = done[case.title]
    assert not outcome.error
    assert not outcome.failure, outcome.failure + "\n".join(entry["source"] for entry in outcome.entries)
    assert {name: outcome.entry(name)["how"] for name in case.how} == case.how


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_every_field_is_filled_and_true(case: Case, done: dict[str, Outcome]) -> None:
    bound: set[str] = set()
    for entry in done[case.title].entries:
        assert set(entry["reads_first"]) <= bound | set(entry["reads"])
        assert set(entry["reads_first"]) <= bound
        bound |= set(entry["binds"])
        assert entry["type"]
        assert entry["size"] == len(entry["source"].encode())
    for entry in done[case.title].entries:
        assert set(entry["reads"]) <= bound
