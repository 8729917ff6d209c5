"""Parameters as cells declare them: read from source text, nothing executed.

Two kinds of cells declare. A captured cell does so with its leading annotated assignments
(`split_leading`); a `parameters` cell of any notebook with all of its assignments (`declarations`).
"""

from __future__ import annotations

import ast
import functools
import re
from dataclasses import dataclass, replace
from inspect import cleandoc
from typing import TYPE_CHECKING

from flownb.errors import ParameterError
from flownb.flow import Parameter
from flownb.parameters.derived import check_defaults
from flownb.parameters.lines import LogicalLine, logical_lines, parse, parse_expression, span, tidy, unix_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_TYPE_COMMENT = re.compile(r"type:\s*(?P<rest>\S.*)", re.DOTALL)
_BLANK_START = re.compile(r"\A(?:[ \t\f]*(?:\n|\Z))+")
_BUILTIN_TYPES = frozenset(
    {"bool", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "object", "set", "str", "tuple"}
)
_TYPE_NODES = (ast.Name, ast.Constant, ast.Subscript, ast.Tuple, ast.BinOp, ast.BitOr, ast.Load)


@dataclass(frozen=True, slots=True)
class Leading:
    """The leading block of a cell, and the rest of it.

    Comments on lines of their own above the last declaration belong to the declarations and are not in
    `body`; without declarations `body` is the whole source.
    """

    parameters: tuple[Parameter, ...]
    imports: tuple[str, ...]  #: leading import statements above the last declaration, which may need them
    description: str  #: the cell's docstring
    body: str  #: the exact text behind the last declaration, without blank lines at its start
    body_line: int  #: line of the given source on which `body` starts, counted from 1


def split_leading(source: str) -> Leading:
    """Split a captured cell into what it declares and the rest.

    The leading block is an optional docstring, then imports and annotated assignments of plain names in
    any order, with blank lines and comments between them. It ends at the first other statement.

    Raises `ParameterError` where a name is declared twice, or a default reads one that is declared below it.
    """
    text = unix_text(source)
    found: dict[str, Parameter] = {}
    hoisted: list[str] = []
    waiting: list[str] = []
    description, end = "", 0
    for line, statement, is_first in _leading_statements(text):
        if isinstance(statement, ast.Expr):
            if not is_first or (docstring := _docstring(statement)) is None:
                break
            description = docstring if text[_behind(line, statement) :].strip() else ""
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            waiting.append(_segment(line, statement))
        elif (parameter := _annotated(line, statement)) is not None:
            if parameter.name in found:
                raise ParameterError(
                    f"the parameter `{parameter.name}` is declared twice, the second time on line "
                    f"{line.row + statement.lineno}: keep one of the two"
                )
            found[parameter.name] = parameter
            hoisted += waiting
            waiting.clear()
            end = _behind(line, statement)
        else:
            break
    if not found:
        return Leading((), (), description, source, 1)
    check_defaults(tuple(found.values()))
    blank = _BLANK_START.match(text[end:])
    end += blank.end() if blank else 0
    return Leading(
        tuple(found.values()), tuple(hoisted), description, text[end:], text.count("\n", 0, end) + 1
    )


def declarations(source: str) -> tuple[Parameter, ...]:
    """Return what a `parameters` cell of any notebook declares, in the order of first mention.

    Annotated and plain assignments count, also several targets (`a = b = 1`, `a, b = 1, 2`), papermill's
    `# type: int` comments and statements joined by `;`. Where a name is assigned again, the last value holds.
    Magics, shell lines and other statements are passed over.
    """
    found: dict[str, Parameter] = {}
    for line in logical_lines(unix_text(source)):
        tree = None if line.indented else parse(line.text)
        for statement in tree.body if tree is not None else ():
            for parameter in _assigned(line, statement):
                before = found.get(parameter.name, parameter)
                found[parameter.name] = replace(
                    parameter,
                    annotation=parameter.annotation or before.annotation,
                    help=parameter.help or before.help,
                )
    return tuple(found.values())


# -- statements ------------------------------------------------------------------------------------------


def _leading_statements(text: str) -> Iterator[tuple[LogicalLine, ast.stmt, bool]]:
    is_first = True
    for line in logical_lines(text, leading=True):
        tree = None if line.indented else parse(line.text)
        if tree is None:
            return
        for statement in tree.body:
            yield line, statement, is_first
            is_first = False


def _docstring(statement: ast.Expr) -> str | None:
    value = statement.value
    return cleandoc(value.value) if isinstance(value, ast.Constant) and isinstance(value.value, str) else None


def _annotated(line: LogicalLine, statement: ast.stmt) -> Parameter | None:
    if not (
        isinstance(statement, ast.AnnAssign) and statement.simple and isinstance(statement.target, ast.Name)
    ):
        return None
    _, end = span(line.text, statement)
    # What stands between the parts is cut at its `:` and `=`, not taken from the nodes: nodes do not
    # include the parentheses around them, without which a value of several lines is not Python.
    colon = line.text.index(":", span(line.text, statement.target)[1]) + 1
    annotation, default = line.text[colon:end], None
    if statement.value is not None:
        equals = line.text.index("=", span(line.text, statement.annotation)[1])
        annotation, default = line.text[colon:equals], tidy(line.text[equals + 1 : end])
    _, help_text = _comment(line, statement)
    return Parameter(statement.target.id, tidy(annotation), default, help_text)


def _assigned(line: LogicalLine, statement: ast.stmt) -> Iterator[Parameter]:
    annotated = _annotated(line, statement)
    if annotated is not None:
        yield annotated
    if not isinstance(statement, ast.Assign):
        return
    equals = line.text.index("=", span(line.text, statement.targets[-1])[1])
    default = tidy(line.text[equals + 1 : span(line.text, statement)[1]])
    annotation, help_text = _comment(line, statement)
    for target in statement.targets:
        if isinstance(target, ast.Name):
            yield Parameter(target.id, annotation, default, help_text)
        elif isinstance(target, ast.Tuple | ast.List) and isinstance(statement.value, ast.Tuple | ast.List):
            yield from _unpacked(line, target.elts, statement.value.elts, help_text)


def _unpacked(
    line: LogicalLine, targets: Sequence[ast.expr], values: Sequence[ast.expr], help_text: str
) -> Iterator[Parameter]:
    if len(targets) != len(values) or any(isinstance(node, ast.Starred) for node in (*targets, *values)):
        return
    for target, value in zip(targets, values, strict=True):
        if isinstance(target, ast.Name):
            text = _segment(line, value)
            yield Parameter(target.id, "", f"({text})" if "\n" in text else text, help_text)


def _comment(line: LogicalLine, statement: ast.stmt) -> tuple[str, str]:
    """Return the type and the help that the comments on a statement's first and last line give."""
    first = line.comments.get(line.row + statement.lineno - 1, "")
    last = line.comments.get(line.row + (statement.end_lineno or statement.lineno) - 1, "")
    texts, annotation = [], ""
    for comment in dict.fromkeys((first, last)):
        text = comment.lstrip("#").removeprefix(":").strip()
        typed = _TYPE_COMMENT.match(text)
        if typed is not None:
            annotation, text = _cut_type(typed["rest"])
        if text:
            texts.append(text)
    if len(texts) > 1 and texts[0] in texts[1]:
        del texts[0]  # so that a declaration written out with its help reads back as it was
    return _comment_type(annotation), " ".join(texts)


def _comment_type(text: str) -> str:
    """Return a comment's type in builtins only, or nothing: what a comment names needs no import."""
    tree = parse_expression(text) if text else None
    if tree is None:
        return ""
    tree = ast.fix_missing_locations(_WithoutImports().visit(tree))
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    plain = all(isinstance(node, _TYPE_NODES) for node in ast.walk(tree))
    return ast.unparse(tree) if plain and names <= _BUILTIN_TYPES else ""


class _WithoutImports(ast.NodeTransformer):
    """Writes `Optional[List[int]]` as `list[int] | None`."""

    def visit_Name(self, node: ast.Name) -> ast.expr:  # ast's name
        lower = node.id.lower()
        return ast.Name(lower) if node.id[:1].isupper() and lower in _BUILTIN_TYPES else node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:  # ast's name
        inside: ast.expr = self.visit(node.slice)
        items = inside.elts if isinstance(inside, ast.Tuple) else [inside]
        match node.value:
            case ast.Name(id="Optional"):
                items = [*items, ast.Constant(None)]
            case ast.Name(id="Union"):
                pass
            case _:
                return ast.Subscript(self.visit(node.value), inside)
        return functools.reduce(lambda left, right: ast.BinOp(left, ast.BitOr(), right), items)


def _cut_type(text: str) -> tuple[str, str]:
    """Cut `Dict[str, int] what it is` behind the type, which ends at a space outside of brackets."""
    depth = 0
    for at, char in enumerate(text):
        depth += (char in "[(") - (char in "])")
        if char.isspace() and depth <= 0:
            return text[:at], text[at:].strip()
    return text, ""


# -- text ------------------------------------------------------------------------------------------------


def _segment(line: LogicalLine, node: ast.stmt | ast.expr) -> str:
    start, end = span(line.text, node)
    return line.text[start:end]


def _behind(line: LogicalLine, statement: ast.stmt) -> int:
    """Offset of what follows a statement: another one on its line, or the next line."""
    end = span(line.text, statement)[1]
    rest = line.text[end:].lstrip("; \t\f\\\n")
    return line.end if not rest or rest.startswith("#") else line.offset + len(line.text) - len(rest)
