"""Keeping a run's secrets out of all that is written of the run, the files of its outputs among it."""

from __future__ import annotations

import mmap
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from flownb.engine import redactor
from flownb.parameters import Redactor

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from flownb.runs.record import OutputRecord, RunError

T = TypeVar("T")

#: characters; what is shorter stands in many a value that has nothing to do with the secret
_TELLING = 8


class Secrecy:
    """Takes secrets out of texts, and outputs that hold them out of the run's folder."""

    def __init__(self, hidden: Collection[str]) -> None:
        """`hidden` are the texts that nothing which is kept may hold."""
        self._redacted = redactor(hidden)
        telling = [secret for secret in hidden if len(secret) >= _TELLING]
        self._telling = Redactor(telling) if telling else None

    def __call__(self, value: T) -> T:
        """Return JSON-like data with `***` in place of the secrets in its texts."""
        return self._redacted(value)

    def error(self, error: RunError) -> RunError:
        """Return the error without the secrets in what it tells; which step it is of stays."""
        return replace(
            error,
            kind=self(error.kind),
            message=self(error.message),
            source_line=self(error.source_line),
            traceback=self(error.traceback),
        )

    def output(self, record: OutputRecord, folder: Path) -> OutputRecord:
        """Return the record of a stored output as it may be kept.

        Where the value holds a secret its files are deleted, and the record says why. Names and digests
        stay as they are, else the value could not be read back.
        """
        paths = [folder / file for file in record.files]
        if not self._holds_secret(record, paths):
            return replace(
                record, preview=self(record.preview), type=self(record.type), error=self(record.error)
            )
        for path in paths:
            path.unlink(missing_ok=True)
        why = (
            f"`{record.name}` ({self(record.type)}) is not stored: it holds the value of a secret parameter, "
            "which is never written down"
        )
        return type(record)(
            record.name, record.step, format="error", type=self(record.type), python=record.python, error=why
        )

    def _holds_secret(self, record: OutputRecord, paths: Collection[Path]) -> bool:
        if self._telling is None or record.format == "error":
            return False
        told = record.preview + repr(record.detail)
        return self._telling(told) != told or any(self._is_in(path) for path in paths)

    def _is_in(self, path: Path) -> bool:
        assert self._telling is not None
        with path.open("rb") as file:
            if not path.stat().st_size:
                return False
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return self._telling.is_in(data)
