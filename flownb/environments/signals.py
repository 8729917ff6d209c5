"""SIGTERM and SIGHUP to a process that supervises runs: they are cancelled, and then it ends as it was asked.

What is supervised in the main thread meets with a `KeyboardInterrupt`, as at Ctrl-C; what is supervised in
other threads is asked to stop, and the main thread waits for it. Only the main thread can set handlers: a
program that starts all its runs in other threads is ended by the signal at once, as any other. Whoever has
the signal ignored (nohup) keeps that.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NUMBERS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class _Guard:
    """The handler, which knows what is supervised here; Python keeps it as it keeps any handler."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._before: dict[int, Any] = {}
        self._asked: int | None = None  #: the signal that came
        self._changing = threading.RLock()  # the handler runs in a thread that may hold it
        self.inside = 0  #: blocks of the main thread that are interrupted
        self.runs: dict[threading.Event, Callable[[], object]] = {}  #: over -> asks to stop

    def install(self) -> None:
        for number in _NUMBERS:
            before = signal.getsignal(number)
            if before is not signal.SIG_IGN and before is not None:
                self._before[number] = before
                signal.signal(number, self)

    def uninstall(self) -> None:
        for number, before in self._before.items():
            if signal.getsignal(number) is self:
                signal.signal(number, before)

    def __call__(self, number: int, frame: object) -> None:
        """Hear the signal, in the main thread, between any two of its instructions."""
        del frame
        self._asked = number
        if self.inside and os.getpid() == self._process:
            raise KeyboardInterrupt
        self.end()

    def end(self) -> None:
        """Where a signal came: cancel what goes on beside, and let the process hear it as without us."""
        if self._asked is None:
            return
        if os.getpid() == self._process:  # a process forked from it supervises nothing
            with self._changing:
                runs = dict(self.runs)
            for stop in runs.values():
                stop()
            for over in runs:
                over.wait()
        self.uninstall()
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        os.kill(os.getpid(), self._asked)

    @contextmanager
    def watching(self, stop: Callable[[], object]) -> Iterator[None]:
        over = threading.Event()
        with self._changing:
            self.runs[over] = stop
        try:
            yield
        finally:
            over.set()
            with self._changing:
                del self.runs[over]


@contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """Interrupt the block when the process is told to end; behind the outermost such block it does.

    In other threads than the main one this does nothing.
    """
    guard = guard_here()
    if guard is None:
        yield
        return
    guard.inside += 1
    try:
        yield
    finally:
        guard.inside -= 1
        if not guard.inside:
            guard.end()
            if not guard.runs:
                guard.uninstall()


@contextmanager
def stopped_by_signals(stop: Callable[[], object]) -> Iterator[None]:
    """Supervise a run in the block: in the main thread it is interrupted, in another one `stop` is called."""
    if threading.current_thread() is threading.main_thread():
        with interrupted_by_signals():
            yield
        return
    guard = _installed()
    if guard is None:
        yield
        return
    with guard.watching(stop):
        yield


def guard_here() -> _Guard | None:
    """Set the handlers, where they are not set, so that runs of other threads are cancelled; see above."""
    if threading.current_thread() is not threading.main_thread():
        return None
    guard = _installed()
    if guard is None:
        guard = _Guard()
        guard.install()
    return guard


def _installed() -> _Guard | None:
    found = (signal.getsignal(number) for number in _NUMBERS)
    return next((handler for handler in found if isinstance(handler, _Guard)), None)
