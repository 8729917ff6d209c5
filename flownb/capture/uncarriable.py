"""Values that belong to one process and cannot be carried into another: which, why, and what to do."""

from __future__ import annotations

import contextlib
import io
from collections import deque
from dataclasses import dataclass
from functools import cache
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Reason:
    """What a value is that cannot be carried, and what works instead."""

    what: str
    advice: str


_IN_THE_CELL = "make it in the flow's cell, or in a function that the cell calls"
_AS_VALUES = "carry what it gives: `{name} = list({name})` in a cell above"

_FILE = Reason("an open file", "carry its path, and open it in the flow's cell")
_SOCKET = Reason("a network connection", "carry its address, and connect in the flow's cell")
_LOCK = Reason("a lock", _IN_THE_CELL)
_THREAD = Reason("a thread", "start it in the flow's cell")
_PROCESS = Reason("a running process", "start it in the flow's cell")
_EXECUTOR = Reason("a pool of workers", _IN_THE_CELL)
_GENERATOR = Reason("a generator, which can be read only once and only here", _AS_VALUES)
_COROUTINE = Reason(
    "a coroutine or task of this event loop", "await it in a cell above, and carry its result"
)
_DATABASE = Reason("a database connection", "carry its address or file, and connect in the flow's cell")
_WIDGET = Reason("a widget of this front end", "carry its value: `value = {name}.value` in a cell above")
_SHELL = Reason("IPython's shell", "call `get_ipython()` in the flow's cell")
_FRAME = Reason("part of this process's call stack", "carry what you need of it: its message, its text")
_REFERENCE = Reason("a weak reference", "carry the object itself")
_MEMORY = Reason("memory of this process", "carry its content: `bytes({name})`")
_CONTEXT = Reason("a context variable", _IN_THE_CELL)
_GPU = Reason("on a GPU", "carry it from main memory: `{name} = {name}.cpu()` in a cell above")
_RUNTIME_MODULE = Reason(
    "a module made at runtime, which cannot be imported", "put it into a `.py` file of the project"
)
_THE_NOTEBOOK = Reason("the notebook's own module", "read the names that you need directly")
_SECRET = Reason(
    "a secret, which must not be written into a flow", "declare it as a parameter of the flow: `NAME: Secret`"
)
_CLIENT = Reason("a connection to a cluster", "connect in the flow's cell")

#: by (module, qualified name) of a class in the value's MRO
_BY_CLASS: dict[tuple[str, str], Reason] = {
    ("_io", "_IOBase"): _FILE,
    ("tempfile", "_TemporaryFileWrapper"): _FILE,
    ("_socket", "socket"): _SOCKET,
    ("_ssl", "_SSLSocket"): _SOCKET,
    ("ssl", "SSLContext"): _SOCKET,
    ("_thread", "lock"): _LOCK,
    ("_thread", "RLock"): _LOCK,
    ("threading", "_RLock"): _LOCK,
    ("threading", "Condition"): _LOCK,
    ("threading", "Semaphore"): _LOCK,
    ("threading", "Event"): _LOCK,
    ("threading", "Barrier"): _LOCK,
    ("multiprocessing.synchronize", "SemLock"): _LOCK,
    ("threading", "Thread"): _THREAD,
    ("_thread", "_local"): _THREAD,
    ("subprocess", "Popen"): _PROCESS,
    ("multiprocessing.process", "BaseProcess"): _PROCESS,
    ("asyncio.subprocess", "Process"): _PROCESS,
    ("concurrent.futures._base", "Executor"): _EXECUTOR,
    ("concurrent.futures._base", "Future"): _EXECUTOR,
    ("multiprocessing.pool", "Pool"): _EXECUTOR,
    ("builtins", "generator"): _GENERATOR,
    ("builtins", "async_generator"): _GENERATOR,
    ("builtins", "coroutine"): _COROUTINE,
    ("_asyncio", "Future"): _COROUTINE,
    ("asyncio.events", "AbstractEventLoop"): _COROUTINE,
    ("sqlite3", "Connection"): _DATABASE,
    ("sqlite3", "Cursor"): _DATABASE,
    ("sqlite3", "Blob"): _DATABASE,
    ("sqlalchemy.engine.base", "Engine"): _DATABASE,
    ("sqlalchemy.engine.base", "Connection"): _DATABASE,
    ("sqlalchemy.orm.session", "Session"): _DATABASE,
    ("psycopg", "Connection"): _DATABASE,
    ("psycopg2.extensions", "connection"): _DATABASE,
    ("psycopg2.extensions", "cursor"): _DATABASE,
    ("duckdb", "DuckDBPyConnection"): _DATABASE,
    ("_duckdb", "DuckDBPyConnection"): _DATABASE,
    ("ipywidgets.widgets.widget", "Widget"): _WIDGET,
    ("IPython.core.interactiveshell", "InteractiveShell"): _SHELL,
    ("builtins", "frame"): _FRAME,
    ("builtins", "traceback"): _FRAME,
    ("weakref", "ReferenceType"): _REFERENCE,
    ("builtins", "weakref"): _REFERENCE,
    ("builtins", "memoryview"): _MEMORY,
    ("mmap", "mmap"): _MEMORY,
    ("_ctypes", "_Pointer"): _MEMORY,
    ("_contextvars", "ContextVar"): _CONTEXT,
    ("_contextvars", "Context"): _CONTEXT,
    ("_contextvars", "Token"): _CONTEXT,
    ("select", "epoll"): _SOCKET,
    ("selectors", "BaseSelector"): _SOCKET,
    ("distributed.client", "Client"): _CLIENT,
    ("flownb.parameters.secret", "Secret"): _SECRET,
    ("pydantic.types", "_SecretBase"): _SECRET,
    ("pyspark.sql.session", "SparkSession"): _CLIENT,
}


@cache
def _of_class(cls: type) -> Reason | None:
    if issubclass(cls, io.BytesIO | io.StringIO):
        return None
    for base in cls.__mro__:
        reason = _BY_CLASS.get((base.__module__, base.__qualname__))
        if reason is not None:
            return reason
    return None


def reason_against(value: object) -> Reason | None:
    """Return why this value, looked at alone, cannot be carried; None where nothing is known against it."""
    cls: Any = type(value)
    reason = _of_class(cls)
    if reason is not None:
        return reason
    if type(value).__module__.startswith("torch") and getattr(value, "is_cuda", False):
        return _GPU
    return None


def reason_against_module(module: ModuleType, *, is_main: bool) -> Reason:
    """Return why a module that no import statement gives cannot be carried."""
    return _THE_NOTEBOOK if is_main or module.__name__ == "__main__" else _RUNTIME_MODULE


def path_to(target: object, root: object, name: str, limit: int = 50_000) -> str | None:
    """Say how `root`, known as `name`, holds `target`: `cfg['log'].stream`; None where no way is found.

    The way is the shortest through items, attributes and what functions hold; at most `limit` objects are
    looked at.
    """
    if root is target:
        return name
    seen = {id(root)}
    waiting = deque([(root, name)])
    alive: list[object] = [root]  # identities are only telling while the objects live
    while waiting and len(seen) < limit:
        value, way = waiting.popleft()
        for inner, step in _parts(value):
            if inner is target:
                return way + step
            if id(inner) not in seen and not isinstance(inner, str | bytes | int | float | type | ModuleType):
                seen.add(id(inner))
                alive.append(inner)
                waiting.append((inner, way + step))
    return None


def _parts(value: object) -> Iterator[tuple[object, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield item, f"[{key!r}]" if isinstance(key, str | int | bool) else f"[{type(key).__name__}]"
            yield key, ".keys()"
    elif isinstance(value, list | tuple):
        yield from ((item, f"[{position}]") for position, item in enumerate(value))
    elif isinstance(value, set | frozenset | deque):
        yield from ((item, " (inside)") for item in value)
    if isinstance(value, FunctionType):
        names = value.__code__.co_freevars
        for free, cell in zip(names, value.__closure__ or (), strict=True):
            with contextlib.suppress(ValueError):  # a variable that has no value yet
                yield cell.cell_contents, f" (through its variable `{free}`)"
        yield from ((item, " (through a default)") for item in value.__defaults__ or ())
    yield from _attributes(value)


def _attributes(value: object) -> Iterator[tuple[object, str]]:
    attributes: Any = getattr(value, "__dict__", None)
    if isinstance(attributes, dict):
        yield from ((item, f".{name}") for name, item in list(attributes.items()))
    for cls in type(value).__mro__:
        slots = vars(cls).get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            with contextlib.suppress(Exception):  # a slot may be empty, or a property of another name
                yield getattr(value, slot), f".{slot}"
    for special in ("func", "args", "keywords", "__self__", "__wrapped__"):
        with contextlib.suppress(Exception):
            yield getattr(value, special), f".{special}"
