"""A forked process of a run, seen from outside: its frames, what is printed past Python, its end."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from polling import poll

from flownb.engine.fork.fold import message_of
from flownb.engine.fork.inside.wire import Frame
from flownb.engine.fork.interpreter import Launch
from flownb.engine.fork.run import launch_for
from flownb.engine.fork.templates import templates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flownb.engine.fork.process import Process

pytestmark = pytest.mark.kernel


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    launch = launch_for("python3", {})
    assert isinstance(launch, Launch)
    made = templates().child(launch)
    made.send(Frame("begin", {"cwd": str(tmp_path), "memory": None, "env": {}}))
    heard(made, lambda frame: frame.kind == "begun")
    yield made
    made.close()


def heard(process: Process, wanted: Callable[[Frame], bool], limit: float = 30.0) -> list[Frame]:
    """Collect frames up to the one that is wanted."""
    frames: list[Frame] = []
    until = time.monotonic() + limit
    while not any(map(wanted, frames)):
        assert time.monotonic() < until, frames
        assert process.ended is None, frames
        frames += process.wait(0.1)
    return frames


def execute(process: Process, code: str) -> None:
    content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
    head = {"msg_type": "execute_request", "msg_id": "1", "metadata": {}}
    process.send(Frame("request", head, json.dumps(content).encode()))


def replied(frame: Frame) -> bool:
    return frame.head.get("msg_type") == "execute_reply"


def text_of(frames: list[Frame]) -> str:
    """Return what is printed in all the frames."""
    streams = (message_of(frame) for frame in frames if frame.head.get("msg_type") == "stream")
    return "".join(message["content"]["text"] for message in streams)


def ended(process: Process) -> None:
    until = time.monotonic() + 20
    while process.ended is None:
        assert time.monotonic() < until
        process.wait(0.1)


def test_it_executes_and_what_it_says_comes_before_its_reply(process: Process) -> None:
    execute(process, "import os\nprint('one')\nos.system('echo two')\n6 * 7")
    frames = heard(process, replied)
    kinds = [frame.head["msg_type"] for frame in frames]
    assert kinds[-2:] == ["execute_result", "execute_reply"]
    assert text_of(frames) == "one\ntwo\n"


def test_a_frame_larger_than_any_buffer_goes_both_ways(process: Process) -> None:
    execute(process, f"big = {'x' * 3_000_000!r}\nprint(big)")
    frames = heard(process, replied)
    assert len(text_of(frames)) == 3_000_001


@pytest.mark.parametrize(
    ("code", "status", "signal"),
    [("import os; os._exit(7)", 7, None), ("import os; os.kill(os.getpid(), 11)", None, "SIGSEGV")],
)
def test_its_end_is_told(process: Process, code: str, status: int | None, signal: str | None) -> None:
    execute(process, code)
    ended(process)
    assert process.ended is not None
    assert (process.ended.code, process.ended.signal) == (status, signal)
    assert process.ended.peak_memory_bytes
    assert not process.closed_itself


def test_what_a_busy_process_does_not_read_is_read_for_it(process: Process) -> None:
    execute(process, "import subprocess\nsubprocess.run('yes | head -c 30000000', shell=True); None")
    printed, until = 0, time.monotonic() + 60
    frames: list[Frame] = []
    while not any(map(replied, frames)):
        assert time.monotonic() < until
        came = list(process.wait(0.05))
        frames += came
        printed += sum(len(text) for _, text in ([] if came else process.printed()))
    assert printed + len(text_of(frames)) == 30_000_000
    assert printed > 20_000_000


def test_killing_it_takes_daemons_along(process: Process, tmp_path: Path) -> None:
    code = (
        "import os, subprocess, sys\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        open('daemon', 'w').write(str(os.getpid()))\n"
        "        os.execvp('sleep', ['sleep', '60'])\n"
        "    os._exit(0)\n"
        "import time; time.sleep(60)"
    )
    execute(process, code)
    daemon = tmp_path / "daemon"
    poll(lambda: daemon.exists() and daemon.read_text(), 20)
    process.kill()
    ended(process)
    assert not Path(f"/proc/{daemon.read_text()}").exists()


def test_closing_the_descriptors_of_a_process_ends_it(tmp_path: Path) -> None:
    launch = launch_for("python3", {})
    assert isinstance(launch, Launch)
    before = len(os.listdir("/proc/self/fd"))
    made = templates().child(launch)
    made.close()
    poll(lambda: not Path(f"/proc/{made.pid}").exists(), 10)
    assert len(os.listdir("/proc/self/fd")) <= before + 1  # a template, where this test is the first
