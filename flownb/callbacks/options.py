"""Check the options of ready-made callbacks: from Python, from flownb.toml and from stored data alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from flownb.errors import CallbackError


def path_option(value: object, callback: str, option: str) -> str:
    """Return a path's text; `CallbackError` where it is not one."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise CallbackError(f"{callback}: `{option}` is a path; got {_shown(value)}")
    return value


def names_option(value: object, callback: str, option: str) -> tuple[str, ...] | None:
    """Return a list of texts as a tuple, None as it is; `CallbackError` for a bare string and all else."""
    if value is None:
        return None
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise CallbackError(
            f'{callback}: `{option}` is a list of names, as in `["summary"]`; got {_shown(value)}'
        )
    names = tuple(value)
    if wrong := [name for name in names if not isinstance(name, str)]:
        raise CallbackError(f"{callback}: `{option}` is a list of names; got {_shown(wrong[0])} in it")
    return names


def seconds_option(value: object, callback: str, option: str) -> float:
    """Return a number of seconds over 0 and at most an hour; `CallbackError` for all else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 3600:
        raise CallbackError(f"{callback}: `{option}` is a number of seconds, up to 3600; got {_shown(value)}")
    return float(value)


def tries_option(value: object, callback: str) -> int:
    """Return a whole number from 1 to 10; `CallbackError` for all else."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 10:
        raise CallbackError(f"{callback}: `tries` is a whole number from 1 to 10; got {_shown(value)}")
    return value


def headers_option(value: object, callback: str) -> dict[str, str]:
    """Return HTTP headers, name -> value; `CallbackError` where one is not text; never shows a value."""
    if not isinstance(value, Mapping):
        raise CallbackError(f"{callback}: `headers` is a mapping of name to value; got {_shown(value)}")
    for name, text in value.items():
        if not isinstance(name, str) or not isinstance(text, str):
            raise CallbackError(f"{callback}: the header {_shown(name)} and its value are texts")
        if not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
            raise CallbackError(f"{callback}: {ascii(name)[:60]} is not the name of an HTTP header")
    return dict(value)


def _shown(value: object) -> str:
    return ascii(value)[:60] if isinstance(value, str | int | float) else f"a {type(value).__qualname__}"
