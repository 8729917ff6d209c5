"""`flownb trust`: whose flows may run, and whose outputs may be read back where that runs code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flownb.cli.completing import complete_reference, complete_run
from flownb.cli.looking import project_option

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@click.command("trust")
@click.argument("store", metavar="[STORE]", required=False, shell_complete=complete_reference)
@click.option("--list", "as_list", is_flag=True, help="Show the stores that you trust.")
@click.option("--forget", is_flag=True, help="Trust STORE no longer.")
@click.option(
    "--run",
    "runs",
    multiple=True,
    metavar="RUN",
    shell_complete=complete_run,
    help="Let the pickled outputs of RUN be read back, as they are now; `all` are those of the project.",
)
@project_option
def trust_command(
    store: str | None, *, as_list: bool, forget: bool, runs: Sequence[str], project: Path
) -> None:
    """Let the flows of STORE run, though they came from elsewhere: a flow is code that runs as you.

    It is kept for you on this machine, for the store and its branch, with all that is added there later.
    Looking at flows, comparing and copying them needs no trust.

    What runs gave is read back as freely, save what is pickled: to read that is to run what is in it. What
    you recorded on this machine is known as yours; for any other there is --run.
    """
    if runs and (store is not None or as_list or forget):
        raise click.UsageError("--run is for runs alone: a STORE is trusted by itself")
    if runs:
        _trust_runs(project, runs)
        return
    if as_list == (store is not None) or (as_list and forget):
        raise click.UsageError("name a STORE to trust, or ask with --list for those that you trust")
    if store is None:
        _list()
    elif forget:
        _forget(store)
    else:
        _trust(store)


def _trust_runs(project: Path, names: Sequence[str]) -> None:
    from flownb.displays.wording import visible
    from flownb.runs import Run, Runs

    runs = (
        Runs.load(project=project, limit=None)
        if "all" in names
        else [Run.load(name, project) for name in names]
    )
    trusted = {run: run.trust() for run in runs}
    for run, outputs in trusted.items():
        if outputs:
            read = ", ".join(visible(name) for name in outputs)
            click.echo(f"run {visible(run.id)} of {visible(run.flow)}: {read} can be read back")
    if not any(trusted.values()):
        click.echo("nothing that needs to be trusted is in there")


def _list() -> None:
    from flownb.cli.printing import say, show
    from flownb.displays.parts import Shown, Table
    from flownb.storage.trust import trusted_storages

    trusted = trusted_storages()
    if not trusted:
        say("you trust no store from elsewhere")
        return
    rows = [(each.identity, each.origin, each.since) for each in trusted]
    show(Shown([Table(("store", "from", "since"), rows)]))


def _forget(store: str) -> None:
    from flownb.displays.wording import visible
    from flownb.errors import StorageError
    from flownb.storage import trust
    from flownb.storage.naming import store_named

    if any(each.identity == store for each in trust.trusted_storages()):  # as `--list` shows it
        identity = store
    else:
        try:
            identity = store_named(store).identity
        except StorageError as error:
            raise StorageError(f"{error}; `flownb trust --list` shows what can be forgotten") from error
    trust.forget(identity)
    click.echo(f"{visible(identity)} is not trusted any more")


def _trust(store: str) -> None:
    from flownb.displays.wording import visible
    from flownb.storage import trust
    from flownb.storage.naming import store_named

    storage = store_named(store)
    name = visible(storage.name)
    if storage.origin is None:
        click.echo(f"{name} is your own: its flows run without being trusted")
    elif trust.trust(storage):
        click.echo(f"the flows of {visible(storage.identity)} run from now on; --forget takes that back")
    else:
        click.echo(f"{name} is trusted already")
