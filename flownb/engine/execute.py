"""Execute one notebook, isolated, and say how it ended."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from flownb.engine.managed import NAME, STANDARD, ManagedEngine
from flownb.engine.plugin import FORKING
from flownb.engine.session import Limits, Session, Stopped
from flownb.engine.work import Work
from flownb.errors import EnvironmentRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from nbformat import NotebookNode

    from flownb.engine.ending import Ending
    from flownb.engine.fork.fold import Fold
    from flownb.engine.fork.keeper import Keeper
    from flownb.engine.observe import Observer
    from flownb.engine.secrets import Secrets
    from flownb.engine.stop import Stop

__all__ = ["Limits", "check", "execute"]


def engine_names() -> tuple[str, ...]:
    """Return the names of the engines that papermill knows here, sorted. Imports none of them."""
    from importlib.metadata import entry_points

    there = {point.name for point in entry_points(group="papermill.engine")}
    return tuple(sorted({*there, FORKING, STANDARD}))


def check(*, engine: str = FORKING, kernel: str | None = None, secrets: bool = False) -> None:
    """Raise `EnvironmentRefusedError`, naming those there are, where an engine or a kernel is not there.

    Where there are `secrets` to be given to the notebook also an engine that takes none is refused.
    """
    from flownb.engine.kernelspecs import check_kernel

    if engine not in (FORKING, STANDARD) and engine not in engine_names():
        raise EnvironmentRefusedError(
            f"papermill knows no engine {engine!r} here; there are: {', '.join(engine_names())}"
        )
    if secrets and engine not in (FORKING, STANDARD):
        raise EnvironmentRefusedError(
            f"papermill's engine {engine!r} cannot be given secret parameters without writing them into the "
            f"notebook; use the engine {FORKING!r} or {STANDARD!r}"
        )
    if kernel is not None:
        check_kernel(kernel)


def execute(
    nb: NotebookNode,
    *,
    engine: str = FORKING,
    kernel: str | None = None,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    limits: Limits = Limits(),  # noqa: B008  # frozen
    observer: Observer | None = None,
    secrets: Secrets | None = None,
    stop: Stop | None = None,
    tick: Callable[[], None] | None = None,
) -> Ending:
    """Execute a notebook in a process of its own, and return how it ended.

    A flow that fails, dies, takes too long or is cancelled is an `Ending`, not an exception. The work
    is done in a thread of its own: neither this process's working directory nor its variables change,
    an asyncio loop that runs here is not disturbed, and any number of executions go on side by side.
    A KeyboardInterrupt while it waits cancels: the kernel is interrupted, after a grace of 2 s killed
    with all it started; a second one does not wait. When this returns nothing of it lives.

    Args:
        nb: the notebook, which stays as it is; the observer is given the copy that is executed.
        engine: `flownb`, which forks a process that is ready already, and where that cannot be has
            papermill's standard engine do it; `nbclient`, which is that one; or the name of another
            papermill engine. Those run in a child process, know nothing of secrets, and run no code
            between cells.
        kernel: name of a kernelspec; None: the notebook's own.
        cwd: folder that it runs in.
        env: variables added to this process's own.
        limits: seconds for the run and for each cell, and memory.
        observer: is told what happens, in the engine's thread.
        secrets: bound in the kernel right behind the cell tagged `injected-parameters`, else
            `parameters`; the notebook, its outputs and errors are kept without them.
        stop: may be used by another thread to cancel.
        tick: called about ten times a second in the thread that called this.

    Raises:
        EnvironmentRefusedError: there is no such engine or kernel, it cannot be started, or memory is to be
            limited where it cannot be.
        Exception: what the observer or `tick` raised; the kernel is gone by then.

    """
    if engine == FORKING and "flownb.engine.fork.templates" in sys.modules:
        from flownb.engine.fork.templates import templates

        templates().expect()  # it wakes up while the rest is made ready
    session = Session(cwd=cwd, limits=limits, engine=engine, env=dict(env or {}))
    if secrets is not None:
        session = replace(session, secrets=secrets)
    if observer is not None:
        session = replace(session, observer=observer)
    if stop is not None:
        session = replace(session, stop=stop)
    return Work(lambda: _executed(nb, kernel, session), session.stop).result(tick)


def _executed(nb: NotebookNode, kernel: str | None, session: Session) -> Ending:
    check(engine=session.engine, secrets=bool(session.secrets))
    kernel = kernel or nb.metadata.get("kernelspec", {}).get("name")
    if not kernel:
        raise EnvironmentRefusedError(
            "the notebook does not say which kernel it runs with; name one with `kernel=`"
        )
    notes: tuple[str, ...] = ()
    if session.engine == FORKING:
        from flownb.engine.fork.run import CannotFork, process_for, run_forked

        made: list[tuple[Keeper, Fold]] = []
        try:
            process = process_for(nb, kernel, session, meanwhile=lambda: made.append(_made(nb, session)))
        except CannotFork as refusal:
            _refuse_memory(session, f", which cannot run this: {refusal}")
            notes = (
                f"papermill's standard engine has run this, as the engine {FORKING!r} cannot: {refusal}",
            )
            session = replace(session, engine=STANDARD)
        except Stopped as stopped:  # before there was a process
            keeper = made[-1][0] if made else _made(nb, session)[0]
            keeper.notebook_start()
            keeper.notebook_complete()
            return replace(session.stopped(stopped.cause, None), engine=FORKING)
        else:
            run_forked(*made[-1], process, session)
            assert session.ending is not None
            return session.ending
    _refuse_memory(session)
    _through_papermill(nb, kernel, session)
    assert session.ending is not None
    return replace(session.ending, notes=(*notes, *session.ending.notes), engine=session.engine)


def _made(nb: NotebookNode, session: Session) -> tuple[Keeper, Fold]:
    from flownb.engine.fork.fold import Fold
    from flownb.engine.fork.keeper import Keeper, prepared

    keeper = Keeper(prepared(nb), session.observer)
    return keeper, Fold(keeper.nb, session)


def _refuse_memory(session: Session, why: str = "") -> None:
    """Refuse a limit of memory where it would not hold: nothing runs without it that asked for it."""
    if session.limits.memory is not None:
        raise EnvironmentRefusedError(
            f"`memory` is limited by the engine {FORKING!r} alone{why or f', not by {session.engine!r}'}; "
            "leave `memory` out to run it without a limit"
        )


def _through_papermill(nb: NotebookNode, kernel: str, session: Session) -> None:
    import papermill
    from papermill.engines import papermill_engines

    # its entry point says the same; a fresh checkout, not installed, has none
    papermill_engines.register(NAME, ManagedEngine)
    papermill.execute_notebook(
        nb, None, engine_name=NAME, kernel_name=kernel, progress_bar=False, session=session
    )
