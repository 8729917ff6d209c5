"""The journal of a run: what happened, one JSON line each, appended as it happens.

Appending costs what the new line is long, whatever stands before it. A writer that is killed leaves at
worst one line that is cut short; readers leave that one out.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from flownb.errors import RecordError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import TracebackType
    from typing import Self


class Journal:
    """Appends to the journal of one run; one process writes, any number read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def cell(self, index: int, cell: Mapping[str, Any]) -> None:
        """Note a cell of the executed notebook as it is now: `index` is its place there, from 0."""
        self.append({"event": "cell", "index": index, "cell": cell})

    def metadata(self, metadata: Mapping[str, Any]) -> None:
        """Note the executed notebook's own metadata."""
        self.append({"event": "metadata", "metadata": metadata})

    def state(self, state: str, error: Mapping[str, Any] | None = None) -> None:
        """Note a new state of the run."""
        self.append({"event": "state", "state": str(state), "error": error})

    def append(self, event: Mapping[str, Any]) -> None:
        """Append one event (plain JSON data).

        Raises `RecordError` with the system's word, as for a full disk; then nothing of it is left behind.
        """
        line = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        try:
            if self._descriptor is None:
                self._descriptor = self._open()
            before = os.lseek(self._descriptor, 0, os.SEEK_END)
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
            except OSError:
                os.ftruncate(self._descriptor, before)
                raise
        except OSError as error:
            raise RecordError(f"{self.path} cannot be written: {error.strerror or error}") from error

    def _open(self) -> int:
        flags = (
            os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        )
        descriptor = os.open(self.path, flags, 0o666)
        end = os.lseek(descriptor, 0, os.SEEK_END)
        if end:
            os.lseek(descriptor, end - 1, os.SEEK_SET)
            if os.read(descriptor, 1) != b"\n":  # a writer before this one was killed within a line
                os.write(descriptor, b"\n")
        return descriptor

    def close(self) -> None:
        """Close the file; a later `append` opens it again."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


def events(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of a journal in their order; none where there is no journal.

    Lines that were cut short are left out. Raises `RecordError` where the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            for line in file:
                event = _event(line)
                if event is not None:
                    yield event
    except FileNotFoundError:
        return
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {error.strerror or error}") from error


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and "event" in event else None
