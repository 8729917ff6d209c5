"""Collecting what runs leave: outputs, logs and metrics, in folders of one's own."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from callback_runs import failed, make_run, record_output, store_output

from flownb.callbacks import collect_logs, collect_metrics, collect_outputs
from flownb.callbacks.base import call
from flownb.callbacks.places import file_name, file_names, place
from flownb.errors import CallbackError
from flownb.runs import OutputRecord, State, StepRecord
from flownb.runs.values import store

ROOT = Path(__file__).parent.parent


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_outputs_become_ordinary_files(project: Path) -> None:
    run = make_run(project)
    store_output(run, "summary", "summary.parquet", b"PAR1")
    store_output(run, "chart", "chart.png", b"\x89PNG")
    target = call(collect_outputs("results"), run)
    assert target == project / "results" / "co2" / run.id
    assert (project / "results/co2" / run.id / "summary.parquet").read_bytes() == b"PAR1"
    assert (project / "results/co2/latest/chart.png").read_bytes() == b"\x89PNG"
    assert not [name for name in tree(project / "results") if ".tmp" in name]
    assert (run.folder / "log.txt").read_text() == f"collect_outputs: 2 files copied to {target}\n"


def test_outputs_as_flownb_stores_them_are_collected(project: Path) -> None:
    run = make_run(project)
    for name, value in (("größe", {"a": [1, 2.5, None]}), ("when", date(2026, 3, 1)), ("raw", b"\0\1")):
        record_output(run, OutputRecord.from_json(store(name, value, run.folder / "outputs")))
    target = collect_outputs("results")(run)
    assert target is not None
    assert {name.partition(".")[0] for name in tree(target)} == {"größe", "when", "raw"}
    assert json.loads((target / "größe.json").read_text()) == {"a": [1, 2.5, None]}


def test_latest_points_to_the_newest_run(project: Path) -> None:
    collect = collect_outputs(project / "results")
    for number in (1, 2):
        run = make_run(project, f"run-{number}")
        store_output(run, "n", "n.json", b"%d" % number)
        collect(run)
    assert (project / "results/co2/latest/n.json").read_bytes() == b"2"
    assert os.readlink(project / "results/co2/latest") == "run-2"


def test_outputs_are_chosen_by_name_and_format(project: Path) -> None:
    run = make_run(project)
    for name, file in (("summary", "summary.json"), ("chart", "chart.png"), ("other", "other.png")):
        store_output(run, name, file, b"x")
    collect_outputs("a", names=["summary", "chart"])(run)
    collect_outputs("b", formats=[".PNG"])(run)
    collect_outputs("c", names=["chart"], formats=["json"])(run)
    assert {name.rpartition("/")[2] for name in tree(project / "a")} == {"summary.json", "chart.png"}
    assert {name.rpartition("/")[2] for name in tree(project / "b")} == {"chart.png", "other.png"}
    assert not (project / "c").exists()


def test_a_picture_is_copied_in_all_its_files(project: Path) -> None:
    run = make_run(project)
    store_output(run, "chart", "chart-1a2b.png", b"\x89PNG", files=["chart-1a2b.png", "chart-1a2b.svg"])
    (run.folder / "outputs" / "chart-1a2b.svg").write_text("<svg/>")
    target = collect_outputs("results")(run)
    assert target is not None
    assert tree(target) == ["chart.png", "chart.svg"]


def test_a_run_without_outputs_leaves_nothing(project: Path) -> None:
    assert collect_outputs("results")(failed(project)) is None
    assert not (project / "results").exists()


def test_a_relative_folder_starts_at_the_project_whatever_the_working_folder(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(project)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert place("results", run) == project / "results"
    assert place(str(tmp_path / "x"), run) == tmp_path / "x"
    assert place("~/x", run) == Path(os.environ["HOME"]) / "x"


def test_a_record_that_points_out_of_its_folder_is_refused(project: Path) -> None:
    run = make_run(project)
    (run.folder / "secret.txt").write_text("x")
    record_output(run, OutputRecord("n", format="json", file="../secret.txt"))
    with pytest.raises(CallbackError, match="points out of its folder"):
        collect_outputs("results")(run)
    assert not (project / "results").exists()


def test_an_output_that_could_not_be_stored_is_passed_over(project: Path) -> None:
    run = make_run(project)
    store_output(run, "n", "n.json", b"1")
    record_output(run, OutputRecord("gone", format="error", error="disk full"))
    target = collect_outputs("results")(run)
    assert target is not None
    assert tree(target) == ["n.json"]


def test_outputs_that_differ_only_by_case_stay_two(project: Path) -> None:
    run = make_run(project)
    store_output(run, "Total", "1.json", b"1")
    store_output(run, "total", "2.json", b"2")
    target = collect_outputs("results")(run)
    assert target is not None
    assert len({name.casefold() for name in tree(target)}) == 2


@pytest.mark.parametrize("name", ["co2", "Umsätze März", "売上", "a-b_c", "v1.2"])
def test_plain_names_stay(name: str) -> None:
    assert file_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "a\\b",
        "a\0b",
        "CON",
        "nul",
        ".hidden",
        " x",
        "x\u202e",
        "売" * 100,
        "a" * 400,
    ],
    ids=range(14),
)
def test_other_names_become_plain_ones(name: str) -> None:
    made = file_name(name)
    assert made not in {"", ".", ".."}
    assert not made.startswith((".", " "))
    assert not set(made) & set("/\\\0\u202e")
    assert len(made.encode()) <= 200
    assert made != name


def test_different_names_give_different_files() -> None:
    names = ["a/b", "a_b", "a\\b", "A_B", "x" * 300, "x" * 301]
    files = file_names(names)
    assert len({file.casefold() for file in files.values()}) == len(names)


def test_the_log_is_a_text_file(project: Path) -> None:
    run = failed(project, flow="Umsätze", logs="begin\nµ = 3\n")
    target = call(collect_logs("logs"), run)
    assert target == project / "logs" / "Umsätze" / f"{run.id}.log"
    assert target.read_text("utf-8") == "begin\nµ = 3\n"
    assert tree(project / "logs") == [f"Umsätze/{run.id}.log"]


def steps() -> list[StepRecord]:
    return [
        StepRecord("load", 0, State.SUCCESS, seconds=1.5, cpu_seconds=1.25, peak_memory_bytes=80_000_000),
        StepRecord("report", 1, State.FAILED, seconds=0.5),
    ]


def test_metrics_are_a_line_for_the_run_and_one_for_each_step(project: Path) -> None:
    run = failed(project, steps=steps(), metrics={"cpu_seconds": 2.0, "peak_memory_bytes": 90_000_000})
    collect = collect_metrics("metrics/all.jsonl")
    collect(run)
    collect(run)
    lines = [json.loads(line) for line in (project / "metrics/all.jsonl").read_text().splitlines()]
    assert len(lines) == 6
    assert lines[0] == {
        "flow": "co2",
        "run": run.id,
        "step": "",
        "state": "Failed",
        "started": "2026-03-01T04:00:00+00:00",
        "ended": "2026-03-01T04:00:12.500000+00:00",
        "seconds": 12.5,
        "cpu_seconds": 2.0,
        "peak_memory_bytes": 90_000_000,
    }
    assert [line["step"] for line in lines[:3]] == ["", "load", "report"]
    assert lines[2]["cpu_seconds"] is None


def test_metrics_as_csv_have_one_header(project: Path) -> None:
    run = make_run(project, flow='Umsätze, "neu"', steps=steps())
    collect = collect_metrics(project / "metrics.csv")
    collect(run)
    collect(run)
    with (project / "metrics.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["", "load", "report"] * 2
    assert rows[0]["flow"] == 'Umsätze, "neu"'
    assert rows[2]["peak_memory_bytes"] == ""


def test_a_torn_last_line_spoils_no_other(project: Path) -> None:
    path = project / "metrics.jsonl"
    path.write_text('{"flow": "co2", "ru')
    collect_metrics(path)(make_run(project))
    torn, whole = path.read_text().splitlines()
    assert torn == '{"flow": "co2", "ru'
    assert json.loads(whole)["flow"] == "co2"


FULL_DISK = """
import resource, sys
from pathlib import Path
from flownb.callbacks.places import append_lines
path = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 5, resource.RLIM_INFINITY))
try:
    append_lines(path, "a line that is too long\\n")
except OSError as error:
    print(type(error).__name__)
"""


def test_what_does_not_fit_on_the_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text("{}\n")
    command = [sys.executable, "-c", FULL_DISK, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "OSError\n"
    assert path.read_text() == "{}\n"


APPENDER = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from callback_runs import make_run
from flownb.callbacks import collect_metrics
from flownb.runs import OutputRecord, StepRecord
from flownb.runs.values import store
project, number = Path(sys.argv[1]), sys.argv[2]
run = make_run(project, "run-" + number, flow="x" * 3000, steps=[StepRecord("s" * 3000, 0)])
collect = collect_metrics(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
for _ in range(100):
    collect(run)
"""


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_many_processes_append_and_no_line_is_torn(project: Path, ending: str) -> None:
    command = [sys.executable, "-c", APPENDER.format(tests=str(ROOT / "tests")), str(project)]
    workers = [
        subprocess.Popen(
            [*command, str(number), f"metrics.{ending}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )
        for number in range(4)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        worker.communicate(timeout=60)
        assert worker.returncode == 0
    rows: list[dict[str, Any]]
    with (project / f"metrics.{ending}").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file)) if ending == "csv" else [json.loads(line) for line in file]
    assert len(rows) == 4 * 100 * 2
    assert {len(row["flow"]) for row in rows} == {3000}
    for number in range(4):
        mine = [row for row in rows if row["run"] == f"run-{number}"]
        assert [len(row["step"]) for row in mine] == [0, 3000] * 100


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: collect_metrics("metrics.txt"), [".jsonl or .csv", "metrics.txt"]),
        (lambda: collect_outputs("x", names="summary"), ["`names`", "'summary'"]),
        (lambda: collect_outputs("x", formats=[1]), ["`formats`", "1"]),
        (lambda: collect_outputs(""), ["`folder`"]),
        (lambda: collect_logs("a\0b"), ["`folder`"]),
    ],
)
def test_wrong_options_are_named(make: Any, words: list[str]) -> None:
    with pytest.raises(CallbackError) as caught:
        make()
    assert all(word in str(caught.value) for word in words), str(caught.value)
