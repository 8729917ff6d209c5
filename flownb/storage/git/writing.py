"""One commit on a branch that is not checked out, made of objects alone: no index, no work tree, no HEAD.

The order is what keeps a repository whole: objects first, the branch last, and the branch is moved only
from where it was read (compare-and-swap). Whoever is killed before leaves objects that nothing refers to.

Flows are as safe from a power cut as the user's other commits, and cost no more than those: `core.fsync`
holds here as it does for `git commit`, and is Git's own default where the user says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flownb.errors import StorageError
from flownb.storage.git.command import Git, said
from flownb.storage.git.lock import alone
from flownb.storage.git.objects import Entry, Objects, Tree, object_id, pack, tree_bytes
from flownb.storage.git.signatures import Signing, signing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from flownb.storage.git.objects import Commit
    from flownb.storage.git.repository import Repository
    from flownb.storage.git.signatures import Sign

#: makes a change of the files of the folder, or None
Decide = Callable[[Tree], "Change | None"]

#: is told of the commit that is built on, and of the one made, before the branch is moved to it
Note = Callable[[str | None, str], None]

#: times that a branch may have been moved by somebody else before we give up
_TRIES = 50


@dataclass(frozen=True, slots=True)
class Change:
    """What a commit does to the files of the folder of flows."""

    message: str
    files: Mapping[str, bytes | str | None]  #: file -> content, id of a blob that is there, None: remove
    env: Mapping[str, str] = field(default_factory=dict)  #: `GIT_AUTHOR_NAME` and the like


def commit_change(
    repository: Repository,
    objects: Objects,
    ref: str,
    folder: str,
    decide: Decide,
    sign: Sign = None,
    start: str | None = None,
    note: Note | None = None,
) -> str | None:
    """Commit what `decide` makes of the branch's tip and of the files there; return the commit's id.

    `decide` is called again whenever somebody else has moved the branch meanwhile. Where it returns
    None, nothing is committed, and None is returned; what it raises passes through. A branch that is not
    there yet begins on top of the commit `start`, if there is one.
    Raises `StorageError`; then the branch is where it was.
    """
    refuse_checked_out(repository, ref)
    with alone(repository.own_folder / "lock", "adding a flow", limit=120), ThreadPoolExecutor(1) as aside:
        how = None
        for _ in range(_TRIES):
            tip = objects.commit(ref)
            base = tip or (objects.commit(start) if start else None)
            trees = _trees(objects, base, folder)
            change = decide(trees[-1])
            if change is None:
                return None
            how = how or aside.submit(signing, repository.git, sign)  # while the objects are written
            tree = write_trees(repository, trees, folder, change.files)
            parents = () if base is None else (base.id,)
            made = write_commit(repository, tree, parents, change.message, how.result(), change.env)
            if note is not None:
                note(parents[0] if parents else None, made)
            if move(repository, objects, ref, made, tip.id if tip else None):
                return made
    raise StorageError(f"{ref} of {repository.path} was moved by others {_TRIES} times meanwhile; try again")


def refuse_checked_out(repository: Repository, ref: str) -> None:
    """Raise `StorageError` where a branch is checked out: a commit would make its work tree look changed."""
    places = repository.checked_out(ref)
    if places:
        branch = ref.removeprefix("refs/heads/")
        raise StorageError(
            f"the branch {branch} is checked out in {', '.join(places)}: a flow committed to it would make "
            "that work tree look changed. Keep flows on a branch of their own (flownb is the default), "
            f"or check out another one there: git switch BRANCH"
        )


def _trees(objects: Objects, tip: Commit | None, folder: str) -> list[Tree]:
    """Return the trees from the root down to the folder; empty where they are not there."""
    names = folder.split("/")
    found: list[Tree] = []
    for depth in range(len(names) + 1):
        if tip is None or (found and names[depth - 1] not in found[-1]):
            found.append({})
            tip = None
            continue
        path = "/".join(names[:depth])
        tree = objects.tree(f"{tip.id}:{path}")
        if tree is None:
            raise StorageError(
                f"{path} is not a folder in the commit {tip.id[:10]}; name another folder for the flows"
            )
        found.append(tree)
    return found


def write_trees(
    repository: Repository, trees: Sequence[Tree], folder: str, files: Mapping[str, bytes | str | None]
) -> str:
    """Write blobs and trees for a change of the folder; return the id of the root's tree."""
    made: list[tuple[str, bytes]] = []
    tree = dict(trees[-1])
    for file, content in files.items():
        if content is None:
            tree.pop(file, None)
            continue
        if isinstance(content, str):
            tree[file] = Entry("100644", content)
            continue
        made.append(("blob", content))
        tree[file] = Entry("100644", object_id("blob", content, repository.algorithm))
    for name, above in zip(reversed(folder.split("/")), reversed(trees[:-1]), strict=True):
        data = tree_bytes(tree)
        upper = {key: entry for key, entry in above.items() if key != name}
        if tree:  # Git keeps no empty folders
            made.append(("tree", data))
            upper[name] = Entry("40000", object_id("tree", data, repository.algorithm))
        tree = upper
    data = tree_bytes(tree)
    made.append(("tree", data))
    write_objects(repository, made)
    return object_id("tree", data, repository.algorithm)


def write_objects(repository: Repository, objects: Sequence[tuple[str, bytes]]) -> None:
    """Write objects, kind and content of each; those that are there stay. Raises `StorageError`."""
    ids = [object_id(kind, data, repository.algorithm) for kind, data in objects]
    before = _halves(repository, ids)
    done = repository.git.run("unpack-objects", "-q", input=pack(objects, repository.algorithm), check=False)
    if done.code:
        # Of what a full disk cuts off, git leaves the half, and so the disk full. Whoever else was just
        # writing there would have failed as we did.
        for half in _halves(repository, ids) - before:
            half.unlink(missing_ok=True)
        raise StorageError(f"the flow could not be written to {repository.path}: {said(done)}")


def _halves(repository: Repository, ids: Sequence[str]) -> set[Path]:
    """Return the files in which git writes objects before it gives them their names."""
    folders = {repository.git_dir / "objects" / each[:2] for each in ids}
    return {half for folder in folders for half in folder.glob("tmp_obj_*")}


def write_commit(
    repository: Repository,
    tree: str,
    parents: Sequence[str],
    message: str,
    how: Signing,
    env: Mapping[str, str] | None = None,
) -> str:
    """Write a commit, signed where that is asked for; return its id. Raises `StorageError`."""
    git = Git(repository.git_dir, how.settings)
    args = [word for parent in parents for word in ("-p", parent)]
    if how.key:
        args.append("-S" if how.key is True else f"-S{how.key}")
    text = message.replace("\0", "").strip() + "\n"
    done = git.run("commit-tree", *args, tree, input=text.encode("utf-8", "replace"), check=False, env=env)
    if done.code == 0:
        return done.text
    if re.search("tell me who you are|ident name|identity unknown|auto-detection is disabled", done.stderr):
        raise StorageError(
            "Git does not know who you are, and every version of a flow says who made it: "
            'run git config --global user.name "Your Name" and '
            "git config --global user.email you@example.com"
        )
    what = "signed" if how.key else "written"
    raise StorageError(f"the commit could not be {what}: {said(done)}")


def move(repository: Repository, objects: Objects, ref: str, new: str, old: str | None) -> bool:
    """Move a branch from `old` (None: it is not there) to `new`; False where it is elsewhere by now.

    Raises `StorageError` where it cannot be moved at all.
    """
    words = ("update-ref", "-m", "flownb", "--no-deref", "--end-of-options")
    done = repository.git.run(*words, ref, new, old or repository.null, check=False)
    if done.code == 0:
        return True
    tip = objects.commit(ref)
    if (tip.id if tip else None) != old:
        return False
    locked = re.search(r"Unable to create '(.+?\.lock)': File exists", done.stderr)
    if locked:
        raise StorageError(
            f"{ref} is locked by {locked[1]}: another git is at work, or was killed there. "
            "If none is running, remove that file and try again"
        )
    raise StorageError(f"{ref} of {repository.path} could not be moved to {new[:10]}: {said(done)}")
