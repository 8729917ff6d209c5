"""A run's stored outputs, printed or copied out of its folder."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from flownb.errors import OutputError
from flownb.runs.outputs import read_output

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from flownb.runs.record import OutputRecord

_TABLES = ("parquet", "arrow")
_ROWS = 60


def value_text(output: OutputRecord, folder: Path) -> str:
    """Write one output for a terminal: data as JSON, a table as text, of anything else where its file is.

    Nothing is unpickled. Raises `OutputError` where the value cannot be read.
    """
    from flownb.cli.printing import output_text, terminal_text

    if output.format == "json":
        return terminal_text(json.dumps(read_output(output, folder), ensure_ascii=False, indent=2))
    if output.format == "text":
        return terminal_text(str(read_output(output, folder)))
    if output.format in ("python", "typed", "npy"):
        return terminal_text(repr(read_output(output, folder)))
    if output.format in _TABLES:
        return terminal_text(_table_text(read_output(output, folder)))
    if output.format == "picture":
        return "\n".join(str(path) for path in _files(output, folder))
    return output_text(output, folder)


def export(outputs: Iterable[OutputRecord], folder: Path, to: Path, *, single: bool) -> list[Path]:
    """Copy outputs to a file (`single`) or into a folder, which is made; return what was written.

    Raises `OutputError` where a file would have to be another kind than what is stored.
    """
    from flownb.callbacks.places import file_names

    written: list[Path] = []
    outputs = list(outputs)
    stems = file_names(output.name for output in outputs)
    try:
        for output in outputs:
            if output.format == "error":
                raise OutputError(f"`{output.name}` could not be stored by its run: {output.error}")
            if single and not to.is_dir() and to.suffix:
                written.append(_to_file(output, folder, to))
                continue
            to.mkdir(parents=True, exist_ok=True)
            for source in _files(output, folder):
                target = to / (stems[output.name] + source.suffix.lower())
                shutil.copyfile(source, target)
                written.append(target)
    except OSError as error:
        raise OutputError(
            f"{error.filename or to} cannot be copied to {to}: {error.strerror or error}"
        ) from error
    return written


def _to_file(output: OutputRecord, folder: Path, to: Path) -> Path:
    files = _files(output, folder)
    for source in files:
        if source.suffix.lower() == to.suffix.lower():
            shutil.copyfile(source, to)
            return to
    if output.format in _TABLES and to.suffix.lower() == ".csv":
        _write_csv(read_output(output, folder), to)
        return to
    kinds = sorted({source.suffix for source in files} | ({".csv"} if output.format in _TABLES else set()))
    raise OutputError(
        f"`{output.name}` is written to a file that ends in {' or '.join(kinds)}, not to {to.name}"
    )


def _files(output: OutputRecord, folder: Path) -> list[Path]:
    # the names are from a record, which somebody may have changed
    paths = [folder / name for name in output.files]
    return [path for path in paths if path.resolve().parent == folder.resolve()]


def _table_text(table: Any) -> str:
    if hasattr(table, "to_pandas") and type(table).__module__.startswith("pyarrow"):
        table = table.to_pandas()
    if hasattr(table, "to_string"):
        return str(table.to_string(max_rows=_ROWS))
    return str(table)


def _write_csv(table: Any, to: Path) -> None:
    if hasattr(table, "write_csv"):  # polars
        table.write_csv(to)
        return
    if hasattr(table, "to_pandas"):
        table = table.to_pandas()
    plain = getattr(table.index, "name", None) is None and type(table.index).__name__ == "RangeIndex"
    table.to_csv(to, index=not plain)
