"""`collect_metrics`: time, CPU and memory of each run and step, appended to one file."""

from __future__ import annotations

import csv
import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flownb.callbacks.base import Configured
from flownb.callbacks.options import path_option
from flownb.callbacks.places import append_lines, place
from flownb.errors import CallbackError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from flownb.runs import Run

#: The columns, in their order in a CSV file. `step` is empty in the line that is of the whole run.
COLUMNS = ("flow", "run", "step", "state", "started", "ended", "seconds", "cpu_seconds", "peak_memory_bytes")


@dataclass(frozen=True)
class CollectMetrics(Configured):
    """See `collect_metrics`, which makes it."""

    path: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", path_option(self.path, "collect_metrics", "path"))
        if Path(self.path).suffix.lower() not in {".jsonl", ".csv"}:
            raise CallbackError(
                f"collect_metrics: `path` ends in .jsonl or .csv; got {ascii(self.path)[:100]}"
            )

    def options(self) -> dict[str, Any]:
        """Return the path."""
        return {"path": self.path}

    def __str__(self) -> str:
        return f"collect_metrics({self.path})"

    def __call__(self, run: Run) -> Path:
        """Append the lines of this run; return the file."""
        target = place(self.path, run)
        target.parent.mkdir(parents=True, exist_ok=True)
        rows = rows_of(run)
        if target.suffix.lower() == ".csv":
            append_lines(target, _as_csv(rows), header=_as_csv([dict(zip(COLUMNS, COLUMNS, strict=True))]))
        else:
            append_lines(target, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        return target


def collect_metrics(path: str | os.PathLike[str]) -> CollectMetrics:
    """Make an `on_exit` callback that appends what a run took to a file: a line for it, one for each step.

    `path` ends in `.jsonl` or `.csv`; a relative one starts at the project. Columns: `flow`, `run`, `step`
    (empty for the run's own line), `state`, `started`, `ended` (ISO 8601), `seconds`, `cpu_seconds`,
    `peak_memory_bytes`; what was not measured is empty. Any number of runs can append at once. It runs in
    the process that supervises the run, on that machine; the file is to be on a local file system.
    """
    return CollectMetrics(os.fspath(path))


def rows_of(run: Run) -> list[dict[str, Any]]:
    """Return one row for the run and one for each of its steps, each with all of `COLUMNS`."""
    whole = {
        "step": "",
        "state": str(run.state),
        "started": _moment(run.started),
        "ended": _moment(run.ended),
        "seconds": run.seconds,
        **{key: run.metrics.get(key) for key in ("cpu_seconds", "peak_memory_bytes")},
    }
    steps = [
        {
            "step": step.name,
            "state": str(step.state),
            "started": _moment(step.started),
            "ended": _moment(step.ended),
            "seconds": step.seconds,
            "cpu_seconds": step.cpu_seconds,
            "peak_memory_bytes": step.peak_memory_bytes,
        }
        for step in run.steps
    ]
    return [{"flow": run.flow, "run": run.id, **row} for row in (whole, *steps)]


def _as_csv(rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    csv.DictWriter(text, COLUMNS, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
