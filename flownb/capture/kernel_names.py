"""Names that a kernel gives to every notebook: there is nothing to carry for them."""

from __future__ import annotations

import builtins
import re
from typing import TYPE_CHECKING, Any

from flownb.capture.references import is_builtin

if TYPE_CHECKING:
    from collections.abc import Mapping

_PYTHONS = frozenset(
    {
        "__name__",
        "__doc__",
        "__package__",
        "__loader__",
        "__spec__",
        "__builtin__",
        "__builtins__",
        "__annotations__",
    }
)
_IPYTHONS = frozenset({"get_ipython", "display", "exit", "quit", "open"})
_HISTORY = re.compile(r"_{1,3}|_\d+|_i{1,3}|_i\d+|_[iods]h|In|Out")


def is_kernels_own(name: str, value: object) -> bool:
    """Whether every kernel binds `name` to this by itself."""
    if name in _PYTHONS or is_builtin(name, value):
        return True
    if name not in _IPYTHONS:
        return False
    if getattr(value, "__wrapped__", None) is getattr(builtins, name, value):
        return True  # IPython's own open()
    modules = (getattr(value, "__module__", None), type(value).__module__)
    return any(
        str(module).partition(".")[0] in {"IPython", "ipykernel", "_sitebuiltins"} for module in modules
    )


def is_history(name: str, namespace: Mapping[str, Any]) -> bool:
    """Whether `name` means what was typed or shown before, which is another thing in every session."""
    if not _HISTORY.fullmatch(name) or "_oh" not in namespace:
        return False
    if name in {"In", "Out"}:
        return namespace.get(name) is namespace.get({"In": "_ih", "Out": "_oh"}[name])
    return True
