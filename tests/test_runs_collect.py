from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from flownb.runs.collect import collected, snippet
from flownb.runs.values import load

if TYPE_CHECKING:
    from pathlib import Path


def run(code: str, namespace: dict[str, Any], folder: Path, step: str = "s") -> dict[str, Any]:
    """Run a snippet here and return the records by name."""
    exec(code, namespace)
    return {record.name: record for record in collected(folder, step)}


def test_each_name_that_is_bound_is_stored_and_nothing_is_left_behind(tmp_path: Path) -> None:
    namespace: dict[str, Any] = {"a": [1], "b": (2,), "exec": 3, "json": 4, "open": 5, "__name__": "__main__"}
    before = dict(namespace)
    found = run(snippet(["a", "b", "exec", "missing"], None, tmp_path, step="s"), namespace, tmp_path)
    assert {name: load(record.to_json(), tmp_path) for name, record in found.items()} == {
        "a": [1],
        "b": (2,),
        "exec": 3,
    }
    assert {record.step for record in found.values()} == {"s"}
    namespace.pop("__builtins__")
    assert namespace == before


def test_records_are_taken_once_and_none_are_there_without_a_run(tmp_path: Path) -> None:
    assert collected(tmp_path, "s") == []
    exec(snippet(["a"], None, tmp_path, step="s"), {"a": 1})
    assert collected(tmp_path, "other") == []
    assert len(collected(tmp_path, "s")) == 1
    assert collected(tmp_path, "s") == []


def test_a_step_called_as_its_output_keeps_its_records(tmp_path: Path) -> None:
    found = run(snippet(["load"], None, tmp_path, step="load"), {"load": 1}, tmp_path, "load")
    assert load(found["load"].to_json(), tmp_path) == 1


def test_what_cannot_be_stored_is_recorded_and_the_others_are_there(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            raise BrokenPipeError("boom")

    namespace = {"a": (n for n in [1]), "b": Bomb(), "c": 1}
    found = run(snippet(["a", "b", "c"], None, tmp_path, step="s"), namespace, tmp_path)
    assert found["a"].format == "error"
    assert "generator" in found["a"].error
    assert found["b"].format == "error"
    assert load(found["c"].to_json(), tmp_path) == 1


def test_values_that_print_warn_or_show_much_are_stored_in_silence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    class Loud:
        def __repr__(self) -> str:
            import warnings

            print("loud")
            warnings.warn("loud", stacklevel=1)
            return "x" * 5_000_000

        def __reduce__(self) -> Any:
            print("loud")
            return dict, ()

    found = run(snippet(["a"], None, tmp_path, step="s"), {"a": Loud()}, tmp_path)
    assert len(found["a"].preview) <= 1_000
    assert capfd.readouterr() == ("", "")


def test_hostile_names_and_folders_are_only_text(tmp_path: Path) -> None:
    folder = tmp_path / 'it\'s "quoted" {x} \\ %d'
    names = ["'''", 'a"b', "x\ny", "{0}", "%s"]
    found = run(snippet(names, None, folder, step="a'\"b"), dict.fromkeys(names, 1), folder, "a'\"b")
    assert list(found) == names


def test_the_code_has_no_line_that_looks_like_a_magic(tmp_path: Path) -> None:
    for line in snippet(["a"], 1, tmp_path).splitlines():
        assert not line.lstrip().startswith(("%", "!", "?"))


def test_a_python_without_flownb_stores_the_same(tmp_path: Path) -> None:
    code = snippet(["a", "when"], None, tmp_path, step="s")
    program = (
        "import sys, datetime; sys.modules['flownb'] = None\n"
        f"a = [1, (2,)]; when = datetime.date(2026, 1, 1)\nfor _ in 'ab':\n    exec({code!r})\n"
        "assert '__flownb__' not in globals()\n"
        "print(sorted(name for name in sys.modules if 'flownb' in name)[:3])"
    )
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert "_flownb_values" in done.stdout
    found = {record.name: load(record.to_json(), tmp_path) for record in collected(tmp_path, "s")}
    assert found == {"a": [1, (2,)], "when": __import__("datetime").date(2026, 1, 1)}


def test_a_flownb_whose_records_differ_is_not_used(tmp_path: Path) -> None:
    code = snippet(["a"], None, tmp_path, step="s")
    program = (
        "import sys, flownb.runs.values as v; v.VERSION = 99\n"
        f"def no(*_): raise SystemExit(1)\nv.collect = no\na = 1\nexec({code!r})"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert [record.name for record in collected(tmp_path, "s")] == ["a"]


@pytest.mark.kernel
def test_in_a_real_kernel_outputs_and_the_result_of_a_cell_are_collected(tmp_path: Path) -> None:
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3")
    try:

        def execute(code: str, *, silent: bool = False) -> tuple[dict[str, Any], list[dict[str, Any]]]:
            seen: list[dict[str, Any]] = []
            reply = client.execute_interactive(
                code, silent=silent, timeout=60, output_hook=seen.append, store_history=not silent
            )
            return reply["content"], seen

        first, _ = execute("import numpy as np\nx = 1\nx + 1")
        count = first["execution_count"]
        reply, seen = execute(snippet(["x"], count, tmp_path, step="s"), silent=True)
        assert reply["status"] == "ok", reply
        assert [message["msg_type"] for message in seen if message["msg_type"] != "status"] == []
        found = {record.name: load(record.to_json(), tmp_path) for record in collected(tmp_path, "s")}
        assert found == {"x": 1, "result": 2}
        second, _ = execute("x = None\nx")
        assert second["execution_count"] == count + 1
        execute(snippet(["x"], count + 1, tmp_path, step="s"), silent=True)
        assert {record.name: load(record.to_json(), tmp_path) for record in collected(tmp_path, "s")} == {
            "x": None
        }
        started = time.monotonic()
        execute(snippet(["x"], None, tmp_path, step="s"), silent=True)
        assert time.monotonic() - started < 1
        names, _ = execute("print([n for n in dir() if 'flownb' in n])")
        assert names["status"] == "ok"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_records_that_cannot_be_read_are_an_error(tmp_path: Path) -> None:
    from flownb.errors import RecordError

    exec(snippet(["a"], None, tmp_path, step="s"), {"a": 1})
    (file,) = tmp_path.glob(".*.json")
    assert json.loads(file.read_bytes())[0]["name"] == "a"
    file.write_text("[{")
    with pytest.raises(RecordError, match="step `s`"):
        collected(tmp_path, "s")
