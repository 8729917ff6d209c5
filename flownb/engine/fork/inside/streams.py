"""`sys.stdout` and `sys.stderr` of a flow, and what is written past them to descriptors 1 and 2.

Both keep their order: before Python's own text goes into a buffer, what others wrote to the descriptor
meanwhile is put there first. No thread is needed for that, so nothing waits for one. One that flushes is
started with the first text that is not sent at once, and is awake ten times a second at most.
"""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os
import struct
import termios
import threading
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from ipykernel.iostream import OutStream

from . import wire

if TYPE_CHECKING:
    from .session import PipeSession

_AT_ONCE = 20  #: writes in a row that are sent as they come
_ROW = 0.05  #: seconds without a write after which a new row begins
_FULL = 1 << 16  #: characters that are not kept waiting
_WAIT = 0.1  #: seconds that text waits at most
_PIPE_SIZE = 1 << 20  #: bytes that others can write before they have to wait to be read
_NOTHING = struct.pack("i", 0)


class Descriptor:
    """Descriptor 1 or 2 of the flow's process, turned into a pipe that both sides can read from."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.read, write = os.pipe()
        os.set_blocking(self.read, False)
        with contextlib.suppress(OSError):  # the user's share of pipe memory is used up: a smaller one does
            fcntl.fcntl(self.read, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
        self._write = write
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def put_in_place(self) -> None:
        """Make it what the process, and whatever it starts, writes to."""
        os.dup2(self._write, self.number)
        os.close(self._write)

    def close_write(self) -> None:
        """Let go of the end to write to; for a process that does not use it."""
        os.close(self._write)

    def pending(self) -> str:
        """Return what was written and nobody has read yet."""
        try:
            if fcntl.ioctl(self.read, termios.FIONREAD, _NOTHING) == _NOTHING:
                return ""
        except OSError:  # the flow has closed it
            return ""
        return self._decoder.decode(wire.read_pipe(self.read))


class Stream(OutStream):  # type: ignore[misc]  # ipykernel has no types that mypy follows here
    """A kernel's output stream whose text goes straight to the owner."""

    def __init__(self, session: PipeSession, name: str) -> None:
        # not the base class's: it would start threads, and needs ZeroMQ's sockets
        self.session = session
        self.name = name
        self.echo = None
        self.pub_thread: _Alive | None = _Alive()
        self._number = 1 if name == "stdout" else 2
        self._parent_header: ContextVar[dict[str, Any]] = ContextVar("parent_header")
        self._parent_header_global: dict[str, Any] = {}
        self._thread_to_parent: dict[int, int] = {}  # this, and the next: from ipykernel 6.28 to 7.1
        self._thread_to_parent_header: dict[int, dict[str, Any]] = {}
        self.parent_header: dict[str, Any] = {}  # of a thread, or of all: as this ipykernel has it
        self._isatty = False
        self._should_watch = False
        self._local = threading.local()
        self._exc = None
        self._descriptor: Descriptor | None = None
        self._lock = threading.RLock()
        self._texts: list[str] = []
        self._length = 0
        self._parent = ""
        self._past = ""  #: what a process that is not heard has begun to write as a line
        self._row = 0
        self._last = 0.0
        self._flusher: threading.Thread | None = None
        self._written = threading.Event()
        self._halted = threading.Event()

    def connect(self, descriptor: Descriptor) -> None:
        """Send from now on, together with what comes from the descriptor."""
        self._descriptor = descriptor

    def fileno(self) -> int:
        """Return the descriptor that stands beside this stream: what is written there is shown as well."""
        return self._number

    def write(self, string: str) -> int:
        """Take text; a line is sent at once, what is none, or comes in plenty, within a tenth of a second."""
        if not isinstance(string, str):
            raise TypeError(f"write() argument must be str, not {type(string)}")
        if self.pub_thread is None:
            raise ValueError("I/O operation on closed file")
        if not self.session.connected:
            self._write_past(string)
            return len(string)
        parent = self.parent_header.get("msg_id", "")
        with self._lock:
            if parent != self._parent:
                self._send()
                self._parent = parent
            now = time.monotonic()
            if string != "\n" or not self._texts:  # `print` writes a line and its end one after the other
                self._take_pending()
            if string:
                self._texts.append(string)
                self._length += len(string)
            self._row = self._row + 1 if now - self._last < _ROW else 0
            self._last = now
            if self._length >= _FULL or (self._row < _AT_ONCE and string.endswith("\n")):
                self._send()
            else:
                self._send_soon()
        return len(string)

    def flush(self) -> None:
        """Send what is there, from the descriptor as well."""
        if self.session.connected:
            with self._lock:
                self._take_pending()
                self._send()
        elif self._past:
            self._flush_past()

    def close(self) -> None:
        """Take no more text."""
        self.flush()
        self.pub_thread = None

    def _take_pending(self) -> None:
        text = self._descriptor.pending() if self._descriptor is not None else ""
        if text:
            if not self._texts:
                at_work = self._parent_header_global or self.parent_header
                self._parent = at_work.get("msg_id", "")
            self._texts.append(text)
            self._length += len(text)

    def _send(self) -> None:
        if not self._texts:
            return
        text = "".join(self._texts)
        self._texts.clear()
        self._length = 0
        hooks = getattr(self, "_hooks", ())  # there are none before ipykernel 6.24
        if not hooks:
            self.session.send_stream(self.name, text, self._parent)
            return
        message = self.session.msg("stream", {"name": self.name, "text": text}, parent=self.parent_header)
        for hook in hooks:
            message = hook(message)
            if message is None:
                return
        self.session.send(None, message)

    def _send_soon(self) -> None:
        if self._flusher is None:
            self._flusher = threading.Thread(target=self._flush_on, name=f"{self.name}-flush", daemon=True)
            self._flusher.start()
        self._written.set()

    def _flush_on(self) -> None:
        while not self._halted.is_set():
            self._written.wait()
            self._written.clear()
            self._halted.wait(_WAIT)
            with self._lock:
                self._send()

    def halt(self) -> None:
        """Send what is there, and end the thread that flushes; for the process's end."""
        self.flush()
        self._halted.set()
        self._written.set()
        with self._lock:  # in which another thread may be starting it just now
            flusher = self._flusher
        if flusher is not None:
            flusher.join()

    def _write_past(self, string: str) -> None:
        """Write whole lines to the descriptor: a process that the flow has forked, or a template."""
        self._past += string
        if "\n" in string or len(self._past) >= _FULL:
            self._flush_past()

    def _flush_past(self) -> None:
        data = memoryview(self._past.encode("utf-8", "backslashreplace"))
        self._past = ""
        while data:
            data = data[os.write(self._number, data) :]


# seen in what a flow shows of `sys.stdout`: to it, this is the kernel's
Stream.__name__, Stream.__qualname__, Stream.__module__ = "OutStream", "OutStream", OutStream.__module__


class _Alive:
    """Stands for the thread that the base class looks for; there is none."""

    thread = None
