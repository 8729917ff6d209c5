"""A digest of a value's content that is the same in every process.

Pickled bytes are not: they depend on addresses, hash seeds, interning and on what was looked at before. This
walks the value instead: exact types, containers in their order (sets by the digests of their members), arrays
by their bytes, functions by their code, classes by name, all else by what it reduces to.
"""

from __future__ import annotations

import hashlib
import struct
import types
from typing import TYPE_CHECKING, Any

import cloudpickle

from flownb.capture.importing import importable, module_name
from flownb.capture.literals import IMMUTABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Refer = Callable[[object], str | None]

_TEXT_ATOMS = frozenset(
    {type(None), bool, int, float, complex, str, bytes, type(Ellipsis), type(NotImplemented)}
)
#: by package, what its objects only keep for themselves: addresses, and numbers that go up when one looks
_BOOKKEEPING = {"matplotlib": frozenset({"_parents", "_cid_gen"})}
#: types of which `ascii` says all, NaNs' payloads aside
_LISTED = frozenset({str, int, bool, float, type(None)})
_DESCRIPTORS = (
    types.MemberDescriptorType,
    types.GetSetDescriptorType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.ClassMethodDescriptorType,
)
_INCIDENTAL = frozenset(
    {
        "__dict__", "__weakref__", "__module__", "__qualname__", "__firstlineno__", "__static_attributes__",
        "__annotate_func__", "__annotations_cache__", "_abc_impl", "__abstractmethods__", "__doc__",
    }
)  # fmt: skip


def fingerprint(value: object, refer: Refer | None = None) -> str:
    """Return 64 hexadecimal digits that stand for the content of `value`, the same in any process.

    `refer` may give a name for an object that is represented elsewhere; the name then stands for it. Where a
    value holds something that cannot be walked, the digest is that of its pickle: good for telling values
    apart, not for telling that they are the same.
    """
    walk = _Walk(refer or _nothing, {})
    try:
        walk.visit(value)
    except Exception:  # noqa: BLE001 - what foreign objects raise while they are taken apart is up to them
        return hashlib.sha256(b"pickle" + cloudpickle.dumps(value)).hexdigest()
    return walk.digest()


def _nothing(_value: object) -> None:
    return None


class _Walk:
    """One digest in the making; `seen` tells an object's number, in the order of the first visit."""

    def __init__(self, refer: Refer, seen: dict[int, int]) -> None:
        self._hash = hashlib.sha256()
        self._refer = refer
        self._seen = seen
        self._alive: list[object] = []  # an identity is only telling while its object lives

    def digest(self) -> str:
        return self._hash.hexdigest()

    def put(self, tag: str, data: bytes = b"") -> None:
        """Add one unmistakable item: its tag, its length, its bytes."""
        self._hash.update(f"{tag}:{len(data)};".encode("utf-8", "surrogatepass"))
        self._hash.update(data)

    def visit(self, value: object) -> None:
        kind = type(value)
        if kind in _TEXT_ATOMS:
            self._atom(value)
            return
        name = self._refer(value)
        if name is not None:
            self.put("named", name.encode())
            return
        if kind is tuple:  # of what cannot be changed, one is as good as another that is equal
            self._sequence("tuple", value)  # type: ignore[arg-type]
            return
        if kind is frozenset:
            self._set("frozenset", value)  # type: ignore[arg-type]
            return
        if kind in IMMUTABLE:
            self._reduced(value, kind)
            return
        number = self._seen.get(id(value))
        if number is not None:
            self.put("again", str(number).encode())
            return
        self._seen[id(value)] = len(self._seen)
        self._alive.append(value)
        self._visit_object(value, kind)

    def _visit_object(self, value: Any, kind: type) -> None:
        if kind is list:
            self._sequence("list", value)
        elif kind is dict:
            self.put("dict", str(len(value)).encode())
            self._sequence("keys", value.keys())
            self._sequence("values", value.values())
        elif kind is set:
            self._set("set", value)
        elif kind is bytearray:
            self.put("bytearray", bytes(value))
        elif isinstance(value, type):
            self._class(value)
        elif isinstance(value, types.ModuleType):
            self.put("module", (module_name(value) or value.__name__).encode())
        elif isinstance(value, types.FunctionType):
            self._function(value)
        elif isinstance(value, types.CodeType):
            self._code(value)
        elif isinstance(value, types.CellType):
            self._cell(value)
        elif isinstance(value, _DESCRIPTORS):
            owner = value.__objclass__
            self.put("descriptor", f"{owner.__module__}.{owner.__qualname__}.{value.__name__}".encode())
        else:
            self._other(value, kind)

    def _atom(self, value: Any) -> None:
        kind = type(value)
        if kind is bytes:
            self.put("bytes", value)
        elif kind is float:
            self.put("float", struct.pack(">d", value))
        elif kind is str:
            self.put("str", value.encode("utf-8", "surrogatepass"))
        elif kind is int:
            self.put("int", f"{value:x}".encode())
        else:
            self.put(kind.__name__, repr(value).encode())

    def _sequence(self, tag: str, items: Iterable[object]) -> None:
        items = list(items)
        if len(items) > 8:
            kinds = set(map(type, items))
            if kinds <= _LISTED:
                # in one go, by C code: long lists of plain things are common
                self.put(f"{tag} of atoms", ascii(items).encode())
                return
        self.put(tag, str(len(items)).encode())
        for item in items:
            self.visit(item)

    def _set(self, tag: str, items: Iterable[object]) -> None:
        if set(map(type, items)) <= _LISTED:
            self.put(f"{tag} of atoms", "\n".join(sorted(map(ascii, items))).encode())
            return
        digests = []
        for item in items:
            inner = _Walk(self._refer, dict(self._seen))
            inner.visit(item)
            digests.append(inner.digest())
        self.put(tag, "".join(sorted(digests)).encode())

    def _named_items(self, tag: str, items: dict[str, Any]) -> None:
        self.put(tag, str(len(items)).encode())
        for name in sorted(items, key=str):
            self.visit(name)
            self.visit(items[name])

    def _class(self, cls: type) -> None:
        found = importable(cls)
        if found is not None:
            self.put("class", ".".join(found).encode())
            return
        self.put("own class", cls.__qualname__.encode())
        self._sequence("bases", cls.__bases__)
        self._named_items("body", {k: v for k, v in vars(cls).items() if k not in _INCIDENTAL})

    def _function(self, function: types.FunctionType) -> None:
        found = importable(function)
        if found is not None:
            self.put("function", ".".join(found).encode())
            return
        self.put("own function", function.__qualname__.encode())
        self._code(function.__code__)
        for part in (function.__defaults__, function.__kwdefaults__, function.__closure__):
            self.visit(part)
        self._named_items("attributes", vars(function))

    def _code(self, code: types.CodeType) -> None:
        counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
        self.put("code", repr(counts).encode())
        self.put("bytecode", code.co_code)
        for part in (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars, code.co_consts):
            self.visit(part)

    def _cell(self, cell: types.CellType) -> None:
        try:
            content = cell.cell_contents
        except ValueError:  # a variable that has no value yet
            self.put("empty cell")
            return
        self.put("cell")
        self.visit(content)

    def _other(self, value: Any, kind: type) -> None:
        special = _SPECIAL.get((kind.__module__.partition(".")[0], kind.__name__))
        if special is not None:
            special(self, value)
            return
        found = importable(value) if callable(value) else None
        if found is not None:
            self.put("import", ".".join(found).encode())
            return
        self._reduced(value, kind)

    def _reduced(self, value: Any, kind: type) -> None:
        reducer = cloudpickle.Pickler.dispatch_table.get(kind)  # properties, mapping proxies and the like too
        reduced = reducer(value) if reducer is not None else value.__reduce_ex__(4)
        if isinstance(reduced, str):
            self.put("global", f"{kind.__module__}.{reduced}".encode())
            return
        function, arguments, state, items, pairs = (*reduced, None, None, None, None)[:5]
        self.put("object", f"{kind.__module__}.{kind.__qualname__}".encode())
        self.visit(function)
        self.visit(arguments)
        if type(state) is dict and all(type(key) is str for key in state):
            left_out = _BOOKKEEPING.get(kind.__module__.partition(".")[0], ())
            self._named_items("state", {name: part for name, part in state.items() if name not in left_out})
        else:
            self.visit(state)
        self._sequence("items", items or ())
        self._sequence("pairs", pairs or ())


def _array(walk: _Walk, value: Any) -> None:
    walk.put("array", repr((value.dtype.str, value.shape)).encode())
    if value.dtype.hasobject:
        walk.visit(value.tolist())
    elif value.dtype.names:
        walk.put("fields", repr(value.dtype.descr).encode())
        for name in value.dtype.names:
            walk.visit(value[name])
    else:
        walk.put("data", value.tobytes())


def _frame(walk: _Walk, value: Any) -> None:
    walk.put(f"pandas {type(value).__name__}", repr(value.shape).encode())
    walk.visit(value.columns)
    walk.visit(value.index)
    for position in range(value.shape[1]):
        walk.visit(_pandas_array(value.iloc[:, position]))
    walk.visit(dict(value.attrs))


def _series(walk: _Walk, value: Any) -> None:
    walk.put(f"pandas {type(value).__name__}", repr(value.shape).encode())
    walk.visit(value.name)
    walk.visit(value.index)
    walk.visit(_pandas_array(value))
    walk.visit(dict(value.attrs))


def _pandas_array(series: Any) -> Any:
    array = series.array
    return array.to_numpy() if type(array).__name__ in {"NumpyExtensionArray", "PandasArray"} else array


def _index(walk: _Walk, value: Any) -> None:
    walk.put("pandas Index", str(value.dtype).encode())
    walk.visit(value.name)
    array = value.array
    walk.visit(value.to_numpy() if type(array).__name__ in {"NumpyExtensionArray", "PandasArray"} else array)


def _arrow_backed(walk: _Walk, value: Any) -> None:
    """Pandas keeps texts in Arrow memory, whose unused bits are anything."""
    walk.put("pandas array", f"{type(value).__name__} {value.dtype!r}".encode())
    walk.visit(list(value.astype(object)))


def _arrow(walk: _Walk, value: Any) -> None:
    walk.put("arrow", f"{type(value).__name__} {value.type}".encode())
    walk.visit(value.to_pylist())


def _arrow_table(walk: _Walk, value: Any) -> None:
    walk.put("arrow", f"{type(value).__name__} {value.schema.to_string(truncate_metadata=False)}".encode())
    for column in value.columns:
        walk.visit(column.to_pylist())


def _polars_series(walk: _Walk, value: Any) -> None:
    walk.put("polars", f"{value.name} {value.dtype!r} {len(value)}".encode("utf-8", "surrogatepass"))
    if value.dtype.is_numeric() and not value.null_count() and not value.dtype.is_decimal():
        walk.put("data", value.to_numpy().tobytes())
    else:
        walk.visit(value.to_list())


def _polars_frame(walk: _Walk, value: Any) -> None:
    walk.put("polars", repr(value.shape).encode())
    for column in value.get_columns():
        _polars_series(walk, column)


_SPECIAL: dict[tuple[str, str], Callable[[_Walk, Any], None]] = {
    ("numpy", "ndarray"): _array,
    ("pandas", "DataFrame"): _frame,
    ("pandas", "Series"): _series,
    ("pandas", "Index"): _index,
    ("pandas", "ArrowStringArray"): _arrow_backed,
    ("pandas", "ArrowExtensionArray"): _arrow_backed,
    ("pandas", "ArrowStringArrayNumpySemantics"): _arrow_backed,
    ("pandas", "StringArray"): _arrow_backed,
    ("pyarrow", "Table"): _arrow_table,
    ("pyarrow", "RecordBatch"): _arrow_table,
    ("pyarrow", "ChunkedArray"): _arrow,
    ("polars", "Series"): _polars_series,
    ("polars", "DataFrame"): _polars_frame,
}
