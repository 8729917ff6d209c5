"""The slice: those executed statements that something depends on, found backwards from what it reads."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flownb.capture.library_state import notices
from flownb.capture.looking import look as look_behind
from flownb.capture.things import Log
from flownb.capture.world import inner_modules, is_displayed
from flownb.names import PROVIDED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from flownb.capture.history import Executed, History
    from flownb.capture.looking import Look

#: builtins that `from module import *` often binds to something else (NumPy, math, os)
_CLASHING = frozenset({"abs", "all", "any", "divmod", "max", "min", "open", "pow", "round", "sum"})


@dataclass(frozen=True)
class Slice:
    """Statements that something depends on."""

    statements: list[int]  #: their places in the history, sorted
    missing: set[str]  #: names that none of them bound
    later: set[str]  #: those that are only read by functions
    uses: set[str]  #: libraries
    shown: Mapping[int, set[str]]  #: statements whose displayed value is read, and under which names


def slice_of(
    history: History,
    look: Look,
    before: int,
    *,
    given: Callable[[Executed], bool],
    held: Mapping[Log, int],
    loaded: Iterable[str] = (),
) -> Slice:
    """Return the statements, of those executed before the place `before`, that a look depends on.

    Those that are `given` are there otherwise, and nothing that they depend on is looked for; nor is what
    is `held`: logs in just that version. Whoever it is for imports the modules `loaded` by itself.
    """
    return _Slicing(history, look, before, given, held, loaded).found()


class _Slicing:
    def __init__(
        self,
        history: History,
        look: Look,
        before: int,
        given: Callable[[Executed], bool],
        held: Mapping[Log, int],
        loaded: Iterable[str],
    ) -> None:
        self._history = history
        self._before = before
        self._given = given
        self._held = held
        self._done: dict[Log, int] = {}
        self._met: set[int] = set()
        self._statements: set[int] = set()
        self._stack = list(look.reads)
        self._missing, self._later = set(look.missing), set(look.later)
        self._uses, self._paths = set(look.uses), set(look.paths)
        self._shown: dict[int, set[str]] = {}
        self._taken: set[str] = set()
        self._loaded = set(loaded)  #: modules that are imported anyhow

    def found(self) -> Slice:
        """Go on until nothing more is needed."""
        self._notice()
        while self._stack:
            while self._stack:
                self._follow(*self._stack.pop())
            self._notice()
        if any(self._history.executed[index].hidden in self._history.hidden for index in self._statements):
            self._missing.clear()  # they may come from there
        missing = self._missing - PROVIDED
        return Slice(
            sorted(self._statements), missing, self._later - PROVIDED - missing, self._uses, self._shown
        )

    def _follow(self, log: Log, version: int) -> None:
        """Take those who wrote a name or thing, up to a version."""
        start = self._done.get(log, 0)
        if version <= start or self._held.get(log) == version:
            return
        self._done[log] = version
        if is_displayed(log.name):
            for index in log[start:version]:
                self._shown.setdefault(index, set()).add(log.name)
        for index in log[start:version]:
            if index not in self._met:
                self._met.add(index)
                self._take(self._history.executed[index])

    def _take(self, one: Executed) -> None:
        if one.cell.imagined or self._given(one):
            return
        self._statements.add(one.index)
        self._loaded |= one.loads
        self._stack += one.look.reads
        self._missing |= one.look.missing
        self._later |= one.look.later
        self._uses |= one.look.uses
        self._paths |= one.look.paths

    def _notice(self) -> None:
        """Take what set the state of libraries that are used, and what imported their modules."""
        world, before = self._history.world, self._before
        used = frozenset(self._uses)
        for name, state in world.states.items():
            if name not in self._taken and state.log and state.log[0] < before and notices(used, name):
                self._taken.add(name)
                self._stack.append((state.log, bisect_left(state.log, before)))
                behind = look_behind(world, (), things=state.parts).reads if state.parts else ()
                self._stack += ((log, bisect_left(log, before)) for log, _ in behind)
        for path in self._paths - self._taken:
            self._taken.add(path)
            for module in inner_modules(path):
                first = world.loaded.get(module, before)
                if first < before and "." in module and module not in self._loaded:
                    self._stack.append((Log([first]), 1))
        missing = self._missing | self._later
        if "*" not in self._taken and (missing - PROVIDED or not _CLASHING.isdisjoint(missing)):
            self._taken.add("*")
            hidden = self._history.hidden
            executed = self._history.executed[:before]
            self._stack += [(Log([one.index]), 1) for one in executed if one.hidden in hidden]
