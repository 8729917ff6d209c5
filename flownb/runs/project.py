"""The project that runs belong to: its folder, what people set in `flownb.toml`, where records lie."""

from __future__ import annotations

import contextlib
import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flownb.errors import FlownbError, RecordError, RunNotFoundError

if TYPE_CHECKING:
    from os import PathLike

SETTINGS = "flownb.toml"
_MARKS = (SETTINGS, ".git", "pyproject.toml")


@dataclass(frozen=True)
class Project:
    """A folder whose runs are recorded together, in `.flownb` inside it."""

    root: Path

    @classmethod
    def of(cls, folder: PathLike[str] | str | Project) -> Project:
        """Return the project that `folder` (or a file) is in; a project is returned as it is.

        Its root is the nearest folder at or above it with `flownb.toml`, `.git` or `pyproject.toml`; the
        folder itself where there is none.
        """
        if isinstance(folder, Project):
            return folder
        folder = Path(folder).expanduser().resolve()
        if folder.is_file():
            folder = folder.parent
        for candidate in (folder, *folder.parents):
            if any((candidate / mark).exists() for mark in _MARKS):
                return cls(candidate)
        return cls(folder)

    @classmethod
    def at(cls, folder: PathLike[str] | str | Project) -> Project:
        """Return what `of` does. Raises `RunNotFoundError` for a folder that is not there: it has no runs."""
        if not isinstance(folder, Project) and not Path(folder).expanduser().exists():
            raise RunNotFoundError(
                f"there is no folder {ascii(str(folder))[:200]}, so no run is recorded in it"
            )
        return cls.of(folder)

    @property
    def records(self) -> Path:
        """The folder of the records; `ensure` makes it."""
        return self.root / ".flownb"

    @property
    def database(self) -> Path:
        """The file of the record store."""
        return self.records / "runs.db"

    @property
    def runs_folder(self) -> Path:
        """The folder that holds one folder a run."""
        return self.records / "runs"

    def run_folder(self, run_id: str) -> Path:
        """Return where the files of one run are: `flow.ipynb`, `executed.ipynb`, `outputs` and the others."""
        return self.runs_folder / run_id

    def recorded_folder(self, run_id: str) -> Path:
        """Return the folder of a run that is recorded here, or where nothing can be if that would lead out.

        Records may have come with the project: the id may be no file's name, and links may be in the folder.
        """
        from flownb.runs.values import file_stem, inside

        try:
            folder = inside(self.runs_folder, run_id)
            if _is_plain(folder):
                return folder
        except (ValueError, OSError):  # no name of a file, or of one too long
            pass
        return self.database / file_stem(run_id)  # which is a file

    def source(self, place: str) -> str:
        """Return how a store at that place, a path or a URL, is called here."""
        if not os.path.isabs(place):
            return place
        given = Path(place)
        # as the root is; a notebook that is a link is named by it
        path = given.resolve() if given.is_dir() else given.parent.resolve() / given.name
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else place

    def check(self) -> None:
        """Raise `RecordError` where the records' folder, or what is recorded in it, is a link elsewhere."""
        for path in (self.records, self.runs_folder, self.database):
            if path.is_symlink():
                raise RecordError(
                    f"{path} is a link, and records stay in their project's folder: put it itself there"
                )

    def settings(self) -> dict[str, Any]:
        """Return what `flownb.toml` says; nothing where there is no such file.

        Raises `FlownbError`, naming the file and the line, where it is not TOML.
        """
        path = self.root / SETTINGS
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise FlownbError(f"{path} cannot be read: {error.strerror or error}") from error
        try:
            return tomllib.loads(data.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise FlownbError(
                f"{path}, line {line}: this is not UTF-8 text; save the file as UTF-8"
            ) from None
        except tomllib.TOMLDecodeError as error:
            raise FlownbError(f"{path}, {_line_of(error, data)}: {_words_of(error)}") from None

    def ensure(self) -> Path:
        """Make the folder of the records, which Git leaves alone by itself, and return it.

        Raises `RecordError` where it cannot be made.
        """
        self.check()
        try:
            self.runs_folder.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError), (self.records / ".gitignore").open("x") as ignore:
                ignore.write("*\n")
        except OSError as error:
            raise RecordError(
                f"runs cannot be recorded in {self.records}: {error.strerror or error}; "
                "make the folder writable, or work in another project folder"
            ) from error
        return self.records


def _is_plain(folder: Path) -> bool:
    """Whether there is nothing but folders and files in a run's folder, which may be gone."""
    if folder.is_symlink():
        return False
    try:
        with os.scandir(folder) as entries:
            return all(
                entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)
                for entry in entries
            )
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # another user's
        return False


def _line_of(error: tomllib.TOMLDecodeError, data: bytes) -> str:
    found = re.search(r"line (\d+), column (\d+)", str(error))
    if found:
        return f"line {found[1]}, column {found[2]}"
    return f"line {max(data.rstrip().count(bytes([10])) + 1, 1)}"  # "at end of document"


def _words_of(error: tomllib.TOMLDecodeError) -> str:
    return re.sub(r" \(at [^)]*\)$", "", str(error))
