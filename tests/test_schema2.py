"""Documents and records of schema 2, as flownb wrote them before: a flow's environment was only a name."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from flownb.environments.chosen import environment_for
from flownb.errors import StorageError
from flownb.flow import Flow
from flownb.runs import Project
from flownb.storage import DirectoryStorage, open_storage

WRITTEN = Path(__file__).parent / "schema2"
NAMED, WHOLE = "named@8830bd5d1e40", "whole@2729e4b9d38f"


@pytest.fixture
def flows(project: Path) -> DirectoryStorage:
    shutil.copytree(WRITTEN / "flows", project / "flows")
    return DirectoryStorage(project / "flows")


def test_locations_of_before_are_read(flows: DirectoryStorage) -> None:
    assert dict(flows.flows) == {"named": NAMED, "whole": WHOLE}
    for location in (NAMED, WHOLE):
        flow = flows.get_flow(location)
        assert flow.location == location
    assert flows.get_flow(NAMED).run() == {"result": 6}
    assert flows.build() is flows


def test_a_name_alone_counts_in_no_digest_and_another_kernel_did_not(flows: DirectoryStorage) -> None:
    named, whole = flows.get_flow("named"), flows.get_flow("whole")
    assert named.environment == {"named": "night"}
    assert named.version == NAMED.partition("@")[2]
    assert whole.kernel == "analysis"
    assert whole.digest_of_schema_2.startswith(WHOLE.partition("@")[2])
    assert flows.add_flow(named, replace=True) == NAMED


def test_a_document_of_before_that_was_changed_since_is_still_refused(flows: DirectoryStorage) -> None:
    (path,) = (Path(flows.url) / "whole").iterdir()
    path.write_text(path.read_text().replace("n * 3", "n * 4"))
    with pytest.raises(StorageError, match="is not what was stored there"):
        flows.get_flow("whole")


def test_a_document_of_now_is_taken_for_none_of_before(tmp_path: Path) -> None:
    storage = DirectoryStorage(tmp_path / "flows")
    flow = Flow.read(next((WRITTEN / "flows" / "named").iterdir()))
    storage.add_flow(replace(flow, environment=None))
    (path,) = (tmp_path / "flows" / "named").iterdir()
    content = json.loads(path.read_text())
    content["metadata"]["kernelspec"]["name"] = "other"
    path.write_text(json.dumps(content))
    with pytest.raises(StorageError, match="is not what was stored there"):
        storage.get_flow("named")


def test_a_flow_whose_environment_is_a_name_runs_in_what_the_project_calls_so(project: Path) -> None:
    (project / "flownb.toml").write_text("[environments.night]\ntimeout = 60\n")
    shutil.copy(WRITTEN / "captured.ipynb", project)
    storage = open_storage("captured.ipynb")
    flow = storage.get_flow(NAMED)
    assert flow.environment == {"named": "night"}
    environment = environment_for(flow, Project(project))
    assert environment.serialize()["timeout"] == 60
    run = environment.execute(storage, "named")
    assert run.outputs["result"] == 6
    assert storage.notes(flow) == []
