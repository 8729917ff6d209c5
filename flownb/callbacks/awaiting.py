"""Run an awaitable to its end from ordinary code, whether or not an event loop is running here.

Loads asyncio; imported only when a callback turned out to be asynchronous.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from typing import TYPE_CHECKING

from flownb.errors import CallbackError

if TYPE_CHECKING:
    from collections.abc import Awaitable


def finish(awaitable: Awaitable[object]) -> object:
    """Wait for an awaitable in this thread and return its result; its exception passes through.

    It runs on a new event loop, which never becomes this thread's own. Where a loop is running in this
    thread (a notebook's, say), the new one runs in a thread beside, with this one's context variables.
    A `KeyboardInterrupt` here cancels it, waits for its end, and passes on. `CallbackError` where it was
    cancelled by its own code.
    """
    try:
        if not _loop_is_running():
            return _run(awaitable)
        return _Beside(awaitable).result()
    except asyncio.CancelledError as error:
        raise CallbackError("the asynchronous callback was cancelled before its end") from error


def _loop_is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _run(awaitable: Awaitable[object]) -> object:
    # With a factory, a Runner leaves alone what asyncio.get_event_loop() gives in this thread.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        return runner.run(_awaited(awaitable))


async def _awaited(awaitable: Awaitable[object]) -> object:
    return await awaitable


class _Beside:
    """One awaitable that runs on a loop in another thread while this one waits."""

    def __init__(self, awaitable: Awaitable[object]) -> None:
        self._awaitable = awaitable
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[object] | None = None
        self._value: object = None
        self._error: BaseException | None = None
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._work,), name="flownb-callback", daemon=True
        )

    def result(self) -> object:
        self._thread.start()
        try:
            self._thread.join()
        except KeyboardInterrupt:
            if self._loop is not None and self._task is not None and not self._task.done():
                with contextlib.suppress(RuntimeError):  # closed since: it is at its end anyway
                    self._loop.call_soon_threadsafe(self._task.cancel)
            self._thread.join()
            raise
        if self._error is not None:
            raise self._error
        return self._value

    def _work(self) -> None:
        try:
            self._value = _run(self._main())
        except BaseException as error:  # noqa: BLE001 - handed to the waiting thread, which raises it
            self._error = error

    async def _main(self) -> object:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        return await self._awaitable
