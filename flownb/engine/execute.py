"""Execute one notebook, isolated, and say how it ended."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from flownb.engine.managed import NAME, STANDARD, ManagedEngine
from flownb.engine.session import Limits, Session
from flownb.errors import EnvironmentRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from nbformat import NotebookNode

    from flownb.engine.ending import Ending
    from flownb.engine.observe import Observer
    from flownb.engine.secrets import Secrets
    from flownb.engine.stop import Stop

__all__ = ["Limits", "check", "execute"]

_TICK = 0.1  #: seconds between calls of `tick`


def engine_names() -> tuple[str, ...]:
    """Return the names of the engines that papermill knows here, sorted. Imports none of them."""
    from importlib.metadata import entry_points

    there = {point.name for point in entry_points(group="papermill.engine")}
    return tuple(sorted({*there, STANDARD}))


def check(*, engine: str = STANDARD, kernel: str | None = None) -> None:
    """Raise `EnvironmentRefused`, naming those there are, where an engine or a kernel is not there."""
    from flownb.engine.kernel import check_kernel

    if engine not in engine_names():
        raise EnvironmentRefused(
            f"papermill knows no engine {engine!r} here; there are: {', '.join(engine_names())}"
        )
    if kernel is not None:
        check_kernel(kernel)


def execute(
    nb: NotebookNode,
    *,
    engine: str = STANDARD,
    kernel: str | None = None,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    limits: Limits = Limits(),  # noqa: B008  # frozen
    observer: Observer | None = None,
    secrets: Secrets | None = None,
    stop: Stop | None = None,
    tick: Callable[[], None] | None = None,
) -> Ending:
    """Execute a notebook through papermill in a process of its own, and return how it ended.

    A flow that fails, dies, takes too long or is cancelled is an `Ending`, not an exception. The work
    is done in a thread of its own: neither this process's working directory nor its variables change,
    an asyncio loop that runs here is not disturbed, and any number of executions go on side by side.
    A KeyboardInterrupt while it waits cancels: the kernel is interrupted, after a grace of 2 s killed
    with all it started; a second one does not wait. When this returns nothing of it lives.

    Args:
        nb: the notebook, which stays as it is; the observer is given the copy that is executed.
        engine: name of a papermill engine. Other engines than papermill's standard one run in a child
            process, know nothing of secrets, and run no code between cells.
        kernel: name of a kernelspec; None: the notebook's own.
        cwd: folder that it runs in.
        env: variables added to this process's own.
        limits: seconds for the run and for each cell.
        observer: is told what happens, in the engine's thread.
        secrets: bound in the kernel right behind the cell tagged `injected-parameters`, else
            `parameters`; the notebook, its outputs and errors are kept without them.
        stop: may be used by another thread to cancel.
        tick: called about ten times a second in the thread that called this.

    Raises:
        EnvironmentRefused: there is no such engine or kernel, or it cannot be started.
        Exception: what the observer or `tick` raised; the kernel is gone by then.

    """
    session = Session(cwd=cwd, limits=limits, engine=engine, env=dict(env or {}))
    if secrets is not None:
        session = replace(session, secrets=secrets)
    if observer is not None:
        session = replace(session, observer=observer)
    if stop is not None:
        session = replace(session, stop=stop)
    work = _Work(nb, kernel, session)
    work.start()
    work.wait(tick)
    if work.error is not None:
        raise work.error
    assert session.ending is not None
    return session.ending


class _Work(threading.Thread):
    """The thread that executes; not a daemon, so that the interpreter's end waits for it."""

    def __init__(self, nb: NotebookNode, kernel: str | None, session: Session) -> None:
        super().__init__(name="flownb-run")
        self._nb, self._kernel, self._session = nb, kernel, session
        self._over = threading.Event()
        self.error: BaseException | None = None

    def run(self) -> None:
        """Execute; what is raised waits for `wait`."""
        try:
            _through_papermill(self._nb, self._kernel, self._session)
        except BaseException as error:  # noqa: BLE001  # raised again in the thread that waits
            self.error = error
        finally:
            self._over.set()

    def wait(self, tick: Callable[[], None] | None) -> None:
        """Wait for the end, in the thread that asked for it; an interrupt there becomes a stop."""
        trouble: BaseException | None = None
        while not self._over.is_set():
            try:
                if not self._over.wait(_TICK) and tick is not None and trouble is None:
                    tick()
            except KeyboardInterrupt:
                self._session.stop.request()
            except BaseException as error:  # noqa: BLE001  # raised again below, when nothing runs any more
                trouble = error
                self._session.stop.request()
        self.join()
        if trouble is not None:
            raise trouble


def _through_papermill(nb: NotebookNode, kernel: str | None, session: Session) -> None:
    check(engine=session.engine)
    kernel = kernel or nb.metadata.get("kernelspec", {}).get("name")
    if not kernel:
        raise EnvironmentRefused(
            "the notebook does not say which kernel it runs with; name one with `kernel=`"
        )
    import papermill
    from papermill.engines import papermill_engines

    # its entry point says the same; a fresh checkout, not installed, has none
    papermill_engines.register(NAME, ManagedEngine)
    papermill.execute_notebook(
        nb, None, engine_name=NAME, kernel_name=kernel, progress_bar=False, session=session
    )
