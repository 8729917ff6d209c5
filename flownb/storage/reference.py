"""Flow references, `STORE#NAME[@VERSION]`, and locations, `NAME[@VERSION]`: read as text alone.

`STORE` is whatever opens a storage, a path or a URL, with `@`, `:` or `#` in it or not. `VERSION` is the
storage's to understand: a hash, a tag, a branch with `/` in it, a date with spaces and colons.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from flownb.errors import FlownbError, StorageError
from flownb.flow import check_name


@dataclass(frozen=True, slots=True)
class Reference:
    """Which flow, in which store, in which version; what is not said is None."""

    store: str
    name: str | None = None
    version: str | None = None

    def __str__(self) -> str:
        text = self.store
        if self.name is not None:
            text += f"#{location(self.name, self.version)}"
        return text


def parse_reference(text: str) -> Reference:
    """Read `STORE#NAME[@VERSION]`; `STORE` alone names a store. Raises `StorageError`, `NameRefusedError`."""
    store, mark, rest = text.rpartition("#")
    if not mark or rest.endswith(".ipynb"):  # no flow's name has a dot: the `#` is one of the file's name
        store, mark, rest = text, "", ""
    if not store.strip() or _has_control(store):
        raise StorageError(
            f"{text!r} is not a flow reference: STORE#NAME or STORE#NAME@VERSION is wanted, "
            "such as analysis.ipynb#sales"
        )
    if not mark:
        return Reference(store)
    name, version = split_location(rest)
    return Reference(store, name, version)


def location(name: str, version: str | None = None) -> str:
    """Return the location of a flow inside its storage."""
    return name if version is None else f"{name}@{version}"


def split_location(text: str) -> tuple[str, str | None]:
    """Read `NAME[@VERSION]`. Raises `StorageError` and `NameRefusedError`.

    A version is any text of one line that no program could take for an option.
    """
    name, mark, version = text.partition("@")
    if mark and (not version or version != version.strip().lstrip("-") or _has_control(version)):
        raise StorageError(f"{text!r} names no version behind the @; leave the @ out for the newest")
    try:
        return check_name(name), version if mark else None
    except FlownbError as error:
        raise type(error)(f"{ascii(text)[:80]}: {error}") from None


def _has_control(text: str) -> bool:
    """Whether a text has line breaks, terminal escapes, marks that turn writing round, or lone surrogates."""
    return any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in text)
