"""Flow references, `STORE#NAME[@VERSION]`, and locations, `NAME[@VERSION]`: read as text alone."""

from __future__ import annotations

import re
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
    """Read `STORE#NAME[@VERSION]`; `STORE` alone names a store. Raises `StorageError`, `NameRefused`."""
    store, mark, rest = text.rpartition("#")
    if not mark or rest.endswith(".ipynb"):  # no flow's name has a dot: the `#` is one of the file's name
        store, mark, rest = text, "", ""
    if not store or "\0" in store:
        raise StorageError(
            f"{text!a} is not a flow reference: STORE#NAME or STORE#NAME@VERSION is wanted, "
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
    """Read `NAME[@VERSION]`. Raises `StorageError` and `NameRefused`."""
    name, mark, version = text.partition("@")
    if mark and (not version or re.search(r"[\s\0]|^-", version)):
        raise StorageError(f"{text!a} names no version behind the @; leave the @ out for the newest")
    try:
        return check_name(name), version if mark else None
    except FlownbError as error:
        raise type(error)(f"{ascii(text)[:80]}: {error}") from None
