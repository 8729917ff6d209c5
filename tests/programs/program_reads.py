"""What the step of a program reads, and how, as templates by feature; marks as in `program_bindings`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from program_bindings import Table

READS: Table = {
    "reads a name": ("$name",) * 8 + ("$any", "$any"),
    "reads a list": ("list($ints)", "sum($ints)", "$ints", "[$ints, $ints]", "$lists", "$list"),
    "reads a dict": ("$mapping", "list($mapping.items())", "$dict.get('k')", "sorted($mapping)"),
    "reads a set": ("sorted($set)", "$set", "len($set)"),
    "reads a number": ("$int", "$int_at"),
    "reads by a function": (
        *("$fn($num)", "$get()", "$mk()", "$fn($int)", "[$get(), $get()]", "[$fn($num), $ints]") * 2,
        *(
            "$red($ints)",
            "$thru($ints)",
            "$hof($fn, $ints)",
            "$caller($fn)",
            "[$gen($ints)]",
            "list($gen($ints))",
        ),
        *("[$eff($num), $ints]", "[$mut($ints), $ints]", "[$mut($ints1), $ints1]"),
    ),
    "reads by a method": (
        *(
            "$own_total.total()",
            "$own_mine.mine()",
            "$size",
            "$chain($num)",
            "$maker.make()",
            "[$own_add1.add($num), $own_add1]",
        ),
        *(
            "$fresh",
            "[*$stream()]",
            "[$own_feed1.feed($ints), $own_feed1]",
            "$clone()",
            "len($sized)",
            "$indexed[$num]",
        ),
    ),
    "reads an attribute": ("$obj.items", "$obj.n", "$obj", "vars($obj)"),
    "reads a class": ("$class($list)", "$sharing.shared", "$class.n", "$parent.kids", "$class"),
    "reads an iterator": (
        "next($iter, None)",
        "[x for _, x in zip(range(3), $iter)]",
        "next($anyiter, None)",
        "$anyiter",
        "$iter",
        "[$iter1, next($iter1, 0)]",
    ),
    "reads a view": ("list($view)", "len($view)", "$view", "[*$view]"),
    "reads an array": ("$anyarr.tolist()", "$anyarr", "int($arr.sum())", "[$anyarr, $anyarr]") * 3,
    "reads an identity": ("$seq is $seq", "$obj is $obj", "$mapping is $mapping", "[$seq, $seq]"),
    "reads a callable": ("$func", "[k for k in ($fn, $fn)]", "$fn", "$eff", "$mk"),
    "reads a deque": ("list($deque)", "$counter", "$text.read()", "$chance.random()", "$ddict"),
    "reads an operator": ("$indexed[$num]", "$num in $holder", "list($looped)", "[k.n for k in [$addable]]"),
    "reads an Enum": ("[k.value for k in $enum]", "vars($enum.RED)", "$enum.RED"),
    "reads a library": (
        *("settings.get_option($opt)", "settings.scaled($num)", "settings.LEVEL", "settings.OPTIONS") * 2,
        *("registry.names()", "registry.call($key, $num)", "registry.call('k', 1)", "registry.ticks()") * 2,
        *(
            "shapes.measure([1, 2])",
            "shapes.Box([$num]).area()",
            "$has_area.area()",
            "[$has_area1.area(), $has_area1.items]",
        )
        * 2,
        *("registry.ticks()", "registry.ticks() + $num") * 2,
    ),
    "reads a random generator": (
        "$seeded random.random()",
        "$nseeded np.random.rand()",
        "$nseeded np.random.rand(2).tolist()",
    )
    * 3,
    "reads the decimal context": ("$precise str(decimal.Decimal(1) / 7)", "$printing repr(np.array([1 / 3]))")
    * 4,
}

STEPS: Table = {
    "step: expressions": (
        "result = [$read, $read, $read]",
        "result = [$read, $read, $read, $read]",
        "result = ($read, $name, $name)",
        "result = {'k': $read, 'm': $read, 'p': $name}",
    ),
    "step: in a function": (
        "def probe():\n    return [$read, $read, $name]\n\nresult = probe()",
        "probe = lambda: [$read, $read]\n\nresult = probe()",
        "def probe(v):\n    $change\n    return [v, $read]\n\nresult = probe($read)",
    ),
    "step: changes": (
        "$change\n\nresult = [$read, $read, $name]",
        "$bind\n\n$change\n\nresult = [$read, $read]",
        "for _ in range(2):\n    $change\n\nresult = [$read, $read, $name]",
        "$change\n\n$change\n\nresult = ($name, $read)",
    ),
    "step: loop": (
        "result = [$name]\n\nfor x in $ints[:]:\n    result.append($fn(x))",
        "result = []\n\nfor x in $seq[:]:\n    result.append([x, $read])",
    ),
    "step: comprehension": (
        "result = [(x, $read, $name) for x in range(2)]",
        "result = [*map($fn, $ints[:3]), $name]",
    ),
    "step: class": ("class Probe($class):\n    pass\n\nresult = [vars(Probe($list)), $read]",),
}
