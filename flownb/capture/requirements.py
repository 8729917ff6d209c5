"""What a flow was seen to need: Python's version, distributions with theirs, the notebook's own modules."""

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

from flownb.flow import Requirements
from flownb.names import to_python

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from flownb.capture.world import World
    from flownb.flow import Carried


_USES = re.compile(r"; uses ([\w., ]+)$")


def requirements_of(closure: Iterable[Carried], steps: Iterable[str], world: World) -> Requirements:
    """Return what a flow's closure and steps import, inside functions too, besides Python's own library.

    The notebook's own modules are followed to what they import in turn. Nothing is imported for it.
    """
    sources = [*steps]
    found: set[str] = set()
    for entry in closure:
        uses = _USES.search(entry.source.partition("\n")[0]) if entry.how == "frozen" else None
        found.update(uses[1].split(", ") if uses else ())
        sources += [entry.source] if entry.how != "frozen" else []
    waiting = sorted(found.union(*map(imported_in, sources)), reverse=True)
    files: dict[str, Path] = {}
    installed: set[str] = set()
    while waiting:
        name = waiting.pop()
        top = name.partition(".")[0]
        if name in files or top in sys.stdlib_module_names or top in installed:
            continue
        file = world.own_file(name)
        if file is not None:
            files[name] = file
            waiting += _imported_by(name, file)
        elif world.own_file(top) is None:
            installed.add(top)
    distributions = dict(sorted(pair for name in installed for pair in _distributions_of(name)))
    return Requirements(
        platform.python_version(), distributions, {name: file_sha(files[name]) for name in sorted(files)}
    )


def imported_in(source: str) -> Iterator[str]:
    """Yield the full names of the modules that `source` imports anywhere; none where it is not Python."""
    try:
        tree = ast.parse(to_python(source))
    except (SyntaxError, ValueError):
        return
    for module, names, level in _imports(tree):
        if not level:
            yield module
            yield from (f"{module}.{name}" for name in names)


def _imports(tree: ast.Module) -> Iterator[tuple[str, tuple[str, ...], int]]:
    """Yield what code imports: a module, the names that are taken from it, how relative it is."""
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


def _imported_by(name: str, file: Path) -> list[str]:
    """Return what a module of the notebook imports, relative imports too, and the packages that it is in."""
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
    return found


@lru_cache(maxsize=4096)  # each capture follows all modules of the notebook
def _imports_of(file: Path, _changed: int, _size: int) -> tuple[tuple[str, tuple[str, ...], int], ...]:
    try:
        return tuple(_imports(ast.parse(file.read_text("utf-8", "replace"))))
    except (SyntaxError, ValueError, OSError):
        return ()


def missing_module(needs: Requirements, kind: str, message: str, missing: Mapping[str, str]) -> str:
    """Return what an error of a missing module does not say: which version there was at the capture.

    `missing` are the distributions of the capture that are not there. Nothing for any other error.
    """
    if kind not in ("ModuleNotFoundError", "ImportError"):
        return ""
    named = re.search(r"No module named '([^'.]+)|from '([^'.]+)", message)
    if named is None:
        return ""
    module = named[1] or named[2]
    if module in needs.modules:
        return f"at its capture {module} was a module of the notebook's own"
    known = {_plain_name(name): f"{name} {version}" for name, version in needs.distributions.items()}
    found = known.get(_plain_name(module)) or ", ".join(f"{name} {was}" for name, was in missing.items())
    return f"at its capture there was {found}" if found else ""


def _plain_name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def file_sha(file: Path) -> str:
    """Return the SHA-256 (hex) of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


@cache
def _distributions_of(top: str) -> tuple[tuple[str, str], ...]:
    """Return (name, version) of the distributions that a top-level module comes from, if any."""
    try:
        # most are called as their module is; that spares reading what every installed distribution contains
        distribution = importlib.metadata.distribution(top)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        names = _packages().get(top, ())
        return tuple((name, importlib.metadata.version(name)) for name in sorted(set(names)))
    return ((distribution.metadata["Name"], distribution.version),)


@cache
def _packages() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()
