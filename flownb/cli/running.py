"""`flownb run`: run a stored flow, show how it goes, and end with what came of it."""

from __future__ import annotations

import functools
import threading
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flownb.cli.completing import complete_assignment, complete_environment, complete_reference
from flownb.cli.group import INTERRUPTED, reader_gone
from flownb.cli.printing import output_text, print_json, run_json, say, terminal_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from flownb.environments import Environment
    from flownb.environments.options import Option
    from flownb.flow import Flow
    from flownb.runs import Run
    from flownb.runs.project import Project


class _RunCommand(click.Command):
    """Takes what every environment of this machine takes, as its model declares it."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the options; those of the environment behind our own."""
        own = super().get_params(ctx)
        taken = {flag for param in own for flag in param.opts}
        return [*own[:-1], *(made for made in _environment_options() if made.opts[0] not in taken), own[-1]]


@functools.cache
def _environment_options() -> tuple[click.Option, ...]:
    from flownb.environments import LocalEnvironment
    from flownb.environments.options import options_of

    return tuple(map(_click_option, options_of(LocalEnvironment)))


def _click_option(option: Option) -> click.Option:
    flag = option.flag
    return click.Option(
        [f"{flag}/--no-{flag[2:]}" if option.shape == "switch" else flag, option.name],
        help=option.help,
        metavar=option.metavar or None,
        multiple=option.many,
        default=None,
        type=click.Path() if option.shape == "path" else None,
    )


@click.command("run", cls=_RunCommand)
@click.argument("reference", metavar="[REF]", required=False, shell_complete=complete_reference)
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
@click.option("--out", metavar="NAMES", help="Outputs of a notebook that is run whole: a,b.")
@click.option(
    "--environment",
    metavar="NAME",
    shell_complete=complete_environment,
    help="An environment of the project's flownb.toml, or a kind of environment.",
)
@click.option(
    "-o",
    "--option",
    "others",
    multiple=True,
    metavar="NAME=VALUE",
    help="An option of the environment, of whatever kind it is.",
)
@click.option(
    "--trust", "trusted", is_flag=True, help="Run it this once, though its store came from elsewhere."
)
@click.option("--json", "as_json", is_flag=True, help="Print the run's record as JSON for machines.")
@click.option("-q", "--quiet", is_flag=True, help="No progress; print only the run's id.")
def run_command(
    *,
    reference: str | None,
    assignments: Sequence[str],
    file: Path | None,
    out: str | None,
    environment: str | None,
    others: Sequence[str],
    trusted: bool,
    as_json: bool,
    quiet: bool,
    **typed: Any,
) -> int:
    """Run the flow REF, show its progress, and then its outputs.

    Without REF the variables FLOWNB_STORAGE, FLOWNB_LOCATION and FLOWNB_PARAM_name say what runs.

    Exit status: 0 success, 1 the flow failed, 2 it could not be started, 130 it was cancelled.
    """
    from flownb.cli.looking import project_of
    from flownb.displays.wording import visible
    from flownb.document import import_nbformat
    from flownb.environments.asking import asked_by
    from flownb.environments.chosen import changed_environment, environment_for
    from flownb.environments.signals import interrupted_by_signals
    from flownb.storage import open_flow
    from flownb.storage.trust import allow_once
    from flownb.storage.variables import flow_told, parameters_told

    # what each run needs, while other things are looked at
    threading.Thread(target=import_nbformat, name="flownb-import").start()
    outputs = [name.strip() for name in (out or "").split(",") if name.strip()]
    if reference is None:
        storage, flow = flow_told()
        given: dict[str, Any] = {**parameters_told(flow), **given_values(flow, assignments, file)}
    else:
        storage, flow = open_flow(reference, outputs)
        given = given_values(flow, assignments, file)
    for note in storage.notes(flow):
        say(f"flownb: ⚠ {visible(note)}")
    project = project_of(flow)
    for note in changed_environment(flow, project) if environment is None else ():
        say(f"flownb: ⚠ {visible(note)}")
    place = _with_options(environment_for(flow, project, environment), typed, others)
    allowed = allow_once(storage) if trusted else nullcontext()
    with interrupted_by_signals():  # it ends as the signal asks when it has told what came of the run
        with allowed, asked_by("command line"), _progress(quiet=quiet) as on_change:
            run = place.execute(storage, flow.location or flow.name, given, on_change=on_change)
        if run.differs:
            say(f"flownb: ⚠ {visible(run.differs)}")
        try:
            if as_json:
                print_json(_run_json(run))
            elif quiet:
                click.echo(run.id)
            else:
                _print_run(run)
            status = 0
        except OSError:  # nobody reads it, or it cannot be written there: the run came to what it came to
            status = reader_gone()
        return _status(run, project) or status


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


def _with_options(place: Environment, typed: Mapping[str, Any], others: Sequence[str]) -> Environment:
    """Return the environment with the options that were typed in place of its own."""
    from flownb.environments.options import read_options, split_option

    texts: dict[str, list[str]] = {}
    for name, value in typed.items():
        if value is None or value == ():
            continue
        texts[name] = list(value) if isinstance(value, tuple) else [str(value)]
        if isinstance(value, bool):
            texts[name] = [str(value).lower()]
    for name, text in map(split_option, others):
        texts.setdefault(name, []).append(text)
    return place.replace(**read_options(type(place), texts)) if texts else place


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Any]:
    from flownb.ui.progress import progress_for

    if quiet:
        yield None
        return
    with progress_for(notebook=False) as on_change:
        yield on_change


def _print_run(run: Run) -> None:
    from flownb.displays.run import callback_error_text
    from flownb.displays.wording import visible

    for output in run.outputs.records:
        click.echo(output_text(output, run.record.outputs_folder))
    if run.state == "Success":  # else the message says where it is
        click.echo(f"executed notebook: {visible(str(run.notebook))}")
    for error in run.callback_errors:
        say(f"flownb: a callback failed: {visible(callback_error_text(error), lines=True)}")


def _status(run: Run, project: Project) -> int:
    """Say why the run did not succeed, where it did not, and return the exit status."""
    from flownb.errors import ParametersRefusedError, RunFailedError

    try:
        run.raise_for_state()
    except ParametersRefusedError as error:  # told as what is found wrong before a run
        say(f"flownb: {terminal_text(str(error))}")
        return error.exit_code
    except RunFailedError as error:
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
