"""Files written whole or not at all, and notebooks in the form in which Jupyter saves them."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flownb.errors import FlownbError, RecordError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


_SURROGATES = "backslashreplace"
"""A lone surrogate, which UTF-8 cannot hold, becomes the six characters with which JSON writes it."""

_TEXTS = ("application/javascript", "image/svg+xml")


def write_atomic(
    path: Path,
    content: Mapping[str, Any] | bytes,
    *,
    error: type[FlownbError] = RecordError,
    durable: bool = True,
) -> None:
    """Write bytes, or a notebook in the form in which Jupyter saves it, to `path`.

    A reader finds the old content or the new, also when the writer is killed or the machine goes down;
    a link stays a link, a file keeps its mode. Raises `error` with the system's word; then the old
    content is there still, and nothing else. What is not `durable` is not waited for until it is on the
    disk: when the machine goes down within the next moments, it may be lost or empty.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(6)}.part")
    try:
        try:
            with temporary.open("x", encoding="utf-8", errors=_SURROGATES, newline="\n") as file:
                if isinstance(content, bytes):
                    file.buffer.write(content)
                else:
                    _put_notebook(content, file.write)
                file.flush()
                if durable:
                    os.fsync(file.fileno())
            with contextlib.suppress(FileNotFoundError):
                temporary.chmod(target.stat().st_mode & 0o7777)
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as refusal:
        raise error(f"{path} cannot be written: {refusal.strerror or refusal}") from refusal


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep all others who call this for the same folder out of it meanwhile."""
    try:
        import fcntl
    except ImportError:  # without locks (Windows) the last one to write wins
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def notebook_bytes(notebook: Mapping[str, Any]) -> bytes:
    """Return a notebook as Jupyter saves it: sorted keys, sources and texts as lists of lines."""
    pieces: list[str] = []
    _put_notebook(notebook, pieces.append)
    return "".join(pieces).encode("utf-8", _SURROGATES)


def _put_notebook(notebook: Mapping[str, Any], put: Callable[[str], object]) -> None:
    _put(_lines(notebook), "\n", put)
    put("\n")


@dataclass(frozen=True, slots=True)
class _Text:
    """A text that is written as a list of its lines."""

    text: str


def _lines(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """Mark the texts of a notebook that are written as lines; the rest is shared, not copied."""
    cells = [
        {key: value for key, value in cell.items() if key not in ("source", "outputs")}
        | {"source": _split(cell.get("source", ""))}
        | ({"outputs": [_split_output(output) for output in cell["outputs"]]} if "outputs" in cell else {})
        for cell in notebook.get("cells", ())
    ]
    return {**notebook, "cells": cells}


def _split_output(output: Mapping[str, Any]) -> dict[str, Any]:
    shown = dict(output)
    if "text" in shown:
        shown["text"] = _split(shown["text"])
    if isinstance(shown.get("data"), dict):
        shown["data"] = {
            mime: _split(value) if mime.startswith("text/") or mime in _TEXTS else value
            for mime, value in shown["data"].items()
        }
    return shown


def _split(text: Any) -> Any:
    return _Text(text) if isinstance(text, str) else text


def _put(value: Any, margin: str, put: Callable[[str], object]) -> None:
    """Write JSON as `json.dumps` does with `indent=1` and sorted keys, but lines without a step for each.

    An output may be a text of millions of lines. `margin` is a line's end and its indent.
    """
    inner = f"{margin} "
    if isinstance(value, dict) and value:
        before = f"{{{inner}"
        for key in sorted(value):
            put(f"{before}{_encoded(key if isinstance(key, str) else _encoded(key))}: ")
            _put(value[key], inner, put)
            before = f",{inner}"
        put(f"{margin}}}")
    elif isinstance(value, list | tuple) and value:
        before = f"[{inner}"
        for item in value:
            put(before)
            _put(item, inner, put)
            before = f",{inner}"
        put(f"{margin}]")
    elif isinstance(value, _Text) and value.text:
        put(f"[{inner}")
        _put_lines(value.text, f",{inner}", put)
        put(f"{margin}]")
    elif isinstance(value, _Text):
        put("[]")
    else:
        put(_encoded(value))


def _put_lines(text: str, between: str, put: Callable[[str], object]) -> None:
    """Write the lines of a text, each as a JSON string, with `between` between them."""
    if len(text) < _LONG or any(character in text for character in _OTHER_ENDS):
        put(between.join(map(_encoded, text.splitlines(keepends=True))))
        return
    # a part at once for each character that has to be escaped, and is there: quicker than line by line;
    # part by part, as each large text would be new memory
    put('"')
    for start in range(0, len(text), _PART):
        part = text[start : start + _PART]
        last = start + _PART >= len(text) and part.endswith("\n")
        for character, escaped in _ESCAPES.items():
            if character in part:
                part = part.replace(character, escaped)
        put(part.removesuffix("\n" if last else "").replace("\n", f'\\n"{between}"'))
    put('\\n"' if text.endswith("\n") else '"')


_encoded = json.JSONEncoder(ensure_ascii=False).encode
_LONG = 10_000  #: characters; shorter texts are not worth looking through
_PART = 1 << 18  #: characters
_OTHER_ENDS = "\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"  #: of lines, for `splitlines`
#: what JSON escapes of the rest, but for the end of a line; the backslash first, as the others bring some
_ESCAPES = {
    character: _encoded(character)[1:-1]
    for character in ("\\", '"', *map(chr, range(0x20)))
    if character not in ("\n", *_OTHER_ENDS)
}
