"""Runs a slicer on many programs: `python run_programs.py --slicer slicer:slicer --seeds 0-20000`.

Prints the seeds on which it fails, the first of them with a program made small; ends with 1 if there are any.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import multiprocessing
import os
import resource
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from feature_table import Counts
from oracle import LiveError, check
from program_themes import FEATURES
from programs import generate
from shrinking import shrink

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from oracle import Slicer
    from programs import Program

_AT_ONCE = 50
_LISTED = 200
_MEMORY = 4 << 30  #: bytes, of one process: a slice that never ends must not take the machine with it


@dataclass(frozen=True)
class Options:
    """How programs are made, and what they are given to."""

    slicer: str
    without: frozenset[str] = frozenset()
    beyond: bool = False

    def load(self) -> Slicer:
        """Import the slicer."""
        module, _, name = self.slicer.partition(":")
        slicer: Slicer = getattr(importlib.import_module(module), name)
        return slicer

    def program(self, seed: int) -> Program:
        """Make the program of a seed."""
        return generate(seed, without=self.without, beyond=self.beyond)


@dataclass
class Result:
    """What came out for some seeds."""

    programs: int = 0
    kept: int = 0
    executed: int = 0
    seconds: float = 0.0  #: in the slicer
    failures: list[int] = field(default_factory=list)
    unsound: list[int] = field(default_factory=list)
    features: Counter[str] = field(default_factory=Counter)
    failing: Counter[str] = field(default_factory=Counter)  #: feature -> programs on which the slicer fails

    def merge(self, other: Result) -> None:
        """Add what came out for other seeds."""
        for name in ("programs", "kept", "executed", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.failures += other.failures
        self.unsound += other.unsound
        self.features += other.features
        self.failing += other.failing


def run(seeds: range, options: Options) -> Result:
    """Give the programs of the seeds to the slicer."""
    result, slicer = Result(), options.load()

    def timed(executed: list[str], step: str) -> str:
        began = time.perf_counter()
        try:
            return slicer(executed, step)
        finally:
            result.seconds += time.perf_counter() - began

    for seed in seeds:
        program = options.program(seed)
        try:
            verdict = check(program, timed)
        except LiveError:
            result.unsound.append(seed)
            continue
        result.programs += 1
        result.features.update(program.all_features)
        if verdict.good:
            result.kept += verdict.kept
            result.executed += verdict.executed
        else:
            result.failures.append(seed)
            result.failing.update(program.all_features)
    return result


def explain(seed: int, options: Options) -> str:
    """Make the program of a seed, on which the slicer fails, small, and tell how it fails."""
    program, slicer = options.program(seed), options.load()
    small = shrink(program, lambda candidate: not check(candidate, slicer).good)
    verdict = check(small, slicer)
    kept = "" if verdict.slice is None else f"# slice\n{verdict.slice.rstrip()}\n"
    failure = (verdict.failure or "").replace("\n", "\n# ")
    return f"# ---- seed {seed}, made small\n{small}{kept}# {failure}"


def count(seeds: range, options: Options) -> Counts:
    """Count what the programs of the seeds have."""
    counts = Counts()
    for seed in seeds:
        counts.add(options.program(seed))
    return counts


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--slicer", default="trivial_slicers:everything", help="MODULE:FUNCTION")
    parser.add_argument(
        "--seeds", default="0-2000", metavar="A-B", help="one seed, or those from A to before B"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--shrink", type=int, default=5, metavar="N", help="make so many failing programs small"
    )
    parser.add_argument("--without", action="append", default=[], metavar="FEATURE", help="may be repeated")
    parser.add_argument("--beyond", action="store_true", help="also what the contract leaves open")
    parser.add_argument("--table", action="store_true", help="count features, without a slicer")
    parser.add_argument("--show", action="store_true", help="print the programs of the seeds")
    given = parser.parse_args(arguments)
    unknown = set(given.without) - FEATURES
    if unknown:
        parser.error(f"no such features: {', '.join(sorted(unknown))}")
    sys.path.insert(0, os.getcwd())
    options = Options(given.slicer, frozenset(given.without), given.beyond)
    first, _, end = given.seeds.partition("-")
    seeds = range(int(first), int(end) if end else int(first) + 1)
    if given.show:
        for seed in seeds:
            print(f"# seed {seed}\n{options.program(seed)}")
        return 0
    if given.table:
        return _tabulate(seeds, options, given.jobs)
    return _test(seeds, options, given.jobs, given.shrink)


def _test(seeds: range, options: Options, jobs: int, shrunk: int) -> int:
    began, result = time.perf_counter(), Result()
    with _workers(jobs) as pool:
        for part in pool.imap(partial(run, options=options), _portions(seeds)):
            result.merge(part)
        seconds = time.perf_counter() - began
        for text in pool.imap(partial(explain, options=options), result.failures[:shrunk]):
            print(f"{text}\n", flush=True)
    if result.failures:
        more = " ..." if len(result.failures) > _LISTED else ""
        print(f"fails on the seeds {' '.join(map(str, result.failures[:_LISTED]))}{more}\n")
        print("features of programs on which it fails, and their share of those with the feature:")
        shares = {name: count / result.features[name] for name, count in result.failing.items()}
        # a feature of few programs tells little, whatever its share
        telling = {name: count / (result.features[name] + 5) for name, count in result.failing.items()}
        for name in sorted(telling, key=lambda name: -telling[name])[:15]:
            print(f"  {name:52} {result.failing[name]:6} {shares[name]:7.1%}")
    share = result.kept / result.executed if result.executed else 0.0
    print(
        f"{result.programs} programs in {seconds:.0f} s ({result.programs / seconds:.0f}/s), "
        f"slicer {1000 * result.seconds / max(result.programs, 1):.2f} ms each, "
        f"kept {share:.1%} of the statements where it is right, "
        f"{len(result.failures)} failed, {len(result.unsound)} unsound {result.unsound[:5]}"
    )
    return 1 if result.failures or result.unsound else 0


def _tabulate(seeds: range, options: Options, jobs: int) -> int:
    counts = Counts()
    with _workers(jobs) as pool:
        for part in pool.imap_unordered(partial(count, options=options), _portions(seeds)):
            counts.merge(part)
    print(counts.table(FEATURES.union(counts.having)))
    print(counts.summary())
    return 0


def _portions(seeds: range) -> list[range]:
    return [seeds[start : start + _AT_ONCE] for start in range(0, len(seeds), _AT_ONCE)]


@contextlib.contextmanager
def _workers(jobs: int) -> Iterator[multiprocessing.pool.Pool]:
    with multiprocessing.get_context("fork").Pool(jobs, _limit_memory) as pool:
        yield pool


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


if __name__ == "__main__":
    sys.exit(main())
