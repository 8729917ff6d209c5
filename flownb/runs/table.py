"""Many runs: a list that shows itself as a table, and becomes one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from flownb.displays.runs import runs_table
from flownb.errors import MissingExtraError
from flownb.runs.project import Project
from flownb.runs.run import Run
from flownb.runs.store import RecordStore

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection
    from os import PathLike
    from typing import SupportsIndex

    import pandas as pd

    from flownb.displays.parts import Shown
    from flownb.runs.record import OutputRecord
    from flownb.runs.states import State

_SMALL = 10_000  #: bytes: a longer text is no column's value
_SAFE = ("json", "typed")  #: formats whose reading runs nothing


class Runs(list[Run]):
    """Runs, one beside the other."""

    @classmethod
    def load(
        cls,
        flow: str | None = None,
        *,
        project: Project | PathLike[str] | str = ".",
        state: State | str | None = None,
        limit: int | None = 50,
        before: dt.datetime | str | None = None,
        sources: Collection[str] | None = None,
    ) -> Runs:
        """Return the recorded runs of a project, the newest first.

        Of one flow, in one state, older than a time or than the run of that id, of flows from some sources
        (`analysis.ipynb`, relative to the project; `.` is its repository); `limit` None means all.
        `project` may be any folder inside the project.
        Runs whose supervisor died are found to be `Crashed` first.
        """
        store = RecordStore(Project.at(project))
        store.find_zombies()
        return cls(Run(record, store) for record in store.list(flow, state, limit, before, sources))

    def to_frame(self) -> pd.DataFrame:
        """Return a pandas DataFrame with one row a run, in this order.

        Columns: `id`, `flow`, `source`, `state`, `started`, `seconds`; each parameter under its name
        (`parameters.NAME` where that is taken); outputs that are a single plain value as `outputs.NAME`.
        Raises `MissingExtraError` without pandas.
        """
        try:
            import pandas as pd
        except ImportError:
            raise MissingExtraError(
                "to_frame() makes a pandas DataFrame; install it with: pip install pandas"
            ) from None
        return pd.DataFrame([_row(run) for run in self], columns=None if self else list(_COLUMNS))

    @overload
    def __getitem__(self, index: SupportsIndex) -> Run: ...
    @overload
    def __getitem__(self, index: slice) -> Runs: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Run | Runs:
        """Return one run, or some of them as `Runs`."""
        found = super().__getitem__(index)
        return Runs(found) if isinstance(found, list) else found

    def __repr__(self) -> str:
        return self.shown().text

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002 - IPython's signature
        printer.text(repr(self))

    def _repr_html_(self) -> str:
        return self.shown(linked=True).html

    def shown(self, *, linked: bool = False) -> Shown:
        """Return the table that is shown; `linked` makes the executed notebooks ones that Jupyter opens."""
        from flownb.runs import beside

        records = [run.record for run in self]
        documents = {record.digest: record.document for record in records}
        return runs_table(
            records,
            outputs={run.id: run.outputs.records for run in self},
            defaults={digest: beside.defaults(document) for digest, document in documents.items()},
            links={run.id: beside.address(run.link) for run in self} if linked else None,
        )


_COLUMNS = ("id", "flow", "source", "state", "started", "seconds")


def _row(run: Run) -> dict[str, Any]:
    record = run.record
    row: dict[str, Any] = {
        "id": record.id,
        "flow": record.flow,
        "source": record.source,
        "state": record.state.value,
        "started": record.started,
        "seconds": record.seconds,
    }
    for name, value in run.parameters.items():
        row[f"parameters.{name}" if name in _COLUMNS else name] = value
    outputs = run.outputs
    for output in outputs.records:
        if _small(output):
            value = outputs[output.name]
            if not isinstance(value, list | dict | tuple | set | frozenset | range):
                row[f"outputs.{output.name}"] = value
    return row


def _small(output: OutputRecord) -> bool:
    return output.format in _SAFE and output.size <= _SMALL
