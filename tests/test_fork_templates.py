"""Which kernels have a template, what one is made of, and what becomes of one that dies."""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys
import time
from contextlib import contextmanager
from functools import partial
from itertools import chain
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from engine_notebooks import watched
from polling import lives, poll

from flownb.engine.fork.inside.linux import children_of
from flownb.engine.fork.inside.wire import Frame, readable
from flownb.engine.fork.interpreter import Launch, Refusal, launch_of
from flownb.engine.fork.run import launch_for
from flownb.engine.fork.template import Template, TemplateFailed
from flownb.engine.fork.templates import Templates, templates
from flownb.engine.fork.wanted import COMPANIONS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def spec(*argv: str, **others: Any) -> SimpleNamespace:
    told = {"env": {}, "language": "python", "interrupt_mode": "signal", "resource_dir": "/kernels/x"}
    return SimpleNamespace(argv=list(argv), **{**told, **others})


USUAL = ("python", "-m", "ipykernel_launcher", "-f", "{connection_file}")


def test_a_usual_kernel_is_started_by_the_interpreter_that_asks() -> None:
    assert launch_of(spec(*USUAL), {"A": "1"}) == Launch((sys.executable,), (), (("A", "1"),))


def test_options_of_the_interpreter_and_arguments_of_the_kernel_are_kept() -> None:
    argv = (
        "python",
        "-X",
        "dev",
        "-I",
        "-m",
        "ipykernel",
        "--ext=x",
        "-f",
        "{connection_file}",
        "{resource_dir}/c.py",
    )
    launch = launch_of(spec(*argv), {})
    assert isinstance(launch, Launch)
    assert launch.python[1:] == ("-X", "dev", "-I")
    assert (launch.module, launch.arguments) == ("ipykernel", ("--ext=x", "/kernels/x/c.py"))


def test_variables_of_the_kernel_are_added_and_may_use_the_others() -> None:
    env = {"HOME": "/h", "PYTHONEXECUTABLE": "/else"}
    launch = launch_of(spec(*USUAL, env={"DATA": "${HOME}/data"}), env)
    assert isinstance(launch, Launch)
    assert dict(launch.env) == {"HOME": "/h", "DATA": "/h/data"}


@pytest.mark.parametrize(
    ("there", "reason"),
    [
        (spec("R", "--slave", language="R"), "language is R"),
        (spec(*USUAL, interrupt_mode="message"), "interrupted by a message"),
        (spec("/opt/start.sh", "{connection_file}"), "not started as"),
        (spec("python", "-c", "x"), "not started as"),
        (spec("/no/python", *USUAL[1:]), "'/no/python' is not there"),
    ],
)
def test_what_cannot_be_forked_is_told(there: SimpleNamespace, reason: str) -> None:
    refusal = launch_of(there, {"PATH": "/usr/bin"})
    assert isinstance(refusal, Refusal)
    assert reason in refusal.reason


def test_other_systems_have_no_templates() -> None:
    refusal = launch_of(spec(*USUAL), {}, platform="darwin")
    assert refusal == Refusal("it needs Linux (pidfd, subreapers)")


@pytest.fixture
def own() -> Iterator[Templates]:
    made = Templates()
    yield made
    made.close()


def launch() -> Launch:
    found = launch_for("python3", {})
    assert isinstance(found, Launch)
    return found


@pytest.mark.kernel
def test_a_template_is_made_once_and_again_when_it_was_killed(own: Templates) -> None:
    first = own.template(launch())
    assert own.template(launch()) is first
    os.kill(first.about["pid"], signal.SIGKILL)
    own.child(launch()).close()
    second = own.template(launch())
    assert second is not first
    assert second.alive
    assert not first.alive


def descriptors() -> int:
    gc.collect()  # what earlier tests have left
    return len(os.listdir("/proc/self/fd"))


@contextmanager
def room_for(more: int) -> Iterator[None]:
    """Let this process open so many descriptors, and no more."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    last, filled = max(map(int, os.listdir("/proc/self/fd"))), [os.dup(0)]
    while filled[-1] < last:
        filled.append(os.dup(0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (filled[-1] + 1 + more, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for descriptor in filled:
            os.close(descriptor)


@pytest.fixture
def ahead(own: Templates) -> int:
    """Return the number of a process that a template has sent beforehand."""
    first = own.child(launch())
    first.close()
    guardians = partial(children_of, own.template(launch()).about["pid"])
    return poll(lambda: set(chain.from_iterable(map(children_of, guardians()))) - {first.pid}).pop()


@pytest.mark.kernel
@pytest.mark.parametrize("expected", [False, True])
def test_the_process_that_was_made_beforehand_is_the_next_one(
    own: Templates, ahead: int, expected: bool
) -> None:
    if expected:
        poll(lambda: own.expect() or own.template(launch()).has_one)
    process = own.child(launch())
    assert process.pid == ahead
    process.send(Frame("begin", {"cwd": "/"}))
    assert poll(lambda: list(process.wait(0.1)))[0].kind == "begun"
    process.close()


@pytest.mark.kernel
@pytest.mark.parametrize("expected", [False, True])
def test_a_process_made_beforehand_that_was_killed_is_not_used(
    own: Templates, ahead: int, expected: bool
) -> None:
    if expected:
        poll(lambda: own.expect() or own.template(launch()).has_one)
    os.kill(ahead, signal.SIGKILL)
    poll(lambda: not lives(ahead))
    process = own.child(launch())
    assert process.pid != ahead
    assert process.alive
    process.close()


@pytest.mark.kernel
@pytest.mark.parametrize("first", [False, True])
def test_trouble_meanwhile_leaves_nothing_for_the_next(own: Templates, first: bool) -> None:
    def trouble() -> None:
        raise OSError("no luck")

    if not first:
        own.child(launch()).close()
        poll(lambda: own.expect() or own.template(launch()).has_one)
    with pytest.raises(OSError, match="no luck"):
        own.child(launch(), meanwhile=trouble)
    poll(lambda: own.expect() or own.template(launch()).has_one)  # there is another one, not that
    process = own.child(launch())
    assert process.alive
    process.close()


@pytest.mark.kernel
def test_one_that_could_not_be_taken_over_is_made_up_for(own: Templates, ahead: int) -> None:
    poll(lambda: readable(own.template(launch())._control.fileno()))
    before = descriptors()
    with room_for(3):
        own.expect()
    assert descriptors() == before
    poll(lambda: not lives(ahead))
    for _ in range(2):
        process = own.child(launch())
        assert process.alive
        process.close()
    assert descriptors() == before
    poll(lambda: own.expect() or own.template(launch()).has_one)


@pytest.mark.kernel
def test_a_template_that_is_closed_ends_what_it_has_sent_beforehand(own: Templates, ahead: int) -> None:
    poll(lambda: own.expect() or own.template(launch()).has_one)
    own.close()
    poll(lambda: not lives(ahead))
    own.expect()  # of a closed one nothing comes


@pytest.mark.kernel
def test_other_variables_have_another_template_and_only_some_live_at_once(own: Templates) -> None:
    made = []
    for number in range(5):
        found = launch_for("python3", {"NUMBER": str(number)})
        assert isinstance(found, Launch)
        made.append(own.template(found))
    assert [template.alive for template in made] == [False, True, True, True, True]


@pytest.mark.kernel
def test_a_branch_has_modules_and_goes_on_without_its_base(own: Templates) -> None:
    branch = own.template(launch(), ("numpy",))
    assert branch.about["loaded"] == ["numpy"]
    base = own.template(launch())
    assert base is not branch
    os.kill(base.about["pid"], signal.SIGKILL)
    own.child(launch(), ("numpy",)).close()
    assert own.template(launch(), ("numpy",)) is branch


@pytest.mark.kernel
def test_only_a_module_that_looks_for_a_name_of_the_folder_is_left_out(own: Templates) -> None:
    modules = ("numpy", "pandas", "yaml", *COMPANIONS["pandas"])
    whole = own.template(
        launch(), modules, names=frozenset({"tests", "conftest", "yaml_too", "matplotlibrc"})
    )
    assert whole.about["loaded"] == list(modules)
    names = frozenset({"bottleneck", "tests"})
    part = own.template(launch(), modules, names=names)  # pandas would take it where it is installed
    assert part.about["loaded"] == ["numpy", "yaml"]
    reason = "its import looks for bottleneck, which the working directory has"
    assert part.about["refused"] == {"pandas": reason}
    assert own.template(launch(), modules, names=names | {"other"}) is part
    assert own.template(launch(), modules) is whole


@pytest.mark.kernel
def test_a_file_that_configures_a_library_matters_to_that_one_alone(own: Templates) -> None:
    found = own.template(launch(), ("yaml", "matplotlib"), names=frozenset({"matplotlibrc"}))
    assert found.about["loaded"] == ["yaml"]
    assert list(found.about["refused"]) == ["matplotlib"]


@pytest.mark.kernel
@pytest.mark.parametrize("engine", ["flownb", "nbclient"])
def test_a_module_of_the_folder_is_found_by_what_is_installed(tmp_path: Path, engine: str) -> None:
    (tmp_path / "bottleneck.py").write_text("__version__ = '99'\nhere = True")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "__init__.py").write_text("")
    source = "import pandas, sys\nprint(sys.modules['bottleneck'].here)"
    ending, watch = watched(source, cwd=tmp_path, engine=engine)
    assert (ending.how, ending.engine, watch.text(0)) == ("success", engine, "True\n")


@pytest.mark.kernel
def test_a_template_that_does_not_start_says_what_it_wrote(tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho no luck >&2\nexit 3\n")
    program.chmod(0o755)
    with pytest.raises(TemplateFailed, match=r"ended with status 3 before it was ready: no luck$"):
        Template.start(Launch((str(program),), (), ()), 20.0)


def test_a_failure_is_remembered_for_a_while(own: Templates, tmp_path: Path) -> None:
    program, count = tmp_path / "python", tmp_path / "count"
    program.write_text(f"#!/bin/sh\necho x >> {count}\nexit 3\n")
    program.chmod(0o755)
    for _ in range(3):
        with pytest.raises(TemplateFailed):
            own.child(Launch((str(program),), (), ()), limit=20.0)
    assert count.read_text() == "x\n"


@pytest.mark.kernel
def test_one_that_was_killed_while_it_started_is_replaced_at_once(own: Templates, tmp_path: Path) -> None:
    program, first = tmp_path / "python", tmp_path / "first"
    program.write_text(
        f'#!/bin/sh\n[ -e {first} ] && exec {sys.executable} "$@"\ntouch {first}; kill -KILL $$\n'
    )
    program.chmod(0o755)
    usual = launch()
    process = own.child(Launch((str(program),), usual.arguments, usual.env))
    assert process.alive
    process.close()


@pytest.mark.kernel
def test_one_that_does_not_answer_is_replaced_for_the_run_at_hand(
    own: Templates, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf, child = own.template(launch()), Template.child

    def asked(template: Template, *args: Any) -> Any:
        if template is deaf:
            raise TemplateFailed("it did not answer")
        return child(template, *args)

    monkeypatch.setattr(Template, "child", asked)
    own.child(launch()).close()
    assert own.template(launch()) is not deaf


@pytest.mark.kernel
def test_where_no_descriptors_are_left_that_is_the_reason_and_not_remembered(own: Templates) -> None:
    before = descriptors()
    with room_for(3), pytest.raises(TemplateFailed, match="Too many open files") as caught:
        own.child(launch())
    assert isinstance(caught.value.__cause__, OSError)
    assert descriptors() == before
    own.child(launch()).close()


@pytest.mark.kernel
def test_a_forked_copy_of_a_process_has_no_template_of_its_parent() -> None:
    mine = templates().template(launch())
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            other = templates()
            there = other.template(launch())
            os.write(write, b"own" if there.about["pid"] != mine.about["pid"] else b"shared")
            other.close()
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as answer:
        assert answer.read() == b"own"
    os.waitpid(child, 0)
    assert mine.alive
    assert templates().template(launch()) is mine


@pytest.mark.kernel
def test_templates_end_when_they_are_closed() -> None:
    made = Templates()
    pids = [made.template(launch()).about["pid"], made.template(launch(), ("numpy",)).about["pid"]]
    made.close()
    poll(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), 10, what="the templates' end")


@pytest.mark.kernel
def test_a_stale_template_is_replaced(own: Templates, tmp_path: Path) -> None:
    startup = tmp_path / "profile_default" / "startup"
    startup.mkdir(parents=True)
    found = launch_for("python3", {"IPYTHONDIR": str(tmp_path)})
    assert isinstance(found, Launch)
    first = own.template(found)
    time.sleep(0.02)  # a file system's clock may tick a hundred times a second
    (startup / "10-mine.py").write_text("mine = 1")
    second = own.template(found)
    assert second is not first
    assert own.template(found) is second


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("source", "reason"),
    [("import os; HERE = os.getcwd()", "os.getcwd"), ("try: open('.env')\nexcept OSError: pass", "'.env'")],
)
def test_startup_files_that_look_at_the_working_directory_are_not_for_a_template(
    source: str, reason: str, tmp_path: Path
) -> None:
    startup = tmp_path / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "10-mine.py").write_text(source)
    found = launch_for("python3", {"IPYTHONDIR": str(tmp_path)})
    assert isinstance(found, Launch)
    with pytest.raises(TemplateFailed, match="startup files look at the working directory") as caught:
        Template.start(found, 20.0)
    assert reason in str(caught.value)


@pytest.mark.kernel
def test_startup_files_that_do_not_may_have_the_functions_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    startup = tmp_path / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "10-mine.py").write_text("from os import getcwd\nopen('/dev/null').close()")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    ending, watch = watched("import os; print(getcwd is os.getcwd, type(getcwd).__name__)")
    assert (ending.how, ending.engine) == ("success", "flownb")
    assert watch.text(0) == "True builtin_function_or_method\n"
