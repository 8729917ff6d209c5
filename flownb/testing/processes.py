"""Other processes that use a storage, and one that is killed while it does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from threading import Timer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flownb.storage.base import Storage

#: seconds that another process may take
LIMIT = 120.0

#: makes the storage again from what `serialize` gave, without asking for registered kinds
_OPEN = """
import importlib, json, sys
from flownb.errors import FlownbError
from flownb.testing.flows import sample
module, name, data = sys.argv[1:4]
cls = importlib.import_module(module)
for part in name.split("."):
    cls = getattr(cls, part)
storage = cls.from_serialized(json.loads(data))
def add(name):
    try:
        told = {"name": name, "location": storage.add_flow(sample(name))}
    except FlownbError as error:
        told = {"name": name, "error": str(error)}
    print(json.dumps(told), flush=True)
"""
_LIST = "print(json.dumps(list(storage.flows)))"
_ADD = "for name in json.loads(sys.argv[4]): add(name)"
_ADD_ON = "import itertools\nfor number in itertools.count(): add(f'killed {number}')"


@dataclass(frozen=True)
class StorageProcess:
    """A process that has opened the storage, and tells in lines of JSON what it did."""

    process: subprocess.Popen[str]

    def told(self, limit: float = LIMIT) -> list[str]:
        """Wait for its end, at most `limit` seconds, and return its lines. Raises `AssertionError`."""
        try:
            out, errors = self.process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise AssertionError(f"a process that uses the storage had not ended after {limit:g} s") from None
        assert self.process.returncode == 0, errors
        return out.splitlines()


def adding_process(storage: Storage, names: Sequence[str]) -> StorageProcess:
    """Start a process that adds flows of these names."""
    return _started(storage, _ADD, json.dumps(list(names)))


def listing_process(storage: Storage) -> list[str]:
    """Return the names of the flows that another process finds in the storage."""
    found: list[str] = json.loads(_started(storage, _LIST).told()[0])
    return found


def killed_while_adding(storage: Storage, after: int) -> dict[str, str]:
    """Start a process that adds flow after flow, and kill it when it has told of some.

    Returns name -> location of all that it told of.
    """
    process = _started(storage, _ADD_ON).process
    assert process.stdout is not None
    limit = Timer(LIMIT, process.kill)
    limit.start()
    lines = [process.stdout.readline() for _ in range(after)]
    limit.cancel()
    process.kill()
    rest, errors = process.communicate()
    lines += rest.splitlines()
    assert all(lines), errors
    told = [json.loads(line) for line in lines if line.strip().endswith("}")]
    return {line["name"]: line["location"] for line in told}


def _started(storage: Storage, action: str, *more: str) -> StorageProcess:
    cls = type(storage)
    arguments = [cls.__module__, cls.__qualname__, json.dumps(storage.serialize()), *more]
    process = subprocess.Popen(  # noqa: S603 - this Python, with the program above
        [sys.executable, "-c", _OPEN + action, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    return StorageProcess(process)
