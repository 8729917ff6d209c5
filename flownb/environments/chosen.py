"""Which environment a flow runs in: one that is asked for, else the flow's own, else this machine.

A flow keeps its environment whole, with the name that it has and the file that says what the name means:
`{"named": "night", "named_in": "flownb.toml", "type": "local", ...}`. So it runs elsewhere as it does here.
Of one that was captured from cells alone, or long ago, only the name is known.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from flownb.environments.config import (
    environment_names,
    load_environment,
    path_fields,
    with_project_on_path,
)
from flownb.environments.kinds import kind_of
from flownb.errors import FlownbError
from flownb.runs.project import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flownb.environments.base import Environment
    from flownb.flow import Flow
    from flownb.runs.project import Project


def named_environment(project: Project, name: str) -> dict[str, Any]:
    """Return the environment that `flownb.toml` calls `name`, or one of that kind, as a flow keeps it.

    Folders of the project are kept relative to it, as they stand in the file. Raises
    `EnvironmentRefusedError`, and `CallbackError` for a callback that cannot be stored.
    """
    environment = load_environment(project, name)
    kept = environment.serialize()
    for field in path_fields(type(environment)):
        value = getattr(environment, field)
        if isinstance(value, Path) and value.is_relative_to(project.root):
            kept[field] = value.relative_to(project.root).as_posix()
    where = {"named_in": SETTINGS} if name in environment_names(project) else {}
    return {"named": name, **where, **kept}


def environment_for(flow: Flow, project: Project, name: str | None = None, **options: Any) -> Environment:
    """Return the environment in which a flow runs, with `options` in place of those that it has.

    `name` is one of `flownb.toml`, or a kind where that has none of the name; without it the flow's own is
    taken. Raises `EnvironmentRefusedError`.
    """
    environment = _chosen(flow, project, name)
    return environment.replace(**options) if options else environment


def changed_environment(flow: Flow, project: Project) -> list[str]:
    """Say that the file has another environment under the name than the flow keeps, in a line or none."""
    own = flow.environment or {}
    name = own.get("named")
    if "type" not in own or name not in environment_names(project):
        return []
    try:
        now = named_environment(project, str(name))
    except FlownbError:
        return []  # it is not what the flow runs in
    other = sorted(key for key in now.keys() | own.keys() if now.get(key) != own.get(key))
    if not other:
        return []
    told = f"{SETTINGS} has another environment {name} than when {flow.name} was captured"
    instead = f"capture it again, or say --environment {name}"
    return [f"{told} ({', '.join(other)}); a run uses the captured one: {instead}"]


def _chosen(flow: Flow, project: Project, name: str | None) -> Environment:
    from flownb.environments.base import Environment
    from flownb.environments.local import LocalEnvironment

    if name is not None:
        return load_environment(project, name)
    if flow.environment is None:
        return LocalEnvironment()
    if "type" not in flow.environment:
        return load_environment(project, str(flow.environment.get("named", "")))
    with_project_on_path(project)
    return Environment.deserialize(_in_project(flow.environment, project))


def _in_project(kept: Mapping[str, Any], project: Project) -> dict[str, Any]:
    """Return what a flow keeps of its environment, with folders where the project is."""
    paths = {name: kept.get(name) for name in path_fields(kind_of(kept.get("type")))}
    told = {name: str(project.root / path) for name, path in paths.items() if isinstance(path, str)}
    return {**kept, **told}
