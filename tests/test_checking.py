"""`%flow check`: a flow is run isolated, and its values compared with the marks kept at the capture."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from faithful import run_live, save
from notebook_corpus import Notebook
from shell import ipython

from flownb.cli.group import main
from flownb.environments.checking import Check, Compared, check_flow
from flownb.marks import mark
from flownb.parameters import validate
from flownb.storage import open_storage
from flownb.ui.checking import check_table

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.kernel


def check_of(path: Path, name: str = "f", **given: Any) -> Check:
    storage = open_storage(path)
    flow = storage.get_flow(name)
    return check_flow(flow, dict(storage.marks(flow)), validate(flow, given))


def captured(path: Path, *cells: str, **files: str) -> Path:
    """Run cells in a live notebook, and save it with what was captured."""
    return save(run_live(Notebook(cells, files)).cells, path, outputs=True)


def test_what_is_made_again_alike_is_equal(project: Path) -> None:
    path = captured(
        project / "a.ipynb",
        "import pandas as pd\ndf = pd.DataFrame({'a': [1, 2, None]})\nscale = 1 / 3",
        "%%flow f.clean --out clean\nlimit: int = 2\nclean = df.dropna() * scale",
        "%%flow f.sum\nclean.a.sum()",
    )
    check = check_of(path)
    assert check.good
    assert {(one.step, one.role, one.name): one.verdict for one in check.compared} == {
        ("clean", "reads", "df"): "equal",
        ("clean", "reads", "scale"): "equal",
        ("clean", "gives", "clean"): "equal",
        ("sum", "reads", "clean"): "equal",
    }
    assert check.headline == "f runs isolated as it did here: 4 values compared"


def test_what_differs_is_told_with_the_place(project: Path) -> None:
    path = captured(
        project / "a.ipynb",
        "from pathlib import Path\nrows = Path('d.csv').read_text().split()\nsize = len(rows)",
        "%%flow f\nsize * 2",
        **{"d.csv": "1\n2\n"},
    )
    (project / "d.csv").write_text("1\n2\n3\n")
    check = check_of(path)
    assert not check.good
    told = {(one.role, one.name): (one.verdict, one.words) for one in check.compared}
    assert told == {("reads", "size"): ("differs", "3, was 2"), ("gives", "result"): ("differs", "6, was 4")}
    assert check.headline == "2 of 2 values differ when f runs isolated"


def test_a_flow_that_fails_isolated_says_where_and_why(project: Path) -> None:
    path = captured(
        project / "a.ipynb",
        "from pathlib import Path\nhere = Path('there').exists()",
        "%%flow f\nif not here: raise OSError('not there')\nhere",
        there="",
    )
    (project / "there").unlink()
    check = check_of(path)
    assert not check.good
    assert check.headline == "f does not run isolated: step f: OSError: not there"
    assert [(one.name, one.verdict) for one in check.compared] == [("here", "differs")]


def test_secrets_have_no_marks(project: Path) -> None:
    with ipython() as shell:
        shell.ok("from flownb import Secret\nkey = Secret('hunter2-hunter2')\nsize = 15")
        shell.ok("%%flow f --out header,n\nkey: Secret\nheader = {'auth': 'Bearer ' + key}\nn = size")
        assert shell.live.marks(shell.live.flow("f")).keys() == {"f"}
        marks = shell.live.marks(shell.live.flow("f"))["f"]
        assert (marks["reads"].keys(), marks["gives"].keys()) == ({"size"}, {"n"})


def test_what_belongs_to_the_session_has_no_marks(project: Path) -> None:
    with ipython() as shell:
        shell.ok("x = 5\nx")
        shell.ok("%%flow f\nOut[1] + 1")
        shell.ok("names = globals()\nx")
        assert shell.live.marks(shell.live.flow("f"))["f"]["reads"] == {}
        assert "✓ f runs isolated as it did here: 1 value compared" in shell.ok("%flow check f").text


def test_a_source_without_record_is_run_and_compared_with_nothing(project: Path) -> None:
    cells = run_live(Notebook(("x = 1", "%%flow f\nx + 1"))).cells
    path = save(cells, project / "cleared.ipynb", outputs=False)
    check = check_of(path)
    assert check.good
    assert "no marks" in check.headline


def test_the_command_ends_with_1_where_something_differs(project: Path) -> None:
    path = captured(
        project / "a.ipynb", "import os\nid_ = os.urandom(4)\ny = 2", "%%flow f\nid_ and y", "%%flow g\ny"
    )
    done = CliRunner().invoke(main, ["check", f"{path}#g"], standalone_mode=False)
    assert done.return_value == 0
    assert done.output.splitlines()[0] == "✓ g runs isolated as it did here: 2 values compared"
    done = CliRunner().invoke(main, ["check", f"{path}#f", "--json"], standalone_mode=False)
    assert done.return_value == 1
    found = json.loads(done.output)
    assert [one["name"] for one in found["compared"] if one["verdict"] == "differs"] == ["id_"]


def test_the_magic_shows_what_was_compared_and_takes_parameters(project: Path) -> None:
    with ipython() as shell:
        shell.ok("base = 2")
        shell.ok("%%flow f\nn: int\nbase * n")  # no value here: captured without running
        shell.ok("n = 4")
        shell.ok("%%flow g --check\nn: int\nbase * n")
        assert "✓ g runs isolated as it did here: 2 values compared" in shell.ok("%flow check g").text
        assert "8, was 10" not in shell.ok("%flow check g").text
        assert "10, was 8" in shell.ok("%flow check g n=5").text
        assert "no marks" in shell.ok("%flow check f n=2").text


def test_a_project_has_each_capture_checked(project: Path) -> None:
    (project / "flownb.toml").write_text("check = true\n")
    with ipython() as shell:
        assert "runs isolated as it did here" in shell.ok("%%flow f\n1 + 1").text
        (project / "flownb.toml").write_text("check = 'yes'\n")
        assert "`check` is true or false" in shell.run("%%flow f\n1 + 1").text


def test_the_table_says_it_in_words_and_is_escaped() -> None:
    compared = (
        Compared("a", "reads", "x", "close", "equal within 1e-09 (largest difference 2e-10)"),
        Compared("a", "gives", "result", "differs", "<b>2</b>, was 1"),
        Compared("b", "gives", "it", "unknown", "a lock cannot be compared"),
    )
    shown = check_table(Check("f", compared))
    assert "1 of 3 values differ when f runs isolated" in shown.text
    assert "equal within" in shown.text
    assert "<b>2</b>" not in shown.html
    assert mark(1) == mark(1)
