"""What the shell completes: flow names in a reference, parameter names behind `-p`, runs.

A completion never fails: where nothing can be read there is nothing to offer, and the command itself
will say why.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from click.shell_completion import CompletionItem

from flownb.errors import FlownbError

if TYPE_CHECKING:
    import click

_RUNS_OFFERED = 20
_VERSIONS_OFFERED = 20


def complete_reference(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001 - click's signature
    """Offer files before the `#`, the flows of the store behind it, and versions behind the `@`.

    Only a store on this machine is asked: completion waits for no network.
    """
    if incomplete.startswith("@") and (first := ctx.params.get("old")):  # `diff REF @VERSION`
        return _versions(first.partition("@")[0] + incomplete, shown_from=first.partition("@")[0])
    store, mark, rest = incomplete.rpartition("#")
    if not mark:
        return [CompletionItem(incomplete, type="file")]
    if not Path(store).expanduser().exists():
        return []
    if "@" in rest:
        return _versions(incomplete)
    from flownb.storage import open_storage

    try:
        names = list(open_storage(store).flows)
    except (FlownbError, OSError):
        return []
    return _matching([f"{store}#{name}" for name in names], incomplete)


def _versions(text: str, *, shown_from: str = "") -> list[CompletionItem]:
    """Offer the newest versions of the flow in `STORE#NAME@...`, each with when and by whom it was made."""
    from flownb.displays.versions import short_version
    from flownb.displays.wording import visible
    from flownb.storage.naming import named

    reference = text.rpartition("@")[0]
    if not Path(reference.rpartition("#")[0]).expanduser().exists():
        return []
    try:
        flow = named(reference)
        versions = flow.storage.history(flow.name)[:_VERSIONS_OFFERED]
    except (FlownbError, OSError):
        return []
    found = []
    for version in versions:
        word = f"{reference}@{short_version(version.id)}"
        if word.startswith(text) and not version.removed:
            when = f"{version.when:%Y-%m-%d %H:%M} " if version.when else ""
            found.append(CompletionItem(word[len(shown_from) :], help=when + visible(version.who)))
    return found


def complete_assignment(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """Offer the parameters of the flow that the command names, each with the `=` behind it."""
    from flownb.storage import open_flow

    # click stops reading at an option whose value is still to come: the argument is then left over
    reference = ctx.params.get("reference") or next(iter(ctx.args), None)
    if not reference or "=" in incomplete:
        return []
    try:
        flow = open_flow(reference)[1]
    except (FlownbError, OSError):
        return []
    return [
        CompletionItem(f"{parameter.name}=", help=parameter.help or parameter.annotation)
        for parameter in flow.parameters
        if parameter.name.startswith(incomplete)
    ]


def complete_environment(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """Offer the environments of the project that this folder is in, and the kinds."""
    from flownb.environments.config import environment_names
    from flownb.environments.kinds import kinds
    from flownb.runs.project import Project

    try:
        return _matching([*environment_names(Project.of(Path.cwd())), *kinds()], incomplete)
    except FlownbError:
        return []


def complete_run(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """Offer the newest runs of the project."""
    from flownb.cli.looking import records_of

    try:
        records = records_of(ctx.params.get("project") or Path.cwd(), limit=_RUNS_OFFERED)
    except (FlownbError, OSError):
        return []
    return [
        CompletionItem(record.id, help=f"{record.flow} {record.state}")
        for record in records
        if record.id.startswith(incomplete)
    ]


def complete_output(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """Offer the outputs of the run that the command names."""
    from flownb.cli.looking import find_run, outputs_of

    folder = ctx.params.get("project") or Path.cwd()
    try:
        outputs = outputs_of(folder, find_run(folder, ctx.params.get("run") or ""))
    except (FlownbError, OSError):
        return []
    return _matching([output.name for output in outputs], incomplete)


def _matching(texts: list[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(text) for text in texts if text.startswith(incomplete)]
