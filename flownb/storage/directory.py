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
from dataclasses import replace as changed
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flownb.document import dumps, loads, written_digests
from flownb.errors import FlowExists, FlownbError, FlowNotFound, NameRefused, StorageError
from flownb.flow import Flow, check_name
from flownb.storage.base import EnvRunner, Storage
from flownb.storage.directory_files import files_at
from flownb.storage.directory_options import normal_url, scheme_of, tellable
from flownb.storage.directory_versions import Entry, claim_file, entries, holds, is_digest, pick
from flownb.storage.filenames import decoded, encoded, is_hashed
from flownb.storage.reference import location, split_location
from flownb.storage.versions import Version

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from typing import Self

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
        self.storage_options = storage_options
        self._given = str(url)
        self._files = files_at(self.url, storage_options)
        self._long: dict[str, str] = {}  # folder whose name is a hash -> its flow; neither ever changes
        self._left_out: list[str] = []  # options that were secret when this storage was serialised

    @property
    def name(self) -> str:
        """The folder or URL, as it was given."""
        return self._given

    @property
    def identity(self) -> str:
        """The kind and the URL in its one form."""
        return f"{self.kind}:{self.url}"

    @property
    def origin(self) -> str | None:
        """The URL; None for folders of this machine, and its memory."""
        return self.url if scheme_of(self.url) not in ("", "memory") else None

    @property
    def flows(self) -> Mapping[str, str]:
        """Name of each flow -> location of its newest version; from one listing, sorted by name."""
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
                found[name] = location(name, there[-1].version)
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

    def __contains__(self, item: object) -> bool:
        name = item.name if isinstance(item, Flow) else item
        if not isinstance(name, str):
            return False
        try:
            there = self._entries(name)
        except NameRefused:
            return False
        if not there or there[-1].removed:
            return False
        return not isinstance(item, Flow) or self.get_flow(name).digest == item.digest

    def add_flow(self, flow: Flow, *, replace: bool = False) -> str:
        """Write the flow as a new file, and return its location. Raises `FlowExists`, `StorageError`."""
        name = check_name(flow.name)
        there = self._entries(name)
        is_there = bool(there) and not there[-1].removed
        if not replace:
            if is_there:
                raise self._exists(name)
            return self._add_first(flow)
        if is_there and there[-1].digest == Entry.of(flow.digest, (), datetime.now(UTC)).digest:
            try:
                self.get_flow(name)
            except StorageError:
                pass  # it is damaged: here it comes again, whole
            else:
                return location(name, there[-1].version)
        return self._write(flow, there)

    def _write(self, flow: Flow, there: Sequence[Entry]) -> str:
        entry = Entry.of(flow.digest, there, datetime.now(UTC))
        document = dumps(changed(flow, storage=None, location=None))
        self._files.write(f"{encoded(flow.name)}/{entry.file}", document.encode())
        return location(flow.name, entry.version)

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
                        return self._write(flow, there)
                    if min(others) < claim:
                        break
                    time.sleep(_PAUSE)
            finally:
                self._files.delete(f"{folder}/{claim}")
            time.sleep(random.uniform(_PAUSE, 4 * _PAUSE))  # noqa: S311 - only so that two do not meet again
        raise StorageError(f"{self.name}: others are adding {flow.name} at this moment; try again")

    def get_flow(self, location: str) -> Flow:
        """Return the flow in that very version. Raises `FlowNotFound`, `StorageError` where it is damaged."""
        name, version = split_location(location)
        return self._read(name, self._pick(name, version), version)

    def resolve(self, location: str) -> str:
        """Return the pinned location; of a version that is a time, without reading the flow."""
        name, version = split_location(location)
        if is_digest(version):
            return str(self.get_flow(location).location)
        return f"{name}@{self._pick(name, version).version}"

    def _pick(self, name: str, version: str | None) -> Entry:
        there = self._entries(name)
        if not there:
            raise self._not_found(name)
        return pick(there, name, version, self.name)

    def _read(self, name: str, entry: Entry, version: str | None) -> Flow:
        where = f"{encoded(name)}/{entry.file}"
        data = self._files.read(where)
        if data is None:
            raise FlowNotFound(f"{self.name}: {where} has just been deleted")
        try:
            text = data.decode()
            flow = loads(text, f"{self.name}: {where}")
        except UnicodeDecodeError as error:
            raise StorageError(f"{self.name}: {where} is damaged: {error}") from error
        except FlownbError as error:
            raise StorageError(str(error)) from error
        digests = [one for one in written_digests(text, flow) if one.startswith(entry.digest)]
        if flow.name != name or not digests:
            raise StorageError(
                f"{self.name}: {where} is not what was stored there: its content is that of "
                f"{flow.name}@{flow.version}; `history` has the versions that there are"
            )
        if is_digest(version) and not digests[0].startswith(version):  # the file's name tells 16 of 64
            raise self._not_found(name, version)
        return changed(flow, storage=self.serialize(), location=location(name, entry.version))

    def history(self, name: str) -> Sequence[Version]:
        """Return versions and removals, newest first; who made them is not kept."""
        name = check_name(name)
        there = self._entries(name)
        if not there:
            raise self._not_found(name)
        return [
            Version(entry.version, location(name, entry.version), entry.when, removed=entry.removed)
            for entry in reversed(there)
        ]

    def remove(self, name: str) -> None:
        """Note that the flow is removed; its versions stay, and can be read and restored."""
        name = check_name(name)
        there = self._entries(name)
        if not there or there[-1].removed:
            raise self._not_found(name)
        note = Entry.of("", there, datetime.now(UTC))
        self._files.write(f"{encoded(name)}/{note.file}", json.dumps({"removed": name}).encode())

    def get_env_runner(self, location: str) -> EnvRunner:
        """Return a command with the URL, for places that another machine reaches.

        Its credentials are the other machine's own. Raises `StorageError` for a folder of this machine,
        and where options that are no one else's to know are needed.
        """
        if self.origin is None:
            return super().get_env_runner(location)
        told, left_out = tellable(self.storage_options)
        if left_out:
            raise StorageError(
                f"{self.name} was opened with {', '.join(left_out)}, which cannot be handed to another "
                "machine; open it without, with credentials from the environment, on both"
            )
        # fsspec itself reads options of a file system from such a variable
        variables = {f"FSSPEC_{scheme_of(self.url).upper()}": json.dumps(told)} if told else {}
        return EnvRunner(("flownb", "run", "--trust", f"{self.url}#{self.resolve(location)}"), variables)

    def serialize(self) -> dict[str, Any]:
        """Return kind, URL and the options that are no secrets; of the others only the names."""
        told, left_out = tellable(self.storage_options)
        data: dict[str, Any] = {"kind": self.kind, "url": self.url}
        if told:
            data["options"] = told
        if left_out := sorted({*left_out, *self._left_out}):
            data["left_out"] = left_out
        return data

    @classmethod
    def from_serialized(cls, data: Mapping[str, Any]) -> Self:
        """Open the directory again; what was left out comes from the environment, if anywhere."""
        storage = cls(data["url"], **data.get("options", {}))
        storage._left_out = list(data.get("left_out", ()))
        return storage

    def _exists(self, name: str) -> FlowExists:
        return FlowExists(f"{self.name} holds a flow {name} already; replace=True adds a new version of it")
