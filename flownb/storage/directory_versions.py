"""The files of one flow in a directory, each an immutable version.

Pure: names of files in, decisions out. The name says all that a listing must tell: when it was added and
the beginning of the content's digest, or that the flow was removed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from flownb.storage.filenames import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Self

_STAMP = "%Y%m%d-%H%M%S-%f"
_FILE = re.compile(rf"(\d{{8}}-\d{{6}}-\d{{6}})-([0-9a-f]{{16}}{re.escape(SUFFIX)}|removed)")
_STAMPED = re.compile(r"\d{8}-\d{6}-\d{6}")
_CLAIM = ".claim"
#: a claim that is older is that of a writer who died
_CLAIM_HOLDS = timedelta(seconds=20)

#: characters of the digest in the name of a file, and in a location
DIGITS, SHOWN = 16, 12


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One file of a flow: a version of it, or (`digest` is empty) the note that it was removed."""

    stamp: str  #: when it was added, in UTC; orders as text
    digest: str  #: the first 16 characters of the content's digest

    @classmethod
    def of(cls, digest: str, after: Sequence[Entry], now: datetime) -> Self:
        """Return the entry of what is added now: the newest, also where clocks go wrong."""
        if after:
            now = max(now, after[-1].when + timedelta(microseconds=1))
        return cls(now.astimezone(UTC).strftime(_STAMP), digest[:DIGITS])

    @property
    def removed(self) -> bool:
        """Whether it notes that the flow was removed."""
        return not self.digest

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.stamp}-{self.digest + SUFFIX if self.digest else 'removed'}"

    @property
    def when(self) -> datetime:
        """When it was added, in UTC."""
        return _time(self.stamp)

    @property
    def version(self) -> str:
        """What stands behind the @ of its location; of a removal, its time."""
        return self.digest[:SHOWN] or self.stamp


def entries(files: Iterable[str]) -> list[Entry]:
    """Return the entries among names of files, oldest first; other files are not ours."""
    found = (_FILE.fullmatch(file) for file in files)
    every = sorted(Entry(m[1], "" if m[2] == "removed" else m[2][:DIGITS]) for m in found if m)
    return [entry for entry in every if _is_time(entry.stamp)]


def _time(stamp: str) -> datetime:
    day, clock = int(stamp[:8]), int(stamp[9:15])  # `strptime` takes ten times as long
    parts = (day // 10000, day // 100 % 100, day % 100, clock // 10000, clock // 100 % 100, clock % 100)
    return datetime(*parts, int(stamp[16:]), tzinfo=UTC)


def _is_time(stamp: str) -> bool:
    try:
        _time(stamp)
    except ValueError:
        return False
    return True


def claim_file(now: datetime, token: str) -> str:
    """Return the name of the file by which somebody claims a flow's name; `token` is theirs alone."""
    return f"{Entry.of('', (), now).stamp}-{token}{_CLAIM}"


def holds(file: str, now: datetime) -> bool:
    """Whether a file is a claim, and its writer may be at it still."""
    stamp, _, rest = file.rpartition("-")
    if not rest.endswith(_CLAIM) or not _STAMPED.fullmatch(stamp) or not _is_time(stamp):
        return False
    return now - _time(stamp) < _CLAIM_HOLDS
