"""An order in which carried things can be executed, the same for the same things in any process."""

from __future__ import annotations

import ast
import heapq
from dataclasses import replace
from typing import TYPE_CHECKING

from flownb.names import find_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flownb.flow import Carried

_RANKS = {"import": 0, "module": 1, "definition": 2, "statements": 3, "literal": 4, "pickle": 5}


class CircleError(ValueError):
    """Things that each need another of them first."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(" -> ".join(names))
        self.names = names


def in_order(entries: Iterable[Carried]) -> tuple[Carried, ...]:
    """Put entries into an order in which they can be executed; ties go by kind and name.

    What an entry reads first may be called while it is executed (a decorator is), so all that this reads in
    turn comes before it too, where that is possible. Raises `CircleError` where no order is.
    """
    all_of_them = sorted(entries, key=_rank)
    makers = {name: entry for entry in all_of_them for name in entry.bound}
    calls = {entry.name: _names(entry.reads, makers) for entry in all_of_them}
    needs = {entry.name: _names(entry.reads_first, makers) - {entry.name} for entry in all_of_them}
    wide = {name: first | (_reach(first, calls) - {name}) for name, first in needs.items()}
    done: list[Carried] = []
    waiting = {entry.name: entry for entry in all_of_them}
    while waiting:
        ready = [e for e in waiting.values() if wide[e.name].isdisjoint(waiting)]
        if not ready and (begun := _begun(waiting, needs, wide)):
            done.append(begun)
            continue
        ready = ready or [e for e in waiting.values() if needs[e.name].isdisjoint(waiting)][:1]
        if not ready:
            raise CircleError(_circle(needs, waiting))
        _take(ready, waiting, done, wide)
    return (*done, *_filled_again(all_of_them, done, needs, wide))


def _take(
    ready: list[Carried], waiting: dict[str, Carried], done: list[Carried], needs: dict[str, set[str]]
) -> None:
    heap = [_rank(entry) for entry in ready]
    heapq.heapify(heap)
    while heap:
        name = heapq.heappop(heap)[2]
        if name not in waiting:
            continue
        done.append(waiting.pop(name))
        for entry in waiting.values():
            if name in needs[entry.name] and needs[entry.name].isdisjoint(waiting):
                heapq.heappush(heap, _rank(entry))


def _begun(
    waiting: dict[str, Carried], needs: dict[str, set[str]], wide: dict[str, set[str]]
) -> Carried | None:
    """Make a container empty at first, where functions that it holds want it there when they are made.

    `@register("double")` puts `double` into a dictionary of the notebook, and the dictionary as it was
    captured holds `double`. Returns the entry that makes it; what is left of it fills it.
    """
    for entry in waiting.values():
        callers = [
            other.name
            for other in waiting.values()
            if entry.name in wide[other.name] - needs[other.name] and other.name in _reach({entry.name}, wide)
        ]
        parts = _container(entry) if callers else None
        if parts is not None:
            empty, filling = parts
            for name in wide:
                wide[name] -= {entry.name} - needs[name]
            waiting[entry.name] = replace(entry, source=filling)
            return replace(entry, source=f"{entry.name} = {empty}", reads=(), reads_first=())
    return None


def _filled_again(
    entries: list[Carried], done: list[Carried], needs: dict[str, set[str]], wide: dict[str, set[str]]
) -> Iterator[Carried]:
    """Yield what gives containers back their content that decorators and new subclasses put things into."""
    begun = {entry.name for entry in done if sum(entry.name == other.name for other in done) > 1}
    definitions = [entry for entry in entries if entry.how == "definition"]
    reached = {
        name for entry in definitions for name in wide[entry.name] - needs[entry.name] if name not in begun
    }
    for entry in entries:
        parts = _container(entry) if entry.name in reached else None
        if parts is not None and f"{entry.name} = {parts[0]}" != entry.source:
            changing = (find_names(one.source).mutates for one in definitions if entry.name in one.reads)
            if any(entry.name in mutated for mutated in changing):
                yield replace(entry, source=parts[1], reads_first=(*entry.reads_first, entry.name))


def _container(entry: Carried) -> tuple[str, str] | None:
    """Return how an empty one is written, and what fills it; None for what is no plain container."""
    if entry.how != "literal" or len(entry.bound) > 1:
        return None
    text = entry.source.removeprefix(f"{entry.name} = ")
    match ast.parse(text, mode="eval").body:
        case ast.Dict():
            return "{}", f"{entry.name}.clear()\n{entry.name}.update({text})"
        case ast.Set():
            return "set()", f"{entry.name}.clear()\n{entry.name}.update({text})"
        case ast.List():
            return "[]", f"{entry.name}[:] = {text}"
    return None


def _rank(entry: Carried) -> tuple[int, int, str]:
    future = 0 if entry.source.startswith("from __future__ ") else 1  # Python wants them before all else
    return future, _RANKS[entry.how], entry.name


def _names(read: Iterable[str], makers: dict[str, Carried]) -> set[str]:
    return {makers[name].name for name in read if name in makers}


def _reach(start: set[str], calls: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = list(start)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += calls[name]
    return found


def _circle(needs: dict[str, set[str]], waiting: dict[str, Carried]) -> tuple[str, ...]:
    name = min(waiting)
    way: list[str] = []
    while name not in way:
        way.append(name)
        name = min(needs[name] & waiting.keys())
    return (*way[way.index(name) :], name)
