"""A template and its runs, held by their sockets only: what the inside of the engine is tested with."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import textwrap
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from polling import poll

from flownb.engine.fork.fold import message_of
from flownb.engine.fork.inside import boot, wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

PATIENCE = 30.0  #: seconds after which something is not slow, but wrong


def heard(sock: socket.socket) -> None:
    """Wait until there is something to read."""
    assert select.select([sock], [], [], PATIENCE)[0], "nothing was said"


class Template:
    """A template's control socket, or that of a branch."""

    def __init__(self, control: socket.socket, ready: dict[str, Any]) -> None:
        self.control, self.ready = control, ready
        self.pid: int = ready["pid"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.control.close()

    def branch(self, *modules: str) -> Template:
        ours, theirs = wire.pair()
        wire.send_control(self.control, {"branch": modules}, [theirs.fileno()])
        theirs.close()
        return Template(ours, said(ours))

    def run(self, *, idle: bool = False, **begin: Any) -> Run:
        """Begin a run; `idle`: in a process that has nothing more to do while it waits."""
        ahead = wire.readable(self.control.fileno())  # then that is the answer
        wire.send_control(self.control, {"taken" if ahead else "child": True})
        heard(self.control)
        message, descriptors = wire.recv_control(self.control)
        if idle:
            looks = [-1.0, used(message["child"])]
            poll(lambda: looks[-1] == looks[-2] or looks.append(used(message["child"])), interval=0.1)
        return Run(message, descriptors, {"cwd": tempfile.gettempdir(), **begin})


def said(sock: socket.socket) -> dict[str, Any]:
    heard(sock)
    return wire.recv_control(sock)[0]


@contextmanager
def template(**env: str) -> Iterator[Template]:
    """Start a template in this interpreter, and end it with the block."""
    ours, theirs = wire.pair()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            boot.command([sys.executable], theirs.fileno()),
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
            env={**os.environ, **env},
        )
        theirs.close()
        try:
            wire.send_control(
                ours, {"start": {"owner": os.getpid(), "module": "ipykernel_launcher", "arguments": []}}
            )
            ready = said(ours)
            assert "ready" in ready, ready
            yield Template(ours, ready)
        finally:
            ours.close()
            process.wait(PATIENCE)


class Run:
    """One run's processes."""

    def __init__(self, born: dict[str, Any], descriptors: Sequence[int], begin: dict[str, Any]) -> None:
        self.child, self.guardian = born["child"], born["guardian"]
        self.socket = socket.socket(fileno=descriptors[0])
        self.guard = socket.socket(fileno=descriptors[1])
        self.pipes, self.pidfd, self.guardian_pidfd = list(descriptors[2:4]), descriptors[4], descriptors[5]
        self._incoming = wire.Incoming()
        self._count = 0
        wire.send_frame(self.socket, wire.Frame("begin", begin))
        self.begun = self.frame()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
        self.guard.close()
        for descriptor in (*self.pipes, self.pidfd, self.guardian_pidfd):
            os.close(descriptor)

    def frame(self) -> wire.Frame | None:
        while True:
            heard(self.socket)
            packet = wire.receive(self.socket)
            if not packet:
                return None
            frame = self._incoming.feed(packet)
            if frame is not None:
                return frame

    def send(self, code: str, **head: str) -> str:
        self._count += 1
        name = f"cell-{self._count}"
        content = {
            "code": textwrap.dedent(code),
            "silent": False,
            "store_history": True,
            "allow_stdin": False,
        }
        about = {"msg_type": "execute_request", "msg_id": name, "metadata": {}, **head}
        wire.send_frame(self.socket, wire.Frame("request", about, json.dumps(content).encode()))
        return name

    def cell(self, code: str) -> Cell:
        """Execute a cell, and return what was heard of it."""
        name = self.send(code)
        cell = Cell()
        while frame := self.frame():
            kind, content = frame.head["msg_type"], message_of(frame)["content"]
            if kind == "execute_reply":
                assert frame.head["parent"] == name
                cell.reply = content
                return cell
            if kind == "stream":
                cell.text += content["text"]
                cell.streams.append((content["name"], content["text"]))
            cell.kinds.append(kind)
        return cell

    def signal(self, name: str) -> None:
        wire.send_control(self.guard, {"signal": name})

    def ended(self) -> dict[str, Any]:
        """Wait for the guardian's word on the end."""
        return {"by_itself": False, **said(self.guard)["ended"]}

    def let_leave(self) -> None:
        """Tell it that nothing follows, before it has done what it was asked."""
        wire.send_frame(self.socket, wire.Frame("leave", {"ahead": True}))

    def leave(self) -> dict[str, Any]:
        """Have it end, and return how: by its own word where it is alone, else by the guardian's."""
        wire.send_frame(self.socket, wire.Frame("leave"))
        return self.left()

    def left(self) -> dict[str, Any]:
        while frame := self.frame():
            if frame.kind == "over":
                return {"by_itself": True, "signal": None, **frame.head}
        return self.ended()


class Cell:
    """What was heard of one cell."""

    def __init__(self) -> None:
        self.reply: dict[str, Any] | None = None
        self.text = ""
        self.streams: list[tuple[str, str]] = []
        self.kinds: list[str] = []


def used(process: int) -> float:
    """Return the ticks of processor time that a process has taken."""
    with open(f"/proc/{process}/stat", "rb") as file:
        return sum(map(int, file.read().rpartition(b")")[2].split()[11:13]))
