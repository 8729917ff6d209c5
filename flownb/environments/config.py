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
from typing import TYPE_CHECKING, Any

from flownb.environments.kinds import kind_of
from flownb.errors import EnvironmentRefused

if TYPE_CHECKING:
    from flownb.environments.base import Environment
    from flownb.runs.project import Project


def environment_names(project: Project) -> tuple[str, ...]:
    """Return the names of a project's environments, in the order of its `flownb.toml`."""
    return tuple(_tables(project))


def load_environment(project: Project, name: str, **overrides: Any) -> Environment:
    """Return the environment that a project's `flownb.toml` calls `name`, with `overrides` of its options.

    Raises `EnvironmentRefused`, naming those there are, where there is none, and where an option is wrong.
    """
    # `module:name` callbacks may be the project's own modules, from wherever the run is started.
    if str(project.root) not in sys.path:
        sys.path.append(str(project.root))
    tables = _tables(project)
    settings = project.root / "flownb.toml"
    if name not in tables:
        near = difflib.get_close_matches(name, tables, 1)
        there = f"there are: {', '.join(tables)}" if tables else "there are none"
        hint = f"did you mean {near[0]}?" if near else 'add [environments.NAME] with type = "local"'
        raise EnvironmentRefused(f"{settings} has no environment {ascii(name)[:60]}; {there}; {hint}")
    return _environment(tables[name], project, name, overrides)


def _environment(table: Any, project: Project, name: str, overrides: dict[str, Any]) -> Environment:
    from flownb.callbacks import from_settings

    where = f"{project.root / 'flownb.toml'}, [environments.{name}]"
    if not isinstance(table, dict):
        raise EnvironmentRefused(
            f"{where} is not a table: write its options below a line [environments.{name}]"
        )
    options = dict(table)
    try:
        kind = kind_of(options.pop("type", "local"))
    except EnvironmentRefused as error:
        raise EnvironmentRefused(f"{where}: {error}") from None
    for callbacks in ("on_start", "on_exit"):
        if callbacks in options:
            options[callbacks] = from_settings(options[callbacks], f"environments.{name}.{callbacks}")
    if isinstance(options.get("cwd"), str):
        options["cwd"] = (
            project.root / Path(options["cwd"]).expanduser()
        )  # a relative one starts at the project
    try:
        return kind(**{**options, **overrides})
    except EnvironmentRefused as error:
        raise EnvironmentRefused(f"{where}: {error}") from None


def _tables(project: Project) -> dict[str, Any]:
    tables = project.settings().get("environments", {})
    if not isinstance(tables, dict):
        raise EnvironmentRefused(f"{project.root / 'flownb.toml'}: `environments` is not a table of tables")
    return tables
