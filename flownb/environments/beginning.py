"""Begins runs: what can be checked beforehand is checked, then the run is recorded, and its work is left.

    run = begin(environment, storage, flow, parameters, cwd=folder).work(on_change)

is all that an environment of this machine does in `execute`.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flownb.environments.asking import who_asks
from flownb.environments.supervise import Request, Settings, Supervisor
from flownb.errors import FlowNotFoundError, NameRefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flownb.environments.base import Environment
    from flownb.flow import Flow
    from flownb.storage import Storage


def begin(
    environment: Environment,
    storage: Storage,
    flow: Flow | str,
    parameters: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Supervisor:
    """Check a run and record it as `Pending`; the `work()` of what is returned does it, and gives the Run.

    `settings` are those of `Settings`: a `kernel`, `cwd`, `env`, limits. What they leave out is the flow's
    own. With `strict` a flow runs only where all is as at its capture; by default the project says so. Calls
    `environment.setup`, and raises what `Environment.execute` does: then nothing is recorded.
    """
    from flownb.parameters import validate

    environment.setup(storage)
    found = runnable(storage, flow)
    supervisor = prepare(environment, storage, found, validate(found, parameters or {}), **settings)
    supervisor.begin()
    return supervisor


def runnable(storage: Storage, flow: Flow | str) -> Flow:
    """Return a stored flow that may run here. Raises `FlowNotFoundError`, `NotTrustedError`."""
    from flownb.storage import trust

    found = storage.get_flow(flow) if isinstance(flow, str) else _held(storage, flow)
    trust.require(storage, found.location)
    return found


def _held(storage: Storage, flow: Flow) -> Flow:
    """Return what a storage holds under a flow's location or name, where it is that very flow."""
    for location in filter(None, (flow.location, flow.name)):
        with suppress(FlowNotFoundError, NameRefusedError):
            found = storage.get_flow(location)
            if found == flow:
                return found
    raise FlowNotFoundError(
        f"{storage.name} does not hold {flow.name} with this content (version {flow.version}); "
        "`add_flow` keeps it there",
        flow=flow.name,
    )


def prepare(
    environment: Environment,
    storage: Storage,
    flow: Flow,
    values: dict[str, Any],
    *,
    strict: bool | None = None,
    **settings: Any,
) -> Supervisor:
    """Check all that can be checked before a run with validated values; nothing is recorded yet."""
    from flownb.callbacks.references import resolve
    from flownb.engine import check
    from flownb.environments.differing import differences, is_strict
    from flownb.environments.plan import Plan
    from flownb.runs.project import Project

    project = Project.of(flow.folder or Path.cwd())
    given = {name: value for name, value in settings.items() if value is not None}
    how = Settings(
        **{"kernel": flow.kernel, "cwd": flow.folder or project.root, **given},
        on_start=resolve(environment.on_start),
        on_exit=resolve(environment.on_exit),
    )
    plan = Plan(flow, values)
    check(engine=how.engine, kernel=how.kernel, secrets=bool(plan.secrets))
    differing = differences(flow, how.kernel, how.env)
    by_project = is_strict(project)  # read in any case: settings that cannot be read are not to be ignored
    if by_project if strict is None else strict:
        differing.refuse()
    _ = plan.notebook, plan.document  # a value that cannot be written is an error now
    request = Request(
        plan=plan,
        storage=storage.serialize(),
        source=project.source(storage.place),
        location=flow.location or flow.name,
        environment=environment.describe(),
        labels=environment.labels,
        asked_by=who_asks(),
        differing=differing,
    )
    return Supervisor(project, request, how)
