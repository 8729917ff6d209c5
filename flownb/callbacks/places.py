"""Where ready-made callbacks put files: folders that start at the project, names that are safe as files."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import unicodedata
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import IO

    from flownb.runs import Run

_BYTES = 150  # of UTF-8: file systems allow 255, and endings and temporary names come on top
_RESERVED = re.compile(r"(?i)^(con|prn|aux|nul|com\d|lpt\d)$")


def place(path: str, run: Run) -> Path:
    """Return a callback's path as an absolute one: `~` is the home, a relative one starts at the project.

    The project is the folder that holds `.flownb`; so a relative path means the same in whichever folder
    the supervising process was started.
    """
    wanted = Path(path).expanduser()
    records = next((folder for folder in run.folder.absolute().parents if folder.name == ".flownb"), None)
    return (records.parent if records is not None else Path.cwd()) / wanted


def file_name(name: str) -> str:
    """Return a name that is one plain file name everywhere: no separators, not hidden, not too long.

    Letters and digits of any script stay. A name that had to be changed gets a bit of its hash behind it,
    so that two different names never become the same.
    """
    composed = unicodedata.normalize("NFC", name)
    kept = "".join(
        char if char in "_- ." or unicodedata.category(char)[0] in "LMN" else "_" for char in composed
    )
    kept = kept.strip(" .")
    kept = kept.encode("utf-8")[:_BYTES].decode("utf-8", "ignore").rstrip(" .")
    if kept and kept == composed and not _RESERVED.match(kept):
        return kept
    return _marked(kept, name)


def file_names(names: Iterable[str]) -> dict[str, str]:
    """Return a file name for each name, all different also where the file system takes `a` for `A`."""
    taken: set[str] = set()
    files: dict[str, str] = {}
    for name in names:
        file = file_name(name)
        if file.casefold() in taken:
            file = _marked(file, name)
        taken.add(file.casefold())
        files[name] = file
    return files


@contextmanager
def whole(path: Path) -> Iterator[IO[bytes]]:
    """Give a file to write that takes the place of `path` when all of it is there, and not before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".flownb-{secrets.token_hex(8)}.tmp"
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def copy(source: Path, target: Path) -> None:
    """Copy a file's bytes; the target is there whole or not at all."""
    with source.open("rb") as reading, whole(target) as writing:
        shutil.copyfileobj(reading, writing, 1 << 20)


def append_lines(path: Path, text: str, header: str = "") -> None:
    """Append whole lines to a file, under a lock that all who append with this function share.

    A new file gets the header first. A torn last line that somebody else left is ended, so that it spoils
    no other; where the disk is full, what was written of these lines is taken back.
    """
    import fcntl

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # given back when the descriptor is closed
        size = os.fstat(descriptor).st_size
        if size == 0:
            text = header + text
        elif os.pread(descriptor, 1, size - 1) != b"\n":
            text = "\n" + text
        try:
            _write(descriptor, text.encode("utf-8", "backslashreplace"))
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


def _marked(kept: str, name: str) -> str:
    return f"{kept}~{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def _write(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
