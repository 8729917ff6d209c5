"""A `%%flow` cell read as text."""

from __future__ import annotations

import pytest

from flownb.capture.cell import check_outputs, is_flow_cell, misplaced, read_cell, read_header
from flownb.errors import CaptureError, FlownbError, NameRefusedError


def test_a_line_names_flow_step_and_outputs() -> None:
    header = read_header("co2.report --out summary,chart --environment night")
    assert (header.flow, header.step, header.outputs) == ("co2", "report", ("summary", "chart"))
    assert header.environment == "night"
    assert not header.define


def test_an_unnamed_step_is_called_like_its_flow() -> None:
    assert read_header("sales").step == "sales"


def test_a_name_with_spaces_is_quoted() -> None:
    header = read_header('"daily sales.load" --out=a --define  # as ever')
    assert (header.flow, header.step, header.outputs, header.define) == ("daily sales", "load", ("a",), True)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "wants a name"),
        ("a b", "takes one name, and got 2"),
        ("a --ot x", "did you mean --out"),
        ("a --out", "--out wants a value"),
        ("a --out --define", "--out wants a value"),
        ("a --out x --out y", "given twice"),
        ("a --out x,y,x", "`x` is named twice"),
        ("a --out 'x y'", "is not a Python name"),
        ('"a b', "quotes on both sides"),
        ("../x", "letters, digits"),
        ("a..b", "needs a name|letters, digits"),
        ("a.", "step needs a name"),
        ("'<img onerror=x>'", "letters, digits"),
    ],
)
def test_a_wrong_line_is_told_in_words(line: str, words: str) -> None:
    with pytest.raises(FlownbError, match=words):
        read_header(line)


@pytest.mark.parametrize("source", ["%%flow a", "\n\n%%flow a\nx = 1", "%%flownb a\nx", "%%flow"])
def test_a_flow_cell_is_known_by_its_first_line(source: str) -> None:
    assert is_flow_cell(source)
    assert not misplaced(source)


@pytest.mark.parametrize(
    "source",
    ["# why\n%%flow a\nx = 1", "y = 3\n%%flow a\nx = 1", "%%time\n%%flow a\nx = 1", "\n# a\n\n%%flow a"],
)
def test_a_line_below_a_comment_or_another_magic_is_misplaced(source: str) -> None:
    assert not is_flow_cell(source)
    assert misplaced(source)


@pytest.mark.parametrize(
    "source",
    ["x = 1", "x = '''\n%%flow a\n'''", "%%writefile x.py\n%%flow a", "%%flows a", "%flow run a", ""],
)
def test_other_cells_are_left_alone(source: str) -> None:
    assert not is_flow_cell(source)
    assert not misplaced(source)


CELL = '''%%flow sales.load --out rows
"""Rows of a day."""
from datetime import date

day: date = date(2026, 1, 1)  # which day
limit: int                    # how many

# the rows
rows = read(day, SCALE)[:limit]
'''


def test_a_cell_is_cut_into_parameters_and_step() -> None:
    cell = read_cell(CELL)
    assert [(p.name, p.annotation, p.default, p.help) for p in cell.parameters] == [
        ("day", "date", "date(2026, 1, 1)", "which day"),
        ("limit", "int", None, "how many"),
    ]
    assert cell.leading.description == "Rows of a day."
    assert cell.leading.imports == ("from datetime import date",)
    step = cell.step
    assert step.source.strip() == "# the rows\nrows = read(day, SCALE)[:limit]"
    assert step.reads == ("SCALE", "day", "limit", "read")
    assert step.binds == ("rows",)
    assert cell.declared == {"date"}


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ("x = 1\nx", True),
        ("x = 1", False),
        ("x;", False),
        ("x = 1\nprint(x)", False),
        ("x = 1\n!ls", False),
        ("df.head()", True),
        ("%time x", True),
        ("%time x = 1", False),
        ("%time print(x)", False),
        ("1", True),
        ("'text'", True),
        ("1;", False),
        ("%timeit x", False),
    ],
)
def test_the_last_expression_is_the_result_where_it_shows_something(body: str, shown: bool) -> None:
    assert read_cell(f"%%flow a\n{body}").result is shown


def test_a_cell_with_outputs_has_no_result() -> None:
    assert not read_cell("%%flow a --out x\nx = 1\nx").result


def test_python_errors_keep_their_line() -> None:
    with pytest.raises(SyntaxError) as caught:
        read_cell("%%flow a\nn: int = 1\nx = 1\ny = = 2")
    assert caught.value.lineno == 4


def test_an_output_that_nothing_binds_is_told_with_the_nearest_name() -> None:
    cell = read_cell("%%flow a --out total\ntotals = 1")
    check_outputs(cell, {"total"})
    with pytest.raises(CaptureError, match="`total` is not bound by this cell; did you mean `totals`"):
        check_outputs(cell, ())


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("%%flow a\nn: int = 1\nn = 2", "parameter `n` is bound again"),
        ("%%flow a\nn: int = 1\nfor n in range(3): pass", "parameter `n` is bound again"),
        ("%%flow a\nn: int = 1\nn: int = 2\nprint(n)", "declared twice"),
        ("%%flow a", "the cell is empty"),
        ("%%flow a\n\n", "the cell is empty"),
        ("x = 1", "no `%%flow NAME` line"),
    ],
)
def test_what_cannot_be_a_step_is_told(source: str, words: str) -> None:
    with pytest.raises(FlownbError, match=words):
        read_cell(source)


def test_magics_and_shell_lines_are_understood() -> None:
    cell = read_cell("%%flow a\nfiles = !ls {folder}\n%time total = f(files)\n")
    assert {"folder", "f"} <= set(cell.step.reads)
    assert {"files", "total"} <= set(cell.step.binds)


def test_hostile_names_do_not_get_into_a_header() -> None:
    for name in ("a/../b", "a\u202eb", "x" * 300):
        with pytest.raises(NameRefusedError):
            read_header(f'"{name}"')
