"""The pages of memory that runs touch: learned from one run, made ready in the processes of the next.

A forked process shares its template's memory; each page that it writes to is copied then, and each page of
a library that it reads is mapped then, one fault at a time, while somebody waits. What a run has touched
is mostly what the next one will. So a process that waits for its run does that beforehand, and in few calls.

What is learned lies in memory that a template and all its processes share. It is advice: a flow that
overwrites it makes later runs slower, and nothing else.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import re
import resource
import struct
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_POPULATE_READ, _POPULATE_WRITE = 22, 23  #: of `madvise`, since Linux 5.14; before, nothing is made ready
_PAGE = mmap.PAGESIZE
_ROOM = 1 << 17  #: bytes of what is learned
_COUNT = struct.Struct("=II")  # how often something was learned, how many spans there are
_SPAN = struct.Struct("=QII")  # address, pages, whether they are written to
_MOST_PAGES = (64 << 20) // _PAGE  #: that are made ready in all
_MANY_FAULTS = 100  #: a run that meets more of them has something to teach
_MOST_LESSONS = 6  #: of a template; each takes some milliseconds

# the last byte of a page's entry in `/proc/self/pagemap`
# one or two others in between are made ready along with them: fewer calls
_OWN = re.compile(rb"\x81+(?:[^\x81]{1,2}\x81+)*")  # anonymous, and of this process alone: it was written to
_OF_A_FILE = re.compile(rb"[\xa0\xa1]+(?:[^\xa0\xa1]{1,2}[\xa0\xa1]+)*")


class Pages:
    """What is known of the pages that a template's runs touch; made in the template, used in its forks."""

    def __init__(self) -> None:
        """Begin with nothing known, for the memory that this process has now."""
        self._shared = mmap.mmap(-1, _ROOM)
        self._faults: int | None = None  # met until all was ready; None: nothing was made ready
        self.look_again()

    def look_again(self) -> None:
        """Take the memory that this process has now for what a run's process will have at its start."""
        self._mapped = tuple(_mapped())

    def make_ready(self) -> None:
        """Touch what earlier runs have touched, and count from now on what this run touches besides."""
        advise = _madvise()
        for address, pages, written in bounded(self._known()):
            advice = _POPULATE_WRITE if written else _POPULATE_READ
            if advise(address, pages * _PAGE, advice) == 0:
                # read as well: where the system itself is a guest, its host learns of a page by that only.
                # Not written: what is written back may have changed in between
                memory = memoryview((ctypes.c_char * (pages * _PAGE)).from_address(address)).cast("B")
                bytes(memory[::_PAGE])
        self._faults = _faults()

    def learn(self) -> None:
        """Keep what this run has touched for those after it, where much of that was not ready.

        Nothing is learned of a run for which nothing was made ready, but for the first.
        """
        lessons, _ = _COUNT.unpack_from(self._shared)
        before = self._faults if self._faults is not None or lessons else 0
        if lessons >= _MOST_LESSONS or before is None or _faults() - before < _MANY_FAULTS:
            return
        spans = sorted([*self._known(), *_touched(self._mapped)])
        kept = list(bounded(joined(spans)))
        for number, span in enumerate(kept):
            _SPAN.pack_into(self._shared, _COUNT.size + number * _SPAN.size, *span)
        _COUNT.pack_into(self._shared, 0, lessons + 1, len(kept))

    def _known(self) -> Iterator[tuple[int, int, bool]]:
        _, count = _COUNT.unpack_from(self._shared)
        for number in range(min(count, (_ROOM - _COUNT.size) // _SPAN.size)):
            address, pages, written = _SPAN.unpack_from(self._shared, _COUNT.size + number * _SPAN.size)
            yield address, pages, bool(written)


def joined(spans: Iterable[tuple[int, int, bool]]) -> Iterator[tuple[int, int, bool]]:
    """Join spans (address, pages, written to), sorted by address, that overlap or touch."""
    last: tuple[int, int, bool] | None = None
    for span in spans:
        if last is not None and span[2] is last[2] and span[0] <= last[0] + last[1] * _PAGE:
            pages = (span[0] - last[0]) // _PAGE + span[1]
            last = last[0], max(last[1], pages), last[2]
            continue
        if last is not None:
            yield last
        last = span
    if last is not None:
        yield last


def bounded(spans: Iterable[tuple[int, int, bool]]) -> Iterator[tuple[int, int, bool]]:
    """Leave out what is too much: a run that touches so much does so for long, and waits for other things."""
    left, room = _MOST_PAGES, (_ROOM - _COUNT.size) // _SPAN.size
    for address, pages, written in spans:
        if pages <= left and room:
            left, room = left - pages, room - 1
            yield address, pages, written


def _mapped() -> Iterator[tuple[int, int, bool]]:
    """Yield the private memory of this process: start, end, and whether it may be written to."""
    for line in Path("/proc/self/maps").read_text("utf-8", "replace").splitlines():
        span, rights, *_ = line.split(maxsplit=2)
        if rights[0] == "r" and rights[3] == "p" and "[v" not in line:
            start, end = (int(number, 16) for number in span.split("-"))
            yield start, end, rights[1] == "w"


def _touched(mapped: Iterable[tuple[int, int, bool]]) -> Iterator[tuple[int, int, bool]]:
    """Yield the spans of pages within `mapped` that this process has touched."""
    try:
        pagemap = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # the flow has given up the right to, or used up the descriptors
        return
    try:
        for start, end, writable in mapped:
            state = os.pread(pagemap, (end - start) // _PAGE * 8, start // _PAGE * 8)[7::8]
            for pattern, written in ((_OWN, True), (_OF_A_FILE, False)):
                if written and not writable:
                    continue
                for run in pattern.finditer(state):
                    yield start + run.start() * _PAGE, run.end() - run.start(), written
    finally:
        os.close(pagemap)


def _faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def _madvise() -> Callable[[int, int, int], int]:
    function = ctypes.CDLL(None, use_errno=True).madvise
    function.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    function.restype = ctypes.c_int
    return lambda address, size, advice: int(function(address, size, advice))
