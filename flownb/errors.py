"""What can go wrong, in one small family.

Every message says what happened, to which flow, cell, parameter or file, and what to do next. In a
notebook and on the command line it is shown as that message, never as a traceback: whoever made the
mistake can mend it from the words alone.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

    from flownb.runs import Run


class FlownbError(Exception):
    """The base of every error that flownb raises on purpose.

    `flow`, `parameter` and `location` name what it is about, each where that is known, else they are None.
    """

    #: exit status of the command line when this error ends it
    exit_code = 2

    def __init__(
        self,
        *message: object,
        flow: str | None = None,
        parameter: str | None = None,
        location: str | None = None,
    ) -> None:
        super().__init__(*message)
        self.flow = flow
        self.parameter = parameter
        self.location = location

    def about(self, flow: str | None = None, location: str | None = None) -> Self:
        """Note what the error is about where it does not say so yet, and return it."""
        self.flow = self.flow or flow
        self.location = self.location or location
        return self

    def _render_traceback_(self) -> list[str]:
        """Show only the message where IPython would print a traceback."""
        return [f"{type(self).__name__}: {self}"]


class NameRefusedError(FlownbError):
    """A flow's, step's, output's or parameter's name is not one that can be used."""


class CaptureError(FlownbError):
    """A cell cannot become (part of) a flow: something in it, or that it reads, stands in the way."""


class ParameterError(FlownbError):
    """A parameter is declared wrongly, or is unknown, missing, or of another type than declared."""


class DocumentError(FlownbError):
    """A file is not a notebook, or not a flow document that this version reads."""


class StorageError(FlownbError):
    """A storage cannot be opened, read or written."""


class FlowNotFoundError(StorageError, LookupError):
    """A storage holds no flow of that name, or not in that version."""


class FlowExistsError(StorageError):
    """A storage holds a flow of that name already, and replacing it was not asked for."""


class FlowConflictError(StorageError):
    """A flow was changed here and, differently, at the remote; nothing was changed by saying so.

    `conflicts` has one entry a flow, with both versions: see `flownb.storage.git.reapply.Conflict`.
    """

    def __init__(self, message: str, conflicts: Sequence[Any] = ()) -> None:
        super().__init__(message, flow=conflicts[0].name if len(conflicts) == 1 else None)
        self.conflicts = tuple(conflicts)


class NotTrustedError(StorageError):
    """A flow of a storage that came from elsewhere was to run, and its user has not trusted that storage."""


class EnvironmentRefusedError(FlownbError):
    """An environment is declared wrongly, or cannot do what is asked of it here."""


class KernelNotFoundError(EnvironmentRefusedError, LookupError):
    """There is no kernel of that name here; `kernel` is the name."""

    def __init__(self, *message: object, kernel: str = "") -> None:
        super().__init__(*message)
        self.kernel = kernel


class CallbackError(FlownbError):
    """A callback cannot be called, stored or loaded."""


class OutputError(FlownbError):
    """An output does not exist, or cannot be stored or read back."""


class OutputNotFoundError(OutputError, KeyError):
    """A run has no output of that name, or not yet."""

    def __str__(self) -> str:  # a KeyError would show the message's repr
        return str(self.args[0]) if self.args else ""


class RunNotFoundError(FlownbError, LookupError):
    """No run of that identity is recorded here."""


class RecordError(FlownbError):
    """The record of runs cannot be read or written."""


class LockHeldError(RecordError):
    """A run is supervised already, by this or another process."""


class RunFailedError(FlownbError):
    """A run ended in another state than `Success`; raised by `Run.raise_for_state()`. `run` is that run."""

    exit_code = 1

    def __init__(self, *message: object, run: Run | None = None) -> None:
        super().__init__(*message, flow=run.flow if run is not None else None)
        self.run = run


class ParametersRefusedError(RunFailedError, ParameterError):
    """A run ended before its first step, as a given parameter is not what was declared."""

    exit_code = 2

    def _render_traceback_(self) -> list[str]:
        return [f"{ParameterError.__name__}: {self}"]  # it is the same mistake as one found before a run


class MissingExtraError(FlownbError, ImportError):
    """A library that an optional feature needs is not installed; the message names the extra."""


@contextmanager
def concerning(flow: str | None = None, location: str | None = None) -> Iterator[None]:
    """Have errors that leave the block say what they are about."""
    try:
        yield
    except FlownbError as error:
        error.about(flow, location)
        raise
