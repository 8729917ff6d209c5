"""Where flows run (PIN-7): one contract, `Environment`, and the places that keep it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flownb.environments.base import Environment
    from flownb.environments.beginning import begin
    from flownb.environments.config import environment_names, load_environment
    from flownb.environments.local import LocalEnvironment

__all__ = ["Environment", "LocalEnvironment", "begin", "environment_names", "load_environment"]

_HOMES = {
    "Environment": "base",
    "LocalEnvironment": "local",
    "begin": "beginning",
    "environment_names": "config",
    "load_environment": "config",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
