"""A child process that leads a group of its own: its death is noticed at once, and takes the group along."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import TYPE_CHECKING

from flownb.engine.ending import exit_status
from flownb.engine.guard import Guard

if TYPE_CHECKING:
    import subprocess

_POLL = 0.05  #: seconds between looks where the system cannot tell of a death by itself


class Watched:
    """Watches a process that was started in a session of its own.

    `ended` is done when the process is; by then nothing of its group lives. The process that made this
    may be killed at any time: a guard ends the group then. To be let go with `release`, always.
    """

    def __init__(self, process: subprocess.Popen[bytes], folder: str) -> None:
        """Begin to watch; `folder` is a temporary one that the guard removes where nobody else can."""
        self.pid = process.pid
        self._process = process
        self._pidfd: int | None = None
        self._polling: asyncio.Task[None] | None = None
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = loop.create_future()
        self._guard = Guard(process.pid, folder)
        if hasattr(os, "pidfd_open"):
            self._pidfd = os.pidfd_open(process.pid)
            loop.add_reader(self._pidfd, self._has_ended)
        else:
            self._polling = loop.create_task(self._poll())

    async def _poll(self) -> None:
        while self._process.poll() is None:  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(_POLL)
        self._has_ended()

    def _has_ended(self) -> None:
        self._stop_watching()
        # with a pidfd the dead leader is not reaped yet, so the group's number is still its own
        self.kill()
        self._process.wait()
        if not self.ended.done():
            self.ended.set_result(None)

    def _stop_watching(self) -> None:
        if self._pidfd is not None:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None

    def interrupt(self) -> None:
        """Send the group an interrupt, as from a keyboard."""
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        """Kill the group; it is over when `ended` is done."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self.ended.done():
            return
        # nobody may be left in it (macOS says so by a refusal)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    @property
    def status(self) -> tuple[int | None, str | None]:
        """The status, or the signal's name, that the process ended with; None and None while it lives."""
        return exit_status(self._process.returncode)

    async def release(self) -> None:
        """Kill what is left and give back what watching it took."""
        self.kill()
        if not self.ended.done():
            await asyncio.wait({self.ended}, timeout=5)
        self._stop_watching()
        if self._polling is not None:
            self._polling.cancel()
        self._guard.dismiss()
