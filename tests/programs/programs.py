"""Makes random notebooks: cells in the order in which they were executed, and a step that depends on some.

A program comes from its seed alone. Its statements are executed while it is made, so none of them raises.
"""

from __future__ import annotations

import contextlib
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from program_reads import STEPS
from program_runs import TooLongError, fresh, limited
from program_themes import draw_features
from program_world import World
from program_writer import Statement, Unfit, Writer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hypothesis.strategies import SearchStrategy


@dataclass(frozen=True)
class Program:
    """A notebook as it was executed, and the cell that is captured."""

    seed: int
    cells: tuple[tuple[Statement, ...], ...]
    step: tuple[Statement, ...]
    features: frozenset[str] = frozenset()  #: of its cells as such, beside those of its statements

    @property
    def statements(self) -> tuple[Statement, ...]:
        """The statements of all cells in their order."""
        return tuple(parts(self.cells))

    @property
    def executed(self) -> list[str]:
        """The sources of the cells in the order in which they were executed."""
        return [source_of(cell) for cell in self.cells]

    @property
    def step_source(self) -> str:
        """The source of the captured cell."""
        return source_of(self.step)

    @property
    def all_features(self) -> frozenset[str]:
        """What the program has, of all that is tested."""
        return self.features.union(*(statement.features for statement in parts((*self.cells, self.step))))

    def __str__(self) -> str:
        cells = [f"# [{number}]\n{source}" for number, source in enumerate(self.executed, 1)]
        return "\n".join((*cells, f"# step\n{self.step_source}"))


def source_of(statements: tuple[Statement, ...]) -> str:
    """Give the source of a cell."""
    return "".join(f"{statement.text}\n" for statement in statements)


def generate(seed: int, *, without: frozenset[str] = frozenset(), beyond: bool = False) -> Program:
    """Make the program of a seed.

    Args:
        seed: any whole number.
        without: features that it must not have.
        beyond: also what the contract leaves open.
    """
    for attempt in range(20):
        maker = _Maker(random.Random(seed * 20 + attempt), without, beyond=beyond)
        program = maker.program(seed)
        if program is not None:
            return program
    raise AssertionError(f"no program comes from the seed {seed}")


def programs(**options: bool) -> SearchStrategy[Program]:
    """Give the programs as a strategy of Hypothesis; it cannot make them small, `shrinking.shrink` can."""
    from hypothesis import strategies as st

    return st.integers(0, 2**40).map(lambda seed: generate(seed, **options))  # type: ignore[arg-type]


class _Maker:
    """Makes one program."""

    def __init__(self, chance: random.Random, without: frozenset[str], *, beyond: bool) -> None:
        self._random = chance
        self._features = draw_features(chance, without=without, beyond=beyond)
        self._cells: list[list[Statement]] = []
        self._of_cells: set[str] = set()
        self._used: set[str] = set()
        self._stack = contextlib.ExitStack()
        self._world = World({})
        self._writer = Writer(chance, self._world, self._features.enabled, self._used)

    def program(self, seed: int) -> Program | None:
        with self._stack, limited(1.0):
            self._replay()
            for number in range(self._random.randint(3, 12)):
                self._cells.append([])
                if number > 1 and self._random.random() < 0.2:
                    self._again(self._random.choice(self._cells[:-1]))
                else:
                    self._new_cell(early=number < 2)
            self._cells = [cell for cell in self._cells if cell]
            step = self._step() if len(self._cells) > 1 else None
        if step is None:
            return None
        cells = tuple(map(tuple, self._cells))
        return Program(seed, cells, tuple(step), frozenset(self._of_cells))

    def _new_cell(self, *, early: bool) -> None:
        for _ in range(self._random.randint(1, 5)):
            for statement in self._statements(early=early):
                if not self._execute(statement):
                    break

    def _again(self, cell: list[Statement]) -> None:
        """Execute a cell again: all of it, the first part of it, or with one of its statements changed."""
        statements, features = list(cell), {"cell executed again"}
        way = self._random.random()
        if way < 0.25 and len(cell) > 1:
            del statements[self._random.randint(1, len(cell) - 1) :]
            features = {"cell executed in part"}
        elif way < 0.5:
            at = self._random.randrange(len(cell) or 1)
            statements[at : at + 1] = self._statements(early=False)
            features = {"cell edited and executed again"}
        for statement in statements:
            if not self._execute(statement):
                features = {"cell executed in part"}
                break
        self._of_cells |= features

    def _statements(self, *, early: bool) -> list[Statement]:
        for _ in range(40):
            table, feature = self._features.draw(self._random, early=early)
            try:
                return self._writer.statements(table, feature)
            except Unfit:
                continue
        return []

    def _execute(self, statement: Statement) -> bool:
        """Execute a statement, and keep it; one that raises has never been executed."""
        try:
            self._world.execute(statement.text, statement.roles)
        except (Exception, TooLongError):
            self._replay()
            return False
        self._cells[-1].append(statement)
        self._used |= statement.features
        return True

    def _replay(self) -> None:
        """Start from nothing, and execute what has been kept."""
        self._stack.close()
        self._world = self._writer.world = World(self._stack.enter_context(fresh(0)))
        for statement in parts(self._cells):
            self._world.execute(statement.text, statement.roles)

    def _step(self) -> list[Statement] | None:
        self._writer.draw_focus(parts(self._cells))
        for _ in range(12):
            try:
                names = [name for name in STEPS if name in self._features.enabled]
                feature = self._random.choices(names, [len(STEPS[name]) for name in names])[0]
                statements = self._writer.statements(STEPS, feature)
            except Unfit:
                continue
            self._cells.append([])
            if all(self._execute(statement) for statement in statements):
                return self._cells.pop()
            self._cells.pop()
            self._replay()
        return None


def parts(cells: Iterable[Iterable[Statement]]) -> Iterator[Statement]:
    """Give the statements of all cells."""
    for cell in cells:
        yield from cell
