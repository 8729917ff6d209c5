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
        """Return the text of the flow document, which begins in the folder of its notebook.

        Raises `StorageError`; `NotTrustedError` for a storage that came from elsewhere.
        """
        import json

        from flownb.document import to_dict
        from flownb.storage import trust
        from flownb.storage.opening import open_flow

        storage, flow = open_flow(path.removeprefix(_SCHEME))
        trust.require(storage, flow.location)
        document = to_dict(flow)
        if flow.folder is not None:
            document["cells"].insert(0, _begin_in(str(flow.folder)))
        return json.dumps(document, ensure_ascii=False)

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


def _begin_in(folder: str) -> dict[str, object]:
    """Return the cell that takes the kernel to a folder, unless papermill was told another one (`--cwd`)."""
    import os

    source = (
        "# A flow runs in the folder of its notebook, unless papermill was told another one (--cwd).\n"
        f"if __import__('os').getcwd() == {os.getcwd()!r}:\n"
        f"    __import__('os').chdir({folder!r})"
    )
    about = {"flownb": {"role": "folder"}}
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": "folder",
        "metadata": about,
        "outputs": [],
        "source": source,
    }
