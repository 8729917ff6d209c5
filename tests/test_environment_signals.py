"""A script that is told to end cancels the runs that it supervises, calls `on_exit`, and ends so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from environment_flows import flow
from polling import poll

from flownb.flow import Parameter
from flownb.runs import Runs
from flownb.storage import DirectoryStorage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.kernel

SLOW = flow(
    "slow",
    "import pathlib, time\npathlib.Path(f'started{i}').touch()\ntime.sleep(60)",
    parameters=(Parameter("i", "int", "0"),),
)
START = """
import signal, sys, threading, time
from pathlib import Path
from flownb import LocalEnvironment, open_storage

def told(run):
    with open("exits", "a") as file:
        file.write(f"{run.state}\\n")

environment = LocalEnvironment(on_exit=told)
storage = open_storage("dir:flows")
"""
THREADS = """
environment.submit(storage, 'slow')
thread = threading.Thread(target=environment.execute, args=(storage, 'slow', {'i': 1}))
thread.start()
thread.join()
"""
WAYS = {
    "execute": ("environment.execute(storage, 'slow')\nprint('went on')", 1),
    "submit": ("environment.submit(storage, 'slow')\ntime.sleep(60)\nprint('went on')", 1),
    "submit, at its end": ("environment.submit(storage, 'slow')", 1),
    "map": ("environment.map(storage, 'slow', {'i': [0, 1, 2, 3]}, parallel=2)\nprint('went on')", 2),
    "both": ("environment.submit(storage, 'slow')\nenvironment.execute(storage, 'slow', {'i': 1})", 2),
    "threads beside submit": (THREADS, 2),
}


@contextmanager
def script(project: Path, source: str, *, waits_for: int) -> Iterator[subprocess.Popen[str]]:
    """Start a script that supervises runs, and wait until these have begun."""
    DirectoryStorage(project / "flows").add_flow(SLOW, replace=True)
    (project / "script.py").write_text(START + source)
    process = subprocess.Popen(
        [sys.executable, "script.py"], cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        poll(lambda: len(list(project.glob("started*"))) == waits_for or process.poll() is not None)
        yield process
    finally:
        process.kill()
        process.communicate()


def exits(project: Path) -> list[str]:
    return (project / "exits").read_text().split()


@pytest.mark.parametrize(
    ("way", "number"),
    [*((way, signal.SIGTERM) for way in WAYS), ("execute", signal.SIGHUP), ("submit", signal.SIGHUP)],
)
def test_a_script_that_is_told_to_end_cancels_its_runs_and_ends_so(
    way: str, number: signal.Signals, project: Path
) -> None:
    source, count = WAYS[way]
    with script(project, source, waits_for=count) as process:
        process.send_signal(number)
        out, errors = process.communicate(timeout=30)
        assert process.returncode == -number, errors
    assert "went on" not in out
    assert exits(project) == ["Cancelled"] * count
    assert [run.state for run in Runs.load(project=project)] == ["Cancelled"] * count


def test_a_script_s_own_handler_is_called_when_the_run_is_over(project: Path) -> None:
    source = (
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "environment.execute(storage, 'slow')\nprint('went on')"
    )
    with script(project, source, waits_for=1) as process:
        process.terminate()
        out, _ = process.communicate(timeout=30)
        assert (process.returncode, out) == (7, "")
    assert exits(project) == ["Cancelled"]


def test_who_has_the_signal_ignored_keeps_that(project: Path) -> None:
    source = (
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "run = environment.submit(storage, 'slow')\ntime.sleep(1)\n"
        "run.cancel()\nrun.wait(20)\nprint(run.state)"
    )
    with script(project, source, waits_for=1) as process:
        process.send_signal(signal.SIGHUP)
        out, errors = process.communicate(timeout=30)
        assert (process.returncode, out) == (0, "Cancelled\n"), errors


def test_handlers_are_the_script_s_own_again_when_nothing_is_supervised(project: Path) -> None:
    source = """
before = signal.getsignal(signal.SIGTERM)
from flownb import Flow
environment.execute(storage, 'quick')
assert signal.getsignal(signal.SIGTERM) is before
environment.map(storage, 'quick', [{}, {}])
assert signal.getsignal(signal.SIGTERM) is before
environment.submit(storage, 'quick').wait(20)
environment.execute(storage, 'quick')
Path("started").touch()
time.sleep(60)
"""
    DirectoryStorage(project / "flows").add_flow(flow("quick", "1 + 1"))
    with script(project, source, waits_for=1) as process:
        process.terminate()
        _, errors = process.communicate(timeout=30)
        assert process.returncode == -signal.SIGTERM, errors


def test_a_process_that_was_forked_meanwhile_ends_at_once(project: Path) -> None:
    source = """
import os
run = environment.submit(storage, 'slow')
child = os.fork()
if not child:
    Path("child").touch()
    time.sleep(60)
Path("pid").write_text(str(child))
_, status = os.waitpid(child, 0)
Path("status").write_text(str(os.waitstatus_to_exitcode(status)))
run.cancel()
"""
    with script(project, source, waits_for=1) as process:
        told = project / "pid"
        poll(lambda: told.exists() and told.read_text() and (project / "child").exists())
        os.kill(int(told.read_text()), signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 0, errors
    assert (project / "status").read_text() == str(-signal.SIGTERM)
    assert exits(project) == ["Cancelled"]
