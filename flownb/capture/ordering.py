"""An order in which carried things can be executed, the same for the same things in any process."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    by_name = {entry.name: entry for entry in all_of_them}
    done: dict[str, Carried] = {}
    waiting = dict(by_name)
    while waiting:
        ready = [e for e in waiting.values() if wide[e.name] <= done.keys()] or [
            e for e in waiting.values() if needs[e.name] <= done.keys()
        ][:1]
        if not ready:
            raise CircleError(_circle(needs, waiting))
        _take(ready, waiting, done, wide)
    return tuple(done.values())


def _take(
    ready: list[Carried], waiting: dict[str, Carried], done: dict[str, Carried], needs: dict[str, set[str]]
) -> None:
    heap = [_rank(entry) for entry in ready]
    heapq.heapify(heap)
    while heap:
        name = heapq.heappop(heap)[2]
        if name not in waiting:
            continue
        done[name] = waiting.pop(name)
        for entry in waiting.values():
            if name in needs[entry.name] and needs[entry.name] <= done.keys():
                heapq.heappush(heap, _rank(entry))


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
