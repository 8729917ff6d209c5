"""The contract of an environment as a test suite: one test a sentence, for every kind of environment.

    from flownb.testing.environment import EnvironmentConformance

    class TestMyEnvironment(EnvironmentConformance):
        def make(self, **options):
            return MyEnvironment(host="localhost", **options)

pytest finds the tests of such a class as any other's. Each works in a project of its own, with flows in a
folder of it. `pytest.register_assert_rewrite("flownb.testing")` in a `conftest.py` makes failures tell more.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from flownb.errors import (
    CallbackError,
    EnvironmentRefusedError,
    FlowNotFoundError,
    NotTrustedError,
    ParameterError,
    RunFailedError,
)
from flownb.runs import Project, Run, Runs
from flownb.storage import DirectoryStorage
from flownb.storage.trust import allow_once
from flownb.testing.flows import SECRET, ElsewhereStorage, UnreachableStorage, environment_flows, sample

if TYPE_CHECKING:
    from pathlib import Path

    from flownb.environments import Environment
    from flownb.storage import Storage

#: seconds that a run of the suite's flows may take
LIMIT = 120.0


class EnvironmentConformance:
    """What every environment promises. A subclass says how its environment is made."""

    def make(self, **options: Any) -> Environment:
        """Return an environment with these options: `labels`, `on_start`, `on_exit`, or none of them."""
        raise NotImplementedError(
            f"{type(self).__name__} must say how its environment is made: make(**options)"
        )

    @pytest.fixture(autouse=True)
    def project(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
        """Give each test a project of its own, and work in it."""
        folder = tmp_path / "project"
        folder.mkdir()
        (folder / "flownb.toml").touch()
        monkeypatch.chdir(folder)
        monkeypatch.setenv("FLOWNB_CONFIG_DIR", str(tmp_path / "config"))
        return Project.of(folder)

    @pytest.fixture
    def storage(self, project: Project) -> DirectoryStorage:
        """Give each test a storage with flows to run."""
        storage = DirectoryStorage(project.root / "flows")
        for flow in environment_flows():
            storage.add_flow(flow)
        return storage

    def again(self, environment: Environment) -> Environment:
        """Return what `Environment.deserialize` makes of it, also where its kind is not registered here."""
        data = json.loads(json.dumps(environment.serialize()))
        options = {name: value for name, value in data.items() if name not in ("type", "schema")}
        return type(environment).from_serialized(options)

    # --- what it is ---

    def test_an_environment_without_options_asks_for_nothing(self) -> None:
        """No labels, no callbacks."""
        environment = self.make()
        assert environment.labels == ()
        assert (environment.on_start, environment.on_exit) == ((), ())

    def test_labels_are_sorted_and_each_is_there_once(self) -> None:
        """None is none, and a bare text is not a list of letters."""
        assert self.make(labels=["b", "a", "b"]).labels == ("a", "b")
        assert self.make(labels=None).labels == ()
        with pytest.raises(EnvironmentRefusedError, match="labels"):
            self.make(labels="dev")

    def test_a_callback_that_cannot_be_called_is_an_error(self) -> None:
        """When the environment is made, not when a run ends."""
        for when in ("on_start", "on_exit"):
            with pytest.raises(CallbackError, match=when):
                self.make(**{when: "print"})

    def test_an_option_that_is_not_there_is_an_error_naming_those_that_are(self) -> None:
        """Nothing is left out in silence."""
        with pytest.raises(EnvironmentRefusedError, match=r"no option `colour`; there are .*labels"):
            self.make(colour="red")

    def test_every_option_says_what_it_is(self) -> None:
        """Help, forms and command lines are made of it."""
        for name, field in type(self.make()).model_fields.items():
            assert field.description, f"the option {name} has no description"

    def test_equal_environments_are_equal_and_hash_alike_and_cannot_be_changed(self) -> None:
        """So that they can be kept, compared and shared."""
        one, two = self.make(labels=["a", "b"]), self.make(labels=["b", "a"])
        assert one == two
        assert hash(one) == hash(two)
        assert one != self.make()
        with pytest.raises(EnvironmentRefusedError, match="frozen"):
            one.labels = ()

    def test_an_environment_goes_to_json_and_comes_back(self) -> None:
        """With its own kind, its labels and its callbacks."""
        environment = self.make(labels=["a"], on_exit=os.getcwd)
        data = environment.serialize()
        assert data["type"] == vars(type(environment))["kind"], "the class has no `kind` of its own"
        back = self.again(environment)
        assert type(back) is type(environment)
        assert back.serialize() == data
        assert back.labels == ("a",)
        assert len(back.on_exit) == 1

    # --- what it refuses ---

    def test_setting_up_can_be_done_twice(self, storage: Storage) -> None:
        """And starts and records nothing."""
        environment = self.make()
        environment.setup(storage)
        environment.setup(storage)
        assert self._recorded() == []

    def test_a_storage_that_cannot_be_reached_is_refused_before_anything_starts(self) -> None:
        """And what is no storage at all."""
        environment = self.make()
        for storage in (UnreachableStorage(), sample()):
            for call in (
                lambda: environment.setup(storage),  # type: ignore[arg-type]  # noqa: B023
                lambda: environment.execute(storage, "sales"),  # type: ignore[arg-type]  # noqa: B023
                lambda: environment.submit(storage, "sales"),  # type: ignore[arg-type]  # noqa: B023
                lambda: environment.map(storage, "sales", [{}, {}]),  # type: ignore[arg-type]  # noqa: B023
            ):
                with pytest.raises(EnvironmentRefusedError):
                    call()
        assert self._recorded() == []

    def test_what_is_wrong_with_parameters_is_an_error_before_anything_is_recorded(
        self, storage: Storage
    ) -> None:
        """One that is unknown, wrong, or missing."""
        environment = self.make()
        for name, given in (("sales", {"m": 1}), ("sales", {"n": "many"}), ("required", {})):
            with pytest.raises(ParameterError):
                environment.execute(storage, name, given)
            with pytest.raises(ParameterError):
                environment.map(storage, name, [given])
        assert self._recorded() == []

    def test_a_flow_or_version_that_is_not_there_is_an_error(self, storage: Storage) -> None:
        """A version is honoured or refused."""
        for location in ("nowhere", "sales@ffffffffffff"):
            with pytest.raises(FlowNotFoundError):
                self.make().execute(storage, location)
        assert self._recorded() == []

    def test_a_flow_from_elsewhere_runs_only_when_it_is_trusted(self, project: Project) -> None:
        """By whatever way it is started."""
        storage = ElsewhereStorage(project.root / "theirs")
        storage.add_flow(sample())
        environment = self.make()
        for call in (
            lambda: environment.execute(storage, "sales"),
            lambda: environment.submit(storage, "sales"),
            lambda: environment.map(storage, "sales", [{}]),
        ):
            with pytest.raises(NotTrustedError):
                call()
        assert self._recorded() == []
        with allow_once(storage):
            assert environment.execute(storage, "sales").state == "Success"

    # --- what a run is ---

    def test_a_run_is_recorded_with_its_flow_version_parameters_environment_and_labels(
        self, storage: Storage, project: Project
    ) -> None:
        """And comes back when its flow has ended."""
        environment = self.make(labels=["night"])
        run = environment.execute(storage, "sales", {"n": 3})
        assert run.state == "Success", run.error
        back = Run.load(run.id, project)
        assert back.state == "Success"
        assert (back.record.flow, back.record.location) == ("sales", storage.flows["sales"])
        assert back.record.digest == sample().digest
        assert back.parameters == {"n": 3}
        assert list(back.labels) == ["night"]
        assert back.record.environment == environment.describe()

    def test_outputs_come_back_as_values(self, storage: Storage) -> None:
        """Those that the flow declares."""
        run = self.make().execute(storage, "sales", {"n": 3})
        assert run.outputs["total"] == 6

    def test_a_version_that_is_asked_for_is_the_one_that_runs(self, storage: DirectoryStorage) -> None:
        """Though there is a newer one."""
        first = storage.flows["sales"]
        storage.add_flow(sample(factor=5), replace=True)
        environment = self.make()
        assert environment.execute(storage, first, {"n": 1}).outputs["total"] == 2
        assert environment.execute(storage, "sales", {"n": 1}).outputs["total"] == 5

    def test_a_flow_that_fails_is_a_state_and_no_exception(self, storage: Storage) -> None:
        """The run tells the step, and `raise_for_state` is loud."""
        run = self.make().execute(storage, "failing")
        assert run.state == "Failed"
        assert run.error is not None
        assert "no sales today" in run.error.message
        assert run.error.step == "ask"
        with pytest.raises(RunFailedError, match="no sales today"):
            run.raise_for_state()

    def test_a_flow_whose_process_dies_is_a_run_that_ended(self, storage: Storage) -> None:
        """With `on_exit` called as for any other."""
        seen: list[str] = []
        run = self.make(on_exit=lambda run: seen.append(str(run.state))).execute(storage, "dying")
        assert run.state in ("Crashed", "Failed")
        assert seen == [str(run.state)]

    def test_a_run_leaves_nothing_in_this_process(self, storage: Storage) -> None:
        """Nor in the next run."""
        environment = self.make()
        before = dict(os.environ)
        for _ in range(2):
            assert environment.execute(storage, "leaving").outputs["result"] == "None"
        assert dict(os.environ) == before

    def test_secrets_are_in_nothing_that_is_kept(self, storage: Storage, project: Project) -> None:
        """Neither given, nor printed, nor in an error."""
        run = self.make().execute(storage, "hiding", {"token": SECRET})
        assert run.state == "Failed"
        for path in project.records.rglob("*"):
            assert not path.is_file() or SECRET.encode() not in path.read_bytes(), f"{path} has the secret"

    def test_changes_are_told_and_the_end_last(self, storage: Storage) -> None:
        """To `on_change`, with the run."""
        seen: list[str] = []
        run = self.make().execute(storage, "sales", on_change=lambda run: seen.append(str(run.state)))
        assert seen
        assert seen[-1] == str(run.state) == "Success"

    # --- callbacks ---

    def test_callbacks_are_called_before_the_start_and_after_the_end_in_their_order(
        self, storage: Storage
    ) -> None:
        """With the run where they take it; at the end it has its last state."""
        seen: list[str] = []
        environment = self.make(
            on_start=[lambda run: seen.append(f"start {run.state}"), lambda: seen.append("start")],
            on_exit=[lambda run: seen.append(f"exit {run.state}"), lambda: seen.append("exit")],
        )
        environment.execute(storage, "sales")
        assert seen == ["start Pending", "start", "exit Success", "exit"]

    def test_where_on_start_fails_the_flow_does_not_start_and_on_exit_is_called(
        self, storage: Storage, project: Project
    ) -> None:
        """The run is `Failed`, and says why."""
        seen: list[str] = []

        def fail() -> None:
            raise OSError("no licence left")

        environment = self.make(on_start=fail, on_exit=lambda run: seen.append(str(run.state)))
        run = environment.execute(storage, "marking", {"path": str(project.root / "mark")})
        assert run.state == "Failed"
        assert run.error is not None
        assert "no licence left" in run.error.message
        assert seen == ["Failed"]
        assert not (project.root / "mark").exists()

    def test_where_on_exit_fails_the_state_stays_and_the_next_is_called(self, storage: Storage) -> None:
        """The failure is recorded with the run."""
        seen: list[str] = []

        def fail() -> None:
            raise OSError("no mail today")

        environment = self.make(on_exit=[fail, lambda run: seen.append(str(run.state))])
        run = environment.execute(storage, "sales")
        assert run.state == "Success"
        assert seen == ["Success"]
        assert "no mail today" in str(run.callback_errors)

    # --- several, and beside the caller ---

    def test_submitting_returns_at_once_and_the_run_goes_on(self, storage: Storage, project: Project) -> None:
        """Recorded, until it is over."""
        go = project.root / "go"
        run = self.make().submit(storage, "waiting", {"path": str(go)})
        assert not run.refresh().state.terminal
        assert Run.load(run.id, project).id == run.id
        go.touch()
        assert run.wait(LIMIT).state == "Success"

    def test_a_run_that_goes_on_can_be_cancelled(self, storage: Storage, project: Project) -> None:
        """And `on_exit` is called."""
        seen: list[str] = []
        environment = self.make(on_exit=lambda run: seen.append(str(run.state)))
        run = environment.submit(storage, "waiting", {"path": str(project.root / "never")})
        assert run.cancel()
        assert run.wait(LIMIT).state == "Cancelled"
        assert seen == ["Cancelled"]

    def test_mapping_gives_a_run_for_each_point_in_the_order_of_the_grid(self, storage: Storage) -> None:
        """A dict of lists stands for all combinations."""
        runs = self.make().map(storage, "sales", [{"n": 3}, {"n": 1}, {"n": 2}], parallel=2)
        assert [run.outputs["total"] for run in runs] == [6, 2, 4]
        assert [run.outputs["total"] for run in self.make().map(storage, "sales", {"n": [2, 1]})] == [4, 2]

    def test_all_points_are_validated_before_the_first_run_starts(self, storage: Storage) -> None:
        """A grid with a mistake costs nothing."""
        with pytest.raises(ParameterError):
            self.make().map(storage, "sales", [{"n": 1}, {"m": 2}])
        with pytest.raises(EnvironmentRefusedError, match="parallel"):
            self.make().map(storage, "sales", [{}], parallel=0)
        assert self._recorded() == []

    def _recorded(self) -> list[str]:
        project = Project.of(".")
        return [run.id for run in Runs.load(project=project)] if project.database.exists() else []
