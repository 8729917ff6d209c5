"""What only newer versions of Python have in their grammar: type parameters and aliases (PEP 695, 696)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import nbformat
import pytest

from flownb.errors import ParameterError
from flownb.flow import Flow
from flownb.storage import open_storage

if TYPE_CHECKING:
    from pathlib import Path

# older versions cannot compile these cells
pytestmark = pytest.mark.skipif(sys.version_info < (3, 12), reason="a grammar of Python 3.12")

NOTEBOOK = """
unit = "EUR"
class Money: pass
type Amount[T] = Money | Price[T] | None
type Plain = int | "Amount[int]"
class Price[T: Money]:
    def __init__(self, value: T) -> None: self.value = value
    def text(self) -> str: return f"{self.value} {unit}"
    def pair[S](self, other: S) -> tuple[T, S]: return self.value, other
def first[T: (int, str), *Rest, **P](items: list[T], *rest: *Rest) -> T: return items[0]
def made(value: Plain) -> Price: return Price(value)
"""
CELL = """
n: int = 2
type Local = dict[str, Amount[Money]]
def largest[T](items: list[T], kind: Local | None = None) -> T: return max(items)
[made(n).text(), made(n).pair("x"), first([n, 1]), largest([1, n]), str(Amount), Local.__name__]
"""
GIVEN = ["3 EUR", (3, "x"), 3, 3, "Amount", "Local"]

LATER = """
type Pair[T = int] = tuple[T, T]
class Box[T = Pair]:
    def get(self) -> T: return None
"""


def saved(path: Path, *cells: str) -> Flow:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell.strip()) for cell in cells])
    nbformat.write(notebook, path)
    return open_storage(path).get_flow("it")


def test_a_cell_with_type_parameters_is_captured_from_a_saved_notebook_and_runs(project: Path) -> None:
    flow = saved(project / "n.ipynb", NOTEBOOK, f"%%flow it{CELL}")
    assert flow.run(n=3) == {"result": GIVEN}
    (step,) = flow.steps
    assert {"made", "first", "Amount", "Money"} <= set(step.reads)
    assert not {"T", "S", "P", "Rest", "Local", "largest"} & set(step.reads)


def test_a_document_with_type_parameters_is_read_back(project: Path) -> None:
    flow = saved(project / "n.ipynb", NOTEBOOK, f"%%flow it{CELL}")
    flow.write(project / "it-document.ipynb")
    back = Flow.read(project / "it-document.ipynb")
    assert back == flow
    assert back.run(n=3) == {"result": GIVEN}


def test_an_alias_of_the_notebook_is_the_type_of_a_parameter(project: Path) -> None:
    flow = saved(
        project / "n.ipynb",
        "from typing import Annotated\nfrom pydantic import Field",
        "type Share = Annotated[float, Field(le=1)]",
        "%%flow it\nshare: Share = 0.5\nshare",
    )
    assert flow.run(share=0.25) == {"result": 0.25}
    with pytest.raises(ParameterError, match="`share` takes"):
        flow.run(share=2)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="a grammar of Python 3.13")
def test_type_parameters_with_defaults_are_captured(project: Path) -> None:
    flow = saved(project / "n.ipynb", LATER, "%%flow it\nBox().get() or Pair.__name__")
    assert flow.run() == {"result": "Pair"}
