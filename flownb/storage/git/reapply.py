"""Commits made here, put on top of those that came from a remote.

A flow is one file, so what was changed there and here is compared file by file: other flows stand side
by side, the same flow with the same content is one, and the same flow with different content is a
conflict, which a person decides. `plan` decides without touching anything; `write` makes the commits.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flownb.errors import FlownbError, StorageError
from flownb.storage.git.signatures import signing
from flownb.storage.git.writing import write_commit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from flownb.storage.git.command import Git
    from flownb.storage.git.repository import Repository
    from flownb.storage.git.signatures import Sign
    from flownb.storage.versions import Version


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as a tree holds it."""

    mode: str
    blob: str


@dataclass(frozen=True, slots=True)
class Change:
    """What a commit made of one file; `entry` is None where it removed it."""

    path: str
    entry: Entry | None


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit as it has to be written again."""

    id: str
    parents: tuple[str, ...]
    author: bytes  #: name, address, seconds and zone, as the commit holds them
    encoding: bytes
    message: bytes
    signed: bool
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Conflict:
    """A flow that was changed here and, differently, at the remote."""

    name: str  #: of the flow
    ours: Version
    theirs: Version


@dataclass(frozen=True, slots=True)
class Plan:
    """The commits to write again, each with what it still changes, and the files in conflict."""

    commits: tuple[Commit, ...]
    conflicts: tuple[str, ...]


def plan(
    commits: Sequence[Commit],
    onto: Mapping[str, Entry],
    touched: Iterable[str],
    same: Callable[[Entry, Entry], bool],
) -> Plan:
    """Decide what becomes of `commits`, oldest first, on top of the files `onto`.

    `touched` are the files that were changed there since the commits' own base; `same` says whether two
    entries hold the same flow. A commit that changes nothing any more is left out.
    """
    there = set(touched)

    def equal(path: str, one: Entry | None, other: Entry | None) -> bool:
        return one == other or (path in there and one is not None and other is not None and same(one, other))

    last = {change.path: change.entry for commit in commits for change in commit.changes}
    conflicts = [path for path in last if path in there and not equal(path, last[path], onto.get(path))]
    state: dict[str, Entry | None] = dict(onto)
    kept = []
    for commit in commits:
        changes = tuple(
            change
            for change in commit.changes
            if not equal(change.path, state.get(change.path), change.entry)
        )
        state |= {change.path: change.entry for change in changes}
        if changes or not commit.changes:
            kept.append(_with(commit, changes))
    return Plan(tuple(kept), tuple(sorted(conflicts)))


def _with(commit: Commit, changes: tuple[Change, ...]) -> Commit:
    return Commit(
        commit.id, commit.parents, commit.author, commit.encoding, commit.message, commit.signed, changes
    )


def check_folders(planned: Plan, onto: Mapping[str, Entry], remote: str) -> None:
    """Refuse what Git would take as: this folder is a file from now on. Raises `StorageError`."""
    folders = {above for path in onto for above in _above(path)}
    for change in (change for commit in planned.commits for change in commit.changes if change.entry):
        if change.path in folders or any(above in onto for above in _above(change.path)):
            raise StorageError(
                f"{change.path!a} is a folder on one side and a file on the other, here and at {remote}; "
                "nothing was changed. Rename one of them"
            )


def _above(path: str) -> list[str]:
    """Return the folders that a path lies in."""
    return [path[:at] for at, char in enumerate(path) if char == "/"]


def own_commits(git: Git, ours: str, *without: str | None) -> list[Commit]:
    """Read the commits that `ours` has and `without` have not, oldest first.

    Raises `StorageError` where one of them merges others: that is a person's work, and stays theirs.
    """
    words = ["rev-list", "--topo-order", "--reverse", ours, *(f"^{commit}" for commit in without if commit)]
    ids = git.run(*words).text.split()
    if not ids:
        return []
    changes = changed_files(git, ids)
    commits = [
        _parsed(commit, data, changes.get(commit, ()))
        for commit, data in zip(ids, _raw(git, ids), strict=True)
    ]
    for commit in commits:
        if len(commit.parents) > 1:
            raise StorageError(
                f"commit {commit.id[:12]} merges others, so the commits here cannot be put on top of the "
                "remote's; merge the remote's branch with git in a work tree, and push again"
            )
    return commits


def changed_files(git: Git, ids: Sequence[str]) -> dict[str, tuple[Change, ...]]:
    """Return what each commit changed against its (each) parent."""
    words = ("diff-tree", "--stdin", "-r", "-m", "-z", "--root", "--no-renames", "--no-ext-diff", "--raw")
    found: dict[str, tuple[Change, ...]] = {}
    commit = ""
    fields = iter(git.run(*words, input="".join(f"{id}\n" for id in ids).encode()).stdout.split(b"\0"))  # noqa: A001
    for field in fields:
        if not field.startswith(b":"):
            # after an `-m` commit its parent stands in brackets behind the id
            commit = field.decode().split()[0] if field.strip() else commit
            continue
        found[commit] = (*found.get(commit, ()), _change(field.decode(), next(fields)))
    return found


def changed_between(git: Git, old: str, new: str) -> tuple[str, ...]:
    """Return the files that differ between two commits."""
    done = git.run("diff-tree", "-r", "-z", "--no-renames", "--no-ext-diff", "--name-only", old, new)
    return tuple(_path(name) for name in done.stdout.split(b"\0") if name)


def _change(described: str, path: bytes) -> Change:
    _, mode, _, blob, _ = described.split()
    return Change(_path(path), Entry(mode, blob) if blob.strip("0") else None)


def _path(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def files(git: Git, commit: str | None) -> dict[str, Entry]:
    """Return every file of a commit."""
    if commit is None:
        return {}
    found = {}
    for line in git.run("ls-tree", "-r", "-z", commit).stdout.split(b"\0"):
        if line:
            about, _, path = line.partition(b"\t")
            mode, _, blob = about.decode().split()
            found[_path(path)] = Entry(mode, blob)
    return found


def _raw(git: Git, ids: Sequence[str]) -> list[bytes]:
    data = git.run("cat-file", "--batch", input="".join(f"{commit}\n" for commit in ids).encode()).stdout
    found, start = [], 0
    for commit in ids:
        end = data.index(b"\n", start)
        try:
            size = int(data[start:end].split()[2])
        except (IndexError, ValueError):
            raise StorageError(f"commit {commit} cannot be read: {ascii(data[start:end])[2:-1]}") from None
        found.append(data[end + 1 : end + 1 + size])
        start = end + 2 + size
    return found


def _parsed(commit: str, data: bytes, changes: tuple[Change, ...]) -> Commit:
    head, _, message = data.partition(b"\n\n")
    lines = [line.partition(b" ") for line in head.split(b"\n") if not line.startswith(b" ")]
    fields = {name: value for name, _, value in lines}
    return Commit(
        id=commit,
        parents=tuple(value.decode() for name, _, value in lines if name == b"parent"),
        author=fields.get(b"author", b""),
        encoding=fields.get(b"encoding", b""),
        message=message,
        signed=b"gpgsig" in fields or b"gpgsig-sha256" in fields,
        changes=changes,
    )


def same_flow(git: Git) -> Callable[[Entry, Entry], bool]:
    """Return what says whether two entries hold flows of one digest. Nothing of them is run."""
    from flownb.document import loads

    def digest(entry: Entry) -> str | None:
        try:
            return loads(git.run("cat-file", "blob", entry.blob).stdout.decode(), entry.blob).digest
        except (FlownbError, UnicodeDecodeError):
            return None  # no flow: equal only to the very same bytes

    def same(one: Entry, other: Entry) -> bool:
        found = digest(one)
        return found is not None and found == digest(other)

    return same


def write(repository: Repository, commits: Sequence[Commit], onto: str | None, sign: Sign) -> dict[str, str]:
    """Write the commits on top of `onto`; returns the new id for each old one. No branch is moved.

    Authors, dates and messages stay; who commits is who does it now. Signed commits are signed anew, by
    the user's own key: a signature holds for the commit that it was made for only. Raises `StorageError`.
    """
    if not commits:
        return {}
    git = repository.git
    committer = git.run("var", "GIT_COMMITTER_IDENT").stdout.rstrip(b"\n")
    ref = f"refs/flownb/writing/{secrets.token_hex(8)}"
    words = [_command(ref, number, commit, committer, onto) for number, commit in enumerate(commits, 1)]
    # taken back at the end, so the ref is never written: the commits are reached by their ids
    stream = b"".join(words) + f"reset {ref}\nfrom {'0' * len(commits[0].id)}\n\ndone\n".encode()
    done = git.run("fast-import", "--quiet", "--done", "--date-format=raw-permissive", input=stream)
    written = dict(zip((commit.id for commit in commits), done.text.split(), strict=True))
    if any(commit.signed for commit in commits) or sign:
        return _signed(repository, commits, written, onto, sign)
    return written


def _command(ref: str, number: int, commit: Commit, committer: bytes, onto: str | None) -> bytes:
    words = [
        f"commit {ref}\nmark :{number}\n".encode(),
        b"author ",
        commit.author,
        b"\ncommitter ",
        committer,
    ]
    if commit.encoding:
        words += [b"\nencoding ", commit.encoding]
    words += [f"\ndata {len(commit.message)}\n".encode(), commit.message, b"\n"]
    if number == 1 and onto is not None:
        words.append(f"from {onto}\n".encode())
    for change in commit.changes:
        told = f"M {change.entry.mode} {change.entry.blob}" if change.entry else "D"
        words += [told.encode(), b" ", _quoted(change.path), b"\n"]
    return b"".join([*words, f"\nget-mark :{number}\n".encode()])


def _quoted(path: str) -> bytes:
    data = path.encode("utf-8", "surrogateescape")
    return b'"' + re.sub(rb'[\x00-\x1f"\\\x7f-\xff]', lambda m: b"\\%03o" % m[0][0], data) + b'"'


def _signed(
    repository: Repository,
    commits: Sequence[Commit],
    written: Mapping[str, str],
    onto: str | None,
    sign: Sign,
) -> dict[str, str]:
    """Write the commits once more, from the first one on that has to have a signature."""
    found: dict[str, str] = {}
    before, again = onto, False
    for commit in commits:
        found[commit.id] = written[commit.id]
        wanted = sign or commit.signed
        again = again or bool(wanted)
        if again:
            found[commit.id] = _again(repository, commit, written[commit.id], before, wanted)
        before = found[commit.id]
    return found


def _again(repository: Repository, commit: Commit, plain: str, parent: str | None, sign: Sign) -> str:
    name, _, rest = commit.author.decode("utf-8", "replace").rpartition(" <")
    address, _, date = rest.partition("> ")
    env = {"GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": address, "GIT_AUTHOR_DATE": f"@{date}"}
    message = commit.message.decode(commit.encoding.decode("ascii", "replace") or "utf-8", "replace")
    parents = (parent,) if parent else ()
    try:
        how = signing(repository.git, sign)
        return write_commit(repository, f"{plain}^{{tree}}", parents, message, how, env)
    except StorageError as error:
        raise StorageError(
            f"commit {commit.id[:12]} is signed, and has to be signed anew to stand on top of the remote's: "
            f"{error}. Nothing was changed; make signing work (git config user.signingkey), and try again"
        ) from error
