"""The contract of a storage as a test suite: one test a sentence, for every kind of storage.

    from flownb.testing.storage import StorageConformance

    class TestMyStorage(StorageConformance):
        keeps_versions = False

        def make(self, folder):
            return MyStorage(folder / "flows.db")

        def damage(self, storage, name):
            storage.path.write_bytes(...)

        def alter(self, storage, name):
            storage.path.write_bytes(altered(...))

pytest finds the tests of such a class as any other's. What a kind of storage cannot do is said by the
class's attributes; then the tests assert that it refuses clearly, so that nothing is left out in silence.
`pytest.register_assert_rewrite("flownb.testing")` in a `conftest.py` makes failures tell more.
"""

from __future__ import annotations

import copy
import json
import pickle
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from flownb.errors import FlowExistsError, FlownbError, FlowNotFoundError, StorageError
from flownb.storage import EnvRunner, Storage
from flownb.storage.reference import split_location
from flownb.storage.trust import allow_once
from flownb.testing.flows import NAMES, NO_NAMES, sample, trap, whole
from flownb.testing.shared import SharedAndKept

if TYPE_CHECKING:
    from pathlib import Path


class StorageConformance(SharedAndKept):
    """What every storage promises. A subclass says how its storage is made, and what it cannot do."""

    # --- adding ---

    def test_a_storage_begins_without_flows(self, storage: Storage) -> None:
        """And says so."""
        assert dict(storage.flows) == {}
        assert list(storage.problems) == []
        with pytest.raises(FlowNotFoundError, match="sales"):
            storage.get_flow("sales")

    def test_a_storage_has_a_name_for_people(self, storage: Storage) -> None:
        """A line of text, the same for each object of the storage."""
        assert isinstance(storage.name, str)
        assert storage.name.isprintable()
        assert storage.name
        assert self.again(storage).name == storage.name

    def test_a_flow_added_is_there_under_its_name_and_location(self, storage: Storage) -> None:
        """`flows` has what `add_flow` returned."""
        location = self.writer(storage).add_flow(sample())
        assert dict(storage.flows) == {"sales": location}
        assert split_location(location)[0] == "sales"
        assert split_location(location)[1], f"{location} pins no version"

    def test_a_flow_got_back_is_the_same_and_knows_where_it_lies(self, storage: Storage) -> None:
        """All of it, not only its content."""
        flow = sample()
        location = self.writer(storage).add_flow(flow)
        back = storage.get_flow(location)
        assert back.digest == flow.digest
        assert back.location == location
        assert back.storage == storage.serialize()
        for field in ("name", "description", "parameters", "steps", "requirements", "outputs", "kernel"):
            assert getattr(back, field) == getattr(flow, field), f"{field} is another one"
        assert [(c.name, c.how, c.source) for c in back.closure] == [
            (c.name, c.how, c.source) for c in flow.closure
        ]

    def test_a_notebook_that_was_taken_whole_stays_that_notebook(self, storage: Storage) -> None:
        """With its text, its parameters and its outputs, and of the same content."""
        flow = whole()
        location = self.writer(storage).add_flow(flow)
        assert dict(storage.flows) == {"report": location}
        back = self.again(storage).get_flow(location)
        assert back.digest == flow.digest
        assert back in storage
        assert (back.parameters, back.steps, back.outputs) == (flow.parameters, flow.steps, ("total",))
        assert back.notebook is not None
        assert flow.notebook is not None
        cells = [
            [(c["cell_type"], c["source"]) for c in f.notebook["cells"]] for f in (back, flow) if f.notebook
        ]
        assert cells[0] == cells[1]
        assert self.writer(storage).add_flow(whole(), replace=True) == location
        newer = self.writer(storage).add_flow(whole(text="# Sales and costs"), replace=True)
        assert newer != location
        assert storage.get_flow("report") == whole(text="# Sales and costs")

    def test_adding_a_name_that_is_there_is_an_error_naming_it(self, storage: Storage) -> None:
        """With the same content as with another; nothing changes."""
        writer = self.writer(storage)
        location = writer.add_flow(sample())
        for flow in (sample(), sample(factor=3)):
            with pytest.raises(FlowExistsError, match="sales"):
                writer.add_flow(flow)
        assert dict(storage.flows) == {"sales": location}
        assert storage.get_flow("sales") == sample()
        assert len(storage.history("sales")) == 1

    def test_replacing_adds_a_new_version(self, storage: Storage) -> None:
        """Under another location, and no other flow changes."""
        writer = self.writer(storage)
        other = writer.add_flow(sample("other"))
        first = writer.add_flow(sample())
        second = writer.add_flow(sample(factor=3), replace=True)
        assert second != first
        assert dict(storage.flows) == {"sales": second, "other": other}
        assert storage.get_flow("sales") == sample(factor=3)
        if self.keeps_versions:
            assert storage.get_flow(first) == sample()
        else:
            with pytest.raises(FlowNotFoundError, match="sales"):
                storage.get_flow(first)

    def test_replacing_what_is_not_there_adds_it(self, storage: Storage) -> None:
        """Whoever writes the newest version need not know whether it is the first."""
        location = self.writer(storage).add_flow(sample(), replace=True)
        assert dict(storage.flows) == {"sales": location}

    def test_the_same_content_makes_no_new_version(self, storage: Storage) -> None:
        """The location that is there is returned."""
        writer = self.writer(storage)
        location = writer.add_flow(sample())
        assert writer.add_flow(sample(), replace=True) == location
        assert writer.add_flow(writer.get_flow(location), replace=True) == location
        assert len(storage.history("sales")) == 1

    def test_what_cannot_be_written_to_says_so_and_stays_as_it_was(self, storage: Storage) -> None:
        """A storage that is read only refuses with an error; others take flows."""
        location = self.writer(storage).add_flow(sample())
        if not self.read_only:
            assert storage.add_flow(sample("other")) == storage.flows["other"]
            return
        for flow, replace in ((sample("other"), False), (sample(factor=3), True)):
            with pytest.raises(StorageError, match="read only"):
                storage.add_flow(flow, replace=replace)
        with pytest.raises(StorageError, match="read only"):
            storage.remove("sales")
        assert dict(storage.flows) == {"sales": location}

    # --- locations and versions ---

    def test_locations_are_one_to_one_with_flow_and_version(self, storage: Storage) -> None:
        """Each location gives its flow, and that flow gives the location."""
        writer = self.writer(storage)
        locations = {}
        for name in ("sales", "other"):
            for factor in (2, 3, 4):
                flow = sample(name, factor)
                locations[writer.add_flow(flow, replace=True)] = flow
        assert len(locations) == 6
        held = locations if self.keeps_versions else storage.flows.values()
        for location in held:
            assert storage.get_flow(location) == locations[location]
            assert storage.get_flow(location).location == location
            assert self.again(storage).get_flow(location).location == location

    def test_a_version_is_honoured_or_refused_and_never_another(self, storage: Storage) -> None:
        """What names no version of the flow is an error that names the flow."""
        self.writer(storage).add_flow(sample())
        self.writer(storage).add_flow(sample("other", 3))
        others = storage.flows["other"].partition("@")[2]
        wrong = ("0" * 12, "f" * 40, others, "latest", "no/such", "v1", "2001-01-01", "9999-99-99", "HEAD~99")
        for version in wrong:
            try:
                got = storage.get_flow(f"sales@{version}")
            except StorageError as error:
                if "sales" not in str(error):
                    raise AssertionError(f"the error does not name the flow: {error}") from error
            else:
                assert got == sample(), f"{version} gave another flow"
                assert version == others, f"{version} names no version, and was taken for {got.location}"
        for option in ("--output=x", "-x", "", " ", "a\nb", "a\x1b[31m"):
            with pytest.raises(FlownbError):
                storage.get_flow(f"sales@{option}")

    def test_a_name_alone_is_the_newest_version(self, storage: Storage) -> None:
        """At each moment."""
        for factor in (2, 3, 4):
            location = self.writer(storage).add_flow(sample(factor=factor), replace=True)
            assert storage.get_flow("sales") == sample(factor=factor)
            assert storage.get_flow("sales").location == location

    def test_resolving_gives_the_location_that_is_read(self, storage: Storage) -> None:
        """Pinned, so that it stays what it is."""
        location = self.writer(storage).add_flow(sample())
        assert storage.resolve("sales") == location
        assert storage.resolve(location) == location
        for unknown in ("others", "sales@0000000000"):
            with pytest.raises(FlowNotFoundError):
                storage.resolve(unknown)

    def test_a_version_asked_for_by_time_is_the_newest_of_then(self, storage: Storage) -> None:
        """Or refused, where versions are not kept; a time before the first has none."""
        self.writer(storage).add_flow(sample())
        tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        with pytest.raises(FlowNotFoundError, match="sales"):
            storage.get_flow("sales@2001-01-01")
        if self.keeps_versions:
            assert storage.get_flow("sales@today") == sample()
            assert storage.get_flow(f"sales@{tomorrow}").location == storage.flows["sales"]
        else:
            with pytest.raises(FlowNotFoundError, match="sales"):
                storage.get_flow("sales@today")

    def test_a_name_that_is_not_there_is_told_with_the_nearest(self, storage: Storage) -> None:
        """Wherever one is asked for."""
        self.writer(storage).add_flow(sample("daily sales"))
        for ask in (storage.get_flow, storage.history, storage.resolve, storage.get_runner):
            with pytest.raises(FlowNotFoundError, match="daily sales"):
                ask("daily sale")

    def test_in_takes_a_name_or_a_flow_with_that_content(self, storage: Storage) -> None:
        """And nothing else is in it."""
        self.writer(storage).add_flow(sample())
        assert "sales" in storage
        assert sample() in storage
        assert storage.get_flow("sales") in storage
        for other in ("Sales", "sale", "", "../x", sample(factor=3), sample("other"), 3, None, b"sales"):
            assert other not in storage

    # --- names ---

    def test_names_of_every_script_and_length_are_kept(self, storage: Storage) -> None:
        """Also those that differ by case only, that systems reserve, and the longest."""
        writer = self.writer(storage)
        locations = {name: writer.add_flow(sample(name)) for name in NAMES}
        assert len(set(locations.values())) == len(NAMES)
        assert dict(storage.flows) == locations
        assert list(storage.problems) == []
        for name, location in locations.items():
            assert storage.get_flow(location).name == name

    def test_names_that_differ_by_case_stay_apart(self, storage: Storage) -> None:
        """On every file system."""
        writer = self.writer(storage)
        for factor, name in enumerate(("test", "TEST", "Test")):
            assert name not in storage
            writer.add_flow(sample(name, factor))
        for factor, name in enumerate(("test", "TEST", "Test")):
            assert storage.get_flow(name) == sample(name, factor)

    def test_both_normal_forms_of_a_name_are_one_flow(self, storage: Storage) -> None:
        """A name is compared in its composed form, wherever one is asked for."""
        composed, decomposed = "\u00e9t\u00e9", "e\u0301te\u0301"
        writer = self.writer(storage)
        assert decomposed not in storage
        location = writer.add_flow(sample(decomposed))
        assert dict(storage.flows) == {composed: location}
        with pytest.raises(FlowExistsError, match=composed):
            writer.add_flow(sample(composed))
        for name in (composed, decomposed):
            assert name in storage
            assert sample(name) in storage
            assert storage.get_flow(name) == sample(composed)
            assert storage.get_flow(name).name == composed
            assert storage.resolve(name) == location
            assert storage.history(name)[0].location == location
        if self.removes:
            writer.remove(decomposed)
            assert dict(storage.flows) == {}

    def test_in_and_get_flow_agree(self, storage: Storage) -> None:
        """What one has the other gives, names and locations alike."""
        location = self.writer(storage).add_flow(sample())
        old = self.writer(storage).add_flow(sample(factor=3), replace=True)
        asked = (
            "sales",
            location,
            old,
            "sale",
            "Sales",
            "sales@0000000000",
            "sales@",
            "sales@-x",
            "",
            "../x",
        )
        for text in asked:
            try:
                storage.get_flow(text)
            except FlownbError:
                assert text not in storage
            else:
                assert text in storage

    def test_what_is_no_name_is_refused_and_leaves_nothing(self, storage: Storage, tmp_path: Path) -> None:
        """No path is made of it, and no file outside of the storage."""
        around = sorted(path.name for path in tmp_path.iterdir())
        for name in NO_NAMES:
            with pytest.raises(FlownbError):
                self.writer(storage).add_flow(sample(name))
            with pytest.raises(FlownbError):
                storage.get_flow(name)
        assert dict(storage.flows) == {}
        assert sorted(path.name for path in tmp_path.iterdir()) == around

    # --- serialising ---

    def test_a_storage_is_serialised_as_json_and_made_again(self, storage: Storage) -> None:
        """The one made again holds the same flows, and is trusted as the same."""
        location = self.writer(storage).add_flow(sample())
        data = storage.serialize()
        assert data["kind"] == storage.kind
        again = self.again(storage)
        assert again.serialize() == data
        assert dict(again.flows) == {"sales": location}
        assert (again.identity, again.origin) == (storage.identity, storage.origin)

    def test_what_serialize_gave_is_read_only_when_it_is_whole(self, storage: Storage) -> None:
        """It has a schema version; what is damaged, unknown or newer is an error of the family."""
        data = storage.serialize()
        make = type(storage).from_serialized
        assert isinstance(data["schema"], int)
        assert make({key: value for key, value in data.items() if key != "schema"}) == storage
        damaged: list[Any] = [{**data, "junk": 1}, {**data, "schema": 10**6}, {**data, "schema": "1"}]
        wrong: list[Any] = [None, [], 5.5, {"a": 1}, "\0"]
        damaged += [{**data, key: value} for key in data for value in wrong]
        damaged += [{"kind": storage.kind}, {**data, "kind": "another"}, {}, None, [], 5, "kind"]
        for each in damaged:
            with pytest.raises(FlownbError):
                list(make(each).flows)

    def test_storages_are_equal_where_they_are_the_same_store(self, storage: Storage, tmp_path: Path) -> None:
        """By their identity, so that they can be told apart and looked up."""
        (tmp_path / "another").mkdir()
        again, other = self.again(storage), self.make(tmp_path / "another")
        assert again == storage
        assert hash(again) == hash(storage)
        assert other != storage
        assert {storage, again, other} == {storage, other}
        assert storage != storage.identity

    def test_a_storage_is_pickled_as_it_is_serialised(self, storage: Storage) -> None:
        """With no secret in it."""
        self.writer(storage).add_flow(sample())
        pickled = pickle.dumps(storage)
        again = pickle.loads(pickled)  # noqa: S301 - made in the line before
        assert type(again) is type(storage)
        assert again == storage
        assert again.serialize() == storage.serialize()
        assert not any(secret.encode() in pickled for secret in self.secrets)
        assert copy.deepcopy(storage).get_flow("sales") == sample()

    def test_differences_between_versions_are_told_by_meaning(self, storage: Storage) -> None:
        """Of two versions, two flows, or a version and the one before it."""
        first = self.writer(storage).add_flow(sample())
        other = self.writer(storage).add_flow(sample("other", 3))
        assert storage.diff("sales", first).same
        assert {change.name for change in storage.diff(first, other).of("carried")} == {"FACTOR"}
        with pytest.raises(FlowNotFoundError, match="before"):
            storage.diff("sales")
        second = self.writer(storage).add_flow(sample(factor=3), replace=True)
        if self.keeps_versions:
            for diff in (
                storage.diff(second),
                storage.diff(first, "sales"),
                storage.diff(first, f"@{second[6:]}"),
            ):
                assert [change.name for change in diff.changes] == ["FACTOR"]
                assert (diff.old, diff.new) == (sample(), sample(factor=3))

    def test_no_secret_is_serialised_shown_or_stored(self, storage: Storage) -> None:
        """Neither in the storage's words nor in a flow's."""
        self.writer(storage).add_flow(sample())
        flow = storage.get_flow("sales")
        shown = [json.dumps(storage.serialize()), storage.name, repr(storage), storage.identity, repr(flow)]
        shown += [str(storage.origin), json.dumps(flow.storage)]
        for secret in self.secrets:
            assert not any(secret in text for text in shown), "a secret is told"

    def test_flows_added_are_seen_by_who_opened_the_storage_before(self, storage: Storage) -> None:
        """Nothing is remembered that may have changed."""
        other = self.again(storage)
        assert dict(other.flows) == {}
        for factor in (2, 3):
            location = self.writer(storage).add_flow(sample(factor=factor), replace=True)
            assert dict(other.flows) == {"sales": location}
            assert other.get_flow("sales") == sample(factor=factor)

    # --- building, damage and trust ---

    def test_building_loads_every_flow_back(self, storage: Storage) -> None:
        """And returns the storage."""
        self.writer(storage).add_flow(sample())
        self.writer(storage).add_flow(sample("other"))
        assert storage.build() is storage

    def test_building_reports_every_problem_at_once(self, storage: Storage) -> None:
        """One error names all flows that cannot be loaded, and only those."""
        for name in ("spoilt", "whole", "broken"):
            self.writer(storage).add_flow(sample(name))
        for name in ("spoilt", "broken"):
            self.damage(storage, name)
        with pytest.raises(StorageError) as caught:
            self.again(storage).build()
        assert "spoilt" in str(caught.value)
        assert "broken" in str(caught.value)
        assert "whole" not in str(caught.value).replace(storage.name, "")

    def test_building_compares_what_is_there_with_what_was_kept(self, storage: Storage) -> None:
        """A flow whose content was changed where it lies is told, and adding it again mends it."""
        for name in ("altered", "whole"):
            self.writer(storage).add_flow(sample(name))
        self.alter(storage, "altered")
        with pytest.raises(StorageError, match="altered") as caught:
            self.again(storage).build()
        assert "whole" not in str(caught.value).replace(storage.name, "")
        self.writer(storage).add_flow(sample("altered"), replace=True)
        again = self.again(storage)
        assert again.get_flow("altered") == sample("altered")
        assert again.build() is again

    def test_a_damaged_document_hides_no_other_flow(self, storage: Storage) -> None:
        """It is an error when it is asked for itself; a new version mends it."""
        self.writer(storage).add_flow(sample("spoilt"))
        self.writer(storage).add_flow(sample("whole"))
        self.damage(storage, "spoilt")
        again = self.again(storage)
        assert "whole" in again.flows
        assert again.get_flow("whole") == sample("whole")
        with pytest.raises(FlownbError):
            again.get_flow("spoilt")
        self.writer(storage).add_flow(sample("spoilt"), replace=True)
        assert again.get_flow("spoilt") == sample("spoilt")

    def test_listing_and_reading_run_nothing_and_unpickle_nothing(
        self, storage: Storage, tmp_path: Path
    ) -> None:
        """A flow is code: it is looked at without being run."""
        mark = tmp_path / "it ran"
        location = self.writer(storage).add_flow(trap("trap", mark))
        again = self.again(storage)
        assert again.flows["trap"] == location
        assert again.get_flow(location) == trap("trap", mark)
        assert trap("trap", mark) in again
        assert [version.location for version in again.history("trap")] == [location]
        assert again.resolve("trap") == location
        assert again.build() is again
        assert not mark.exists(), "something of the flow was run"

    # --- running ---

    def test_a_runner_runs_the_flow_here(self, storage: Storage) -> None:
        """With the parameters given."""
        location = self.writer(storage).add_flow(sample(factor=5))
        runner = storage.get_runner(location)
        with allow_once(storage):
            assert runner.run(n=4) == {"total": 20}

    def test_another_machine_is_told_how_to_run_a_flow_or_why_it_cannot(self, storage: Storage) -> None:
        """A command and variables that pin the version and tell no secret; or a clear error."""
        location = self.writer(storage).add_flow(sample())
        if not self.seen_by_machines:
            with pytest.raises(StorageError, match="machine"):
                storage.get_env_runner(location)
            return
        runner = storage.get_env_runner("sales")
        assert isinstance(runner, EnvRunner)
        texts = [*runner.command, *runner.variables, *runner.variables.values()]
        assert all(isinstance(text, str) for text in texts)
        assert location in runner.variables.values(), f"{location} is not pinned"
        assert not set(runner.secrets) & set(runner.variables)
        with_parameters = runner.with_parameters(n=3)
        assert with_parameters.command == runner.command, "a parameter is told by a variable"
        assert set(with_parameters.variables.items()) > set(runner.variables.items())
        assert not any(secret in text for secret in self.secrets for text in texts)


def sentences(suite: type[Any] = StorageConformance) -> list[str]:
    """Return what the suite asserts, a sentence a test."""
    names = [name for name in dir(suite) if name.startswith("test_")]
    every = [name for cls in suite.__mro__ for name in vars(cls)]
    order = {name: number for number, name in reversed(list(enumerate(every)))}
    return [
        name.removeprefix("test_").replace("_", " ") for name in sorted(names, key=lambda n: order.get(n, 0))
    ]
