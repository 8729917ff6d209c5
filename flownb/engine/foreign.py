"""Other papermill engines, each run in a child process: they cannot be trusted with this one.

They want the working directory and the variables of the process itself, know of no stop, and print what
they like. In a child all that is theirs; it tells of each cell through a pipe.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from flownb.engine.ending import CellError, Ending, error_of
from flownb.engine.kernelspecs import check_folder, child_environment
from flownb.engine.manager import Manager
from flownb.engine.process import Watched

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from flownb.engine.session import Session

GRACE = 2.0
"""Seconds that the engine gets to answer an interrupt before it is killed."""

_TICK = 0.25
_LOG_LIMIT = 8_000
_START = """
import sys
sys.path.append(sys.argv[1])
from flownb.engine.child import main
main(int(sys.argv[2]))
"""


def run_foreign(nb: NotebookNode, kernel_name: str, session: Session) -> None:
    """Execute `nb` in place with the papermill engine that the session names.

    The session's `ending` says how it ended. Raises what its observer raises. There are no secrets by now:
    those engines have no way for them.
    """
    check_folder(session.cwd)
    manager = Manager(nb, session.observer, progress_bar=False)
    manager.notebook_start()
    try:
        session.ending = asyncio.run(_Foreign(nb, kernel_name, session).run())
    finally:
        manager.notebook_complete()


class _Foreign:
    def __init__(self, nb: NotebookNode, kernel_name: str, session: Session) -> None:
        self.nb = nb
        self.session = session
        self._job = {"nb": nb, "engine": session.engine, "kernel": kernel_name}
        self._at: int | None = None  # index of the cell at work
        self._at_since = 0.0
        self._failed: tuple[int, CellError] | None = None
        self._over: dict[str, Any] = {}
        self._exited_early: int | None = None

    async def run(self) -> Ending:
        with tempfile.TemporaryDirectory(prefix="flownb-") as folder, tempfile.TemporaryFile() as log:
            read, write = os.pipe()
            with os.fdopen(read, "rb") as events:
                try:
                    child = self._start(write, log, folder)
                finally:
                    os.close(write)
                try:
                    return await self._follow(child, events, log)
                finally:
                    await child.release()

    def _start(self, write: int, log: IO[bytes], folder: str) -> Watched:
        job = Path(folder, "job.json")
        job.write_text(json.dumps(self._job), encoding="utf-8")
        with job.open("rb") as stdin:
            process = subprocess.Popen(  # noqa: S603  # this Python, and a constant program
                [sys.executable, "-c", _START, str(Path(__file__).parents[2]), str(write)],
                stdin=stdin,
                stdout=log,
                stderr=log,
                pass_fds=[write],
                start_new_session=True,
                cwd=self.session.cwd,
                env=child_environment(self.session.env),
            )
        return Watched(process, folder)

    async def _follow(self, child: Watched, events: IO[bytes], log: IO[bytes]) -> Ending:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=2**31)
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), events)
        stopped = asyncio.Event()
        self.session.observer.kernel_started(child.pid)
        try:
            with self.session.stop.listening(lambda: loop.call_soon_threadsafe(stopped.set)):
                cut = await self._until_over(reader, stopped)
                if cut is not None:
                    child.interrupt()
                    await asyncio.wait({child.ended}, timeout=GRACE if self.session.stop.requests < 2 else 0)
                    child.kill()
                await asyncio.wait({child.ended}, timeout=None if cut is None else GRACE)
        finally:
            transport.close()
        return self._ending(cut, child.status, _tail(log))

    async def _until_over(self, reader: asyncio.StreamReader, stopped: asyncio.Event) -> Ending | None:
        """Hear the child's events until its last; returns the ending where something cut it short."""
        line = asyncio.ensure_future(reader.readline())
        try:
            while True:
                await asyncio.wait({line}, timeout=_TICK)
                self.session.observer.tick(self.nb)
                if line.done():
                    data = line.result()
                    if not data:
                        return None
                    self._hear(json.loads(data))
                    line = asyncio.ensure_future(reader.readline())
                cut = Ending("cancelled", self._at) if stopped.is_set() else self._past_limit()
                if cut is not None:
                    return cut
        finally:
            line.cancel()

    def _past_limit(self) -> Ending | None:
        limits, remaining = self.session.limits, self.session.remaining
        if remaining is not None and remaining <= 0:
            return Ending("timed out", self._at, limit="run", after=limits.timeout)
        step = limits.step_timeout
        if self._at is not None and step is not None and time.monotonic() - self._at_since > step:
            return Ending("timed out", self._at, limit="step", after=step)
        return None

    def _hear(self, event: dict[str, Any]) -> None:
        from nbformat import from_dict

        observer, kind = self.session.observer, event["event"]
        if kind == "over":
            self._over = event
            self.nb.metadata.update(from_dict(event["metadata"]))
            return
        index = event["index"]
        cell = self.nb.cells[index]
        cell.update(from_dict(event["cell"]))
        if kind == "started":
            self._at, self._at_since = index, time.monotonic()
            observer.cell_started(index, cell)
        elif kind == "ended":
            self._at = None
            told = event["error"]
            error = CellError(**{**told, "traceback": tuple(told["traceback"])}) if told else None
            for output in cell.get("outputs", ()):
                observer.cell_output(index, cell, output)
            if error is not None and error.exits_well:
                self._exited_early, error = index, None
            if error is not None and self._failed is None:
                self._failed = index, error
            observer.cell_ended(index, cell, error)

    def _ending(self, cut: Ending | None, status: tuple[int | None, str | None], log: str) -> Ending:
        ending = cut or self._own_ending(status, log)
        if self._at is not None:
            cell = self.nb.cells[self._at]
            cell.metadata.papermill.update(status="failed", exception=True)
            self.session.observer.cell_ended(self._at, cell, error_of(cell, ending))
        engine = self.session.engine
        note = f"papermill's engine {engine!r} runs no code between cells: outputs are not collected"
        return replace(ending, notes=(note,))

    def _own_ending(self, status: tuple[int | None, str | None], log: str) -> Ending:
        if not self._over:
            return Ending("died", self._at, exit_code=status[0], signal=status[1], log=log)
        if self._over["raised"] and self._over["raised"][0] == "DeadKernelError":
            return Ending("died", self._at, log=log)
        if self._failed is not None:
            return Ending("failed", *self._failed)
        if self._over["raised"]:
            return Ending("failed", self._at, CellError(*self._over["raised"]), log=log)
        if self._exited_early is not None:
            return Ending("success", self._exited_early, early=True)
        return Ending("success")


def _tail(log: IO[bytes]) -> str:
    size = log.seek(0, os.SEEK_END)
    log.seek(max(0, size - _LOG_LIMIT))
    return log.read().decode("utf-8", "replace").strip()
