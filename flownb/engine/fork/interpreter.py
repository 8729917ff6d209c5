"""How a template for a kernel is started, or why this engine cannot run that kernel. Pure but for PATH."""

from __future__ import annotations

import re
import shutil
import sys
from dataclasses import dataclass
from string import Template as Text
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_MODULES = ("ipykernel_launcher", "ipykernel", "ipykernel.kernelapp")
_WITH_VALUE = ("-X", "-W")  #: options of Python whose value may be the next word
_FIELD = re.compile(r"\{([A-Za-z0-9_]+)\}")


@dataclass(frozen=True, slots=True)
class Launch:
    """What a template process is started with."""

    python: tuple[str, ...]  #: the interpreter, with its own options
    arguments: tuple[str, ...]  #: of the kernel application, without a connection file
    env: tuple[tuple[str, str], ...]  #: all its variables, sorted
    module: str = _MODULES[0]  #: that the kernel is started with; which tells what is in `sys.path`


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no template for a kernel."""

    reason: str


def launch_of(spec: Any, env: Mapping[str, str], *, platform: str = sys.platform) -> Launch | Refusal:
    """Return how a template for a kernel is started.

    Args:
        spec: the kernelspec: `argv`, `env`, `language`, `interrupt_mode`, `resource_dir`.
        env: the variables of the run.
        platform: as `sys.platform`.

    """
    if not platform.startswith("linux"):
        return Refusal("it needs Linux (pidfd, subreapers)")
    language = str(spec.language or "").lower()
    if language not in ("python", "python3"):
        return Refusal(f"the kernel's language is {spec.language or 'not told'}, and it runs Python only")
    if spec.interrupt_mode == "message":
        return Refusal("the kernel wants to be interrupted by a message, and it sends signals")
    words = _words(spec)
    parts = _parts(words)
    if parts is None:
        return Refusal(f"the kernel is not started as `python -m ipykernel_launcher`: {' '.join(words)}")
    options, module, arguments = parts
    python = _python(words[0], env)
    if python is None:
        return Refusal(f"the kernel's program {words[0]!r} is not there")
    return Launch((python, *options), arguments, _variables(spec, env), module)


def interpreter_of(spec: Any, env: Mapping[str, str]) -> str | None:
    """Return the path of the Python that a kernel is started with; None where it is not started so."""
    words = _words(spec)
    return _python(words[0], env) if _parts(words) is not None else None


def _words(spec: Any) -> list[str]:
    known = {"prefix": sys.prefix, "resource_dir": spec.resource_dir}
    return [_FIELD.sub(lambda field: known.get(field[1], field[0]), word) for word in spec.argv]


def _parts(words: list[str]) -> tuple[tuple[str, ...], str, tuple[str, ...]] | None:
    """Split a command line: the interpreter's options, the module, its arguments; None: another form."""
    at = 1
    while at < len(words) and words[at].startswith("-") and words[at] not in ("-m", "-c", "-"):
        at += 2 if words[at] in _WITH_VALUE else 1
    if words[at : at + 1] != ["-m"] or words[at + 1 : at + 2] == [] or words[at + 1] not in _MODULES:
        return None
    arguments: list[str] = []
    rest = iter(words[at + 2 :])
    for word in rest:
        if word in ("-f", "--f", "--IPKernelApp.connection_file"):
            next(rest, None)
        elif "{connection_file}" not in word:
            arguments.append(word)
    return tuple(words[1:at]), words[at + 1], tuple(arguments)


def _python(word: str, env: Mapping[str, str]) -> str | None:
    """Return the interpreter's path; `python` is the one that asks, as jupyter_client has it."""
    major, minor = sys.version_info[:2]
    if word in ("python", f"python{major}", f"python{major}.{minor}"):
        return sys.executable
    return shutil.which(word, path=env.get("PATH"))


def _variables(spec: Any, env: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    own = {name: Text(value).safe_substitute(env) for name, value in (spec.env or {}).items()}
    together = {**env, **own}
    together.pop("PYTHONEXECUTABLE", None)  # it would make another interpreter of it
    return tuple(sorted(together.items()))
