"""Work done in a thread of its own, for a caller that waits and may be interrupted."""

from __future__ import annotations

import errno
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

from flownb.engine.room import refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from flownb.engine.stop import Stop

_START = 1.0  #: seconds within which a thread that was started runs
_TICK = 0.1  #: seconds between calls of `tick`

T = TypeVar("T")


class Work(threading.Thread, Generic[T]):
    """A thread that does one thing; not a daemon, so that the interpreter's end waits for it."""

    def __init__(self, do: Callable[[], T], stop: Stop) -> None:
        """Prepare to do it; `stop` is requested when the caller is interrupted while it waits."""
        super().__init__(name="flownb-run")
        self._do, self._stopping = do, stop
        # a plain lock, let go when all is over: an interrupt while an `Event` is waited for may, by a race in
        # its own code, come out as a RuntimeError
        self._going = threading.Lock()
        self._going.acquire()
        self._begun = threading.Lock()
        self._begun.acquire()
        self._is_over = False
        self._done: list[T] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        """Do it; what is raised waits for `result`."""
        self._begun.release()
        try:
            self._done.append(self._do())
        except BaseException as error:  # noqa: BLE001  # raised again in the thread that waits
            self._error = error
        finally:
            self._is_over = True
            self._going.release()

    def result(self, tick: Callable[[], None] | None = None) -> T:
        """Do it, call `tick` about ten times a second meanwhile, and return what came of it, or raise it.

        Raises `EnvironmentRefusedError` where no thread can be started.
        """
        try:
            self.start()
        except BaseException as error:
            if not self._begun.acquire(timeout=_START):  # there is no such thread
                if isinstance(error, RuntimeError):
                    raise refusal(errno.EAGAIN) from error
                raise
            self._stopping.request()  # an interrupt came while the thread was starting
        trouble: BaseException | None = None
        while not self._is_over:
            try:
                if not self._going.acquire(timeout=_TICK) and tick is not None and trouble is None:
                    tick()
            except KeyboardInterrupt:
                with suppress(KeyboardInterrupt):  # the same finger
                    self._stopping.request()
            except BaseException as error:  # noqa: BLE001  # raised again below, when nothing runs any more
                trouble = error
                self._stopping.request()
        self.join()
        if trouble is not None:
            raise trouble
        if self._error is not None:
            raise self._error
        return self._done[0]
