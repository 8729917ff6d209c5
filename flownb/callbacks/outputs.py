"""`collect_outputs`: a run's outputs as ordinary files in a folder of one's own."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flownb.callbacks.base import Configured
from flownb.callbacks.options import names_option, path_option
from flownb.callbacks.places import append_lines, copy, file_name, file_names, place
from flownb.errors import CallbackError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from flownb.runs import Run
    from flownb.runs.record import OutputRecord

_LATEST = "latest"


@dataclass(frozen=True)
class CollectOutputs(Configured):
    """See `collect_outputs`, which makes it."""

    folder: str
    names: tuple[str, ...] | None = None
    formats: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", path_option(self.folder, "collect_outputs", "folder"))
        object.__setattr__(self, "names", names_option(self.names, "collect_outputs", "names"))
        formats = names_option(self.formats, "collect_outputs", "formats")
        object.__setattr__(self, "formats", formats and tuple(item.lower().lstrip(".") for item in formats))

    def options(self) -> dict[str, Any]:
        """Return the folder, and names and formats where they were chosen."""
        chosen = {"names": self.names, "formats": self.formats}
        return {
            "folder": self.folder,
            **{key: list(value) for key, value in chosen.items() if value is not None},
        }

    def __str__(self) -> str:
        return f"collect_outputs({self.folder})"

    def __call__(self, run: Run) -> Path | None:
        """Copy the files; return the run's folder in there, or None where there was nothing to copy."""
        files = self._files(run)
        if not files:
            return None
        flow = place(self.folder, run) / file_name(run.flow)
        target = flow / file_name(run.id)
        for name, source in files.items():
            copy(source, target / name)
        _point(flow / _LATEST, target.name)
        append_lines(run.record.log, f"collect_outputs: {len(files)} files copied to {target}\n")
        return target

    def _files(self, run: Run) -> dict[str, Path]:
        """Return the new file's name -> the stored file, for what is wanted of this run."""
        records = [record for record in run.outputs.records if self._wants(record)]
        stems = file_names(record.name for record in records)
        root = run.record.outputs_folder.resolve()
        files = {}
        for record in records:
            for stored in record.files:
                source = (root / stored).resolve()
                if not source.is_relative_to(root):
                    raise CallbackError(
                        f"the record of output `{record.name}` of run {run.id} points out of its folder"
                    )
                ending = source.suffix.lower()
                if self.formats is None or ending.lstrip(".") in self.formats:
                    files[stems[record.name] + ending] = source
        return files

    def _wants(self, record: OutputRecord) -> bool:
        stored = bool(record.file) and not record.error
        return stored and (self.names is None or record.name in self.names)


def collect_outputs(
    folder: str | os.PathLike[str],
    *,
    names: Iterable[str] | None = None,
    formats: Iterable[str] | None = None,
) -> CollectOutputs:
    """Make an `on_exit` callback that copies the run's outputs to `folder/FLOW/RUN/NAME.ending`.

    `folder/FLOW/latest` is a link to the newest of them. A relative folder starts at the project. Only the
    outputs called `names`, only files that end in one of `formats` (`"png"`, `"parquet"`); by default all.
    Also of a failed run: the outputs of the steps that did finish. The run's log says where they went. It
    runs in the process that supervises the run, on that machine, and does not read the values.
    """
    return CollectOutputs(
        os.fspath(folder),
        names_option(names, "collect_outputs", "names"),
        names_option(formats, "collect_outputs", "formats"),
    )


def _point(link: Path, target: str) -> None:
    """Let a symbolic link point to a folder beside it; the link is never missing in between."""
    temporary = link.parent / f".flownb-{secrets.token_hex(8)}.tmp"
    temporary.symlink_to(target, target_is_directory=True)
    try:
        temporary.replace(link)
    except OSError:
        temporary.unlink()
        raise
