"""What one execution is given, and where it leaves how it ended."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from flownb.engine.ending import Ending
from flownb.engine.observe import Observer
from flownb.engine.secrets import Secrets
from flownb.engine.stop import Stop

if TYPE_CHECKING:
    from collections.abc import Mapping

Cause = Literal["cancelled", "run", "step"]


@dataclass(frozen=True)
class Limits:
    """What an execution may take: time in seconds, memory; None: as much as it likes."""

    timeout: float | None = None  #: the whole run, the start of its process and its imports included
    step_timeout: float | None = None  #: each cell
    memory: int | None = None  #: bytes that the flow may take, above what its process has at its start
    spent: float = 0.0  #: seconds of `timeout` that are gone already: earlier attempts took them


class Stopped(Exception):  # no error
    """How a stop, or a limit that was passed, travels out of what it stopped."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause)
        self.cause: Cause = cause


@dataclass
class Session:
    """One execution on its way through papermill to the engine and back."""

    cwd: Path = field(default_factory=Path.cwd)
    env: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    observer: Observer = field(default_factory=Observer)
    secrets: Secrets = field(default_factory=Secrets)
    stop: Stop = field(default_factory=Stop)
    engine: str = "flownb"
    start_timeout: float = 60.0  #: seconds until a kernel that does not answer is given up
    started: float = field(default_factory=time.monotonic)
    ending: Ending | None = None  #: set when it is over

    @property
    def remaining(self) -> float | None:
        """Seconds until the run's limit; negative when it is past, None where there is none."""
        limit = self.limits.timeout
        return None if limit is None else self.started + limit - self.limits.spent - time.monotonic()

    @property
    def over(self) -> Cause | None:
        """Why nothing more is to be done: somebody stops it, or its limit is passed; None: go on."""
        if self.stop.requests:
            return "cancelled"
        remaining = self.remaining
        return "run" if remaining is not None and remaining <= 0 else None

    def check(self) -> None:
        """Raise `Stopped` where it is not to go on."""
        if (cause := self.over) is not None:
            raise Stopped(cause)

    def stopped(self, cause: Cause, cell: int | None) -> Ending:
        """Return how it ends that was stopped while the cell at that index was at work."""
        if cause == "cancelled":
            return Ending("cancelled", cell)
        after = self.limits.timeout if cause == "run" else self.limits.step_timeout
        return Ending("timed out", cell, limit=cause, after=after)
