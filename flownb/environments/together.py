"""Runs that go on beside the caller: one in a thread of its own, or many, so many at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from typing import TYPE_CHECKING

from flownb.environments.signals import guard_here, interrupted_by_signals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flownb.runs import Run, Runs

Tell = Callable[["Run"], object]  #: is called with the Run while it changes, and at its end
Work = Callable[[Tell], "Run"]  #: does a run, telling of it, and returns it


def beside(work: Work, tell: Tell | None = None) -> Run:
    """Do a run in a thread, and return it as soon as there is something to tell of it.

    Where it cannot begin, what it raises is raised here. The end of the interpreter waits for it.
    """
    begun: Future[Run] = Future()

    def told(run: Run) -> None:
        if not begun.done():
            begun.set_result(run)
        if tell is not None:
            tell(run)

    def do() -> None:
        try:
            run = work(told)
        except BaseException as error:
            if begun.done():
                raise
            begun.set_exception(error)
        else:
            if not begun.done():
                begun.set_result(run)

    guard_here()
    threading.Thread(target=copy_context().run, args=(do,), name="flownb-submit").start()
    return begun.result()


class Several:
    """Runs that are done together, at most `parallel` at a time; their telling takes turns."""

    def __init__(self, works: Sequence[Work], parallel: int, tell: Tell | None) -> None:
        self._works = works
        self._parallel = parallel
        self._tell = tell
        self._turn = threading.Lock()
        self._running: dict[int, Run] = {}
        self._stopped = False

    def run(self) -> Runs:
        """Do them, and return those that were begun, in their order.

        On an interrupt those that go on are cancelled and no more begin. Where one cannot be recorded the
        rest could not be either: what it raises is raised.
        """
        from flownb.runs import Runs

        with (
            interrupted_by_signals(),
            ThreadPoolExecutor(max_workers=self._parallel, thread_name_prefix="flownb-map") as pool,
        ):
            futures = [
                pool.submit(copy_context().run, self._one, number, work)
                for number, work in enumerate(self._works)
            ]
            waiting = set(futures)
            while waiting:
                try:
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    if any(not future.cancelled() and future.exception() for future in done):
                        self._stop(futures)
                except KeyboardInterrupt:
                    self._stop(futures)
        return Runs(future.result() for future in futures if not future.cancelled())

    def _one(self, number: int, work: Work) -> Run:
        def told(run: Run) -> None:
            if number not in self._running:
                self._running[number] = run
                if self._stopped:
                    run.cancel()
            if self._tell is not None:
                with self._turn:
                    self._tell(run)

        return work(told)

    def _stop(self, futures: Sequence[Future[Run]]) -> None:
        self._stopped = True
        for future in futures:
            future.cancel()
        for number, run in list(self._running.items()):
            if futures[number].running():
                run.cancel()
