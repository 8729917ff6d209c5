"""Values, each as the most readable Python that brings it back, with what is one object staying one."""

from __future__ import annotations

import enum
import sys
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any

from flownb.capture.describe import describe, readable_size
from flownb.capture.fingerprint import fingerprint
from flownb.capture.literals import IMMUTABLE, Literal, literal
from flownb.capture.pickling import (
    HELPER,
    Pickled,
    TooBigError,
    UncarriableError,
    loading_source,
    pickle_value,
    python_version,
)
from flownb.capture.references import DEFINED
from flownb.capture.uncarriable import path_to
from flownb.flow import Carried

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from flownb.capture.references import References


_INSTEAD = (
    "capture the cell that makes it as a step of the flow (`%%flow NAME.STEP`), "
    "or read it from its file in the flow's cell"
)


@dataclass
class Carriage:
    """What became of some values: entries, the names that they need, and what stood in the way of others."""

    entries: list[Carried] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def needs(self) -> list[str]:
        """Names that the entries read, sorted."""
        return sorted({name for entry in self.entries for name in entry.reads})


def carry_values(
    values: Mapping[str, object],
    others: Iterable[str],
    references: References,
    namespace: Mapping[str, Any],
    limit: int,
) -> Carriage:
    """Carry `values` (name -> value) as literals, aliases and pickles of at most `limit` bytes in all.

    `others` are names that are carried in other ways; values may refer to what they are bound to.
    """
    return _Values(values, others, references, namespace, limit).carriage()


class _Values:
    def __init__(
        self,
        values: Mapping[str, object],
        others: Iterable[str],
        references: References,
        namespace: Mapping[str, Any],
        limit: int,
    ) -> None:
        self.values = values
        self.references = references
        self.namespace = namespace
        self.limit = limit
        self.done = Carriage()
        self.first: dict[int, str] = {}  # identity of what can be told from an equal one -> its first name
        for name in (*sorted(others), *sorted(values)):
            value = namespace.get(name)
            if _can_be_told(value) and not (isinstance(value, DEFINED) and references.to(value)):
                self.first.setdefault(id(value), name)

    def carriage(self) -> Carriage:
        made: dict[str, Literal | Pickled] = {}
        for name in sorted(self.values):
            first = self.first.get(id(self.values[name]), name)
            if first != name:
                self.done.entries.append(self._alias(name, first))
                continue
            one = self._make((name,), self.values[name])
            if one is not None:
                made[name] = one
        for names in _groups(made):
            one = (
                made[names[0]]
                if len(names) == 1
                else self._make(names, tuple(self.values[name] for name in names))
            )
            if one is not None:
                self.done.entries.append(self._entry(names, one))
        self._check_total(made)
        return self.done

    def _alias(self, name: str, first: str) -> Carried:
        source = f"{name} = {first}"
        kind = describe(self.values[name])
        return Carried(
            name, "literal", source, (name,), (first,), (first,), type=kind, size=len(source.encode())
        )

    def _named(self, names: tuple[str, ...]) -> dict[int, str]:
        return {identity: name for identity, name in self.first.items() if name not in names}

    def _make(self, names: tuple[str, ...], value: object) -> Literal | Pickled | None:
        named = self._named(names)
        plain = literal(value, self.references, named, names[0]) if len(names) == 1 else None
        if plain is not None:
            return plain
        try:
            return pickle_value(value, names, self.references, named, self.namespace, self.limit)
        except UncarriableError as stopped:
            self.done.problems[names[0]] = _not_carried(names, self.values, stopped)
        except TooBigError:
            self.done.problems[names[0]] = self._too_big(names, value)
        return None

    def _entry(self, names: tuple[str, ...], made: Literal | Pickled) -> Carried:
        value = self.values[names[0]]
        kind = (
            describe(value) if len(names) == 1 else ", ".join(describe(self.values[name]) for name in names)
        )
        if isinstance(made, Literal):
            source = f"{names[0]} = {made.text}"
            reads, first = tuple(sorted(made.reads | made.later)), tuple(sorted(made.reads))
            return Carried(names[0], "literal", source, names, reads, first, type=kind, size=_size(source))
        source = loading_source(names, made, _comment(names, kind, made))
        whole = value if len(names) == 1 else tuple(self.values[name] for name in names)
        return Carried(
            name=names[0],
            how="pickle",
            source=source,
            binds=names,
            reads=tuple(sorted({HELPER} | made.reads | made.later)),
            reads_first=tuple(sorted({HELPER} | made.reads)),
            identity="pickle:" + fingerprint(whole, self._refer(names)),
            type=kind + (f" with {', '.join(made.embedded)}" if made.embedded else ""),
            size=_size(source),
        )

    def _refer(self, names: tuple[str, ...]) -> Callable[[object], str | None]:
        named = self._named(names)

        def refer(value: object) -> str | None:
            name = named.get(id(value)) or self.references.own_name(value)
            return None if name is None or name.partition(".")[0] in names else name

        return refer

    def _too_big(self, names: tuple[str, ...], value: object) -> str:
        size = _bytes_of(value)
        known = f"{readable_size(size)}, and" if size > self.limit else "more than is allowed:"
        return (
            f"{_written(names)} ({describe(value)}) is too big to carry: {known} at most "
            f"{readable_size(self.limit)} fit into a flow; {_INSTEAD}"
        )

    def _check_total(self, made: Mapping[str, Literal | Pickled]) -> None:
        sizes = {name: len(one.data) for name, one in made.items() if isinstance(one, Pickled)}
        total = sum(sizes.values())
        if total > self.limit and not self.done.problems:
            biggest = max(sorted(sizes), key=lambda name: sizes[name])
            listed = ", ".join(
                f"`{name}` {readable_size(sizes[name])}"
                for name in sorted(sizes, key=lambda n: (-sizes[n], n))[:4]
            )
            self.done.problems[biggest] = (
                f"the values together are too big to carry: {readable_size(total)} ({listed}), and at most "
                f"{readable_size(self.limit)} fit into a flow; {_INSTEAD}"
            )


def _size(source: str) -> int:
    return len(source.encode("utf-8", "surrogatepass"))


def _written(names: Iterable[str]) -> str:
    return " and ".join(f"`{name}`" for name in names)


def _comment(names: tuple[str, ...], kind: str, made: Pickled) -> str:
    parts = [
        f"{', '.join(names)}: {kind}, {readable_size(len(made.data))}, pickled by Python {python_version()}"
    ]
    if made.embedded:
        parts.append(f"with {', '.join(made.embedded)}")
    uses = sorted((made.modules | ({"cloudpickle"} if made.embedded else set())) - sys.stdlib_module_names)
    if uses:
        parts.append(f"uses {', '.join(uses)}")
    return " ".join("; ".join(parts).split())


def _not_carried(names: tuple[str, ...], values: Mapping[str, object], stopped: UncarriableError) -> str:
    what, advice = stopped.reason.what, stopped.reason.advice
    for name in names:
        path = path_to(stopped.value, values[name], name)
        if path == name:
            return f"`{name}` is {what}: {advice.format(name=name)}"
        if path is not None:
            place = path if path.isidentifier() or "(" not in path else path.split(" (")[0]
            return f"`{name}` holds `{path}`, {what}: {advice.format(name=place)}"
    return f"{_written(names)} holds {what}: {advice.format(name=names[0])}"


def _can_be_told(value: object) -> bool:
    """Whether two names for it must stay names for one object: something in it may be changed."""
    if type(value) in IMMUTABLE or isinstance(value, enum.Enum | ModuleType):
        return False
    if type(value) in {tuple, frozenset}:
        return any(map(_can_be_told, value))  # type: ignore[call-overload]
    return True


def _groups(made: Mapping[str, Literal | Pickled]) -> list[tuple[str, ...]]:
    """Put together the names that share an object which has no name of its own, or that need each other."""
    leader = {name: name for name in made}

    def find(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    holder: dict[int, str] = {}
    for name, one in made.items():
        for identity in one.makes:
            other = find(holder.setdefault(identity, name))
            leader[max(other, find(name))] = min(other, find(name))
    merged = True
    while merged:  # what is put together may need each other in turn
        merged = False
        reads: dict[str, set[str]] = {find(name): set() for name in made}
        for name, one in made.items():
            reads[find(name)] |= {find(other) for other in one.reads & made.keys()} - {find(name)}
        for name in sorted(reads):
            for other in sorted(_reached(name, reads)):
                here, there = find(name), find(other)
                if here != there and name in _reached(other, reads):
                    leader[max(here, there)] = min(here, there)
                    merged = True
    together: dict[str, list[str]] = {}
    for name in sorted(made):
        together.setdefault(find(name), []).append(name)
    return [tuple(names) for names in together.values()]


def _reached(name: str, reads: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = list(reads[name])
    while waiting:
        other = waiting.pop()
        if other not in found:
            found.add(other)
            waiting += reads[other]
    return found


def _bytes_of(value: Any) -> int:
    """Estimate a big value's bytes; 0 where it does not tell."""
    for attribute in ("nbytes", "memory_usage", "estimated_size"):
        found: Any = getattr(value, attribute, None)
        try:
            found = found() if callable(found) else found
            total = int(found.sum()) if hasattr(found, "sum") else found
        except (TypeError, ValueError, AttributeError):
            continue
        if isinstance(total, int):
            return total
    return len(value) if isinstance(value, str | bytes | bytearray) else 0
