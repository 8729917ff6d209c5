"""A request to stop that any thread can make, and that wakes whoever listens at once."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Stop:
    """Asks an execution to end: first by an interrupt, and when asked again, without waiting."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal's handler may ask in a thread that has it
        self._requests = 0
        self._listeners: list[Callable[[], object]] = []

    @property
    def requests(self) -> int:
        """How often a stop was asked for. One: interrupt, and kill after a grace. More: kill now."""
        return self._requests

    def request(self) -> None:
        """Ask to stop. May be called from any thread, also before the execution has begun."""
        with self._lock:
            self._requests += 1
            listeners = list(self._listeners)
        for listener in listeners:
            listener()

    @contextmanager
    def listening(self, listener: Callable[[], object]) -> Iterator[None]:
        """Call `listener` at each request within the block, in the thread that makes it.

        Where a stop was asked for already, it is called at once.
        """
        with self._lock:
            self._listeners.append(listener)
            asked = self._requests
        if asked:
            listener()
        try:
            yield
        finally:
            with self._lock:
                self._listeners.remove(listener)
