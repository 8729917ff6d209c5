"""nbformat, imported in a small part of the time that it takes where JupyterLab is installed.

There `rfc3987_syntax` is installed, too. jsonschema imports it for a check of internationalised addresses,
and it compiles a grammar when it is imported. nbformat never makes that check: the grammar is left until
somebody does.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

_GRAMMAR = "rfc3987_syntax"
_CHECK = "is_valid_syntax"


class _Deferred(ModuleType):
    """Stands for the grammar's module while jsonschema is imported: its check imports it when called."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._check if name == _CHECK else getattr(self._real(), name)

    def _check(self, *args: Any, **options: Any) -> Any:
        return getattr(self._real(), _CHECK)(*args, **options)

    def _real(self) -> ModuleType:
        if sys.modules.get(_GRAMMAR) is self:
            del sys.modules[_GRAMMAR]
        return import_module(_GRAMMAR)


def import_nbformat() -> None:
    """Import nbformat as `import nbformat` does, and quickly; for what may be the first such line."""
    if "nbformat" in sys.modules or _GRAMMAR in sys.modules or find_spec(_GRAMMAR) is None:
        import nbformat

        return
    deferred = sys.modules[_GRAMMAR] = _Deferred(_GRAMMAR)
    try:
        import nbformat  # noqa: F401
    finally:
        if sys.modules.get(_GRAMMAR) is deferred:
            del sys.modules[_GRAMMAR]
