"""Proves a capture: runs a flow isolated, and compares what its steps read and give with what was here.

At the capture marks were kept of these values (`flownb.marks`); the run makes them again, in its own
process, between the cells. It is no run of the project: nothing is recorded.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from flownb.engine import Observer, Silent, execute
from flownb.environments.plan import Plan, step_of, steps_by_cell, texts_in
from flownb.marks import compare, embedded
from flownb.parameters import secret_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from nbformat import NotebookNode

    from flownb.engine import Reply
    from flownb.flow import Flow

Verdict = Literal["equal", "close", "differs", "unknown"]
Marks = dict[str, dict[str, dict[str, Any]]]  #: step -> "reads" and "gives" -> name -> mark

_ABSENT = ("differs", "it has no value in the run")

# Runs with a namespace of its own, into which the names below are put; prints one line of JSON.
_CODE = """
import json
exec(embedded, {})
from _flownb_marks.making import mark
shell = namespace["get_ipython"]() if "get_ipython" in namespace else None
history = shell.history_manager.output_hist if shell is not None else {}
found = {}
for step, role, name, count in wanted:
    there = history if count is not None else namespace
    key = count if count is not None else name
    if key in there:
        found.setdefault(step, {}).setdefault(role, {})[name] = mark(there[key])
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Compared:
    """One value: which it is, and how what the isolated run has compares with what was here."""

    step: str
    role: str  #: "reads" or "gives"
    name: str
    verdict: Verdict
    words: str  #: how, or why


@dataclass(frozen=True)
class Check:
    """What a check found."""

    flow: str
    compared: tuple[Compared, ...]
    failure: str = ""  #: why the run did not come to its end

    @property
    def good(self) -> bool:
        """Whether the flow ran, and nothing differs."""
        return not self.failure and all(one.verdict != "differs" for one in self.compared)

    @property
    def headline(self) -> str:
        """What came of it, in a line."""
        if self.failure:
            return f"{self.flow} does not run isolated: {self.failure}"
        if not self.compared:
            return f"{self.flow} runs isolated; no marks of its values were kept, so nothing was compared"
        differing = sum(one.verdict == "differs" for one in self.compared)
        unknown = sum(one.verdict == "unknown" for one in self.compared)
        many = len(self.compared)
        if differing:
            return f"{differing} of {_values(many)} differ when {self.flow} runs isolated"
        same = f"{self.flow} runs isolated as it did here: {_values(many - unknown)} compared"
        return f"{same}, {unknown} cannot be" if unknown else same


def _values(count: int) -> str:
    return f"{count} value" if count == 1 else f"{count} values"


def check_flow(
    flow: Flow,
    marks: Marks,
    values: Mapping[str, Any],
    *,
    cwd: Path | None = None,
    told: Callable[[str], None] | None = None,
) -> Check:
    """Run a flow isolated with validated `values`, and compare what it reads and gives with `marks`.

    `told` is called some times a second with the name of the step at work. A flow that fails is a `Check`
    that says so. Raises what `flownb.engine.execute` raises; the flow is taken to be trusted.
    """
    plan = Plan(flow, values)
    marker = _Marker(flow, marks)
    ending = execute(
        plan.notebook,
        kernel=flow.kernel,
        cwd=cwd or flow.folder or Path.cwd(),
        observer=marker,
        secrets=plan.secrets,
        tick=(lambda: told(marker.at)) if told is not None else None,
    )
    failure = ""
    if ending.how != "success":
        step = marker.name_of(ending.cell)
        failure = f"step {step}: {ending.reason}" if step else ending.reason
    return Check(flow.name, tuple(_compared(flow, marks, marker.found)), failure)


def without_secrets(marks: Mapping[str, Any], flow: Flow, namespace: Mapping[str, Any]) -> Marks:
    """Return marks without those that show something of the values that secret parameters have."""
    secrets = secret_names(flow)
    texts = {text for name in secrets if name in namespace for text in texts_in(namespace[name]) if text}
    return {
        step: {
            role: {
                name: mark
                for name, mark in some.items()
                if name not in secrets and not any(text in str(mark) for text in texts)
            }
            for role, some in roles.items()
        }
        for step, roles in marks.items()
    }


def _compared(flow: Flow, were: Marks, are: Marks) -> Iterator[Compared]:
    given = {parameter.name for parameter in flow.parameters}
    for step in flow.steps:
        outputs = (*step.outputs, *(("result",) if step.result else ()))
        for role in ("reads", "gives"):
            was, now = (some.get(step.name, {}).get(role, {}) for some in (were, are))
            for name in was:
                if (name in given) if role == "reads" else (name not in outputs or not now):
                    continue  # no output of the flow's; or the run did not get so far
                verdict, words = compare(was[name], now[name]) if name in now else _ABSENT
                yield Compared(step.name, role, name, verdict, words)  # type: ignore[arg-type]


class _Marker(Observer):
    """Has marks made between the cells: of what a step reads before it, of what it gives behind it."""

    def __init__(self, flow: Flow, marks: Marks) -> None:
        self.found: Marks = {}
        self.at = ""  #: the step at work
        self._flow = flow
        self._marks = marks
        self._embedded = False  #: whether the run's process has what makes marks
        self._notebook: NotebookNode | None = None
        self._steps: dict[int, int] = {}

    def notebook_started(self, nb: NotebookNode) -> None:
        self._notebook = nb
        self._steps = steps_by_cell(self._flow, nb)

    def name_of(self, index: int | None) -> str:
        """Return the name of the step that a cell is, or belongs to."""
        if index is None or self._notebook is None:
            return ""
        return step_of(self._flow, self._notebook.cells[index], self._steps.get(index))

    def cell_started(self, index: int, cell: NotebookNode) -> None:  # noqa: ARG002
        self.at = self.name_of(index)

    def code_after(self, index: int, cell: NotebookNode) -> Silent | None:
        wanted = [
            *self._of(index, "gives", cell.execution_count),
            *self._of(self._next(index), "reads", None),
        ]
        if not wanted:
            return None
        first, self._embedded = not self._embedded, True
        return Silent(_snippet(wanted, embedded() if first else ""))

    def _next(self, index: int) -> int:
        """Return the index of the cell that is executed after this one."""
        cells = self._notebook.cells if self._notebook is not None else []
        later = range(index + 1, len(cells))
        return next((i for i in later if cells[i].cell_type == "code" and cells[i].source.strip()), -1)

    def _of(self, index: int, role: str, count: int | None) -> Iterator[tuple[str, str, str, int | None]]:
        if index in self._steps:
            step = self._flow.steps[self._steps[index]]
            for name in self._marks.get(step.name, {}).get(role, {}):
                result = step.result and name == "result" and role == "gives"
                yield step.name, role, name, count if result else None

    def code_ended(self, index: int, cell: NotebookNode, reply: Reply) -> None:  # noqa: ARG002
        if not reply.ok:
            return  # what has no mark then is told as such
        for step, roles in json.loads(reply.text).items():
            self.found.setdefault(step, {}).update(roles)


def _snippet(wanted: list[tuple[str, str, str, int | None]], text: str) -> str:
    inner = f"{{'namespace': __flownb__.globals(), 'wanted': {wanted!r}, 'embedded': {text!r}}}"
    return (
        "import builtins as __flownb__\n"
        f"try: __flownb__.exec(__flownb__.compile({_CODE!r}, '<flownb check>', 'exec'), {inner})\n"
        "finally: del __flownb__\n"
    )
