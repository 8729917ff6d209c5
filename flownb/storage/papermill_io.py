"""`papermill flownb://STORE#NAME[@VERSION] out.ipynb`: plain papermill reads stored flows.

Loaded by papermill through the entry point group `papermill.io`; light, as papermill imports it always.
"""

from __future__ import annotations

from typing import NoReturn

_SCHEME = "flownb://"


class FlowHandler:
    """Papermill's interface to a place of notebooks, for flows: they are read, not written."""

    @classmethod
    def read(cls, path: str) -> str:
        """Return the text of the flow document. Raises `StorageError`."""
        from flownb.document import dumps
        from flownb.storage.opening import open_flow

        return dumps(open_flow(path.removeprefix(_SCHEME))[1])

    @classmethod
    def listdir(cls, path: str) -> list[str]:
        """Return the references of a store's flows."""
        from flownb.storage.opening import open_storage

        store = path.removeprefix(_SCHEME)
        return [f"{_SCHEME}{store}#{name}" for name in open_storage(store).flows]

    @classmethod
    def write(cls, buf: str, path: str) -> NoReturn:
        """Refuse: an executed notebook is not a flow."""
        from flownb.errors import StorageError

        del buf
        raise StorageError(
            f"{path}: an executed notebook cannot be written into a storage of flows; name a file"
        )

    @classmethod
    def pretty_path(cls, path: str) -> str:
        """Return the reference as it was given."""
        return path
