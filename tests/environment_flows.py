"""Flows and a storage in memory for the tests of environments."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from flownb.flow import Carried, Flow, Parameter, Step
from flownb.storage import Storage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def flow(name: str, *steps: str | Step, parameters: tuple[Parameter, ...] = (), **more: Any) -> Flow:
    """Make a flow; steps that are only sources are called `s1`, `s2` and so on."""
    made = [
        step if isinstance(step, Step) else Step(f"s{number}", step)
        for number, step in enumerate(steps, start=1)
    ]
    return Flow(name, parameters=parameters, steps=tuple(made), **more)


SECRET = Carried("Secret", "import", "from flownb import Secret")


@dataclass
class Memory(Storage):
    """Keeps flows in this process."""

    kind: ClassVar[str] = "memory"

    folder: Path
    kept: dict[str, Flow] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return "memory"

    def _newest(self) -> Mapping[str, str]:
        return {name: flow.version for name, flow in self.kept.items()}

    def _write(self, flow: Flow, *, replace: bool) -> str:
        self.kept[flow.name] = flow
        return flow.version

    def _read(self, name: str, version: str) -> Flow:
        return replace(self.kept[name], folder=self.folder)

    def _options(self) -> Mapping[str, Any]:
        return {}


def memory(folder: Path, *flows: Flow) -> Memory:
    """Make a storage that holds these flows, all of them from `folder`."""
    return Memory(folder, {each.name: each for each in flows})
