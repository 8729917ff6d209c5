"""What a flow was seen to need: Python's version, distributions with theirs, the project's own modules."""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import importlib.util
import platform
import re
import sys
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from flownb.capture.importing import local_file
from flownb.flow import Requirements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from flownb.flow import Carried

_USES = re.compile(r"; uses ([\w., ]+)$")


def requirements_of(modules: Iterable[str], project: Path | None = None) -> Requirements:
    """Return what importing `modules` (full names) needs, besides Python's own library.

    The project's own modules are followed to what they import in turn, as far as they were imported here.
    """
    files: dict[str, Path] = {}
    installed: set[str] = set()
    waiting = sorted(set(modules), reverse=True)
    while waiting:
        name = waiting.pop()
        if name in files or _top(name) in sys.stdlib_module_names or _top(name) in installed:
            continue
        file = local_file(name, project)
        if file is None:
            installed.add(_top(name))
            continue
        files[name] = file
        waiting += _imported_by(name, file)
    distributions = dict(sorted(pair for name in installed for pair in _distributions_of(name)))
    digests = {name: _sha256(files[name]) for name in sorted(files)}
    return Requirements(platform.python_version(), distributions, digests)


def modules_of(carried: Iterable[Carried]) -> frozenset[str]:
    """Return the full names of the modules that carried things import, inside functions and pickles too."""
    found: set[str] = set()
    for entry in carried:
        if entry.how == "pickle":
            uses = _USES.search(entry.source.partition("\n")[0])
            found.update(uses[1].split(", ") if uses else ())
        else:
            found.update(imported_in(entry.source))
    return frozenset(found)


def imported_in(source: str) -> Iterator[str]:
    """Yield the full names of the modules that `source` imports anywhere; none where it is not Python."""
    for module, names, level in _imports(source):
        if not level:
            yield module
            yield from (f"{module}.{name}" for name in names if f"{module}.{name}" in sys.modules)


def _imports(source: str) -> Iterator[tuple[str, tuple[str, ...], int]]:
    """Yield what `source` imports: a module, the names that are taken from it, how relative it is."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=aliases):
                yield from ((alias.name, (), 0) for alias in aliases)
            case ast.ImportFrom(module=module, names=aliases, level=level) if module != "__future__":
                yield module or "", tuple(alias.name for alias in aliases), level
            case ast.Call(
                func=ast.Name(id="__import__") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name))],
            ):
                yield name, (), 0


def _top(module: str) -> str:
    return module.partition(".")[0]


def _imported_by(name: str, file: Path) -> list[str]:
    """Return what a module of the project imports, relative imports too, and the packages that it is in."""
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    parts = name.split(".")
    found = [".".join(parts[:length]) for length in range(1, len(parts))]
    about = file.stat()
    for module, names, level in _imports_of(file, about.st_mtime_ns, about.st_size):
        try:
            base = importlib.util.resolve_name("." * level + module, package) if level else module
        except ImportError:  # beyond the top: whoever comes there in the module is told by Python
            continue
        found += [base, *(f"{base}.{name}" for name in names)]
    return [module for module in found if module in sys.modules]


@lru_cache(maxsize=4096)  # each capture follows all modules of the project
def _imports_of(file: Path, _changed: int, _size: int) -> tuple[tuple[str, tuple[str, ...], int], ...]:
    return tuple(_imports(file.read_text("utf-8", "replace")))


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@cache
def _distributions_of(top: str) -> tuple[tuple[str, str], ...]:
    """Return (name, version) of the distributions that a top-level module comes from, if any."""
    try:
        # most are called as their module is; that spares reading what every installed distribution contains
        distribution = importlib.metadata.distribution(top)
    except importlib.metadata.PackageNotFoundError:
        names = _packages().get(top, ())
        return tuple((name, importlib.metadata.version(name)) for name in sorted(set(names)))
    return ((distribution.metadata["Name"], distribution.version),)


@cache
def _packages() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()
