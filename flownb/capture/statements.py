"""A cell cut into its statements: the text of each as it was written, and the names in it."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from flownb.document.statements import statement_sources
from flownb.names import Names, find_names, to_python
from flownb.names.calls import without_options

if TYPE_CHECKING:
    from collections.abc import Iterator

#: cell magics whose body is code of the notebook, executed once, as without them
_AROUND_CODE = frozenset({"time", "prun", "flow", "flownb", "memit", "pyinstrument", "snakeviz", "scalene"})
#: line magics that execute what follows them as it would be without them
_AROUND_LINE = frozenset({"time", "prun", "memit", "pyinstrument"})
_OPTIONS = {"prun": "DlsT", "memit": "rti"}  #: the letters of their options that take a value
_LINE_MAGIC = re.compile(r"\s*%(\w+)\s+")


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """A top-level statement of a cell."""

    node: ast.stmt
    text: str  #: as it was written, with the comments above it
    names: Names
    line: int  #: of the cell, from 1, on which it begins
    end: int  #: its last line


TOO_DEEP = "it is nested too deeply to be read: split its longest expression into several"


class NotPythonError(ValueError):
    """A cell is not Python, and not IPython's own syntax either."""


@lru_cache(maxsize=4096)  # the same cell is executed again and again
def statements_of(source: str, *, postponed: bool = False) -> tuple[Statement, ...]:
    """Cut a cell into its statements. Raises `NotPythonError`.

    `postponed`: a cell before has asked for annotations that are not evaluated (PEP 563).
    """
    body, above = without_magics(source.replace("\r\n", "\n").replace("\r", "\n"))
    python = body
    try:
        tree = ast.parse(body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        python = to_python(body)
        try:
            tree = ast.parse(python)
        except (SyntaxError, ValueError) as error:
            raise NotPythonError(str(error)) from error
        except (RecursionError, MemoryError) as error:
            raise NotPythonError(TOO_DEEP) from error
    written = body.split("\n") if python is not body else None
    postponed = postponed or _postpones(tree)
    found: list[Statement] = []
    try:
        for node, text in statement_sources(python, tree):
            found += _statements(node, text, written, above, postponed)
    except RecursionError as error:
        raise NotPythonError(TOO_DEEP) from error
    return tuple(found)


def without_magics(source: str) -> tuple[str, int]:
    """Return a cell without the first lines that are magics around its code, and how many these were.

    `%%capture` is one of them where it keeps nothing under a name.
    """
    above = 0
    while True:
        text = source.lstrip()
        skipped = source[: len(source) - len(text)].count("\n")
        if not text.startswith("%%"):
            return source, above
        first, _, rest = text.partition("\n")
        name, _, line = first[2:].partition(" ")
        named = [word for word in line.split() if not word.startswith("-")]
        if name.strip() not in _AROUND_CODE and not (name.strip() == "capture" and not named):
            return source, above
        source, above = rest, above + skipped + 1


def _statements(
    node: ast.stmt, text: str, written: list[str] | None, above: int, postponed: bool
) -> Iterator[Statement]:
    first, end = node.lineno, node.end_lineno or node.lineno
    line = written[first - 1].lstrip() if written is not None and first <= len(written) else ""
    if written is not None and line and "get_ipython()" in text and not line.startswith("%%"):
        text = _as_written(text, written, first, end)
        inner = _around_line(text)
        if inner is not None:
            yield from (Statement(one.node, one.text, one.names, first + above, end + above) for one in inner)
            return
    for one, own in _single_imports(node, text):
        module = ast.Module([one], [])
        names = find_names(module, transform=to_python, postponed=postponed)
        yield Statement(one, own, names, first + above, end + above)


def _as_written(text: str, written: list[str], first: int, end: int) -> str:
    """Return a statement with its magics and shell lines as they were written."""
    lines = text.split("\n")
    kept = lines[: len(lines) - (end - first + 1)]
    return "\n".join([*kept, *written[first - 1 : end]])


def _around_line(text: str) -> tuple[Statement, ...] | None:
    """Return what a magic such as `%time` was given to execute; None for any other text."""
    found = _LINE_MAGIC.match(text)
    if found is None or found[1] not in _AROUND_LINE:
        return None
    try:
        return statements_of(without_options(text[found.end() :], _OPTIONS.get(found[1], "")))
    except NotPythonError:
        return None


def _single_imports(node: ast.stmt, text: str) -> Iterator[tuple[ast.stmt, str]]:
    """Cut an import of several names into one for each, as a flow may need one of them only."""
    if not isinstance(node, ast.Import | ast.ImportFrom):
        yield node, text
        return
    for alias in node.names:
        one: ast.stmt = (
            ast.Import([alias])
            if isinstance(node, ast.Import)
            else ast.ImportFrom(node.module, [alias], node.level)
        )
        ast.copy_location(one, node)
        yield one, ast.unparse(one)


def _postpones(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.ImportFrom)
        and node.module == "__future__"
        and any(alias.name == "annotations" for alias in node.names)
        for node in tree.body
    )
