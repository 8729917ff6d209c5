"""Where an exception ended a cell: what stands behind that was not executed.

A cell may have other code executed in its namespace (`exec`, `%time`, `%run -i`): its own line is meant.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from flownb.capture.statements import without_magics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_ARROW = re.compile(r"^-+> (\d+)\b", re.MULTILINE)
_INNER = re.compile(r"<(?:timed \w+|string)>:(\d+)")  #: a magic's code, which is the rest of the cell
_BEGINS = "Traceback (most recent call last)"


def line_raised(error: BaseException, source: str, namespace: Mapping[str, Any]) -> int:
    """Return the line of the cell that an exception ended, from its frames."""
    lines = []
    trace = error.__traceback__
    while trace is not None:  # the cell's own frames are those that run in the notebook's namespace
        frame = trace.tb_frame
        if frame.f_locals is frame.f_globals and frame.f_globals is namespace:
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    magics, above = _above(source)
    if len(lines) > magics:
        return lines[magics] + above
    if not lines and isinstance(error, SyntaxError):  # of one statement; those before it were executed
        lines.append(error.lineno or 1)
    return lines[0] + _empty(source) if lines else 1


def line_told(traceback: Sequence[object], source: str) -> int | None:
    """Return that line from the text that IPython shows of an exception; None where it does not tell."""
    text = _COLOURS.sub("", "\n".join(map(str, traceback)))
    last = text.rpartition(_BEGINS)[2]  # of chained exceptions
    magics, above = _above(source)
    lines = _INNER.findall(last)[magics - 1 :] if magics else _ARROW.findall(last)
    return int(lines[0]) + above if lines else None


def _above(source: str) -> tuple[int, int]:
    """Return how many magics execute a cell's code, and how many lines stand above what is executed.

    IPython leaves out empty lines at the beginning, and so do magics.
    """
    body, above = without_magics(source)
    heads = [line.strip() for line in source.split("\n")[:above]]
    magics = sum(head.startswith("%%") and not head.startswith("%%flow") for head in heads)
    return (magics, above + _empty(body)) if magics else (0, _empty(source))


def _empty(text: str) -> int:
    """Return how many empty lines a text begins with."""
    return text[: len(text) - len(text.lstrip())].count("\n")
