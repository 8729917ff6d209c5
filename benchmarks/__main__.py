"""`python -m benchmarks [--rounds N] [starting|capturing|reading|running ...]`."""

from __future__ import annotations

import argparse
import os
import platform
import warnings
from importlib import import_module

from benchmarks.measuring import table

SUITES = ("starting", "capturing", "reading", "running")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {', '.join(SUITES)}; all without")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each thing, in turn with its peer's")
    options = parser.parse_args()
    if unknown := set(options.suites) - set(SUITES):
        parser.error(f"no such suite: {', '.join(sorted(unknown))}")
    warnings.simplefilter("ignore")  # papermill warns of its own dependencies
    rows = []
    for suite in options.suites or SUITES:
        rows += import_module(f"benchmarks.{suite}").rows(options.rounds)
    print(f"Python {platform.python_version()}, {os.cpu_count()} processors")
    print("medians of runs taken in turn, with their spread")
    print(table(rows))


if __name__ == "__main__":
    main()
