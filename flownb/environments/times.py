"""Where the time of a run goes, beside its steps: each moment is somebody's."""

from __future__ import annotations

import time

START = "start"  #: until there is a process
IMPORTS = "imports"
SETUP = "setup"  #: what the flow replays, and its parameters
STEP = "step"  #: which has a clock of its own
OUTPUTS = "outputs"  #: that are stored
RETRIES = "retries"  #: attempts that failed, and the waits behind them
END = "end"  #: of the process


class Times:
    """A clock that is turned from one thing to the next."""

    def __init__(self) -> None:
        """Begin, with the start."""
        self._seconds: dict[str, float] = {}
        self._what, self._since = START, time.monotonic()

    def turn_to(self, what: str) -> None:
        """Note that something else takes the time from now on."""
        now = time.monotonic()
        self._seconds[self._what] = self._seconds.get(self._what, 0.0) + now - self._since
        self._what, self._since = what, now

    def begin_again(self) -> None:
        """Note that all of the time so far went to an attempt that failed."""
        self.turn_to(START)
        self._seconds = {RETRIES: sum(self._seconds.values())}

    @property
    def seconds(self) -> dict[str, float]:
        """The seconds that went to each so far, less the steps', in the order in which they came up."""
        self.turn_to(self._what)
        return {what: round(seconds, 6) for what, seconds in self._seconds.items() if what != STEP}
