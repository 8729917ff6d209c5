"""What runs are given: judged in their own process, derived there, recorded as values, told in one line."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from click.testing import CliRunner
from shell import ipython

from flownb import LocalEnvironment
from flownb.cli import main
from flownb.errors import ParameterError, RunFailedError
from flownb.parameters import Text
from flownb.runs import Run, State
from flownb.storage import NotebookStorage

if TYPE_CHECKING:
    from click.testing import Result

ROOT = Path(__file__).parent.parent

SETUP = """
from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum, Flag
from typing import Annotated, Literal, NamedTuple
from pydantic import AfterValidator, BaseModel, Field
from shades import Shade
class Config(BaseModel):
    n: int
    tags: list[str] = []
@dataclass
class Span:
    first: date
    days: int = 1
class Point(NamedTuple):
    x: int
    y: int = 0
Color = Enum("Color", "RED GREEN")
class Perm(Flag):
    R = 1
    W = 2
MAX = 3
MAX += 4
def even(n):
    if n % 2:
        raise ValueError("must be even")
    return n
"""

CELL = """%%flow job
n: Annotated[int, Field(le=2 * 5)] = 5
m: Annotated[int, AfterValidator(even)] = 2
top: Annotated[int, Field(le=MAX)] = 1
config: Config | None = None
span: Span | None = None
point: Point = Point(0)
color: Color = Color.RED
perm: Perm = Perm.R
shade: Shade = Shade.DARK
xs: list[str] = []
what: str | list[str] = "none"
start: date = date(2026, 1, 1)
end: date = start + timedelta(7)
repr([n, m, top, config, span, point, color, perm, shade, xs, what, start, end])
"""

DEFAULT = (
    "[5, 2, 1, None, None, Point(x=0, y=0), <Color.RED: 1>, <Perm.R: 1>, <Shade.DARK: 'dark'>, [], 'none', "
    "datetime.date(2026, 1, 1), datetime.date(2026, 1, 8)]"
)

#: the command line's texts, what the run then shows of it
GIVEN: list[tuple[dict[str, str], dict[str, Any], list[str]]] = [
    ({"n": "10", "top": "7", "m": "4"}, {"n": 10, "top": 7, "m": 4}, ["[10, 4, 7,"]),
    ({"config": '{"n": "1"}'}, {"config": {"n": "1"}}, ["Config(n=1, tags=[])"]),
    ({"span": '{"first": "2020-01-01"}'}, {"span": {"first": "2020-01-01"}}, ["date(2020, 1, 1), days=1)"]),
    ({"point": "1,2"}, {"point": "1,2"}, ["Point(x=1, y=2)"]),
    ({"color": "GREEN", "shade": "light"}, {"color": "GREEN", "shade": "light"}, [".GREEN", "Shade.LIGHT"]),
    ({"perm": "R|W"}, {"perm": 3}, ["<Perm.R|W: 3>"]),
    ({"perm": "3"}, {"perm": 3}, ["<Perm.R|W: 3>"]),
    ({"start": "2020-01-01"}, {"start": dt.date(2020, 1, 1)}, ["1), datetime.date(2020, 1, 8)]"]),
    ({"end": "2020-01-01"}, {"end": dt.date(2020, 1, 1)}, ["date(2026, 1, 1), datetime.date(2020, 1, 1)]"]),
]  # fmt: skip


def notebook(path: Path, *cells: str, parameters: int | None = None) -> Path:
    content = nbformat.v4.new_notebook()
    content.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    if parameters is not None:
        content.cells[parameters].metadata.tags = ["parameters"]
    nbformat.write(content, path)
    return path


@pytest.fixture
def job(project: Path) -> Path:
    """A saved notebook with one flow, and a module beside it."""
    (project / "shades.py").write_text(
        "import enum\nclass Shade(enum.Enum):\n    DARK, LIGHT = 'dark', 'light'\n"
    )
    return notebook(project / "job.ipynb", SETUP, CELL)


def call(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def last() -> Run:
    return Run.load(project=Path.cwd())


@pytest.mark.kernel
def test_texts_become_what_the_notebook_declares(job: Path) -> None:
    environment, storage = LocalEnvironment(), NotebookStorage(job)
    assert environment.execute(storage, "job").raise_for_state().outputs["result"] == DEFAULT
    for texts, recorded, shown in GIVEN:
        typed = {name: Text(text) if isinstance(text, str) else text for name, text in texts.items()}
        run = environment.execute(storage, "job", typed).raise_for_state()
        assert run.parameters == recorded
        assert all(part in run.outputs["result"] for part in shown), run.outputs["result"]
        assert Run.load(run.id, job.parent).parameters == recorded


@pytest.mark.kernel
@pytest.mark.parametrize("engine", ["flownb", "nbclient"])
def test_what_is_wrong_ends_the_run_before_its_first_step(job: Path, engine: str) -> None:
    environment, storage = LocalEnvironment(engine=engine, retries=2, backoff=0), NotebookStorage(job)
    run = environment.execute(storage, "job", {"n": 1000})
    words = (
        "flow `job`: `n` takes a whole number ≤ 2 * 5; it was given 1000 "
        "(Input should be less than or equal to 10)"
    )
    assert run.state is State.FAILED
    assert run.error is not None
    assert (run.error.kind, run.error.message, run.error.step) == ("ParameterError", words, "")
    assert (run.error.traceback, run.error.line, run.record.attempt) == ("", None, 1)
    assert [step.state for step in run.steps] == ["Skipped"]
    for kind in (ParameterError, RunFailedError):
        with pytest.raises(kind) as caught:
            run.raise_for_state()
        assert (str(caught.value), caught.value.exit_code) == (words, 2)
    (output,) = [o for cell in nbformat.read(run.notebook, 4).cells for o in cell.get("outputs", ())]
    assert (output.ename, output.evalue, output.traceback) == (
        "ParameterError",
        words,
        [f"ParameterError: {words}"],
    )


@pytest.mark.kernel
def test_a_steps_own_error_of_that_name_is_the_steps(project: Path) -> None:
    cell = "%%flow a\nclass ParameterError(Exception):\n    pass\nraise ParameterError('mine')"
    run = LocalEnvironment().execute(NotebookStorage(notebook(project / "a.ipynb", cell)), "a")
    assert run.error is not None
    assert (run.error.kind, run.error.step, run.error.of_parameters) == ("ParameterError", "a", False)


@pytest.mark.kernel
def test_a_default_that_cannot_be_made_is_told_with_its_line(job: Path) -> None:
    run = LocalEnvironment().execute(NotebookStorage(job), "job", {"start": "9999-12-30"})
    assert run.error is not None
    assert (run.error.kind, run.error.step, run.error.line) == ("OverflowError", "", None)
    with pytest.raises(
        RunFailedError, match=r"OverflowError: date value out of range\n    end = start \+ timedelta\(7\)"
    ):
        run.raise_for_state()


@pytest.mark.kernel
def test_the_command_line_tells_it_in_one_line_with_the_status_of_a_mistake(job: Path) -> None:
    done = call("run", job, "-p", "n=1000", "-p", "color=BLUE")
    assert done.exit_code == 2
    assert done.stderr.splitlines()[-3:] == [
        "flownb: flow `job`: 2 problems with its parameters",
        "  - `n` takes a whole number ≤ 2 * 5; it was given 1000 (Input should be less than or equal to 10)",
        "  - `color` takes Color; it was given 'BLUE' (one of RED, GREEN)",
    ]
    assert "Traceback" not in done.output
    listed = json.loads(call("runs", "--json").stdout)[0]
    assert listed["parameters"] == {"n": 1000, "color": "BLUE"}
    shown = call("runs").output
    assert "n=1000" in shown
    assert "color=BLUE" in shown


@pytest.mark.kernel
def test_files_and_the_command_line_give_the_same(job: Path) -> None:
    shown = []
    Path("v.yaml").write_text(
        "config: {n: 010, tags: [no, 12:30]}\nxs: [no, 1]\nwhat: [a]\nstart: 2020-01-01\n"
        "color: GREEN\nperm: R|W\n"
    )
    Path("v.json").write_text(
        '{"config": {"n": 10, "tags": ["no", "12:30"]}, "xs": ["no", "1"], "what": ["a"],'
        '"start": "2020-01-01", "color": "GREEN", "perm": 3}'
    )
    Path("v.toml").write_text(
        'xs = ["no", "1"]\nwhat = ["a"]\nstart = 2020-01-01\ncolor = 2\nperm = 3\n'
        '[config]\nn = 10\ntags = ["no", "12:30"]\n'
    )
    typed = ['config={"n": 10, "tags": ["no", "12:30"]}', "xs=no,1", 'what=["a"]', "start=2020-01-01"]
    for words in (
        ["-f", "v.yaml"],
        ["-f", "v.json"],
        ["-f", "v.toml"],
        [w for text in (*typed, "color=GREEN", "perm=R|W") for w in ("-p", text)],
    ):
        assert call("run", job, "--quiet", *words).exit_code == 0
        shown.append(last().outputs["result"])
    assert len(set(shown)) == 1
    assert "Config(n=10, tags=['no', '12:30'])" in shown[0]
    assert "['no', '1'], ['a'], datetime.date(2020, 1, 1), datetime.date(2020, 1, 8)" in shown[0]


@pytest.mark.kernel
def test_a_grid_derives_for_each_of_its_points(job: Path) -> None:
    runs = LocalEnvironment().map(
        NotebookStorage(job),
        "job",
        {"start": [dt.date(2020, 1, 1), "2021-01-01"], "n": [1, 1000]},
        parallel=2,
    )
    assert [str(run.state) for run in runs] == ["Success", "Failed", "Success", "Failed"]
    assert [run.outputs["result"][-26:] for run in runs[::2]] == [
        "datetime.date(2020, 1, 8)]",
        "datetime.date(2021, 1, 8)]",
    ]
    frame = runs.to_frame()
    assert list(frame["start"]) == [dt.date(2020, 1, 1)] * 2 + [dt.date(2021, 1, 1)] * 2
    assert list(frame["n"]) == [1, 1000, 1, 1000]


@pytest.mark.kernel
def test_instances_of_the_notebooks_classes_come_from_its_kernel(job: Path) -> None:
    sys.path.insert(0, str(job.parent))
    try:
        with ipython() as shell:
            shell.ok(SETUP)
            shell.ok(CELL)
            given = (
                "config={Config(n=1, tags=['a b'])} span={Span(date(2020, 1, 1), 2)} point={Point(1, 2)} "
                "color={Color.GREEN} perm={Perm.R | Perm.W} shade={Shade.LIGHT} what={['x', 'y']}"
            )
            run = shell.ok(f"%flow run job {given}").result
            assert run.parameters == {
                "config": {"n": 1, "tags": ["a b"]},
                "span": {"first": dt.date(2020, 1, 1), "days": 2},
                "point": {"x": 1, "y": 2},
                "color": "GREEN",
                "perm": 3,
                "shade": "LIGHT",
                "what": ["x", "y"],
            }
            assert run.outputs["result"] == (
                "[5, 2, 1, Config(n=1, tags=['a b']), Span(first=datetime.date(2020, 1, 1), days=2), "
                "Point(x=1, y=2), <Color.GREEN: 2>, <Perm.R|W: 3>, <Shade.LIGHT: 'light'>, [], ['x', 'y'], "
                "datetime.date(2026, 1, 1), datetime.date(2026, 1, 8)]"
            )
            run = shell.ok('%flow run job xs=["p q", \'r\'] what=["it\'s"] config={"n": 3}').result
            assert "Config(n=3, tags=[])" in run.outputs["result"]
            assert "['p q', 'r'], [\"it's\"]" in run.outputs["result"]
            failed = shell.run("%flow run job n=1000")
            assert not failed.success
            assert (
                "ParameterError: flow `job`: `n` takes a whole number ≤ 2 * 5; it was given 1000"
                in failed.text
            )
            assert "Traceback" not in failed.text
            live = shell.live.flow("job")
            assert "Config(n=1, tags=[])" in live.run(config=shell["Config"](n=1))["result"]
            with pytest.raises(ParameterError, match="`n` takes a whole number ≤ 2"):
                live.run(n=1000)
    finally:
        sys.path.remove(str(job.parent))
        sys.modules.pop("shades", None)


@pytest.mark.kernel
def test_plain_papermill_derives_and_judges_too(job: Path) -> None:
    def papermill(*words: str) -> subprocess.CompletedProcess[str]:
        source = [sys.executable, "-m", "papermill", f"flownb://{job}#job", "out.ipynb", "--no-progress-bar"]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            [*source, *words], capture_output=True, text=True, timeout=120, check=False, env=env
        )

    done = papermill("-p", "start", "2020-01-01", "-p", "color", "GREEN", "-p", "config", '{"n": 1}')
    assert done.returncode == 0, done.stderr
    shown = [
        o["data"]["text/plain"] for c in nbformat.read("out.ipynb", 4).cells for o in c.get("outputs", ())
    ]
    assert "datetime.date(2020, 1, 1), datetime.date(2020, 1, 8)]" in shown[0]
    assert "Config(n=1, tags=[]), None, Point(x=0, y=0), <Color.GREEN: 2>" in shown[0]
    done = papermill("-p", "n", "1000")
    assert done.returncode != 0
    assert "ParameterError: flow `job`: `n` takes a whole number ≤ 2 * 5; it was given 1000" in done.stderr


PLAIN = (
    "import math",
    (
        "from datetime import date, timedelta\n"
        "since: date = date(2020, 1, 1)\nuntil = since + timedelta(7)\nn = 2"
    ),
    "print(since, until, math.floor(n))",
)


@pytest.mark.kernel
def test_a_plain_notebook_is_run_whole(project: Path) -> None:
    notebook(project / "plain.ipynb", *PLAIN, parameters=1)
    before = Path("plain.ipynb").read_bytes()
    assert call("run", "plain.ipynb", "-p", "n=5", "-p", "since=1990-01-01").exit_code == 0
    assert "1990-01-01 1990-01-08 5\n" in last().logs
    assert (last().flow, last().parameters) == ("plain", {"since": dt.date(1990, 1, 1), "n": 5})
    assert call("run", "plain.ipynb#plain", "-p", "n=7").exit_code == 0
    assert "2020-01-01 2020-01-08 7\n" in last().logs
    wrong = call("run", "plain.ipynb", "-p", "since=soon")
    assert (wrong.exit_code, "`since` takes a date" in wrong.stderr) == (2, True)
    assert call("run", "plain.ipynb", "-p", "m=5").exit_code == 2
    assert Path("plain.ipynb").read_bytes() == before


def test_a_plain_notebook_is_shown_whole(project: Path) -> None:
    notebook(project / "plain.ipynb", *PLAIN, parameters=1)
    assert "until" in call("params", "plain.ipynb").output
    shown = json.loads(call("show", "--json", "plain.ipynb").stdout)
    assert [(p["name"], p["default"], p["default_source"]) for p in shown["parameters"]] == [
        ("since", "2020-01-01", "date(2020, 1, 1)"),
        ("until", None, "since + timedelta(7)"),
        ("n", 2, "2"),
    ]
    assert "plain.ipynb#plain" in call("show", "plain.ipynb").output
    assert "holds no flow other" in call("show", "plain.ipynb#other").stderr


def test_a_notebook_with_flows_is_not_run_whole(project: Path) -> None:
    notebook(project / "two.ipynb", "%%flow a\n1", "%%flow b\n2")
    done = call("run", "two.ipynb")
    assert (done.exit_code, "holds a, b; say which" in done.stderr) == (2, True)
    notebook(project / "broken.ipynb", "%%flow a b\n1")
    done = call("run", "broken.ipynb")
    assert (done.exit_code, "holds no flows" in done.stderr) == (2, True)
