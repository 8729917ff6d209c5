"""The engine flownb does with a notebook what a real kernel does: both run it, and everything is compared."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from engine_likeness import (
    DIFFERENCES,
    OWN,
    STANDARD,
    Difference,
    Known,
    Outcome,
    corpus,
    differences,
    execute,
    execute_path,
    joined_streams,
    normal,
    normal_text,
    parse_sample,
    read_sample,
    sorted_out,
    summary,
)

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = Path(__file__).parent.parent / "notebooks"
LEFTOVERS = shutil.ignore_patterns(".flownb", ".ipynb_checkpoints", "__pycache__")

#: flows of the example notebooks, as papermill reads them. The notebooks themselves start runs of their own,
#: whose ids, times and memory they show: no two executions of one are alike in any engine
FLOWS: dict[str, tuple[str, dict[str, Any]]] = {
    "co2": ("co2.ipynb#co2", {"since": "1990-01-01"}),
    "alarm": ("callbacks.ipynb#alarm", {"limit": 400.0}),
    "alarm that fails": ("callbacks.ipynb#alarm", {"limit": 350.0}),
    "sample": ("capture.ipynb#sample", {"weeks": 3}),
}


def folder_of(tmp_path: Path, engine: str) -> Path:
    """Make a folder for a run; the paths are of one length, as long ones break lines of what is shown."""
    folder = tmp_path / {STANDARD: "one", OWN: "two"}[engine]
    folder.mkdir(parents=True)
    return folder


def tell(name: str, found: list[Difference]) -> None:
    unknown, gone = sorted_out(name, found)
    assert not unknown, "\n".join(map(str, unknown))
    assert not gone, f"no longer differs; take it out of DIFFERENCES and docs/engine.md: {gone}"


@pytest.mark.kernel
@pytest.mark.parametrize("name", corpus())
def test_a_notebook_does_the_same_in_both_engines(name: str, tmp_path: Path) -> None:
    sample = read_sample(corpus()[name])
    standard, own = (execute(sample, engine, folder_of(tmp_path, engine)) for engine in (STANDARD, OWN))
    tell(name, differences(standard, own))


@pytest.mark.kernel
@pytest.mark.filterwarnings("ignore:The specified file .* does not end in:UserWarning")
@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_of_the_examples_does_the_same_in_both_engines(name: str, tmp_path: Path) -> None:
    reference, parameters = FLOWS[name]
    outcomes = []
    for engine in (STANDARD, OWN):
        folder = folder_of(tmp_path, engine) / "notebooks"
        shutil.copytree(EXAMPLES, folder, ignore=LEFTOVERS)
        (folder / "flownb.toml").touch()
        outcomes.append(execute_path(f"flownb://{folder}/{reference}", engine, folder, parameters, {}))
    tell(name, differences(*outcomes))


def test_every_example_notebook_has_a_flow_that_is_compared() -> None:
    named = {reference.partition("#")[0] for reference, _ in FLOWS.values()}
    assert {path.name for path in EXAMPLES.glob("*.ipynb")} <= named


def test_the_corpus_is_large_and_every_known_difference_belongs_to_it() -> None:
    assert len(corpus()) >= 60
    assert {entry.notebook for entry in DIFFERENCES} <= {*corpus(), *FLOWS}


# --- the normaliser hides nothing else ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("<object at 0x7f12345678ab>", "<object at 0x7f00345678ff>"),
        ("/tmp/ipykernel_12/34.py:1", "/tmp/ipykernel_99/34.py:1"),
        (
            "CPU times: user 1.2 ms, sys: 0 ns, total: 1.2 ms",
            "CPU times: user 4 μs, sys: 1e+03 ns, total: 5 μs",
        ),
        ("Wall time: 1min 3s", "Wall time: 5.01 µs"),
        ("12.3 ns ± 0 ns per loop", "1 ms ± 5.2 µs per loop"),
        ("2/3 [00:00<00:01, 12.5it/s]", "2/3 [00:01<00:02, 3.10s/it]"),
        ("0/3 [00:00<?, ?it/s]", "0/3 [00:07<?, ?it/s]"),
        ("3/3 [00:00<00:00, 12.5it/s, a=1]", "3/3 [00:00<00:00, 90785.80it/s, a=1]"),
        ("3/3\u2007[00:00&lt;00:00,\u2007600.70it/s]", "3/3\u2007[00:00&lt;00:00,\u2007799.22it/s]"),
        ("<ExecutionInfo object at 7f3daef14a10, x", "<ExecutionInfo object at 7f3739928890, x"),
        (f"<DisplayHandle display_id={'a' * 32}>", f"<DisplayHandle display_id={'b' * 32}>"),
    ],
)
def test_what_differs_between_any_two_runs_is_normalised(one: str, two: str) -> None:
    assert normal_text(one) == normal_text(two)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("3/3 [00:00<00:00, 12.5it/s, a=1]", "3/3 [00:00<00:00, 12.5it/s, a=2]"),
        ("object at 7f3daef14a10", "object at 7f3739928890"),
        ("0x7f", "0x80"),  # a number of the notebook's
        ("/tmp/ipykernel_12/34.py:1", "/tmp/ipykernel_12/35.py:1"),
        ("/tmp/ipykernel_12/34.py:1", "/tmp/ipykernel_12/34.py:2"),
        ("took 5 ms", "took 6 ms"),
        ("CPU times: user 1 ms", "CPU times: user 2 ms"),  # no line of %time
        ("Wall time: soon", "Wall time: later"),
        ("2/3 [00:00<00:01, 12.5it/s]", "3/3 [00:00<00:01, 12.5it/s]"),
        ("[00:00<00:01]", "[00:00<00:02]"),
        (f"display_id={'a' * 5}", f"display_id={'b' * 5}"),
        ("a" * 32, "b" * 32),  # a digest
        ("pid 12", "pid 13"),
        ("line 3", "line 4"),
        ("x", "x\n"),
        ("\x1b[31mx", "x"),
    ],
)
def test_what_is_the_notebooks_own_is_compared(one: str, two: str) -> None:
    assert normal_text(one) != normal_text(two)


def test_the_folder_of_a_run_is_normalised_in_texts_and_keys_and_no_other() -> None:
    assert normal({"/a/folder/x": ["/a/folder", 5]}, "/a/folder") == {"FOLDER/x": ["FOLDER", 5]}
    assert normal_text("/a/other", "/a/work") == "/a/other"


def stream(name: str, text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


def test_pieces_of_one_stream_are_joined_and_what_is_between_them_parts_them() -> None:
    shown = {"output_type": "display_data", "data": {"text/plain": "x"}, "metadata": {}}
    pieces = [
        stream("stdout", "a"),
        stream("stdout", "b"),
        stream("stderr", "c"),
        shown,
        stream("stderr", "d"),
    ]
    assert joined_streams(pieces) == [
        stream("stdout", "ab"),
        stream("stderr", "c"),
        shown,
        stream("stderr", "d"),
    ]
    assert joined_streams(
        [stream("stdout", "a"), stream("stderr", "b"), stream("stdout", "c")]
    ) != joined_streams([stream("stdout", "ac"), stream("stderr", "b")])


# --- the comparer sees every change ------------------------------------------------------------------------


def outcome(
    change: Callable[[dict[str, Any]], None] = lambda parts: None, *, x: str = "1" * 32, y: str = "2" * 32
) -> Outcome:
    """Make an outcome with widgets x and y; `change` changes the notebook, its error or its files."""
    view = {
        "application/vnd.jupyter.widget-view+json": {"model_id": x, "version_major": 2},
        "text/plain": "x",
    }
    state = {
        x: {"model_name": "Box", "state": {"children": [f"IPY_MODEL_{y}"]}},
        y: {"model_name": "Text", "state": {"value": "v"}},
    }
    timed = {
        "start_time": "2024-01-02T03:04:05.678901+00:00",
        "duration": 0.5,
        "exception": False,
        "status": "completed",
    }
    cell = {
        "cell_type": "code",
        "id": "cell-0",
        "execution_count": 1,
        "metadata": {"papermill": dict(timed), "tags": ["a"]},
        "source": "x",
        "outputs": [
            stream("stdout", "text"),
            {"output_type": "display_data", "data": view, "metadata": {"m": 1}},
        ],
    }
    widgets = {"application/vnd.jupyter.widget-state+json": {"state": state, "version_major": 2}}
    metadata = {
        "papermill": dict(timed),
        "widgets": widgets,
        "language_info": {"name": "python"},
        "kernelspec": {"name": "python3"},
    }
    parts = {"notebook": {"cells": [cell], "metadata": metadata}, "error": None, "files": {"a.txt": "a"}}
    change(parts)
    return Outcome(parts["notebook"], parts["error"], parts["files"], "/a/work")


def cell(parts: dict[str, Any]) -> dict[str, Any]:
    return parts["notebook"]["cells"][0]


def widgets(parts: dict[str, Any]) -> dict[str, Any]:
    return parts["notebook"]["metadata"]["widgets"]["application/vnd.jupyter.widget-state+json"]["state"]


def test_two_runs_that_differ_in_ids_and_times_alone_are_alike() -> None:
    def later(parts: dict[str, Any]) -> None:
        block = cell(parts)["metadata"]["papermill"]
        block["start_time"], block["duration"] = "2025-01-02T03:04:05.000001+00:00", 1.25

    assert differences(outcome(), outcome(later, x="9" * 32, y="0" * 32)) == []


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "cells.0.execution_count": lambda parts: cell(parts).update(execution_count=2),
    "cells.0.source": lambda parts: cell(parts).update(source="y"),
    "cells.0.id": lambda parts: cell(parts).update(id="cell-1"),
    "cells.0.metadata.tags": lambda parts: cell(parts)["metadata"].update(tags=[]),
    "cells.0.metadata.papermill.status": lambda parts: cell(parts)["metadata"]["papermill"].update(
        status="failed"
    ),
    "cells.0.metadata.papermill.duration": lambda parts: cell(parts)["metadata"]["papermill"].update(
        duration=None
    ),
    "cells.0.metadata.papermill.start_time": lambda parts: cell(parts)["metadata"]["papermill"].pop(
        "start_time"
    ),
    "cells.0.outputs.0.text": lambda parts: cell(parts)["outputs"][0].update(text="text\n"),
    "cells.0.outputs.0.name": lambda parts: cell(parts)["outputs"][0].update(name="stderr"),
    "cells.0.outputs.1.data.text/plain": lambda parts: cell(parts)["outputs"][1]["data"].update(
        {"text/plain": "y"}
    ),
    "cells.0.outputs.1.data.text/html": lambda parts: cell(parts)["outputs"][1]["data"].update(
        {"text/html": "y"}
    ),
    "cells.0.outputs.1.metadata.m": lambda parts: cell(parts)["outputs"][1].update(metadata={"m": True}),
    "cells.0.outputs": lambda parts: cell(parts)["outputs"].pop(),
    "cells": lambda parts: parts["notebook"]["cells"].append(cell(parts)),
    "metadata.language_info.name": lambda parts: parts["notebook"]["metadata"].update(
        language_info={"name": "r"}
    ),
    "metadata.kernelspec": lambda parts: parts["notebook"]["metadata"].pop("kernelspec"),
    "error": lambda parts: parts.update(error={"type": "x", "message": "", "attributes": {}}),
    "files.b.txt": lambda parts: parts["files"].update({"b.txt": ""}),
    "files.a.txt": lambda parts: parts["files"].update({"a.txt": "b"}),
}


@pytest.mark.parametrize("where", CHANGES)
def test_a_change_is_found_where_it_is(where: str) -> None:
    assert [one.where for one in differences(outcome(), outcome(CHANGES[where]))] == [where]


@pytest.mark.parametrize(
    "change",
    [
        lambda parts: widgets(parts)["2" * 32]["state"].update(value="w"),
        lambda parts: widgets(parts).pop("2" * 32),
        lambda parts: widgets(parts)["1" * 32]["state"].update(children=[]),
        lambda parts: widgets(parts)["1" * 32]["state"].update(children=["IPY_MODEL_" + "1" * 32]),
        lambda parts: parts["notebook"]["metadata"].pop("widgets"),
    ],
)
def test_a_change_in_a_widget_is_found(change: Callable[[dict[str, Any]], None]) -> None:
    assert differences(outcome(), outcome(change))


def test_outputs_in_another_order_are_not_alike() -> None:
    assert differences(outcome(), outcome(lambda parts: cell(parts)["outputs"].reverse()))


def test_a_known_difference_is_let_pass_and_missed_when_it_is_gone() -> None:
    known = (Known("a", "cells.*.text", "reason"), Known("b", "error", "reason"))
    found = [Difference("cells.0.outputs.1.text", "x", "y"), Difference("error", None, {})]
    assert sorted_out("a", found, known) == ([found[1]], [])
    assert sorted_out("a", found[1:], known) == ([found[1]], [known[0]])
    assert sorted_out("b", found, known) == ([found[0]], [])


# --- the reader and the summary ----------------------------------------------------------------------------


def test_a_corpus_file_is_read_with_its_kinds_of_cells_tags_and_options() -> None:
    text = (
        'parameters: {"n": 1}\noptions: {"report_mode": true}\n# %%\n%%bash\necho\n\n'
        '# %% [markdown]\nText\n# %% tags=a,b\n# %% metadata={"x": 1}\n1\n'
    )
    sample = parse_sample("name", text)
    cells = [(one["cell_type"], one["metadata"], one["source"]) for one in sample.notebook["cells"]]
    assert cells == [
        ("code", {}, "%%bash\necho\n"),
        ("markdown", {}, "Text"),
        ("code", {"tags": ["a", "b"]}, ""),
        ("code", {"x": 1}, "1"),
    ]
    assert (sample.parameters, sample.options) == ({"n": 1}, {"report_mode": True})


@pytest.mark.parametrize("text", ["strange: 1\n# %%\n1", "words\n# %%\n1", "# %% tag=x\n1"])
def test_a_corpus_file_that_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not understood"):
        parse_sample("name", text)


def test_the_summary_counts_notebooks_cells_outputs_and_differences_by_kind() -> None:
    one = outcome()
    found = differences(one, outcome(CHANGES["cells.0.outputs.0.text"]))
    assert (
        summary({"a": (one, found), "b": (one, [])})
        == "2 notebooks, 2 cells, 4 outputs, 1 differences\n  1 outputs text"
    )
