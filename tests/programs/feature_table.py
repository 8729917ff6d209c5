"""Counts what programs have, and how often it matters."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from oracle import check, smallest_slice
from trivial_slicers import only_last_bindings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from programs import Program


@dataclass
class Counts:
    """What was counted; counts of several processes are added."""

    programs: int = 0
    hard: int = 0  #: programs on which `only_last_bindings` fails
    statements: int = 0
    needed: int = 0  #: statements of the smallest slices
    having: Counter[str] = field(default_factory=Counter)  #: feature -> programs
    hard_having: Counter[str] = field(default_factory=Counter)
    needing: Counter[str] = field(default_factory=Counter)  #: feature -> programs whose smallest slice has it

    def add(self, program: Program, *, needs: bool = True) -> None:
        """Count a program.

        Args:
            program: one that runs.
            needs: also make its smallest slice, which takes far longer than all the rest.
        """
        hard = not check(program, only_last_bindings).good
        self.programs += 1
        self.hard += hard
        self.statements += len(program.statements)
        self.having.update(program.all_features)
        self.hard_having.update(program.all_features if hard else ())
        if needs:
            smallest = smallest_slice(program)
            self.needed += len(smallest)
            self.needing.update(frozenset().union(*(statement.features for statement in smallest)))

    def merge(self, other: Counts) -> None:
        """Add what was counted elsewhere."""
        for name in ("programs", "hard", "statements", "needed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("having", "hard_having", "needing"):
            getattr(self, name).update(getattr(other, name))

    def summary(self) -> str:
        """Tell of all programs together."""
        size, hard = self.statements / self.programs, self.hard / self.programs
        return (
            f"{self.programs} programs of {size:.1f} statements; only_last_bindings fails on {hard:.1%}; "
            f"the smallest slices keep {self.needed / self.statements:.1%} of the statements"
        )

    def table(self, features: Iterable[str]) -> str:
        """Tell of each feature how many programs have it, how many of them are hard, and how many need it."""
        lines = [f"{'feature':52} {'programs':>9} {'hard':>6} {'needed':>7}"]
        lines += [
            f"{name:52} {self.having[name]:9} {self.hard_having[name]:6} {self.needing[name]:7}"
            for name in sorted(features)
        ]
        return "\n".join(lines)
