"""How an execution ended, read from what a kernel says, and said in words."""

from __future__ import annotations

from typing import Any

import pytest

from flownb.engine import Ending
from flownb.engine.ending import CellError, cell_error, error_of, exit_status, line_in_cell

#: as IPython 9 colours it: a function of cell 1 that cell 3 calls twice over
RAISED = (
    "\x1b[31m----\x1b[39m",
    "\x1b[31mZeroDivisionError\x1b[39m   Traceback (most recent call last)",
    "\x1b[36mCell\x1b[39m\x1b[36m \x1b[39m\x1b[32mIn[3]\x1b[39m\x1b[32m, line 4\x1b[39m\n",
    "\x1b[36mCell\x1b[39m\x1b[36m \x1b[39m\x1b[32mIn[3]\x1b[39m\x1b[32m, line 2\x1b[39m, in helper()\n",
    "\x1b[36mCell\x1b[39m\x1b[36m \x1b[39m\x1b[32mIn[1]\x1b[39m\x1b[32m, line 9\x1b[39m, in divide()\n",
    "\x1b[31mZeroDivisionError\x1b[39m: division by zero",
)


def cell(*outputs: dict[str, Any], count: int | None = 3, source: str = "a\n  b\nc\nd") -> dict[str, Any]:
    return {"source": source, "execution_count": count, "outputs": list(outputs)}


def raised(ename: str, evalue: str, *traceback: str) -> dict[str, Any]:
    return {"output_type": "error", "ename": ename, "evalue": evalue, "traceback": list(traceback)}


def test_the_line_is_that_of_the_innermost_frame_in_the_cell_itself() -> None:
    assert line_in_cell(RAISED, 3) == 2
    assert line_in_cell(RAISED, 1) == 9
    assert line_in_cell(RAISED, 7) is None
    assert line_in_cell(("  Cell In[2], line 1\n    x = = 1",), 2) == 1


def test_a_cells_error_tells_the_line_and_its_source() -> None:
    error = cell_error(cell(raised("ZeroDivisionError", "division by zero", *RAISED)))
    assert (error.ename, error.evalue, error.line, error.source_line) == (
        "ZeroDivisionError",
        "division by zero",
        2,
        "b",
    )


def test_an_error_that_the_outputs_do_not_tell_comes_from_the_reply() -> None:
    assert cell_error(cell(), ("ValueError", "x")) == CellError("ValueError", "x")


@pytest.mark.parametrize(
    ("value", "well"), [("", True), ("0", True), ("None", True), ("1", False), ("no", False)]
)
def test_sys_exit_ends_well_or_not_by_its_value(value: str, well: bool) -> None:
    assert CellError("SystemExit", value).exits_well is well
    assert not CellError("ValueError", value).exits_well


@pytest.mark.parametrize(
    ("returncode", "told"),
    [(None, (None, None)), (0, (0, None)), (3, (3, None)), (-9, (None, "SIGKILL")), (-11, (None, "SIGSEGV"))],
)
def test_a_return_code_is_a_status_or_a_signal(
    returncode: int | None, told: tuple[int | None, str | None]
) -> None:
    assert exit_status(returncode) == told


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        (Ending("success"), ""),
        (Ending("failed", 0, CellError("KeyError", "'x'")), "KeyError: 'x'"),
        (Ending("died", 0, signal="SIGKILL"), "the kernel was killed by SIGKILL; out of memory?"),
        (Ending("died", 0, signal="SIGSEGV"), "the kernel was killed by SIGSEGV"),
        (Ending("died", 0, exit_code=3), "the kernel ended with status 3"),
        (Ending("timed out", 0, limit="run", after=60.0), "the run took longer than its limit of 60 s"),
        (Ending("timed out", 0, limit="step", after=0.5), "the step took longer than its limit of 0.5 s"),
        (Ending("cancelled"), "the run was cancelled"),
    ],
)
def test_an_ending_gives_its_reason(ending: Ending, reason: str) -> None:
    assert ending.reason == reason


def test_a_cell_that_died_is_left_with_an_error_that_says_so() -> None:
    dead = cell({"output_type": "stream", "name": "stdout", "text": "so far\n"})
    error = error_of(dead, Ending("died", 0, exit_code=3))
    assert error is not None
    assert error.ename == "KernelDied"
    assert [output["output_type"] for output in dead["outputs"]] == ["stream", "error"]
    assert dead["outputs"][1]["evalue"] == "the kernel ended with status 3"


def test_a_cell_that_was_stopped_tells_where_it_was_interrupted() -> None:
    stopped = cell(raised("KeyboardInterrupt", "", *RAISED))
    error = error_of(stopped, Ending("timed out", 0, limit="step", after=1.0))
    assert error is not None
    assert (error.line, error.source_line) == (2, "b")


def test_a_cell_that_ended_well_has_no_error() -> None:
    assert error_of(cell(), None) is None
    assert error_of(cell(raised("SystemExit", "0")), Ending("success", 0, early=True)) is None
