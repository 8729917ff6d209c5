"""What a kernel's process takes: CPU time and memory, read from outside. Only on Linux for now."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken in some span of time; None where it is not known."""

    cpu_seconds: float | None = None  #: of the process and of its children that have ended
    peak_memory_bytes: int | None = None  #: of the process, resident


class Meter:
    """Measures one process, span by span.

    Its own peak is reset at the start of each span. A process that dies takes what is known of it along,
    so `look` is called now and then while it lives.
    """

    def __init__(self, pid: int | None) -> None:
        """Measure the process `pid`; None for one that cannot be measured."""
        self._folder = f"/proc/{pid}" if pid is not None and os.path.exists("/proc/self/stat") else None
        self._cpu_before: float | None = None
        self._cpu: float | None = None
        self._peak: int | None = None

    def begin(self) -> None:
        """Start a span."""
        self._peak = None
        if self._folder is not None:
            with contextlib.suppress(OSError):  # not allowed everywhere; then the peak is that so far
                _use(f"{self._folder}/clear_refs", os.O_WRONLY, lambda file: os.write(file, b"5"))
        self._cpu_before = self._cpu = self._read_cpu()

    def look(self) -> None:
        """Note what the span has taken so far."""
        self._cpu = self._read_cpu() or self._cpu
        now = self._read_peak()
        if now is not None:
            self._peak = max(now, self._peak or 0)

    def end(self) -> Taken:
        """Return what the span has taken."""
        self.look()
        known = self._cpu is not None and self._cpu_before is not None
        cpu = self._cpu - self._cpu_before if known else None  # type: ignore[operator]  # known
        return Taken(None if cpu is None else round(max(cpu, 0.0), 2), self._peak)

    def _read_cpu(self) -> float | None:
        said = self._read("stat")
        if not said:
            return None
        # the name before the last bracket may hold anything; behind it utime is the 12th, cstime the 15th
        times = said.rpartition(b")")[2].split()[11:15]
        return sum(map(int, times)) / _TICKS

    def _read_peak(self) -> int | None:
        peak = self._read("status").partition(b"\nVmHWM:")[2]
        return int(peak.split(maxsplit=1)[0]) * 1024 if peak else None

    def _read(self, name: str) -> bytes:
        if self._folder is None:
            return b""
        try:
            return _use(f"{self._folder}/{name}", os.O_RDONLY, lambda file: os.read(file, _PAGE))
        except OSError:  # it has ended
            return b""


_PAGE = 1 << 16  #: bytes; more than these files have
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def _use(path: str, flags: int, use: Callable[[int], T]) -> T:
    """Open a file for one system call: these are read for every cell of a run."""
    descriptor = os.open(path, flags | getattr(os, "O_CLOEXEC", 0))
    try:
        return use(descriptor)
    finally:
        os.close(descriptor)


def together(spans: list[Taken]) -> Taken:
    """Return what spans took together: their CPU time in all, the highest of their peaks."""
    cpu = [span.cpu_seconds for span in spans if span.cpu_seconds is not None]
    peak = [span.peak_memory_bytes for span in spans if span.peak_memory_bytes is not None]
    return Taken(round(sum(cpu), 2) if cpu else None, max(peak, default=None))
