"""Callbacks as people write them in `flownb.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from flownb.callbacks.references import Reference
from flownb.errors import CallbackError

if TYPE_CHECKING:
    from flownb.callbacks.base import Callback

#: Short name -> the function that makes a ready-made callback of its options.
READY_MADE: Mapping[str, str] = {
    name: f"flownb.callbacks:{name}"
    for name in ("collect_outputs", "collect_logs", "collect_metrics", "notify", "notify_zombie")
}


def from_setting(value: object, what: str = "callback") -> Callback:
    """Return the callback that one setting means.

    `"team.hooks:tell"` is a function (imported when it is called), `{callback = "notify", url = "$HOOK"}` a
    ready-made one with its options, `{callback = "team.hooks:Pager", team = "data"}` what calling that with
    the options gives. `what` is how errors call the setting: `environments.nightly.on_exit`.
    """
    try:
        return _made(value)
    except CallbackError as error:
        raise CallbackError(f"{what}: {error}") from error


def from_settings(value: object, what: str = "callback") -> tuple[Callback, ...]:
    """Return the callbacks of a setting with one of them, a list of them, or none at all."""
    if value is None:
        return ()
    if isinstance(value, list | tuple):
        return tuple(from_setting(item, f"{what}[{place}]") for place, item in enumerate(value))
    return (from_setting(value, what),)


def _made(value: object) -> Callback:
    options: Mapping[str, object] | None = None
    target = value
    if isinstance(value, Mapping):
        target = value.get("callback")
        options = {str(key): item for key, item in value.items() if key != "callback"}
    if not isinstance(target, str):
        raise CallbackError(
            'a callback is "module:name", or a table with one: {callback = "notify", url = "$TEAM_WEBHOOK"}'
        )
    if target in READY_MADE:
        return Reference(READY_MADE[target], options or {}).load()
    if ":" not in target:
        known = ", ".join(READY_MADE)
        raise CallbackError(
            f"{ascii(target)[:100]} is neither `module:name` nor one of the ready-made: {known}"
        )
    return Reference(target, options or None)
