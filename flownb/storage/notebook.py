"""NotebookStorage: the notebook is the storage.

Each `%%flow` cell keeps its part of the flow document in its own output, where the front end saves it
with the notebook. Reading takes that record where it is of the cell's source, and captures from source
where there is none, so any saved notebook with `%%flow` cells can be run. The newest version is the
only one that a notebook holds.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from dataclasses import replace as changed
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flownb.capture.saved import SavedNotebook
from flownb.document import check_python, from_dict, is_document, load_notebook, whole_notebook
from flownb.errors import CaptureError, DocumentError, FlowExists, FlownbError, StorageError
from flownb.files import write_atomic
from flownb.flow import check_name
from flownb.storage.base import Storage
from flownb.storage.notebook_cells import with_flow
from flownb.storage.reference import location, split_location

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Self

    from flownb.flow import Flow


class NotebookStorage(Storage):
    """Flows in a notebook file.

    For scripts and commands: it reads the saved file, and writes it atomically. The notebook that a
    front end has open is never written by its kernel; there, `%%flow` displays the record. A flow
    document, too, is opened so: it holds one flow, itself.
    """

    kind = "notebook"

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._given = os.fspath(path)
        self.path = Path(os.path.abspath(os.path.expanduser(path)))
        self._read: tuple[tuple[int, int], SavedNotebook] | None = None

    @property
    def name(self) -> str:
        """The path, as it was given."""
        return self._given

    @property
    def identity(self) -> str:
        """The kind and the absolute path."""
        return f"{self.kind}:{self.path}"

    @property
    def notebook(self) -> SavedNotebook:
        """The notebook as it is in the file now; without cells where there is no file yet.

        Raises `StorageError`.
        """
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return SavedNotebook([], self.name, self.path.parent)
        except OSError as error:
            raise StorageError(f"{self.name} cannot be opened: {error.strerror}") from None
        if not stat.S_ISREG(status.st_mode):  # a pipe, say, would be waited for
            raise StorageError(f"{self.name} cannot be opened: it is not a file")
        stamp = (status.st_mtime_ns, status.st_size)
        if self._read is None or self._read[0] != stamp:
            try:
                content = load_notebook(self.path)
                check_python(content, str(self.path))
            except DocumentError as error:
                raise StorageError(str(error)) from error
            self._read = stamp, self._notebook(content, self.path.parent)
        return self._read[1]

    def _notebook(self, content: dict[str, Any], folder: Path) -> SavedNotebook:
        if not is_document(content):
            return SavedNotebook(content["cells"], self.name, folder)
        try:
            document = changed(from_dict(content, self.name), folder=folder)
        except FlownbError as error:
            raise StorageError(str(error)) from error
        return SavedNotebook(content["cells"], self.name, folder, document)

    @property
    def flows(self) -> Mapping[str, str]:
        """Name of each flow -> its location.

        A flow that cannot be read is there under its name alone, so that it hides none of the others;
        `get_flow` tells what is wrong with it.
        """
        notebook = self.notebook
        return {name: _location(notebook, name) for name in notebook.names}

    @property
    def held(self) -> str:
        """What it holds, in words, or that its file is not there."""
        return super().held if self.path.exists() else "is not there: no such file"

    @property
    def problems(self) -> Sequence[str]:
        """What is wrong with `%%flow` lines that name no flow."""
        return self.notebook.problems

    @property
    def whole(self) -> Flow | None:
        """The notebook as one flow, where it has code, and no cell of it begins with `%%flow`."""
        notebook = self.notebook
        if notebook.names or notebook.problems:
            return None
        if not self.path.exists():
            return None
        flow = whole_notebook(self.path)
        return self._stored(flow) if flow.steps else None

    def add_flow(self, flow: Flow, *, replace: bool = False) -> str:
        """Write the flow's cells, with their records, at the end of the notebook, atomically.

        The file is made where there is none. Raises `FlowExists`, `NameRefused`, `StorageError`.
        """
        check_name(flow.name)
        with _alone_in(self.path.parent):
            content: dict[str, Any] = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
            if self.path.exists():
                if flow.name in self.notebook.names and not replace:
                    raise FlowExists(
                        f"{self.name} holds a flow {flow.name} already; replace=True replaces it"
                    )
                if self.notebook.document is not None:
                    raise StorageError(
                        f"{self.name} is the document of one flow; name another notebook to add flows to"
                    )
                content = load_notebook(self.path)
            write_atomic(self.path, with_flow(content, flow), error=StorageError)
        return self.flows[flow.name]

    def get_flow(self, location: str) -> Flow:
        """Return the flow; a version other than the one that is there is refused (`FlowNotFound`).

        A notebook without flows is one itself, under the name of its file (`whole`).
        """
        name, version = split_location(location)
        whole = self.whole if name not in self.notebook.names else None
        if name not in self.notebook.names and (whole is None or whole.name != name):
            raise self._not_found(name)
        flow = whole or self.notebook.flow(name)
        if version is not None and not (len(version) >= 4 and flow.digest.startswith(version)):
            raise self._not_found(name, version)
        return self._stored(flow)

    def _stored(self, flow: Flow) -> Flow:
        return changed(flow, storage=self.serialize(), location=f"{flow.name}@{flow.version}")

    def notes(self, flow: Flow) -> list[str]:
        """Return what is stale, and where record and source give other flows; see `Storage.notes`."""
        return [*self.notebook.notes(flow.name), *super().notes(flow)]

    def marks(self, flow: Flow) -> Mapping[str, Any]:
        """Return the marks in the record that the flow is taken from; see `Storage.marks`."""
        recorded = self.notebook.recorded(flow.name)
        return recorded.marks if recorded is not None else {}

    def serialize(self) -> dict[str, Any]:
        """Return kind and path, which is absolute: it may be opened again from another folder."""
        return {"kind": self.kind, "path": str(self.path)}

    @classmethod
    def from_serialized(cls, data: Mapping[str, Any]) -> Self:
        """Open the notebook at the path again."""
        return cls(data["path"])


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, so that of two who add flows to a notebook at once none loses its own.

    Raises `StorageError` where the folder is not there. Without locks (Windows) the last one to write wins.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise StorageError(f"nothing can be written in {folder}: {error.strerror}") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _location(notebook: SavedNotebook, name: str) -> str:
    try:
        return location(name, notebook.flow(name).version)
    except (CaptureError, DocumentError):
        return name
