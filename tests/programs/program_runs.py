"""Executes sources as a kernel that has just started would, in this process, and quickly."""

from __future__ import annotations

import contextlib
import decimal
import functools
import importlib.util
import io
import random
import signal
import sys
import threading
import types
import warnings
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.machinery import ModuleSpec

LIBRARIES = Path(__file__).resolve().parent / "libraries"
LIBRARY_NAMES = frozenset(path.stem for path in LIBRARIES.glob("*.py"))
_PRINT_OPTIONS = np.get_printoptions()


class TooLongError(BaseException):
    """A source has not come to its end in time; no `except Exception` of it keeps this away."""


class _Silent(io.TextIOBase):
    def write(self, text: str, /) -> int:
        return len(text)


class _Loader(SourceFileLoader):
    @functools.lru_cache(maxsize=32)  # noqa: B019  there are as many as libraries
    def get_code(self, fullname: str) -> types.CodeType | None:
        return super().get_code(fullname)


class _Finder:
    """Finds the libraries of the programs, and compiles each only once."""

    def __init__(self) -> None:
        self._loaders = {name: _Loader(name, str(LIBRARIES / f"{name}.py")) for name in LIBRARY_NAMES}

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        loader = self._loaders.get(name)
        if loader is None:
            return None
        return importlib.util.spec_from_file_location(name, loader.path, loader=loader)


_FINDER: Any = _Finder()


@contextlib.contextmanager
def fresh(entropy: int) -> Iterator[dict[str, Any]]:
    """Give the namespace of a fresh `__main__`, with the state of every library as it is at first.

    Args:
        entropy: what the random generators start from; a program that seeds them does not depend on it.
    """
    main = types.ModuleType("__main__")
    saved = {name: sys.modules.pop(name, None) for name in ("__main__", *LIBRARY_NAMES)}
    states = random.getstate(), np.random.get_state(), decimal.getcontext()
    sys.modules["__main__"] = main
    sys.meta_path.insert(0, _FINDER)
    random.seed(entropy)
    np.random.seed(entropy)
    decimal.setcontext(decimal.Context())
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(_Silent()):
            warnings.simplefilter("ignore")
            yield main.__dict__
    finally:
        sys.meta_path.remove(_FINDER)
        for name, module in saved.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module
        random.setstate(states[0])
        np.random.set_state(states[1])
        decimal.setcontext(states[2])
        np.set_printoptions(**_PRINT_OPTIONS)


@contextlib.contextmanager
def importable() -> Iterator[None]:
    """Let the libraries of the programs be found as files are."""
    sys.path.insert(0, str(LIBRARIES))
    try:
        yield
    finally:
        sys.path.remove(str(LIBRARIES))


@functools.lru_cache(maxsize=4096)
def compiled(source: str) -> types.CodeType:
    """Compile a source; what is wrong with it is raised, what is only odd is not said."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compile(source, "<program>", "exec", dont_inherit=True)


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise `TooLongError` in what takes more processor time than that; only in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> None:
        raise TooLongError("longer than it may take")

    before = signal.signal(signal.SIGVTALRM, stop)
    try:
        limit_again(seconds)
        yield
    finally:
        limit_again(0)
        signal.signal(signal.SIGVTALRM, before)


def limit_again(seconds: float) -> None:
    """Let the time of `limited` start from here."""
    if threading.current_thread() is threading.main_thread():
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
