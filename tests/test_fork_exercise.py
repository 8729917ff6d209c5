"""First uses made in a template: tried in a fork, and nothing of them to be seen by a flow."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fork_processes import Template, template
from polling import lives, poll

from flownb.engine.fork.inside.linux import children_of, name_of
from flownb.engine.fork.inside.template import GUARDIAN

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.kernel

START = """
import json, os, random, select, signal, sys, threading, warnings
import numpy as np, pandas as pd, matplotlib, matplotlib.pyplot as plt
from IPython.core.interactiveshell import InteractiveShell
from flownb.engine.fork.inside import exercise
from flownb.engine.fork.inside.preload import State, changed
InteractiveShell.instance()

def all_of(modules):
    "Make the uses of these modules; return how many steps that took."
    exercises, count = exercise.Exercises(modules), 0
    exercises.try_out()
    while exercises.watched:
        for pidfd in select.select(exercises.watched, [], [])[0]:
            exercises.heard(pidfd)
    while exercises.to_do:
        exercises.step()
        count += 1
    return count

def seen():
    "Return what a flow could see of it."
    options = pd._config.config._global_config, dict(matplotlib.rcParams)
    libraries = *options, plt.get_fignums(), np.random.get_state()
    python = random.getstate(), warnings.filters, dict(os.environ), os.getcwd()
    return list(map(repr, (*libraries, *python)))
"""


def in_a_process(*lines: str) -> Any:
    code = "\n".join((START, *lines))
    done = subprocess.run(
        # one that forks by hand has threads of its libraries, which Python tells of since 3.12
        [sys.executable, "-W", "ignore:This process:DeprecationWarning", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return json.loads(done.stdout)


def test_uses_are_made_and_leave_nothing_that_a_flow_can_see() -> None:
    steps, differ, kept = in_a_process(
        "before, state = seen(), State.now()",
        "steps = all_of(['numpy', 'pandas'])",
        "differ = [pair for pair in zip(before, seen()) if pair[0] != pair[1]]",
        "print(json.dumps([steps, differ, changed(state) is None]))",
    )
    assert steps > 20
    assert not differ
    assert kept


def test_a_warning_is_shown_to_the_flow_that_earns_it_all_the_same() -> None:
    uses = "def warns():\n    warnings.warn('old', DeprecationWarning)\n    yield"
    (count, text) = in_a_process(
        uses,
        "exercise.USES = {'a': warns}",
        "steps = all_of(['a'])",
        "with warnings.catch_warnings(record=True) as caught:",
        "    warnings.simplefilter('default'); list(warns())",
        "print(json.dumps([steps, str(caught[0].message)]))",
    )
    assert (count, text) == (4, "old")  # a step each, and one that finds the end


@pytest.mark.parametrize(
    "body",
    [
        "raise ValueError",
        "os._exit(0) if 0 else os.abort()",
        "threading.Thread(target=threading.Event().wait, daemon=True).start(); yield",
        "global pipe; pipe = os.pipe(); yield",
        "os.chdir('/'); yield",
    ],
    ids=["fails", "dies", "leaves a thread", "leaves a pipe", "changes the folder"],
)
def test_a_use_that_does_harm_in_a_fork_is_not_made(body: str) -> None:
    steps, told, folder = in_a_process(
        f"def harmful():\n    {body}\n    yield",
        "exercise.USES = {'a': harmful}",
        "os.chdir('/tmp')",
        "state = State.now()",
        "print(json.dumps([all_of(['a']), changed(state) is None, os.getcwd()]))",
    )
    assert steps == 0
    assert told
    assert folder == "/tmp"


def test_a_try_forgets_what_is_its_parents_and_ends_with_it() -> None:
    forgotten, left = in_a_process(
        "def long():\n    yield\n    threading.Event().wait()",
        "exercise.USES = {'a': long}",
        "out, into = os.pipe(); told, tell = os.pipe()",
        "parent = os.fork()",
        "if parent == 0:",
        "    exercises = exercise.Exercises(['a'])",
        "    exercises.try_out(lambda: os.write(into, b'forgotten'))",
        "    os.write(tell, str(exercises.processes[0]).encode()); signal.pause()",
        "forgotten = os.read(out, 9).decode(); trial = int(os.read(told, 9))",
        "os.kill(parent, signal.SIGKILL); os.waitpid(parent, 0)",
        "gone = os.pidfd_open(trial) if os.path.exists(f'/proc/{trial}') else None",
        "left = gone is not None and not select.select([gone], [], [], 20)[0]",
        "print(json.dumps([forgotten, left]))",
    )
    assert forgotten == "forgotten"
    assert not left


@pytest.fixture
def pandas() -> Iterator[Template]:
    with template() as base, base.branch("pandas") as made:
        yield made


def test_a_template_that_is_used_again_makes_the_first_uses(pandas: Template) -> None:
    """What tells is a module that only a table shown imports."""

    def shown() -> bool:
        with pandas.run() as run:
            text = run.cell("import sys; print('pandas.io.formats.html' in sys.modules)").text
            run.leave()
        return text == "True\n"

    assert not shown()
    poll(shown, limit=60)
    with pandas.run() as run:
        assert run.cell("import pandas as pd; print(pd.get_option('display.max_rows'))").text == "60\n"
        run.leave()


def test_a_try_ends_with_its_template(pandas: Template) -> None:
    base = int(Path(f"/proc/{pandas.pid}/stat").read_text().rpartition(")")[2].split()[1])

    def tries() -> list[int]:
        below = (pid for pid in children_of(pandas.pid) if name_of(pid) != GUARDIAN)
        return [pid for pid in below if lives(pid)]

    def tried() -> list[int]:
        with pandas.run() as run:
            run.leave()
        return tries()

    poll(tried, interval=0.001)
    assert pandas.pid in children_of(base)
    pandas.control.close()
    poll(lambda: not children_of(base))
