"""What a notebook shows of a run beside its record: results, the log while it goes on, a link that opens."""

from __future__ import annotations

import base64
import os
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from flownb.document import write
from flownb.flow import Flow, Parameter, Step
from flownb.runs import Project, RecordStore, Run, RunRecord, Runs, State, StepRecord
from flownb.runs.beside import OPEN
from flownb.runs.record import OutputRecord
from flownb.runs.values import store as store_value

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    return tmp_path


def recorded(project: Path, run_id: str = "20261129-130000-aa0000bb1111", **fields: Any) -> Run:
    store = RecordStore(Project(project))
    folder = store.project.run_folder(run_id)
    folder.mkdir(parents=True, exist_ok=True)
    outputs = fields.pop("outputs", {})
    start = datetime(2026, 11, 29, 13, tzinfo=UTC)
    fields = {"state": State.SUCCESS, "started": start, "ended": start + timedelta(seconds=3)} | fields
    record = RunRecord(run_id, "sales", folder, **fields)
    store.create(record)
    record.notebook.write_text("{}")
    for name, value in outputs.items():
        stored = value if isinstance(value, dict) and "format" in value else None
        data = stored or store_value(name, value, record.outputs_folder)
        store.add_output(run_id, OutputRecord.from_json(data))
    return Run.load(run_id, store.project)


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html.partition("</style>")[2]))


def test_tables_are_shown_with_their_first_rows_and_how_many_there_are(project: Path) -> None:
    frame = pd.DataFrame({"month": range(1057), "amount": 0.1 + 0.2, "a<b": "x"})
    run = recorded(project, outputs={"orders": frame, "by": frame.set_index("month")["amount"]})
    for text in (text_of(run._repr_html_()), " ".join(repr(run.outputs).split())):
        assert "orders DataFrame, 5 of 1,057 rows, 3 columns" in text
        assert "by Series, 5 of 1,057 rows, 1 column" in text
        assert " 4 0.3 x " in text.replace("…", " ") + " "
    assert "a&lt;b" in run._repr_html_()


def test_a_table_that_an_older_version_stored_is_shown_by_its_preview(project: Path) -> None:
    data = store_value("orders", pd.DataFrame({"month": [1, 2]}), project / "x")
    del data["detail"]["head"], data["detail"]["size"]
    run = recorded(project, outputs={"orders": data})
    assert "orders DataFrame, 2 x 1" in text_of(run._repr_html_())
    assert "<pre>" in run._repr_html_()


def test_what_a_record_says_of_a_table_may_be_anything(project: Path) -> None:
    data = store_value("orders", pd.DataFrame({"month": [1, 2]}), project / "x")
    for number, head in enumerate(
        (3, {"columns": ["a"], "rows": [["1", "2"]]}, {"columns": 1, "rows": []}, None)
    ):
        detail = {**data["detail"], "head": head, "size": head}
        run = recorded(project, f"run{number}", outputs={"orders": {**data, "detail": detail}})
        assert "orders DataFrame, 2 x 1" in text_of(run._repr_html_())


def picture(project: Path, *suffixes: str, content: bytes = b"...") -> dict[str, Any]:
    data = store_value("chart", 1, project / "x")
    files = [f"chart{suffix}" for suffix in suffixes]
    folder = Project(project).run_folder("20261129-130000-aa0000bb1111") / "outputs"
    folder.mkdir(parents=True)
    for file in files:
        (folder / file).write_bytes(content)
    return {**data, "format": "picture", "type": "Figure", "file": files[0], "detail": {"files": files}}


@pytest.mark.parametrize(("suffixes", "mime"), [((".png", ".svg"), "png"), ((".svg",), "svg+xml")])
def test_figures_are_shown_as_images_that_cannot_run_scripts(
    project: Path, suffixes: tuple[str, ...], mime: str
) -> None:
    data = picture(project, *suffixes, content=b"<svg onload='alert(1)'/>")
    html = recorded(project, outputs={"chart": data})._repr_html_()
    encoded = base64.b64encode(b"<svg onload='alert(1)'/>").decode()
    assert f'<img src="data:image/{mime};base64,{encoded}" alt="chart">' in html
    assert "onload" not in html


def test_a_picture_that_is_not_there_or_leads_elsewhere_is_only_named(project: Path) -> None:
    data = picture(project, ".png")
    for number, file in enumerate(("gone.png", "../../flow.png", "/etc/passwd.png", "")):
        detail = {**data, "file": file, "detail": {"files": [file]}}
        html = recorded(project, f"run{number}", outputs={"chart": detail})._repr_html_()
        assert "<img" not in html
        assert "chart Figure" in text_of(html)


def test_the_executed_notebook_opens_from_the_notebook(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = recorded(project)
    link = project / OPEN / "sales-bb1111.ipynb"
    assert f'href="{OPEN}/sales-bb1111.ipynb"' in run._repr_html_()
    assert link.read_text() == "{}"
    assert not os.readlink(link).startswith("/")  # it goes along with the project
    assert (project / OPEN / ".gitignore").read_text() == "*\n"
    (project / "deep folder").mkdir()
    monkeypatch.setenv("JPY_SESSION_NAME", str(project / "deep folder" / "a.ipynb"))
    assert f'href="../{OPEN}/sales-bb1111.ipynb"' in run._repr_html_()
    assert f'href="../{OPEN}/sales-bb1111.ipynb"' in Runs.load(project=project)._repr_html_()


def test_no_link_is_made_where_its_place_is_taken_or_leads_elsewhere(project: Path) -> None:
    run = recorded(project)
    (project / "elsewhere").mkdir()
    (project / OPEN).symlink_to("elsewhere")
    assert run.link is None
    assert "href" not in run._repr_html_()
    assert list((project / "elsewhere").iterdir()) == []
    (project / OPEN).unlink()
    (project / OPEN).write_text("mine")
    assert run.link is None
    (project / OPEN).unlink()
    (project / OPEN).mkdir()
    (project / OPEN / "sales-bb1111.ipynb").symlink_to("/etc/passwd")
    assert run.link is None
    assert str(run.notebook) in run._repr_html_()


def test_a_terminal_makes_no_link(project: Path) -> None:
    run = recorded(project)
    assert str(run.notebook) in str(Runs([run])) + _pretty(run)
    assert not (project / OPEN).exists()


def _pretty(run: Run) -> str:
    from IPython.lib.pretty import pretty

    return str(pretty(run))


def test_parameters_are_shown_with_the_defaults_that_counted_and_no_secret(project: Path) -> None:
    flow = Flow(
        "sales",
        parameters=(
            Parameter("rows", "int", "10"),
            Parameter("since", "date", "date(1958, 1, 1)"),
            Parameter("token", "Secret", '"hunter2"'),
        ),
        steps=(Step("sales", "1"),),
    )
    run = recorded(project, parameters={"rows": "500"}, digest=flow.digest)
    write(flow, run.document)
    assert "parameters rows=500 , since=1958-01-01 , token=***" in text_of(run._repr_html_())
    for shown in (
        Runs.load(project=project)._repr_html_(),
        str(Runs.load(project=project)),
        run._repr_html_(),
    ):
        assert "hunter2" not in shown
    assert str(Runs.load(project=project)).splitlines()[0].split()[5:8] == ["ROWS", "SINCE", "TOKEN"]


def test_a_run_that_goes_on_shows_a_clock_and_the_end_of_its_log(project: Path) -> None:
    started = datetime.now(UTC) - timedelta(seconds=75)
    steps = [StepRecord("load", 0, State.RUNNING, started=started), StepRecord("report", 1)]
    run = recorded(project, state=State.RUNNING, started=started, ended=None, steps=steps)
    run.record.log.write_bytes(b"".join(b"line %d\n" % number for number in range(2000)) + b"\xff<b>\n")
    from flownb.displays.run import run_card
    from flownb.runs.beside import beside

    record = replace(RecordStore(Project(project)).get(run.id), state=State.RUNNING, error=None, steps=steps)
    card = run_card(record, [], beside(Project(project), record, []))
    for text in (text_of(card.html), " ".join(card.text.split())):
        assert "1 min 15 s" in text
        assert "line 1999" in text
        assert "line 1990" not in text
    assert "&lt;b&gt;" in card.html


def test_ids_in_the_table_are_short_and_name_the_run(project: Path) -> None:
    run = recorded(project, labels=["big"], outputs={"best": 8, "all": [1, 2], "text": "fine"})
    header, line = str(Runs.load(project=project)).splitlines()
    assert line.split()[0] == "bb1111"
    assert Run.load("bb1111", project) == run
    assert header.split()[5:7] == ["BEST", "TEXT"]
    assert Runs.load(project=project).shown().to_text(66).splitlines()[0].split() == [
        *("RUN", "FLOW", "STATE", "STARTED", "TIME", "BEST", "TEXT"),
    ]


def test_many_parameters_share_a_column(project: Path) -> None:
    recorded(project, parameters={f"p{number}": str(number) for number in range(30)})
    header, line = Runs.load(project=project).shown().to_text().splitlines()
    assert "PARAMETERS" in header
    assert "p0=0, p1=1" in line
    assert max(map(len, Runs.load(project=project).shown().to_text(80).splitlines())) <= 80
