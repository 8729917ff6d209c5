from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from click.testing import CliRunner, Result
from engine_notebooks import watched
from polling import poll

from flownb._version import __version__
from flownb.cli import main
from flownb.runs.project import Project
from flownb.runs.record import OutputRecord, RunError, RunRecord, StepRecord, new_run_id
from flownb.runs.states import State
from flownb.runs.store import RecordStore
from flownb.runs.values import store as store_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parent.parent
DEFINITIONS = "import math\ndef scale(x, k):\n    return [math.floor(i * k) for i in x]\nDATA = [1, 2, 3]"
LOAD = "%%flow demo.load\nfactor: float = 2.0  # how much\nname: str = 'plain'\nvalues = scale(DATA, factor)"
REPORT = "%%flow demo.report --out total,said\ntotal = sum(values)\nsaid = name\nprint('total is', total)"


def notebook(path: Path, *cells: str) -> Path:
    content = nbformat.v4.new_notebook()
    content.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    nbformat.write(content, path)
    return path


@pytest.fixture
def demo(project: Path) -> Path:
    return notebook(project / "demo.ipynb", DEFINITIONS, LOAD, REPORT)


def call(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def command(*words: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the real command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", "from flownb.cli import main; main()", *map(str, words)],
        capture_output=True,
        check=False,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        encoding="utf-8",
        cwd=cwd,
    )


@contextmanager
def started(*words: str, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """Start the real command; it is gone when the block is left."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", "from flownb.cli import main; main()", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=cwd,
        encoding="utf-8",
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


# -- the command itself


def test_help_names_every_command_and_imports_no_more_than_click() -> None:
    shown = subprocess.run(
        [
            sys.executable,
            "-X",
            "importtime",
            "-c",
            "from flownb.cli import main; main()",
            "--help",
        ],
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    for name in ("run", "list", "show", "params", "runs", "logs", "outputs", "cancel", "version"):
        assert f"\n  {name} " in shown.stdout
    imported = {line.rsplit("|", 1)[-1].strip() for line in shown.stderr.splitlines()}
    assert {
        name
        for name in imported
        if name.split(".")[0] in ("papermill", "pydantic", "rich", "IPython", "sqlite3")
    } == set()
    assert {name for name in imported if name.startswith("flownb.")} == {
        "flownb._version",
        "flownb.errors",
        "flownb.cli",
        "flownb.cli.group",
    }


@pytest.mark.parametrize("words", [["version"], ["--version"]])
def test_the_version_is_told(words: list[str]) -> None:
    assert call(*words).output == f"flownb {__version__}\n"


@pytest.mark.parametrize(
    "name", ["run", "list", "show", "params", "runs", "logs", "outputs", "cancel", "version"]
)
def test_every_command_has_its_help(name: str) -> None:
    result = call(name, "--help")
    assert result.exit_code == 0
    assert "Usage: flownb" in result.output


def test_a_command_that_there_is_not_is_a_mistake_and_no_traceback() -> None:
    done = command("lsit")
    assert done.returncode == 2
    assert "No such command 'lsit'" in done.stderr
    assert "Traceback" not in done.stderr


# -- flows


def test_list_shows_flows_with_parameters_steps_and_outputs(demo: Path) -> None:
    result = call("list", demo.name)
    assert result.exit_code == 0, result.output
    header, line = result.output.splitlines()
    assert header.split()[:4] == ["FLOW", "PARAMETERS", "STEPS", "OUTPUTS"]
    assert "factor=2.0, name='plain'" in line
    assert "load, report" in line
    assert "total, said" in line
    assert "never ran" in line
    assert not (demo.parent / ".flownb").exists()  # looking makes nothing


def test_list_for_machines_is_one_json_document(demo: Path) -> None:
    data = json.loads(call("list", demo.name, "--json").output)
    assert data["store"] == "demo.ipynb"
    assert data["problems"] == {}
    (flow,) = data["flows"]
    assert flow["reference"] == "demo.ipynb#demo"
    assert flow["steps"] == ["load", "report"]
    assert flow["last_run"] is None
    assert [parameter["name"] for parameter in flow["parameters"]] == ["factor", "name"]


def test_a_notebook_without_flows_is_told_kindly(project: Path) -> None:
    result = call("list", notebook(project / "none.ipynb", "x = 1"))
    assert result.exit_code == 0
    assert "%%flow NAME" in result.output


def test_a_notebook_that_is_not_there_is_no_empty_one_to_who_lists_it(project: Path) -> None:
    result = call("list", "missing.ipynb")
    assert result.exit_code == 2
    assert "missing.ipynb is not there: no such file" in result.stderr


@pytest.mark.kernel
def test_a_whole_notebook_is_run_with_the_outputs_that_are_asked_for(project: Path) -> None:
    notebook(project / "whole.ipynb", "a = 20", "b = a + 1", "a + b")
    result = call("run", "whole.ipynb")
    assert result.exit_code == 0, result.output
    assert "result" in result.output
    assert "41" in result.output
    result = call("run", "whole.ipynb", "--out", "a, b", "--json")
    assert [output["name"] for output in json.loads(result.stdout)["outputs"]] == ["a", "b"]
    for words, told in (
        (["whole.ipynb", "--out", "aa"], "no cell of whole binds 'aa'"),
        (["dir:.#whole", "--out", "a"], "declared for a notebook that is taken whole"),
    ):
        result = call("run", *words)
        assert result.exit_code == 2
        assert told in result.stderr


def test_run_without_a_reference_says_what_tells_one(project: Path) -> None:
    result = call("run")
    assert result.exit_code == 2
    assert "FLOWNB_STORAGE and FLOWNB_LOCATION" in result.stderr


def test_list_tells_of_cells_that_name_no_flow(project: Path) -> None:
    path = notebook(project / "a.ipynb", "%%flow a\u202eb\nx = 1", "%%flow fine\nx = 1")
    result = call("list", path)
    assert result.exit_code == 2
    assert "fine" in result.output
    assert "cell 1 of" in result.output
    assert "\u202e" not in result.output


def test_list_needs_no_records(demo: Path, project: Path) -> None:
    (project / ".flownb").mkdir()
    (project / ".flownb" / "runs.db").write_text("no database at all " * 100)
    result = call("list", demo)
    assert result.exit_code == 0
    assert "demo" in result.stdout
    assert "file is not a database" in result.stderr


def test_a_terminal_that_knows_few_characters_is_written_to_all_the_same(project: Path) -> None:
    path = notebook(project / "tür 😀.ipynb", "%%flow 流れ\nx = 1")
    done = subprocess.run(
        [sys.executable, "-c", "from flownb.cli import main; main()", "list", str(path)],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "latin-1"},
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"\u6d41\u308c" in done.stdout


def test_show_tells_all_of_a_flow(demo: Path) -> None:
    result = call("show", f"{demo.name}#demo")
    assert result.exit_code == 0, result.output
    for part in ("how much", "values from load", "total = sum(values)", "DATA = [1, 2, 3]", " version "):
        assert part in result.output


def test_the_name_can_be_left_out_where_there_is_one_flow(demo: Path) -> None:
    assert call("show", demo.name).output == call("show", f"{demo.name}#demo").output


def test_show_for_machines_has_the_graph_and_what_is_carried(demo: Path) -> None:
    data = json.loads(call("show", demo.name, "--json").output)
    assert data["graph"] == [{"source": "load", "target": "report", "names": ["values"]}]
    assert {name for entry in data["carries"] for name in entry["names"]} == {"math", "scale", "DATA"}
    assert data["steps"][1]["outputs"] == ["total", "said"]
    assert data["digest"].startswith(data["version"])


def test_params_shows_types_defaults_and_help_and_no_secret(project: Path) -> None:
    path = notebook(
        project / "s.ipynb",
        "%%flow s\nfrom flownb import Secret\ntoken: Secret = 'hunter2'\nn: int  # how many\nn",
    )
    result = call("params", path)
    assert [line.split() for line in result.output.splitlines()] == [
        ["NAME", "TYPE", "DEFAULT", "HELP"],
        ["token", "Secret", "***"],
        ["n", "int", "required", "how", "many"],
    ]
    for words in (
        ["params", path, "--json"],
        ["show", path],
        ["show", path, "--json"],
        ["list", path, "--json"],
    ):
        assert "hunter2" not in call(*words).output


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("demo.ipynb#dmeo", ["no flow dmeo", "demo"]),
        ("demo.ipynb#demo@ffffffffffff", ["version ffffffffffff"]),
        ("demo.ipynb#../x", ["'../x'"]),
        ("demo.ipynb#", ["name"]),
        ("missing.ipynb#x", ["missing.ipynb"]),
        ("#x", ["STORE#NAME"]),
        ("demo.txt#x", ["demo.txt"]),
        ("demo.ipynb#<b>\x1b[31m", ["\\x1b"]),
    ],
)
def test_a_wrong_reference_is_a_message_and_exit_status_2(
    demo: Path, reference: str, words: list[str]
) -> None:
    for name in ("show", "params", "run"):
        result = call(name, reference)
        assert result.exit_code == 2, (name, result.output, result.exception)
        assert "\x1b" not in result.output
        for word in words:
            assert word in result.output
        assert "Traceback" not in result.output
    assert demo.exists()


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe\x00", b'{"nbformat": 3, "worksheets": []}'])
def test_a_file_that_is_no_notebook_is_a_message_and_stays_as_it_is(project: Path, content: bytes) -> None:
    path = project / "bad.ipynb"
    path.write_bytes(content)
    result = call("list", path.name)
    assert result.exit_code == 2, result.exception
    assert "bad.ipynb" in result.output
    assert path.read_bytes() == content


def test_a_reader_that_stops_reading_ends_the_command_in_peace(project: Path) -> None:
    cells = [f"%%flow flow{number}\n{number}" for number in range(300)]
    path = notebook(project / "many.ipynb", *cells)
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-c", "from flownb.cli import main; main()", "show", f"{path}#flow1"],
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    finally:
        os.close(writing)
    assert done.stderr == b""
    assert done.returncode == 141


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("redirected", "status"),
    [
        ("| :", 141),
        ("2>&1 | :", 141),
        ("2>&1 >/dev/null | :", 0),
        (">&-", 0),
        ("2>&-", 0),
        (">/dev/full", 141),
        ("2>/dev/full", 0),
    ],
)
def test_what_prints_a_run_changes_nothing_of_what_it_came_to(
    demo: Path, redirected: str, status: int
) -> None:
    program = f"{sys.executable} -c 'from flownb.cli import main; main()' run {demo.name}"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {program} {redirected}"],
        check=False,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        cwd=demo.parent,
    )
    assert (done.returncode, b"Traceback" in done.stderr) == (status, False)
    (run,) = RecordStore(Project(demo.parent)).list()
    assert (run.state, run.error, run.callback_errors) == (State.SUCCESS, None, [])
    assert [step.state for step in run.steps] == ["Success", "Success"]


@pytest.mark.kernel
def test_why_a_run_failed_is_told_though_nobody_reads_its_outputs(project: Path) -> None:
    notebook(project / "bad.ipynb", "%%flow bad.a --out a\na = 1", "%%flow bad.b\n1 / 0")
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-c", "from flownb.cli import main; main()", "run", "bad.ipynb"],
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
            timeout=120,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    finally:
        os.close(writing)
    assert done.returncode == 1
    assert b"ZeroDivisionError: division by zero" in done.stderr


@pytest.mark.kernel
@pytest.mark.parametrize("engine", ["flownb", "nbclient"])
def test_a_run_that_a_cell_starts_as_a_command_shows_a_line_a_step(demo: Path, engine: str) -> None:
    program = f"!{sys.executable} -c 'from flownb.cli import main; main()' run {demo.name}"
    ending, watch = watched(program, cwd=demo.parent, engine=engine, env={"PYTHONPATH": str(ROOT)})
    assert ending.how == "success"
    text = watch.text(0)
    assert [line.split(":")[0] for line in text.splitlines()[:4]] == ["demo", "  load", "  report", "demo"]
    assert text.count("load") == 1
    assert "\x1b" not in text


@pytest.mark.kernel
def test_runs_of_two_notebooks_flows_of_one_name_are_kept_apart(demo: Path) -> None:
    inner = demo.parent / "more"
    inner.mkdir()
    other = notebook(inner / "demo.ipynb", "%%flow demo --out total\ntotal = 7")
    assert call("run", demo.name, "-q").exit_code == 0
    assert "never ran" in call("list", other).output
    assert call("run", other, "-q").exit_code == 0
    new, old = RecordStore(Project(demo.parent)).list()
    assert (new.source, old.source) == ("more/demo.ipynb", "demo.ipynb")
    for words, runs in (
        (["--source", "demo.ipynb"], [old]),
        (["--source", inner / "demo.ipynb"], [new]),
        (["--flow", "more/demo.ipynb#demo"], [new]),
        (["--flow", "demo"], [new, old]),
        (["--source", "other.ipynb"], []),
    ):
        listed = json.loads(call("runs", "--json", *words).stdout)
        assert [run["id"] for run in listed] == [run.id for run in runs]
    shown = call("runs").output
    assert "more/demo.ipynb" in shown
    for path, run in ((demo, old), (other, new)):
        (flow,) = json.loads(call("list", path, "--json").output)["flows"]
        assert flow["last_run"]["id"] == run.id


# -- completion in the shell


def completions(words: Sequence[str], incomplete: str) -> list[str]:
    from click.shell_completion import ShellComplete

    found = ShellComplete(main, {}, "flownb", "_FLOWNB_COMPLETE").get_completions(list(words), incomplete)
    return [item.value for item in found]


def test_the_shell_completes_flows_parameters_and_runs(demo: Path) -> None:
    assert completions(["show"], "demo.ipynb#d") == ["demo.ipynb#demo"]
    assert completions(["run", "demo.ipynb#demo", "-p"], "") == ["factor=", "name="]
    assert completions(["run", "demo.ipynb#demo", "-p"], "f") == ["factor="]
    assert completions(["show"], "missing.ipynb#") == []
    assert completions(["run", "missing.ipynb#x", "-p"], "") == []
    assert completions(["logs"], "") == []
    run = recorded(demo.parent)
    assert completions(["logs"], run.id[:4]) == [run.id]
    assert completions(["outputs", run.id], "sa") == ["said"]


# -- runs that are recorded


def recorded(
    folder: Path,
    values: dict[str, object] | None = None,
    state: State = State.SUCCESS,
    flow: str = "demo",
    log: str = "",
) -> RunRecord:
    """Record a run that has ended, with real outputs."""
    project = Project.of(folder)
    store = RecordStore(project)
    run_id = new_run_id()
    start = datetime.now(UTC)
    error = (
        RunError("ZeroDivisionError", "division by zero", "report", 2, "total = 1 / n")
        if state == State.FAILED
        else None
    )
    record = RunRecord(
        run_id,
        flow,
        project.run_folder(run_id),
        state,
        source="demo.ipynb",
        version="0df9aee16c11",
        parameters={"factor": "2.0"},
        started=start,
        ended=start + timedelta(seconds=1.5),
        error=error,
        steps=[StepRecord("load", 0, State.SUCCESS, seconds=1.2)],
    )
    store.create(record)
    record.outputs_folder.mkdir(parents=True)
    for name, value in ({"total": 12, "said": "héllo"} if values is None else values).items():
        data = store_value(name, value, record.outputs_folder)
        store.add_output(run_id, OutputRecord.from_json({**data, "step": "report"}))
    if log:
        record.log.write_text(log, encoding="utf-8")
    store.close()
    return record


def test_runs_are_listed_newest_first_and_filtered(project: Path) -> None:
    first = recorded(project)
    second = recorded(project, flow="other", state=State.FAILED)
    lines = call("runs").output.splitlines()
    assert [line.split()[0] for line in lines] == ["RUN", second.id[-6:], first.id[-6:]]
    assert "✗ Failed" in lines[1]
    assert "ZeroDivisionError" in lines[1]
    assert "✓ Success" in lines[2]
    assert lines[0].split()[5:9] == ["FACTOR", "TOTAL", "SAID", "ERROR"]
    assert "  2.0     12     héllo  " in lines[2]
    assert lines[2].endswith(" 0df9aee16c")
    assert call("outputs", lines[2].split()[0], "total").output == "12\n"  # every command takes the short id
    assert [run["id"] for run in json.loads(call("runs", "--json").output)] == [second.id, first.id]
    for words, left in (
        (["--flow", "demo"], first),
        (["--state", "failed"], second),
        (["-n", "1"], second),
    ):
        (run,) = json.loads(call("runs", "--json", *words).output)
        assert run["id"] == left.id
    assert call("runs", "--state", "Lost").exit_code == 2


def test_where_nothing_ran_nothing_is_made(project: Path) -> None:
    result = call("runs")
    assert result.exit_code == 0
    assert "no runs" in result.output
    assert json.loads(call("runs", "--json").output) == []
    for words in (["logs", "last"], ["outputs", "last"], ["cancel", "x"]):
        missing = call(*words)
        assert missing.exit_code == 2
        assert "no runs are recorded" in missing.output
    assert list(project.iterdir()) == [project / "flownb.toml"]


def test_the_list_of_flows_tells_the_last_run(demo: Path) -> None:
    recorded(demo.parent, state=State.FAILED)
    recorded(demo.parent)
    assert call("list", demo).output.splitlines()[1].endswith("✓ Success 1.50 s")


def test_another_projects_runs_are_reached_by_its_folder(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = recorded(project)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert call("runs").output.startswith("no runs")
    assert run.id[-6:] in call("runs", "--project", project).output
    assert call("outputs", "last", "total", "--project", project).output == "12\n"


def test_a_run_is_found_by_the_beginning_or_end_of_its_id(project: Path) -> None:
    run = recorded(project, log="hello\n")
    for text in (run.id, run.id[-6:], "last"):
        assert call("logs", text).output == "hello\n"
    missing = call("logs", "nothing-like-that")
    assert missing.exit_code == 2
    assert "nothing-like-that" in missing.output


def test_a_log_that_is_empty_is_told_beside_the_output(project: Path) -> None:
    recorded(project)
    result = call("logs", "last")
    assert result.stdout == ""
    assert "has logged nothing" in result.stderr


def test_a_log_goes_to_a_file_without_its_colours(project: Path) -> None:
    recorded(project, log="100 %\r\x1b[31mred\x1b[0m ünï\n")
    done = command("logs", "last", cwd=project)
    assert done.stdout == "100 %\nred ünï\n"


def test_following_a_log_ends_with_the_run(project: Path) -> None:
    run = recorded(project, state=State.RUNNING)
    from flownb.runs.liveness import Lock

    with Lock(run.lock), started("logs", "last", "--follow", cwd=project) as process:
        assert process.stdout is not None
        for text in ("one\n", "two\n"):
            with run.log.open("a", encoding="utf-8") as log:
                log.write(text)
            assert process.stdout.readline() == text
        RecordStore(Project.of(project)).change(run.id, state=State.SUCCESS)
        assert process.wait(20) == 0
        assert process.stdout.read() == ""


def test_outputs_are_listed_with_type_size_and_preview(project: Path) -> None:
    run = recorded(project)
    result = call("outputs", "last")
    assert "total · int · " in result.output
    assert "    12" in result.output
    assert "héllo" in result.output
    data = json.loads(call("outputs", "last", "--json").output)
    assert [output["name"] for output in data] == ["total", "said"]
    assert all(Path(output["path"]).parent == run.outputs_folder for output in data)


def test_data_is_printed_as_json_and_text_as_it_is(project: Path) -> None:
    recorded(project, {"data": {"a": [1, None, "ü"]}, "text": "one\ntwo\x1b]0;title\x07", "pair": (1, 2)})
    assert json.loads(call("outputs", "last", "data").output) == {"a": [1, None, "ü"]}
    assert call("outputs", "last", "pair").output == "(1, 2)\n"
    assert "\x1b" not in call("outputs", "last", "text").output


def test_a_table_is_printed_as_a_table_and_copied_as_csv(project: Path) -> None:
    import pandas as pd

    recorded(project, {"table": pd.DataFrame({"year": [1958, 1959], "co2": [315.2, 316.0]})})
    assert [line.split() for line in call("outputs", "last", "table").output.splitlines()] == [
        ["year", "co2"],
        ["0", "1958", "315.2"],
        ["1", "1959", "316.0"],
    ]
    result = call("outputs", "last", "table", "--to", "t.csv")
    assert result.output == "t.csv\n"
    assert (project / "t.csv").read_text() == "year,co2\n1958,315.2\n1959,316.0\n"
    assert call("outputs", "last", "table", "--to", "t.parquet").exit_code == 0
    assert len(pd.read_parquet(project / "t.parquet")) == 2
    wrong = call("outputs", "last", "table", "--to", "t.xlsx")
    assert wrong.exit_code == 2
    assert ".csv or .parquet" in wrong.output


def test_all_outputs_are_copied_into_a_folder_that_is_made(project: Path) -> None:
    run = recorded(project)
    result = call("outputs", run.id, "--to", "copies/here")
    assert result.exit_code == 0
    copied = sorted(path.name for path in (project / "copies" / "here").iterdir())
    assert copied == ["said.json", "total.json"]


def test_an_output_that_was_not_stored_hinders_no_other_from_being_copied(project: Path) -> None:
    run = recorded(project, {"a": 1, "z": 2})
    store = RecordStore(Project.of(project))
    store.add_output(run.id, OutputRecord("lost", "report", format="error", error="`lost` cannot be stored"))
    store.close()
    result = call("outputs", run.id, "--to", "copies")
    assert result.exit_code == 2
    assert sorted(path.name for path in (project / "copies").iterdir()) == ["a.json", "z.json"]
    assert "`lost`" in result.output


def test_what_was_pickled_is_described_and_not_loaded(project: Path) -> None:
    sentinel = project / "loaded"

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (sentinel,)

    run = recorded(project, {"trap": Trap()})
    for words in (["outputs", run.id], ["outputs", run.id, "trap"], ["outputs", run.id, "--json"]):
        assert call(*words).exit_code == 0
    assert call("outputs", run.id, "trap", "--to", "copy.pkl").exit_code in (0, 2)
    assert not sentinel.exists()


def test_a_record_that_points_outside_of_its_run_copies_nothing_from_there(project: Path) -> None:
    run = recorded(project, {})
    (project / "private.json").write_text("1")
    store = RecordStore(Project.of(project))
    store.add_output(run.id, OutputRecord("out", format="json", file="../../../../private.json"))
    store.close()
    call("outputs", run.id, "--to", "copies")
    assert not (project / "copies").exists() or list((project / "copies").iterdir()) == []
    assert call("outputs", run.id, "out").exit_code == 2


def test_an_output_that_there_is_not_names_those_there_are(project: Path) -> None:
    recorded(project)
    result = call("outputs", "last", "totl")
    assert result.exit_code == 2
    assert "'totl'" in result.output
    assert "total, said" in result.output


def test_cancelling_leaves_word_for_the_supervisor(project: Path) -> None:
    from flownb.runs.liveness import Lock, cancel_requested

    run = recorded(project, state=State.RUNNING)
    with Lock(run.lock):
        result = call("cancel", run.id)
        assert result.exit_code == 0
        assert cancel_requested(run.folder)


def test_a_run_that_has_ended_is_not_cancelled(project: Path) -> None:
    recorded(project)
    result = call("cancel", "last")
    assert result.exit_code == 0
    assert "has ended already: Success" in result.output


def test_a_run_whose_supervisor_died_is_listed_as_crashed(project: Path) -> None:
    run = recorded(project, state=State.RUNNING)
    run.lock.touch()
    assert "Crashed" in call("runs").output


# -- running


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["-p", "factor"], "factor"),
        (["-p", "=1"], "="),
        (["-p", "factr=1"], "factr"),
        (["-p", "factor=much"], "factor"),
        (["-p", "x;import os=1"], "x;import os"),
        (["--environment", "nowhere"], "nowhere"),
        (["--engine", "nonesuch"], "nonesuch"),
        (["--timeout", "-1"], "timeout"),
        (["--step-timeout", "0"], "step_timeout"),
        (["--retries", "-1"], "retries"),
        (["--cwd", "nowhere"], "nowhere"),
        (["--engine", "nbclient", "--memory", "1 GB"], "`memory` is limited by the engine"),
        (["-f", "missing.yaml"], "missing.yaml"),
    ],
)
def test_what_is_given_wrongly_starts_nothing(demo: Path, words: list[str], told: str) -> None:
    result = call("run", demo.name, *words)
    assert result.exit_code == 2, (result.output, result.exception)
    assert told in result.output
    assert "Traceback" not in result.output
    assert call("runs").stdout == ""


@pytest.mark.kernel
def test_a_run_shows_its_steps_then_its_outputs(demo: Path) -> None:
    done = command("run", "demo.ipynb#demo", "-p", "factor=3", cwd=demo.parent)
    assert done.returncode == 0, done.stderr
    assert "load: ✓ Success" in done.stderr
    assert "report: ✓ Success" in done.stderr
    assert "total · int" in done.stdout
    assert "    18" in done.stdout
    executed = Path(done.stdout.rstrip().rsplit("executed notebook: ")[1])
    assert executed.is_file()
    log = command("logs", "last", cwd=demo.parent)
    assert "total is 18" in log.stdout
    assert command("outputs", "last", "total", cwd=demo.parent).stdout == "18\n"
    assert "✓ Success" in command("list", "demo.ipynb", cwd=demo.parent).stdout


@pytest.mark.parametrize("value", ["a=b,c", "", "--json", "{x} $HOME `g`", "one\ntwo", "売上", "\"'\\"])
def test_what_stands_behind_the_first_equals_sign_is_the_value(value: str) -> None:
    from flownb.cli.running import given_values
    from flownb.flow import Flow, Parameter

    flow = Flow("f", parameters=(Parameter("name", "str"),))
    assert given_values(flow, [f"name={value}"]) == {"name": value}


@pytest.mark.kernel
def test_any_text_arrives_as_it_was_given(demo: Path) -> None:
    from flownb.runs import Run

    value = "a=b,c {d} \"e\" 'f' $HOME `g` %s\nü 売上 \\"
    done = command("run", "demo.ipynb", "-p", f"name={value}", "--json", cwd=demo.parent)
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    assert run["state"] == "Success"
    assert [output["name"] for output in run["outputs"]] == ["total", "said"]
    assert Run.load(run["id"], Project.of(demo.parent)).outputs["said"] == value


@pytest.mark.kernel
def test_the_command_line_goes_before_the_file_and_the_named_environment(demo: Path) -> None:
    (demo.parent / "flownb.toml").write_text(
        '[environments.night]\ntype = "local"\nlabels = ["night"]\ntimeout = 50\n'
    )
    (demo.parent / "values.yaml").write_text("factor: 5\nname: from the file\n")
    (demo.parent / "there").mkdir()
    options = ["--environment", "night", "--timeout", "40", "-f", "values.yaml", "-p", "factor=1", "-q"]
    options += ["--step-timeout", "30", "--retries", "2", "--cwd", "there"]
    done = command("run", "demo.ipynb", *options, cwd=demo.parent)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    run = done.stdout.strip()
    assert call("outputs", run, "total").output == "6\n"
    assert "from the file" in call("outputs", run, "said").output
    (record,) = json.loads(call("runs", "--json").output)
    assert record["labels"] == ["night"]
    environment = record["environment"]
    assert (environment["timeout"], environment["step_timeout"], environment["retries"]) == (40, 30, 2)
    assert environment["cwd"] == str(demo.parent / "there")


@pytest.mark.kernel
def test_a_flow_that_fails_shows_step_line_and_error(project: Path) -> None:
    notebook(project / "f.ipynb", "%%flow f.one --out a\na = 1", "%%flow f.two\nn: int = 0\nb = a\nb / n")
    done = command("run", "f.ipynb#f", "--label", "nightly", cwd=project)
    assert done.returncode == 1
    assert "two" in done.stderr
    assert "ZeroDivisionError" in done.stderr
    assert "b / n" in done.stderr
    assert "Traceback" not in done.stderr
    assert "a · int" in done.stdout  # what did come out
    (run,) = json.loads(command("runs", "--state", "Failed", "--json", cwd=project).stdout)
    assert run["labels"] == ["nightly"]
    assert run["asked_by"] == "command line"


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("by", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM), (signal.SIGHUP, -signal.SIGHUP)],
)
def test_an_interrupted_run_is_cancelled_and_ends_as_the_signal_asks(
    project: Path, by: signal.Signals, status: int
) -> None:
    notebook(
        project / "w.ipynb", "%%flow w\nimport time, pathlib\npathlib.Path('started').touch()\ntime.sleep(60)"
    )
    with started("run", "w.ipynb", cwd=project) as process:
        poll((project / "started").exists)
        process.send_signal(by)
        _, told = process.communicate(timeout=30)
    assert process.returncode == status, told
    assert "Traceback" not in told
    assert "Cancelled" in told
    (run,) = json.loads(command("runs", "--json", cwd=project).stdout)
    assert run["state"] == "Cancelled"


@pytest.mark.kernel
def test_a_run_is_cancelled_from_another_process(project: Path) -> None:
    notebook(
        project / "w.ipynb", "%%flow w\nimport time, pathlib\npathlib.Path('started').touch()\ntime.sleep(60)"
    )
    with started("run", "w.ipynb", "-q", cwd=project) as process:
        poll((project / "started").exists)
        assert command("cancel", "last", cwd=project).returncode == 0
        process.communicate(timeout=30)
    assert process.returncode == 130
