"""The loop over a notebook's cells in a forked process: limits, stops, secrets, silent code, a true end.

It is one thread that waits in one place, `_until`. What an observer raises comes straight through, and the
process is killed on the way out.
"""

from __future__ import annotations

import contextlib
import json
import math
import secrets
import time
from collections import deque
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from flownb.engine.ending import CellError, Ending, cell_error, death, error_of
from flownb.engine.fork.fold import message_of
from flownb.engine.fork.inside.wire import Frame
from flownb.engine.fork.process import Ended
from flownb.engine.observe import Reply
from flownb.engine.order import runs, secrets_after
from flownb.errors import EnvironmentRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbformat import NotebookNode

    from flownb.engine.fork.fold import Fold
    from flownb.engine.fork.keeper import Keeper
    from flownb.engine.fork.process import Process
    from flownb.engine.session import Session

GRACE = 2.0
"""Seconds that the process gets to answer an interrupt before it is killed."""

PATIENCE = 10.0
"""Seconds that the exit handlers of the flow's code get when it has ended by itself."""

_AHEAD = 3  #: cells that are sent before the one that is at work has ended
_TICK = 0.25  #: seconds between calls of the observer's `tick`
_HELP = 0.1  #: seconds between looks at what a busy process has not read of its own descriptors
_DEAF = 1.0  #: seconds that a process may live on that has closed the socket by which it is heard
_SWEEP = 10.0  #: seconds that the guardian gets to end all that a dead process has left

Cause = Literal["cancelled", "run", "step"]


class _Stopped(Exception):  # no error: how a stop travels out of what it stopped
    def __init__(self, cause: Cause) -> None:
        super().__init__(cause)
        self.cause: Cause = cause


class _Died(Exception):  # nor is this one
    pass


@dataclass
class _Request:
    """A request that is waited for: who hears its messages, and what it was replied."""

    id: str
    hear: Callable[[Frame], None] = lambda _: None
    printed: Callable[[str, str], None] = lambda _name, _text: None
    again: Callable[[], object] = lambda: None
    reply: dict[str, Any] | None = None
    answer: Frame | None = field(default=None)


class Cells:
    """Executes the cells of one notebook in a process; `run` says how that ended."""

    def __init__(self, process: Process, fold: Fold, keeper: Keeper, session: Session) -> None:
        """Prepare to execute the keeper's notebook in `process`, which has not begun."""
        self.nb = keeper.nb
        self._process = process
        self._fold = fold
        self._keeper = keeper
        self._session = session
        self._name = secrets.token_hex(8)  # what the names of this run's requests begin with
        self._asked = 0
        self._at: int | None = None
        self._count = 1  # what the next cell's execution has for a number
        self._following: dict[int, int] = {}  # index of each cell that runs -> that of the next
        self._ahead: dict[int, str] = {}  # index of a cell that was sent ahead -> name of the request
        self._passed: set[str] = set()  # requests that the process has not done: they came too early
        self._secrets_behind: int | None = None
        self._killed = False  # for having closed the socket by which it is heard
        self._frames: deque[Frame] = deque()  # that have come, and were not heard yet
        now = time.monotonic()
        self._next_tick, self._next_help = now + _TICK, now + _HELP
        self._kills = _out_of_memory_kills()

    def run(self, env: dict[str, str | None]) -> Ending:
        """Execute all cells, and end the process; nothing of it lives when this returns.

        `env` is what of its variables is to be changed first. Raises what the observer raises, and
        `EnvironmentRefused` where it cannot begin.
        """
        try:
            with self._session.stop.listening(self._process.wake):
                ending = self._run(env)
                by_itself = ending.how in ("success", "failed")
                self._leave(PATIENCE if by_itself else GRACE)
                note = self._note() if by_itself else ""
        finally:
            self._end()
        return replace(ending, notes=(*ending.notes, note)) if note else ending

    def _run(self, env: dict[str, str | None]) -> Ending:
        self._session.observer.kernel_started(self._process.pid)
        try:
            self._begin(env)
            ending = self._cells()
            self._fold.set_widgets_metadata()
        except _Stopped as stopped:
            ending = self._stopped(stopped.cause)
        except _Died:
            ending = self._died()
        return ending

    def _begin(self, env: dict[str, str | None]) -> None:
        session = self._session
        wanted = {"cwd": str(session.cwd), "memory": session.limits.memory, "env": env}
        self._process.send(Frame("begin", wanted))
        request = _Request("")
        self._until(request, session.start_timeout)
        assert request.answer is not None
        said = request.answer.head
        if request.answer.kind == "refused":
            raise EnvironmentRefused(f"the flow cannot run in {session.cwd}: {said['reason']}; set `cwd`")
        self.nb.metadata["language_info"] = said["language_info"]

    def _cells(self) -> Ending:
        skip = self._fold.skip_cells_with_tag
        behind = self._secrets_behind = secrets_after(self.nb, skip)
        if behind is None:
            self._deliver_secrets()
        self._following = _following(self.nb, skip)
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
        except _Stopped as stopped:
            ending = self._stopped(stopped.cause)
        except _Died:
            ending = self._died()
        self._keeper.cell_end(cell, index, error_of(cell, ending))
        return ending

    def _one(self, index: int, cell: NotebookNode) -> CellError | None:
        """Execute one cell; returns the error that it ended with, where that is to end the notebook."""
        fold = self._fold
        allowed = self._may_fail(cell)
        fold.begin(cell, self._count)
        asked = self._ahead.pop(index, None) or self._ask_cell(index)
        if asked in self._passed:
            self._ask_cell(index, name=asked)
        self._look_ahead(index)
        request = _Request(
            asked,
            hear=lambda frame: fold.take(frame, cell, index),
            printed=lambda name, text: fold.printed(name, text, asked, cell, index),
            again=lambda: self._ask_cell(index, name=asked),
        )
        self._until(request, self._session.limits.step_timeout)
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
            if follower is None or alone:
                return
            if follower not in self._ahead:
                when = "always" if self._may_fail(cell) else "if well"
                self._ahead[follower] = self._ask_cell(follower, ahead=when)
            index = follower

    def _error(self, cell: NotebookNode, name: str, value: str) -> CellError:
        error = cell_error(cell, (name, self._fold.redacted(value)))
        memory = self._session.limits.memory
        if error.ename == "MemoryError" and memory is not None:
            from flownb.runs.markup import exact_size_text

            limit = f"the run's memory is limited to {exact_size_text(memory)}"
            error = replace(error, evalue=f"{error.evalue} ({limit})" if error.evalue else limit)
        return error

    # code that is no cell

    def _deliver_secrets(self) -> None:
        if self._session.secrets:
            reply = self._silent(self._session.secrets.source)
            if not reply.ok:
                what = f"{reply.error.ename}: {reply.error.evalue}" if reply.error else "no answer"
                raise EnvironmentRefused(f"the secret parameters could not be given to the kernel: {what}")

    def _after(self, index: int, cell: NotebookNode) -> None:
        wanted = self._session.observer.code_after(index, cell)
        if wanted is not None:
            self._session.observer.code_ended(index, cell, self._silent(wanted.code))

    def _silent(self, code: str) -> Reply:
        """Run code that leaves no trace in the process, and return what it answered."""
        said: list[str] = []

        def hear(frame: Frame) -> None:
            message = message_of(frame)
            if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
                said.append(message["content"]["text"])

        def printed(name: str, text: str) -> None:
            if name == "stdout":
                said.append(text)

        asked = self._ask(code, silent=True, store_history=False, stop_on_error=False)
        request = _Request(asked, hear, printed)
        self._until(request, None)
        assert request.reply is not None
        redacted, reply, error = self._fold.redacted, request.reply, None
        if reply["status"] != "ok":
            name, value = str(reply.get("ename", "Error")), redacted(str(reply.get("evalue", "")))
            error = CellError(name, value, tuple(redacted(list(reply.get("traceback", ())))))
        return Reply(error is None, redacted("".join(said)), error)

    def _ask_cell(self, index: int, *, ahead: str | None = None, name: str | None = None) -> str:
        """Send a cell to be executed, and return the request's name."""
        cell = self.nb.cells[index]
        return self._ask(
            cell["source"], store_history=True, stop_on_error=not self._may_fail(cell), ahead=ahead, name=name
        )

    def _ask(
        self,
        code: str,
        *,
        store_history: bool,
        stop_on_error: bool,
        silent: bool = False,
        ahead: str | None = None,
        name: str | None = None,
    ) -> str:
        """Send a request to execute code, and return its name; a new one where none is given."""
        if name is None:
            self._asked += 1
            name = f"{self._name}_{self._asked}"
        content = {
            "code": code,
            "silent": silent,
            "store_history": store_history,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": stop_on_error,
        }
        head: dict[str, Any] = {"msg_type": "execute_request", "msg_id": name, "metadata": {}}
        if ahead is not None:
            head["ahead"] = ahead
        self._process.send(Frame("request", head, json.dumps(content).encode()))
        return name

    # waiting, and what ends it

    def _until(self, request: _Request, limit: float | None) -> None:
        """Wait for the reply, at most `limit` seconds and to the run's limit, and while nobody stops it."""
        deadline = None if limit is None else time.monotonic() + limit
        while not self._heard(request):
            cause = self._cause(deadline)
            if cause is not None:
                self._cut(request)
                raise _Stopped(cause)
            remaining = self._session.remaining
            due = [] if remaining is None else [time.monotonic() + remaining]
            self._wait(request, min([*due, *([] if deadline is None else [deadline])], default=math.inf))

    def _cause(self, deadline: float | None) -> Cause | None:
        if self._session.stop.requests:
            return "cancelled"
        remaining = self._session.remaining
        if remaining is not None and remaining <= 0:
            return "run"
        return "step" if deadline is not None and time.monotonic() >= deadline else None

    def _heard(self, request: _Request) -> bool:
        """Whether there is an answer; raises `_Died` where there will be none."""
        if request.reply is not None or request.answer is not None:
            return True
        if self._process.ended is not None and not self._frames:
            for name, text in self._process.printed(last=True):
                request.printed(name, text)
            raise _Died
        return False

    def _wait(self, request: _Request, until: float) -> None:
        """Wait for what comes next, not longer than `until`; hear it, and do what is due by time."""
        now = time.monotonic()
        due = min(self._next_tick, self._next_help, until)
        if not self._frames:
            self._frames.extend(self._process.wait(max(0.0, due - now)))
        quiet = not self._frames
        while self._frames and request.reply is None and request.answer is None:
            self._hear(self._frames.popleft(), request)
        now = time.monotonic()
        if quiet and request.reply is None and (now >= self._next_help or self._process.busy):
            for name, text in self._process.printed():
                request.printed(name, text)
            self._next_help = now + _HELP
        if now >= self._next_tick:
            self._session.observer.tick(self.nb)
            self._next_tick = time.monotonic() + _TICK
        deaf = self._process.deaf_since
        if deaf is not None and not self._killed and now - deaf > _DEAF:
            self._killed = True
            self._process.kill()

    def _hear(self, frame: Frame, request: _Request) -> None:
        if frame.kind == "passed":
            self._passed.add(frame.head["msg_id"])
            if frame.head["msg_id"] == request.id:
                request.again()
        elif frame.kind != "message":
            if request.id:
                self._process.reject()  # an answer that nobody has asked for
            else:
                request.answer = frame
        elif frame.head["parent"] != request.id:
            pass  # of a cell that has ended: nbclient does not show it, either
        elif frame.head["channel"] == "iopub":
            request.hear(frame)
        elif frame.head["msg_type"] == "execute_reply":
            reply = frame.json()
            if _sound(reply):
                request.reply = reply
            else:
                self._process.reject()

    def _cut(self, request: _Request) -> None:
        """Stop what the process does: by an interrupt, and if that does not help, by force."""
        self._process.interrupt()
        patient = time.monotonic() + GRACE
        with contextlib.suppress(_Died):
            while not self._heard(request) and self._session.stop.requests < 2 and time.monotonic() < patient:
                self._wait(request, patient)
            if not self._heard(request):
                self._process.kill()
                gone = time.monotonic() + _SWEEP
                while not self._heard(request) and time.monotonic() < gone:
                    self._wait(request, gone)

    def _stopped(self, cause: Cause) -> Ending:
        if cause == "cancelled":
            return Ending("cancelled", self._at)
        limits = self._session.limits
        after = limits.timeout if cause == "run" else limits.step_timeout
        return Ending("timed out", self._at, limit=cause, after=after)

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

    # the end of the process

    def _leave(self, patience: float) -> None:
        """Let the process end by itself, so that its exit handlers are called."""
        self._process.send(Frame("leave"))
        until = time.monotonic() + patience
        while self._process.ended is None and self._session.stop.requests < 2:
            left = until - time.monotonic()
            if left <= 0:
                break
            self._process.wait(min(left, _HELP))
            self._process.printed()  # nobody shows it, but who prints must not wait for ever

    def _note(self) -> str:
        """Return what is to be known of how a process ended that has executed its cells; empty: well."""
        ended = self._process.ended
        if ended is None:
            return (
                f"exit handlers or threads of the flow had not ended {PATIENCE:g} s behind its last cell, "
                "and were killed"
            )
        if (ended.code, ended.signal) == (0, None):
            return ""
        return f"behind the last cell the process of the flow {death(ended.code, ended.signal)}"

    def _end(self) -> None:
        """See to it that nothing of the process lives, and give back what it took."""
        if self._process.ended is None:
            self._process.kill()
        until = time.monotonic() + _SWEEP
        while self._process.ended is None and time.monotonic() < until:
            self._process.wait(_HELP)
            self._process.printed()
        if self._process.ended is None:
            self._process.kill_guardian()
        self._process.close()


def _sound(reply: Any) -> bool:
    """Whether a reply has what is read of it; a flow that sends one itself may leave that out."""
    if not isinstance(reply, dict) or not isinstance(reply.get("payload", []), list):
        return False
    return isinstance(reply.get("status"), str) and isinstance(reply.get("execution_count", 0), int)


def _following(nb: NotebookNode, skip: str) -> dict[int, int]:
    running = [index for index, cell in enumerate(nb.cells) if runs(cell, skip)]
    return dict(pairwise(running))


def _out_of_memory_kills() -> int | None:
    """Return how many processes this system has killed for want of memory; None where it does not say."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/vmstat").read_bytes().splitlines():
            if line.startswith(b"oom_kill "):
                return int(line.split()[1])
    return None
