"""Where a remote is, apart from the secrets that people paste into its URL.

What is shown, stored and recorded is the address without them. Git gets them through its environment,
so they are in no list of processes, no configuration and no helper's store either.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

from flownb.errors import StorageError
from flownb.storage.git.command import check_url

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flownb.storage.git.command import Git

_SCP = re.compile(r"(?:[^@/:\[\]]+@)?(?:[^@/:]+|\[[^]/]+\]):(?!:)")
_USERINFO = re.compile(r"(?i)\b((?:https?|git|ftps?)://)[^/\s@'\"]*(?:@[^/\s@'\"]*)*@")
_SSH_PASSWORD = re.compile(r"(?i)\b(ssh://[^/\s:@]*):[^/\s@]*@")
#: hands user and password from the environment to git, and keeps neither of them
_HELPER = (
    '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" '
    '"$FLOWNB_GIT_USERNAME" "$FLOWNB_GIT_PASSWORD"; }; f'
)


_ADD = "`git remote add origin URL`"


@dataclass(frozen=True, slots=True)
class Address:
    """A URL or path of a repository, and the credentials that were written into it."""

    url: str  #: without credentials: may be shown, stored, and given to git
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    hint: str = field(default="", compare=False)  #: what may be the cause where it refuses

    @property
    def settings(self) -> Sequence[tuple[str, str]]:
        """Settings with which git gives the credentials to this server, and to no other; without secrets."""
        parts = urlsplit(self.url)
        section = f"credential.{parts.scheme}://{parts.netloc}"
        if self.password:
            # the empty helper forgets those configured before: none answers in its place, none stores it
            return (f"{section}.helper", ""), (f"{section}.helper", _HELPER)
        return ((f"{section}.username", self.username),) if self.username else ()

    def variables(self, *settings: tuple[str, str]) -> Mapping[str, str]:
        """Return the environment variables that give git these settings, and then the credentials."""
        own = {"FLOWNB_GIT_USERNAME": self.username, "FLOWNB_GIT_PASSWORD": self.password}
        return (own if self.password else {}) | _configured(*settings, *self.settings)

    @property
    def key(self) -> str:
        """A short word that stands for the URL in names of refs and files."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:12]

    @property
    def readable(self) -> str:
        """Something of the URL for people, fit for a file's name."""
        bare = re.sub(r"^[a-z]+://|\.git/*$", "", self.url)
        return re.sub(r"[^A-Za-z0-9]+", "-", bare).strip("-")[-60:].strip("-").lower() or "repository"


def parse_address(text: str) -> Address:
    """Read a URL, `host:path` or path of a repository; a relative path is taken from here.

    Raises `StorageError` for what git would read as an option or as a program to run, and for a query,
    in which secrets are as good as published.
    """
    text = text.removeprefix("git+")
    try:
        check_url(text)
    except StorageError as error:
        raise StorageError(without_credentials(str(error))) from None
    if "://" not in text:
        if _SCP.match(text):
            return Address(_plain_host(text, text.partition(":")[0]))
        return Address(os.path.abspath(os.path.expanduser(text)))
    try:
        parts = urlsplit(text)
        username, password = unquote(parts.username or ""), unquote(parts.password or "")
        host = parts.netloc.rpartition("@")[2]
    except ValueError as error:
        raise StorageError(f"{without_credentials(text)!a} is not a URL: {error}") from None
    if re.search(r"[\x00-\x1f\x7f]", username + password):
        raise StorageError(f"the credentials in the URL of {host!a} hold control characters")
    _plain_host(without_credentials(text), unquote(parts.netloc))
    scheme = parts.scheme.lower()
    if scheme in ("http", "https"):
        if parts.query or parts.fragment:
            raise StorageError(
                f"{urlunsplit((scheme, host, parts.path, '', ''))!a} was given with a query or fragment, "
                "which Git's servers do not read; credentials belong to Git's credential helper"
            )
        return Address(urlunsplit((scheme, host, parts.path, "", "")), username, password)
    # the user is part of where an ssh server's repository is; a password in its URL is read by nobody
    shown = f"{parts.username}@{host}" if scheme == "ssh" and parts.username else host
    return Address(urlunsplit((scheme, shown, parts.path, parts.query, parts.fragment)))


def is_remote(text: str) -> bool:
    """Whether a text is the URL of a repository, and no path on this machine."""
    return "://" in text or _SCP.match(text) is not None


@dataclass(frozen=True, slots=True)
class Remote:
    """A remote of a repository: a name in its configuration, or a URL."""

    where: str  #: what git is called with
    address: Address
    name: str  #: for people

    @property
    def key(self) -> str:
        """What stands for it in names of refs: another URL is another remote."""
        return self.address.key


def choose_remote(git: Git, branch: str, given: str | Address | None = None) -> Remote:
    """Return the remote to exchange a branch with.

    It is the given one (name or URL), else the branch's own, else the only one, else `origin`. Raises
    `StorageError` that lists what there is.
    """
    if isinstance(given, Address):
        return Remote(given.url, given, given.url)
    names = git.run("remote").text.splitlines()
    if given is not None and given not in names:
        if not is_remote(given) and "/" not in given:
            raise StorageError(f"there is no remote {given!a}; {_there(names)}")
        address = parse_address(given)
        return Remote(address.url, address, address.url)
    own = git.run("config", "--get", f"branch.{branch}.remote", check=False).text
    name = given or (own if own in names else names[0] if len(names) == 1 else "origin")
    if name not in names:
        if not names:
            raise StorageError(f"there is no remote yet; {_ADD} makes one")
        raise StorageError(f"which remote? {_there(names)}; name one of them, or a URL")
    address = parse_address(git.run("remote", "get-url", "--", name).text.splitlines()[0])
    if name.startswith("-"):
        raise StorageError(f"the remote {name!a} would be read as an option; rename it (git remote rename)")
    return Remote(name, address, name)


def _there(names: Sequence[str]) -> str:
    return f"there are {', '.join(names)}" if names else f"there is none yet: {_ADD}"


def without_credentials(text: str) -> str:
    """Return a text, git's words for one, with no user and password in any URL of it."""
    return _SSH_PASSWORD.sub(r"\1@", _USERINFO.sub(r"\1", text))


def _plain_host(text: str, host: str) -> str:
    """Refuse a host or a user that ssh would read as an option."""
    if host.startswith("-") or "@-" in host:
        raise StorageError(f"{text!a} is not taken: its host would be read as an option")
    return text


def _configured(*settings: tuple[str, str]) -> dict[str, str]:
    """Return settings as git reads them from its environment, behind those that are there already."""
    if not settings:
        return {}
    first = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
    found = {"GIT_CONFIG_COUNT": str(first + len(settings))}
    for number, (name, value) in enumerate(settings, first):
        found |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return found
