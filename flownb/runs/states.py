"""The states of a run, and of each of its steps."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a run or a step stands. A terminal state is final: nothing overwrites it."""

    PENDING = "Pending"  #: recorded, not started
    RUNNING = "Running"
    SUCCESS = "Success"
    FAILED = "Failed"  #: the flow's own error, a time limit, or `on_start` failed
    CANCELLED = "Cancelled"  #: somebody asked for it
    CRASHED = "Crashed"  #: its process died without a word
    SKIPPED = "Skipped"  #: of a step alone: the flow ended before it

    @property
    def terminal(self) -> bool:
        """Whether nothing comes after it."""
        return self not in (State.PENDING, State.RUNNING)
