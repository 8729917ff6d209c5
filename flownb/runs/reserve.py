"""Space that a run keeps for its last words, so that a full disk cannot take them from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_SIZE = 128 * 1024  #: bytes; enough for the record's last change, and for a small notebook


class Reserve:
    """A file that does nothing but take the space that the end of a run will need."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def hold(self) -> None:
        """Take the space. Raises `OSError` where there is not so much."""
        self._path.write_bytes(bytes(_SIZE))

    def free(self) -> None:
        """Give the space back; it may be gone already."""
        self._path.unlink(missing_ok=True)
