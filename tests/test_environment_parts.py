"""The small parts of environments: the log, the meter, the plan of a run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from environment_flows import SECRET, flow

from flownb.engine import redactor
from flownb.environments.meter import Meter, Taken, together
from flownb.environments.plan import Plan, steps_by_cell
from flownb.environments.runlog import RunLog
from flownb.errors import ParameterError, RecordError
from flownb.flow import Parameter, Step
from flownb.parameters import Secret

if TYPE_CHECKING:
    from pathlib import Path


def test_a_log_has_whole_lines_as_a_terminal_would_show_them(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "log.txt", str)
    log.stream("stdout", "one\ntw")
    log.stream("stderr", "warn")
    log.stream("stdout", "o\r\n10%\r50%")
    log.stream("stdout", "\r100%\n")
    log.stream("stderr", "ing \x1b[31mred\x1b[0m")
    log.close()
    assert (tmp_path / "log.txt").read_text() == "one\ntwo\n100%\nwarning red\n"


def test_a_log_never_has_a_secret_not_even_in_two_pieces(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "log.txt", redactor(["hunter2"]))
    log.stream("stdout", "x hunt")
    log.stream("stdout", "er2 y\n")
    log.note("hunter2")
    log.close()
    first, second = (tmp_path / "log.txt").read_text().splitlines()
    assert first == "x *** y"
    assert second.endswith("] ***")


def test_a_log_that_cannot_be_written_says_why(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"log\.txt cannot be written: No such file"):
        RunLog(tmp_path / "gone" / "log.txt", str).note("x")


def test_a_meter_measures_each_span_by_itself() -> None:
    meter = Meter(os.getpid())
    meter.begin()
    big = bytearray(80_000_000)
    big[::4096] = b"x" * len(big[::4096])
    first = meter.end()
    del big
    meter.begin()
    second = meter.end()
    assert first.peak_memory_bytes is not None
    assert second.peak_memory_bytes is not None
    assert first.peak_memory_bytes - second.peak_memory_bytes > 40_000_000
    assert first.cpu_seconds is not None


def test_a_meter_without_a_process_knows_nothing() -> None:
    meter = Meter(None)
    meter.begin()
    assert meter.end() == Taken(None, None)
    assert together([Taken(1.0, 5), Taken(None, None), Taken(0.5, 3)]) == Taken(1.5, 5)


GIVEN = flow(
    "given",
    Step("one", "1"),
    parameters=(Parameter("token", "Secret"), Parameter("n", "int", "1"), Parameter("free")),
    closure=(SECRET,),
)


def test_a_plan_writes_values_once_and_secrets_never() -> None:
    plan = Plan(GIVEN, {"token": Secret("hunter2"), "n": 3, "free": {"key": (1, 2)}})
    assert plan.parameters == {"token": "***", "n": "3", "free": "{'key': (1, 2)}"}
    noted = plan.notebook.metadata.papermill
    assert noted.parameters == {"token": "***", "n": 3, "free": "{'key': (1, 2)}"}
    assert set(noted) == {"default_parameters", "parameters", "environment_variables", "version"}
    assert "hunter2" not in str(plan.notebook)
    assert plan.secrets.hidden == ("hunter2",)
    assert "hunter2" in plan.secrets.source


def test_a_secret_is_hidden_whatever_its_parameter_was_declared_as() -> None:
    plan = Plan(GIVEN, {"token": Secret("a1b2c3"), "free": Secret("hunter2")})
    assert plan.hidden == {"token", "free"}
    assert "hunter2" not in str(plan.notebook)


def test_a_value_that_cannot_be_written_is_named() -> None:
    with pytest.raises(ParameterError, match="`free` of flow `given`"):
        _ = Plan(GIVEN, {"token": Secret("x"), "free": object()}).notebook


def test_steps_are_found_in_the_executed_notebook() -> None:
    two = flow("two", Step("a", "1"), Step("b", "2"), parameters=(Parameter("n", "int", "1"),))
    notebook = Plan(two, {"n": 2}).notebook
    found = steps_by_cell(two, notebook)
    assert [(notebook.cells[index].source, position) for index, position in found.items()] == [
        ("1", 0),
        ("2", 1),
    ]
