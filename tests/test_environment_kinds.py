"""Kinds of environments: registered by entry points, named in `flownb.toml`, read back, never as another."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from flownb import Environment, LocalEnvironment
from flownb.cli import main
from flownb.environments import load_environment
from flownb.environments.chosen import environment_for, named_environment
from flownb.environments.kinds import GROUP, kind_of, kinds
from flownb.errors import EnvironmentRefusedError
from flownb.runs import Project, Run
from flownb.storage import DirectoryStorage
from flownb.testing.flows import sample

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SOURCE = """
from typing import Annotated, ClassVar
from pathlib import Path
from pydantic import Field
from flownb.environments import Environment, LocalEnvironment

class FarEnvironment(LocalEnvironment):
    kind: ClassVar[str] = "far"
    host: Annotated[str, Field(description="Where it is.")] = "nowhere"
    key: Annotated[Path | None, Field(description="A file.")] = None

class NoKind(LocalEnvironment):
    pass

class Other(LocalEnvironment):
    kind: ClassVar[str] = "other"
"""


@pytest.fixture
def far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install a distribution that has a kind of environment, a broken one, and some that are wrong."""
    site = tmp_path / "site"
    about = site / "far_away-1.0.dist-info"
    about.mkdir(parents=True)
    (site / "far_away.py").write_text(SOURCE)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: far-away\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        f"[{GROUP}]\nfar = far_away:FarEnvironment\nbroken = far_away_gone:X\nnokind = far_away:NoKind\n"
        "wrong = far_away:Other\nlocal = far_away:Other\n"
    )
    monkeypatch.syspath_prepend(str(site))
    yield
    sys.modules.pop("far_away", None)


@pytest.mark.usefixtures("far")
def test_a_registered_kind_is_read_back_and_named_in_the_settings(project: Path) -> None:
    environment = kind_of("far")(host="moon", labels=["a"])
    data = environment.serialize()
    assert (data["type"], data["host"]) == ("far", "moon")
    assert Environment.deserialize(data) == environment
    (project / "flownb.toml").write_text('[environments.away]\ntype = "far"\nhost = "moon"\nkey = "k.pem"\n')
    away: Any = load_environment(Project.of(project), "away")
    assert type(away).__name__ == "FarEnvironment"
    assert (away.host, away.key) == ("moon", project / "k.pem")
    kept = named_environment(Project.of(project), "away")
    assert (kept["named"], kept["type"], kept["key"]) == ("away", "far", "k.pem")


@pytest.mark.kernel
@pytest.mark.usefixtures("far")
def test_a_flow_runs_in_a_registered_kind(project: Path) -> None:
    (project / "flownb.toml").write_text('[environments.away]\ntype = "far"\nhost = "moon"\n')
    flow = sample()
    DirectoryStorage("store").add_flow(flow)
    called = CliRunner().invoke(main, ["run", "dir:store#sales", "--environment", "away", "-q"])
    assert called.exit_code == 0, called.output
    environment = Run.load(project=project).record.environment
    assert (environment["type"], environment["host"]) == ("far", "moon")
    assert environment_for(flow, Project.of(project), "far") == kind_of("far")()


@pytest.mark.usefixtures("far")
def test_our_own_kinds_are_replaced_by_none_and_one_that_is_broken_hides_no_other() -> None:
    assert kind_of("local") is LocalEnvironment
    assert set(kinds()) == {"local", "far", "broken", "nokind", "wrong"}
    assert len(kinds()) == 5
    with pytest.raises(EnvironmentRefusedError, match=r"'broken' of far-away cannot be loaded: Module"):
        kind_of("broken")
    for word in ("nokind", "wrong"):
        with pytest.raises(EnvironmentRefusedError, match=f"is no Environment of the kind '{word}'"):
            kind_of(word)
    with pytest.raises(EnvironmentRefusedError, match=r"no environment of the kind 'moon'; there are: .*far"):
        Environment.deserialize({"type": "moon"})


class Mine(LocalEnvironment):
    """Has no `kind` of its own."""


class Taken(LocalEnvironment):
    """Has that of another."""

    kind = "local"


class Own(LocalEnvironment):
    """Has one, which is registered nowhere."""

    kind = "own"


class OfOwn(Own):
    """Has that of its parent."""


@pytest.mark.parametrize(
    ("cls", "words"),
    [
        (Mine, "Mine has no `kind` of its own, and would be read back as LocalEnvironment"),
        (OfOwn, "OfOwn has no `kind` of its own, and would be read back as Own"),
        (Taken, "Taken has the kind 'local', by which LocalEnvironment is read back"),
    ],
)
def test_what_would_be_read_back_as_another_is_not_serialised(cls: type[Environment], words: str) -> None:
    with pytest.raises(EnvironmentRefusedError, match=words) as raised:
        cls().serialize()
    assert f"an entry point of the group {GROUP}" in str(raised.value)
    assert cls().describe()["type"] in ("local", f"{__name__}:{cls.__name__}")


def test_a_kind_that_is_registered_nowhere_says_so_when_it_is_read() -> None:
    data = Own().serialize()
    assert data["type"] == "own"
    with pytest.raises(EnvironmentRefusedError, match="no environment of the kind 'own'"):
        Environment.deserialize(data)
