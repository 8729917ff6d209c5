"""What flows do that they should not: how their runs end, and that nothing else suffers from it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from engine_notebooks import watched
from polling import poll

from flownb.engine import Ending, Limits, Stop
from flownb.engine.fork.inside.session import packed
from flownb.engine.fork.interpreter import Launch
from flownb.engine.fork.run import launch_for
from flownb.engine.fork.templates import templates
from flownb.engine.work import Work

pytestmark = pytest.mark.kernel

DEAF = "the kernel closed the descriptors by which it is heard"
GARBLED = "the kernel wrote to the descriptors by which it is heard"
PARENT = "get_ipython().kernel.get_parent()"
#: levels that a message can be made with, but not folded; since 3.12 Python counts only its own frames
DEEP = 900 if sys.version_info < (3, 12) else 1200


def guardians() -> list[int]:
    """Return the guardians of this process's templates; one of each waits for a run."""
    launch = launch_for("python3", {})
    assert isinstance(launch, Launch)
    template = templates().template(launch).about["pid"]
    return list(map(int, Path(f"/proc/{template}/task/{template}/children").read_text().split()))


def test_what_was_said_before_a_death_is_kept_though_cells_were_sent_ahead() -> None:
    ending, watch = watched("print('said')\nimport os; os._exit(3)", "1", "2", "3")
    assert (ending.how, ending.exit_code) == ("died", 3)
    assert watch.text(0) == "said\n"


def test_a_flow_that_closes_its_descriptors_is_told_as_such_when_it_goes_on() -> None:
    ending, watch = watched("import os\nprint('a')\nos.closerange(3, 256)", "print('never')")
    assert (ending.how, ending.reason) == ("died", DEAF)
    assert watch.text(0) == "a\n"


@pytest.mark.parametrize("source", ["print('on')", "import time; time.sleep(60)"], ids=["ends", "goes on"])
def test_a_guardian_that_the_flow_has_stopped_does_its_work_all_the_same(source: str) -> None:
    started = time.monotonic()
    before = guardians()
    ending, _ = watched(f"import os\nos.kill(os.getppid(), 19)\n{source}", limits=Limits(timeout=1.0))
    assert ending.how == ("success" if "on" in source else "timed out")
    assert time.monotonic() - started < 10
    assert watched("1")[0] == Ending("success")
    poll(lambda: len(guardians()) <= max(len(before), 1))  # one waits for the next run


@pytest.mark.parametrize("limits", [Limits(), Limits(timeout=1e-6)], ids=["cancelled", "out of time"])
def test_nothing_runs_of_a_run_that_was_stopped_before_it_began(tmp_path: Path, limits: Limits) -> None:
    assert watched("1")[0] == Ending("success")  # its template is there
    stop, made = Stop(), tmp_path / "made"
    if limits == Limits():
        stop.request()
    started = time.monotonic()
    ending, _ = watched(f"open({str(made)!r}, 'w').close()", stop=stop, limits=limits)
    assert (ending.how, ending.cell) == ("cancelled" if limits == Limits() else "timed out", None)
    assert time.monotonic() - started < 1.5
    assert not made.exists()


def test_an_exit_that_keeps_the_kernel_lets_all_cells_run_in_their_order() -> None:
    cells = [f"print({number})" for number in range(40)]
    ending, watch = watched("exit(keep_kernel=True)", *cells, limits=Limits(timeout=30))
    assert ending == Ending("success")
    assert [watch.text(number + 1) for number in range(40)] == [f"{number}\n" for number in range(40)]


def test_a_template_that_the_flow_has_stopped_goes_on() -> None:
    source = (
        "import os\n"
        "stat = open(f'/proc/{os.getppid()}/stat').read().rpartition(')')[2].split()\n"
        "os.kill(int(stat[1]), 19)"
    )
    assert watched(source)[0] == Ending("success")
    started = time.monotonic()
    assert watched("1")[0] == Ending("success")
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("printing", ["print('t')", "print('t', flush=True)", "display(1)"])
def test_a_thread_that_never_stops_printing_stops_nobody(printing: str) -> None:
    source = (
        "import threading, time\n"
        f"def on():\n    while True: {printing}; time.sleep(0.0001)\n"
        "threading.Thread(target=on, daemon=True).start()"
    )
    cells = [f"display({number}); print('cell')" for number in range(20)]
    assert watched(source, *cells, limits=Limits(timeout=30))[0] == Ending("success")


@pytest.mark.parametrize(
    "source",
    [
        "import os; os.getpid = lambda: 7; os._exit = lambda *_: None",
        "import json; json.dumps = json.loads = lambda *_, **__: 'x'",
        "import socket; socket.socket = socket.socketpair = socket.MSG_DONTWAIT = None",
        "import select, selectors; select.poll = select.epoll = selectors.DefaultSelector = None",
        "import gc; gc.freeze(); gc.disable()",
        "import os; os.set_blocking(get_ipython().kernel.session._socket.fileno(), False)",
    ],
    ids=["os", "json", "socket", "select", "gc", "blocking"],
)
def test_what_a_flow_puts_in_the_place_of_modules_functions_is_its_own(source: str) -> None:
    ending, watch = watched(source, "print('x' * 1_000_000)", "1")
    assert ending == Ending("success")
    assert len(watch.text(1)) == 1_000_001


def test_what_breaks_the_executing_process_is_told() -> None:
    ending, watch = watched(
        "import asyncio.base_events\nasyncio.base_events.BaseEventLoop.create_future = None",
        "import asyncio; await asyncio.sleep(0.1)\nprint('on')",
    )
    assert (ending.how, ending.exit_code) == ("died", 1)
    said = "".join(watch.text(index) for index in range(2))
    assert "TypeError: 'NoneType' object is not callable" in said


@pytest.mark.parametrize(
    "data",
    [
        r"b'F\0\0\0\4\0\0\0\0\0\0\0\0abcd'",
        r"b'F\xff\xff\xff\4\0\0\0\0\xff\0\0\0abcd'",
        r"b'F\0\0\0\x0e\0\0\0\0\0\0\0\0[\"message\",{}]'",
        r"b'F\0\0\0\x0c\0\0\0\0\0\0\0\0[\"begun\",{}]'",
    ],
)
def test_a_flow_that_speaks_for_the_engine_dies_of_it(data: str) -> None:
    source = f"import time; get_ipython().kernel.session._socket.send({data}); time.sleep(10)"
    ending, _ = watched(source)
    assert (ending.how, ending.reason) == ("died", GARBLED)


@pytest.mark.parametrize("content", ["{}", "{'status': 'ok', 'execution_count': 'x'}", "{'status': 3}"])
def test_a_reply_of_the_flows_own_is_none_if_it_cannot_be_one(content: str) -> None:
    source = f"get_ipython().kernel.session.send('shell', 'execute_reply', {content}, parent={PARENT})"
    assert watched(source)[0].how in ("died", "success")


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (
            f"d = {{}}\nfor _ in range({DEEP}): d = {{'a': d}}\ndisplay({{'application/json': d}}, raw=True)",
            "RecursionError",
        ),
        (f"get_ipython().kernel.session.send('iopub', 'stream', {{}}, parent={PARENT})", "KeyError"),
    ],
    ids=["deep", "incomplete"],
)
def test_a_message_that_cannot_be_read_is_left_out_and_the_cell_says_so(source: str, why: str) -> None:
    ending, watch = watched(f"{source}\nprint('on')")
    assert ending == Ending("success")
    assert f"of this cell is left out: {why}" in watch.text(0)
    assert watch.text(0).endswith("on\n")


def test_text_that_is_none_is_shown_as_far_as_it_is() -> None:
    ending, watch = watched(
        r"import os; os.write(1, b'\xff\n'); print('\udcff'); print('\ud800'); print('on')",
        r"raise ValueError('\ud800')",
    )
    assert (ending.how, ending.reason) == ("failed", "ValueError: ?")
    assert watch.text(0) == "\ufffd\n\ufffd\n?\non\n"


def test_messages_are_packed_as_jupyter_packs_them() -> None:
    assert packed({"a": "ä\udcff"}) == b'{"a": "\xc3\xa4\xff"}'
    assert packed({"a": "\ud800"}) == b'{"a": "?"}'
    with pytest.warns(UserWarning, match="serialization failed"):
        assert packed({"a": float("nan")}) == b'{"a": "nan"}'


def test_shared_memory_that_a_flow_leaves_is_given_back() -> None:
    ending, watch = watched(
        "from multiprocessing.shared_memory import SharedMemory\n"
        "held = SharedMemory(create=True, size=100); print(held.name)"
    )
    assert ending == Ending("success")
    assert not Path("/dev/shm", watch.text(0).strip()).exists()


def test_a_flow_that_has_used_up_its_memory_ends_at_once() -> None:
    started = time.monotonic()
    source = "kept = []\nwhile True: kept.append(' ' * 1000)"
    ending, _ = watched(source, limits=Limits(memory=100_000_000))
    assert ending.reason == "MemoryError: the run's memory is limited to 100 MB"
    assert time.monotonic() - started < 9  # it would be killed after ten


@pytest.mark.parametrize(
    ("source", "note"),
    [
        ("import atexit, os; atexit.register(os._exit, 5)", "ended with status 5"),
        ("import atexit, os; atexit.register(os.kill, os.getpid(), 15)", "was killed by SIGTERM"),
    ],
)
def test_an_end_behind_the_last_cell_that_is_none_is_noted(source: str, note: str) -> None:
    ending, _ = watched(source)
    assert ending.how == "success"
    assert ending.notes == (f"behind the last cell the process of the flow {note}",)


def test_exit_handlers_that_do_not_end_are_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flownb.engine.fork.talk.PATIENCE", 0.5)
    ending, _ = watched("import atexit, time; atexit.register(time.sleep, 60)")
    assert ending.how == "success"
    assert "had not ended 0.5 s behind its last cell" in ending.notes[0]


def test_a_subprocess_that_writes_one_endless_line_costs_what_it_is_long() -> None:
    def seconds(size: int) -> float:
        began = time.monotonic()
        ending, watch = watched(
            f"import subprocess; subprocess.run('head -c {size} /dev/zero | tr \"\\\\0\" x', shell=True)"
        )
        assert ending == Ending("success")
        assert len(watch.text(0)) == size
        return time.monotonic() - began

    assert seconds(40_000_000) < 20


def test_an_interrupt_at_any_moment_is_a_wish_to_stop_and_no_error() -> None:
    stop = Stop()
    main = threading.main_thread().ident
    assert main is not None

    def interrupts() -> int:
        for _ in range(400):
            before = stop.requests
            signal.pthread_kill(main, signal.SIGINT)
            poll(lambda before=before: stop.requests > before, 10, interval=0.001)
        return stop.requests

    assert Work(interrupts, stop).result(lambda: None) == 400


OWNER = """
import os, pathlib, sys
sys.path.insert(0, {tests!r})
from engine_notebooks import watched
ending, watch = watched("print(1)")
pathlib.Path("result").write_text(f"{{ending.how}} {{ending.engine}} {{watch.text(0)}}")
"""


@pytest.mark.parametrize("closed", [(0,), (0, 1, 2)])
def test_it_runs_in_a_process_without_standard_streams(tmp_path: Path, closed: tuple[int, ...]) -> None:
    close = " ".join(f"{number}>&-" if number else "0<&-" for number in closed)
    code = OWNER.format(tests=os.fspath(Path(__file__).parent))
    subprocess.run(["sh", "-c", f'exec "$0" -c "$1" {close}', sys.executable, code], cwd=tmp_path, check=True)
    assert (tmp_path / "result").read_text() == "success flownb 1\n"


@pytest.mark.parametrize(
    "source",
    [
        "from tqdm.auto import tqdm\nfor _ in tqdm(range(3)): pass",
        "import weakref\nclass A: pass\ngone = weakref.proxy(A())",
        "class Odd:\n    @property\n    def __class__(self): raise RuntimeError('odd')\nodd = Odd()",
        "import os\nr, w = os.pipe(); os.close(r); pipe = os.fdopen(w, 'w'); n = pipe.write('nobody')",
    ],
)
def test_what_a_flow_leaves_lying_about_keeps_no_open_file_from_being_written(
    source: str, tmp_path: Path
) -> None:
    ending, _ = watched(source, "kept = open('kept.txt', 'w'); n = kept.write('all of it')", cwd=tmp_path)
    assert ending == Ending("success")
    assert (tmp_path / "kept.txt").read_text() == "all of it"
