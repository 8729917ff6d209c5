"""How small things are written for people: sizes, durations, states, and text that may hold anything."""

from __future__ import annotations

import unicodedata

_INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
_UNITS = {
    f"{letter}{form}B": base**power
    for power, letter in ((3, "G"), (2, "M"), (1, "k"))
    for form, base in (("", 1000), ("i", 1024))
}
_JOINERS = "\u200c\u200d"  # scripts and emoji need them; they neither move nor hide what stands beside them
_MARKS = {
    "Pending": "○",
    "Running": "▶",
    "Success": "✓",
    "Failed": "✗",
    "Crashed": "✗",
    "Cancelled": "■",
    "Skipped": "-",
}


def visible(text: str, *, lines: bool = False) -> str:
    r"""Write control, bidirectional and other invisible characters as `\x1b`, `\u202e` and the like.

    Line ends and tabs stay as they are where `lines` is true.
    """
    kept = _JOINERS + ("\n\t" if lines else "")
    return "".join(
        ascii(char)[1:-1] if char not in kept and unicodedata.category(char) in _INVISIBLE else char
        for char in text
    )


def shorten(text: str, limit: int) -> str:
    """Return `text` on one line, at most `limit` characters long."""
    line = visible(" ".join(text[: 10 * limit].split()))
    return line if len(line) <= limit else line[: limit - 1] + "…"


def size_text(size: float) -> str:
    """Write a number of bytes for people: `340 B`, `1.2 kB`, `5.0 MB`."""
    if size < 1000:
        return f"{size:.0f} B"
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 999.95:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.1f} TB"


def exact_size_text(size: int) -> str:
    """Write a number of bytes in the unit in which it is a short number: `500 MB`, `1.5 GB`, `512 MiB`."""
    for unit, factor in _UNITS.items():
        if size >= factor and size * 100 % factor == 0:
            return f"{size / factor:.12g} {unit}"
    return f"{size} B"


def seconds_text(seconds: float | None) -> str:
    """Write a duration for people: `0.12 s`, `12.3 s`, `4 min 05 s`, `2 h 13 min`; empty for None."""
    if seconds is None:
        return ""
    if seconds < 59.95:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def state_text(state: str) -> str:
    """Write a state with its mark: `✓ Success`."""
    return f"{_MARKS.get(state, '·')} {visible(state)}"


def count_text(number: int, one: str, many: str = "") -> str:
    """Write `1 step`, `2 steps`, `1,057 rows`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
