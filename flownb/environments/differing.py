"""What is other where a flow runs than at its capture: Python, distributions, the notebook's modules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flownb.capture.requirements import missing_module
from flownb.capture.stale import changed_modules
from flownb.engine.installed import installed
from flownb.errors import EnvironmentRefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flownb.flow import Flow
    from flownb.runs.project import Project


@dataclass(frozen=True)
class Differences:
    """How a kernel compares with what a flow recorded at its capture."""

    flow: Flow
    told: tuple[str, ...] = ()
    missing: Mapping[str, str] | None = None  #: distributions that are not there; None: it cannot be asked

    def __str__(self) -> str:
        return f"not as at its capture: {', '.join(self.told)}" if self.told else ""

    def hint(self, kind: str, message: str) -> str:
        """Return what is to be said behind an error of a flow: which version there was at the capture."""
        return missing_module(self.flow.requirements, kind, message, self.missing or {})

    def refuse(self) -> None:
        """Raise `EnvironmentRefusedError` where anything differs, or is not known."""
        if self.told:
            raise EnvironmentRefusedError(
                f"{self.flow.name} is {self}; it was to run only as it was captured (`strict`): install what "
                "there was, capture it again, or run it without `strict`"
            )
        if self.missing is None:
            raise EnvironmentRefusedError(
                f"{self.flow.name} was to run only as it was captured (`strict`), and the kernel "
                f"{self.flow.kernel} cannot be asked what it has"
            )


def differences(flow: Flow, kernel: str, env: Mapping[str, str]) -> Differences:
    """Compare what a flow recorded with what is there for a run of it."""
    needs = flow.requirements
    edited = tuple(changed_modules(flow))
    if not needs.python and not needs.distributions:
        return Differences(flow, edited, {})
    there = installed(kernel, env, needs.distributions)
    if there is None:
        return Differences(flow, edited)
    told = []
    if needs.python and needs.python != there.python:
        told.append(f"Python {there.python} (was {needs.python})")
    missing = {}
    for name, was in sorted(needs.distributions.items()):
        now = there.distributions.get(name)
        if now is None:
            missing[name] = was
            told.append(f"no {name} (was {was})")
        elif now != was:
            told.append(f"{name} {now} (was {was})")
    return Differences(flow, (*told, *edited), missing)


def is_strict(project: Project) -> bool:
    """Whether a project's flows run only as they were captured: `strict = true` in `flownb.toml`."""
    strict = project.settings().get("strict", False)
    if not isinstance(strict, bool):
        raise EnvironmentRefusedError(
            f"{project.root / 'flownb.toml'}: `strict` is true or false, and not {strict!r}"
        )
    return strict
