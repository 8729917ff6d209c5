from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flownb.errors import RecordError
from flownb.files import notebook_bytes
from flownb.runs.executed import mark, rebuild, write_atomic
from flownb.runs.record import RunError, RunRecord, StepRecord
from flownb.runs.states import State

START = datetime(2026, 11, 22, 4, 15, tzinfo=UTC)
RUN = RunRecord("r1", "co2", Path("/x"), state=State.RUNNING, started=START)


def code(
    name: str, step: str | None = None, *, executed: bool = False, status: str | None = None
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"flownb": {"role": "step", "step": step}} if step else {}
    if status:
        metadata["papermill"] = {"status": status, "start_time": "s", "end_time": None, "extra": 1}
    return {
        "cell_type": "code",
        "id": name,
        "metadata": metadata,
        "source": f"{name} = 1",
        "outputs": [],
        "execution_count": 1 if executed else None,
    }


def notebook(*cells: dict[str, Any]) -> dict[str, Any]:
    text = {"cell_type": "markdown", "id": "text", "metadata": {}, "source": "# title"}
    return {"cells": [text, *cells], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def ended(state: State, error: RunError | None = None, **fields: Any) -> RunRecord:
    return replace(RUN, state=state, error=error, ended=START + timedelta(seconds=2), **fields)


def statuses(made: dict[str, Any]) -> list[str]:
    return [cell["metadata"]["papermill"]["status"] for cell in made["cells"]]


def test_a_run_that_succeeded_is_completed_throughout() -> None:
    made = mark(notebook(code("a", executed=True), code("b", executed=True)), ended(State.SUCCESS))
    assert statuses(made) == ["completed"] * 3
    assert made["metadata"]["papermill"] == {
        "start_time": "2026-11-22T04:15:00.000000+00:00",
        "end_time": "2026-11-22T04:15:02.000000+00:00",
        "duration": 2.0,
        "exception": False,
    }
    assert made["metadata"]["flownb"]["run"] == {"id": "r1", "state": "Success", "error": None}


def test_cells_after_a_quiet_exit_are_pending_in_a_successful_run() -> None:
    made = mark(notebook(code("a", executed=True), code("b", status="completed")), ended(State.SUCCESS))
    assert statuses(made) == ["completed", "completed", "pending"]


@pytest.mark.parametrize("state", [State.FAILED, State.CRASHED, State.CANCELLED])
@pytest.mark.parametrize(
    "known_by", ["running cell", "failed cell", "step of the error", "step record", "error output"]
)
def test_the_cell_where_a_run_ended_is_failed_and_the_later_ones_pending(state: State, known_by: str) -> None:
    # what papermill leaves after a dead kernel: everything "completed"
    cells = [code(name, f"step {name}", status="completed") for name in "abc"]
    run = ended(state)
    if known_by in ("running cell", "failed cell"):
        cells[1]["metadata"]["papermill"]["status"] = known_by.split(maxsplit=1)[0]
    elif known_by == "step of the error":
        run = ended(state, RunError("DeadKernel", "it died", step="step b"))
    elif known_by == "step record":
        run = ended(state, steps=[StepRecord("step a", 0, State.SUCCESS), StepRecord("step b", 1, state)])
    else:
        cells[1]["outputs"] = [{"output_type": "error", "ename": "X", "evalue": "", "traceback": []}]
    made = mark(notebook(*cells), run)
    assert statuses(made) == ["completed", "completed", "failed", "pending"]
    blocks = [cell["metadata"]["papermill"] for cell in made["cells"]]
    assert [block["exception"] for block in blocks] == [False, False, True, None]
    assert blocks[2]["end_time"] == "2026-11-22T04:15:02.000000+00:00"
    assert blocks[2]["extra"] == 1
    assert made["metadata"]["papermill"]["exception"] is True
    assert made["metadata"]["flownb"]["run"]["state"] == state.value


def test_a_run_that_ended_before_any_cell_has_only_pending_ones() -> None:
    made = mark(
        notebook(code("a"), code("b")), ended(State.FAILED, RunError("CallbackError", "on_start failed"))
    )
    assert statuses(made) == ["pending"] * 3
    assert made["metadata"]["papermill"]["exception"] is True
    assert made["metadata"]["flownb"]["run"]["error"]["message"] == "on_start failed"


def test_while_a_run_goes_on_its_cell_is_running() -> None:
    made = mark(notebook(code("a", status="completed"), code("b", status="running"), code("c")), RUN)
    assert statuses(made)[1:] == ["completed", "running", "pending"]
    assert made["metadata"]["papermill"]["exception"] is None
    assert made["metadata"]["papermill"]["end_time"] is None


def test_marking_keeps_what_else_is_in_the_metadata_and_works_on_notebook_nodes() -> None:
    plain = notebook(code("a", executed=True))
    plain["metadata"] = {"papermill": {"parameters": {"x": 1}}, "flownb": {"schema": 1}}
    node = nbformat.from_dict(plain)
    assert mark(node, ended(State.SUCCESS)) is node
    assert node.metadata.papermill.parameters == {"x": 1}
    assert node.metadata.flownb.schema == 1
    nbformat.validate(node)


def test_marking_sets_the_statuses_of_notebook_nodes_though_they_copy_what_they_are_given() -> None:
    node = nbformat.from_dict(notebook(code("a", executed=True), code("b", status="running"), code("c")))
    mark(node, ended(State.FAILED))
    assert statuses(node) == ["completed", "completed", "failed", "pending"]
    assert node.cells[2].metadata.papermill.exception is True
    assert node.cells[2].metadata.papermill.end_time is not None


def test_a_notebook_is_rebuilt_from_the_document_and_the_last_word_on_each_cell() -> None:
    document = notebook(code("imports", executed=True), code("parameters"), code("a", "load"))
    document["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "old"}]
    injected = code("injected", executed=True) | {
        "metadata": {"tags": ["injected-parameters"]},
        "source": "since = 1990",
    }
    output = {"output_type": "stream", "name": "stdout", "text": "new"}
    journal = [
        {"event": "state", "state": "Running"},
        {"event": "cell", "index": 1, "cell": code("imports", status="running")},
        {"event": "cell", "index": 1, "cell": code("imports", executed=True) | {"outputs": [output]}},
        {"event": "cell", "index": 3, "cell": injected},
        {"event": "cell", "index": 3, "cell": injected},
        {"event": "cell", "index": 4, "cell": code("a", "load", status="running")},
        {"event": "metadata", "metadata": {"papermill": {"parameters": {"since": 1990}}}},
    ]
    before = json.dumps(document)
    made = rebuild(document, journal)
    assert [cell["id"] for cell in made["cells"]] == ["text", "imports", "parameters", "injected", "a"]
    assert made["cells"][1]["outputs"] == [output]
    assert made["metadata"]["papermill"]["parameters"] == {"since": 1990}
    assert json.dumps(document) == before
    killed = mark(made, ended(State.CRASHED))
    assert statuses(killed) == ["completed"] * 4 + ["failed"]
    nbformat.validate(nbformat.from_dict(rebuild(document, [])))
    assert rebuild(document, [])["cells"][1]["outputs"] == []


def test_cells_without_ids_are_known_by_their_place() -> None:
    def old(source: str, **fields: Any) -> dict[str, Any]:
        return {
            "cell_type": "code",
            "metadata": {},
            "source": source,
            "outputs": [],
            "execution_count": None,
        } | fields

    document = {"cells": [old("a"), old("b")], "metadata": {}, "nbformat": 4, "nbformat_minor": 2}
    injected = old("i", metadata={"tags": ["injected-parameters"]})
    journal = [
        {"event": "cell", "index": 0, "cell": old("a", execution_count=1)},
        {"event": "cell", "index": 1, "cell": injected},
        {"event": "cell", "index": 2, "cell": old("b", execution_count=2)},
    ]
    made = rebuild(document, journal)
    assert [(cell["source"], cell["execution_count"]) for cell in made["cells"]] == [
        ("a", 1),
        ("i", None),
        ("b", 2),
    ]


def test_a_notebook_is_written_as_jupyter_saves_it(tmp_path: Path) -> None:
    made = notebook(code("a"))
    made["cells"][1] |= {"source": "x = 1\ny = 2"}
    made["cells"][1]["outputs"] = [
        {"output_type": "stream", "name": "stdout", "text": "1\n2\n"},
        {
            "output_type": "display_data",
            "metadata": {},
            "data": {"text/plain": "a\nb", "application/json": {"a": "x\ny"}, "image/png": "abc\n"},
        },
    ]
    path = tmp_path / "x.ipynb"
    write_atomic(path, made)
    nbformat.write(nbformat.from_dict(made), tmp_path / "y.ipynb")
    assert path.read_text() == (tmp_path / "y.ipynb").read_text()
    assert made["cells"][1]["source"] == "x = 1\ny = 2"


PIECES = ["a" * 60, "\n", "\\", '"', "\t", "\x01", "\x00", "é", "\x7f", "\r", "\x1d", "\u2028", "\\n", '"\n']


@given(st.lists(st.sampled_from(PIECES), min_size=1), st.integers(1, 300_000), st.booleans())
def test_large_texts_are_written_as_small_ones_are(pieces: list[str], size: int, ends: bool) -> None:
    """The text is written in parts, and not line by line, where it is large."""
    whole = "".join(pieces)
    text = (whole * (size // len(whole) + 1))[:size] + "\n" * ends
    made = notebook(code("a") | {"source": text})
    assert json.loads(notebook_bytes(made))["cells"][1]["source"] == text.splitlines(keepends=True)


def test_a_lone_surrogate_does_not_spoil_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.ipynb"
    write_atomic(path, notebook(code("a") | {"source": "s = '\ud800ä'"}))
    assert "ä" in path.read_text(encoding="utf-8")
    assert json.loads(path.read_bytes())["cells"][1]["source"] == ["s = '\ud800ä'"]


def test_writing_keeps_mode_and_link_and_leaves_nothing_else(tmp_path: Path) -> None:
    real, link = tmp_path / "real.txt", tmp_path / "link.txt"
    real.write_bytes(b"old")
    real.chmod(0o640)
    link.symlink_to(real)
    write_atomic(link, b"new")
    assert real.read_bytes() == b"new"
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.txt", "real.txt"]


def test_a_write_that_fails_keeps_the_old_file_and_says_the_systems_word(tmp_path: Path) -> None:
    import resource

    path = tmp_path / "x.ipynb"
    path.write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, limits[1]))
        with pytest.raises(RecordError, match=r"x\.ipynb cannot be written: File too large"):
            write_atomic(path, b"x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x.ipynb"]
    with pytest.raises(RecordError, match=r"No such file|Not a directory"):
        write_atomic(path / "y", b"")


def test_a_reader_never_sees_a_torn_file_though_the_writer_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "x.ipynb"
    path.write_bytes(b"0" * 500_000)
    writer = (
        "import itertools, sys; from pathlib import Path; from flownb.files import write_atomic\n"
        "for n in itertools.count():\n"
        f"    write_atomic(Path({str(path)!r}), str(n % 10).encode() * 500_000); print(n, flush=True)"
    )
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", writer], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert all(process.stdout.readline() for _ in range(10))
        process.kill()
        process.communicate()
        content = path.read_bytes()
        assert len(content) == 500_000
        assert len(set(content)) == 1


@pytest.mark.parametrize(
    "piece",
    [
        "plain\n",
        'tab\t quote" ä🎈\n',
        "back\\slash \\n\n",
        "a\rb\r\n",
        "\v\f\x1c\u2028\x85\n",
        "none",
        "\n",
        "\x7f\x00\n",
    ],
)
@pytest.mark.parametrize("end", ["", "end"])
def test_long_texts_are_written_as_short_ones_are(tmp_path: Path, piece: str, end: str) -> None:
    made = notebook(code("a"))
    text = piece * 20_000 + end
    made["cells"][1]["outputs"] = [
        {"output_type": "stream", "name": "stdout", "text": text},
        {"output_type": "display_data", "metadata": {}, "data": {"text/html": text, "image/png": "abc"}},
    ]
    nbformat.write(nbformat.from_dict(made), tmp_path / "y.ipynb")
    assert notebook_bytes(made) == (tmp_path / "y.ipynb").read_bytes()
