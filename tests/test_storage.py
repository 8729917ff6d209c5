"""The contract of a storage, and the notebook as a storage."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from flownb import NotebookStorage, Storage, open_storage
from flownb.document import MIME, to_dict
from flownb.errors import DocumentError, FlowExistsError, FlownbError, FlowNotFoundError, StorageError
from flownb.flow import Carried, Flow, Parameter, Step
from flownb.storage import GitStorage, open_flow, parse_reference
from flownb.storage.papermill_io import FlowHandler
from flownb.testing.flows import whole

if TYPE_CHECKING:
    from pathlib import Path

SALES = Flow(
    "daily sales",
    description="Sales of a day.",
    parameters=(Parameter("n", "int", "2", "how many"),),
    steps=(
        Step("load", "rows = [scale(v) for v in range(n)]", reads=("n", "scale"), binds=("rows",)),
        Step("sum", "total = sum(rows)", ("total",), reads=("rows",), binds=("total",)),
    ),
    closure=(
        Carried("math", "import", "import math", type="module"),
        Carried("SCALE", "statement", "SCALE = 3", ("SCALE",), type="statement", cell=1),
        Carried(
            "scale",
            "statement",
            "def scale(v):\n    return math.floor(v * SCALE)",
            ("scale",),
            reads=("SCALE", "math"),
            type="function",
            cell=1,
        ),
    ),
)
OTHER = Flow("été", steps=(Step("été", "1 + 1", result=True),))


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return open_storage(tmp_path / "notebook {0}.ipynb")


def test_a_flow_added_is_there_under_its_name_and_location(storage: Storage) -> None:
    location = storage.add_flow(SALES)
    assert storage.flows == {"daily sales": location}
    assert "daily sales" in storage
    assert "Daily Sales" not in storage
    assert SALES in storage
    assert replace(SALES, closure=()) not in storage
    assert 3 not in storage


def test_a_flow_got_back_has_its_digest_and_knows_where_it_lies(storage: Storage) -> None:
    location = storage.add_flow(SALES)
    flow = storage.get_flow(location)
    assert flow == SALES
    assert flow.location == location
    assert flow.storage == storage.serialize()
    assert storage.get_flow("daily sales") == SALES


def test_adding_a_name_twice_names_it_in_the_error(storage: Storage) -> None:
    storage.add_flow(SALES)
    with pytest.raises(FlowExistsError, match="daily sales"):
        storage.add_flow(SALES)
    assert len(storage.flows) == 1


def test_replacing_adds_a_new_version_under_another_location(storage: Storage) -> None:
    storage.add_flow(OTHER)
    first = storage.add_flow(SALES)
    second = storage.add_flow(replace(SALES, description=""), replace=True)
    assert first != second
    assert set(storage.flows) == {"daily sales", "été"}
    assert storage.get_flow("été") == OTHER


def test_a_version_is_honoured_or_refused(storage: Storage) -> None:
    storage.add_flow(SALES)
    assert storage.get_flow(f"daily sales@{SALES.digest}") == SALES
    assert storage.get_flow(f"daily sales@{SALES.digest[:6]}") == SALES
    for wrong in ("0" * 12, "latest", SALES.digest[:2], "main"):
        with pytest.raises(FlowNotFoundError, match="in version"):
            storage.get_flow(f"daily sales@{wrong}")


def test_a_name_that_is_not_there_is_told_with_the_nearest(storage: Storage) -> None:
    storage.add_flow(SALES)
    with pytest.raises(FlowNotFoundError, match="did you mean daily sales"):
        storage.get_flow("daily sale")
    with pytest.raises(FlowNotFoundError, match="it holds daily sales"):
        storage.get_flow("xyz")


def test_a_runner_runs_the_flow_here(storage: Storage) -> None:
    location = storage.add_flow(SALES)
    assert storage.get_runner(location).run(n=3) == {"total": 9}


def test_a_storage_is_serialised_as_json_and_made_again(storage: Storage) -> None:
    storage.add_flow(SALES)
    again = Storage.deserialize(json.loads(json.dumps(storage.serialize())))
    assert again.flows == storage.flows
    assert again.serialize() == storage.serialize()


def test_building_loads_every_flow_back(storage: Storage) -> None:
    storage.add_flow(SALES)
    storage.add_flow(OTHER)
    assert storage.build() is storage


def test_a_notebook_of_this_machine_has_no_runner_for_another(storage: Storage) -> None:
    storage.add_flow(SALES)
    with pytest.raises(StorageError, match="lies on this machine only"):
        storage.get_env_runner("daily sales")


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(StorageError, match="'tape'; there are: directory, git, notebook"):
        Storage.deserialize({"kind": "tape"})


def test_a_class_without_a_kind_of_its_own_is_not_serialised(tmp_path: Path) -> None:
    class Mine(NotebookStorage):
        """Adds a method, say."""

    class Named(NotebookStorage):
        kind = "notebook"

    class Own(NotebookStorage):
        kind = "own"

    for cls in (Mine, Named):
        storage = cls(tmp_path / "a.ipynb")
        for act in (storage.serialize, lambda: pickle.dumps(storage)):  # noqa: B023
            with pytest.raises(StorageError, match=rf"{cls.__name__} has (no `kind` of its own|the kind)"):
                act()
        assert "a" not in storage
    assert Own(tmp_path / "a.ipynb").serialize()["kind"] == "own"
    with pytest.raises(StorageError, match="not one of the kind 'own'"):
        Own.from_serialized(NotebookStorage(tmp_path / "a.ipynb").serialize())


@pytest.mark.parametrize(
    "data",
    [
        {"kind": "notebook", "path": "/x/../y/a.ipynb"},
        {
            "kind": "git",
            "repo": "/x/y",
            "branch": "flownb",
            "folder": "flows",
            "revision": "v1",
            "sign": True,
        },
        {
            "kind": "git",
            "repo": "https://host.example/f.git",
            "branch": "b",
            "folder": "f",
            "remote": "origin",
        },
        {"kind": "directory", "url": "/x/flows"},
        {"kind": "directory", "url": "s3://b/f", "options": {"anon": True}, "left_out": ["key", "secret"]},
    ],
)
def test_what_was_serialised_before_there_was_a_schema_is_read(data: dict[str, Any]) -> None:
    storage = Storage.deserialize(data)
    assert {**storage.serialize(), "path": ""} == {**data, "schema": 1, "path": ""}
    assert Storage.deserialize(storage.serialize()) == storage


@pytest.mark.parametrize("data", [None, [], 5, "git", {}, {"kind": 3}, {"kind": ["git"]}, {"kind": "git"}])
def test_what_is_no_serialised_storage_is_an_error_of_the_family(data: Any) -> None:
    with pytest.raises(StorageError):
        Storage.deserialize(data)


def test_storages_that_cannot_be_reached_are_compared_all_the_same(tmp_path: Path) -> None:
    gone = GitStorage(tmp_path / "nowhere")
    assert gone == GitStorage(tmp_path / "nowhere")
    assert len({gone, GitStorage(tmp_path / "nowhere"), GitStorage(tmp_path / "other")}) == 2
    assert gone != NotebookStorage(tmp_path / "nowhere")
    assert gone != str(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("given", "left_out"),
    [
        ({"repo": "https://ann:t0ken-1@host.example/f.git"}, ["password", "username"]),
        ({"repo": "git+https://t0ken-1@host.example/f.git"}, ["username"]),
        ({"repo": ".", "remote": "https://ann:t0ken-1@host.example/f.git"}, ["password", "username"]),
        ({"repo": "ssh://git:t0ken-1@host.example/f.git"}, []),
    ],
)
def test_a_token_in_a_url_is_told_nowhere_and_missed_by_name(
    given: dict[str, str], left_out: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = GitStorage(**given)
    pickled = pickle.dumps(storage)
    shown = [repr(storage), str(storage), storage.name, storage.identity, repr(vars(storage))]
    assert "t0ken-1" not in "".join([*shown, json.dumps(storage.serialize()), pickled.decode("latin-1")])
    assert storage.serialize().get("left_out", []) == left_out
    again = pickle.loads(pickled)
    assert list(again.missing) == left_out
    assert again.serialize() == storage.serialize()
    assert again == storage
    monkeypatch.setenv("FLOWNB_STORAGE_PASSWORD", "of another storage")  # which anybody's data could ask for
    assert pickle.loads(pickled).missing == again.missing
    secrets = {"username": "ann", "password": "t0ken-1"}
    whole_again = Storage.deserialize(storage.serialize(), secrets)
    assert list(whole_again.missing) == []
    assert "t0ken-1" not in repr(vars(whole_again))
    assert whole_again.serialize() == storage.serialize()


# --- the notebook as a storage ---


def cleared(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    nbformat.write(notebook, path)


def test_a_flow_is_written_as_cells_that_run_and_read_as_any_other(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    NotebookStorage(path).add_flow(SALES)
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert [cell.source.split("\n")[0] for cell in notebook.cells] == [
        "import math", "SCALE = 3", '%%flow "daily sales.load"', '%%flow "daily sales.sum" --out total',
    ]  # fmt: skip
    assert all(MIME in cell.outputs[0].data for cell in notebook.cells[2:])


def test_a_flow_is_found_from_source_when_the_outputs_were_cleared(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    NotebookStorage(path).add_flow(SALES)
    cleared(path)
    assert NotebookStorage(path).get_flow("daily sales") == SALES
    assert NotebookStorage(path).get_runner("daily sales").run() == {"total": 3}


def test_a_record_of_another_source_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    storage = NotebookStorage(path)
    storage.add_flow(SALES)
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[-1].source = notebook.cells[-1].source.replace("sum(rows)", "max(rows)")
    nbformat.write(notebook, path)
    assert storage.get_flow("daily sales").run() == {"total": 3}
    assert storage.get_flow("daily sales") != SALES


def test_other_cells_of_the_notebook_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    before = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_markdown_cell("# Überschrift"), nbformat.v4.new_code_cell("x = 1")]
    )
    before.metadata["mine"] = {"kept": True}
    nbformat.write(before, path)
    storage = NotebookStorage(path)
    storage.add_flow(SALES)
    storage.add_flow(replace(SALES, description="Other."), replace=True)
    after = nbformat.read(path, as_version=4)
    assert [cell.source for cell in after.cells[:2]] == ["# Überschrift", "x = 1"]
    assert len(after.cells) == 6
    assert after.metadata["mine"] == {"kept": True}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "not JSON"),
        (b"\x80\x81", "cannot be read"),
        (b"[1, 2]", "not a notebook"),
        (b'{"nbformat": 3, "worksheets": []}', "old format 3"),
        (
            b'{"nbformat": 4, "cells": [], "metadata": {"kernelspec": {"language": "R"}}}',
            "in r",
        ),
    ],
)
def test_what_is_no_notebook_of_ours_is_refused_and_left_alone(
    tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "a.ipynb"
    path.write_bytes(content)
    for act in (
        lambda: NotebookStorage(path).flows,
        lambda: NotebookStorage(path).add_flow(SALES),
        lambda: open_flow(str(path)),
    ):
        with pytest.raises(FlownbError, match=words):
            act()
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "content", ["", "\n", '{"nbformat": 4, "nbformat_minor": 5, "cells": [], "metadata": {}}']
)
def test_an_empty_notebook_holds_no_flows_and_takes_one(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.ipynb"
    path.write_text(content)
    assert NotebookStorage(path).flows == {}
    with pytest.raises(FlowNotFoundError, match="holds no flows"):
        open_flow(str(path))
    NotebookStorage(path).add_flow(OTHER)
    assert list(NotebookStorage(path).flows) == ["été"]


def test_a_damaged_record_is_told_with_its_cell(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    NotebookStorage(path).add_flow(OTHER)
    notebook = json.loads(path.read_text())
    notebook["cells"][-1]["outputs"][0]["data"][MIME]["cells"] = [{"cell_type": 5}]
    path.write_text(json.dumps(notebook))
    with pytest.raises(FlownbError, match=r"a\.ipynb.*cell 1"):
        NotebookStorage(path).get_flow("été")


@pytest.mark.kernel
def test_processes_that_add_flows_to_one_notebook_at_once_lose_none(tmp_path: Path) -> None:
    code = (
        "import sys; from flownb import Flow, NotebookStorage; from flownb.flow import Step\n"
        "for n in range(5):\n"
        "    name = f'{sys.argv[2]} {n}'\n"
        "    NotebookStorage(sys.argv[1]).add_flow(Flow(name, steps=(Step(name, 'x = 1'),)))"
    )
    path = str(tmp_path / "a.ipynb")
    writers = [subprocess.Popen([sys.executable, "-c", code, path, f"writer {n}"]) for n in range(4)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0, 0]
    assert len(NotebookStorage(path).flows) == 20


def test_a_flow_that_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    cells = [nbformat.v4.new_code_cell(source) for source in ("%%flow bad\nmissing", "%%flow good\n1 + 1")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    storage = NotebookStorage(path)
    assert list(storage.flows) == ["bad", "good"]
    assert storage.get_flow("good").run() == {"result": 2}
    with pytest.raises(FlownbError, match="`missing`"):
        storage.get_flow(storage.flows["bad"])
    with pytest.raises(StorageError, match=r"bad: .*`missing`"):
        storage.build()


def test_a_cell_whose_line_names_no_flow_is_told_beside_the_flows(tmp_path: Path) -> None:
    cells = [nbformat.v4.new_code_cell(text) for text in ("%%flow <img>\nx = 1", "%%flow fine\nx = 1")]
    path = tmp_path / "a.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    storage = NotebookStorage(path)
    assert list(storage.flows) == ["fine"]
    (problem,) = storage.problems
    assert "cell 1 of" in problem
    assert "<img>" in problem


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    os.mkfifo(path)
    with pytest.raises(StorageError, match="it is not a file"):
        NotebookStorage(path).notebook  # noqa: B018


def test_an_address_is_no_file() -> None:
    with pytest.raises(StorageError, match=r"'https://a\.example/x\.ipynb' is no storage"):
        open_storage("https://a.example/x.ipynb")


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    storage = NotebookStorage(tmp_path / "a.ipynb")
    storage.add_flow(OTHER)
    assert list(storage.flows) == ["été"]
    storage.path.write_text(json.dumps(nbformat.v4.new_notebook()))
    assert storage.flows == {}


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"nothing can be written in .*missing"):
        NotebookStorage(tmp_path / "missing" / "a.ipynb").add_flow(OTHER)


def test_a_notebook_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    storage = NotebookStorage(tmp_path / "missing.ipynb")
    assert dict(storage.flows) == {}
    assert "a" not in storage
    assert OTHER not in storage
    assert storage.whole is None
    assert storage.build() is storage
    with pytest.raises(FlowNotFoundError, match="it is not there: no such file"):
        storage.get_flow("a")
    with pytest.raises(FlowNotFoundError, match=r"missing\.ipynb is not there"):
        open_flow(str(storage.path))
    assert not storage.path.exists()
    assert NotebookStorage(tmp_path / "no folder" / "a.ipynb").flows == {}


def test_a_notebook_stays_the_same_file_wherever_the_process_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    storages = [NotebookStorage(text) for text in ("n.ipynb", "elsewhere/../n.ipynb", "~/n.ipynb")]
    monkeypatch.chdir("elsewhere")
    location = storages[0].add_flow(OTHER)
    for storage in storages:
        assert storage.path == tmp_path / "n.ipynb"
        assert storage.identity == f"notebook:{tmp_path / 'n.ipynb'}"
        assert storage.serialize() == storages[0].serialize()
        assert storage.flows == {"été": location}
    assert storages[0].name == "n.ipynb"
    assert (tmp_path / "n.ipynb").exists()


# --- a notebook that is taken whole ---


def plain(path: Path, *cells: Any) -> Path:
    made = [nbformat.v4.new_code_cell(cell) if isinstance(cell, str) else cell for cell in cells]
    nbformat.write(nbformat.v4.new_notebook(cells=made), path)
    return path


def test_a_whole_notebook_stays_that_notebook_also_with_its_outputs_cleared(tmp_path: Path) -> None:
    path = tmp_path / "copy.ipynb"
    location = NotebookStorage(path).add_flow(whole())
    cleared(path)
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert [cell.cell_type for cell in notebook.cells] == ["markdown", "code", "code", "raw", "code"]
    assert notebook.cells[0].source == "# Sales"
    flow = NotebookStorage(path).get_flow(location)
    assert flow == whole()
    assert flow.folder == tmp_path
    assert [parameter.name for parameter in flow.parameters] == ["n"]
    assert NotebookStorage(path).build().get_runner("report").run(n=3) == {"total": 6}


def test_a_whole_notebook_has_a_notebook_to_itself(tmp_path: Path) -> None:
    others = NotebookStorage(tmp_path / "others.ipynb")
    others.add_flow(OTHER)
    before = others.path.read_bytes()
    with pytest.raises(StorageError, match="report is a whole notebook, which is kept in one by itself"):
        others.add_flow(whole())
    assert others.path.read_bytes() == before
    alone = NotebookStorage(tmp_path / "alone.ipynb")
    alone.add_flow(whole())
    with pytest.raises(StorageError, match="document of one flow"):
        alone.add_flow(OTHER)
    with pytest.raises(FlowExistsError, match="report"):
        alone.add_flow(whole(text="# Other"))
    location = alone.add_flow(whole(text="# Other"), replace=True)
    assert alone.flows == {"report": location}
    assert alone.get_flow("report") == whole(text="# Other")


def test_a_notebook_is_in_its_storage_where_it_can_be_got(tmp_path: Path) -> None:
    storage = NotebookStorage(plain(tmp_path / "sales 2026.ipynb", "x = 1", "x + 1"))
    flow = storage.get_flow("sales 2026")
    assert "sales 2026" in storage
    assert flow in storage
    assert flow.location in storage
    assert storage.resolve("sales 2026") == flow.location
    assert storage.history("sales 2026")[0].location == flow.location
    assert storage.flows == {}
    before = storage.path.read_bytes()
    assert storage.add_flow(flow, replace=True) == flow.location
    assert storage.path.read_bytes() == before


def test_the_value_that_a_whole_notebook_shows_last_is_its_result(tmp_path: Path) -> None:
    path = plain(tmp_path / "a.ipynb", "x = 1", "x + 1", "")
    flow = Flow.from_notebook(path)
    assert flow.outputs == ("result",)
    assert flow.run() == {"result": 2}
    for last in ("y = 2", "x;", "print(x)"):
        assert Flow.from_notebook(plain(tmp_path / "b.ipynb", "x = 1", last)).outputs == ()


def test_outputs_of_a_whole_notebook_can_be_declared(tmp_path: Path) -> None:
    path = plain(tmp_path / "a.ipynb", "x = 1\ny = 2", "x += 1", "x + y")
    flow = Flow.from_notebook(path, outputs=["x", "y"])
    assert flow.outputs == ("x", "y")
    assert flow.run() == {"x": 2, "y": 2}
    assert flow != Flow.from_notebook(path)
    storage = NotebookStorage(path, outputs=["x", "y"])
    assert storage.get_flow("a") == flow
    assert Storage.deserialize(storage.serialize()).get_flow("a") == flow
    flow.write(tmp_path / "document.ipynb")
    assert Flow.read(tmp_path / "document.ipynb") == flow
    assert Flow.read(tmp_path / "document.ipynb").outputs == ("x", "y")
    with pytest.raises(DocumentError, match=r"no cell of a binds 'zz', to be an output; it binds x, y"):
        Flow.from_notebook(path, outputs=["zz"])
    with pytest.raises(StorageError, match="no list of names"):
        NotebookStorage(path, outputs="x")
    own = NotebookStorage(tmp_path / "own.ipynb")
    own.add_flow(OTHER)
    with pytest.raises(StorageError, match="declare their outputs themselves"):
        open_flow(f"{own.path}#été", outputs=["x"])


def test_the_digest_of_a_whole_notebook_does_not_tell_what_it_shows(tmp_path: Path) -> None:
    """So that documents written before it had a result keep the digest that they say."""
    flow = Flow.from_notebook(plain(tmp_path / "a.ipynb", "x = 1", "x + 1"))
    without = replace(flow, steps=tuple(replace(step, result=False) for step in flow.steps))
    assert without.digest == flow.digest


def test_a_notebook_with_a_name_of_any_script_is_a_flow_of_that_name(tmp_path: Path) -> None:
    for name in ("हिन्दी", "e\u0301te\u0301", "தமிழ்"):
        path = plain(tmp_path / f"{name}.ipynb", "1 + 1")
        assert Flow.from_notebook(path).name == unicodedata.normalize("NFC", name)
        assert name in NotebookStorage(path)


# --- references ---


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.ipynb#sales", ("a.ipynb", "sales", None)),
        ("a.ipynb#daily sales@4f2c91e", ("a.ipynb", "daily sales", "4f2c91e")),
        ("a#b.ipynb#x", ("a#b.ipynb", "x", None)),
        ("git@host:team/flows.git#sales@v1.2", ("git@host:team/flows.git", "sales", "v1.2")),
        ("a.ipynb", ("a.ipynb", None, None)),
        ("draft #2.ipynb", ("draft #2.ipynb", None, None)),
        ("draft #2.ipynb#x", ("draft #2.ipynb", "x", None)),
    ],
)
def test_a_reference_names_store_flow_and_version(text: str, expected: tuple[Any, ...]) -> None:
    reference = parse_reference(text)
    assert (reference.store, reference.name, reference.version) == expected
    assert str(reference) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "#",
        "#a",
        "a.ipynb#",
        "a.ipynb#x@",
        "a.ipynb#x@--upload-pack=touch",
        "a.ipynb#../x",
        "a\0b#x",
        "a#x@b\tc",
    ],
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(FlownbError):
        parse_reference(text)


def test_the_only_flow_of_a_store_needs_no_name(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    storage = NotebookStorage(path)
    storage.add_flow(SALES)
    assert open_flow(str(path))[1] == SALES
    storage.add_flow(OTHER)
    with pytest.raises(FlowNotFoundError, match="daily sales, été; say which"):
        open_flow(str(path))


def test_papermill_reads_a_flow_and_writes_none(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    location = NotebookStorage(path).add_flow(SALES)
    stored = NotebookStorage(path).get_flow(location)
    document = json.loads(FlowHandler.read(f"flownb://{path}#daily sales"))
    assert str(tmp_path) in document["cells"].pop(0)["source"], "it begins in the folder of its notebook"
    assert document == to_dict(stored)
    assert FlowHandler.listdir(f"flownb://{path}") == [f"flownb://{path}#daily sales"]
    assert FlowHandler.pretty_path("flownb://x#y") == "flownb://x#y"
    with pytest.raises(StorageError, match="name a file"):
        FlowHandler.write("{}", "flownb://x#y")


@pytest.mark.kernel
def test_plain_papermill_runs_a_flow_in_the_folder_of_its_notebook(tmp_path: Path) -> None:
    folder = tmp_path / "books"
    folder.mkdir()
    (folder / "data.txt").write_text("4")
    since = Parameter("since", "date", "date(2026, 1, 1)")
    step = Step("a", "print(open('data.txt').read(), since.year, since.month)", reads=("since",))
    imports = Carried("date", "import", "from datetime import date")
    NotebookStorage(folder / "a.ipynb").add_flow(
        Flow("a", parameters=(since,), steps=(step,), closure=(imports,))
    )
    command = [
        sys.executable,
        "-m",
        "papermill",
        "flownb://books/a.ipynb#a",
        "out.ipynb",
        "-p",
        "since",
        "1990-02-03",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "4 1990 2" in (tmp_path / "out.ipynb").read_text()


def test_a_flow_document_is_a_storage_of_its_flow(tmp_path: Path) -> None:
    SALES.write(tmp_path / "document.ipynb")
    storage, flow = open_flow(str(tmp_path / "document.ipynb"))
    assert list(storage.flows) == ["daily sales"]
    assert flow == SALES
    assert flow.folder == tmp_path
    with pytest.raises(StorageError, match="document of one flow"):
        storage.add_flow(OTHER)


def test_a_file_of_another_kind_is_no_storage(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    with pytest.raises(StorageError, match="not a notebook"):
        open_storage(tmp_path / "a.txt")
    with pytest.raises(DocumentError, match="there is no file"):
        Flow.read(tmp_path / "b.ipynb")
