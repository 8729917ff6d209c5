"""Git's objects: read through one process for many, and made here, as bytes with their ids.

An object is named after its content, so what is read is what was written, or it is damaged.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import struct
import threading
import weakref
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from flownb.errors import StorageError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from flownb.storage.git.command import Git

#: requests that are sent before answers are read: together they fit into a pipe, so that nobody waits
_AT_ONCE = 400

_KINDS = {"commit": 1, "tree": 2, "blob": 3}


class Object(NamedTuple):
    """An object of a repository."""

    id: str
    kind: str  #: "commit", "tree", "blob" or "tag"
    data: bytes


class Entry(NamedTuple):
    """What a tree says of a name in it."""

    mode: str  #: "100644", "40000" for a tree
    id: str


Tree = dict[str, Entry]


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit, read. Names and message are text that anybody may have written."""

    id: str
    tree: str
    parents: tuple[str, ...]
    author: str
    when: datetime | None  #: when it was committed; None for a date that no calendar has
    message: str

    @property
    def subject(self) -> str:
        """The first line of the message."""
        return self.message.partition("\n")[0]


class Objects:
    """Reads a repository's objects through one `git cat-file --batch`, started when first needed.

    It ends with this object or with the process. Threads may share it; a forked child starts its own.
    """

    def __init__(self, git: Git) -> None:
        self._git = git
        self._lock = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = 0
        self._shallow: tuple[int, int] | None = None

    def read(self, name: str) -> Object | None:
        """Return the object of that id, full ref or `COMMIT:PATH`, or None. Raises `StorageError`."""
        return next(self.read_many((name,)))

    def read_many(self, names: Iterable[str]) -> Iterator[Object | None]:
        """Yield the object of each name, in their order, None for one that is not there."""
        names = list(names)
        for start in range(0, len(names), _AT_ONCE):
            yield from self._exchange(names[start : start + _AT_ONCE])

    def commit(self, name: str) -> Commit | None:
        """Return the commit of that id or ref; None where there is none. Tags are followed."""
        found = self.read(f"{name}^{{commit}}")
        return None if found is None else read_commit(found)

    def tree(self, name: str) -> Tree | None:
        """Return the tree of that id or `COMMIT:PATH`; None where there is none, or it is no tree."""
        found = self.read(name)
        return None if found is None or found.kind != "tree" else read_tree(found.data, len(found.id) // 2)

    def close(self) -> None:
        """End the process; it starts again when something is read."""
        with self._lock:
            if self._process is not None and self._pid == os.getpid():
                _end(self._process)
            self._process = None

    def _exchange(self, names: Sequence[str]) -> list[Object | None]:
        for name in names:
            if re.search(r"[\0\n]", name):
                raise StorageError(f"{name!a} names nothing in a Git repository")
        with self._lock:
            process = self._started()
            try:
                assert process.stdin is not None
                process.stdin.write("".join(f"{name}\n" for name in names).encode())
                process.stdin.flush()
                return [self._answer(process, name) for name in names]
            except (OSError, ValueError, EOFError) as error:
                self.close()
                raise StorageError(
                    f"{self._git.git_dir}: an object could not be read, it may be damaged; "
                    f"`git --git-dir={self._git.git_dir} fsck` tells which ({_names(names)})"
                ) from error
            except BaseException:
                self.close()  # interrupted within an answer: the rest of it would be taken for the next
                raise

    def _answer(self, process: subprocess.Popen[bytes], name: str) -> Object | None:
        assert process.stdout is not None
        head = process.stdout.readline()
        if not head.endswith(b"\n"):
            raise EOFError(name)
        words = head.split()
        if words[-1] in (b"missing", b"ambiguous"):
            return None
        object_id, kind, size = words
        data = process.stdout.read(int(size) + 1)
        if len(data) != int(size) + 1:
            raise EOFError(name)
        return Object(object_id.decode(), kind.decode(), data[:-1])

    def _started(self) -> subprocess.Popen[bytes]:
        shallow = self._shallow_stamp()
        running = self._process is not None and self._pid == os.getpid() and self._process.poll() is None
        if running and shallow != self._shallow:  # it would go on to see the history cut off as before
            self.close()
        if self._process is None or self._pid != os.getpid() or self._process.poll() is not None:
            self._shallow = shallow
            self._process = self._git.open("cat-file", "--batch")
            self._pid = os.getpid()
            weakref.finalize(self, _end, self._process, self._pid)
        return self._process

    def _shallow_stamp(self) -> tuple[int, int] | None:
        assert self._git.git_dir is not None
        try:
            found = (self._git.git_dir / "shallow").stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_size


def _end(process: subprocess.Popen[bytes], pid: int | None = None) -> None:
    if pid not in (None, os.getpid()):  # a fork of who started it
        return
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    process.terminate()
    process.wait()


def _names(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def object_id(kind: str, data: bytes, algorithm: str = "sha1") -> str:
    """Return the id that Git gives an object: a hash of its kind and content."""
    return hashlib.new(algorithm, f"{kind} {len(data)}\0".encode() + data, usedforsecurity=False).hexdigest()


def read_tree(data: bytes, id_size: int) -> Tree:
    """Return the entries of a tree by name."""
    found: Tree = {}
    position = 0
    while position < len(data):
        space = data.index(b" ", position)
        end = data.index(b"\0", space)
        name = data[space + 1 : end].decode("utf-8", "surrogateescape")
        mode = data[position:space].decode("ascii", "replace")
        position = end + 1 + id_size
        found[name] = Entry(mode, data[end + 1 : position].hex())
    return found


def tree_bytes(entries: Mapping[str, Entry]) -> bytes:
    """Return the content of a tree; Git sorts trees as if their names ended with a slash."""

    def key(item: tuple[bytes, Entry]) -> bytes:
        return item[0] + b"/" if item[1].mode == "40000" else item[0]

    encoded = [(name.encode("utf-8", "surrogateescape"), entry) for name, entry in entries.items()]
    return b"".join(
        entry.mode.encode() + b" " + name + b"\0" + bytes.fromhex(entry.id)
        for name, entry in sorted(encoded, key=key)
    )


def read_commit(found: Object) -> Commit:
    """Return what a commit says. Raises `StorageError` where it is none."""
    head, _, message = found.data.decode("utf-8", "backslashreplace").partition("\n\n")
    fields: dict[str, list[str]] = {}
    for line in head.split("\n"):
        key, _, value = line.partition(" ")
        fields.setdefault(key, []).append(value)
    if found.kind != "commit" or "tree" not in fields:
        raise StorageError(f"{found.id} is not a commit but a {found.kind}")
    author = re.match(r"(.*?) ?<", fields.get("author", [""])[0])
    return Commit(
        id=found.id,
        tree=fields["tree"][0],
        parents=tuple(fields.get("parent", ())),
        author=author[1] if author else "",
        when=_moment(fields.get("committer", [""])[0]),
        message=message,
    )


def _moment(signature: str) -> datetime | None:
    found = re.search(r"> (-?\d{1,15}) [+-]\d{4}$", signature)
    if found is None:
        return None
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(found[1]))
    except OverflowError:
        return None


def pack(objects: Sequence[tuple[str, bytes]], algorithm: str = "sha1") -> bytes:
    """Return a pack of whole objects, as `git unpack-objects` reads it, which writes all of them at once."""
    parts = [struct.pack(">4sLL", b"PACK", 2, len(objects))]
    for kind, data in objects:
        size = len(data)
        first = _KINDS[kind] << 4 | size & 15
        size >>= 4
        head = bytearray()
        while size:
            head.append(first | 0x80)
            first = size & 0x7F
            size >>= 7
        head.append(first)
        parts += [bytes(head), zlib.compress(data, 1)]
    content = b"".join(parts)
    return content + hashlib.new(algorithm, content, usedforsecurity=False).digest()
