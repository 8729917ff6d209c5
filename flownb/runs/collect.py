"""Collecting a step's outputs: the code that runs silently in the kernel after the step's cell.

It stores the values next to each other and leaves their records in a file, not in a message: however long
the previews are, and whatever the values print while they are stored, nothing gets between.
"""

from __future__ import annotations

import functools
import importlib.resources
import json
import os
from typing import TYPE_CHECKING

from flownb.errors import RecordError
from flownb.runs.record import OutputRecord
from flownb.runs.values import VERSION, file_stem

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

#: modules of `flownb.runs.values`, each after those that it imports
_MODULES = ("fitting", "files", "data", "describing", "pickles", "pictures", "tables", "storing")

# Runs with a namespace of its own; `given` and `namespace` are put there by `snippet`.
_CODE = """
import contextlib, io, json, sys, types, warnings
given = json.loads(given)
try:
    from flownb.runs import values
    if values.VERSION != given["version"]:
        raise ImportError
except ImportError:
    values = sys.modules.get("_flownb_values")
    if values is None:
        values = sys.modules["_flownb_values"] = types.ModuleType("_flownb_values")
        values.__path__ = []
        for name, source in given["sources"]:
            module = types.ModuleType("_flownb_values." + name)
            module.__package__ = "_flownb_values"
            sys.modules[module.__name__] = module
            exec(compile(source, "<flownb.runs.values." + name + ">", "exec"), module.__dict__)
        values.collect = module.collect
found = {name: namespace[name] for name in given["names"] if name in namespace}
if given["count"] is not None:
    shell = namespace["get_ipython"]() if "get_ipython" in namespace else None
    history = shell.history_manager.output_hist if shell is not None else {}
    if given["count"] in history:
        found["result"] = history[given["count"]]
quiet = io.StringIO()
with warnings.catch_warnings(), contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
    warnings.simplefilter("ignore")
    values.collect(found, given["folder"], given["file"], given["step"])
"""


def snippet(names: Sequence[str], result_count: int | None, folder: Path, *, step: str = "") -> str:
    """Return Python code that stores the values of `names` in `folder`, to be run silently in a kernel.

    It prints nothing, binds nothing that stays, and leaves the records for `collected`. A name that is not
    bound gets no record; a value that cannot be stored gets one that says why. `result_count` is the
    execution count of the cell whose last expression is the output `result`; None where there is none.
    The kernel needs no flownb: without it the code brings along what it needs.
    """
    given = {
        "version": VERSION,
        "names": list(names),
        "count": result_count,
        "folder": os.path.abspath(folder),
        "file": _file(step),
        "step": step,
        "sources": _sources(),
    }
    inner = f"{{'namespace': __flownb__.globals(), 'given': {json.dumps(given)!r}}}"
    # one line each: what transforms cells before they run finds nothing to transform; builtins are taken
    # from their module, since the flow may have names such as `exec` of its own
    return (
        "import builtins as __flownb__\n"
        f"try: __flownb__.exec(__flownb__.compile({_CODE!r}, '<flownb.runs.collect>', 'exec'), {inner})\n"
        "finally: del __flownb__\n"
    )


def collected(folder: Path, step: str = "") -> list[OutputRecord]:
    """Return the records that the code of `snippet` left in `folder` for this step, and take them away.

    None are there where the code did not come to its end. Raises `RecordError` where they cannot be read.
    """
    path = folder / _file(step)
    try:
        records = json.loads(path.read_bytes())
        path.unlink()
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise RecordError(f"the records of the outputs of step `{step}` cannot be read: {error}") from error
    return [OutputRecord.from_json(record) for record in records]


def _file(step: str) -> str:
    return f".{file_stem(step)}.records.json"


@functools.cache
def _sources() -> list[tuple[str, str]]:
    folder = importlib.resources.files("flownb.runs.values")
    return [(name, (folder / f"{name}.py").read_text(encoding="utf-8")) for name in _MODULES]
