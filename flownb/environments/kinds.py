"""The kinds of environments by the words that stand for them, in `serialize()` and in `flownb.toml`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flownb.errors import EnvironmentRefusedError
from flownb.kinds import Kinds

if TYPE_CHECKING:
    from flownb.environments.base import Environment

#: entry points of other distributions: the word for a kind of environment -> its class
GROUP = "flownb.environments"

_OWN = {"local": "flownb.environments.local:LocalEnvironment"}


def kinds() -> Kinds[Environment]:
    """Return the kinds by their words; those of other distributions are registered by entry points."""
    from flownb.environments.base import Environment

    return Kinds(Environment, _OWN, GROUP, EnvironmentRefusedError)  # type: ignore[type-abstract]  # it makes none


def kind_of(word: object) -> type[Environment]:
    """Return the class that a word stands for; `EnvironmentRefusedError`, naming those there are, else."""
    return kinds().named(word)
