"""What every storage promises (PIN-7). A kind of storage is one subclass in a module of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from flownb.errors import FlownbError, FlowNotFound, StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    from flownb.flow import Flow
    from flownb.storage.versions import Version


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs one stored flow here and now."""

    flow: Flow
    storage: Storage | None = None  #: where it was read from

    def run(self, **parameters: Any) -> dict[str, Any]:
        """Run it in this process and return its outputs; see `Flow.run`. Raises `NotTrusted`."""
        from flownb.storage import trust

        if self.storage is not None:
            trust.require(self.storage, self.flow.location)
        return self.flow.run(**parameters)


@dataclass(frozen=True, slots=True)
class EnvRunner:
    """All that another machine needs to run a stored flow: a command, and variables that say the rest."""

    command: tuple[str, ...]
    variables: Mapping[str, str]


class Storage(ABC):
    """Keeps flows, each under its name and in one or more versions.

    A location is `NAME@VERSION`, one-to-one with a flow and a version of it. Where a location is taken,
    `NAME` alone stands for the newest version; a version is honoured or refused, never replaced.
    """

    #: the word for this kind in `serialize()`
    kind: ClassVar[str]

    @property
    @abstractmethod
    def name(self) -> str:
        """What people call it: the STORE of a flow reference."""

    @property
    @abstractmethod
    def flows(self) -> Mapping[str, str]:
        """Name of each flow -> location of its newest version. Runs and unpickles nothing."""

    @property
    def held(self) -> str:
        """What it holds, in words for messages that begin with its name."""
        flows = list(self.flows)
        return f"holds {', '.join(flows[:10])}" if flows else "holds no flows"

    @property
    def problems(self) -> Sequence[str]:
        """What is there and cannot be told as a flow, in words: a cell with a name that is refused, say."""
        return ()

    @abstractmethod
    def add_flow(self, flow: Flow, *, replace: bool = False) -> str:
        """Keep a flow and return its location.

        Raises `FlowExists` for a name that is there, unless `replace`, which adds a new version; where
        the newest has the same content, there is no new one, and its location is returned.
        """

    @abstractmethod
    def get_flow(self, location: str) -> Flow:
        """Return the flow at `NAME[@VERSION]`, knowing its storage and location. Raises `FlowNotFound`."""

    @abstractmethod
    def serialize(self) -> dict[str, Any]:
        """Return what makes this storage again, as JSON without secret values."""

    @classmethod
    @abstractmethod
    def from_serialized(cls, data: Mapping[str, Any]) -> Self:
        """Make the storage of this kind again; called by `Storage.deserialize`."""

    def notes(self, flow: Flow) -> list[str]:
        """Return what a person should know of one of its flows before it runs, a line each: what is stale."""
        from flownb.capture.stale import changed_modules

        told = [f"{text} since {flow.name} was captured" for text in changed_modules(flow)]
        return [f"{line}; a run uses what is there now" for line in told]

    def marks(self, flow: Flow) -> Mapping[str, Any]:  # noqa: ARG002  # for those that keep some
        """Return the marks that were kept of what the flow's steps read and gave (`flownb.capture.marks`)."""
        return {}

    def get_env_runner(self, location: str) -> EnvRunner:
        """Return a command and environment variables that run the flow on another machine (PIN-7).

        Called by environments that start containers and remote jobs, after `trust.require`: the command
        trusts the pinned version there, as whoever launches it has decided here. Raises `StorageError` for a
        storage that another machine cannot reach; kinds that can be reached override it.
        """
        raise StorageError(
            f"{self.name} lies on this machine only, so {location} cannot be run from another one; "
            "keep the flow in a storage that both reach"
        )

    def get_runner(self, location: str) -> Runner:
        """Return a runner for the flow at `NAME[@VERSION]`. Raises `FlowNotFound`."""
        return Runner(self.get_flow(location), self)

    @property
    def identity(self) -> str:
        """Which store this is, as one text: people trust a store by it."""
        return f"{self.kind}:{self.name}"

    @property
    def origin(self) -> str | None:
        """The URL that the flows came from, where they came from elsewhere; None for the user's own."""
        return None

    def origin_of(self, location: str) -> str | None:
        """Return where a version came from, where it came from elsewhere; by default what `origin` says."""
        del location
        return self.origin

    def resolve(self, location: str) -> str:
        """Return the pinned location, `NAME@VERSION`, that `get_flow` reads. Raises `FlowNotFound`."""
        return self.get_flow(location).location or location

    def history(self, name: str) -> Sequence[Version]:
        """Return the versions of a flow, newest first. Raises `FlowNotFound`.

        A storage that keeps only the newest version returns that one.
        """
        from flownb.storage.versions import Version

        flow = self.get_flow(name)
        return [Version(flow.version, flow.location or name, None, digest=flow.digest)]

    def restore(self, location: str) -> str:
        """Make an old version the newest again and return its new location. Raises `FlowNotFound`."""
        return self.add_flow(self.get_flow(location), replace=True)

    def remove(self, name: str) -> None:
        """Remove a flow, so that `flows` no longer has it; kinds that keep versions keep its old ones."""
        raise StorageError(f"{self.name} cannot remove {name}: a storage of the kind {self.kind} does not")

    def tag(self, location: str, tag: str) -> None:
        """Give a version a name of its own, `tag`, which is then taken behind the @."""
        raise StorageError(
            f"{location} of {self.name} cannot be tagged {tag!a}: "
            f"a storage of the kind {self.kind} has no tags"
        )

    def build(self) -> Self:
        """Make durable and check: load every flow back and compare digests; return the storage.

        Raises one `StorageError` that tells every problem.
        """
        problems = []
        for name, location in self.flows.items():
            try:
                flow = self.get_flow(location)
            except FlownbError as error:
                problems.append(f"{name}: {error}")
                continue
            if flow.location != location:
                problems.append(f"{name}: what lies at {location} says that it is {flow.location}")
        if problems:
            raise StorageError(f"{self.name} cannot be built:\n  " + "\n  ".join(problems))
        return self

    def __contains__(self, item: object) -> bool:
        from flownb.flow import Flow

        if isinstance(item, str):
            return item in self.flows
        if isinstance(item, Flow):
            location = self.flows.get(item.name)
            return location is not None and self.get_flow(location).digest == item.digest
        return False

    @staticmethod
    def deserialize(data: Mapping[str, Any]) -> Storage:
        """Make a storage again from what `serialize` gave. Raises `StorageError`."""
        from flownb.storage.opening import kinds

        kind = data.get("kind", "")
        if kind not in kinds():
            raise StorageError(
                f"there is no storage of the kind {kind!a}; there are {', '.join(sorted(kinds()))}"
            )
        return kinds()[kind].from_serialized(data)

    def _not_found(self, name: str, version: str | None = None) -> FlowNotFound:
        import difflib

        flows = list(self.flows)
        if version is not None and name in flows:
            return FlowNotFound(
                f"{self.name} does not hold {name} in version {version}; it holds {self.flows[name]}"
            )
        near = difflib.get_close_matches(name, flows, 1)
        hint = f"did you mean {near[0]}?" if near else f"it {self.held}"
        return FlowNotFound(f"{self.name} holds no flow {name}; {hint}")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"
