"""The versions of a flow: gathered with what each changed and its runs, and shown."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flownb.displays.parts import Line, Shown, Table, code, muted
from flownb.displays.wording import shorten, state_text
from flownb.errors import FlownbError
from flownb.storage.compare import compare

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from flownb.flow import Flow
    from flownb.runs.record import RunRecord
    from flownb.storage.base import Storage
    from flownb.storage.versions import Version

_HEADERS = ("version", "when", "who", "what changed", "runs", "message")
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_SHOWN = 10  #: characters of a commit's id: one of a few ten thousand is still told apart from the others


@dataclass(frozen=True)
class VersionRow:
    """One version as the history tells it."""

    version: Version
    digest: str  #: of its content; empty where that cannot be read
    what: str  #: what it changed, in a few words
    runs: tuple[RunRecord, ...]  #: newest first


def short_version(version: str) -> str:
    """Return a version as people see it: of a commit's id the beginning, of other versions all."""
    return version[:_SHOWN] if _COMMIT.fullmatch(version) else version


def stored_version(flow: Flow) -> str:
    """Return the version of a flow as its store has it, for people; of one that is in none, its digest's."""
    return short_version((flow.location or "").partition("@")[2]) or flow.version


def short_location(location: str) -> str:
    """Return a location as people see it."""
    name, mark, version = location.partition("@")
    return f"{name}{mark}{short_version(version)}"


def version_rows(
    storage: Storage, versions: Sequence[Version], runs: Iterable[RunRecord], *, limit: int
) -> list[VersionRow]:
    """Tell of the newest `limit` of `versions`, which are a flow's from newest to oldest.

    A run counts for the version that it was pinned to, else for the newest one with its content.
    """
    flows = [_flow(storage, version) for version in versions[: limit + 1]]
    digests = ["" if flow is None or isinstance(flow, str) else flow.digest for flow in flows]
    by_version = _runs_by_version(versions, digests, runs)
    rows = []
    for at, version in enumerate(versions[:limit]):
        before = flows[at + 1] if at + 1 < len(versions) else None
        what = _what(version, flows[at], before)
        rows.append(VersionRow(version, digests[at], what, tuple(by_version.get(at, ()))))
    return rows


def version_list(name: str, rows: Sequence[VersionRow], *, where: str, more: int = 0) -> Shown:
    """Show a flow's versions, newest first; `more` is how many older ones there are."""
    cells = [
        (
            code(short_version(row.version.id)),
            _when(row.version.when),
            shorten(row.version.who, 60),
            row.what,
            _runs_text(row.runs),
            muted(shorten(_said(name, row.version.message), 120)),
        )
        for row in rows
    ]
    table = Table(_HEADERS, cells, f"Versions of {name} in {where}")
    return Shown([table, *([Line(muted(f"and {more} older"))] if more else [])])


def _flow(storage: Storage, version: Version) -> Flow | str | None:
    """Return the flow of a version, why it cannot be read, or None where there is none: it was removed."""
    if version.removed:
        return None
    try:
        return storage.get_flow(version.location)
    except FlownbError as error:
        return str(error)  # one damaged version hides none of the others


def _what(version: Version, flow: Flow | str | None, before: Flow | str | None) -> str:
    if version.removed or flow is None:
        return "removed"
    if isinstance(flow, str):
        return f"cannot be read: {flow}"
    if before is None:
        return "added"
    return "changed" if isinstance(before, str) else compare(before, flow).summary()


def _runs_by_version(
    versions: Sequence[Version], digests: Sequence[str], runs: Iterable[RunRecord]
) -> dict[int, list[RunRecord]]:
    # of several versions with one content the newest counts: it is asked for last, and so overwrites
    places = {version.location: at for at, version in reversed(list(enumerate(versions)))}
    contents = {digest: at for at, digest in reversed(list(enumerate(digests))) if digest}
    found: dict[int, list[RunRecord]] = {}
    for run in runs:
        at = places.get(run.location, contents.get(run.digest))
        if at is not None:
            found.setdefault(at, []).append(run)
    return found


def _said(name: str, message: str) -> str:
    """Return the first line of a message, where it says more than the column beside it does."""
    line = message.partition("\n")[0]
    return "" if line in (f"Add {name}", f"Change {name}", f"Remove {name}") else line


def _runs_text(runs: Sequence[RunRecord]) -> str:
    counts = Counter(str(run.state) for run in runs)
    return ", ".join(f"{state_text(state)} {count}" for state, count in counts.most_common())


def _when(when: datetime | None) -> str:
    return when.astimezone().strftime("%Y-%m-%d %H:%M") if when is not None else ""
