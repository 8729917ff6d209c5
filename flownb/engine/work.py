"""Work done in a thread of its own, for a caller that waits and may be interrupted."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from flownb.engine.stop import Stop

_TICK = 0.1  #: seconds between calls of `tick`

T = TypeVar("T")


class Work(threading.Thread, Generic[T]):
    """A thread that does one thing; not a daemon, so that the interpreter's end waits for it."""

    def __init__(self, do: Callable[[], T], stop: Stop) -> None:
        """Prepare to do it; `stop` is requested when the caller is interrupted while it waits."""
        super().__init__(name="flownb-run")
        self._do, self._stopping = do, stop
        self._over = threading.Event()
        self._done: list[T] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        """Do it; what is raised waits for `result`."""
        try:
            self._done.append(self._do())
        except BaseException as error:  # noqa: BLE001  # raised again in the thread that waits
            self._error = error
        finally:
            self._over.set()

    def result(self, tick: Callable[[], None] | None = None) -> T:
        """Do it, call `tick` about ten times a second meanwhile, and return what came of it, or raise it."""
        self.start()
        trouble: BaseException | None = None
        while not self._over.is_set():
            try:
                if not self._over.wait(_TICK) and tick is not None and trouble is None:
                    tick()
            except KeyboardInterrupt:
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
