"""`%%flow` and `%flow` in a real IPython shell."""

from __future__ import annotations

import json
import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest
from polling import poll
from shell import Shell, ipython

from flownb.capture.record import from_record
from flownb.environments import LocalEnvironment
from flownb.errors import FlownbError
from flownb.runs.project import Project
from flownb.runs.record import RunRecord
from flownb.runs.states import State
from flownb.runs.store import RecordStore
from flownb.ui.store import LiveStorage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def notebook(project: Path) -> Iterator[Shell]:
    with ipython() as shell:
        yield shell


def test_a_cell_runs_as_it_would_without_the_line(notebook: Shell) -> None:
    shown = notebook.ok("%%flow a\nn: int = 3\nx = n * 2\nx")
    assert shown.result == 6
    assert notebook["x"] == 6
    assert notebook["n"] == 3
    assert notebook.live.names == ["a"]


def test_the_record_and_a_summary_are_displayed(notebook: Shell) -> None:
    notebook.ok("K = 5")
    shown = notebook.ok("%%flow a.load --out x\nx = K")
    (record,) = shown.records
    kept = from_record(record, "it")
    assert kept.flow.run() == {"x": 5}
    assert list(kept.cells) == ["load"]
    bundle = next(data for data in shown.outputs if len(data) > 1)
    assert {"text/html", "text/plain"} <= set(bundle)
    assert "K" in bundle["text/plain"]


def test_values_are_taken_as_they_were_before_the_cell_ran(notebook: Shell) -> None:
    notebook.ok("rows = [1, 2]\nk = 1")
    notebook.ok("%%flow a --out total\nrows.append(k)\nk = 100\ntotal = sum(rows)")
    assert notebook["total"] == 4
    assert notebook.live.flow("a").run() == {"total": 4}


def test_a_cell_that_fails_is_not_captured(notebook: Shell) -> None:
    shown = notebook.run("%%flow a\nx = 1\n\nx / 0")
    assert not shown.success
    assert "line 4" in shown.text
    assert "ZeroDivisionError" in shown.text
    assert notebook.live.names == []


def test_a_failing_new_version_leaves_the_old_one(notebook: Shell) -> None:
    notebook.ok("%%flow a\n1 + 1")
    notebook.run("%%flow a\n1 / 0")
    assert notebook.live.flow("a").run() == {"result": 2}


def test_python_tells_a_syntax_error_at_its_line(notebook: Shell) -> None:
    shown = notebook.run("%%flow a\nx = 1\ny = = 2")
    assert "SyntaxError" in shown.text
    assert "line 3" in shown.text
    assert notebook.live.names == []


def test_top_level_await_works(notebook: Shell) -> None:
    notebook.ok("import asyncio")
    assert notebook.ok("%%flow a\nawait asyncio.sleep(0, 7)").result == 7
    assert notebook.live.flow("a").run() == {"result": 7}


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("%%flow a --define\nx = VALU", "`VALU` is not defined here.*`VALUES`"),
        ("%%flow a --freeze f\nx = f.name", "`f` .*cannot be frozen.*without --freeze a run makes it again"),
        ("%%flow a --freeze nothing\nx = 1", "`nothing` is to be frozen, and has no value here"),
        ("%%flow a --out y\nx = 1", "output `y` is not bound"),
        ("%%flow ../a\nx = 1", "letters, digits"),
        ("%%flow\nx = 1", "wants a name"),
        ("# comment\n%%flow a\nx = 1", "must be the first line"),
        ("%%time\n%%flow a\nx = 1", "must be the first line"),
        ("%%flow a\nn: int = 1\nn = 2", "parameter `n` is bound again"),
        ("%%flow a --storage nowhere.txt\nx = 1", "no storage that can be opened"),
    ],
)
def test_a_mistake_is_a_message_and_not_a_traceback(notebook: Shell, cell: str, words: str) -> None:
    import re

    notebook.ok("VALUES = [1]\nf = open('/dev/null')")
    shown = notebook.run(cell)
    notebook.ok("f.close()")
    assert re.search(words, shown.text), shown.text
    assert "Traceback" not in shown.text
    assert len(shown.text.strip().splitlines()) <= 4


def test_a_cell_that_cannot_be_captured_runs_all_the_same_and_is_told_then(notebook: Shell) -> None:
    notebook.ok("f = open('/dev/null')")
    shown = notebook.ok("%%flow a --freeze f\nran = True\nran")
    assert shown.result is True
    assert "cannot be frozen" in shown.text
    assert notebook.live.names == []
    notebook.ok("f.close()")


def test_define_captures_without_running(notebook: Shell) -> None:
    shown = notebook.ok("%%flow a --define\nx = 1 + 1\nx")
    assert "x" not in notebook.shell.user_ns
    assert "captured without running" in shown.text
    assert notebook.live.flow("a").run() == {"result": 2}


def test_a_cell_whose_required_parameter_has_no_value_is_captured_with_a_word(notebook: Shell) -> None:
    shown = notebook.ok("%%flow a\nn: int  # how many\nx = n + 1\nx")
    assert "`n` has no value here" in shown.text
    assert notebook.live.flow("a").run(n=2) == {"result": 3}
    notebook.ok("n = 5")
    assert notebook.ok("%%flow a\nn: int  # how many\nx = n + 1\nx").result == 6


def test_a_cell_magic_below_the_line_takes_the_rest(notebook: Shell) -> None:
    notebook.ok("k = 2")
    notebook.ok("%%flow a --out x\n%%time\nx = k * 2")
    assert notebook["x"] == 4
    assert [entry.name for entry in notebook.live.flow("a").closure] == ["k"]


def test_shell_lines_and_magics_run(notebook: Shell) -> None:
    notebook.ok("word = 'hello'")
    notebook.ok("%%flow a --out said\nsaid = !echo {word}\n%time x = 1")
    assert list(notebook["said"]) == ["hello"]
    assert [entry.name for entry in notebook.live.flow("a").closure] == ["word"]


def test_steps_give_to_each_other_and_keep_their_order(notebook: Shell) -> None:
    notebook.ok("%%flow a.load\nn: int = 2\nrows = list(range(n))")
    notebook.ok("%%flow a.sum --out total\ntotal = sum(rows)")
    notebook.ok("%%flow a.load\nn: int = 4\nrows = list(range(n))")
    flow = notebook.live.flow("a")
    assert [step.name for step in flow.steps] == ["load", "sum"]
    assert flow.closure == ()
    assert flow.run() == {"total": 6}


def test_a_step_renamed_in_its_cell_is_not_there_twice(notebook: Shell) -> None:
    notebook.ok("%%flow a.load\nrows = [1]", cell_id="one")
    notebook.ok("%%flow a.fetch\nrows = [2]", cell_id="one")
    assert [step.name for step in notebook.live.flow("a").steps] == ["fetch"]


def test_two_steps_with_one_output_name_both_cells(notebook: Shell) -> None:
    notebook.ok("%%flow a.one --out x\nx = 1")
    shown = notebook.run("%%flow a.two --out x\nx = 2")
    assert "`%%flow a.one`" in shown.text
    assert "`%%flow a.two`" in shown.text


def test_a_function_is_carried_as_it_is_now(notebook: Shell) -> None:
    notebook.ok("def f():\n    return 1")
    notebook.ok("def f():\n    return g() + 1\ndef g():\n    return 5")
    notebook.ok("%%flow a\nf()")
    assert notebook.live.flow("a").run() == {"result": 6}
    assert [entry.source for entry in notebook.live.flow("a").closure] == [
        "def f():\n    return g() + 1",
        "def g():\n    return 5",
    ]


def test_reads_that_cannot_be_seen_are_told(notebook: Shell) -> None:
    shown = notebook.ok("%%flow a\nx = eval('1 ' + '+ 1')\nx")
    assert "line 2: eval(...) may read names that cannot be seen" in shown.text
    assert "cannot be seen" not in notebook.ok("%%flow a\nx = eval('1 + 1')\nx").text


def test_a_flow_is_kept_in_another_notebook_too(notebook: Shell, project: Path) -> None:
    from flownb import open_storage

    notebook.ok("k = 3")
    shown = notebook.ok("%%flow a --storage kept.ipynb --out x\nx = k")
    storage = open_storage(project / "kept.ipynb")
    assert storage.get_flow("a") == notebook.live.flow("a")
    assert storage.flows["a"] in shown.text


def test_the_flows_of_the_notebook_are_listed_and_shown(notebook: Shell) -> None:
    notebook.ok("k = 3")
    notebook.ok('%%flow "daily sales.load"\nn: int = 2  # how many\nrows = [k] * n')
    notebook.ok('%%flow "daily sales.sum" --out total\ntotal = sum(rows)')
    listed = repr(notebook.ok("%flow").result)
    assert "daily sales" in listed
    shown = notebook.ok("%flow show 'daily sales'")
    assert "how many" in shown.text
    assert "<svg" in shown.result.html


def test_what_was_captured_can_be_forgotten(notebook: Shell) -> None:
    notebook.ok("%%flow a.one\nx = 1")
    notebook.ok("%%flow a.two\ny = 1")
    notebook.ok("%flow forget a.one")
    assert [step.name for step in notebook.live.flow("a").steps] == ["two"]
    notebook.ok("%flow forget a")
    assert notebook.live.names == []
    assert "no a was captured" in notebook.run("%flow forget a").text


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("%flow shw a", "did you mean `%flow show`"),
        ("%flow show", "%flow show NAME"),
        ("%flow show nothing", "holds no flow nothing"),
        ("%flow run a", "holds no flow a"),
        ("%flow run 'a", "quotes come in pairs"),
        ("%flow run a --tempo 3", "no option --tempo"),
        ("%flow show x.ipynb#a", "it is not there: no such file"),
        ("%flow show x.txt#a", "no storage that can be opened"),
        ("%flow logs 123", "123"),
    ],
)
def test_a_wrong_command_is_told(notebook: Shell, line: str, words: str) -> None:
    shown = notebook.run(line)
    assert not shown.success
    assert words in shown.text
    assert "Traceback" not in shown.text


def test_help_says_how_it_is_used(notebook: Shell) -> None:
    assert "%flow run NAME" in notebook.ok("%flow help").text


def test_everything_is_taken_back_on_unloading(notebook: Shell) -> None:
    notebook.ok("%unload_ext flownb")
    assert not notebook.run("%flow").success
    assert not notebook.run("%%flow a\n1").success
    notebook.ok("%load_ext flownb")
    notebook.ok("%%flow a\n1 + 1")


def test_another_extensions_magic_is_left_alone(project: Path) -> None:
    with ipython() as shell:
        shell.ok("%unload_ext flownb")
        shell.shell.register_magic_function(lambda line: "theirs", "line", "flow")
        assert "%flownb in its place" in shell.ok("%load_ext flownb").text
        assert shell.ok("%flow").result == "theirs"
        shell.ok("%%flow a\n1 + 1")
        assert "a" in repr(shell.ok("%flownb").result)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%flow sh", ["show"]),
        ("%flow show ", ["alpha"]),
        ("%flow run al", ["alpha"]),
        ("%flow run alpha co", ["count="]),
        ("%flow run alpha kind=", ["kind=big", "kind=small"]),
        ("%flow run alpha --environment ni", ["night"]),
        ("%flow run alpha --environment=ni", ["--environment=night"]),
        ("%flow logs l", ["last"]),
        ("%%flow ", ["alpha"]),
        ("%%flow alpha.", ["alpha.alpha"]),
        ("%%flow alpha --o", ["--out"]),
        ("%%flow alpha --storage sh", ["shelf.ipynb"]),
        ("%%flow alpha --out to\ntotal = 1\ntop = 2", ["top", "total"]),
        ("%%flow alpha --out total,\ntotal = 1\ntop = 2", ["total,top"]),
        ("%%flow alpha --out=to\ntotal = 1", ["--out=total"]),
    ],
)
def test_completion_offers_what_may_follow(
    notebook: Shell, project: Path, text: str, expected: list[str]
) -> None:
    (project / "flownb.toml").write_text('[environments.night]\ntype = "local"\n')
    (project / "shelf.ipynb").touch()
    notebook.ok("from typing import Literal")
    notebook.ok('%%flow alpha\ncount: int = 1\nkind: Literal["big", "small"] = "big"\nx = count')
    position = len(text.partition("\n")[0])
    with_provisional = notebook.shell.Completer.completions(text, position)
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [completion.text for completion in with_provisional]
    assert [word for word in found if word in expected] == expected


def test_steps_come_in_the_order_of_the_saved_notebook(
    notebook: Shell, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = {"load": "rows = [3, 1]", "clean": "rows = sorted(rows)", "report": "first = rows[0]"}
    for step in ("load", "report", "clean"):
        out = " --out first" if step == "report" else ""
        notebook.ok(f"%%flow a.{step}{out}\n{cells[step]}", cell_id=f"cell-{step}")
    assert notebook.live.flow("a").run() == {"first": 3}
    path = project / "saved.ipynb"
    saved = [
        {"cell_type": "code", "id": f"cell-{step}", "metadata": {}, "outputs": [], "source": ""}
        for step in cells
    ]
    path.write_text(json.dumps({"cells": saved, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    monkeypatch.setenv("JPY_SESSION_NAME", str(path))
    assert [step.name for step in notebook.live.flow("a").steps] == ["load", "clean", "report"]
    assert notebook.live.flow("a").run() == {"first": 1}


def test_a_flow_that_does_not_fit_together_hides_no_other(notebook: Shell) -> None:
    notebook.ok("%%flow good\n1 + 1")
    notebook.ok("%%flow bad.load --define\nrows = [1]")
    notebook.ok("%%flow bad.sum --define --out total\ntotal = sum(rows)")
    notebook.ok("%flow forget bad.load")
    listed = repr(notebook.ok("%flow").result)
    assert "good" in listed
    assert "`rows`" in listed


def test_a_cell_that_is_being_typed_is_not_complete(notebook: Shell) -> None:
    assert notebook.shell.check_complete("%%flow a")[0] == "incomplete"
    assert notebook.shell.check_complete("%%flow a\nx = 1")[0] == "incomplete"
    assert notebook.shell.check_complete("x = 1")[0] == "complete"


def test_an_environment_that_is_not_there_is_told_at_once(notebook: Shell, project: Path) -> None:
    (project / "flownb.toml").write_text('[environments.night]\ntype = "local"\n')
    shown = notebook.run("%%flow a --environment nihgt\nx = 1")
    assert "did you mean night" in shown.text
    notebook.ok("%%flow a --environment night\nx = 1")
    assert notebook.live.flow("a").environment["named"] == "night"


def test_a_step_knows_on_which_line_of_its_cell_it_begins(notebook: Shell) -> None:
    notebook.ok("%%flow a\nn: int = 1\n\nx = n\nx")
    assert notebook.live.flow("a").steps[0].line == 4


def test_a_step_under_capture_is_captured(notebook: Shell) -> None:
    notebook.ok("%%flow a --out x\n%%capture shown\nprint('hidden')\nx = 1")
    assert notebook["x"] == 1
    assert notebook.live.names == ["a"]


def test_the_storage_of_a_notebook_that_was_never_saved_is_no_place(notebook: Shell) -> None:
    notebook.ok("%%flow a\nx = 1\nx + 1")
    storage = LiveStorage(notebook.live)
    assert notebook.live.path is None
    assert storage.serialize() == {}
    assert "a" in storage
    assert storage.get_flow("a").run() == {"result": 2}


def test_runs_of_another_notebooks_flow_of_that_name_are_not_this_ones(
    notebook: Shell, project: Path
) -> None:
    notebook.ok("%%flow demo\n1 + 1")
    store = RecordStore(Project.of(project))
    for run_id, source in (("theirs", "other.ipynb"), ("git", ".")):
        folder = store.project.run_folder(run_id)
        store.create(RunRecord(run_id, "demo", folder, State.SUCCESS, source=source))
    assert "never ran" in notebook.ok("%flow").text
    assert [run.id for run in notebook.ok("%flow runs demo").result] == []
    assert [run.id for run in notebook.ok("%flow runs").result] == ["git", "theirs"]
    assert [run.id for run in notebook.ok("%flow runs other.ipynb#demo").result] == ["theirs"]
    store.create(RunRecord("ours", "demo", store.project.run_folder("ours"), State.SUCCESS))
    assert [run.id for run in notebook.ok("%flow runs demo").result] == ["ours"]
    assert "never ran" not in notebook.ok("%flow").text


def test_a_flow_that_is_forgotten_is_said_to_be(notebook: Shell) -> None:
    notebook.ok("%%flow demo.a\nx = 1")
    notebook.ok("%%flow demo.b\ny = 1")
    assert "Forgot demo.b, as this kernel captured it." in notebook.ok("%flow forget demo.b").text
    assert "Forgot demo, as" in notebook.ok("%flow forget demo").text
    assert not notebook.run("%flow forget demo").success


@pytest.mark.kernel
def test_a_run_that_was_stopped_ends_its_cell_without_an_error(notebook: Shell, project: Path) -> None:
    notebook.ok("%%flow slow --define\nprint('on', flush=True)\nimport time; time.sleep(60)")

    def stop() -> None:
        store = RecordStore(Project.of(project))
        poll(lambda: [run for run in store.list() if run.log.exists() and "on\n" in run.log.read_text()])
        os.kill(os.getpid(), signal.SIGINT)

    stopping = threading.Thread(target=stop)
    stopping.start()
    shown = notebook.run("%flow run slow")
    stopping.join()
    assert not shown.success  # cells behind it do not run
    assert "Cancelled" in shown.text
    for word in ("RunFailed", "_Stopped", "Traceback", "KeyboardInterrupt"):
        assert word not in shown.text
    assert notebook.ok("%flow last").result.state == State.CANCELLED
    assert "ZeroDivisionError" in notebook.run("1 / 0").text


def test_settings_that_are_no_toml_are_told_by_a_run(notebook: Shell, project: Path) -> None:
    notebook.ok("%%flow demo\nx = 1")
    (project / "flownb.toml").write_text("= broken [")
    assert "flownb.toml, line 1, column 1" in notebook.run("%flow run demo").text
    strict = LocalEnvironment(strict=False)
    with pytest.raises(FlownbError, match=r"flownb.toml, line 1, column 1"):
        strict.execute(LiveStorage(notebook.live), "demo")
    assert RecordStore(Project.of(project)).list() == []
