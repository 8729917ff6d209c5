"""`collect_logs`: a run's log as a text file in a folder of one's own."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flownb.callbacks.base import Configured
from flownb.callbacks.options import path_option
from flownb.callbacks.places import file_name, place, whole

if TYPE_CHECKING:
    from pathlib import Path

    from flownb.runs import Run


@dataclass(frozen=True)
class CollectLogs(Configured):
    """See `collect_logs`, which makes it."""

    folder: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", path_option(self.folder, "collect_logs", "folder"))

    def options(self) -> dict[str, Any]:
        """Return the folder."""
        return {"folder": self.folder}

    def __str__(self) -> str:
        return f"collect_logs({self.folder})"

    def __call__(self, run: Run) -> Path:
        """Write the log as it is now; return the file."""
        target = place(self.folder, run) / file_name(run.flow) / f"{file_name(run.id)}.log"
        with whole(target) as file:
            file.write(run.logs.encode("utf-8", "backslashreplace"))
        return target


def collect_logs(folder: str | os.PathLike[str]) -> CollectLogs:
    """Make an `on_exit` callback that writes the run's log to `folder/FLOW/RUN.log`, in UTF-8.

    A relative folder starts at the project. It runs in the process that supervises the run, on that
    machine; secret values are `***` in it, as in the log itself.
    """
    return CollectLogs(os.fspath(folder))
