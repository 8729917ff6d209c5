"""One session from its notebook to its ending, in a process forked from a template."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from flownb.engine.fork.interpreter import Launch, Refusal, launch_of
from flownb.engine.kernelspecs import check_folder, child_environment, kernel_spec
from flownb.engine.room import shortage_told

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbformat import NotebookNode

    from flownb.engine.fork.fold import Fold
    from flownb.engine.fork.keeper import Keeper
    from flownb.engine.fork.process import Process
    from flownb.engine.session import Session

NAME = "flownb"

_FOLD = "flownb.engine.fork.fold"

#: variables that say something of a moment, and nothing to a template: given to the run alone
PASSING = frozenset({"PYTEST_CURRENT_TEST", "PWD", "OLDPWD", "SHLVL", "_", "COLUMNS", "LINES"})


class CannotFork(Exception):  # no failure of the run: another engine does it
    """This engine cannot run that kernel here; says why in words for people."""


def launch_for(kernel_name: str, env: Mapping[str, str]) -> Launch | Refusal:
    """Return how a template for that kernel is started in this process, or why there is none.

    Raises `EnvironmentRefusedError` where there is no kernel of that name.
    """
    lasting = {name: value for name, value in child_environment(env).items() if name not in PASSING}
    return launch_of(kernel_spec(kernel_name), lasting)


def run_forked(keeper: Keeper, fold: Fold, process: Process, session: Session) -> None:
    """Execute the keeper's notebook in a fresh `process`; the session's `ending` says how it ended.

    `fold` is that notebook's. Raises what the session's observer raises, and `EnvironmentRefusedError`
    where the process cannot begin. The process is closed in any case.
    """
    changes: dict[str, str | None] = {name: os.environ[name] for name in PASSING if name in os.environ}
    changes["PWD"] = str(session.cwd)
    try:
        with shortage_told():
            from flownb.engine.fork.cells import Cells
        fold.speak_to(process.send)
        cells = Cells(process, fold, keeper, session)
        keeper.notebook_start()
    except BaseException:
        process.close()
        raise
    try:
        session.ending = replace(cells.run(changes), engine=NAME)
    finally:
        keeper.notebook_complete()


def process_for(
    nb: NotebookNode,
    kernel_name: str,
    session: Session,
    arguments: tuple[str, ...] = (),
    *,
    meanwhile: Callable[[], object],
) -> Process:
    """Return a fresh process for a notebook, from a template that has what it imports.

    `meanwhile` is called at least once before this returns, while that template is asked: what has to be
    made for the run anyway.

    Raises:
        CannotFork: it cannot be had here.
        Stopped: the run was stopped, or its limit is passed, before there was one.
        EnvironmentRefusedError: there is no such kernel or folder, or there is no room for a run here:
            another engine would break by what this one lacked.

    """
    with shortage_told():
        return _process_for(nb, kernel_name, session, arguments, meanwhile)


def _process_for(
    nb: NotebookNode,
    kernel_name: str,
    session: Session,
    arguments: tuple[str, ...],
    meanwhile: Callable[[], object],
) -> Process:
    from flownb.engine.fork.template import TemplateFailed, Waiting
    from flownb.engine.fork.templates import templates
    from flownb.engine.fork.wanted import names_in, wanted

    launch = launch_for(kernel_name, session.env)
    check_folder(session.cwd)
    if isinstance(launch, Refusal):
        raise CannotFork(launch.reason)
    if arguments:
        launch = replace(launch, arguments=(*launch.arguments, *arguments))
    # what folds the messages is imported while the template's interpreter starts
    if _FOLD not in sys.modules:
        with contextlib.suppress(RuntimeError):  # no thread is to be had: then it is imported when it is used
            threading.Thread(target=_import_fold, name="flownb-import").start()
    try:
        modules = costly(wanted(nb, session.cwd, launch.python[0]))
        waiting = Waiting(session.check, lambda: session.observer.importing(modules))
        names = names_in(session.cwd) if modules else frozenset()
        limit = session.start_timeout
        return templates().child(
            launch, modules, names=names, limit=limit, waiting=waiting, meanwhile=meanwhile
        )
    except TemplateFailed as error:
        why, _, more = str(error).partition("\n")
        hint = " (`flownb doctor` tells more)" if more else ""
        raise CannotFork(f"its template process failed: {why}{hint}") from error


def _import_fold() -> None:
    with contextlib.suppress(Exception):  # told to who uses it
        importlib.import_module(_FOLD)


def costly(modules: tuple[str, ...]) -> tuple[str, ...]:
    """Leave out what is quick to import: else there would be a template for each set of such imports."""
    return tuple(name for name in modules if name.partition(".")[0] not in sys.stdlib_module_names)
