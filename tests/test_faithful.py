"""Real notebooks: what a flow gives is what the notebook's cells gave, however the flow was come by."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from faithful import plain, run_flow, run_live, run_plain, save, stored
from notebook_corpus import CORPUS

from flownb.environments import LocalEnvironment
from flownb.errors import CaptureError
from flownb.flow import Flow
from flownb.storage import open_storage

# pandas announces that what people write is to change: no concern of a flow's
pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore::pandas.errors.PandasChangeWarning"),
]


@pytest.mark.parametrize("name", CORPUS)
def test_a_flow_gives_what_the_notebook_gave(name: str, project: Path) -> None:
    notebook = CORPUS[name]
    wanted = run_plain(notebook)
    others = run_plain(notebook.with_defaults(notebook.other)).outputs if notebook.other else {}
    live = run_live(notebook)
    assert live.namespace == wanted.namespace
    assert live.outputs == wanted.outputs
    assert live.flows
    recorded = save(live.cells, project / "recorded.ipynb", outputs=True)
    for flow_name, flow in live.flows.items():
        flow.write(project / "document.ipynb")
        for same in (flow, Flow.read(project / "document.ipynb"), stored(recorded, flow_name)):
            assert same.digest == flow.digest
            if not notebook.needs_kernel:
                assert run_flow(same, notebook) == wanted.outputs[flow_name]
            if notebook.other:
                assert run_flow(same, notebook, notebook.other) == others[flow_name]
    cleared = save(live.cells, project / "cleared.ipynb", outputs=False)
    for flow_name, flow in live.flows.items():
        if notebook.lost:
            with pytest.raises(CaptureError, match=notebook.lost):
                stored(cleared, flow_name)
            continue
        found = stored(cleared, flow_name)
        assert found.digest == flow.digest or not notebook.same_digest
        if not notebook.source_needs_kernel:
            assert run_flow(found, notebook) == wanted.outputs[flow_name]
            if notebook.other:
                assert run_flow(found, notebook, notebook.other) == others[flow_name]


_DIGESTS = """
import json, sys, warnings
from faithful import run_live
from notebook_corpus import CORPUS

warnings.simplefilter("ignore")
digests = {name: run_live(CORPUS[name]).digests for name in json.load(sys.stdin)}
sys.__stdout__.write("@@@" + json.dumps(digests))
"""


def _digests(seed: str, names: list[str], folder: Path) -> dict[str, Any]:
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", _DIGESTS],
        input=json.dumps(names),
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "PYTHONHASHSEED": seed,
            "PYTHONPATH": os.pathsep.join([str(here), str(here.parent)]),
        },
        cwd=folder,
        timeout=120,
        check=False,
    )
    assert "@@@" in done.stdout, done.stderr[-3000:]
    digests: dict[str, Any] = json.loads(done.stdout.rpartition("@@@")[2])
    return digests


def test_a_flow_captured_in_another_process_has_the_same_digest(project: Path) -> None:
    names = [
        name for name, notebook in CORPUS.items() if not any("matplotlib" in cell for cell in notebook.cells)
    ]
    with ThreadPoolExecutor() as pool:
        one = pool.submit(_digests, "1", names, project)
        two = pool.submit(_digests, "2", names[::-1], project)
        assert one.result() == two.result()


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("name", "outputs"),
    [
        ("magics around ordinary cells", True),
        ("magics around ordinary cells", False),
        ("magics inside the step", True),
        ("parameters of many types", True),
        ("modules beside the notebook", False),
        ("scripts run in the notebook", True),
        ("scripts run in the notebook", False),
        ("magics of the notebook s own", True),
    ],
)
def test_a_real_kernel_gives_the_same(name: str, outputs: bool, project: Path) -> None:
    notebook = CORPUS[name]
    live = run_live(notebook)
    path = save(live.cells, project / "it.ipynb", outputs=outputs)
    run = LocalEnvironment().execute(open_storage(path), "it", dict(notebook.given))
    run.raise_for_state()
    assert {output: plain(run.outputs[output]) for output in run.outputs} == live.outputs["it"]


def test_runs_in_eight_threads_at_once_do_not_meet_and_leave_the_main_module_alone() -> None:
    """Each sees its own class in pickle, dataclasses and type hints, at the very time the others do."""
    flow = Flow.from_cell(
        "it",
        "import pickle, sys, typing\n"
        "from dataclasses import dataclass\n"
        "n: int\n"
        "meet: typing.Any\n"
        "@dataclass\n"
        "class A:\n"
        "    n: int\n"
        "    next: 'A | None' = None\n"
        "meet.wait()\n"
        "again = pickle.loads(pickle.dumps(A(n, A(n))))\n"
        "good = type(again) is A and typing.get_type_hints(A)['next'] == typing.Optional[A]\n"
        "meet.wait()\n"
        "[n, again.next.n, good, __name__ == '__main__', sys.modules['__main__']]",
    )
    main, before = sys.modules["__main__"], set(sys.modules)
    names = dict(vars(main))
    meet = threading.Barrier(8, timeout=60)
    with ThreadPoolExecutor(8) as pool:
        done = [pool.submit(flow.run, n=n, meet=meet) for n in range(8)]
        assert [one.result() for one in done] == [{"result": [n, n, True, True, main]} for n in range(8)]
    assert vars(main) == names
    assert {name for name in set(sys.modules) - before if name.startswith("flow_")} == set()


def test_what_a_flow_defines_can_be_sent_to_other_processes_while_it_runs() -> None:
    flow = Flow.from_cell("it", "import cloudpickle\nclass A: n = 3\ncloudpickle.dumps(A())")
    sent = flow.run()["result"]
    program = f"import pickle; print(pickle.loads({sent!r}).n)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "3\n"
