from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flownb.errors import OutputError, OutputNotFoundError
from flownb.runs import Outputs
from flownb.runs.outputs import declared_outputs
from flownb.runs.record import OutputRecord, StepRecord
from flownb.runs.values import store

UNPICKLED: list[str] = []


def note(word: str) -> str:
    UNPICKLED.append(word)
    return word


class Trap:
    """Tells when it is unpickled."""

    def __reduce__(self) -> Any:
        return note, ("unpickled",)

    def __repr__(self) -> str:
        return "<b>trap</b>\u202e"


def signed(record: dict[str, Any]) -> OutputRecord:
    """Return the record of an output that one may read, whatever it is."""
    return replace(OutputRecord.from_json(record), signed=True)


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    UNPICKLED.clear()
    records = [
        store("numbers", [1, 2], tmp_path),
        store("trap", Trap(), tmp_path),
        {
            "name": "lost",
            "format": "error",
            "type": "generator",
            "error": "`lost` cannot be stored: it is one",
        },
    ]
    return Outputs([signed({**record, "step": "load"}) for record in records], tmp_path)


def test_a_value_is_read_when_it_is_asked_for_and_once(outputs: Outputs, tmp_path: Path) -> None:
    first = outputs["numbers"]
    assert first == [1, 2]
    for path in tmp_path.iterdir():
        path.unlink()
    assert outputs["numbers"] is first


def test_listing_comparing_and_showing_unpickle_nothing(outputs: Outputs) -> None:
    assert list(outputs) == ["numbers", "trap"]
    assert len(outputs) == 2
    assert "trap" in outputs
    assert "lost" not in outputs
    assert not outputs.__contains__(3)
    assert outputs != Outputs([], Path("/"))
    assert outputs == outputs
    assert hash(outputs)
    assert outputs.keys() == {"numbers", "trap"}
    text, shown = repr(outputs), outputs._repr_html_()
    assert UNPICKLED == []
    assert "[1, 2]" in text
    assert "list, 2" in shown
    assert "<b>" not in shown
    assert "&lt;b&gt;trap&lt;/b&gt;" in shown
    assert "\u202e" not in shown + text
    assert "generator" in shown
    _ = outputs["trap"]
    assert UNPICKLED == ["unpickled"]


def test_a_name_that_is_not_there_is_both_errors_and_names_those_there_are(outputs: Outputs) -> None:
    with pytest.raises(
        OutputError, match=r"no output 'number'; there are: numbers, trap; did you mean `numbers`\?"
    ):
        outputs["number"]
    with pytest.raises(KeyError) as caught:
        outputs["\u202e"]
    assert "\u202e" not in str(caught.value)
    assert isinstance(caught.value, OutputNotFoundError)
    assert not str(caught.value).startswith("'")
    assert isinstance(pickle.loads(pickle.dumps(caught.value)), OutputNotFoundError)
    assert outputs.get("nothing", 7) == 7


def test_an_output_that_could_not_be_stored_says_why(outputs: Outputs) -> None:
    with pytest.raises(OutputError, match=r"could not be stored: .*it is one") as caught:
        outputs["lost"]
    assert not isinstance(caught.value, KeyError)


def test_a_value_that_another_python_pickled_is_refused(tmp_path: Path) -> None:
    record = store("x", Trap(), tmp_path) | {"python": "00000000 3.9.1"}
    UNPICKLED.clear()
    with pytest.raises(OutputError, match=r"output `x` was pickled by Python 3\.9\.1"):
        Outputs([signed(record)], tmp_path)["x"]
    assert UNPICKLED == []


def test_a_pickle_that_does_not_load_is_an_error_that_names_the_output(tmp_path: Path) -> None:
    class Bad:
        def __reduce__(self) -> Any:
            return int, ("x",)

    record = store("x", Bad(), tmp_path)
    with pytest.raises(
        OutputError, match=r"output `x` \(Bad\) cannot be read back: .*invalid literal|output"
    ):
        Outputs([signed(record)], tmp_path)["x"]


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("Pending", "did not run, or not yet"),
        ("Running", "has not finished yet"),
        ("Failed", r"did not finish \(Failed\)"),
        ("Crashed", r"did not finish \(Crashed\)"),
        ("Success", "finished without a value"),
    ],
)
def test_an_output_whose_step_did_not_finish_says_so(tmp_path: Path, state: str, says: str) -> None:
    document = tmp_path / "flow.ipynb"
    blocks: list[Any] = [
        {"role": "imports"},
        {"role": "step", "step": "report", "outputs": ["summary"], "result": True},
        "nonsense",
    ]
    document.write_text(json.dumps({"cells": [{"metadata": {"flownb": block}} for block in blocks] + [{}]}))
    outputs = Outputs([], tmp_path, steps=[StepRecord("report", 0, state)], document=document)
    assert declared_outputs(document) == {"summary": "report", "result": "report"}
    with pytest.raises(OutputNotFoundError, match=rf"`summary` is not there: its step `report` {says}"):
        outputs["summary"]
    with pytest.raises(OutputNotFoundError, match=r"no output 'x'; it has none"):
        outputs["x"]


@pytest.mark.parametrize("content", [None, "{", "[]", '{"cells": 1}', '{"cells": [1]}'])
def test_a_document_that_cannot_be_read_declares_nothing(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "flow.ipynb").write_text(content)
    assert declared_outputs(tmp_path / "flow.ipynb") == {}
