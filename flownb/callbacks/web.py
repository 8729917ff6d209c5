"""Deliver one JSON body to a webhook: a few tries, no redirects, and nothing secret in an error."""

from __future__ import annotations

import base64
import http.client
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flownb._version import __version__
from flownb.callbacks.addresses import scrub, shown, web_address
from flownb.errors import CallbackError

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST_PAUSE = 60.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for an answer, how often to try, and how long to pause before the second try."""

    timeout: float  #: seconds
    tries: int
    pause: float  #: seconds


@dataclass(frozen=True, slots=True)
class _Problem:
    text: str
    again: bool  #: whether trying again can help
    pause: float = 0.0  #: seconds that the server asked for


def post(url: str, body: bytes, headers: Mapping[str, str], patience: Patience, callback: str) -> None:
    """Send the body by POST, over http or https, and return when the server took it (a status of 2xx).

    It is tried again after connection errors, time-outs, 429 and 5xx, so a server can get it twice. A
    redirect is an error, not followed: the body would be lost, or go where nobody meant it to. Proxies are
    those of the environment (`HTTPS_PROXY`, `NO_PROXY`). `CallbackError` says what happened to the last try.
    """
    target, user = web_address(url, callback)
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": f"flownb/{__version__}",
        **headers,
    }
    if user:
        headers["Authorization"] = "Basic " + base64.b64encode(user.encode()).decode("ascii")
    if not all(value.isprintable() and _is_latin(value) for value in headers.values()):
        raise CallbackError(
            f"{callback}: the value of a header has a line break, or letters that HTTP does not allow"
        )
    opener, pause = _opener(), patience.pause
    for attempt in range(1, patience.tries + 1):
        request = urllib.request.Request(target, body, headers, method="POST")  # noqa: S310 - http or https
        problem = _attempt(opener, request, patience.timeout)
        if problem is None:
            return
        if not problem.again or attempt == patience.tries:
            tries = "" if attempt == 1 else f" ({attempt} tries)"
            text = scrub(
                problem.text, url, [value for name, value in headers.items() if name != "User-Agent"]
            )
            raise CallbackError(f"{callback}: {shown(url)} did not take it{tries}: {text}")
        time.sleep(min(max(pause, problem.pause), _LONGEST_PAUSE))
        pause *= 2


def _opener() -> urllib.request.OpenerDirector:
    """Return one that knows the web and nothing else: no files, no FTP, no redirects."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _attempt(
    opener: urllib.request.OpenerDirector, request: urllib.request.Request, timeout: float
) -> _Problem | None:
    try:
        with opener.open(request, timeout=timeout):
            return None
    except urllib.error.HTTPError as error:
        with error:
            return _refused(error)
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        again = not isinstance(reason, ssl.SSLCertVerificationError)
        return _Problem(
            f"{type(reason).__name__}: {reason}" if isinstance(reason, Exception) else str(reason), again
        )


def _refused(error: urllib.error.HTTPError) -> _Problem:
    status = f"HTTP {error.code} {error.reason}".strip()
    if 300 <= error.code < 400:
        target = shown(error.headers.get("Location", "") or "?://")
        return _Problem(
            f"{status}: it redirects to {target}, which is not followed; give the new address", again=False
        )
    words = _first_words(error)
    again = error.code == 429 or error.code >= 500
    return _Problem(
        f"{status}: {words}" if words else status, again, _asked_pause(error.headers.get("Retry-After"))
    )


def _first_words(error: urllib.error.HTTPError) -> str:
    """Return the beginning of the server's answer: chats say there what is wrong."""
    try:
        text = error.read(2_000).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return ""  # the status says enough
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:200]


def _asked_pause(header: str | None) -> float:
    return float(header) if header is not None and header.isascii() and header.isdigit() else 0.0


def _is_latin(value: str) -> bool:
    return all(ord(char) < 256 for char in value)
