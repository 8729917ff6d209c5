"""Runs for which this process lacks descriptors, threads or processes: refused in words, never an abort."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from engine_notebooks import watched

from flownb.engine import Stop, work
from flownb.engine.fork import template
from flownb.engine.room import check_room, shortage_told
from flownb.engine.work import Work
from flownb.errors import EnvironmentRefusedError


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EMFILE, "Too many open files; raise .* limit of open files .*`ulimit -n`.*fewer runs"),
        (errno.ENFILE, "Too many open files in system; end other programs"),
        (errno.EAGAIN, "temporarily unavailable; raise .*`ulimit -u`"),
        (errno.ENOMEM, "Cannot allocate memory; free some"),
    ],
)
def test_what_is_lacking_is_told_with_what_to_do(number: int, advice: str) -> None:
    with pytest.raises(EnvironmentRefusedError, match=advice), shortage_told():
        raise RuntimeError("the template failed") from OSError(number, "no luck")


@pytest.mark.parametrize("error", [OSError(errno.ENOENT, "no such file"), RuntimeError("no luck")])
def test_an_error_that_is_no_shortage_stays_what_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, shortage_told():
        raise error
    assert raised.value is error


def test_an_error_that_hides_a_shortage_is_told_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    def short(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "open", short)
    with pytest.raises(EnvironmentRefusedError, match="limit of open files"), shortage_told():
        raise FileNotFoundError(errno.ENOENT, "no folder for temporary files")


def no_thread(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_where_no_thread_is_to_be_had_nothing_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "_START", 0.01)
    monkeypatch.setattr(threading.Thread, "start", no_thread)
    with pytest.raises(EnvironmentRefusedError, match="limit of processes and threads"):
        check_room()
    with pytest.raises(EnvironmentRefusedError, match="limit of processes and threads"):
        Work(lambda: 1, Stop()).result()


def test_to_look_for_room_leaves_nothing_behind() -> None:
    before = os.listdir("/proc/self/fd"), threading.active_count()
    check_room()
    assert (os.listdir("/proc/self/fd"), threading.active_count()) == before


def test_a_template_for_which_there_is_no_process_is_not_made_up_for_by_a_kernel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def short(*_: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(template, "_started", short)
    with pytest.raises(EnvironmentRefusedError, match="limit of processes and threads"):
        watched("1", env={"NAME": "a template of its own"})


FEW = """
import os, resource, sys
import papermill
from engine_notebooks import notebook, watched
from flownb.errors import EnvironmentRefusedError

def tried(free, run):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = [os.dup(0) for _ in range(40)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (held[-1] + 1 + free, hard))
    try:
        print(run())
    except EnvironmentRefusedError as refused:
        print(refused)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in held:
            os.close(descriptor)

def standard():
    options = {"engine_name": "flownb", "progress_bar": False, "coalesce_streams": True}
    papermill.execute_notebook(notebook("1"), None, **options)

for free in range(5, 12):
    tried(free, lambda: watched("1", engine="nbclient")[0].how)
tried(20, standard)
for free in (4, 4, 2):
    tried(free, lambda: watched("1")[0].how)
tried(40, lambda: watched("1")[0].how)
"""


@pytest.mark.kernel
def test_where_descriptors_are_few_runs_are_refused_until_there_are_more(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(
        [sys.executable, "-c", FEW], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr  # libzmq would have aborted it
    *refused, last = done.stdout.splitlines()
    assert len(refused) == 11
    assert all("Too many open files; raise" in line for line in refused), refused
    assert last == "success"
