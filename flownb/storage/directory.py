"""DirectoryStorage: flows in a folder, a bucket, or anything that fsspec reaches.

    ROOT/co2/20260131-120000-000000-4f2c91e0a1b2c3d4.ipynb     a version: a flow document, never changed
    ROOT/co2/20260202-080000-000000-removed                    a note that the flow was removed

A folder for each flow (`filenames.encoded`), a file for each version; the newest is the greatest. Nothing
is ever overwritten, so writers at the same time lose nothing, whatever the file system promises.
"""

from __future__ import annotations

import json
import random
import secrets
import time
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from flownb.document import dumps, loads
from flownb.errors import FlowExistsError, FlownbError, FlowNotFoundError, StorageError
from flownb.storage.base import Storage
from flownb.storage.directory_files import files_at
from flownb.storage.directory_options import Options, normal_url, scheme_of, tellable, with_secrets
from flownb.storage.directory_versions import Entry, claim_file, entries, holds
from flownb.storage.filenames import decoded, encoded, is_hashed
from flownb.storage.reference import location
from flownb.storage.variables import missing_text
from flownb.storage.versions import Version

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from typing import Self

    from flownb.flow import Flow
    from flownb.storage.directory_files import Files

#: seconds for which a name is waited for that others are adding too; after which a claim is made anew,
#: well before it counts as that of a writer who died; and between two looks
_PATIENCE, _RENEWED, _PAUSE = 30.0, 10.0, 0.02


class DirectoryStorage(Storage):
    """Flows as files below a folder or URL: a path, `s3://`, `gs://`, `az://`, `memory://`, `https://`.

    All versions are kept. A version is the beginning of a flow's digest, or a moment. `storage_options`
    are those of the URL's fsspec file system; secrets among them are never written down. Over HTTP
    flows are read, and none is added.
    """

    kind = "directory"

    def __init__(self, url: str | os.PathLike[str], **storage_options: Any) -> None:
        self.url = normal_url(url)
        self.storage_options = Options(storage_options)
        self._given = str(url)
        self._long: dict[str, str] = {}  # folder whose name is a hash -> its flow; neither ever changes
        self._files_of: dict[tuple[str, str], Entry] = {}  # name, version -> its newest file, as last listed

    @cached_property
    def _files(self) -> Files:
        return files_at(self.url, self.storage_options, missing_text(self.missing))

    @property
    def name(self) -> str:
        """The folder or URL, as it was given."""
        return self._given

    @property
    def place(self) -> str:
        """The folder or URL in its one form."""
        return self.url

    @property
    def identity(self) -> str:
        """The kind and the URL in its one form."""
        return f"{self.kind}:{self.url}"

    @property
    def origin(self) -> str | None:
        """The URL; None for folders of this machine, and its memory."""
        return self.url if scheme_of(self.url) not in ("", "memory") else None

    def _newest(self) -> Mapping[str, str]:
        """Return name -> newest version; from one listing, sorted by name."""
        return self._look()[0]

    def reach(self) -> None:
        """List one folder, whether it is there or not."""
        self._entries("reached")

    @property
    def problems(self) -> Sequence[str]:
        """Folders of flows whose names cannot be told, as no document in them can be read."""
        return self._look()[1]

    def _look(self) -> tuple[dict[str, str], list[str]]:
        found: dict[str, str] = {}
        problems: list[str] = []
        for folder, files in self._files.all().items():
            there = entries(files)
            if not there or there[-1].removed:
                continue
            name = self._long_name(folder, there) if is_hashed(folder) else decoded(folder)
            if name is not None:
                found[name] = there[-1].version
            elif is_hashed(folder):
                problems.append(f"{self.name}: no document in the folder {folder} tells the name of its flow")
        return dict(sorted(found.items())), problems

    def _long_name(self, folder: str, there: Sequence[Entry]) -> str | None:
        for entry in reversed(there):
            if folder in self._long:
                break
            data = None if entry.removed else self._files.read(f"{folder}/{entry.file}")
            try:
                name = loads((data or b"").decode(), entry.file).name
            except (FlownbError, UnicodeDecodeError):  # a damaged version hides no whole one
                continue
            if encoded(name) == folder:
                self._long[folder] = name
        return self._long.get(folder)

    def _entries(self, name: str) -> list[Entry]:
        return entries(self._files.names(encoded(name)))

    def _versions(self, name: str) -> Sequence[Version]:
        """Return versions and removals, newest first; who made them is not kept."""
        there = self._entries(name)[::-1]
        for entry in reversed(there):
            self._files_of[name, entry.version] = entry
        return [
            Version(entry.version, location(name, entry.version), entry.when, removed=entry.removed)
            for entry in there
        ]

    def _write(self, flow: Flow, *, replace: bool) -> str:
        """Write the flow as a new file."""
        name = flow.name
        there = self._entries(name)
        is_there = bool(there) and not there[-1].removed
        if not replace:
            if is_there:
                raise self._exists(name)
            return self._add_first(flow)
        if is_there and there[-1].digest == Entry.of(flow.digest, (), datetime.now(UTC)).digest:
            try:
                self._read_file(name, there[-1])
            except StorageError:
                pass  # it is damaged: here it comes again, whole
            else:
                return there[-1].version
        return self._add(flow, there)

    def _add(self, flow: Flow, there: Sequence[Entry]) -> str:
        entry = Entry.of(flow.digest, there, datetime.now(UTC))
        self._files.write(f"{encoded(flow.name)}/{entry.file}", dumps(flow).encode())
        return entry.version

    def _add_first(self, flow: Flow) -> str:
        """Add a name that is not there, so that of several who do so at once one succeeds.

        Each first writes a claim of its own and then looks who else is there. Who sees no other claim and
        no flow goes on; of two, one at least sees the other's claim, and the older of them stays. It takes
        no more of a file system than that what was written is listed.
        """
        folder = encoded(flow.name)
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            began = time.monotonic()
            claim = claim_file(datetime.now(UTC), secrets.token_hex(8))
            self._files.write(f"{folder}/{claim}", b"{}")
            try:
                while time.monotonic() < min(began + _RENEWED, until):
                    files = self._files.names(folder)
                    there = entries(files)
                    if there and not there[-1].removed:
                        raise self._exists(flow.name)
                    others = [file for file in files if file != claim and holds(file, datetime.now(UTC))]
                    if not others:
                        return self._add(flow, there)
                    if min(others) < claim:
                        break
                    time.sleep(_PAUSE)
            finally:
                self._files.delete(f"{folder}/{claim}")
            time.sleep(random.uniform(_PAUSE, 4 * _PAUSE))  # noqa: S311 - only so that two do not meet again
        raise StorageError(f"{self.name}: others are adding {flow.name} at this moment; try again")

    def _read(self, name: str, version: str) -> Flow:
        entry = self._files_of.get((name, version))
        if entry is None:
            self._versions(name)
            entry = self._files_of.get((name, version))
        if entry is None:
            raise self._not_found(name, version)
        return self._read_file(name, entry)

    def _read_file(self, name: str, entry: Entry) -> Flow:
        where = f"{encoded(name)}/{entry.file}"
        data = self._files.read(where)
        if data is None:
            raise FlowNotFoundError(f"{self.name}: {where} has just been deleted")
        try:
            flow = loads(data.decode(), f"{self.name}: {where}")
        except UnicodeDecodeError as error:
            raise StorageError(f"{self.name}: {where} is damaged: {error}") from error
        except FlownbError as error:
            raise StorageError(str(error)) from error
        if flow.name != name or not flow.is_known_as(entry.digest):
            raise StorageError(
                f"{self.name}: {where} is not what was stored there: its content is that of "
                f"{flow.name}@{flow.version}; `history` has the versions that there are"
            )
        return flow

    def _remove(self, name: str) -> None:
        """Note that the flow is removed; its versions stay, and can be read and restored."""
        note = Entry.of("", self._entries(name), datetime.now(UTC))
        self._files.write(f"{encoded(name)}/{note.file}", json.dumps({"removed": name}).encode())

    def _elsewhere(self, flow: Flow) -> Storage:
        """Return this storage, of a place that other machines reach."""
        return super()._elsewhere(flow) if self.origin is None else self

    def _options(self) -> Mapping[str, Any]:
        """Return the URL and the options that are no secrets."""
        told, _ = tellable(self.storage_options)
        return {"url": self.url, **({"options": told} if told else {})}

    def _secrets(self) -> Mapping[str, Any]:
        return tellable(self.storage_options)[1]

    @classmethod
    def _again(cls, options: dict[str, Any], secrets: Mapping[str, str]) -> Self:
        """Open the directory again; a secret that is missing may be where the service's own tools look."""
        return cls(options["url"], **with_secrets(options.get("options", {}), secrets))

    def _exists(self, name: str) -> FlowExistsError:
        return FlowExistsError(
            f"{self.name} holds a flow {name} already; replace=True adds a new version of it"
        )
