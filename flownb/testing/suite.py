"""What the sentences of the suite stand on: how a storage is made, and what it cannot do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, ClassVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from flownb.storage.base import Storage


class StorageSuite:
    """What every storage promises. A subclass says how its storage is made, and what it cannot do."""

    #: old versions can be read, and asked for by time; else a storage holds the newest one only
    keeps_versions: ClassVar[bool] = True
    #: flows can be removed
    removes: ClassVar[bool] = True
    #: versions can be given a name of their own (`tag`)
    tags: ClassVar[bool] = False
    #: it can only be read; `writer` says what its flows are added through
    read_only: ClassVar[bool] = False
    #: other processes of this machine see the same flows
    seen_by_processes: ClassVar[bool] = True
    #: other machines can reach it (`get_env_runner`)
    seen_by_machines: ClassVar[bool] = False
    #: texts that `make` gave to the storage and nobody else must learn
    secrets: ClassVar[Sequence[str]] = ()

    def make(self, folder: Path) -> Storage:
        """Return a storage without flows; `folder` is empty, and for this storage alone."""
        raise NotImplementedError(f"{type(self).__name__} must say how its storage is made: make(folder)")

    def damage(self, storage: Storage, name: str) -> None:
        """Spoil what is kept of one flow, so that it cannot be read, and no other."""
        raise NotImplementedError(
            f"{type(self).__name__} must say how a flow is spoilt: damage(storage, name)"
        )

    def alter(self, storage: Storage, name: str) -> None:
        """Change the content of one flow where it lies, so that it can be read and is another one."""
        raise NotImplementedError(
            f"{type(self).__name__} must say how a flow is altered: alter(storage, name)"
        )

    def writer(self, storage: Storage) -> Storage:
        """Return what flows are added through: the storage itself, unless it is read only."""
        return storage

    @pytest.fixture
    def storage(self, tmp_path: Path) -> Storage:
        """Give each test a storage of its own, with no flows."""
        folder = tmp_path / "storage"
        folder.mkdir()
        return self.make(folder)

    def again(self, storage: Storage) -> Storage:
        """Return another object for the same storage, as another process would make it."""
        return type(storage).from_serialized(json.loads(json.dumps(storage.serialize())))
