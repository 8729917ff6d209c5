"""The dataflow between a flow's steps: which binding each step reads, and the order that follows.

Pure: everything is read from `Step.reads` and `Step.binds`, nothing is run. A step that reads a name
reads the nearest earlier binding of it, as it would in a notebook run from top to bottom; a step that
both reads and rebinds a name (`x += 1`) reads the one before its own.
"""

from __future__ import annotations

import builtins
import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flownb.errors import CaptureError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from flownb.flow import Carried, Flow, Step

#: a row names this many variables, then says how many more there are
_ROW_NAMES = 6
_BUILTINS = frozenset(dir(builtins))


@dataclass(frozen=True, slots=True)
class Edge:
    """Names that flow from one node to another.

    Both ends are names: of steps in `Graph.edges`, of a parameter and a step in `Graph.inputs`, of a
    step and an output in `Graph.results`.
    """

    source: str
    target: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Graph:
    """The steps of a flow in their order, what flows between them, what goes in and what comes out."""

    name: str
    steps: tuple[str, ...]
    parameters: tuple[str, ...]
    outputs: tuple[str, ...]
    edges: tuple[Edge, ...]  #: step -> step, ordered by the reading step, then by the binding one
    inputs: tuple[Edge, ...]  #: parameter -> step
    results: tuple[Edge, ...]  #: step -> output

    @classmethod
    def of(cls, flow: Flow) -> Graph:
        """Read the graph of `flow`; a function of the closure reads on behalf of the step that calls it."""
        between: dict[tuple[int, int], list[str]] = {}
        inputs: list[Edge] = []
        known = [parameter.name for parameter in flow.parameters]
        for index, step in enumerate(flow.steps):
            read: list[str] = []
            # what is carried for this step alone is bound just before it, behind all earlier steps
            own = {name for entry in flow.closure if entry.step == step.name for name in entry.bound}
            for name in set(reads(step, flow.closure)) - own:
                source = _nearest_earlier(flow.steps, index, name)
                if source is not None:
                    between.setdefault((index, source), []).append(name)
                elif name in known:
                    read.append(name)
            inputs += [Edge(name, step.name, (name,)) for name in known if name in read]
        return cls(
            name=flow.name,
            steps=tuple(step.name for step in flow.steps),
            parameters=tuple(known),
            outputs=flow.outputs,
            edges=tuple(
                Edge(flow.steps[source].name, flow.steps[target].name, tuple(sorted(names)))
                for (target, source), names in sorted(between.items())
            ),
            inputs=tuple(inputs),
            results=tuple(_results(flow)),
        )

    def text(self) -> str:
        """Return a drawing for terminals: one line a step, what it reads and from where, what it gives."""
        rows = [(_plain([step]), self._read_by(step), self._given_by(step)) for step in self.steps]
        from rich.cells import cell_len, set_cell_size

        width = max((cell_len(row[0]) for row in rows), default=0)
        middle = max((cell_len(row[1]) for row in rows), default=0)
        lines = []
        for index, (name, read, given) in enumerate(rows):
            rail = "╶" if len(rows) == 1 else "┌" if index == 0 else "└" if index == len(rows) - 1 else "├"
            line = f"{rail}● {set_cell_size(name, width)}"
            line += f"   {set_cell_size(read, middle)}" if middle else ""
            line += f"   {given}" if given else ""
            lines.append(line.rstrip())
        return "\n".join(lines)

    def _read_by(self, step: str) -> str:
        parts = [
            f"{_plain(edge.names)} from {_plain([edge.source])}" for edge in self.edges if edge.target == step
        ]
        parameters = [edge.source for edge in self.inputs if edge.target == step]
        if parameters:
            parts.insert(0, _plain(parameters))
        return f"◀─ {'; '.join(parts)}" if parts else ""

    def _given_by(self, step: str) -> str:
        names = [edge.target for edge in self.results if edge.source == step]
        return f"═▶ {_plain(names)}" if names else ""

    def __str__(self) -> str:
        return self.text()

    def _repr_mimebundle_(
        self,
        include: Collection[str] | None = None,  # noqa: ARG002 - IPython passes both; there are two kinds to choose from
        exclude: Collection[str] | None = None,  # noqa: ARG002
    ) -> dict[str, str]:
        from flownb.displays.parts import Drawing, Shown

        return Shown([Drawing(self)])._repr_mimebundle_()


def order(
    steps: Sequence[Step],
    *,
    closure: Iterable[Carried] = (),
    given: Collection[str] = (),
) -> list[Step]:
    """Return `steps`, given in notebook order, in the order in which they can run.

    A step is moved only where it reads a name that only a later step binds: not an earlier step, not
    the `closure`, not one of the names `given` (the parameters), and not Python itself. Where it can be
    done, every read keeps the binding that it has in notebook order. Raises `CaptureError` where steps
    wait for each other, with the steps and names that make the cycle.
    """
    carried = tuple(closure)
    known = {name for entry in carried for name in entry.bound}.union(given, _BUILTINS)
    sources = [
        {
            name: source
            for name in reads(step, carried)
            if (source := _binder(steps, index, name, known)) is not None
        }
        for index, step in enumerate(steps)
    ]
    needed = [set(names.values()) for names in sources]
    kept = [needed[index] | _keeps(steps, sources, index) for index in range(len(steps))]
    positions = _sorted(kept)
    if len(positions) < len(steps):
        # keeping each read's binding is a wish; that what is read is bound at all is not
        positions = _sorted(needed)
    if len(positions) < len(steps):
        raise CaptureError(_cycle(steps, sources, set(range(len(steps))).difference(positions)))
    return [steps[position] for position in positions]


def reads(step: Step, closure: Iterable[Carried]) -> list[str]:
    """Return, sorted, the names that running `step` may read, also through what it uses of `closure`."""
    entries: dict[str, list[Carried]] = {}
    for entry in closure:
        if entry.step in ("", step.name):
            for name in entry.bound:
                entries.setdefault(name, []).append(entry)
    found: set[str] = set()
    waiting = list(step.reads)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [read for entry in entries.get(name, ()) for read in entry.reads]
    return sorted(found)


def _nearest_earlier(steps: Sequence[Step], index: int, name: str) -> int | None:
    return next((at for at in range(index - 1, -1, -1) if name in steps[at].binds), None)


def _binder(steps: Sequence[Step], index: int, name: str, known: Collection[str]) -> int | None:
    """Which step's binding of `name` the step at `index` reads; None: it comes from elsewhere."""
    earlier = _nearest_earlier(steps, index, name)
    if earlier is not None or name in known:
        return earlier
    return next((at for at in range(index + 1, len(steps)) if name in steps[at].binds), None)


def _keeps(steps: Sequence[Step], sources: Sequence[dict[str, int]], index: int) -> set[int]:
    """Which steps must run before the step at `index` so that no read gets another binding than it has."""
    before = set()
    for name in steps[index].binds:
        for reader, names in enumerate(sources):
            source = names.get(name)
            if source is None or index in (source, reader):
                continue
            if source < index:
                before.add(reader)  # a later binding waits for those who read the earlier one
        # bindings of one name stay in their order
        before.update(at for at in range(index) if name in steps[at].binds)
    return before


def _sorted(before: Sequence[set[int]]) -> list[int]:
    """Sort topologically, always taking the first that is ready; leaves out what is in or behind a cycle."""
    waiting = [set(needed) for needed in before]
    ready = [index for index, needed in enumerate(waiting) if not needed]
    heapq.heapify(ready)
    result: list[int] = []
    while ready:
        index = heapq.heappop(ready)
        result.append(index)
        for other, needed in enumerate(waiting):
            if index in needed:
                needed.remove(index)
                if not needed:
                    heapq.heappush(ready, other)
    return result


def _cycle(steps: Sequence[Step], sources: Sequence[dict[str, int]], left: Collection[int]) -> str:
    """Say which steps wait for which, walking back from any of those `left` until one comes again."""
    path = [min(left)]
    while True:
        following = next(source for source in sources[path[-1]].values() if source in left)
        if following in path:
            cycle = path[path.index(following) :]
            break
        path.append(following)
    parts = []
    for reader, source in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
        names = _plain([name for name, at in sources[reader].items() if at == source], limit=3)
        parts.append(f"`{_plain([steps[reader].name])}` reads {names} from `{_plain([steps[source].name])}`")
    return (
        f"these steps wait for each other, so none of them can run first: {'; '.join(parts)}. "
        "Put what they share into one cell, or give one of the names another name"
    )


def _results(flow: Flow) -> Iterator[Edge]:
    declared = [(name, step.name) for step in flow.steps for name in step.outputs]
    if not declared:
        declared = [("result", step.name) for step in flow.steps if step.result][-1:]
    # an output declared by two steps has the value that the later one left
    for name, step in dict(declared).items():
        yield Edge(step, name, (name,))


def _plain(names: Iterable[str], limit: int = _ROW_NAMES) -> str:
    """Write names for a terminal: control and formatting characters show as what they are."""
    listed = list(names)
    shown = ["".join(char if char.isprintable() else ascii(char)[1:-1] for char in name) for name in listed]
    return ", ".join(shown[:limit]) + (f" and {len(listed) - limit} more" if len(listed) > limit else "")
