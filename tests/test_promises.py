"""Sentences of the contracts that no test of one part holds; `docs/contracts.md` says which."""

from __future__ import annotations

import inspect
import json
import os
import re
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from environment_flows import SECRET, flow, memory
from faithful import save
from IPython.core.interactiveshell import InteractiveShell
from shell import Shell, ipython
from traitlets.config import Config

from flownb import Environment, Flow, LocalEnvironment, NotebookStorage, Storage, errors
from flownb.capture.cell import read_header
from flownb.document import to_dict
from flownb.environments.kinds import kind_of, kinds
from flownb.errors import EnvironmentRefusedError, FlownbError, ParameterError
from flownb.flow import Parameter, Step
from flownb.runs import Project, RecordStore, Run, RunRecord, Runs, State
from flownb.runs.liveness import Lock
from flownb.testing.flows import sample

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.long


SALES = flow("sales", Step("sum", "total = n * 2", ("total",)), parameters=(Parameter("n", "int", "1"),))


@pytest.fixture
def notebook(project: Path) -> Iterator[Shell]:
    with ipython() as shell:
        yield shell


def replayed(shell: Shell, name: str) -> list[str]:
    return [entry.source for entry in shell.live.flow(name).closure]


# -- the two interfaces


def positional(function: object) -> list[str]:
    parameters = inspect.signature(function).parameters.values()  # type: ignore[arg-type]  # a method
    return [one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD and one.name != "self"]


def test_storages_and_environments_have_the_methods_that_the_notes_name() -> None:
    assert isinstance(Storage.name, property)
    assert isinstance(Storage.flows, property)
    for name in ("get_flow", "get_runner", "get_env_runner"):
        assert len(positional(getattr(Storage, name))) == 1
    assert positional(Storage.add_flow) == ["flow"]
    assert inspect.signature(Storage.add_flow).parameters["replace"].default is False
    assert positional(Storage.build) == positional(Storage.serialize) == []
    assert positional(Environment.setup) == ["storage"]
    for name in ("execute", "submit"):
        assert positional(getattr(Environment, name)) == ["storage", "flow", "parameters"]
    assert positional(Environment.map) == ["storage", "flow", "grid"]
    assert Environment.__abstractmethods__ == {"setup", "execute"}
    assert {"labels", "on_start", "on_exit"} <= set(Environment.model_fields)


class NoNotebooks(LocalEnvironment):
    """Wants flows from elsewhere."""

    kind = "no notebooks"

    def setup(self, storage: Storage) -> None:
        super().setup(storage)
        if isinstance(storage, NotebookStorage):
            raise EnvironmentRefusedError("flows of a notebook do not run here")


@pytest.mark.kernel
def test_an_environment_can_require_a_kind_of_storage(project: Path) -> None:
    storage, environment = NotebookStorage(project / "n.ipynb"), NoNotebooks()
    storage.add_flow(sample())
    for call in (
        lambda: environment.setup(storage),
        lambda: environment.execute(storage, "sales"),
        lambda: environment.submit(storage, "sales"),
        lambda: environment.map(storage, "sales", [{}]),
    ):
        with pytest.raises(EnvironmentRefusedError, match="do not run here"):
            call()
    assert not Project.of(project).records.exists()
    assert environment.execute(memory(project, sample()), "sales").state == "Success"


def test_each_environment_says_in_which_process_its_callbacks_are_called() -> None:
    assert list(kinds())
    for kind in (Environment, *(kind_of(word) for word in kinds())):
        assert {"on_start", "on_exit", "process"} <= set(re.findall(r"\w+", inspect.getdoc(kind) or ""))


# -- what is executed is what is captured


def test_cells_from_before_the_extension_count(project: Path) -> None:
    InteractiveShell.clear_instance()
    config = Config()
    config.HistoryManager.enabled = False
    shell = Shell(InteractiveShell.instance(config=config))
    try:
        shell.ok("rows = [1]")
        shell.run("rows.append(2)\nrows / 0\nrows.append(3)")
        shell.ok("%load_ext flownb")
        shell.ok("%%flow f\nrows")
        assert shell.live.flow("f").run() == {"result": [1, 2]}
    finally:
        InteractiveShell.clear_instance()


def test_a_cell_that_was_executed_twice_counts_twice(notebook: Shell) -> None:
    for source in ("rows = []", "rows.append(1)", "rows.append(1)", "%%flow f\nrows"):
        notebook.ok(source)
    assert notebook.live.flow("f").run() == {"result": [1, 1]}


LEAVES_NO_TRACE = [
    "df.to_csv('out.csv')",
    "Path('x.txt').write_text(str(df))",
    "pickle.dump(df, open('p.pkl', 'wb'))",
    "with open('w.txt', 'w') as file:\n    file.write(str(len(df)))",
    "print(df)\ndf.info()\ndf.describe()",
    "with smtplib.SMTP('127.0.0.1', 9) as server:\n    server.send_message(mail)",
    "urllib.request.urlopen('http://127.0.0.1:9/', data=str(df).encode())",
    "subprocess.run(['true', str(df)])",
    "df.plot()\nplt.savefig('y.png')\nplt.show()",
]


@pytest.mark.parametrize("source", LEAVES_NO_TRACE)
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore:.*:UserWarning")
def test_what_only_shows_saves_or_sends_is_not_replayed(notebook: Shell, source: str) -> None:
    notebook.ok("import pickle, smtplib, subprocess, urllib.request\nfrom email.message import EmailMessage")
    notebook.ok("from pathlib import Path\nimport matplotlib\nmatplotlib.use('agg')")
    notebook.ok("import matplotlib.pyplot as plt, pandas as pd")
    notebook.ok("df = pd.DataFrame({'a': [1, 2]})\nmail = EmailMessage()")
    notebook.run(source)  # nobody listens: what was sent up to the error counts as little
    notebook.ok("%%flow f\n(df.a.sum(), mail['to'])")
    assert not [line for line in replayed(notebook, "f") if line in source]
    assert "df = pd.DataFrame({'a': [1, 2]})" in replayed(notebook, "f")


def test_statements_keep_their_comments_and_their_form(notebook: Shell) -> None:
    statements = ["x = (1,\n     2)   # two of them", "# about y\ny   =  x[0]   # one"]
    notebook.ok("\n".join(statements))
    notebook.ok("%%flow f\nx, y")
    assert replayed(notebook, "f") == statements


def test_what_can_be_neither_replayed_nor_frozen_is_told_after_the_cell_ran(notebook: Shell) -> None:
    notebook.ok("import os\nbig = os.urandom(11_000_000)")
    notebook.shell.user_ns["lock"] = threading.Lock()
    for cell, words in {
        "%%flow f --freeze big\nran = len(big)": ("`big` 11 MB", "at most 10 MB", "read it from a file"),
        "%%flow f\nran = lock.locked()": ("`lock`", "cannot pickle", "make it in a cell above"),
    }.items():
        notebook.shell.user_ns.pop("ran", None)
        shown = notebook.ok(cell)
        assert all(word in shown.text for word in words), shown.text
        assert "ran" in notebook.shell.user_ns
        assert shown.records == []
        assert notebook.live.names == []


@pytest.mark.parametrize(
    "line",
    ["../a", "", "a b", "a --ot x", "a --storage nowhere.txt", "a --environment nowhere", "a --freeze no",
     "a --out nothing", "'a"],
)  # fmt: skip
def test_no_mistake_in_the_line_keeps_a_cell_from_running(notebook: Shell, line: str) -> None:
    shown = notebook.ok(f"%%flow {line}\nx = 1")
    assert re.search(r"\w+Error: ", shown.text)
    assert notebook["x"] == 1


def test_a_traceback_points_at_the_cells_own_lines(notebook: Shell) -> None:
    shown = notebook.run("%%flow f\nx = 1\ndef divide():\n    return x / 0\n\ndivide()")
    assert "----> 6 divide()" in shown.text
    assert "----> 4     return x / 0" in shown.text


def test_the_line_has_its_help_as_any_magic_has(notebook: Shell) -> None:
    shown = notebook.ok("%%flow?")
    told = shown.text + str(shown.outputs)
    for option in ("--out", "--freeze", "--storage", "--environment", "--define", "--check"):
        assert option in told
        assert read_header(f"f {option}{'' if option in ('--define', '--check') else ' x'}").flow == "f"


def test_steps_keep_the_order_of_their_first_capture_where_the_notebook_is_not_known(notebook: Shell) -> None:
    for source in ("%%flow f.z\nx = 1", "%%flow f.a\ny = 1", "%%flow f.z\nx = 2"):
        notebook.ok(source)
    assert [step.name for step in notebook.live.flow("f").steps] == ["z", "a"]


def saved(path: Path, *sources: str) -> Path:
    cells = [
        {"cell_type": "code", "id": f"cell-{i}", "metadata": {}, "source": source}
        for i, source in enumerate(sources)
    ]
    return save(cells, path, outputs=False)


@pytest.mark.kernel
def test_the_open_notebook_is_written_by_the_front_end_alone(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = ("k = 2", "%%flow f\nn: int = 1\nn * k")
    path = saved(project / "n.ipynb", *sources)
    monkeypatch.setenv("JPY_SESSION_NAME", str(path))
    before = path.read_bytes(), path.stat().st_mtime_ns
    with ipython() as shell:
        for index, source in enumerate(sources):
            shell.ok(source, f"cell-{index}")
        run = shell.ok("%flow run f n=3").result
        shell.ok("%flow")
        shell.ok("%flow forget f")
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert (run.outputs["result"], run.asked_by) == (6, "notebook")
    assert not list(project.glob("*.ipynb~")) + list(project.glob(".n*"))


@pytest.mark.kernel
def test_a_run_of_a_stale_flow_says_so(notebook: Shell) -> None:
    for source in ("def helper(): return 1", "%%flow f\nhelper()", "def helper(): return 2"):
        notebook.ok(source)
    shown = notebook.ok("%flow run f")
    assert shown.result.outputs["result"] == 1
    assert "⚠ `helper` was redefined in In[3]" in shown.text


# -- the document


def test_a_document_is_of_the_format_4_5_and_states_its_schema() -> None:
    document = to_dict(SALES)
    assert (document["nbformat"], document["nbformat_minor"]) == (4, 5)
    assert isinstance(document["metadata"]["flownb"]["schema"], int)


@pytest.mark.kernel
def test_plain_papermill_runs_a_document(tmp_path: Path) -> None:
    SALES.write(tmp_path / "sales.ipynb")
    command = [sys.executable, "-m", "papermill", "sales.ipynb", "out.ipynb", "-p", "n", "4"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    cells = json.loads((tmp_path / "out.ipynb").read_text())["cells"]
    assert "".join(cells[-1]["outputs"][0]["data"]["text/plain"]) == "8"


# -- parameters


def test_any_object_is_a_parameter_where_the_run_stays_here(project: Path) -> None:
    made = Flow.from_cell("f", "lock: object\nlock.locked()")
    lock = threading.Lock()
    assert made.run(lock=lock) == {"result": False}
    with pytest.raises(ParameterError, match=r"a lock cannot be given to a run in .*call flow\.run"):
        LocalEnvironment().execute(memory(project, made), "f", {"lock": lock})


# -- runs


@pytest.mark.kernel
def test_a_run_is_recorded_whole_before_it_starts(project: Path) -> None:
    seen: list[Run] = []

    def look(run: Run) -> None:
        found = Run.load(run.id, project=project)
        assert (found.id, found.state) == (run.id, State.PENDING)
        assert (found.flow, found.location, found.record.digest) == (
            "sales",
            f"sales@{SALES.version}",
            SALES.digest,
        )
        assert (found.parameters, found.labels, found.asked_by) == ({"n": 3}, ["night"], "python")
        assert found.record.environment["type"] == "local"
        assert Flow.read(found.document) == SALES
        seen.append(found)

    environment = LocalEnvironment(labels=["night"], on_start=look)
    environment.execute(memory(project, SALES), "sales", {"n": 3}).raise_for_state()
    assert len(seen) == 1


@pytest.mark.kernel
def test_records_are_one_database_and_a_folder_for_each_run(project: Path) -> None:
    storage = memory(project, SALES)
    runs = [LocalEnvironment().execute(storage, "sales") for _ in range(2)]
    assert sorted(os.listdir(project / ".flownb" / "runs")) == sorted(run.id for run in runs)
    connection = sqlite3.connect(project / ".flownb" / "runs.db")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


ENDS = {
    "time": ({"timeout": 1.5}, "import time; time.sleep(60)", "Failed", "longer than its limit"),
    "memory": ({"memory": "300 MB"}, "bytearray(1_500_000_000)", "Failed", "limited to 300 MB"),
    "kill": ({}, "import os; os.kill(os.getpid(), 9)", "Crashed", "killed by SIGKILL"),
}


@pytest.mark.kernel
@pytest.mark.parametrize("end", ENDS)
def test_on_exit_sees_the_end_of_a_run_that_had_no_say_in_it(end: str, project: Path) -> None:
    options, source, state, words = ENDS[end]
    seen: list[tuple[int, str, str]] = []
    environment = LocalEnvironment(
        **options, on_exit=lambda run: seen.append((os.getpid(), str(run.state), str(run.error)))
    )
    environment.execute(memory(project, flow("f", source)), "f")
    ((process, found, error),) = seen
    assert (process, found) == (os.getpid(), state)
    assert words in error


@pytest.mark.parametrize("year", [1970, 2100])
def test_whether_a_run_lives_is_asked_of_no_clock(project: Path, year: int) -> None:
    there = Project.of(project)
    folder = there.run_folder("r1")
    folder.mkdir(parents=True)
    when = datetime(year, 1, 2, tzinfo=UTC)
    with Lock(folder / "lock"):
        os.utime(folder / "lock", (when.timestamp(), when.timestamp()))
        RecordStore(there).create(
            RunRecord("r1", "f", folder, state=State.RUNNING, created=when, started=when)
        )
        assert [run.state for run in Runs.load(project=project)] == ["Running"]
    assert [run.state for run in Runs.load(project=project)] == ["Crashed"]


@pytest.mark.kernel
def test_a_failing_run_is_loud_in_the_notebook(notebook: Shell) -> None:
    notebook.ok("%%flow f --define\nx = 1\nx / 0")
    shown = notebook.run("%flow run f")
    assert not shown.success
    assert "line 3: ZeroDivisionError: division by zero" in " ".join(shown.text.split())
    assert "Traceback" not in shown.text
    assert notebook.ok("%flow last").result.state == "Failed"


LOOKING = """
from pathlib import Path
seen = []
for path in Path("/proc").glob("*/cmdline"):
    try:
        seen.append(path.read_bytes())
    except OSError:
        continue  # it has ended
told = [len(seen) > 1, any(str(token).encode() in one for one in seen)]
"""


@pytest.mark.kernel
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc")
@pytest.mark.parametrize("engine", ["flownb", "nbclient"])
def test_a_secret_is_on_no_command_line_while_its_run_goes_on(project: Path, engine: str) -> None:
    step = Step("look", LOOKING, ("told",))
    made = flow("f", step, parameters=(Parameter("token", "Secret"),), closure=(SECRET,))
    run = LocalEnvironment(engine=engine).execute(memory(project, made), "f", {"token": "Xq9-sEcReT"})
    assert run.outputs["told"] == [True, False]


# -- errors


def test_all_errors_are_of_one_family_and_show_as_their_message() -> None:
    family = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, Exception)]
    assert len(family) > 10
    for one in family:
        assert issubclass(one, FlownbError)
        assert one.__doc__
        (shown,) = one("what to do")._render_traceback_()
        assert shown.endswith(": what to do")
