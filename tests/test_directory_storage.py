"""DirectoryStorage beyond the contract: its files, times, options, and what goes wrong around it."""

from __future__ import annotations

import json
import os
import pickle
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import TYPE_CHECKING

import pytest
from storage_servers import web_server

from flownb import Storage
from flownb.document import dumps
from flownb.errors import FlowExistsError, FlowNotFoundError, MissingExtraError, StorageError
from flownb.storage import directory
from flownb.storage.directory import DirectoryStorage
from flownb.storage.directory_files import LocalFiles
from flownb.storage.directory_options import normal_url, shown_url, tellable
from flownb.storage.directory_versions import Entry
from flownb.storage.filenames import encoded
from flownb.storage.moments import moment
from flownb.storage.versions import Version, pick
from flownb.testing.flows import sample

if TYPE_CHECKING:
    from pathlib import Path

    from flownb.flow import Flow


@pytest.fixture
def storage(tmp_path: Path) -> DirectoryStorage:
    return DirectoryStorage(tmp_path / "flows")


def put(storage: DirectoryStorage, flow: Flow, when: datetime) -> str:
    """Add a version as it was added at another time."""
    entry = Entry.of(flow.digest, (), when)
    storage._files.write(f"{encoded(flow.name)}/{entry.file}", dumps(flow).encode())
    return f"{flow.name}@{entry.version}"


def files(storage: DirectoryStorage) -> list[str]:
    return sorted(
        os.path.relpath(os.path.join(at, name), storage.url)
        for at, _, names in os.walk(storage.url)
        for name in names
    )


# --- files ---


def test_each_version_is_a_file_of_its_own_that_never_changes(storage: DirectoryStorage) -> None:
    storage.add_flow(sample("Daily sales"))
    (first,) = files(storage)
    assert first.isascii()
    assert first == first.lower()
    assert first.startswith("~44aily~20sales/")
    assert first.endswith(f"-{sample('Daily sales').digest[:16]}.ipynb")
    before = storage._files.read(first)
    storage.add_flow(sample("Daily sales", 3), replace=True)
    storage.remove("Daily sales")
    assert len(files(storage)) == 3
    assert storage._files.read(first) == before
    assert files(storage)[2].endswith("-removed")


def test_a_version_is_an_ordinary_flow_document(storage: DirectoryStorage) -> None:
    storage.add_flow(sample())
    assert storage._files.read(files(storage)[0]) == dumps(sample()).encode()


def test_restored_content_is_a_new_file_under_the_same_location(storage: DirectoryStorage) -> None:
    first = storage.add_flow(sample())
    second = storage.add_flow(sample(factor=3), replace=True)
    assert storage.restore(first) == first
    assert [version.location for version in storage.history("sales")] == [first, second, first]


def test_files_of_others_are_not_taken_for_flows(storage: DirectoryStorage) -> None:
    location = storage.add_flow(sample())
    name = files(storage)[0]
    for other in (
        "README.md",
        "sales/notes.txt",
        "sales/.x.part",
        "Sales/" + name,
        "a b/x.ipynb",
        "sales/deep/er",
    ):
        storage._files.write(other, b"{}")
    storage._files.write("sales/99999999-999999-999999-0123456789abcdef.ipynb", b"{}")
    assert dict(storage.flows) == {"sales": location}
    assert list(storage.problems) == []
    assert storage.get_flow("sales") == sample()


def test_a_document_that_somebody_edited_or_moved_is_not_taken_for_the_version(
    storage: DirectoryStorage,
) -> None:
    storage.add_flow(sample())
    (file,) = files(storage)
    storage._files.write(file.replace("sales", "other", 1), dumps(sample()).encode())
    with pytest.raises(StorageError, match=r"other/.*is not what was stored there.*sales@"):
        storage.get_flow("other")
    storage._files.write(file, dumps(sample(factor=9)).encode())
    with pytest.raises(StorageError, match="is not what was stored there"):
        storage.get_flow("sales")
    storage._files.write(file, b"\xff\xfe")
    with pytest.raises(StorageError, match="is damaged"):
        storage.get_flow("sales")


def test_the_same_content_again_mends_a_damaged_version(storage: DirectoryStorage) -> None:
    location = storage.add_flow(sample())
    storage._files.write(files(storage)[0], b"{")
    assert storage.add_flow(sample(), replace=True) == location
    assert storage.get_flow("sales") == sample()


def test_a_long_name_whose_documents_are_all_damaged_is_told(storage: DirectoryStorage) -> None:
    storage.add_flow(sample("数" * 100))
    storage._files.write(files(storage)[0], b"{")
    again = DirectoryStorage(storage.url)
    assert dict(again.flows) == {}
    (problem,) = again.problems
    assert "~~" in problem


def test_a_listing_reads_no_document_and_is_quick(
    storage: DirectoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2000):
        folder = os.path.join(storage.url, encoded(f"flow {number}"))
        os.makedirs(folder)
        for digit in "12345" if number == 1234 else "5":
            open(f"{folder}/2026010{digit}-000000-000000-{digit * 16}.ipynb", "wb").close()

    def refuse(*_: object) -> None:
        raise AssertionError("a document was read")

    monkeypatch.setattr(LocalFiles, "read", refuse)
    start = time.perf_counter()
    flows = storage.flows
    took = time.perf_counter() - start
    assert len(flows) == 2000
    assert flows["flow 1234"] == f"flow 1234@{'5' * 12}"
    start = time.perf_counter()
    assert "flow 1234" in storage
    assert storage.resolve("flow 1234@2026-01-03") == f"flow 1234@{'3' * 12}"
    assert took < 3, f"listing 2,000 flows took {took:.3f} s"
    assert time.perf_counter() - start < 0.5


# --- versions and times ---


def test_versions_are_counted_back_from_the_newest(storage: DirectoryStorage) -> None:
    first = storage.add_flow(sample())
    second = storage.add_flow(replace(sample(), description="other"), replace=True)
    assert [storage.resolve(f"sales@~{back}") for back in (0, 1)] == [second, first]
    with pytest.raises(FlowNotFoundError, match=r"holds no version ~2 of sales: it has 2"):
        storage.resolve("sales@~2")


def test_a_version_is_any_unambiguous_beginning_of_the_digest(storage: DirectoryStorage) -> None:
    location = storage.add_flow(sample())
    storage.add_flow(sample(factor=3), replace=True)
    digest = sample().digest
    for length in (4, 7, 12, 16, 17, 40, 64):
        assert storage.get_flow(f"sales@{digest[:length]}").location == location
        assert storage.resolve(f"sales@{digest[:length]}") == location
    wrong_end = digest[:63] + ("0" if digest[63] != "0" else "1")
    for version in (digest[:3], wrong_end, digest.upper(), digest + "0"):
        with pytest.raises(FlowNotFoundError, match="in version"):
            storage.get_flow(f"sales@{version}")


def test_an_ambiguous_beginning_is_refused_with_the_candidates() -> None:
    there = [Version(id_, f"sales@{id_}", None) for id_ in ("abcd11111111", "abcd00000000")]
    with pytest.raises(FlowNotFoundError, match="abcd11111111, abcd00000000"):
        pick(there, "sales", "abcd", "here")
    assert pick(there, "sales", "abcd1", "here") == there[0]


def test_a_time_asks_for_what_was_the_newest_then(storage: DirectoryStorage) -> None:
    now = datetime.now(UTC)
    old = put(storage, sample(factor=1), now - timedelta(days=10))
    mid = put(storage, sample(factor=2), now - timedelta(days=3))
    new = put(storage, sample(factor=3), now - timedelta(minutes=5))
    day = (now - timedelta(days=5)).astimezone().date().isoformat()
    stamp = (now - timedelta(days=3) + timedelta(seconds=1)).isoformat(timespec="seconds")
    for version, location in (
        (day, old),
        ("5 days ago", old),
        (stamp, mid),
        (stamp.replace("T", " "), mid),
        ("2.days.ago", mid),
        ("1 hour ago", mid),
        ("now", new),
    ):
        assert storage.get_flow(f"sales@{version}").location == location, version
    with pytest.raises(FlowNotFoundError, match=r"did not hold sales yet in version 11 days ago"):
        storage.get_flow("sales@11 days ago")


def test_a_time_at_which_the_flow_was_removed_has_no_version(storage: DirectoryStorage) -> None:
    now = datetime.now(UTC)
    location = put(storage, sample(), now - timedelta(days=3))
    storage.remove("sales")
    assert storage.get_flow("sales@1 day ago").location == location
    with pytest.raises(FlowNotFoundError, match=r"it was removed on .* which can be restored"):
        storage.get_flow("sales@now")
    assert storage.restore("sales@1 day ago") == location
    assert "sales" in storage


def test_what_is_added_is_the_newest_also_where_a_clock_went_ahead(storage: DirectoryStorage) -> None:
    put(storage, sample(factor=1), datetime.now(UTC) + timedelta(days=365))
    second = storage.add_flow(sample(factor=2), replace=True)
    third = storage.add_flow(sample(factor=3), replace=True)
    assert storage.flows["sales"] == third
    assert [version.location for version in storage.history("sales")][:2] == [third, second]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-01T12:00:00+00:00", "2026-03-01T12:00:00+00:00"),
        ("2026-03-01 12:00Z", "2026-03-01T12:00:00+00:00"),
        ("3 hours ago", "2026-06-15T09:00:00+00:00"),
        ("1.week.ago", "2026-06-08T12:00:00+00:00"),
        ("NOW", "2026-06-15T12:00:00+00:00"),
        ("20260301", None),
        ("2026-13-01", None),
        ("last year", None),
        ("v1", None),
        ("", None),
        ("999999 weeks ago", None),
        ("0001-01-01T00:00+14:00", None),
    ],
)
def test_a_moment_is_read_or_is_none(text: str, expected: str | None) -> None:
    found = moment(text, datetime(2026, 6, 15, 12, tzinfo=UTC))
    assert (found.isoformat() if found else None) == expected


def test_a_day_stands_for_its_end() -> None:
    now = datetime(2026, 6, 15, 12, tzinfo=UTC).astimezone()
    for text, day in (("2026-06-14", 14), ("yesterday", 14), ("today", 15)):
        found = moment(text, now)
        assert found is not None
        local = found.astimezone()
        assert (local.day, local.hour, local.minute, local.second) == (day, 23, 59, 59)


# --- adding at once ---


def test_who_adds_a_name_that_another_is_adding_waits_and_then_says_so(
    storage: DirectoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = f"{Entry.of('', (), datetime.now(UTC)).stamp}-0123456789abcdef.claim"
    storage._files.write(f"sales/{claim}", b"{}")
    monkeypatch.setattr(directory, "_PATIENCE", 0.2)
    with pytest.raises(StorageError, match="others are adding sales at this moment"):
        storage.add_flow(sample())
    assert files(storage) == [f"sales/{claim}"]
    storage._files.delete(f"sales/{claim}")
    storage.add_flow(sample())
    with pytest.raises(FlowExistsError):
        storage.add_flow(sample())
    assert len(files(storage)) == 1


def test_the_claim_of_a_writer_who_died_holds_nobody_up(storage: DirectoryStorage) -> None:
    stamp = Entry.of("", (), datetime.now(UTC) - timedelta(minutes=2)).stamp
    storage._files.write(f"sales/{stamp}-0123456789abcdef.claim", b"{}")
    assert dict(storage.flows) == {}
    assert storage.add_flow(sample()) == storage.flows["sales"]


# --- options and URLs ---


def test_options_that_could_be_secret_are_named_and_not_serialised() -> None:
    secret = "hunter2-is-secret"
    storage = DirectoryStorage(
        "s3://bucket/flows",
        key=secret,
        secret=secret,
        token=secret,
        something_new=secret,
        anon=False,
        endpoint_url="https://objects.example.org",
        client_kwargs={"region_name": "eu-central-1", "aws_session_token": secret},
    )
    data = storage.serialize()
    assert secret not in json.dumps(data) + repr(storage) + storage.identity
    assert secret not in repr(vars(storage)) + repr(vars(storage._files))
    assert secret.encode() not in pickle.dumps(storage)
    assert data["options"] == {
        "anon": False,
        "endpoint_url": "https://objects.example.org",
        "client_kwargs": {"region_name": "eu-central-1"},
    }
    assert data["left_out"] == ["client_kwargs.aws_session_token", "key", "secret", "something_new", "token"]
    again = Storage.deserialize(json.loads(json.dumps(data)))
    assert again.serialize() == data
    assert again.identity == storage.identity
    assert list(again.missing) == data["left_out"]
    assert pickle.loads(pickle.dumps(storage)).missing == again.missing


def test_a_secret_that_was_not_kept_is_given_again_or_named(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = DirectoryStorage(
        "s3://bucket/flows",
        key="me",
        secret="pw",
        client_kwargs={"region_name": "eu", "aws_session_token": "t"},
    )
    data = storage.serialize()
    without = Storage.deserialize(data)
    monkeypatch.setattr("flownb.storage.directory_files.RemoteFiles._place", _no_credentials)
    with pytest.raises(StorageError) as caught:
        assert without.flows
    assert "cannot be listed: no credentials" in str(caught.value)
    assert "opened with client_kwargs.aws_session_token, key, secret" in str(caught.value)
    assert "FLOWNB_STORAGE_KEY" in str(caught.value)
    with pytest.raises(StorageError) as caught:  # with all of them nothing is missing
        assert storage.flows
    assert "FLOWNB_STORAGE" not in str(caught.value)
    secrets = {"key": "me", "secret": "pw", "client_kwargs.aws_session_token": "t", "other": "not asked for"}
    again = Storage.deserialize(data, secrets)
    assert isinstance(again, DirectoryStorage)
    assert again.missing == ()
    assert again.storage_options == storage.storage_options
    assert again.serialize() == data
    assert Storage.deserialize(data, {"key": "me"}).missing == ("client_kwargs.aws_session_token", "secret")
    for wrong in ("key", [1], 5, {"key": 1}):
        with pytest.raises(StorageError, match="left_out is no list of names"):
            Storage.deserialize({**data, "left_out": wrong})


def _no_credentials(self: object) -> tuple[object, str]:
    raise PermissionError("no credentials")


def test_a_url_with_credentials_in_an_option_is_not_serialised() -> None:
    assert tellable({"endpoint_url": "https://me:pw@host"}) == ({}, {"endpoint_url": "https://me:pw@host"})
    assert tellable({"endpoint_url": "https://host?sig=x", "anon": True}) == (
        {"anon": True},
        {"endpoint_url": "https://host?sig=x"},
    )


def test_another_machine_gets_the_options_but_no_secrets(storage: DirectoryStorage) -> None:
    storage.add_flow(sample())
    with pytest.raises(StorageError, match="lies on this machine only"):
        storage.get_env_runner("sales")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://user:pw@host/flows", "https://host/flows was given with a password"),
        ("https://token@host/flows", "https://host/flows was given with a password"),
        ("s3://key:pw@bucket/flows", "s3://bucket/flows was given with a password"),
        ("https://host/flows?sig=pw", "https://host/flows goes on behind"),
        ("s3://", "names no bucket"),
        ("https:///x", "names no host"),
        ("simplecache::s3://bucket/x", "is not the URL of a directory"),
        ("s3://bucket/../other", "is not the URL of a directory"),
        ("s3://bucket/a\x1b[31m", "is not the URL of a directory"),
        ("file://host/x", "names no folder"),
        ("", "names no folder"),
        ("a\0b", "names no folder"),
    ],
)
def test_a_url_that_is_no_directory_or_tells_a_secret_is_refused(url: str, words: str) -> None:
    with pytest.raises(StorageError, match=words) as caught:
        DirectoryStorage(url)
    assert "pw" not in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_url_has_one_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    expected = str(tmp_path / "flows")
    assert {normal_url(url) for url in ("flows", "flows/", "./flows", f"file://{expected}")} == {expected}
    assert normal_url("s3://bucket/flows/") == "s3://bucket/flows"
    assert normal_url("memory://") == "memory://"
    assert shown_url("https://a:b@host/x?y#z") == "https://host/x"


def test_only_what_lies_elsewhere_has_an_origin(tmp_path: Path) -> None:
    for own in (str(tmp_path), "memory://x"):
        assert DirectoryStorage(own).origin is None
    for other in ("s3://bucket/flows", "https://host/flows"):
        assert DirectoryStorage(other).origin == other


# --- what goes wrong ---


@pytest.mark.parametrize(
    ("url", "module", "extra"),
    [("gs://bucket/x", "gcsfs", "gcs"), ("az://box/x", "adlfs", "azure"), ("s3://bucket/x", "s3fs", "s3")],
)
def test_what_is_not_installed_is_told_with_its_extra(
    url: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = import_module("fsspec.registry")._registry
    for protocol in list(known):  # those that other tests of this process have used already
        monkeypatch.delitem(known, protocol)
    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    for act in (lambda s: s.flows, lambda s: s.add_flow(sample()), lambda s: s.get_flow("sales")):
        with pytest.raises(MissingExtraError, match=rf"pip install 'flownb\[{extra}\]'"):
            act(DirectoryStorage(url))


def test_a_url_that_fsspec_does_not_know_is_told() -> None:
    with pytest.raises(StorageError, match="fsspec knows no tape://"):
        assert DirectoryStorage("tape://x/y").flows


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path: Path) -> None:
    path = tmp_path / "flows"
    path.write_text("mine")
    with pytest.raises(StorageError, match=r"flows cannot be listed: Not a directory"):
        assert DirectoryStorage(path).flows
    with pytest.raises(StorageError, match=r"cannot be"):
        DirectoryStorage(path).add_flow(sample(), replace=True)
    assert path.read_text() == "mine"


def test_a_full_disk_loses_nothing_that_was_there(small_disk: Path) -> None:
    storage = DirectoryStorage(small_disk / "flows")
    location = storage.add_flow(sample())
    (small_disk / "ballast").write_bytes(b"x" * 100_000)

    def fill() -> None:
        nonlocal location
        for factor in range(3, 500):
            location = storage.add_flow(sample(factor=factor), replace=True)

    with pytest.raises(StorageError, match=r"cannot be written: No space left"):
        fill()
    assert dict(storage.flows) == {"sales": location}
    assert storage.build() is storage
    assert not [file for file in files(storage) if file.endswith((".part", ".claim"))]


def test_a_web_server_that_is_not_there_or_has_no_such_folder_is_told(tmp_path: Path) -> None:
    with web_server(tmp_path) as address:
        with pytest.raises(StorageError, match=r"/missing cannot be listed"):
            assert DirectoryStorage(f"{address}/missing").flows
        with pytest.raises(StorageError, match=r"/missing cannot be listed"):
            DirectoryStorage(f"{address}/missing").get_flow("sales")
    with pytest.raises(StorageError, match="cannot be listed"):
        assert DirectoryStorage(f"{address}/flows").flows


def test_a_web_page_full_of_links_is_not_followed(tmp_path: Path) -> None:
    site = tmp_path / "site"
    DirectoryStorage(site).add_flow(sample())
    links = "".join(
        f'<a href="{link}">x</a>'
        for link in ("sales/", "https://192.0.2.1/flows/x/", "/etc/", "..", "b c/", "?C=N")
    )
    (site / "index.html").write_text(links)
    with web_server(site) as address:
        storage = DirectoryStorage(address)
        assert list(storage.flows) == ["sales"]
        assert storage.get_flow("sales") == sample()
