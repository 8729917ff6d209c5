"""Whose flows may run: those of storages that are this user's own, and of those that the user has trusted.

A flow is code. A storage that came from elsewhere (`Storage.origin`) is listed, shown, compared and copied
freely, and run only after its user said so: for good, which is kept per user by `Storage.identity` (the
store and its branch) and the origin that it had then, or for once. `require` is called wherever a flow
begins to run.
"""

from __future__ import annotations

import difflib
import json
import os
import shlex
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flownb.errors import NotTrustedError, StorageError
from flownb.files import alone_in, write_atomic
from flownb.storage.lines import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flownb.flow import Flow
    from flownb.storage.base import Storage

_SCHEMA = 1
#: identities of the storages whose flows may run in this context, though they are not kept as trusted
_ALLOWED: ContextVar[frozenset[str]] = ContextVar("flownb_allowed_once", default=frozenset())


@dataclass(frozen=True, slots=True)
class Trusted:
    """A storage that the user has trusted."""

    identity: str
    origin: str  #: where it came from when it was trusted
    since: str  #: ISO 8601, UTC


def require(storage: Storage, location: str | None = None) -> None:
    """Return when the flows of `storage` may run; raise `NotTrustedError`, saying how they may, where not.

    With the location of a flow that was read, it is also asked where that very version came from.
    """
    origin = storage.origin if location is None else storage.origin_of(location)
    if origin is None:
        return
    identity = storage.identity
    if identity in _ALLOWED.get():
        return
    trusted = _read(_file()).get(identity)
    if trusted is not None and trusted.get("origin") == origin:
        return
    name = plain(storage.name)
    if trusted is not None and storage.origin is not None:
        raise NotTrustedError(
            f"{name} comes from {plain(origin)} now; you trusted it when it came from "
            f"{plain(str(trusted.get('origin', '')))}, and its flows are code that would run as you. "
            f"Look at them first: flownb show {shlex.quote(name + '#NAME')}. Then let them run, for good "
            f"with `flownb trust {shlex.quote(name)}`, or this once with --trust"
        )
    if location is not None and storage.origin is None:  # the store is one's own, this version of it is not
        version = shlex.quote(f"{name}#{plain(location)}")
        raise NotTrustedError(
            f"{plain(location)} of {name} came from elsewhere ({plain(origin)}), and is code that would run "
            f"as you. Look at it first: flownb show {version}. Then make it a version of your own with "
            f"`flownb restore {version}`, or run it this once with --trust"
        )
    raise NotTrustedError(
        f"{name} came from elsewhere ({plain(origin)}), and its flows are code that would run as you. "
        f"Look at them first: flownb show {shlex.quote(name + '#NAME')}. Then let them run, for good with "
        f"`flownb trust {shlex.quote(name)}`, or this once with --trust"
    )


def require_flow(flow: Flow) -> None:
    """Do as `require` does for the storage that a flow says it was read from, if it was."""
    from flownb.storage.base import Storage
    from flownb.storage.opening import kinds

    # A kind that is not registered cannot be asked; a runner of such a storage asks it directly.
    if flow.storage is not None and flow.storage.get("kind") in kinds():
        require(Storage.deserialize(flow.storage), flow.location)


@contextmanager
def allow_once(storage: Storage) -> Iterator[None]:
    """Let the flows of `storage` run inside the block, and only there."""
    token = _ALLOWED.set(_ALLOWED.get() | {storage.identity})
    try:
        yield
    finally:
        _ALLOWED.reset(token)


def trust(storage: Storage) -> bool:
    """Let the flows of `storage` run from now on; False where they may already. Raises `StorageError`."""
    origin = storage.origin
    if origin is None:
        return False
    with _changing() as trusted:
        if trusted.get(storage.identity, {}).get("origin") == origin:
            return False
        trusted[storage.identity] = {
            "origin": origin,
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
    return True


def forget(identity: str) -> None:
    """Take trust back. Raises `StorageError`, with the nearest, for a storage that is not trusted."""
    with _changing() as trusted:
        if identity not in trusted:
            near = difflib.get_close_matches(identity, trusted, 1, 0.5)
            hint = f"did you mean {plain(near[0])}?" if near else "`flownb trust --list` tells which are"
            raise StorageError(f"{plain(identity)} is not trusted; {hint}")
        del trusted[identity]


def trusted_storages() -> list[Trusted]:
    """Return the storages that the user has trusted, the oldest first. Raises `StorageError`."""
    found = [
        Trusted(identity, str(about.get("origin", "")), str(about.get("since", "")))
        for identity, about in _read(_file()).items()
    ]
    return sorted(found, key=lambda each: (each.since, each.identity))


def trusts_url(url: str) -> bool:
    """Whether the user has trusted a store that came from this URL; the store is not asked.

    Raises `StorageError`.
    """
    return _plain_url(url) in {_plain_url(each.origin) for each in trusted_storages()}


def _plain_url(url: str) -> str:
    return url.removeprefix("git+").rstrip("/")


def _file() -> Path:
    """Return the file in which trust is kept; the variable FLOWNB_CONFIG_DIR names another folder for it."""
    if folder := os.environ.get("FLOWNB_CONFIG_DIR"):
        return Path(folder).expanduser() / "trust.json"
    import platformdirs

    return platformdirs.user_config_path("flownb") / "trust.json"


def _read(path: Path) -> dict[str, Mapping[str, Any]]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StorageError(f"{path}, which says what you trust, cannot be read: {error.strerror}") from error
    try:
        data = json.loads(content)
        schema, trusted = data["schema"], data["trusted"]
        whole = isinstance(trusted, dict) and all(isinstance(about, dict) for about in trusted.values())
    except (ValueError, TypeError, KeyError):
        schema, trusted, whole = _SCHEMA, {}, False
    if schema != _SCHEMA:
        raise StorageError(f"{path}, which says what you trust, is of a later flownb; upgrade flownb")
    if not whole:
        raise StorageError(f"{path}, which says what you trust, is damaged; move it away and trust anew")
    return dict(trusted)


@contextmanager
def _changing() -> Iterator[dict[str, Mapping[str, Any]]]:
    """Yield what is trusted, to be changed, and write it; of two who change it at once none loses its own."""
    path = _file()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{path.parent} cannot be made: {error.strerror}") from error
    with alone_in(path.parent):
        trusted = _read(path)
        yield trusted
        content = json.dumps({"schema": _SCHEMA, "trusted": trusted}, ensure_ascii=True, indent=1)
        write_atomic(path, content.encode() + b"\n", error=StorageError)
