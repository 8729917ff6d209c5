"""The statements of a cell that bind names where a notebook's names live: outside functions and classes.

Reads source text only; nothing here looks at live objects. Bodies of `if`, `with`, `try`, loops and
`match` belong to the same scope and are looked into, and so is the text that a cell magic such as
`%%time` was given.
"""

from __future__ import annotations

import ast
import textwrap
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType

_MAGICS = frozenset({"run_cell_magic", "run_line_magic"})


@dataclass(frozen=True)
class Import:
    """One name bound by one import statement; `attribute` is empty for `import module`."""

    name: str
    module: str
    attribute: str
    level: int
    renamed: bool

    @property
    def source(self) -> str:
        """The statement, for this name alone."""
        if self.attribute:
            alias = f" as {self.name}" if self.renamed else ""
            return f"from {'.' * self.level}{self.module} import {self.attribute}{alias}"
        return f"import {self.module} as {self.name}" if self.renamed else f"import {self.module}"


@dataclass(frozen=True, eq=False)
class Text:
    """A text that is Python, parsed."""

    source: str
    tree: ast.Module
    _compiled: dict[int, CodeType] = field(default_factory=dict)

    def compiled(self, flags: int) -> CodeType:
        """Compile the whole of it, once; `flags` are those of `__future__` features."""
        if flags not in self._compiled:
            self._compiled[flags] = _compile(self.tree, flags)
        return self._compiled[flags]

    def lambdas_at(self, line: int) -> list[ast.Lambda]:
        """Return the lambdas that begin on a line."""
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.Lambda) and node.lineno == line]


@dataclass(frozen=True, eq=False)
class Statement:
    """A `def`, `class` or assignment to one name, as it stands in a text."""

    name: str
    node: ast.stmt
    outer: ast.stmt  #: the statement of the text's top level that it is, or is in
    text: Text

    @cached_property
    def source(self) -> str:
        """The statement alone, verbatim, moved to the left margin where it stood inside a block."""
        return _alone(self.node, self.text.source)

    @property
    def line(self) -> int:
        """Its first line, decorators included, as code objects count them."""
        return _start(self.node)[0]

    def compiled(self, flags: int) -> Iterator[CodeType]:
        """Yield what the statement may have been compiled in: a statement of the top level, the whole text.

        The same function compiles to another code with an import of a name that it calls a method of beside
        it; IPython compiles statement by statement, Python the whole of a file.
        """
        yield _compile(ast.Module([self.outer], []), flags)
        yield self.text.compiled(flags)


@dataclass(frozen=True)
class Bindings:
    """What one text binds: in the order in which it stands there."""

    imports: tuple[Import, ...] = ()
    stars: tuple[str, ...] = ()  #: modules of `from module import *`
    statements: tuple[Statement, ...] = ()
    text: Text | None = None  #: the text itself, where it is Python


def bindings(source: str) -> Bindings:
    """Find the imports, definitions and assignments in `source`; none where it is not Python."""
    text = _parse(source)
    if text is None:
        return Bindings()
    imports: list[Import] = []
    stars: list[str] = []
    statements: list[Statement] = []
    for node, outer, own_text in _of_body(text.tree.body, None, text):
        match node:
            case ast.Import():
                imports += [_plain_import(alias) for alias in node.names]
            case ast.ImportFrom(module=module, level=level):
                stars += [module or "" for alias in node.names if alias.name == "*" and not level]
                imports += [
                    Import(
                        alias.asname or alias.name, module or "", alias.name, level, alias.asname is not None
                    )
                    for alias in node.names
                    if alias.name != "*"
                ]
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                statements.append(Statement(name, node, outer, own_text))
            case (
                ast.Assign(targets=[ast.Name(id=name)])
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr())
            ):
                statements.append(Statement(name, node, outer, own_text))
    return Bindings(tuple(imports), tuple(stars), tuple(statements), text)


def _plain_import(alias: ast.alias) -> Import:
    return Import(alias.asname or alias.name.partition(".")[0], alias.name, "", 0, alias.asname is not None)


def _compile(module: ast.Module, flags: int) -> CodeType:
    code: CodeType = compile(module, "<captured>", "exec", flags=flags, dont_inherit=True)
    return code


def _parse(source: str) -> Text | None:
    try:
        return Text(source, ast.parse(source))
    except (SyntaxError, ValueError):  # ValueError: a null character
        return None


def _parse_given(source: str) -> Text | None:
    """Parse what a magic was given: IPython's own syntax may be in it again."""
    text = _parse(source)
    if text is not None:
        return text
    from IPython.core.inputtransformer2 import TransformerManager

    try:
        return _parse(TransformerManager().transform_cell(source))
    except SyntaxError:
        return None


def _of_body(
    body: list[ast.stmt], outer: ast.stmt | None, text: Text
) -> Iterator[tuple[ast.stmt, ast.stmt, Text]]:
    for node in body:
        given = _given_to_magic(node)
        if given is not None:
            inner = _parse_given(given)
            if inner is not None:
                yield from _of_body(inner.tree.body, None, inner)
            continue
        yield node, outer or node, text
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for block in _blocks(node):
                yield from _of_body(block, outer or node, text)


def _blocks(node: ast.stmt) -> Iterator[list[ast.stmt]]:
    """Yield the bodies of a compound statement, in the order in which they stand in the text."""
    yield getattr(node, "body", [])
    for branch in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
        yield branch.body
    yield getattr(node, "orelse", [])
    yield getattr(node, "finalbody", [])


def _given_to_magic(node: ast.stmt) -> str | None:
    match node:
        case ast.Expr(
            value=ast.Call(func=ast.Attribute(attr=attr), args=[*_, ast.Constant(value=str(given))])
        ) if attr in _MAGICS:
            return given
    return None


def _start(node: ast.stmt) -> tuple[int, int]:
    decorators = getattr(node, "decorator_list", ())
    if decorators:
        first = decorators[0]
        return first.lineno, -1  # the column of `@` is to be found in the text
    return node.lineno, node.col_offset


def _alone(node: ast.stmt, text: str) -> str:
    lines = text.encode("utf-8", "surrogatepass").split(b"\n")
    first, column = _start(node)
    if column < 0:
        while not lines[first - 1].lstrip().startswith(b"@"):
            first -= 1
        column = len(lines[first - 1]) - len(lines[first - 1].lstrip())
    last, end = node.end_lineno or first, node.end_col_offset or 0
    taken = lines[first - 1 : last]
    tail = taken[-1][end:].strip()
    taken[-1] = taken[-1].rstrip() if tail.startswith(b"#") else taken[-1][:end]
    own_line = not taken[0][:column].strip()
    if not own_line:
        taken[0] = b" " * column + taken[0][column:]
    plain = [line.decode("utf-8", "surrogatepass") for line in taken]
    if not column:
        return "\n".join(plain)
    return _moved_left(
        plain, plain[0][: len(taken[0][:column].decode("utf-8", "surrogatepass"))], node, first
    )


def _moved_left(lines: list[str], indent: str, node: ast.stmt, first: int) -> str:
    inside_strings = {
        number
        for part in ast.walk(node)
        if isinstance(part, ast.JoinedStr | ast.Constant) and (part.end_lineno or part.lineno) > part.lineno
        for number in range(part.lineno + 1, (part.end_lineno or part.lineno) + 1)
    }
    moved = "\n".join(
        line if number in inside_strings else line.removeprefix(indent)
        for number, line in enumerate(lines, start=first)
    )
    again = _parse(moved)
    if again is not None and ast.dump(again.tree) == ast.dump(ast.Module([node], [])):
        return moved
    # what cannot be moved without changing it (a string over several lines, comments at odd margins) stays
    return "if True:\n" + ("\n".join(lines) if indent else textwrap.indent("\n".join(lines), "    "))
