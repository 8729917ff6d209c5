"""One run's process, seen from outside: what it says, what it prints past Python, and its end.

All of it is heard in one place, with one system call at a time, and without a thread: a run costs little
more than its messages.
"""

from __future__ import annotations

import codecs
import contextlib
import math
import os
import select
import signal
import socket
import struct
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flownb.engine.fork.inside.wire import (
    Frame,
    Incoming,
    packets,
    read_pipe,
    readable,
    receive,
    recv_control,
    send_control,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

_MUCH = 1 << 15  #: bytes read at once from a descriptor after which it is read again soon
_SOON = 0.002  #: seconds
_AT_DEATH = 0.1  #: seconds within which all descriptors of a process that dies are closed
#: what the head of a frame has, by its kind
_HEADS: dict[str, dict[str, type]] = {
    "message": {"channel": str, "msg_type": str, "parent": str},
    "passed": {"msg_id": str},
    "refused": {"reason": str},
    "over": {"code": int, "cpu_seconds": float, "peak_memory_bytes": int},
}
_AT_ONCE = 64  #: packets taken before something else is looked at


@dataclass(frozen=True, slots=True)
class Ended:
    """How the process ended; all None where its guardian was killed, and it with that one."""

    code: int | None = None
    signal: str | None = None
    cpu_seconds: float | None = None
    peak_memory_bytes: int | None = None


class Process:
    """A forked child that runs cells, and its guardian. Always to be let go with `close`."""

    def __init__(self, pid: int, descriptors: list[int]) -> None:
        """Take over what the template gave: sockets of run and guardian, pipes of 1 and 2, pidfds of both.

        Raises `ValueError` and `OSError`, and then takes nothing over, where this process has no room for
        that many descriptors.
        """
        run, guard, out, err, self._pidfd, self._guardian = descriptors
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)  # before anything is taken over
        self.pid = pid
        self.ended: Ended | None = None  #: set once the process and all that it started are gone
        self.deaf_since: float | None = None  #: when it closed the socket by which it is heard
        self.garbled = False  #: whether it said what is no message, and was killed for that
        self._gone: float | None = None  # when it died
        self._run = socket.socket(fileno=run)
        self._guard = socket.socket(fileno=guard)
        self._run.setblocking(False)
        self._guard.setblocking(False)  # it may have been stopped; who tells it something is not to wait
        self._pipes = {"stdout": out, "stderr": err}
        self._decoders = {name: codecs.getincrementaldecoder("utf-8")("replace") for name in self._pipes}
        self._incoming = Incoming()
        self._outgoing: deque[list[memoryview]] = deque()
        self._poll = select.poll()
        for descriptor in (run, guard, self._pidfd, self._wake):
            self._poll.register(descriptor, select.POLLIN)
        self._much = False  # came from a descriptor when it was last read
        self._waits = False  # for room to send

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return not readable(self._pidfd)

    # what is said to it

    def send(self, frame: Frame) -> None:
        """Send a frame; what it cannot take now goes out while it is waited for."""
        self._outgoing += packets(frame)
        self._flush()

    def _flush(self) -> None:
        waits = False
        try:
            while self._outgoing:
                self._run.sendmsg(self._outgoing[0])
                self._outgoing.popleft()
        except BlockingIOError:
            waits = True
        except OSError:  # it is gone, or has closed its end: that is heard of by `wait`
            self._outgoing.clear()
        if self.deaf_since is None and waits is not self._waits:
            self._waits = waits
            self._poll.modify(self._run.fileno(), select.POLLIN | (select.POLLOUT if waits else 0))

    def interrupt(self) -> None:
        """Send its group an interrupt, as from a keyboard."""
        self._signal("INT")

    def kill(self) -> None:
        """Kill it and all that it started; they are gone when `ended` is set."""
        self._signal("KILL")
        if self.ended is None:
            _sent(self._pidfd, signal.SIGKILL)
            _sent(self._guardian, signal.SIGCONT)  # the flow may have stopped it

    def reject(self) -> None:
        """Kill it for having said what is no message."""
        self.garbled = True
        self.kill()

    def kill_guardian(self) -> None:
        """Kill the guardian, where it does not do its work; the template then ends what it leaves."""
        _sent(self._guardian, signal.SIGKILL)

    def _signal(self, name: str) -> None:
        with contextlib.suppress(OSError):  # there is nobody any more to tell
            send_control(self._guard, {"signal": name})

    def wake(self) -> None:
        """Make `wait` return; may be called from any thread."""
        os.eventfd_write(self._wake, 1)

    # what it says

    def wait(self, seconds: float) -> Iterable[Frame]:
        """Return the frames that have come; none after so many seconds, when woken, and at the end."""
        if self._much:
            seconds = min(seconds, _SOON)
        ready = dict(self._poll.poll(max(0, math.ceil(seconds * 1000))))
        frames: list[Frame] = []
        run = self._run.fileno()
        if run in ready:
            if ready[run] & select.POLLOUT:
                self._flush()
            if ready[run] & ~select.POLLOUT:
                self._receive(frames)
        if self._wake in ready:
            os.eventfd_read(self._wake)
        if self._pidfd in ready:
            self._poll.unregister(self._pidfd)
            self._gone = time.monotonic()
            _sent(self._guardian, signal.SIGCONT)  # the flow may have stopped it
            while self.deaf_since is None and self._receive(frames):
                pass
        if self._guard.fileno() in ready:
            self._hear_guard()
        return frames

    def _receive(self, frames: list[Frame]) -> bool:
        """Take what is there; False where that was all."""
        for _ in range(_AT_ONCE):
            try:
                packet = receive(self._run)
            except BlockingIOError:
                return False
            if not packet:
                self.deaf_since = time.monotonic()
                self._poll.unregister(self._run.fileno())
                return False
            try:
                frame = self._incoming.feed(packet)
            except (
                ValueError,
                TypeError,
                struct.error,
            ):  # the flow wrote to what is not its own
                self.reject()
                continue
            if frame is not None and not _sound(frame):
                self.reject()
            elif frame is not None:
                frames.append(frame)
        return True

    def _hear_guard(self) -> None:
        try:
            message, _ = recv_control(self._guard)
        except (EOFError, OSError):
            self.ended = self.ended or Ended()
            _sent(self._pidfd, signal.SIGKILL)  # it may have seen to it that it does not die with its parent
            self._poll.unregister(self._guard.fileno())
            return
        told: dict[str, Any] = message["ended"]
        self.ended = Ended(told["code"], told["signal"], told["cpu_seconds"], told["peak_memory_bytes"])
        self._poll.unregister(self._guard.fileno())

    def over(self, frame: Frame) -> None:
        """Take its word for it that it has come to its end, and is all that is left of itself.

        Where it says so, and is not, what lives on is killed when this is closed.
        """
        said = frame.head
        _sent(self._guardian, signal.SIGCONT)  # which is to end what is left; the flow may have stopped it
        self.ended = Ended(said["code"], None, said["cpu_seconds"], said["peak_memory_bytes"])

    @property
    def busy(self) -> bool:
        """Whether something that it started writes so much that it must be read again soon."""
        return self._much

    @property
    def closed_itself(self) -> bool:
        """Whether it closed the socket by which it is heard, and lived on."""
        return self.deaf_since is not None and (self._gone or math.inf) - self.deaf_since > _AT_DEATH

    def printed(self, *, last: bool = False) -> list[tuple[str, str]]:
        """Return what is in descriptors 1 and 2 that the process itself has not read: (stream, text).

        It reads them itself, in order with what it prints; this helps where it is busy for long, and says
        at the end (`last`) what is left.
        """
        found = []
        self._much = False
        for name, descriptor in self._pipes.items():
            decoder = self._decoders[name]
            while True:
                data = read_pipe(descriptor)
                self._much = self._much or len(data) >= _MUCH
                text = decoder.decode(data, last and not data)
                if text:
                    found.append((name, text))
                if not last or not data:
                    break
        return found

    def close(self) -> None:
        """Give back all descriptors. What still lives is killed by its guardian."""
        self._run.close()
        self._guard.close()
        for descriptor in (*self._pipes.values(), self._pidfd, self._guardian, self._wake):
            os.close(descriptor)


def _sound(frame: Frame) -> bool:
    """Whether a frame has what every one of its kind has."""
    kind: Any = frame.kind  # it is what was sent, of whatever type
    head: Any = frame.head
    known = _HEADS.get(kind, {}) if isinstance(kind, str) else {"": str}
    return isinstance(head, dict) and all(isinstance(head.get(name), what) for name, what in known.items())


def _sent(pidfd: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has ended
        signal.pidfd_send_signal(pidfd, number)
