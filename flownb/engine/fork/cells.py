"""The loop over a notebook's cells in a forked process: secrets, silent code, cells sent ahead, a true end.

What an observer raises comes straight through, and the process is killed on the way out.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from flownb.engine.ending import CellError, Ending, cell_error, death, error_of
from flownb.engine.fork.fold import message_of
from flownb.engine.fork.inside.wire import Frame
from flownb.engine.fork.process import Ended
from flownb.engine.fork.talk import Died, Request, Talk
from flownb.engine.observe import Reply
from flownb.engine.order import runs, secrets_after
from flownb.engine.session import Stopped
from flownb.errors import EnvironmentRefusedError

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from flownb.engine.fork.fold import Fold
    from flownb.engine.fork.keeper import Keeper
    from flownb.engine.fork.process import Process
    from flownb.engine.session import Session

_AHEAD = 16  #: cells that are sent before the one that is at work has ended
_PLENTY = 8  #: cells that keep the process at work for a while


class Cells:
    """Executes the cells of one notebook in a process; `run` says how that ended."""

    def __init__(self, process: Process, fold: Fold, keeper: Keeper, session: Session) -> None:
        """Prepare to execute the keeper's notebook in `process`, which has not begun."""
        self.nb = keeper.nb
        self._process = process
        self._fold = fold
        self._keeper = keeper
        self._session = session
        self._talk = Talk(process, session, lambda: session.observer.tick(self.nb))
        self._at: int | None = None
        self._count = 1  # what the next cell's execution has for a number
        # index of each cell that runs -> that of the next
        self._following = _following(self.nb, fold.skip_cells_with_tag)
        self._ahead: dict[int, str] = {}  # index of a cell that was sent ahead -> name of the request
        self._secrets_behind = secrets_after(self.nb, fold.skip_cells_with_tag)
        self._kills: int | None = None  # for want of memory, before the first cell ran

    def run(self, env: dict[str, str | None]) -> Ending:
        """Execute all cells, and end the process; nothing of it lives when this returns.

        `env` is what of its variables is to be changed first. Raises what the observer raises, and
        `EnvironmentRefusedError` where it cannot begin.
        """
        try:
            with self._session.stop.listening(self._process.wake):
                ending = self._run(env)
                by_itself = ending.how in ("success", "failed")
                self._talk.leave(by_itself=by_itself)
                note = self._talk.note() if by_itself else ""
        finally:
            self._talk.end()
        return replace(ending, notes=(*ending.notes, note)) if note else ending

    def _run(self, env: dict[str, str | None]) -> Ending:
        self._session.observer.kernel_started(self._process.pid)
        try:
            self._begin(env)
            ending = self._cells()
            self._fold.set_widgets_metadata()
        except Stopped as stopped:
            ending = self._session.stopped(stopped.cause, self._at)
        except Died:
            ending = self._died()
        return ending

    def _begin(self, env: dict[str, str | None]) -> None:
        session = self._session
        wanted = {"cwd": str(session.cwd), "memory": session.limits.memory, "env": env}
        self._process.send(Frame("begin", wanted))
        self._kills = _out_of_memory_kills()
        first = next(iter(self._following), None)
        if first is not None and self._may_go_along():
            self._ahead[first] = self._ask_cell(first, ahead="if well")
        request = Request("")
        try:
            self._talk.until(request, session.start_timeout)
        except Stopped:
            self._process.kill()  # the first cell must not go on as if nobody had stopped it
            raise
        assert request.answer is not None
        said = request.answer.head
        if request.answer.kind == "refused":
            raise EnvironmentRefusedError(
                f"the flow cannot run in {session.cwd}: {said['reason']}; set `cwd`"
            )
        self.nb.metadata["language_info"] = said["language_info"]

    def _may_go_along(self) -> bool:
        """Whether the first cell may be sent along with the beginning: nothing has to come between them."""
        return self._session.over is None and (self._secrets_behind is not None or not self._session.secrets)

    def _cells(self) -> Ending:
        skip, behind = self._fold.skip_cells_with_tag, self._secrets_behind
        if behind is None:
            self._deliver_secrets()
        for index, cell in enumerate(self.nb.cells):
            if not runs(cell, skip):
                self._keeper.passed_over(cell, index)
                continue
            self._at = index
            ending = self._cell(index, cell)
            if ending is not None:
                return ending
            if index == behind:
                self._deliver_secrets()
            self._after(index, cell)
        self._at = None
        return Ending("success")

    def _cell(self, index: int, cell: NotebookNode) -> Ending | None:
        """Execute one cell; returns how the run ended, where it ended with this cell."""
        self._keeper.cell_start(cell, index)
        ending: Ending | None = None
        try:
            error = self._one(index, cell)
            if error is not None:
                well = error.exits_well
                ending = Ending("success", index, early=True) if well else Ending("failed", index, error)
        except Stopped as stopped:
            ending = self._session.stopped(stopped.cause, index)
        except Died:
            ending = self._died()
        self._keeper.cell_end(cell, index, error_of(cell, ending))
        return ending

    def _one(self, index: int, cell: NotebookNode) -> CellError | None:
        """Execute one cell; returns the error that it ended with, where that is to end the notebook."""
        fold = self._fold
        allowed = self._may_fail(cell)
        fold.begin(cell, self._count)
        asked = self._ahead.pop(index, None) or self._ask_cell(index)
        if asked in self._talk.passed:
            self._ask_cell(index, name=asked)
        self._look_ahead(index)
        request = Request(
            asked,
            hear=lambda frame: fold.take(frame, cell, index),
            printed=lambda name, text: fold.printed(name, text, asked, cell, index),
            again=lambda: self._ask_cell(index, name=asked),
        )
        if len(self._ahead) >= _PLENTY:
            self._talk.rest()
        self._talk.until(request, self._session.limits.step_timeout)
        reply = request.reply
        assert reply is not None
        fold.replied(cell)
        self._count = reply.get("execution_count", self._count) + 1
        if reply["status"] == "error":
            name, value = str(reply.get("ename", "Error")), str(reply.get("evalue", ""))
            by_name = not fold.force_raise_errors and name in fold.allow_error_names
            return None if allowed or by_name else self._error(cell, name, value)
        leaves = any(
            item.get("source") == "ask_exit" and not item.get("keepkernel")
            for item in reply.get("payload", ())
        )
        # IPython's own `exit` and `quit`: no exception, but the notebook ends behind the cell
        return CellError("SystemExit", "0") if leaves else None

    def _may_fail(self, cell: NotebookNode) -> bool:
        """Whether the notebook goes on where this cell raises."""
        fold = self._fold
        tagged = "raises-exception" in cell["metadata"].get("tags", ())
        return not fold.force_raise_errors and (fold.allow_errors or tagged)

    def _look_ahead(self, index: int) -> None:
        """Send the next cells along, so that nobody waits for anybody: the process goes on by itself.

        Not where each cell has a time of its own, or only an error's name tells whether it may go on.
        """
        if self._session.limits.step_timeout is not None or self._fold.allow_error_names:
            return
        for _ in range(_AHEAD):
            cell, follower = self.nb.cells[index], self._following.get(index)
            alone = index == self._secrets_behind or not self._session.observer.follows_at_once(index, cell)
            if alone:
                return
            if follower is None:
                self._talk.let_leave()
                return
            if self._ahead.get(follower) in self._talk.passed:
                return
            if follower not in self._ahead:
                when = "always" if self._may_fail(cell) else "if well"
                self._ahead[follower] = self._ask_cell(follower, ahead=when)
            index = follower

    def _error(self, cell: NotebookNode, name: str, value: str) -> CellError:
        error = cell_error(cell, (name, self._fold.redacted(value)))
        memory = self._session.limits.memory
        if error.ename == "MemoryError" and memory is not None:
            from flownb.displays.wording import exact_size_text

            limit = f"the run's memory is limited to {exact_size_text(memory)}"
            error = replace(error, evalue=f"{error.evalue} ({limit})" if error.evalue else limit)
        return error

    # code that is no cell

    def _deliver_secrets(self) -> None:
        if self._session.secrets:
            reply = self._silent(self._session.secrets.source)
            if not reply.ok:
                what = f"{reply.error.ename}: {reply.error.evalue}" if reply.error else "no answer"
                raise EnvironmentRefusedError(
                    f"the secret parameters could not be given to the kernel: {what}"
                )

    def _after(self, index: int, cell: NotebookNode) -> None:
        wanted = self._session.observer.code_after(index, cell)
        if wanted is not None:
            self._session.observer.code_ended(index, cell, self._silent(wanted.code))

    def _silent(self, code: str) -> Reply:
        """Run code that leaves no trace in the process, and return what it answered."""
        said: list[str] = []

        def hear(frame: Frame) -> None:
            try:
                message = message_of(frame)
                if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
                    said.append(message["content"]["text"])
            except (LookupError, RecursionError, TypeError, ValueError):
                self._process.reject()  # the flow has sent that

        def printed(name: str, text: str) -> None:
            if name == "stdout":
                said.append(text)

        asked = self._talk.ask(code, silent=True, store_history=False, stop_on_error=False)
        request = Request(asked, hear, printed)
        self._talk.until(request, None)
        assert request.reply is not None
        redacted, reply, error = self._fold.redacted, request.reply, None
        if reply["status"] != "ok":
            name, value = str(reply.get("ename", "Error")), redacted(str(reply.get("evalue", "")))
            error = CellError(name, value, tuple(redacted(list(reply.get("traceback", ())))))
        return Reply(error is None, redacted("".join(said)), error)

    def _ask_cell(self, index: int, *, ahead: str | None = None, name: str | None = None) -> str:
        """Send a cell to be executed, and return the request's name."""
        cell = self.nb.cells[index]
        return self._talk.ask(
            cell["source"], store_history=True, stop_on_error=not self._may_fail(cell), ahead=ahead, name=name
        )

    def _died(self) -> Ending:
        ended = self._process.ended or Ended()
        return Ending("died", self._at, exit_code=ended.code, signal=ended.signal, words=self._words(ended))

    def _words(self, ended: Ended) -> str:
        """Say how the process died, where more is known of it than its status."""
        if self._process.garbled:
            return "wrote to the descriptors by which it is heard"
        if self._process.closed_itself:
            return "closed the descriptors by which it is heard"
        before, now = self._kills, _out_of_memory_kills() if ended.signal == "SIGKILL" else None
        if before is not None and now is not None:
            return (
                "was killed by the system, which was out of memory"
                if now > before
                else "was killed by SIGKILL"
            )
        return death(ended.code, ended.signal)


def _following(nb: NotebookNode, skip: str) -> dict[int, int | None]:
    running = [index for index, cell in enumerate(nb.cells) if runs(cell, skip)]
    return dict(zip_longest(running, running[1:]))


def _out_of_memory_kills() -> int | None:
    """Return how many processes this system has killed for want of memory; None where it does not say."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/vmstat").read_bytes().splitlines():
            if line.startswith(b"oom_kill "):
                return int(line.split()[1])
    return None
