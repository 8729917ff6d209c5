"""Commands about a flow's versions: `history`, `diff`, `restore`, `remove`, `tag`. They run no flow."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Any

import click

from flownb.cli.completing import complete_reference
from flownb.cli.printing import print_json, show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flownb.displays.versions import VersionRow
    from flownb.runs.record import RunRecord
    from flownb.storage.compare import FlowDiff
    from flownb.storage.naming import Named
    from flownb.storage.versions import Version

_RUNS_READ = 2_000  #: so many of a flow's newest runs are looked at for the history
_COLOURS = {"+": "green", "-": "red", "@": "cyan"}

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
_reference = click.argument("reference", metavar="REF", shell_complete=complete_reference)


@click.command("history")
@_reference
@click.option("-n", "limit", type=click.IntRange(1), default=20, show_default=True, help="How many at most.")
@_json
def history_command(reference: str, *, limit: int, as_json: bool) -> None:
    """Show the versions of the flow REF, newest first: when, who, what changed, and the runs of each.

    With a version in REF, that one and those before it.
    """
    from flownb.displays.versions import version_list, version_rows
    from flownb.storage.naming import named

    flow = named(reference)
    versions = _from_asked(flow, flow.storage.history(flow.name))
    rows = version_rows(flow.storage, versions, _runs_of(flow), limit=limit)
    if as_json:
        print_json([_row_json(row) for row in rows])
        return
    more = len(versions) - len(rows)
    show(version_list(flow.name, rows, where=flow.storage.name, more=more))


@click.command("diff")
@click.argument("old", metavar="REF", shell_complete=complete_reference)
@click.argument("new", metavar="[REF|@VERSION]", required=False, shell_complete=complete_reference)
@click.option("--text", "as_text", is_flag=True, help="As a unified diff of both flows' whole text.")
@_json
def diff_command(old: str, new: str | None, *, as_text: bool, as_json: bool) -> None:
    """Show how the second flow differs from the first: parameters, steps, outputs, what it replays.

    `@VERSION` alone is another version of the first flow. Without a second one, the first is compared
    with the version before it.
    """
    diff = _compared(old, new)
    if as_json:
        print_json(_diff_json(diff))
    else:
        _print_diff(diff.to_script_text() if as_text else diff.to_text())


@click.command("restore")
@_reference
def restore_command(reference: str) -> None:
    """Make the version that REF names the newest again; those since stay in the history."""
    from flownb.displays.versions import short_location
    from flownb.displays.wording import visible
    from flownb.errors import StorageError
    from flownb.storage.naming import named

    flow = named(reference)
    if flow.version is None:
        raise StorageError(
            f"{reference} names no version to restore; "
            f"`flownb history {shlex.quote(reference)}` lists them: "
            f"{shlex.quote(f'{flow.store}#{flow.name}@VERSION')}"
        )
    location = flow.storage.restore(flow.location)
    click.echo(
        f"{visible(short_location(location))} is the newest version of {visible(flow.storage.name)} now"
    )


@click.command("remove")
@_reference
def remove_command(reference: str) -> None:
    """Remove the flow REF from its store; its versions stay in the history, and can be restored."""
    from flownb.displays.wording import visible
    from flownb.errors import StorageError
    from flownb.storage.naming import named

    flow = named(reference)
    if flow.version is not None:
        raise StorageError(
            f"{reference} names one version, and versions are never removed; "
            f"to remove the flow: flownb remove {shlex.quote(f'{flow.store}#{flow.name}')}"
        )
    flow.storage.remove(flow.name)
    click.echo(f"{visible(flow.name)} is removed from {visible(flow.storage.name)}")


@click.command("tag")
@_reference
@click.argument("tag", metavar="TAG")
def tag_command(reference: str, tag: str) -> None:
    """Give the version that REF names the name TAG: STORE#NAME@TAG is it from then on."""
    from flownb.displays.versions import short_location
    from flownb.displays.wording import visible
    from flownb.storage.naming import named

    flow = named(reference)
    location = flow.storage.resolve(flow.location)
    flow.storage.tag(location, tag)
    click.echo(f"{visible(short_location(location))} is {visible(flow.name)}@{visible(tag)} too")


def _from_asked(flow: Named, versions: Sequence[Version]) -> Sequence[Version]:
    """Return the versions from the one asked for on."""
    if flow.version is None:
        return versions
    location = flow.storage.resolve(flow.location)
    at = next((at for at, version in enumerate(versions) if version.location == location), None)
    # a version may lie outside of the line of the newest: a tag on another branch, say
    return versions[at:] if at is not None else []


def _runs_of(flow: Named) -> list[RunRecord]:
    """Return the flow's runs in the project that it runs in; makes nothing where none are recorded."""
    from pathlib import Path

    from flownb.cli.looking import records_of
    from flownb.cli.printing import say
    from flownb.displays.wording import visible
    from flownb.errors import FlownbError, RecordError

    try:
        folder = flow.storage.get_flow(flow.name).folder
    except FlownbError:  # it was removed, or is damaged, which its line of the history tells
        folder = None
    try:
        return records_of(folder or Path.cwd(), flow=flow.name, limit=_RUNS_READ)
    except RecordError as error:
        say(f"flownb: runs are not shown: {visible(str(error))}")
        return []


def _compared(old: str, new: str | None) -> FlowDiff:
    """Return the comparison that `diff` is about."""
    from flownb.storage import open_flow
    from flownb.storage.compare import compare
    from flownb.storage.naming import named

    first = named(old)
    if new is None or new.startswith("@"):
        return first.storage.diff(first.location, new)
    return compare(first.storage.get_flow(first.location), open_flow(new)[1])


def _print_diff(text: str) -> None:
    """Print a diff, in colours where somebody looks at it; the text has been made safe for a terminal."""
    if not sys.stdout.isatty():
        click.echo(text)
        return
    for line in text.split("\n"):
        click.secho(line, fg=_COLOURS.get(line.lstrip()[:1]), bold=line.startswith(("---", "+++")))


def _row_json(row: VersionRow) -> dict[str, Any]:
    version = row.version
    return {
        "version": version.id,
        "location": version.location,
        "when": version.when.isoformat() if version.when is not None else None,
        "who": version.who,
        "message": version.message,
        "digest": row.digest or version.digest,
        "removed": version.removed,
        "changed": row.what,
        "runs": [{"id": run.id, "state": str(run.state)} for run in row.runs],
    }


def _diff_json(diff: FlowDiff) -> dict[str, Any]:
    from flownb.storage.compare import title

    return {
        "old": title(diff.old),
        "new": title(diff.new),
        "same": diff.same,
        "same_content": diff.same_content,
        "changes": [
            {"part": c.part, "name": c.name, "kind": c.kind, "how": c.how, "old": c.old, "new": c.new}
            for c in diff.changes
        ],
    }
