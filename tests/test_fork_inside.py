"""Template, guardian and child: real processes, heard through their sockets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fork_processes import Template, template
from polling import lives, poll

from flownb.engine.fork.fold import message_of
from flownb.engine.fork.inside import wire

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def base() -> Iterator[Template]:
    with template() as made:
        yield made


def test_prints_and_what_others_write_to_the_descriptors_keep_their_order(base: Template) -> None:
    with base.run() as run:
        cell = run.cell("""
            import ctypes, os, subprocess
            print("a"); os.write(1, b"b\\n"); print("c"); subprocess.run(["echo", "d"]); print("e", end="")
            os.system("echo f"); libc = ctypes.CDLL(None); libc.puts(b"g"); libc.fflush(None); print("h")
        """)
        run.leave()
    assert cell.text == "a\nb\nc\nd\nef\ng\nh\n"


def test_what_is_written_at_the_very_end_of_a_cell_belongs_to_it(base: Template) -> None:
    with base.run() as run:
        assert run.cell("import os; _ = os.write(2, b'last')").streams == [("stderr", "last")]
        assert run.cell("1").streams == []
        run.leave()


def test_much_output_comes_whole(base: Template) -> None:
    with base.run() as run:
        cell = run.cell("for i in range(50_000): print(i)")
        run.leave()
    assert cell.text == "".join(f"{i}\n" for i in range(50_000))


def test_a_line_is_heard_while_the_cell_goes_on(base: Template) -> None:
    with base.run() as run:
        run.send("for i in range(60): print(i)\nimport threading; threading.Event().wait()")
        text = ""
        while not text.endswith("59\n"):
            frame = run.frame()
            assert frame is not None
            if frame.head["msg_type"] == "stream":
                text += message_of(frame)["content"]["text"]
        run.signal("KILL")
        assert run.ended()["signal"] == "SIGKILL"


def test_a_process_that_knows_that_nothing_follows_ends_by_itself(base: Template) -> None:
    with base.run() as run:
        run.send("6 * 7")
        run.let_leave()
        kinds = []
        while (frame := run.frame()) and frame.kind != "over":
            kinds.append(frame.head["msg_type"])
        assert kinds[-2:] == ["execute_result", "execute_reply"]
        assert frame is not None
        assert frame.head["code"] == 0


def test_one_that_is_not_alone_waits_until_it_is_let_go(base: Template, tmp_path: Path) -> None:
    left = tmp_path / "left"
    code = f"""
        import atexit, pathlib, subprocess
        sleeper = subprocess.Popen(["sleep", "60"])
        atexit.register(pathlib.Path({str(left)!r}).touch)
        """
    with base.run() as run:
        run.send(code)
        run.let_leave()
        poll(left.exists)
        assert not wire.readable(run.pidfd, 0.3)  # what it has taken can still be seen
        end = run.leave()
    assert (end["by_itself"], end["code"]) == (False, 0)


def test_that_word_is_heard_also_where_it_comes_along_with_the_one_before(base: Template) -> None:
    with base.run() as run:
        run.cell("import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()")
        os.kill(run.child, signal.SIGSTOP)
        run.let_leave()
        wire.send_frame(run.socket, wire.Frame("leave"))
        os.kill(run.child, signal.SIGCONT)
        assert run.left()["code"] == 0


def test_exit_handlers_are_called_though_the_flow_has_broken_the_shell(base: Template) -> None:
    with base.run() as run:
        run.cell("import atexit, os; atexit.register(os.write, 1, b'x')\nget_ipython().alias_manager = None")
        assert run.leave()["code"] == 0


@pytest.mark.parametrize(
    "code",
    ["1 / 0", "from comm import create_comm; talk = create_comm(target_name='x')"],
    ids=["one is passed", "there are comms"],
)
def test_it_does_not_end_by_itself_where_the_owner_may_have_to_say_something(
    base: Template, code: str
) -> None:
    with base.run() as run:
        run.send(code)
        passed = run.send("print('early')", ahead="if well")
        run.let_leave()
        while (frame := run.frame()) and frame.kind != "passed":
            pass
        assert frame is not None
        assert frame.head["msg_id"] == passed
        assert run.cell("print('later')").text == "later\n"
        assert run.leave()["by_itself"]


@pytest.mark.parametrize(
    ("code", "ended"),
    [
        ("import os; os._exit(3)", (3, None)),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", (None, "SIGKILL")),
        ("import ctypes; ctypes.string_at(0)", (None, "SIGSEGV")),
        ("import os; os.closerange(3, 10_000)", (1, None)),
    ],
    ids=["exit", "kill", "segfault", "closed"],
)
def test_the_guardian_tells_how_the_process_ended(
    base: Template, code: str, ended: tuple[int | None, str | None]
) -> None:
    with base.run() as run:
        cell = run.cell("print('before')")
        assert cell.text == "before\n"
        assert run.cell(code).reply is None
        said = run.ended()
        assert (said["code"], said["signal"]) == ended
        assert said["peak_memory_bytes"] > 10_000_000
        poll(lambda: not lives(run.child) and not lives(run.guardian))


def test_a_run_leaves_no_process_behind_not_even_a_daemon(base: Template) -> None:
    with base.run() as run:
        cell = run.cell("""
            import os, subprocess
            inner = subprocess.Popen(["sleep", "1000"])
            detached = "setsid sleep 1000 > /dev/null 2>&1 & echo $!"
            daemon = subprocess.run(detached, shell=True, capture_output=True)
            print(inner.pid, int(daemon.stdout))
        """)
        left = [int(number) for number in cell.text.split()]
        assert all(map(lives, left))
        run.leave()
    assert not any(map(lives, left))


def test_a_flow_that_kills_its_parent_ends_itself_and_nobody_else(base: Template) -> None:
    with base.run() as other, base.run() as run:
        run.cell("import os, signal, time; os.kill(os.getppid(), signal.SIGKILL); time.sleep(1000)")
        poll(lambda: not lives(run.child))
        assert other.cell("1 + 1").reply is not None
        other.leave()
    with base.run() as again:
        assert again.cell("1").reply is not None
        again.leave()


def test_a_fork_that_comes_back_from_its_cell_says_nothing_more(base: Template) -> None:
    with base.run() as run:
        cell = run.cell("import os; pid = os.fork(); print('one' if pid else 'two', flush=True)")
        assert cell.reply is not None
        second = run.cell("if pid: os.waitpid(pid, 0)\nprint('three')")
        assert sorted((cell.text + second.text).split()) == ["one", "three", "two"]
        assert run.leave()["code"] == 0


def test_a_forked_process_prints_in_whole_lines(base: Template) -> None:
    with base.run() as run:
        cell = run.cell("""
            import os
            for i in range(5):
                pid = os.fork()
                if not pid:
                    print("line", i, "of", os.getpid() > 0); os._exit(0)
                os.waitpid(pid, 0)
        """)
        run.leave()
    assert cell.text == "".join(f"line {i} of True\n" for i in range(5))


@pytest.mark.parametrize(
    "code",
    [
        "import time; print('begun', flush=True); time.sleep(1000)",
        "import asyncio; print('begun'); await asyncio.sleep(1000)",
    ],
    ids=["plain", "awaited"],
)
def test_an_interrupt_ends_the_cell_and_not_the_process(base: Template, code: str) -> None:
    with base.run() as run:
        run.send(code)
        frame = run.frame()
        while frame is not None and frame.head["msg_type"] != "stream":
            frame = run.frame()
        run.signal("INT")
        while frame is not None and frame.head["msg_type"] != "execute_reply":
            frame = run.frame()
        assert frame is not None
        assert frame.json()["status"] == "error"
        assert run.cell("print('after')").text == "after\n"
        run.leave()


def test_a_handler_that_raises_while_something_is_sent_garbles_nothing(base: Template) -> None:
    with base.run() as run:
        cell = run.cell("""
            import signal
            from IPython.display import display
            class Alarm(BaseException): pass
            def ring(*_): raise Alarm
            signal.signal(signal.SIGALRM, ring)
            rang = 0
            for turn in range(300):
                try:
                    signal.setitimer(signal.ITIMER_REAL, 0.0005 + turn / 200_000, 0.05)
                    while True: display({"text/plain": "x" * 300_000}, raw=True)
                except Alarm:
                    signal.setitimer(signal.ITIMER_REAL, 0)
                    rang += 1
            print(rang)
        """)
        assert cell.reply is not None
        assert cell.text == "300\n"
        assert run.cell("print('fine')").text == "fine\n"
        run.leave()


def test_streams_that_the_flow_has_broken_fail_its_cells_and_end_no_process(base: Template) -> None:
    with base.run() as run:
        run.cell("""
            import sys
            class Broken:
                def write(self, text): 1 / 0
                flush = write
            sys.stdout, kept = Broken(), sys.stdout
        """)
        broken = run.cell("print(1)")
        assert broken.reply is not None
        assert broken.reply["status"] == "error"
        run.cell("sys.stdout = kept")
        assert run.cell("print(2)").text == "2\n"
        assert run.leave()["code"] == 0


def test_exit_handlers_run_and_threads_are_waited_for(base: Template, tmp_path: Path) -> None:
    with base.run() as run:
        run.cell(f"""
            import atexit, pathlib, threading, time
            folder = pathlib.Path({str(tmp_path)!r})
            atexit.register(lambda: (folder / "handler").touch())
            threading.Thread(target=lambda: (time.sleep(0.2), (folder / "thread").touch())).start()
        """)
        run.leave()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["handler", "thread"]


def test_a_run_begins_in_its_folder_with_its_variables_and_within_its_memory(
    base: Template, tmp_path: Path
) -> None:
    with base.run(cwd=str(tmp_path), env={"SOME": "thing", "HOME": None}, memory=200_000_000) as run:
        cell = run.cell("import os; print(os.getcwd(), os.environ['SOME'], 'HOME' in os.environ)")
        assert cell.text == f"{tmp_path} thing False\n"
        assert run.cell("fits = bytearray(100_000_000)").reply == {
            **(run.cell("1").reply or {}),
            "execution_count": 2,
        }
        too_much = run.cell("bytearray(400_000_000)").reply
        assert too_much is not None
        assert too_much["ename"] == "MemoryError"
        run.leave()


def test_a_folder_that_is_gone_is_refused_with_a_reason(base: Template, tmp_path: Path) -> None:
    with base.run(cwd=str(tmp_path / "gone")) as run:
        assert run.begun is not None
        assert run.begun.kind == "refused"
        assert "gone" in run.begun.head["reason"]


def test_nothing_runs_where_the_beginning_was_refused(base: Template, tmp_path: Path) -> None:
    with base.run(cwd=str(tmp_path / "gone")) as run:
        name = run.send(f"open({str(tmp_path / 'made')!r}, 'w').close()", ahead="if well")
        frame = run.frame()
        assert frame is not None
        assert (frame.kind, frame.head) == ("passed", {"msg_id": name})
    assert not (tmp_path / "made").exists()


def test_a_process_says_that_it_is_over_only_where_nothing_else_of_the_flow_lives(base: Template) -> None:
    daemon = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'input()'], stdin=-1)"
    for code, by_itself in (("1", True), (daemon, False), (f"import os\nif not os.fork(): {daemon}", False)):
        with base.run() as run:
            run.cell(code)
            said = run.leave()
            assert said["code"] == 0
            assert said["by_itself"] is by_itself
        poll(lambda run=run: not lives(run.child) and not lives(run.guardian))


def test_a_process_that_is_over_ends_when_its_owner_lets_go_whatever_its_guardian_does(
    base: Template,
) -> None:
    with base.run() as run:
        run.cell("1")
        assert run.leave()["by_itself"]
        os.kill(run.guardian, signal.SIGSTOP)
        assert lives(run.child)
    poll(lambda: not lives(run.child))
    os.kill(run.guardian, signal.SIGCONT)
    poll(lambda: not lives(run.guardian))


def test_the_next_process_is_made_when_a_short_run_is_over_or_a_long_one_goes_on(base: Template) -> None:
    with base.branch() as branch:
        with branch.run() as run:
            assert run.leave()["code"] == 0
        poll(lambda: _spares(branch.pid))
        with branch.run() as run:
            poll(lambda: len(_spares(branch.pid)) > 1)  # this run's own process, and another one
            assert run.leave()["code"] == 0


def test_runs_have_random_numbers_of_their_own(base: Template) -> None:
    drawn = set()
    with base.branch("numpy", "numpy.random") as branch:
        assert branch.ready["loaded"] == ["numpy", "numpy.random"]
        for _ in range(3):
            with branch.run() as run:
                drawn.add(run.cell("import random, numpy; print(random.random(), numpy.random.rand())").text)
                run.leave()
    assert len({text for pair in drawn for text in pair.split()}) == 6
    poll(lambda: not lives(branch.pid))


def test_a_tracer_that_the_flow_has_started_does_not_hold_up_the_end(base: Template) -> None:
    with base.run() as run:
        run.send("""
            import ctypes, os, signal, time
            system = ctypes.CDLL(None)
            ANY_TRACER, SET_TRACER, ATTACH = ctypes.c_ulong(-1), 0x59616D61, 16
            system.prctl(SET_TRACER, ANY_TRACER)
            traced = os.getpid()
            if os.fork() == 0:
                os.setsid()
                system.ptrace(ATTACH, traced, 0, 0)
                time.sleep(1000)
            time.sleep(1000)
        """)
        poll(lambda: "\nTracerPid:\t0\n" not in Path(f"/proc/{run.child}/status").read_text())
        run.signal("KILL")
        asked = time.monotonic()
        assert run.ended()["signal"] == "SIGKILL"
        assert time.monotonic() - asked < 5


def test_a_killed_template_takes_no_run_with_it(base: Template) -> None:
    with base.branch() as branch, branch.run() as run:
        os.kill(branch.pid, signal.SIGKILL)
        poll(lambda: not lives(branch.pid))
        assert run.cell("print('still here')").text == "still here\n"
        assert run.leave()["code"] == 0
    with base.run() as run:  # the base has heard of it, and goes on
        assert run.cell("1").reply is not None
        run.leave()


def _spares(template_pid: int) -> list[int]:
    found = []
    for guardian in Path(f"/proc/{template_pid}/task/{template_pid}/children").read_text().split():
        found += Path(f"/proc/{guardian}/task/{guardian}/children").read_text().split()
    return [int(number) for number in found]


def test_nothing_is_left_when_the_owner_is_killed(tmp_path: Path) -> None:
    script = """
        import os, sys
        from fork_processes import template
        with template() as base:
            branch = base.branch("json")
            run = branch.run()
            text = run.cell("import subprocess; p = subprocess.Popen(['sleep', '1000']); print(p.pid)").text
            run.send("while True: pass")
            print(base.pid, branch.pid, run.child, run.guardian, text, flush=True)
            os.kill(os.getpid(), 9)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    processes = [int(number) for number in done.stdout.split()]
    assert len(processes) == 5
    poll(lambda: not any(map(lives, processes)))


BAD = {
    "bad_thread": "import threading as t; t.Thread(target=t.Event().wait, daemon=True).start()",
    "bad_print": "print('hello')",
    "bad_warning": "import warnings; warnings.warn('old')",
    "bad_socket": "import socket; kept = socket.socket()",
    "bad_handler": "import signal; signal.signal(signal.SIGUSR1, lambda *_: None)",
    "bad_folder": "import os; os.chdir('/tmp')",
    "bad_error": "1 / 0",
    "bad_asking": "import os; PATH = os.path.abspath('data')",
    "bad_bytes": "from os import getcwdb; PATH = getcwdb()",
    "bad_cwd": "from pathlib import Path; PATH = Path.cwd()",
    "bad_opening": "try: open('settings.ini')\nexcept OSError: pass",
    "bad_looking": "from pathlib import Path; THERE = Path('.env').is_file()",
    "bad_listing": "import os; ALL = os.listdir()",
    "bad_scanning": "import os; ALL = [*os.scandir('.')]",
}

GOOD = {
    "good_one": "",
    "good_two": "import json",
    "good_files": "import os\nwith open(__file__) as file: SIZE = os.stat(file.fileno()).st_size\n"
    "os.listdir('/'), os.path.exists(b'/etc'), open(os.devnull).close()",
    "good_taking": "from os import getcwd, stat\nfrom io import open\nclass Files: size = stat",
    "good_keeping": "import multiprocessing.process",
    "good_knowing": "A_KERNEL = hasattr(get_ipython(), 'kernel'), display.__name__\n"
    "import sys; HOOKS = [type(sys.displayhook).__name__, getattr(sys.excepthook, '__name__', '')]",
}


def test_a_module_that_a_fork_would_break_is_left_to_the_flow(tmp_path: Path) -> None:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = tmp_path / "lib" / version / "site-packages"
    site.mkdir(parents=True)
    for name, source in {**BAD, **GOOD}.items():
        (site / f"{name}.py").write_text(source)
    (tmp_path / "own_module.py").write_text("")
    path = os.pathsep.join([str(site), str(tmp_path)])
    first, *others = GOOD
    modules = (first, *BAD, "own_module", "not_there", *others)
    with template(PYTHONPATH=path, PYTHONUSERBASE=str(tmp_path)) as base, base.branch(*modules) as branch:
        assert branch.ready["loaded"] == list(GOOD)
        refused = branch.ready["refused"]
        assert sorted(refused) == sorted([*BAD, "own_module", "not_there"])
        assert "thread" in refused["bad_thread"]
        assert "prints" in refused["bad_print"]
        assert "warns" in refused["bad_warning"]
        assert "sockets" in refused["bad_socket"]
        assert "signals" in refused["bad_handler"]
        assert "directory" in refused["bad_folder"]
        assert {name: refused[name].rpartition(" (")[2] for name in list(BAD)[-7:]} == {
            "bad_asking": "os.getcwd())",
            "bad_bytes": "os.getcwdb())",
            "bad_cwd": "os.getcwd())",
            "bad_opening": "'settings.ini')",
            "bad_looking": "'.env')",
            "bad_listing": "'.')",
            "bad_scanning": "'.')",
        }
        assert "ZeroDivisionError" in refused["bad_error"]
        assert "may change" in refused["own_module"]
        assert "not installed" in refused["not_there"]
        with branch.run() as run:
            assert run.cell("import good_two, bad_print").text == "hello\n"
            took = run.cell("""
                import builtins, io, os, good_taking as took
                print(took.getcwd is os.getcwd, took.stat is os.stat, took.open is io.open is builtins.open)
                print(took.Files().size("/").st_mode == os.stat("/").st_mode, type(os.stat), type(io.open))
            """)
            assert took.text == "True True True\nTrue" + " <class 'builtin_function_or_method'>" * 2 + "\n"
            kept = run.cell(
                "import os, good_keeping as k; print(k.multiprocessing.process.ORIGINAL_DIR == os.getcwd())"
            )
            assert kept.text == "True\n"
            known = run.cell("import good_knowing as known; print(*known.A_KERNEL, *known.HOOKS)")
            assert known.text == "True display ZMQShellDisplayHook excepthook\n"
            run.leave()


def test_a_template_ends_when_its_owner_lets_go_of_it() -> None:
    with template() as base:
        branch = base.branch()
    poll(lambda: not lives(base.pid))
    with branch:
        assert lives(branch.pid)
    poll(lambda: not lives(branch.pid))
