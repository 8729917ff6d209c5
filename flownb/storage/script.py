"""A flow as one text that reads and diffs well, for people who compare versions line by line. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from flownb.document import declaration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flownb.flow import Carried, Flow, Parameter

_HIDDEN = "***"


def as_script(flow: Flow) -> str:
    """Return the flow as a script of cells: what it replays, its parameters, its steps.

    It is to be read, not run: what is pickled is told by its digest, and a secret's default is hidden.
    """
    return "\n\n".join("\n".join(paragraph) for paragraph in _paragraphs(flow)) + "\n"


def secrets_of(flow: Flow) -> set[str]:
    """Return the names of the parameters whose defaults are nobody's to see."""
    from flownb.parameters import describe

    return {info.name for info in describe(flow) if info.secret} if flow.parameters else set()


def _paragraphs(flow: Flow) -> Iterator[list[str]]:
    yield [f"# {line}".rstrip() for line in [flow.name, *flow.description.splitlines()]]
    shared = [entry for entry in flow.closure if not entry.step]
    if shared:
        yield ["# %% carried", *(_carried(entry) for entry in shared)]
    if flow.parameters:
        secrets = secrets_of(flow)
        yield [
            "# %% parameters",
            *(_declaration(parameter, hidden=parameter.name in secrets) for parameter in flow.parameters),
        ]
    for step in flow.steps:
        outputs = f" --out {','.join(step.outputs)}" if step.outputs else ""
        own = [_carried(entry) for entry in flow.closure if entry.step == step.name]
        yield [f"# %% step {step.name}{outputs}", *own, step.source.rstrip("\n")]
    requirements = flow.requirements
    yield [
        "# %% captured with",
        f"# Python {requirements.python}",
        *(f"# {name} {version}".rstrip() for name, version in sorted(requirements.distributions.items())),
        *(f"# {name}.py {digest[:12]}" for name, digest in sorted(requirements.modules.items())),
    ]


def _carried(entry: Carried) -> str:
    if entry.how not in ("pickle", "frozen"):
        return entry.source.rstrip("\n")
    digest = hashlib.sha256(entry.content.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    how = "frozen" if entry.how == "frozen" else "pickled"
    return f"# {', '.join(entry.bound)}: {how}, {entry.type}, {digest}"


def _declaration(parameter: Parameter, *, hidden: bool) -> str:
    shown = replace(parameter, default=_HIDDEN) if hidden and not parameter.required else parameter
    return declaration(shown)
