"""Which modules a template should have imported for a notebook. Nothing is imported to decide it.

A preloaded module must look to the notebook as if its own import had loaded it. So only what was installed
counts, only imports that certainly happen, and only as far down as nothing before could change what an
import sees. When in doubt a module is left to the notebook: that costs time and nothing else.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import os
import re
import site
import sys
import sysconfig
from importlib.machinery import EXTENSION_SUFFIXES, PathFinder
from itertools import chain, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flownb.engine.fork.inside.looks import FILES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

COMPANIONS: Mapping[str, tuple[str, ...]] = {
    # What a library imports at its first use only; found by comparing `sys.modules` before and after.
    # `matplotlib_inline.backend_inline` is none: where it is imported, it registers with the shell.
    "matplotlib.pyplot": (  # the first figure made and shown: 35 ms
        "matplotlib.backends.backend_agg",
        "matplotlib_inline.config",
        "IPython.core.pylabtools",
        "PIL.BmpImagePlugin",
        "PIL.GifImagePlugin",
        "PIL.JpegImagePlugin",
        "PIL.PpmImagePlugin",
    ),
    "numpy": ("numpy.random",),  # 13 ms, and a child reseeds it
    "pandas": (  # the first table shown: 13 ms; the first to_csv: 1 ms
        "pyarrow.pandas_compat",
        "pandas.io.formats.string",
        "pandas.io.formats.html",
        "pandas.io.formats.csvs",
    ),
}

_UNCERTAIN = {"unsure": "it is imported under a condition"}

_NEVER = frozenset({"__future__", "__main__", "antigravity", "this"})

_CHANGES = re.compile(
    r"""
      \b environ \b | \b (?:un)?(?:putenv|setenv) \b | \b unsetenv \b | \b (?:load_)?dotenv \b   # variables
    | \b sys \s* \. \s* (?: path | modules | meta_path | path_hooks ) | \b from \s+ sys \s+ import
    | \b importlib \b | __import__ | \b addsitedir \b | \b exec \s* \(
    | \b (?: filterwarnings | simplefilter ) \b (?! \s* \( \s* (?: action \s* = \s* )? ["']ignore["'] )
    | \b (?: matplotlib | mpl ) \s* \. \s* use \b | \b set_start_method \b
    | \b (?: chdir | setlocale | setrlimit ) \b
    | % \s* (?: env | set_env | cd | run | pip | conda | mamba | micromamba | uv | load | pushd ) \b
    | % \s* (?: re )? load_ext \s+ (?! flownb \b )
    | \b (?: pip3? | conda | mamba | micromamba | uv ) \b [^\n]*
      \b (?: install | uninstall | add | remove | sync | update | upgrade ) \b
    """,
    re.VERBOSE,
)
"""What may change what a later import sees: a mention is enough, as what it does cannot be known."""

_MAGIC = re.compile(r"^([ \t]*)(?:[%!?,;/].*|\S.*\?[ \t]*)$", re.MULTILINE)
_FROM_MAGIC = re.compile(r"^([ \t]*[\w., \t]+=[ \t]*)[!%].*$", re.MULTILINE)
_PLAIN_CELL_MAGICS = ("%%time", "%%capture", "%%flow")  #: of these the body runs as an ordinary cell's does


def wanted(notebook: Any, folder: str | os.PathLike[str] | None = None, python: str = "") -> tuple[str, ...]:
    """Return the modules to preload, in the order in which the notebook imports them, companions last.

    Args:
        notebook: nbformat content; a flow document's imports stand in its first cells.
        folder: the run's working directory; what lies in it is the project's own. What it hides from
            installed modules is known when these are imported: see `names_in`.
        python: the interpreter, where it is not this one. Then names are passed on as they are written,
            and the template has to see where each comes from; companions are left out.

    """
    return judged(notebook, folder, python)[0]


def judged(
    notebook: Any, folder: str | os.PathLike[str] | None = None, python: str = ""
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return what `wanted` does, and why what else the notebook imports, less Python's own, is left to it."""
    here = not python or _same(python, sys.executable)
    paths = _search_paths(folder) if here else ()
    unseen = None if folder is None else os.fspath(folder)  # the folder, until it is worth a look
    why = ""  # why whatever is installed is left to the notebook from there on
    found: list[str] = []
    left: dict[str, str] = {}
    for source in _sources(notebook):
        change = _CHANGES.search(source)
        certain = source.count("\n", 0, change.start()) + 1 if change else None
        names, broken = _imports(source, certain)
        for name in names:
            origin = _origin(name, paths) if here else _by_name(name)
            top = _top(name.lstrip("?")) or "from ."
            if origin == "own":
                left[top] = "it is the project's own, and may change between runs"
                why = why or "it is imported behind a module of the project's own"
                continue
            if origin == "installed" and not why and unseen is not None:
                why, unseen = _unreadable(unseen), None
            if origin == "python" or (origin == "installed" and not why):
                found += _modules(name, paths) if here else [name.partition(":")[0]]
            else:
                reason = why if origin == "installed" else _UNCERTAIN.get(origin, "it is not installed")
                left.setdefault(top, reason)
        why = why or ("it is imported behind a cell that is no Python" if broken else "")
        why = why or (f"it is imported behind {change[0].strip()!r}" if change else "")
        for name in _all_imports(source) if change or "def " in source else ():
            left.setdefault(name, why if change else "it is imported within a function")
    together = [*found, *(_companions(tuple(found), paths) if here else ())]
    modules = dict.fromkeys(name for name in together if _top(name) not in _NEVER)
    tops = set(map(_top, modules)) | sys.stdlib_module_names | {"flownb"}
    return tuple(modules), {name: reason for name, reason in left.items() if name not in tops}


def _sources(notebook: Any) -> Iterator[str]:
    """Yield the sources of the cells that run as Python."""
    for cell in notebook.get("cells", ()):
        if cell.get("cell_type") != "code" or "skip-execution" in cell.get("metadata", {}).get("tags", ()):
            continue
        source = cell.get("source", "")
        source = source if isinstance(source, str) else "".join(source)
        if source.lstrip().startswith("%%"):
            line, _, body = source.lstrip().partition("\n")
            # the rest of another cell magic is no Python that is read here, but may install something
            source = f"\n{body}" if line.startswith(_PLAIN_CELL_MAGICS) else f'"""\n{_quoted(source)}\n"""'
        yield source


def _quoted(text: str) -> str:
    return text.replace("\\", "/").replace('"', "'")


@functools.lru_cache(maxsize=512)
def _imports(source: str, certain: int | None) -> tuple[tuple[str, ...], bool]:
    """Return what a cell imports, as `module` or `module:attribute`, and whether it cannot be read.

    Only lines before the line `certain` count. An import under a condition is returned as `?module`.
    """
    if "import" not in source:
        return (), False
    tree = _parsed(source)
    if tree is None:
        return (), True
    before = takewhile(lambda node: certain is None or node.lineno < certain, tree.body)
    return tuple(chain.from_iterable(map(_imported, before))), False


@functools.lru_cache(maxsize=512)
def _all_imports(source: str) -> tuple[str, ...]:
    """Return the names of the packages that a cell imports anywhere."""
    tree = _parsed(source) or ast.Module([], [])
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom))
    return tuple(_top(name) or "from ." for node in nodes for name in _imported(node))


def _parsed(source: str) -> ast.Module | None:
    """Return the cell's statements, its magics left out; None where it is no Python even so."""
    for text in (source, _MAGIC.sub(r"\1pass", _FROM_MAGIC.sub(r"\1None", source.replace("\\\n", "  ")))):
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError, RecursionError):
            continue
    return None


def _imported(statement: ast.stmt) -> Iterator[str]:
    match statement:
        case ast.Import(names=aliases):
            yield from (alias.name for alias in aliases)
        case ast.ImportFrom(module=str(module), level=0, names=aliases):
            yield from (f"{module}:{alias.name}" for alias in aliases)
        case ast.ImportFrom():
            yield "?."
        case ast.If() | ast.Try() | ast.With() | ast.For() | ast.While():
            inner = (node for node in ast.walk(statement) if isinstance(node, ast.Import | ast.ImportFrom))
            yield from (f"?{name}" for node in inner for name in _imported(node))


def _by_name(name: str) -> str:
    """Judge a module of another interpreter by its name."""
    if name.startswith("?"):
        return "unsure"
    return "python" if _top(name) in sys.stdlib_module_names else "installed"


def _origin(name: str, paths: tuple[str, ...]) -> str:
    """Return whose a module is: "python", "installed", "own" (the project's), "unknown", or "unsure".

    "unsure" is an import under a condition; of the project's own module it is "own" all the same, as that
    may run, and do anything to what is imported after it.
    """
    top = _top(name.lstrip("?"))
    if top == "flownb":
        return "unsure"  # whatever imports it is not changed by it, and a template need not have it
    origin = "own" if not top else _found(top, paths)[0]
    return "unsure" if name.startswith("?") and origin != "own" else origin


def _top(name: str) -> str:
    return re.split("[.:]", name, maxsplit=1)[0]


def _modules(name: str, paths: tuple[str, ...]) -> list[str]:
    """Return the module of an import, and the submodule where `from package import submodule` names one."""
    module, _, attribute = name.partition(":")
    folder = _package_folder(module, paths) if attribute else None
    if folder is None or not _is_submodule(folder, attribute):
        return [module]
    return [module, f"{module}.{attribute}"]


@functools.lru_cache(maxsize=512)
def _companions(found: tuple[str, ...], paths: tuple[str, ...]) -> tuple[str, ...]:
    companions = chain.from_iterable(COMPANIONS.get(name, ()) for name in found)
    return tuple(name for name in companions if _is_there(name, paths))


def _is_there(submodule: str, paths: tuple[str, ...]) -> bool:
    package, _, last = submodule.rpartition(".")
    folder = _package_folder(package, paths)
    return folder is not None and _has_module(folder, last)


@functools.lru_cache(maxsize=4096)
def _found(top: str, paths: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Return whose a top-level module is, and the folders of its package."""
    if top in sys.builtin_module_names:
        return "python", ()
    spec = PathFinder.find_spec(top, list(paths))
    if spec is None:
        return "unknown", ()
    folders = tuple(spec.submodule_search_locations or ())
    places = [os.path.realpath(place) for place in folders or (spec.origin or "",)]
    installed, python = installed_folders(), _python_roots()
    if all(_within(place, installed) for place in places):
        return "installed", folders
    return ("python" if all(_within(place, python) for place in places) else "own"), folders


def _package_folder(module: str, paths: tuple[str, ...]) -> str | None:
    """Return the folder of a package, by its name alone; None where it is none, or spread over several."""
    top, *rest = module.split(".")
    origin, folders = _found(top, paths)
    if origin not in ("installed", "python") or len(folders) != 1:
        return None
    folder = Path(folders[0], *rest)
    return str(folder) if folder.is_dir() else None


def _has_module(folder: str, name: str) -> bool:
    path = Path(folder, name)
    files = (f"{name}{suffix}" for suffix in (".py", *EXTENSION_SUFFIXES))
    return (path / "__init__.py").is_file() or any(Path(folder, file).is_file() for file in files)


@functools.lru_cache(maxsize=4096)
def _is_submodule(folder: str, name: str) -> bool:
    """Tell whether a name imported from a package is a submodule, and nothing that the package binds itself.

    Importing a submodule that the package hides behind a function of its name would uncover it.
    """
    if not name.isidentifier() or not _has_module(folder, name):
        return False
    init = Path(folder, "__init__.py")
    if not init.is_file():
        return True
    tree = _parsed(init.read_text("utf-8", "replace"))
    return tree is not None and {name, "*"}.isdisjoint(_bound(tree.body))


def _bound(statements: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the names that a module's statements bind in it; "*" for what cannot be told."""
    for node in statements:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.alias(name=name, asname=other):
                yield other or _top(name)
            case ast.Lambda():
                pass
            case _:
                yield from _bound(ast.iter_child_nodes(node))


def _unreadable(folder: str) -> str:
    try:
        os.scandir(folder).close()
    except OSError as error:
        return f"the working directory cannot be read: {error.strerror or error}"
    return ""


def names_in(folder: str | os.PathLike[str]) -> frozenset[str]:
    """Return the names of a working directory's own modules, and of its files that configure libraries.

    Empty where it cannot be read: then nothing is wanted that could look for them.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        found = {_module_name(entry.name, entry.path) for entry in entries}
        return frozenset(name for name in found if name is not None)
    return frozenset()


def _module_name(name: str, path: str) -> str | None:
    """Return the name by which an import finds a file or folder of the working directory, if it does."""
    if name in FILES:
        return name
    for suffix in (".py", *EXTENSION_SUFFIXES):
        if name.endswith(suffix):
            return name.removesuffix(suffix)
    is_package = name.isidentifier() and Path(path, "__init__.py").is_file()
    return name if is_package else None


def _search_paths(folder: str | os.PathLike[str] | None) -> tuple[str, ...]:
    own = () if folder is None else (os.fspath(folder),)
    return (*own, *(path for path in sys.path if path and path not in own))


@functools.cache
def installed_folders() -> tuple[str, ...]:
    """Return the folders that packages are installed in for this interpreter, as real paths."""
    roots = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    roots |= {*site.getsitepackages(), site.getusersitepackages()}
    return tuple(sorted(os.path.realpath(root) for root in roots if root))


@functools.cache
def _python_roots() -> tuple[str, ...]:
    roots = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib")}
    return tuple(sorted(os.path.realpath(root) for root in roots if root))


def _within(place: str, roots: Iterable[str]) -> bool:
    return any(place.startswith(root + os.sep) for root in roots)


def _same(first: str, second: str) -> bool:
    # no realpath: the interpreter of a virtual environment is a link to the one that it was made with
    return os.path.abspath(first) == os.path.abspath(second)
