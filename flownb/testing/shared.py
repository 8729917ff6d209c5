"""The sentences about several who use a storage at once, and about its history."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

import pytest

from flownb.errors import FlowExistsError, FlowNotFoundError, StorageError
from flownb.testing.flows import sample
from flownb.testing.processes import adding_process, killed_while_adding, listing_process
from flownb.testing.suite import StorageSuite

if TYPE_CHECKING:
    from flownb.storage.base import Storage


class SharedAndKept(StorageSuite):
    """What a storage promises to several at once, and over time."""

    # --- at the same time ---

    def test_threads_that_add_flows_at_once_lose_none(self, storage: Storage) -> None:
        """Through one storage object."""
        writer = self.writer(storage)
        flows = [sample(f"flow {number}") for number in range(12)]
        with ThreadPoolExecutor(6) as pool:
            locations = list(pool.map(writer.add_flow, flows))
        assert dict(storage.flows) == {f.name: where for f, where in zip(flows, locations, strict=True)}
        assert storage.build() is storage

    def test_processes_that_add_flows_at_once_lose_none(self, storage: Storage) -> None:
        """Each with a storage object of its own."""
        writer = self.writer(storage)
        if not self.seen_by_processes:
            writer.add_flow(sample())
            assert listing_process(writer) == [], "it is seen by other processes: say so"
            return
        writers = [adding_process(writer, [f"writer {n} flow {k}" for k in range(4)]) for n in range(3)]
        told = [json.loads(line) for process in writers for line in process.told()]
        assert sum("error" in line for line in told) == 0, told
        assert dict(storage.flows) == {line["name"]: line["location"] for line in told}
        assert len(told) == 12
        assert storage.build() is storage

    def test_of_several_who_add_one_new_name_at_once_one_succeeds(self, storage: Storage) -> None:
        """The others learn that it is there."""
        count = 4
        for name in ("first", "second", "third"):
            barrier = Barrier(count)

            def add(factor: int, name: str = name, barrier: Barrier = barrier) -> str | None:
                writer = self.again(self.writer(storage))
                barrier.wait(30)
                try:
                    return writer.add_flow(sample(name, factor))
                except FlowExistsError:
                    return None

            with ThreadPoolExecutor(count) as pool:
                added = [location for location in pool.map(add, range(count)) if location]
            assert len(added) == 1, f"{len(added)} of {count} added {name}"
            assert storage.flows[name] == added[0]
            assert len(storage.history(name)) == 1

    def test_of_those_who_replace_at_once_none_is_lost(self, storage: Storage) -> None:
        """Every version is there; of a storage with one version, it is one of theirs, whole."""
        writer = self.writer(storage)
        writer.add_flow(sample(factor=0))

        def replace(factor: int) -> str:
            return self.again(writer).add_flow(sample(factor=factor), replace=True)

        with ThreadPoolExecutor(4) as pool:
            locations = list(pool.map(replace, range(1, 9)))
        assert storage.flows["sales"] in locations
        if self.keeps_versions:
            assert len(storage.history("sales")) == 9
            for factor, location in enumerate(locations, start=1):
                assert storage.get_flow(location) == sample(factor=factor)
        assert storage.build() is storage

    def test_a_killed_writer_leaves_what_was_there(self, storage: Storage) -> None:
        """All that had been added is there, whole, and the next writer is not held up."""
        writer = self.writer(storage)
        writer.add_flow(sample("before"))
        if not self.seen_by_processes:
            assert listing_process(writer) == [], "it is seen by other processes: say so"
            return
        added = killed_while_adding(writer, after=3)
        assert len(added) >= 3
        assert {"before": storage.flows["before"], **added}.items() <= storage.flows.items()
        assert storage.get_flow("before") == sample("before")
        assert storage.build() is storage
        for name in ("afterwards", "killed 0"):
            assert writer.add_flow(sample(name, 7), replace=True) == storage.flows[name]

    # --- history ---

    def test_history_is_newest_first(self, storage: Storage) -> None:
        """Each version with its location, and times that do not go back."""
        writer = self.writer(storage)
        locations = [writer.add_flow(sample(factor=factor), replace=True) for factor in (2, 3, 4)]
        history = storage.history("sales")
        expected = locations[::-1] if self.keeps_versions else locations[-1:]
        assert [version.location for version in history] == expected
        assert [f"sales@{version.id}" for version in history] == expected
        assert not any(version.removed for version in history)
        times = [version.when for version in history if version.when is not None]
        assert times == sorted(times, reverse=True)
        assert all(when.tzinfo is not None for when in times)
        for version in history:
            flow = storage.get_flow(version.location)
            assert version.digest in (None, flow.digest)

    def test_restoring_makes_an_old_version_the_newest(self, storage: Storage) -> None:
        """And keeps those between."""
        writer = self.writer(storage)
        first = writer.add_flow(sample())
        second = writer.add_flow(sample(factor=3), replace=True)
        if not self.keeps_versions:
            with pytest.raises(FlowNotFoundError):
                writer.restore(first)
            assert storage.get_flow("sales") == sample(factor=3)
            return
        restored = writer.restore(first)
        assert storage.flows["sales"] == restored
        assert storage.get_flow("sales") == sample()
        assert storage.get_flow(second) == sample(factor=3)
        assert len(storage.history("sales")) == 3

    def test_a_flow_removed_is_gone_from_the_list_and_stays_in_history(self, storage: Storage) -> None:
        """Or the storage says that it does not remove."""
        writer = self.writer(storage)
        writer.add_flow(sample("other"))
        location = writer.add_flow(sample())
        if not self.removes:
            with pytest.raises(StorageError, match="sales"):
                writer.remove("sales")
            assert storage.get_flow("sales") == sample()
            return
        writer.remove("sales")
        assert list(storage.flows) == ["other"]
        assert "sales" not in storage
        assert sample() not in storage
        with pytest.raises(FlowNotFoundError, match="sales"):
            storage.get_flow("sales")
        with pytest.raises(FlowNotFoundError, match="sales"):
            writer.remove("sales")
        if self.keeps_versions:
            assert storage.get_flow(location) == sample()
            assert [version.removed for version in storage.history("sales")] == [True, False]

    def test_what_was_removed_can_be_added_again(self, storage: Storage) -> None:
        """As a new flow, or as the old version."""
        writer = self.writer(storage)
        location = writer.add_flow(sample())
        if not self.removes:
            with pytest.raises(FlowNotFoundError, match="missing"):
                storage.history("missing")
            return
        writer.remove("sales")
        assert writer.add_flow(sample(factor=3)) == storage.flows["sales"]
        writer.remove("sales")
        if self.keeps_versions:
            writer.restore(location)
            assert storage.get_flow("sales") == sample()

    def test_a_tag_is_another_name_of_a_version(self, storage: Storage) -> None:
        """Or the storage says that it has no tags."""
        writer = self.writer(storage)
        location = writer.add_flow(sample())
        if not self.tags:
            with pytest.raises(StorageError, match="v1"):
                writer.tag(location, "v1")
            return
        writer.tag(location, "v1")
        writer.add_flow(sample(factor=3), replace=True)
        assert storage.get_flow("sales@v1") == sample()
        assert storage.get_flow("sales@v1").location == location
        for bad in ("-x", "a b", "../x", "", "a..b"):
            with pytest.raises(StorageError):
                writer.tag(location, bad)
        with pytest.raises(StorageError, match="v1"):
            writer.tag(storage.flows["sales"], "v1")
