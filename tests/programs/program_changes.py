"""The statements that change an object in place and bind no name, as templates by the feature that they have.

The marks are those of `program_bindings`. Templates of one line may stand in the bodies of functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from program_bindings import Table

CHANGES: Table = {
    "method call": (
        "$ints.append($int)",
        "$ints.append($int)",
        "$ints.extend($list)",
        "$ints.insert(0, $int)",
        "$ints.sort()",
        "$ints.reverse()",
        "$ints.remove($num)",
        "$ints.pop()",
        "$set.add($int)",
        "$set.discard($num)",
        "$dict.update({$key: $int})",
        "$deque.appendleft($int)",
        "$counter.update([$num])",
        "$seq.clear()",
    ),
    "container into a container": (
        "$lists.append($list)",
        "$seq.append($ints)",
        "$mapping[$key] = $seq",
        "$dictl.update({$key: $list})",
        "$lists[0] = $list",
    ),
    "function of the notebook": (
        "$eff($int)",
        "$mut($ints)",
        "$put($ints, $int)",
        "$thru($ints)",
        "$hof($eff, $ints)",
    ),
    "function of the notebook, argument from a container": (
        "$mut($lists[0])",
        "$mut($dictl['k'])",
        "$mut([$ints][0])",
    ),
    "method of the notebook": ("$has_add.add($int)", "$own_feed.feed($ints)", "$chain($int).add($num)"),
    "subscript": (
        "$dict[$key] = $int",
        "$dictl[$key] = $list",
        "$ints[0] = $int",
        "$ints[-1] = $int",
        "$dict['k'] += $int",
    ),
    "slice assignment": (
        "$ints[1:2] = [$int, $num]",
        "$ints[:] = $list",
        "$ints[:0] = $list",
        "del $ints[:1]",
        "$lists[1:] = [$list]",
    ),
    "del of an item": ("del $mapping['k']", "del $ints[0]", "$dict.pop($key, None)", "del $dict[$key]"),
    "list in a tuple": ("$tuplelist[0].append($int)", "$tuplelist[0][:1] = [$num]"),
    "attribute": (
        "$obj.items = $list",
        "$obj.n = $int",
        "$obj.n += $num",
        "$obj.items += [$num]",
        "$obj.extra = $ints",
        "$obj.other = $obj",
        "del $has_extra.extra",
    ),
    "class attribute set later": (
        "$class.shared = $list",
        "$class.n = $int",
        "$class.limit = $num",
        "$class.add = lambda self, x: self.items.append(x + $num)",
        "$class.area = lambda self: len(self.items) + $int",
    ),
    "mutable class attribute": (
        "$sharing.shared.append($int)",
        "$sharing.shared += [$num]",
        "$sharing.shared.append($num)",
    ),
    "function attribute": ("$func.calls = $int", "$func.seen = $ints"),
    "comprehension with append": (
        "[$ints.append(x) for x in $ints[:]]",
        "{x: $ints.append(x) for x in range(2)}",
        "[$eff(x) for x in range(2)]",
        "[v.append($num) for v in $lists]",
        "{$ints.append(x) for x in range(2)}",
    ),
    "map consumed": (
        "list(map($ints.append, $ints[:]))",
        "list(map($eff, range(2)))",
        "sum(1 for _ in map($eff, [$num]))",
        "collections.deque(map($eff, range(2)), maxlen=0)",
        "[*map($ints.append, [$num])]",
        "dict(zip('ab', map($eff, range(2))))",
    ),
    "any, all": (
        "any($ints.append(x) for x in range(2))",
        "all(map($eff, range(2)))",
        "any($eff(x) or x for x in range(3))",
    ),
    "conditional expression": (
        "$ints.append($int) if $bool else $ints.append($num)",
        "$eff($num) if $bool else None",
    ),
    "boolean short cut": (
        "$bool and $ints.append($int)",
        "$bool or $eff($num)",
        "$ints or $ints.append($num)",
    ),
    "lambda called": (
        "(lambda v: v.append($int))($ints)",
        "(lambda: $ints.append($int))()",
        "(lambda v=$ints: v.append($num))()",
    ),
    "callback to a builtin": (
        "sorted([2, 1, 3], key=$fn)",
        "max([1, $num], key=$fn)",
        "list(filter($fn, [1, 2]))",
        "$ints.sort(key=$fn)",
        "sorted([1, 2], key=lambda x: $ints.append(x) or x)",
        "min([1, 2], key=lambda x: ($ints.append(x), x)[1])",
        "functools.reduce(lambda v, x: (v.append(x), v)[1], [1, 2], $ints)",
        "list(map(lambda x: $ints.append(x), range(2)))",
    ),
    "callback to a function of the notebook": (
        "$hof(lambda x: $ints.append(x), [1, 2])",
        "$hof($ints.append, [$int])",
        "$caller($fn)",
    ),
    "getattr": (
        "getattr($ints, 'append')($int)",
        "getattr($obj, 'items').append($int)",
        "getattr($has_add, 'add')($num)",
    ),
    "setattr": ("setattr($obj, 'n', $int)", "setattr($obj, 'items', $list)", "setattr($class, 'n', $num)"),
    "setdefault": ("$dictl.setdefault($key, []).append($int)", "$mapping.setdefault('q', $ints)"),
    "operator.setitem": (
        "operator.setitem($dict, $key, $int)",
        "operator.setitem($ints, 0, $num)",
        "operator.delitem($mapping, 'k')",
    ),
    "operator.iadd": ("operator.iadd($ints, [$num])",),
    "heapq": ("heapq.heappush($ints, $num)", "heapq.heapify($ints)", "heapq.heappop($ints)"),
    "bisect.insort": ("bisect.insort($ints, $num)",),
    "unbound method": (
        "list.append($ints, $int)",
        "dict.update($dict, k=$int)",
        "object.__setattr__($obj, 'n', $int)",
    ),
    "vars": ("vars($obj)['n'] = $int", "$obj.__dict__.update(n=$int)"),
    "shuffle": (
        "$seeded random.shuffle($ints)",
        "$chance.shuffle($ints)",
        "$nseeded np.random.shuffle($arr)",
    ),
    "iterator in part": ("next($iter, 0)", "next($anyiter, None)", "list(itertools.islice($iter, 1))"),
    "pop, used": ("$ints.append($seq.pop())", "$ints.append($ints.pop())", "$dict[$key] = $dict.pop('k')"),
    "augmented assignment": (
        "$dict['k'] += $num",
        "$dictl['k'] += [$num]",
        "$lists[0] += [$num]",
        "$obj.n += $int",
    ),
    "defaultdict": ("$ddict[$key].append($int)", "$ddict[$key]", "$ddict[$key] += [$num]"),
    "deque": ("$deque.append($int)", "$deque.rotate(1)", "$deque.popleft()"),
    "StringIO read": ("$text.readline()", "$text.write($word)", "next($text)", "$text.seek(0)"),
    "Random draw": ("$chance.random()", "$chance.seed($num)"),
    "operator": (
        "$settable[$num] = $int",
        "$indexed[$num]",
        "$num in $holder",
        "len($sized)",
        "list($looped)",
        "$fn($num)",
    ),
    "property": ("$level = $int", "$fresh.append($num)", "$size"),
    "Enum": ("$enum.RED.note = $int", "$enum['RED'].note = $int"),
    "instance": ("$class($ints)", "$class($list)", "$adding($ints).add($num)", "$seq.append($class($ints))"),
    "classmethod": ("$maker.make()",),
    "bound method kept": ("[$ints.append, $ints.pop][0]($num)", "(lambda m: m($num))($ints.append)"),
    "list returned": ("$mk().append($int)", "$thru($ints).append($num)", "$mine().append($num)"),
    "numpy in place": (
        "$arr[0] = $int",
        "$arr[1:] = $num",
        "$arr[:] += $num",
        "$grid[0, 1] = $int",
        "$grid[0][1] = $int",
        "$grid.T[0] = $num",
        "$grid.reshape(-1)[0] = $int",
        "$arr.sort()",
        "$arr.fill($num)",
        "$arr[[0, 2]] = $num",
        "$arr[$arr1 > 2] = $num",
        "$arr.T[:1] = $num",
    ),
    "numpy function": (
        "np.copyto($arr, $num)",
        "np.add($arr1, $num, out=$arr1)",
        "np.put($arr, [0], $int)",
        "np.fill_diagonal($grid, $num)",
        "np.multiply($arr1, 2, $arr1)",
    ),
}

NOISES: Table = {
    "noise: print": ("print($name)", "print($int_at)", "print(len($sizable), sep='')"),
    "noise: a value shown": ("len($sizable)", "$name", "$int_at + 1", "'text'", "repr($ints)"),
    "noise: unrelated name": (
        "$noise = $num",
        "$noise = [$num]\n\n$noise.append($num)",
        "$noise = len($sizable)",
    ),
    "noise: pass": ("pass", "assert True", "import os"),
}

LIBRARIES: Table = {
    "library option set": (
        "settings.set_option($opt, $int)",
        "settings.set_option($opt, $num)",
        "settings.set_level($num)",
        "set_option($opt, $int)",
    ),
    "library attribute set": (
        "settings.LEVEL = $int",
        "settings.LEVEL += $num",
        "setattr(settings, 'LEVEL', $num)",
    ),
    "library object changed": (
        "settings.OPTIONS[$opt] = $int",
        "settings.OPTIONS.update(x=$int)",
        "$new = settings.OPTIONS\n\n$new[$opt] = $num",
        "$new = settings.options()\n\n$new[$opt] = $int",
    ),
    "library registry": (
        "@registry.register($key)\ndef $def{fn}(x):\n    return x + $int_at",
        "@registry.register($key)\ndef $def{fn}(x):\n    return x * 2 + $num",
        "@register($key)\ndef $def{fn}(x):\n    return x + $num",
        "registry.forget($key)",
    ),
    "library hidden state": ("registry.tick()", "for _ in range(2):\n    registry.tick()", "tick()"),
    "library call in a function": (
        "def $def{fn}(x):\n    registry.tick()\n    return x + $num",
        "def $def{eff}(x):\n    settings.set_option($opt, x)",
        "def $def{get}():\n    return settings.scaled($num)",
        "def $def{mut}(v):\n    shapes.fill(v, $num)",
    ),
    "library class patched": (
        "shapes.Box.unit = $int",
        "shapes.Box.area = lambda self: len(self.items) + $int_at",
        "def $def{none}(self, value):\n    self.items.append(value + $num)\n\nshapes.Box.add = $def",
        "setattr(shapes.Box, 'unit', $num)",
        "class $cls(shapes.Box):\n    unit = $num",
    ),
    "library instance": (
        "$new = shapes.Box($ints)",
        "$new = shapes.Box($list)",
        "$has_add.add($int)",
        "$new = [shapes.Box($ints)]",
    ),
    "library changes its argument": (
        "shapes.fill($ints, $num)",
        "shapes.fill($ints, $int)",
        "shapes.fill($obj.items, $num)",
        "shapes.fill_all([$ints, $ints], $num)",
        "shapes.fill_all($lists, $num)",
        "fill($ints, $num)",
    ),
    "library calls back": (
        "shapes.each($ints.append, 2)",
        "shapes.each($eff, 2)",
        "shapes.each($own_add.add, 1)",
    ),
    "random seed": ("random.seed($num)", "random.seed($num)\n\n$new = random.random()", "random.seed($num)"),
    "random draw": (
        "$seeded $new = random.random()",
        "$seeded $new = random.randint(0, 99)",
        "$seeded random.random()",
        "$seeded $new = random.sample(range(9), 3)",
        "$seeded $new = [random.random() for _ in range(2)]",
        "$seeded $ints.append(random.randint(0, 9))",
    ),
    "numpy random seed": ("np.random.seed($num)", "np.random.seed($num)\n\n$new = np.random.rand()"),
    "numpy random draw": (
        "$nseeded $new = np.random.rand()",
        "$nseeded $new = np.random.randint(0, 9, size=4)",
        "$nseeded np.random.rand(2)",
        "$nseeded $ints.append(int(np.random.randint(9)))",
    ),
    "decimal context": (
        "decimal.getcontext().prec = $num + 2",
        "decimal.getcontext().prec += 1",
        "$new = decimal.Decimal(1) / 7",
        (
            "with decimal.localcontext() as $new1:\n    $new1.prec = $num + 1\n"
            "    $new2 = decimal.Decimal(2) / 7"
        ),
        "$new = decimal.getcontext()\n\n$new.prec = $num + 3",
    ),
    "numpy print options": ("np.set_printoptions(precision=$num)", "np.set_printoptions(threshold=$num)"),
}

#: what programs have only when asked to: what the contract leaves open
BEYOND: Table = {
    "beyond: numpy Generator": ("$new = np.random.default_rng($num)\n\n$ints.append(int($new.integers(9)))",),
    "beyond: cached function": (
        "@functools.cache\ndef $def{fn}(x):\n    $change\n    return x + $int",
        "@functools.lru_cache(maxsize=None)\ndef $def{fn}(x):\n    return x + $int",
    ),
    "beyond: library calls back later": (
        "events.listen($eff)",
        "events.listen($ints.append)",
        "events.fire($num)",
    ),
    "beyond: globals()": ("globals()['a'] = $list", "exec('b = 3')"),
}
