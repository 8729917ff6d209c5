"""Storing a value in the first format that fits, and loading it again."""

from __future__ import annotations

import json
import pathlib
from typing import TYPE_CHECKING, Any

from .data import data_formats, read_json, read_literal, read_typed
from .describing import describe, head, preview
from .files import Parts, digest_of, file_stem, inside
from .fitting import Place, Read, SecretError, Write, is_exactly
from .pickles import check_python, python_mark, read_pickle, write_pickle
from .pictures import figure_formats, read_picture, write_shown
from .tables import read_array, read_table, table_formats, write_array

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

VERSION = 1  #: of the records; a kernel's flownb that writes another one is not used

_TEXT_AS_FILE = 100_000  #: characters


def store(name: str, value: object, folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Write `value` to files in `folder`, which is made, and return the record that `load` needs.

    The record is JSON data: `name`, `format`, `file`, `size` (bytes), `type` and `preview` for people,
    `python`, `digest` (SHA-256 of the files), `detail`. Every file is written whole or not at all.
    Raises `ValueError` saying why where the value cannot be stored.
    """
    target = pathlib.Path(folder)
    problem = ""
    try:
        target.mkdir(parents=True, exist_ok=True)
        for form, write in _formats(value):
            parts = Parts(target, file_stem(name))
            try:
                detail = write(value, parts.place) or {}
                files, size, digest = parts.commit()
            except (OSError, SecretError):
                raise
            except Exception as error:  # noqa: BLE001 - what a library cannot write, the next format may
                problem = f"{type(error).__name__}: {error}" if form == "cloudpickle" else problem
                continue
            finally:
                parts.discard()
            return {
                "name": name,
                "format": form,
                "file": files[0],
                "size": size,
                "type": describe(value),
                "python": python_mark(),
                "digest": digest,
                "preview": preview(value),
                "detail": {**detail, **head(value), "files": files},
            }
    except OSError as error:
        raise ValueError(f"`{name}` cannot be stored in {target}: {error.strerror or error}") from error
    except SecretError as error:
        raise ValueError(f"`{name}` ({describe(value)}) is not stored: {error}") from None
    raise ValueError(f"`{name}` ({describe(value)}) cannot be stored: {problem[:500]}")


def load(record: Mapping[str, Any], folder: str | os.PathLike[str]) -> Any:
    """Read back the value of a record. Only the format "cloudpickle" can run code of its own.

    Raises `ValueError` where its files are missing or changed, where another Python pickled it, or where
    a library that it needs is not installed.
    """
    name, form = record["name"], record["format"]
    if form == "error":
        raise ValueError(f"`{name}` could not be stored: {record.get('error', '')}")
    if form not in _READERS:
        raise ValueError(f"`{name}` is stored as {form!r}, which this version does not know; upgrade flownb")
    if form == "cloudpickle":
        check_python(name, record["python"])
    detail = record.get("detail") or {}
    paths = [inside(folder, file) for file in detail.get("files") or [record["file"]]]
    try:
        if digest_of(paths) != record["digest"]:
            raise ValueError(f"`{name}` cannot be read back: its file {paths[0]} is not as it was written")
        return _READERS[form](paths, detail)
    except OSError as error:
        raise ValueError(
            f"`{name}` cannot be read back from {paths[0]}: {error.strerror or error}"
        ) from error
    except ImportError as error:
        raise ValueError(
            f"`{name}` ({record.get('type')}) needs a library that is not here: {error}"
        ) from error


def collect(values: Mapping[str, Any], folder: str, file: str, step: str) -> None:
    """Store named values, and their records in `file`: what runs in the kernel after a step.

    What cannot be stored gets a record of format "error" that says why; it stops nothing.
    """
    records = []
    for name, value in values.items():
        try:
            record = store(name, value, folder)
        except Exception as error:  # noqa: BLE001 - a value's own methods are called, which may raise anything
            words = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            record = {"name": name, "format": "error", "type": type(value).__name__, "error": words[:2_000]}
        records.append({**record, "step": step})
    parts = Parts(pathlib.Path(folder), file)
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    try:
        parts.place("").write_bytes(json.dumps(records).encode("ascii"))
        parts.commit()
    finally:
        parts.discard()


def _formats(value: object) -> Iterator[tuple[str, Write]]:
    """Yield the formats to try for a value, the best one first."""
    figure = figure_formats(value)
    yield from figure
    if type(value) is bytes:
        yield "bytes", _write_bytes
    elif type(value) is str and len(value) > _TEXT_AS_FILE:
        yield "text", _write_text
    elif is_exactly(value, "numpy", "ndarray"):
        yield "npy", write_array
    else:
        yield from table_formats(value) or data_formats(value)
    yield "cloudpickle", write_pickle
    if not figure:
        yield "picture", write_shown


def _write_bytes(value: Any, place: Place) -> None:
    place(".bin").write_bytes(value)


def _write_text(value: Any, place: Place) -> None:
    place(".txt").write_bytes(value.encode("utf-8", "surrogatepass"))


_READERS: dict[str, Read] = {
    "json": read_json,
    "python": read_literal,
    "typed": read_typed,
    "text": lambda paths, _: paths[0].read_bytes().decode("utf-8", "surrogatepass"),
    "bytes": lambda paths, _: paths[0].read_bytes(),
    "npy": read_array,
    "parquet": read_table,
    "arrow": read_table,
    "picture": read_picture,
    "cloudpickle": read_pickle,
}
