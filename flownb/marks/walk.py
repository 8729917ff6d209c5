"""One look at a value: each object in it once, and a code for all of it.

Codes depend on no address and no hash seed, as pickles do, and are equal where Python says equal. Where there
are floats a node has two entries more: `like`, a code that leaves the floats out, and `near`, a number into
which all floats go, each with a weight of its own and relative to the size of what it is in. They tell what
differs by rounding, as sums do that are added up in another order, from the rest.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
from array import array
from dataclasses import dataclass
from functools import lru_cache
from itertools import cycle
from operator import mul
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    Pairs = list[tuple[Any, Any]]
    Opener = Callable[["Walk", Any], "Form"]
    Forms = dict[str, Opener]

OBJECT = 3200  #: bytes that are hashed in the time that looking at one object takes
BLOCK = 1 << 13  #: floats that are looked at in one go, and have each a weight
_DEPTH = 100  #: of objects in objects, which is far from where Python itself stops

#: types of values that one look tells all of, and how they are written
PLAIN: dict[type, Callable[[Any], str]] = {
    type(None): repr,
    bool: repr,
    int: hex,
    float: lambda value: (value + 0.0).hex(),  # -0.0 equals 0.0
    complex: lambda value: repr(value + 0j),
    str: ascii,
    bytes: ascii,
}
LISTED = frozenset({str, int, bool, type(None)})  #: types of which many are written in one go, by C code


class OpaqueError(Exception):
    """What has no content to compare."""


class TooBigError(Exception):
    """What takes more than the budget allows."""


class Node(NamedTuple):
    """What stands for a value."""

    code: str
    like: str = ""  #: the code without floats; empty if there are none
    near: float = 0.0


@dataclass(slots=True)
class Form:
    """What a value consists of, and what a mark may show of it."""

    kind: str
    items: Sequence[Any] = ()
    labels: Iterable[str] = ()  #: of the items; without them none is shown
    nodes: Sequence[Node] = ()  #: of what is in it, too, but never shown
    size: Mapping[str, int | str] | None = None
    text: str = ""
    first: Callable[[int], Iterable[Any]] | None = None  #: gives so many of the values, to show them
    whole: bool = False  #: cannot be compared if any of its items cannot


def hashed(*parts: object) -> str:
    """Return a code of parts whose texts say all."""
    return "#" + hashlib.sha256(ascii(parts).encode()).hexdigest()


def floats_node(code: str, like: str, size: float, weighed: float) -> Node:
    """Make the node of floats; `size` is the root of the sum of their squares."""
    near = weighed / size + math.log(size) if size else 0.0
    return Node(code, like, near) if math.isfinite(near) else Node(code)  # some are too big to be squared


@lru_cache(maxsize=1)
def weights() -> array[float]:
    """Return numbers that follow no pattern, none of which is small."""
    waves = [math.sin(0.7 * i * i + 1) for i in range(BLOCK)]
    return array("d", [wave + math.copysign(0.5, wave) for wave in waves])


class Walk:
    """One look at a value; `forms` finds for a class what takes its objects apart."""

    def __init__(self, forms: Callable[[type], Opener], budget: int, *, sampled: bool = False) -> None:
        self.left, self.sampled = budget, sampled
        self.by_code = False  #: whether code is in it, which each version of Python compiles in another way
        self.partly = ""  #: what is in it that cannot be compared
        self.seen: dict[int, tuple[Form, Node]] = {}
        self.opaque: set[int] = set()
        self._forms = forms
        self._openers: dict[type, Opener] = {}
        self._known: dict[int, Node | int] = {}  #: of what refers to what it is in, only its number there
        self._path: list[int] = []
        self._alive: list[object] = []  # an identity is only telling while its object lives
        self._count = self._lowest = self._depth = 0

    def visit(self, value: Any) -> Node:
        """Return what stands for the value."""
        kind = type(value)
        plain = PLAIN.get(kind)
        if plain is None:
            known = self._known.get(id(value))
            if known is None:
                return self._new(value, kind)
            if isinstance(known, Node):
                return known
            self._lowest = min(self._lowest, known)
            return Node(f"^{self._count - known}")
        if kind in (str, bytes) and len(value) > 1000:
            data = self.taken(value, 1)
            data = data if kind is bytes else data.encode("utf-8", "surrogatepass")
            return Node(hashed(kind.__name__, len(value), hashlib.sha256(data).hexdigest()))
        if kind is float and math.isfinite(value):
            return floats_node(plain(value), "float", abs(value), value)
        return Node(plain(value))

    def _new(self, value: Any, kind: type) -> Node:
        self.left -= OBJECT
        if self.left < 0:
            if not self.sampled:
                raise TooBigError
            return Node(hashed("not looked at", kind.__name__))
        number, outer, place = self._count, self._lowest, len(self._path)
        self._known[id(value)] = self._lowest = number
        self._path.append(id(value))
        self._alive.append(value)
        self._count, self._depth = number + 1, self._depth + 1
        try:
            node = self._opened(value, kind)
        except TooBigError:
            raise
        except Exception:  # noqa: BLE001 - what foreign objects raise is up to them
            self.opaque.add(id(value))
            self.partly = kind.__qualname__
            node = Node(hashed("opaque", kind.__qualname__))
        self._depth -= 1
        if self._lowest >= number:  # nothing in it refers to what it is in: it is the same wherever it is
            for other in self._path[place:]:
                del self._known[other]
            del self._path[place:]
            self._known[id(value)] = node
            self._count = number
        self._lowest = min(outer, self._lowest)
        return node

    def _opened(self, value: Any, kind: type) -> Node:
        if self._depth > _DEPTH:
            raise OpaqueError
        opener = self._openers.get(kind) or self._openers.setdefault(kind, self._forms(kind))
        form = opener(self, value)
        node = self.combine((form.kind, form.size), [*form.nodes, self.sequence(form.items, form.kind)])
        if form.whole and any(id(item) in self.opaque for item in form.items):
            raise OpaqueError
        self.seen[id(value)] = form, node
        return node

    def taken(self, items: Any, cost: int) -> Any:
        """Return the items, of so many bytes each, or as many evenly spaced ones as the budget has left."""
        step = -(-len(items) * cost // max(self.left, 4096))
        if (step > 1 or self.left < 0) and not self.sampled:
            raise TooBigError
        items = items[::step] if step > 1 else items
        self.left -= len(items) * cost
        return items

    def sequence(self, items: Sequence[Any], tag: str = "") -> Node:
        """Visit items in their order; plain ones, which are common and many, all at once."""
        kinds, count = set(map(type, items)), len(items)
        if kinds <= LISTED | {float}:
            finite = any(math.isfinite(item) for item in items if type(item) is float)
            longest = max((len(item) for item in items if type(item) is str), default=0)
            if not finite and longest <= 1000:
                with contextlib.suppress(ValueError):  # an integer of thousands of digits
                    return Node(hashed("plain", count, list(self.taken(items, 20))))
        if kinds == {float} and tag in {"list", "tuple", "items"}:
            return self._floats(count, self.taken(items, 20))
        items = self.taken(items, 320 if kinds <= PLAIN.keys() else OBJECT)
        return self.combine(count, [self.visit(item) for item in self._each(items)])

    def _each(self, items: Sequence[Any]) -> Iterator[Any]:
        """Give the items, each with its share of the budget where that is short."""
        left, share = self.left, self.left // max(1, len(items))
        for item in items:
            self.left = part = share if self.sampled else left
            yield item
            left -= part - self.left
        self.left = left

    def _floats(self, count: int, items: Sequence[float]) -> Node:
        odd = {i: item for i, item in enumerate(items) if not math.isfinite(item)}
        exact = array("d", [item + 0.0 for item in items])  # -0.0 equals 0.0
        for i in odd:
            exact[i] = 0.0
        weighed = sum(
            (1 + math.sin(start) / 2) * sum(map(mul, exact[start : start + BLOCK], weights()))
            for start in range(0, len(exact), BLOCK)
        )
        like = hashed("floats", count, odd)
        code = hashed(like, hashlib.sha256(exact).hexdigest())
        return floats_node(code, like, math.hypot(*exact), weighed)

    def combine(self, tag: object, nodes: Sequence[Node]) -> Node:
        """Make one node of several, in their order."""
        code = hashed(tag, [node.code for node in nodes])
        floats = [node.near for node in nodes if node.like]
        if not floats:
            return Node(code)
        near = sum(map(mul, floats, cycle(weights()))) / math.sqrt(len(floats))
        return Node(code, hashed(tag, [node.like or node.code for node in nodes]), near)

    def in_order(self, pairs: Iterable[tuple[Any, Any]]) -> Pairs:
        """Sort pairs by their keys, in an order that is the same in every process."""
        pairs = list(pairs)
        if all(type(key) is str for key, _ in pairs):
            return sorted(pairs, key=lambda pair: str(pair[0]))
        return sorted(pairs, key=lambda pair: self.visit(pair[0]).code)

    def members(self, items: Iterable[Any]) -> Node:
        """Visit what has no order: each as if it were the first."""
        codes, known, place, count = [], len(self._known), len(self._path), self._count
        for item in self._each(list(items)):
            codes.append(self.visit(item).code)
            while len(self._known) > known:
                self._known.popitem()
            del self._path[place:]
            self._count = count
        return Node(hashed("members", sorted(codes)))
