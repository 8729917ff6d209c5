"""The logical lines of a cell, which may hold more than Python.

A cell may have IPython's syntax in it, which Python's parser refuses as a whole. So it is cut into logical
lines by the tokenizer, and each of those can be parsed by itself.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MAGIC_START = ("%", "!", "?")
#: how often reading goes on behind a line that the tokenizer cannot read; a bound for hostile cells
_RESTARTS = 50


@dataclass(slots=True)
class LogicalLine:
    """One or more simple statements that end with a newline, or the head of a compound one."""

    row: int  #: of its first token, from 0
    offset: int  #: of its first token in the source
    text: str = ""  #: with the comment behind it, if any
    end: int = 0  #: offset of the line behind it
    comments: dict[int, str] = field(default_factory=dict)  #: row -> comment
    indented: bool = False


def parse(text: str) -> ast.Module | None:
    """Return the syntax tree of some Python, or None where it is not Python (or too deep to be read)."""
    try:
        if "\\" not in text:
            return ast.parse(text)
        with warnings.catch_warnings():  # "\d" in a string warns: whoever runs the cell hears of it, once
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def parse_expression(text: str) -> ast.expr | None:
    """Return the syntax tree of one expression, or None where it is none."""
    tree = parse(f"(\n{text}\n)")
    if tree is None or len(tree.body) != 1 or not isinstance(tree.body[0], ast.Expr):
        return None
    return tree.body[0].value


def written_type(annotation: str) -> ast.expr | None:
    """Return the syntax tree of a type, also of one that is written as text; None where it is none."""
    tree = parse_expression(annotation)
    if isinstance(tree, ast.Constant) and isinstance(tree.value, str):
        return parse_expression(tree.value)
    return tree


def statements(source: str) -> Iterator[ast.stmt]:
    """Yield the statements at the top of a cell; what is not Python among them is passed over."""
    tree = parse(source)
    if tree is not None:
        yield from tree.body
        return
    for line in logical_lines(unix_text(source)):
        tree = None if line.indented else parse(line.text)
        yield from tree.body if tree is not None else ()


def unix_text(source: str) -> str:
    """Return the source with the line ends that Python's own parser sees."""
    return source.replace("\r\n", "\n").replace("\r", "\n") if "\r" in source else source


def logical_lines(text: str, *, leading: bool = False) -> Iterator[LogicalLine]:
    """Cut a cell into logical lines; lines that no tokenizer can read are left out.

    With `leading`, stop at the first that cannot belong to a leading block, without reading on.
    """
    rows = list(io.StringIO(text))
    offsets = [0]
    for row in rows:
        offsets.append(offsets[-1] + len(row))
    reader = _Reader(text, rows, offsets, leading)
    for _ in range(_RESTARTS):
        yield from reader.lines()
        if reader.ended or leading:
            return


class _Reader:
    """Reads logical lines up to the end, or up to a line of IPython's, behind which it can go on."""

    def __init__(self, text: str, rows: Sequence[str], offsets: Sequence[int], leading: bool) -> None:
        self._text, self._rows, self._offsets, self._leading = text, rows, offsets, leading
        self._row = 0  # where reading goes on
        self._margin: int | None = None  # column of the first logical line: IPython takes indented cells
        self.ended = False

    def lines(self) -> Iterator[LogicalLine]:
        try:
            for line in self._read():
                yield line
                self._row = line.row + line.text.count("\n") + 1
        except (tokenize.TokenError, SyntaxError, ValueError):
            while self._row < len(self._rows) and not self._rows[self._row].strip():
                self._row += 1
            self._row += 1

    def _read(self) -> Iterator[LogicalLine]:
        start = self._row
        lines = iter(self._rows[start:])
        line: LogicalLine | None = None
        head: list[tokenize.TokenInfo] = []
        for token in tokenize.generate_tokens(lambda: next(lines, "")):
            row = token.start[0] - 1 + start
            match token.type:
                case tokenize.COMMENT if line is not None:
                    line.comments[row] = token.string
                case tokenize.NEWLINE if line is not None:
                    # cut by rows: some Pythons' columns behind a string of several lines are wrong
                    line.end = self._offsets[row + 1]
                    line.text = self._text[line.offset : line.end].rstrip("\n")
                    yield line
                    line, head = None, []
                case tokenize.NL | tokenize.COMMENT | tokenize.NEWLINE | tokenize.INDENT | tokenize.DEDENT:
                    pass
                case tokenize.ENDMARKER:
                    self.ended = True
                case _:
                    if line is None:
                        if token.string.startswith(_MAGIC_START):
                            self._row = row + 1
                            return
                        line = self._begin(row, token.start[1])
                    if self._leading and len(head) < 2:
                        head.append(token)
                        if not _may_lead(head):
                            return

    def _begin(self, row: int, column: int) -> LogicalLine:
        if self._margin is None:
            self._margin = column
        return LogicalLine(row, self._offsets[row] + column, indented=column > self._margin)


def _may_lead(head: Sequence[tokenize.TokenInfo]) -> bool:
    """Whether a logical line that starts with these (one or two) tokens can be part of a leading block."""
    first = head[0]
    if first.type == tokenize.STRING or first.string in {"import", "from"}:
        return True
    return first.type == tokenize.NAME and (len(head) == 1 or head[1].string == ":")


def _offset(text: str, row: int, column: int) -> int:
    """Offset of a position that the parser gave: row from 1, column in bytes of UTF-8."""
    start = 0
    for _ in range(row - 1):
        start = text.index("\n", start) + 1
    if text.isascii():
        return start + column
    end = text.find("\n", start)
    encoded = text[start : end if end >= 0 else None].encode("utf-8", "surrogatepass")
    return start + len(encoded[:column].decode("utf-8", "surrogatepass"))


def span(text: str, node: ast.stmt | ast.expr) -> tuple[int, int]:
    """Return where in a text a node of its syntax tree begins and ends."""
    start = _offset(text, node.lineno, node.col_offset)
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return start, _offset(text, node.end_lineno, node.end_col_offset)


def tidy(text: str) -> str:
    """Return a piece of Python without the blank space at its ends."""
    return re.sub(r"\A(?:\s|\\\n)+|(?:\s|\\\n)+\Z", "", text)
