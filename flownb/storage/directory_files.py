"""The files below a directory: on this machine, or wherever fsspec reaches.

Three things are needed of a place: which files are there, what is in one, and a new one whole or not at
all. What a library or a server says when it goes wrong becomes a `StorageError`.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from flownb.errors import FlownbError, MissingExtraError, StorageError
from flownb.files import write_atomic
from flownb.storage.directory_options import EXTRAS, scheme_of
from flownb.storage.filenames import decoded, is_hashed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: requests at once where each folder has to be listed by itself
_AT_ONCE = 8


class Files(Protocol):
    """Files in folders below one root; a file's path is `FOLDER/FILE`. All raise `StorageError`."""

    def all(self) -> Mapping[str, list[str]]:
        """Return the names of the files of every folder."""

    def names(self, folder: str) -> list[str]:
        """Return the names of the files of one folder; none where it is not there."""

    def read(self, path: str) -> bytes | None:
        """Return what is in a file; None where it is not there."""

    def write(self, path: str, data: bytes) -> None:
        """Write a file, whole or not at all, and its folder where it is not there."""

    def delete(self, path: str) -> None:
        """Delete a file that is there."""


def files_at(url: str, options: Mapping[str, Any], hint: str = "") -> Files:
    """Return the files below a URL in its normal form; nothing is opened yet.

    `hint` says what may be the cause where a place refuses.
    """
    return RemoteFiles(url, options, hint) if scheme_of(url) else LocalFiles(Path(url))


class LocalFiles:
    """A folder of this machine, without the way round through fsspec: faster, and written atomically."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def all(self) -> Mapping[str, list[str]]:
        """List root and folders; a root that is not there yet is empty."""
        try:
            with os.scandir(self.root) as found:
                folders = [entry.name for entry in found if entry.is_dir()]
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StorageError(f"{self.root} cannot be listed: {error.strerror}") from error
        return {folder: self.names(folder) for folder in folders}

    def names(self, folder: str) -> list[str]:
        """List one folder."""
        try:
            return os.listdir(os.path.join(self.root, folder))  # a Path of each takes as long as the listing
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageError(f"{self.root / folder} cannot be listed: {error.strerror}") from error

    def read(self, path: str) -> bytes | None:
        """Read one file."""
        try:
            return (self.root / path).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"{self.root / path} cannot be read: {error.strerror}") from error

    def write(self, path: str, data: bytes) -> None:
        """Write one file atomically, and durably."""
        target = self.root / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{target.parent} cannot be made: {error.strerror}") from error
        write_atomic(target, data, error=StorageError)

    def delete(self, path: str) -> None:
        """Delete one file."""
        try:
            (self.root / path).unlink()
        except OSError as error:
            raise StorageError(f"{self.root / path} cannot be deleted: {error.strerror}") from error


class RemoteFiles:
    """What an fsspec file system reaches: objects of a bucket, pages of a web server, memory.

    Listings are never taken from a cache, as others write too. The file system is asked of fsspec for
    each call, which keeps it, and makes another one in a forked process.
    """

    def __init__(self, url: str, options: Mapping[str, Any], hint: str = "") -> None:
        self.url = url
        self.hint = hint
        self.options = options
        self.is_web = scheme_of(url) in ("http", "https")

    def _place(self) -> tuple[Any, str]:
        """Return the file system and the root in it. Raises `MissingExtraError`, `StorageError`."""
        import fsspec

        scheme = scheme_of(self.url)
        try:
            fsspec.get_filesystem_class(scheme)
        except ImportError as error:
            extra = EXTRAS.get(scheme)
            how = f"pip install 'flownb[{extra}]'" if extra else _words(error)
            raise MissingExtraError(f"{self.url} needs what is not installed: {how}") from error
        except ValueError:
            raise StorageError(f"{self.url}: fsspec knows no {scheme}://") from None
        place, root = fsspec.core.url_to_fs(self.url, use_listings_cache=False, **self.options)
        return place, root.rstrip("/")

    def all(self) -> Mapping[str, list[str]]:
        """List everything in one go; a web server's folders one by one, several at once."""
        with self._told("cannot be listed"):
            place, root = self._place()
            if self.is_web:
                found = [path for path in place.ls(root + "/", detail=False) if path.endswith("/")]
                folders = [path.rstrip("/").rpartition("/")[2] for path in found]
                folders = [folder for folder in folders if decoded(folder) or is_hashed(folder)]
                with ThreadPoolExecutor(_AT_ONCE) as pool:
                    return dict(zip(folders, pool.map(self.names, folders), strict=True))
            place.invalidate_cache()
            every: dict[str, list[str]] = {}
            for path in place.find(root):
                folder, _, file = path[len(root) :].lstrip("/").rpartition("/")
                if folder and "/" not in folder:
                    every.setdefault(folder, []).append(file)
            return every

    def names(self, folder: str) -> list[str]:
        """List one folder."""
        with self._told("cannot be listed"):
            place, root = self._place()
            place.invalidate_cache()
            try:
                found = place.ls(f"{root}/{folder}" + "/" * self.is_web, detail=False)
            except FileNotFoundError:
                return []
            return [path.rpartition("/")[2] for path in found]

    def read(self, path: str) -> bytes | None:
        """Read one file."""
        with self._told("cannot be read"):
            place, root = self._place()
            try:
                return bytes(place.cat_file(f"{root}/{path}"))
            except FileNotFoundError:
                return None

    def write(self, path: str, data: bytes) -> None:
        """Write one file; stores of objects have it whole or not at all."""
        if self.is_web:
            raise StorageError(
                f"{self.url} is read only: nothing is written over HTTP; "
                "flows can be copied from it into another storage"
            )
        with self._told("cannot be written"):
            place, root = self._place()
            place.pipe_file(f"{root}/{path}", data)

    def delete(self, path: str) -> None:
        """Delete one file."""
        with self._told("cannot be changed"):
            place, root = self._place()
            place.rm_file(f"{root}/{path}")

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Tell whatever a library raises (each has errors of its own) as what it means for the storage."""
        try:
            yield
        except FlownbError:
            raise
        except Exception as error:
            why = f"{_words(error)}. {self.hint}" if self.hint else _words(error)
            raise StorageError(f"{self.url} {what}: {why}") from error


def _words(error: BaseException) -> str:
    """Return an error's words in one line; a server may have written them."""
    text = " ".join(str(error).split()) or type(error).__name__
    return "".join(char if char.isprintable() else "?" for char in text)[:300]
