"""Outputs as results: figures as pictures, tables with their first rows, small values as they are.

Pure: nothing here reads a value, let alone unpickles one. What was noted when it was stored is shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flownb.displays.parts import Line, Picture, Source, Table, code, muted
from flownb.displays.wording import count_text, shorten, size_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flownb.displays.parts import Part, Words
    from flownb.runs.record import OutputRecord

NOT_TRUSTED = "not trusted"  #: said of an output that is shown, but not read back yet
_LONG = 200  #: characters of a value that stands in a line
_SHORT = 24  #: characters of a value that has a column beside others
_PLAIN = ("json", "typed")  #: formats of values that are no pickles


def output_parts(outputs: Sequence[OutputRecord], pictures: Mapping[str, Picture]) -> list[Part]:
    """Show outputs: first the small values, then each table, picture and longer text with a line above it."""
    small = [output for output in outputs if _is_small(output)]
    rows: list[tuple[Words, ...]] = [
        (code(output.name), _value(output), muted(_type(output))) for output in small
    ]
    parts: list[Part] = [Table(("output", "value", "type"), rows)] if rows else []
    for output in outputs:
        if output not in small:
            about = (code(output.name), " ", muted(_about(output)))
            parts += [Line(about, "heading"), *_body(output, pictures.get(output.name))]
    return parts


def is_scalar(output: OutputRecord) -> bool:
    """Whether an output is a value that stands in a table beside those of other runs."""
    one = "," not in output.type or output.type.startswith("str,")  # of a collection the type has the length
    return not output.error and output.format in _PLAIN and one and len(output.preview) <= _SHORT


def _is_small(output: OutputRecord) -> bool:
    one_line = "\n" not in output.preview and len(output.preview) <= _LONG
    return bool(output.error) or (one_line and output.format != "picture" and _head(output) is None)


def _value(output: OutputRecord) -> Words:
    if output.error:
        return f"not stored: {shorten(output.error, 300)}"
    return output.preview if output.type.startswith("str,") else code(output.preview)


def _body(output: OutputRecord, picture: Picture | None) -> list[Part]:
    if picture is not None:
        return [picture]
    if output.format == "picture":
        return []
    head = _head(output)
    return [Source(output.preview, python=False)] if head is None else [Table(*head)]


def _about(output: OutputRecord) -> str:
    head, size = _head(output), output.detail.get("size")
    told = [_type(output)]
    if head is not None and isinstance(size, list) and all(type(number) is int for number in size):
        kind = output.type.partition(",")[0]
        rows = f"{len(head[1]):,} of {count_text(size[0], 'row')}"
        told = [kind, f"{rows}, {count_text(size[1], 'column')}"]
    return ", ".join([*told, size_text(output.size)])


def _head(output: OutputRecord) -> tuple[list[str], list[list[str]]] | None:
    """Return the columns and the first rows of a table as they were noted; None where they were not."""
    head: Any = output.detail.get("head")
    match head:
        case {"columns": list(columns), "rows": list(rows)}:
            whole = all(isinstance(row, list) and len(row) == len(columns) for row in rows)
            if columns and rows and whole:
                return [str(column) for column in columns], [[str(cell) for cell in row] for row in rows]
    return None


def _type(output: OutputRecord) -> str:
    return shorten(output.type, 100) + (f" ({NOT_TRUSTED})" if output.needs_trust else "")
