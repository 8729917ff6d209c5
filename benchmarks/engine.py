"""What many runs leave behind, how many there are in a second, and what memory each takes."""

from __future__ import annotations

import gc
import os
import tempfile
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import notebooks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measuring import Row

_ROUND = 200  #: runs for each round asked for; 5 rounds make 1,000
_AT_ONCE = 4
_WORK = """
import os, time
import numpy as np
import pandas as pd
table = pd.DataFrame({'a': np.arange(1000), 'b': np.arange(1000) % 7})
table.groupby('b').a.mean()
"""
_HOLD = """
open(f'{ready}/{os.getpid()}', 'w').close()
while not os.path.exists(f'{ready}/go'):
    time.sleep(0.02)
"""


@dataclass(frozen=True)
class Held:
    """What this process holds, and what of its children it has left unburied."""

    resident_mb: float
    descriptors: int
    threads: int
    children: int
    zombies: int
    temporary_files: int

    @classmethod
    def now(cls) -> Held:
        """Look, when what is garbage has been collected."""
        gc.collect()
        status = Path("/proc/self/status").read_text()
        resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        below = list(_descendants(os.getpid()))
        return cls(
            resident / 1024,
            len(os.listdir("/proc/self/fd")),
            len(os.listdir("/proc/self/task")),
            len(below),
            sum(_state(pid) == "Z" for pid in below),
            len(os.listdir(tempfile.gettempdir())),
        )


def rows(_rounds: int) -> list[Row]:
    """Return none: these figures have no peer that is run in turn."""
    return []


def lines(rounds: int) -> Iterator[str]:
    """Yield the figures as lines of text, each as soon as it is there."""
    count = _ROUND * rounds
    yield from _many(count, 1)
    yield from _many(count, _AT_ONCE)
    yield from _memory()


def _many(count: int, at_once: int) -> Iterator[str]:
    """Run a trivial notebook many times, and show what this process holds before and after."""
    nb = notebooks.notebook(notebooks.trivial(1))

    def run(_number: int) -> None:  # the executed notebook is let go at once
        notebooks.forked(nb)

    with ThreadPoolExecutor(at_once) as pool, _own_temporary_folder():
        deque(pool.map(run, range(count // 5)), maxlen=0)  # what is made once and stays is there now
        before, start = Held.now(), time.perf_counter()
        deque(pool.map(run, range(count)), maxlen=0)
        seconds = time.perf_counter() - start
        after = Held.now()
    yield f"{count:,} runs, {at_once} at once: {seconds:.1f} s, {count / seconds:.0f} a second"
    for field, was, now in zip(fields(Held), astuple(before), astuple(after), strict=True):
        yield f"    {field.name.replace('_', ' '):<16} {was:>8.6g} before {now:>8.6g} after"


class _own_temporary_folder:  # noqa: N801  # a context manager
    """Makes this process put its temporary files where nobody else does, so that they can be counted."""

    def __enter__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._before, tempfile.tempdir = tempfile.tempdir, self._folder.name

    def __exit__(self, *_: object) -> None:
        tempfile.tempdir = self._before
        self._folder.cleanup()


def _memory() -> Iterator[str]:
    """Compare what runs that are at work at the same time take, pandas imported: proportional set size."""
    own, few = _held_by("flownb", _AT_ONCE)
    _, many = _held_by("flownb", 2 * _AT_ONCE)
    kernel, _ = _held_by("papermill", _AT_ONCE)
    yield "memory of runs at work with pandas, each (proportional set size)"
    yield f"    a cold kernel, {_AT_ONCE} at once: {kernel:.1f} MB"
    for what, size in (
        (f"a run's own process, {_AT_ONCE} at once", own),
        (f"all that a further run adds, from {_AT_ONCE} to {2 * _AT_ONCE}", (many - few) / _AT_ONCE),
        (f"with its share of templates and the rest, {_AT_ONCE} at once", few / _AT_ONCE),
        (f"with its share of templates and the rest, {2 * _AT_ONCE} at once", many / (2 * _AT_ONCE)),
    ):
        share = size / kernel
        told = "met" if share < 0.5 else "NOT MET"
        yield f"    {what}: {size:.1f} MB, {share:.2f} of a kernel's, wanted less than 0.5: {told}"


def _held_by(engine: str, at_once: int) -> tuple[float, float]:
    """Return the MB that the process of one of so many runs takes; and all of them, with what serves them."""
    act = notebooks.forked if engine == "flownb" else notebooks.papermill
    with tempfile.TemporaryDirectory() as ready:
        before = set() if engine == "flownb" else set(_descendants(os.getpid()))
        act(notebooks.notebook((_WORK,)))  # the template is there, with what it preloads
        nb = notebooks.notebook((_WORK, f"ready = {ready!r}", _HOLD))
        runs = [threading.Thread(target=act, args=(nb,)) for _ in range(at_once)]
        for run in runs:
            run.start()
        limit = time.monotonic() + 120
        while len(os.listdir(ready)) < at_once and time.monotonic() < limit:
            time.sleep(0.02)
        own = [_proportional(int(pid)) for pid in os.listdir(ready)]
        together = [_proportional(pid) for pid in set(_descendants(os.getpid())) - before]
        Path(ready, "go").touch()
        for run in runs:
            run.join()
    return sum(own) / at_once, sum(together)


def _proportional(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) / 1024


def _descendants(pid: int) -> Iterator[int]:
    for task in _listed(f"/proc/{pid}/task"):
        try:
            below = [int(word) for word in Path(f"/proc/{pid}/task/{task}/children").read_text().split()]
        except OSError:
            continue
        for child in below:
            yield child
            yield from _descendants(child)


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
