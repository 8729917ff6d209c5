"""Environments as typed models: options, errors, JSON, `flownb.toml`."""

from __future__ import annotations

import json
import operator
import pickle
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flownb.callbacks import collect_metrics, notify
from flownb.callbacks.references import Reference
from flownb.callbacks.settings import from_settings
from flownb.environments import Environment, LocalEnvironment, environment_names, load_environment
from flownb.environments.fields import LocalOptions
from flownb.environments.grid import points_of
from flownb.errors import CallbackError, EnvironmentRefusedError, ParameterError
from flownb.parameters import Secret
from flownb.runs import Project

if TYPE_CHECKING:
    from flownb.runs import Run


def tell(run: Run) -> None:
    """A callback that can be imported."""


def test_an_environment_without_options_asks_for_nothing() -> None:
    environment = LocalEnvironment()
    assert environment.labels == ()
    assert (environment.on_start, environment.on_exit) == ((), ())
    assert (environment.engine, environment.timeout, environment.retries) == ("flownb", None, 0)


@pytest.mark.parametrize("given", [["b", "a", "b"], ("b", "a"), {"b", "a"}, iter("ba")])
def test_labels_are_sorted_and_each_is_there_once(given: Any) -> None:
    assert LocalEnvironment(labels=given).labels == ("a", "b")


def test_none_is_no_labels() -> None:
    assert LocalEnvironment(labels=None) == LocalEnvironment()
    assert LocalEnvironment(labels=None, on_start=None, on_exit=None).labels == ()


def test_equal_environments_are_equal_and_hash_alike() -> None:
    one = LocalEnvironment(labels=["b", "a"], env={"X": "1", "A": 2}, on_exit=tell, cwd="data")
    two = LocalEnvironment(labels=["a", "b", "a"], env={"A": "2", "X": 1}, on_exit=[tell], cwd=Path("data"))
    assert one == two
    assert {one: "night"}[two] == "night"
    assert one != one.replace(retries=1)
    assert one.serialize() == two.serialize()
    assert Environment.deserialize(one.serialize()) == one.replace(on_exit=Reference(f"{__name__}:tell"))


class Unhashable:
    __hash__ = None  # type: ignore[assignment]

    def __call__(self, run: Run) -> None:
        """Do nothing."""


def test_what_is_called_need_not_be_hashed() -> None:
    environment = LocalEnvironment(on_exit=Unhashable())
    assert len({environment, environment.replace()}) == 1


def test_an_environment_is_frozen_to_the_bottom() -> None:
    settings = [{"callback": "team.hooks:Pager", "teams": ["data"], "more": {"a": 1}}]
    hook = notify("https://example.org/hook", headers={"X-Team": "data"})
    environment = LocalEnvironment(
        labels=["a"], env={"A": "1"}, on_start=list(from_settings(settings)), on_exit=[hook]
    )
    before = json.dumps(environment.serialize())
    settings[0]["more"]["a"] = 2  # type: ignore[index]
    reference: Any = environment.on_start[0]
    for change in (
        lambda: environment.env.update(B="2"),
        lambda: operator.setitem(environment.env, "A", "2"),
        lambda: operator.setitem(environment.on_exit[0].headers, "X-Team", "x"),
        lambda: operator.setitem(reference.options, "team", "x"),
        lambda: operator.setitem(reference.options["more"], "a", 2),
        lambda: reference.options["teams"].append("x"),
        lambda: environment.labels.append("b"),
        lambda: environment.on_exit.append(tell),
    ):
        with pytest.raises((TypeError, AttributeError)):
            change()
    assert json.dumps(environment.serialize()) == before
    assert pickle.loads(pickle.dumps(environment)) == environment


def test_other_options_make_another_environment_and_are_checked() -> None:
    environment = LocalEnvironment(labels=["a"], timeout=5)
    assert environment.replace(timeout=6).timeout == 6
    assert environment.replace(timeout=6).labels == ("a",)
    with pytest.raises(EnvironmentRefusedError, match="`timeout` is more than 0 seconds"):
        environment.replace(timeout=0)


def test_times_may_be_timedeltas() -> None:
    environment = LocalEnvironment(timeout=timedelta(minutes=2), step_timeout=1.5, backoff=timedelta(0))
    assert (environment.timeout, environment.step_timeout, environment.backoff) == (120.0, 1.5, 0.0)


def test_one_callback_is_a_list_of_one() -> None:
    assert LocalEnvironment(on_exit=tell).on_exit == (tell,)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"labels": "dev"}, "`labels` is one text; labels are a list: labels=['dev']"),
        ({"labels": [3]}, "`labels` has 3 in it"),
        ({"timeout": 0}, "`timeout` is more than 0 seconds"),
        ({"timeout": -1}, "`timeout` is not less than 0"),
        ({"timeout": "1h"}, "`timeout` is a number of seconds, or a timedelta"),
        ({"timeout": True}, "`timeout` is a number of seconds"),
        ({"retries": -1}, "`retries`: Input should be greater than or equal to 0"),
        ({"env": {"A=B": "x"}}, "`env` has 'A=B' in it"),
        ({"env": {"A": None}}, "`env` has a value for A that is no text"),
        ({"env": {"A": Secret("hunter2")}}, "`env` has the secret A in it"),
        ({"colour": 1}, "there is no option `colour`; there are labels, on_start, on_exit, engine"),
    ],
)
def test_a_wrong_option_is_named_with_what_it_takes(options: dict[str, Any], words: str) -> None:
    with pytest.raises(EnvironmentRefusedError, match=f"^LocalEnvironment: .*{re.escape(words)}") as raised:
        LocalEnvironment(**options)
    assert "hunter2" not in str(raised.value)


def test_a_callback_that_cannot_be_called_is_an_error() -> None:
    with pytest.raises(CallbackError, match="on_exit"):
        LocalEnvironment(on_exit="print")


def test_an_environment_is_frozen_and_says_how_another_is_made() -> None:
    environment = LocalEnvironment()
    with pytest.raises(EnvironmentRefusedError, match=r"replace\(timeout=\.\.\.\)"):
        environment.timeout = 3
    with pytest.raises(EnvironmentRefusedError, match="`timeout` stays"):
        del environment.timeout


def test_replace_makes_another_environment_and_validates() -> None:
    environment = LocalEnvironment(timeout=60, labels=["a"])
    assert environment.replace(timeout=timedelta(minutes=2)) == LocalEnvironment(timeout=120, labels=["a"])
    assert environment.timeout == 60
    with pytest.raises(EnvironmentRefusedError, match="`timeout` is a number of seconds"):
        environment.replace(timeout="soon")
    with pytest.raises(EnvironmentRefusedError, match="`memory` is limited by the engine"):
        LocalEnvironment(memory="1 GB").replace(engine="nbclient")


def test_an_environment_shows_what_is_set_and_offers_what_is_its_own() -> None:
    environment = LocalEnvironment(timeout=60, on_exit=[collect_metrics("metrics.csv")])
    assert repr(environment) == "LocalEnvironment(on_exit=[collect_metrics(metrics.csv)], timeout=60.0)"
    assert repr(LocalEnvironment()) == "LocalEnvironment()"
    assert len(repr(LocalEnvironment(env={f"V{n}": "x" * 1000 for n in range(100)}))) < 300
    offered = {name for name in dir(environment) if not name.startswith("_")}
    assert {"timeout", "execute", "serialize", "replace"} <= offered
    assert not {name for name in offered if name.startswith("model_")} | (offered & {"copy", "json", "dict"})


def test_type_checkers_are_told_of_every_option() -> None:
    assert set(LocalOptions.__annotations__) == set(LocalEnvironment.model_fields)


def test_each_field_says_what_it_is() -> None:
    assert all(field.description for field in LocalEnvironment.model_fields.values())


def test_an_environment_goes_to_json_and_comes_back() -> None:
    environment = LocalEnvironment(
        labels=["night"],
        on_start=tell,
        on_exit=[collect_metrics("metrics.csv")],
        timeout=60,
        cwd=Path("~"),
        env={"A": "1"},
        retries=2,
    )
    data = json.loads(json.dumps(environment.serialize()))
    assert data["type"] == "local"
    back = Environment.deserialize(data)
    assert isinstance(back, LocalEnvironment)
    assert back.serialize() == environment.serialize()
    assert back.cwd == Path.home()
    assert back.on_exit == environment.on_exit


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"type": "moon"}, "no environment of the kind 'moon'; there are: local"),
        ({}, "no environment of the kind None"),
        ({"type": "local", "schema": 99}, "written by a newer flownb"),
        ({"type": "local", "schema": 1, "colour": "red"}, "there is no option `colour`"),
    ],
)
def test_what_is_unknown_or_newer_is_refused(data: dict[str, Any], words: str) -> None:
    with pytest.raises(EnvironmentRefusedError, match=words):
        Environment.deserialize(data)


def test_a_record_keeps_the_name_of_a_callback_that_cannot_be_stored(tmp_path: Path) -> None:
    with (tmp_path / "open").open("w") as file:
        environment = LocalEnvironment(on_exit=lambda run: file.write("x"))
        with pytest.raises(CallbackError):
            environment.serialize()
        (told,) = environment.describe()["on_exit"]
    assert told["name"].startswith("lambda")
    assert "open file" in told["not_stored"]


def test_environments_are_named_in_the_projects_settings(project: Path) -> None:
    (project / "flownb.toml").write_text(
        '[environments.night]\ntype = "local"\ntimeout = 3600\nlabels = ["night"]\ncwd = "data"\n'
        'on_exit = [{callback = "collect_metrics", path = "m.csv"}]\n'
        "[environments.quick]\nstep_timeout = 5\n"
    )
    place = Project.of(project)
    assert environment_names(place) == ("night", "quick")
    night = load_environment(place, "night", retries=1)
    assert isinstance(night, LocalEnvironment)
    assert (night.timeout, night.labels, night.retries) == (3600.0, ("night",), 1)
    assert night.cwd == project / "data"
    assert night.on_exit == (collect_metrics("m.csv"),)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("", "no environment 'night'; there are none; add"),
        ("[environments.nights]\n", "there are: nights; did you mean nights"),
        ("environments = 3\n", "`environments` is not a table of tables"),
        ("environments = {night = 3}\n", r"\[environments.night\] is not a table"),
        ("[environments.night]\ntype = 'moon'\n", "no environment of the kind 'moon'"),
        ("[environments.night]\nlabels = 'dev'\n", r"\[environments.night\]: .*labels are a list"),
    ],
)
def test_wrong_settings_are_told_with_their_place(project: Path, settings: str, words: str) -> None:
    (project / "flownb.toml").write_text(settings)
    with pytest.raises(EnvironmentRefusedError, match=words):
        load_environment(Project.of(project), "night")


def test_a_grid_is_a_list_of_points_or_all_combinations() -> None:
    assert points_of([{"a": 1}, {}]) == [{"a": 1}, {}]
    assert points_of({"a": [1, 2], "b": ["xy"]}) == [{"a": 1, "b": "xy"}, {"a": 2, "b": "xy"}]
    assert points_of({"a": range(2), "b": (3, 4)}) == [
        {"a": 0, "b": 3},
        {"a": 0, "b": 4},
        {"a": 1, "b": 3},
        {"a": 1, "b": 4},
    ]
    with pytest.raises(ParameterError, match="no list of values for `a`"):
        points_of({"a": "xy"})
    with pytest.raises(ParameterError, match="point 2 of the grid"):
        points_of([{}, 3])  # type: ignore[list-item]  # what it is about
