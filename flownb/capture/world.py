"""What is known of a notebook at one point of its history: its names, its things, the state of libraries."""

from __future__ import annotations

import ast
import importlib.util
import sys
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flownb.capture.things import Class, Figure, Library, Log, Scope, Thing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flownb.names.scopes import Block

STATE = "\0state "  #: begins the names of logs that are of the state of a library, or of the process
GENERATOR = "\0generator "  #: and of those of the process's generators
_STDLIB = Path(ast.__file__).parent
_LONGEST_MODULE = 400_000  #: characters; a longer file is data, or generated


@dataclass
class World:
    """The notebook's names and things, as its statements are followed one after the other."""

    folder: Path | None = None  #: modules in it are the notebook's own, and looked into
    scope: Scope = field(default_factory=lambda: Scope("notebook"))
    names: dict[str, Log] = field(
        default_factory=dict
    )  #: who bound each name, from its last certain binding on
    states: dict[str, Thing] = field(
        default_factory=dict
    )  #: what statements set: of a library, `sys.path`...
    generators: dict[str, Thing] = field(default_factory=dict)  #: the process's own, once one was seeded
    loaded: dict[str, int] = field(default_factory=dict)  #: the first statement that imported each module
    first: dict[str, int] = field(default_factory=dict)  #: the first statement that bound each name
    texts: dict[str, str] = field(default_factory=dict)  #: names that are bound to a text written out
    paths: list[str] = field(default_factory=list)  #: texts by which folders may have been put on `sys.path`
    places: dict[str, Path | None] = field(default_factory=dict)  #: where the notebook's own modules lie
    libraries: dict[str, Library] = field(default_factory=dict)
    modules: dict[str, Scope | None] = field(default_factory=dict)  #: the notebook's own, by their names
    blocks: dict[Any, Block] = field(default_factory=dict)
    underscore: int | None = None  #: the statement whose value `_` is, as long as nobody else has bound that
    figure: Figure = field(default_factory=Figure)  #: the present one
    stars: list[str] = field(default_factory=list)  #: libraries all of whose names were imported
    asks_for_subclasses: bool = False  #: some code does
    figures_stay: bool = False  #: over the end of a cell: they are not shown and closed by the inline backend

    def library(self, path: str) -> Library:
        """Return the library, or the thing in it, of that full name."""
        found = self.libraries.get(path)
        if found is None:
            found = self.libraries[path] = Library(path)
        return found

    def classes(self) -> Iterator[str]:
        """Yield the names that are bound to classes whose source is known."""
        for name, value in self.scope.vars.items():
            if any(isinstance(thing, Class) for thing in value):
                yield name

    def state(self, name: str) -> Thing:
        """Return what is set of a library or of the process."""
        found = self.states.get(name)
        if found is None:
            found = self.states[name] = Thing()
            found.log.name = STATE + name
        return found

    def seeded(self, name: str, now: int) -> None:
        """Take note that a generator of the process begins anew: what was drawn before counts no more."""
        self.generators[name] = Thing([now])
        self.generators[name].log.name = GENERATOR + name

    def begin_cell(self) -> None:
        """Take note that another cell is executed: figures that were open are shown and closed."""
        if not self.figures_stay:
            self.figure = Figure()

    def snapshot(self) -> tuple[dict[str, Any], ...]:
        """Return what names mean, to come back to it."""
        return dict(self.names), dict(self.scope.vars.base), dict(self.generators), dict(self.texts)

    def restore(self, before: tuple[dict[str, Any], ...]) -> None:
        """Come back to what names meant."""
        self.names, self.scope.vars.base, self.generators, self.texts = before

    def bound(self, names: Iterable[str], now: int, *, certain: frozenset[str]) -> None:
        """Take note that the statement `now` bound these names."""
        for name in names:
            self.first.setdefault(name, now)
            log = self.names.get(name)
            if log is None or name in certain:
                self.names[name] = Log([now], name)
            elif log[-1] != now:
                log.append(now)
            self.texts.pop(name, None)

    def displayed(self, now: int, count: int | None) -> None:
        """Take note that the value of the expression `now` was displayed: IPython binds `_` to it."""
        known = self.names.get("_")
        if known is None or list(known) == [self.underscore]:
            for older, newer in (("___", "__"), ("__", "_")):
                if newer in self.names:
                    self.names[older] = Log(self.names[newer], older)
            self.names["_"] = Log([now], "_")
            self.underscore = now
        if count is not None:
            self.names[f"_{count}"] = Log([now], f"_{count}")

    def searches(self, node: ast.AST) -> None:
        """Take note that code puts folders on `sys.path`: each text in it may be one."""
        texts = (part.value for part in ast.walk(node) if isinstance(part, ast.Constant))
        self.paths += [text for text in texts if isinstance(text, str)]
        self.places = {top: place for top, place in self.places.items() if place is not None}

    def own_file(self, module: str) -> Path | None:
        """Return the file of a module that is the notebook's own; None for one that is installed.

        It lies beside the notebook, on a path that a statement added, or wherever else Python finds modules
        that belong neither to itself nor to a folder of installed packages.
        """
        top = module.partition(".")[0]
        if self.folder is None or not top or top in sys.stdlib_module_names or top == "flownb":
            return None
        if top not in self.places:
            near = (self.folder, *(self.folder / path for path in self.paths))
            self.places[top] = next((place for place in near if _file_in(place, top)), None) or _found(top)
        place = self.places[top]
        return _file_in(place, module) if place is not None else None


def _file_in(place: Path, module: str) -> Path | None:
    base = place.joinpath(*module.split("."))
    files = (base.with_suffix(".py"), base / "__init__.py")
    return next((file for file in files if file.is_file()), None)


def _found(top: str) -> Path | None:
    """Return the folder in which Python finds a module that is not installed, only there."""
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    file = Path(spec.origin)
    if {"site-packages", "dist-packages"} & set(file.parts) or file.is_relative_to(_STDLIB):
        return None
    return file.parent.parent if file.name == "__init__.py" else file.parent


def parsed_module(file: Path) -> ast.Module | None:
    """Return the syntax tree of a module's file; None where it is none that can be read."""
    try:
        about = file.stat()
        return _parsed(file, about.st_mtime_ns, about.st_size) if about.st_size <= _LONGEST_MODULE else None
    except OSError:
        return None


@lru_cache(maxsize=256)
def _parsed(file: Path, _changed: int, _size: int) -> ast.Module | None:
    try:
        return ast.parse(file.read_text("utf-8", "replace"))
    except (SyntaxError, ValueError, RecursionError, OSError):
        return None


def is_displayed(name: str) -> bool:
    """Whether IPython binds a name to what was displayed: `_`, `__`, `_3`."""
    return name in ("_", "__", "___") or (name[:1] == "_" and name[1:].isdecimal())


def inner_modules(path: str) -> Iterator[str]:
    """Yield the packages that a dotted name goes through, and itself: `a`, `a.b`, `a.b.c`."""
    parts = path.split(".")
    for length in range(1, len(parts) + 1):
        yield ".".join(parts[:length])
