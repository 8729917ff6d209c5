"""Parts as HTML for a notebook: one template, one small style sheet, no script.

The style sheet goes along with each display, as a saved notebook has nothing else; where a front end takes it
out (a notebook that is not trusted), what is left are ordinary tables, code and lines, and drawings as text.
"""

from __future__ import annotations

import base64
import functools
from typing import TYPE_CHECKING, Any

from flownb.displays import parts
from flownb.displays.drawing import drawn
from flownb.displays.wording import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jinja2 import Template

_SHORT = 24  #: characters of a cell that are not broken into lines


def render(shown: Sequence[parts.Part]) -> str:
    """Return parts as HTML, safe to stand in a page."""
    return _template().render(parts=shown)


@functools.cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("flownb.displays"),
        autoescape=True,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "spans": parts.spans,
        "words": _words,
        "tokens": tokens,
        "address": _address,
        "drawn": drawn,
        "kind": lambda part: type(part).__name__,
        "short": lambda words: sum(len(span.text) for span in parts.spans(words)) <= _SHORT,
    }
    return environment.get_template("parts.html")


def _finalized(value: Any) -> Any:
    # whatever goes into the page passes here, before it is escaped; what is markup already stays as it is
    return visible(value, lines=True) if type(value) is str else value


def _words(line: parts.Line) -> parts.Words:
    """Return the words of a line; in one that the person should see, names are in backticks."""
    pieces = line.words.split("`") if line.kind == "amber" and isinstance(line.words, str) else []
    if len(pieces) % 2 == 0:
        return line.words
    return tuple(parts.code(piece) if at % 2 else piece for at, piece in enumerate(pieces))


def tokens(source: parts.Source) -> list[tuple[str, str]]:
    """Return a source in pieces, each with the class of its colour; text has none."""
    if not source.python:
        return [("", source.text)]
    from pygments.lexers.python import PythonLexer
    from pygments.token import STANDARD_TYPES

    lexer = PythonLexer(stripnl=False, ensurenl=False)
    return [(STANDARD_TYPES.get(kind, "")[:1], text) for kind, text in lexer.get_tokens(source.text)]


def _address(picture: parts.Picture) -> str:
    return f"data:{picture.mime};base64,{base64.b64encode(picture.data).decode('ascii')}"
