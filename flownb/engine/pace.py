"""How often something costly may be done beside the work itself."""

from __future__ import annotations

import time


class Pace:
    """Says when to write again: at least `least` seconds apart, and for at most `share` of the time.

    So a notebook that has grown large is written more seldom, and the run does not wait for its record.
    """

    def __init__(self, least: float = 0.5, share: float = 0.05) -> None:
        """Be due at once."""
        self._least = least
        self._share = share
        self._next = 0.0

    @property
    def due(self) -> bool:
        """Whether it is time."""
        return time.monotonic() >= self._next

    def done(self, cost: float) -> None:
        """Note that it was done just now, in `cost` seconds."""
        self._next = time.monotonic() + max(self._least, cost / self._share)
