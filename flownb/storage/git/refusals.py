"""What a remote refuses, in words that say what to do; decided from what git and the remote said."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flownb.errors import StorageError
from flownb.storage.git.addresses import without_credentials

if TYPE_CHECKING:
    from flownb.storage.git.command import Completed

_LINES, _WIDTH = 12, 300

#: a pattern of git's or the remote's words -> what happened, and what to do
_KNOWN: tuple[tuple[str, str, str], ...] = (
    (
        r"host key verification failed|remote host identification has changed",
        "its host key is not known here, or has changed",
        "connect to the host once with ssh in a terminal, and check its key",
    ),
    (
        r"permission denied \(|no supported authentication|too many authentication failures",
        "it does not accept your ssh key",
        "load the key (ssh-add), or add it to your account there",
    ),
    (
        (
            r"certificate|self[- ]signed|unable to get local issuer|ssl (routines|peer)"
            r"|server verification failed|schannel: .*trust"
        ),
        "its TLS certificate is not one that Git accepts here",
        (
            "where it is your own server, give Git the authority that signed it "
            "(git config http.sslCAInfo FILE); else look at the URL, and at the clock of this machine"
        ),
    ),
    (
        r"authentication failed|invalid (username|credentials)|incorrect username or password",
        "the user or the password is wrong",
        (
            "look at both in the URL or in Git's credential helper (git help credentials); many servers "
            "take a token in place of the password"
        ),
    ),
    (
        (
            r"could not read (username|password)|terminal prompts disabled|\b401\b"
            r"|unable to get password"
        ),
        "it wants to know who you are",
        "give Git the credentials: a credential helper (git help credentials), or an ssh URL and key",
    ),
    (
        r"no space left|quota|file size limit|disk full|\b413\b|exceeds .* limit",
        "there is no room for it",
        "make room there, or ask whoever keeps it",
    ),
    (
        r"protected branch|GH006|GL-HOOK-ERR|not allowed to push",
        "the branch is protected there",
        "ask whoever keeps it to let flows be pushed to this branch, or take another branch",
    ),
    (
        r"hook declined|pre-receive|update hook",
        "a hook there declined it",
        "do what it says, and push again",
    ),
    (
        (
            r"permission to .* denied|\b403\b|access denied|insufficient permission|permission denied"
            r"|service not enabled|read-only|not authorized|unauthorized|upload is not allowed"
        ),
        "you may not do that there",
        "ask whoever keeps it for the permission",
    ),
    (
        (
            r"could not resolve host|name or service not known|temporary failure in name resolution"
            r"|nodename nor servname|unable to look up"
        ),
        "its host is not found",
        "look at the URL and the network",
    ),
    (
        (
            r"repository .*not found|does not appear to be a git repository|not a git repository"
            r"|no such file or directory|does not exist|repository not exported|\b404\b|no such repository"
        ),
        "there is no such repository, or none that you may see",
        "look at the URL, and whether you may read it",
    ),
    (
        (
            r"connection (refused|timed out|reset|closed)|failed to connect|unable to connect|timed out"
            r"|operation too slow|network is unreachable|no route to host|hung up|early eof|broken pipe"
            r"|unexpected disconnect|ssl|\b5\d\d\b|rpc failed"
        ),
        "the connection failed",
        "look at the network, and try again",
    ),
    (
        r"shallow update not allowed",
        "it takes nothing from a shallow clone",
        "git fetch --unshallow completes the clone",
    ),
    (
        r"transport .* not allowed|remote helper",
        "its transport is not one that is used here",
        "take https or ssh",
    ),
)

#: somebody else changed the branch between our look and our push
_CONTENDED = re.compile(
    r"stale info|fetch first|non-fast-forward|cannot lock ref|failed to update ref|reference already exists"
    r"|incorrect old value|failed to lock|unable to lock|remote ref updated since checkout",
    re.IGNORECASE,
)


def is_contention(completed: Completed) -> bool:
    """Whether a push lost a race, so that looking again and pushing again is what to do."""
    words = completed.stderr + completed.stdout.decode("utf-8", "replace")
    return _CONTENDED.search(words) is not None and "hook declined" not in words


def refusal(doing: str, completed: Completed, keeps: str = "") -> StorageError:
    """Return the error for a failed command: what was being done, why not, what to do, the remote's words.

    `keeps` says what became of the person's own work.
    """
    words = said(completed)
    known = (told for pattern, *told in _KNOWN if re.search(pattern, words, re.IGNORECASE))
    what, advice = next(known, ("it failed", "see what Git says"))
    told = "\n".join(f"  {line}" for line in words.splitlines())
    return StorageError(f"{doing}: {what}; {advice}.{' ' + keeps if keeps else ''}\n{told}".rstrip())


def said(completed: Completed) -> str:
    """Return the words of git and the remote: no credentials, no control characters, not too many."""
    text = completed.stderr + "\n" + completed.stdout.decode("utf-8", "backslashreplace")
    lines = []
    for line in without_credentials(text).splitlines():
        shown = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line).strip()
        shown = shown.removeprefix("remote:").strip()
        if shown and not shown.startswith(
            ("hint:", "To ", "Done", "Total ", "Counting", "Compressing", "Writing")
        ):
            lines.append(shown[:_WIDTH])
    return "\n".join(dict.fromkeys(lines[:_LINES])) or f"git ended with status {completed.code}"
