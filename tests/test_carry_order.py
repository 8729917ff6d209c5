"""The order of what is carried, and that it is the same in every process."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from carrying import Case, outcomes

from flownb.capture.ordering import CircleError, in_order
from flownb.capture.requirements import modules_of
from flownb.flow import Carried

if TYPE_CHECKING:
    from pathlib import Path

SESSION = (
    """
import enum, functools
import numpy as np
import pandas as pd
from dataclasses import dataclass

class Color(enum.Enum):
    RED = 1
    BLUE = 2

@dataclass(frozen=True)
class Point:
    x: int
    y: int

def traced(f):
    @functools.wraps(f)
    def wrapper(*args):
        LOG.append(f.__name__)
        return f(*args)
    return wrapper

LOG = []

@traced
def norm(p): return p.x + p.y
""",
    """
names = {"b", "a", "c", "longer"}
points = {Point(1, 2), Point(3, 4)}
mixed = frozenset({1, "a", None, 2.5})
colors = {Color.RED: {"x"}, Color.BLUE: set()}
df = pd.DataFrame({"a": [1.5, None], "b": ["x", None], "c": pd.Categorical(["u", "v"])})
arrays = {"a": np.arange(3), "s": {"p", "q", "r"}}
add = (lambda n: lambda x: x + n)(3)
shared = [1]; one = [shared, df]; other = {"k": shared}
""",
)
READS = "names points mixed colors df arrays add one other norm traced Color"


def test_the_same_session_gives_the_same_in_every_process() -> None:
    first, second = (outcomes([Case("s", SESSION, READS)], seed=seed)["s"] for seed in ("1", "4242"))
    assert not first.error
    assert not first.failure
    assert first.order == second.order
    assert [e["identity"] for e in first.entries] == [e["identity"] for e in second.entries]
    plain = [(e["source"], e["reads"]) for e in first.entries if e["how"] != "pickle"]
    assert plain == [(e["source"], e["reads"]) for e in second.entries if e["how"] != "pickle"]


def test_what_a_decorator_reads_when_called_comes_before_what_it_decorates() -> None:
    order = outcomes([Case("s", SESSION, "norm")])["s"].order
    assert order.index("LOG") < order.index("norm")
    assert order.index("traced") < order.index("norm")


def entry(name: str, *first: str, reads: tuple[str, ...] = (), how: str = "definition") -> Carried:
    return Carried(name, how, f"{name} = 0", reads=(*first, *reads), reads_first=first)  # type: ignore[arg-type]


def test_ties_go_by_kind_and_name() -> None:
    entries = [entry("b"), entry("a", how="literal"), entry("z", how="import"), entry("a2")]
    assert [e.name for e in in_order(entries)] == ["z", "a2", "b", "a"]


def test_functions_that_call_each_other_are_no_circle() -> None:
    assert [e.name for e in in_order([entry("b", reads=("a",)), entry("a", reads=("b",))])] == ["a", "b"]


def test_a_circle_of_what_is_needed_first_is_named() -> None:
    with pytest.raises(CircleError, match="a -> b -> a"):
        in_order([entry("a", "b"), entry("b", "a"), entry("c")])


def test_a_module_of_the_project_is_recorded_as_one(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").write_text(
        "class Thing:\n    def __init__(self):\n        self.v = [1]\n"
    )
    (tmp_path / "mine" / "tools.py").write_text("LIMIT = 7\ndef f():\n    return LIMIT\n")
    cells = ("import mine\nfrom mine.tools import f, LIMIT\nimport json\nthing = mine.Thing()",)
    case = Case(
        "m",
        cells,
        "mine f LIMIT json thing",
        "assert f() == LIMIT == 7 and thing.v == [1]",
        project=str(tmp_path),
    )
    outcome = outcomes([case], folder=str(tmp_path))["m"]
    assert not outcome.failure
    assert {e["name"]: e["how"] for e in outcome.entries if e["how"] != "definition"} == {
        "mine": "module", "f": "module", "LIMIT": "module", "json": "import", "thing": "pickle",
    }  # fmt: skip
    carried = [Carried(e["name"], e["how"], e["source"]) for e in outcome.entries]
    assert {"mine", "mine.tools", "json"} <= modules_of(carried)


def test_code_from_another_python_is_refused_before_it_can_crash() -> None:
    outcome = outcomes([Case("c", ("add = (lambda n: lambda x: x + n)(3)",), "add", "assert add(1) == 4")])[
        "c"
    ]
    assert not outcome.failure
    source = "\n".join(e["source"] for e in outcome.entries)
    assert 'magic="' in source
    old = source.replace('magic="', 'magic="00', 1).replace(
        f'python="{sys.version_info[0]}.{sys.version_info[1]}"', 'python="3.2"'
    )
    done = subprocess.run([sys.executable, "-c", old], capture_output=True, text=True, check=False)
    assert "RuntimeError: this value holds code compiled by Python 3.2" in done.stderr
    assert "run the flow with Python 3.2, or capture it again" in done.stderr


def test_a_value_whose_class_is_missing_says_which() -> None:
    cells = ("class A:\n    def __init__(self): self.v = [1]\na = A()",)
    outcome = outcomes([Case("c", cells, "a")])["c"]
    source = "\n".join(e["source"] for e in outcome.entries if e["name"] != "A")
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert "RuntimeError: this value needs `A`, which is not defined" in done.stderr


def test_what_is_pickled_says_what_it_is_and_what_came_along() -> None:
    cells = ("import numpy as np\nbig = np.zeros(50)\nfs = [(lambda n: lambda x: x + n)(3), big]",)
    entry = outcomes([Case("c", cells, "fs")])["c"].entry("fs")
    head = entry["source"].partition("\n")[0]
    assert head.startswith("# fs: list of 2, ")
    assert "pickled by Python" in head
    assert "with function <lambda>" in head
    assert head.endswith("uses cloudpickle, numpy")
    assert max(map(len, entry["source"].splitlines()[1:])) <= 100
    assert entry["identity"].startswith("pickle:")
