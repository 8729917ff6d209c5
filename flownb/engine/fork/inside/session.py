"""A Jupyter session whose messages go to the owner through one socket, instead of through ZeroMQ."""

from __future__ import annotations

import errno
import json
import threading
from os import _exit, getpid
from time import sleep
from typing import TYPE_CHECKING, Any

from jupyter_client.jsonutil import json_default
from jupyter_client.session import Session, json_packer

from . import wire

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from .streams import Stream

#: messages that only tell when a kernel is busy; here the reply tells
_NEEDLESS = frozenset({"status", "debug_event"})
_DEAF = 0.3  #: seconds
# not `json.dumps`: a flow may have put something else in its place
_encoded = json.JSONEncoder(default=json_default, ensure_ascii=False, allow_nan=False).encode


class PipeSession(Session):
    """Packs messages as Jupyter's own session does, and sends them as frames.

    Until `connect` they are dropped: nobody listens to a template.
    """

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self.check_pid = False
        self.pack = packed
        self._socket: socket.socket | None = None
        self._process = 0
        self._sending = threading.RLock()
        self._streams: Sequence[Stream] = ()
        self._count = 0
        self.replied = ""  #: the last request that was replied to
        self.ends = False  #: whether it said that nothing is to follow
        self.failed = False  #: whether it said that its cell has failed
        self.talks = False  #: whether there are comms, by which the owner may have something to say

    def connect(self, sock: socket.socket, streams: Sequence[Stream]) -> None:
        """Send from now on, in this process; what the streams hold goes before any message of another kind.

        A process that the flow forks has no voice here: what it prints goes to its descriptors.
        """
        self._socket, self._streams, self._process = sock, streams, getpid()

    @property
    def connected(self) -> bool:
        """Whether this process is the one that speaks."""
        return self._socket is not None and self._process == getpid()

    def send(  # noqa: D102  # as in jupyter_client
        self,
        stream: Any,
        msg_or_type: dict[str, Any] | str,
        content: dict[str, Any] | None = None,
        parent: dict[str, Any] | None = None,
        ident: Any = None,  # noqa: ARG002
        buffers: list[Any] | None = None,
        track: bool = False,  # noqa: ARG002
        header: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> dict[str, Any] | None:
        if isinstance(msg_or_type, dict):
            message = msg_or_type
            buffers = buffers or message.get("buffers")
        else:
            message = self.msg(msg_or_type, content, parent, header, metadata)
        kind = message.get("msg_type") or message["header"]["msg_type"]
        if kind in _NEEDLESS or not self.connected:
            return message
        packed = self.pack(message["content"])
        views = [_view(index, buffer) for index, buffer in enumerate(buffers or ())]
        if kind != "stream":
            # not within the lock below: a thread that prints holds its stream's, and waits for that one
            self.flush_streams()
        with self._sending:
            head = {
                "channel": "shell" if stream == "shell" else "iopub",
                "msg_type": kind,
                "msg_id": message["header"]["msg_id"],
                "parent": (message.get("parent_header") or {}).get("msg_id", ""),
            }
            if message.get("metadata"):
                head["metadata"] = json.loads(self.pack(message["metadata"]))
            self._put(wire.Frame("message", head, packed, views))
            if kind == "execute_reply":
                self.replied = head["parent"]
                self.failed = message["content"]["status"] == "error"
                self.ends = any(
                    item.get("source") == "ask_exit" and not item.get("keepkernel")
                    for item in message["content"].get("payload", ())
                )
            elif kind == "comm_open":
                self.talks = True
        return message

    def send_stream(self, name: str, text: str, parent: str) -> None:
        """Send what was written to `stdout` or `stderr`; the quick way for what comes most often.

        The text goes as it is, not as JSON: there may be much of it.
        """
        head = {"channel": "iopub", "msg_type": "stream", "msg_id": self._next(), "parent": parent}
        with self._sending:
            self._put(wire.Frame("message", {**head, "stream": str(name)}, buffers=[_in_utf8(text)]))

    def flush_streams(self) -> None:
        """Send what the flow has written so far, whatever it has put in the place of `sys.stdout` since."""
        for stream in self._streams:
            stream.flush()

    def send_answer(self, kind: str, head: dict[str, Any]) -> None:
        """Send a frame that is no Jupyter message."""
        with self._sending:
            self._put(wire.Frame(kind, head))

    def _put(self, frame: wire.Frame) -> None:
        assert self._socket is not None
        try:
            wire.send_frame(self._socket, frame)
        except OSError as error:  # nobody hears this process any more
            if error.errno not in (errno.EPIPE, errno.ECONNRESET):
                sleep(_DEAF)  # the flow has closed its descriptors; so long, and the owner knows that
            _exit(1)

    def _next(self) -> str:
        self._count += 1
        return f"{self._process}-{self._count}"


def packed(content: Any) -> bytes:
    """Return JSON as Jupyter's own packer makes it; what is no text is there, but does not stop the rest."""
    try:
        text = _encoded(content)
    except (TypeError, ValueError):
        return bytes(json_packer(content))  # cleans it, and warns
    return _in_utf8(text)


def _in_utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def _view(index: int, buffer: Any) -> memoryview:
    try:
        view = memoryview(buffer)
    except TypeError as error:
        raise TypeError("Buffer objects must support the buffer protocol.") from error
    if not view.contiguous:
        raise ValueError(f"Buffer {index} ({buffer!r}) is not contiguous")
    return view.cast("B")
