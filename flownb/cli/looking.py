"""Where the commands look: the project that a command is about, and the records in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flownb.flow import Flow
    from flownb.runs.project import Project
    from flownb.runs.record import OutputRecord, RunRecord
    from flownb.runs.store import RecordStore
    from flownb.storage import Storage


#: of the commands that are about a project's runs
project_option = click.option(
    "--project",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    metavar="FOLDER",
    is_eager=True,
    help="The project whose runs are meant; by default the one that this folder is in.",
)


def project_of(flow: Flow) -> Project:
    """Return the project that runs of `flow` are recorded in."""
    from flownb.runs.project import Project

    return Project.of(flow.folder or Path.cwd())


def last_runs(storage: Storage, flows: Sequence[Flow]) -> dict[str, RunRecord]:
    """Return the last recorded run of each flow of one storage that has one, by the flow's name.

    Makes nothing where nothing is recorded.
    """
    project = project_of(flows[0]) if flows else None
    if project is None or not project.database.exists():
        return {}
    store = _store(project)
    try:
        sources = [project.source(storage.place)]
        found = {flow.name: store.list(flow=flow.name, limit=1, sources=sources) for flow in flows}
    finally:
        store.close()
    return {name: records[0] for name, records in found.items() if records}


def records_of(
    folder: Path,
    *,
    flow: str | None = None,
    state: str | None = None,
    limit: int | None = None,
    place: str | None = None,
) -> list[RunRecord]:
    """Return the runs of the project that `folder` is in, the newest first; of flows at one place, or all.

    Runs whose supervisor died are recorded as `Crashed` first.
    """
    from flownb.runs.project import Project

    project = Project.of(folder)
    if not project.database.exists():
        return []
    store = _store(project)
    try:
        _find_zombies(store)
        sources = None if place is None else [project.source(place)]
        return store.list(flow=flow, state=state, limit=limit, sources=sources)
    finally:
        store.close()


def find_run(folder: Path, run: str) -> RunRecord:
    """Return the run of that id (or a beginning or end of it, or `last`) of the project that `folder` is in.

    Raises `RunNotFoundError`.
    """
    from flownb.errors import RunNotFoundError
    from flownb.runs.project import Project

    project = Project.of(folder)
    if not project.database.exists():
        raise RunNotFoundError(
            f"no runs are recorded in {project.root}; work in the project's folder, or name it with --project"
        )
    store = _store(project)
    try:
        _find_zombies(store)
        return store.get(run)
    finally:
        store.close()


def outputs_of(folder: Path, record: RunRecord) -> list[OutputRecord]:
    """Return the records of a run's outputs; reads no value."""
    from flownb.runs.project import Project

    store = _store(Project.of(folder))
    try:
        return store.outputs(record.id)
    finally:
        store.close()


def _find_zombies(store: RecordStore) -> None:
    """Record runs whose supervisor died as `Crashed`; who may not write there can look all the same."""
    from flownb.cli.printing import say
    from flownb.displays.wording import visible
    from flownb.errors import RecordError

    try:
        store.find_zombies()
    except RecordError as error:
        say(f"flownb: runs that have died cannot be recorded as such: {visible(str(error))}")


def _store(project: Project) -> RecordStore:
    from flownb.runs.store import RecordStore

    return RecordStore(project)
