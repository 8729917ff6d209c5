"""What Linux gives to keep processes together: subreapers, death signals, and the list of children."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_SWEEP_LIMIT = 5.0  #: seconds after which processes that the system cannot end are left to it


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def adopt_orphans() -> None:
    """Make this process the parent of what its descendants leave behind, instead of init."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def be_named(name: str) -> None:
    """Give this process a name, of at most 15 bytes, for lists of processes."""
    text = ctypes.create_string_buffer(name.encode())
    _prctl(_PR_SET_NAME, ctypes.addressof(text))


def name_of(process: int) -> str:
    """Return the name of a process; empty where it is gone."""
    try:
        return Path(f"/proc/{process}/comm").read_text().rstrip("\n")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def command_of(process: int) -> bytes:
    """Return the command line of a process; empty where it is gone."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def die_with(parent: int) -> None:
    """Have this process killed when the process `parent`, which forked it, is gone."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was gone before this could be said
        os._exit(1)


def children() -> list[int]:
    """Return the numbers of this process's children, orphans that it has adopted among them."""
    return children_of(os.getpid())


def children_of(process: int) -> list[int]:
    """Return the numbers of a process's children; none where it is gone."""
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{process}/task"):
            with contextlib.suppress(FileNotFoundError):  # the thread has just ended, or no kernel has it
                found += _numbers_in(f"/proc/{process}/task/{task}/children")
    except FileNotFoundError:
        return []
    if not found and not os.path.exists(f"/proc/{process}/task/{process}/children"):
        return _children_by_parent(process)
    return found


def _numbers_in(file: str) -> list[int]:
    with open(file, "rb", buffering=0) as opened:
        return [int(number) for number in opened.readall().split()]


def _children_by_parent(parent: int) -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                about = Path(f"/proc/{name}/stat").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(about.rpartition(b")")[2].split()[1]) == parent:
                found.append(int(name))
    return found


def sweep(spared: frozenset[int] = frozenset()) -> None:
    """Kill all children, wait for their end, and go on with those that they leave, until there are none.

    Children of the numbers in `spared` are left alone, and not waited for.
    """
    until = time.monotonic() + _SWEEP_LIMIT
    while left := [child for child in children() if child not in spared]:
        for child in left:
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for child in left:
            while True:
                try:
                    gone, _ = os.waitpid(child, os.WNOHANG)
                except ChildProcessError:
                    break
                if gone:
                    break
                if time.monotonic() > until:
                    return
                time.sleep(0.0005)


def threads() -> int:
    """Return how many threads this process has, those that Python does not know of among them."""
    return len(os.listdir("/proc/self/task"))
