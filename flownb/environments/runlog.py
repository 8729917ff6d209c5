"""The log of a run: what the flow printed, as it came, and what happened, with times."""

from __future__ import annotations

import os
from datetime import datetime
from typing import TYPE_CHECKING

from flownb.engine.ending import plain
from flownb.errors import RecordError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class RunLog:
    """Appends to `log.txt`: whole lines, plain text, without the run's secrets.

    A line is held back until it is complete, so that a secret that was printed in two pieces is found,
    and of what a progress bar wrote over and over only the last is kept.
    """

    def __init__(self, path: Path, redacted: Callable[[str], str]) -> None:
        """Write to `path`, which is made with the first line; `redacted` takes secrets out of a text."""
        self._path = path
        self._redacted = redacted
        self._descriptor: int | None = None
        self._partial: dict[str, str] = {}

    def note(self, text: str) -> None:
        """Write what happened, with the time."""
        self.flush()
        when = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
        self._append(f"[{when}] {self._redacted(text)}\n")

    def text(self, text: str) -> None:
        """Write a text as it is, such as a traceback."""
        self.flush()
        self._write(plain(text).rstrip("\n") + "\n")

    def stream(self, name: str, text: str) -> None:
        """Take a piece of what the flow printed to the stream `name`."""
        whole, _, rest = (self._partial.get(name, "") + text).rpartition("\n")
        self._partial[name] = _last_overwrite(rest)
        if whole or text.endswith("\n"):
            if "\r" in whole:
                whole = "\n".join(_last_overwrite(line.removesuffix("\r")) for line in whole.split("\n"))
            self._write(plain(whole) + "\n")

    def flush(self) -> None:
        """Write the lines that are held back, as if they were complete."""
        for name, rest in self._partial.items():
            if rest:
                self._write(plain(rest) + "\n")
            self._partial[name] = ""

    def close(self) -> None:
        """Write what is held back, and close the file."""
        try:
            self.flush()
        finally:
            descriptor, self._descriptor = self._descriptor, None
            if descriptor is not None:
                os.close(descriptor)

    def _write(self, text: str) -> None:
        self._append(self._redacted(text))

    def _append(self, text: str) -> None:
        data = text.encode("utf-8", "backslashreplace")
        try:
            if self._descriptor is None:
                self._descriptor = os.open(
                    self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666
                )
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            raise RecordError(f"{self._path} cannot be written: {error.strerror or error}") from error


def _last_overwrite(line: str) -> str:
    """Return what a terminal would show of a line that went back to its start."""
    return line.rstrip("\r").rpartition("\r")[2] if "\r" in line else line
