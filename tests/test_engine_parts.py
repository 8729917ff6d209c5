"""The small parts of the engine: stop, pace, secrets, guard."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from polling import poll

from flownb.engine import Pace, Secrets, Stop, check, redactor
from flownb.engine.guard import Guard
from flownb.engine.secrets import redacted_message
from flownb.errors import EnvironmentRefusedError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_stop_tells_its_listeners_from_any_thread() -> None:
    stop, heard = Stop(), threading.Event()
    with stop.listening(heard.set):
        thread = threading.Thread(target=stop.request)
        thread.start()
        assert heard.wait(5)
        thread.join()
    assert stop.requests == 1


def test_a_stop_that_came_before_is_told_at_once() -> None:
    stop, heard = Stop(), threading.Event()
    stop.request()
    with stop.listening(heard.set):
        assert heard.is_set()


def test_a_stop_forgets_who_does_not_listen_any_more() -> None:
    stop, heard = Stop(), threading.Event()
    with stop.listening(heard.set):
        pass
    stop.request()
    assert not heard.is_set()


def test_a_pace_waits_longer_for_what_costs_more() -> None:
    pace = Pace(least=0.0, share=0.5)
    assert pace.due
    pace.done(cost=0.0)
    assert pace.due
    pace.done(cost=1000.0)
    assert not pace.due


def test_secrets_show_nothing_of_themselves() -> None:
    assert "hunter2" not in repr(Secrets("token = 'hunter2'", ("hunter2",)))
    assert not Secrets()


def test_secrets_are_taken_out_of_all_texts_of_a_structure() -> None:
    redacted = redactor(["hunter2", ""])
    assert redacted({"a": ["x hunter2 y", 3, {"b": ("hunter2",)}]}) == {"a": ["x *** y", 3, {"b": ("***",)}]}
    nothing = {"a": "hunter2"}
    assert redactor([])(nothing) is nothing


def test_an_engine_that_is_not_there_is_refused_naming_those_that_are() -> None:
    with pytest.raises(EnvironmentRefusedError, match=r"no engine 'warp' here; there are: .*nbclient"):
        check(engine="warp")


def test_a_kernel_that_is_not_there_is_refused_naming_those_that_are() -> None:
    with pytest.raises(
        EnvironmentRefusedError, match=r"no kernel named 'fortran' here \(there are: .*python3"
    ):
        check(kernel="fortran")


def test_a_guard_kills_the_group_when_its_process_is_gone(tmp_path: Path) -> None:
    sleeper = subprocess.Popen(["sleep", "60"], start_new_session=True)
    folder = tmp_path / "left {behind}"
    folder.mkdir()
    code = (
        "import os, signal, sys; from flownb.engine.guard import Guard; "
        "Guard(int(sys.argv[1]), sys.argv[2]); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(sleeper.pid), str(folder)], check=False)
    assert sleeper.wait(10) == -9
    poll(lambda: not folder.exists(), 5)


def test_a_guard_that_is_dismissed_does_nothing(tmp_path: Path) -> None:
    sleeper = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        Guard(sleeper.pid, str(tmp_path)).dismiss()
        assert sleeper.poll() is None
    finally:
        sleeper.kill()
        sleeper.wait()


def test_secrets_that_are_words_of_the_protocol_leave_it_alone() -> None:
    redacted = redactor(["idle", "stdout", "update", "text/plain"])
    status = {"execution_state": "idle"}
    assert redacted_message(redacted, "status", status) == status
    said = redacted_message(redacted, "stream", {"name": "stdout", "text": "to stdout"})
    assert said == {"name": "stdout", "text": "to ***"}
    widget = {"data": {"method": "update", "state": {"value": "idle"}}}
    assert redacted_message(redacted, "comm_msg", widget) == {
        "data": {"method": "update", "state": {"value": "***"}}
    }
    assert redacted_message(redacted, "clear_output", {"wait": True}) == {"wait": True}


def test_secrets_are_taken_out_of_the_keys_of_shown_data_too() -> None:
    shown = {"data": {"application/json": {"hunter2": [{"hunter2": 1}]}}, "metadata": {"a": {"hunter2": 2}}}
    assert redacted_message(redactor(["hunter2"]), "display_data", shown) == {
        "data": {"application/json": {"***": [{"***": 1}]}},
        "metadata": {"a": {"***": 2}},
    }
