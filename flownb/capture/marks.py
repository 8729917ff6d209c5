"""Marks of values: small fingerprints that tell, later and in another process, whether a value is the same.

A mark is plain JSON data: what the value is, in words; a digest of its content; and enough of the content to
say what differs. Digests depend on no address and no hash seed, as pickles do, and are equal where Python
says equal. Where there are floats a mark has two entries more: `like`, a digest that leaves the floats out,
and `near`, a number into which all floats go, each with a weight of its own and relative to the size of what
it is in. They tell what differs by rounding, as sums do that are added up in another order, from the rest.

The module stands alone: its source also runs in the kernels of environments that have no flownb.
"""

from __future__ import annotations

import contextlib
import copyreg
import enum
import hashlib
import io
import math
import re
import sys
import warnings
from array import array
from collections import OrderedDict
from collections.abc import Iterator
from functools import lru_cache
from itertools import cycle, islice
from operator import mul
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Mark = dict[str, Any]
    Pairs = list[tuple[Any, Any]]
    Node = tuple[str, str, float]  # code; code without floats, the same object if it has none; nearness
    Open = Callable[["_Walk", Any, float], Node]  # visits a value, and shows it in so many characters
    Verdict = tuple[str, str, float, bool]  # as of `compare`; largest difference; whether more may differ

_ITEMS, _COLUMNS, _FIRST, _SHORT = 20, 40, 10, 40  #: what a mark shows: items, columns, values, characters
_ROOM = 3500  #: characters for what a mark shows, about
_OBJECT = 3200  #: bytes that are hashed in the time that looking at one object takes
_DEPTH = 100  #: of objects in objects, which is far from where Python itself stops
_OBJECTS = 1_000_000  #: there are more ways than that through sets of objects that know each other
_MANY = 1 << 13  #: floats that are looked at in one go, and have each a weight
_PYTHON = "{}.{}".format(*sys.version_info)


def mark(value: object, *, budget: int = 64_000_000) -> Mark:
    """Return the mark of `value`: plain JSON data of a hundred bytes up to about 4 kB.

    Of what is bigger than `budget` bytes only evenly spaced parts are looked at; the mark then is `sampled`.
    What has no content to compare is `opaque`. It never raises, prints or warns, and changes nothing.
    """
    try:
        return _looked_at(value, _Walk(budget))
    except _TooBigError:
        return _looked_at(value, _Walk(budget, sampled=True))


def _looked_at(value: object, walk: _Walk) -> Mark:
    try:
        with walk.quiet:
            return walk.mark(value)
    except _TooBigError:
        raise
    except Exception as error:  # noqa: BLE001 - what foreign objects raise is up to them
        return _opaque(value, f"{type(error).__name__}: {error}")


def identity(value: object) -> str:
    """Return a digest of the whole content of `value`, the same in every process.

    Where it holds what cannot be walked this is "pickle:" and the digest of its pickle: good for telling
    values apart, not for telling that they are the same. Raises what cloudpickle raises.
    """
    walk = _Walk(1 << 99)
    with contextlib.suppress(Exception), walk.quiet:
        code = walk.visit(value)[0]
        if not walk.partly:
            return _digest(code)
    import cloudpickle

    return "pickle:" + hashlib.sha256(cloudpickle.dumps(value)).hexdigest()


# ---------------------------------------------------------------- texts and codes

#: types of values that one look tells all of, and how they are written
_PLAIN: dict[type, Callable[[Any], str]] = {
    type(None): repr,
    type(...): repr,
    bool: repr,
    int: hex,
    float: lambda value: (value + 0.0).hex(),  # -0.0 equals 0.0
    complex: lambda value: repr(value + 0j),
    str: ascii,
    bytes: ascii,
}
_LISTED = frozenset({str, int, bool, type(None)})  #: types of which many are written in one go, by C code
#: packages with values whose text says all; what some reduce to when they are copied changes with Python
_BY_TEXT = frozenset({"decimal", "fractions", "uuid", "pathlib", "zoneinfo"})
_PANDAS_SCALARS = frozenset({"Timestamp", "Timedelta", "Period", "Interval", "NaTType", "NAType"})


def _root(kind: type) -> str:
    return str(kind.__module__).partition(".")[0]


def _line(text: str, most: int) -> str:
    text = " ".join(text[: most + 1].split()).replace("`", "'")
    return text if len(text) <= most else text[:most] + "…"


def _short(value: Any) -> str:
    """Say a plain value in a few characters, ending in "…" if that is not all; of others, what it is."""
    kind = type(value)
    if kind in _PLAIN:
        try:
            value = value + kind() if kind in (float, complex) else value  # -0.0 equals 0.0
            text = repr(value[: _SHORT + 1] if kind in (str, bytes) else value)
            return text if len(text) <= _SHORT else text[:_SHORT] + "…"
        except ValueError:  # an integer of thousands of digits
            return "…"
    if issubclass(kind, enum.Enum):
        return f"{kind.__name__}.{value.name}"
    if _is_readable(kind):
        return _line(str(value), _SHORT)
    if kind.__module__ == "numpy" and hasattr(value, "item") and not hasattr(value, "__len__"):
        plain = value.item()
        return str(plain) if type(plain) is kind else _short(plain)  # a long float stays what it is
    return f"{kind.__name__} of {len(value)}" if kind in (list, tuple, dict, set) else kind.__qualname__


def _is_readable(kind: type) -> bool:
    root = _root(kind)
    return root in _BY_TEXT or root == "datetime" or (root == "pandas" and kind.__name__ in _PANDAS_SCALARS)


def _label(what: str, name: object) -> str:
    return f"{what} `{_line(name if isinstance(name, str) else _short(name), 30)}`"


def _opaque(value: object, why: str) -> Mark:
    found = {"type": type(value).__qualname__, "opaque": True}
    return {**found, "reason": _line(why, 80)} if why else found


def _hash(*parts: object) -> str:
    return "#" + hashlib.sha256(ascii(parts).encode()).hexdigest()


def _digest(code: str) -> str:
    return (code if code[0] == "#" else _hash(code))[1:]


def _leaf(*parts: object) -> Node:
    code = _hash(*parts)
    return code, code, 0.0


def _floats_node(code: str, like: str, size: float, weighed: float) -> Node:
    """Make the node of floats; `size` is the root of the sum of their squares."""
    near = weighed / size + math.log(size) if size else 0.0
    return (code, like, near) if math.isfinite(near) else (code, code, 0.0)  # some are too big to be squared


@lru_cache(maxsize=1)
def _weights() -> array[float]:
    """Return numbers that follow no pattern, none of which is small."""
    waves = [math.sin(0.7 * i * i + 1) for i in range(_MANY)]
    return array("d", [wave + math.copysign(0.5, wave) for wave in waves])


# ---------------------------------------------------------------- the walk


class _OpaqueError(Exception):
    """What has no content to compare; its text says why, if there is more to say than what it is."""


class _TooBigError(Exception):
    """What takes more than the budget allows."""


class _Walk:
    """One look at a value, each object in it once; `room` is given for what is to be shown in the mark."""

    def __init__(self, budget: int, *, sampled: bool = False) -> None:
        self.left, self.sampled, self.by_code = budget, sampled, False
        self.partly = ""  #: what is in it that cannot be compared
        self.opaque: dict[int, str] = {}  #: why it is
        self.stats: dict[int, dict[str, float]] = {}  #: of arrays
        self.quiet = contextlib.ExitStack()
        self._openers: dict[type, Open] = {}
        self._told: dict[int, Mark] = {}
        self._known: dict[int, Node | int] = {}  #: of what refers to what it is in, only its number there
        self._path: list[int] = []
        self._alive: list[object] = []  # an identity is only telling while its object lives
        self._count = self._lowest = self._depth = self._objects = 0

    def mark(self, value: object) -> Mark:
        node = self.visit(value, _ROOM)
        told = self._shown(value, node)
        if isinstance(told, str):
            told = {"type": type(value).__name__, "value": told}
        if "opaque" in told:
            return told
        found = {"sampled": self.sampled, "partly": self.partly, "python": self.by_code and _PYTHON}
        return {**told, "digest": _digest(node[0]), **{name: what for name, what in found.items() if what}}

    def visit(self, value: Any, room: float = 0) -> Node:
        """Return what stands for the value."""
        kind = type(value)
        plain = _PLAIN.get(kind)
        if plain is None:
            known = self._known.get(id(value))
            if known is None:
                return self._new(value, kind, room)
            if isinstance(known, tuple):
                return known
            self._lowest = min(self._lowest, known)
            code = f"^{self._count - known}"
        elif kind in (str, bytes) and len(value) > 1000:
            data = self.taken(value, 1)
            data = data if kind is bytes else data.encode("utf-8", "surrogatepass")
            code = _hash(kind.__name__, len(value), hashlib.sha256(data).hexdigest())
        else:
            code = plain(value)
            if kind is float and math.isfinite(value):
                return _floats_node(code, "float", abs(value), value)
        return code, code, 0.0

    def _new(self, value: Any, kind: type, room: float) -> Node:
        self.left -= _OBJECT
        if self.left < 0 and not self.sampled:
            raise _TooBigError
        if self.left < 0 and not room:
            return _leaf("not looked at", kind.__name__)
        self._objects += 1
        if self._objects > _OBJECTS:
            raise RecursionError("it holds too many objects")
        number, outer, place = self._count, self._lowest, len(self._path)
        self._known[id(value)] = self._lowest = number
        self._path.append(id(value))
        self._alive.append(value)
        self._count, self._depth = number + 1, self._depth + 1
        try:
            opener = _too_deep if self._depth > _DEPTH else self._openers.get(kind) or self._opener(kind)
            node = opener(self, value, room)
        except (RecursionError, MemoryError, _TooBigError):
            raise
        except Exception as error:  # noqa: BLE001 - what foreign objects raise is up to them
            ours = isinstance(error, _OpaqueError)
            self.opaque[id(value)] = str(error) if ours else f"{type(error).__name__}: {error}"
            self.partly = kind.__qualname__
            node = _leaf("opaque", kind.__qualname__)
        self._depth -= 1
        if self._lowest >= number:  # nothing in it refers to what it is in: it is the same wherever it is
            for other in self._path[place:]:
                del self._known[other]
            del self._path[place:]
            self._known[id(value)] = node
            self._count = number
        self._lowest = min(outer, self._lowest)
        return node

    def _opener(self, kind: type) -> Open:
        found = _FORMS.get(f"builtins.{kind.__name__}") if kind.__module__ == "builtins" else None
        if found is None:
            if not self._openers:  # until now there was nothing that could print or warn
                self.quiet.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore")
                self.quiet.enter_context(contextlib.redirect_stdout(io.StringIO()))
                self.quiet.enter_context(contextlib.redirect_stderr(io.StringIO()))
            names = [f"{_root(cls)}.{cls.__name__}" for cls in kind.__mro__]
            found = next((_FORMS[name] for name in names if name in _FORMS), _object)
            found = self._openers[kind] = _nothing if issubclass(kind, Iterator) else found
        return found

    def taken(self, items: Any, cost: int) -> Any:
        """Return the items, of so many bytes each, or as many evenly spaced ones as the budget has left."""
        step = -(-len(items) * cost // max(self.left, 4096))
        if step > 1 and not self.sampled:
            raise _TooBigError
        items = items[::step] if step > 1 else items
        self.left -= len(items) * cost
        return items

    def form(
        self, value: object, room: float, kind: str, items: Sequence[Any], labels: Iterable[str] = (), *,
        hidden: Sequence[Node] = (), size: dict[str, int] | None = None, text: str = "",
    ) -> Node:  # fmt: skip
        """Visit the items of a value, of which the first are shown with labels; the hidden were visited."""
        most = min(
            _COLUMNS + 1 if size and "columns" in size else _ITEMS, int(room // 80) if room > 300 else 0
        )
        plain = sum([type(item) in _PLAIN for item in items[:most]])
        share = (room - 30 * plain) / max(1, min(len(items), most) - plain)
        node = self.combine((kind, size), [*hidden, self.sequence(kind, items, share, most)])
        if room:
            named = list(islice(labels, most))
            parts = [[label, self._shown(items[i], self.visit(items[i]))] for i, label in enumerate(named)]
            more = labels != () and len(items) > len(named)
            self.tell(value, node, kind, size, value=text, parts=parts, more=more)
        return node

    def tell(self, of: object, node: Node, kind: str, size: dict[str, Any] | None, **more: Any) -> None:
        """Keep what a mark shows of a value."""
        counts = " x ".join(str(count) for unit, count in (size or {}).items() if unit != "missing values")
        told: Mark = {"type": kind + (counts and (" of " if "items" in (size or {}) else ", ") + counts)}
        told.update(digest=_digest(node[0])[:8], kind=size and kind, size=size, **more)
        if node[1] is not node[0]:
            told.update(like=_digest(node[1])[:8], near=round(node[2], 12))
        self._told[id(of)] = {name: what for name, what in told.items() if what or type(what) is float}

    def _shown(self, value: Any, node: Node) -> Mark | str:
        kind = type(value)
        if kind in _PLAIN:
            text = _short(value)
            if text[-1] != "…":
                return text
            unit, count = ("bits", value.bit_length()) if kind is int else ("characters", len(value))
            self.tell(value, node, kind.__name__, {unit: count}, value=text)
        elif id(value) in self.opaque:
            return _opaque(value, self.opaque[id(value)])
        return self._told.get(id(value)) or {"type": _short(value), "digest": _digest(node[0])[:8]}

    def sequence(self, tag: str, items: Sequence[Any], share: float = 0, most: int = 0) -> Node:
        """Visit items in their order; plain ones, which are common and many, all at once."""
        kinds, count = set(map(type, items)), len(items)
        finite = [math.isfinite(item) for item in items if type(item) is float] if float in kinds else []
        lengths = [len(item) for item in items if type(item) is str] if str in kinds else []
        if kinds <= _LISTED | {float} and not any(finite) and max(lengths, default=0) <= 1000:
            with contextlib.suppress(ValueError):  # an integer of thousands of digits
                return _leaf("plain", count, list(self.taken(items, 20)))
        if kinds == {float} and tag in {"list", "tuple", "items"}:
            return self._floats(count, self.taken(items, 20))
        left, nodes = self.left, []
        items = self.taken(items, 320 if kinds <= _PLAIN.keys() else _OBJECT)
        for i, item in enumerate(items):
            self.left = part = left // (len(items) - i) if self.sampled else left
            nodes.append(self.visit(item, share if i < most else 0))
            left -= part - self.left
        self.left = left
        return self.combine(count, nodes)

    def _floats(self, count: int, items: Sequence[float]) -> Node:
        odd = {i: item for i, item in enumerate(items) if not math.isfinite(item)}
        exact = array("d", [item + 0.0 for item in items])  # -0.0 equals 0.0
        for i in odd:
            exact[i] = 0.0
        weighed = sum(
            (1 + math.sin(start) / 2) * sum(map(mul, exact[start : start + _MANY], _weights()))
            for start in range(0, len(exact), _MANY)
        )
        like = _hash("floats", count, odd)
        code = _hash(like, hashlib.sha256(exact).hexdigest())
        return _floats_node(code, like, math.hypot(*exact), weighed)

    def combine(self, tag: object, nodes: Sequence[Node]) -> Node:
        """Make one node of several, in their order."""
        code = _hash(tag, [node[0] for node in nodes])
        floats = [node[2] for node in nodes if node[0] is not node[1]]
        if not floats:
            return code, code, 0.0
        near = sum(map(mul, floats, cycle(_weights()))) / math.sqrt(len(floats))
        return code, _hash(tag, [node[1] for node in nodes]), near

    def in_order(self, pairs: Iterable[tuple[Any, Any]]) -> Pairs:
        """Sort pairs by their keys, in an order that is the same in every process."""
        pairs = list(pairs)
        if all(type(key) is str for key, _ in pairs):
            return sorted(pairs, key=lambda pair: str(pair[0]))
        return sorted(pairs, key=lambda pair: self.visit(pair[0])[0])

    def members(self, tag: str, items: Iterable[Any]) -> Node:
        """Visit what has no order: each as if it were the first."""
        codes, items = [], list(items)
        left, known, place, count = self.left, len(self._known), len(self._path), self._count
        share = left // max(1, len(items))
        for item in items:
            self.left = part = share if self.sampled else left
            codes.append(self.visit(item)[0])
            left -= part - self.left
            while len(self._known) > known:
                self._known.popitem()
            del self._path[place:]
            self._count = count
        self.left = left
        return _leaf(tag, sorted(codes))


# ---------------------------------------------------------------- Python's own values


def _list(walk: _Walk, value: Any, room: float) -> Node:
    labels = (f"item {i}" for i in range(len(value)))
    return walk.form(value, room, type(value).__name__, value, labels, size={"items": len(value)})


def _dict(walk: _Walk, value: Any, room: float) -> Node:
    pairs = walk.in_order(value.items())
    items, labels = [item for _, item in pairs], (_label("item", key) for key, _ in pairs)
    size, keys = {"items": len(items)}, walk.sequence("keys", [key for key, _ in pairs])
    return walk.form(value, room, type(value).__name__, items, labels, hidden=[keys], size=size)


def _set(walk: _Walk, value: Any, room: float) -> Node:
    kind, size = type(value).__name__, {"items": len(value)}
    if not set(map(type, value)) <= _LISTED:
        return walk.form(value, room, kind, (), hidden=[walk.members(kind, value)], size=size)
    members = sorted(value, key=ascii)
    return walk.form(value, room, kind, members, (_label("member", one) for one in members), size=size)


def _function(walk: _Walk, value: Any, room: float) -> Node:
    if value.__module__ not in {"__main__", None} and "<" not in value.__qualname__:
        return _leaf("function", value.__module__, value.__qualname__)
    parts = (value.__code__, value.__defaults__, value.__kwdefaults__, value.__closure__, value.__dict__)
    return walk.form(value, room, f"function `{value.__qualname__}`", parts)


def _code(walk: _Walk, value: Any, room: float) -> Node:
    walk.by_code = True
    counts = (value.co_argcount, value.co_posonlyargcount, value.co_kwonlyargcount)
    names = (value.co_names, value.co_varnames, value.co_freevars, value.co_cellvars)
    parts = (counts, names, value.co_consts, value.co_code, getattr(value, "co_exceptiontable", b""))
    return walk.form(value, room, f"code of Python {_PYTHON}", parts)


def _member(walk: _Walk, value: Any, room: float) -> Node:
    parts = (type(value), value.name, value.value)
    return walk.form(value, room, type(value).__name__, parts, text=_short(value))


def _nothing(_walk: _Walk, _value: Any, _room: float) -> Node:
    raise _OpaqueError


def _too_deep(_walk: _Walk, _value: Any, _room: float) -> Node:
    raise _OpaqueError("it is nested too deeply")


def _object(walk: _Walk, value: Any, room: float) -> Node:
    """Take an object of any other class apart as copying it would."""
    kind, name = type(value), type(value).__qualname__
    text = _short(value) if _is_readable(kind) else ""
    if _root(kind) in _BY_TEXT:
        return walk.form(value, room, name, (repr(value),), text=text)
    reducer = copyreg.dispatch_table.get(kind)
    reduced: Any = reducer(value) if reducer else value.__reduce_ex__(4)
    if isinstance(reduced, str):  # a function, say; maybe one that was given a cache
        parts = [getattr(value, "__module__", ""), reduced, getattr(value, "__wrapped__", None)]
        return walk.form(value, room, name, parts, text=text)
    function, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
    attributes, state = _attributes(kind, state)
    pairs = list(pairs or ()) if issubclass(kind, OrderedDict) else walk.in_order(pairs or ())
    parts = [kind, function, state, *arguments, *(name for name, _ in attributes)]
    hidden = [walk.sequence(name, parts), walk.sequence(name, [key for key, _ in pairs])]
    if issubclass(kind, tuple):
        attributes = [(field, getattr(value, field)) for field in getattr(kind, "_fields", ())]
    parts = [part for _, part in attributes + pairs] + list(items or ())
    named = [("attribute", name) for name, _ in attributes] + [("item", key) for key, _ in pairs]
    labels = (_label(*named[i]) if i < len(named) else f"item {i - len(named)}" for i in range(len(parts)))
    node = walk.form(value, room, name, parts, labels, hidden=hidden, text=text)
    bad = [part for _, part in attributes if id(part) in walk.opaque]
    if bad and kind.__module__ != "__main__":  # a connection, a process, an executor
        raise _OpaqueError(f"it holds a {type(bad[0]).__qualname__}")
    return node


def _attributes(kind: type, state: Any) -> tuple[Pairs, Any]:
    """Return the attributes by name that a state consists of, and the state if it is of another kind."""
    if isinstance(state, tuple) and len(state) == 2 and {type(part) for part in state} <= {dict, type(None)}:
        state = {**(state[0] or {}), **(state[1] or {})}  # of a class with slots
    fields = list(getattr(kind, "__dataclass_fields__", ()))
    if type(state) is list and len(state) == len(fields):
        state = {field: state[i] for i, field in enumerate(fields)}
    if state is None or (type(state) is dict and all(type(name) is str for name in state)):
        return sorted((state or {}).items()), None
    return [], state


# ---------------------------------------------------------------- arrays and tables


def _array(walk: _Walk, value: Any, room: float) -> Node:
    np, dtype = sys.modules["numpy"], value.dtype
    data, nodes = np.asarray(value), [walk.visit(type(value)), walk.visit(str(dtype))]
    if isinstance(value, np.ma.MaskedArray):
        data = np.asarray(value.filled(np.zeros((), dtype)[()]))
        nodes.append(walk.visit(np.ma.getmaskarray(value)))
    elif _root(type(value)) != "numpy":
        nodes.append(walk.visit(vars(value)))  # a unit, say
    stats: dict[str, float] = {}
    if dtype.names:
        nodes += [walk.visit(data[name]) for name in dtype.names]
    elif dtype.hasobject or dtype.kind == "T":
        nodes.append(walk.sequence("items", data.ravel().tolist()))
    else:  # some bytes of long floats are never written
        nodes.append(_memory(walk, data.astype("U80") if dtype.char in "gG" else data, stats))
    node = walk.combine(value.shape, nodes)
    walk.stats[id(value)] = stats
    if room:
        size = {"shape": " x ".join(map(str, value.shape))} if value.shape else {}
        first = [_short(one) for one in value.flat[:_FIRST].tolist()]
        walk.tell(value, node, f"{dtype} array", size, first=first, more=value.size > _FIRST, **stats)
    return node


def _memory(walk: _Walk, data: Any, stats: dict[str, float]) -> Node:
    """Look at what an array holds, in the order of its items and a block at a time."""
    np, kind = sys.modules["numpy"], data.dtype.kind
    if data.nbytes <= walk.left or not data.flags.c_contiguous:
        flat = walk.taken(data.reshape(-1) if data.nbytes <= walk.left else data.flat, data.itemsize)
    else:  # in pieces, since what is next to each other is read together
        pieces = data.reshape(-1)[: data.size // 64 * 64].reshape(-1, 64)
        flat = walk.taken(pieces, 64 * data.itemsize).reshape(-1)
    exact, like = hashlib.sha256(), hashlib.sha256()
    step = _MANY // 2 if kind == "c" else _MANY
    weights = np.frombuffer(_weights()) if kind in "fc" else ()
    total = squares = weighed = 0.0
    low, high = math.inf, -math.inf
    with np.errstate(all="ignore"):
        for start in range(0, len(flat), step):
            block = np.ascontiguousarray(flat[start : start + step])
            numbers = block
            if kind in "fc":
                block = block.view(block.real.dtype) + 0  # -0.0 equals 0.0
                numbers, finite = block.astype("d", copy=False), np.isfinite(block)
                zeroed = numbers
                if not finite.all():
                    block[np.isnan(block)] = np.nan  # of which there are many
                    like.update(b"%d" % start + np.where(finite, 0, block).tobytes())
                    zeroed, numbers = np.where(finite, numbers, 0), numbers[finite]
                squares += np.dot(zeroed, zeroed)
                weighed += (1 + math.sin(start) / 2) * np.dot(zeroed, weights[: zeroed.size])
            exact.update(block.view("u1"))
            if kind in "biuf" and numbers.size:
                total += float(numbers.sum(dtype="d"))
                low, high = min(low, float(numbers.min())), max(high, float(numbers.max()))
    if low <= high and math.isfinite(total):
        found = {"sum": total, "min": low, "max": high}
        stats.update({name: float(f"{number:.12g}") for name, number in found.items()})
    code = _hash(kind, exact.hexdigest())
    if kind not in "fc":
        return code, code, 0.0
    return _floats_node(code, _hash(kind, like.hexdigest()), math.sqrt(squares), weighed)


def _scalar(walk: _Walk, value: Any, room: float) -> Node:
    plain = value.item()
    plain = str(value) if type(plain) is type(value) else plain  # a long float
    return walk.form(value, room, type(value).__name__, (str(value.dtype), plain), text=_short(plain))


def _column(
    walk: _Walk, column: Any, room: float, dtype: object, inner: Any, missing: Callable[[], int]
) -> Node:
    """Visit a column of any library; `inner` is what it consists of, in simpler terms."""
    node = walk.combine((str(dtype), len(column)), [walk.visit(inner)])
    if room:
        count, head = int(missing()), column[: min(_FIRST, int((room - 160) // 14))] if room > 250 else []
        size = {"rows": len(column)} if room == _ROOM else {}
        size.update({"missing values": count} if count else {})
        first = [_short(one) for one in (head.to_pylist() if hasattr(head, "to_pylist") else list(head))]
        stats = walk.stats.get(id(inner[-1] if isinstance(inner, tuple) else inner), {}) if room > 150 else {}
        walk.tell(column, node, f"{dtype} column", size, first=first, more=len(column) > len(first), **stats)
    return node


def _table(
    walk: _Walk, value: Any, room: float, kind: str, parts: Pairs, names: Any, width: int = -1
) -> Node:
    """Visit what has rows, and columns if it has a width: its index, its columns, and the names there."""
    size = {"rows": len(value), "columns": width} if width >= 0 else {"rows": len(value)}
    labels, columns = [label for label, _ in parts], [column for _, column in parts]
    return walk.form(value, room, kind, columns, labels, hidden=[walk.visit(names)], size=size)


def _frame(walk: _Walk, value: Any, room: float) -> Node:
    columns = [(_label("column", name), column.array) for name, column in value.items()]
    names = [list(value.columns), list(value.columns.names), list(value.index.names)]
    parts = _index_columns(value.index) + columns
    return _table(walk, value, room, type(value).__name__, parts, names, len(columns))


def _series(walk: _Walk, value: Any, room: float) -> Node:
    parts = [*_index_columns(value.index), ("", value.array)]
    return _table(walk, value, room, f"{value.dtype} Series", parts, [value.name, list(value.index.names)])


def _index(walk: _Walk, value: Any, room: float) -> Node:
    return _table(walk, value, room, "Index", _index_columns(value), list(value.names))


def _index_columns(index: Any) -> Pairs:
    if index.nlevels == 1:
        return [("the index", index.array)]
    return [(f"index level {i}", index.get_level_values(i).array) for i in range(index.nlevels)]


def _pandas_column(walk: _Walk, value: Any, room: float) -> Node:
    dtype, name = value.dtype, type(value).__name__
    inner: Any
    if name in {"NumpyExtensionArray", "PandasArray"}:
        inner = value.to_numpy()
    elif hasattr(dtype, "categories"):
        inner = [value.codes, value.categories, bool(value.ordered)]
    elif hasattr(value, "asi8"):  # moments, as numbers
        inner = [value.asi8]
    elif "Arrow" in name:
        inner = _arrow_inner(value.__arrow_array__())
    elif hasattr(dtype, "numpy_dtype"):
        inner = (value.isna(), value.dropna().to_numpy(dtype=dtype.numpy_dtype))
    else:
        inner = [value.left, value.right] if hasattr(value, "left") else list(value)
    return _column(walk, value, room, dtype, inner, lambda: value.isna().sum())


def _polars_frame(walk: _Walk, value: Any, room: float) -> Node:
    columns = [(_label("column", column.name), column) for column in value.get_columns()]
    return _table(walk, value, room, "polars DataFrame", columns, value.columns, len(columns))


def _polars_series(walk: _Walk, value: Any, room: float) -> Node:
    if re.match(r"U?Int(8|16|32|64)$|Float|Boolean|Date|Time|Duration", str(value.dtype)):
        inner = value.is_null().to_numpy(), value.drop_nulls().to_physical().to_numpy()
    else:
        inner = value.to_list()
    return walk.combine(value.name, [_column(walk, value, room, value.dtype, inner, value.null_count)])


def _arrow_table(walk: _Walk, value: Any, room: float) -> Node:
    names = value.schema.names
    columns = [(_label("column", name), value.column(i)) for i, name in enumerate(names)]
    return _table(walk, value, room, f"pyarrow {type(value).__name__}", columns, names, len(columns))


def _arrow_column(walk: _Walk, value: Any, room: float) -> Node:
    return _column(walk, value, room, value.type, _arrow_inner(value), lambda: value.null_count)


def _arrow_inner(value: Any) -> Any:
    arrow, kind = sys.modules["pyarrow"], value.type
    is_a = arrow.types
    whole = value.combine_chunks() if isinstance(value, arrow.ChunkedArray) else value
    if is_a.is_dictionary(kind):
        return _arrow_inner(whole.dictionary_decode())
    # in the place of what is missing there may be anything in memory
    holes, there = whole.is_null().to_numpy(zero_copy_only=False), whole.drop_null()
    if is_a.is_temporal(kind):
        return [holes, there.cast(f"int{kind.bit_width}").to_numpy()]
    if is_a.is_boolean(kind) or is_a.is_integer(kind) or is_a.is_floating(kind):
        return holes, there.to_numpy(zero_copy_only=False)
    if is_a.is_string(kind) or is_a.is_large_string(kind) or str(kind) == "string_view":
        np, there = sys.modules["numpy"], there.cast("large_string")
        _, ends, written = there.buffers()
        ends = np.frombuffer(ends, "q")[there.offset : there.offset + len(there) + 1]
        return [holes, np.diff(ends), bytes(memoryview(written or b"")[ends[0] : ends[-1]])]
    return whole.to_pylist()


# ---------------------------------------------------------------- figures

#: what is drawn, by the end of the name of the method that returns it and changes nothing
_DRAWN = (
    *("size_inches", "suptitle", "title", "xlabel", "ylabel", "xscale", "yscale"),
    *("label", "text", "color", "linestyle", "offsets", "array"),
)
_GROUPS = ("axes", "lines", "patches", "collections", "images", "texts")


def _artist(walk: _Walk, value: Any, room: float) -> Node:
    """Visit what is drawn in a figure, but not what is only decided when it is shown, as most limits are."""
    drawn = {name.replace("_", " "): getattr(value, f"get_{name}", lambda: None)() for name in _DRAWN}
    if hasattr(value, "get_xydata"):
        drawn["x"], drawn["y"] = value.get_data(orig=True)
    if hasattr(value, "get_patch_transform"):
        drawn["outline"] = value.get_patch_transform().transform(value.get_path().vertices)
        drawn["color"] = value.get_facecolor()
    if hasattr(value, "get_paths"):
        drawn["paths"] = [path.vertices for path in value.get_paths()]
    if hasattr(value, "get_legend") and value.get_legend():
        drawn["legend"] = [text.get_text() for text in value.get_legend().get_texts()]
    for axis in ("x", "y") if hasattr(value, "get_autoscalex_on") else ():
        if not getattr(value, f"get_autoscale{axis}_on")():
            drawn[f"{axis} limits"] = list(getattr(vars(value)["_viewLim"], f"interval{axis}"))
    for group in _GROUPS:
        several = getattr(value, group, ())
        several = several if hasattr(several, "__len__") else ()  # what is drawn in axes refers to them, too
        drawn.update({f"{group} {i}": one for i, one in enumerate(several)})
    names = sorted(name for name in drawn if drawn[name] is not None)
    parts = [drawn[name] for name in names]
    return walk.form(value, room, type(value).__name__, parts, names, hidden=[walk.visit(names)])


#: by package and name of the class, or of one that it is derived from
_FORMS: dict[str, Open] = {
    "builtins.list": _list,
    "builtins.tuple": _list,
    "builtins.dict": _dict,
    "builtins.mappingproxy": _dict,
    "builtins.set": _set,
    "builtins.frozenset": _set,
    "builtins.bytearray": lambda walk, one, room: walk.form(one, room, "bytearray", (bytes(one),)),
    "builtins.cell": lambda walk, one, room: walk.form(one, room, "cell", (one.cell_contents,)),
    "builtins.code": _code,
    "builtins.function": _function,
    "builtins.module": lambda walk, one, room: walk.form(one, room, f"module `{one.__name__}`", ()),
    "builtins.type": lambda walk, one, room: walk.form(
        one, room, f"class `{one.__qualname__}`", (one.__module__,)
    ),
    "enum.Enum": _member,
    "io.IOBase": _nothing,
    "traitlets.HasTraits": _nothing,
    "numpy.ndarray": _array,
    "numpy.generic": _scalar,
    "pandas.DataFrame": _frame,
    "pandas.Series": _series,
    "pandas.Index": _index,
    "pandas.ExtensionArray": _pandas_column,
    "polars.DataFrame": _polars_frame,
    "polars.Series": _polars_series,
    "pyarrow.Table": _arrow_table,
    "pyarrow.RecordBatch": _arrow_table,
    "pyarrow.ChunkedArray": _arrow_column,
    "pyarrow.Array": _arrow_column,
    "pandas.Styler": _nothing,
    "matplotlib.Artist": _artist,
    "matplotlib.Container": _list,
    "matplotlib.Colorbar": _nothing,
    "matplotlib.Animation": _nothing,
}


# ---------------------------------------------------------------- what differs


def compare(was: Mark, now: Mark, *, tolerance: float = 1e-9) -> tuple[str, str]:
    """Compare two marks: "equal", "close", "differs" or "unknown", and how or why in a line for people.

    `was` is of the value at the capture, `now` of the one that is held against it. Close is what differs in
    nothing but floats, and in these by `tolerance` times their size. Those that a mark does not show are
    judged by sums: of n of them one may differ by about the square root of n times as much.
    """
    found, words, gap, unseen = _judged(was, now, tolerance)
    if found in {"equal", "close"} and "partly" in now:
        return "unknown", f"it holds {_article(now['partly'])}, which cannot be compared"
    if found == "equal":
        return found, "compared by samples" if "sampled" in now else ""
    if found == "close":
        largest = [f"largest difference {gap:.1g}" + (f" in {words}" if words else "")] if gap else []
        how = "; ".join(largest + ["judged by sums and samples"] * unseen)
        words = f"equal within {tolerance:g} ({how})".replace("e-0", "e-")
    return found, words


def _judged(was: Any, now: Any, tolerance: float, scale: float = 0.0) -> Verdict:
    """Return what `compare` does, but of close values where and by how much, and whether some are unseen."""
    was, now = (
        one if isinstance(one, dict) else {"type": "", "digest": one, "value": one} for one in (was, now)
    )
    kinds = _kind(was), _kind(now)
    if kinds[0] == kinds[1] and ("opaque" in was or "opaque" in now):
        return "unknown", f"{_article(now['type'])} cannot be compared", 0.0, False
    if was.get("digest") == now.get("digest"):
        return "equal", "", 0.0, False
    gap = _gap(was, now, tolerance, scale) if kinds[0] == kinds[1] else None
    if gap is not None:
        return "close", "", gap, False
    before, after = _parts(was), _parts(now)
    words = _plain_difference(was, now, before, after)
    where, largest, unseen = "", 0.0, "more" in now or not before
    scale = max(abs(was.get("min", 0.0)), abs(was.get("max", 0.0)))
    for label in [] if words else [label for label in before if label in after]:
        found, inside, gap, more = _judged(before[label], after[label], tolerance, scale)
        words = words or (_inside(label, inside) if found == "differs" else "")
        unseen = unseen or more
        if found == "close" and gap >= largest:
            where, largest = " of ".join(filter(None, (inside, label))), gap
    if words:
        return "differs", words, 0.0, False
    if was.get("like", 0) == now.get("like") and abs(was["near"] - now["near"]) <= 4 * tolerance:
        return "close", where, largest, unseen
    if was.get("python") != now.get("python"):
        words = f"code of Python {was['python']} cannot be compared with that of {now['python']}"
        return "unknown", words, 0.0, False
    return "differs", _unseen(now, len(before)), 0.0, False


def _kind(one: Mark) -> str:
    return str(one.get("kind", one["type"]))


def _gap(was: Mark, now: Mark, tolerance: float, scale: float) -> float | None:
    """Return by how much two floats differ, if they are close; `scale` is the size of those next to them."""
    texts = [str(one.get("value")) for one in (was, now) if one["type"] in ("", "float") or "like" in one]
    try:
        old, new = map(float, texts)
    except ValueError:
        return None
    close = abs(old - new) <= tolerance * max(abs(old), abs(new), scale) < math.inf
    return abs(old - new) if close and not any(text.lstrip("-").isdigit() for text in texts) else None


def _parts(one: Mark) -> dict[str, Any]:
    place = "position" if _kind(one).endswith("array") else "row"
    first = [(f"{place} {i}", text) for i, text in enumerate(one.get("first", ()))]
    found: dict[str, Any] = {}
    for label, part in [*one.get("parts", ()), *first]:
        found[label if label not in found else f"{label} ({len(found)})"] = part
    return found


def _plain_difference(was: Mark, now: Mark, before: Iterable[str], after: Iterable[str]) -> str:
    """Say what differs by value, kind, size or names."""
    (old, _, what), (new, _, same) = _kind(was).rpartition(" "), _kind(now).rpartition(" ")
    if "value" in was and "value" in now and was["value"] != now["value"]:
        return f"{now['value']}, was {was['value']}"
    if old and new and old != new and what == same:  # such as two columns
        return f"{new}, was {old}"
    if _kind(was) != _kind(now):
        alike = was.get("value") == now.get("value")
        texts = ["" if alike and one["type"] else one.get("value") for one in (now, was)]
        return f"is {texts[0] or _article(now['type'])}, was {texts[1] or _article(was['type'])}"
    for one, these, those, what in ((now, before, after, "is missing"), (was, after, before, "is new")):
        other = [label for label in these if "`" in label and label not in those]
        if other and "more" not in one:
            return f"{other[0]} {what}"
    sizes = was.get("size", {}), now.get("size", {})
    for unit in {**sizes[1], **sizes[0]}:
        first, second = sizes[0].get(unit, 0), sizes[1].get(unit, 0)
        if first != second and unit == "shape":
            return f"shape {second}, was {first}"
        if first != second:
            return f"{second} {unit[:-1] if second == 1 else unit}, was {first}"
    return "the order is another" if list(before) != list(after) and "more" not in now else ""


def _unseen(now: Mark, count: int) -> str:
    """Say that something differs that the marks do not show."""
    kind, more = _kind(now), count and "more" in now
    if kind.endswith(("column", "Series", "array")):
        return "values differ" + (f" below the first {count} rows" if more else "")
    if "value" in now:
        return f"differs after the first {_SHORT} characters"
    if more:
        return f"differs after the first {count} items"
    return f"its {'code' if kind.startswith('function') else 'content'} differs"


def _inside(label: str, words: str) -> str:
    """Say what differs in a part."""
    if label.startswith(("row ", "position ")):
        return f"{'first ' if label.endswith(' 0') else ''}value {words} ({label})"
    if label and words.startswith("values differ"):
        return f"{words} {'of' if 'rows' in words else 'in'} {label}"
    return f"{label}{' ' if words.startswith(('is ', 'differs ')) else ': '}{words}" if label else words


def _article(text: str) -> str:
    return f"{'an' if text[:1] in tuple('aeiouAEIOU') else 'a'} {text}"
