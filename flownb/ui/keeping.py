"""Where a notebook's captures go beside the record in their cells' outputs: `%flow storage`."""

from __future__ import annotations

import shlex
from dataclasses import replace as changed
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flownb.displays.versions import short_location, short_version
from flownb.displays.wording import visible
from flownb.errors import FlowNotFoundError, NotTrustedError, StorageError
from flownb.storage.directory_options import scheme_of, shown_url
from flownb.storage.trust import trusts_url

if TYPE_CHECKING:
    from flownb.flow import Flow
    from flownb.storage import Storage
    from flownb.ui.live import LiveNotebook

GIT = "git"
ALONE = "notebook"  #: the word for keeping captures in the notebook alone


class Keeping:
    """The storage that a live notebook's flows are kept in, if there is one, and what was kept so far."""

    def __init__(self, live: LiveNotebook) -> None:
        self.live = live
        self._chosen: str | None = None  #: by `%flow storage`; None: what flownb.toml says holds
        self._opened: tuple[str, Storage | None] = (ALONE, None)
        self._kept: dict[str, tuple[str, str]] = {}  #: flow -> digest and location

    @property
    def wanted(self) -> str:
        """The word or URL that holds now. Raises `FlownbError` where flownb.toml cannot be read."""
        if self._chosen is not None:
            return self._chosen
        table = self._project.settings().get("storage", {})
        default = table.get("default", ALONE) if isinstance(table, dict) else None
        if not isinstance(default, str) or not default:
            raise StorageError(
                f'{self._project.root / "flownb.toml"}: [storage] takes `default`, such as default = "git"'
            )
        return default

    @property
    def storage(self) -> Storage | None:
        """The storage; None where the notebook alone keeps its flows.

        Raises `StorageError`: `NotTrustedError` where flownb.toml, which may have come with a clone, names
        one elsewhere. That would be sent what is captured.
        """
        wanted = self.wanted
        if self._chosen is None and _is_elsewhere(wanted) and not trusts_url(wanted):
            url = shown_url(wanted)
            raise NotTrustedError(
                f"{self._project.root / 'flownb.toml'} would have captures kept in {url}, which is sent what "
                f"they hold. Let it, for good with `flownb trust {shlex.quote(url)}`, or in this kernel with "
                f"`%flow storage {url}`; `%flow storage notebook` keeps them here alone"
            )
        if self._opened[0] != wanted:
            # what flownb.toml names is relative to where that file is, what a person names to where they are
            if self._chosen is None and _is_local(wanted):
                scheme = "dir:" if wanted.startswith("dir:") else ""
                end = "/" if wanted.endswith("/") else ""
                path = self._project.root / wanted.removeprefix(scheme)
                self._opened = wanted, self._open(f"{scheme}{path}{end}")
            else:
                self._opened = wanted, self._open(wanted)
            self._kept = {}
        return self._opened[1]

    def choose(self, text: str) -> Storage | None:
        """Keep captures in another storage from now on; nothing changes where it cannot be opened."""
        storage = self._open(text)
        if storage is not None:
            len(storage.flows)  # that it cannot be read is told now, not after the next capture
        self._chosen, self._opened, self._kept = text, (text, storage), {}
        return storage

    def about(self) -> str:
        """Say where captures go, and who said so."""
        storage = self.storage
        if storage is None:
            return (
                "Captures are kept in this notebook alone, in the outputs of their cells; "
                "`%flow storage git` keeps every version in the Git repository here."
            )
        by = "" if self._chosen is not None else ", as flownb.toml says"
        place = place_text(storage)
        return f"Captures go to {place}{by}, beside the record in their cells' outputs."

    def keep(self, flow: Flow) -> str:
        """Add a version of a flow where captures go, and say so; the empty text where they go nowhere else.

        A flow whose other steps have not run in this kernel yet waits for them: else each new kernel
        would begin with versions of half a flow. Raises `FlownbError` where it cannot be kept.
        """
        storage = self.storage
        if storage is None:
            return ""
        if missing := self.live.steps_to_come(flow.name):
            return f"not kept in {place_text(storage)} yet: {_steps_text(missing)} to run first"
        # only the first time a kernel keeps a flow must the storage be asked what it has of it
        before = self._kept[flow.name][1] if flow.name in self._kept else _location(storage, flow.name)
        location = storage.add_flow(self._with_notebook(flow, storage), replace=True)
        self._kept[flow.name] = flow.digest, location
        told = _kept_text(storage, flow.name, location, new=location != before)
        if location != before and (other := self._came_from(storage, location)):
            told += f"; ⚠ until now {visible(flow.name)} came from {visible(other)}"
        return told

    def _with_notebook(self, flow: Flow, storage: Storage) -> Flow:
        """Return a flow that says which notebook it was captured in, to a storage that keeps this."""
        if storage.kind != "git" or self.live.path is None:
            return flow
        from flownb.storage import NotebookStorage

        return changed(flow, storage=NotebookStorage(self.live.path).serialize())

    def _came_from(self, storage: Storage, location: str) -> str | None:
        """Return the other notebook that the version before a new one was captured in, if it was another."""
        from flownb.storage.git import GitStorage

        if not isinstance(storage, GitStorage):
            return None
        here, there = storage.captured_in(location), storage.captured_in(location, before=True)
        return there if here is not None and there != here else None

    def forget_places(self) -> None:
        """Look anew where flows are kept: a push or pull may have put commits on top of those of others."""
        self._kept.clear()

    def kept(self, flow: Flow) -> tuple[Storage, Flow] | None:
        """Return the stored version that a flow captured here is, where it is kept."""
        storage = self.storage
        if storage is None:
            return None
        digest, location = self._kept.get(flow.name, ("", ""))
        if digest == flow.digest:
            return storage, storage.get_flow(location)
        try:
            newest = storage.get_flow(flow.name)
        except FlowNotFoundError:
            return None
        return (storage, newest) if newest.digest == flow.digest else None

    @property
    def _project(self) -> Any:
        from flownb.runs.project import Project

        return Project.of(self.live.folder)

    def _open(self, text: str) -> Storage | None:
        if text == ALONE:
            return None
        if text == GIT:
            from flownb.storage.git import GitStorage

            return GitStorage(self.live.folder)
        from flownb.storage import NotebookStorage, open_storage

        storage = open_storage(text)
        if isinstance(storage, NotebookStorage) and _same_file(storage.path, self.live.path):
            raise StorageError(
                f"{text} is this notebook, whose file is the front end's to write; captures are kept in "
                "their cells' outputs anyway: `%flow storage notebook` keeps them there alone"
            )
        return storage


def with_remote(storage: Storage | None) -> Any:
    """Return a storage that can be pushed and pulled. Raises `StorageError` for any other."""
    if storage is None:
        raise StorageError("captures are kept in this notebook alone; `%flow storage git` first")
    if not (hasattr(storage, "push") and hasattr(storage, "pull")):
        raise StorageError(
            f"{storage.name} is shared by itself: only a Git repository is pushed and pulled; "
            f"to bring flows elsewhere: flownb copy {storage.name} STORE"
        )
    return storage


def place_text(storage: Storage) -> str:
    """Return how people call a storage: of a Git repository, with the branch."""
    branch = getattr(storage, "branch", None)
    return visible(storage.name) + (f", branch {visible(str(branch))}" if branch else "")


def _kept_text(storage: Storage, name: str, location: str, *, new: bool) -> str:
    if storage.kind != "git":
        verb = "kept" if new else "unchanged"
        return f"{verb} in {visible(storage.name)} as {visible(short_location(location))}"
    from flownb.storage.filenames import file_name

    version = short_version(location.partition("@")[2])
    branch, folder = getattr(storage, "branch", ""), getattr(storage, "folder", "")
    path = f"{folder}/{file_name(name)}" if folder else file_name(name)
    verb = "committed as" if new else "unchanged since"
    return f"{verb} {version} on {visible(str(branch))}, {visible(path)}"


def _same_file(path: Path, other: Path | None) -> bool:
    return other is not None and path.exists() and path.samefile(other)


def _location(storage: Storage, name: str) -> str | None:
    try:
        return storage.resolve(name)
    except FlowNotFoundError:
        return None


def _steps_text(steps: list[str]) -> str:
    names = ", ".join(visible(step) for step in steps)
    return f"step {names} has" if len(steps) == 1 else f"steps {names} have"


def _is_elsewhere(text: str) -> bool:
    """Whether a text names a storage by a URL that leads away from this machine."""
    text = text.removeprefix("dir:")
    return ":" in text and scheme_of(text) not in ("file", "memory")


def _is_local(text: str) -> bool:
    text = text.removeprefix("dir:")
    return (
        text not in (GIT, ALONE)
        and "://" not in text
        and ":" not in text
        and not Path(text).expanduser().is_absolute()
    )
