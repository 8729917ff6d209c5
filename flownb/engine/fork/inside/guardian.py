"""The guardian: the parent of one run's process, and of all that this one leaves behind.

It sees how the process ends, ends what is left of its family, and tells the owner. When the owner is gone
it ends everything.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from typing import TYPE_CHECKING, Any

from . import linux, wire

if TYPE_CHECKING:
    import socket
    from typing import NoReturn


_TRACKER = b"resource_tracker import main"  # in the command of what multiprocessing, and joblib, start
_TIDYING = 1.0  #: seconds that those get


def guard(child: int, pidfd: int, control: socket.socket, owner: int) -> NoReturn:
    """Watch over the process `child` of this one until it has ended; never returns.

    Args:
        child: its number; it leads a process group of its own.
        pidfd: of that process.
        control: where the owner tells what to do, and is told of the end.
        owner: a pidfd of the owner's process.

    """
    linux.sweep(frozenset({child}))  # nothing is there yet; it is quicker for having been done once
    poll = select.poll()
    for descriptor in (pidfd, control.fileno(), owner):
        poll.register(descriptor, select.POLLIN)
    ended: dict[str, Any] | None = None
    while ended is None:
        ready = {descriptor for descriptor, _ in poll.poll()}
        if pidfd in ready:
            ended = _ended(child)
            _tidy()
        elif owner in ready or not _obeyed(control, child):
            _kill(child)
            ended = _ended(child)
            linux.sweep()
    with contextlib.suppress(OSError):  # there may be no owner any more who wants to know
        wire.send_control(control, {"ended": ended})
    linux.sweep()
    os._exit(0)


def _tidy() -> None:
    """End what is left; who removes shared memory that the flow has left may do that first."""
    trackers = frozenset(each for each in linux.children() if _TRACKER in linux.command_of(each))
    linux.sweep(trackers)
    until = time.monotonic() + _TIDYING
    while trackers and linux.children() and time.monotonic() < until:
        for each in trackers:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(each, os.WNOHANG)
        time.sleep(0.002)
    linux.sweep()


def _obeyed(control: socket.socket, child: int) -> bool:
    """Do what the owner says; False where it is gone."""
    try:
        message, _ = wire.recv_control(control)
    except (EOFError, OSError):
        return False
    if message.get("signal") == "INT":
        with contextlib.suppress(ProcessLookupError):  # it ended just now
            os.killpg(child, signal.SIGINT)
    elif message.get("signal") == "KILL":
        _kill(child)
    return True


def _kill(child: int) -> None:
    # its group first, at once: else they could start others while they are killed one by one
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError):  # it ended just now
            kill(child, signal.SIGKILL)


def _ended(child: int) -> dict[str, Any]:
    while True:
        gone, status, usage = os.wait4(child, os.WNOHANG)
        if gone:
            break
        # it is dying, or a tracer that the flow has started keeps it, and does not let go before its own end
        linux.sweep(frozenset({child}))
        time.sleep(0.0005)
    code = os.waitstatus_to_exitcode(status)
    try:
        name = signal.Signals(-code).name if code < 0 else None
    except ValueError:
        name = f"signal {-code}"
    return {
        "code": code if code >= 0 else None,
        "signal": name,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_memory_bytes": usage.ru_maxrss * 1024,
    }
