"""First uses, made in a template: what they cost is paid once, and not by each run.

The first table shown takes pandas up to three times as long as the second: caches are filled, modules are
imported at that moment, and Python fits the code to what it works with. A fork has all that. The flow must
not be able to tell; so nothing here touches what a library keeps for its user (options, random numbers), and
it is tried in a fork before it is done in the template.
"""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any

from . import linux, preload
from .execution import unheard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from .app import TemplateApp

_PATIENCE = 30  #: seconds that a try gets
_TIMES = 3  #: Python fits code to its work when it has run some times; most of this has loops of its own


class Exercises:
    """The first uses of a template's modules: tried in forks, then made in steps, while nobody waits."""

    def __init__(self, modules: Iterable[str]) -> None:
        """Choose those of the uses known here that belong to the modules; nothing is done yet."""
        self._uses = [USES[module] for module in modules if module in USES]
        self._tried: dict[int, tuple[int, Callable[[], Iterator[Any]]]] = {}
        self._steps: Iterator[Any] = iter(())
        self.to_do = False  #: whether there is a step to be made

    def try_out(self, forget: Callable[[], None] = lambda: None) -> None:
        """Begin to try them, once; each in a fork, which does `forget` first.

        Raises `OSError` where no process is to be had.
        """
        me = os.getpid()
        while self._uses:
            use = self._uses.pop()
            process = os.fork()
            if process == 0:
                _try(use, me, forget)
            self._tried[os.pidfd_open(process)] = process, use

    @property
    def pending(self) -> bool:
        """Whether something is being tried, or to be done."""
        return self.to_do or bool(self._tried)

    @property
    def watched(self) -> tuple[int, ...]:
        """Descriptors that are ready to be read when a try has ended."""
        return tuple(self._tried)

    @property
    def processes(self) -> tuple[int, ...]:
        """The processes in which something is tried."""
        return tuple(process for process, _ in self._tried.values())

    def heard(self, pidfd: int) -> None:
        """Take how a try has ended: what went well is to be done here as well."""
        process, use = self._tried.pop(pidfd)
        os.close(pidfd)
        try:
            well = os.waitpid(process, 0)[1] == 0
        except ChildProcessError:  # swept away by a flow's end
            well = False
        if well:
            self._steps, self.to_do = _again(self._steps, use), True

    def step(self) -> None:
        """Make the next step, which takes about a tenth of a second at most. Raises whatever that raises."""
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")  # which also keeps none from being shown later
            self.to_do = next(self._steps, self) is not self

    def forget(self) -> None:
        """Let go of the tries, in a fork of the template."""
        for pidfd in self._tried:
            os.close(pidfd)
        self._tried.clear()


def _try(use: Callable[[], Iterator[Any]], parent: int, forget: Callable[[], None]) -> None:
    """Make a use in this process, forked for that, and end it: well, where nothing came of it but time."""
    status = 1
    try:
        linux.die_with(parent)
        forget()
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(_PATIENCE)
        before = preload.State.now()
        exercises = Exercises(())
        exercises._steps, exercises.to_do = use(), True  # noqa: SLF001
        with preload.asking() as asked:  # which a run's folder might have
            while exercises.to_do:
                exercises.step()
        status = 0 if preload.changed(before) is None and not asked else 1
    finally:
        os._exit(status)


def _again(steps: Iterator[Any], use: Callable[[], Iterator[Any]]) -> Iterator[Any]:
    yield from steps
    for _ in range(_TIMES):
        yield from use()


def of_kernel(app: TemplateApp) -> None:
    """Do what the first cell would else have to wait for; nobody hears it, and nothing of it stays."""
    kernel = app.kernel
    content = {"code": "1", "silent": False, "store_history": False}
    request = {"header": {"msg_id": ""}, "parent_header": {}, "metadata": {}, "content": content}

    async def warm() -> None:
        with unheard(kernel.shell):
            for _ in range(_TIMES * 5):
                await kernel.shell_handlers["execute_request"]("shell", [], request)
            await kernel.do_execute("await __import__('asyncio').sleep(0)", silent=True, store_history=False)

    kernel.io_loop = None
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(warm())
    loop.close()
    asyncio.set_event_loop(None)
    kernel.shell.display_formatter.format(0)
    try:
        raise ValueError  # noqa: TRY301  # its traceback is made as a cell's would be
    except ValueError:
        kernel.shell.InteractiveTB.structured_traceback(*sys.exc_info())


def of_pandas() -> Iterator[object]:
    """Make, show, group, join, sort, read and write small tables."""
    import pandas as pd
    from IPython.core.interactiveshell import InteractiveShell

    def shown(value: Any) -> object:
        return InteractiveShell.instance().display_formatter.format(value)

    rows = (f"2024-01-{day:02},{'ab'[day % 2]},{day},{day / 4}\n" for day in range(1, 29))
    table = pd.read_csv(io.StringIO("day,kind,n,x\n" + "".join(rows)), parse_dates=["day"])
    yield shown(table.head())
    yield shown(table.describe())
    table["double"] = table["n"] * 2
    yield shown(table[table["n"] > 3].sort_values("x", ascending=False))
    kinds = table.groupby("kind")["n"].mean()
    yield shown(kinds)
    yield shown(table.groupby("kind").agg({"n": ["sum", "max"], "x": "mean"}))
    yield shown(table.merge(kinds.rename("mean"), left_on="kind", right_index=True))
    yield shown(table.set_index("day")["x"].resample("W").mean())
    yield shown(table.pivot_table(index="day", columns="kind", values="n").fillna(0))
    yield shown(pd.concat([table, table], ignore_index=True)["kind"].value_counts())
    yield shown(table["kind"].map(str.upper).to_frame())
    yield table.to_csv(io.StringIO())


USES: Mapping[str, Callable[[], Iterator[object]]] = {"pandas": of_pandas}
"""By the module whose import asks for it."""
