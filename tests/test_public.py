"""What is public: each name stands in the reference, and a docstring tells what it is."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import flownb

DOCS = Path(__file__).parent.parent / "docs"
LISTED = re.findall(r"^::: (\S+)$", (DOCS / "reference.md").read_text(encoding="utf-8"), re.MULTILINE)


def thing(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def short(name: str) -> str:
    return name.rpartition(".")[2]


def test_all_that_flownb_hands_on_is_in_the_reference() -> None:
    handed = set(flownb.__all__) - {"__version__", "callbacks", "errors", "FlownbError"}
    assert {f"flownb.{name}" for name in handed} <= set(LISTED)
    errors = {
        f"flownb.errors.{name}"
        for name, kind in vars(flownb.errors).items()
        if isinstance(kind, type) and issubclass(kind, Exception)
    }
    assert {path for path in LISTED if path.startswith("flownb.errors.")} == errors
    assert len(set(map(short, LISTED))) == len(LISTED), "one word, one thing"


@pytest.mark.parametrize("path", LISTED)
def test_a_public_name_and_what_is_public_of_it_are_explained(path: str) -> None:
    listed = thing(path)
    assert inspect.getdoc(listed)
    unexplained = (
        [
            name
            for name, member in vars(listed).items()
            if isinstance(listed, type)
            if not name.startswith("_")
            and (inspect.isroutine(member) or isinstance(member, property))
            and not inspect.getdoc(getattr(listed, name))
        ]
        if isinstance(listed, type)
        else []
    )
    assert unexplained == []


@pytest.mark.parametrize(
    "kind",
    [
        flownb.Flow,
        flownb.NotebookStorage,
        flownb.GitStorage,
        flownb.DirectoryStorage,
        flownb.LocalEnvironment,
        flownb.callbacks.collect_logs,
        flownb.callbacks.collect_metrics,
        flownb.callbacks.collect_outputs,
        flownb.callbacks.notify,
        flownb.callbacks.notify_zombie,
    ],
)
def test_what_people_make_takes_one_argument_by_place(kind: Any) -> None:
    """What comes behind the first is given by name, so that more can come."""
    by_place = [
        parameter
        for parameter in inspect.signature(kind).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    assert len(by_place) <= 1, by_place
