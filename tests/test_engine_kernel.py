"""Notebooks executed in real kernels: outputs, endings, statuses, limits, isolation."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from engine_notebooks import Watch, notebook, watched
from polling import lives, poll

from flownb.engine import Ending, Limits, Secrets, Silent, Stop, execute
from flownb.errors import EnvironmentRefusedError

if TYPE_CHECKING:
    from nbformat import NotebookNode

pytestmark = pytest.mark.kernel


def test_a_notebook_runs_in_its_folder_with_its_variables_and_outputs(tmp_path: Path) -> None:
    folder = tmp_path / "a {braced} folder, ünï"
    folder.mkdir()
    here = Path.cwd()
    ending, watch = watched(
        "# text",
        "import os; print(os.getcwd(), os.environ['NAME'], os.environ.get('JPY_SESSION_NAME'))",
        ("1 / 0", ["skip-execution"]),
        ("1 / 0", ["raises-exception"]),
        "print('one', end='', flush=True)\nprint(' two')\n6 * 7",
        "await __import__('asyncio').sleep(0)\nd = display('before', display_id=True)",
        "d.update('after')",
        cwd=folder,
        env={"NAME": "{x}", "LANG": "C.UTF-8"},
        after=Silent("print('silent', NotImplemented)"),
    )
    assert ending == Ending("success")
    assert Path.cwd() == here
    assert watch.text(1) == f"{folder} {{x}} None\n"
    assert watch.statuses == ["completed"] * 7
    assert watch.nb.cells[2].outputs == []
    streams = [out for out in watch.nb.cells[4].outputs if out.output_type == "stream"]
    assert [out.text for out in streams] == ["one two\n"]
    assert watch.nb.cells[4].outputs[-1].data["text/plain"] == "42"
    assert watch.nb.cells[5].outputs[0].data["text/plain"] == "'after'"
    assert [reply.text for reply in watch.replies] == ["silent NotImplemented\n"] * 5
    # what ran silently left no trace: the counts go on as if it had not been
    assert [cell.execution_count for cell in watch.nb.cells[3:7]] == [2, 3, 4, 5]
    assert watch.nb.metadata.papermill.exception is None
    assert watch.nb.metadata.papermill.input_path is None
    assert watch.nb.metadata.language_info.name == "python"


def test_an_error_is_told_with_its_place_and_what_follows_does_not_run() -> None:
    ending, watch = watched("x = 1", "def f():\n    raise ValueError('no {brace}')\n\nf()", "print('never')")
    assert (ending.how, ending.cell) == ("failed", 1)
    assert ending.error is not None
    assert (ending.error.ename, ending.error.evalue) == ("ValueError", "no {brace}")
    assert (ending.error.line, ending.error.source_line) == (2, "raise ValueError('no {brace}')")
    assert watch.statuses == ["completed", "failed", "pending"]
    assert watch.nb.metadata.papermill.exception is True
    assert watch.ended == {0: None, 1: ending.error}


@pytest.mark.parametrize("code", ["import sys; sys.exit(0)", "raise SystemExit", "exit()"])
def test_leaving_with_status_0_is_a_success_without_the_rest(code: str) -> None:
    ending, watch = watched("x = 1", code, "print('never')")
    assert ending == Ending("success", 1, early=True)
    assert watch.statuses == ["completed", "completed", "pending"]


def test_leaving_with_another_status_is_a_failure() -> None:
    ending, watch = watched("import sys; sys.exit(1)", "print('never')")
    assert (ending.how, ending.cell, ending.reason) == ("failed", 0, "SystemExit: 1")
    assert watch.statuses == ["failed", "pending"]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("os.kill(os.getpid(), 9)", "the kernel was killed by SIGKILL"),
        ("os._exit(3)", "the kernel ended with status 3"),
        ("os.kill(os.getpid(), 11)", "the kernel was killed by SIGSEGV"),
    ],
)
def test_a_kernel_that_dies_is_noticed_at_once_and_told_truthfully(
    tmp_path: Path, code: str, reason: str
) -> None:
    heard = tmp_path / "heard"

    class Listener(Watch):
        def cell_output(self, index: int, cell: NotebookNode, output: NotebookNode | None) -> None:
            super().cell_output(index, cell, output)
            if "so far" in "".join(self.pieces):
                heard.touch()

    # It dies once what it said has been heard: what has not left it when it dies, nobody can keep.
    waits = f"while not os.path.exists({str(heard)!r}): time.sleep(0.01)"
    source = f"import os, time\nprint('so far', flush=True)\n{waits}\n{code}"
    watch = Listener()
    ending = execute(
        notebook("x = 1", source, "print('never')"), observer=watch, cwd=tmp_path, limits=Limits(timeout=60)
    )
    assert (ending.how, ending.cell, ending.reason) == ("died", 1, reason)
    assert watch.text(1) == "so far\n"
    assert watch.enames == ["KernelDied"]
    assert watch.statuses == ["completed", "failed", "pending"]
    assert watch.nb.metadata.papermill.exception is True


def test_a_step_that_takes_too_long_is_interrupted_where_it_is() -> None:
    started = time.monotonic()
    ending, watch = watched("import time", "x = 1\ntime.sleep(60)", limits=Limits(step_timeout=0.5))
    assert ending == Ending("timed out", 1, limit="step", after=0.5)
    assert time.monotonic() - started < 10
    assert watch.ended[1] is not None
    assert (watch.ended[1].ename, watch.ended[1].source_line) == ("TimedOut", "time.sleep(60)")
    assert watch.enames == ["KeyboardInterrupt", "TimedOut"]
    assert watch.statuses == ["completed", "failed"]


def test_a_run_that_takes_too_long_is_killed_with_all_it_started_if_it_does_not_listen(
    tmp_path: Path,
) -> None:
    pids = tmp_path / "pids"
    source = (
        "import os, signal, subprocess, sys, time\n"
        "deaf = 'import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(60)'\n"
        "child = subprocess.Popen([sys.executable, '-c', deaf])\n"
        f"open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        "while True:\n"
        "    try:\n"
        "        time.sleep(60)\n"
        "    except KeyboardInterrupt:\n"
        "        pass\n"
    )
    # The limit counts the kernel's start, too: a busy machine is given more, until the flow has begun.
    for limit in (2.0, 8.0, 32.0):
        ending, watch = watched(source, limits=Limits(timeout=limit))
        if pids.exists():
            break
    assert ending == Ending("timed out", 0, limit="run", after=limit)
    assert watch.enames == ["TimedOut"]
    started = [int(pid) for pid in pids.read_text().split()]
    poll(lambda: not any(map(lives, started)), 10, what="the end of all that was started")


def test_children_do_not_outlive_a_notebook_that_ended_well(tmp_path: Path) -> None:
    source = "import subprocess\nprint(subprocess.Popen(['sleep', '60']).pid)"
    ending, watch = watched(source)
    assert ending.how == "success"
    child = int(watch.text(0))
    poll(lambda: not lives(child), 10, what="the child's end")


def test_exit_handlers_of_the_flow_are_called(tmp_path: Path) -> None:
    source = f"import atexit, pathlib\natexit.register(pathlib.Path({str(tmp_path / 'bye')!r}).touch)"
    watched(source)
    assert (tmp_path / "bye").exists()


def test_a_stop_from_another_thread_cancels_and_a_second_one_does_not_wait() -> None:
    stop = Stop()

    class Stopper(Watch):
        def cell_output(self, index: int, cell: NotebookNode, output: NotebookNode | None) -> None:
            threading.Thread(target=lambda: (stop.request(), stop.request())).start()

    deaf = "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint('on')\ntime.sleep(60)"
    watch, started = Stopper(), time.monotonic()
    ending = execute(notebook(deaf), cwd=Path.cwd(), observer=watch, stop=stop)
    assert ending == Ending("cancelled", 0)
    assert time.monotonic() - started < 2.0 + 1.5, "the grace was waited for"
    assert watch.enames == ["Cancelled"]


def test_an_interrupt_of_the_waiting_thread_cancels() -> None:
    ticks: list[float] = []

    class Interrupter(Watch):
        interrupted = False

        def tick(self, nb: NotebookNode) -> None:
            if self.pieces and ticks and not self.interrupted:
                self.interrupted = True
                os.kill(os.getpid(), signal.SIGINT)

    ending = execute(
        notebook("import time\nprint('on', flush=True)\ntime.sleep(60)"),
        cwd=Path.cwd(),
        observer=Interrupter(),
        tick=lambda: ticks.append(time.monotonic()),
    )
    assert ending == Ending("cancelled", 0)
    assert ticks


def test_an_observer_that_cannot_write_stops_the_run_and_is_heard() -> None:
    class Full(Watch):
        def tick(self, nb: NotebookNode) -> None:
            raise OSError(28, "No space left on device")

    watch = Full()
    with pytest.raises(OSError, match="No space left"):
        execute(notebook("import time; time.sleep(60)"), cwd=Path.cwd(), observer=watch)
    assert watch.pid is not None
    assert watch.pid is not None
    pid = watch.pid
    poll(lambda: not lives(pid), 10, what="the kernel's end")


def test_secrets_reach_the_kernel_and_nothing_else() -> None:
    ending, watch = watched(
        ("token = None", ["parameters"]),
        ("# token: given, not written\npass", ["injected-parameters"]),
        "print(token.upper())\nprint(token[:4], end='', flush=True)\nprint(token[4:])\ntoken + '!'",
        "raise ValueError(token)",
        secrets=Secrets("token = 'hunter2 {x}'", ("hunter2 {x}",)),
    )
    assert ending.error is not None
    assert ending.error.evalue == "***"
    assert watch.text(2).startswith("HUNTER2 {X}\n")
    assert "hunter2" not in str(watch.nb)
    assert "hunter2" not in str(ending)


def test_a_kernel_that_cannot_start_is_refused_with_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = '{"argv": ["%s", "{connection_file}"], "display_name": "x", "language": "python"}'
    for name, program in {"broken": "/bin/ls", "gone": "/nowhere/python"}.items():
        folder = tmp_path / "kernels" / name
        folder.mkdir(parents=True)
        (folder / "kernel.json").write_text(spec % program)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    with pytest.raises(
        EnvironmentRefusedError, match="'broken' ended with status 0 before it answered; it wrote"
    ):
        watched("1", kernel="broken")
    with pytest.raises(EnvironmentRefusedError, match="its program '/nowhere/python' is not there"):
        watched("1", kernel="gone")
    with pytest.raises(EnvironmentRefusedError, match="does not say which kernel"):
        watched("1", kernel="")
    with pytest.raises(EnvironmentRefusedError, match="no such folder"):
        watched("1", cwd=tmp_path / "gone")


def test_six_at_once_each_in_its_own_folder_leave_nothing_behind(tmp_path: Path) -> None:
    source = "import os, pathlib\npathlib.Path('made').touch()\nprint(os.getcwd())"

    def held() -> tuple[int, int, int]:
        gc.collect()
        folders = len(list(Path(os.environ.get("TMPDIR", "/tmp")).glob("flownb-*")))
        return len(os.listdir("/proc/self/fd")), threading.active_count(), folders

    def one(number: int) -> str:
        folder = tmp_path / str(number)
        folder.mkdir()
        ending, watch = watched(source, cwd=folder)
        assert ending.how == "success"
        assert (folder / "made").exists()
        return watch.text(0).strip()

    before = held()
    with ThreadPoolExecutor(6) as pool:
        where = list(pool.map(one, range(6)))
    assert where == [str(tmp_path / str(number)) for number in range(6)]
    # other tests may start and end kernels beside this one: what counts is that it comes back
    poll(lambda: held()[:2] <= before[:2], 10, what=f"descriptors and threads to be as before: {before}")
