"""Source cut into statements."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from flownb.errors import DocumentError
from flownb.flow import Carried
from flownb.names import find_names, to_python

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flownb.flow import How


def statement_sources(source: str, tree: ast.Module) -> Iterator[tuple[ast.stmt, str]]:
    """Yield each top-level statement with its text: decorators and the comments above it included."""
    lines = source.split("\n")
    start = 0
    body = tree.body
    for index, node in enumerate(body):
        end = node.end_lineno or node.lineno
        following = body[index + 1] if index + 1 < len(body) else None
        if following is not None and first_line(following) <= end:  # `a = 1; b = 2`: cut within the line
            yield node, ast.get_source_segment(source, node) or ""
            start = end
            continue
        if start >= first_line(node):
            yield node, ast.get_source_segment(source, node) or ""
        else:
            yield node, "\n".join(lines[start:end]).strip("\n")
        start = end


def first_line(node: ast.stmt) -> int:
    """Return the number (from 1) of the statement's first line, its decorators included."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def carried_statements(source: str, how: How = "statement") -> list[Carried]:
    """Cut a cell that somebody wrote or edited by hand into entries of a closure, one a statement.

    `how` is what those that are no imports count as.
    """
    code = to_python(source)
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError) as error:
        raise DocumentError(f"a cell of the closure is not Python: {error}") from error
    entries = []
    for node, text in statement_sources(code, tree):
        names = find_names(ast.Module([node], []))
        binds = tuple(sorted(names.binds | names.mutates))
        reads, first = tuple(sorted(names.reads)), tuple(sorted(names.reads_first))
        kind: How = "import" if isinstance(node, ast.Import | ast.ImportFrom) else how
        name = binds[0] if binds else ""
        entries.append(Carried(name, kind, text, binds, reads, first, size=len(text.encode())))
    return entries
