"""What a storage tells of one version of a flow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


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
