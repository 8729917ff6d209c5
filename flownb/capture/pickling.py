"""Values that have no literal: pickled, with a notebook's own classes, functions and values kept as names.

What the notebook binds under its own name is not put into the pickle but named there, so that in a run
`isinstance(config, Config)` holds and one object stays one. Functions without a name are embedded, and read
their globals from the flow.
"""

from __future__ import annotations

import base64
import importlib.util
import sys
import types
import zlib
from dataclasses import dataclass, field
from functools import _lru_cache_wrapper, lru_cache
from operator import call
from typing import TYPE_CHECKING, Any

import cloudpickle

from flownb.capture.importing import module_name, text_attribute
from flownb.capture.references import DEFINED
from flownb.capture.uncarriable import Reason, reason_against, reason_against_module

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flownb.capture.references import References

HELPER = "_flownb_unpickle"

#: carried with whatever is pickled; plain Python, so that a flow needs nothing of flownb to run
HELPER_SOURCE = '''\
def _flownb_unpickle(text, magic=None, python=""):
    """Bring back a value that was carried pickled; `magic` marks one with compiled code in it."""
    import base64, importlib, importlib.util, io, pickle, zlib

    if magic is not None and magic != importlib.util.MAGIC_NUMBER.hex():
        raise RuntimeError(
            f"this value holds code compiled by Python {python}, which another Python cannot run safely: "
            f"run the flow with Python {python}, or capture it again with this one"
        )

    class Unpickler(pickle.Unpickler):
        def persistent_load(self, key):
            kind, name = key
            if kind == "globals":
                return importlib.import_module(name).__dict__ if name else globals()
            first, *rest = name.split(".")
            if first not in globals():
                raise RuntimeError(f"this value needs `{first}`, which is not defined: run the cells above")
            found = globals()[first]
            for part in rest:
                found = getattr(found, part)
            return found

    return Unpickler(io.BytesIO(zlib.decompress(base64.b85decode(text)))).load()'''

_ATOMS = frozenset({type(None), bool, int, float, complex, str, bytes, tuple})
_CONTAINERS = frozenset({list, dict, set, bytearray})
_STREAMS = ("stdin", "stdout", "stderr")
_COLUMNS = 92


@dataclass
class Pickled:
    """A pickled value: its bytes, and what was seen on the way."""

    data: bytes
    reads: frozenset[str]  #: names needed before it is loaded
    later: frozenset[str]  #: names that embedded functions read when they are called
    makes: frozenset[int]  #: identities of the mutable objects in it
    modules: frozenset[str]  #: top-level modules that loading it imports
    embedded: tuple[str, ...]  #: functions and classes in it by value
    alive: list[object] = field(repr=False)  #: what the identities are of


class UncarriableError(Exception):
    """Something in a value that cannot be carried."""

    def __init__(self, value: object, reason: Reason) -> None:
        super().__init__(reason.what)
        self.value = value
        self.reason = reason


class TooBigError(Exception):
    """The value takes more bytes than allowed."""


class _Bounded:
    """A file to write to that takes at most `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._parts: list[bytes] = []

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        self._size += size
        if self._size > self._limit:
            raise TooBigError  # before anything is copied
        self._parts.append(bytes(data))
        return size

    def value(self) -> bytes:
        return b"".join(self._parts)


class _Globals:
    """Stands for a module's or the flow's own globals."""

    def __init__(self, module: str) -> None:
        self.module = module


class _Call:
    """Pickles as the result of a call."""

    def __init__(self, *call: Any) -> None:
        self._call = call

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self._call[0], tuple(self._call[1:])


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    def __init__(
        self,
        file: _Bounded,
        binds: tuple[str, ...],
        references: References,
        named: Mapping[int, str],
        namespace: Mapping[str, Any],
    ) -> None:
        super().__init__(file, protocol=5)
        self._binds = binds
        self._streams = {id(stream): name for name in _STREAMS if (stream := getattr(sys, name)) is not None}
        self._references = references
        self._named = named
        self._namespace = namespace
        self._main = namespace.get("__name__", "__main__")
        self.reads: set[str] = set()
        self.later: set[str] = set()
        self.makes: set[int] = set()
        self.modules: set[str] = set()
        self.embedded: list[str] = []
        self.alive: list[object] = []
        self.last: object = None  #: what was being pickled when something failed

    def persistent_id(self, value: Any) -> tuple[str, str] | None:
        """Name what is not to be put into the pickle; called for every object, before all else."""
        kind = type(value)
        if kind in _ATOMS:
            return None
        self.last = value
        name = self._named.get(id(value))
        if name is not None:
            self.reads.add(name)
            return ("name", name)
        if kind in _CONTAINERS:
            self.alive.append(value)
            self.makes.add(id(value))
            return None
        if kind is _Globals:
            return ("globals", value.module)
        return self._named_object(value, kind)

    def _named_object(self, value: Any, kind: type) -> tuple[str, str] | None:
        if isinstance(value, types.ModuleType):
            if module_name(value) is None:
                raise UncarriableError(
                    value, reason_against_module(value, is_main=value.__name__ == self._main)
                )
            self.modules.add(value.__name__)
            return None
        if isinstance(value, DEFINED):
            name = self._references.own_name(value)
            root = name.partition(".")[0] if name is not None else ""
            if name is not None and root not in self._binds:
                self.reads.add(root)
                return ("name", name)
            self._note_module(value.__module__)
            return None
        if id(value) in self._streams:
            return None
        if kind is types.CodeType:
            if not self.embedded:
                self.embedded.append("compiled code")
            return None
        reason = reason_against(value)
        if reason is not None:
            raise UncarriableError(value, reason)
        if kind.__module__ in {"__main__", self._main}:
            self.alive.append(value)
            self.makes.add(id(value))
        if callable(value):
            self._note_module(text_attribute(value, "__module__"))
        return None

    def _note_module(self, module: object) -> None:
        if isinstance(module, str) and module not in {"__main__", self._main}:
            self.modules.add(module)

    def reducer_override(self, value: Any) -> Any:
        """Reduce what cloudpickle would get wrong in a flow; leave the rest to it."""
        stream = self._streams.get(id(value))
        if stream is not None:
            return getattr, (sys, stream)
        if isinstance(value, _lru_cache_wrapper):
            wrapped = getattr(value, "__wrapped__", None)
            if self._is_own(wrapped):
                settings = value.cache_parameters()
                return call, (_Call(lru_cache, settings["maxsize"], settings["typed"]), wrapped)
            return NotImplemented
        reduced = super().reducer_override(value)
        if isinstance(reduced, tuple):
            if isinstance(value, types.FunctionType):
                return self._function(value, reduced)
            if value.__module__ != "builtins":  # of those only a name is written
                self._embed("class", value)
        return reduced

    def _is_own(self, value: object) -> bool:
        return isinstance(value, types.FunctionType) and value.__module__ in {None, "__main__", self._main}

    def _embed(self, kind: str, value: Any) -> None:
        name = getattr(value, "__qualname__", "?").rpartition("<locals>.")[2]
        self.embedded.append(f"{kind} {name}")

    def _function(self, function: types.FunctionType, reduced: tuple[Any, ...]) -> tuple[Any, ...]:
        """Let an embedded function find its globals where it will run, not in a copy of those here."""
        self._embed("function", function)
        make, (code, _globals, *others), (attributes, slots), *rest = reduced
        module = function.__globals__.get("__name__") or ""
        if module in {"__main__", self._main} or function.__globals__ is self._namespace:
            self.later.update(slots["__globals__"])  # the globals that its code names
            known = _Globals("")
        elif vars(sys.modules.get(module, _NO_MODULE)) is function.__globals__:
            known = _Globals(module)
            self.modules.add(module)
        else:
            return reduced
        slots = {**slots, "__globals__": {}}
        return make, (code, known, *others), (attributes, slots), *rest


_NO_MODULE = types.ModuleType("none")


def pickle_value(
    value: object,
    binds: tuple[str, ...],
    references: References,
    named: Mapping[int, str],
    namespace: Mapping[str, Any],
    limit: int,
) -> Pickled:
    """Pickle `value`, which will be bound to `binds`, and of which `named` (identity -> name) may know parts.

    Raises `UncarriableError` for something in it that cannot be, with that something, and `TooBigError`
    where it takes more than `limit` bytes.
    """
    file = _Bounded(limit)
    pickler = _Pickler(file, binds, references, named, namespace)
    try:
        pickler.dump(value)
    except (UncarriableError, TooBigError):
        raise
    except Exception as error:  # what a foreign object raises when it is pickled is up to it
        raise UncarriableError(pickler.last, _unpicklable(pickler.last, error)) from error
    return Pickled(
        data=file.value(),
        reads=frozenset(pickler.reads),
        later=frozenset(name for name in pickler.later if name in namespace),
        makes=frozenset(pickler.makes),
        modules=frozenset(module.partition(".")[0] for module in pickler.modules),
        embedded=tuple(dict.fromkeys(pickler.embedded)),
        alive=pickler.alive,
    )


def _unpicklable(value: object, error: Exception) -> Reason:
    kind = type(value)
    words = " ".join(str(error).split())
    return Reason(
        f"a {kind.__module__}.{kind.__qualname__}, which cannot be pickled ({words[:200]})",
        "make it in the flow's cell, or in a function that the cell calls",
    )


def loading_source(names: tuple[str, ...], pickled: Pickled, comment: str) -> str:
    """Write the statement that binds `names` to what was pickled, below a comment that says what it is."""
    text = base64.b85encode(zlib.compress(pickled.data, 6)).decode("ascii")
    lines = [text[start : start + _COLUMNS] for start in range(0, len(text), _COLUMNS)]
    marks = ""
    if pickled.embedded:
        marks = f', magic="{importlib.util.MAGIC_NUMBER.hex()}", python="{python_version()}"'
    target = ", ".join(names)
    if len(lines) == 1 and len(target) + len(text) + len(marks) < _COLUMNS:
        return f'# {comment}\n{target} = {HELPER}("{text}"{marks})'
    body = "\n".join(f'    "{line}"' for line in lines)
    tail = f",\n    {marks[2:]},\n)" if marks else "\n)"
    return f"# {comment}\n{target} = {HELPER}(\n{body}{tail}"


def python_version() -> str:
    """Return the version of this Python that compiled code depends on: `3.11`."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"
