"""A step as it was captured: its cell, what lay behind the names that it reads, and what it did."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flownb.capture.looking import Look
from flownb.capture.placing import Placing, key_of, writes_of
from flownb.capture.slicing import slice_of
from flownb.capture.world import GENERATOR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flownb.capture.cell import Cell
    from flownb.capture.history import Executed, Execution, History
    from flownb.capture.slicing import Slice
    from flownb.capture.things import Log
    from flownb.flow import Carried


@dataclass(eq=False)
class Captured:
    """A captured step."""

    cell: Cell
    place: int  #: in the history, where its first statement stands
    look: Look  #: what was behind the names that it reads when it began
    execution: Execution | None = None  #: of its cell; None until it has ended
    frozen: tuple[Carried, ...] = ()
    held: Mapping[Log, int] = field(
        default_factory=dict
    )  #: what frozen names stand for: no statement makes it
    notes: tuple[str, ...] = ()
    environment: Mapping[str, Any] | None = None  #: the one that it names, with its options as they were
    proved: bool = False  #: it was executed here without an error: what it misses it did not need

    @property
    def name(self) -> str:
        """The step's name."""
        return self.cell.header.step

    def slice(
        self, history: History, parameters: frozenset[str], earlier: Mapping[str, Captured]
    ) -> tuple[Slice, list[tuple[Executed, str]]]:
        """Return the statements that the step depends on, and those that earlier steps stand for.

        `parameters` are the flow's, `earlier` its steps that run before this one.
        """
        given: list[tuple[Executed, str]] = []
        flow = self.cell.header.flow

        def is_given(one: Executed) -> bool:
            if one.cell is self.execution:
                return True
            step = one.cell.step
            other = earlier.get(step[1]) if step is not None and step[0] == flow else None
            if other is None or not _stands_for(other, one, self, history):
                return False
            given.append((one, other.name))
            return True

        reads = [(log, version) for log, version in self.look.reads if log.name not in parameters]
        root = Look(
            [*reads, *self._drawn(history)],
            set(self.look.missing),
            set(self.look.later),
            set(self.look.uses),
            set(self.look.paths),
        )
        own = self.statements(history)
        for one in own:
            root.uses |= one.look.uses
            root.paths |= one.look.paths
        loaded = {module for one in own for module in one.loads}
        return slice_of(history, root, self.place, given=is_given, held=self.held, loaded=loaded), given

    def placing(self, sliced: Slice, given: list[tuple[Executed, str]], history: History) -> Placing:
        """Return what is to be known of the step for finding a place for its slice."""
        own = self.statements(history)
        return Placing(
            step=self.name,
            place=self.place,
            statements=[history.executed[index] for index in sliced.statements],
            given=given,
            reads=frozenset(key_of(log) for log, _ in self.look.reads),
            writes=frozenset(self.cell.step.binds).union(*map(writes_of, own)),
            uses=frozenset(sliced.uses),
        )

    def statements(self, history: History) -> list[Executed]:
        """Return the step's own statements, as they were executed."""
        return [history.executed[index] for index in self.execution.statements] if self.execution else []

    def _drawn(self, history: History) -> list[tuple[Log, int]]:
        """Return which of the process's generators the step draws from, as they were before it."""
        own = self.execution.statements if self.execution else range(0)
        found = []
        for log in {log for one in self.statements(history) for log, _ in one.look.reads}:
            if not log.name.startswith(GENERATOR) or (log and log[0] in own):
                continue  # what the step seeds by itself is its own
            latest = history.world.generators.get(log.name.removeprefix(GENERATOR))
            if latest is not None and latest.log is not log and latest.log[0] < self.place:
                found.append((latest.log, bisect_left(latest.log, self.place)))  # it was seeded since
            else:  # a generator goes on from where it is: who drew from it since is no matter
                found.append((log, bisect_left(log, own.start)))
        return found


def _stands_for(other: Captured, one: Executed, step: Captured, history: History) -> bool:
    """Whether an earlier step, as it is now, stands for a statement of one of its executions."""
    if one.cell is other.execution:
        return True
    if other.place < step.place or not one.binds <= set(other.cell.step.binds):
        return False  # what an older version of a cell did is a part of the history like any other
    before = [
        cell for cell in history.cells if cell.step == one.cell.step and cell.statements.start < step.place
    ]
    return bool(before) and before[-1] is one.cell  # the step saw that one, which has run again since
