"""One template process: started, or branched off another one, and asked for children."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from flownb.engine.ending import death, exit_status
from flownb.engine.fork.inside.boot import command
from flownb.engine.fork.inside.wire import Frame, pair, readable, recv_control, send_control
from flownb.engine.fork.process import Process
from flownb.engine.room import LACKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from flownb.engine.fork.interpreter import Launch

_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(?:Error|Exception|Exit): ")  #: at a traceback's end
_LOG_LIMIT = 4_000  #: bytes shown of what a template wrote that could not start
_STANDARD = 2  #: the last of the descriptors that every process has
_ANSWER = 30.0  #: seconds that a template gets to fork; it takes milliseconds
LOOK = 0.1  #: seconds between looks whether somebody still waits for a template

_ENDED_FROM_OUTSIDE = frozenset({signal.SIGHUP, signal.SIGINT, signal.SIGKILL, signal.SIGTERM})


class TemplateFailed(Exception):
    """A template could not be started, or does not answer; says why in words for people.

    Where the system had nothing to make it of (descriptors, processes, memory), its error is the cause.
    """

    def __init__(self, reason: str, *, passing: bool = False) -> None:
        """Say why; `passing`: it lay in the moment, and another try may go well."""
        super().__init__(reason)
        self.passing = passing


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Waiting:
    """Somebody who waits for a template, and may have to go before it is ready."""

    check: Callable[[], object] = _nothing  #: is called while it is waited for; what it raises ends that
    importing: Callable[[], object] = _nothing  #: is called before modules are imported


class Template:
    """A process that waits to be forked. Made by `start` and `branch`; any thread may use it."""

    def __init__(
        self, control: socket.socket, about: dict[str, Any], process: subprocess.Popen[bytes] | None
    ) -> None:
        """Hold the control socket of a template that has said of itself what `about` has."""
        self.about = about
        self._control = control
        self._process = process
        self._turn = threading.Lock()
        self._ahead: Process | None = None  # that it has sent beforehand

    @classmethod
    def start(cls, launch: Launch, limit: float, waiting: Waiting = Waiting()) -> Template:  # frozen
        """Start one in the interpreter that `launch` names, and wait until it is ready.

        Raises `TemplateFailed` where it is not within `limit` seconds, with the end of what it wrote, and
        what `waiting` does.
        """
        with contextlib.ExitStack() as opened:
            try:
                ours, theirs = map(opened.enter_context, pair())
                theirs = opened.enter_context(_above_standard(theirs))
                log = opened.enter_context(os.fdopen(os.memfd_create("template"), "r+b"))
                process = _started(launch, theirs, log)
            except OSError as error:
                why = f"{launch.python[0]} cannot be started: {error.strerror or error}"
                raise TemplateFailed(why, passing=error.errno in LACKING) from error
            theirs.close()
            try:
                wanted = {"owner": os.getpid(), "module": launch.module, "arguments": list(launch.arguments)}
                send_control(ours, {"start": wanted})
                about = _ready(ours, limit, waiting)
            except (TemplateFailed, EOFError, OSError) as error:
                ours.close()
                ended = not isinstance(error, TemplateFailed)
                told = _buried(process, "it ended" if ended else str(error), log)
                from_outside = ended and -process.returncode in _ENDED_FROM_OUTSIDE
                raise TemplateFailed(told, passing=from_outside) from None
            except BaseException:  # nobody waits for it any more
                ours.close()
                process.kill()
                process.wait()
                raise
            return cls(socket.socket(fileno=ours.detach()), about, process)

    def branch(
        self,
        modules: Sequence[str],
        limit: float,
        waiting: Waiting = Waiting(),
        avoid: Sequence[str] = (),
    ) -> Template:
        """Fork a template that has these modules imported, less those that look for a name in `avoid`.

        Raises `TemplateFailed`, and what `waiting` does; this one may be used all the same, unless it is
        gone. Where nobody waits any more, it ends what it has forked.
        """
        with _as_failure("no socket can be made"):
            ours, theirs = pair()
        try:
            with self._turn:
                send_control(
                    self._control, {"branch": list(modules), "avoid": list(avoid)}, [theirs.fileno()]
                )
        except OSError as error:
            ours.close()
            raise TemplateFailed("the template is gone") from error
        finally:
            theirs.close()
        try:
            return Template(ours, _ready(ours, limit, waiting), None)
        except (EOFError, OSError) as error:
            ours.close()
            raise TemplateFailed("the template ended while it imported what the notebook imports") from error
        except BaseException:
            ours.close()
            raise

    def child(self, meanwhile: Callable[[], object] = lambda: None) -> Process:
        """Return a fresh process that waits for what it is to run, and do something until it is there.

        The template sends one beforehand where it has the time. Raises `TemplateFailed`, and what
        `meanwhile` raises.
        """
        with self._turn:
            ahead = self._ready_ahead()
            self._ahead = None
            if ahead is None:
                self._tell("child")  # the template is to send one now
            try:
                meanwhile()
            except BaseException:
                with contextlib.suppress(TemplateFailed):  # what is asked for is not to be left for the next
                    self._taken(ahead).close()
                raise
            return self._taken(ahead)

    def expect(self) -> None:
        """Have a process that was sent beforehand wake up: somebody is about to take it.

        Some of a millisecond goes by until it is awake, and what it needs in the processor's caches.
        """
        if self._turn.acquire(blocking=False):
            try:
                with contextlib.suppress(TemplateFailed):  # told to who takes one
                    self._ahead = self._ready_ahead()
            finally:
                self._turn.release()

    @property
    def has_one(self) -> bool:
        """Whether a process was sent beforehand that was expected, and not taken yet."""
        return self._ahead is not None

    def _ready_ahead(self) -> Process | None:
        """Return the process that was sent beforehand, awake; None where there is none."""
        if self._ahead is None:
            with _as_failure():
                if not readable(self._control.fileno()):
                    return None
            try:
                self._ahead = self._received()
            except TemplateFailed:
                self._tell("taken")  # it is lost
                raise
            self._ahead.send(Frame("wake"))
        if self._ahead.alive:
            return self._ahead
        self._ahead.close()
        self._ahead = None
        self._tell("taken")
        return None

    def _taken(self, ahead: Process | None) -> Process:
        """Return the process, after the template was told that it is taken; or the one that was asked for."""
        if ahead is None:
            return self._answer()
        try:
            self._tell("taken")  # not before: what the template does then is for the next
        except TemplateFailed:
            ahead.close()
            raise
        return ahead

    def _tell(self, what: str) -> None:
        with _as_failure():
            send_control(self._control, {what: True})

    def _answer(self) -> Process:
        with contextlib.suppress(OSError):  # it may be gone, which the next line tells
            os.kill(self.about["pid"], signal.SIGCONT)  # a flow may have stopped it
        with _as_failure():
            _await(self._control, _ANSWER, Waiting())
        return self._received()

    def _received(self) -> Process:
        with _as_failure():
            message, descriptors = recv_control(self._control)
        if "child" not in message:
            reason = str(message.get("failed", "the template did not fork"))
            raise TemplateFailed(reason, passing=True) from OSError(message.get("errno"), reason)
        try:
            return Process(message["child"], descriptors)
        except (OSError, ValueError) as error:  # this process may have no more of them
            for descriptor in descriptors:
                with contextlib.suppress(OSError):
                    os.close(descriptor)
            raise TemplateFailed(f"its process cannot be taken over: {error}", passing=True) from error

    @property
    def alive(self) -> bool:
        """Whether it still listens."""
        with self._turn:
            if self._control.fileno() < 0:
                return False
            poll = select.poll()
            poll.register(self._control.fileno(), 0)
            return not poll.poll(0)

    def close(self) -> None:
        """End it; its runs go on."""
        with self._turn:
            self._let_go()
        if self._process is not None:
            try:
                self._process.wait(1.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _let_go(self) -> None:
        self._control.close()
        if self._ahead is not None:
            self._ahead.close()
            self._ahead = None

    def abandon(self) -> None:
        """Forget it, in a forked copy of the process that it belongs to."""
        self._let_go()
        if self._process is not None:
            self._process.returncode = 0  # it is no child of this process, which cannot ask how it ended


@contextlib.contextmanager
def _as_failure(reason: str = "the template is gone") -> Iterator[None]:
    """Have a socket's errors say that the template is gone; a closed one's are values of no use."""
    try:
        yield
    except (EOFError, OSError, ValueError) as error:
        raise TemplateFailed(reason, passing=True) from error


def _above_standard(sock: socket.socket) -> socket.socket:
    """Return a socket whose number is no standard stream's; this process may lack those."""
    if sock.fileno() > _STANDARD:
        return sock
    with sock:
        number = fcntl.fcntl(sock.fileno(), fcntl.F_DUPFD_CLOEXEC, _STANDARD + 1)
    return socket.socket(fileno=number)


def _started(launch: Launch, control: socket.socket, log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603  # the interpreter of a kernel, and a constant program
        command(launch.python, control.fileno()),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=[control.fileno()],
        start_new_session=True,
        cwd="/",
        env=dict(launch.env),
    )


def _ready(control: socket.socket, limit: float, waiting: Waiting) -> dict[str, Any]:
    _await(control, limit, waiting)
    message, _ = recv_control(control)
    if "failed" in message:
        raise TemplateFailed(str(message["failed"]))
    return message


def _await(control: socket.socket, limit: float, waiting: Waiting) -> None:
    poll = select.poll()
    poll.register(control.fileno(), select.POLLIN)
    until = time.monotonic() + limit
    while not poll.poll(LOOK * 1000):
        waiting.check()
        if time.monotonic() >= until:
            raise TemplateFailed(f"the template did not answer within {limit:g} s")


def _buried(process: subprocess.Popen[bytes], reason: str, log: IO[bytes]) -> str:
    """End a template that did not start, and say why."""
    try:
        process.wait(1.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    ended = reason == "it ended"
    if ended:
        reason = f"the template {death(*exit_status(process.returncode))} before it was ready"
    size = os.fstat(log.fileno()).st_size
    wrote = os.pread(log.fileno(), _LOG_LIMIT, max(0, size - _LOG_LIMIT)).decode("utf-8", "replace").strip()
    if not wrote:
        return reason
    lines = wrote.splitlines()
    # what comes behind an exception's first line is more of the same
    why = next(filter(_EXCEPTION.match, reversed(lines)), lines[-1])
    told = f"{reason}: {why}" if ended else reason
    return f"{told}\nIt wrote:\n{wrote}" if lines[1:] or not ended else told
