"""Every storage keeps the contract: the suite of `flownb.testing.storage`, and proof that it catches."""

from __future__ import annotations

import inspect
import json
import multiprocessing
import os
import sqlite3
import subprocess
import uuid
from contextlib import closing, contextmanager, suppress
from dataclasses import replace as changed
from functools import cached_property
from time import sleep
from typing import TYPE_CHECKING, Any

import fsspec
import pytest
from storage_servers import s3_server, web_server

from flownb import NotebookStorage, Storage
from flownb.document import MIME, dumps, loads
from flownb.errors import FlowExistsError, FlownbError, StorageError
from flownb.flow import Flow, Requirements
from flownb.storage import GitStorage
from flownb.storage.directory import DirectoryStorage
from flownb.storage.filenames import encoded, file_name
from flownb.storage.reference import split_location
from flownb.testing.flows import sample
from flownb.testing.storage import StorageConformance, sentences

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Self

SECRET = "wJalrXUtnFEMI-flownb-tests"


@pytest.mark.kernel
class TestNotebook(StorageConformance):
    """The notebook as a storage: one version of each flow."""

    keeps_versions = False
    removes = False

    def make(self, folder: Path) -> Storage:
        return NotebookStorage(folder / "analysis {0}.ipynb")

    def damage(self, storage: Storage, name: str) -> None:
        for record in self.records(storage, name):
            record["cells"] = [{"cell_type": 5}]

    def alter(self, storage: Storage, name: str) -> None:
        for record in self.records(storage, name):
            record["cells"] = json.loads(altered(json.dumps(record["cells"])))

    def records(self, storage: Storage, name: str) -> Iterator[dict[str, Any]]:
        """Yield the records of a flow in its cells, to be changed."""
        assert isinstance(storage, NotebookStorage)
        content = json.loads(storage.path.read_text("utf-8"))
        for cell in content["cells"]:
            for output in cell.get("outputs", ()):
                record = output.get("data", {}).get(MIME)
                if record is not None and name in "".join(cell["source"]).partition("\n")[0]:
                    yield record
        storage.path.write_text(json.dumps(content), "utf-8")


def altered(document: str) -> str:
    """Return the document of a sample with another content."""
    assert "FACTOR = 2" in document
    return document.replace("FACTOR = 2", "FACTOR = 9")


class DirectoryConformance(StorageConformance):
    def damage(self, storage: Storage, name: str) -> None:
        for place, path in self.files(storage, name):
            place.pipe_file(path, b'{"cells": [')

    def alter(self, storage: Storage, name: str) -> None:
        for place, path in self.files(storage, name):
            place.pipe_file(path, altered(place.cat_file(path).decode()).encode())

    def files(self, storage: Storage, name: str) -> Iterator[tuple[Any, str]]:
        """Yield the files of a flow, and the file system that they are in."""
        assert isinstance(storage, DirectoryStorage)
        place, root = fsspec.core.url_to_fs(storage.url, use_listings_cache=False, **storage.storage_options)
        for path in place.ls(f"{root}/{encoded(name)}", detail=False):
            yield place, path


class TestFolder(DirectoryConformance):
    """A folder of this machine."""

    def make(self, folder: Path) -> Storage:
        return DirectoryStorage(folder / "flows")


class TestMemory(DirectoryConformance):
    """fsspec's memory, which ends with the process."""

    seen_by_processes = False

    def make(self, folder: Path) -> Storage:
        return DirectoryStorage(f"memory://flows-{uuid.uuid4().hex}")


@pytest.fixture(scope="module")
def object_server() -> Iterator[str]:
    """Run a server that speaks S3, with a bucket; credentials are in the environment, as people have them."""
    with s3_server() as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "tests")
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        fsspec.filesystem("s3", endpoint_url=url).mkdir("bucket")
        yield url


@pytest.mark.kernel
class TestBucket(DirectoryConformance):
    """A bucket of a server that speaks S3, over HTTP."""

    seen_by_machines = True
    secrets = (SECRET,)

    @pytest.fixture(autouse=True)
    def server(self, object_server: str) -> None:
        self.endpoint = object_server

    def make(self, folder: Path) -> Storage:
        return DirectoryStorage(f"s3://bucket/flows-{uuid.uuid4().hex}", endpoint_url=self.endpoint)

    def test_a_bucket_that_is_not_there_is_told(self) -> None:
        storage = DirectoryStorage("s3://no-such-bucket/flows", endpoint_url=self.endpoint)
        with pytest.raises(StorageError, match=r"s3://no-such-bucket/flows cannot be listed: .*bucket"):
            assert storage.flows
        with pytest.raises(StorageError, match=r"cannot be written: .*bucket"):
            storage.add_flow(sample(), replace=True)

    def test_a_process_that_was_forked_reads_the_storage_too(self, storage: Storage) -> None:
        storage.add_flow(sample())
        assert "sales" in storage
        child = multiprocessing.get_context("fork").Process(target=_reads_sales, args=(storage,))
        child.start()
        child.join(60)
        assert child.exitcode == 0


def _reads_sales(storage: Storage) -> None:
    assert list(storage.flows) == ["sales"]
    assert storage.get_flow("sales") == sample()


@pytest.mark.kernel
class TestWeb(DirectoryConformance):
    """A folder that a web server serves: it is read, and written to behind the server's back."""

    read_only = True
    seen_by_machines = True

    @pytest.fixture(autouse=True)
    def server(self, tmp_path: Path) -> Iterator[None]:
        with web_server(tmp_path) as self.address:
            yield

    def make(self, folder: Path) -> Storage:
        self.folder = folder
        return DirectoryStorage(f"{self.address}/{folder.name}")

    def writer(self, storage: Storage) -> Storage:
        return DirectoryStorage(self.folder)

    def damage(self, storage: Storage, name: str) -> None:
        super().damage(self.writer(storage), name)

    def alter(self, storage: Storage, name: str) -> None:
        super().alter(self.writer(storage), name)


@pytest.mark.kernel
class TestRepository(StorageConformance):
    """The branch `flownb` of a Git repository with a work tree."""

    tags = True
    bare = False

    def make(self, folder: Path) -> Storage:
        git(folder, "init", "--quiet", "--initial-branch=main", *["--bare"] * self.bare)
        git(folder, "config", "user.name", "A. Writer")
        git(folder, "config", "user.email", "writer@example.org")
        return GitStorage(folder)

    def damage(self, storage: Storage, name: str) -> None:
        self.commit(storage, name, '{"cells": [')

    def alter(self, storage: Storage, name: str) -> None:
        assert isinstance(storage, GitStorage)
        there = f"{storage.ref}:{storage.folder}/{file_name(name)}"
        self.commit(storage, name, altered(git(storage.repository.git_dir, "cat-file", "blob", there)))

    def commit(self, storage: Storage, name: str, document: str) -> None:
        """Commit another document of a flow, behind flownb's back."""
        assert isinstance(storage, GitStorage)
        folder, ref = storage.repository.git_dir, storage.ref
        blob = git(folder, "hash-object", "-w", "--stdin", data=document)
        index = {"GIT_INDEX_FILE": str(folder / "index of a test")}
        git(folder, "read-tree", ref, env=index)
        path = f"{storage.folder}/{file_name(name)}"
        git(folder, "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", env=index)
        tree = git(folder, "write-tree", env=index)
        git(folder, "update-ref", ref, git(folder, "commit-tree", tree, "-p", ref, "-m", "spoilt"))


class TestBareRepository(TestRepository):
    """A bare Git repository."""

    bare = True


def git(folder: Path, *arguments: str, data: str = "", env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        input=data,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# --- a kind of storage that somebody else wrote ---


class TableStorage(Storage):
    """Flows in a table of SQLite: what it takes to write a storage of one's own."""

    kind = "table"

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.path.abspath(path)
        with self._table() as table:
            table.execute("CREATE TABLE IF NOT EXISTS flow (name PRIMARY KEY, digest, document)")

    @contextmanager
    def _table(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=60, isolation_level="IMMEDIATE")) as db, db:
            yield db

    def __init_subclass__(cls) -> None:
        cls.kind = cls.__name__.lower()

    @property
    def name(self) -> str:
        return f"table://{self.path}"

    def _newest(self) -> dict[str, str]:
        with self._table() as table:
            rows = table.execute("SELECT name, digest FROM flow ORDER BY name").fetchall()
        return {name: digest[:12] for name, digest in rows}

    def _write(self, flow: Flow, *, replace: bool) -> str:
        try:
            with self._table() as table:
                verb = "REPLACE" if replace else "INSERT"
                table.execute(f"{verb} INTO flow VALUES (?, ?, ?)", (flow.name, flow.digest, dumps(flow)))
        except sqlite3.IntegrityError:
            raise FlowExistsError(f"{self.name} holds a flow {flow.name} already") from None
        return flow.version

    def _read(self, name: str, version: str) -> Flow:
        with self._table() as table:
            found = table.execute(
                "SELECT document FROM flow WHERE name = ? AND digest GLOB ?", (name, f"{version}*")
            ).fetchone()
        if found is None:
            raise self._not_found(name, version)
        return loads(found[0], f"{self.name}#{name}")

    def _options(self) -> dict[str, Any]:
        return {"path": self.path}

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Open `table:///path`."""
        return cls(url.removeprefix("table://"))


@pytest.mark.kernel
class TestThirdParty(StorageConformance):
    """A storage that flownb knows nothing of."""

    keeps_versions = False
    removes = False

    def make(self, folder: Path) -> Storage:
        return TableStorage(folder / "flows.db")

    def damage(self, storage: Storage, name: str) -> None:
        assert isinstance(storage, TableStorage)
        with storage._table() as table:
            table.execute("UPDATE flow SET document = '{', digest = 'spoilt' WHERE name = ?", (name,))

    def alter(self, storage: Storage, name: str) -> None:
        document = altered(dumps(storage.get_flow(name)))
        with storage._table() as table:
            table.execute("UPDATE flow SET document = ? WHERE name = ?", (document, name))


# --- the suite catches what is wrong ---


class Overwriting(TableStorage):
    """Takes a name that is there without a word."""

    def add_flow(self, flow: Flow, *, replace: bool = False) -> str:
        return super().add_flow(flow, replace=True)


class Obliging(TableStorage):
    """Gives the newest version, whatever version is asked for."""

    def get_flow(self, location: str) -> Flow:
        return super().get_flow(split_location(location)[0])


class Renaming(TableStorage):
    """Gives locations that no flow says that it has."""

    def get_flow(self, location: str) -> Flow:
        flow = super().get_flow(location)
        return changed(flow, location=f"{flow.name}@{flow.digest[:8]}")


class CaseBlind(TableStorage):
    """Keeps names as a file system does that takes `A` for `a`."""

    def add_flow(self, flow: Flow, *, replace: bool = False) -> str:
        return super().add_flow(changed(flow, name=flow.name.lower()), replace=replace)


class Gossiping(TableStorage):
    """Serialises a password."""

    def serialize(self) -> dict[str, Any]:
        return {**super().serialize(), "password": SECRET}


class Remembering(TableStorage):
    """Lists what it saw first."""

    @cached_property
    def flows(self) -> dict[str, str]:  # type: ignore[override]
        return super().flows


class Careless(TableStorage):
    """Builds without looking."""

    def build(self) -> Self:
        return self


class Hasty(TableStorage):
    """Stops at the first problem."""

    def build(self) -> Self:
        for location in self.flows.values():
            self.get_flow(location)
        return self


class Executing(TableStorage):
    """Runs a flow to look at it."""

    def get_flow(self, location: str) -> Flow:
        flow = super().get_flow(location)
        with suppress(Exception):
            flow.run()
        return flow


class Racing(TableStorage):
    """Looks, and then writes what it saw: what others added in between is lost."""

    def add_flow(self, flow: Flow, *, replace: bool = False) -> str:
        if not replace and flow.name in self.flows:
            raise FlowExistsError(flow.name)
        sleep(0.05)
        return super().add_flow(flow, replace=True)


class Forgetful(TableStorage):
    """Forgets what a flow says of itself."""

    def add_flow(self, flow: Flow, *, replace: bool = False) -> str:
        return super().add_flow(changed(flow, requirements=Requirements()), replace=replace)


class Guessing(TableStorage):
    """Is content with a name alone."""

    def __contains__(self, item: object) -> bool:
        return getattr(item, "name", item) in self.flows


class Late(TableStorage):
    """Has the old content yet when it says that it has the new."""

    def add_flow(self, flow: Flow, *, replace: bool = False) -> str:
        location = f"{flow.name}@{flow.version}"
        if flow.name not in self.flows:
            return super().add_flow(flow, replace=replace)
        return location if replace else super().add_flow(flow)


BROKEN = {
    Overwriting: {
        "adding_a_name_that_is_there_is_an_error_naming_it",
        "of_several_who_add_one_new_name_at_once_one_succeeds",
    },
    Obliging: {"a_version_is_honoured_or_refused_and_never_another"},
    Renaming: {"locations_are_one_to_one_with_flow_and_version"},
    CaseBlind: {"names_that_differ_by_case_stay_apart", "names_of_every_script_and_length_are_kept"},
    Gossiping: {"no_secret_is_serialised_shown_or_stored"},
    Remembering: {"flows_added_are_seen_by_who_opened_the_storage_before"},
    Careless: {"building_reports_every_problem_at_once"},
    Hasty: {"building_reports_every_problem_at_once"},
    Executing: {"listing_and_reading_run_nothing_and_unpickle_nothing"},
    Racing: {"of_several_who_add_one_new_name_at_once_one_succeeds"},
    Forgetful: {"a_flow_got_back_is_the_same_and_knows_where_it_lies"},
    Guessing: {"in_takes_a_name_or_a_flow_with_that_content"},
    Late: {"a_name_alone_is_the_newest_version", "replacing_adds_a_new_version"},
}


@pytest.mark.parametrize(
    ("storage_class", "sentence"),
    [(cls, sentence) for cls, found in BROKEN.items() for sentence in sorted(found)],
)
def test_a_storage_that_breaks_the_contract_fails_the_sentence_that_it_breaks(
    storage_class: type[TableStorage], sentence: str, tmp_path: Path
) -> None:
    class Suite(TestThirdParty):
        secrets = (SECRET,)

        def make(self, folder: Path) -> Storage:
            return storage_class(folder / "flows.db")

    storage = Suite().make(tmp_path)
    test = getattr(Suite(), f"test_{sentence}")
    given = {"storage": storage, "tmp_path": tmp_path}
    wanted = inspect.signature(test).parameters
    with pytest.raises((AssertionError, FlownbError, pytest.fail.Exception)):
        test(**{name: given[name] for name in wanted})


def test_the_suite_says_the_contract_in_sentences() -> None:
    said = sentences()
    assert "adding a name that is there is an error naming it" in said
    assert "a version is honoured or refused and never another" in said
    assert len(said) >= 35


def test_a_suite_without_a_storage_says_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(NotImplementedError, match=r"make\(folder\)"):
        StorageConformance().make(tmp_path)
    with pytest.raises(NotImplementedError, match=r"damage\(storage, name\)"):
        StorageConformance().damage(TableStorage(tmp_path / "a.db"), "x")
    with pytest.raises(NotImplementedError, match=r"alter\(storage, name\)"):
        StorageConformance().alter(TableStorage(tmp_path / "a.db"), "x")
