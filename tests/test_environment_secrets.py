"""Secrets of a run: in nothing that is kept of it, and in the way of nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from environment_flows import SECRET, flow, memory

from flownb.environments import LocalEnvironment
from flownb.environments.secrecy import Secrecy
from flownb.errors import EnvironmentRefusedError
from flownb.flow import Parameter, Step
from flownb.parameters import Secret
from flownb.runs import State
from flownb.runs.record import OutputRecord, RunError
from flownb.runs.values import store

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = Parameter("token", "Secret")
VALUE = 'Xq9-sEcReT+v"alü{e}'


@pytest.mark.parametrize(
    "value",
    [f"x{VALUE}y", {"a": [VALUE]}, {VALUE: 1}, VALUE.encode(), ("long " * 50_000 + VALUE,), {VALUE}],
    ids=["text", "value", "key", "bytes", "tuple", "set"],
)
def test_an_output_that_holds_a_secret_is_not_kept(tmp_path: Path, value: object) -> None:
    record = OutputRecord.from_json(store("out", value, tmp_path))
    kept = Secrecy([VALUE]).output(record, tmp_path)
    assert kept.format == "error"
    assert "`out`" in kept.error
    assert "secret parameter" in kept.error
    assert not list(tmp_path.iterdir())


def test_an_array_of_texts_that_holds_a_secret_is_not_kept(tmp_path: Path) -> None:
    import numpy as np

    record = OutputRecord.from_json(store("out", np.array(["a", VALUE] * 1000), tmp_path))
    assert Secrecy([VALUE]).output(record, tmp_path).format == "error"


@pytest.mark.parametrize("secret", ["", "1", "json", "out", VALUE])
def test_an_output_without_it_is_kept_and_can_be_read(tmp_path: Path, secret: str) -> None:
    record = OutputRecord.from_json(store("out", [1, "json"], tmp_path))
    kept = Secrecy([secret]).output(record, tmp_path)
    assert (kept.name, kept.format, kept.file, kept.digest) == (
        record.name,
        record.format,
        record.file,
        record.digest,
    )
    assert (tmp_path / kept.file).exists()


def test_the_step_of_an_error_stays_what_it_is() -> None:
    error = RunError("ValueError", "load failed", "load", 2, "raise load", "load: ValueError")
    kept = Secrecy(["load"]).error(error)
    assert kept == RunError("ValueError", "*** failed", "load", 2, "raise ***", "***: ValueError")


@pytest.mark.kernel
def test_nothing_in_the_folder_of_a_run_holds_the_secret(project: Path) -> None:
    source = (
        "import sys\nfrom IPython.display import JSON, display\n"
        "print(token, repr(str(token)), [str(token)])\nprint(token[:7], end='', flush=True)\n"
        "print(token[7:])\nprint(token, file=sys.stderr)\ndisplay(JSON({str(token): {str(token): 1}}))\n"
        "said, number = 'so ' + token, 5"
    )
    made = flow(
        "f",
        Step("s", source, ("said", "number")),
        "raise ValueError('no ' + token)",
        parameters=(TOKEN,),
        closure=(SECRET,),
    )
    run = LocalEnvironment().execute(memory(project, made), "f", {"token": VALUE})
    assert run.state is State.FAILED
    assert run.outputs["number"] == 5
    assert "secret parameter" in {record.name: record for record in run.outputs.records}["said"].error
    for path in project.rglob("*"):
        for part in (VALUE, "Xq9-sEc", "alü{e}"):
            assert path.is_dir() or part.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("value", [VALUE, Secret(VALUE)], ids=["declared", "given"])
@pytest.mark.parametrize("ask", ["execute", "submit", "map"])
def test_an_engine_that_takes_no_secrets_is_refused_before_anything_is_recorded(
    project: Path, ask: str, value: str
) -> None:
    declared = TOKEN if type(value) is str else Parameter("token")
    storage = memory(project, flow("f", "1", parameters=(declared,), closure=(SECRET,)))
    environment = LocalEnvironment(engine="flownb-managed")
    given = {"token": value} if ask != "map" else [{"token": value}]
    with pytest.raises(EnvironmentRefusedError, match="'flownb-managed' cannot be given secret parameters"):
        getattr(environment, ask)(storage, "f", given)
    assert not (project / ".flownb").exists()


@pytest.mark.kernel
@pytest.mark.parametrize("secret", ["idle", "e"])
def test_a_secret_that_is_a_word_of_the_kernels_protocol_hangs_nothing(project: Path, secret: str) -> None:
    step = Step("s", "print(token)\nnumber = 5", ("number",))
    made = flow("f", step, parameters=(TOKEN,), closure=(SECRET,))
    run = LocalEnvironment(timeout=30).execute(memory(project, made), "f", {"token": secret})
    assert run.state is State.SUCCESS
    assert run.outputs["number"] == 5
