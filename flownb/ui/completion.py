"""Completion behind `%flow` and `%%flow`: whatever can be named there, from commands to outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flownb.capture.cell import OPTIONS
from flownb.errors import FlownbError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from flownb.ui.magics import FlowMagics

_WITH_FLOW = ("show", "run", "check", "runs", "forget", "history", "diff", "restore")
_WITH_VERSION = ("show", "run", "check", "diff", "restore")
_WITH_RUN = ("outputs", "logs")
_OPTIONS = ("--environment", "--storage", "--out", "--take")
_VERSIONS_OFFERED = 20


@dataclass(frozen=True)
class Offers:
    """What can be named, each asked for only where it may stand."""

    commands: Callable[[], Iterable[str]]
    flows: Callable[[], Iterable[str]]
    steps: Callable[[str], Iterable[str]]  #: of a flow
    parameters: Callable[[str], Mapping[str, Sequence[str]]]  #: of a flow: name -> its choices, if it has any
    names: Callable[[], Iterable[str]]  #: bound by the cell
    environments: Callable[[], Iterable[str]]
    stores: Callable[[], Iterable[str]]
    runs: Callable[[], Iterable[str]]
    outputs: Callable[[str], Iterable[str]]  #: of a run
    versions: Callable[[str], Iterable[str]] = lambda _: ()  #: of a flow, newest first


def candidates(line: str, offers: Offers) -> list[str]:
    """Return what may stand where the line ends, for a line that begins with `%flow` or `%%flow`.

    Each candidate replaces the last word.
    """
    words = line.split()
    last = "" if line[-1:].isspace() else words.pop()
    magic, given = words[0], words[1:]
    option, mark, _ = last.partition("=")
    if option in _OPTIONS and mark:
        found: Iterable[str] = [f"{option}={value}" for value in _values(option, last, offers)]
    elif given and given[-1] in _OPTIONS:
        found = _values(given[-1], last, offers)
    elif magic.startswith("%%"):
        found = _for_cell(given, last, offers)
    else:
        found = _for_line(given, last, offers)
    return sorted(word for word in found if word.startswith(last) and word != last)


def _values(option: str, last: str, offers: Offers) -> Iterable[str]:
    if option == "--environment":
        return offers.environments()
    if option == "--take":
        return ("ours", "theirs")
    if option == "--storage":
        return offers.stores()
    before = last.partition("=")[2] if last.startswith("--") else last
    taken = before.rpartition(",")[0]
    names = [name for name in offers.names() if name not in taken.split(",")]
    return [f"{taken},{name}" if taken else name for name in names]


def _for_cell(given: list[str], last: str, offers: Offers) -> Iterable[str]:
    if not given and not last.startswith("-"):
        flow, dot, _ = last.partition(".")
        return [f"{flow}.{step}" for step in offers.steps(flow)] if dot else offers.flows()
    return [option for option in OPTIONS if option not in given]


def _for_line(given: list[str], last: str, offers: Offers) -> Iterable[str]:
    if not given:
        return offers.commands()
    command, rest = given[0], given[1:]
    if command in _WITH_VERSION and "@" in last and len(rest) < (2 if command == "diff" else 1):
        flow = last.partition("@")[0] or (rest[0].partition("@")[0] if rest else "")
        start = last.partition("@")[0]
        return [f"{start}@{version}" for version in offers.versions(flow)]
    if command in _WITH_FLOW and (not rest or (command == "diff" and len(rest) == 1)):
        return offers.flows()
    if command == "storage" and not rest:
        return ["git", "notebook", *offers.stores()]
    if command == "pull":
        return ["--take"]
    if command in ("run", "check"):
        parameters = offers.parameters(rest[0])
        name, mark, _ = last.partition("=")
        if mark:
            return [f"{name}={choice}" for choice in parameters.get(name, ())]
        options = ["--environment", "--trust", *_run_flags()] if command == "run" else ["--trust"]
        return [*(f"{parameter}=" for parameter in parameters), *options]
    if command in _WITH_RUN and not rest:
        return offers.runs()
    if command == "outputs" and len(rest) == 1:
        return offers.outputs(rest[0])
    return ()


def _run_flags() -> list[str]:
    from flownb.environments import LocalEnvironment
    from flownb.environments.options import options_of

    return [option.flag for option in options_of(LocalEnvironment)]


def bound_names(cell: str) -> list[str]:
    """Return the names that the cell below a `%%flow` line binds, as far as it is Python already."""
    from flownb.names import find_names

    try:
        return sorted(find_names(cell.partition("\n")[2]).binds)
    except (SyntaxError, ValueError):
        return []


def complete(magics: FlowMagics, line: str, cell: str) -> Mapping[str, Any]:
    """Return the completions of a line, up to the cursor, as IPython's matcher interface wants them."""
    from IPython.core.completer import SimpleCompletion

    try:
        found = candidates(line, offers_of(magics, cell))
    except FlownbError:
        found = []  # what cannot be read is told when it is used, not while somebody types
    return {
        "completions": [SimpleCompletion(text=word, type="magic") for word in found],
        "matched_fragment": "" if line[-1].isspace() else line.rsplit(maxsplit=1)[-1],
        "suppress": bool(found),
    }


def offers_of(magics: FlowMagics, cell: str) -> Offers:
    """Return what can be named in a live notebook; `cell` is the one in which somebody types."""
    from flownb.ui.store import LiveStorage

    live = magics.live
    storage = LiveStorage(live)

    def parameters(flow: str) -> dict[str, list[str]]:
        from flownb.parameters import describe, typed

        if "#" in flow:  # a store elsewhere may take long to be asked
            return {}
        found = magics.flow(flow)
        return {info.name: [typed(choice) for choice in info.choices or ()] for info in describe(found)}

    def environments() -> Iterable[str]:
        from flownb.environments.config import environment_names

        return environment_names(magics.project)

    def runs() -> Iterable[str]:
        from flownb.runs import Runs

        return ["last", *(run.id for run in Runs.load(project=magics.project, limit=20))]

    def outputs(run: str) -> Iterable[str]:
        from flownb.runs import Run

        return list(Run.load(run, magics.project).outputs)

    def flows() -> Iterable[str]:
        kept = live.keeping.storage
        return {**storage.flows, **(kept.flows if kept is not None else {})}

    def versions(flow: str) -> Iterable[str]:
        from flownb.displays.versions import short_version

        kept = live.keeping.storage
        found = kept.history(flow)[:_VERSIONS_OFFERED] if kept is not None and flow in kept else ()
        return [short_version(version.id) for version in found if not version.removed]

    return Offers(
        commands=lambda: magics.commands,
        flows=flows,
        steps=lambda flow: [step.name for step in storage.get_flow(flow).steps],
        parameters=parameters,
        names=lambda: bound_names(cell),
        environments=environments,
        stores=lambda: [path.name for path in sorted(live.folder.glob("*.ipynb"))],
        runs=runs,
        outputs=outputs,
        versions=versions,
    )
