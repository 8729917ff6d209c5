"""Flows and a storage in memory for the tests of environments."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from flownb.flow import Carried, Flow, Parameter, Step
from flownb.storage import Storage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Self


def flow(name: str, *steps: str | Step, parameters: tuple[Parameter, ...] = (), **more: Any) -> Flow:
    """Make a flow; steps that are only sources are called `s1`, `s2` and so on."""
    made = [
        step if isinstance(step, Step) else Step(f"s{number}", step)
        for number, step in enumerate(steps, start=1)
    ]
    return Flow(name, parameters, tuple(made), **more)


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

    @property
    def flows(self) -> Mapping[str, str]:
        return {name: f"{name}@{flow.version}" for name, flow in self.kept.items()}

    def add_flow(self, flow: Flow, *, replace: bool = False) -> str:
        self.kept[flow.name] = flow
        return self.flows[flow.name]

    def get_flow(self, location: str) -> Flow:
        name = location.partition("@")[0]
        if name not in self.kept:
            raise self._not_found(name)
        return replace(self.kept[name], location=self.flows[name], folder=self.folder)

    def serialize(self) -> dict[str, Any]:
        return {"kind": self.kind}

    @classmethod
    def from_serialized(cls, data: Mapping[str, Any]) -> Self:
        raise NotImplementedError


def memory(folder: Path, *flows: Flow) -> Memory:
    """Make a storage that holds these flows, all of them from `folder`."""
    return Memory(folder, {each.name: each for each in flows})
