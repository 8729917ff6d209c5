"""`notify` and `notify_zombie`: say how a run ended, to a webhook, or to whatever apprise reaches."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass, field, fields
from string import Template
from typing import TYPE_CHECKING, Any

from flownb.callbacks.addresses import (
    WEB,
    check_address,
    filled,
    scheme_of,
    scrub,
    secret_in,
    shown,
)
from flownb.callbacks.base import Configured
from flownb.callbacks.message import FIELDS, facts, text_of
from flownb.callbacks.options import headers_option, names_option, seconds_option, tries_option
from flownb.errors import CallbackError, MissingExtraError
from flownb.frozen import FrozenDict, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from flownb.runs import Run

_UNHAPPY = ("Failed", "Crashed")


@dataclass(frozen=True)
class Notify(Configured):
    """See `notify`, which makes it. Its `repr` leaves out the address and the headers."""

    url: str = field(repr=False)
    on: tuple[str, ...] = _UNHAPPY
    template: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    timeout: float = 10.0
    tries: int = 3
    pause: float = 1.0

    def __post_init__(self) -> None:
        check_address(self.url, "notify")
        object.__setattr__(self, "on", _states(self.on))
        object.__setattr__(self, "headers", FrozenDict(headers_option(self.headers, "notify")))
        object.__setattr__(self, "timeout", seconds_option(self.timeout, "notify", "timeout"))
        object.__setattr__(self, "pause", seconds_option(self.pause, "notify", "pause"))
        object.__setattr__(self, "tries", tries_option(self.tries, "notify"))
        _check_template(self.template)

    def options(self) -> dict[str, Any]:
        """Return what was chosen; `CallbackError` where the address or a header holds a secret itself."""
        if secret := secret_in(self.url, self.headers):
            raise CallbackError(
                f"{self} is not stored: {secret} looks like a secret, and those are never written down. "
                'Put it into an environment variable and name that: notify("$TEAM_WEBHOOK")'
            )
        usual = Notify(self.url)
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        chosen = {name: plain(value) for name, value in values.items() if value != getattr(usual, name)}
        return {"url": self.url, **chosen}

    def __str__(self) -> str:
        return f"notify({shown(self.url)})"

    def __call__(self, run: Run) -> bool:
        """Send the message if the run is in one of the states; return whether it was sent."""
        if str(run.state) not in self.on:
            return False
        url = filled(self.url, str(self))
        check_address(url, str(self))
        told = facts(run)
        text = text_of(told, self.template)
        if scheme_of(url) in WEB:
            self._post(url, {"text": text, **told})
        else:
            _send_by_apprise(url, f"{told['flow']}: {told['state']}", text, told["state"], str(self))
        return True

    def _post(self, url: str, told: Mapping[str, Any]) -> None:
        from flownb.callbacks.web import Patience, post

        headers = {name: filled(value, str(self)) for name, value in self.headers.items()}
        body = json.dumps(told, ensure_ascii=False).encode("utf-8", "backslashreplace")
        post(url, body, headers, Patience(self.timeout, self.tries, self.pause), str(self))


def notify(
    url: str,
    *,
    on: Iterable[str] | str = _UNHAPPY,
    template: str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 10.0,
    tries: int = 3,
    pause: float = 1.0,
) -> Notify:
    """Make a callback that says how the run ended: by default when it `Failed` or `Crashed`.

    - `url`: an http or https address gets a POST with a JSON body: `text` (which chats show), `flow`, `run`,
      `state`, `parameters` (secrets as `***`), `error`, `started`, `ended`, `seconds`, `notebook`, `outputs`.
      Any other scheme (`mailto://`, `slack://`, `discord://`, ...) goes through apprise, the extra
      `flownb[notify]`. `$NAME` and `${NAME}` in it are environment variables, read when the message is
      sent: an address that is a secret can be stored only so.
    - `on`: the states to speak of, one or several; `"any"` is each. As `on_start`, give `on="any"`.
    - `template`: the text, with `$flow`, `$run`, `$state`, `$seconds`, `$error`, `$step`, `$notebook`,
      `$outputs`, `$parameters` in it.
    - `headers`: of the webhook's request; their values can have `$NAME` too.
    - `timeout`: seconds for a try. `tries`: how often a webhook is tried, when the connection or the server
      fails; `pause`: seconds before the second try, doubled for each further one.

    It runs in the process that supervises the run, and needs the network and the variables there.
    `CallbackError` for a wrong option; `MissingExtraError` where apprise is needed and not installed.
    """
    made = Notify(url, _states(on), template, headers or {}, timeout, tries, pause)
    if scheme_of(url) not in {"", *WEB}:
        _need_apprise(str(made))
    return made


def notify_zombie(url: str, **options: Any) -> Notify:
    """Make a callback that speaks only of runs whose process died without a word (`Crashed`).

    The options are those of `notify`, without `on`. It runs in the process that found the run dead: its
    supervisor, or whoever looked after runs that had lost theirs.
    """
    if "on" in options:
        raise CallbackError(
            'notify_zombie has no `on`: it speaks of Crashed runs; notify(url, on="...") of others'
        )
    return notify(url, on="Crashed", **options)


def _states(value: object) -> tuple[str, ...]:
    from flownb.runs.states import State

    known = [str(state) for state in State]
    if isinstance(value, str):
        value = known if value == "any" else [value]
    states = names_option(value, "notify", "on") or ()
    if wrong := [state for state in states if state not in known]:
        raise CallbackError(
            f'notify: `on` has no state {ascii(wrong[0])[:60]}; there are {", ".join(known)}, and "any"'
        )
    if not states:
        raise CallbackError("notify: `on` names no state, so it would never say anything")
    return tuple(str(state) for state in states)


def _check_template(template: object) -> None:
    if template is None:
        return
    if not isinstance(template, str):
        raise CallbackError("notify: `template` is a text")
    parsed = Template(template)
    if not parsed.is_valid():
        raise CallbackError("notify: `template` has a `$` that names nothing; `$$` is one `$`")
    if unknown := [name for name in parsed.get_identifiers() if name not in FIELDS]:
        raise CallbackError(
            f"notify: `template` names ${unknown[0]}; there are {', '.join('$' + name for name in FIELDS)}"
        )


def _need_apprise(callback: str) -> None:
    if importlib.util.find_spec("apprise") is None:
        raise MissingExtraError(
            f"{callback} needs apprise, for all addresses but http and https: pip install 'flownb[notify]'"
        )


def _send_by_apprise(url: str, title: str, text: str, state: str, callback: str) -> None:
    _need_apprise(callback)
    import apprise

    kind = {"Success": apprise.NotifyType.SUCCESS, "Failed": apprise.NotifyType.FAILURE}
    with apprise.LogCapture(level=apprise.logging.WARNING) as log:
        sender = apprise.Apprise()
        if not sender.add(url):
            raise CallbackError(f"{callback}: apprise does not know this address, or lacks a part of it")
        sent = sender.notify(body=text, title=title, notify_type=kind.get(state, apprise.NotifyType.WARNING))
        if not sent:
            said = " ".join(scrub(log.getvalue(), url).split())[:300]
            raise CallbackError(f"{callback}: apprise could not deliver it: {said or 'it does not say why'}")
