"""Captured steps put together into a flow: its parameters, the order of its steps, what it replays."""

from __future__ import annotations

import ast
import difflib
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from flownb.capture.placing import index_of, parted_imports, place, state_of
from flownb.capture.requirements import requirements_of
from flownb.errors import CaptureError
from flownb.flow import Carried, Flow, Parameter
from flownb.graph import order
from flownb.names import PROVIDED, statement_names, to_python
from flownb.parameters import check_defaults

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from flownb.capture.captured import Captured
    from flownb.capture.cell import Cell
    from flownb.capture.history import Executed, Execution, History
    from flownb.capture.statements import Statement
    from flownb.flow import How, Step


NAMED_IN = "flownb.toml"
"""The file of a project that says what the names of environments mean."""


@dataclass(frozen=True)
class Assembled:
    """A flow, and the executed cells whose statements it replays, with how many of each."""

    flow: Flow
    cells: Mapping[Execution, int]


def assemble(name: str, steps: Sequence[Captured], history: History) -> Assembled:
    """Return the flow that captured steps make, given in the order of the notebook.

    Raises `CaptureError`, naming the cells, for an output or a parameter that two steps have, for a cycle of
    steps, and for a name that nothing brings; `ParameterError` for a default that reads a parameter of a
    later cell.
    """
    cells = [step.cell for step in steps]
    parameters = merged_parameters(name, cells)
    check_outputs(name, cells)
    check_rebound(name, cells, parameters)
    environment = _environment(name, steps)
    names = frozenset(parameter.name for parameter in parameters)
    ordered = _in_order(steps, names, history)
    closure, missing, executed = _closure(ordered, names, history)
    _check_resolved(name, ordered, missing, names)
    declared = any(cell.step.outputs for cell in cells)
    last = ordered[-1].name
    flow = Flow(
        name=name,
        parameters=parameters,
        steps=tuple(
            replace(step.cell.step, result=step.cell.result and not declared and step.name == last)
            for step in ordered
        ),
        closure=closure,
        description=next((cell.leading.description for cell in cells if cell.leading.description), ""),
        requirements=requirements_of(closure, [step.cell.python for step in ordered], history.world),
        environment=environment,
        folder=history.folder,
    )
    return Assembled(flow, Counter(one.cell for one in executed))


def cell_name(flow: str, step: str) -> str:
    """Return how a step's cell is called in messages."""
    return f"`%%flow {flow}`" if flow == step else f"`%%flow {flow}.{step}`"


def merged_parameters(name: str, cells: Iterable[Cell]) -> tuple[Parameter, ...]:
    """Return the parameters that all cells of a flow declare."""
    merged: dict[str, tuple[Parameter, str]] = {}
    for cell in cells:
        for parameter in cell.parameters:
            first, step = merged.setdefault(parameter.name, (parameter, cell.header.step))
            if replace(first, help="") != replace(parameter, help=""):
                raise CaptureError(
                    f"the parameter `{parameter.name}` is declared differently in {cell_name(name, step)} "
                    f"and in {cell_name(name, cell.header.step)}; declare it in one of them, or in both alike"
                )
    parameters = tuple(parameter for parameter, _ in merged.values())
    check_defaults(parameters)
    return parameters


def check_outputs(name: str, cells: Iterable[Cell]) -> None:
    """Raise `CaptureError` where two steps give one output."""
    seen: dict[str, str] = {}
    for cell in cells:
        for output in cell.header.outputs:
            if output in seen:
                raise CaptureError(
                    f"the output `{output}` is declared by two steps, {cell_name(name, seen[output])} and "
                    f"{cell_name(name, cell.header.step)}; name it in one --out only"
                )
            seen[output] = cell.header.step


def check_rebound(name: str, cells: Sequence[Cell], parameters: Iterable[Parameter]) -> None:
    """Raise `CaptureError` where a step binds a parameter anew, so that a value given would be lost."""
    names = {parameter.name for parameter in parameters}
    for cell in cells:
        if rebound := sorted(names & cell.names.binds):
            declaring = next(c for c in cells if rebound[0] in {p.name for p in c.parameters})
            raise CaptureError(
                f"the parameter `{rebound[0]}`, declared in {cell_name(name, declaring.header.step)}, is "
                f"bound again by {cell_name(name, cell.header.step)}; bind another name"
            )


def _environment(name: str, steps: Iterable[Captured]) -> Mapping[str, Any] | None:
    """Return the environment that the steps name: as it was when the last of them was captured.

    Raises `CaptureError` where they name several.
    """
    naming = [step for step in steps if step.cell.header.environment is not None]
    if not naming:
        return None
    first, last = naming[0], max(naming, key=lambda step: step.place)
    for step in naming:
        if step.cell.header.environment != first.cell.header.environment:
            raise CaptureError(
                f"{cell_name(name, first.name)} names the environment {first.cell.header.environment!a}, and "
                f"{cell_name(name, step.name)} {step.cell.header.environment!a}; a flow runs in one: name it "
                "in one of them, or in both alike"
            )
    return last.environment or {"named": last.cell.header.environment, "named_in": NAMED_IN}


# -- the order of the steps --------------------------------------------------------------------------------


def _in_order(steps: Sequence[Captured], parameters: frozenset[str], history: History) -> list[Captured]:
    """Move a step only where it reads a name that only a later one binds."""
    by_name = {step.name: step for step in steps}
    opened = [replace(step.cell.step, reads=_open_reads(step, parameters, history)) for step in steps]
    return [by_name[step.name] for step in order(opened)]


def _open_reads(step: Captured, parameters: frozenset[str], history: History) -> tuple[str, ...]:
    """Return the names that a step reads, and that only other steps of the flow have bound before it."""
    flow = step.cell.header.flow
    found = []
    for name in step.cell.step.reads:
        if name in parameters or name in _own(step.cell.step):
            continue
        bound = [
            one
            for one in history.executed[: step.place]
            if name in one.binds and (one.cell.step is None or one.cell.step[0] != flow)
        ]
        if not bound or name in step.look.missing:
            found.append(name)
    return tuple(found)


def _own(step: Step) -> set[str]:
    """Return the names that a step may read unbound, though it binds them itself.

    That is in a loop or under a condition: `for row in rows: last = row`, and `last` below. Where nothing
    else binds the name, that must do.
    """
    open_ones = set(step.reads).intersection(step.binds)
    own: set[str] = set()
    if not open_ones:
        return own
    try:
        statements = statement_names(ast.parse(to_python(step.source)), transform=to_python)
    except (SyntaxError, ValueError):
        return own
    for node, names in statements:
        walrus = {part.target.id for part in ast.walk(node) if isinstance(part, ast.NamedExpr)}
        own |= (open_ones & names.binds) - (names.reads - walrus)
        open_ones -= names.binds | names.reads
    return own


# -- what is replayed --------------------------------------------------------------------------------------


def _closure(
    steps: Sequence[Captured], parameters: frozenset[str], history: History
) -> tuple[tuple[Carried, ...], dict[str, set[str]], list[Executed]]:
    """Return what the steps need from the notebook, names that nothing brings, and what is replayed."""
    earlier: dict[str, Captured] = {}
    placings = []
    missing: dict[str, set[str]] = {}
    shown: dict[int, set[str]] = {}
    for step in steps:
        sliced, given = step.slice(history, parameters, earlier)
        for index, under in sliced.shown.items():
            shown.setdefault(index, set()).update(under)
        held = {name for entry in step.frozen for name in entry.bound}
        first = history.world.first
        # a statement that may read what is bound only later was executed without
        late = {
            name for name in sliced.missing - step.look.missing if first.get(name, step.place) < step.place
        }
        missing[step.name] = sliced.missing - held - parameters - late
        placings.append(step.placing(sliced, given, history))
        earlier[step.name] = step
    places = place(placings)
    imports, others = parted_imports(places.before)
    declared = [one for step in steps for one in step.cell.imports]
    closure = [*_imports([*(one.statement for one in imports), *declared], history)]
    closure += _with_frozen(list(_statements(others, shown)), others, steps[0].frozen)
    known = {entry.bound: entry.content for entry in steps[0].frozen}
    for step in steps:
        again = [entry for entry in step.frozen if known.get(entry.bound) != entry.content]
        own = list(_statements(places.between.get(step.name, ()), shown, step.name))
        closure += [*own, *(replace(entry, step=step.name) for entry in again)]
        known.update((entry.bound, entry.content) for entry in again)
    executed = sorted(
        {*places.before, *(one for between in places.between.values() for one in between)}, key=index_of
    )
    return tuple(closure), missing, executed


def _imports(imports: Iterable[Statement], history: History) -> Iterator[Carried]:
    seen: set[str] = set()
    for one in imports:
        if one.text not in seen:
            seen.add(one.text)
            yield _import(one, history)


def _import(one: Statement, history: History) -> Carried:
    node, text = one.node, one.text
    assert isinstance(node, ast.Import | ast.ImportFrom)
    module = node.names[0].name if isinstance(node, ast.Import) else "." * node.level + (node.module or "")
    local = history.world.own_file(module.partition(".")[0]) is not None
    how: How = "module" if local else "import"
    kind = "module" if isinstance(node, ast.Import) else f"from {module}"
    binds = tuple(sorted(one.names.binds))
    return Carried(min(binds, default="*"), how, text, binds, type=kind, size=len(text.encode()))


def _statements(
    statements: Iterable[Executed], shown: Mapping[int, set[str]], step: str = ""
) -> Iterator[Carried]:
    groups: dict[int, int] = {}
    for one in statements:
        text = _replayed(one, shown.get(one.index, ()))
        names = one.statement.names
        binds = tuple(sorted(one.binds | names.mutates - PROVIDED))
        reads = tuple(sorted((names.reads | names.later) - PROVIDED - {""}))
        yield Carried(
            name=_name(one, binds),
            how="statement",
            source=text,
            binds=binds,
            reads=reads,
            reads_first=tuple(sorted(names.reads_first - PROVIDED)),
            type=_kind(one),
            size=len(text.encode("utf-8", "surrogatepass")),
            step=step,
            cell=groups.setdefault(one.cell.number, len(groups) + 1),
        )


def _name(one: Executed, binds: Sequence[str]) -> str:
    """Return what people call a statement: what it binds, changes or sets."""
    if binds:
        return binds[0]
    states = [state for log in one.writes if (state := state_of(log.name)) is not None]
    return min(states, default="")


def _kind(one: Executed) -> str:
    match one.statement.node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return "function"
        case ast.ClassDef():
            return "class"
        case ast.Import() | ast.ImportFrom():
            return "import"
    return "statement"


def _replayed(one: Executed, shown: Collection[str]) -> str:
    """Return the text that does again what a statement did: one that failed did a part of it.

    `shown` are names under which IPython kept its value.
    """
    text, node = one.statement.text, one.statement.node
    if shown and isinstance(node, ast.Expr):
        targets = [target for name in sorted(shown) for target in (name, *_out_item(name))]
        return " = ".join([*targets, f"({ast.unparse(node.value)})"])
    if not one.failed:
        return text
    caught = ast.ExceptHandler(ast.Name("Exception"), None, [ast.Pass()])
    return ast.unparse(ast.Try([one.statement.node], [caught], [], []))


def _out_item(name: str) -> list[str]:
    return [f"Out[{name[1:]}]"] if name[1:].isdecimal() else []


def _with_frozen(
    entries: list[Carried], statements: Sequence[Executed], frozen: Sequence[Carried]
) -> list[Carried]:
    """Put frozen values behind all that binds or changes their names otherwise, else before everything."""
    if not frozen:
        return entries
    names = {name for entry in frozen for name in (*entry.bound, *entry.reads)}
    at = max((i + 1 for i, one in enumerate(statements) if not names.isdisjoint(one.binds)), default=0)
    return [*entries[:at], *frozen, *entries[at:]]


def _check_resolved(
    flow: str, steps: Sequence[Captured], missing: Mapping[str, set[str]], parameters: frozenset[str]
) -> None:
    known = set(parameters)
    for step in steps:
        own = _own(step.cell.step)
        open_ones = set() if step.proved else missing[step.name] - known - own - step.cell.names.optional
        for name in sorted(open_ones):
            near = difflib.get_close_matches(name, sorted(known), 1)
            hint = f" (did you mean `{near[0]}`?)" if near else ""
            raise CaptureError(
                f"{cell_name(flow, step.name)} reads `{name}`, which no step of the flow binds and no "
                f"cell that was executed{hint}; run the cell that makes it, then this one again"
            )
        known.update(step.cell.step.binds)
