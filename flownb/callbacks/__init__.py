"""What environments call before a run starts and after it ended: `on_start` and `on_exit` (PIN-12).

All of it runs in the process that supervises the run, never in the run's own. Names are loaded when they
are first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flownb.callbacks.base import Callback, Configured
    from flownb.callbacks.logs import collect_logs
    from flownb.callbacks.metrics import collect_metrics
    from flownb.callbacks.notifications import notify, notify_zombie
    from flownb.callbacks.outputs import collect_outputs

__all__ = [
    "Callback",
    "Configured",
    "collect_logs",
    "collect_metrics",
    "collect_outputs",
    "notify",
    "notify_zombie",
]

_HOMES = {
    "base": ("Callback", "Configured"),
    "logs": ("collect_logs",),
    "metrics": ("collect_metrics",),
    "notifications": ("notify", "notify_zombie"),
    "outputs": ("collect_outputs",),
}


def __getattr__(name: str) -> object:
    from importlib import import_module

    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
