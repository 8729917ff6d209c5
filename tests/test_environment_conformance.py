"""Every environment keeps the contract: `flownb.testing.environment`, and proof that it catches."""

from __future__ import annotations

import inspect
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flownb import Environment, LocalEnvironment
from flownb.environments import begin
from flownb.environments.chosen import named_environment
from flownb.environments.kinds import kinds
from flownb.errors import EnvironmentRefusedError, FlownbError
from flownb.kinds import Kinds
from flownb.runs import Project
from flownb.storage import DirectoryStorage
from flownb.testing.environment import EnvironmentConformance
from flownb.testing.flows import environment_flows
from flownb.testing.storage import sentences

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flownb.runs import Run
    from flownb.storage import Storage

pytestmark = pytest.mark.kernel

PAGE = Path(__file__).parent.parent / "docs" / "extending.md"


def blocks(language: str) -> list[str]:
    text = PAGE.read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def page_names() -> dict[str, Any]:
    """Return what the code of the page on extending defines."""
    names: dict[str, Any] = {"__name__": "extending"}
    exec(compile("\n".join(blocks("python")), str(PAGE), "exec", dont_inherit=True), names)
    return names


PAGES = page_names()


class TestLocal(EnvironmentConformance):
    """Forked processes of this machine."""

    def make(self, **options: Any) -> Environment:
        return LocalEnvironment(**options)


class TestNbclient(EnvironmentConformance):
    """Kernels that papermill starts."""

    def make(self, **options: Any) -> Environment:
        return LocalEnvironment(engine="nbclient", **options)


class TestPage(PAGES["TestScratch"]):  # type: ignore[misc]  # made of the page
    """The environment that the page writes from nothing, by the suite as the page uses it."""

    def test_what_a_flow_writes_is_gone(self, storage: Storage, tmp_path: Path) -> None:
        below = tmp_path / "below"
        below.mkdir()
        environment = self.make(below=below)
        run = environment.execute(storage, "marking", {"path": "written"})
        assert run.state == "Success", run.error
        assert list(below.iterdir()) == []
        assert not Path("written").exists()
        with pytest.raises(EnvironmentRefusedError, match="is no folder"):
            environment.replace(below=tmp_path / "no").setup(storage)


def test_the_page_s_environment_is_registered_as_the_page_says(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Kinds, "_others", lambda _: [Entry("scratch", PAGES["ScratchEnvironment"])])
    (project / "flownb.toml").write_text(blocks("toml")[-1])
    assert "scratch" in kinds()
    kept = named_environment(Project.of(project), "clean")
    assert (kept["type"], kept["below"]) == ("scratch", "work")
    assert isinstance(Environment.deserialize(kept), PAGES["ScratchEnvironment"])


class Entry:
    """An entry point."""

    dist = None

    def __init__(self, name: str, value: type[Environment]) -> None:
        self.name, self.value = name, value

    def load(self) -> type[Environment]:
        return self.value


# -- environments that break the contract, and the sentences that they break


class Broken(Environment):
    """Keeps the contract, but for what its subclasses do."""

    kind = "broken"

    def setup(self, storage: Storage) -> None:
        super().setup(storage)

    def execute(
        self,
        storage: Storage,
        location: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        on_change: Callable[[Run], object] | None = None,
    ) -> Run:
        return begin(self, storage, location, parameters).work(on_change)


class Loud(Broken):
    """Raises what a flow raises."""

    kind = "loud"

    def execute(self, *args: Any, **more: Any) -> Run:
        return super().execute(*args, **more).raise_for_state()


class Inheriting(Broken):
    """Has no `kind`."""


class Careless(Broken):
    """Checks nothing."""

    kind = "careless"

    def setup(self, storage: Storage) -> None:
        del storage


class Newest(Broken):
    """Takes no notice of the version."""

    kind = "newest"

    def execute(self, storage: Storage, location: str, *args: Any, **more: Any) -> Run:
        return super().execute(storage, location.partition("@")[0], *args, **more)


class Mute(Broken):
    """Tells of nothing."""

    kind = "mute"

    def execute(self, *args: Any, on_change: Any = None, **more: Any) -> Run:
        return super().execute(*args, **more)


class Undocumented(Broken):
    """Has an option that says nothing."""

    kind = "undocumented"

    colour: str = "red"


class Trusting(Broken):
    """Trusts everybody."""

    kind = "trusting"

    def execute(self, storage: Storage, *args: Any, **more: Any) -> Run:
        from flownb.storage.trust import allow_once

        with allow_once(storage):
            return super().execute(storage, *args, **more)


class Here(Broken):
    """Runs in this process, too."""

    kind = "here"

    def execute(self, storage: Storage, location: str, *args: Any, **more: Any) -> Run:
        if location == "leaving":
            os.environ["LEFT"] = "yes"
        return super().execute(storage, location, *args, **more)


BROKEN: dict[type[Broken], set[str]] = {
    Loud: {"a_flow_that_fails_is_a_state_and_no_exception"},
    Inheriting: {"an_environment_goes_to_json_and_comes_back"},
    Careless: {"a_storage_that_cannot_be_reached_is_refused_before_anything_starts"},
    Newest: {"a_version_that_is_asked_for_is_the_one_that_runs"},
    Mute: {"changes_are_told_and_the_end_last"},
    Undocumented: {"every_option_says_what_it_is"},
    Trusting: {"a_flow_from_elsewhere_runs_only_when_it_is_trusted"},
    Here: {"a_run_leaves_nothing_in_this_process"},
}


@pytest.mark.parametrize(
    ("cls", "sentence"), [(cls, sentence) for cls, found in BROKEN.items() for sentence in sorted(found)]
)
def test_an_environment_that_breaks_the_contract_fails_the_sentence_that_it_breaks(
    cls: type[Broken], sentence: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LEFT", raising=False)

    class Suite(EnvironmentConformance):
        def make(self, **options: Any) -> Environment:
            return cls(**options)

    storage = DirectoryStorage(project / "flows")
    for flow in environment_flows():
        storage.add_flow(flow)
    test = getattr(Suite(), f"test_{sentence}")
    given = {"storage": storage, "project": Project.of(project)}
    try:
        with pytest.raises((AssertionError, FlownbError, KeyError, pytest.fail.Exception)):
            test(**{name: given[name] for name in inspect.signature(test).parameters})
    finally:
        os.environ.pop("LEFT", None)


def test_the_suite_says_the_contract_in_sentences() -> None:
    said = sentences(EnvironmentConformance)
    assert "a flow that fails is a state and no exception" in said
    assert "secrets are in nothing that is kept" in said
    assert len(said) >= 25


def test_a_suite_without_an_environment_says_what_it_needs() -> None:
    with pytest.raises(NotImplementedError, match=r"make\(\*\*options\)"):
        EnvironmentConformance().make()
