"""How an execution ended, told in one value, and read from what the kernel said. Pure."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

How = Literal["success", "failed", "died", "timed out", "cancelled"]

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_FRAME = re.compile(r"Cell In ?\[(\d+)\], line (\d+)")
#: what `sys.exit()`, `sys.exit(0)`, `sys.exit(None)` and `sys.exit(False)` leave as the error's value
_GOOD_EXITS = frozenset({"", "0", "None", "False"})


@dataclass(frozen=True, slots=True)
class CellError:
    """The exception that ended a cell."""

    ename: str
    evalue: str
    traceback: tuple[str, ...] = ()  #: as IPython coloured it
    line: int | None = None  #: in the cell, from 1; the innermost frame that is in the cell
    source_line: str = ""  #: that line, stripped

    @property
    def exits_well(self) -> bool:
        """Whether this is `sys.exit(0)` or one of its likes: the end of a script, not a failure."""
        return self.ename == "SystemExit" and self.evalue in _GOOD_EXITS


@dataclass(frozen=True, slots=True)
class Ending:
    """How an execution ended: success, failed, died, timed out or cancelled; and where, and why."""

    how: How
    cell: int | None = None  #: index of the cell that was at work, where one was
    error: CellError | None = None  #: what the cell raised, where it raised
    exit_code: int | None = None  #: status of a kernel's process that ended by itself
    signal: str | None = None  #: name of the signal that killed a kernel's process
    limit: Literal["run", "step"] | None = None  #: which limit was passed
    after: float | None = None  #: that limit, in seconds
    early: bool = False  #: a success by `sys.exit(0)`: the cells behind `cell` did not run
    log: str = ""  #: end of what the kernel's process wrote outside of cells: a crash's last words
    notes: tuple[str, ...] = ()  #: what could not be done, and why
    words: str = field(default="", compare=False)  #: how it died, where its status does not say it all
    engine: str = field(default="", compare=False)  #: name of the engine that really ran it

    @property
    def reason(self) -> str:
        """One sentence for people; empty for a success."""
        if self.how == "died":
            return f"the kernel {self.words or death(self.exit_code, self.signal)}"
        if self.how == "timed out":
            what = "the run" if self.limit == "run" else "the step"
            return f"{what} took longer than its limit of {seconds(self.after or 0)}"
        if self.how == "cancelled":
            return "the run was cancelled"
        if self.how == "failed" and self.error is not None:
            return f"{self.error.ename}: {self.error.evalue}".rstrip(": ")
        return ""


def death(exit_code: int | None, signal_name: str | None) -> str:
    """Return in words how a process ended that should not have."""
    if signal_name == "SIGKILL":
        return "was killed by SIGKILL; out of memory?"
    if signal_name is not None:
        return f"was killed by {signal_name}"
    return f"ended with status {exit_code}" if exit_code is not None else "is gone"


def exit_status(returncode: int | None) -> tuple[int | None, str | None]:
    """Split a process's return code into a status and a signal's name, one of which is None."""
    if returncode is None or returncode >= 0:
        return returncode, None
    try:
        return None, signal.Signals(-returncode).name
    except ValueError:
        return None, f"signal {-returncode}"


def seconds(value: float) -> str:
    """Return a length of time as people write it: `0.5 s`, `90 s`."""
    return f"{value:g} s"


def plain(text: str) -> str:
    """Return text without the escapes that colour it on a terminal."""
    return _ANSI.sub("", text)


def cell_error(cell: Mapping[str, Any], fallback: tuple[str, str] = ("Error", "")) -> CellError:
    """Return the exception that a cell's outputs tell of, with its place in the cell.

    Args:
        cell: the executed cell.
        fallback: name and value, where the outputs hold no error (an Output widget took it).

    """
    raised = next((out for out in reversed(cell.get("outputs", ())) if out["output_type"] == "error"), None)
    if raised is None:
        return CellError(*fallback)
    traceback = tuple(map(str, raised["traceback"]))
    line = line_in_cell(traceback, cell.get("execution_count"))
    lines = str(cell["source"]).splitlines()
    source_line = lines[line - 1].strip() if line is not None and line <= len(lines) else ""
    return CellError(str(raised["ename"]), str(raised["evalue"]), traceback, line, source_line)


def line_in_cell(traceback: tuple[str, ...], execution_count: int | None) -> int | None:
    """Return the line, from 1, of the innermost frame that is in the cell with that count.

    Frames of functions that other cells define carry those cells' counts and are passed over. Of
    chained exceptions the last is taken: the one that ended the cell.
    """
    frames = _FRAME.findall(plain("\n".join(traceback)))
    inside = [int(line) for count, line in frames if int(count) == execution_count]
    return inside[-1] if inside else None


def error_of(cell: MutableMapping[str, Any], ending: Ending | None) -> CellError | None:
    """Return what ended a cell; None where it ended well.

    A cell that was stopped or died tells nothing of it by itself: an error is left in its outputs that
    does, for whoever opens the notebook.
    """
    if ending is None or ending.early:
        return None
    if ending.error is not None:
        return ending.error
    ename = {"cancelled": "Cancelled", "timed out": "TimedOut", "died": "KernelDied"}[ending.how]
    where = cell_error(cell)  # the interrupt may have told which line was at work
    shown = f"{ename}: {ending.reason}"
    told = {"output_type": "error", "ename": ename, "evalue": ending.reason, "traceback": [shown]}
    cell["outputs"] = [*cell.get("outputs", ()), _node(told)]
    return CellError(ename, ending.reason, (*where.traceback, shown), where.line, where.source_line)


def _node(output: dict[str, Any]) -> Any:
    from nbformat import from_dict

    return from_dict(output)
