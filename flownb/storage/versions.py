"""What a storage tells of one version of a flow, and which of them is asked for. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flownb.errors import FlowNotFoundError
from flownb.storage.moments import moment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

_BACK = re.compile(r"~(\d{1,6})")
_HEX = re.compile(r"[0-9a-f]{4,64}")


@dataclass(frozen=True, slots=True)
class Version:
    """One version of one flow, as its storage keeps it.

    `who` and `message` are text that anybody may have written: escape them where they are shown.
    """

    id: str  #: what stands behind the @ of its location
    location: str  #: `NAME@VERSION`
    when: datetime | None  #: when it was added, aware; None where the storage does not keep it
    who: str = ""
    message: str = ""
    digest: str | None = None  #: of the flow's content; None where it is not known without reading it
    removed: bool = False  #: the flow was removed by this version, which cannot be read

    def begins(self, text: str) -> bool:
        """Whether a text is the beginning of its id or digest, or goes on where its id ends."""
        told = (self.id, self.digest or "")
        return bool(self.id) and (any(each.startswith(text) for each in told) or text.startswith(self.id))


def pick(there: Sequence[Version], name: str, version: str | None, store: str) -> Version:
    """Return the version that `name@version` asks for, never another. Raises `FlowNotFoundError`, and why.

    `there` are all versions, newest first. What is asked for is an id, the beginning of an id or digest, at
    least 4 characters, `~1` for the one before the newest, or a moment: then it is the one that was the
    newest at that moment. None asks for the newest.
    """
    if version is None:
        return _readable(there[:1], name, store, "now")
    if exact := [each for each in there if each.id == version and not each.removed]:
        return exact[0]
    if steps := _BACK.fullmatch(version):
        if int(steps[1]) >= len(there):
            raise FlowNotFoundError(f"{store} holds no version {version} of {name}: it has {len(there)}")
        return _readable([there[int(steps[1])]], name, store, version)
    if _HEX.fullmatch(version):
        found = [each for each in there if not each.removed and each.begins(version)]
        if len({each.id for each in found}) > 1:
            some = ", ".join(dict.fromkeys(each.id for each in found))
            raise FlowNotFoundError(
                f"{store} holds several versions of {name} that begin with {version}: {some}"
            )
        if found:
            return found[0]
    elif (until := moment(version)) is not None and all(each.when is not None for each in there):
        then = [each for each in there if each.when is not None and each.when <= until]
        return _readable(then, name, store, version)
    some = ", ".join(dict.fromkeys(each.id for each in there if not each.removed))
    times = ", a day (2026-01-31), a time, or `yesterday`" if there and there[0].when is not None else ""
    raise FlowNotFoundError(
        f"{store} does not hold {name} in version {version}; it holds {some[:200]}; "
        f"a version is the beginning of one of these{times}"
    )


def _readable(there: Sequence[Version], name: str, store: str, when: str) -> Version:
    if not there:
        raise FlowNotFoundError(f"{store} did not hold {name} yet in version {when}: it was added later")
    newest = there[0]
    if newest.removed:
        on = f" on {newest.when:%Y-%m-%d %H:%M} UTC" if newest.when is not None else ""
        raise FlowNotFoundError(
            f"{store} holds no flow {name} in version {when}: it was removed{on}; "
            "its history has the versions before, which can be restored"
        )
    return newest
