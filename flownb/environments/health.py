"""Whether runs work here, and how: which engine, what it preloads, where records lie, a run for trial."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from flownb.document.files import Json
    from flownb.engine.fork.interpreter import Launch

Level = Literal["good", "note", "bad"]

_MARKS: Mapping[Level, str] = {"good": "✓", "note": "!", "bad": "✗"}
_PACKAGES = ("ipykernel", "ipython", "papermill", "nbclient", "nbformat", "ipywidgets")
_LIMIT = 60.0  #: seconds for a template's start, and for the trial
_KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: good, worth a note, or bad, and more about it in lines."""

    what: str
    level: Level
    text: str
    lines: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)  #: the same for machines


@dataclass(frozen=True)
class Health:
    """All that was found, in the order in which it reads."""

    findings: tuple[Finding, ...]

    @property
    def good(self) -> bool:
        """Whether runs work here; how fast is another matter."""
        return all(each.level != "bad" for each in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"good": self.good, "findings": [asdict(each) for each in self.findings]}

    def to_text(self) -> str:
        """Return it for people to read."""
        width = max(len(each.what) for each in self.findings)
        lines = []
        for each in self.findings:
            lines.append(f"{_MARKS[each.level]} {each.what:<{width}}  {each.text}")
            lines += [f"{'':{width + 4}}{line}" for line in each.lines]
        return "\n".join(lines)


def examine(notebook: Json | None = None, folder: Path | None = None) -> Health:
    """Look at how a notebook, or any, would run in `folder`, and run one trivial cell.

    Nothing of the notebook runs; what it imports is imported, in a process of its own. Nothing is recorded.
    """
    folder = folder or Path.cwd()
    return Health(
        (
            _versions(),
            *_engine(notebook, folder),
            _trial(notebook, folder),
            *_records(folder),
            _git(),
        )
    )


def _versions() -> Finding:
    from flownb._version import __version__

    found = {"flownb": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "missing"
    found["system"] = f"{platform.system()} {platform.release()}"
    text = f"flownb {found['flownb']}, Python {found['python']} ({sys.executable})"
    rest = ", ".join(f"{name} {found[name]}" for name in _PACKAGES)
    level: Level = "bad" if "missing" in found.values() else "good"
    return Finding("versions", level, text, (rest, found["system"]), found)


def _engine(notebook: Json | None, folder: Path) -> Iterator[Finding]:
    from flownb.engine.fork.interpreter import Refusal
    from flownb.engine.fork.run import launch_for
    from flownb.errors import EnvironmentRefusedError

    kernel = _kernel(notebook)
    try:
        launch = launch_for(kernel, {})
    except EnvironmentRefusedError as error:
        yield Finding("engine", "bad", str(error), data={"kernel": kernel})
        return
    if isinstance(launch, Refusal):
        text = f"nbclient (papermill's standard engine), for kernel {kernel}: {launch.reason}"
        yield Finding("engine", "note", text, data={"engine": "nbclient", "reason": launch.reason})
        return
    yield from _template(kernel, launch, notebook, folder)


def _template(kernel: str, launch: Launch, notebook: Json | None, folder: Path) -> Iterator[Finding]:
    from flownb.engine.fork.run import costly
    from flownb.engine.fork.template import TemplateFailed
    from flownb.engine.fork.templates import templates
    from flownb.engine.fork.wanted import COMPANIONS, judged, names_in

    about: dict[str, Any] = {"engine": "flownb", "kernel": kernel, "python": launch.python[0]}
    start = time.perf_counter()
    try:
        template = templates().template(launch, limit=_LIMIT)
    except TemplateFailed as error:
        text = f"nbclient (papermill's standard engine), as no template process could be started for {kernel}"
        data = {**about, "engine": "nbclient", "reason": str(error)}
        yield Finding("engine", "note", text, tuple(str(error).splitlines()), data)
        return
    seconds = time.perf_counter() - start
    why = f"kernel {kernel} is Python's, {launch.python[0]}, and this is Linux"
    yield Finding("engine", "good", "flownb: a process is forked for each run", (why,), about)
    ready = f"ready in {_ms(seconds)}, once for each process that runs flows"
    yield Finding("template", "good", ready, data={"seconds": seconds, **template.about})
    if notebook is None:
        return
    modules, left = judged(notebook, folder, launch.python[0])
    modules = costly(modules)
    if not modules and not left:
        text = "nothing: the notebook's cells import no installed package"
        yield Finding("preloaded", "good", text, data={"loaded": [], "refused": {}})
        return
    start = time.perf_counter()
    try:
        names = names_in(folder) if modules else frozenset()
        branch = templates().template(launch, modules, names=names, limit=_LIMIT).about
    except TemplateFailed as error:
        yield Finding("preloaded", "note", "nothing", (str(error),))
        return
    companions = set(chain.from_iterable(COMPANIONS.values()))
    own = [module for module in modules if module not in companions]
    yield _preloaded(branch, own, left, time.perf_counter() - start)


def _preloaded(
    about: Mapping[str, Any], own: Sequence[str], left: Mapping[str, str], seconds: float
) -> Finding:
    """Tell what was preloaded: what the notebook imports itself, and of what comes with that how much."""
    known = {module: place for place, module in enumerate(own)}
    loaded = sorted(about.get("loaded", ()), key=lambda module: (known.get(module, len(known)), module))
    refused = dict(sorted({**left, **about.get("refused", {})}.items()))
    named = [module for module in loaded if module in known]
    others = len(loaded) - len(named)
    more = f" and {others} that {'they load' if len(named) != 1 else 'it loads'}" if named and others else ""
    text = f"{', '.join(named or loaded)}{more} ({_ms(seconds)})" if loaded else "nothing"
    lines = tuple(f"left to the notebook: {module}: {why}" for module, why in refused.items())
    data = {"loaded": loaded, "refused": refused, "seconds": seconds}
    return Finding("preloaded", "note" if refused else "good", text, lines, data)


def _trial(notebook: Json | None, folder: Path) -> Finding:
    """Run one trivial cell, twice: the second tells what a run costs."""
    from flownb.document import import_nbformat

    import_nbformat()
    import nbformat.v4 as v4

    from flownb.engine import Limits, execute
    from flownb.errors import FlownbError

    metadata = {"kernelspec": {**_KERNEL, "name": _kernel(notebook)}}
    nb = v4.new_notebook(cells=[v4.new_code_cell("1 + 1")], metadata=metadata)
    seconds = []
    try:
        for _ in range(2):
            start = time.perf_counter()
            ending = execute(nb, cwd=folder, limits=Limits(timeout=_LIMIT))
            seconds.append(time.perf_counter() - start)
            if ending.how != "success":
                data = {"how": ending.how, "reason": ending.reason}
                return Finding("trial run", "bad", ending.reason or ending.how, (ending.log,), data)
    except FlownbError as error:
        return Finding("trial run", "bad", str(error))
    text = f"one cell in {_ms(seconds[1])}, by {ending.engine}"
    return Finding(
        "trial run", "note" if ending.notes else "good", text, ending.notes, {"seconds": seconds[1]}
    )


def _records(folder: Path) -> Iterator[Finding]:
    from flownb.errors import FlownbError
    from flownb.runs.project import Project

    project = Project.of(folder)
    about = {"root": str(project.root)}
    try:
        project.settings()
    except FlownbError as error:
        yield Finding("project", "bad", str(error), data=about)
    else:
        yield Finding("project", "good", str(project.root), data=about)
    existing = next(path for path in (project.records, *project.records.parents) if path.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        yield Finding("records", "bad", f"{existing} is not writable, so no run can be recorded there")
    elif not project.database.exists():
        yield Finding("records", "good", "none yet", data={"runs": 0})
    else:
        yield _database(project.database)


def _database(path: Path) -> Finding:
    """Look into the record store; it is only read, and not brought up to date."""
    import contextlib
    import sqlite3

    from flownb.errors import RecordError
    from flownb.runs.schema import MIGRATIONS, check_version

    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5)) as base:
            schema = check_version(base, path)
            (fault,) = base.execute("PRAGMA quick_check(1)").fetchone()
            count = base.execute("SELECT count(*) FROM runs").fetchone()[0] if schema else 0
    except RecordError as error:
        return Finding("records", "bad", str(error))
    except sqlite3.Error as error:
        return Finding("records", "bad", f"{path} cannot be read: {error}")
    if fault != "ok":
        return Finding("records", "bad", f"{path} is damaged: {fault}")
    text = f"{count} run{'' if count == 1 else 's'} in {path}, schema {schema} of {len(MIGRATIONS)}"
    return Finding("records", "good", text, data={"runs": count, "schema": schema})


def _git() -> Finding:
    git = shutil.which("git")
    if git is None:
        return Finding("git", "note", "not installed: flows cannot be kept in Git repositories", data={})
    done = subprocess.run(  # noqa: S603  # the user's own git
        [git, "--version"], capture_output=True, text=True, timeout=20, check=False
    )
    return Finding("git", "good", done.stdout.strip(), data={"version": done.stdout.strip()})


def _kernel(notebook: Json | None) -> str:
    metadata = {} if notebook is None else notebook.get("metadata", {})
    return str(metadata.get("kernelspec", {}).get("name") or "python3")


def _ms(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
