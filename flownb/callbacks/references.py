"""Callbacks that are known by a name or as pickled bytes, and become real only when they are called.

So listing or showing an environment never imports a module of the user's and never unpickles.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import importlib
import importlib.util
import platform
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flownb.callbacks.base import Callback, Named, call, name_of, normalise
from flownb.errors import CallbackError
from flownb.frozen import frozen, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from flownb.runs import Run


@dataclass(frozen=True)
class Reference(Named):
    """A callback known as `module:qualname`; with options, what calling that with them gives."""

    target: str
    options: Mapping[str, Any] | None = field(default=None, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", frozen(self.options))
        module, _, name = self.target.partition(":")
        if not all(part.isidentifier() for part in [*module.split("."), *name.split(".")]):
            raise CallbackError(
                f"the callback {self.target[:100]!a} is not `module:name`, as in `team.hooks:tell`"
            )

    def __str__(self) -> str:
        return self.target

    def __call__(self, run: Run) -> object:
        """Import it and call it for this run, in the process that supervises it."""
        return call(self.load(), run)

    def load(self) -> Callback:
        """Import it; `CallbackError` says which module or name is missing, or which option is wrong."""
        found = self._find()
        if self.options is None:
            return _one(found, self.target)
        if not callable(found):
            raise CallbackError(f"`{self.target}` takes no options: it is a {type(found).__qualname__}")
        try:
            made = found(**plain(self.options))
        except TypeError as error:
            given = ", ".join(sorted(self.options)) or "none"
            raise CallbackError(
                f"`{self.target}` cannot be made with these options ({given}): {error}"
            ) from error
        return _one(made, self.target)

    def _find(self) -> object:
        module_name, _, qualname = self.target.partition(":")
        try:
            found: object = importlib.import_module(module_name)
        except Exception as error:
            raise CallbackError(
                f"the callback `{self.target}` cannot be imported: {type(error).__name__}: {error}. "
                "Its module must be installed, or on Python's path, where the run is supervised"
            ) from error
        for part in qualname.split("."):
            if not hasattr(found, part):
                raise CallbackError(f"the callback `{self.target}` does not exist: {_missing(found, part)}")
            found = getattr(found, part)
        return found


@dataclass(frozen=True)
class Pickled(Named):
    """A callback kept as cloudpickle's bytes, with the Python that wrote them."""

    data: str = field(repr=False)  #: base64
    python: str
    magic: str  #: `importlib.util.MAGIC_NUMBER` of that Python, as hex
    name: str

    def __post_init__(self) -> None:
        if self.magic != this_magic():
            raise CallbackError(
                f"the callback {self.name} was written by Python {self.python}, whose bytecode is not that "
                f"of this Python {platform.python_version()}: run it with Python {self.python}, or put the "
                "callback into a module, which is stored by name and works with both"
            )
        try:
            base64.b64decode(self.data, validate=True)
        except (binascii.Error, ValueError) as error:
            raise CallbackError(f"the stored callback {self.name} is damaged: {error}") from error

    def __str__(self) -> str:
        return self.name

    def __call__(self, run: Run) -> object:
        """Unpickle it and call it for this run, in the process that supervises it."""
        return call(self.load(), run)

    def load(self) -> Callback:
        """Unpickle it: runs code. `CallbackError` where it cannot be, naming what is missing here."""
        import cloudpickle

        try:
            found: object = cloudpickle.loads(base64.b64decode(self.data))
        except Exception as error:
            raise CallbackError(
                f"the stored callback {self.name} cannot be loaded here: {type(error).__name__}: {error}"
            ) from error
        return _one(found, self.name)


def this_magic() -> str:
    """Return this Python's bytecode magic number, as hex: equal where pickled code can be shared."""
    return importlib.util.MAGIC_NUMBER.hex()


def resolve(callbacks: Iterable[Callback]) -> tuple[Callback, ...]:
    """Return the callbacks with those that were read back imported or unpickled: this runs their code.

    Called before a run starts, in the process that supervises it, so that a callback that cannot be
    loaded is a `CallbackError` while nothing has happened yet.
    """
    return tuple(item.load() if isinstance(item, Reference | Pickled) else item for item in callbacks)


def _one(found: object, name: str) -> Callback:
    if not callable(found):
        raise CallbackError(f"the callback `{name}` is a {type(found).__qualname__}, which cannot be called")
    return normalise(found, f"the callback `{name}`")[0]


def _missing(found: object, part: str) -> str:
    owner = getattr(found, "__name__", name_of(type(found)))
    near = difflib.get_close_matches(part, dir(found), n=1)
    return f"`{owner}` has no `{part}`" + (f"; is `{near[0]}` meant?" if near else "")
