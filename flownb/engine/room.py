"""What a run needs of this process's limits; where it lacks, that is told before anything breaks by it."""

from __future__ import annotations

import errno
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from flownb.errors import EnvironmentRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

_FEWER = "or have fewer runs at a time"
#: what to do about it, by the error of the system call that met it
_HELP = {
    errno.EMFILE: f"raise this process's limit of open files (`ulimit -n`), {_FEWER}",
    errno.ENFILE: f"end other programs that have many files open, {_FEWER}",
    errno.EAGAIN: f"raise the limit of processes and threads (`ulimit -u`, or the container's), {_FEWER}",
    errno.ENOMEM: f"free some memory, {_FEWER}",
}

LACKING = frozenset(_HELP)
"""Errors of a system that has no descriptors, processes or memory left to give."""


def refusal(number: int) -> EnvironmentRefusedError:
    """Return what says that a run cannot be started for want of what the error `number` stands for."""
    return EnvironmentRefusedError(f"the run cannot be started here: {os.strerror(number)}; {_HELP[number]}")


@contextmanager
def shortage_told() -> Iterator[None]:
    """Raise `EnvironmentRefusedError` for an error that comes of what this process or the system lacks.

    It need not say so itself: where descriptors are lacking, `tempfile` finds no folder and an import no
    module. So one that says something else stays what it is only where there is room for a kernel.
    """
    try:
        yield
    except EnvironmentRefusedError:
        raise
    except Exception as error:
        number = _lacking(error)
        if number is None:
            check_room()
            raise
        raise refusal(number) from error


def _lacking(error: BaseException | None) -> int | None:
    """Return the number of the error that is at the bottom of it, where that is a shortage."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in LACKING:
            return error.errno
        error = error.__cause__
    return None


def check_room(descriptors: int = 32, threads: int = 12) -> None:
    """Raise `EnvironmentRefusedError` where this process cannot have so many more descriptors and threads.

    To be asked before a kernel is started from this process, as libzmq aborts it where it lacks one. The
    defaults are what papermill's standard engine takes, and a few more. They are taken for a moment: that
    costs a millisecond, and tells of any limit that there is, this process's, its user's, its container's.
    """
    opened: list[int] = []
    try:
        for _ in range(descriptors):
            opened.append(os.open(os.devnull, os.O_RDONLY))  # noqa: PERF401  # to be closed if one fails
    except OSError as error:
        if error.errno not in LACKING:
            raise
        raise refusal(error.errno) from error
    finally:
        for descriptor in opened:
            os.close(descriptor)
    over = threading.Event()
    started: list[threading.Thread] = []
    try:
        for _ in range(threads):
            thread = threading.Thread(target=over.wait, name="flownb-room")
            thread.start()
            started.append(thread)
    except RuntimeError as error:
        raise refusal(errno.EAGAIN) from error
    finally:
        over.set()
        for thread in started:
            thread.join()
