"""What lies behind some names at one moment: the names and things that whoever reads them may depend on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flownb.capture.things import Class, Function, Library, Scope
from flownb.capture.world import inner_modules

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flownb.capture.things import Log, Thing
    from flownb.capture.world import World


@dataclass(slots=True)
class Look:
    """What was seen behind some names."""

    reads: list[tuple[Log, int]] = field(default_factory=list)  #: names and things, in the version of then
    missing: set[str] = field(default_factory=set)  #: names that nothing had bound
    later: set[str] = field(default_factory=set)  #: those that only functions read, when they are called
    uses: set[str] = field(default_factory=set)  #: libraries
    paths: set[str] = field(default_factory=set)  #: dotted names of what is used of them

    def add(self, other: Look) -> None:
        """Take in what else was seen."""
        self.reads += other.reads
        self.missing |= other.missing
        self.later |= other.later
        self.uses |= other.uses
        self.paths |= other.paths


def look(
    world: World,
    names: Iterable[str],
    *,
    optional: frozenset[str] = frozenset(),
    things: Iterable[Thing] = (),
) -> Look:
    """Look behind names, and into `things`; names that are `optional` need not be there."""
    looking = _Looking(world, [*things])
    for name in names:
        if name != "Out":  # what that holds is looked at one by one
            looking.take(name, looking.found.later if name in optional else looking.found.missing)
    looking.go_through()
    looking.found.missing -= looking.found.later
    return looking.found


class _Looking:
    def __init__(self, world: World, things: list[Thing]) -> None:
        self.found = Look()
        self._world = world
        self._stack = things
        self._names: set[str] = set()
        self._seen: set[Thing] = set()

    def take(self, name: str, missing: set[str]) -> None:
        """Take a name of the notebook, and what it is bound to."""
        if name in self._names:
            return
        self._names.add(name)
        log = self._world.names.get(name)
        if log is None:
            missing.add(name)
        else:
            self.found.reads.append((log, len(log)))
        self._stack.extend(self._world.scope.vars.get(name) or ())

    def go_through(self) -> None:
        """Follow things to all that they hold, and functions to all that they read when they are called."""
        stack, seen, reads = self._stack, self._seen, self.found.reads
        while stack:
            thing = stack.pop()
            if thing in seen:
                continue
            seen.add(thing)
            if isinstance(thing, Library):
                self._use(thing.path)
                continue
            if thing.log:
                reads.append((thing.log, len(thing.log)))
            stack.extend(thing.parts)
            if isinstance(thing, Scope):
                stack.extend(thing.state())
            elif isinstance(thing, Function | Class):
                for name in thing.late:
                    self.take(name, self.found.later)

    def _use(self, path: str) -> None:
        top = path.partition(".")[0]
        if top == "builtins":
            return
        self.found.uses.add(top)
        self.found.paths.add(path)
        modules = self._world.modules
        self._stack.extend(own for module in inner_modules(path) if (own := modules.get(module)) is not None)
