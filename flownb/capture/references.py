"""How Python in a flow's closure says a class, function, module or enum member that exists elsewhere."""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from functools import _lru_cache_wrapper
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from flownb.capture.importing import importable, module_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flownb.capture.sources import Sources

_MISSING = object()

#: what `def` and `class` make, with the one decorator that gives another type and keeps the name
DEFINED = (type, FunctionType, _lru_cache_wrapper)


@dataclass(frozen=True)
class Reference:
    """An expression that gives an object again, and the name of the closure that it reads, if any."""

    text: str
    reads: str | None = None


class References:
    """References to what a namespace binds, or what can be imported.

    `provided` are names that others bind in the flow: nothing may rely on what they are bound to here.
    """

    def __init__(
        self, namespace: Mapping[str, Any], sources: Sources, provided: frozenset[str] = frozenset()
    ) -> None:
        self._namespace = namespace
        self._sources = sources
        self._provided = provided
        self._modules: dict[str, str] | None = None

    def own_name(self, value: object) -> str | None:
        """Return the name (dotted inside classes) that the notebook has for its own class or function."""
        if not isinstance(value, DEFINED) or importable(value) is not None:
            return None
        qualname = value.__qualname__
        root, *inner = qualname.split(".")
        if "<" in qualname or root in self._provided:
            return None
        found = self._namespace.get(root, _MISSING)
        for part in inner:
            found = getattr(found, part, _MISSING)
        return qualname if found is value else None

    def lambda_source(self, function: FunctionType) -> str | None:
        """Return the text of the lambda that made `function`, where it is known and says it all."""
        return self._sources.lambda_source(function, self._namespace)

    def to(self, value: object) -> Reference | None:
        """Return a reference to a class, function or module; None where it has no name."""
        if isinstance(value, ModuleType):
            return self._module(value)
        own = self.own_name(value)
        if own is not None:
            return Reference(own, own.partition(".")[0])
        if not isinstance(value, type | FunctionType | BuiltinFunctionType) and not callable(value):
            return None
        found = importable(value)
        return None if found is None else self._imported(*found, value)

    def _imported(self, module: str, qualname: str, value: object) -> Reference:
        if module == "builtins" and qualname not in self._provided and qualname not in self._namespace:
            return Reference(qualname)
        root, _, rest = qualname.partition(".")
        bound = self._namespace.get(root, _MISSING)
        if root not in self._provided and bound is not _MISSING and _follow(bound, rest) is value:
            return Reference(qualname, root)
        held = self._module_names().get(module)
        if held is not None:
            return Reference(f"{held}.{qualname}", held)
        return Reference(f"{_import_expression(module)}.{qualname}")

    def _module(self, module: ModuleType) -> Reference | None:
        name = module_name(module)
        if name is None:
            return None
        held = self._module_names().get(name)
        return Reference(held, held) if held else Reference(_import_expression(name))

    def _module_names(self) -> dict[str, str]:
        """Names of modules -> the first name, in alphabetical order, by which the notebook has each."""
        if self._modules is None:
            held: dict[str, str] = {}
            names = (
                n for n, v in self._namespace.items() if isinstance(v, ModuleType) and n not in self._provided
            )
            for name in sorted(names):
                full = module_name(self._namespace[name])
                if full is not None and not name.startswith("_"):
                    held.setdefault(full, name)
            self._modules = held
        return self._modules


def _follow(value: object, path: str) -> object:
    for part in path.split(".") if path else ():
        value = getattr(value, part, _MISSING)
    return value


def _import_expression(module: str) -> str:
    if "." not in module:
        return f'__import__("{module}")'
    return f'__import__("importlib").import_module("{module}")'


def is_builtin(name: str, value: object) -> bool:
    """Whether `name` is one of Python's builtins, and `value` what it always is."""
    return getattr(builtins, name, _MISSING) is value
