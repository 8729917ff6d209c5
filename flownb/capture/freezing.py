"""Values that no statement makes again, or that somebody wants as they are: written into the flow.

What reads well becomes a literal; all others become one pickle together, so that what they share stays
shared. Classes and functions that the notebook defines are named in it, not put into it: in a run they are
the flow's.
"""

from __future__ import annotations

import base64
import importlib.util
import io
import sys
import types
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import cloudpickle

from flownb.capture.describe import describe, readable_size
from flownb.errors import CaptureError
from flownb.flow import Carried
from flownb.marks import identity
from flownb.parameters import Secret

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

LIMIT = 10_000_000  #: bytes of pickled values in a flow, if nothing else is said

_ATOMS = (type(None), bool, int, float, complex, str, bytes)
_CONTAINERS = (list, tuple, dict)
_LONGEST_LITERAL = 400  #: characters
_COLUMNS = 100

_THAW = """\
def _thaw(data):
    import base64, importlib.util, io, pickle, zlib

    if importlib.util.MAGIC_NUMBER.hex() != "{magic}":
        raise RuntimeError("Python {python} froze {names}, and another Python cannot load that "
                           "safely: run the flow with it, or capture it again with this one")

    class Thawing(pickle.Unpickler):
        def persistent_load(self, name):
            return globals()[name]

    return Thawing(io.BytesIO(zlib.decompress(base64.b85decode(data)))).load()


{targets} = _thaw(
{lines}
)
del _thaw"""


@dataclass(frozen=True)
class Frozen:
    """What was frozen, as entries of a flow's closure, and the notebook's names that they need."""

    entries: tuple[Carried, ...] = ()
    reads: frozenset[str] = frozenset()


def freeze(
    values: Mapping[str, Any],
    namespace: Mapping[str, Any],
    bound: Collection[str],
    *,
    where: str,
    limit: int = LIMIT,
) -> Frozen:
    """Write values down by their names; `bound` are the names that the history binds.

    Raises `CaptureError` for a value that cannot be frozen: it says which, why, and what to do.
    """
    if not values:
        return Frozen()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    parts: dict[str, set[int]] = {}  #: of what reads well: the containers that it is and has
    for name, value in values.items():
        own: set[int] = set()
        if _reads_well(value, own) and own.isdisjoint({part for some in parts.values() for part in some}):
            parts[name] = own
    rest = {name: value for name, value in values.items() if name not in parts}
    data, reads, modules = b"", frozenset[str](), set[str]()
    while rest:
        data, reads, modules, met = _pickled(rest, namespace, bound, where)
        shared = {name for name, own in parts.items() if not own.isdisjoint(met)}
        if not shared:
            break
        parts = {name: own for name, own in parts.items() if name not in shared}
        rest = {name: value for name, value in values.items() if name not in parts}
    literals = {name: repr(values[name]) for name in parts}
    entries = [
        _entry((name,), f"{name} = {text}", describe(values[name]), text, len(text), now)
        for name, text in literals.items()
    ]
    if rest:
        if len(data) > limit:
            raise CaptureError(_too_big(rest, namespace, bound, len(data), limit, where))
        names = tuple(rest)
        kinds = {name: describe(value) for name, value in rest.items()}
        told = ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
        kind = "; ".join(kinds.values())
        identities = "\0".join(f"{name}={identity(value)}" for name, value in rest.items())
        entries.append(
            _entry(names, _source(names, data, told, modules), kind, identities, len(data), now, reads)
        )
    return Frozen(tuple(entries), reads)


def _entry(
    names: tuple[str, ...],
    source: str,
    told: str,
    content: str,
    size: int,
    now: str,
    reads: frozenset[str] = frozenset(),
) -> Carried:
    ordered = tuple(sorted(reads))
    return Carried(
        ", ".join(names), "frozen", source, names, ordered, ordered, content, type=told, size=size, at=now
    )


def _reads_well(value: object, seen: set[int]) -> bool:
    """Whether a value's literal says all of it, and is short. The containers in it are put into `seen`."""
    return _is_plain(value, seen) and len(repr(value)) <= _LONGEST_LITERAL


def _is_plain(value: object, seen: set[int]) -> bool:
    if type(value) in _ATOMS:
        return value == value and abs(value) != float("inf") if isinstance(value, float) else True
    if type(value) not in _CONTAINERS or id(value) in seen:
        return False  # one that is met twice is to stay one
    seen.add(id(value))
    items = [*value.keys(), *value.values()] if isinstance(value, dict) else list(value)  # type: ignore[call-overload]
    return all(_is_plain(item, seen) for item in items)


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Pickles with the notebook's own classes and functions by their names."""

    def __init__(self, file: Any, namespace: Mapping[str, Any], bound: Collection[str]) -> None:
        super().__init__(file, protocol=5)
        self._namespace = namespace
        self._bound = bound
        self.frozen: Collection[str] = ()
        self.named: set[str] = set()
        self.modules: set[str] = set()  #: that loading it imports
        self.met: set[int] = set()  #: the plain containers in it

    def persistent_id(self, value: Any) -> str | None:
        if type(value) in _CONTAINERS:
            self.met.add(id(value))
        if isinstance(value, Secret):
            raise TypeError("it holds a secret: declare that as a parameter, `NAME: Secret`")
        if isinstance(value, io.IOBase) and not isinstance(value, io.BytesIO | io.StringIO):
            raise TypeError("an open file")  # cloudpickle would put in what is left to be read
        module = getattr(value if isinstance(value, type) else type(value), "__module__", None)
        if isinstance(module, str):
            self.modules.add(module.partition(".")[0])
        if isinstance(value, type | types.FunctionType):
            name = value.__qualname__
            if name in self._bound and name not in self.frozen and self._namespace.get(name) is value:
                self.named.add(name)
                return name
        return None


def _pickled(
    values: Mapping[str, Any], namespace: Mapping[str, Any], bound: Collection[str], where: str
) -> tuple[bytes, frozenset[str], set[str], set[int]]:
    file = io.BytesIO()
    pickler = _Pickler(file, namespace, bound)
    pickler.frozen = values.keys()
    try:
        pickler.dump(tuple(values.values()))
    except Exception as error:  # what a foreign object raises when it is pickled is up to it
        if len(values) > 1:
            for name, value in values.items():
                _pickled({name: value}, namespace, bound, where)
        name, value = next(iter(values.items()))
        words = " ".join(str(error).split())[:200]
        instead = (
            "without --freeze a run makes it again"
            if name in bound
            else "no cell that was executed here made it: make it in a cell above, and a run makes it again"
        )
        raise CaptureError(
            f"{where}: `{name}` ({describe(value)}) cannot be frozen ({words}); {instead}"
        ) from error
    modules = {name for name in pickler.modules - sys.stdlib_module_names if _is_imported(name)}
    return file.getvalue(), frozenset(pickler.named), modules, pickler.met


def _is_imported(module: str) -> bool:
    """Whether a module came by an import: extensions make some for themselves."""
    return getattr(sys.modules.get(module), "__spec__", None) is not None


def _too_big(
    values: Mapping[str, Any],
    namespace: Mapping[str, Any],
    bound: Collection[str],
    size: int,
    limit: int,
    where: str,
) -> str:
    sizes = {name: len(_pickled({name: v}, namespace, bound, where)[0]) for name, v in values.items()}
    told = ", ".join(f"`{n}` {readable_size(s)}" for n, s in sorted(sizes.items(), key=lambda pair: -pair[1]))
    return (
        f"{where}: what is to be frozen takes {readable_size(size)}, and at most {readable_size(limit)} fit "
        f"in a flow ({told}): have it made by a cell above, read it from a file, or make it a step of "
        "its own (%%flow NAME.STEP)"
    )


def _source(names: tuple[str, ...], data: bytes, told: str, modules: set[str]) -> str:
    text = base64.b85encode(zlib.compress(data, 6)).decode("ascii")
    lines = "\n".join(f'    "{text[start : start + _COLUMNS]}"' for start in range(0, len(text), _COLUMNS))
    targets = ", ".join(names) + ("," if len(names) == 1 else "")
    code = _THAW.format(
        magic=importlib.util.MAGIC_NUMBER.hex(),
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        names=", ".join(f"`{name}`" for name in names),
        targets=targets,
        lines=lines,
    )
    uses = f"; uses {', '.join(sorted(modules))}" if modules else ""
    return f"# frozen: {told}{uses}\n{code}"
