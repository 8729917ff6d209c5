"""`flownb run`: run a stored flow, show how it goes, and end with what came of it."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flownb.cli.completing import complete_assignment, complete_reference
from flownb.cli.group import INTERRUPTED
from flownb.cli.printing import output_text, print_json, run_json, say, terminal_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flownb.environments import Environment
    from flownb.flow import Flow
    from flownb.runs import Run
    from flownb.runs.project import Project


@click.command("run")
@click.argument("reference", metavar="REF", shell_complete=complete_reference)
@click.option(
    "-p",
    "--parameter",
    "assignments",
    multiple=True,
    metavar="NAME=VALUE",
    shell_complete=complete_assignment,
    help="A parameter's value; as often as there are parameters. @env:VARIABLE, @file:PATH, @- (standard "
    "input) and @prompt say where it is; @@ stands for one @ at its beginning.",
)
@click.option(
    "-f",
    "--parameters-file",
    "file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="Values from a YAML, JSON or TOML file, or from standard input (-); -p goes before it.",
)
@click.option("--environment", metavar="NAME", help="An environment of the project's flownb.toml.")
@click.option("--engine", metavar="NAME", help="A papermill engine.")
@click.option(
    "--timeout", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="For the whole run."
)
@click.option(
    "--step-timeout", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="For each step."
)
@click.option("--memory", metavar="SIZE", help='What the flow may take, such as "2 GB".')
@click.option(
    "--retries", type=click.IntRange(0), metavar="N", help="How often a failed or crashed run is tried again."
)
@click.option(
    "--cwd",
    type=click.Path(exists=True, file_okay=False, resolve_path=True, path_type=Path),
    metavar="FOLDER",
    help="Where to run; by default in the notebook's folder.",
)
@click.option("--label", "labels", multiple=True, metavar="LABEL", help="A label of the run; may come again.")
@click.option(
    "--trust", "trusted", is_flag=True, help="Run it this once, though its store came from elsewhere."
)
@click.option("--json", "as_json", is_flag=True, help="Print the run's record as JSON for machines.")
@click.option("-q", "--quiet", is_flag=True, help="No progress; print only the run's id.")
def run_command(
    *,
    reference: str,
    assignments: Sequence[str],
    file: Path | None,
    environment: str | None,
    engine: str | None,
    timeout: float | None,
    step_timeout: float | None,
    memory: str | None,
    retries: int | None,
    cwd: Path | None,
    labels: Sequence[str],
    trusted: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Run the flow REF, show its progress, and then its outputs.

    Exit status: 0 success, 1 the flow failed, 2 it could not be started, 130 it was cancelled.
    """
    from flownb.cli.looking import project_of
    from flownb.document import import_nbformat
    from flownb.runs.markup import visible
    from flownb.storage import open_flow
    from flownb.storage.trust import allow_once

    # what each run needs, while other things are looked at
    threading.Thread(target=import_nbformat, name="flownb-import").start()
    storage, flow = open_flow(reference)
    given = given_values(flow, assignments, file)
    for note in storage.notes(flow):
        say(f"flownb: ⚠ {visible(note)}")
    chosen = {
        "engine": engine,
        "timeout": timeout,
        "step_timeout": step_timeout,
        "memory": memory,
        "retries": retries,
        "cwd": cwd,
        "labels": labels or None,
    }
    options = {option: value for option, value in chosen.items() if value is not None}
    project = project_of(flow)
    place = _environment(project, flow, environment, options)
    allowed = allow_once(storage) if trusted else nullcontext()
    with allowed, _stops_like_an_interrupt(), _progress(quiet=quiet) as on_change:
        run = place.execute(
            storage,
            flow.location or flow.name,
            given,
            asked_by="command line",
            on_change=on_change,
        )
    if as_json:
        print_json(_run_json(run))
    elif quiet:
        click.echo(run.id)
    else:
        _print_run(run)
    return _status(run, project)


def given_values(flow: Flow, assignments: Sequence[str], file: Path | None = None) -> dict[str, Any]:
    """Return the values given, those of the file first, so that the command line's own replace them.

    Warns of secrets that are written into the command.
    """
    from flownb.errors import ParameterError
    from flownb.parameters import Assignments, read_file

    given = Assignments(flow, assignments)
    readers = [
        *(["-f -"] if file == Path("-") else []),
        *(f"-p {each}" for each in given.from_standard_input),
    ]
    if len(readers) > 1:
        raise ParameterError(f"standard input is read once, and {' and '.join(readers)} want it")
    for name in given.open_secrets:
        say(
            f"flownb: ⚠ everybody on this machine can read the value of `{name}` in the list of processes: "
            f"say where it is instead, as in -p {name}=@env:VARIABLE, @file:PATH, @- or @prompt"
        )
    values: dict[str, Any] = dict(read_file(file)) if file is not None else {}
    return {**values, **given.values()}


def _environment(project: Project, flow: Flow, name: str | None, options: dict[str, Any]) -> Environment:
    """Return the environment asked for: by name here, or when the flow was captured, else the local one."""
    from flownb.environments import LocalEnvironment
    from flownb.environments.config import load_environment

    name = name or (flow.environment or {}).get("named")
    if name is None:
        return LocalEnvironment(**options)
    named: Environment = load_environment(project, name)
    return named.__class__(**{**dict(named), **options}) if options else named


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Any]:
    from flownb.ui.progress import progress_for

    if quiet:
        yield None
        return
    with progress_for(notebook=False) as on_change:
        yield on_change


@contextmanager
def _stops_like_an_interrupt() -> Iterator[None]:
    """Treat SIGTERM and a closed terminal (SIGHUP) like Ctrl-C: the run is cancelled, not lost."""
    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {name: signal.getsignal(getattr(signal, name)) for name in names}
    try:
        for name in names:
            # who asked for it to survive hanging up (nohup) gets that
            if before[name] is not signal.SIG_IGN:
                signal.signal(getattr(signal, name), signal.default_int_handler)
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


def _print_run(run: Run) -> None:
    from flownb.runs.markup import visible
    from flownb.runs.show import callback_error_text

    for output in run.outputs.records:
        click.echo(output_text(output, run.record.outputs_folder))
    if run.state == "Success":  # else the message says where it is
        click.echo(f"executed notebook: {visible(str(run.notebook))}")
    for error in run.callback_errors:
        say(f"flownb: a callback failed: {visible(callback_error_text(error), lines=True)}")


def _status(run: Run, project: Project) -> int:
    """Say why the run did not succeed, where it did not, and return the exit status."""
    from flownb.errors import ParametersRefused, RunFailed

    try:
        run.raise_for_state()
    except ParametersRefused as error:  # told as what is found wrong before a run
        say(f"flownb: {terminal_text(str(error))}")
        return error.exit_code
    except RunFailed as error:
        say(
            f"flownb: {terminal_text(str(error))}\nwhat it printed: flownb logs {run.id}{_elsewhere(project)}"
        )
        return INTERRUPTED if run.state == "Cancelled" else error.exit_code
    return 0


def _elsewhere(project: Project) -> str:
    """Return what a command must be told where the run is not of the project that this folder is in."""
    import shlex

    from flownb.runs.project import Project

    return "" if Project.of(Path.cwd()) == project else f" --project {shlex.quote(str(project.root))}"


def _run_json(run: Run) -> dict[str, Any]:
    record = run.record
    outputs = [
        {**output.to_json(), "path": str(record.outputs_folder / output.file)}
        for output in run.outputs.records
    ]
    return {**run_json(record), "notebook": str(record.notebook), "outputs": outputs}
