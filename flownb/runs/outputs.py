"""A run's outputs, by name: read from disk when somebody asks for one, and not before."""

from __future__ import annotations

import difflib
import json
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flownb.displays.outputs import output_parts
from flownb.displays.parts import Line, Shown, muted
from flownb.errors import OutputError, OutputNotFoundError, RecordError
from flownb.runs.signing import Key
from flownb.runs.states import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from flownb.displays.parts import Picture
    from flownb.runs.record import OutputRecord, RunRecord, StepRecord


class Outputs(Mapping[str, Any]):
    """The outputs of one run: `outputs["summary"]` gives the value back, the same object each time.

    Values are read when they are asked for; names, types, sizes and previews are known without. Raises
    `OutputError`: a `KeyError` too where there is no such output, saying why where its step did not finish.
    What is pickled is read where this user recorded it on this machine, or has trusted it.
    """

    def __init__(
        self,
        records: Iterable[OutputRecord],
        folder: Path,
        *,
        run: str = "",
        steps: Sequence[StepRecord] = (),
        document: Path | None = None,
    ) -> None:
        """`folder` holds the files of that run; `steps` and its document tell why an output is not there."""
        self._records = {record.name: record for record in records}
        self._folder = folder
        self._run = run
        self._steps = {step.name: step for step in steps}
        self._document = document
        self._values: dict[str, Any] = {}

    @classmethod
    def of(cls, run: RunRecord, records: Iterable[OutputRecord]) -> Outputs:
        """Return the outputs of a run as it is recorded."""
        return cls(records, run.outputs_folder, run=run.id, steps=run.steps, document=run.document)

    @property
    def records(self) -> list[OutputRecord]:
        """What is known of each output, also of those that could not be stored, in the order of the steps."""
        return list(self._records.values())

    def __getitem__(self, name: str) -> Any:
        if name in self._values:
            return self._values[name]
        record = self._records.get(name)
        if record is None:
            raise OutputNotFoundError(self._why_not(name))
        value = read_output(record, self._folder, self._run)
        self._values[name] = value
        return value

    def __iter__(self) -> Iterator[str]:
        return (record.name for record in self._records.values() if not record.error)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return name in self._records and not self._records[str(name)].error

    # to compare, a mapping would read every value
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def _why_not(self, name: str) -> str:
        step = declared_outputs(self._document).get(name) if self._document else None
        if step is not None:
            return f"output `{name}` is not there: {self._step_says(step)}"
        names = list(self)
        near = difflib.get_close_matches(str(name), names, 1)
        there = f"there are: {', '.join(names)}" if names else "it has none"
        return f"there is no output {name!a}; {there}" + (f"; did you mean `{near[0]}`?" if near else "")

    def _step_says(self, name: str) -> str:
        step = self._steps.get(name)
        if step is None or step.state == State.PENDING:
            return f"its step `{name}` did not run, or not yet"
        if step.state == State.RUNNING:
            return f"its step `{name}` has not finished yet"
        if step.state == State.SUCCESS:
            return f"its step `{name}` finished without a value for it"
        return f"its step `{name}` did not finish ({step.state})"

    def __repr__(self) -> str:
        return self._shown({}).text

    def _repr_html_(self) -> str:
        from flownb.runs.beside import pictures

        return self._shown(pictures(self._folder, self.records)).html

    def _shown(self, pictures: Mapping[str, Picture]) -> Shown:
        return Shown(output_parts(self.records, pictures) or [Line(muted("no outputs"))])


def read_output(record: OutputRecord, folder: Path, run: str = "") -> Any:
    """Return the value of an output from the `outputs` folder of that run.

    Raises `OutputError`, also where to read it would run code that is not known to be this user's own.
    """
    from flownb.runs.values import load

    if record.needs_trust:
        raise OutputError(_wants_trust(record, run))
    try:
        return load(record.to_json(), folder)
    except ValueError as error:
        raise OutputError(f"output {error}") from error
    except Exception as error:
        raise OutputError(
            f"output `{record.name}` ({record.type}) cannot be read back: {type(error).__name__}: {error}"
        ) from error


def _wants_trust(record: OutputRecord, run: str) -> str:
    try:
        Key.read()
        problem = ""
    except RecordError as error:
        problem = f" ({error})"
    return (
        f"output `{record.name}` ({record.type}) is pickled, and to read a pickle is to run what is in it: "
        f"nothing says that you recorded it on this machine{problem}. If you know where it comes from, "
        f"let it be read: flownb trust --run {shlex.quote(run) if run else 'RUN'}"
    )


def declared_outputs(document: Path) -> dict[str, str]:
    """Return the outputs that a flow document declares, each with its step; none where it cannot be read.

    Only for telling why an output is missing: a document that cannot be read says nothing about that.
    """
    try:
        cells = json.loads(document.read_bytes())["cells"]
        blocks = [cell.get("metadata", {}).get("flownb", {}) for cell in cells]
        steps = [block for block in blocks if isinstance(block, dict) and block.get("role") == "step"]
        declared = {
            str(name): str(block.get("step")) for block in steps for name in block.get("outputs") or ()
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}
    return declared | {
        name: str(block.get("step")) for block in steps for name in ["result"] if block.get(name)
    }
