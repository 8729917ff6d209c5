from __future__ import annotations

import io
import os
import pty
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unchecked import named

from flownb.displays.captures import Replayed, capture_summary
from flownb.displays.flows import flow_card, flow_list, parameters_table
from flownb.displays.parts import Line, Shown, Table, amber, code
from flownb.displays.wording import (
    exact_size_text,
    seconds_text,
    shorten,
    size_text,
    visible,
)
from flownb.environments import LocalEnvironment
from flownb.flow import Carried, Flow, Parameter, Requirements, Step
from flownb.runs.record import RunRecord, StepRecord
from flownb.runs.states import State
from flownb.storage import DirectoryStorage
from flownb.ui.progress import Throttle, progress_for

if TYPE_CHECKING:
    from collections.abc import Callable

_VOID = {"img"}


class Checked(HTMLParser):
    """Reads HTML strictly: what is opened is closed, in order; keeps tags, attributes and the text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.update(name for name, _ in attrs)
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


ALLOWED_TAGS = {"style", "div", "span", "strong", "code", "pre", "details", "summary", "a"} | {
    "table", "caption", "thead", "tbody", "tr", "th", "td", "svg", "path", "rect", "text",
}  # fmt: skip
ALLOWED_ATTRIBUTES = {"style"} | {
    "class",
    "scope",
    "viewbox",
    "width",
    "height",
    "role",
    "aria-label",
    "d",
    "x",
    "y",
    "rx",
}


def flow(name: str = "co2", secret: str = '"hunter2"') -> Flow:
    return Flow(
        name,
        parameters=(
            Parameter("since", "date", "date(1958, 1, 1)", "first month"),
            Parameter("station", "str", None, "which station"),
            Parameter("token", "Secret", secret, "for the service"),
        ),
        steps=(
            Step("load", "readings = monthly(DATA)\n", reads=("DATA", "monthly"), binds=("readings",)),
            Step("report", "summary = readings\n", ("summary",), reads=("readings",), binds=("summary",)),
        ),
        closure=(
            Carried("pd", "import", "import pandas as pd", type="module of pandas", size=19),
            Carried(
                "monthly",
                "statement",
                "def monthly(x): return pd",
                ("monthly",),
                reads=("pd",),
                type="function",
                size=1510,
                cell=1,
            ),
            Carried("DATA", "statement", "DATA = 'x.csv'", ("DATA",), type="statement", size=14, cell=2),
            Carried(
                "model", "frozen", "model = ...", type="Model", size=5_200_000, at="2026-11-29T08:05:00+00:00"
            ),
        ),
        description="Yearly means.",
        requirements=Requirements("3.11.9", {"pandas": "3.0.1"}, {"helpers": "ab" * 32}),
    )


@dataclass
class Ran:
    state: str = "Success"
    seconds: float | None = 1.234
    id: str = "r1"


# -- after a capture


def test_a_capture_is_told_in_one_line_with_the_rest_behind_it() -> None:
    shown = capture_summary(flow(), "report")
    assert shown.text.splitlines()[0].startswith("✓ captured co2.report · version ")
    assert "output summary" in shown.text.splitlines()[0]
    page = Checked(shown.html)
    assert page.tags.count("details") >= 1
    assert "open" not in page.attributes


REPLAYED = [Replayed("In[2]", 1, 0.01, ("pd",)), Replayed("In[7]", 3, 40.7, ("raw", "table"))]


def test_a_capture_tells_what_a_run_replays_and_what_that_cost_here() -> None:
    shown = capture_summary(flow(), "load", replayed=REPLAYED[:1])
    assert "replays 1 statement of In[2]\n" in shown.to_text()
    shown = capture_summary(flow(), "load", replayed=REPLAYED)
    assert "replays 4 statements of In[2], In[7]: 40.7 s" in shown.to_text()
    assert "In[7]: raw, table" in shown.text
    assert "def monthly(x): return pd" in Checked(shown.html).text
    many = [Replayed(f"In[{number}]", 2) for number in range(1, 10)]
    assert (
        "18 statements of In[1], In[2], In[3], In[4], In[5], 4 more"
        in capture_summary(flow(), "load", replayed=many).to_text()
    )


def test_a_capture_offers_what_to_do_where_replaying_takes_long() -> None:
    shown = capture_summary(flow(), "load", replayed=REPLAYED)
    for text in (shown.text, Checked(shown.html).text):
        told = " ".join(text.replace("`", "").split())
        assert "each run replays 40.7 s of work, most of it In[7]: --freeze raw keeps" in told
    assert "of work" not in capture_summary(flow(), "load", replayed=REPLAYED[:1]).text


def test_what_is_frozen_stands_outside_of_what_has_to_be_opened_with_type_size_and_age() -> None:
    shown = capture_summary(flow(), "load")
    assert shown.html.index("</details>") < shown.html.index("frozen since")
    for text in (shown.text, Checked(shown.html).text):
        told = " ".join(text.replace("`", "").split())
        assert "frozen since 2026-11-29 08:05 UTC: model (Model, 5.2 MB)" in told
        assert "bind it in a cell above" in " ".join(text.split())


def test_a_flow_of_one_step_is_called_by_its_name_alone() -> None:
    one = Flow("sales", steps=(Step("sales", "1", result=True),))
    assert capture_summary(one, "sales").text == f"✓ captured sales · version {one.version} · output result"


def test_notes_stand_outside_of_what_has_to_be_opened() -> None:
    shown = capture_summary(flow(), "load", notes=["`exec` reads names that cannot be seen"], ran=False)
    assert shown.html.index("</details>") < shown.html.index("cannot be seen")
    assert "captured without running" in shown.to_text()
    assert "note" in shown.text


def test_names_in_a_note_are_set_as_code_and_escaped() -> None:
    page = Checked(Shown([amber("`a<b>` was redefined in In[3]")]).html)
    assert page.text.strip() == "⚠ a<b> was redefined in In[3]"
    assert page.tags == ["style", "div", "div", "code"]
    assert Checked(Shown([amber("one ` alone <i>")]).html).text.strip() == "⚠ one ` alone <i>"


def test_a_secrets_default_is_not_shown() -> None:
    one = flow()
    for shown in (capture_summary(one, "load"), flow_list([one]), flow_card(one)):
        assert "hunter2" not in shown.text + shown.html
        assert "***" in shown.html


# -- lists and cards


def test_the_list_tells_parameters_steps_outputs_and_the_last_run() -> None:
    shown = flow_list([flow(), flow("other")], last_runs={"co2": Ran()}, where="x.ipynb")
    header, first, second = shown.to_text().splitlines()
    assert header.split() == ["FLOW", "PARAMETERS", "STEPS", "OUTPUTS", "VERSION", "LAST", "RUN"]
    assert "since=date(1958, 1, 1), station required, token=***" in first
    assert first.endswith("✓ Success 1.23 s")
    assert second.endswith("never ran")
    assert "x.ipynb" in shown.html


def test_a_list_without_flows_says_how_to_make_one() -> None:
    assert "%%flow NAME" in flow_list([], where="x.ipynb").text


def test_a_flow_that_cannot_be_read_does_not_hide_the_others() -> None:
    shown = flow_list([flow()], problems={"broken": "cell 3: invalid syntax"})
    for text in (shown.text, Checked(shown.html).text):
        assert "co2" in text
        assert "broken cannot be read: cell 3: invalid syntax" in text
    assert "No flows" not in flow_list([], problems={"broken": "x"}).text


def test_a_card_shows_the_source_of_each_step_and_the_whole_closure() -> None:
    shown = flow_card(flow(), where="x.ipynb#co2", notes=["watch out"])
    assert flow().digest not in shown.text + shown.html
    assert "readings from load" in shown.text
    assert '<text class="names"' in shown.html
    for text in (shown.text, Checked(shown.html).text):
        for part in (
            "Yearly means.",
            "summary = readings",
            "5.2 MB",
            "Python 3.11.9",
            "pandas 3.0.1",
        ):
            assert part in text
        assert "helpers.py" in text
        assert "watch out" in text


def test_a_flow_with_nothing_in_it_can_be_shown() -> None:
    empty = Flow("empty")
    for shown in (flow_list([empty]), flow_card(empty)):
        assert "empty" in shown.text
        Checked(shown.html)


def test_tables_have_headers_for_columns_and_rows() -> None:
    html = Shown([Table(["name", "empty", "help"], [["a", "", "x"], ["b", "", "y"]], "Caption")]).html
    assert html.count('scope="col"') == 2  # the empty column is left out
    assert html.count('scope="row"') == 2
    assert ">Caption<" in html
    assert "<table" not in Shown([Table(["name"], [], "Caption")]).html


def test_a_shown_thing_is_html_in_a_notebook_and_text_elsewhere() -> None:
    bundle = Shown([Line(("a ", code("<b>")), "title")])._repr_mimebundle_()
    assert bundle["text/plain"] == "a <b>"
    assert bundle["text/html"].endswith('<div class="title">a <code>&lt;b&gt;</code></div>\n</div>')
    assert len(bundle["text/html"]) < 4_500  # all of it goes into the notebook, with each display


_HOSTILE = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [
            "</summary><script>alert(1)</script>",
            '"onmouseover="x',
            "<!--",
            "&lt;",
            "\u202ea\u2066",
            "\x1b]0;x\x07",
            "\ud800",
        ]
    ),
)


@given(st.lists(_HOSTILE, min_size=8, max_size=8, unique=True))
def test_nothing_given_by_a_user_becomes_markup_or_control(hostile: list[str]) -> None:
    one, two, three, four, five, six, seven, eight = hostile
    evil = Flow(
        "f",
        parameters=(Parameter(two, three, four, five),),
        steps=(
            named(Step("s", seven, (two, eight), reads=(two, three)), six),
            named(Step("t", one, reads=(one,), binds=(two,)), eight),
        ),
        closure=(
            Carried(three, "literal", four, type=five),
            Carried(one, "pickle", two, (two, three), type=six),
        ),
        description=six,
        requirements=Requirements(seven, {eight: one}, {two: three}),
    )
    evil = named(evil, one)
    runs = {one: Ran(state=four)}
    for shown in (
        capture_summary(evil, six, notes=[five]),
        flow_list([evil], last_runs=runs, where=two, problems={three: four}),
        flow_card(evil, where=two, notes=[three]),
    ):
        page = Checked(shown.html)
        assert set(page.tags) <= ALLOWED_TAGS
        assert page.attributes <= ALLOWED_ATTRIBUTES
        for text in (shown.text, page.text):
            assert visible(text, lines=True) == text
        shown.html.encode("utf-8")


def test_invisible_characters_are_written_out_and_joiners_stay() -> None:
    assert visible("a\u202eb\x1b\n") == "a\\u202eb\\x1b\\n"
    assert visible("a\tb\n", lines=True) == "a\tb\n"
    assert visible("می\u200cخواهم") == "می\u200cخواهم"


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_960, "1.0 MB"),
        (5e9, "5.0 GB"),
        (2e12, "2.0 TB"),
    ],
)
def test_sizes_are_written_for_people(size: float, text: str) -> None:
    assert size_text(int(size)) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0, "0.00 s"),
        (9.99, "9.99 s"),
        (9.999, "10.0 s"),
        (59.99, "1 min 00 s"),
        (245, "4 min 05 s"),
        (3599.9, "1 h 00 min"),
        (7980, "2 h 13 min"),
    ],
)
def test_durations_are_written_for_people(seconds: float | None, text: str) -> None:
    assert seconds_text(seconds) == text


def test_a_text_table_lines_up_wide_letters_and_leaves_out_empty_columns() -> None:
    shown = Shown([Table(("name", "none", "help"), [("売上", "", "x"), ("a", "", "y")])])
    assert shown.text == "NAME  HELP\n売上  x\na     y"


def test_a_text_table_fits_a_width_by_breaking_the_long_column() -> None:
    rows = [("a1", "one of many words that go on and on", "Ada"), ("b2", "short", "Bob")]
    table = Shown([Table(("id", "what", "who"), rows)])
    assert table.to_text(34).splitlines() == [
        "ID  WHAT                       WHO",
        "a1  one of many words that go  Ada",
        "    on and on",
        "b2  short                      Bob",
    ]
    assert table.to_text().splitlines()[1] == "a1  one of many words that go on and on  Ada"


def test_a_text_table_leaves_out_what_gives_way_where_it_is_too_wide() -> None:
    table = Table(("id", "what", "who"), [("a1", "a few words", "Ada")], gives_way=(2, 1))
    assert Shown([table]).to_text(80).split() == ["ID", "WHAT", "WHO", "a1", "a", "few", "words", "Ada"]
    assert Shown([table]).to_text(18).split() == ["ID", "WHAT", "a1", "a", "few", "words"]
    assert Shown([table]).to_text(5).split() == ["ID", "a1"]


def test_a_few_words_stay_on_one_line_in_a_table() -> None:
    rows = [("a", ("✓ ", code("Success"), " 2")), ("b", "word " * 40)]
    shown = Shown([Table(("state", "error"), rows)]).html
    assert '<td class="n">✓ <code>Success</code> 2</td>' in shown
    assert "<td>word word" in shown


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (500 * 10**6, "500 MB"),
        (2 * 10**9, "2 GB"),
        (1_500_000_000, "1.5 GB"),
        (2**29, "512 MiB"),
        (2**31, "2 GiB"),
        (2048 * 10**6, "2048 MB"),
        (20_000_001, "20000001 B"),
    ],
)
def test_a_limit_is_written_in_the_unit_in_which_it_is_a_short_number(size: int, text: str) -> None:
    assert exact_size_text(size) == text


def test_long_text_is_cut_with_a_mark() -> None:
    assert shorten("a\n b " + "c" * 100, 10) == "a b cccccc"[:9] + "…"


def test_parameters_are_laid_out_with_what_is_required() -> None:
    assert [line.split()[0:3] for line in Shown([parameters_table(flow())]).text.splitlines()] == [
        ["NAME", "TYPE", "DEFAULT"],
        ["since", "date", "date(1958,"],
        ["station", "str", "required"],
        ["token", "Secret", "***"],
    ]


# -- progress


@dataclass
class RunNow:
    record: RunRecord

    def _repr_html_(self) -> str:
        return f"<p>{self.record.state}</p>"


def through_a_run(on_change: Callable[[RunNow], object]) -> None:
    start = datetime.now(UTC)
    record = RunRecord(
        "20261122-041500-ab", "co2", Path("x"), steps=[StepRecord("load", 0), StepRecord("report", 1)]
    )
    load, report = record.steps
    record = replace(record, state=State.RUNNING, started=start)
    for steps in (
        [load, report],
        [replace(load, state=State.RUNNING), report],
        [replace(load, state=State.SUCCESS, seconds=1.2), replace(report, state=State.RUNNING)],
        [replace(load, state=State.SUCCESS, seconds=1.2), replace(report, state=State.FAILED, seconds=0.1)],
    ):
        record = replace(record, steps=steps)
        on_change(RunNow(record))
        on_change(RunNow(record))
    on_change(RunNow(replace(record, state=State.FAILED, ended=start + timedelta(seconds=1.4))))


def test_without_a_terminal_each_step_is_one_line() -> None:
    stream = io.StringIO()
    with progress_for(notebook=False, stream=stream) as on_change:
        through_a_run(on_change)
    assert stream.getvalue().splitlines() == [
        "co2: run 20261122-041500-ab",
        "  load: ✓ Success 1.20 s",
        "  report: ✗ Failed 0.10 s",
        "co2: ✗ Failed 1.40 s",
    ]


def test_a_terminal_shows_the_last_state_of_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with progress_for(notebook=False, stream=stream) as on_change:
        through_a_run(on_change)
    last = stream.getvalue().rsplit("load", 1)[1]
    for word in ("Success", "1.20 s", "report", "Failed", "0.10 s", "1.40 s"):
        assert word in last


@pytest.mark.parametrize("variables", [{"PAGER": "cat", "GIT_PAGER": "cat"}, {"TERM": "dumb"}])
def test_where_nothing_can_be_written_over_each_step_is_one_line(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    monkeypatch.setenv("TERM", "xterm-color")
    monkeypatch.delenv("PAGER", raising=False)
    for name, value in variables.items():  # of a command in a notebook's cell; of an editor's terminal
        monkeypatch.setenv(name, value)
    reading, writing = pty.openpty()
    with open(writing, "w") as stream, progress_for(notebook=False, stream=stream) as on_change:
        through_a_run(on_change)
    shown = b""
    with suppress(OSError), os.fdopen(reading, "rb", buffering=0) as terminal:  # nobody writes any more
        while piece := terminal.read(10_000):
            shown += piece
    lines = shown.decode().splitlines()
    assert lines[1:] == ["  load: ✓ Success 1.20 s", "  report: ✗ Failed 0.10 s", "co2: ✗ Failed 1.40 s"]


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_or_a_reader_that_goes_away_is_no_matter_of_the_run(
    monkeypatch: pytest.MonkeyPatch, *, terminal: bool
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    reading, writing = pty.openpty() if terminal else os.pipe()
    with open(writing, "w") as stream:  # a descriptor
        with progress_for(notebook=False, stream=stream) as on_change:
            os.close(reading)
            through_a_run(on_change)
        with pytest.raises(OSError, match=r"Broken pipe|Input/output"):
            print("more", file=stream, flush=True)
        nowhere = os.open(os.devnull, os.O_WRONLY)  # what is left is written when it is closed
        os.dup2(nowhere, writing)
        os.close(nowhere)


def test_a_notebook_gets_one_display_that_is_updated(monkeypatch: pytest.MonkeyPatch) -> None:
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    InteractiveShell.instance()
    try:
        with capture_output() as captured, progress_for(notebook=True) as on_change:
            through_a_run(on_change)
        with capture_output() as cleared, progress_for(notebook=True, keep=False) as on_change:
            through_a_run(on_change)
    finally:
        InteractiveShell.clear_instance()
    htmls = [output.data.get("text/html") for output in captured.outputs]
    assert htmls[-1] == "<p>Failed</p>"
    assert cleared.outputs[-1].data["text/html"] == ""


def test_a_burst_of_changes_becomes_few_updates_and_the_last_is_among_them() -> None:
    seen: list[int] = []
    throttle = Throttle(seen.append, interval=0.05)
    for number in range(1000):
        throttle(number)
    throttle.finish()
    assert seen[0] == 0
    assert seen[-1] == 999
    assert len(seen) < 100


def test_a_change_that_came_too_early_is_shown_when_its_time_comes() -> None:
    seen: list[int] = []
    shown = threading.Event()

    def act(value: int) -> None:
        seen.append(value)
        if value == 2:
            shown.set()

    throttle = Throttle(act, interval=0.05)
    throttle(1)
    throttle(2)
    assert shown.wait(5)
    throttle.finish()
    assert seen == [1, 2]


def test_changes_from_many_threads_end_with_one_of_the_last() -> None:
    seen: list[int] = []
    throttle = Throttle(seen.append, interval=0.001)
    threads = [threading.Thread(target=lambda: [throttle(n) for n in range(200)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    throttle.finish()
    assert seen[-1] == 199


# -- what shows itself


def test_environments_and_storages_show_themselves_without_a_secret(tmp_path: Path) -> None:
    storage = DirectoryStorage(tmp_path / "a<b>")
    assert "no flows" in Checked(storage._repr_html_()).text
    storage.add_flow(flow())
    text = Checked(storage._repr_html_()).text
    assert "a<b>" in text
    assert "co2" in text
    environment = LocalEnvironment(labels=["<big>"], timeout=60)
    text = Checked(environment._repr_html_()).text
    assert "labels('<big>',)" in text
    assert "timeout60" in text
    assert "retries" not in text
