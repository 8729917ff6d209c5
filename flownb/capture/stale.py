"""What makes a captured flow stale: what was executed, edited or taken away since."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING

from flownb.capture.live import wanted_names
from flownb.capture.placing import state_of, writes_of
from flownb.capture.requirements import file_sha
from flownb.capture.texts import extends_path
from flownb.capture.world import World, is_displayed
from flownb.names import to_python

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from flownb.capture.captured import Captured
    from flownb.capture.history import Executed, Execution, History
    from flownb.flow import Flow

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)


def executed_since(
    steps: Sequence[Captured], history: History, is_below: Callable[[Captured, Execution], bool]
) -> Iterator[tuple[str, str]]:
    """Name steps, and say what was executed since each was captured and would make another flow of it.

    A notebook goes on below a step's cell, and there its names are bound to other data: that is no news where
    the cell is known to be below. A function or class that is defined again is.
    """
    names = frozenset(parameter.name for step in steps for parameter in step.cell.parameters)
    earlier: dict[str, Captured] = {}
    for step in steps:
        then, _ = step.slice(history, names, earlier)
        # what was displayed last is another thing after each cell
        names_now = {name for name in wanted_names(step.cell, history) if not is_displayed(name)}
        look = history.look(names_now, optional=step.cell.names.optional)
        again = replace(step, place=len(history.executed), look=look)
        now, _ = again.slice(history, names, earlier)
        earlier[step.name] = step
        before = [history.executed[index].statement.text for index in then.statements]
        after = [history.executed[index] for index in now.statements]
        if before == [one.statement.text for one in after]:
            continue
        news = [one for one in after if one.index >= step.place and not _is_own(one, step)]
        told = [
            one
            for one in news
            if isinstance(one.statement.node, _DEFINITIONS) or not is_below(step, one.cell)
        ]
        if told:
            fresh = [one for one in told if one.statement.text not in before] or told
            known = names_now.union(*(history.executed[index].binds for index in then.statements))
            # what only leads to the change, such as another name for the thing, is not what happened
            cause = next((one for one in fresh if one.writes or one.binds & known), fresh[0])
            yield step.name, _told(cause, known)


def _is_own(one: Executed, step: Captured) -> bool:
    return one.cell.step is not None and one.cell.step[0] == step.cell.header.flow


def _told(one: Executed, known: Collection[str]) -> str:
    """Say what a statement did to what a flow knows: "`helper` was redefined in In[12]"."""
    names = sorted(one.binds & set(known)) or sorted(one.binds) or sorted(one.statement.names.mutates)
    if isinstance(one.statement.node, _DEFINITIONS):
        done = "redefined" if not one.is_import else "imported again"
    elif one.binds:
        done = "bound again"
    else:
        done = "changed"
    states = sorted(state for key in writes_of(one) if (state := state_of(key)) is not None)
    if states and one.binds.isdisjoint(known):
        return f"what {states[0]} is set to was changed in {one.cell.label}"
    if names:
        return f"`{names[0]}` was {done} in {one.cell.label}"
    first = one.statement.text.strip().partition("\n")[0]
    return f"`{first[:60]}` was executed in {one.cell.label}"


def changed_modules(flow: Flow) -> Iterator[str]:
    """Say which of the notebook's own modules are other ones than when the flow was captured."""
    if not flow.requirements.modules:
        return
    world = World(flow.folder)
    for entry in flow.closure:
        if extends_path(entry.source):
            world.searches(ast.parse(to_python(entry.source)))
    for name, sha in flow.requirements.modules.items():
        file = world.own_file(name)
        if file is None:
            yield f"its module {name} is not there any more"
        elif file_sha(file) != sha:
            yield f"{file.name} was edited"


def difference(recorded: Flow, source: Flow) -> str:
    """Say that a notebook's cells, from top to bottom, give another flow than was captured; else nothing.

    Cells alone never give what is frozen, which is told by itself.
    """
    if recorded.digest == source.digest or any(entry.how == "frozen" for entry in recorded.closure):
        return ""
    here, there = ([entry.source for entry in flow.closure] for flow in (recorded, source))
    other = next((text for text in [*there, *here] if (text in here) != (text in there)), "")
    first = next((line for line in other.split("\n") if line.strip() and not line.startswith("#")), "")
    where = f": `{first.strip()[:60]}` is in one of them only" if first else ""
    return f"run from top to bottom, the notebook gives another {recorded.name} than was captured{where}"
