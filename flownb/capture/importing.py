"""The import statement that gives a live object again, where there is one."""

from __future__ import annotations

import contextlib
import site
import sys
import sysconfig
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flownb.capture.sources import Sources
    from flownb.capture.statements import Import

#: modules under the name that is the same on every platform
_PUBLIC = {"posixpath": "os.path", "ntpath": "os.path"}
_MAIN = frozenset({"__main__", "__mp_main__"})
_NOWHERE = object()


@dataclass(frozen=True)
class Imported:
    """Statements that import a name, and the modules that they need."""

    source: str
    modules: tuple[str, ...]


def import_for(name: str, value: object, sources: Sources) -> Imported | None:
    """Return the statements that import this very `value` as `name`: the notebook's own, where there are."""
    written = [found for found in sources.imports_of(name) if _value_of(found) is value]
    if written:
        if written[0].attribute or written[0].renamed:
            return Imported(written[0].source, (written[0].module,))
        # `import a.b` and `import a.c` bind one name, and either may be needed
        together = sorted({found.module for found in written if not (found.attribute or found.renamed)})
        return Imported("\n".join(f"import {module}" for module in together), tuple(together))
    for module in sources.star_imports():
        if getattr(sys.modules.get(module), name, _NOWHERE) is value:
            return Imported(f"from {module} import {name}", (module,))
    if isinstance(value, ModuleType):
        return _module_import(name, value)
    found = importable(value)
    if found is None or "." in found[1]:
        return None
    module, attribute = found
    alias = "" if attribute == name else f" as {name}"
    return Imported(f"from {module} import {attribute}{alias}", (module,))


def _value_of(found: Import) -> object:
    if found.level or found.module in _MAIN:
        return _NOWHERE  # relative to a package that a flow is not in, or to this very session
    if not found.attribute:
        return sys.modules.get(found.module if found.renamed else found.module.partition(".")[0], _NOWHERE)
    module = sys.modules.get(found.module)
    with contextlib.suppress(Exception):  # a module's own __getattr__ may raise what it likes
        return getattr(module, found.attribute)
    return sys.modules.get(f"{found.module}.{found.attribute}", _NOWHERE)


def _module_import(name: str, module: ModuleType) -> Imported | None:
    full = module_name(module)
    if full is None:
        return None
    parent, _, last = full.rpartition(".")
    if full == name:
        return Imported(f"import {full}", (full,))
    if last == name and parent:
        return Imported(f"from {parent} import {last}", (full,))
    return Imported(f"import {full} as {name}", (full,))


def module_name(module: ModuleType) -> str | None:
    """Return the name under which `module` can be imported; None for one that was made at runtime."""
    name = module.__name__
    name = _PUBLIC.get(name, name)
    if sys.modules.get(name) is not module or name in _MAIN:
        return None
    if getattr(module, "__spec__", None) is None and name not in sys.builtin_module_names:
        return None
    return name


def importable(value: object) -> tuple[str, str] | None:
    """Return (module, qualified name) that importing this very object takes; None where none gives it."""
    qualname = text_attribute(value, "__qualname__") or text_attribute(value, "__name__")
    module = text_attribute(value, "__module__")
    if qualname is None or module is None or module in _MAIN or "<" in qualname:
        return None
    module = _PUBLIC.get(module, module)
    if _resolve(module, qualname) is not value:
        return None
    return _public(module, qualname, value), qualname


def text_attribute(value: object, attribute: str) -> str | None:
    """Return an attribute that is a `str`; None for any other, or where asking for it fails."""
    with contextlib.suppress(Exception):  # proxies and lazy objects raise what they like
        found = getattr(value, attribute)
        return found if type(found) is str else None
    return None


def _resolve(module: str, qualname: str) -> object:
    found: Any = sys.modules.get(module, _NOWHERE)
    for part in qualname.split("."):
        with contextlib.suppress(Exception):
            found = getattr(found, part)
            continue
        return _NOWHERE
    return found


def _public(module: str, qualname: str, value: object) -> str:
    """Return the shortest of the module's packages that has it too: `pandas` for `pandas.core.frame`."""
    parts = module.split(".")
    for length in range(1, len(parts)):
        package = ".".join(parts[:length])
        if not any(part.startswith("_") for part in parts[:length]) and _resolve(package, qualname) is value:
            return package
    return module


@cache
def _installed_roots() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    roots = [paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")]
    roots += [*site.getsitepackages(), site.getusersitepackages()]
    return tuple(sorted({str(Path(root).resolve()) for root in roots}))


def local_file(module: str, project: Path | None) -> Path | None:
    """Return the file of a module of the project itself; None for one that is installed or part of Python.

    A module is the project's own when its file is below `project`, or anywhere that is neither Python's
    standard library nor a folder of installed packages.
    """
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names or top in _MAIN:
        return None
    file = getattr(sys.modules.get(module), "__file__", None)
    if not isinstance(file, str) or not file.endswith(".py"):
        return None
    path = Path(file).resolve()
    if {"site-packages", "dist-packages"} & set(path.parts):
        return None
    if project is not None and path.is_relative_to(project.resolve()):
        return path
    return None if any(path.is_relative_to(root) for root in _installed_roots()) else path
