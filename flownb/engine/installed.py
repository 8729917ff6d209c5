"""Which Python a kernel has, and which versions of distributions: asked of its interpreter."""

from __future__ import annotations

import functools
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flownb.engine.fork.interpreter import interpreter_of
from flownb.engine.kernelspecs import child_environment, kernel_spec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ASK = """
import importlib.metadata, json, platform, sys
found = {}
for name in json.loads(sys.argv[1]):
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps([platform.python_version(), found, sys.path]))
"""
_LIMIT = 60.0  #: seconds for an interpreter to answer


@dataclass(frozen=True, slots=True)
class Installed:
    """What a kernel has."""

    python: str  #: its version
    distributions: Mapping[str, str]  #: those that were asked for and are there -> their version


def installed(kernel: str, env: Mapping[str, str], names: Iterable[str]) -> Installed | None:
    """Return what a kernel has of some distributions; None where its interpreter cannot be asked.

    It is asked again where something was installed since. Raises `EnvironmentRefusedError` for a kernel that
    is not there.
    """
    variables = child_environment(env)
    python = interpreter_of(kernel_spec(kernel), variables)
    if python is None:
        return None
    wanted = tuple(sorted(names))
    key = python, wanted, variables.get("PYTHONPATH", "")
    known = _known().get(key)
    if known is None or known[1] != _stamp(known[2]):
        asked = _here(wanted) if python == sys.executable else _there(python, wanted, variables)
        if asked is None:
            return None
        found, paths = asked
        known = _known()[key] = found, _stamp(paths), paths
    return known[0]


def _here(names: tuple[str, ...]) -> tuple[Installed, tuple[str, ...]]:
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return Installed(platform.python_version(), found), tuple(sys.path)


def _there(
    python: str, names: tuple[str, ...], env: Mapping[str, str]
) -> tuple[Installed, tuple[str, ...]] | None:
    command = [python, "-c", _ASK, json.dumps(names)]
    try:
        done = subprocess.run(command, env=env, capture_output=True, check=True, timeout=_LIMIT, text=True)  # noqa: S603  # the kernel's own interpreter
        version, found, paths = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return Installed(str(version), dict(found)), tuple(paths)


def _stamp(paths: Iterable[str]) -> tuple[int, ...]:
    """Return when the folders in which modules are looked for were changed."""
    return tuple(os.stat(path).st_mtime_ns if os.path.isdir(path) else 0 for path in paths)


_Known = dict[tuple[str, tuple[str, ...], str], tuple[Installed, tuple[int, ...], tuple[str, ...]]]


@functools.cache
def _known() -> _Known:
    return {}
