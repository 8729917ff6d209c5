"""The kinds of environments by the words that stand for them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from flownb.errors import EnvironmentRefused

if TYPE_CHECKING:
    from flownb.environments.base import Environment

_KINDS = {"local": "flownb.environments.local:LocalEnvironment"}


def kind_of(word: object) -> type[Environment]:
    """Return the class that a word stands for; `EnvironmentRefused`, naming those there are, else."""
    if not isinstance(word, str) or word not in _KINDS:
        raise EnvironmentRefused(
            f"there is no environment of the type {ascii(word)[:60]}; there are: {', '.join(_KINDS)}"
        )
    module, _, name = _KINDS[word].partition(":")
    found: Any = getattr(import_module(module), name)
    return found  # type: ignore[no-any-return]  # _KINDS names classes of environments
