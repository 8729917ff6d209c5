"""Commands that carry flows from store to store: `copy`, `push`, `pull`. They run nothing of a flow."""

from __future__ import annotations

import shlex
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from flownb.cli.completing import complete_reference
from flownb.cli.printing import say

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flownb.cli.copying import Copying

_store = click.argument("store", metavar="STORE", shell_complete=complete_reference)


@click.command("copy")
@click.argument("source", metavar="REF|STORE", shell_complete=complete_reference)
@click.argument("target", metavar="STORE", shell_complete=complete_reference)
@click.option("--replace", is_flag=True, help="Add a new version of a flow that is there already.")
def copy_command(source: str, target: str, *, replace: bool) -> int:
    """Copy the flow REF, or all flows of a STORE, into another STORE: `flownb copy x.ipynb#co2 .#co2`.

    A copy has the content, and so the digest, of what it is a copy of. What is there already with the
    same content is left out; of a STORE, what is there with another content too, and named (status 1).
    """
    from flownb.cli.copying import copy_flow, what_to_copy
    from flownb.displays.wording import visible
    from flownb.errors import FlownbError

    todo = what_to_copy(source, target, replace=replace)
    copied, problems = [], []
    with _progress(todo.locations) as counted:
        for location in counted:
            try:
                copied.append(copy_flow(todo.origin, location, todo.storage, replace=replace))
            except FlownbError as error:
                if _only_one(todo):
                    raise
                problems.append(f"{location}: {error}")  # one that cannot be copied keeps none of the others
    click.echo(_copied_text(todo, copied))
    for problem in problems:
        say(f"flownb: not copied: {visible(problem, lines=True)}")
    if todo.different:
        names = ", ".join(todo.different[:10])
        more = f" and {len(todo.different) - 10} more" if len(todo.different) > 10 else ""
        say(
            f"flownb: not copied, as they are there with another content: {visible(names)}{more}; "
            f"new versions of them: flownb copy --replace {shlex.quote(source)} {shlex.quote(target)}"
        )
    return 2 if problems else 1 if todo.different else 0


def _only_one(todo: Copying) -> bool:
    return len(todo.locations) + len(todo.same) + len(todo.different) == 1


def _copied_text(todo: Copying, copied: Sequence[str]) -> str:
    """Say what was copied, and what was there already."""
    from flownb.displays.versions import short_location
    from flownb.displays.wording import visible

    where = visible(todo.storage.name)
    old = set(todo.there.values())
    unchanged = len(todo.same) + sum(location in old for location in copied)
    if _only_one(todo):
        location = (*copied, *(todo.there[name] for name in todo.same))[0]
        name = location.partition("@")[0]
        if unchanged:
            return f"{visible(short_location(location))} is in {where} already, with this content"
        new = ", a new version" if name in todo.there else ""
        return f"{visible(short_location(location))} is in {where}{new}"
    every = len(todo.locations) + len(todo.same) + len(todo.different)
    added = [location for location in copied if location not in old]
    again = sum(location.partition("@")[0] in todo.there for location in added)
    parts = [
        f"{len(added) - again} new" if len(added) > again else "",
        f"{again} in a new version" if again else "",
        f"{unchanged} there already, the same" if unchanged else "",
    ]
    told = ", ".join(part for part in parts if part)
    among = f": {told}" if told else ""
    return f"{len(added) + unchanged} of {every} flows of {visible(todo.origin.name)} are in {where}{among}"


@click.command("push")
@_store
def push_command(store: str) -> None:
    """Send what STORE, a Git repository, has of flows to its remote; what others pushed is kept.

    Where somebody else changed the same flow, nothing is sent: `flownb pull` tells how to choose.
    """
    from flownb.displays.wording import visible

    storage = _with_remote(store)
    told = storage.push()
    click.echo(visible(str(told)) if told else f"the flows of {visible(storage.name)} are pushed")


@click.command("pull")
@_store
@click.option(
    "--take",
    type=click.Choice(["ours", "theirs"]),
    help="Of a flow that both sides changed, which version is the newest; the other stays in the history.",
)
def pull_command(store: str, *, take: str | None) -> None:
    """Take over what others pushed to the remote of STORE, a Git repository."""
    from flownb.displays.wording import visible

    storage = _with_remote(store)
    told = storage.pull(take=take)
    click.echo(visible(str(told)) if told else f"the flows of {visible(storage.name)} are up to date")


def _with_remote(store: str) -> Any:
    """Open a store that can be pushed and pulled. Raises `StorageError`."""
    from flownb.storage.naming import store_named
    from flownb.ui.keeping import with_remote

    return with_remote(store_named(store))


@contextmanager
def _progress(locations: Sequence[str]) -> Iterator[Iterator[str]]:
    """Count on a terminal what is copied, where that is more than a few."""
    if len(locations) < 3 or not sys.stderr.isatty():
        yield iter(locations)
        return
    with click.progressbar(locations, label="copying", file=sys.stderr, show_pos=True) as counted:
        yield iter(counted)
