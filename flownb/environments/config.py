"""Named environments, as people write them in `flownb.toml`.

[environments.night]
type = "local"
timeout = 3600
labels = ["night"]
on_exit = ["collect_metrics", {callback = "notify", url = "$TEAM_WEBHOOK"}]
"""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from flownb.environments.kinds import kind_of, kinds
from flownb.errors import EnvironmentRefusedError
from flownb.runs.project import SETTINGS

if TYPE_CHECKING:
    from flownb.environments.base import Environment
    from flownb.runs.project import Project


def environment_names(project: Project) -> tuple[str, ...]:
    """Return the names of a project's environments, in the order of its `flownb.toml`."""
    return tuple(_tables(project))


def load_environment(project: Project, name: str, **overrides: Any) -> Environment:
    """Return the environment that a project's `flownb.toml` calls `name`, with `overrides` of its options.

    Where the file has none of the name, and it is a kind, one of that kind is returned.
    Raises `EnvironmentRefusedError`, naming those there are, where there is none and for a wrong option.
    """
    with_project_on_path(project)
    tables = _tables(project)
    settings = project.root / SETTINGS
    if name not in tables and name in kinds():
        return kind_of(name)(**overrides)
    if name not in tables:
        near = difflib.get_close_matches(name, tables, 1)
        there = f"there are: {', '.join(tables)}" if tables else "there are none"
        hint = f"did you mean {near[0]}?" if near else 'add [environments.NAME] with type = "local"'
        raise EnvironmentRefusedError(f"{settings} has no environment {ascii(name)[:60]}; {there}; {hint}")
    return _environment(tables[name], project, name, overrides)


def with_project_on_path(project: Project) -> None:
    """Let `module:name` callbacks be the project's own modules, from wherever the run is started."""
    if str(project.root) not in sys.path:
        sys.path.append(str(project.root))


def path_fields(kind: type[Environment]) -> tuple[str, ...]:
    """Return the names of the options that are paths: relative ones start at the project."""
    return tuple(name for name, field in kind.model_fields.items() if _is_path(field.annotation))


def _is_path(annotation: object) -> bool:
    return annotation is Path or any(map(_is_path, get_args(annotation)))


def _environment(table: Any, project: Project, name: str, overrides: dict[str, Any]) -> Environment:
    from flownb.callbacks.settings import from_settings

    where = f"{project.root / SETTINGS}, [environments.{name}]"
    if not isinstance(table, dict):
        raise EnvironmentRefusedError(
            f"{where} is not a table: write its options below a line [environments.{name}]"
        )
    options = dict(table)
    try:
        kind = kind_of(options.pop("type", "local"))
    except EnvironmentRefusedError as error:
        raise EnvironmentRefusedError(f"{where}: {error}") from None
    for callbacks in ("on_start", "on_exit"):
        if callbacks in options:
            options[callbacks] = from_settings(options[callbacks], f"environments.{name}.{callbacks}")
    for path in path_fields(kind):
        if isinstance(options.get(path), str):
            options[path] = project.root / Path(options[path]).expanduser()
    try:
        return kind(**{**options, **overrides})
    except EnvironmentRefusedError as error:
        raise EnvironmentRefusedError(f"{where}: {error}") from None


def _tables(project: Project) -> dict[str, Any]:
    tables = project.settings().get("environments", {})
    if not isinstance(tables, dict):
        raise EnvironmentRefusedError(f"{project.root / SETTINGS}: `environments` is not a table of tables")
    return tables
