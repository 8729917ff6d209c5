"""The templates of this process: found again by what they were made of, made where there is none."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from flownb.engine.fork.inside.looks import in_folder
from flownb.engine.fork.stale import fingerprint, is_stale
from flownb.engine.fork.template import LOOK, Template, TemplateFailed, Waiting
from flownb.engine.fork.wanted import COMPANIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flownb.engine.fork.interpreter import Launch
    from flownb.engine.fork.process import Process
    from flownb.engine.fork.stale import Fingerprint

    Key = tuple[Launch, tuple[str, ...], tuple[str, ...]]

_MOST = 4  #: templates of each kind that live at once; the one that was not used for longest ends
_TRY_AGAIN = 60.0  #: seconds after which a template that could not be made is tried again


class Templates:
    """Gives processes to run notebooks in; any thread may ask."""

    def __init__(self) -> None:
        self._bases = Shelf()
        self._branches = Shelf()
        self._last: Template | None = None  # that gave a process

    def expect(self) -> None:
        """Have the template that gave a process last expect that another one is wanted soon."""
        if self._last is not None:
            self._last.expect()

    def child(
        self,
        launch: Launch,
        modules: tuple[str, ...] = (),
        *,
        names: frozenset[str] = frozenset(),
        limit: float = 60.0,
        waiting: Waiting = Waiting(),  # noqa: B008  # frozen
        meanwhile: Callable[[], object] = lambda: None,
    ) -> Process:
        """Return a fresh process of that interpreter, with those of the modules imported that it can have.

        A template that is dead is replaced, also where it was killed at its start, and one that is stale.
        `meanwhile` is called while the template is asked, and again where another one has to be. Raises
        `TemplateFailed` where none can be made within `limit` seconds, and what `waiting` does.
        """
        for last in (False, True):
            template = None
            try:
                template = self._last = self.template(
                    launch, modules, names=names, limit=limit, waiting=waiting
                )
                return template.child(meanwhile)
            except TemplateFailed as failed:  # it was killed, or does not answer; nothing has run yet
                if template is not None:
                    self._bases.discard(template)
                    self._branches.discard(template)
                if last or (template is None and not failed.passing):
                    raise
        raise AssertionError

    def template(
        self,
        launch: Launch,
        modules: tuple[str, ...] = (),
        *,
        names: frozenset[str] = frozenset(),
        limit: float = 60.0,
        waiting: Waiting = Waiting(),  # noqa: B008  # frozen
    ) -> Template:
        """Return the template that such processes are forked from. Raises `TemplateFailed`.

        `names` are those that the run's folder has for modules and files: what looks for one of them when it
        is imported is left out.
        """
        made = self._imported(launch, modules, (), limit, waiting)
        met = {module: names & set(asked) for module, asked in made.about["asked"].items()}
        if not (avoid := frozenset().union(*met.values())):
            return made
        left = {module: in_folder(found) for module, found in met.items() if found}
        others = {companion for module in left for companion in COMPANIONS.get(module, ())}
        rest = tuple(module for module in modules if module not in left and module not in others)
        made = self._imported(launch, rest, tuple(sorted(avoid)), limit, waiting)
        made.about["refused"].update(left)
        return made

    def _imported(
        self, launch: Launch, modules: tuple[str, ...], avoid: tuple[str, ...], limit: float, waiting: Waiting
    ) -> Template:
        if modules:
            key = launch, modules, avoid
            try:
                return self._branches.get(key, lambda: self._branch(key, limit, waiting), waiting)
            except TemplateFailed:
                pass  # without it the flow imports by itself: slower, and no other way different
        return self._base(launch, limit, waiting)

    def _base(self, launch: Launch, limit: float, waiting: Waiting) -> Template:
        return self._bases.get((launch, (), ()), lambda: Template.start(launch, limit, waiting), waiting)

    def _branch(self, key: Key, limit: float, waiting: Waiting) -> Template:
        launch, modules, avoid = key
        for last in (False, True):
            base = self._base(launch, limit, waiting)
            waiting.importing()
            try:
                return base.branch(modules, limit, waiting, avoid)
            except TemplateFailed:
                if last or base.alive:
                    raise
                self._bases.discard(base)
        raise AssertionError

    def close(self) -> None:
        """End all templates; runs that go on do go on."""
        self._bases.clear(Template.close)
        self._branches.clear(Template.close)

    def abandon(self) -> None:
        """Forget all, in a forked copy of the process that they belong to."""
        self._bases.clear(Template.abandon)
        self._branches.clear(Template.abandon)


class Shelf:
    """Keeps the templates that were used last; two threads never make the same one twice."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[Key, tuple[Template, Fingerprint]] = OrderedDict()
        self._making: dict[Key, threading.Lock] = {}
        self._failed: dict[Key, tuple[float, TemplateFailed]] = {}

    def get(self, key: Key, make: Callable[[], Template], waiting: Waiting) -> Template:
        """Return the template for those, made now where there is none, or a stale one.

        Raises `TemplateFailed`, and what `waiting` does while another thread makes it.
        """
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        with _turn(making, waiting):
            found = self._found(key)
            if found is not None:
                return found
            try:
                made = make()
            except TemplateFailed as error:
                if not error.passing:
                    self._failed[key] = time.monotonic(), error
                raise
            self._failed.pop(key, None)
            # looked at now, not before: the first kernel of a home folder makes IPython's profile there
            self._keep(key, made, fingerprint(*key[:2]))
            return made

    def _found(self, key: Key) -> Template | None:
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
        if found is not None:
            template, made_of = found
            if not is_stale(made_of):
                return template
            self.discard(template)
        failed = self._failed.get(key)
        if failed is not None and time.monotonic() - failed[0] < _TRY_AGAIN:
            raise TemplateFailed(str(failed[1]))
        return None

    def _keep(self, key: Key, made: Template, made_of: Fingerprint) -> None:
        with self._lock:
            self._kept[key] = made, made_of
            over = [self._kept.popitem(last=False) for _ in range(len(self._kept) - _MOST)]
            for old, _ in over:
                self._making.pop(old, None)
        for _, (template, _) in over:
            template.close()

    def discard(self, template: Template) -> None:
        """End a template that is no good any more."""
        with self._lock:
            keys = [key for key, (kept, _) in self._kept.items() if kept is template]
            for key in keys:
                del self._kept[key]
        if keys:
            template.close()

    def clear(self, end: Callable[[Template], None]) -> None:
        """Let go of all."""
        kept, self._kept = self._kept, OrderedDict()
        for template, _ in kept.values():
            end(template)


@contextlib.contextmanager
def _turn(making: threading.Lock, waiting: Waiting) -> Iterator[None]:
    while not making.acquire(timeout=LOOK):
        waiting.check()
    try:
        yield
    finally:
        making.release()


def templates() -> Templates:
    """Return the templates of this process; a forked copy of it has none of its parent's."""
    kept, process = _kept(), os.getpid()
    if process not in kept:
        for inherited in list(kept):
            kept.pop(inherited).abandon()
        mine = kept.setdefault(process, Templates())
        atexit.register(_close, mine, process)
    return kept[process]


@functools.cache
def _kept() -> dict[int, Templates]:
    return {}


def _close(mine: Templates, process: int) -> None:
    if os.getpid() == process:
        mine.close()
