"""Versions asked for by time: `2026-01-31`, `2026-01-31 12:00`, `yesterday`, `2 days ago`.

The same words for every kind of storage. A version that is asked for by time is the one that was the
newest at that moment.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta

_AGO = re.compile(r"(\d{1,6})[ .](second|minute|hour|day|week)s?[ .]ago", re.IGNORECASE)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_DAYS = {"today": 0, "yesterday": 1}


def moment(text: str, now: datetime | None = None) -> datetime | None:
    """Return the moment that a text means, in UTC; None where it means none.

    A day stands for its end, so that what was added on that day counts. Times without a zone, and days,
    are those of this machine's zone. `now` is an aware time to count from, the current one by default.
    """
    now = (now or datetime.now(UTC)).astimezone()
    text = text.strip()
    try:
        if text.lower() == "now":
            return now.astimezone(UTC)
        if text.lower() in _DAYS:
            return _end_of(now - timedelta(days=_DAYS[text.lower()]))
        if found := _AGO.fullmatch(text):
            return (now - timedelta(**{found[2].lower() + "s": int(found[1])})).astimezone(UTC)
        if not _DAY.match(text):  # what `fromisoformat` also takes, 20260131, could be the start of a hash
            return None
        if _DAY.fullmatch(text):
            return _end_of(datetime.fromisoformat(text))
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _end_of(day: datetime) -> datetime:
    return datetime.combine(day.date(), time.max).astimezone(UTC)
