"""What a cell reads from the notebook around it, carried the most readable way that is faithful.

In this order: nothing for Python's and the kernel's own names; an import statement; the source of what the
notebook defines, with what that source reads in turn; a literal; a pickle.
"""

from __future__ import annotations

import ast
import builtins
import difflib
from dataclasses import dataclass, replace
from types import FunctionType, MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any

from flownb.capture.describe import describe
from flownb.capture.importing import import_for, local_file
from flownb.capture.kernel_names import is_history, is_kernels_own
from flownb.capture.likeness import postpones_annotations
from flownb.capture.literals import IMMUTABLE, literal
from flownb.capture.ordering import CircleError, in_order
from flownb.capture.pickling import HELPER, HELPER_SOURCE
from flownb.capture.references import References
from flownb.capture.uncarriable import reason_against_module
from flownb.capture.values import carry_values
from flownb.errors import CaptureError
from flownb.flow import Carried
from flownb.names import PROVIDED, find_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from flownb.capture.sources import Found, Sources

CHANGED = "# as it was when it was captured"
"""The line in a definition's source below which stands what was changed on it since."""

LIMIT = 10_000_000  #: bytes of pickled values that a flow may carry, if nothing else is said

_FUTURE = Carried(
    "__future__", "import", "from __future__ import annotations", ("annotations",), type="feature of Python"
)


@dataclass(frozen=True)
class Surroundings:
    """What is there to carry from.

    `namespace` binds the notebook's names; `sources` knows the cells that did; values may take `limit` bytes
    in all; modules whose file is below `project` are the project's own; `provided` are names that the flow
    binds otherwise (earlier steps, parameters), so that they are not carried.
    """

    namespace: Mapping[str, Any]
    sources: Sources
    limit: int = LIMIT
    project: Path | None = None
    provided: frozenset[str] = frozenset()


def carry(names: Iterable[str], around: Surroundings, *, where: str) -> tuple[Carried, ...]:
    """Return what brings `names` back elsewhere and all that it needs in turn, in an order to execute it in.

    The order and the content are the same for the same names and values in any process. `where` says for
    messages which cell it is for. Raises `CaptureError`, with all that stands in the way at once: names that
    nothing binds, values that cannot be carried, values that are too big.
    """
    carrier = _Carrier(around)
    for name in sorted(set(names)):
        carrier.visit(name, None)
    entries = carrier.finish()
    if carrier.problems:
        told = [carrier.problems[name] for name in sorted(carrier.problems)]
        if len(told) == 1:
            raise CaptureError(f"{where}: {told[0]}")
        raise CaptureError(
            f"{where}: {len(told)} names stand in the way:\n" + "\n".join(f"- {text}" for text in told)
        )
    try:
        return in_order(entries) + carrier.again(entries)
    except CircleError as circle:
        raise CaptureError(
            f"{where}: these need each other before they can be made: {circle}; "
            "define one of them without the other, in a cell above"
        ) from None


class _Carrier:
    def __init__(self, around: Surroundings) -> None:
        self.around = around
        self.namespace = around.namespace
        self.references = References(around.namespace, around.sources, around.provided)
        self.problems: dict[str, str] = {}
        self.entries: dict[str, Carried] = {}
        self.values: dict[str, object] = {}
        self.readers: dict[str, str | None] = {}
        self.changed: dict[str, Carried] = {}  # what was done to a definition since, as an entry of its own

    def visit(self, name: str, reader: str | None, *, later: bool = False) -> None:
        """Carry `name`, read by the cell or by the carried `reader`; `later`: only when that is called."""
        if name in self.around.provided or name == HELPER:
            return
        if name not in self.namespace:
            # a function's body that reads what is nowhere fails here as it will there, if it is called at all
            if not later and name not in PROVIDED and not hasattr(builtins, name):
                self.readers.setdefault(name, reader)
                self.problems.setdefault(name, self._unknown(name))
            return
        if name in self.readers:
            return
        self.readers[name] = reader
        value = self.namespace[name]
        if is_kernels_own(name, value):
            return
        if self._by_import(name, value) or self._by_definition(name, value):
            return
        if isinstance(value, ModuleType):
            reason = reason_against_module(value, is_main=value.__name__ == self.namespace.get("__name__"))
            self.problems[name] = f"`{name}` is {reason.what}: {reason.advice}{self._chain(name)}"
        elif is_history(name, self.namespace):
            self.problems[name] = (
                f"`{name}` is this session's history, and another thing in every session: "
                f"give the value a name in a cell above, and read that{self._chain(name)}"
            )
        else:
            self.values[name] = value

    def finish(self) -> list[Carried]:
        """Carry the values that were visited, and what they need, until nothing more is needed."""
        while True:
            known = len(self.readers)
            carriage = carry_values(
                self.values, self.entries, self.references, self.namespace, self.around.limit
            )
            for entry in carriage.entries:
                for name in entry.reads:
                    self.visit(name, entry.name, later=name not in entry.reads_first)
            if len(self.readers) == known:
                break
        for name, problem in carriage.problems.items():
            self.problems[name] = problem + self._chain(name)
        entries = [*self.entries.values(), *carriage.entries]
        if any(entry.how == "pickle" for entry in entries):
            size = len(HELPER_SOURCE.encode())
            entries.append(
                Carried(HELPER, "definition", HELPER_SOURCE, (HELPER,), type="function", size=size)
            )
        bound = {name for entry in entries for name in entry.bound} | self.around.provided
        return [self._without_unbound(entry, bound) for entry in entries]

    def again(self, entries: Iterable[Carried]) -> tuple[Carried, ...]:
        """Return what must be said again at the end: subclasses and decorated functions may register anew."""
        first = {name for entry in entries for name in entry.reads_first}
        return tuple(self.changed[name] for name in sorted(self.changed) if name in first)

    @staticmethod
    def _without_unbound(entry: Carried, bound: set[str] | frozenset[str]) -> Carried:
        reads = tuple(name for name in entry.reads if name in bound and name not in entry.bound)
        first = tuple(name for name in entry.reads_first if name in bound and name not in entry.bound)
        return replace(entry, reads=reads, reads_first=first)

    def _by_import(self, name: str, value: object) -> bool:
        if type(value) in IMMUTABLE and not (
            self.around.sources.imports_of(name) or self.around.sources.star_imports()
        ):
            return False
        found = import_for(name, value, self.around.sources)
        if found is None:
            return False
        local = any(local_file(module, self.around.project) for module in found.modules)
        kind = (
            describe(value) if isinstance(value, ModuleType) else f"{describe(value)} of {found.modules[0]}"
        )
        size = len(found.source.encode())
        self.entries[name] = Carried(
            name, "module" if local else "import", found.source, (name,), type=kind, size=size
        )
        return True

    def _by_definition(self, name: str, value: object) -> bool:
        own = self.references.own_name(value)
        if own is not None and own != name:
            source = f"{name} = {own}"
            root = own.partition(".")[0]
            self._add(Carried(name, "definition", source, (name,), (root,), (root,), type=describe(value)))
            return True
        if type(value) in IMMUTABLE:
            return False
        found = self.around.sources.definition(name, value, self.namespace)
        if found is None:
            return False
        changed = self._changes(name, found)
        registered = self._registered(value)
        if changed is None or registered is None:
            return False
        postponed = postpones_annotations(found.statement, value, self.namespace)
        future = f"{_FUTURE.source}\n" if postponed else ""
        source = "\n".join([found.statement.source, *registered, *changed])
        if changed:
            again = "\n".join(changed)
            self.changed[name] = Carried(name, "definition", again, (name,), (), (name,), type="attributes")
        names = find_names(future + source)
        if name in names.reads_first:
            return False  # made of what the name meant before
        if future:
            self.entries.setdefault(_FUTURE.name, replace(_FUTURE, size=len(_FUTURE.source)))
        read = names.reads | self._annotated(found.statement.source if postponed else "")
        reads, first = tuple(sorted(read - {name})), tuple(sorted(names.reads_first))
        kind = "class" if isinstance(value, type) else _kind(found.statement.node, value)
        self._add(Carried(name, "definition", source, (name,), reads, first, type=kind))
        return True

    def _annotated(self, source: str) -> set[str]:
        """Return what postponed annotations name: dataclasses, pydantic and others evaluate them later."""
        return {name for name in find_names(source).reads if name in self.namespace} if source else set()

    def _add(self, entry: Carried) -> None:
        self.entries[entry.name] = replace(entry, size=len(entry.source.encode("utf-8", "surrogatepass")))
        for name in entry.reads:
            self.visit(name, entry.name, later=name not in entry.reads_first)

    def _changes(self, name: str, found: Found) -> list[str] | None:
        """Write what was changed since as assignments; None where that cannot be said so."""
        lines = []
        for attribute, value in found.changes.items():
            written = literal(value, self.references, binds=name)
            if written is None or not attribute.isidentifier():
                return None
            if written.makes and (written.reads or written.later):
                # a registry of classes and functions: whatever fills it here does so again there
                continue
            lines.append(f"{name}.{attribute} = {written.text}")
        if lines:
            lines.insert(0, CHANGED)
        return lines

    def _registered(self, value: object) -> list[str] | None:
        """Return the source of what was registered with a `functools.singledispatch` function since."""
        registry = getattr(value, "registry", None)
        if not isinstance(registry, MappingProxyType) or not isinstance(value, FunctionType):
            return []
        sources = []
        for kind, function in registry.items():
            if kind is object:
                continue
            statement = self.around.sources.statement_of(function)
            if statement is None:
                return None
            sources.append(statement.source)
        return list(dict.fromkeys(sources))

    def _unknown(self, name: str) -> str:
        known = [n for n in self.namespace if not n.startswith("_")]
        # a builtin is meant only where hardly a letter is wrong
        near = difflib.get_close_matches(name, known, 1) or difflib.get_close_matches(
            name, dir(builtins), 1, 0.8
        )
        hint = f"did you mean `{near[0]}`? If not, " if near else ""
        return f"`{name}` is not defined here: {hint}run the cell that defines it first{self._chain(name)}"

    def _chain(self, name: str) -> str:
        """Say through what a name is read that the cell itself does not read."""
        way = []
        reader = self.readers.get(name)
        while reader is not None:
            way.append(f"`{reader}`")
            reader = self.readers.get(reader)
        return f" (`{name}` is read by {', which is read by '.join(way)})" if way else ""


def _kind(node: ast.stmt, value: object) -> str:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or isinstance(value, FunctionType):
        return "function"
    return "type" if type(value).__module__ in {"typing", "types"} else describe(value)
