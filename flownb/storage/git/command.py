"""Calling `git`: the one place where a process of it is started.

What a repository brings along must not run by being looked at. So: argument lists and no shell; no
hooks, no file system monitor, no pager, no replaced objects, no grafts; nothing of the caller's
`GIT_DIR` and the like, which stand for another repository; and no transport at all, except for the
commands that are meant to go over the network (`Git.network`). There the user's own settings hold
(credential helpers, ssh, proxies), but nobody is asked anything, and only well-known transports are used.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flownb.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

#: seconds that a command may take which stays on this machine
LOCAL_TIMEOUT = 60.0
#: seconds that a command may take which goes over the network
NETWORK_TIMEOUT = 600.0

#: what the network's commands may use; never `ext::`, which runs any command
PROTOCOLS = "file:git:http:https:ssh"

#: settings that hold whatever a repository's own say
SETTINGS = (
    "core.fsmonitor=false",
    f"core.hooksPath={os.devnull}",
    "core.pager=cat",
    "core.quotePath=false",
    "core.filesRefLockTimeout=3000",
    "core.packedRefsTimeout=3000",
    "i18n.commitEncoding=UTF-8",
    "i18n.logOutputEncoding=UTF-8",
    "log.showSignature=false",
    "protocol.ext.allow=never",
    "advice.detachedHead=false",
    "advice.graftFileDeprecated=false",
    "user.useConfigOnly=true",
)

#: variables of git's that say how, not which repository: they are the user's and stay
_KEPT = re.compile(
    r"GIT_(ASKPASS|SSH|SSH_COMMAND|SSH_VARIANT|PROXY_COMMAND|PROXY_SSL_\w+|SSL_\w+|HTTP_\w+|EXEC_PATH"
    r"|(AUTHOR|COMMITTER)_(NAME|EMAIL|DATE)|CONFIG_(GLOBAL|SYSTEM|NOSYSTEM|COUNT|KEY_\d+|VALUE_\d+)"
    r"|CEILING_DIRECTORIES|DISCOVERY_ACROSS_FILESYSTEM)"
)


@dataclass(frozen=True, slots=True)
class Completed:
    """How a command ended."""

    stdout: bytes
    stderr: str  #: git's words, in English, without control characters
    code: int

    @property
    def text(self) -> str:
        """Standard output as text, without the newline at its end."""
        return self.stdout.decode("utf-8", "backslashreplace").rstrip("\n")


@dataclass(frozen=True)
class Git:
    """`git` for one repository, or for none (`git_dir=None`: `init`, `clone`, `ls-remote`)."""

    git_dir: Path | None = None
    settings: Sequence[str] = field(default=())  #: more of `NAME=VALUE`, stronger than `SETTINGS`

    def run(
        self,
        *args: str,
        input: bytes = b"",  # noqa: A002 - as subprocess calls it
        timeout: float = LOCAL_TIMEOUT,
        check: bool = True,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Completed:
        """Run a command that stays on this machine: no transport is allowed to it.

        Raises `StorageError` with git's own words where it fails (unless `check` is False), is not
        installed, or takes longer than `timeout` seconds.
        """
        return self._run(args, input, timeout, check, {**environment(), **(env or {})}, cwd)

    def network(
        self,
        *args: str,
        input: bytes = b"",  # noqa: A002 - as subprocess calls it
        timeout: float = NETWORK_TIMEOUT,
        check: bool = True,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Completed:
        """Run a command that may go over the network, with the user's own credentials; see `run`.

        URLs and names of remotes are given behind `--end-of-options`, after `check_url`.
        """
        return self._run(args, input, timeout, check, {**network_environment(), **(env or {})}, cwd)

    def command(self, *args: str) -> list[str]:
        """Return the whole argument list of a command."""
        found = ["git", "--no-pager", "--no-replace-objects", "--literal-pathspecs"]
        for setting in (*SETTINGS, *self.settings):
            found += ["-c", setting]
        if self.git_dir is not None:
            found.append(f"--git-dir={self.git_dir}")
        return [*found, *args]

    def open(self, *args: str) -> subprocess.Popen[bytes]:
        """Start a command that is talked to through pipes; what it says of errors goes nowhere."""
        try:
            return subprocess.Popen(  # noqa: S603 - the list is made above, and no shell reads it
                self.command(*args),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment(),
                cwd=self.git_dir,
                start_new_session=True,  # Ctrl-C in a terminal is for the flow, not for it
            )
        except OSError as error:
            raise _not_started(error, self.git_dir) from None

    def _run(
        self,
        args: Sequence[str],
        data: bytes,
        timeout: float,
        check: bool,
        env: Mapping[str, str],
        cwd: Path | None,
    ) -> Completed:
        try:
            process = subprocess.Popen(  # noqa: S603 - the list is made above, and no shell reads it
                self.command(*args),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=env,
                cwd=cwd or self.git_dir,
                start_new_session=True,  # without a terminal, ssh and helpers cannot ask there either
            )
        except OSError as error:
            raise _not_started(error, cwd or self.git_dir) from None
        with process:
            try:
                stdout, stderr = process.communicate(data, timeout)
            except subprocess.TimeoutExpired:
                _stop(process)
                raise StorageError(
                    f"git {args[0]} had not ended after {timeout:g} s and was stopped"
                    + (f" ({self.git_dir})" if self.git_dir else "")
                ) from None
            except BaseException:
                _stop(process)
                raise
        completed = Completed(stdout, printable(stderr), process.returncode)
        if check and completed.code:
            raise StorageError(f"git {args[0]} failed: {said(completed)}")
        return completed


def environment() -> dict[str, str]:
    """Return the environment of a command that stays on this machine."""
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or _KEPT.fullmatch(name)
    }
    env |= {
        "LC_ALL": "C",
        "LANGUAGE": "C",
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_GRAFT_FILE": os.devnull,
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_PAGER": "cat",
        "GIT_TERMINAL_PROMPT": "0",
    }
    return env


def network_environment() -> dict[str, str]:
    """Return the environment of a command that may go over the network and must ask nobody anything."""
    env = environment()
    env["GIT_ALLOW_PROTOCOL"] = PROTOCOLS
    del env["GIT_NO_LAZY_FETCH"]
    env.setdefault("GIT_ASKPASS", "")  # the repository's own core.askPass, and windows, ask nobody
    env.setdefault("SSH_ASKPASS_REQUIRE", "never")
    return env


def check_url(url: str) -> str:
    """Return a URL or path of a remote that cannot be read as an option or a command, or `StorageError`."""
    if not url or url.startswith("-") or re.search(r"[\x00-\x1f\x7f]", url):
        raise StorageError(f"{url!a} is not a URL of a Git repository")
    transport = re.match(r"([A-Za-z0-9+.-]+)::", url)
    if transport:
        raise StorageError(
            f"{url!a} is not taken: {transport[1]}:: runs a program of that name; "
            "https, ssh, git and file URLs and paths are taken"
        )
    scheme = re.match(r"([A-Za-z0-9+.-]+)://", url)
    if scheme and scheme[1].lower() not in PROTOCOLS.split(":"):
        raise StorageError(
            f"{url!a} is not taken: {', '.join(PROTOCOLS.split(':'))} are what Git goes by here"
        )
    host = re.match(r"(?:ssh://|git://)?(?:[^@/]*@)?(-[^/:]*)", url)
    if host and not url.startswith(("http", "file")):
        raise StorageError(f"{url!a} is not taken: its host would be read as an option")
    return url


def said(completed: Completed, limit: int = 600) -> str:
    """Return what git said, made short: the lines that tell why."""
    lines = [line.strip() for line in completed.stderr.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(("fatal:", "error:", "remote:", "!"))] or lines
    text = "; ".join(re.sub(r"^(fatal|error): ", "", line) for line in told)
    return (text[:limit] + "..." if len(text) > limit else text) or f"it ended with status {completed.code}"


def printable(data: bytes) -> str:
    """Return what a program wrote as text that cannot steer a terminal."""
    text = data.decode("utf-8", "backslashreplace").replace("\r\n", "\n").replace("\r", "\n")
    return re.sub(
        r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", lambda m: ascii(m[0])[1:-1], text
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Kill a command and the helpers that it started."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()


def _not_started(error: OSError, folder: Path | None) -> StorageError:
    if isinstance(error, FileNotFoundError) and (folder is None or folder.is_dir()):
        return StorageError(
            "git is not installed, or not on the PATH: install it (https://git-scm.com/downloads); "
            "flows can be kept in a notebook or a folder without it"
        )
    return StorageError(f"git cannot be started in {folder or 'this folder'}: {error.strerror or error}")
