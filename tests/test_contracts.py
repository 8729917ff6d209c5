"""The page on the contracts names tests that there are, and leaves no sentence without one or a reason."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "contracts.md"
REFERENCE = re.compile(r"`((?:testing/)?\w+\.py)::(test_\w+)`")
PLACE = re.compile(r"(.+), (\d+)")


@dataclass(frozen=True)
class Row:
    """A sentence, and what holds it."""

    part: str  #: the heading above it
    place: str
    sentence: str
    held: str

    @property
    def tests(self) -> list[tuple[str, str]]:
        """Return the file and the name of each test."""
        return REFERENCE.findall(self.held)

    @property
    def reason(self) -> str:
        """Return why flownb does otherwise."""
        return self.held.partition("*differs*: ")[2].strip()


def rows(text: str) -> list[Row]:
    """Return the rows of all tables."""
    found, part = [], ""
    for line in text.splitlines():
        if line.startswith("## "):
            part = line[3:]
        elif line.startswith("| ") and line != "| place | sentence | held by |":
            place, sentence, held = (cell.strip() for cell in line[1:].removesuffix("|").split("|"))
            found.append(Row(part, place, sentence, held))
    return found


@cache
def defined_in(file: str) -> frozenset[str]:
    """Return the names of the tests in a file, those of classes included, by its source alone."""
    folder = ROOT / "flownb" if file.startswith("testing/") else ROOT / "tests"
    if not (folder / file).is_file():
        return frozenset()
    tree = ast.parse((folder / file).read_text("utf-8"))
    bodies = [tree.body, *(node.body for node in tree.body if isinstance(node, ast.ClassDef))]
    return frozenset(
        node.name
        for body in bodies
        for node in body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


def wrong(text: str) -> list[str]:
    """Say what is wrong with the page."""
    told = []
    numbers: dict[tuple[str, str], int] = {}
    for row in rows(text):
        where = f"{row.part}: {row.place}"
        if not row.sentence or (not row.tests and len(row.reason.split()) < 3):
            told.append(f"{where} has neither a test nor a reason")
        if row.held.count("::") != len(row.tests):
            told.append(f"{where} has a name that is not written as `FILE.py::test_NAME`")
        told += [
            f"{where}: there is no {file}::{name}" for file, name in row.tests if name not in defined_in(file)
        ]
        place = PLACE.fullmatch(row.place)
        if place is None:
            told.append(f"{where} is no place with a number")
            continue
        key = (row.part, place[1])
        numbers[key] = numbers.get(key, 0) + 1
        if int(place[2]) != numbers[key]:
            told.append(f"{where} should be number {numbers[key]}")
    return told


def test_each_sentence_has_a_test_that_is_there_or_a_reason() -> None:
    text = PAGE.read_text("utf-8")
    assert wrong(text) == []
    assert list(dict.fromkeys(row.part for row in rows(text))) == [
        "PIN-7: storage and execution",
        "PIN-12: callbacks of environments",
        "The design",
    ]
    assert len(rows(text)) > 150


def test_what_is_wrong_with_the_page_is_told() -> None:
    good = "`test_contracts.py::test_what_is_wrong_with_the_page_is_told`"
    page = f"## P\n| place | sentence | held by |\n|---|---|---|\n| A, 1 | It is. | {good} |\n"
    assert wrong(page) == []
    for row, told in {
        "| A, 2 | It is. |  |": "neither",
        "| A, 2 | It is. | *differs*: yes |": "neither",
        "| A, 2 | It is. | `test_contracts.py::test_gone` |": "there is no test_contracts.py::test_gone",
        "| A, 2 | It is. | `test_no_file.py::test_x` |": "there is no test_no_file.py::test_x",
        "| A, 2 | It is. | `testing/storage.py::test_x` |": "there is no testing/storage.py::test_x",
        f"| A, 2 | It is. | {good}, test_contracts.py::x |": "is not written as",
        f"| A, 3 | It is. | {good} |": "should be number 2",
        f"| A | It is. | {good} |": "no place",
    }.items():
        (found,) = wrong(page + row)
        assert told in found


def test_the_suites_that_the_page_names_are_run_here() -> None:
    bases = {
        base.id if isinstance(base, ast.Name) else ""
        for file in ("test_storage_conformance.py", "test_environment_conformance.py")
        for node in ast.parse((ROOT / "tests" / file).read_text("utf-8")).body
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test")
        for base in node.bases
    }
    assert {"StorageConformance", "EnvironmentConformance"} <= bases
