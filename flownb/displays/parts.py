"""What is shown, as plain data: parts, which a notebook gets as HTML and a terminal as text.

Whoever shows something decides its parts. `html` and `terminal` alone know how a part looks, and they make
every text safe there: a part may hold any text.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flownb.displays.wording import state_text

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from flownb.graph import Graph
    from flownb.storage.lines import Row

_WIDTH = 110  #: characters, where nothing says how wide the place is
_STATES = {
    "Running": "busy",
    "Success": "good",
    "Failed": "bad",
    "Crashed": "bad",
    "Cancelled": "amber",
}


@dataclass(frozen=True, slots=True)
class Span:
    """A few words in one style: "code", "strong", "muted", or the colour of a state."""

    text: str
    style: str = ""
    href: str = ""  #: where it leads in a notebook; a terminal shows the words alone


Words = str | Span | tuple[str | Span, ...]  #: what stands on a line or in a cell of a table


def code(text: str) -> Span:
    """Set a name, or a short piece of source."""
    return Span(text, "code")


def muted(text: str) -> Span:
    """Set what matters less."""
    return Span(text, "muted")


def state(name: str) -> Span:
    """Set a run's state with its mark and its colour; the word says all, the colour only helps."""
    return Span(state_text(name), _STATES.get(name, "muted"))


def listed(names: Sequence[str | Span]) -> tuple[str | Span, ...]:
    """Set names, or what has a style already, beside each other."""
    told = (code(name) if isinstance(name, str) else name for name in names)
    return tuple(part for each in told for part in (", ", each))[1:]


def spans(words: Words) -> tuple[Span, ...]:
    """Return words as the spans that they consist of; empty ones are none."""
    parts = words if isinstance(words, tuple) else (words,)
    made = (Span(part) if isinstance(part, str) else part for part in parts)
    return tuple(span for span in made if span.text)


@dataclass(frozen=True, slots=True)
class Line:
    """Words on a line: a title, an ordinary line, or one that the person should see."""

    words: Words
    kind: str = ""  #: "title", "heading", "amber"


def amber(text: str) -> Line:
    """Set a line that the person should see, such as what makes a flow stale; names are in backticks."""
    return Line(f"⚠ {text}", "amber")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headers; the first column names the row. Columns that are empty in all rows are left out."""

    headers: Sequence[str]
    rows: Sequence[Sequence[Words]]
    title: str = ""
    gives_way: Sequence[int] = ()  #: columns that are left out where a terminal is too narrow, in this order
    fixed: bool = False  #: whether the columns keep their widths whatever is in them

    @property
    def used(self) -> list[int]:
        """The columns that are not empty."""
        return [at for at in range(len(self.headers)) if any(spans(row[at]) for row in self.rows)]


@dataclass(frozen=True, slots=True)
class Source:
    """Lines of Python, or of any text."""

    text: str
    python: bool = True


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that is stored in a file."""

    name: str
    data: bytes
    mime: str  #: "image/png" or "image/svg+xml"


@dataclass(frozen=True, slots=True)
class Sides:
    """Two sources line beside line, in a notebook."""

    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A flow's steps and what flows between them."""

    graph: Graph


@dataclass(frozen=True, slots=True)
class Details:
    """Parts behind a line, which shows them when it is opened; in a terminal below it, or not at all."""

    words: Words
    parts: Sequence[Part]
    in_terminal: bool = True


@dataclass(frozen=True, slots=True)
class Group:
    """Parts that one kind of place alone shows: "notebook" or "terminal"."""

    parts: Sequence[Part]
    place: str


Part = Line | Table | Source | Picture | Sides | Drawing | Details | Group


@dataclass(frozen=True, slots=True)
class Shown:
    """Something made for people to look at: HTML for a notebook, text for a terminal."""

    parts: Sequence[Part]

    @property
    def html(self) -> str:
        """The parts as HTML, safe to stand in a page."""
        from flownb.displays.html import render

        return render(self.parts)

    @property
    def text(self) -> str:
        """The parts as text, as wide as the terminal."""
        return self.to_text(shutil.get_terminal_size((_WIDTH, 0)).columns)

    def to_text(self, width: int | None = None, *, colour: bool = False) -> str:
        """Return the parts as text of at most `width` characters a line, where there is such a limit."""
        from flownb.displays.terminal import render

        return render(self.parts, width, colour=colour)

    def __str__(self) -> str:
        return self.text

    def _repr_mimebundle_(
        self,
        include: Collection[str] | None = None,  # noqa: ARG002 - IPython passes both; there are two kinds to choose from
        exclude: Collection[str] | None = None,  # noqa: ARG002
    ) -> dict[str, str]:
        return {"text/html": self.html, "text/plain": self.text}
