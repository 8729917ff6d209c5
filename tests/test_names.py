"""The names that code reads and binds, case by case."""

from __future__ import annotations

import ast
import builtins
import sys
import timeit
from dataclasses import dataclass
from textwrap import dedent

import pytest

from flownb.names.analysis import Opaque, find_names, statement_names

PROVIDED = {*dir(builtins), "get_ipython"}


@dataclass(frozen=True)
class Case:
    """Code, and the names expected: words in a string; None where the case is not about them."""

    id: str
    code: str
    reads: str = ""
    first: str | None = None  # None: as `reads`
    binds: str | None = None
    certain: str | None = None
    mutates: str | None = None
    deletes: str | None = None
    opaque: tuple[str, ...] = ()
    optional: str | None = None


CASES = [
    # reading and binding
    Case("empty", "", binds="", certain="", mutates="", deletes="", optional=""),
    Case("a name", "x", "x", binds=""),
    Case("an assignment", "x = y", "y", binds="x", certain="x"),
    Case("bound, then read", "x = 1\ny = x", "", binds="x y", certain="x y"),
    Case("read, then bound", "y = x\nx = 1", "x", binds="x y", certain="x y"),
    Case("the value before the target", "x = x + 1", "x", binds="x"),
    Case("several targets", "x = y = z", "z", binds="x y", certain="x y"),
    Case("unpacking", "a, (b, *c), [d] = e", "e", binds="a b c d", certain="a b c d"),
    Case("targets from left to right", "i, x[i] = 0, 1", "x", binds="i", mutates="x"),
    Case("the item before the name", "x[i], i = 0, 1", "x i", binds="i", mutates="x"),
    Case("an augmented assignment reads", "x += 1", "x", binds="x", certain="x", mutates="x"),
    Case("an augmented assignment of its own", "x = 1\nx += 1", "", binds="x", mutates=""),
    Case("an annotated assignment", "x: int = y", "y", binds="x", certain="x"),
    Case("an annotation is read", "x: T = 1", "T", binds="x"),
    Case("an annotation comes after its value", "T: T = 1", "", binds="T"),
    Case("an annotation without a value binds nothing", "x: int\nx", "x", binds="", certain=""),
    Case("an annotation of an attribute", "x.a: T", "x T", binds=""),
    Case("a walrus", "(x := y) + x", "y", binds="x", certain="x"),
    Case("a builtin is read as any other name", "print(len)", "", binds=""),
    Case("a builtin that is bound", "len = 3\nlen", "", binds="len", certain="len"),
    Case("top-level await", "x = await f(y)", "f y", binds="x", certain="x"),
    Case("an f-string", "f'{x!r:>{width}} {y=}'", "x width y"),
    Case("an f-string in an f-string", "f'{f\"{x}\"}'", "x"),
    Case("not a name", "'x' + x.y + f(z=1)['w']", "x f"),
    # deleting
    Case("del reads", "del x", "x", binds="", deletes="x", certain=""),
    Case("del of its own", "x = 1\ndel x", "", binds="x", deletes="x", certain=""),
    Case("read after del", "x = 1\ndel x\nx", "x", deletes="x"),
    Case("bound after del", "x = 1\ndel x\nx = 2", "", deletes="x", certain="x"),
    Case("del of several", "del x, (y, [z])", "x y z", deletes="x y z"),
    Case("del of an item", "del x[i]", "x i", deletes="", mutates="x"),
    # changing in place
    Case("an item is assigned", "x[i] = v", "x i v", binds="", mutates="x"),
    Case("an attribute is assigned", "x.a = v", "x v", binds="", mutates="x"),
    Case("deep inside", "x.a[0].b = v", "x v", mutates="x"),
    Case("through a method", "x.get(k).a = v", "x k v", mutates="x"),
    Case("an item is augmented", "x['a'] += v", "x v", mutates="x"),
    Case("a method is called", "x.append(v)", "x v", mutates="x"),
    Case("a method is awaited", "await x.send(v)", "x v", mutates="x"),
    Case("a method's value is used", "y = x.pop()", "x", mutates=""),
    Case("a function is called", "f(x)", "f x", mutates=""),
    Case("a call's own value", "f(x).append(1)", "f x", mutates=""),
    Case("its own list", "x = []\nx.append(1)", "", mutates=""),
    Case("a loop's target is an item", "for x[0] in y: pass", "x y", mutates="x", binds=""),
    Case("in a function", "def f(): x.append(1)", "x", "", mutates="x"),
    Case("in a function, of its own", "x = []\ndef f(): x.append(1)", "", mutates=""),
    # imports
    Case("import", "import a", "", binds="a", certain="a"),
    Case("import of a submodule", "import a.b.c", "", binds="a"),
    Case("import as", "import a.b as c", "", binds="c"),
    Case("from import", "from a import b, c as d", "", binds="b d", certain="b d"),
    Case("relative import", "from . import a", "", binds="a"),
    Case("star import", "from m import *\nx", "x", binds="", opaque=("from m import *",)),
    Case("relative star import", "from ..m import *", "", opaque=("from ..m import *",)),
    # branches
    Case("if", "if c: x = 1\nx", "c x", binds="x", certain=""),
    Case("if and else", "if c: x = 1\nelse: x = 2\nx", "c", certain="x"),
    Case("if, elif and else", "if c: x = 1\nelif d: x = 2\nelse: x = 3\nx", "c d", certain="x"),
    Case("elif without else", "if c: x = 1\nelif d: x = 2\nx", "c d x", certain=""),
    Case("a condition binds", "if (x := f()): pass\nx", "f", certain="x"),
    Case("a condition binds where it holds", "if c and (x := f()): x", "c f", binds="x", certain=""),
    Case("a condition binds where it does not hold", "if not (c and (x := f())): x", "c f x"),
    Case("or, where it does not hold", "if c or (x := f()): pass\nelse: x", "c f"),
    Case("and may stop early", "c and (x := 1)\nx", "c x", certain=""),
    Case("a conditional expression", "(x := 1) if c else (x := 2)\nx", "c", certain="x"),
    Case("half a conditional expression", "(x := 1) if c else y\nx", "c y x", certain=""),
    Case("a chain of comparisons", "a < (x := b) < (y := c)\nx, y", "a b c y", certain="x"),
    Case("if true", "if True: x = 1\nx", "", certain="x"),
    Case("if false", "if 0: x\nelse: y", "y"),
    Case("an early raise", "if c:\n    x = 1\nelse:\n    raise E\nx", "c E", certain="x"),
    Case("after raise nothing is read", "raise E\nx", "E"),
    Case("assert", "assert (x := f()), x\nx", "f", certain="x"),
    # loops
    Case("for", "for x in y: z = x\nx, z", "y x z", binds="x z", certain=""),
    Case("for and else", "for x in y: z = 1\nelse: z = 2\nz", "y", certain="z"),
    Case("for, break and else", "for x in y:\n    if x: break\nelse: z = 2\nz", "y z", certain=""),
    Case("while", "while c: x = 1\nx", "c x", certain=""),
    Case("while true", "while True:\n    x = f()\n    if x: break\nx", "f", certain="x"),
    Case("while true, out before", "while True:\n    if f(): break\n    x = 1\nx", "f x", certain=""),
    Case("while binds in its condition", "while (x := f()): x\nx", "f", certain="x"),
    Case("continue", "while True:\n    if c: continue\n    x = 1\n    break\nx", "c", certain="x"),
    Case("an earlier turn unbinds", "x = 1\nfor i in y:\n    x\n    del x", "y x", deletes="x"),
    Case("async for", "async for x in y: x", "y", binds="x", certain=""),
    # exceptions
    Case("try", "try: x = f()\nexcept E: pass\nx", "f E x", certain=""),
    Case("try, bound in both", "try: import a\nexcept ImportError: a = None\na", "", certain="a"),
    Case("try, the handler raises", "try: x = f()\nexcept E: raise\nx", "f E", certain="x"),
    Case("try and else", "try: f()\nexcept E: x = 1\nelse: x = 2\nx", "f E", certain="x"),
    Case("try and finally", "try: f()\nfinally: x = 1\nx", "f", certain="x"),
    Case("finally reads what may be missing", "try: x = f()\nfinally: x", "f x", certain="x"),
    Case("the handler's name is unbound", "try: f()\nexcept E as e: e\ne", "f E e", binds="e", deletes="e"),
    Case(
        "the handler's name replaces another", "e = 1\ntry: f()\nexcept E as e: pass\ne", "f E e", certain=""
    ),
    Case("except*", "try: f()\nexcept* E as e: x = e\nx", "f E x", binds="e x"),
    Case("what is tried may be missing", "try: x\nexcept NameError: x = f()", "x f", optional="x"),
    Case("what is tried and needed", "try: x\nexcept NameError: x = x", "x", optional=""),
    Case("other errors are not for missing names", "try: x\nexcept Exception: x = 1", "x", optional=""),
    # with
    Case("with", "with f() as x: y = x\nx, y", "f", binds="x y", certain="x y"),
    Case("with several", "with a as x, x.b as y[0], y: pass", "a y", binds="x"),
    Case("suppress", "with suppress(E): x = f()\nx", "suppress E f x", certain=""),
    Case("pytest.raises", "with pytest.raises(E): x = f()\nx", "pytest E f x", certain=""),
    Case("async with", "async with f() as x: x", "f", certain="x"),
    # match
    Case("match", "match s:\n    case [x, *y]: x, y\nx", "s x", binds="x y", certain=""),
    Case("match with a wildcard", "match s:\n    case 1: x = 1\n    case _: x = 2\nx", "s", certain="x"),
    Case("match with a capture", "match s:\n    case 1: x = 1\n    case x: pass\nx", "s", certain="x"),
    Case("match reads values", "match s:\n    case A.b: pass\n    case C(d=e): e", "s A C", binds="e"),
    Case("match of a mapping", "match s:\n    case {K.a: v, **rest}: v, rest", "s K", binds="v rest"),
    Case("a guard sees what was captured", "match s:\n    case (x, y) if x < z: y", "s z", binds="x y"),
    Case("a guard may refuse", "match s:\n    case x if c: y = 1\ny", "s c y", certain="x"),
    Case("alternatives", "match s:\n    case (1 as x) | (2 as x): x", "s", binds="x"),
    # functions
    Case("a body is read when called", "def f(): return x", "x", "", binds="f", certain="f"),
    Case("bound before anybody can call it", "def f(): return x\nx = 1", "", "", binds="f x"),
    Case("called too early", "def f(): return x\nf()\nx = 1", "x"),
    Case("called in time", "def f(): return x\nx = 1\nf()", ""),
    Case("it goes out before", "def f(): return x\ng(f)\nx = 1", "g x"),
    Case("functions call functions", "def f(): return g()\ndef g(): return x\nx = 1\nf()", ""),
    Case("through another one", "def f(): return g()\ndef g(): return x\nf()\nx = 1", "x"),
    Case("recursion", "def f(n): return n and f(n - 1)\nf(3)", ""),
    Case("mutual recursion", "def f(): g()\ndef g(): f()\nf()", ""),
    Case("the last definition counts", "def f(): return x\ndef f(): return y\nf()", "y"),
    Case(
        "either definition counts", "if c:\n    def f(): return x\nelse:\n    def f(): return y\nf()", "c x y"
    ),
    Case("parameters are local", "def f(a, /, b, *c, d, **e): return a, b, c, d, e", "", binds="f"),
    Case("defaults are read at once", "def f(a=x, *, b=y): return a, b", "x y"),
    Case("annotations are read at once", "def f(a: A, *b: B, c: C = 0, **d: D) -> R: pass", "A B C D R"),
    Case("decorators are read at once", "@d(x)\ndef f(): pass", "d x"),
    Case("a local used before its assignment", "def f():\n    print(x)\n    x = 1\nf()", "", binds="f"),
    Case("a local of an augmented assignment", "def f(): x += 1\nf()", ""),
    Case(
        "a local of a loop, a with, an import",
        "def f():\n    for a in b: import c\n    with a as d: c, d",
        "b",
        "",
    ),
    Case("a local annotation is never evaluated", "def f():\n    x: T = 1\n    return x", "", binds="f"),
    Case("a local of a handler", "def f():\n    try: g()\n    except E as e: pass\n    return e", "g E", ""),
    Case("a closure", "def f():\n    x = 1\n    def g(): return x, y\n    return g", "y", ""),
    Case("a later local of the function around", "def f():\n    def g(): return x\n    x = 1", "", ""),
    Case(
        "nonlocal", "def f():\n    x = 1\n    def g():\n        nonlocal x\n        x += 1", "", "", binds="f"
    ),
    Case("global", "def f():\n    global x\n    x = 1\nf()\nx", "x", binds="f x", certain="f"),
    Case("global is read", "def f():\n    global x\n    x += 1\nf()", "x", binds="f x", mutates="x"),
    Case("global is bound first", "def f():\n    global x\n    x = 1\n    return x\nf()", "", binds="f x"),
    Case(
        "global is deleted", "x = 1\ndef f():\n    global x\n    del x\nf()\nx", "x", deletes="x", certain="f"
    ),
    Case(
        "global in the function around",
        "def f(x):\n    def g():\n        global x\n        return x",
        "x",
        "",
    ),
    Case("global passes through", "def f():\n    global x\n    def g(): return x", "x", ""),
    Case("async def", "async def f(): await x\nawait f()", "x", binds="f"),
    Case("a generator", "def f(): yield x\nnext(f())\nx = 1", "x"),
    Case("a lambda in place", "f(lambda a, b=c: a + b + d)", "f c d"),
    Case("a lambda with a name", "f = lambda n: f(n - 1) + x\nx = 1\nf(3)", ""),
    Case("a lambda of a lambda", "f = lambda: lambda: x\nf()\nx = 1", "x"),
    Case(
        "a known decorator keeps", "@functools.lru_cache(maxsize=None)\ndef f(): return x\nx = 1", "functools"
    ),
    Case("another decorator may call", "@d\ndef f(): return x\nx = 1", "d x"),
    Case("a decorated function by its own name", "@d\ndef f(n): return f(n - 1)", "d", certain="f"),
    Case("a decorator of the cell's own", "def cache(f): return f()\n@cache\ndef f(): return x\nx = 1", "x"),
    Case(
        "single dispatch",
        "@singledispatch\ndef f(a): return x\n@f.register\ndef _(a: int): return y\nx = y = 1",
        "singledispatch",
    ),
    # classes
    Case("a class", "class C(B, metaclass=M): x = y", "B M y", binds="C", certain="C"),
    Case("its names are its own", "class C:\n    x = 1\n    y = x\nx", "x", binds="C"),
    Case("it reads the global first", "class C: x = x", "x", binds="C"),
    Case("it falls back", "class C:\n    if c: x = 1\n    y = x", "c x"),
    Case("methods do not see its names", "class C:\n    x = 1\n    def m(self): return x", "x", ""),
    Case("nor do comprehensions", "class C:\n    x = y = 1\n    z = [x for _ in y]", "x"),
    Case("methods when its name is loaded", "class C:\n    def m(self): return x\nC()\nx = 1", "x"),
    Case("methods before", "class C:\n    def m(self): return x\nx = 1\nC()", ""),
    Case("methods read their class", "class C(B):\n    def m(self): return C()", "B", binds="C"),
    Case(
        "properties",
        "class C:\n    @property\n    def p(self): return x\n    @p.setter\n    def p(self, v): y\nx = y = 1",
        "",
    ),
    Case("an enumeration", "class C(enum.Enum):\n    a = 1\n    def __init__(self, v): x\nx = 1", "enum x"),
    Case("super and __class__", "class C(B):\n    def m(self): return super().m(), __class__", "B"),
    Case("__qualname__ and __module__", "class C: x = __qualname__, __module__", ""),
    Case(
        "a class in a function", "def f():\n    x = 1\n    class C:\n        y = x\n        x = z", "x z", ""
    ),
    Case("global in a class", "class C:\n    global x\n    x = y\nx", "y", binds="C x", certain="C x"),
    Case("private names", "class C:\n    def m(self): return __x, __y__", "_C__x __y__", ""),
    Case("private names of an underscored class", "class __C:\n    def m(self): return __x", "_C__x", ""),
    Case(
        "private globals",
        "class C:\n    def m(self):\n        global __x\n        __x = 1",
        "",
        binds="C _C__x",
    ),
    Case("private names outside", "__x", "__x"),
    Case(
        "a dataclass",
        "@dataclass\nclass C:\n    a: A = f()\n    def m(self): return x\nx = 1",
        "dataclass A f",
    ),
    # comprehensions
    Case("a list comprehension", "[x + y for x in z if x > w]", "y z w", binds=""),
    Case("its target stays inside", "[x for x in y]\nx", "y x", binds=""),
    Case("the first iterable is outside", "[x for x in x]", "x"),
    Case("the others are inside", "[y for x in z for y in x for y in y]", "z"),
    Case("a dict comprehension", "{k: v for k, v in x}", "x"),
    Case("a walrus binds outside", "[(y := x) for x in z]\ny", "z y", binds="y", certain=""),
    Case("a walrus is seen inside", "[y for x in z if (y := f(x))]", "z f", binds="y"),
    Case("a walrus in a function", "def f(z): return [(y := x) for x in z], y", "", binds="f"),
    Case("a generator is used up", "x = 1\nany(x for i in y)\ndel x", "y", deletes="x"),
    Case("a generator waits", "x = 1\ng = (x for i in y)\ndel x", "y x", deletes="x"),
    Case("a lambda in a comprehension", "[lambda: x + y for x in z]", "y z"),
    Case("await in a comprehension", "[await x async for x in y]", "y"),
    # annotations as text
    Case("a string annotation is for later", "def f(a: 'A') -> 'list[B]': pass", "A B", "", optional="A B"),
    Case("a string annotation of its own", "class C:\n    c: 'C | D'", "D", "", optional="D"),
    Case("a literal is no annotation", "x: Literal['a', 'b'] = y", "Literal y"),
    Case(
        "only the first of Annotated",
        "x: Annotated['A', 'b c', f(d)] = 1",
        "Annotated A f d",
        "Annotated f d",
    ),
    Case("inside others", "x: dict[str, 'A'] | None = 1", "A", ""),
    Case("text that is no annotation", "x: 'no annotation at all' = 1", ""),
    Case(
        "annotations that are not evaluated are for later, as text is",
        "from __future__ import annotations\nx: T = 1\ndef f(a: A): pass",
        "A T",
        "",
        binds="annotations x f",
        optional="A T",
    ),
    # out of sight
    Case("exec", "exec(text)", "text", opaque=("exec(...)",)),
    Case("exec of a literal", "exec('x = y')\nx", "y", binds="x"),
    Case("eval of a literal", "z = eval('x + y')", "x y", binds="z"),
    Case("the namespace asked for a name", "a = globals()['x'] + vars()['y']", "x y", binds="a"),
    Case("the namespace asked in a function", "def f(x): return globals()['x']", "x", "", binds="f"),
    Case("a function's own names", "def f(x): return locals()['x']", "", ""),
    Case("a dictionary of that name", "globals = dict\nglobals()['x']", ""),
    Case("the namespace asked for a name that is made", "globals()['x' + y]", "y", opaque=("globals()",)),
    Case("eval with names of its own", "eval('x', {})", "", opaque=("eval(...)",)),
    Case("eval of a text that is made", "eval('x' + y)", "y", opaque=("eval(...)",)),
    Case("eval in a function", "def f(a): return eval('a + b')", "b", ""),
    Case(
        "namespaces",
        "globals(), locals(), vars(), dir()",
        "",
        opaque=("globals()", "locals()", "vars()", "dir()"),
    ),
    Case("vars of something", "vars(x), dir(x)", "x"),
    Case("locals of a function", "def f(): return locals()", "", opaque=()),
    Case("its own function of that name", "def dir(): pass\ndir()", "", binds="dir"),
    Case("a query", "df.query('a > @t and b == @u.v')", "df t u"),
    Case("a query of a local", "def f(df, t): return df.query('a > @t')", ""),
    Case("a query of several lines", "df.eval(f'a = @t + {x}')", "df t x"),
    Case("a query without names", "df.query('a > 1 and mail == \"me@home\"')", "df"),
    Case("the user's namespace", "get_ipython().user_ns['x']", "", opaque=(".user_ns",)),
]

MAGICS = [
    Case(
        "system",
        "get_ipython().system('cp {source} $target ${HOME} $$PID')",
        "source target HOME",
        optional="target HOME",
    ),
    Case(
        "system with an expression",
        "get_ipython().system('ls {folder / name!s:>10}')",
        "folder name",
        optional="",
    ),
    Case("a shell's own braces", "get_ipython().system(\"awk '{print $1}' {file}\")", ""),
    Case("in single quotes", "get_ipython().system(\"echo '$x' $y\")", "y"),
    Case("os.system", "os.system('echo $x {y}')", "os"),
    Case(
        "getoutput",
        "files = get_ipython().getoutput('ls {folder}')",
        "folder",
        binds="files",
        certain="files",
    ),
    Case("a magic's line", "get_ipython().run_line_magic('cd', '{folder}')", "folder"),
    Case("%time", "get_ipython().run_line_magic('time', 'x = f(y)')\nx", "f y", binds="x", certain="x"),
    Case("%time with an option", "get_ipython().run_line_magic('time', '--no-raise-error f(x)')", "f x"),
    Case("%time is not filled in", "get_ipython().run_line_magic('time', 'x = {y: 1}')", "y", binds="x"),
    Case("%timeit", "get_ipython().run_line_magic('timeit', '-n 10 -r3 x = f(y)')\nx", "f y x", binds=""),
    Case("%prun", "get_ipython().run_line_magic('prun', '-l 10 -s time x = f(y)')", "f y", binds="x"),
    Case("%time in a function", "def g(y): get_ipython().run_line_magic('time', 'f(y)')", "f", ""),
    Case("%store", "get_ipython().run_line_magic('store', 'x')", "x"),
    Case(
        "%store -r",
        "get_ipython().run_line_magic('store', '-r x')\nx",
        "",
        binds="x",
        opaque=("%store -r x",),
    ),
    Case("%run", "get_ipython().run_line_magic('run', 'a.py')\nx", "x", opaque=("%run a.py",)),
    Case("%matplotlib", "get_ipython().run_line_magic('matplotlib', 'inline')", ""),
    Case(
        "a magic of a variable",
        "get_ipython().run_line_magic(name, '')",
        "name",
        opaque=("get_ipython().run_line_magic(name, '')",),
    ),
    Case(
        "%%time",
        "get_ipython().run_cell_magic('time', '', 'x = y\\nz = x\\n')",
        "y",
        binds="x z",
        certain="x z",
    ),
    Case(
        "%%capture",
        "get_ipython().run_cell_magic('capture', '--no-stderr out', 'x = y\\n')\nout",
        "y",
        binds="x out",
    ),
    Case("%%timeit", "get_ipython().run_cell_magic('timeit', '-n 3 x = y', 'z = x\\nw\\n')", "y w", binds=""),
    Case("%%prun", "get_ipython().run_cell_magic('prun', '', 'x = y\\n')", "y", binds="x"),
    Case("%%bash", "get_ipython().run_cell_magic('bash', '-s {x}', 'echo $y {z}\\n')", "x"),
    Case(
        "%%bash with a result",
        "get_ipython().run_cell_magic('bash', '--out a --err=b', 'ls\\n')",
        "",
        binds="a b",
    ),
    Case("%%sx", "get_ipython().run_cell_magic('sx', '', 'ls {x}\\n')", "x"),
    Case(
        "%%writefile",
        "get_ipython().run_cell_magic('writefile', '$path', 'x = y\\n')",
        "path",
        optional="path",
    ),
    Case(
        "a magic that nobody knows",
        "get_ipython().run_cell_magic('sql', '', 'select x')",
        "",
        opaque=("%%sql",),
    ),
    Case(
        "a body that does not parse",
        "get_ipython().run_cell_magic('time', '', '%cd x\\n')",
        "",
        opaque=("text that is not Python: %cd x",),
    ),
]


def names(found: frozenset[str]) -> set[str]:
    return set(found - PROVIDED)


@pytest.mark.parametrize("case", [*CASES, *MAGICS], ids=lambda case: case.id)
def test_names(case: Case):
    found = find_names(case.code)
    assert names(found.reads) == set(case.reads.split())
    assert names(found.reads_first) == set((case.reads if case.first is None else case.first).split())
    for aspect in ("binds", "certain", "mutates", "deletes", "optional"):
        expected = getattr(case, aspect)
        if expected is not None:
            actual = getattr(found, aspect)
            assert (names(actual) if aspect == "optional" else actual) == set(expected.split()), aspect
    assert tuple(opaque.what for opaque in found.opaque) == case.opaque


def test_every_case_is_python():
    for case in [*CASES, *MAGICS]:
        if "await" not in case.code and "async" not in case.code:
            compile(case.code, case.id, "exec", dont_inherit=True)


def test_builtins_are_among_what_is_read():
    assert find_names("print(x)").reads == {"print", "x"}


@pytest.mark.parametrize("code", ["x = y", ast.parse("x = y"), ast.parse("x = y").body[0]])
def test_text_and_trees_are_taken(code):
    found = find_names(code)
    assert (found.reads, found.binds) == ({"y"}, {"x"})


def test_an_expression_is_taken():
    assert find_names(ast.parse("x + (y := 1)", mode="eval")).reads == {"x"}
    assert find_names(ast.parse("x + y", mode="eval").body).reads == {"x", "y"}


def test_what_is_no_code_is_refused():
    with pytest.raises(TypeError, match="not in arguments"):
        find_names(ast.parse("lambda: 0", mode="eval").body.args)
    with pytest.raises(SyntaxError):
        find_names("x = = y")


def test_what_is_out_of_sight_is_told_with_its_line():
    code = "x = 1\nglobals()\nif x:\n    exec(x)\n"
    assert find_names(code).opaque == (Opaque(2, "globals()"), Opaque(4, "exec(...)"))


def test_lines_in_the_body_of_a_cell_magic_are_those_of_the_cell():
    body = "x = 1\nglobals()\n"
    code = f"get_ipython().run_cell_magic('time', '', {body!r})\n"
    assert find_names(code).opaque == (Opaque(3, "globals()"),)


def test_the_body_of_a_cell_magic_may_hold_magics_itself():
    from IPython.core.inputtransformer2 import TransformerManager

    transform = TransformerManager().transform_cell
    found = find_names(transform("%%time\nfiles = !ls {folder}\n%timeit f(files)\n"), transform=transform)
    assert names(found.reads) == {"folder", "f"}
    assert found.binds == {"files"}
    assert found.opaque == ()


def test_statements_are_taken_each_by_itself():
    tree = ast.parse("x = y\nz = x\ndef f(): return z")
    found = statement_names(tree)
    assert [node for node, _ in found] == tree.body
    assert [set(statement.reads) for _, statement in found] == [{"y"}, {"x"}, {"z"}]
    assert [set(statement.binds) for _, statement in found] == [{"x"}, {"z"}, {"f"}]


def test_statements_know_of_the_future_import_above_them():
    tree = ast.parse("from __future__ import annotations\nx: T = 1")
    names = statement_names(tree)[1][1]
    assert names.reads == names.optional == {"T"}
    assert names.reads_first == set()


def test_a_long_sum_is_no_recursion():
    assert find_names(" + ".join(f"x{i}" for i in range(900))).reads == {f"x{i}" for i in range(900)}


if sys.version_info >= (3, 12):  # no earlier Python parses them

    @pytest.mark.parametrize(
        ("code", "reads", "first"),
        [
            ("def f[T: B](a: T, b: A) -> T: return T, x", "A B x", "A"),
            ("class C[T](Base[T]):\n    a: T\n    def m(self) -> T: return x", "Base x", "Base"),
            ("type X[T] = list[T] | Y | X", "Y", ""),
            ("type X = Y\nX", "Y", "Y"),
            ("type X = Y\nY = int\nX", "", ""),
            ("class C:\n    A = int\n    def f[T](self, a: A, b: T): return A", "A", ""),
        ],
    )
    def test_type_parameters(code, reads, first):
        found = find_names(code)
        assert names(found.reads) == set(reads.split())
        assert names(found.reads_first) == set(first.split())


CELL = dedent(
    '''
    import pandas as pd
    from pathlib import Path

    def load(path, *, limit=None):
        """Read one file."""
        frame = pd.read_csv(path)
        if limit is not None:
            frame = frame.head(limit)
        return frame

    class Model:
        scale: float = 1.0
        def __init__(self, k):
            self.k = k
        def predict(self, xs):
            return [x * self.k + OFFSET for x in xs if x]

    files = sorted(Path(ROOT).glob("*.csv"))
    df = pd.concat([load(file, limit=100) for file in files])
    df["ratio"] = df["a"] / df["b"].clip(lower=eps)
    summary = df.groupby("region").agg({"ratio": "mean"}).reset_index()
    for region, group in df.groupby("region"):
        m = Model(k=group["ratio"].mean())
        try:
            results[region] = m.predict(group["a"])
        except ValueError as e:
            print(f"failed {region}: {e}")
    ax = summary.plot(x="region", y="ratio")
    ax.set_title(f"{title} ({len(df)})")
    '''
)


def test_an_ordinary_cell_is_read_as_a_person_would():
    found = find_names(CELL)
    assert names(found.reads) == {"ROOT", "OFFSET", "eps", "results", "title"}
    assert found.mutates == {"results"}
    assert found.certain == {"pd", "Path", "load", "Model", "files", "df", "summary", "ax"}


def test_a_cell_of_thirty_lines_takes_no_time():
    """Half a millisecond on an ordinary machine; the limit leaves room for a busy one."""
    assert min(timeit.repeat(lambda: find_names(CELL), number=10, repeat=20)) / 10 < 0.005
