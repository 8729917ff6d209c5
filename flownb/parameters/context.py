"""What names mean where parameters are declared, found from source text alone.

A parameter's type is written with names that the notebook imports or defines. A `Context` maps those names
to what they stand for; nothing of the notebook is executed or imported for it.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flownb.parameters.lines import statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from flownb.flow import Carried, Flow

_STAR = re.compile(r"\bimport\s*\(?\s*\*")
_WORD = re.compile(r"[^\W\d]\w*")
#: a carried entry longer than this is data, not a declaration of types
_LONGEST = 50_000
#: modules whose `from ... import *` is understood; importing them runs nothing of the user's
_STARRED = frozenset({"typing", "datetime", "decimal", "pathlib", "enum", "fractions", "uuid"})


@dataclass(frozen=True, slots=True)
class Imported:
    """A name bound by an import: of a module (`datetime`) or from one (`datetime.date`)."""

    path: str


@dataclass(frozen=True, slots=True)
class Opaque:
    """A name that is bound, to something that source text alone does not tell."""

    changed: bool = False  #: bound elsewhere, and changed in place


Meaning = Imported | Opaque | ast.expr | ast.ClassDef


@dataclass(frozen=True, slots=True)
class Context:
    """Names and their meanings: imports, classes, and aliases (`Region = Literal["EU", "US"]`)."""

    names: Mapping[str, Meaning] = field(default_factory=dict)

    def path(self, node: ast.expr) -> str | None:
        """Return the dotted path that a name or attribute leads to through the imports, if it does."""
        if isinstance(node, ast.Attribute):
            base = None if node.attr.startswith("_") else self.path(node.value)
            return None if base is None else f"{base}.{node.attr}"
        if isinstance(node, ast.Name):
            meaning = self.names.get(node.id)
            if isinstance(meaning, Imported):
                return meaning.path
        return None


def context_of(source: str) -> Context:
    """Return the meanings of the names that some source binds at its top, without executing it."""
    return Context(dict(_meanings(statements(source))))


def context_of_flow(flow: Flow) -> Context:
    """Return the context in which a flow's parameters are declared: what its closure imports and defines.

    Imports in the cells of a notebook that was taken whole count where the closure does not bind the name:
    it may import in any of them.
    """
    names: dict[str, Meaning] = {}
    wanted = _mentioned(flow)
    for source in (*(step.source for step in flow.steps), declaring_cells(flow)[-1]):
        if "import" in source and wanted & set(_WORD.findall(source)):
            names.update((n, m) for n, m in _meanings(statements(source)) if isinstance(m, Imported))
    for entry in flow.closure:
        # what a later step carries for itself is not there yet
        bound = {name for name in entry.bound if not entry.step or name not in names}
        if not entry.bound and _STAR.search(entry.source):  # all names of a module
            names.update((n, m) for n, m in _meanings(statements(entry.source)) if n in wanted)
            continue
        if not _readable(entry) or not wanted & bound:
            names.update(dict.fromkeys(bound, Opaque()))
            continue
        for name, meaning in _meanings(statements(entry.source)):
            kept = isinstance(names.get(name), Imported) and meaning == Opaque(changed=True)
            if name in bound and not kept:  # a module stays what it is, whatever is set in it
                names[name] = meaning
    return Context(names)


def bindings(flow: Flow) -> dict[str, str]:
    """Return under which names the flow's document has imported what values are written with.

    Qualified names map to the expression that stands for them: `{"datetime.date": "date"}`, and
    `{"__main__.Color": "Color"}` for a class of the notebook that a declaration mentions. Names that mean
    two things (bound twice, or also a parameter) are left out.
    """
    taken = {parameter.name for parameter in flow.parameters}
    wanted = _mentioned(flow)
    found: dict[str, str] = {}
    times: Counter[str] = Counter()
    for entry in flow.closure:
        if entry.step or not _readable(entry) or not _at_hand(entry, wanted):
            times.update(entry.bound)
            continue
        for name, meaning in _meanings(statements(entry.source)):
            times[name] += meaning != Opaque(changed=True)
            _put(found, name, meaning)
    for name, meaning in _meanings(statements(declaring_cells(flow)[-1])):
        _put(found, name, meaning)
    return {path: name for path, name in found.items() if name not in taken and times[name] < 2}


def _put(found: dict[str, str], name: str, meaning: Meaning) -> None:
    path = meaning.path if isinstance(meaning, Imported) else f"__main__.{name}"
    if isinstance(meaning, Imported | ast.ClassDef | ast.Call):
        found.setdefault(path, name)


def declaring_cells(flow: Flow) -> list[str]:
    """Return the code cells of a notebook that was taken whole, up to the one tagged `parameters`.

    A last empty one stands for that where there is none.
    """
    found: list[str] = []
    for cell in flow.notebook["cells"] if flow.notebook is not None else ():
        if cell["cell_type"] == "code":
            found.append(cell["source"])
            if "parameters" in cell["metadata"].get("tags", ()):
                return found
    return [""]


def _at_hand(entry: Carried, wanted: set[str]) -> bool:
    return entry.how in ("import", "module") or bool(wanted.intersection(entry.bound))


def _readable(entry: Carried) -> bool:
    return entry.how != "pickle" and len(entry.source) <= _LONGEST


def _mentioned(flow: Flow) -> set[str]:
    """Return the words in the flow's declarations, and in the definitions that those words lead to."""
    found: set[str] = set()
    waiting = {word for p in flow.parameters for word in _WORD.findall(f"{p.annotation} {p.default or ''}")}
    sources: dict[str, list[str]] = {}
    for entry in flow.closure:
        if _readable(entry) and entry.how not in {"import", "module"}:
            for name in entry.bound:
                sources.setdefault(name, []).append(entry.source)
    while waiting:
        found |= waiting
        texts = {text for name in waiting for text in sources.get(name, ())}
        waiting = {word for text in texts for word in _WORD.findall(text)} - found
    return found


def _meanings(body: Iterable[ast.stmt]) -> Iterator[tuple[str, Meaning]]:
    for statement in body:
        match statement:
            case ast.Import(names=names):
                for alias in names:
                    top = alias.name.split(".")[0]
                    yield (alias.asname, Imported(alias.name)) if alias.asname else (top, Imported(top))
            case ast.ImportFrom(module=module, names=names, level=level):
                yield from _imported_from(module or "", names, level)
            case ast.ClassDef(name=name):
                yield name, statement
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name, Opaque()
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                yield name, value
            case ast.If(body=first, orelse=second):
                yield from _perhaps([*second, *first])
            case ast.Try(body=first, handlers=handlers):
                yield from _perhaps([line for handler in handlers for line in handler.body] + first)
            case _:
                yield from _type_alias(statement) or _opaque(statement)


def _perhaps(body: Iterable[ast.stmt]) -> Iterator[tuple[str, Meaning]]:
    """Yield what statements bind of which only some are executed: imports are alternatives for one thing."""
    for name, meaning in _meanings(body):
        yield name, meaning if isinstance(meaning, Imported) else Opaque()


def _type_alias(statement: ast.stmt) -> list[tuple[str, Meaning]]:
    """Return the name that `type Region = ...` binds, which Python has from 3.12 on."""
    if type(statement).__name__ != "TypeAlias" or getattr(statement, "type_params", None):
        return []
    alias, value = getattr(statement, "name", None), getattr(statement, "value", None)
    return [(alias.id, value)] if isinstance(alias, ast.Name) and isinstance(value, ast.expr) else []


def _opaque(statement: ast.stmt) -> Iterator[tuple[str, Meaning]]:
    """Yield the names that any other statement binds or changes, such as `LIMIT += 1`."""
    from flownb.names import find_names

    names = find_names(statement)
    bound = names.binds | names.deletes
    for name in sorted(bound | names.mutates):
        yield name, Opaque(changed=name not in bound)


def _imported_from(module: str, names: Iterable[ast.alias], level: int) -> Iterator[tuple[str, Meaning]]:
    for alias in names:
        if alias.name == "*":
            public = getattr(importlib.import_module(module), "__all__", ()) if module in _STARRED else ()
            yield from ((name, Imported(f"{module}.{name}")) for name in public if not level)
        elif level:
            yield alias.asname or alias.name, Opaque()
        else:
            yield alias.asname or alias.name, Imported(f"{module}.{alias.name}")
