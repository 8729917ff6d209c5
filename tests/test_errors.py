"""The family of errors: one module, one form of names, and what each is about."""

from __future__ import annotations

import ast
import pickle
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import flownb
from flownb import errors
from flownb.flow import Flow
from flownb.runs import Run

if TYPE_CHECKING:
    from collections.abc import Callable

FAMILY = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, Exception)
}
CELL = "n: int = 2\nif n > 2: raise ValueError('too much')\nn + 1"


def test_the_family_is_in_one_module_under_names_that_end_in_error() -> None:
    package = Path(errors.__file__).parent
    for file in package.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and file.name != "errors.py":
                bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
                assert not bases & set(FAMILY), f"{file}: {node.name}"
    assert all(
        name.endswith("Error") and issubclass(kind, errors.FlownbError) for name, kind in FAMILY.items()
    )
    assert flownb.errors is errors


@pytest.mark.parametrize(
    ("kind", "of_python"),
    [
        (errors.FlowNotFoundError, LookupError),
        (errors.RunNotFoundError, LookupError),
        (errors.OutputNotFoundError, KeyError),
        (errors.MissingExtraError, ImportError),
    ],
)
def test_some_are_what_python_has_a_name_for(kind: type[Exception], of_python: type[Exception]) -> None:
    error = kind("the words")
    assert isinstance(error, of_python)
    assert str(error) == "the words"
    assert str(pickle.loads(pickle.dumps(error))) == "the words"


def about(call: Callable[[], object]) -> tuple[str | None, str | None, str | None]:
    with pytest.raises(errors.FlownbError) as caught:
        call()
    error = pickle.loads(pickle.dumps(caught.value))
    return error.flow, error.parameter, error.location


def test_errors_say_which_flow_parameter_and_location_they_are_about(project: Path) -> None:
    storage = flownb.DirectoryStorage(project / "store")
    flow = Flow.from_cell("sales", CELL)
    location = storage.add_flow(flow)
    environment = flownb.LocalEnvironment()
    assert about(lambda: storage.get_flow("salse")) == ("salse", None, "salse")
    assert about(lambda: storage.get_flow("sales@v1")) == ("sales", None, "sales@v1")
    assert about(lambda: storage.history("salse")) == ("salse", None, "salse")
    assert about(lambda: storage.add_flow(Flow.from_cell("sales", "1"))) == ("sales", None, None)
    assert about(lambda: environment.execute(storage, "salse")) == ("salse", None, "salse")
    assert about(lambda: flow.run(n="x")) == ("sales", "n", None)
    assert about(lambda: environment.execute(storage, location, {"m": 1})) == ("sales", "m", None)
    assert about(lambda: Flow.from_cell("sales", "missing")) == ("sales", None, None)
    assert about(lambda: environment.execute(storage, Flow.from_cell("sales", "1"))) == ("sales", None, None)
    assert about(lambda: flownb.Run.load("r1", project)) == (None, None, None)


@pytest.mark.kernel
def test_a_run_that_failed_comes_with_its_error(project: Path) -> None:
    storage = flownb.DirectoryStorage(project / "store")
    flow = Flow.from_cell("sales", CELL)
    storage.add_flow(flow)
    run = flownb.LocalEnvironment().execute(storage, flow, {"n": 3})
    assert run.location == storage.flows["sales"]
    with pytest.raises(errors.RunFailedError) as caught:
        run.raise_for_state()
    error = pickle.loads(pickle.dumps(caught.value))
    assert (error.run, error.flow) == (run, "sales")
    assert isinstance(error.run, Run)
