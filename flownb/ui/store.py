"""The storage of the live notebook: what was captured in this kernel, over what its saved file holds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from flownb.errors import CaptureError, StorageError
from flownb.storage import NotebookStorage, Storage
from flownb.storage.reference import location, split_location

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flownb.flow import Flow
    from flownb.ui.live import LiveNotebook


class LiveStorage(Storage):
    """The flows of the notebook that is open.

    A flow captured since the kernel started comes from memory, any other one from the saved file.
    """

    kind: ClassVar[str] = NotebookStorage.kind

    def __init__(self, live: LiveNotebook) -> None:
        self.live = live

    @property
    def name(self) -> str:
        """The notebook's file name, where it is known."""
        return self.live.path.name if self.live.path is not None else "this notebook"

    @property
    def place(self) -> str:
        """The notebook's absolute path; empty where it was never saved."""
        return self._saved.place if self._saved is not None else ""

    @property
    def _saved(self) -> NotebookStorage | None:
        return NotebookStorage(self.live.path) if self.live.path is not None else None

    def _newest(self) -> Mapping[str, str]:
        """Return name -> version of each flow, those captured here first."""
        here = {name: self._version(name) for name in self.live.names}
        saved = self._saved.flows if self._saved is not None else {}
        others = {name: split_location(at)[1] or "" for name, at in saved.items() if name not in here}
        return {**here, **others}

    def reach(self) -> None:
        """Do nothing: it is here."""

    def _version(self, name: str) -> str:
        try:
            return self.live.flow(name).version
        except CaptureError:
            return ""  # `get_flow` tells what is wrong with it

    def _write(self, flow: Flow, *, replace: bool) -> str:
        """Refuse: the kernel never writes a notebook that a front end has open."""
        raise StorageError(
            f"{flow.name} cannot be written into the open notebook; run its cell with `%%flow`, "
            f"or add it to another storage: open_storage('x.ipynb').add_flow(flow, {replace=})"
        )

    def _read(self, name: str, version: str) -> Flow:
        """Return the flow as captured here, or as saved."""
        if name not in self.live.names:
            if self._saved is None:
                raise self._not_found(name)
            return self._saved.get_flow(location(name, version or None))
        return replace(self.live.flow(name), folder=self.live.folder)

    def notes(self, flow: Flow) -> list[str]:
        """Return what makes a flow stale, in this kernel or in the saved file."""
        if flow.name in self.live.names:
            return [*self.live.notes(flow.name), *super().notes(flow)]
        return self._saved.notes(flow) if self._saved is not None else super().notes(flow)

    def marks(self, flow: Flow) -> Mapping[str, Any]:
        """Return the marks of what was captured here, or those in the saved file."""
        if flow.name in self.live.names:
            return self.live.marks(flow)
        return self._saved.marks(flow) if self._saved is not None else {}

    def _options(self) -> Mapping[str, Any]:
        return {"path": str(self.live.path or "")}

    def serialize(self) -> dict[str, Any]:
        """Return the notebook storage that the saved file is; nothing where the notebook was never saved."""
        return self._saved.serialize() if self._saved is not None else {}
