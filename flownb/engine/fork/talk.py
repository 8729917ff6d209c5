"""The talk with one run's process: what it is asked, and how long somebody waits for the answer.

One thread waits in one place, `Talk.until`. What an observer raises there comes straight through.
"""

from __future__ import annotations

import contextlib
import json
import math
import secrets
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flownb.engine.ending import death
from flownb.engine.fork.inside.wire import Frame
from flownb.engine.session import Stopped

if TYPE_CHECKING:
    from collections.abc import Callable

    from flownb.engine.fork.process import Process
    from flownb.engine.session import Cause, Session

GRACE = 2.0
"""Seconds that the process gets to answer an interrupt before it is killed."""

PATIENCE = 10.0
"""Seconds that the exit handlers of the flow's code get when it has ended by itself."""

_REST = 0.002  #: seconds
_TICK = 0.25  #: seconds between calls of the observer's `tick`
_HELP = 0.1  #: seconds between looks at what a busy process has not read of its own descriptors
_DEAF = 1.0  #: seconds that a process may live on that has closed the socket by which it is heard
_SWEEP = 10.0  #: seconds that the guardian gets to end all that a dead process has left


class Died(Exception):  # no error
    """The process has ended, and all that it said was heard."""


@dataclass
class Request:
    """A request that is waited for: who hears its messages, and what it was replied."""

    id: str
    hear: Callable[[Frame], None] = lambda _: None
    printed: Callable[[str, str], None] = lambda _name, _text: None
    again: Callable[[], object] = lambda: None
    reply: dict[str, Any] | None = None
    answer: Frame | None = field(default=None)


class Talk:
    """Asks a process, and hears it until there is a reply, a limit is passed, or somebody stops it."""

    def __init__(self, process: Process, session: Session, tick: Callable[[], None]) -> None:
        """Talk with `process` for `session`; `tick` is called some times a second, whatever is waited for."""
        self._process = process
        self._session = session
        self._call_tick = tick
        self._name = secrets.token_hex(8)  # what the names of this run's requests begin with
        self._asked = 0
        self.passed: set[str] = set()  #: requests that the process has not done: they came too early
        self._let_leave = False  # whether the process knows already that nothing follows
        self._killed = False  # for having closed the socket by which it is heard
        self._frames: deque[Frame] = deque()  # that have come, and were not heard yet
        now = time.monotonic()
        self._next_tick, self._next_help = now + _TICK, now + _HELP

    def ask(
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

    def rest(self) -> None:
        """Let some messages come together, where the process has enough to do.

        To wake somebody who waits for one costs it a tenth of what a short cell does.
        """
        if not self._frames:
            time.sleep(_REST)

    def until(self, request: Request, limit: float | None) -> None:
        """Wait for the reply, at most `limit` seconds and to the run's limit, and while nobody stops it."""
        deadline = None if limit is None else time.monotonic() + limit
        while not self._heard(request):
            cause = self._cause(deadline)
            if cause is not None:
                self._cut(request)
                raise Stopped(cause)
            remaining = self._session.remaining
            due = [] if remaining is None else [time.monotonic() + remaining]
            self._wait(request, min([*due, *([] if deadline is None else [deadline])], default=math.inf))

    def _cause(self, deadline: float | None) -> Cause | None:
        late = deadline is not None and time.monotonic() >= deadline
        return self._session.over or ("step" if late else None)

    def _heard(self, request: Request) -> bool:
        """Whether there is an answer; raises `Died` where there will be none."""
        if request.reply is not None or request.answer is not None:
            return True
        if self._process.ended is not None and not self._frames:
            for name, text in self._process.printed(last=True):
                request.printed(name, text)
            raise Died
        return False

    def _wait(self, request: Request, until: float) -> None:
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
            self._call_tick()
            self._next_tick = time.monotonic() + _TICK
        deaf = self._process.deaf_since
        if deaf is not None and not self._killed and now - deaf > _DEAF:
            self._killed = True
            self._process.kill()

    def _hear(self, frame: Frame, request: Request) -> None:
        if frame.kind == "passed":
            self.passed.add(frame.head["msg_id"])
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

    def _cut(self, request: Request) -> None:
        """Stop what the process does: by an interrupt, and if that does not help, by force."""
        self._process.interrupt()
        patient = time.monotonic() + GRACE
        with contextlib.suppress(Died):
            while not self._heard(request) and self._session.stop.requests < 2 and time.monotonic() < patient:
                self._wait(request, patient)
            if not self._heard(request):
                self._process.kill()
                gone = time.monotonic() + _SWEEP
                while not self._heard(request) and time.monotonic() < gone:
                    self._wait(request, gone)

    # the end of the process

    def let_leave(self) -> None:
        """Tell the process, while it is at work, that nothing follows what it was asked.

        It ends by itself then, without being told again, unless there is something that has to be heard
        first.
        """
        if not self._let_leave:
            self._let_leave = True
            self._process.send(Frame("leave", {"ahead": True}))

    def leave(self, *, by_itself: bool) -> None:
        """Let the process end, so that its exit handlers are called; less patiently where it was stopped."""
        self._process.send(Frame("leave"))
        until = time.monotonic() + (PATIENCE if by_itself else GRACE)
        while self._process.ended is None and self._session.stop.requests < 2:
            left = until - time.monotonic()
            if left <= 0:
                break
            if not self._frames:
                self._frames.extend(self._process.wait(min(left, _HELP)))
            while self._frames:
                frame = self._frames.popleft()
                if frame.kind == "over":
                    self._process.over(frame)
            self._process.printed()  # nobody shows it, but who prints must not wait for ever

    def note(self) -> str:
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

    def end(self) -> None:
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
