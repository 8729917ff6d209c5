"""Commands that look at recorded runs: `runs`, `logs`, `outputs`, `cancel`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from flownb.cli.completing import complete_output, complete_run
from flownb.cli.looking import project_option
from flownb.cli.printing import output_text, print_json, run_json, say, show, terminal_text

_LOOK_EVERY = 0.2  # seconds
_STATES = ("Pending", "Running", "Success", "Failed", "Cancelled", "Crashed")

_run = click.argument("run", metavar="RUN", shell_complete=complete_run)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")


@click.command("runs")
@click.option("--flow", metavar="NAME|REF", help="Only runs of this flow; STORE#NAME: of the one there.")
@click.option("--source", metavar="STORE", help="Only runs of the flows in this store, such as a notebook.")
@click.option("--state", type=click.Choice(_STATES, case_sensitive=False), help="Only runs in this state.")
@click.option("-n", "limit", type=click.IntRange(1), default=20, show_default=True, help="How many at most.")
@_json
@project_option
def runs_command(
    *, flow: str | None, source: str | None, state: str | None, limit: int, as_json: bool, project: Path
) -> None:
    """List the runs of this project, the newest first."""
    from flownb.cli.looking import records_of
    from flownb.runs import Project, RecordStore, Run, Runs
    from flownb.storage import open_storage

    if flow is not None and "#" in flow:
        source, _, flow = flow.rpartition("#")
    place = None if source is None else open_storage(source).place
    records = records_of(project, flow=flow, state=state, limit=limit, place=place)
    if as_json:
        print_json([run_json(record) for record in records])
    elif records:
        store = RecordStore(Project.of(project))
        show(Runs(Run(record, store) for record in records).shown())
    else:
        where = f" in {project.resolve()}; those of a notebook elsewhere are in its project: --project FOLDER"
        say("no runs are recorded" + (" that are like that" if flow or state or source else where))


@click.command("logs")
@_run
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes until the run has ended.")
@project_option
def logs_command(run: str, *, follow: bool, project: Path) -> None:
    """Print the log of RUN (an id, a beginning or end of one, or `last`)."""
    from flownb.cli.looking import find_run

    record = find_run(project, run)
    offset = _print_log(record.log, 0)
    while follow and not record.state.terminal:
        time.sleep(_LOOK_EVERY)
        # the state first: what was logged before the end is then all there
        record = find_run(project, record.id)
        offset = _print_log(record.log, offset)
    if offset == 0:
        say(f"run {record.id} ({record.state}) has logged nothing")


@click.command("outputs")
@_run
@click.argument("name", required=False, shell_complete=complete_output)
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    metavar="FILE|FOLDER",
    help="Copy to a file, or all of them into a folder; a table also as .csv.",
)
@_json
@project_option
def outputs_command(run: str, name: str | None, *, to: Path | None, as_json: bool, project: Path) -> None:
    """Show the outputs of RUN, or print the output NAME: tables as text, data as JSON, of others the file."""
    from flownb.cli.exporting import export, value_text
    from flownb.cli.looking import find_run, outputs_of
    from flownb.errors import OutputError

    record = find_run(project, run)
    there = {output.name: output for output in outputs_of(project, record)}
    if name is not None and name not in there:
        names = f"it has {', '.join(there)}" if there else "it has none"
        raise OutputError(
            f"run {record.id} of {record.flow} ({record.state}) has no output {name!a}; {names}"
        )
    chosen = list(there.values()) if name is None else [there[name]]
    if to is not None:
        lost = [output for output in chosen if output.format == "error" and name is None]
        there_are = [output for output in chosen if output not in lost]
        for path in export(there_are, record.outputs_folder, to, single=name is not None):
            click.echo(path)
        if lost:  # said when all others are safe
            names = ", ".join(f"`{output.name}`" for output in lost)
            raise OutputError(f"{names} of run {record.id} could not be stored by the run, and so not copied")
    elif as_json:
        found = [{**output.to_json(), "path": str(record.outputs_folder / output.file)} for output in chosen]
        print_json(found if name is None else found[0])
    elif name is not None:
        click.echo(value_text(chosen[0], record.outputs_folder))
    elif chosen:
        click.echo("\n".join(output_text(output, record.outputs_folder) for output in chosen))
    else:
        say(f"run {record.id} of {record.flow} ({record.state}) has no outputs")


@click.command("cancel")
@_run
@project_option
def cancel_command(run: str, *, project: Path) -> None:
    """Cancel RUN: its steps are interrupted, its processes end, and it is recorded as Cancelled."""
    from flownb.cli.looking import find_run
    from flownb.runs.liveness import request_cancel

    record = find_run(project, run)
    if record.state.terminal:
        say(f"run {record.id} has ended already: {record.state}")
        return
    request_cancel(record.folder)
    click.echo(f"run {record.id} of {record.flow} is asked to stop")


def _print_log(path: Path, offset: int) -> int:
    """Print what the log has behind `offset` (bytes); return where it ends now."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            content = file.read()
    except FileNotFoundError:
        return offset
    # a character that is not written whole yet waits for its rest
    text = content.decode("utf-8", "replace")
    if sys.stdout.isatty():
        text = terminal_text(text)
    click.echo(text, nl=False)
    return offset + len(content)
