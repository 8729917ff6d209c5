"""Whether an import looks at the working directory: each run has its own, and a template is in none of them.

What a module finds there, or makes of its path, would be wrong in every run that is forked later.
"""

from __future__ import annotations

import builtins
import functools
import io
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

#: modules that keep the working directory as it is when they are imported, and the name that it has there
KEPT = {"multiprocessing.process": "ORIGINAL_DIR", "rich": "_IMPORT_CWD"}

#: files that libraries look for when they are imported (matplotlib, numba); who asks for a module that does
#: sees to it that the run's folder has none of them
FILES = frozenset({"matplotlibrc", ".numba_config.yaml"})

_ASKED = ("getcwd", "getcwdb")
_GIVEN_A_PATH = ("access", "listdir", "lstat", "open", "readlink", "scandir", "stat")


class _Watched:
    """A function of the system's that tells of its calls; an object, as classes make methods of functions."""

    def __init__(self, function: Callable[..., Any], tell: Callable[..., None]) -> None:
        functools.update_wrapper(self, function)
        self.function, self._tell = function, tell

    def __call__(self, *args: Any, **options: Any) -> Any:
        self._tell(self.function.__name__, *args, **options)
        return self.function(*args, **options)


@contextmanager
def watched(*opening: tuple[Any, str], files: set[str] | None = None) -> Iterator[list[str]]:
    """Yield a list of the looks that are taken at the working directory within, in words.

    Beside the system's own functions those in `opening` are watched, each the name under which a module has
    `open`. Imports themselves take no look, as there is no relative path to find modules in. What C code and
    other processes do is not seen. Looks for one of `FILES` are no such looks; `files` gets their names.
    """
    seen: list[str] = []
    looked_for: set[str] = set() if files is None else files

    def asks(name: str, *_: Any, **__: Any) -> None:
        if sys._getframe(2).f_globals.get("__name__") not in KEPT:  # noqa: SLF001
            seen.append(f"os.{name}()")

    def opens(_: str, path: Any = ".", *__: Any, dir_fd: int | None = None, **more: Any) -> None:
        path = more.get("file", path)
        path = path.__fspath__() if hasattr(path, "__fspath__") else path
        name = os.fsdecode(path) if isinstance(path, str | bytes) else "/"
        if name in FILES:
            looked_for.add(name)
        elif dir_fd is None and not name.startswith("/"):
            seen.append(repr(name))

    before = set(sys.modules)
    places = [(os, name, asks) for name in _ASKED] + [(os, name, opens) for name in _GIVEN_A_PATH]
    places += [(builtins, "open", opens), (io, "open", opens)]
    places += [(place, name, opens) for place, name in opening if hasattr(place, name)]
    for place, name, tell in places:
        setattr(place, name, _Watched(getattr(place, name), tell))
    try:
        yield seen
    finally:
        # what was imported, or executed, may have them by `from os import`
        others = [sys.modules[name] for name in {*sys.modules.keys() - before, "__main__"}]
        for place in (*{id(place): place for place, *_ in places}.values(), *others):
            own = getattr(place, "__dict__", {})
            for name in [name for name, value in own.items() if isinstance(value, _Watched)]:
                own[name] = own[name].function


def in_folder(names: Iterable[str]) -> str:
    """Return why a module is left out that looks for names that the run's folder has; "" for no names."""
    told = ", ".join(sorted(names))
    return f"its import looks for {told}, which the working directory has" if told else ""


def have_folder(folder: str) -> None:
    """Have what was imported already keep `folder` as if it had been imported in it."""
    for module, name in KEPT.items():
        own = getattr(sys.modules.get(module), "__dict__", {})
        if name in own:
            own[name] = folder
