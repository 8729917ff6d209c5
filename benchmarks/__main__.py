"""`python -m benchmarks [--rounds N] [--quick] [starting|capturing|reading|storing|running|engine ...]`."""

from __future__ import annotations

import argparse
import os
import platform
import warnings
from importlib import import_module

from benchmarks.measuring import table

SUITES = ("starting", "capturing", "reading", "storing", "running", "engine")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {', '.join(SUITES)}; all without")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each thing, in turn with its peer's")
    parser.add_argument("--quick", action="store_true", help="two rounds: to see that it works, not to quote")
    options = parser.parse_args()
    rounds = 2 if options.quick else options.rounds
    if unknown := set(options.suites) - set(SUITES):
        parser.error(f"no such suite: {', '.join(sorted(unknown))}")
    warnings.simplefilter("ignore")  # papermill warns of its own dependencies
    rows, lines = [], []
    for suite in options.suites or SUITES:
        module = import_module(f"benchmarks.{suite}")
        rows += module.rows(rounds)
        lines += getattr(module, "lines", lambda _: ())(rounds)  # what is told in another form than a row
    print(f"Python {platform.python_version()}, {os.cpu_count()} processors")
    print("medians of runs taken in turn, with their spread")
    if rows:
        print(table(rows))
    for line in lines:
        print(line)


if __name__ == "__main__":
    main()
