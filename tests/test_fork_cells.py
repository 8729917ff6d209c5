"""Notebooks run by the forking engine: every ending, limits and stops at each stage, nothing left behind."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from engine_notebooks import Watch, notebook, watched
from polling import lives, poll

from flownb.engine import Ending, Limits, Secrets, Silent, Stop, execute
from flownb.engine.fork.interpreter import Launch
from flownb.engine.fork.run import launch_for
from flownb.engine.fork.templates import templates
from flownb.errors import EnvironmentRefusedError

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from flownb.engine import CellError

pytestmark = pytest.mark.kernel


def template_pid() -> int:
    launch = launch_for("python3", {})
    assert isinstance(launch, Launch)
    return int(templates().template(launch).about["pid"])


# endings


def test_the_engine_that_ran_is_told() -> None:
    assert watched("1")[0].engine == "flownb"
    assert watched("1", engine="nbclient")[0].engine == "nbclient"


def test_what_was_said_up_to_the_death_is_kept() -> None:
    ending, watch = watched(
        "import os, sys\nfor n in range(1000):\n    print(n)\nsys.stdout.flush()\nos.kill(os.getpid(), 9)"
    )
    assert (ending.how, ending.reason) == ("died", "the kernel was killed by SIGKILL")
    assert watch.text(0) == "".join(f"{n}\n" for n in range(1000))


def test_what_a_dying_process_wrote_past_python_is_kept() -> None:
    ending, watch = watched("import os\nos.write(1, b'last \\xff words')\nos._exit(4)")
    assert (ending.how, ending.exit_code) == ("died", 4)
    assert watch.text(0) == "last \ufffd words"


def test_a_memory_limit_is_a_failure_that_names_it() -> None:
    limits = Limits(memory=200_000_000)
    ending, watch = watched("x = bytearray(10**7)", "y = bytearray(10**9)", "print('never')", limits=limits)
    assert (ending.how, ending.cell) == ("failed", 1)
    assert ending.reason == "MemoryError: the run's memory is limited to 200 MB"
    assert watch.statuses == ["completed", "failed", "pending"]


def test_a_flow_that_closes_all_descriptors_ends() -> None:
    started = time.monotonic()
    ending, _ = watched("import os, time\nos.closerange(3, 256)\ntime.sleep(60)")
    assert (ending.how, ending.reason) == ("died", "the kernel closed the descriptors by which it is heard")
    assert time.monotonic() - started < 20


def test_a_flow_that_kills_its_parent_ends_and_the_next_one_runs() -> None:
    ending, _ = watched("import os, time\nos.kill(os.getppid(), 9)\ntime.sleep(60)")
    assert (ending.how, ending.reason) == ("died", "the kernel is gone")
    assert watched("1")[0] == Ending("success")


def test_a_fork_that_comes_back_from_its_cell_ends_there() -> None:
    ending, watch = watched("import os\npid = os.fork()", "if pid: os.waitpid(pid, 0)\nprint('once')")
    assert ending == Ending("success")
    assert watch.text(1) == "once\n"


def test_daemons_do_not_outlive_the_run(tmp_path: Path) -> None:
    source = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        open('daemon', 'w').write(str(os.getpid()))\n"
        "        os.execvp('sleep', ['sleep', '60'])\n"
        "    os._exit(0)\n"
        "while not os.path.exists('daemon') or not open('daemon').read(): time.sleep(0.01)"
    )
    assert watched(source, cwd=tmp_path)[0] == Ending("success")
    assert not lives(int((tmp_path / "daemon").read_text()))


def test_non_daemon_threads_and_exit_handlers_are_waited_for(tmp_path: Path) -> None:
    source = (
        "import atexit, pathlib, threading, time\n"
        "atexit.register(pathlib.Path('handler').touch)\n"
        "threading.Thread(target=lambda: (time.sleep(0.3), pathlib.Path('thread').touch())).start()"
    )
    assert watched(source, cwd=tmp_path)[0] == Ending("success")
    assert sorted(os.listdir(tmp_path)) == ["handler", "thread"]


# what nbclient does with a cell


def test_tags_are_honoured() -> None:
    ending, watch = watched(
        ("1 / 0", ["raises-exception"]), ("1 / 0", ["skip-execution"]), "", "# text", "print('on')"
    )
    assert ending == Ending("success")
    assert watch.enames == ["ZeroDivisionError"]
    assert watch.statuses == ["completed"] * 5
    assert [cell.get("execution_count") for cell in watch.nb.cells] == [1, None, None, None, 2]
    times = watch.nb.cells[4].metadata.execution
    assert sorted(times) == [
        "iopub.execute_input",
        "iopub.status.busy",
        "iopub.status.idle",
        "shell.execute_reply",
    ]


def test_an_output_widget_takes_what_is_shown_in_it() -> None:
    ending, watch = watched(
        "import ipywidgets as w\nout = w.Output()\nout",
        "with out:\n    print('inside')\nprint('outside')",
        "out.outputs[0]['text']",
    )
    assert ending == Ending("success")
    assert watch.text(1) == "outside\n"
    assert watch.nb.cells[2].outputs[0].data["text/plain"] == r"'inside\n'"
    state = watch.nb.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
    assert [each["state"]["outputs"][0]["text"] for each in state.values() if "outputs" in each["state"]] == [
        "inside\n"
    ]


def test_silent_code_leaves_no_trace_and_errors_of_it_are_told() -> None:
    _, watch = watched("x = 1", after=Silent("print(x)\nraise ValueError(x)"))
    (reply,) = watch.replies
    assert (reply.ok, reply.text) == (False, "1\n")
    assert reply.error is not None
    assert reply.error.ename == "ValueError"
    assert watch.nb.cells[0].outputs == []


def test_a_secret_that_is_wrong_ends_the_run_before_anything_is_said_of_it() -> None:
    with pytest.raises(EnvironmentRefusedError, match="could not be given to the kernel: NameError"):
        watched("1", secrets=Secrets("token = unknown", ("hunter2",)))


# limits and stops


class StopWhen(Watch):
    """Stops the run when it is told of something."""

    def __init__(self, stage: str, stop: Stop) -> None:
        super().__init__()
        self.stage, self.stop = stage, stop
        self.asks = False  # whether silent code is at work

    def _at(self, stage: str) -> None:
        if stage == self.stage:
            self.stop.request()

    def notebook_started(self, nb: NotebookNode) -> None:
        super().notebook_started(nb)
        self._at("notebook started")

    def kernel_started(self, pid: int | None) -> None:
        super().kernel_started(pid)
        self._at("process started")

    def cell_started(self, index: int, cell: NotebookNode) -> None:
        self._at(f"cell {index} started")

    def cell_output(self, index: int, cell: NotebookNode, output: NotebookNode | None) -> None:
        super().cell_output(index, cell, output)
        self._at("output")

    def cell_ended(self, index: int, cell: NotebookNode, error: CellError | None) -> None:
        super().cell_ended(index, cell, error)
        self._at(f"cell {index} ended")

    def code_after(self, index: int, cell: NotebookNode) -> Silent | None:
        self.asks = self.stage == "silent"
        return Silent("import time; time.sleep(60)") if self.asks else None

    def tick(self, nb: NotebookNode) -> None:
        super().tick(nb)
        if self.asks:
            self.asks = False  # a second request is for those who cannot wait
            self._at("silent")


@pytest.mark.parametrize(
    ("stage", "cell"),
    [
        ("notebook started", None),
        ("process started", None),
        ("cell 0 started", 0),
        ("cell 0 ended", 1),
        ("output", 1),
        ("silent", 0),
    ],
)
def test_a_stop_is_heeded_at_each_stage(stage: str, cell: int | None) -> None:
    stop = Stop()
    watch, started = StopWhen(stage, stop), time.monotonic()
    sources = notebook("x = 1", "import time\nprint('on', flush=True)\ntime.sleep(60)", "print('never')")
    ending = execute(sources, cwd=Path.cwd(), observer=watch, stop=stop)
    assert ending == Ending("cancelled", cell)
    assert time.monotonic() - started < 20
    assert watch.statuses[2] == "pending"
    poll(lambda: watch.pid is None or not lives(watch.pid), 10, what="the process to be taken down")


def test_a_stop_that_was_asked_for_before_is_heeded() -> None:
    stop = Stop()
    stop.request()
    assert watched("print('never')", stop=stop)[0] == Ending("cancelled")


def test_a_limit_of_the_run_holds_between_cells_too() -> None:
    ending, watch = watched(*["import time; time.sleep(0.4)"] * 60, limits=Limits(timeout=3.0))
    assert (ending.how, ending.limit, ending.after) == ("timed out", "run", 3.0)
    assert "pending" in watch.statuses


def test_an_observer_that_raises_ends_the_process() -> None:
    class Full(Watch):
        def cell_output(self, index: int, cell: NotebookNode, output: NotebookNode | None) -> None:
            raise OSError(28, "No space left on device")

    watch = Full()
    with pytest.raises(OSError, match="No space left"):
        execute(notebook("print(1)\nimport time; time.sleep(60)"), cwd=Path.cwd(), observer=watch)
    assert watch.pid is not None
    poll(lambda: not lives(watch.pid), 10, what="the process to be taken down")


# where it is run


OWNER = """
import sys, pathlib
sys.path.insert(0, {tests!r})
from engine_notebooks import notebook
from flownb.engine import execute
execute(notebook({source!r}), cwd=pathlib.Path.cwd())
"""


def test_nothing_outlives_an_owner_that_is_killed(tmp_path: Path) -> None:
    source = (
        "import json, os, subprocess, time\n"
        "child = subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
        "open('part', 'w').write(json.dumps([os.getpid(), os.getppid(), child.pid]))\n"
        "os.rename('part', 'pids')\n"
        "time.sleep(60)"
    )
    code = OWNER.format(tests=str(Path(__file__).parent), source=source)
    owner = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path)
    try:
        poll((tmp_path / "pids").exists, 60, what="the flow to be at work")
        pids = json.loads((tmp_path / "pids").read_text())
        stat = Path(f"/proc/{pids[1]}/stat").read_text().rpartition(")")[2].split()
        pids.append(int(stat[1]))  # the template
        assert int(stat[1]) not in (1, owner.pid)
    finally:
        owner.kill()
        owner.wait()
    poll(lambda: not any(map(lives, pids)), 10, what="the end of all")


@pytest.mark.parametrize("when", ["before", "while", "after"])
def test_a_template_that_is_killed_costs_no_run_and_none_is_run_twice(tmp_path: Path, when: str) -> None:
    pid = template_pid()

    class Killer(Watch):
        def cell_output(self, index: int, cell: NotebookNode, output: NotebookNode | None) -> None:
            if when == "while":
                os.kill(pid, signal.SIGKILL)

    if when == "before":
        os.kill(pid, signal.SIGKILL)
    source = (
        "open('ran', 'a').write('x')\nprint('on', flush=True)\nimport time; time.sleep(0.2)\nprint('off')"
    )
    watch = Killer()
    assert execute(notebook(source), cwd=tmp_path, observer=watch) == Ending("success")
    assert watch.text(0) == "on\noff\n"
    if when == "after":
        os.kill(pid, signal.SIGKILL)
    assert watched("1")[0] == Ending("success")
    assert (tmp_path / "ran").read_text() == "x"


def test_a_kernel_that_cannot_be_forked_runs_in_the_standard_engine_and_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "kernels" / "wrapped"
    folder.mkdir(parents=True)
    script = tmp_path / "start.sh"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m ipykernel_launcher -f "$1"\n')
    script.chmod(0o755)
    spec = {"argv": [str(script), "{connection_file}"], "display_name": "x", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    ending, watch = watched("print(6 * 7)", kernel="wrapped")
    assert (ending.how, ending.engine) == ("success", "nbclient")
    assert watch.text(0) == "42\n"
    assert "cannot: the kernel is not started as `python -m ipykernel_launcher`" in ending.notes[0]
    with pytest.raises(EnvironmentRefusedError, match="`memory` is limited by the engine 'flownb' alone"):
        watched("print(6 * 7)", kernel="wrapped", limits=Limits(memory=10**10))


def test_it_runs_where_an_event_loop_runs_and_in_many_threads(tmp_path: Path) -> None:
    async def within() -> Ending:
        return watched("import asyncio\nawait asyncio.sleep(0)\nprint(1)")[0]

    assert asyncio.run(within()) == Ending("success")
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda number: watched(f"print({number})"), range(12)))
    assert [watch.text(0) for _, watch in done] == [f"{number}\n" for number in range(12)]


def test_it_runs_in_a_forked_copy_of_a_process_that_has_run_some() -> None:
    template_pid()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, watched("print('here')")[1].text(0).encode())
            templates().close()
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as answer:
        assert answer.read() == b"here\n"
    os.waitpid(child, 0)
    assert watched("1")[0] == Ending("success")


def test_two_environments_are_apart() -> None:
    source = "import os; print(os.environ.get('NAME'))"
    texts = [watched(source, env=env)[1].text(0) for env in ({"NAME": "a"}, {"NAME": "b"}, {}, {"NAME": "a"})]
    assert texts == ["a\n", "b\n", "None\n", "a\n"]


def test_runs_are_apart_and_leave_nothing_behind(tmp_path: Path) -> None:
    def held() -> tuple[int, int, int, int]:
        gc.collect()
        own = f"/proc/{os.getpid()}/task/{os.getpid()}/children"
        children = len(Path(own).read_text().split())
        files = len(list(Path(os.environ.get("TMPDIR", "/tmp")).glob("flownb-*")))
        return len(os.listdir("/proc/self/fd")), threading.active_count(), children, files

    first = "assert 'seen' not in globals()\nseen = 1\nimport random; print(random.random())"
    drawn = {watched(first)[1].text(0)}
    before = held()
    for _ in range(40):
        ending, watch = watched(first)
        assert ending == Ending("success")
        drawn.add(watch.text(0))
    with ThreadPoolExecutor(4) as pool:
        assert all(ending.how == "success" for ending, _ in pool.map(lambda _: watched(first), range(20)))
    poll(
        lambda: all(a <= b for a, b in zip(held()[:3], before, strict=False)), 10, what=f"as before: {before}"
    )
    assert len(drawn) == 41
