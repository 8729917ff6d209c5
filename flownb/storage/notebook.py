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
from flownb.document import (
    check_python,
    from_dict,
    is_document,
    load_notebook,
    to_dict,
    whole_notebook,
    with_outputs,
)
from flownb.errors import CaptureError, DocumentError, FlowExistsError, FlownbError, StorageError
from flownb.files import write_atomic
from flownb.storage.base import Storage
from flownb.storage.notebook_cells import with_flow
from flownb.storage.reference import location
from flownb.storage.versions import Version

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from flownb.flow import Flow


#: a notebook without cells
_EMPTY: dict[str, Any] = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


class NotebookStorage(Storage):
    """Flows in a notebook file.

    For scripts and commands: it reads the saved file, and writes it atomically. The notebook that a
    front end has open is never written by its kernel; there, `%%flow` displays the record. A flow
    document, too, is opened so: it holds one flow, itself. So does a notebook without `%%flow` cells, whose
    `outputs` can be declared here: names whose values at its end are kept.
    """

    kind = "notebook"

    def __init__(self, path: str | os.PathLike[str], *, outputs: Sequence[str] = ()) -> None:
        self._given = os.fspath(path)
        if not self._given or "\0" in self._given:
            raise StorageError(f"{self._given!a} names no notebook")
        if isinstance(outputs, str) or not all(isinstance(name, str) for name in outputs):
            raise StorageError(f"outputs={outputs!a:.60} is no list of names, such as ['summary', 'chart']")
        self.outputs = tuple(outputs)
        self.path = Path(os.path.abspath(os.path.expanduser(path)))
        self._last: tuple[tuple[int, int], SavedNotebook] | None = None

    @property
    def name(self) -> str:
        """The path, as it was given."""
        return self._given

    @property
    def place(self) -> str:
        """The absolute path."""
        return str(self.path)

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
        if self._last is None or self._last[0] != stamp:
            try:
                content = load_notebook(self.path)
                check_python(content, str(self.path))
            except DocumentError as error:
                raise StorageError(str(error)) from error
            self._last = stamp, self._notebook(content, self.path.parent)
        return self._last[1]

    def _notebook(self, content: dict[str, Any], folder: Path) -> SavedNotebook:
        if not is_document(content):
            notebook = SavedNotebook(content["cells"], self.name, folder)
            if self.outputs and notebook.names:
                raise StorageError(
                    f"{self.name}: its flows declare their outputs themselves, in their cells: "
                    f"%%flow {notebook.names[0]} --out {','.join(self.outputs)}"
                )
            return notebook
        try:
            document = with_outputs(changed(from_dict(content, self.name), folder=folder), self.outputs)
        except FlownbError as error:
            raise StorageError(str(error)) from error
        return SavedNotebook(content["cells"], self.name, folder, document)

    def _newest(self) -> Mapping[str, str]:
        """Return name -> version of each flow; one that cannot be read hides none of the others."""
        notebook = self.notebook
        return {name: _version(notebook, name) for name in notebook.names}

    @property
    def held(self) -> str:
        """What it holds, in words, or that its file is not there."""
        return super().held if self.path.exists() else "is not there: no such file"

    def reach(self) -> None:
        """Read the file, and no flow in it."""
        _ = self.notebook

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
        flow = whole_notebook(self.path, self.outputs)
        return flow if flow.steps else None

    def _versions(self, name: str) -> Sequence[Version]:
        """Return the one version; a notebook without flows is one itself, under its file's name (`whole`)."""
        notebook = self.notebook
        if name in notebook.names:
            version = _version(notebook, name)
            return [Version(version, location(name, version or None), None)]
        if (whole := self.whole) is not None and whole.name == name:
            return [Version(whole.version, location(name, whole.version), None)]
        return []

    def _write(self, flow: Flow, *, replace: bool) -> str:
        """Write the flow's cells, with their records, at the end of the notebook, atomically.

        The file is made where there is none. A notebook that was taken whole stays what it is: it is written
        as its document, which has no room for other flows.
        """
        with _alone_in(self.path.parent):
            there = self.notebook
            if flow.name in there.names and not replace:
                raise FlowExistsError(
                    f"{self.name} holds a flow {flow.name} already; replace=True replaces it"
                )
            if there.document is not None and there.document.name != flow.name:
                raise StorageError(
                    f"{self.name} is the document of one flow; name another notebook to add flows to"
                )
            if there.document is None and flow.notebook is None:
                content = with_flow(load_notebook(self.path) if self.path.exists() else _EMPTY, flow)
            elif there.document is None and there.cells:
                if flow == self.whole:
                    return flow.version
                raise StorageError(
                    f"{self.name} has cells of its own, and {flow.name} is a whole notebook, which is kept "
                    "in one by itself; name another notebook"
                )
            else:
                content = to_dict(flow)
            write_atomic(self.path, content, error=StorageError)
        return self._newest()[flow.name]

    def _read(self, name: str, version: str) -> Flow:
        notebook = self.notebook
        whole = self.whole if name not in notebook.names else None
        if name not in notebook.names and (whole is None or whole.name != name):
            raise self._not_found(name)
        flow = whole or notebook.flow(name)
        if not flow.digest.startswith(version):  # the file has just been changed
            raise self._not_found(name, version)
        return flow

    def notes(self, flow: Flow) -> list[str]:
        """Return what is stale, and where record and source give other flows; see `Storage.notes`."""
        return [*self.notebook.notes(flow.name), *super().notes(flow)]

    def marks(self, flow: Flow) -> Mapping[str, Any]:
        """Return the marks in the record that the flow is taken from; see `Storage.marks`."""
        recorded = self.notebook.recorded(flow.name)
        return recorded.marks if recorded is not None else {}

    def _options(self) -> Mapping[str, Any]:
        told = {"outputs": list(self.outputs)} if self.outputs else {}
        return {"path": str(self.path), **told}


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


def _version(notebook: SavedNotebook, name: str) -> str:
    try:
        return notebook.flow(name).version
    except (CaptureError, DocumentError):
        return ""
