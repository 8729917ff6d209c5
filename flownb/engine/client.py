"""papermill's notebook client, with a kernel that is watched, limits that hold, and an end that is told.

The cells are executed, and their messages folded into outputs, by nbclient; what differs is when it
stops, what it does with a kernel that dies, and whom it tells.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, TypeVar

from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from papermill.clientwrap import PapermillNotebookClient

from flownb.engine.ending import CellError, Ending, cell_error, error_of
from flownb.engine.folding import Folding
from flownb.engine.kernel import Kernel
from flownb.engine.observe import Reply
from flownb.engine.order import runs, secrets_after
from flownb.engine.session import Stopped
from flownb.errors import EnvironmentRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from nbformat import NotebookNode

    from flownb.engine.manager import Manager
    from flownb.engine.session import Session

GRACE = 2.0
"""Seconds that a kernel gets to answer an interrupt before it is killed."""

PATIENCE = 10.0
"""Seconds that the exit handlers of the flow's code get when it has ended by itself."""

_TICK = 0.25  #: seconds between calls of the observer's `tick`
_QUIET = 0.05  #: seconds without a message after which nothing more comes from a dead kernel
_IOPUB_LIMIT = 60  #: seconds that outputs may come after the reply that they belong to

T = TypeVar("T")


class Client(Folding, PapermillNotebookClient):  # type: ignore[misc]  # papermill has no types
    """Executes one notebook with papermill's standard engine; `execute` leaves a true `Ending`."""

    def __init__(self, manager: Manager, session: Session, **traits: Any) -> None:
        """Prepare to execute the manager's notebook for `session`; `traits` are nbclient's options."""
        super().__init__(manager, iopub_timeout=_IOPUB_LIMIT, **traits)
        self.session = session
        self.kernel: Kernel
        self._stop: asyncio.Future[None]  # done when a stop is asked for
        self._hurry: asyncio.Future[None]  # done when it is asked for again
        self._trouble: asyncio.Future[None]  # what an observer raised where nobody waits for it
        self._last_message = 0.0
        self.hide(session.secrets)

    def execute(self, **_: Any) -> NotebookNode:
        """Execute the notebook; how it ended is in the session's `ending`.

        Raises what an observer raised, and `EnvironmentRefusedError` where there is no kernel to be had.
        """
        asyncio.run(self._execute())
        return self.nb

    async def _execute(self) -> None:
        self.reset_execution_trackers()
        loop = asyncio.get_running_loop()
        self._stop, self._hurry, self._trouble = (loop.create_future() for _ in range(3))
        with self.session.stop.listening(lambda: loop.call_soon_threadsafe(self._heed_stop)):
            self.kernel = await Kernel.start(self.kernel_name, self.session.cwd, self.session.env)
            ticking = loop.create_task(self._tick())
            patience: float | None = None
            try:
                ending = await self._with_kernel()
                patience = PATIENCE if ending.how in ("success", "failed") else GRACE
                self.session.ending = ending
            finally:
                ticking.cancel()
                await self.kernel.close(patience, self._hurry)
            self._raise_trouble()

    def _heed_stop(self) -> None:
        for future in (self._stop, self._hurry)[: self.session.stop.requests]:
            if not future.done():
                future.set_result(None)

    async def _with_kernel(self) -> Ending:
        self.km, self.kc = self.kernel.manager, self.kernel.client
        self.session.observer.kernel_started(self.kernel.process.pid)
        self._at: int | None = None
        try:
            await self._within(self._ready(), None)
            ending = await self._cells()
            self.set_widgets_metadata()
        except Stopped as stopped:
            ending = self.session.stopped(stopped.cause, self._at)
        except DeadKernelError:
            ending = await self._died()
        return ending

    async def _ready(self) -> None:
        info = await self.kernel.ready(self.session.start_timeout)
        if "language_info" in info:
            self.nb.metadata["language_info"] = info["language_info"]

    async def _cells(self) -> Ending:
        behind = secrets_after(self.nb, self.skip_cells_with_tag)
        if behind is None:
            await self._deliver_secrets()
        for index, cell in enumerate(self.nb.cells):
            if not runs(cell, self.skip_cells_with_tag):
                self.nb_man.passed_over(cell)
                continue
            self._at = index
            ending = await self._cell(index, cell)
            if ending is not None:
                return ending
            if index == behind:
                await self._deliver_secrets()
            await self._after(index, cell)
        self._at = None
        return Ending("success")

    async def _cell(self, index: int, cell: NotebookNode) -> Ending | None:
        """Execute one cell; returns how the run ended, where it ended with this cell."""
        self.nb_man.cell_start(cell, index)
        ending: Ending | None = None
        try:
            await self._within(self._one(cell, index), self.session.limits.step_timeout)
        except CellExecutionError as raised:
            error = cell_error(cell, (raised.ename, self.redacted(raised.evalue)))
            ending = (
                Ending("success", index, early=True) if error.exits_well else Ending("failed", index, error)
            )
        except CellTimeoutError:
            ending = Ending("failed", index, CellError("TimeoutError", "the cell's outputs did not arrive"))
        except Stopped as stopped:
            ending = self.session.stopped(stopped.cause, self._at)
        except DeadKernelError:
            ending = await self._died()
        self.nb_man.cell_end(cell, index, error_of(cell, ending))
        return ending

    async def _one(self, cell: NotebookNode, index: int) -> None:
        payload: list[dict[str, Any]] = []

        def keep(execute_reply: dict[str, Any], **_: Any) -> None:
            payload.extend(execute_reply["content"].get("payload", ()))

        self.on_cell_executed = keep
        await self.async_execute_cell(cell, index)
        if any(item.get("source") == "ask_exit" and not item.get("keepkernel") for item in payload):
            # IPython's own `exit` and `quit`: no exception, but the kernel ends behind the cell
            raise CellExecutionError("", "SystemExit", "0")

    async def _died(self) -> Ending:
        await asyncio.wait({self.kernel.process.ended}, timeout=GRACE)
        code, name = self.kernel.process.status
        return Ending("died", self._at, exit_code=code, signal=name, log=self.redacted(self.kernel.log()))

    # what may take long, and what ends it

    async def _within(self, work: Coroutine[Any, Any, T], limit: float | None) -> T:
        """Await `work`, at most `limit` seconds and to the run's own limit, and while nobody stops it."""
        task = asyncio.ensure_future(work)
        remaining = self.session.remaining
        limits = [value for value in (limit, remaining) if value is not None]
        awaited: set[asyncio.Future[Any]] = {task, self._stop, self._trouble}
        await asyncio.wait(
            awaited,
            timeout=max(0.0, min(limits)) if limits else None,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if task.done() and not self._trouble.done():
            return task.result()
        remaining = self.session.remaining
        await self._end(task)
        self._raise_trouble()
        if self._stop.done():
            raise Stopped("cancelled")
        raise Stopped("run" if remaining is not None and remaining <= 0 else "step")

    async def _end(self, task: asyncio.Future[Any]) -> None:
        """Stop what the kernel does for `task`: by an interrupt, and if that does not help, by force."""
        if not task.done():
            await self.kernel.interrupt()
            await asyncio.wait({task, self._hurry}, timeout=GRACE, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            self.kernel.process.kill()
            await asyncio.wait({task}, timeout=GRACE)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def _tell(self, method: Callable[..., None], *args: Any) -> None:
        """Tell the observer where an exception would be lost; it ends the run through `_within`."""
        try:
            method(*args)
        except Exception as error:  # noqa: BLE001  # raised again by `_raise_trouble`
            if not self._trouble.done():
                self._trouble.set_exception(error)

    def _raise_trouble(self) -> None:
        if self._trouble.done():
            self._trouble.result()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            self._tell(self.session.observer.tick, self.nb)

    # code that is no cell

    async def _deliver_secrets(self) -> None:
        if self.session.secrets:
            reply = await self._within(self._silent(self.session.secrets.source), None)
            if not reply.ok:
                what = f"{reply.error.ename}: {reply.error.evalue}" if reply.error else "no answer"
                raise EnvironmentRefusedError(
                    f"the secret parameters could not be given to the kernel: {what}"
                )

    async def _after(self, index: int, cell: NotebookNode) -> None:
        wanted = self.session.observer.code_after(index, cell)
        if wanted is not None:
            reply = await self._within(self._silent(wanted.code), None)
            self.session.observer.code_ended(index, cell, reply)

    async def _silent(self, code: str) -> Reply:
        """Run code in the kernel that leaves no trace in it, and return what it answered."""
        assert self.kc is not None
        asked = self.kc.execute(code, silent=True, store_history=False, stop_on_error=False)
        answer = asyncio.ensure_future(self._answer(asked))
        awaited: set[asyncio.Future[Any]] = {answer, self.kernel.process.ended}
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            raise DeadKernelError("Kernel died")
        return answer.result()

    async def _answer(self, asked: str) -> Reply:
        content: dict[str, Any] = {}
        while not content:
            message = await self.kc.shell_channel.get_msg()
            if message["parent_header"].get("msg_id") == asked:
                content = message["content"]
        printed = []
        while True:
            message = await self.kc.iopub_channel.get_msg()
            if message["parent_header"].get("msg_id") != asked:
                continue
            if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
                printed.append(message["content"]["text"])
            elif message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                break
        error = None
        if content["status"] != "ok":
            ename, evalue = str(content.get("ename", "Error")), str(content.get("evalue", ""))
            traceback = tuple(self.redacted(list(content.get("traceback", ()))))
            error = CellError(ename, self.redacted(evalue), traceback)
        return Reply(error is None, self.redacted("".join(printed)), error)

    # what nbclient calls

    async def _async_poll_kernel_alive(self) -> None:
        """End the wait for a reply when the kernel dies, not before what it still said is read."""
        await asyncio.shield(self.kernel.process.ended)
        while time.monotonic() - self._last_message < _QUIET:  # noqa: ASYNC110  # waits for silence
            await asyncio.sleep(_QUIET / 2)
        if self.task_poll_for_reply is not None:
            self.task_poll_for_reply.cancel()

    def process_message(
        self, msg: dict[str, Any], cell: NotebookNode, cell_index: int
    ) -> NotebookNode | None:
        """Note when the kernel last said something, and fold it into its cell."""
        self._last_message = time.monotonic()
        output: NotebookNode | None = super().process_message(msg, cell, cell_index)
        return output

    def folded(self, index: int, cell: NotebookNode, output: NotebookNode | None) -> None:
        """Tell the observer of a new output."""
        self._tell(self.session.observer.cell_output, index, cell, output)
