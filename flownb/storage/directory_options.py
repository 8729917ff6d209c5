"""Which URLs a directory has, and what of its options may be written down. Pure."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flownb.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: extra of flownb that brings what a kind of URL needs
EXTRAS = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "az": "azure",
    "abfs": "azure",
    "abfss": "azure",
    "adl": "azure",
    "http": "http",
    "https": "http",
}

#: options that say where something is, and how it is reached; every other one could be a secret
_TELLING = (
    *("account_host", "account_name", "anon", "default_location", "endpoint_url", "location", "profile"),
    *("project", "region", "region_name", "requester_pays", "use_ssl"),
)


def normal_url(url: str | os.PathLike[str]) -> str:
    """Return a directory's URL in its one form: an absolute path, or `scheme://...` with no `/` at its end.

    Raises `StorageError` for what is no directory, or says a password.
    """
    text = os.fspath(url)
    scheme = scheme_of(text)
    if scheme == "file" or "://" not in text:
        path = text.removeprefix("file://") if scheme else text
        if not path or "\0" in path or (scheme and not path.startswith("/")):
            raise StorageError(f"{text!a} names no folder; file:///absolute/path or a plain path does")
        return os.path.abspath(os.path.expanduser(path))
    shown = shown_url(text)
    if not scheme or not text.isprintable() or any(part in ("..", ".") for part in text.split("/")):
        raise StorageError(f"{shown!a} is not the URL of a directory, such as s3://bucket/flows")
    parts = urlsplit(text)
    if parts.password is not None or (parts.username and scheme in ("http", "https")):
        raise StorageError(
            f"{shown} was given with a password or token in it; leave it out, and give it as an option or "
            "by what the service's own tools read (environment variables, configuration files)"
        )
    if parts.query or parts.fragment:
        raise StorageError(f"{shown} goes on behind ? or #, so it is one address and not a directory")
    if scheme in EXTRAS and not parts.netloc:
        raise StorageError(f"{shown} names no {'host' if scheme.startswith('http') else 'bucket'}")
    return text.rstrip("/") if parts.netloc or parts.path.strip("/") else text


def scheme_of(url: str) -> str:
    """Return the scheme of a URL in lower case; empty for a path."""
    scheme, mark, _ = url.partition("://")
    return scheme.lower() if mark and scheme.replace("+", "").replace("-", "").isalnum() else ""


def shown_url(url: str) -> str:
    """Return a URL as it may be shown: without user, password, query and fragment."""
    scheme, mark, rest = url.partition("://")
    host, slash, path = rest.partition("#")[0].partition("?")[0].partition("/")
    return f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}" if mark else url


class Options(dict[str, Any]):
    """Options of a file system; what may be secret among them is not shown."""

    def __repr__(self) -> str:
        told, left_out = tellable(self)
        return repr({**told, **dict.fromkeys(left_out, "***")})


def tellable(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options that may be written down, and those that may not, with names such as `a.b`.

    Those are all that are not known to be harmless: keys and tokens have many names.
    """
    told: dict[str, Any] = {}
    left_out: dict[str, Any] = {}
    for key, value in options.items():
        if key == "client_kwargs" and isinstance(value, dict):
            inner, hidden = tellable(value)
            told |= {key: inner} if inner else {}
            left_out |= {f"{key}.{name}": each for name, each in hidden.items()}
        elif key in _TELLING and isinstance(value, str | bool | int) and not _says_password(value):
            told[key] = value
        else:
            left_out[key] = value
    return told, left_out


def with_secrets(options: Mapping[str, Any], secrets: Mapping[str, str]) -> dict[str, Any]:
    """Return the options with secrets of names such as `a.b` put in their places."""
    found = dict(options)
    for name, value in secrets.items():
        key, dot, inner = name.partition(".")
        found[key] = {**found.get(key, {}), inner: value} if dot else value
    return found


def _says_password(value: object) -> bool:
    return isinstance(value, str) and "://" in value and ("@" in value or "?" in value)
