"""Imports modules into a template, and looks at what each leaves behind that a fork would break.

What cannot be had in a template is left to the flow's own import: nothing changes but the time it takes.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import signal
import site
import sys
import sysconfig
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import linux
from .looks import in_folder, watched

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from IPython.core.interactiveshell import InteractiveShell

#: name of a thread that does no harm in a fork that lacks it -> the library that it is known of. pyarrow's
#: jemalloc has handlers for forks: 2,000 forks while that thread was at work, and 400 that did real work
#: with Arrow, went well. Other libraries that bring a jemalloc (polars) have hung in forks.
_HARMLESS_THREADS = {"jemalloc_bg_thd": "pyarrow"}
_NEVER_FORKED = frozenset({"polars"})


class Spoiled(Exception):  # no failure: how a module that has to be left out is told
    """This process is no good as a template any more, for what the import of `module` has left in it."""

    def __init__(self, module: str, reason: str) -> None:
        super().__init__(module, reason)
        self.module, self.reason = module, reason


@dataclass(frozen=True)
class State:
    """What of a process an import could have changed, and a fork would then share or lose."""

    threads: frozenset[str]
    sockets: frozenset[str]
    handlers: tuple[object, ...]
    folder: str

    @classmethod
    def now(cls) -> State:
        """Return this process's state."""
        return cls(_threads(), _shared_descriptors(), _handlers(), os.getcwd())


class _Listener:
    """A finder that finds nothing, and hears which top-level modules are looked for."""

    def __init__(self) -> None:
        self.asked: set[str] = set()

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:  # noqa: ARG002
        if "." not in name:
            self.asked.add(name)


@contextmanager
def asking() -> Iterator[set[str]]:
    """Yield a set of the top-level modules that are looked for within, found or not."""
    listener = _Listener()
    sys.meta_path.insert(0, listener)
    try:
        yield listener.asked
    finally:
        sys.meta_path.remove(listener)


def load(
    modules: Iterable[str], shell: InteractiveShell, avoid: Iterable[str] = ()
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Import the modules in their order; return those imported, and those left out with the reason.

    Of each that was imported it is told what its import has looked for where a run's folder may have its own:
    top-level modules, and files that configure it. One that looks for what is in `avoid` is left out. They
    find what they would find in a cell that this shell executes, but for a running event loop.

    Raises `Spoiled` where an import has left something behind: fork again, and leave that module out.
    """
    loaded: dict[str, list[str]] = {}
    refused: dict[str, str] = {}
    before = State.now()
    here, sys.path[:] = sys.path[:], [folder for folder in sys.path if folder not in ("", ".")]
    try:
        for module in modules:
            reason = _not_ours(module)
            if reason is None:
                with _as_in_a_cell(shell):
                    loaded[module] = sorted(_load(module, before, frozenset(avoid)))
            else:
                refused[module] = reason
    finally:
        added = [folder for folder in sys.path if folder not in here]
        sys.path[:] = [*here, *added]
    return loaded, refused


@contextmanager
def _as_in_a_cell(shell: InteractiveShell) -> Iterator[None]:
    """Have IPython's builtins and hooks in place: pandas asks for them whether it is in a notebook."""
    hook = sys.excepthook
    with shell.builtin_trap, shell.display_trap:
        sys.excepthook = shell.excepthook
        try:
            yield
        finally:
            sys.excepthook = hook


def _load(module: str, before: State, avoid: frozenset[str]) -> set[str]:
    files: set[str] = set()
    with os.fdopen(os.memfd_create("import"), "r+b") as file:
        saved = [os.dup(1), os.dup(2)]
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            with watched(files=files) as looks, asking() as asked:
                importlib.import_module(module)
        except BaseException as error:  # noqa: BLE001  # told as the reason
            raise Spoiled(module, f"its import raises {type(error).__name__}: {error}") from None
        finally:
            for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
                if stream is not None:
                    stream.flush()
            for number, copy in zip((1, 2), saved, strict=True):
                os.dup2(copy, number)
                os.close(copy)
        if file.seek(0, os.SEEK_END):
            raise Spoiled(module, "its import prints or warns, which a notebook is to show")
    if looks:
        raise Spoiled(module, f"its import looks at the working directory ({looks[0]})")
    asked |= files
    reason = changed(before) or in_folder(asked & avoid)
    if reason:
        raise Spoiled(module, reason)
    return asked


def changed(before: State) -> str | None:
    """Return what an import has left behind that forbids to fork; None for nothing."""
    if linux.threads() > 1 and (left := _threads_after_fork() - before.threads):
        return f"its import leaves {len(left)} threads that a fork does not have ({', '.join(sorted(left))})"
    now = State.now()
    if now.sockets - before.sockets:
        return "its import leaves sockets or pipes open, which runs would share"
    if now.handlers != before.handlers:
        return "its import changes how signals are handled"
    if now.folder != before.folder:
        return "its import changes the working directory"
    return None


def _threads_after_fork() -> frozenset[str]:
    """Return the threads that are there after a fork: a library that knows of forks has ended its own.

    (OpenBLAS does: its threads are gone, and come back when they are needed.)
    """
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return _threads()


def _threads() -> frozenset[str]:
    """Return the threads of this process but the first, as `number:name`, less the harmless."""
    found = set()
    for task in os.listdir("/proc/self/task"):
        if int(task) == os.getpid():
            continue
        try:
            name = Path(f"/proc/self/task/{task}/comm").read_text().strip()
        except FileNotFoundError:  # it ended just now
            continue
        known = _HARMLESS_THREADS.get(name) in sys.modules and not _NEVER_FORKED & sys.modules.keys()
        if not known:
            found.add(f"{task}:{name}")
    return frozenset(found)


def _shared_descriptors() -> frozenset[str]:
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except FileNotFoundError:  # the one that lists the folder
            continue
        if target.startswith(("socket:", "pipe:", "anon_inode:")):
            found.add(f"{number} {target}")
    return frozenset(found)


def _handlers() -> tuple[object, ...]:
    return tuple(signal.getsignal(number) for number in sorted(signal.valid_signals()))


def _not_ours(module: str) -> str | None:
    """Return why a module may not be imported ahead of time; None where it may.

    Only what was installed may: the project's own modules change from run to run.
    """
    top = module.partition(".")[0]
    if top in sys.modules:
        return None
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError) as error:
        return f"it cannot be found: {error}"
    if spec is None:
        return "it is not installed"
    if spec.origin in ("built-in", "frozen"):
        return None
    places = list(spec.submodule_search_locations or ()) or [spec.origin or ""]
    if all(_is_installed(place) for place in places):
        return None
    return "it is not among the installed packages, so it may change between runs"


def _is_installed(place: str) -> bool:
    path = os.path.realpath(place)
    return any(path.startswith(root + os.sep) for root in _roots())


def _roots() -> set[str]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    roots = {sysconfig.get_path(name) for name in names} | {
        *site.getsitepackages(),
        site.getusersitepackages(),
    }
    return {os.path.realpath(root) for root in roots if root}
