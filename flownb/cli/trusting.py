"""`flownb trust`: whose flows may run."""

from __future__ import annotations

import click

from flownb.cli.completing import complete_reference


@click.command("trust")
@click.argument("store", metavar="[STORE]", required=False, shell_complete=complete_reference)
@click.option("--list", "as_list", is_flag=True, help="Show the stores that you trust.")
@click.option("--forget", is_flag=True, help="Trust STORE no longer.")
def trust_command(store: str | None, *, as_list: bool, forget: bool) -> None:
    """Let the flows of STORE run, though they came from elsewhere: a flow is code that runs as you.

    It is kept for you on this machine, for the store and its branch, with all that is added there later.
    Looking at flows, comparing and copying them needs no trust.
    """
    if as_list == (store is not None) or (as_list and forget):
        raise click.UsageError("name a STORE to trust, or ask with --list for those that you trust")
    if store is None:
        _list()
    elif forget:
        _forget(store)
    else:
        _trust(store)


def _list() -> None:
    from flownb.cli.printing import say
    from flownb.runs.markup import text_table
    from flownb.storage.trust import trusted_storages

    trusted = trusted_storages()
    if not trusted:
        say("you trust no store from elsewhere")
        return
    rows = [(each.identity, each.origin, each.since) for each in trusted]
    click.echo(text_table(("store", "from", "since"), rows, limit=120))


def _forget(store: str) -> None:
    from flownb.errors import StorageError
    from flownb.runs.markup import visible
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
    from flownb.runs.markup import visible
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
