"""Where flows are kept (PIN-7): one contract, `Storage`, and the places that keep it.

Names are handed on lazily: papermill imports `flownb.storage.papermill_io` whenever it is imported itself.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flownb.storage.base import Runner, Storage
    from flownb.storage.directory import DirectoryStorage
    from flownb.storage.git import GitStorage
    from flownb.storage.notebook import NotebookStorage
    from flownb.storage.opening import open_flow, open_storage
    from flownb.storage.reference import Reference, parse_reference
    from flownb.storage.variables import EnvRunner
    from flownb.storage.versions import Version

__all__ = [
    "DirectoryStorage",
    "EnvRunner",
    "GitStorage",
    "NotebookStorage",
    "Reference",
    "Runner",
    "Storage",
    "Version",
    "open_flow",
    "open_storage",
    "parse_reference",
]

_MODULES = {
    "DirectoryStorage": "directory",
    "EnvRunner": "variables",
    "GitStorage": "git",
    "NotebookStorage": "notebook",
    "Reference": "reference",
    "Runner": "base",
    "Storage": "base",
    "Version": "versions",
    "open_flow": "opening",
    "open_storage": "opening",
    "parse_reference": "reference",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
