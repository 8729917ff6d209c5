"""Callbacks as JSON data and back, also in another process."""

from __future__ import annotations

import functools
import io
import json
import os.path
import subprocess
import sys
import threading
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from callback_runs import make_run

from flownb.callbacks import collect_logs, collect_metrics, collect_outputs, notify
from flownb.callbacks.base import call, name_of, run_all
from flownb.callbacks.references import Pickled, Reference, resolve
from flownb.callbacks.settings import from_setting, from_settings
from flownb.callbacks.stored import deserialize, serialize
from flownb.errors import CallbackError
from flownb.parameters.secret import Secret

ROOT = Path(__file__).parent.parent
RUN: Any = object()


def tell(run: Any) -> tuple[str, Any]:
    return ("told", run)


@dataclass(frozen=True)
class Pager:
    """A callback of a user's, made of options."""

    team: str
    level: int = 1

    def options(self) -> dict[str, Any]:
        return {"team": self.team, "level": self.level}

    def __call__(self, run: Any) -> tuple[str, int]:
        return (self.team, self.level)

    def page(self, run: Any) -> str:
        return self.team


class Odd:
    """A callback of a user's, without options."""

    def __init__(self, word: str) -> None:
        self.word = word

    def __call__(self) -> str:
        return self.word


not_callable = "a text"


def through_json(callbacks: Any) -> tuple[Any, ...]:
    return deserialize(json.loads(json.dumps(serialize(callbacks))))


def test_nothing_is_an_empty_list() -> None:
    assert serialize(None) == serialize([]) == []
    assert deserialize([]) == deserialize(None) == ()


@pytest.mark.parametrize(
    "callback",
    [
        collect_outputs("results", names=["summary"], formats=["png", "json"]),
        collect_outputs(Path("results")),
        collect_logs("logs"),
        collect_metrics("metrics.csv"),
        notify("$TEAM_WEBHOOK", on="any"),
    ],
)
def test_ready_made_callbacks_are_their_options_and_come_back_equal(callback: Any) -> None:
    (entry,) = serialize([callback])
    assert set(entry) == {"callback", "options"}
    assert entry["callback"].startswith("flownb.callbacks.")
    assert through_json([callback]) == (callback,)


def test_importable_functions_and_classes_are_stored_by_name() -> None:
    assert serialize([tell, os.path.exists, print, Odd]) == [
        {"callback": f"{__name__}:tell"},
        {"callback": "genericpath:exists"},
        {"callback": "builtins:print"},
        {"callback": f"{__name__}:Odd"},
    ]
    (back,) = through_json(tell)
    assert call(back, RUN) == ("told", RUN)
    assert name_of(back) == f"{__name__}:tell"


def test_configured_objects_of_a_users_class_are_stored_by_their_options() -> None:
    assert serialize(Pager("data", 2)) == [
        {"callback": f"{__name__}:Pager", "options": {"team": "data", "level": 2}}
    ]
    (back,) = through_json(Pager("data", 2))
    assert call(back, RUN) == ("data", 2)
    assert resolve([back]) == (Pager("data", 2),)


def closure(word: str) -> Any:
    def inner(run: Any) -> tuple[str, Any]:
        return (word, run)

    return inner


@pytest.mark.parametrize(
    ("callback", "result"),
    [
        (lambda run: ("lambda", run is not None), ("lambda", True)),
        (closure("é"), ("é", RUN)),
        (Pager("data").page, "data"),
        (functools.partial(tell), ("told", RUN)),
        (functools.partial(max, 1, 2, key=lambda value: 1), 1),
        (Odd("word"), "word"),
    ],
)
def test_all_others_are_pickled(callback: Any, result: Any) -> None:
    (entry,) = serialize(callback)
    assert set(entry) == {"pickle", "python", "magic", "name"}
    assert entry["name"] == name_of(callback)
    assert entry["python"] == sys.version.split()[0]
    (back,) = through_json(callback)
    assert name_of(back) == entry["name"]
    assert call(back, RUN) == result


def test_a_function_of_a_module_made_by_hand_is_pickled(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("made_by_hand")
    exec("def shout(run): return 'shout'", module.__dict__)
    monkeypatch.setitem(sys.modules, "made_by_hand", module)
    (entry,) = serialize(module.shout)
    assert "pickle" in entry


def test_a_name_that_now_means_something_else_is_not_stored_as_a_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = tell
    monkeypatch.setattr(sys.modules[__name__], "tell", lambda run: "changed")
    (entry,) = serialize(before)
    assert "pickle" in entry
    assert call(through_json(before)[0], RUN) == ("told", RUN)


def test_what_was_read_back_is_stored_again_as_it_was() -> None:
    stored = serialize([tell, closure("x"), Pager("data"), notify("$HOOK")])
    assert serialize(deserialize(stored)) == stored


WRITER = """
import json
word = "Grüße"
class Counter:
    def __call__(self, run):
        return f"{word} {helper(run.id)}"
def helper(text):
    return text.upper()
async def later(run):
    import asyncio
    await asyncio.sleep(0)
    return helper(run.id)
from flownb.callbacks.stored import serialize
print(json.dumps(serialize([helper.__class__ and (lambda run: helper(run.id)), Counter(), later])))
"""

READER = """
import json, sys
from types import SimpleNamespace
from flownb.callbacks.base import call
from flownb.callbacks.stored import deserialize
back = deserialize(json.load(sys.stdin))
assert "cloudpickle" not in sys.modules
print(json.dumps([call(item, SimpleNamespace(id="r1")) for item in back]))
"""


def python(code: str, stdin: str = "") -> str:
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, input=stdin, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_another_process_loads_what_one_wrote_of_its_main_module() -> None:
    assert json.loads(python(READER, python(WRITER))) == ["R1", "Grüße R1", "R1"]


class Bomb:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace: str) -> None:
        self.trace = trace

    def __call__(self) -> None: ...

    def __reduce__(self) -> Any:
        return (os.mkdir, (self.trace,))


def test_listing_and_storing_again_never_unpickle(tmp_path: Path) -> None:
    trace = tmp_path / "unpickled"
    stored = serialize(Bomb(str(trace)))
    (back,) = deserialize(json.loads(json.dumps(stored)))
    assert name_of(back) == f"{__name__}:Bomb"
    assert serialize(back) == stored
    assert repr(back)
    assert not trace.exists()
    (failure,) = run_all([back], RUN)  # what it unpickles to, None, cannot be called
    assert trace.exists()
    assert "NoneType, which cannot be called" in failure.error


def test_listing_never_imports_a_users_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hooks_of_mine.py").write_text("def shout(run): return 'shout'\n")
    monkeypatch.syspath_prepend(tmp_path)
    (back,) = deserialize([{"callback": "hooks_of_mine:shout"}])
    assert name_of(back) == "hooks_of_mine:shout"
    assert "hooks_of_mine" not in sys.modules
    assert call(back, RUN) == "shout"
    monkeypatch.delitem(sys.modules, "hooks_of_mine")


def test_another_pythons_bytecode_is_refused_before_anything_is_loaded() -> None:
    (entry,) = serialize(closure("x"))
    other = {**entry, "magic": "6f0d0d0a", "python": "3.10.13", "pickle": "AAAA"}
    with pytest.raises(CallbackError) as caught:
        deserialize([other])
    assert "Python 3.10.13" in str(caught.value)
    assert sys.version.split()[0] in str(caught.value)
    assert entry["name"] in str(caught.value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("module:name", ["a list"]),
        ({"callback": "a:b"}, ["a list"]),
        (["module:name"], ["an object"]),
        ([{}], ["neither"]),
        ([{"callback": 3}], ["module:name"]),
        ([{"callback": "nothing"}], ["'nothing'", "module:name"]),
        ([{"callback": "a b:c"}], ["module:name"]),
        ([{"callback": "os:system", "when": "now"}], ["when"]),
        ([{"callback": "os:system", "options": [1]}], ["options"]),
        ([{"callback": "flownb.callbacks.logs:CollectLogs", "options": {"fold": "x"}}], ["fold"]),
        ([{"callback": "flownb.callbacks.logs:Nothing"}], ["no `Nothing`"]),
        ([{"pickle": "AAAA"}], ["lacks", "magic"]),
        ([{"pickle": 1, "python": "3", "magic": "x", "name": "n"}], ["only texts"]),
    ],
)
def test_damaged_data_is_refused_with_words(data: Any, words: list[str]) -> None:
    with pytest.raises(CallbackError) as caught:
        deserialize(data)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_damaged_bytes_are_refused() -> None:
    (entry,) = serialize(closure("x"))
    with pytest.raises(CallbackError, match="damaged"):
        deserialize([{**entry, "pickle": "not base64!"}])
    (back,) = deserialize([{**entry, "pickle": entry["pickle"][:40]}])
    (failure,) = run_all([back], RUN)
    assert "cannot be loaded here" in failure.error


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("no_such_module:f", ["no_such_module", "cannot be imported"]),
        (f"{__name__}:tel", ["no `tel`", "`tell` meant"]),
        (f"{__name__}:not_callable", ["cannot be called"]),
        (f"{__name__}:closure", None),
    ],
)
def test_a_name_that_leads_nowhere_is_an_error_when_it_is_resolved(
    target: str, words: list[str] | None
) -> None:
    callbacks = deserialize([{"callback": target}])
    if words is None:
        assert resolve(callbacks) == (closure,)
        return
    with pytest.raises(CallbackError) as caught:
        resolve(callbacks)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_module_that_fails_while_it_is_imported_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_hooks.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CallbackError, match=r"broken_hooks:f.*ZeroDivisionError"):
        resolve([Reference("broken_hooks:f")])


def with_lock() -> Any:
    lock = threading.Lock()
    return lambda: str(lock)


def with_file() -> Any:
    file = open(__file__)  # noqa: SIM115 - closed by the test
    return lambda: str(file)


def with_secret() -> Any:
    password = Secret("s3cr3t")
    return lambda: password


def with_notify() -> Any:
    inner = notify("https://hooks.slack.com/services/T/B/s3cr3t")
    return lambda run: (inner(run), run)


def with_table() -> Any:
    table = bytes(3_000_000)
    return lambda: len(table)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (with_lock, ["lambda", "lock", "importable module"]),
        (with_file, ["lambda", "open file"]),
        (with_secret, ["lambda", "secret"]),
        (with_notify, ["never written down"]),
        (with_table, ["3.0 MB", "at most 1 MB"]),
    ],
)
def test_what_cannot_be_stored_is_an_error_that_says_why(make: Any, words: list[str]) -> None:
    callback = make()
    with pytest.raises(CallbackError) as caught:
        serialize([tell, callback])
    for cell in callback.__closure__:
        if isinstance(cell.cell_contents, io.TextIOWrapper):
            cell.cell_contents.close()
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"team": Secret("s3cr3t")}, ["`team`", "secret"]),
        ({"team": "x", "level": {"deep": [Secret("s3cr3t")]}}, ["`level`", "secret"]),
        ({"team": object()}, ["JSON"]),
        ({"team": "x", "level": float("nan")}, ["JSON"]),
    ],
)
def test_options_that_cannot_be_written_down_are_refused(options: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(CallbackError) as caught:
        serialize(Pager(**options))
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_settings_name_ready_made_callbacks_and_a_users_own() -> None:
    assert from_setting({"callback": "notify", "url": "$HOOK", "on": ["Failed"]}) == notify(
        "$HOOK", on="Failed"
    )
    assert from_setting({"callback": "collect_outputs", "folder": "x"}) == collect_outputs("x")
    assert from_setting(f"{__name__}:tell") == Reference(f"{__name__}:tell")
    assert from_setting({"callback": f"{__name__}:tell"}) == Reference(f"{__name__}:tell")
    pager = from_setting({"callback": f"{__name__}:Pager", "team": "data"})
    assert call(pager, RUN) == ("data", 1)
    assert serialize(pager) == [{"callback": f"{__name__}:Pager", "options": {"team": "data"}}]


def test_settings_can_be_one_a_list_or_nothing() -> None:
    assert from_settings(None) == ()
    assert from_settings("a:b") == (Reference("a:b"),)
    assert from_settings(["a:b", {"callback": "collect_logs", "folder": "x"}]) == (
        Reference("a:b"),
        collect_logs("x"),
    )


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("notfy", ["on_exit", "'notfy'", "notify"]),
        ("notify", ["on_exit", "url"]),
        (3, ["on_exit", "module:name"]),
        ({"url": "https://example.org"}, ["on_exit", "module:name"]),
        ({"callback": "notify", "urll": "https://example.org"}, ["on_exit", "urll"]),
        ({"callback": "collect_metrics", "path": "x.txt"}, ["on_exit", ".jsonl or .csv"]),
        ({"callback": "collect_logs", "folder": 3}, ["on_exit", "folder"]),
        ("a-b:c", ["on_exit", "module:name"]),
    ],
)
def test_a_wrong_setting_is_named(value: Any, words: list[str]) -> None:
    with pytest.raises(CallbackError) as caught:
        from_setting(value, "on_exit")
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_stored_callback_runs_for_a_run(project: Path) -> None:
    run = make_run(project, logs="x\n")
    (back,) = through_json(collect_logs("logs"))
    assert run_all([back], run) == []
    assert (project / "logs" / "co2" / f"{run.id}.log").read_text() == "x\n"


def test_a_reference_gives_no_bytes_away() -> None:
    (back,) = through_json(closure("x"))
    assert isinstance(back, Pickled)
    assert back.data not in repr(back)


def test_importing_the_package_loads_nothing_heavy() -> None:
    python(
        "import sys, flownb.callbacks as c; c.Callback, c.Configured, c.collect_logs; "
        "heavy = {'asyncio', 'cloudpickle', 'urllib.request', 'apprise', 'pydantic'} & set(sys.modules); "
        "assert not heavy, heavy; assert 'notify' in dir(c)"
    )
