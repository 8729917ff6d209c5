"""Which engine a local run had, what it was allowed to take, and what the run says of both."""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from environment_flows import flow, memory

from flownb.environments import LocalEnvironment
from flownb.environments.fields import as_memory
from flownb.errors import EnvironmentRefusedError
from flownb.flow import Step
from flownb.runs import State

if TYPE_CHECKING:
    from pathlib import Path

ANSWER = flow("answer", Step("s", "print('said')\n6 * 7", result=True))


@pytest.mark.parametrize(
    ("written", "size"),
    [
        (None, None),
        (20_000_000, 20_000_000),
        ("20000000", 20_000_000),
        ("2 GB", 2 * 10**9),
        ("2gb", 2 * 10**9),
        ("2 G", 2 * 10**9),
        ("1.5 GiB", 3 * 2**29),
        (" 512 MiB ", 2**29),
        ("64 Mi", 2**26),
        ("20000 kB", 20_000_000),
        ("1 TB", 10**12),
    ],
)
def test_memory_is_bytes_or_a_text(written: Any, size: int | None) -> None:
    assert as_memory(written) == size
    assert LocalEnvironment(memory=written).memory == size


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("much", 'such as "2 GB" or "512 MiB"; not \'much\''),
        ("-2 GB", "is a number of bytes, or a text"),
        ("2 GB 3", "is a number of bytes, or a text"),
        (2.5, "is a whole number of bytes"),
        (True, "is a whole number of bytes"),
        (0, "is 0 bytes, in which no flow can do anything"),
        ("1 MB", "give at least 16 MB"),
    ],
)
def test_memory_that_says_nothing_is_refused(written: Any, words: str) -> None:
    with pytest.raises(EnvironmentRefusedError, match="`memory`") as raised:
        LocalEnvironment(memory=written)
    assert words in str(raised.value)


def test_a_limit_of_memory_that_another_engine_would_not_hold_is_refused() -> None:
    with pytest.raises(
        EnvironmentRefusedError, match=r'limited by the engine "flownb" alone.* is "nbclient"'
    ):
        LocalEnvironment(engine="nbclient", memory="500 MB")


def test_a_run_that_cannot_be_limited_as_asked_fails_and_runs_nothing(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "kernels" / "wrapped"
    folder.mkdir(parents=True)
    spec = {"argv": ["sh", "{connection_file}"], "display_name": "x", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    marks = flow("marks", "open('ran', 'w').close()")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(tmp_path))
        limited = LocalEnvironment(kernel="wrapped", memory="500 MB", retries=2)
        run = limited.execute(memory(project, marks), "marks")
    assert (run.state, run.record.attempt) == (State.FAILED, 1)
    assert "`memory` is limited by the engine 'flownb' alone" in str(run.error)
    assert not list(project.rglob("ran"))


@pytest.mark.parametrize("given", [ANSWER, "answer.ipynb"])
def test_what_is_no_storage_is_refused_with_how_a_flow_runs(given: Any) -> None:
    here = LocalEnvironment()
    for start in (here.execute, here.submit, partial(here.map, grid=[{}])):
        with pytest.raises(
            EnvironmentRefusedError, match=r"what is in a storage.*execute\(open_storage"
        ) as raised:
            start(given, "answer")
        assert ("flow.run()" in str(raised.value)) == (given is ANSWER)


@pytest.mark.kernel
def test_a_flow_that_takes_more_memory_than_it_may_fails_and_is_told_the_limit(project: Path) -> None:
    greedy = flow("greedy", "x = 1", "block = bytearray(1_500_000_000)")
    run = LocalEnvironment(memory="500 MB").execute(memory(project, greedy), "greedy")
    assert run.state is State.FAILED
    assert run.error is not None
    assert (run.error.kind, run.error.step) == ("MemoryError", "s2")
    assert "the run's memory is limited to 500 MB" in run.error.message
    assert [str(step.state) for step in run.steps] == ["Success", "Failed"]
    modest = flow("modest", "block = bytearray(100_000_000)")
    assert LocalEnvironment(memory="500 MB").execute(memory(project, modest), "modest").state is State.SUCCESS


def kernel(folder: Path, **spec: Any) -> None:
    """Install a kernelspec `other` below `folder`."""
    where = folder / "kernels" / "other"
    where.mkdir(parents=True)
    whole = {"display_name": "x", "language": "python", **spec}
    (where / "kernel.json").write_text(json.dumps(whole))


def ran_in_the_standard_engine(project: Path, environment: LocalEnvironment, why: str) -> None:
    """Run the flow; check that it ran as any other, and that its run says where and why."""
    run = environment.execute(memory(project, ANSWER), "answer")
    assert run.state is State.SUCCESS, run.error
    assert run.outputs["result"] == 42
    assert run.record.engine == "nbclient"
    (note,) = [line for line in run.logs.splitlines() if "as the engine 'flownb' cannot" in line]
    assert note.startswith("[")
    assert why in run.logs
    assert "said\n" in run.logs


@pytest.mark.kernel
def test_a_run_that_is_forked_says_so(project: Path) -> None:
    run = LocalEnvironment().execute(memory(project, ANSWER), "answer")
    assert run.record.engine == "flownb"
    assert "cannot" not in run.logs


@pytest.mark.kernel
def test_a_kernel_of_another_language_runs_in_the_standard_engine(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel(tmp_path, argv=argv, language="xonsh")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    ran_in_the_standard_engine(project, LocalEnvironment(kernel="other"), "the kernel's language is xonsh")


@pytest.mark.kernel
def test_a_kernel_that_is_started_in_its_own_way_runs_in_the_standard_engine(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "start.sh"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m ipykernel_launcher -f "$1"\n')
    script.chmod(0o755)
    kernel(tmp_path, argv=[str(script), "{connection_file}"])
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    why = "the kernel is not started as `python -m ipykernel_launcher`"
    ran_in_the_standard_engine(project, LocalEnvironment(kernel="other"), why)


@pytest.mark.kernel
def test_a_template_that_cannot_be_forked_leaves_the_run_to_the_standard_engine(
    project: Path, tmp_path: Path
) -> None:
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00-thread.py").write_text(
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    )
    environment = LocalEnvironment(env={"IPYTHONDIR": str(tmp_path / "ipython")})
    ran_in_the_standard_engine(project, environment, "its template process failed: ")
