"""flownb: notebook cells that run again.

`%load_ext flownb`, then `%%flow NAME` on a cell. From Python: `Flow`, `open_storage`,
`LocalEnvironment`. What is heavy is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flownb._version import __version__

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from flownb import callbacks, errors
    from flownb.environments import Environment, LocalEnvironment
    from flownb.errors import FlownbError
    from flownb.flow import Flow
    from flownb.parameters import Secret
    from flownb.runs import Run, Runs, State
    from flownb.storage import DirectoryStorage, GitStorage, NotebookStorage, Storage, open_storage

__all__ = [
    "DirectoryStorage",
    "Environment",
    "Flow",
    "FlownbError",
    "GitStorage",
    "LocalEnvironment",
    "NotebookStorage",
    "Run",
    "Runs",
    "Secret",
    "State",
    "Storage",
    "__version__",
    "callbacks",
    "errors",
    "load_ipython_extension",
    "open_storage",
    "unload_ipython_extension",
]

_PLACES = {
    "DirectoryStorage": "flownb.storage",
    "Environment": "flownb.environments",
    "FlownbError": "flownb.errors",
    "Flow": "flownb.flow",
    "GitStorage": "flownb.storage",
    "LocalEnvironment": "flownb.environments",
    "NotebookStorage": "flownb.storage",
    "Run": "flownb.runs",
    "Runs": "flownb.runs",
    "Secret": "flownb.parameters",
    "State": "flownb.runs",
    "Storage": "flownb.storage",
    "open_storage": "flownb.storage",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in ("callbacks", "errors"):
        return import_module(f"flownb.{name}")
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Make `%%flow` and `%flow` known to this shell: what `%load_ext flownb` calls."""
    from flownb.ui.extension import load

    load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take back what `load_ipython_extension` did: what `%unload_ext flownb` calls."""
    from flownb.ui.extension import unload

    unload(shell)
