"""Addresses of notifications: references to environment variables in them, and what may be shown of them."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from flownb.errors import CallbackError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

WEB = frozenset({"http", "https"})

_REFERENCE = re.compile(r"\$(?:\$|([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://.")
_TOKEN = re.compile(r"(?=.*[0-9])[A-Za-z0-9_=.~%-]{16,}")
_KNOWN_SECRET = (
    "hooks.slack.com",
    "discord.com",
    "discordapp.com",
    "chat.googleapis.com",
    ".office.com",
    ".logic.azure.com",
)
_SECRET_HEADER = re.compile(r"(?i)auth|token|key|secret|cookie|password")


def filled(text: str, what: str) -> str:
    """Return the text with `$NAME` and `${NAME}` as the environment has them now; `$$` is one `$`.

    `CallbackError` names a variable that is not set, and `what` needs it.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name is None:
            return "$"
        if name not in os.environ:
            raise CallbackError(
                f"{what} needs the environment variable {name}, which is not set where the run is supervised"
            )
        return os.environ[name]

    return _REFERENCE.sub(value, text).strip()


def has_reference(text: str) -> bool:
    """Whether the text names an environment variable."""
    return any(match[0] != "$$" for match in _REFERENCE.finditer(text))


def scheme_of(url: str) -> str:
    """Return an address's scheme in lower case, empty where there is none (or it is not known yet)."""
    match = _SCHEME.match(url)
    return match[1].lower() if match else ""


def check_address(url: object, callback: str) -> None:
    """Raise `CallbackError` for what is no address; one that starts with `$NAME` shows that only later."""
    if not isinstance(url, str) or not url:
        raise CallbackError(
            f"{callback}: `url` is an address as text, or `$NAME` of the environment variable with it"
        )
    if any(ord(char) < 32 for char in url):
        raise CallbackError(f"{callback}: `url` has a line break or another control character in it")
    if not scheme_of(url) and not _REFERENCE.match(url):
        raise CallbackError(
            f"{callback}: `url` has no scheme; it starts with https://, or another that apprise knows"
        )
    if scheme_of(url) in WEB and not has_reference(url):
        _split(url, callback)


def shown(url: str) -> str:
    """Return what can be shown of an address: scheme and host, or the name of the variable."""
    scheme = scheme_of(url)
    if not scheme:
        return url if re.fullmatch(r"\$\w+|\$\{\w+\}", url) else "$..."
    if scheme not in WEB:
        return f"{scheme}://..."  # for apprise, even the host can be a token
    return f"{scheme}://{re.split('[/?#]', url.partition('://')[2])[0].rpartition('@')[2]}"


def secret_in(url: str, headers: Mapping[str, str]) -> str:
    """Return which part of an address or of its headers looks like a secret; empty where none does.

    Webhooks are kept secret by their address: a password, a query, a long part with digits, the hosts known
    for it, and all that apprise reads count as one.
    """
    for name, value in headers.items():
        if _SECRET_HEADER.search(name) and not has_reference(value):
            return f"the header {name}"
    if not scheme_of(url):
        return ""
    if scheme_of(url) not in WEB:
        return "" if has_reference(url) else "the address"
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.password and not has_reference(parts.password):
        return "the password in the address"
    literal = _REFERENCE.sub("", parts.path + "/" + parts.query)
    known = any(
        host == name or host.endswith(name if name[0] == "." else "." + name) for name in _KNOWN_SECRET
    )
    values = [value for _, value in parse_qsl(parts.query, keep_blank_values=True)]
    if any(value and not has_reference(value) for value in values):
        return "the query of the address"
    if (known and not has_reference(parts.path)) or any(map(_TOKEN.fullmatch, re.split("[/&=]", literal))):
        return "the address"
    return ""


def web_address(url: str, callback: str) -> tuple[str, str]:
    """Return a web address as HTTP takes it (ASCII, no password), and `user:password`, else empty."""
    parts = _split(url, callback)
    try:
        host = (parts.hostname or "").encode("idna").decode("ascii")
    except UnicodeError:
        raise CallbackError(
            f"{callback}: the host of the address is not a name that can be looked up"
        ) from None
    host = f"[{host}]" if ":" in host else host
    port = f":{parts.port}" if parts.port is not None else ""
    user = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else ""
    path = quote(parts.path, safe="/%:@!$&'()*+,;=~-._") or "/"
    query = "?" + quote(parts.query, safe="/?%:@!$&'()*+,;=~-._") if parts.query else ""
    return f"{parts.scheme.lower()}://{host}{port}{path}{query}", user


def scrub(text: str, url: str, secrets: Iterable[str] = ()) -> str:
    """Return the text with `***` for what follows the host in an address, and for other secret values."""
    rest = url.partition("://")[2]
    if scheme_of(url) in WEB:
        rest = "".join(rest.partition("/")[1:]) or "".join(rest.partition("?")[1:])
        rest += "/" + (urlsplit(url).password or "")
    pieces = {piece for part in (rest, unquote(rest)) for piece in re.split(r"[/?&=:@#]", part)}
    for piece in sorted({*pieces, *secrets}, key=len, reverse=True):
        if len(piece) >= 4:
            text = text.replace(piece, "***")
    return text


def _split(url: str, callback: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        readable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        readable = False
    if not readable:
        raise CallbackError(
            f"{callback}: `url` is not a web address: its host or port cannot be read"
        ) from None
    return parts
