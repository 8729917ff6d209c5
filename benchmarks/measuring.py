"""Taking times fairly: in turn, several times, the median quoted with the spread."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Times:
    """Seconds of several runs of one thing."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def __str__(self) -> str:
        low, high = min(self.seconds), max(self.seconds)
        return f"{_ms(self.median)} ({_ms(low)} to {_ms(high)})"


@dataclass(frozen=True)
class Row:
    """A figure, its peer, and what is wanted."""

    what: str
    ours: Times
    peer_name: str
    peer: Times
    wanted: str = ""

    @property
    def ratio(self) -> float:
        """Median of ours over the median of the peer's, measured in turn."""
        return self.ours.median / self.peer.median


def in_turn(ours: Callable[[], float], peer: Callable[[], float], rounds: int) -> tuple[Times, Times]:
    """Call both in turn, so that a machine that slows down slows both; each returns its seconds."""
    first, second = [], []
    for _ in range(rounds):
        first.append(ours())
        second.append(peer())
    return Times(tuple(first)), Times(tuple(second))


def timed(act: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def in_fresh_process(code: str) -> float:
    """Run `code` in a new interpreter and return the seconds that it prints as JSON on its last line."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def _ms(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"


def table(rows: list[Row]) -> str:
    """Return the rows as a text table."""
    cells = [["what", "flownb", "peer", "its time", "ratio", "wanted"]]
    cells += [[r.what, str(r.ours), r.peer_name, str(r.peer), f"{r.ratio:.2f}", r.wanted] for r in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(6)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])
