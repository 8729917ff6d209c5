"""The record store: what ran, when, with what, and what came of it."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import asdict, fields, is_dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flownb.errors import RecordError, RunNotFoundError
from flownb.runs.database import Database
from flownb.runs.record import RUN_CODE, OutputRecord, RunError, RunRecord, StepRecord, time_text
from flownb.runs.signing import Key
from flownb.runs.states import State

if TYPE_CHECKING:
    import builtins
    import sqlite3
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from flownb.runs.project import Project

_COLUMNS = ("id", "flow", "folder", "state", "created", "started", "ended", "attempt")
_FIELDS = tuple(item.name for item in fields(RunRecord) if item.name not in (*_COLUMNS, "steps"))
_SELECT = "SELECT id, flow, folder, state, created, started, ended, attempt, data FROM runs"
_PLACES = "path", "repo", "url"  #: what a serialised storage calls where it is
#: the source of a run; in records of before they had one, the place
_SOURCE = (
    "CASE WHEN json_valid(data) THEN COALESCE(json_extract(data, '$.source'), "
    + "".join(f"json_extract(data, '$.storage.{key}'), " for key in _PLACES)
    + "'') END"
)
_SIGNATURE = "signature"
_NAMED = 5  #: so many candidates are named where an id is ambiguous


class RecordStore:
    """The records of one project, for any number of threads and processes at once.

    Nothing is opened before it is needed, and nothing is made by reading. Each change is there for
    everybody when its call returns, and stays though the caller is killed. That a run was created, and how
    it ended, is on the disk by then, with all that was recorded before: a machine that goes down may take
    what was recorded since, but no part of it alone. Raises `RecordError` with the system's word where it
    cannot be written.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self._database = Database(project.database, project.ensure, project.check)

    def create(self, record: RunRecord) -> None:
        """Record a new run. Its supervisor holds the run's lock already, else it counts as dead.

        Raises `RecordError` where there is a run of that id.
        """
        data = replace(record, steps=[]).to_json() | {"folder": self._stored_folder(record.folder)}
        row = [data[name] for name in _COLUMNS]
        with self._database.write(durable=True) as connection:
            if connection.execute("SELECT 1 FROM runs WHERE id = ?", (record.id,)).fetchone():
                raise RecordError(f"a run {record.id} is recorded already")
            connection.execute(
                "INSERT INTO runs (id, flow, folder, state, created, started, ended, attempt, data) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [*row, _text({name: data[name] for name in _FIELDS})],
            )
            _put_steps(connection, record.id, record.steps)

    def get(self, run_id: str) -> RunRecord:
        """Return a run by its id, a beginning or end of it that no other run has, or `last`.

        Raises `RunNotFoundError`, naming the candidates where there are several.
        """
        if run_id == "last":
            return self._one(
                f"{_SELECT} ORDER BY created DESC, id DESC LIMIT 1", (), "no run is recorded here"
            )
        rows = self._database.read(f"{_SELECT} WHERE id = ?", (run_id,))
        if not rows and run_id:
            size = len(run_id)
            condition = "substr(id, 1, ?) = ? OR substr(id, -?) = ?"
            statement = f"{_SELECT} WHERE {condition} ORDER BY created DESC, id DESC"
            rows = self._database.read(statement, (size, run_id, size, run_id))
        if len(rows) == 1:
            return self._records(rows)[0]
        where = f"in {self.project.root}"
        if not rows:
            raise RunNotFoundError(
                f"no run {ascii(run_id)[:80]} is recorded {where}; `flownb runs` lists them"
            )
        names = ", ".join(row[0] for row in rows[:_NAMED]) + (", ..." if len(rows) > _NAMED else "")
        raise RunNotFoundError(f"{run_id!a} is not one run but {len(rows)} {where}: {names}")

    def list(
        self,
        flow: str | None = None,
        state: State | str | None = None,
        limit: int | None = 50,
        before: datetime | str | None = None,
        sources: Collection[str] | None = None,
    ) -> builtins.list[RunRecord]:
        """Return runs, the newest first: of one flow, in one state, older than a time or than a run.

        With `sources`, as `Project.source` names them, only runs of flows from there.
        """
        conditions, values = ["1"], []
        if flow is not None:
            conditions.append("flow = ?")
            values.append(flow)
        if state is not None:
            conditions.append("state = ?")
            values.append(State(state).value)
        if isinstance(before, str):
            conditions.append("(created, id) < (SELECT created, id FROM runs WHERE id = ?)")
            values.append(self.get(before).id)
        elif before is not None:
            conditions.append("created < ?")
            values.append(str(time_text(before)))
        if sources is not None:
            places = {str(self.project.root / source) for source in sources if source}
            asked = sorted({*sources, *places})
            conditions.append(f"{_SOURCE} IN ({', '.join('?' * len(asked))})")
            values += asked
        statement = f"{_SELECT} WHERE {' AND '.join(conditions)} ORDER BY created DESC, id DESC LIMIT ?"
        return self._records(self._database.read(statement, [*values, -1 if limit is None else limit]))

    def change(
        self,
        run_id: str,
        *,
        state: State | str | None = None,
        error: RunError | None = None,
        ended: datetime | None = None,
        steps: Iterable[StepRecord] = (),
        **changed: Any,
    ) -> bool:
        """Change fields of a run, and those of its steps that are given; whether it was done.

        What a run came to (`state`, `error`, `ended`) is fixed once its state is terminal: such a change
        is then refused as a whole and False returned. Other fields can be recorded at any time. With a
        terminal state `ended` is now where it is not given, with `Running` so is `started`.
        Raises `RunNotFoundError`; `TypeError` for a field that there is not.
        """
        unknown = set(changed) - set(_FIELDS) - {"started", "attempt"}
        if unknown:
            raise TypeError(f"a run's record has no field to change called {', '.join(sorted(unknown))}")
        outcome = state is not None or error is not None or ended is not None
        durable = state is not None and State(state).terminal
        with self._database.write(durable=durable) as connection:
            statement = "SELECT state, started, ended, attempt, data FROM runs WHERE id = ?"
            row = connection.execute(statement, (run_id,)).fetchone()
            if row is None:
                raise RunNotFoundError(f"no run {run_id} is recorded in {self.project.root}")
            done = connection.execute(
                "UPDATE runs SET state = ?, started = ?, ended = ?, attempt = ?, data = ? "
                "WHERE id = ? AND (NOT ? OR state IN ('Pending', 'Running'))",
                (
                    *_changed(row, State(state) if state is not None else None, error, ended, changed),
                    run_id,
                    outcome,
                ),
            )
            if done.rowcount == 1:
                _put_steps(connection, run_id, steps)
            return done.rowcount == 1

    def set_step(self, run_id: str, step: StepRecord) -> None:
        """Record how a step stands; what was recorded of the step at that position before is replaced."""
        with self._database.write() as connection:
            _put_steps(connection, run_id, (step,))

    def add_output(self, run_id: str, output: OutputRecord, key: Key | None = None) -> None:
        """Record an output, signed where a key is given; one of the same name is replaced."""
        statement = (
            "INSERT INTO outputs (run, name, number, data) VALUES (?, ?, "
            "(SELECT COALESCE(MAX(number), 0) + 1 FROM outputs WHERE run = ?), ?) "
            "ON CONFLICT (run, name) DO UPDATE SET data = excluded.data"
        )
        with self._database.write() as connection:
            connection.execute(
                statement, (run_id, output.name, run_id, _output_text(run_id, output.to_json(), key))
            )

    def outputs(self, run_id: str) -> builtins.list[OutputRecord]:
        """Return the outputs of a run in the order in which they were recorded; reads no value."""
        rows = self._database.read("SELECT data FROM outputs WHERE run = ? ORDER BY number", (run_id,))
        with _damage(run_id):
            return [_output(run_id, json.loads(data)) for (data,) in rows]

    def trust(self, run_id: str) -> builtins.list[OutputRecord]:
        """Let all outputs of a run be read back from now on, and return those that needed it.

        They are signed as they are recorded now. Raises `RecordError` where there can be no key.
        """
        if not any(output.needs_trust for output in self.outputs(run_id)):
            return []
        key = Key.made()
        with self._database.write(durable=True) as connection:
            rows = connection.execute("SELECT name, data FROM outputs WHERE run = ?", (run_id,)).fetchall()
            with _damage(run_id):
                found = [(name, json.loads(data)) for name, data in rows]
                news = [(name, data) for name, data in found if _output(run_id, data).needs_trust]
                signed = [(_output_text(run_id, data, key), run_id, name) for name, data in news]
            connection.executemany("UPDATE outputs SET data = ? WHERE run = ? AND name = ?", signed)
            return [_output(run_id, data) for _, data in news]

    def live(self) -> builtins.list[RunRecord]:
        """Return the runs that are not at their end, as far as the records say; the newest first."""
        statement = f"{_SELECT} WHERE state IN ('Pending', 'Running') ORDER BY created DESC, id DESC"
        return self._records(self._database.read(statement))

    def find_zombies(self) -> builtins.list[RunRecord]:
        """Find runs whose supervisor died, record them as `Crashed`, and return them as they are now.

        Their executed notebooks are made from the journal. Costs one look into the store where all runs
        are at their end, and one at a lock for each that is not.
        """
        from flownb.runs.zombies import bury

        return [buried for record in self.live() if (buried := bury(self, record)) is not None]

    def close(self) -> None:
        """Close the file for all of this process; it is opened again when it is needed."""
        self._database.close()

    def _one(self, statement: str, values: tuple[Any, ...], problem: str) -> RunRecord:
        records = self._records(self._database.read(statement, values))
        if not records:
            raise RunNotFoundError(f"{problem} ({self.project.root})")
        return records[0]

    def _records(self, rows: builtins.list[tuple[Any, ...]]) -> builtins.list[RunRecord]:
        steps: dict[str, list[StepRecord]] = {row[0]: [] for row in rows}
        statement = (
            "SELECT run, data FROM steps WHERE run IN (SELECT value FROM json_each(?)) ORDER BY position"
        )
        for run_id, data in self._database.read(statement, (json.dumps(list(steps)),)) if steps else ():
            with _damage(run_id):
                steps[run_id].append(StepRecord.from_json(json.loads(data)))
        return [self._record(row, steps[row[0]]) for row in rows]

    def _record(self, row: tuple[Any, ...], steps: builtins.list[StepRecord]) -> RunRecord:
        with _damage(row[0]):
            data = {**json.loads(row[-1]), **dict(zip(_COLUMNS, row[:-1], strict=True))}
            known = {"source": self._source(data.get("storage") or {}), **data}
            record = RunRecord.from_json({**known, "folder": self.project.recorded_folder(data["id"])})
        return replace(record, steps=steps)

    def _source(self, storage: dict[str, Any]) -> str:
        """Return the source of a run that was recorded before they had one."""
        return self.project.source(next((str(storage[key]) for key in _PLACES if key in storage), ""))

    def _stored_folder(self, folder: Path) -> str:
        """Write a folder relative to the project, so that a project can be moved with its records."""
        root = self.project.root
        return folder.relative_to(root).as_posix() if folder.is_relative_to(root) else str(folder)


@contextmanager
def _damage(run_id: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RecordError(
            f"the record of the run {ascii(run_id)[:80]} is damaged ({type(error).__name__}: {error}); "
            "what the run left is in .flownb/runs. Put a copy of runs.db back, or move it away to begin anew"
        ) from error


def _changed(
    row: Sequence[Any],
    state: State | None,
    error: RunError | None,
    ended: datetime | None,
    changed: dict[str, Any],
) -> tuple[Any, ...]:
    """Return the columns of a run after a change: state, started, ended, attempt, and the rest as JSON."""
    before, was_started, was_ended, attempt, data = row
    started = time_text(changed["started"]) if "started" in changed else was_started
    now = time_text(datetime.now(UTC))
    if state is State.RUNNING and started is None:
        started = now
    end = time_text(ended) or (now if state is not None and state.terminal else was_ended)
    fresh = {name: value for name, value in changed.items() if name in _FIELDS}
    if error is not None:
        fresh["error"] = asdict(error)
    return (
        state.value if state is not None else before,
        started,
        end,
        changed.get("attempt", attempt),
        _text(json.loads(data) | fresh),
    )


def _output_text(run_id: str, data: dict[str, Any], key: Key | None) -> str:
    """Return an output as it is stored; the signature is of all of it, and for this run."""
    plain = {name: value for name, value in data.items() if name != _SIGNATURE}
    if key is None:
        return _text(plain)
    return _text({**plain, _SIGNATURE: key.sign(_signed_of(run_id, plain))})


def _output(run_id: str, data: dict[str, Any]) -> OutputRecord:
    record = OutputRecord.from_json(data)
    signature = data.get(_SIGNATURE)
    if record.format not in RUN_CODE or not isinstance(signature, str):
        return record  # a key is only read where it decides something
    plain = {name: value for name, value in data.items() if name != _SIGNATURE}
    try:
        key = Key.read()
    except RecordError:  # a list needs no key; whoever asks for the value is told of it
        key = None
    return replace(record, signed=key is not None and key.signed(_signed_of(run_id, plain), signature))


def _signed_of(run_id: str, data: dict[str, Any]) -> tuple[str, ...]:
    return "output", run_id, _text(data)


def _put_steps(connection: sqlite3.Connection, run_id: str, steps: Iterable[StepRecord]) -> None:
    statement = "INSERT OR REPLACE INTO steps (run, position, data) VALUES (?, ?, ?)"
    connection.executemany(statement, ((run_id, step.position, _text(step.to_json())) for step in steps))


def _text(data: Any) -> str:
    # ASCII: a text with a lone surrogate, which SQLite cannot hold, comes back as it was
    return json.dumps(data, separators=(",", ":"), default=_plain)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"a run's record is JSON data, and {value!r} is not")
