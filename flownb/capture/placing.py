"""Where the statements of a flow's slices go: before its parameters, or between its steps. Pure.

What was executed before the first step stands before all of them, in the order of the history. What was
executed later stands there, too, where that changes nothing for the steps before it; else just before the
step that needs it. A step that was captured over an older state gets that again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flownb.capture.library_state import notices
from flownb.capture.world import STATE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from flownb.capture.history import Executed
    from flownb.capture.things import Log

    Key = str | Log  #: a name, or a thing by its log
    Writer = int | str  #: a statement by its place in the history, or a step by its name


@dataclass(frozen=True)
class Placing:
    """What one step does and needs, for finding a place for its statements."""

    step: str
    place: int  #: in the history, where its first statement stands, or would
    statements: Sequence[Executed]  #: its slice
    given: Sequence[tuple[Executed, str]]  #: statements that an earlier step stands for, with its name
    reads: frozenset[Key]
    writes: frozenset[Key]
    uses: frozenset[str]  #: libraries


@dataclass
class Places:
    """The places that were found."""

    before: list[Executed] = field(default_factory=list)  #: before the parameters
    between: dict[str, list[Executed]] = field(default_factory=dict)  #: just before a step


def key_of(log: Log) -> Key:
    """Return what a log is of: a name, or a thing."""
    return log.name or log


def state_of(key: Key) -> str | None:
    """Return which library's, or which part of the process's, state a key is; None for any other."""
    return key.removeprefix(STATE) if isinstance(key, str) and key.startswith(STATE) else None


def reads_of(one: Executed) -> set[Key]:
    """Return what a statement read."""
    return {key_of(log) for log, _ in one.look.reads}


def writes_of(one: Executed) -> set[Key]:
    """Return what a statement wrote."""
    return {*one.binds, *(key_of(log) for log in one.writes)}


def place(steps: Iterable[Placing]) -> Places:
    """Find a place for each statement of the steps' slices; the steps come in the order of the flow."""
    found = Places()
    writers: dict[Key, list[Writer]] = {}
    barrier = _Barrier()
    there: set[int] = set()
    first = True
    for step in steps:
        own: list[Executed] = []
        for one in _wanted(step, writers, there):
            again = one.index in there
            if not again and (first or not barrier.stops(one)):
                found.before.append(one)
            else:
                own.append(one)
                barrier.add(one.index, reads_of(one), writes_of(one), one.look.uses)
            there.add(one.index)
            for key in writes_of(one):
                writers.setdefault(key, []).append(one.index)
        if own:
            found.between[step.step] = own
        barrier.add(step.place, step.reads, step.writes, step.uses)
        for key in step.writes:
            writers.setdefault(key, []).append(step.step)
        first = False
    found.before.sort(key=index_of)
    return found


def _wanted(step: Placing, writers: Mapping[Key, list[Writer]], there: set[int]) -> list[Executed]:
    """Return those statements of a step's slice that are to be executed for it, in order.

    Those are the ones that are not there yet; and those that are there, where others have written since what
    they wrote.
    """
    by_index = {one.index: one for one in step.statements}
    own: dict[Key, list[tuple[int, Writer]]] = {}
    executed = [(one, one.index) for one in step.statements] + list(step.given)
    for one, writer in sorted(executed, key=lambda pair: pair[0].index):
        for key in writes_of(one):
            known = own.setdefault(key, [])
            if not known or known[-1][1] != writer:
                known.append((one.index, writer))

    # of what nobody there has written, those who write it are executed anyhow
    met = {key for key, pairs in own.items() if any(isinstance(w, str) or w in there for _, w in pairs)}

    def other(keys: Iterable[Key], before: int) -> set[int]:
        """Return who is to write anew what is not as this step's slice has it at some place."""
        again: set[int] = set()
        for key in met.intersection(keys):
            wanted = [writer for index, writer in own.get(key, ()) if index < before]
            left = wanted[_overlap(writers.get(key, []), wanted) :]
            if any(isinstance(writer, str) or writer in there for writer in left):
                left = wanted  # in another order than it was: all of it is done anew
            again.update(writer for writer in left if isinstance(writer, int))
        return again

    todo = {index for index in by_index if index not in there} | other(step.reads, step.place)
    waiting = list(todo)
    while waiting:
        one = by_index[waiting.pop()]
        more = other(reads_of(one), one.index) - todo
        todo |= more
        waiting += more
    return [by_index[index] for index in sorted(todo)]


def _overlap(done: Sequence[Writer], wanted: Sequence[Writer]) -> int:
    """Return how many of those wanted are the last that were done, in the same order."""
    for count in range(min(len(done), len(wanted)), 0, -1):
        if list(done[len(done) - count :]) == list(wanted[:count]):
            return count
    return 0


class _Barrier:
    """What the steps so far, and the statements between them, read, wrote and used."""

    def __init__(self) -> None:
        self._parts: list[tuple[int, frozenset[Key], frozenset[Key], frozenset[str]]] = []

    def add(self, place: int, reads: Iterable[Key], writes: Iterable[Key], uses: Iterable[str]) -> None:
        """Take in what was done at a place in the history."""
        self._parts.append((place, frozenset(reads), frozenset(writes), frozenset(uses)))

    def stops(self, one: Executed) -> bool:
        """Whether executing a statement before all this, and not after it, would change something."""
        read, written = reads_of(one), writes_of(one)
        states = [state for state in map(state_of, written) if state is not None]
        return any(
            not (writes.isdisjoint(read) and writes.isdisjoint(written) and reads.isdisjoint(written))
            or any(notices(uses, state) for state in states)
            for place, reads, writes, uses in self._parts
            if place <= one.index
        )


def parted_imports(statements: Sequence[Executed]) -> tuple[list[Executed], list[Executed]]:
    """Part imports that can stand before everything else from the other statements."""
    imports: list[Executed] = []
    others: list[Executed] = []
    touched: set[Key] = set()
    changed: set[str] = set()  #: states that were set
    hidden = False  #: a statement brought names that are not seen: those of later imports hold
    for one in statements:
        top = frozenset(one.look.uses)
        if (
            one.is_import
            and not hidden
            and touched.isdisjoint(one.binds)
            and not any(notices(top, state) for state in changed)
            and "__future__" not in top
        ):
            imports.append(one)
            continue
        others.append(one)
        hidden = hidden or bool(one.hidden)
        touched |= reads_of(one) | writes_of(one)
        changed.update(state for state in map(state_of, writes_of(one)) if state is not None)
    return imports, others


def index_of(one: Executed) -> int:
    """Return the place of a statement in the history."""
    return one.index
