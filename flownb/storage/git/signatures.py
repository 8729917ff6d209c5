"""Signatures, made and checked by the user's own programs, never by those that a repository names.

The settings `gpg.*` say which program runs and whose signatures count. A repository that came from
elsewhere may bring its own: they are replaced by the user's (`--global`, `--system`, environment), or by
Git's defaults.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flownb.errors import StorageError
from flownb.storage.git.command import Git, said

if TYPE_CHECKING:
    from collections.abc import Sequence

#: what holds where the user says nothing
_DEFAULTS = {
    "gpg.program": "gpg",
    "gpg.openpgp.program": "gpg",
    "gpg.x509.program": "gpgsm",
    "gpg.ssh.program": "ssh-keygen",
    "gpg.ssh.defaultkeycommand": "false",
    "gpg.ssh.allowedsignersfile": os.devnull,
    "gpg.mintrustlevel": "undefined",
}
#: scope, name as Git gives it (section and key in lower case), value
Settings = list[tuple[str, str, str]]
#: where settings are the user's own, whatever repository is looked at
OWN_SCOPES = ("system", "global", "command")

Sign = bool | str | None


@dataclass(frozen=True, slots=True)
class Signing:
    """How commits are signed."""

    key: bool | str = False  #: False: not at all; True: with the key that Git's settings say
    settings: Sequence[str] = ()  #: `NAME=VALUE`, by which the user's own programs sign


def signing(git: Git, sign: Sign) -> Signing:
    """Return how to sign; None is what the settings say (`commit.gpgSign`)."""
    if sign is False:
        return Signing()
    settings = settings_of(git)
    return Signing(signs_by_itself(settings) if sign is None else sign, guarded_settings(settings))


def guarded_settings(settings: Settings) -> Sequence[str]:
    """Return `NAME=VALUE` for the settings of signatures that the repository itself would change."""
    own: dict[str, str] = {}
    brought = set()
    for scope, name, value in settings:
        if name in _DEFAULTS:
            if scope in OWN_SCOPES:
                own[name] = value
            else:
                brought.add(name)
    if "gpg.program" in brought or "gpg.openpgp.program" in brought:
        # two names of one setting, of which Git takes the one that comes last
        brought |= {"gpg.program", "gpg.openpgp.program"}
        program = own.get("gpg.openpgp.program", own.get("gpg.program", "gpg"))
        own |= {"gpg.program": program, "gpg.openpgp.program": program}
    return [f"{name}={own.get(name, _DEFAULTS[name])}" for name in sorted(brought)]


def signs_by_itself(settings: Settings) -> bool:
    """Whether the settings ask for every commit to be signed (`commit.gpgSign`)."""
    values = [value.lower() for _, name, value in settings if name == "commit.gpgsign"]
    return bool(values) and values[-1] not in ("false", "no", "off", "0")


def require_signature(git: Git, commit: str, what: str) -> None:
    """Return when Git accepts the signature of a commit; raise `StorageError` about `what` where not."""
    trusted = Git(git.git_dir, guarded_settings(settings_of(git)))
    done = trusted.run("verify-commit", "--end-of-options", commit, check=False)
    if done.code:
        words = said(done) if done.stderr.strip() else "it has no signature"
        raise StorageError(
            f"{what} is not taken: Git does not accept the signature of the commit {commit[:10]} ({words}). "
            "Whose signatures count is told by gpg.ssh.allowedSignersFile of your own Git configuration, "
            "or by your GPG keyring"
        )


def settings_of(git: Git) -> Settings:
    """Return scope, name and value of every setting, in the order in which Git reads them.

    Git gives section and key in lower case; what stands between, a URL say, is as it was written.
    """
    parts = git.run("config", "--list", "--show-scope", "-z").stdout.decode("utf-8", "replace").split("\0")
    found = []
    for scope, setting in zip(parts[::2], parts[1::2], strict=False):
        name, _, value = setting.partition("\n")
        found.append((scope, name, value))
    return found
