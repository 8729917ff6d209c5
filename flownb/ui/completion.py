"""Completion behind `%flow` and `%%flow`: commands, options, flows, parameters, names that a cell binds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flownb.capture.cell import OPTIONS
from flownb.errors import FlownbError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from flownb.ui.magics import FlowMagics

_WITH_FLOW = ("show", "run", "runs", "forget")


def candidates(
    line: str,
    *,
    commands: Iterable[str],
    flows: Iterable[str],
    parameters: Callable[[str], Iterable[str]],
    names: Iterable[str],
    environments: Iterable[str] = (),
) -> list[str]:
    """Return what may stand where the line ends, for a line that begins with `%flow` or `%%flow`.

    Each candidate replaces the last word. Pure.
    """
    words = line.split()
    last = "" if line[-1:].isspace() else words.pop()
    magic, given = words[0], words[1:]
    if given[-1:] == ["--environment"]:
        found: Iterable[str] = environments
    elif magic.startswith("%%"):
        found = _for_cell(given, last, flows, names)
    elif not given:
        found = commands
    elif given[0] in _WITH_FLOW and len(given) == 1:
        found = flows
    elif given[0] == "run":
        found = [*(f"{name}=" for name in parameters(given[1])), "--environment"]
    else:
        found = ()
    return sorted(word for word in found if word.startswith(last) and word != last)


def _for_cell(given: list[str], last: str, flows: Iterable[str], names: Iterable[str]) -> Iterable[str]:
    if given[-1:] == ["--out"]:
        before = last.rpartition(",")[0]
        taken = before.split(",")
        return [f"{before},{name}".lstrip(",") for name in names if name not in taken]
    if last.startswith("-"):
        return [option for option in OPTIONS if option not in given]
    return [*flows] if not given else [option for option in OPTIONS if option not in given]


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

    found = _ask(magics, line, cell)
    return {
        "completions": [SimpleCompletion(text=word, type="magic") for word in found],
        "matched_fragment": "" if line[-1].isspace() else line.rsplit(maxsplit=1)[-1],
        "suppress": bool(found),
    }


def _ask(magics: FlowMagics, text: str, cell: str) -> list[str]:
    from flownb.ui.store import LiveStorage

    live = magics.live
    storage = LiveStorage(live)

    def flows() -> list[str]:
        try:
            return list(storage.flows)
        except FlownbError:
            return live.names  # what cannot be read is told when it is used, not while typing

    def parameters(name: str) -> list[str]:
        try:
            return [parameter.name for parameter in storage.get_flow(name).parameters]
        except FlownbError:
            return []

    def environments() -> list[str]:
        from flownb.runs.project import Project

        try:
            return list(Project.of(live.folder).settings().get("environments", {}))
        except FlownbError:
            return []

    return candidates(
        text,
        commands=magics.commands,
        flows=flows(),
        parameters=parameters,
        names=bound_names(cell) if text.startswith("%%") else (),
        environments=environments() if "--environment" in text else (),
    )
