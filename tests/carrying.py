"""Carries names out of a real IPython session in one process, and executes what came out in another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

_CAPTURE = """
import json, sys, warnings
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config
from flownb.capture.carry import Surroundings, carry
from flownb.capture.sources import Sources
from flownb.errors import CaptureError
from pathlib import Path

config = Config()
config.HistoryManager.enabled = False
answers = []
for case in json.load(sys.stdin):
    shell = InteractiveShell(config=config)
    sources = Sources.from_shell(shell)
    for cell in case["cells"]:
        shell.run_cell(cell, store_history=True)
    for cell in case["expected_to_fail"]:
        assert not shell.run_cell(cell, store_history=True).success
    around = Surroundings(
        shell.user_ns, sources, case["limit"], Path(case["project"]), frozenset(case["provided"])
    )
    try:
        entries = carry(case["reads"], around, where="cell `x`")
    except CaptureError as error:
        answers.append({"error": str(error)})
    else:
        answers.append({"entries": [
            {"name": e.name, "how": e.how, "source": e.source, "binds": e.bound, "reads": e.reads,
             "reads_first": e.reads_first, "identity": e.content, "type": e.type, "size": e.size}
            for e in entries
        ]})
sys.__stdout__.write("\\n@@@" + json.dumps(answers))
"""

_REPLAY = """
import codeop, json, sys, traceback, types
answers = []
sys.modules["flownb"] = None  # what was carried must not need it
for case in json.load(sys.stdin):
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    compile = codeop.Compile()  # as IPython compiles: a __future__ import holds for what comes after
    try:
        for entry in case["entries"]:
            exec(compile(entry["source"], f"<{entry['name']}>", "exec"), main.__dict__)
        exec(compile(case["check"], "<check>", "exec"), main.__dict__)
        answers.append("")
    except BaseException:
        answers.append(traceback.format_exc())
sys.__stdout__.write("\\n@@@" + json.dumps(answers))
"""


@dataclass(frozen=True)
class Case:
    """Cells that a session executes, names to carry out of it, and what must hold where they arrive."""

    title: str
    cells: tuple[str, ...]
    reads: str
    check: str = ""
    how: dict[str, str] = field(default_factory=dict)
    limit: int = 10_000_000
    project: str = "/nowhere"
    provided: tuple[str, ...] = ()
    expected_to_fail: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What was carried, or the error; and what went wrong where it arrived."""

    entries: list[dict]
    error: str
    failure: str

    def entry(self, name: str) -> dict:
        return next(entry for entry in self.entries if name in entry["binds"])

    @property
    def order(self) -> list[str]:
        return [entry["name"] for entry in self.entries]


def _ask(script: str, question: object, *, folder: str | None = None, seed: str = "random") -> list:
    paths = [str(ROOT), *([folder] if folder else [])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONHASHSEED": seed}
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder or str(ROOT),
        timeout=120,
        check=False,
    )
    assert "\n@@@" in done.stdout, done.stdout[-3000:] + done.stderr[-5000:]
    return json.loads(done.stdout.rpartition("\n@@@")[2])


def outcomes(cases: list[Case], *, folder: str | None = None, seed: str = "random") -> dict[str, Outcome]:
    """Carry and replay all cases, in one process each; by title."""
    question = [{**vars(case), "reads": case.reads.split()} for case in cases]
    carried = _ask(_CAPTURE, question, folder=folder, seed=seed)
    arrived = [answer for answer in carried if "entries" in answer]
    checks = [case.check for case, answer in zip(cases, carried, strict=True) if "entries" in answer]
    replayed = iter(
        _ask(
            _REPLAY,
            [{"entries": a["entries"], "check": c} for a, c in zip(arrived, checks, strict=True)],
            folder=folder,
        )
    )
    return {
        case.title: Outcome(
            answer.get("entries", []),
            answer.get("error", ""),
            next(replayed) if "entries" in answer else "",
        )
        for case, answer in zip(cases, carried, strict=True)
    }
