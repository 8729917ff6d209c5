"""How much of a run's time goes into writing it down while it goes on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_SHARE = 0.05  #: of the time since the beginning
_APART = 0.5  #: seconds at least between one writing and the next
_EACH = 2e-8  #: seconds that writing one more character is thought to take


class Share:
    """Says when the whole of something that grows may be written again: for a twentieth of the time at most.

    It looks ahead: what has grown by 50 MB since it was last written takes longer than it took then. Where
    that was thought too short, the next writing waits for longer.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin now; `clock` tells seconds."""
        self._clock = clock
        self._began = self._last = clock()
        self._spent = self._cost = 0.0
        self._grown = 0

    def grew(self, characters: int) -> None:
        """Note that there is so much more to write."""
        self._grown += characters

    @property
    def allows(self) -> bool:
        """Whether it may be written now."""
        now = self._clock()
        cost = self._cost + self._grown * _EACH
        return now - self._last >= _APART and self._spent + cost <= (now - self._began) * _SHARE

    def wrote(self, seconds: float) -> None:
        """Note that it was written just now, in so many seconds."""
        self._last = self._clock()
        self._spent += seconds
        self._cost = seconds
        self._grown = 0
