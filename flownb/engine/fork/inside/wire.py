"""What owner, template, guardian and child say to each other, and how it is put into bytes.

All sockets keep their packets apart by themselves. A control message is one packet, and carries
descriptors; a frame, on the socket of a run, may be of any size and takes as many packets as it needs.
"""

from __future__ import annotations

import array
import json
import os
import socket
import struct
from dataclasses import dataclass, field
from select import POLLIN, POLLOUT, poll
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CONTROL_LIMIT = 128 * 1024  #: bytes of a control datagram
_MOST_DESCRIPTORS = 8
_LENGTHS = struct.Struct("!III")  # the head, the content, the number of buffers
_BUFFER = struct.Struct("!Q")
ROOM = 1 << 18  #: bytes that any packet finds room in
_CHUNK = 1 << 16  #: bytes asked for at once of a pipe
_PACKET = 1 << 17  #: bytes of a packet, less its first; any system's sockets take that many at once
_FIRST, _NEXT = b"F", b"N"  #: how the packets of a frame begin
# not `json.dumps` and `json.loads`: a flow may have put something else in their place
_encoded = json.JSONEncoder(separators=(",", ":")).encode
_decoded = json.JSONDecoder().decode


def pair() -> tuple[socket.socket, socket.socket]:
    """Return the two ends of a new socket."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send_control(sock: socket.socket, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
    """Send one datagram, with descriptors. Raises `OSError`: the other end is gone, or it is too big."""
    data = _encoded(message).encode()
    if descriptors:
        socket.send_fds(sock, [data], list(descriptors))
    else:
        sock.sendall(data)


def recv_control(sock: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Receive one datagram and the descriptors with it, which do not outlive an exec.

    Raises `EOFError` where the other end is gone.
    """
    size = array.array("i").itemsize
    flags = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
    data, ancillary, _, _ = sock.recvmsg(CONTROL_LIMIT, socket.CMSG_SPACE(_MOST_DESCRIPTORS * size), flags)
    descriptors = array.array("i")
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(content[: len(content) - len(content) % size])
    if not data:
        raise EOFError("the other end of a control socket is gone")
    return _decoded(data.decode()), list(descriptors)


@dataclass(frozen=True, slots=True)
class Frame:
    """One message of a run's socket."""

    kind: str
    head: dict[str, Any] = field(default_factory=dict)
    content: bytes = b""  #: JSON, left as it came
    buffers: Sequence[bytes | memoryview] = ()

    def json(self) -> Any:
        """Return the content as data."""
        return _decoded(self.content.decode("utf-8", "replace")) if self.content else {}


def packets(frame: Frame) -> Iterator[list[memoryview]]:
    """Yield the packets of a frame, each as the pieces that it is put together from; nothing is copied."""
    head = _encoded([frame.kind, frame.head]).encode()
    sizes = [memoryview(buffer).nbytes for buffer in frame.buffers]
    lengths = _LENGTHS.pack(len(head), len(frame.content), len(sizes))
    start = lengths + b"".join(map(_BUFFER.pack, sizes)) + head
    room, pieces = _PACKET, [memoryview(_FIRST)]
    for part in (start, frame.content, *frame.buffers):
        rest = memoryview(part).cast("B")
        while rest:
            if not room:
                yield pieces
                room, pieces = _PACKET, [memoryview(_NEXT)]
            pieces.append(rest[:room])
            room -= len(pieces[-1])
            rest = rest[len(pieces[-1]) :]
    yield pieces


def send_frame(sock: socket.socket, frame: Frame) -> None:
    """Send a whole frame; waits where the other side is slow. Raises `OSError`.

    A packet is sent whole or not at all. So an exception that a signal's handler raises meanwhile, in the
    flow's main thread, may lose this frame, but never garbles those that follow.
    """
    for pieces in packets(frame):
        while True:
            try:
                sock.sendmsg(pieces)
                break
            except BlockingIOError:  # the flow has made all descriptors such that do not wait
                room = poll()
                room.register(sock, POLLOUT)
                room.poll()


class Incoming:
    """Makes frames of packets; what was left incomplete is dropped when the next frame begins."""

    def __init__(self) -> None:
        self._pieces: list[bytes | memoryview] = []
        self._got = 0
        self._wanted = 0

    def feed(self, packet: bytes) -> Frame | None:
        """Take a packet; return the frame that it completes."""
        if packet[:1] == _FIRST:
            self._pieces, self._got, self._wanted = [], 0, _size(packet)
            if self._wanted == len(packet) - 1:  # the usual case: a frame in one packet
                return _frame(memoryview(packet)[1:])
        elif not self._pieces:
            return None
        self._pieces.append(memoryview(packet)[1:])
        self._got += len(packet) - 1
        if self._got < self._wanted:
            return None
        whole = memoryview(b"".join(self._pieces))
        self._pieces = []
        return _frame(whole)


def _size(packet: bytes) -> int:
    """Return how many bytes a frame has in all, its packets' first bytes not counted."""
    head, content, count = _LENGTHS.unpack_from(packet, 1)
    return int(_LENGTHS.size + count * _BUFFER.size + head + content + sum(_sizes(packet, 1, count)))


def _sizes(data: bytes | memoryview, start: int, count: int) -> list[int]:
    """Return the sizes of the buffers of the frame that begins at `start`."""
    first = start + _LENGTHS.size
    return [_BUFFER.unpack_from(data, first + index * _BUFFER.size)[0] for index in range(count)]


def _frame(data: memoryview) -> Frame:
    head_size, content_size, count = _LENGTHS.unpack_from(data)
    at = _LENGTHS.size + count * _BUFFER.size
    kind, head = _decoded(bytes(data[at : at + head_size]).decode())
    at += head_size
    content = bytes(data[at : at + content_size])
    at += content_size
    buffers = []
    for size in _sizes(data, 0, count):
        buffers.append(data[at : at + size])  # not copied: it may be large
        at += size
    return Frame(kind, head, content, buffers)


def readable(descriptor: int, seconds: float = 0) -> bool:
    """Whether a descriptor can be read within so many seconds; a pidfd: whether its process has ended."""
    ready = poll()
    ready.register(descriptor, POLLIN)
    return bool(ready.poll(seconds * 1000))


def receive(sock: socket.socket) -> bytes:
    """Receive one packet, b"" at the end; raises `BlockingIOError` where the socket does not wait."""
    try:
        return sock.recv(ROOM)
    except ConnectionResetError:
        # it was closed with something in it that nobody read; that is told once, before what it still said
        return sock.recv(ROOM)


def read_pipe(descriptor: int) -> bytes:
    """Read what a non-blocking pipe holds now; b"" where it holds nothing, or is closed."""
    pieces = []
    while True:
        try:
            piece = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            break
        if not piece:
            break
        pieces.append(piece)
        if sum(map(len, pieces)) > 1 << 20:  # who writes faster than this is read must not hold us here
            break
    return b"".join(pieces)
