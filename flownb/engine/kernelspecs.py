"""The kernels that there are here, and what each is given: its folder, its variables."""

from __future__ import annotations

import functools
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flownb.errors import EnvironmentRefusedError, KernelNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: variables that say where kernelspecs are looked for
_WHERE = (
    "HOME",
    "JUPYTER_CONFIG_DIR",
    "JUPYTER_DATA_DIR",
    "JUPYTER_NO_CONFIG",
    "JUPYTER_PATH",
    "JUPYTER_PLATFORM_DIRS",
    "JUPYTER_PREFER_ENV_PATH",
    "XDG_DATA_HOME",
)


@contextmanager
def missing_kernel_told_to_papermill() -> Iterator[None]:
    """Raise for a kernel that is missing what papermill's standard engine does: jupyter_client's error."""
    try:
        yield
    except KernelNotFoundError as error:
        from jupyter_client.kernelspec import NoSuchKernel

        raise NoSuchKernel(error.kernel) from error


def kernel_names() -> tuple[str, ...]:
    """Return the names of the kernels that can be started here, sorted."""
    from jupyter_client.kernelspec import KernelSpecManager

    return tuple(sorted(KernelSpecManager().find_kernel_specs()))


def kernel_spec(name: str) -> Any:
    """Return the kernelspec of that name, as jupyter_client finds it.

    It is looked for again where a folder of kernelspecs, or the file itself, has changed: else each run
    would spend a millisecond on it.

    Raises `KernelNotFoundError`, naming the kernels there are, where there is none of that name.
    """
    found, where = _found(), tuple(os.environ.get(variable) for variable in _WHERE)
    known = found.get((name, where))
    if known is None or known[1] != _changed(known[2]):
        from jupyter_client.kernelspec import KernelSpecManager

        manager = KernelSpecManager()
        paths = tuple(manager.kernel_dirs)
        before = _changed(paths)
        spec = _looked_up(manager, name)
        paths += (str(Path(spec.resource_dir, "kernel.json")),)
        known = found[name, where] = spec, (*before, *_changed(paths[-1:])), paths
    return known[0]


def _looked_up(manager: Any, name: str) -> Any:
    from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, NoSuchKernel

    try:
        # as jupyter_client's KernelManager has it, to which "python" is this Python's own kernel
        return manager.get_kernel_spec(NATIVE_KERNEL_NAME if name == "python" else name)
    except NoSuchKernel:
        there = ", ".join(kernel_names()) or "none"
        raise KernelNotFoundError(
            f"there is no kernel named {name!r} here (there are: {there}); choose one of them with "
            "`kernel=`, or install it: python -m ipykernel install --user --name NAME",
            kernel=name,
        ) from None


def _changed(paths: tuple[str, ...]) -> tuple[int, ...]:
    """Return when each was changed, 0 for what is not there."""
    times = []
    for path in paths:
        try:
            times.append(os.stat(path).st_mtime_ns)
        except OSError:
            times.append(0)
    return tuple(times)


@functools.cache
def _found() -> dict[tuple[str, tuple[str | None, ...]], tuple[Any, tuple[int, ...], tuple[str, ...]]]:
    """Return the kernelspecs that were looked for in this process, with what they were found by."""
    return {}


def check_kernel(name: str) -> None:
    """Raise `EnvironmentRefusedError` where there is no such kernel, or no program for it."""
    spec = kernel_spec(name)
    program = spec.argv[0] if spec.argv else ""
    if not program.startswith("python") and shutil.which(Path(program).expanduser()) is None:
        raise EnvironmentRefusedError(
            f"the kernel {name!r} cannot be started: its program {program!r} is not there; "
            f"mend or remove {Path(spec.resource_dir) / 'kernel.json'}"
        )


def check_folder(cwd: Path) -> None:
    """Raise `EnvironmentRefusedError` where there is no such folder to run in."""
    if not cwd.is_dir():
        raise EnvironmentRefusedError(f"the flow cannot run in {cwd}: there is no such folder; set `cwd`")


def child_environment(env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a run's process gets: this process's own, with `env` on top.

    Left out are those by which a notebook's kernel knows which notebook and process it belongs to.
    """
    inherited = {k: v for k, v in os.environ.items() if k not in ("JPY_SESSION_NAME", "JPY_PARENT_PID")}
    return {**inherited, **env}
