"""What is recorded of a run: plain frozen data that goes to JSON and comes back equal."""

from __future__ import annotations

import functools
import math
import secrets
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin, get_type_hints

from flownb.runs.states import State

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

T = TypeVar("T")


def new_run_id() -> str:
    """Return a name for a new run, such as `20261122-041500-7f3a9c21be04`.

    It starts with the time (UTC), and within one second names still sort by when they were made; its last
    eight characters are random, so that any number of processes can make them.
    """
    now = datetime.now(UTC)
    fraction = now.microsecond * 0x10000 // 1_000_000
    return f"{now:%Y%m%d-%H%M%S}-{fraction:04x}{secrets.token_hex(4)}"


def time_text(time: datetime | None) -> str | None:
    """Write a time as ISO 8601 in UTC, always of one length: such texts sort as the times do."""
    if time is None:
        return None
    if time.tzinfo is None:
        raise ValueError(f"{time!r} has no time zone; times of a run are aware datetimes")
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def time_of(text: str | datetime | None) -> datetime | None:
    """Read what `time_text` wrote. Raises `ValueError`."""
    time = datetime.fromisoformat(text) if isinstance(text, str) else text
    if isinstance(time, datetime) and time.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return time


PARAMETERS = "ParameterError"
"""The kind of a `RunError` outside of any step: a given parameter is not what was declared."""


@dataclass(frozen=True, slots=True)
class RunError:
    """Why a run did not succeed."""

    kind: str  #: the exception's class name, or "DeadKernel", "TimeOut", "DeadProcess"
    message: str = ""
    step: str = ""  #: the step in which it happened; empty where it was in none
    line: int | None = None  #: the line in the step's source, from 1
    source_line: str | None = None  #: that line
    traceback: str = ""  #: plain text

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` wrote; see `_read`."""
        return _read(cls, data)

    @property
    def of_parameters(self) -> bool:
        """Whether the flow's steps did not begin, as a given parameter is not what was declared."""
        return self.kind == PARAMETERS and not self.step

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}" if self.message else self.kind


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step of one run. `seconds` is wall time, `cpu_seconds` that of the kernel's process."""

    name: str
    position: int  #: from 0, in the order in which the steps run
    state: State = State.PENDING
    started: datetime | None = None
    ended: datetime | None = None
    seconds: float | None = None
    cpu_seconds: float | None = None
    peak_memory_bytes: int | None = None
    error: RunError | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "name": self.name,
            "position": self.position,
            "state": self.state.value,
            "started": time_text(self.started),
            "ended": time_text(self.ended),
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            "peak_memory_bytes": self.peak_memory_bytes,
            "error": asdict(self.error) if self.error else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote; see `_read`."""
        error = data.get("error")
        return _read(
            cls,
            data,
            state=State(data.get("state", State.PENDING)),
            started=time_of(data.get("started")),
            ended=time_of(data.get("ended")),
            error=RunError.from_json(error) if error else None,
        )


RUN_CODE = frozenset({"cloudpickle"})
"""The formats of outputs that run code of their own when they are read."""


@dataclass(frozen=True, slots=True)
class OutputRecord:
    """One stored output: all that is known without reading the value. Written by `flownb.runs.values`."""

    name: str
    step: str = ""
    format: str = ""  #: "json", "parquet", "picture", "cloudpickle", ...; "error": it could not be stored
    file: str = ""  #: name in the run's `outputs` folder
    size: int = 0  #: bytes in its files
    type: str = ""  #: for people: "DataFrame, 12 x 3"
    python: str = ""  #: magic number and version of the Python that wrote it
    digest: str = ""  #: SHA-256 (hex) of its files
    preview: str = ""  #: a few lines of text
    detail: dict[str, Any] = field(default_factory=dict)  #: what the format needs for reading it back
    error: str = ""  #: why it could not be stored
    #: whether it is this user's own, or trusted: known by a signature, and so never part of the JSON data
    signed: bool = field(default=False, compare=False)

    @property
    def files(self) -> list[str]:
        """The names of its files in the run's `outputs` folder; none where it could not be stored."""
        names = self.detail.get("files") or [self.file]
        return [str(name) for name in names if name] if isinstance(names, list) else []

    @property
    def needs_trust(self) -> bool:
        """Whether reading it would run code that is not known to be this user's own."""
        return self.format in RUN_CODE and not self.signed

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data: what `flownb.runs.values.load` takes."""
        data = asdict(self)
        del data["signed"]
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` or `flownb.runs.values.store` wrote; see `_read`."""
        return _read(cls, data, signed=False)


@dataclass(frozen=True, slots=True)
class RunRecord:
    """All that is recorded of one run, as it stood when it was read."""

    id: str
    flow: str
    folder: Path  #: absolute here; the store keeps it relative to the project
    state: State = State.PENDING
    storage: dict[str, Any] | None = None  #: `Storage.serialize()`
    source: str = ""  #: the store as `Project.source` names it: "analysis.ipynb", "." for a repository
    location: str = ""
    version: str = ""
    digest: str = ""
    parameters: dict[str, str] = field(default_factory=dict)  #: rendered as Python; secrets as `***`
    environment: dict[str, Any] = field(default_factory=dict)  #: `Environment.serialize()`
    labels: list[str] = field(default_factory=list)
    asked_by: str = "python"  #: "notebook", "command line", "python", "schedule"
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    started: datetime | None = None
    ended: datetime | None = None
    error: RunError | None = None
    engine: str = ""
    attempt: int = 1  #: from 1; a retry counts it up
    #: seconds that went to something else than steps, by what that was: "start", "imports", "setup", ...
    times: dict[str, float] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    callback_errors: list[Any] = field(default_factory=list)  #: dicts with `name`, `error`, `traceback`
    steps: list[StepRecord] = field(default_factory=list)  #: by position

    @property
    def seconds(self) -> float | None:
        """Wall time in seconds from start to end; to now while it runs; None before it started."""
        if self.started is None:
            return None
        end = self.ended or (None if self.state.terminal else datetime.now(UTC))
        return None if end is None else (end - self.started).total_seconds()

    @property
    def lock(self) -> Path:
        """The file that the supervising process holds locked for as long as it lives."""
        return self.folder / "lock"

    @property
    def reserve(self) -> Path:
        """The file that keeps space on the disk for the run's end, as long as it goes on."""
        return self.folder / "reserve"

    @property
    def notebook(self) -> Path:
        """Where the executed notebook is."""
        return self.folder / "executed.ipynb"

    @property
    def document(self) -> Path:
        """Where the flow document is that the run executes."""
        return self.folder / "flow.ipynb"

    @property
    def journal(self) -> Path:
        """Where the journal is."""
        return self.folder / "journal.jsonl"

    @property
    def log(self) -> Path:
        """Where the log is."""
        return self.folder / "log.txt"

    @property
    def outputs_folder(self) -> Path:
        """Where the values of the outputs are."""
        return self.folder / "outputs"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        data = {item.name: getattr(self, item.name) for item in fields(self)}
        return {
            **data,
            "folder": str(self.folder),
            "state": self.state.value,
            "created": time_text(self.created),
            "started": time_text(self.started),
            "ended": time_text(self.ended),
            "error": asdict(self.error) if self.error else None,
            "steps": [step.to_json() for step in self.steps],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote; see `_read`."""
        error = data.get("error")
        return _read(
            cls,
            data,
            folder=Path(data["folder"]),
            state=State(data["state"]),
            created=time_of(data["created"]),
            started=time_of(data.get("started")),
            ended=time_of(data.get("ended")),
            error=RunError.from_json(error) if error else None,
            steps=[StepRecord.from_json(step) for step in data.get("steps", ())],
        )


def _read(cls: type[T], data: Mapping[str, Any], **read: Any) -> T:
    """Make a record of JSON data; fields of a later version are left out.

    Raises `TypeError` where a field is not of its type: records may have come with a project, and whoever
    shows them relies on it.
    """
    made_of: Any = cls
    kinds = _kinds(made_of)
    made: T = cls(**{name: value for name, value in {**data, **read}.items() if name in kinds})
    for name, kind in kinds.items():
        value = getattr(made, name)
        if not isinstance(value, kind) or (isinstance(value, float) and not math.isfinite(value)):
            raise TypeError(f"`{name}` is {value!r:.60}")
    if not all(isinstance(text, str) for text in getattr(made, "parameters", {}).values()):
        raise TypeError("`parameters` are not all texts")
    if not all(isinstance(seconds, int | float) for seconds in getattr(made, "times", {}).values()):
        raise TypeError("`times` are not all numbers")
    return made


@functools.cache
def _kinds(cls: type[Any]) -> dict[str, tuple[type, ...]]:
    """Return the classes that the value of each field of a dataclass may have."""
    found = {}
    for name, hint in get_type_hints(cls).items():
        parts = get_args(hint) if isinstance(hint, UnionType) else (hint,)
        kinds = {get_origin(part) or part for part in parts}
        found[name] = tuple(kinds | {int} if float in kinds else kinds)
    return found
