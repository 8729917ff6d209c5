"""What one execution is given, and where it leaves how it ended."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from flownb.engine.observe import Observer
from flownb.engine.secrets import Secrets
from flownb.engine.stop import Stop

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flownb.engine.ending import Ending


@dataclass(frozen=True)
class Limits:
    """What an execution may take: time in seconds, memory; None: as much as it likes."""

    timeout: float | None = None  #: the whole run, from the start of its kernel
    step_timeout: float | None = None  #: each cell
    memory: int | None = None  #: bytes that the flow may take, above what its process has at its start
    spent: float = 0.0  #: seconds of `timeout` that are gone already: earlier attempts took them


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
