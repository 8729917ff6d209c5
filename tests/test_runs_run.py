from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

from flownb.errors import MissingExtraError, RunFailedError, RunNotFoundError
from flownb.runs import Project, RecordStore, Run, RunError, RunRecord, Runs, State, StepRecord
from flownb.runs.liveness import Lock
from flownb.runs.record import OutputRecord
from flownb.runs.run import cancel_requested
from flownb.runs.values import store as store_value

if TYPE_CHECKING:
    from pathlib import Path

START = datetime(2026, 11, 22, 4, 15, tzinfo=UTC)
Made = Callable[..., Run]


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    return RecordStore(Project(tmp_path))


@pytest.fixture
def make(store: RecordStore) -> Made:
    """Makes recorded runs that ended."""

    def made(run_id: str = "r1", *, outputs: dict[str, Any] | None = None, **fields: Any) -> Run:
        folder = store.project.run_folder(run_id)
        folder.mkdir(parents=True)
        fields = {"state": State.SUCCESS, "started": START, "ended": START + timedelta(seconds=3)} | fields
        record = RunRecord(run_id, fields.pop("flow", "co2"), folder, **fields)
        store.create(record)
        for name, value in (outputs or {}).items():
            stored = store_value(name, value, record.outputs_folder)
            store.add_output(run_id, OutputRecord.from_json(stored | {"step": "load"}))
        return Run.load(run_id, store.project)

    return made


class Live:
    """A run that this process supervises."""

    def __init__(self, store: RecordStore) -> None:
        self.folder = store.project.run_folder("live")
        self.folder.mkdir(parents=True)
        self.lock = Lock(self.folder / "lock").acquire()
        self.record = RunRecord("live", "co2", self.folder)
        self.store = store
        store.create(self.record)

    def end(self, state: State) -> None:
        self.store.change("live", state=state)
        self.lock.release()


@pytest.fixture
def live(store: RecordStore) -> Live:
    return Live(store)


def test_a_run_tells_what_is_recorded(make: Made) -> None:
    run = make(
        outputs={"n": 5},
        parameters={"since": "date(2026, 1, 1)"},
        metrics={"cpu_seconds": 1.0},
        steps=[StepRecord("load", 0, State.SUCCESS)],
        labels=["big"],
        location="co2@1",
    )
    (run.folder / "log.txt").write_bytes(b"hello \xff\n")
    assert (run.id, run.flow, run.state, run.seconds, run.error) == ("r1", "co2", State.SUCCESS, 3.0, None)
    assert (run.started, run.ended) == (START, START + timedelta(seconds=3))
    assert run.parameters == {"since": date(2026, 1, 1)}
    assert run.metrics == {"cpu_seconds": 1.0}
    assert (run.labels, run.location, run.asked_by) == (["big"], "co2@1", "python")
    assert [step.name for step in run.steps] == ["load"]
    assert run.outputs["n"] == 5
    assert run.outputs is run.outputs
    assert run.notebook == run.folder / "executed.ipynb"
    assert run.document == run.folder / "flow.ipynb"
    assert run.logs == "hello \ufffd\n"
    assert run.callback_errors == []
    assert run.raise_for_state() is run
    assert run.wait() is run
    assert run.cancel() is False
    assert pickle.loads(pickle.dumps(run)) == run


def test_a_run_that_is_not_there(store: RecordStore) -> None:
    with pytest.raises(RunNotFoundError):
        Run.load("r1", store.project)


def test_an_id_is_never_taken_for_a_folder_nor_a_folder_for_an_id(
    make: Made, store: RecordStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make()
    monkeypatch.chdir(store.project.root)
    assert Run.load() == Run.load("last") == Run.load("r1") == run
    assert Runs.load("co2") == [run]
    with pytest.raises(RunNotFoundError, match="there is no folder 'r1'"):
        Run.load("r1", "r1")
    with pytest.raises(RunNotFoundError, match="there is no folder 'nowhere'"):
        Runs.load(project="nowhere")
    with pytest.raises(RunNotFoundError):
        Run.load(str(store.project.root))


def test_a_run_without_log_has_empty_logs(make: Made) -> None:
    assert make().logs == ""


def test_callback_errors_of_later_are_seen(make: Made, store: RecordStore) -> None:
    run = make()
    failure = {"name": "notify", "error": "OSError: <no>", "traceback": ""}
    store.change("r1", callback_errors=[failure])
    assert run.callback_errors == [failure]
    assert "callback notify: OSError: &lt;no&gt;" in run._repr_html_()
    assert "callback notify: OSError: <no>" in pretty(run)


def test_state_steps_and_outputs_follow_a_run_that_goes_on(live: Live, store: RecordStore) -> None:
    run = Run.load(project=store.project)
    assert run.state is State.PENDING
    assert len(run.outputs) == 0
    store.change("live", state=State.RUNNING)
    store.set_step("live", StepRecord("load", 0, State.RUNNING))
    stored = store_value("n", 5, run.folder / "outputs")
    store.add_output("live", OutputRecord.from_json(stored))
    assert run.state is State.RUNNING
    assert run.seconds is not None
    assert run.steps[0].state == "Running"
    assert run.outputs["n"] == 5
    live.end(State.SUCCESS)
    assert run.state is State.SUCCESS


def test_waiting_ends_with_the_run_and_gives_up_in_time(live: Live, store: RecordStore) -> None:
    run = Run.load(project=store.project)
    with pytest.raises(TimeoutError, match=r"run live of flow `co2` has not ended after 0\.05 s"):
        run.wait(0.05)
    with pytest.raises(RunFailedError, match="has not ended yet"):
        run.raise_for_state()
    timer = threading.Timer(0.1, live.end, [State.SUCCESS])
    timer.start()
    assert run.wait(20).state is State.SUCCESS
    timer.join()


def test_cancelling_calls_the_supervisor_here_and_leaves_word_for_another(
    live: Live, store: RecordStore
) -> None:
    asked: list[str] = []
    assert Run(live.record, store, cancel=lambda: asked.append("here")).cancel()
    assert asked == ["here"]
    assert not cancel_requested(live.folder)
    assert Run.load(project=store.project).cancel()
    assert cancel_requested(live.folder)
    live.end(State.CANCELLED)
    assert not Run.load(project=store.project).cancel()


def failed(make: Made, **fields: Any) -> Run:
    error = RunError(
        "ValueError", "bad <b>\x1b[31m\u202e", "report", 3, "    chart = plot(summary)", "Trace\n  <i>back"
    )
    steps = [
        StepRecord("load", 0, State.SUCCESS, seconds=2.0, cpu_seconds=1.0, peak_memory_bytes=5 << 20),
        StepRecord("report", 1, State.FAILED, seconds=1.0),
        StepRecord("end", 2),
    ]
    run = make(state=State.FAILED, error=error, steps=steps, **fields)
    run.notebook.write_text("{}")
    return run


def test_a_failed_run_is_raised_with_all_that_is_needed_to_mend_it(make: Made) -> None:
    with pytest.raises(RunFailedError) as caught:
        failed(make).raise_for_state()
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("flow `co2` ended as Failed in step report, line 3: ValueError: bad <b>")
    assert lines[1] == "    chart = plot(summary)"
    assert lines[2].startswith("executed notebook: ")
    assert lines[2].endswith("executed.ipynb")
    assert "\x1b" not in str(caught.value)
    assert "\u202e" not in str(caught.value)
    assert caught.value.exit_code == 1


def test_a_cancelled_run_without_a_step_is_raised_too(make: Made) -> None:
    with pytest.raises(RunFailedError, match=r"ended as Cancelled: Interrupted: by you"):
        make(state=State.CANCELLED, error=RunError("Interrupted", "by you")).raise_for_state()
    with pytest.raises(RunFailedError, match=r"^flow `co2` ended as Cancelled$"):
        make("r2", state=State.CANCELLED).raise_for_state()


class Checker(HTMLParser):
    """Notes the tags and attributes of a page, and that all are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check_html(markup: str) -> None:
    checker = Checker()
    checker.feed(markup)
    assert checker.open == []
    known = "style div span strong code pre details summary table thead tbody tr th td a img caption"
    assert checker.tags <= set(known.split())
    assert checker.attributes <= {"class", "scope", "href", "target", "rel", "src", "alt"}
    assert "\x1b" not in markup
    assert "\u202e" not in markup


def pretty(shown: Any) -> str:
    from IPython.lib.pretty import pretty as of

    return str(of(shown))


HOSTILE = "<img src=x onerror=alert(1)>\"'\u202e\x1b[2J\x00"


def test_a_run_shows_state_error_steps_outputs_and_where_it_is(make: Made) -> None:
    run = failed(make, outputs={"summary": [1, 2]}, parameters={"since": "1990"}, attempt=2)
    markup, text = run._repr_html_(), pretty(run)
    check_html(markup)
    for part in (
        "Failed",
        "co2",
        "report",
        "line 3",
        "chart = plot(summary)",
        "summary",
        "list, 2",
        "since",
        "5.2 MB",
        "attempt 2",
        "r1",
    ):
        assert part in markup, part
        assert part in text, part
    assert "3.00 s" in text
    assert "Trace" in markup
    assert repr(run) == "<Run r1: co2, Failed>"


def test_all_that_is_user_given_is_escaped_and_made_visible(make: Made) -> None:
    run = make(
        flow=HOSTILE,
        state=State.FAILED,
        error=RunError(HOSTILE, HOSTILE, HOSTILE, 1, HOSTILE, HOSTILE),
        steps=[StepRecord(HOSTILE, 0, State.FAILED)],
        parameters={HOSTILE: HOSTILE},
        callback_errors=[{"name": HOSTILE, "error": HOSTILE}, HOSTILE, 3],
        outputs={HOSTILE: HOSTILE},
        labels=[HOSTILE],
    )
    check_html(run._repr_html_())
    check_html(Runs([run])._repr_html_())
    for text in (pretty(run), repr(run), repr(Runs([run])), repr(run.outputs)):
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "\x00" not in text


def test_a_run_that_goes_on_shows_its_progress(live: Live, store: RecordStore) -> None:
    store.change("live", state=State.RUNNING)
    store.set_step("live", StepRecord("load", 0, State.SUCCESS, seconds=0.25))
    store.set_step("live", StepRecord("report", 1, State.RUNNING))
    run = Run.load(project=store.project)
    check_html(run._repr_html_())
    assert "▶ Running" in pretty(run)
    assert "0.25 s" in pretty(run)


def test_many_runs_are_a_table(make: Made, store: RecordStore) -> None:
    make("r1", parameters={"n": "1"})
    failed(lambda **fields: make("r2", **fields))
    runs = Runs.load(project=store.project)
    assert [run.id for run in runs] == ["r2", "r1"]
    assert [run.id for run in Runs.load(project=store.project, flow="co2", state="Success")] == ["r1"]
    assert Runs.load(project=store.project, before="r1") == []
    check_html(runs._repr_html_())
    text = runs.shown().to_text()
    assert text.splitlines()[0].split() == ["RUN", "FLOW", "STATE", "STARTED", "TIME", "N", "ERROR"]
    assert "✗ Failed" in text
    assert pretty(runs) == repr(runs)
    assert repr(Runs()) == "no runs"
    assert (type(runs[:1]), runs[:1], runs[0].id) == (Runs, [runs[0]], "r2")
    check_html(Runs()._repr_html_())


def test_many_runs_become_a_frame_with_parameters_and_plain_outputs(make: Made, store: RecordStore) -> None:
    import numpy as np

    class Trap:
        def __reduce__(self) -> Any:
            return pytest.fail, ("it was unpickled",)

    make(
        "r1",
        parameters={"n": "1", "name": "'EU'", "since": "date(2026, 1, 1)", "state": "'x'"},
        outputs={
            "score": 0.5,
            "mean": np.float64(2.5),
            "trap": Trap(),
            "table": [1, 2],
            "text": "x" * 20_000,
        },
    )
    make("r2", parameters={"n": "2"}, outputs={"score": None})
    frame = Runs.load(project=store.project).to_frame()
    assert list(frame["id"]) == ["r2", "r1"]
    row = frame.set_index("id").loc["r1"]
    assert (row["flow"], row["state"], row["seconds"], row["started"]) == ("co2", "Success", 3.0, START)
    assert (row["n"], row["name"], row["since"], row["parameters.state"]) == (
        1,
        "EU",
        date(2026, 1, 1),
        "x",
    )
    assert (row["outputs.score"], row["outputs.mean"]) == (0.5, 2.5)
    assert not {"outputs.trap", "outputs.table", "outputs.text"} & set(frame.columns)
    assert list(Runs().to_frame().columns) == ["id", "flow", "source", "state", "started", "seconds"]


def test_a_frame_without_pandas_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match="pip install pandas"):
        Runs().to_frame()
