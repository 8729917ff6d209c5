"""Records that came with a project: shown and listed, but nothing in them acts or leads out of it."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import random
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from environment_flows import flow, memory

from flownb.cli import main
from flownb.environments import LocalEnvironment
from flownb.errors import FlownbError, OutputError, RecordError
from flownb.flow import Step
from flownb.runs import (
    OutputRecord,
    Project,
    RecordStore,
    Run,
    RunError,
    RunRecord,
    Runs,
    State,
    StepRecord,
)
from flownb.runs.signing import Key, key_file
from flownb.runs.values import python_mark
from flownb.runs.values import store as store_value

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.long


ROOT = Path(__file__).parent.parent
ACTED: list[str] = []


def act(word: str) -> str:
    ACTED.append(word)
    return word


class Trap:
    """Tells when it is unpickled."""

    def __reduce__(self) -> Any:
        return act, ("unpickled",)


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the user of a test a folder of data of their own."""
    ACTED.clear()
    folder = tmp_path / "data"
    monkeypatch.setenv("FLOWNB_DATA_DIR", str(folder))
    return folder


def somebody_elses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Be another user, or on another machine, from here on."""
    monkeypatch.setenv("FLOWNB_DATA_DIR", str(tmp_path / "another"))


def recorded(
    root: Path,
    values: dict[str, object] | None = None,
    *,
    run_id: str = "r1",
    key: Key | None = None,
    **fields: Any,
) -> Run:
    """Record a run with these outputs, by default without a signature."""
    project = Project(root)
    record = RunRecord(run_id, "co2", project.run_folder(run_id), **{"state": State.SUCCESS, **fields})
    record.outputs_folder.mkdir(parents=True)
    with_store = RecordStore(project)
    with_store.create(record)
    for name, value in (values or {}).items():
        output = OutputRecord.from_json(store_value(name, value, record.outputs_folder))
        with_store.add_output(run_id, output, key)
    with_store.close()
    return Run.load(run_id, root)


def call(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def rows(project: Path, statement: str, *values: object) -> list[Any]:
    connection = sqlite3.connect(project / ".flownb" / "runs.db")
    try:
        with connection:
            return connection.execute(statement, values).fetchall()
    finally:
        connection.close()


# -- what may be read back


@pytest.mark.kernel
@pytest.mark.parametrize("engine", ["flownb", "nbclient"])
def test_what_one_recorded_oneself_is_read_back(project: Path, engine: str) -> None:
    made = flow(
        "f", Step("s", "from collections import OrderedDict\ny = OrderedDict(a=1)\nn = 1", ("y", "n"))
    )
    run = LocalEnvironment(engine=engine).execute(memory(project, made), "f")
    assert run.outputs["y"] == OrderedDict(a=1)
    assert {each.name: each.format for each in run.outputs.records} == {"y": "cloudpickle", "n": "json"}
    assert Run.load(project=project).outputs["y"] == OrderedDict(a=1)
    code = "from flownb.runs import Run; print(Run.load().outputs['y'])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=False
    )
    assert "OrderedDict" in done.stdout, done.stderr
    assert "not trusted" not in call("outputs", "last").output


def test_what_came_with_a_clone_is_shown_and_not_unpickled(project: Path) -> None:
    run = recorded(project, {"trap": Trap(), "n": [1, 2]})
    assert list(run.outputs) == ["trap", "n"]
    assert run.outputs["n"] == [1, 2]
    for shown in (
        repr(run.outputs),
        run.outputs._repr_html_(),
        run._repr_html_(),
        call("outputs", "r1").output,
    ):
        assert "trap" in shown
        assert "not trusted" in shown
    assert call("outputs", "r1", "trap").exit_code == 0
    assert call("outputs", "r1", "--to", project / "copies").exit_code == 0
    with pytest.raises(OutputError, match=r"`trap`.* is pickled.*flownb trust --run r1"):
        run.outputs["trap"]
    assert ACTED == []


def test_a_record_cannot_say_of_itself_that_it_is_signed(project: Path) -> None:
    recorded(project, {"trap": Trap()})
    ((text,),) = rows(project, "SELECT data FROM outputs")
    for more in ({"signed": True}, {"signature": "00" * 32}, {"signature": True}, {"signature": "ü"}):
        rows(project, "UPDATE outputs SET data = ?", json.dumps({**json.loads(text), **more}))
        with pytest.raises(OutputError, match="is pickled"):
            Run.load(project=project).outputs["trap"]
    assert ACTED == []


@pytest.mark.parametrize(
    "change",
    [
        lambda data: {**data, "digest": "00" * 32},
        lambda data: {**data, "file": "other.pkl", "detail": {}},
        lambda data: {**data, "detail": {"files": ["other.pkl"]}},
        lambda data: {**data, "name": "z"},
        lambda data: {**data, "python": data["python"] + " "},
    ],
    ids=["digest", "file", "files", "name", "python"],
)
def test_a_signed_record_that_was_changed_is_not_signed(
    project: Path, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    recorded(project, {"y": Trap()}, key=Key.made())
    assert Run.load(project=project).outputs.records[0].signed
    ((text,),) = rows(project, "SELECT data FROM outputs")
    rows(project, "UPDATE outputs SET data = ?", json.dumps(change(json.loads(text))))
    assert not Run.load(project=project).outputs.records[0].signed


def test_another_format_makes_no_pickle_of_what_is_not_signed(project: Path) -> None:
    recorded(project, {"y": Trap()})
    for form in ("json", "typed", "python", "npy", "parquet", "arrow", "text", "bytes", "picture"):
        rows(project, "UPDATE outputs SET data = json_set(data, '$.format', ?)", form)
        try:
            Run.load(project=project).outputs["y"]
        except OutputError:
            continue
    assert ACTED == []


def test_a_signed_record_holds_for_its_own_run_only(project: Path) -> None:
    recorded(project, {"y": Trap()}, key=Key.made())
    recorded(project, run_id="r2")
    rows(project, "INSERT INTO outputs SELECT 'r2', name, number, data FROM outputs")
    shutil.copytree(
        project / ".flownb/runs/r1/outputs", project / ".flownb/runs/r2/outputs", dirs_exist_ok=True
    )
    assert not Run.load("r2", project).outputs.records[0].signed
    assert Run.load("r1", project).outputs.records[0].signed


def test_a_file_that_was_changed_since_is_not_read(project: Path) -> None:
    recorded(project, {"y": OrderedDict(a=1)}, key=Key.made())
    (path,) = (project / ".flownb/runs/r1/outputs").glob("*.pkl")
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(OutputError, match="is not as it was written"):
        Run.load(project=project).outputs["y"]
    assert ACTED == []


def test_a_project_that_was_moved_keeps_its_outputs(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    recorded(before, {"y": OrderedDict(a=1)}, key=Key.made())
    before.rename(after)
    assert Run.load(project=after).outputs["y"] == OrderedDict(a=1)
    shutil.copytree(after, tmp_path / "copy")
    assert Run.load(project=tmp_path / "copy").outputs["y"] == OrderedDict(a=1)


def test_what_another_user_signed_is_not_ones_own(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(project, {"y": Trap()}, key=Key.made())
    somebody_elses(monkeypatch, tmp_path)
    with pytest.raises(OutputError, match="is pickled"):
        Run.load(project=project).outputs["y"]
    Key.made()
    with pytest.raises(OutputError, match="is pickled"):
        Run.load(project=project).outputs["y"]
    assert ACTED == []


def test_a_drawing_is_shown_without_what_it_could_run(project: Path) -> None:
    from IPython.core.formatters import DisplayFormatter

    class Drawing:
        def _repr_svg_(self) -> str:
            return "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"

        def __reduce__(self) -> Any:
            raise TypeError

    recorded(project, {"drawing": Drawing()})
    picture = Run.load(project=project).outputs["drawing"]
    shown, _ = DisplayFormatter().format(picture)
    assert set(shown) == {"text/html", "text/plain"}
    assert "script" not in shown["text/html"]
    assert "<script>" in picture.svg


# -- trusting


def test_trusting_a_run_lets_its_outputs_be_read(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = recorded(project, {"y": OrderedDict(a=1), "n": 1})
    with pytest.raises(OutputError, match="is pickled"):
        run.outputs["y"]
    result = call("trust", "--run", "r1")
    assert (result.exit_code, result.output) == (0, "run r1 of co2: y can be read back\n")
    assert run.outputs["y"] == OrderedDict(a=1)  # of the very Run that was refused before
    assert "nothing that needs" in call("trust", "--run", "r1").output
    somebody_elses(monkeypatch, tmp_path)
    with pytest.raises(OutputError, match="is pickled"):
        Run.load(project=project).outputs["y"]
    assert Run.load(project=project).trust() == ["y"]


def test_trusting_unpickles_nothing_and_holds_for_what_was_there(project: Path) -> None:
    recorded(project, {"y": OrderedDict(a=1)})
    run = Run.load(project=project)
    assert run.trust() == ["y"]
    (path,) = (project / ".flownb/runs/r1/outputs").glob("*.pkl")
    content = path.read_bytes()
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(OutputError, match="is not as it was written"):
        run.outputs["y"]
    path.write_bytes(content)
    assert run.outputs["y"] == OrderedDict(a=1)
    recorded(project, {"y": Trap()}, run_id="r2")
    with pytest.raises(OutputError, match="is pickled"):
        Run.load("r2", project).outputs["y"]
    assert ACTED == []


def test_all_runs_of_a_project_are_trusted_at_once(project: Path, tmp_path: Path) -> None:
    for number in range(60):
        recorded(project, {"y": OrderedDict(a=number)}, run_id=f"r{number}")
    result = call("trust", "--run", "all", "--project", project)
    assert result.exit_code == 0, result.output
    assert len(result.output.splitlines()) == 60
    assert all(run.outputs["y"] for run in Runs.load(project=project, limit=None))
    assert call("trust", "--run", "all").output == "nothing that needs to be trusted is in there\n"
    assert call("trust", "--run", "nonesuch").exit_code == 2
    assert call("trust", "--run", "r1", "x.ipynb").exit_code == 2


def test_records_of_the_version_before_are_listed_and_read_when_they_are_trusted(
    project: Path, tmp_path: Path
) -> None:
    written = Path(__file__).parent / "schema1" / "records"
    shutil.copytree(written / "runs", project / ".flownb" / "runs")
    connection = sqlite3.connect(project / ".flownb" / "runs.db")
    connection.executescript((written / "runs.sql").read_text())
    connection.close()
    run = Run.load(project=project)
    assert (run.flow, run.state, run.outputs["total"]) == ("old", "Success", 95.965)
    assert "old" in call("runs").output
    with pytest.raises(OutputError, match=rf"`kept`.*flownb trust --run {run.id}"):
        run.outputs["kept"]
    rows(
        project,
        "UPDATE outputs SET data = json_set(data, '$.python', ?) WHERE name = 'kept'",
        python_mark(),
    )
    assert run.trust() == ["kept"]
    assert run.outputs["kept"] == OrderedDict(total=95.965)


# -- the key


def test_the_key_is_made_once_and_nobody_else_reads_it(data: Path) -> None:
    assert Key.read() is None
    assert not data.exists()
    with ThreadPoolExecutor(8) as pool:
        signatures = set(pool.map(lambda _: Key.made().sign(["a"]), range(64)))
    assert len(signatures) == 1
    assert stat.S_IMODE(key_file().stat().st_mode) == 0o600
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert os.listdir(data) == ["records.key"]


def test_processes_that_begin_at_once_have_one_key(data: Path) -> None:
    code = "from flownb.runs.signing import Key; print(Key.made().sign(['a']))"
    started = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=ROOT) for _ in range(6)
    ]
    assert len({process.communicate(timeout=60)[0] for process in started}) == 1


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_key_is_private_whatever_the_umask(umask: int) -> None:
    before = os.umask(umask)
    try:
        Key.made()
    finally:
        os.umask(before)
    assert stat.S_IMODE(key_file().stat().st_mode) == 0o600


def test_texts_are_signed_each_by_itself() -> None:
    key = Key.made()
    assert key.sign(["a", "b"]) != key.sign(["ab", ""]) != key.sign(["ab"])
    assert key.signed(["ü\ud800"], key.sign(["ü\ud800"]))
    assert not key.signed(["a"], "")


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("breaks", "told"),
    [
        (lambda path: path.write_bytes(b"short"), "is damaged"),
        (lambda path: path.mkdir(), "cannot be read"),
        (lambda path: path.parent.rmdir() or path.parent.touch(), "cannot be"),
    ],
    ids=["damaged", "unreadable", "no folder"],
)
def test_a_key_that_cannot_be_had_hinders_no_run(
    project: Path, data: Path, breaks: Callable[[Path], object], told: str
) -> None:
    data.mkdir()
    breaks(key_file())
    made = flow(
        "f", Step("s", "from collections import OrderedDict\ny = OrderedDict(a=1)\nn = 1", ("y", "n"))
    )
    run = LocalEnvironment().execute(memory(project, made), "f")
    assert run.state is State.SUCCESS
    assert run.outputs["n"] == 1
    assert "outputs that are pickled are not signed" in run.logs
    assert "not trusted" in call("outputs", run.id).output
    with pytest.raises(OutputError, match=told):
        run.outputs["y"]
    assert call("trust", "--run", run.id).exit_code == 2


def test_runs_without_pickles_need_no_key(project: Path, data: Path) -> None:
    run = recorded(project, {"n": 1, "t": (1, 2)})
    assert dict(run.outputs) == {"n": 1, "t": (1, 2)}
    assert run.trust() == []
    assert not data.exists()


# -- paths stay in the project's folder


@pytest.mark.parametrize("folder", ["../../../../etc", "/etc", ".", "../secret", ""])
def test_the_folder_that_a_record_tells_means_nothing(project: Path, tmp_path: Path, folder: str) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "log.txt").write_text("private")
    recorded(project)
    rows(project, "UPDATE runs SET folder = ?", folder)
    run = Run.load(project=project)
    assert run.folder == project / ".flownb/runs/r1"
    assert "private" not in run.logs + call("logs", "r1").output


@pytest.mark.parametrize("run_id", ["../../../secret", "..", ".", "", "a/b", "a\x00b", "x" * 5000, "/etc"])
def test_an_id_that_is_no_files_name_leads_nowhere(project: Path, tmp_path: Path, run_id: str) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "log.txt").write_text("private")
    recorded(project)
    rows(project, "UPDATE runs SET id = ?, state = 'Running'", run_id)
    (run,) = Runs.load(project=project)
    assert run.folder.parent == project / ".flownb/runs.db"
    assert run.state is State.CRASHED
    with pytest.raises(RecordError, match="cannot be read"):
        _ = run.logs
    assert call("runs").exit_code == 0
    assert os.listdir(tmp_path / "secret") == ["log.txt"]


@pytest.mark.parametrize("state", ["Running", "Success"])
@pytest.mark.parametrize(
    "link",
    ["", "executed.ipynb", "log.txt", "lock", "journal.jsonl", "flow.ipynb", "reserve", "cancel", "outputs"],
)
def test_a_link_in_a_runs_folder_is_not_followed(
    project: Path, tmp_path: Path, link: str, state: str
) -> None:
    private = tmp_path / "private"
    private.mkdir()
    target = private if link in ("", "outputs") else private / "file"
    (private / "file").write_text("private")
    (private / "log.txt").write_text("private")
    recorded(project, {"n": 1})
    rows(project, "UPDATE runs SET state = ?", state)
    place = project / ".flownb/runs/r1" / link
    shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
    place.symlink_to(target)
    before = sorted((path.name, path.read_text()) for path in private.iterdir())
    (run,) = Runs.load(project=project)
    assert run.state == ("Crashed" if state == "Running" else "Success")
    assert "n" in run.outputs
    with pytest.raises(OutputError):
        run.outputs["n"]
    for words in (["runs"], ["logs", "r1"], ["outputs", "r1"], ["outputs", "r1", "n"], ["cancel", "r1"]):
        assert "private" not in call(*words).output.replace(str(private), "").replace(str(project), "")
    assert sorted((path.name, path.read_text()) for path in private.iterdir()) == before


@pytest.mark.parametrize("text", ["text", "bytes", "json", "python"])
def test_a_link_among_the_outputs_is_not_followed(project: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "private").write_text('"private"')
    recorded(project, {"n": 1})
    rows(project, "UPDATE outputs SET data = json_set(data, '$.format', ?)", text)
    (path,) = (project / ".flownb/runs/r1/outputs").iterdir()
    path.unlink()
    path.symlink_to(tmp_path / "private")
    with pytest.raises(OutputError, match="is a link"):
        Run.load(project=project).outputs["n"]
    assert '"private"' not in call("outputs", "r1", "n").output
    call("outputs", "r1", "--to", project / "copies")
    assert not list((project / "copies").glob("*"))


@pytest.mark.parametrize("link", [".flownb", ".flownb/runs", ".flownb/runs.db"])
def test_records_that_are_links_are_neither_read_nor_written(
    project: Path, tmp_path: Path, link: str
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    recorded(other, state=State.RUNNING)
    (project / link).parent.mkdir(exist_ok=True)
    (project / link).symlink_to(other / link)
    if link == ".flownb/runs":
        shutil.copy(other / ".flownb/runs.db", project / ".flownb/runs.db")
    made = flow("f", Step("s", "1"))
    for look in (
        lambda: Runs.load(project=project),
        lambda: Run.load(project=project),
        lambda: LocalEnvironment().execute(memory(project, made), "f"),
    ):
        with pytest.raises(RecordError, match="is a link, and records stay in their project's folder"):
            look()
    assert call("runs").exit_code == 2
    ((state,),) = rows(other, "SELECT state FROM runs")
    assert state == "Running"
    assert os.listdir(other / ".flownb/runs") == ["r1"]


def test_what_git_is_to_ignore_is_not_written_through_a_link(project: Path, tmp_path: Path) -> None:
    (project / ".flownb").mkdir()
    (project / ".flownb/.gitignore").symlink_to(tmp_path / "elsewhere")
    Project(project).ensure()
    assert not (tmp_path / "elsewhere").exists()


# -- journals and documents


HOSTILE = [
    b"[]",
    b"3",
    b"null",
    b"{",
    b"[" * 100_000,
    b"\xff",
    b'{"cells": 3}',
    b'{"cells": [3]}',
    b'{"cells": [{}]}',
    b'{"cells": [{"metadata": 3}]}',
    b'{"cells": {"a": 1}}',
    b'{"metadata": [1]}',
    b'{"cells": [{"cell_type": "code", "metadata": {"papermill": 3, "flownb": [], "tags": 3}}]}',
    b'{"event": "cell"}',
    b'{"event": "cell", "index": "x", "cell": {}}',
    b'{"event": "cell", "index": -5, "cell": {"metadata": 3}}',
    b'{"event": "cell", "index": 1e400, "cell": 3}',
    b'{"event": [], "cell": 3}',
    b'{"event": "metadata", "metadata": 3}',
    b'{"event": "metadata", "metadata": {"flownb": 3, "papermill": []}}',
    b'{"event": "state", "state": []}',
    b'{"event": "state", "state": "Failed", "error": [3]}',
    b'{"event": "state", "state": "Failed", "error": "x"}',
    b'{"event": "state", "state": "Failed", "error": {"kind": 3, "message": [], "step": {}}}',
]


@pytest.mark.parametrize("content", HOSTILE, ids=lambda content: content[:40].decode("latin-1"))
@pytest.mark.parametrize("file", ["journal.jsonl", "flow.ipynb", "executed.ipynb"])
def test_a_journal_or_document_that_is_wrong_hinders_no_list(
    project: Path, file: str, content: bytes
) -> None:
    recorded(project)
    rows(project, "UPDATE runs SET state = 'Running'")
    folder = project / ".flownb/runs/r1"
    (folder / "flow.ipynb").write_text(json.dumps({"cells": [], "metadata": {}, "nbformat": 4}))
    (folder / "journal.jsonl").write_bytes(b'{"event": "metadata", "metadata": {}}\n')
    (folder / file).write_bytes(content + b"\n")
    (run,) = Runs.load(project=project)
    assert run.state.terminal
    for shown in (
        repr(Runs.load(project=project)),
        run._repr_html_(),
        call("runs").output,
        call("outputs", "r1").output,
    ):
        assert shown
    with pytest.raises(OutputError, match="no output"):
        run.outputs["nonesuch"]


WRONG: list[Any] = [None, 3, -1.5, "x", [], ["x"], {}, {"x": 3}, True, [[]], float("inf"), float("nan")]


def looks(project: Path) -> None:
    """Look at all that is recorded; that something is damaged may be said."""
    for look in (
        lambda: repr(Runs.load(project=project)),
        lambda: Runs.load(project=project)._repr_html_(),
        lambda: Runs.load(project=project).to_frame(),
        lambda: Run.load("r1", project)._repr_html_(),
        lambda: Run.load("r1", project).outputs["y"],
    ):
        with contextlib.suppress(FlownbError):
            look()
    for words in (["runs"], ["runs", "--json"], ["outputs", "r1"], ["outputs", "r1", "y"], ["logs", "r1"]):
        result = call(*words)
        assert result.exception is None or isinstance(result.exception, SystemExit), words


@pytest.mark.parametrize("table", ["runs", "steps", "outputs"])
def test_a_record_that_is_wrong_anywhere_is_shown_or_said_to_be_damaged(project: Path, table: str) -> None:
    error = RunError("ValueError", "no", "a", 1, "x")
    recorded(
        project,
        {"y": {"a": (1, 2)}},
        state=State.FAILED,
        parameters={"n": "1"},
        error=error,
        metrics={"peak_memory_bytes": 1},
        callback_errors=[{"name": "x", "error": "y"}],
        steps=[StepRecord("a", 0, State.FAILED, seconds=1.0, cpu_seconds=1.0, error=error)],
    )
    ((text,),) = rows(project, f"SELECT data FROM {table}")
    data = json.loads(text)
    changed = [
        {**data, name: {**value, part: wrong}} if part else {**data, name: wrong}
        for name, value in data.items()
        for part in ("", *(value if isinstance(value, dict) else ()))
        for wrong in random.Random(name + part).sample(WRONG, 3)
    ]
    for wrong in (*WRONG, *changed):
        rows(project, f"UPDATE {table} SET data = ?", json.dumps(wrong))
        looks(project)


@pytest.mark.parametrize("column", ["flow", "state", "created", "started", "ended", "attempt"])
def test_a_column_that_is_wrong_is_shown_or_said_to_be_damaged(project: Path, column: str) -> None:
    recorded(project, {"y": 1})
    for wrong in (3, "x", b"x", -1.5, "", "2026-01-01T00:00:00"):
        rows(project, f"UPDATE runs SET {column} = ?", wrong)
        looks(project)
