"""The functions and classes that programs define, as templates by the feature that they have.

The marks are those of `program_bindings`; what is said in braces of a function is what it takes and gives:
`fn` int to int, `eff` int to nothing, `get` nothing to int, `mk` nothing to list, `mut` list to nothing,
`thru` list to list, `red` list to int, `put` list and int to nothing, `hof` function and list to list,
`caller` function to int, `deco` function to function, `wrap` list to function, `gen` list to iterator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from program_bindings import Table

FUNCTIONS: Table = {
    "function reading a global": (
        "def $def{fn}(x):\n    return x + $int",
        "def $def{get}():\n    return $int",
        "def $def{mk}():\n    return $list",
        "def $def{mk}():\n    return $ints",
        "def $def{red}(v):\n    return sum(v) + $int",
    ),
    "function changing a global": (
        "def $def{eff}(x):\n    $ints.append(x)",
        "def $def{eff}(x):\n    $dict['k'] = x",
        "def $def{eff}(x):\n    $change\n    $change",
        "def $def{fn}(x):\n    $change\n    return x + $num",
        "def $def{get}():\n    $change\n    return $int",
        "def $def{mk}():\n    $ints1.append($num)\n    return $ints1",
        "def $def{eff}(x):\n    for y in range(2):\n        $change",
    ),
    "function changing an argument": (
        "def $def{mut}($par1):\n    $par1.append($int)",
        "def $def{mut}($par1):\n    $par1[:] = [$num, *$par1[:4]]",
        "def $def{mut}($par1):\n    $par1 += [$num]",
        "def $def{mut}(v):\n    w = v\n    w.append($num)",
        "def $def{mut}(*args, **options):\n    args[0].append($num)",
        "def $def{put}(v, x):\n    v.append(x)",
        "def $def{put}(v, x=1, *, y=$num):\n    v += [x, y]",
        "def $def{mut}(v):\n    $mut(v)",
    ),
    "function giving its argument": (
        "def $def{thru}($par1):\n    $par1.append($num)\n    return $par1",
        "def $def{thru}($par1):\n    return $par1",
        "def $def{thru}(v):\n    return v if len(v) > $num else $ints",
        "def $def{thru}(v):\n    $ints.extend(v[:2])\n    return v",
        "def $def{thru}(v):\n    return $thru(v)",
    ),
    "function with a copy": (
        "def $def{mut}($par1):\n    $par1 = list($par1)\n    $par1.append($num)",
        "def $def{thru}(v):\n    v = v[:]\n    v.append($num)\n    return v",
    ),
    "global statement": (
        "def $def{eff}(x):\n    global $new1\n    $new1 = x",
        "def $def{get}():\n    global $new1\n    $new1 = $list\n    return len($new1)",
        "def $def{eff}(x):\n    global $name1\n    $name1 = [x]",
        "def $def{fn}(x):\n    global $name1\n    $name1 = x\n    return x + 1",
        "def $def{mut}(v):\n    global $new1\n    $new1 = v",
        (
            "def $def{get}():\n    def inner():\n        global $new1\n        $new1 = $num\n"
            "    inner()\n    return 1"
        ),
        "def $def{eff}(x):\n    global $def2\n    def $def2(y):\n        return y + x",
    ),
    "nested function": (
        (
            "def $def{fn}(x):\n    def inner(y):\n        $ints.append(y)\n"
            "        return y + x\n    return inner($num)"
        ),
        "def $def{red}(v):\n    def inner():\n        v.append($num)\n    inner()\n    return len(v)",
        "def $def{mut}(v):\n    class Inner:\n        held = v\n    Inner.held.append($num)",
        "def $def{mut}(v):\n    [x.append($num) for x in (v, $ints)]",
    ),
    "closure with nonlocal": (
        (
            "def $def{pair}():\n    n = $num\n    def bump():\n        nonlocal n\n"
            "        n += 1\n        return n\n"
            "    def peek():\n        return n\n    return bump, peek\n\n$new1{get}, $new2{get} = $def()"
        ),
        "$new1{get}, $new2{get} = $pair()",
        (
            "def $def{none}(n):\n    def inner(x):\n        nonlocal n\n        n += x\n"
            "        return n\n    return inner\n\n"
            "$new{fn} = $def($int)"
        ),
    ),
    "closure over an argument": (
        (
            "def $def{wrap}(v):\n    def inner(x):\n        v.append(x)\n"
            "        return len(v)\n    return inner\n\n"
            "$new{fn} = $def($ints)"
        ),
        "$new{fn} = $wrap($ints)",
        "def $def{wrap}(v):\n    return lambda x: x + len(v)\n\n$new{fn} = $def($ints)",
    ),
    "lambda": (
        "$new{fn} = lambda x: x + $int",
        "$new{eff} = lambda x: $ints.append(x)",
        "$new{mut} = lambda v: v.append($num)",
        "$new{get} = lambda: $int",
        "$new{mk} = lambda: $ints",
        "$new{thru} = lambda v: v",
        "$new{each get} = [lambda: i + $num for i in range(2)]",
        "$new{each fn} = [lambda x, k=k: x + k for k in range(2)]",
        "$new{get} = lambda: ($ints.append($num), $int)[1]",
    ),
    "default argument": (
        "def $def{fn}(x, k=$int):\n    return x + k",
        "def $def{fn}(x, acc=[]):\n    acc.append(x)\n    return len(acc)",
        "def $def{fn}(x, acc=$ints):\n    acc.append(x)\n    return len(acc)",
        "def $def{mk}(acc=$ints):\n    return acc",
        "def $def{eff}(x, *, acc=$ints):\n    acc.append(x)",
        "$new{get} = lambda k=$int: k",
    ),
    "generator": (
        "def $def{gen}(v):\n    for x in v[:]:\n        $change\n        yield x",
        "def $def{gen}(v):\n    for x in v:\n        yield x + $int",
        "def $def{gen}(v):\n    yield $int\n    yield from v",
        "def $def{gen}(v):\n    v.append($num)\n    yield $num\n    v.append($num)\n    yield len(v)",
        "def $def{gen}(v):\n    while v:\n        yield v.pop()",
    ),
    "higher order function": (
        "def $def{hof}(k, v):\n    return [k(x) for x in v[:]]",
        "def $def{hof}(k, v):\n    v.append(len(v))\n    return list(map(k, v[:]))",
        "def $def{caller}(k):\n    return k($num)",
        "def $def{hof}(k, v):\n    for x in v[:]:\n        k(x)\n    return v",
        "def $def{caller}(k):\n    $ints.append(k($num))\n    return 1",
    ),
    "decorator": (
        (
            "def $def{deco}(k):\n    def inner(x):\n        $ints.append(x)\n"
            "        return k(x)\n    return inner"
        ),
        (
            "def $def{deco}(k):\n    @functools.wraps(k)\n    def inner(x):\n"
            "        return k(x) + $int\n    return inner"
        ),
        "@$deco\ndef $def{fn}(x):\n    return x + $int",
        "@$deco\ndef $def{fn}(x):\n    $change\n    return x",
        "def $def{deco}(k):\n    k.calls = $num\n    return k",
        "$new{fn} = $deco($fn)",
    ),
    "registering decorator": (
        (
            "def $def{deco}(k):\n    $seq.append(k)\n    return k\n\n"
            "@$def\ndef $def2{fn}(x):\n    return x + $int"
        ),
        "def $def{deco}(k):\n    $mapping[k.__name__] = k\n    return k",
        (
            "def $def{none}(key):\n    def file(k):\n        $mapping[key] = k\n"
            "        return k\n    return file\n\n"
            "@$def($key)\ndef $def2{fn}(x):\n    return x * 2"
        ),
        "@$deco\ndef $def{fn}(x):\n    return x + $num",
    ),
    "method as a decorator": ("@$own_register.register\ndef $def{fn}(x):\n    return x + $int",) * 3
    + ("@$own_register.register\ndef $def{fn}(x):\n    $change\n    return x",),
    "class decorator": (
        "def $def{cdeco}(k):\n    k.n = $num\n    return k\n\n@$def\n$class_text",
        "def $def{cdeco}(k):\n    $seq.append(k)\n    return k\n\n@$def\n$class_text",
        "@$cdeco\n$class_text",
    ),
    "context manager": (
        (
            "@contextlib.contextmanager\ndef $def{ctxfn}(v):\n    v.append($num)\n"
            "    yield v\n    v.append($num)"
        ),
        "@contextlib.contextmanager\ndef $def{ctxfn}(v):\n    $change\n    yield v\n    $change",
    ),
    "function redefined": ("def $func_at{fn}(x):\n    return x * 2 + $int", "$func_at{fn} = $fn"),
}

INITS: Table = {
    "instance holding what it is given": ("self.items = items",) * 3,
    "instance holding a copy": ("self.items = list(items)",),
    "constructor changing a global": ("self.items = items\n        $ints.append(len(items))",),
    "constructor changing the class": ("self.items = items\n        type(self).shared.append(len(items))",),
    "constructor changing its argument": ("self.items = items\n        items.append($num)",),
}

MEMBERS: Table = {
    "method": (
        "def add(self, x):\n    self.items.append(x)\n    self.n += 1",
        "def total(self):\n    return len(self.items) + self.n",
        "def mine(self):\n    return self.items",
        "def feed(self, v):\n    v.append(self.n)",
        "def add(self, x):\n    $ints.append(x)",
        "def total(self):\n    return $int",
        "def add(self, x):\n    self.items = [x, *self.items]",
        "def visit(self, k):\n    self.items.append(k(self.n))\n    return self.n",
        "def clone(self):\n    return type(self)(self.items[:])",
        "def feed(self, v):\n    self.items = v",
    ),
    "method returning self": ("def chain(self, x):\n    self.items.append(x)\n    return self",),
    "mutable class attribute": (
        "def add(self, x):\n    self.shared.append(x)",
        "def add(self, x):\n    type(self).n += x",
        "def total(self):\n    return len(self.shared)",
        "def mine(self):\n    return self.shared",
    ),
    "method as a decorator": (
        "def register(self, k):\n    self.items.append(k(1))\n    return k",
        "def register(self, k):\n    self.last = k\n    return k",
    ),
    "property": (
        "@property\ndef size(self):\n    return len(self.items)",
        "@property\ndef size(self):\n    self.n += 1\n    return self.n",
        "@property\ndef fresh(self):\n    self.items.append($num)\n    return self.items",
        (
            "@property\ndef level(self):\n    return self.n\n\n"
            "@level.setter\ndef level(self, x):\n    self.items.append(x)"
        ),
    ),
    "__call__": (
        "def __call__(self, x):\n    self.items.append(x)\n    return len(self.items)",
        "def __call__(self, x):\n    return x + self.n",
    ),
    "__iadd__": ("def __iadd__(self, x):\n    self.items.append(x)\n    return self",),
    "__getitem__": (
        "def __getitem__(self, x):\n    self.n += 1\n    return x + self.n",
        "def __getitem__(self, x):\n    return x + len(self.items)",
    ),
    "__setitem__": ("def __setitem__(self, x, y):\n    self.items[:1] = [x, y]",),
    "__contains__": ("def __contains__(self, x):\n    self.items.append(x)\n    return x in self.items[:2]",),
    "__len__": (
        "def __len__(self):\n    self.n += 1\n    return self.n",
        "def __len__(self):\n    return len(self.items)",
    ),
    "__iter__": ("def __iter__(self):\n    for x in self.items[:3]:\n        self.n += 1\n        yield x",),
    "context manager": (
        (
            "def __enter__(self):\n    self.n += 1\n    return self\n\n"
            "def __exit__(self, *args):\n    self.items.append(self.n)"
        ),
    ),
    "generator": (
        "def stream(self):\n    for x in self.items[:3]:\n        self.n += x\n        yield self.n",
    ),
    "classmethod": (
        "@classmethod\ndef make(cls):\n    cls.shared.append($num)\n    return cls([$num])",
        "@classmethod\ndef make(cls):\n    cls.n += 1\n    return cls([cls.n])",
    ),
    "nested class": (
        "class Inner:\n    log = []\n    n = $num\n\ndef add(self, x):\n    self.Inner.log.append(x)",
    ),
    "class body with effects": (
        "$change",
        "for x in range(2):\n    $ints.append(x)",
        "table = {'k': $ints}",
        "n = $int",
    ),
    "__init_subclass__": (
        (
            "kids = []\n\ndef __init_subclass__(cls, **options):\n    super().__init_subclass__(**options)\n"
            "    cls.kids.append(cls.__name__)"
        ),
    ),
}

CLASSES: Table = {
    "class": ("$class_text",) * 4,
    "inheritance": (
        "class $cls($class):\n    def add(self, x):\n        self.items.append(x)\n        self.n += $num",
        "class $cls($class):\n    def add(self, x):\n        super().add(x)\n        $change",
        "class $cls($class):\n    n = $int",
        "class $cls($class):\n    def total(self):\n        return super().total() + $int",
        (
            "class $cls($class):\n    def __init__(self, items):\n"
            "        super().__init__(items)\n        $ints.append(1)"
        ),
    ),
    "__init_subclass__": ("class $cls($parent):\n    n = $num", "class $cls($parent):\n    pass"),
    "dataclass": (
        (
            "@dataclasses.dataclass\nclass $cls:\n    items: list\n    n: int = $int\n\n"
            "    def add(self, x):\n        self.items.append(x)\n        self.n += 1"
        ),
        (
            "@dataclasses.dataclass\nclass $cls:\n    items: list\n    n: int = $num\n"
            "    extra: list = dataclasses.field(default_factory=list)\n\n"
            "    def total(self):\n        return self.n + $int"
        ),
        (
            "@dataclasses.dataclass\nclass $cls:\n    items: list\n    n: int = 0\n\n"
            "    def __post_init__(self):\n        self.items.append($num)\n        $change"
        ),
    ),
    "Enum": (
        "class $cls(enum.Enum):\n    RED = $int\n    BLUE = 90",
        "class $cls(enum.Enum):\n    RED = $ints\n    BLUE = 90",
        "class $cls(enum.IntEnum):\n    RED = $num\n    BLUE = 90",
    ),
    "subclass of a builtin": (
        (
            "class $cls(list):\n    def add(self, x):\n        self.append(x)\n\n"
            "$new = $cls([$num])\n\n$new.add($int)"
        ),
        (
            "class $cls(dict):\n    def add(self, x):\n        self['k'] = x\n\n"
            "$new = $cls(k=$num)\n\n$new.add($int)"
        ),
    ),
    "instance": ("$class_text\n\n$new = $cls_made($ints)", "$class_text\n\n$new = $cls_made($list)"),
}
