"""Programs that a transfer starts: the user's own, never those that a repository names.

A push or pull runs what Git's settings say: ssh, helpers that know passwords, proxies, the other side's
part. A repository that was unpacked or copied from elsewhere may bring such settings along. Those of its
own configuration are left out, and the user's (`--global`, `--system`, environment) or Git's defaults hold.
Whoever set them in a repository of their own names it once: git config --global --add flownb.programsOf
FOLDER.
"""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flownb.errors import StorageError
from flownb.storage.git.signatures import OWN_SCOPES, guarded_settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from flownb.storage.git.signatures import Settings

_HELPER = re.compile(r"credential\.(.*\.)?helper")
_OTHER_SIDE = re.compile(r"remote\.(?P<remote>.*)\.(?P<part>uploadpack|receivepack|vcs)", re.DOTALL)
_ALONE = re.compile(
    r"core\.(sshcommand|gitproxy|alternaterefscommand)|gpg\.(.*\.)?(program|defaultkeycommand)"
)
_PARTIAL = re.compile(r"extensions\.partialclone|remote\..*\.(promisor|partialclonefilter)", re.DOTALL)
_INSTEAD = re.compile(r"url\..*\.(push)?insteadof", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Programs:
    """What a transfer is called with, so that it starts programs of the user's own choice."""

    settings: Sequence[tuple[str, str]] = ()  #: behind those that there are
    variables: Mapping[str, str] = field(default_factory=dict)
    fetch_options: Sequence[str] = ()
    push_options: Sequence[str] = ()
    left_out: tuple[str, ...] = ()  #: names of the repository's own settings that do not hold


def own_programs(settings: Settings, git_dir: Path, remote: str, env: Mapping[str, str]) -> Programs:
    """Return the programs for a transfer with `remote`, a name or URL; `env` is the user's environment.

    Raises `StorageError` where the repository's own settings cannot be left out.
    """
    mine = [(name, value) for scope, name, value in settings if scope in OWN_SCOPES]
    brought = [(name, value) for scope, name, value in settings if scope not in OWN_SCOPES]
    if _is_taken(mine, git_dir):
        mine, brought = mine + brought, []
    left_out = {name for name, _ in brought if _names_program(name)}
    _refuse_what_cannot_be_left_out(brought, left_out, git_dir, remote)
    last = dict(mine)
    more: list[tuple[str, str]] = []
    variables = {}
    if "core.sshcommand" in left_out:
        more.append(
            ("core.sshCommand", last.get("core.sshcommand") or shlex.quote(env.get("GIT_SSH") or "ssh"))
        )
    if "core.alternaterefscommand" in left_out:
        more.append(("core.alternateRefsCommand", last.get("core.alternaterefscommand", "true")))
    if "core.gitproxy" in left_out and "GIT_PROXY_COMMAND" not in env:
        # of several the first holds, so that one more changes nothing; the variable stands above all
        everywhere = [value for name, value in mine if name == "core.gitproxy" and " for " not in value]
        variables["GIT_PROXY_COMMAND"] = everywhere[0] if everywhere else ""
    if any(_HELPER.fullmatch(name) for name in left_out):
        more.append(("credential.helper", ""))  # forgets those before
        more += [(name, value) for name, value in mine if _HELPER.fullmatch(name)]
    if any(name.startswith("gpg.") for name in left_out):
        guarded = (setting.partition("=") for setting in guarded_settings(settings))
        more += [(name, value) for name, _, value in guarded]
    return Programs(
        settings=tuple(more),
        variables=variables,
        fetch_options=_other_side("upload-pack", f"remote.{remote}.uploadpack", last, left_out),
        push_options=_other_side("receive-pack", f"remote.{remote}.receivepack", last, left_out),
        left_out=tuple(sorted(left_out)),
    )


def told_left_out(programs: Programs, git_dir: Path) -> str:
    """Return what to add to the error of a transfer that failed; nothing where nothing was left out."""
    if not programs.left_out:
        return ""
    return (
        f"Not used, as the repository's own configuration ({git_dir / 'config'}) names programs with it: "
        f"{_shown(programs.left_out)}. {_remedy(git_dir)}"
    )


def _names_program(name: str) -> bool:
    return any(pattern.fullmatch(name) for pattern in (_HELPER, _OTHER_SIDE, _ALONE))


def _other_side(part: str, name: str, own: Mapping[str, str], left_out: set[str]) -> Sequence[str]:
    """Return the option by which a setting of the repository does not hold; of several the first would."""
    return (f"--{part}={own.get(name, f'git-{part}')}",) if name in left_out else ()


def _is_taken(mine: Sequence[tuple[str, str]], git_dir: Path) -> bool:
    """Whether the user's own configuration says that this repository's programs may run."""
    places = {git_dir, git_dir.parent} if git_dir.name == ".git" else {git_dir}
    named = [value for name, value in mine if name == "flownb.programsof" and value]
    return any(os.path.realpath(os.path.expanduser(value)) in map(str, places) for value in named)


def _refuse_what_cannot_be_left_out(
    brought: Sequence[tuple[str, str]], left_out: set[str], git_dir: Path, remote: str
) -> None:
    sides = [name for name in left_out if _OTHER_SIDE.fullmatch(name)]
    helpers = [name for name in sides if name.endswith(".vcs")]
    # git fetches missing objects of a partial clone by itself, with a command that is not ours to change
    if helpers or (sides and any(_PARTIAL.fullmatch(name) for name, _ in brought)):
        raise StorageError(
            f"nothing is exchanged with {remote}: the repository's own configuration "
            f"({git_dir / 'config'}) names programs that would run: {_shown(helpers or sides)}. "
            f"{_remedy(git_dir)}"
        )
    if any(_INSTEAD.fullmatch(name) and value and remote.startswith(value) for name, value in brought):
        raise StorageError(
            f"nothing is exchanged with {remote}: the repository's own configuration ({git_dir / 'config'}) "
            f"puts another URL in its place. {_remedy(git_dir)}"
        )


def _shown(names: Sequence[str]) -> str:
    return ", ".join(ascii(name)[1:-1] for name in sorted(names))


def _remedy(git_dir: Path) -> str:
    return (
        "If they are your own, put them into your own configuration (git config --global), or let this "
        f"repository's hold: git config --global --add flownb.programsOf {shlex.quote(str(git_dir))}"
    )
