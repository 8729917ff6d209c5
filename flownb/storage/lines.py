"""Two texts line by line: as a unified diff, side by side, and counted. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher, unified_diff
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

#: texts of more lines are not compared line by line: the time for it grows with their product
LIMIT = 4_000
CONTEXT = 3


@dataclass(frozen=True, slots=True)
class Row:
    """A line of each side; a side without one has the number None. All of it None is a gap."""

    mark: Literal["same", "changed", "removed", "added", "gap"]
    old_number: int | None = None  #: from 1
    old: str = ""
    new_number: int | None = None
    new: str = ""


def unified(old: str, new: str) -> list[str]:
    """Return the unified diff of two texts, without headings; nothing where they are equal."""
    if old == new:
        return []
    before, after = old.split("\n"), new.split("\n")
    if _too_long(before, after):
        return [f"@@ {len(before)} and {len(after)} lines: too long to be compared line by line @@"]
    return list(unified_diff(before, after, lineterm="", n=CONTEXT))[2:]


def side_by_side(old: str, new: str) -> list[Row]:
    """Return the lines of two texts beside each other; what is equal is shown around changes only."""
    if old == new:
        return []
    before, after = old.split("\n"), new.split("\n")
    if _too_long(before, after):
        return [Row("gap")]
    rows: list[Row] = []
    reached = 0
    for group in SequenceMatcher(None, before, after, autojunk=False).get_grouped_opcodes(CONTEXT):
        if group[0][1] > reached:
            rows.append(Row("gap"))
        for tag, *ranges in group:
            rows += _rows(tag, before, after, *ranges)
        reached = group[-1][2]
    return [*rows, Row("gap")] if reached < len(before) else rows


def counts_text(old: str, new: str) -> str:
    """Count the lines that are new and those that are gone: `+3 -1`."""
    before, after = old.split("\n") if old else [], new.split("\n") if new else []
    if _too_long(before, after):
        return f"{len(before)} → {len(after)} lines"
    added = removed = 0
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag != "equal":
            removed += i2 - i1
            added += j2 - j1
    return f"+{added} -{removed}"


def plain(text: str) -> str:
    r"""Write what a terminal would obey, or not show, as what it is: `\x1b`, `\u202e`; tabs stay."""
    return "".join(char if char.isprintable() or char == "\t" else ascii(char)[1:-1] for char in text)


def _rows(tag: str, before: list[str], after: list[str], i1: int, i2: int, j1: int, j2: int) -> Iterator[Row]:
    for offset in range(max(i2 - i1, j2 - j1)):
        left, right = i1 + offset, j1 + offset
        if tag == "equal":
            yield Row("same", left + 1, before[left], right + 1, after[right])
        elif left < i2 and right < j2:
            yield Row("changed", left + 1, before[left], right + 1, after[right])
        elif left < i2:
            yield Row("removed", left + 1, before[left])
        else:
            yield Row("added", new_number=right + 1, new=after[right])


def _too_long(before: list[str], after: list[str]) -> bool:
    return max(len(before), len(after)) > LIMIT
