r"""The words of a `%flow` line: as a shell splits them, save that a value is written as in Python or JSON.

`%flow run sales xs=["p", "q"] by={"a": 1} note="two words" since=1990-01-01 pattern=\d+`
"""

from __future__ import annotations

import ast
import re

_NAME = re.compile(r"[^\W\d]\w*=")
_OPENED = {"(": ")", "[": "]", "{": "}"}
#: texts of Python that a shell would read as something else: with a prefix, or in three quotes
_PYTHON_TEXT = re.compile("[rRbBuU]{1,2}['\"]|'{3}|\"{3}")


def split_line(line: str) -> list[str]:
    r"""Return the words of a line. Raises `ValueError` where a quote has no other.

    What follows `name=` is one word up to the next blank outside of brackets and quotes. Brackets keep the
    quotes inside of them; elsewhere quotes and backslashes are the shell's, where a backslash only escapes
    a blank, a quote or another one. A line that is wrong so may still be right as Python: `name='it\'s'`.
    """
    try:
        return _Line(line).words()
    except ValueError as error:
        try:
            return _Line(line, python=True).words()
        except ValueError:
            raise error from None


class _Line:
    def __init__(self, line: str, *, python: bool = False) -> None:
        self._line = line
        self._python = python  # a backslash escapes in single quotes, too

    def words(self) -> list[str]:
        words: list[str] = []
        at = 0
        while at < len(self._line):
            if self._line[at].isspace():
                at += 1
                continue
            name = _NAME.match(self._line, at)
            start = name.end() if name else at
            at, bracketed = self._end(start, brackets=name is not None)
            text = self._line[start:at]
            words.append(name[0] + (text if bracketed else self._value(text)) if name else _unquoted(text))
        return words

    def _end(self, at: int, *, brackets: bool) -> tuple[int, bool]:
        """Return where the word ends that begins at `at`, and whether it has brackets."""
        line, bracketed = self._line, False
        while at < len(line) and not line[at].isspace():
            closed = self._closed(at) if brackets and line[at] in _OPENED else None
            if closed is not None:
                at, bracketed = closed, True
            elif line[at] in "'\"":
                at = self._behind_text(at, escapes=self._python or line[at] == '"')
            else:
                at += 2 if line[at] == "\\" else 1
        return min(at, len(line)), bracketed

    def _closed(self, at: int) -> int | None:
        """Return where the bracket that opens at `at` is closed, if it is."""
        wanted: list[str] = []
        while at < len(self._line):
            char = self._line[at]
            if char in "'\"":
                try:
                    at = self._behind_text(at, escapes=True)
                except ValueError:
                    return None
                continue
            if char in _OPENED:
                wanted.append(_OPENED[char])
            elif char in _OPENED.values() and wanted.pop() != char:
                return None
            at += 1
            if not wanted:
                return at
        return None

    def _behind_text(self, at: int, *, escapes: bool) -> int:
        """Return what is behind the text whose quote is at `at`."""
        line, start = self._line, at
        quote = line[at] * 3 if line.startswith(line[at] * 3, at) else line[at]
        at += len(quote)
        while not line.startswith(quote, at):
            if at >= len(line):
                raise ValueError(f"no quote closes {line[start : start + 20]}")
            at += 2 if escapes and line[at] == "\\" else 1
        return at + len(quote)

    def _value(self, text: str) -> str:
        if self._python or _PYTHON_TEXT.match(text):
            try:
                value = ast.literal_eval(text)
            except (SyntaxError, ValueError):
                return _unquoted(text)
            if isinstance(value, str | bytes):
                return value if isinstance(value, str) else value.decode("utf-8", "surrogateescape")
        return _unquoted(text)


def _unquoted(text: str) -> str:
    """Return what a shell makes of a word; a backslash stays where it escapes nothing."""
    found, quote, at = "", "", 0
    while at < len(text):
        char, following = text[at], text[at + 1 : at + 2]
        if (
            char == "\\"
            and quote != "'"
            and following in ({'"', "\\"} if quote else {"'", '"', "\\", " ", "\t"})
        ):
            found += following
            at += 1
        elif char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        else:
            found += char
        at += 1
    return found
