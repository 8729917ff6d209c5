"""Whether a template is older than what it was made of. It is looked at before each run, so it is cheap."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flownb.engine.fork.wanted import installed_folders

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from flownb.engine.fork.interpreter import Launch

Stamp = tuple[int, int, int] | None

_CONFIGURATION = tuple(
    f"{name}.{suffix}"
    for name in ("ipython_config", "ipython_kernel_config", "ipykernel_config")
    for suffix in ("py", "json")
)
_FOR_ALL_USERS = ("/etc/ipython", "/usr/local/etc/ipython")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a template is made of: files and folders, and how each was when it was looked at."""

    paths: tuple[str, ...]
    stamps: tuple[Stamp, ...]

    @classmethod
    def of(cls, paths: Iterable[str]) -> Fingerprint:
        """Look at the paths now; what is not there counts, too, as it may come."""
        kept = tuple(dict.fromkeys(paths))
        return cls(kept, tuple(map(_stamp, kept)))


def fingerprint(launch: Launch, modules: Iterable[str] = ()) -> Fingerprint:
    """Return what a template started so, with these modules preloaded, is made of.

    Take it before the template is started: what changes meanwhile then makes it stale. It covers the
    interpreter, the folders that packages are installed in, the preloaded packages, and IPython's
    configuration and startup files.
    """
    env = dict(launch.env)
    python = launch.python[0]
    folders = tuple(_installed(python, env))
    return Fingerprint.of(
        (
            python,
            os.path.realpath(python),
            *folders,
            *_packages(folders, modules),
            *_configuration(Path(python).parent.parent, env),
        )
    )


def is_stale(made_of: Fingerprint) -> bool:
    """Tell whether anything has changed since, appeared or gone. Costs two microseconds a path."""
    return any(_stamp(path) != stamp for path, stamp in zip(made_of.paths, made_of.stamps, strict=True))


def _stamp(path: str) -> Stamp:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _installed(python: str, env: Mapping[str, str]) -> Iterator[str]:
    """Yield the folders in which what is installed for an interpreter lies.

    Of another interpreter they are told by where it lies, as asking it would take as long as a template.
    """
    here = shutil.which(python) or python
    if os.path.abspath(here) == os.path.abspath(sys.executable):
        yield from installed_folders()
        return
    user = Path(env.get("PYTHONUSERBASE") or _home(env, ".local"))
    for prefix in (Path(here).parent.parent, user):
        for pattern in ("lib/python3*/site-packages", "lib/python3*/dist-packages"):
            yield from sorted(map(str, prefix.glob(pattern)))


def _packages(folders: Iterable[str], modules: Iterable[str]) -> Iterator[str]:
    """Yield the files that change when a preloaded package is changed in place."""
    tops = dict.fromkeys(module.partition(".")[0] for module in modules)
    for folder in folders:
        for top in tops:
            for path in (Path(folder, top), Path(folder, top, "__init__.py"), Path(folder, f"{top}.py")):
                if path.exists():
                    yield str(path)


def _configuration(prefix: Path, env: Mapping[str, str]) -> Iterator[str]:
    own = Path(env.get("IPYTHONDIR") or _home(env, ".ipython"))
    shared = (*map(Path, _FOR_ALL_USERS), prefix / "etc" / "ipython")
    profiles = (own / "profile_default", *sorted(own.glob("profile_*")))
    yield from map(str, shared)
    for folder in (*profiles, *filter(Path.is_dir, shared)):
        yield from (str(folder / name) for name in _CONFIGURATION)
        startup = folder / "startup"
        yield str(startup)
        yield from sorted(str(path) for path in startup.glob("*") if path.suffix in (".py", ".ipy"))
    yield from (str(path) for path in _of_matplotlib(env))


def _of_matplotlib(env: Mapping[str, str]) -> Iterator[Path]:
    """Yield the file that matplotlib is configured by, outside the working directory."""
    if named := env.get("MATPLOTLIBRC"):
        yield Path(named)
    own = env.get("MPLCONFIGDIR")
    config = Path(own) if own else Path(env.get("XDG_CONFIG_HOME") or _home(env, ".config")) / "matplotlib"
    yield config / "matplotlibrc"


def _home(env: Mapping[str, str], name: str) -> Path:
    return Path(env.get("HOME") or Path("~").expanduser()) / name
