"""Comparing two marks, and saying in a line what differs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Mark = dict[str, Any]


def compare(was: Mark, now: Mark, *, tolerance: float = 1e-9) -> tuple[str, str]:
    """Compare two marks: "equal", "close", "differs" or "unknown", and how or why in a line for people.

    `was` is of the value at the capture, `now` of the one that is held against it. Close is what differs in
    nothing but floats, and in these by `tolerance` times their size; those of an array, of a column or of a
    list are judged together: of n of them one may differ by about the square root of n times as much.
    """
    if was["type"] == now["type"] and ("opaque" in was or "opaque" in now):
        return "unknown", f"{_what(now)} cannot be compared"
    same, close = was.get("digest") == now.get("digest"), _is_close(was, now, tolerance)
    if (same or close) and "partly" in now:
        return "unknown", f"it holds {_article(now['partly'])}, which cannot be compared"
    if same:
        return "equal", "compared by samples" if "sampled" in now else ""
    if close:
        return "close", f"equal within {tolerance:g}".replace("e-0", "e-")
    return _difference(was, now, tolerance)


def _is_close(was: Mark, now: Mark, tolerance: float) -> bool:
    return was.get("like", 0) == now.get("like") and bool(abs(was["near"] - now["near"]) <= 4 * tolerance)


def _difference(was: Mark, now: Mark, tolerance: float) -> tuple[str, str]:
    before, after = dict(_parts(was)), dict(_parts(now))
    words = _plain_difference(was, now, before, after)
    for label in [] if words else [label for label in before if label in after]:
        old, new = before[label], after[label]
        if isinstance(old, dict) and isinstance(new, dict):
            found, inside = compare(old, new, tolerance=tolerance)
            words = words or (_inside(label, inside) if found == "differs" else "")
        elif old != new and not _are_close(old, new, tolerance):
            first, second = (
                one if isinstance(one, dict) else {"type": "", "value": one} for one in (old, new)
            )
            words = words or _inside(label, _plain_difference(first, second, (), ()))
    if not words and was.get("python") != now.get("python"):
        words = f"code of Python {was['python']} cannot be compared with that of {now['python']}"
        return "unknown", words
    return "differs", words or _unseen(now, len(before))


def _are_close(old: Any, new: Any, tolerance: float) -> bool:
    """Whether two texts are of floats that are close."""
    try:
        whole = old.lstrip("-").isdigit() or new.lstrip("-").isdigit()
        return not whole and math.isclose(float(old), float(new), rel_tol=tolerance)
    except (AttributeError, ValueError):
        return False


def _parts(one: Mark) -> Iterator[tuple[str, Any]]:
    yield from one.get("parts", ())
    place = "position" if one["type"].endswith("array") else "row"
    yield from ((f"{place} {i}", text) for i, text in enumerate(one.get("first", ())))


def _plain_difference(was: Mark, now: Mark, before: Iterable[str], after: Iterable[str]) -> str:
    """Say what differs by value, kind, size or names."""
    (old, _, what), (new, _, same) = was["type"].rpartition(" "), now["type"].rpartition(" ")
    if "value" in was and "value" in now and was["value"] != now["value"]:
        return f"{now['value']}, was {was['value']}"
    if old and new and old != new and what == same:  # such as two columns
        return f"{new}, was {old}"
    if was["type"] != now["type"]:
        alike = was.get("value") == now.get("value")
        texts = ["" if alike and one["type"] else one.get("value") for one in (now, was)]
        return f"is {texts[0] or _what(now)}, was {texts[1] or _what(was)}"
    for one, these, those, what in ((now, before, after, "is missing"), (was, after, before, "is new")):
        other = [label for label in these if "`" in label and label not in those]
        if other and "more" not in one:
            return f"{other[0]} {what}"
    sizes = was.get("size", {}), now.get("size", {})
    for unit in {**sizes[1], **sizes[0]}:
        first, second = sizes[0].get(unit, 0), sizes[1].get(unit, 0)
        if first != second and unit == "shape":
            return f"shape {second}, was {first}"
        if first != second:
            return f"{second} {unit[:-1] if second == 1 else unit}, was {first}"
    return "the order is another" if list(before) != list(after) and "more" not in now else ""


def _unseen(now: Mark, count: int) -> str:
    """Say that something differs that the marks do not show."""
    kind, more = now["type"], count and "more" in now
    if kind.endswith(("column", "Series", "array")):
        return "values differ" + (f" below the first {count} rows" if more else "")
    if len(now.get("value", "")) > 2:
        return f"differs after the first {len(now['value']) - 2} characters"
    if more:
        return f"differs after the first {count} items"
    return f"its {'code' if kind.startswith('function') else 'content'} differs"


def _inside(label: str, words: str) -> str:
    """Say what differs in a part."""
    if label.startswith(("row ", "position ")):
        return f"{'first ' if label.endswith(' 0') else ''}value {words} ({label})"
    if label and words.startswith("values differ"):
        return f"{words} {'of' if 'rows' in words else 'in'} {label}"
    return f"{label}{' ' if words.startswith(('is ', 'differs ')) else ': '}{words}" if label else words


def _what(one: Mark) -> str:
    """Say what kind of value it is, and how big."""
    counts = [str(count) for unit, count in one.get("size", {}).items() if unit != "missing values"]
    return _article(
        one["type"] + (" of " if "items" in one.get("size", ()) else ", ") * bool(counts) + " x ".join(counts)
    )


def _article(text: str) -> str:
    return f"{'an' if text[:1] in tuple('aeiouAEIOU') else 'a'} {text}"
