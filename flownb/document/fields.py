"""Values taken out of a document's metadata, which anybody may have written: of the right type, or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, get_args

from flownb.flow import How

if TYPE_CHECKING:
    from collections.abc import Mapping

_HOWS = get_args(How)
_SIZE_LIMIT = 2**63  #: bytes


def text(about: Mapping[str, Any], key: str, default: str | None = None) -> str:
    """Return the text at `key`; `ValueError` for anything else, or nothing where there is no default."""
    value = about.get(key, default)
    if not isinstance(value, str):
        raise ValueError(f"`{key}` is not text")  # noqa: TRY004  # all that is damaged is one error
    return value


def texts(about: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Return the list of texts at `key`, empty where there is none; `ValueError` for anything else."""
    value = about.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"`{key}` is not a list of texts")
    return tuple(value)


def table(about: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return the object at `key`, empty where there is none; `ValueError` for anything else."""
    value = about.get(key, {})
    if not isinstance(value, dict):
        raise ValueError(f"`{key}` is not an object")  # noqa: TRY004
    return value


def text_table(about: Mapping[str, Any], key: str) -> dict[str, str]:
    """Return the object of texts at `key`, empty where there is none; `ValueError` for anything else."""
    found = table(about, key)
    return {name: text(found, name) for name in found}


def kernel(notebook: Mapping[str, Any]) -> str:
    """Return the name of a notebook's kernelspec; that of this Python where it names none."""
    return text(table(notebook["metadata"], "kernelspec"), "name", "") or "python3"


def how(about: Mapping[str, Any]) -> How:
    """Return how an entry is carried; `ValueError` for a way that there is not."""
    found = text(about, "how")
    if found not in _HOWS:
        raise ValueError(f"nothing is carried as {ascii(found)[:40]}")
    return cast("How", found)


def size(about: Mapping[str, Any], key: str) -> int:
    """Return the number of bytes, or of lines, at `key`, 0 where it is not told; else `ValueError`."""
    value = about.get(key, 0)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _SIZE_LIMIT:
        raise ValueError(f"`{key}` is not a size")
    return value
