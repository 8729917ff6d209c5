"""Files of stored values: names that are safe everywhere, whole or not there, and checked when read."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def file_stem(name: str) -> str:
    """Return a file name for `name` that is safe everywhere and that no other name shares, without suffix.

    Readable where the name is ASCII; the digest keeps apart `a` and `A`, and names that only look alike.
    """
    readable = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:40].lstrip("-")
    return f"{readable}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:10]}"


def inside(folder: str | os.PathLike[str], file: str) -> pathlib.Path:
    """Return the path of a file in a folder; `ValueError` where its name, or a link, would lead out of it."""
    if not file or file in (".", "..") or re.search(r"[/\\\0:]", file):
        raise ValueError(f"{file!r} is not the name of an output's file")
    path = pathlib.Path(folder, file)
    if path.is_symlink():
        raise ValueError(f"{path} is a link, and not the file that was written")
    return path


def digest_of(paths: Sequence[pathlib.Path]) -> str:
    """Return the SHA-256 (hex) of these files, one after the other."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


class Parts:
    """The files of one value while they are written: under other names, until all of them are whole."""

    def __init__(self, folder: pathlib.Path, stem: str) -> None:
        self._folder = folder
        self._stem = stem
        self._parts: dict[str, pathlib.Path] = {}

    def place(self, suffix: str) -> pathlib.Path:
        """Return where to write the file that will be called stem + suffix."""
        part = self._folder / f".{self._stem}{suffix}.{os.getpid()}.part"
        self._parts[suffix] = part
        return part

    def commit(self) -> tuple[list[str], int, str]:
        """Give the files their names; return these, the bytes in all, and the digest.

        Files of the same stem with other suffixes, from an earlier attempt, go away.
        """
        paths = list(self._parts.values())
        for path in paths:
            with path.open("rb+") as file:
                os.fsync(file.fileno())
        size, digest = sum(path.stat().st_size for path in paths), digest_of(paths)
        names = [self._stem + suffix for suffix in self._parts]
        for suffix, path in self._parts.items():
            path.replace(self._folder / (self._stem + suffix))
        for other in self._folder.glob(f"{self._stem}.*"):
            if other.name not in names:
                other.unlink()
        return names, size, digest

    def discard(self) -> None:
        """Remove what was not committed."""
        for path in self._parts.values():
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
