"""What the model of an environment declares is what the command line and the magic take, and nothing else."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import pytest
from click.testing import CliRunner
from pydantic import Field
from shell import ipython

from flownb import LocalEnvironment
from flownb.callbacks import collect_metrics
from flownb.callbacks.references import Reference
from flownb.cli import main
from flownb.environments.options import options_of, read_options, take_flags
from flownb.errors import EnvironmentRefusedError
from flownb.runs import Run
from flownb.storage import DirectoryStorage
from flownb.testing.flows import sample

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shell import Shell

GUIDE = Path(__file__).parent.parent / "docs" / "guide.md"

METRICS = '{"callback": "collect_metrics", "path": "m.csv"}'
PID = Reference("os:getpid")
#: each option of the local environment, as it is typed, and what it becomes
TYPED: dict[str, tuple[list[str], Any]] = {
    "labels": (["--label", "b", "--label", "a"], ("a", "b")),
    "on_start": (["--on-start", "os:getcwd"], (Reference("os:getcwd"),)),
    "on_exit": (["--on-exit", METRICS, "--on-exit", "os:getpid"], (collect_metrics("m.csv"), PID)),
    "engine": (["--engine", "nbclient"], "nbclient"),
    "kernel": (["--kernel", "python3"], "python3"),
    "timeout": (["--timeout", "60"], 60.0),
    "step_timeout": (["--step-timeout", "1.5"], 1.5),
    "memory": (["--memory", "2 GB"], 2_000_000_000),
    "cwd": (["--cwd", "there"], None),
    "env": (["--env", "A=1", "--env", "B=x=y"], {"A": "1", "B": "x=y"}),
    "retries": (["--retries", "2"], 2),
    "backoff": (["--backoff", "0.5"], 0.5),
    "strict": (["--strict"], True),
}


class FarEnvironment(LocalEnvironment):
    """Has options of many types."""

    kind: ClassVar[str] = "far"

    host: Annotated[str, Field(description="Where.")] = "nowhere"
    port: Annotated[int | None, Field(ge=1, description="Its port.")] = None
    keys: Annotated[tuple[Path, ...], Field(description="Files.")] = ()
    quick: Annotated[bool, Field(description="In a hurry.")] = False
    extra: Annotated[dict[str, int], Field(description="More."), Field(default_factory=dict)]


@pytest.fixture
def shell(project: Path) -> Iterator[Shell]:
    (project / "there").mkdir()
    with ipython() as shell:
        shell.ok("%%flow sales\nn: int = 2\nn * 2")
        yield shell


def options() -> list[str]:
    return list(LocalEnvironment.model_fields)


def test_every_option_is_tried_here() -> None:
    assert list(TYPED) == options()


@pytest.mark.parametrize("name", TYPED)
def test_what_is_typed_is_what_the_model_takes(name: str, project: Path) -> None:
    words, value = TYPED[name]
    typed, rest = take_flags([*words, "n=3"], LocalEnvironment)
    assert rest == ["n=3"]
    environment = LocalEnvironment(**read_options(LocalEnvironment, typed))
    assert getattr(environment, name) == (project / "there" if name == "cwd" else value)


def test_the_command_line_and_the_magic_have_a_flag_for_each(shell: Shell) -> None:
    told = CliRunner().invoke(main, ["run", "--help"]).output
    words = " ".join(told.split())
    for option in options_of(LocalEnvironment):
        assert f"{option.flag} " in told
        assert " ".join(option.help.split()) in words.replace("- ", "-")
    line = "%flow run sales --"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {one.text for one in shell.shell.Completer.completions(line, len(line))}
    assert {option.flag for option in options_of(LocalEnvironment)} <= found


def test_the_guide_has_each_in_its_table() -> None:
    lines = [line for line in GUIDE.read_text().splitlines() if line.startswith("| `")]
    rows = [line.split("|")[1] for line in lines]
    told = " ".join(rows)
    assert [name for name in options() if f"`{name}`" not in told] == []


@pytest.mark.kernel
def test_flags_go_before_what_the_environment_says(shell: Shell, project: Path) -> None:
    (project / "flownb.toml").write_text('[environments.night]\ntimeout = 50\nlabels = ["night"]\n')
    DirectoryStorage("store").add_flow(sample())
    words = "--environment night --env A=1 --backoff 0.5 --kernel python3 --cwd there -o step_timeout=5"
    called = CliRunner().invoke(main, ["run", "dir:store#sales", *words.split(), "-q"])
    assert called.exit_code == 0, called.output
    shell.ok(f"%flow run sales n=1 {words}")
    kept = [dict(Run.load(run, project).record.environment) for run in ("last", called.output.strip())]
    assert kept[0] == kept[1]
    assert (kept[0]["timeout"], kept[0]["labels"], kept[0]["env"]) == (50, ["night"], {"A": "1"})
    assert (kept[0]["backoff"], kept[0]["kernel"], kept[0]["step_timeout"]) == (0.5, "python3", 5)
    assert kept[0]["cwd"] == str(project / "there")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--timeout 0", "`timeout` is more than 0 seconds"),
        ("--timeout soon", "`timeout` is a number of seconds"),
        ("--retries -1", "`retries`"),
        ("--env A", "--env takes NAME=VALUE, and was given 'A'"),
        ("-o colour=red", "there is no option `colour`; there are labels"),
        ("-o colour", "--option takes NAME=VALUE"),
        ("--on-exit nonesuch", "neither `module:name` nor one of the ready-made"),
        ("--cwd nowhere", "which is no folder"),
        ("--kernel nonesuch", "nonesuch"),
    ],
)
def test_what_is_typed_wrongly_is_told_alike(shell: Shell, project: Path, words: str, told: str) -> None:
    DirectoryStorage("store").add_flow(sample())
    called = CliRunner().invoke(main, ["run", "dir:store#sales", *words.split()])
    assert (called.exit_code, told in called.output) == (2, True), called.output
    assert told in shell.run(f"%flow run sales {words}").text
    assert not (project / ".flownb").exists()


def test_a_flag_without_a_value_is_told(shell: Shell) -> None:
    assert "--timeout wants a value" in shell.run("%flow run sales --timeout").text
    told = shell.run("%flow run sales --tiemout 5").text
    assert "there is no option --tiemout; there are --environment" in told


def test_options_of_any_type_of_another_kind_are_read() -> None:
    words = [
        "--host",
        "moon",
        "--port",
        "22",
        "--key",
        "a",
        "--key",
        "b",
        "--quick",
        "--extra",
        "x=1",
        "-o",
        "port=23",
    ]
    typed, rest = take_flags(words, FarEnvironment)
    assert rest == []
    environment = FarEnvironment(**read_options(FarEnvironment, typed))
    assert (environment.host, environment.port, environment.quick) == ("moon", 23, True)
    assert (environment.keys, environment.extra) == ((Path("a"), Path("b")), {"x": 1})
    with pytest.raises(EnvironmentRefusedError, match="FarEnvironment: `port`"):
        FarEnvironment(**read_options(FarEnvironment, {"port": ["0"]}))
    assert json.loads(json.dumps(environment.serialize()))["host"] == "moon"
