"""Live progress of a run, step by step: in a notebook, in a terminal, and where neither is (a log).

    with progress_for(notebook=True) as on_change:
        environment.execute(storage, location, parameters, on_change=on_change)

Whatever the place, `on_change(run)` may be called as often as something changes and from any thread; what
is shown follows at most ten times a second, and the last state is always shown. A stream that takes no more,
as its reader went away, gets no more; nobody hears of it.
"""

from __future__ import annotations

import contextvars
import os
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from flownb.displays.wording import seconds_text, shorten, state_text, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console
    from rich.table import Table

    from flownb.runs.record import RunRecord, StepRecord

_INTERVAL = 0.1  # seconds between two updates


class RunShown(Protocol):
    """A run whose record says how it stands now."""

    @property
    def record(self) -> RunRecord: ...  # noqa: D102


@contextmanager
def progress_for(
    *, notebook: bool, keep: bool = True, stream: TextIO | None = None
) -> Iterator[Callable[[RunShown], None]]:
    """Show the progress of one run while the block lasts; yields `on_change`, to be called with the run.

    `notebook`: in the output of the cell that is running, else on `stream` (standard error): live where
    that is a terminal, else one line for each step. `keep` false takes a notebook's display away at the
    end, for when the run itself is shown next.
    """
    out = sys.stderr if stream is None else stream
    if notebook:
        with _in_notebook(keep=keep) as on_change:
            yield on_change
    elif out is None:  # this process was started without one
        yield lambda _: None
    elif _can_redraw(out):
        with _in_terminal(_Heedless(out)) as on_change:
            yield on_change
    else:
        yield _Lines(_Heedless(out))


def _can_redraw(stream: TextIO) -> bool:
    """Whether what was written can be written over: a notebook's `!command` has a terminal that cannot."""
    in_cell = os.environ.get("PAGER") == os.environ.get("GIT_PAGER") == "cat"  # so a kernel says to commands
    return stream.isatty() and not in_cell and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")


class _Heedless:
    """A text stream whose errors are no matter of whoever writes to it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Throttle:
    """Calls `act` with the newest value given: at once, but not within `interval` seconds of the last call.

    A value that comes too early waits for its time, unless a newer one takes its place; `finish` calls
    `act` with what is still waiting.
    """

    def __init__(self, act: Callable[[Any], None], interval: float = _INTERVAL) -> None:
        self._act = act
        self._interval = interval
        self._lock = threading.Lock()
        self._acting = threading.Lock()
        self._timer: threading.Timer | None = None
        self._waiting: list[Any] = []
        self._last = float("-inf")

    def __call__(self, value: Any) -> None:
        """Hand on `value`, now or when its time comes."""
        with self._lock:
            self._waiting[:] = [value]
            rest = self._last + self._interval - time.monotonic()
            if rest > 0:
                if self._timer is None:
                    # the kernel finds the cell that an output belongs to in the context's variables
                    context = contextvars.copy_context()
                    self._timer = threading.Timer(rest, context.run, [self._flush])
                    self._timer.daemon = True
                    self._timer.start()
                return
        self._flush()

    def finish(self) -> None:
        """Call with what is waiting, now, and wait for a call that is under way."""
        with self._lock:
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        self._flush()

    def _flush(self) -> None:
        # `_acting` keeps calls in the order of their values
        with self._acting:
            with self._lock:
                self._timer = None
                values = self._waiting[:]
                self._waiting.clear()
                self._last = time.monotonic()
            for value in values:
                self._act(value)


@contextmanager
def _in_notebook(*, keep: bool) -> Iterator[Callable[[RunShown], None]]:
    from IPython.display import HTML, display

    handle = display(HTML(""), display_id=True)

    def show(run: Any) -> None:
        handle.update(run)

    throttle = Throttle(show)
    try:
        yield throttle
    finally:
        throttle.finish()
        if not keep:
            handle.update(HTML(""))


@contextmanager
def _in_terminal(stream: Any) -> Iterator[Callable[[RunShown], None]]:
    from rich.console import Console
    from rich.live import Live

    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    view = _LiveView(console)
    with Live(get_renderable=view, console=console, refresh_per_second=1 / _INTERVAL, transient=False):
        yield view.change


class _LiveView:
    """Draws the run as it is now; the step that is running has a clock of its own."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._record: RunRecord | None = None
        self._began: dict[str, float] = {}

    def change(self, run: RunShown) -> None:
        # read once, here: drawing goes on in another thread
        self._record = run.record
        now = time.monotonic()
        for step in self._record.steps:
            if step.state == "Running":
                self._began.setdefault(step.name, now)

    def __call__(self) -> Table | str:
        from rich.table import Table

        run = self._record
        if run is None:
            return "starting"
        table = Table.grid(padding=(0, 2))
        steps = run.steps
        room = max(self._console.size.height - 4, 3)
        for step in _most_telling(steps, room):
            table.add_row("  " + shorten(step.name, 40), _styled(step.state), self._time(step))
        if len(steps) > room:
            done = sum(step.state not in ("Pending", "Running") for step in steps)
            table.add_row(f"  {done} of {len(steps)} steps", "", "")
        table.add_row(shorten(run.flow, 40), _styled(run.state), seconds_text(run.seconds))
        return table

    def _time(self, step: StepRecord) -> str:
        if step.state == "Running" and step.name in self._began:
            return seconds_text(time.monotonic() - self._began[step.name])
        return seconds_text(step.seconds)


def _most_telling(steps: Sequence[StepRecord], room: int) -> Sequence[StepRecord]:
    """Choose the steps around the one that is running where there is no room for all."""
    if len(steps) <= room:
        return steps
    at = next((n for n, step in enumerate(steps) if step.state in ("Running", "Pending")), len(steps) - 1)
    first = max(0, min(at - room // 2, len(steps) - room))
    return steps[first : first + room]


def _styled(state: str) -> Any:
    from rich.text import Text

    styles = {"Success": "green", "Failed": "red", "Crashed": "red", "Cancelled": "yellow", "Running": "cyan"}
    return Text(state_text(state), style=styles.get(state, "dim"))


class _Lines:
    """Writes one line when the run starts and one when a step, or the run, ends: what a log can keep."""

    def __init__(self, stream: _Heedless) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._told: dict[str | None, str] = {}

    def __call__(self, of: RunShown) -> None:
        with self._lock:
            run = of.record
            if not self._told:
                self._told[None] = "Pending"
                self._say(f"{visible(run.flow)}: run {visible(run.id)}")
            for step in run.steps:
                self._tell(step.name, f"  {visible(step.name)}", step.state, step.seconds)
            self._tell(None, visible(run.flow), run.state, run.seconds)

    def _tell(self, key: str | None, label: str, state: str, seconds: float | None) -> None:
        if state in ("Pending", "Running") or self._told.get(key) == state:
            return
        self._told[key] = state
        self._say(f"{label}: {' '.join(part for part in (state_text(state), seconds_text(seconds)) if part)}")

    def _say(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()
