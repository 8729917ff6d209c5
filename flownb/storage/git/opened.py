"""A Git storage, opened: which repository, which branch, and the commit that is read from."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from flownb.errors import StorageError
from flownb.storage.base import Storage
from flownb.storage.filenames import file_name
from flownb.storage.git.addresses import is_remote, parse_address
from flownb.storage.git.checks import check_branch, check_folder
from flownb.storage.git.objects import Objects
from flownb.storage.git.repository import find
from flownb.storage.git.revisions import Revisions
from flownb.storage.variables import missing_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal, Self

    from flownb.storage.git.addresses import Address
    from flownb.storage.git.repository import Repository
    from flownb.storage.git.signatures import Sign


class OpenedStorage(Storage):
    """What a Git storage is made of, and where it stands; its options are told by `GitStorage`."""

    def __init__(
        self,
        repo: str | os.PathLike[str] = ".",
        *,
        branch: str = "flownb",
        folder: str = "flows",
        remote: str | None = None,
        revision: str | None = None,
        sign: Sign = None,
        verify: Literal["signed"] | None = None,
    ) -> None:
        if verify not in (None, "signed"):
            raise StorageError(f'verify={verify!a} is not known; "signed" is, and None')
        text = os.fspath(repo)
        texts: dict[str, object] = {"repo": text, "branch": branch, "folder": folder}
        options = {"remote": remote, "revision": revision, "sign": str(sign)}
        texts |= {what: value for what, value in options.items() if value is not None}
        for what, value in texts.items():
            if not isinstance(value, str) or "\0" in value:
                raise StorageError(f"{what}={value!a:.40} is no text that this can be")
        if not isinstance(sign, bool | str | None):
            raise StorageError(f"sign={sign!a:.40} is not known; True is, False, and the name of a key")
        self.address = parse_address(text) if text.startswith("git+") or is_remote(text) else None
        self._repo = text if self.address is None else self.address.url
        self._given = os.path.abspath(os.path.expanduser(text)) if self.address is None else self._repo
        self.branch = check_branch(branch)
        self.folder = check_folder(folder)
        #: of the URL, or else of the remote where that is a URL: with what was written into it
        exchanged = parse_address(remote) if remote is not None and is_remote(remote) else None
        self._credentials = self.address or exchanged
        self.remote = remote if exchanged is None else exchanged.url
        self.revision = revision
        self.sign: Sign = True if sign is None and verify else sign
        self.verify = verify
        self._behind = False  #: the clone of the URL was opened without asking the remote

    @property
    def name(self) -> str:
        """The path or URL, as it was given, without credentials."""
        return self._repo

    @property
    def ref(self) -> str:
        """The branch's full name."""
        return f"refs/heads/{self.branch}"

    @cached_property
    def repository(self) -> Repository:
        """The repository on this machine; of a URL, the clone in the cache. Raises `StorageError`."""
        if self.address is None:
            return find(self._given)
        return self._clone(self.revision)

    def _clone(self, commit: str | None, take: Literal["ours", "theirs"] | None = None) -> Repository:
        """Return the clone of the URL; where it has the commit already, the network is not asked."""
        from flownb.storage.git.cache import clone_for

        assert self._address is not None
        return find(clone_for(self._address, self.branch, commit=commit, take=take))

    @property
    def _address(self) -> Address | None:
        """Where the flows are exchanged, if that is a URL; it says what it may lack where it is refused."""
        found = self._credentials
        return None if found is None else replace(found, hint=missing_text(self.missing))

    @cached_property
    def objects(self) -> Objects:
        """What reads the repository's objects."""
        return Objects(self.repository.git)

    @cached_property
    def _revisions(self) -> Revisions:
        return Revisions(self.repository, self.objects, self.ref)

    @cached_property
    def _pinned(self) -> str | None:
        return None if self.revision is None else self._revisions.resolve(self.revision)

    @property
    def tip(self) -> str | None:
        """The id of the commit that is read from: the branch's newest, or the pinned one."""
        if self.revision is not None:
            return self._pinned
        if self._behind:
            self._clone(None)
            self._behind = False
        found = self.objects.commit(self.ref) or (
            self.objects.commit(ref) if (ref := self._tracking) else None
        )
        return None if found is None else found.id

    @property
    def _tracking(self) -> str | None:
        """The branch as a remote has it, where a clone brought it and there is none of our own yet."""
        if self.objects.commit(self.ref) is not None:
            return None
        refs = self.repository.git.run("for-each-ref", "--format=%(refname)", "refs/remotes").text.split("\n")
        found = [ref for ref in refs if ref.split("/", 3)[3:] == [self.branch]]
        preferred = [ref for ref in found if ref.split("/")[2] == (self.remote or "origin")]
        return next(iter([*preferred, *found]), None)

    @property
    def place(self) -> str:
        """The URL; or the root of the work tree, and of a bare repository its folder."""
        if self.address is not None:
            return self.address.url
        try:
            return str(self.repository.work_tree or self.repository.git_dir)
        except StorageError:
            return self._given

    @property
    def identity(self) -> str:
        """The URL, or the repository's folder, with branch and folder."""
        return f"git:{self._place}#{self.branch}:{self.folder}"

    @property
    def _place(self) -> str:
        """The URL or the repository's folder; the path that was given, where no repository is found."""
        try:
            return self.address.url if self.address else str(self.repository.git_dir)
        except StorageError:
            return self._given

    def _options(self) -> Mapping[str, Any]:
        """Return the place, as an absolute path or a URL without credentials, and the options."""
        where = self._given if self.address is None else self.address.url
        options = {"remote": self.remote, "revision": self.revision, "sign": self.sign, "verify": self.verify}
        told = {key: value for key, value in options.items() if value is not None}
        return {"repo": where, "branch": self.branch, "folder": self.folder, **told}

    def _secrets(self) -> Mapping[str, Any]:
        """Return what was written into the URL."""
        found = self._credentials
        told = {"username": found.username, "password": found.password} if found is not None else {}
        return {name: value for name, value in told.items() if value}

    @classmethod
    def _again(cls, options: dict[str, Any], secrets: Mapping[str, str]) -> Self:
        storage = cls(options.pop("repo"), **options)
        if storage._credentials is not None:
            storage._credentials = replace(storage._credentials, **secrets)
            storage.address = storage._credentials if storage.address is not None else None
        return storage

    def _path(self, name: str) -> str:
        return f"{self.folder}/{file_name(name)}"
