"""The tables of the record store, and how an older store becomes one of this version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flownb.errors import RecordError

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

#: statements that lead from version N to N + 1, at place N; a version that was released never changes
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE runs (
            id TEXT PRIMARY KEY, flow TEXT NOT NULL, folder TEXT NOT NULL, state TEXT NOT NULL,
            created TEXT NOT NULL, started TEXT, ended TEXT, attempt INTEGER NOT NULL, data TEXT NOT NULL
        )""",
        "CREATE INDEX runs_by_time ON runs (created, id)",
        "CREATE INDEX runs_by_flow ON runs (flow, created)",
        "CREATE INDEX live_runs ON runs (state) WHERE state IN ('Pending', 'Running')",
        """CREATE TABLE steps (
            run TEXT NOT NULL, position INTEGER NOT NULL, data TEXT NOT NULL, PRIMARY KEY (run, position)
        )""",
        """CREATE TABLE outputs (
            run TEXT NOT NULL, name TEXT NOT NULL, number INTEGER NOT NULL, data TEXT NOT NULL,
            PRIMARY KEY (run, name)
        )""",
    ),
)


def bring_up_to_date(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables, or those that an older version lacks, in one transaction.

    Raises `RecordError` where a newer flownb wrote the store: nothing is touched then.
    """
    if check_version(connection, path) == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statements in MIGRATIONS[
            check_version(connection, path) :
        ]:  # again: another process may have been here
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def check_version(connection: sqlite3.Connection, path: Path) -> int:
    """Return the version of a store's tables. Raises `RecordError` where a newer flownb wrote them."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise RecordError(
            f"{path} was written by a newer flownb (its records are of version {version}, this flownb knows "
            f"{len(MIGRATIONS)}); upgrade with: pip install --upgrade flownb"
        )
    return int(version)
