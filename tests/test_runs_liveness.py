from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from flownb.errors import LockHeldError, RecordError
from flownb.runs.liveness import Lock, cancel_requested, held, request_cancel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.01)


def holder(path: Path, then: str = "signal.pause()") -> subprocess.Popen[str]:
    code = (
        "import os, signal, subprocess, sys, time; from pathlib import Path\n"
        "from flownb.runs.liveness import Lock\n"
        f"lock = Lock(Path({str(path)!r})).acquire()\n"
        f"{then}\n"
    )
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def test_a_lock_is_held_from_acquire_to_release(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not held(path)
    lock = Lock(path)
    with lock:
        assert held(path)
        with pytest.raises(LockHeldError, match="supervised by another"):
            Lock(path).acquire()
        with pytest.raises(LockHeldError, match="very object"):
            lock.acquire()
    assert not held(path)
    lock.release()
    with Lock(path):
        assert held(path)


def test_a_lock_that_is_forgotten_is_free(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "lock").acquire()
    del lock
    assert not held(tmp_path / "lock")


def test_looking_from_many_threads_never_takes_a_free_lock_for_held(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    seen: list[bool] = []
    threads = [threading.Thread(target=lambda: seen.extend(held(path) for _ in range(300))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for _ in range(50):
        with Lock(path):  # nor do those who look keep a supervisor from taking it
            pass
    for thread in threads:
        thread.join()
    assert len(seen) == 1800
    assert not held(path)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_lock_of_a_killed_process_is_free(tmp_path: Path, number: signal.Signals) -> None:
    path = tmp_path / "lock"
    process = holder(path)
    until(lambda: held(path))
    process.send_signal(number)
    process.communicate()
    assert not held(path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_that_lives_on_does_not_keep_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    process = holder(
        path,
        "child = os.fork()\n"
        "if child == 0:\n    time.sleep(120)\n    os._exit(0)\n"
        "print(child, flush=True)\nsignal.pause()",
    )
    assert process.stdout is not None
    child = int(process.stdout.readline())
    try:
        assert held(path)
        process.kill()
        process.wait()
        os.kill(child, 0)  # it lives
        until(lambda: not held(path), 5)
        os.kill(child, 0)
    finally:
        os.kill(child, signal.SIGKILL)
        process.stdout.close()


def test_a_program_that_the_holder_starts_does_not_keep_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    process = holder(
        path,
        "child = subprocess.Popen(['sleep', '120'], close_fds=False, stdout=subprocess.DEVNULL)\n"
        "print(child.pid, flush=True)\nsignal.pause()",
    )
    assert process.stdout is not None
    child = int(process.stdout.readline())
    try:
        process.kill()
        process.wait()
        until(lambda: not held(path), 5)
        os.kill(child, 0)
    finally:
        os.kill(child, signal.SIGKILL)
        process.stdout.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_can_take_locks_of_its_own_and_the_parent_keeps_its_own(tmp_path: Path) -> None:
    with Lock(tmp_path / "parent"):
        child = os.fork()
        if child == 0:
            try:
                own = Lock(tmp_path / "child").acquire()
                assert own.path.name == "child"
                os._exit(0 if held(tmp_path / "parent") and held(tmp_path / "child") else 1)
            finally:
                os._exit(2)
        assert os.waitpid(child, 0)[1] == 0
        assert held(tmp_path / "parent")
        assert not held(tmp_path / "child")


def test_importing_registers_nothing(tmp_path: Path) -> None:
    code = (
        "import os\n"
        "def register(after_in_child, **_):\n"
        "    if after_in_child.__module__.startswith('flownb'): print('registered')\n"
        "os.register_at_fork = register\n"
        "import flownb.runs.liveness as l, flownb.runs.database as d, pathlib, sys\nprint('imported')\n"
        "p = pathlib.Path(sys.argv[1])\na = l.Lock(p / 'a').acquire(); b = l.Lock(p / 'b').acquire()\n"
        "print('locked')\nc = d.Database(p / 'c', print); e = d.Database(p / 'd', print)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["imported", "registered", "locked", "registered"]


def test_a_lock_in_a_folder_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="No such file or directory"):
        Lock(tmp_path / "no" / "lock").acquire()
    (tmp_path / "file").touch()
    assert not held(tmp_path / "file" / "lock")


def test_word_to_cancel_is_left_in_the_folder(tmp_path: Path) -> None:
    assert not cancel_requested(tmp_path)
    request_cancel(tmp_path)
    request_cancel(tmp_path)
    assert cancel_requested(tmp_path)
    with pytest.raises(RecordError, match="cannot be cancelled from here"):
        request_cancel(tmp_path / "gone")
