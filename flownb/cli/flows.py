"""Commands that look at stored flows: `list`, `show`, `params`, `version`. They run nothing of a flow."""

from __future__ import annotations

import shlex
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from flownb._version import __version__
from flownb.cli.completing import complete_reference
from flownb.cli.printing import print_json, say, show

if TYPE_CHECKING:
    from flownb.flow import Flow
    from flownb.storage import Storage

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
_reference = click.argument("reference", metavar="REF", shell_complete=complete_reference)


@click.command("list")
@click.argument("store", shell_complete=complete_reference)
@_json
def list_command(store: str, *, as_json: bool) -> int:
    """List the flows of STORE, such as a notebook file: parameters, steps, outputs, last run."""
    from flownb.cli.looking import last_runs
    from flownb.displays.wording import visible
    from flownb.errors import RecordError, StorageError
    from flownb.storage import NotebookStorage, open_storage

    storage = open_storage(store)
    if isinstance(storage, NotebookStorage) and not storage.path.exists():  # mistyped, for who only looks
        raise StorageError(f"{storage.name} {storage.held}")
    flows, problems = _flows_of(storage)
    last = {}
    try:
        last = last_runs(storage, flows)
    except RecordError as error:
        say(f"flownb: last runs are not shown: {visible(str(error))}")
    if as_json:
        print_json(
            {
                "store": storage.name,
                "flows": [
                    {**flow_json(flow, storage.name), "last_run": _run_json(last.get(flow.name))}
                    for flow in flows
                ],
                "problems": problems,
            }
        )
    else:
        from flownb.displays.flows import flow_list

        if not flows and not problems and storage.kind != "notebook":
            click.echo(_none_yet(storage, store))
            return 2 if _told(storage) else 0
        notes = [note for flow in flows for note in storage.notes(flow)]
        shown = flow_list(
            flows, last_runs=last, where=storage.name, problems={} if flows else problems, notes=notes
        )
        show(shown)
    if problems and (flows or as_json):
        for name, problem in problems.items():
            say(f"flownb: {visible(name)} cannot be read: {visible(problem, lines=True)}")
    return 2 if _told(storage) or problems else 0


def _told(storage: Storage) -> bool:
    """Tell the problems of a storage; whether there were any."""
    from flownb.displays.wording import visible

    for problem in storage.problems:
        say(f"flownb: {visible(problem, lines=True)}")
    return bool(storage.problems)


def _none_yet(storage: Storage, store: str) -> str:
    """Say what brings flows into an empty storage, or brings them back."""
    from flownb.displays.wording import visible

    quoted = visible(shlex.quote(store))
    if storage.kind == "git" and getattr(storage, "tip", None) is not None:
        return (
            f"No flows in {visible(storage.name)} now. Those that were removed are in their history: "
            f"flownb history {visible(shlex.quote(f'{store}#NAME'))}"
        )
    in_notebook = "git" if store in (".", "git") and storage.kind == "git" else quoted
    return (
        f"No flows in {visible(storage.name)} yet. `flownb copy NOTEBOOK.ipynb {quoted}` brings those of a "
        f"notebook; `%flow storage {in_notebook}` in a notebook keeps what is captured there from then on"
    )


@click.command("show")
@_reference
@_json
def show_command(reference: str, *, as_json: bool) -> None:
    """Show the flow REF: parameters, steps and their graph, what it replays, outputs, versions."""
    from flownb.storage import open_flow

    storage, flow = open_flow(reference)
    if as_json:
        print_json({**flow_json(flow, storage.name), **_content_json(flow)})
        return
    from flownb.displays.flows import flow_card

    show(flow_card(flow, where=f"{storage.name}#{flow.name}", notes=storage.notes(flow)))


@click.command("params")
@_reference
@_json
def params_command(reference: str, *, as_json: bool) -> None:
    """Show the parameters of the flow REF: type, default, help."""
    from flownb.storage import open_flow

    flow = open_flow(reference)[1]
    if as_json:
        print_json(_parameters_json(flow))
        return
    if not flow.parameters:
        from flownb.displays.wording import visible

        say(f"{visible(flow.name)} has no parameters")
        return
    from flownb.displays.flows import parameters_table
    from flownb.displays.parts import Shown

    show(Shown([parameters_table(flow)]))


@click.command("version")
def version_command() -> None:
    """Print the version."""
    click.echo(f"flownb {__version__}")


def _flows_of(storage: Storage) -> tuple[list[Flow], dict[str, str]]:
    """Return the flows of a storage, and what is wrong with those that cannot be read, by name."""
    from flownb.errors import FlownbError

    if hasattr(storage, "get_flows"):  # many at once, where all can be read
        with suppress(FlownbError):
            return list(storage.get_flows()), {}
    flows: list[Flow] = []
    problems: dict[str, str] = {}
    for name, location in storage.flows.items():
        try:
            flows.append(storage.get_flow(location))
        except FlownbError as error:
            problems[name] = str(error)
    return flows, problems


def flow_json(flow: Flow, store: str) -> dict[str, Any]:
    """Return what a list tells of a flow, for machines."""
    return {
        "name": flow.name,
        "reference": f"{store}#{flow.name}",
        "version": flow.version,
        "location": flow.location,
        "digest": flow.digest,
        "description": flow.description,
        "parameters": _parameters_json(flow),
        "steps": [step.name for step in flow.steps],
        "outputs": list(flow.outputs),
    }


def _content_json(flow: Flow) -> dict[str, Any]:
    """Return what the card of a flow tells besides."""
    graph = flow.graph
    return {
        "steps": [
            {"name": step.name, "source": step.source, "outputs": list(step.outputs)} for step in flow.steps
        ],
        "graph": [{"source": e.source, "target": e.target, "names": list(e.names)} for e in graph.edges],
        "carries": [
            {
                "names": list(entry.bound),
                "how": entry.how,
                "type": entry.type,
                "size": entry.size,
                "step": entry.step or None,
            }
            for entry in flow.closure
        ],
        "python": flow.requirements.python,
        "distributions": dict(flow.requirements.distributions),
        "modules": dict(flow.requirements.modules),
        "kernel": flow.kernel,
        "environment": dict(flow.environment) if flow.environment else None,
        "language": flow.language,
    }


def _parameters_json(flow: Flow) -> list[dict[str, Any]]:
    from flownb.displays.flows import shown_parameters

    return [
        {
            "name": parameter.name,
            "type": parameter.annotation or None,
            "required": parameter.required,
            "default": _default_json(parameter.default),
            "default_source": parameter.default,
            "help": parameter.help,
        }
        for parameter in shown_parameters(flow)
    ]


def _default_json(source: str | None) -> Any:
    """Return the value that a default writes out, as JSON has it; None where it is computed."""
    from flownb.parameters import json_value, read_value
    from flownb.parameters.secret import HIDDEN

    try:
        return source if source in (None, HIDDEN) else json_value(read_value(source))
    except ValueError:
        return None


def _run_json(run: Any) -> dict[str, Any] | None:
    return None if run is None else {"id": run.id, "state": str(run.state), "seconds": run.seconds}
