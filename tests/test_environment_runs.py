"""Flows run by the local environment in real kernels: the life of a run, its record and its files."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from environment_flows import SECRET, flow, memory
from polling import poll

from flownb.callbacks.stored import deserialize
from flownb.environments import LocalEnvironment
from flownb.environments.asking import asked_by
from flownb.errors import CallbackError, EnvironmentRefusedError, FlowNotFoundError, ParameterError
from flownb.flow import Flow, Parameter, Step
from flownb.parameters import Text
from flownb.runs import Run, Runs, State

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.kernel

SALES = flow(
    "sales",
    Step("load", "print('loading', n)\nrows = list(range(n))", ("rows",)),
    Step("sum", "total = sum(rows)\ntotal + 1", ("total",), result=True),
    parameters=(Parameter("n", "int", "3"),),
)


NUMBER = (Parameter("i", "int", "0"),)


def open_in(folder: Path) -> list[str]:
    """Return the names of the files below `folder` that this process has open."""
    targets = [Path(os.path.realpath(link)) for link in Path("/proc/self/fd").iterdir()]
    return sorted(target.name for target in targets if target.is_relative_to(folder))


def states(run: Run) -> list[str]:
    return [str(step.state) for step in run.steps]


def executed(run: Run) -> Any:
    notebook = nbformat.read(run.notebook, as_version=4)
    nbformat.validate(notebook)
    return notebook


def statuses(run: Run) -> list[str]:
    return [cell.metadata.papermill.status for cell in executed(run).cells]


def test_a_run_is_recorded_with_its_steps_outputs_and_files(project: Path) -> None:
    seen: list[tuple[str, list[str]]] = []
    exits: list[tuple[str, list[str]]] = []
    environment = LocalEnvironment(
        labels=["night"],
        on_start=lambda run: exits.append((str(run.state), [])),
        on_exit=[lambda run: exits.append((str(run.state), states(run))), lambda: None],
    )
    with asked_by("notebook"):
        run = environment.execute(
            memory(project, SALES),
            "sales",
            {"n": Text("5")},
            on_change=lambda run: seen.append((str(run.state), states(run))),
        )
    assert run.state is State.SUCCESS
    assert {name: run.outputs[name] for name in run.outputs} == {
        "rows": [0, 1, 2, 3, 4],
        "total": 10,
        "result": 11,
    }
    assert (run.parameters, run.labels, run.asked_by) == ({"n": 5}, ["night"], "notebook")
    assert run.location == f"sales@{SALES.version}"
    assert exits == [("Pending", []), ("Success", ["Success", "Success"])]
    assert seen[0] == ("Pending", ["Pending", "Pending"])
    assert seen[-1] == ("Success", ["Success", "Success"])
    assert ("Running", ["Pending", "Pending"]) in seen
    assert all(step.seconds is not None and step.started and step.ended for step in run.steps)
    assert run.metrics["peak_memory_bytes"] > 10_000_000
    assert run.metrics["cpu_seconds"] >= 0
    assert "loading 5\n" in run.logs
    assert "step load: Success" in run.logs
    assert sorted(path.name for path in run.folder.iterdir()) == [
        "executed.ipynb",
        "flow.ipynb",
        "journal.jsonl",
        "lock",
        "log.txt",
        "outputs",
    ]
    assert Flow.read(run.document) == SALES
    notebook = executed(run)
    assert statuses(run) == ["completed"] * 5
    assert notebook.metadata.papermill.parameters == {"n": 5}
    assert notebook.metadata.papermill.exception is False
    assert notebook.metadata.flownb.run.state == "Success"
    assert notebook.cells[1].metadata.tags == ["injected-parameters"]
    assert notebook.cells[2].metadata.flownb.collected[0]["name"] == "rows"
    assert Run.load(project=run._store.project).record == run.record


def test_a_failing_step_is_told_everywhere_alike(project: Path) -> None:
    bad = flow(
        "bad", Step("a", "x = 1", ("x",)), Step("b", "print('so far')\n1/0"), Step("c", "y = 2", ("y",))
    )
    run = LocalEnvironment().execute(memory(project, bad), "bad")
    assert run.state is State.FAILED
    assert run.error is not None
    assert (run.error.kind, run.error.message) == ("ZeroDivisionError", "division by zero")
    assert (run.error.step, run.error.line, run.error.source_line) == ("b", 2, "1/0")
    assert states(run) == ["Success", "Failed", "Skipped"]
    assert run.steps[1].error == run.error
    assert list(run.outputs) == ["x"]
    assert statuses(run)[-4:] == ["completed", "failed", "pending", "pending"]
    assert executed(run).metadata.flownb.run.error["step"] == "b"
    assert "ZeroDivisionError: division by zero" in run.logs
    assert "\x1b" not in run.logs


def test_a_kernel_that_dies_crashes_the_run_and_sys_exit_ends_it(project: Path) -> None:
    deadly = flow("deadly", "print('so far', flush=True)", "import os; os._exit(3)", "x = 1")
    leaving = flow("leaving", Step("a", "x = 1", ("x",)), "import sys; sys.exit(0)", Step("c", "y = 1"))
    ended: list[State] = []
    environment = LocalEnvironment(on_exit=lambda run: ended.append(run.state))
    run = environment.execute(memory(project, deadly), "deadly")
    assert (run.state, states(run)) == (State.CRASHED, ["Success", "Crashed", "Skipped"])
    assert str(run.error) == "DeadKernel: the kernel ended with status 3"
    assert statuses(run)[-3:] == ["completed", "failed", "pending"]
    run = environment.execute(memory(project, leaving), "leaving")
    assert (run.state, states(run)) == (State.SUCCESS, ["Success", "Success", "Skipped"])
    assert statuses(run)[-4:] == ["completed", "completed", "pending", "pending"]
    assert ended == [State.CRASHED, State.SUCCESS]


def test_a_step_that_takes_too_long_fails_the_run_where_it_was(project: Path) -> None:
    slow = flow("slow", "x = 1", "import time\ntime.sleep(60)")
    run = LocalEnvironment(step_timeout=0.5).execute(memory(project, slow), "slow")
    assert (run.state, states(run)) == (State.FAILED, ["Success", "Failed"])
    assert run.error is not None
    assert str(run.error) == "TimeOut: the step took longer than its limit of 0.5 s"
    assert (run.error.step, run.error.line, run.error.source_line) == ("s2", 2, "time.sleep(60)")


def test_record_notebook_and_log_tell_the_limit_that_was_set_also_after_a_retry(project: Path) -> None:
    tries = "import pathlib, time\ntries = pathlib.Path('tries')\n"
    source = f"{tries}if not tries.exists():\n    tries.touch()\n    raise ValueError\ntime.sleep(60)"
    LocalEnvironment().execute(memory(project, flow("quick", "x = 1")), "quick")  # all is ready behind it
    environment = LocalEnvironment(timeout=1.5, retries=1, backoff=0.01)
    run = environment.execute(memory(project, flow("slow", source)), "slow")
    assert (run.state, run.record.attempt) == (State.FAILED, 2)
    assert str(run.error).startswith("TimeOut: the run took longer than its limit of 1.5 s: ")
    assert ", step s1 1." in str(run.error) or ": step s1 1." in str(run.error)
    assert (run.seconds or 0) < 10
    (cell,) = (cell for cell in executed(run).cells if cell.source == source)
    assert cell.outputs[-1].evalue == "the run took longer than its limit of 1.5 s"
    for text in (run.notebook.read_text(), run.logs):
        assert set(re.findall(r"limit of [\d.]+ s", text)) == {"limit of 1.5 s"}


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_runs_that_are_kept_and_read_hold_a_constant_number_of_files_open(project: Path) -> None:
    storage = memory(project, flow("one", "x = i", parameters=NUMBER))
    environment = LocalEnvironment()
    kept = [environment.execute(storage, "one", {"i": 0})]
    few = open_in(project)
    kept += environment.map(storage, "one", {"i": range(8)}, parallel=4)
    kept += [environment.execute(storage, "one", {"i": number}) for number in range(4)]
    assert {run.state for run in kept} == {State.SUCCESS}
    assert open_in(project) == few
    assert [(len(run.outputs), run.metrics["cpu_seconds"] >= 0) for run in kept] == [(0, True)] * 13
    assert open_in(project) == few


@pytest.fixture
def marks(project: Path) -> Callable[[str], Callable[[Run], None]]:
    def mark(word: str) -> Callable[[Run], None]:
        def callback(run: Run) -> None:
            with (project / "marks").open("a") as file:
                file.write(f"{word} {run.state}\n")
            if word.startswith("bad"):
                raise ValueError(f"{word} went wrong")

        return callback

    return mark


def test_a_failing_on_start_keeps_the_flow_from_starting(project: Path, marks: Any) -> None:
    environment = LocalEnvironment(on_start=[marks("bad start"), marks("start")], on_exit=marks("exit"))
    run = environment.execute(memory(project, SALES), "sales")
    assert (run.state, states(run)) == (State.FAILED, ["Skipped", "Skipped"])
    assert run.error is not None
    assert "on_start failed, so the flow was not started: " in run.error.message
    assert "bad start went wrong" in run.error.message
    assert (project / "marks").read_text() == "bad start Pending\nstart Pending\nexit Failed\n"
    assert set(statuses(run)) == {"pending"}


def test_a_failing_on_exit_is_recorded_and_changes_nothing(project: Path, marks: Any) -> None:
    environment = LocalEnvironment(on_exit=[marks("bad exit"), marks("exit")])
    run = environment.execute(memory(project, SALES), "sales")
    assert run.state is State.SUCCESS
    (failure,) = run.callback_errors
    assert (failure["when"], failure["error"]) == ("on_exit", "ValueError: bad exit went wrong")
    assert "bad exit went wrong" in run.logs
    assert (project / "marks").read_text() == "bad exit Success\nexit Success\n"


def test_a_failed_run_is_tried_again_in_a_new_kernel(project: Path) -> None:
    source = (
        "import os, pathlib\n"
        "tries = pathlib.Path('tries')\n"
        "tries.open('a').write(f'{os.getpid()}\\n')\n"
        "count = len(tries.read_text().split())\n"
        "if count == 1: os._exit(7)\n"
        "if count == 2: raise ValueError('not yet')\n"
        "count"
    )
    retried = flow("retried", Step("only", source, result=True))
    run = LocalEnvironment(retries=3, backoff=0.01).execute(memory(project, retried), "retried")
    assert (run.state, run.record.attempt, run.outputs["result"]) == (State.SUCCESS, 3, 3)
    assert len(set((project / "tries").read_text().split())) == 3
    told = [(each["attempt"], each["state"], each["error"]) for each in run.metrics["attempts"]]
    assert told == [
        (1, "Crashed", "DeadKernel: the kernel ended with status 7"),
        (2, "Failed", "ValueError: not yet"),
    ]
    assert nbformat.read(run.folder / "attempt-1.ipynb", 4).metadata.flownb.run.state == "Crashed"
    assert statuses(run)[-1] == "completed"
    assert len(Runs.load(project=run._store.project)) == 1


def test_secrets_are_in_no_file_of_the_run(project: Path) -> None:
    value = 'hunter2 {x} "quoted"\\'
    leaky = flow(
        "leaky",
        Step(
            "show",
            "print(token); print(token[:5], end='', flush=True); print(token[5:])\ntoken + '!'",
            result=False,
        ),
        Step("raise", "raise ValueError(f'no access with {token}')"),
        parameters=(Parameter("token", "Secret"), Parameter("plain", "str", "''")),
        closure=(SECRET,),
    )

    def failing(run: Run) -> None:
        raise ValueError(f"cannot send {value}")

    environment = LocalEnvironment(on_exit=failing)
    run = environment.execute(memory(project, leaky), "leaky", {"token": value, "plain": "x"})
    assert run.state is State.FAILED
    assert run.error is not None
    assert run.error.message == "no access with ***"
    assert run.parameters == {"token": "***", "plain": "x"}
    assert run.logs.count("***") >= 3
    # the callback, which holds the value in its own code, is kept by value in the run's record
    files = [path for path in (project / ".flownb").rglob("*") if path.is_file()]
    assert len(files) > 5
    for path in files:
        assert b"hunter2" not in path.read_bytes(), path
    assert "hunter2" not in json.dumps(run.record.to_json())


def test_paths_and_values_with_braces_arrive_as_they_are(project: Path) -> None:
    folder = project / "a {b} c%s $HOME"
    folder.mkdir()
    shows = flow(
        "shows",
        Step("s", "import os\n(os.getcwd(), text, os.environ['V'])", result=True),
        parameters=(Parameter("text", "str"),),
    )
    text = "{x} = 'a', \"b\"\n\\n ü 🎈 {{}}"
    run = LocalEnvironment(cwd=folder, env={"V": "{v}"}).execute(
        memory(project, shows), "shows", {"text": text}
    )
    assert list(run.outputs["result"]) == [str(folder), text, "{v}"]
    assert os.getcwd() == str(project)


@pytest.mark.parametrize(
    ("options", "parameters", "error"),
    [
        ({}, {"m": 1}, ParameterError),
        ({}, {"n": "many"}, ParameterError),
        ({"engine": "warp"}, {}, EnvironmentRefusedError),
        ({"kernel": "fortran"}, {}, EnvironmentRefusedError),
        ({"cwd": "/nowhere"}, {}, EnvironmentRefusedError),
    ],
)
def test_what_is_wrong_from_the_start_records_nothing(
    project: Path, options: dict[str, Any], parameters: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        LocalEnvironment(**options).execute(memory(project, SALES), "sales", parameters)
    with pytest.raises(FlowNotFoundError):
        LocalEnvironment().execute(memory(project, SALES), "sale")
    gone = LocalEnvironment(on_exit=deserialize([{"callback": "no_such_module:tell"}]))
    with pytest.raises(CallbackError, match="no_such_module"):
        gone.execute(memory(project, SALES), "sales")
    assert not (project / ".flownb").exists()


def test_submit_returns_at_once_and_the_run_can_be_cancelled(project: Path) -> None:
    slow = flow("slow", "print('on', flush=True)\nimport time; time.sleep(60)", "x = 1")
    ended: list[State] = []
    environment = LocalEnvironment(on_exit=lambda run: ended.append(run.state))
    run = environment.submit(memory(project, slow), "slow")
    assert not run.state.terminal
    poll(lambda: "on\n" in run.logs, 30, what="the step to print")
    poll(lambda: states(run)[0] == "Running", 30, what="the step to be recorded as running")
    assert nbformat.read(run.notebook, 4).cells[-2].metadata.papermill.status in ("running", "pending")
    assert run.cancel()
    run.wait(30)
    assert (run.state, states(run)) == (State.CANCELLED, ["Cancelled", "Skipped"])
    poll(lambda: ended == [State.CANCELLED], 10)
    assert statuses(run)[-2:] == ["failed", "pending"]


def test_a_word_in_the_runs_folder_cancels_it(project: Path) -> None:
    slow = flow("slow", "print('on', flush=True)\nimport time; time.sleep(60)")
    told = threading.Event()

    def ask(run: Run) -> None:
        if not told.is_set() and "on\n" in run.logs:
            told.set()
            Run.load(run.id, run._store.project).cancel()

    run = LocalEnvironment().execute(memory(project, slow), "slow", on_change=ask)
    assert run.state is State.CANCELLED
    assert str(run.error) == "Cancelled: the run was cancelled"


def test_an_interrupt_cancels_the_run_and_gives_it_back(project: Path) -> None:
    slow = flow("slow", "print('on', flush=True)\nimport time; time.sleep(60)")
    ended: list[State] = []

    def interrupt(run: Run) -> None:
        if run.state == State.RUNNING and "on\n" in run.logs:
            os.kill(os.getpid(), signal.SIGINT)

    environment = LocalEnvironment(on_exit=lambda run: ended.append(run.state))
    run = environment.execute(memory(project, slow), "slow", on_change=interrupt)
    assert run.state is State.CANCELLED
    assert ended == [State.CANCELLED]
    assert executed(run).metadata.flownb.run.state == "Cancelled"


def test_what_watches_a_run_changes_nothing_of_what_it_came_to(project: Path) -> None:
    told: dict[str, list[State]] = {}

    def watch(run: Run) -> None:
        told.setdefault(run.id, []).append(run.state)
        raise SystemExit("no room to draw")

    environment = LocalEnvironment()
    for run in (
        environment.execute(memory(project, SALES), "sales", on_change=watch),
        *environment.map(memory(project, SALES), "sales", {"n": [3]}, on_change=watch),
    ):
        assert (run.state, run.error, states(run)) == (State.SUCCESS, None, ["Success", "Success"])
        assert (told[run.id][0], told[run.id][-1]) == (State.PENDING, State.SUCCESS)
        (failure,) = run.callback_errors
        assert (failure["when"], failure["error"]) == ("on_change", "SystemExit: no room to draw")
        assert "on_change: " in run.logs


def test_map_runs_a_grid_in_parallel_and_keeps_its_order(project: Path) -> None:
    environment = LocalEnvironment()
    with pytest.raises(ParameterError):
        environment.map(memory(project, SALES), "sales", [{"n": 1}, {"m": 2}])
    assert not (project / ".flownb").exists()
    told: list[str] = []
    runs = environment.map(
        memory(project, SALES),
        "sales",
        {"n": [4, 3, 2]},
        parallel=3,
        on_change=lambda run: told.append(run.id),
    )
    assert isinstance(runs, Runs)
    assert [run.outputs["total"] for run in runs] == [6, 3, 1]
    assert set(told) == {run.id for run in runs}


def test_a_whole_notebook_runs_as_a_flow_with_its_cells_as_steps(project: Path) -> None:
    path = project / "whole.ipynb"
    cells = [
        nbformat.v4.new_markdown_cell("# text"),
        nbformat.v4.new_code_cell("n = 1", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell("m = n + 1"),
        nbformat.v4.new_code_cell(""),
        nbformat.v4.new_code_cell("m / 0"),
    ]
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": spec}), path)
    whole = Flow.from_notebook(path)
    run = LocalEnvironment().execute(memory(project, whole), whole.name, {"n": 2})
    assert states(run) == ["Success", "Failed"]
    assert run.error is not None
    assert (run.error.step, run.error.source_line) == (whole.steps[-1].name, "m / 0")
