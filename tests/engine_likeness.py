"""Whether two papermill engines do the same with a notebook: reading, running, normalising, comparing.

A file of `engine_corpus` is a notebook. Above its first cell may stand what papermill is given, as JSON:

    parameters: {"n": 5}
    options: {"report_mode": true}         more keywords of `papermill.execute_notebook`
    metadata: {"title": "x"}               the notebook's metadata, beside the kernel's

A line `# %%` begins a cell; behind it stand its kind and what belongs to its metadata:

    # %% [markdown]
    # %% tags=raises-exception,other
    # %% metadata={"collapsed": true}

Only what differs between two runs of one engine is normalised: addresses, times, process ids in file
names, ids of widgets and displays, generated ids of cells, the folder of the run. Each rule takes what has
exactly the form of such a thing, so that nothing else can hide behind it.

`python tests/engine_likeness.py [NAME ...] [--engines nbclient flownb]` prints a summary.
"""

from __future__ import annotations

import contextlib
import difflib
import fnmatch
import json
import os
import re
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CORPUS_FOLDER = Path(__file__).parent / "engine_corpus"
STANDARD, OWN = "nbclient", "flownb"

#: seconds. On a busy machine the standard engine sometimes waits for ever in a cell that writes to an Output
#: widget; with a limit it goes on when the limit is over (those notebooks have shorter ones)
LONGEST_CELL = 60


@dataclass(frozen=True)
class Known:
    """A difference between the standard engine and flownb's that is there for a reason."""

    notebook: str  #: the name of the corpus file, or "*"
    where: str  #: place of the difference, as in `Difference.where`; `*` stands for anything
    reason: str


_TRUE_DEATH = "a dead process fails its cell and says how it ended; papermill calls that cell completed"
_TRUE_LIMIT = "a cell stopped at its limit has failed and says so; papermill calls it completed"
_TRUE_EXIT = "leaving with 0 is a success, for papermill too; it marks the cell as failed all the same"
_TRUE_LEAVE = "`exit` and `quit` end the notebook well; papermill finds the kernel dead"
_TRUE_BREAK = (
    "a cell whose output cannot be kept has failed, and ends the notebook; papermill calls it completed"
)
_LANGUAGE = (
    "the language is known before the run; papermill asks for it after the last cell, and never got there"
)

DIFFERENCES: Sequence[Known] = (
    *(
        Known(name, where, _TRUE_DEATH)
        for name in ("a-kernel-that-dies", "a-kernel-that-is-killed")
        for where in (
            "cells.1.metadata.papermill.exception",
            "cells.1.metadata.papermill.status",
            "cells.1.outputs",
            "cells.2.metadata.papermill.status",
            "metadata.papermill.exception",
            "error.message",
        )
    ),
    *(
        Known("a-cell-that-takes-too-long", where, _TRUE_LIMIT)
        for where in (
            "cells.1.metadata.papermill.exception",
            "cells.1.metadata.papermill.status",
            "cells.1.outputs",
            "cells.2.metadata.papermill.status",
            "metadata.papermill.exception",
        )
    ),
    Known(
        "a-cell-that-takes-too-long",
        "cells.1.metadata.execution.iopub.status.idle",
        "a cell that was killed never was idle; an interrupted kernel is, after the limit",
    ),
    *(
        Known(name, "metadata.language_info", _LANGUAGE)
        for name in ("a-kernel-that-dies", "a-kernel-that-is-killed", "a-cell-that-takes-too-long")
    ),
    *(
        Known(f"an-end-by-sys-exit-with-{what}", where, _TRUE_EXIT)
        for what, cell in (("zero", 0), ("nothing", 1))
        for where in (
            f"cells.{cell}.metadata.papermill.exception",
            f"cells.{cell}.metadata.papermill.status",
            "metadata.papermill.exception",
        )
    ),
    *(
        Known(name, where, _TRUE_LEAVE)
        for name, wheres in (
            ("exit-in-the-last-cell", ()),
            (
                "exit-before-the-last-cell",
                (
                    "cells.2.metadata.execution",
                    "cells.2.metadata.papermill.duration",
                    "cells.2.metadata.papermill.end_time",
                    "cells.2.metadata.papermill.exception",
                    "cells.2.metadata.papermill.start_time",
                    "cells.2.metadata.papermill.status",
                ),
            ),
        )
        for where in (*wheres, "metadata.language_info", "error")
    ),
    *(
        Known("the-names-of-a-kernel", where, reason)
        for where, reason in (
            ("cells.7.outputs.0.data.text/plain", "no debugger is loaded, which would set its variable"),
            ("cells.8.outputs.0.data.text/plain", "nor is there a parent process's number to watch"),
            *(  # Python 3.12 begins with some that are
                [("cells.9.outputs.0.data.text/plain", "what came with the fork is frozen for the collector")]
                if sys.version_info[:2] != (3, 12)
                else []
            ),
            (
                "cells.11.outputs.0.data.text/plain",
                "there are no sockets, so there are none of their threads",
            ),
        )
    ),
    Known(
        "how-the-standard-streams-behave",
        "cells.3.outputs.0.data.text/plain",
        "`sys.stdout.fileno()` is 1, so what is written there is shown; a kernel's leads past the notebook",
    ),
    Known(
        "how-the-standard-streams-behave",
        "cells.9.outputs.0.data.text/plain",
        "the same: the file behind that number is that of descriptor 1",
    ),
    *(
        Known(
            "how-the-standard-streams-behave", f"cells.{cell}.outputs.0.traceback.3", "another line of code"
        )
        for cell in (6, 8)
    ),
    *(
        Known("a-display-that-no-notebook-can-hold", where, _TRUE_BREAK)
        for where in (
            "cells.1.metadata.execution.shell.execute_reply",
            "cells.1.metadata.papermill.exception",
            "cells.1.metadata.papermill.status",
            "cells.2.metadata.papermill.status",
            "metadata.papermill.exception",
            "metadata.language_info",
        )
    ),
    Known(
        "a-character-cut-in-two-on-a-descriptor",
        "cells.0.outputs.0.text",
        "bytes are decoded across writes; ipykernel decodes each piece by itself and loses the character",
    ),
    *(
        Known(
            "processes-forked-by-hand",
            f"cells.{cell}.outputs*",
            "Python warns of a fork beside threads; there are none of a kernel's",
        )
        for cell in ((0, 1, 2, 4) if sys.version_info >= (3, 12) else ())
    ),
    *(
        Known("a-deep-recursion", where, "one frame fewer lies below the notebook's own")
        for where in ("cells.3.outputs.0.traceback", "error.message", "error.attributes.traceback")
    ),
)
"""Every difference that stays; `docs/engine.md` tells of each. One that does not occur fails the tests."""


@dataclass(frozen=True)
class Difference:
    """One place in which two runs of a notebook are not alike."""

    where: str  #: such as `cells.3.outputs.0.text`
    standard: Any
    other: Any

    @property
    def kind(self) -> str:
        """What sort of thing differs: a part of a cell or of the notebook's metadata, the error, a file."""
        parts = self.where.split(".")
        if parts[0] != "cells":
            return parts[0] if parts[0] != "metadata" else f"notebook metadata: {''.join(parts[1:2])}"
        names = [part for part in parts[1:] if not part.isdigit()]
        return " ".join(names[:2]) if names else "cells"

    def __str__(self) -> str:
        if (
            isinstance(self.standard, str)
            and isinstance(self.other, str)
            and "\n" in self.standard + self.other
        ):
            lines = difflib.unified_diff(
                self.standard.split("\n"), self.other.split("\n"), "standard", "other", n=0, lineterm=""
            )
            return f"{self.where}:\n    " + "\n    ".join(line[:300] for line in list(lines)[2:40])
        return f"{self.where}: {repr(self.standard)[:300]} | {repr(self.other)[:300]}"


@dataclass
class Sample:
    """A notebook of the corpus, and how papermill is to run it."""

    name: str
    notebook: dict[str, Any]
    parameters: Mapping[str, Any] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Outcome:
    """What one run of a notebook left: the saved notebook, the exception raised, the files beside it."""

    notebook: dict[str, Any]
    error: dict[str, Any] | None
    files: dict[str, str]
    folder: str  #: what is another in each run: where the notebooks and the working directory were


# --- reading -----------------------------------------------------------------------------------------------

_CELL = re.compile(r"^# %%(?: \[(?P<kind>markdown|raw)\])?(?P<options>(?: \S.*)?)$", re.MULTILINE)


def read_sample(path: Path) -> Sample:
    """Read a file of the corpus; raises ValueError for a line it does not understand."""
    return parse_sample(path.stem, path.read_text(encoding="utf-8"))


def parse_sample(name: str, text: str) -> Sample:
    """Read the text of a corpus file."""
    begins = list(_CELL.finditer(text))
    head = text[: begins[0].start()] if begins else text
    known: dict[str, Any] = {}
    for line in filter(None, head.split("\n")):
        word, colon, value = line.partition(": ")
        if not colon or word not in ("parameters", "options", "metadata"):
            raise ValueError(f"{name}: not understood: {line!r}")
        known[word] = json.loads(value)
    ends = [found.start() for found in begins[1:]] + [len(text)]
    cells = [
        _cell(number, found, text[found.end() + 1 : end])
        for number, (found, end) in enumerate(zip(begins, ends, strict=True))
    ]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = {
        "cells": cells,
        "metadata": metadata | known.get("metadata", {}),
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return Sample(name, notebook, known.get("parameters"), known.get("options", {}))


def _cell(number: int, found: re.Match[str], source: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    options = found["options"].strip()
    if options.startswith("tags="):
        metadata["tags"] = options.removeprefix("tags=").split(",")
    elif options.startswith("metadata="):
        metadata = json.loads(options.removeprefix("metadata="))
    elif options:
        raise ValueError(f"not understood: {found[0]!r}")
    kind = found["kind"] or "code"
    source = source.removesuffix("\n")
    cell = {"cell_type": kind, "id": f"cell-{number}", "metadata": metadata, "source": source}
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})


def corpus() -> dict[str, Path]:
    """Return the files of the corpus by name."""
    return {path.stem: path for path in sorted(CORPUS_FOLDER.glob("*.txt"))}


# --- running -----------------------------------------------------------------------------------------------


def execute(sample: Sample, engine: str, folder: Path) -> Outcome:
    """Run a notebook with papermill in this process; what it raises is part of the outcome.

    Args:
        sample: the notebook.
        engine: name of papermill's engine.
        folder: an empty folder; the notebook is there, and the working directory is a folder in it.

    """
    given = folder / "in.ipynb"
    given.write_text(json.dumps(sample.notebook), encoding="utf-8")
    work = folder / "work"
    work.mkdir()
    return execute_path(str(given), engine, work, sample.parameters, sample.options)


def execute_path(
    given: str, engine: str, folder: Path, parameters: Mapping[str, Any] | None, options: Mapping[str, Any]
) -> Outcome:
    """Run whatever papermill can read, in `folder`, where nothing but the notebook's code writes."""
    import papermill

    executed = folder.parent / "out.ipynb"
    error = None
    with _no_test_running():
        try:
            papermill.execute_notebook(
                given,
                str(executed),
                parameters=None if parameters is None else dict(parameters),
                engine_name=engine,
                progress_bar=False,
                cwd=str(folder),
                **{"execution_timeout": LONGEST_CELL, **options},
            )
        except Exception as raised:
            error = described(raised)
    saved = executed.read_text(encoding="utf-8") if executed.exists() else '{"cells": [], "metadata": {}}'
    notebook = json.loads(saved)
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes().decode("utf-8", "backslashreplace")
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix not in (".ipynb", ".pyc")
    }
    return Outcome(notebook, error, files, str(folder.parent))


@contextlib.contextmanager
def _no_test_running() -> Iterator[None]:
    """Hide pytest from the kernels: ipykernel leaves the descriptors 1 and 2 alone where it sees it."""
    hidden = os.environ.pop("PYTEST_CURRENT_TEST", None)
    try:
        yield
    finally:
        if hidden is not None:
            os.environ["PYTEST_CURRENT_TEST"] = hidden


def described(raised: BaseException) -> dict[str, Any]:
    """Return an exception's type, message and attributes."""
    kind = type(raised)
    attributes = {
        name: value if isinstance(value, (str, int, float, list, type(None))) else repr(value)
        for name, value in vars(raised).items()
    }
    return {
        "type": f"{kind.__module__}.{kind.__qualname__}",
        "message": str(raised),
        "attributes": attributes,
    }


# --- normalising -------------------------------------------------------------------------------------------

_AMOUNT = r"\d+(?:\.\d+)?(?:e[+-]?\d+)? ?(?:ns|[uμµ]s|ms|s|min|h)(?: \d+(?:\.\d+)? ?(?:ms|s|min))*"
_TEXT_RULES: Sequence[tuple[re.Pattern[str], str]] = (
    (re.compile(r"\b0x[0-9a-f]{8,16}\b"), "0xADDRESS"),
    (re.compile(r"(?<=<Execution)(Result|Info) object at [0-9a-f]{8,16}\b"), r"\1 object at ADDRESS"),
    (re.compile(r"/ipykernel_\d+/"), "/ipykernel_PID/"),
    (re.compile(r"\bdisplay_id=[0-9a-f]{32}\b"), "display_id=ID"),
    (re.compile(rf"CPU times: user {_AMOUNT}, sys: {_AMOUNT}, total: {_AMOUNT}"), "CPU times: TIMES"),
    (re.compile(rf"Wall time: {_AMOUNT}"), "Wall time: TIME"),
    (re.compile(rf"{_AMOUNT} ± {_AMOUNT} per loop"), "TIME ± TIME per loop"),
    (
        re.compile(r"\[\d\d:\d\d(<|&lt;)(?:\d\d:\d\d|\?),[ \u2007]+(?:\d+\.\d+|\?)(?:it/s|s/it)(?=[],])"),
        r"[TIME\1TIME, RATE",
    ),
)
_GENERATED_CELL = re.compile(r"[0-9a-f]{8}")
_WIDGETS = "application/vnd.jupyter.widget-state+json"
_VIEW = "application/vnd.jupyter.widget-view+json"
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:\+00:00|Z)")


def normal_text(text: str, folder: str = "", ids: Mapping[str, str] | None = None) -> str:
    """Take out of a text what is another in each run."""
    if folder:
        text = text.replace(folder, "FOLDER")
    for pattern, word in _TEXT_RULES:
        text = pattern.sub(word, text)
    for old, new in (ids or {}).items():
        text = text.replace(old, new)
    return text


def normal(value: Any, folder: str = "", ids: Mapping[str, str] | None = None) -> Any:
    """Do as `normal_text` does to every text in a structure as JSON has them, keys of mappings too."""
    if isinstance(value, str):
        return normal_text(value, folder, ids)
    if isinstance(value, list):
        return [normal(item, folder, ids) for item in value]
    if isinstance(value, dict):
        return {normal_text(key, folder, ids): normal(item, folder, ids) for key, item in value.items()}
    return value


def normal_outcome(outcome: Outcome) -> dict[str, Any]:
    """Return what is to be compared of an outcome."""
    notebook = json.loads(json.dumps(outcome.notebook))
    for cell in notebook["cells"]:
        if _GENERATED_CELL.fullmatch(cell.get("id", "")):
            cell["id"] = "GENERATED"
        _untimed(cell["metadata"].get("papermill"))
        _untimed(cell["metadata"].get("execution"))
        cell["source"] = _joined(cell["source"])
        if "outputs" in cell:
            cell["outputs"] = joined_streams(cell["outputs"])
    _untimed(notebook["metadata"].get("papermill"))
    ids = widget_ids(notebook)
    parts = {**notebook, "error": outcome.error, "files": outcome.files}
    return dict(normal(parts, outcome.folder, ids))


def _untimed(block: dict[str, Any] | None) -> None:
    """Replace times in a block of metadata: only what is a time; `None` or a missing one stays as it is."""
    for key, value in (block or {}).items():
        if isinstance(value, str) and _MOMENT.fullmatch(value):
            block[key] = "TIME"  # type: ignore[index]
        elif key == "duration" and isinstance(value, float):
            block[key] = "SECONDS"  # type: ignore[index]


def _joined(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)


def joined_streams(outputs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Join neighbouring pieces of one stream: where a kernel parts them is a matter of time."""
    joined: list[dict[str, Any]] = []
    for given in outputs:
        output = dict(given)
        if output["output_type"] == "stream":
            output["text"] = _joined(output["text"])
            if joined and joined[-1]["output_type"] == "stream" and joined[-1]["name"] == output["name"]:
                joined[-1]["text"] += output["text"]
                continue
        elif "data" in output:
            output["data"] = {
                kind: _joined(data) if _is_lines(data) else data for kind, data in output["data"].items()
            }
        joined.append(output)
    return joined


def _is_lines(data: Any) -> bool:
    return isinstance(data, list) and all(isinstance(line, str) for line in data)


def widget_ids(notebook: Mapping[str, Any]) -> dict[str, str]:
    """Number the ids of widgets: by where they are shown, then by who refers to them, then by what they are.

    The state of the widgets is saved in the order of their random ids, so that this order tells nothing.
    """
    state = notebook["metadata"].get("widgets", {}).get(_WIDGETS, {}).get("state", {})
    numbers: dict[str, str] = {}
    waiting: list[str] = []

    def meet(identity: str) -> None:
        if identity not in numbers:
            numbers[identity] = f"WIDGET-{len(numbers)}"
            waiting.append(identity)

    def follow() -> None:
        while waiting:
            for found in _references(state.get(waiting.pop(0)), state):
                meet(found)

    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            view = output.get("data", {}).get(_VIEW, {})
            if re.fullmatch("[0-9a-f]{32}", view.get("model_id", "")):
                meet(view["model_id"])
    follow()
    masked = re.compile("|".join(map(re.escape, state)) or "$^")
    for identity in sorted(
        state, key=lambda one: normal_text(masked.sub("WIDGET", json.dumps(state[one], sort_keys=True)))
    ):
        meet(identity)
        follow()
    return numbers


def _references(value: Any, state: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(value, str):
        identity = value.removeprefix("IPY_MODEL_")
        if identity in state:
            yield identity
    elif isinstance(value, list):
        for item in value:
            yield from _references(item, state)
    elif isinstance(value, dict):
        for key in sorted(value):
            yield from _references(value[key], state)


# --- comparing ---------------------------------------------------------------------------------------------


def differences(standard: Outcome, other: Outcome) -> list[Difference]:
    """Return every place in which two outcomes are not alike."""
    return list(_compare("", normal_outcome(standard), normal_outcome(other)))


_MISSING = "(missing)"


def _compare(where: str, one: Any, two: Any) -> Iterator[Difference]:
    if isinstance(one, dict) and isinstance(two, dict):
        for key in [*one, *(key for key in two if key not in one)]:
            yield from _compare(f"{where}.{key}".lstrip("."), one.get(key, _MISSING), two.get(key, _MISSING))
    elif isinstance(one, list) and isinstance(two, list):
        if len(one) != len(two):
            yield Difference(where, _outline(one), _outline(two))
        else:
            for number, pair in enumerate(zip(one, two, strict=True)):
                yield from _compare(f"{where}.{number}", *pair)
    elif type(one) is not type(two) or one != two:
        yield Difference(where, one, two)


def _outline(items: list[Any]) -> str:
    return "\n".join(json.dumps(item, ensure_ascii=False)[:1000] for item in items)


def sorted_out(
    name: str, found: Sequence[Difference], known: Sequence[Known] = DIFFERENCES
) -> tuple[list[Difference], list[Known]]:
    """Return the differences nobody knows of, and the known ones of this notebook that did not occur."""
    mine = [entry for entry in known if entry.notebook == name]
    unknown = [one for one in found if not any(fnmatch.fnmatchcase(one.where, entry.where) for entry in mine)]
    gone = [entry for entry in mine if not any(fnmatch.fnmatchcase(one.where, entry.where) for one in found)]
    return unknown, gone


# --- the summary -------------------------------------------------------------------------------------------


def summary(results: Mapping[str, tuple[Outcome, list[Difference]]]) -> str:
    """Return what was compared, and the differences by kind."""
    cells = [cell for outcome, _ in results.values() for cell in outcome.notebook["cells"]]
    outputs = sum(len(joined_streams(cell.get("outputs", []))) for cell in cells)
    kinds = Counter(one.kind for _, found in results.values() for one in found)
    lines = [
        f"{len(results)} notebooks, {len(cells)} cells, {outputs} outputs, {sum(kinds.values())} differences"
    ]
    lines += [f"  {count} {kind}" for kind, count in kinds.most_common()]
    return "\n".join(lines)


def _ended(outcome: Outcome) -> str:
    blocks = [cell["metadata"].get("papermill", {}) for cell in outcome.notebook["cells"]]
    waiting = sum(block.get("status") == "pending" for block in blocks)
    left = f"{waiting} cells not run; " if waiting else ""
    return left + ("nothing raised" if outcome.error is None else f"raised {outcome.error['type']}")


def _run_both(name: str, engines: Sequence[str]) -> tuple[Outcome, list[Difference]]:
    sample = read_sample(corpus()[name])
    outcomes = []
    for engine in engines:
        with tempfile.TemporaryDirectory() as folder:
            outcomes.append(execute(sample, engine, Path(folder)))
    return outcomes[0], differences(*outcomes)


def main(words: Sequence[str]) -> None:
    """Run the corpus, or the named notebooks of it, with two engines, and print how they differ."""
    import argparse

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--engines", nargs=2, default=[STANDARD, OWN])
    chosen = parser.parse_args(words)
    results = {}
    for name in chosen.names or corpus():
        results[name] = _run_both(name, chosen.engines)
        outcome, found = results[name]
        print(name, _ended(outcome), *found, sep="\n  ", flush=True)
    print(summary(results))


if __name__ == "__main__":
    main(sys.argv[1:])
