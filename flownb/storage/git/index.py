"""Which commit changed each flow last: what locations are made of, kept so that it is found quickly.

The truth is the branch: its tip's folder says which flows there are, with which content. Only the answer
to "since which commit?" is looked up in a file beside the repository's objects, for the very content
that is there; it is made again where it is missing, old or odd.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
from typing import TYPE_CHECKING, NamedTuple

from flownb.document import is_document
from flownb.errors import StorageError
from flownb.files import write_atomic
from flownb.storage.filenames import SUFFIX, file_name, flow_name, is_hashed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from flownb.storage.git.objects import Objects, Tree
    from flownb.storage.git.repository import Repository

_FORMAT = 1
#: commits that are looked through anew each time before the file is written again
_BEHIND = 8
#: commits that are looked through with one call of Git
_TOGETHER = 500


class Kept(NamedTuple):
    """A flow, as the tip of a branch has it."""

    name: str
    blob: str  #: id of its document
    commit: str  #: the newest one that put this content there


class State(NamedTuple):
    """All flows of one commit of the branch."""

    tip: str
    flows: Mapping[str, Kept]  #: by the flow's name
    problems: tuple[str, ...]


class Changed(NamedTuple):
    """A commit, and the files of the folder that it changed."""

    commit: str
    blobs: Mapping[str, str]  #: path -> id of the new content; zeros where it was removed


class FlowIndex:
    """The flows of a branch, or of one commit (`keep=False`), with the commits that they are from."""

    def __init__(
        self, repository: Repository, objects: Objects, ref: str, folder: str, *, keep: bool = True
    ) -> None:
        self._repository = repository
        self._objects = objects
        self._folder = folder
        self._lock = threading.RLock()
        key = hashlib.sha256(f"{ref}\0{folder}".encode()).hexdigest()[:16]
        self._file = repository.own_folder / f"index-{key}.json" if keep else None
        self._state: State | None = None
        self._files: dict[str, Kept] = {}  # of `_state`, by file
        self._shallow = ""
        self._ahead = 0  #: commits that were taken in since the file was written

    def at(self, tip: str) -> State:
        """Return the flows of the commit `tip`. Raises `StorageError`."""
        with self._lock:
            shallow = self._repository.shallow
            if self._state is None or (self._state.tip, self._shallow) != (tip, shallow):
                self._state, self._shallow = self._made(tip, shallow), shallow
            return self._state

    def forget(self) -> None:
        """Make it again from the history alone when it is next asked for."""
        with self._lock:
            self._state, self._files = None, {}
            if self._file is not None:
                with contextlib.suppress(OSError):  # it was not read either
                    self._file.unlink()

    def _made(self, tip: str, shallow: str) -> State:
        tree = self._objects.tree(f"{tip}:{self._folder}") or {}
        files = {file: entry.id for file, entry in tree.items() if entry.mode in ("100644", "100755")}
        if self._state is not None and self._shallow == shallow:
            old_tip, known = self._state.tip, self._files
        else:
            old_tip, known = self._loaded(shallow)
        commit = self._objects.commit(tip)
        just_behind = bool(old_tip) and commit is not None and commit.parents == (old_tip,)
        news = [tip] if just_behind else new_commits(self._repository, old_tip, tip) if old_tip else None
        if news is None:  # nothing is known, or the branch was rewritten
            known, news = {}, all_commits(self._repository, tip)
        if not news and files == {file: kept.blob for file, kept in known.items()}:
            self._files = known
            return State(tip, {kept.name: kept for kept in known.values()}, self._problems(tree))
        if just_behind:  # the trees of both are known, so nobody has to be asked what the commit changed
            commits = {file: tip for file in files if known.get(file, _NONE).blob != files[file]}
        else:
            commits = self._commits(news, files)
        missing = [
            file for file in files if file not in commits and known.get(file, _NONE).blob != files[file]
        ]
        if missing:
            raise StorageError(
                f"no commit of {self._repository.path} is known that made {missing[0]} what it is; "
                f"`git --git-dir={self._repository.git_dir} fsck` tells what is wrong"
            )
        self._files = self._named(files, commits, known)
        self._ahead += len(news)
        if self._file is not None and (not known or self._ahead >= _BEHIND):
            self._save(tip, shallow)
            self._ahead = 0
        return State(tip, {kept.name: kept for kept in self._files.values()}, self._problems(tree))

    def _commits(self, news: list[str], files: Mapping[str, str]) -> dict[str, str]:
        """Return the newest commit that made each file what it is, looking no further back than needed."""
        found: dict[str, str] = {}
        for start in range(0, len(news), _TOGETHER):
            if len(found) == len(files):
                break
            for changed in changes(self._repository, news[start : start + _TOGETHER], f"{self._folder}/"):
                for path, blob in changed.blobs.items():
                    file = path.removeprefix(f"{self._folder}/")
                    if files.get(file) == blob:
                        found.setdefault(file, changed.commit)
        return found

    def _named(
        self, files: Mapping[str, str], commits: Mapping[str, str], known: Mapping[str, Kept]
    ) -> dict[str, Kept]:
        names = {file: known[file].name if file in known else flow_name(file) for file in files}
        hashed = [file for file in files if names[file] is None and is_hashed(file)]
        documents = self._objects.read_many(files[file] for file in hashed)
        names |= {
            file: None if found is None else hashed_name(found.data, file)
            for file, found in zip(hashed, documents, strict=True)
        }
        return {
            file: Kept(name, blob, commits[file] if file in commits else known[file].commit)
            for file, blob in files.items()
            if (name := names[file]) is not None
        }

    def _problems(self, tree: Tree) -> tuple[str, ...]:
        return tuple(
            f"{self._folder}/{file!a} is no flow: its name is not one that flownb gives"
            for file in tree
            if file.endswith(SUFFIX) and file not in self._files
        )

    def _loaded(self, shallow: str) -> tuple[str, dict[str, Kept]]:
        """Return tip and flows of the file; nothing where it is not there, or not what was written."""
        if self._file is None:
            return "", {}
        try:
            content = json.loads(self._file.read_bytes())
            if content["format"] != _FORMAT or content["shallow"] != shallow:
                return "", {}
            ids = [content["tip"], *(part for kept in content["flows"].values() for part in kept[1:])]
            if not (set(map(len, ids)) <= {40, 64} and re.fullmatch("[0-9a-f]+", "".join(ids))):
                return "", {}
            return content["tip"], {file: Kept(*map(str, kept)) for file, kept in content["flows"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return "", {}

    def _save(self, tip: str, shallow: str) -> None:
        assert self._file is not None
        content = {"format": _FORMAT, "tip": tip, "shallow": shallow, "flows": self._files}
        # A repository that may be read and not written is read all the same, more slowly.
        with contextlib.suppress(StorageError, OSError):
            self._file.parent.mkdir(exist_ok=True)
            write_atomic(self._file, json.dumps(content).encode(), error=StorageError)


_NONE = Kept("", "", "")


def hashed_name(document: bytes, file: str) -> str | None:
    """Return the flow's name that a document with a hashed file name tells; None where they do not agree."""
    try:
        content = json.loads(document)
        name = content["metadata"]["flownb"]["name"] if is_document(content) else None
        return name if isinstance(name, str) and file_name(name) == file else None
    except (ValueError, KeyError, TypeError, RecursionError, StorageError):
        return None


def all_commits(repository: Repository, tip: str) -> list[str]:
    """Return a commit and all before it, newest first."""
    return repository.git.run("rev-list", "--topo-order", tip).text.split()


def new_commits(repository: Repository, old: str, tip: str) -> list[str] | None:
    """Return the commits that `tip` has and `old` has not, newest first; None if `old` is not before it."""
    if old == tip:
        return []
    asked = ("--topo-order", "--left-right", f"{old}...{tip}")
    done = repository.git.run("rev-list", *asked, check=False)
    lines = done.text.split()
    if done.code or any(line.startswith("<") for line in lines):
        return None
    return [line.removeprefix(">") for line in lines]


def changes(repository: Repository, commits: Iterable[str], path: str) -> Iterator[Changed]:
    """Yield what each of the commits changed under a path, in their order; those without are left out.

    Of a merge only what is as on none of its sides.
    """
    ids = "".join(f"{commit}\n" for commit in commits)
    if not ids:
        return
    asked = ("--stdin", "--root", "-r", "-c", "--no-abbrev", "--no-renames", "--", path)
    done = repository.git.run("diff-tree", *asked, input=ids.encode(), timeout=600)
    commit, blobs = "", dict[str, str]()
    for line in done.stdout.decode("utf-8", "surrogateescape").splitlines():
        if not line.startswith(":"):
            if blobs:
                yield Changed(commit, blobs)
            commit, blobs = line, {}
            continue
        about, _, changed = line.partition("\t")
        sides = len(about) - len(about.lstrip(":"))
        blobs[changed.rpartition("\t")[2]] = about.split()[2 * sides + 1]
    if blobs:
        yield Changed(commit, blobs)
