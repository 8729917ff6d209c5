"""What every storage promises (PIN-7). A kind of storage is one subclass in a module of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from dataclasses import replace as changed
from typing import TYPE_CHECKING, Any, ClassVar

from flownb.errors import FlownbError, FlowNotFoundError, StorageError, concerning
from flownb.flow import Flow, check_name
from flownb.storage.reference import location as location_of
from flownb.storage.reference import split_location
from flownb.storage.versions import Version, pick

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import Self

    from flownb.storage.compare import FlowDiff
    from flownb.storage.variables import EnvRunner

SCHEMA = 1
"""Version of what `serialize` writes. A newer one is refused, older ones (and those without one) are read."""


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs one stored flow here and now."""

    flow: Flow
    storage: Storage | None = None  #: where it was read from

    def run(self, **parameters: Any) -> dict[str, Any]:
        """Run it in this process and return its outputs; see `Flow.run`. Raises `NotTrustedError`."""
        from flownb.storage import trust

        if self.storage is not None:
            trust.require(self.storage, self.flow.location)
        return self.flow.run(**parameters)


class Storage(ABC):
    """Keeps flows, each under its name and in one or more versions.

    A location is `NAME@VERSION`, one-to-one with a flow and a version of it. Where a location is taken,
    `NAME` alone stands for the newest version; a version is honoured or refused, never replaced.

    Names are checked and locations taken apart here, once for all kinds. A kind writes a `kind`, `name`,
    `_newest`, `_write`, `_read` and `_options`; one that keeps old versions `_versions` as well, and
    `_remove` or `_tag` where it can do that.
    """

    #: the word for this kind in `serialize()`
    kind: ClassVar[str]

    #: the secrets that it was opened with before it was serialised, and that are not here any more
    missing: Sequence[str] = ()

    @property
    def place(self) -> str:
        """Where it is: an absolute path or a URL, without secrets. Runs of its flows are known by it."""
        return self.name

    # --- what a kind of storage writes

    @property
    @abstractmethod
    def name(self) -> str:
        """What people call it: the STORE of a flow reference."""

    @abstractmethod
    def _newest(self) -> Mapping[str, str]:
        """Return the name of each flow -> its newest version, the text behind the @. Runs nothing.

        The version is empty where it cannot be told, as the flow cannot be read.
        """

    @abstractmethod
    def _write(self, flow: Flow, *, replace: bool) -> str:
        """Keep a flow and return its version.

        Raises `FlowExistsError` for a name that is there, unless `replace`; where the newest has the same
        content, there is no new version, and that one is returned.
        """

    @abstractmethod
    def _read(self, name: str, version: str) -> Flow:
        """Return the flow in this very version, which is one of those that the storage tells of."""

    @abstractmethod
    def _options(self) -> Mapping[str, Any]:
        """Return what makes this storage again: its constructor's arguments, as JSON without secrets."""

    def _versions(self, name: str) -> Sequence[Version]:
        """Return the versions of a flow, newest first; none where there is no such flow.

        By default the newest alone is kept.
        """
        version = self._newest().get(name)
        return [] if version is None else [Version(version, location_of(name, version or None), None)]

    def _pin(self, name: str, version: str | None) -> str:
        """Return the version that is asked for, as a location has it. Raises `FlowNotFoundError`."""
        there = self._versions(name)
        if not there:
            raise self._not_found(name)
        return pick(there, name, version, self.name).id

    def _has(self, name: str) -> bool:
        """Whether a flow of that name is there; asked by `in`."""
        there = self._versions(name)
        return bool(there) and not there[0].removed

    def _remove(self, name: str) -> None:
        """Remove a flow that is there."""
        raise StorageError(f"{self.name} cannot remove {name}: a storage of the kind {self.kind} does not")

    def _tag(self, name: str, version: str, tag: str) -> None:
        """Give a version that is there a name of its own."""
        raise StorageError(
            f"{location_of(name, version)} of {self.name} cannot be tagged {tag!a}: "
            f"a storage of the kind {self.kind} has no tags"
        )

    def _elsewhere(self, flow: Flow) -> Storage:
        """Return the storage as another machine opens it, to run a flow that was read from here.

        Raises `StorageError` where it cannot be reached from there, as kinds of one machine cannot.
        """
        raise StorageError(
            f"{self.name} lies on this machine only, so {flow.location} cannot be run from another one; "
            "keep the flow in a storage that both reach"
        )

    def _secrets(self) -> Mapping[str, Any]:
        """Return the arguments of its constructor that are secret, and never told: name -> value."""
        return {}

    def reach(self) -> None:
        """Return where the storage can be read; kinds that know it without a list of all flows override it.

        Raises `StorageError`.
        """
        len(self.flows)

    @property
    def problems(self) -> Sequence[str]:
        """What is there and cannot be told as a flow, in words: a cell with a name that is refused, say."""
        return ()

    @property
    def origin(self) -> str | None:
        """The URL that the flows came from, where they came from elsewhere; None for the user's own."""
        return None

    def origin_of(self, location: str) -> str | None:
        """Return where a version came from, where it came from elsewhere; by default what `origin` says."""
        del location
        return self.origin

    def notes(self, flow: Flow) -> list[str]:
        """Return what a person should know of one of its flows before it runs, a line each: what is stale."""
        from flownb.capture.stale import changed_modules

        told = [f"{text} since {flow.name} was captured" for text in changed_modules(flow)]
        return [f"{line}; a run uses what is there now" for line in told]

    def marks(self, flow: Flow) -> Mapping[str, Any]:  # noqa: ARG002  # for those that keep some
        """Return the marks that were kept of what the flow's steps read and gave (`flownb.marks`)."""
        return {}

    # --- flows

    @property
    def flows(self) -> Mapping[str, str]:
        """Name of each flow -> location of its newest version. Runs and unpickles nothing."""
        return {name: location_of(name, version or None) for name, version in self._newest().items()}

    @property
    def held(self) -> str:
        """What it holds, in words for messages that begin with its name."""
        flows = list(self.flows)
        return f"holds {', '.join(flows[:10])}" if flows else "holds no flows"

    def add_flow(self, flow: Flow, *, replace: bool = False) -> str:
        """Keep a flow and return its location.

        Raises `FlowExistsError` for a name that is there, unless `replace`, which adds a new version; where
        the newest has the same content, there is no new one, and its location is returned.
        """
        with concerning(flow.name):
            return location_of(flow.name, self._write(self._to_keep(flow), replace=replace))

    def _to_keep(self, flow: Flow) -> Flow:
        """Return the flow without the place that it lay in before."""
        return changed(flow, storage=None, location=None)

    def get_flow(self, location: str) -> Flow:
        """Return the flow at `NAME[@VERSION]`, with its storage and location. Raises `FlowNotFoundError`."""
        with _concerning(location):
            name, version, flow = self._found(location)
            return self._stored(flow or self._read(name, version), name, version)

    def _stored(self, flow: Flow, name: str, version: str) -> Flow:
        location = location_of(name, version or None)
        if flow.name != name:
            raise StorageError(f"{location} of {self.name} is damaged: it says that it is {flow.name}")
        return changed(flow, storage=self.serialize(), location=location)

    def _found(self, location: str) -> tuple[str, str, Flow | None]:
        """Return name and version that a location stands for, and the flow where it had to be read for it."""
        name, asked = split_location(location)
        version = self._pin(name, asked)
        if asked is None or asked == version or not version or not asked.startswith(version):
            return name, version, None
        flow = self._read(name, version)
        if not flow.is_known_as(asked):  # a version tells the beginning of a digest
            raise self._not_found(name, asked)
        return name, version, flow

    def resolve(self, location: str) -> str:
        """Return the pinned location, `NAME@VERSION`, that `get_flow` reads. Raises `FlowNotFoundError`."""
        with _concerning(location):
            name, version, _ = self._found(location)
        return location_of(name, version or None)

    def __contains__(self, item: object) -> bool:
        """Whether `get_flow` finds a name or location; of a `Flow`, its name with that content."""
        if isinstance(item, Flow):
            return self._has(item.name) and self.get_flow(item.name).digest == item.digest
        if not isinstance(item, str):
            return False
        try:
            name, version = split_location(item)
        except FlownbError:
            return False
        if version is None:
            return self._has(name)
        try:
            self._found(item)
        except FlowNotFoundError:
            return False
        return True

    def history(self, name: str) -> Sequence[Version]:
        """Return the versions of a flow, newest first. Raises `FlowNotFoundError`.

        A storage that keeps only the newest version returns that one.
        """
        name = check_name(name)
        with concerning(name, name):
            versions = self._versions(name)
            if not versions:
                raise self._not_found(name)
        return versions

    def diff(self, location: str, other: str | None = None) -> FlowDiff:
        """Return how the flow at `other` differs from the one at `location`, by meaning.

        Without `other` it is how the one at `location` differs from the version before it. `@VERSION` is
        another version of the same flow. Raises `FlowNotFoundError`.
        """
        from flownb.storage.compare import compare

        flow = self.get_flow(location)
        if other is None:
            return compare(self.before(flow), flow)
        return compare(flow, self.get_flow(flow.name + other if other.startswith("@") else other))

    def before(self, flow: Flow) -> Flow:
        """Return the version before a flow that was read from here. Raises `FlowNotFoundError`."""
        versions = self.history(flow.name)
        at = next((at for at, version in enumerate(versions) if version.location == flow.location), None)
        older = [version for version in versions[at + 1 :] if not version.removed] if at is not None else []
        if not older:
            raise FlowNotFoundError(
                f"{self.name} holds no version of {flow.name} before {flow.location or flow.name} "
                "to compare it with"
            )
        return self.get_flow(older[0].location)

    def restore(self, location: str) -> str:
        """Make an old version the newest again and return its new location. Raises `FlowNotFoundError`."""
        return self.add_flow(self.get_flow(location), replace=True)

    def remove(self, name: str) -> None:
        """Remove a flow, so that `flows` no longer has it; kinds that keep versions keep its old ones.

        Raises `FlowNotFoundError`, and `StorageError` where this kind of storage does not remove.
        """
        name = check_name(name)
        with concerning(name, name):
            if not self._has(name):
                raise self._not_found(name)
            self._remove(name)

    def tag(self, location: str, tag: str) -> None:
        """Give a version a name of its own, `tag`, which is then taken behind the @."""
        name, version, _ = self._found(location)
        self._tag(name, version, tag)

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
            elif flow.stated not in (None, flow.digest):
                problems.append(
                    f"{name}: {location} says that its content is {str(flow.stated)[:12]}, and it is "
                    f"{flow.version}: it was changed where it lies; look at it, and add it again"
                )
        if problems:
            raise StorageError(f"{self.name} cannot be built:\n  " + "\n  ".join(problems))
        return self

    # --- running

    def get_runner(self, location: str) -> Runner:
        """Return a runner for the flow at `NAME[@VERSION]`. Raises `FlowNotFoundError`."""
        return Runner(self.get_flow(location), self)

    def get_env_runner(self, location: str) -> EnvRunner:
        """Return a command and environment variables that run the flow on another machine (PIN-7).

        Called by environments that start containers and remote jobs, after `trust.require`: the command
        trusts the pinned version there, as whoever launches it has decided here. Raises `StorageError` for a
        storage that another machine cannot reach.
        """
        from flownb.storage.variables import env_runner

        flow = self.get_flow(location)
        return env_runner(self._elsewhere(flow), flow)

    # --- the storage itself

    def serialize(self) -> dict[str, Any]:
        """Return what makes this storage again, as JSON without secret values.

        Raises `StorageError` for a class that has no `kind` of its own: its parent would be made again.
        """
        from flownb.storage.opening import kinds

        kind = kinds().word_of(type(self))
        told = {"kind": kind, "schema": SCHEMA, **self._options()}
        left_out = sorted({*self._secrets(), *self.missing})
        return {**told, "left_out": left_out} if left_out else told

    @staticmethod
    def deserialize(data: Mapping[str, Any], secrets: Mapping[str, str] | None = None) -> Storage:
        """Make a storage again from what `serialize` gave. Raises `StorageError`.

        `secrets` are those that it was opened with, by name: `data["left_out"]` names them. They are given to
        a storage that the caller knows; nothing else is looked for, as anybody can write such data.
        """
        from flownb.storage.opening import kinds

        kind, _ = _serialized(data)
        return kinds().named(kind).from_serialized(data, secrets)

    @classmethod
    def from_serialized(cls, data: Mapping[str, Any], secrets: Mapping[str, str] | None = None) -> Self:
        """Make the storage of this kind again; called by `Storage.deserialize`. Nothing is opened yet.

        `missing` tells the secrets that were not given. Raises `StorageError` for what is damaged, has keys
        that the kind does not know, or is of a newer flownb.
        """
        kind, options = _serialized(data)
        if kind != cls.kind:
            raise StorageError(f"a storage of the kind {kind!a} is not one of the kind {cls.kind!a}")
        try:
            left_out = _names_in(options.pop("left_out", []))
            given = {name: secrets[name] for name in left_out if secrets and name in secrets}
            storage = cls._again(dict(options), given)
            storage.missing = tuple(name for name in left_out if name not in given)
            unknown = sorted(options.keys() - storage.serialize().keys())
        except (TypeError, ValueError, AttributeError, LookupError) as error:
            raise StorageError(f"a storage of the kind {kind} cannot be made again: {error}") from error
        if unknown:
            raise StorageError(f"a storage of the kind {kind} knows no {', '.join(map(ascii, unknown))}")
        return storage

    @classmethod
    def _again(cls, options: dict[str, Any], secrets: Mapping[str, str]) -> Self:
        """Return the storage that `_options` told of, with those of `_secrets` that are given."""
        return cls(**options, **secrets)

    @property
    def identity(self) -> str:
        """Which store this is, as one text: people trust a store by it, and equal storages have one."""
        options = self._options()
        told = options.values() if len(options) == 1 else [f"{key}={options[key]}" for key in sorted(options)]
        return f"{self.kind}:{','.join(map(str, told))}"

    def __eq__(self, other: object) -> bool:
        return self.identity == other.identity if isinstance(other, Storage) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.identity)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def _repr_html_(self) -> str:
        """Show the names and newest versions of its flows; no flow is read for that."""
        from flownb.displays.parts import Line, Shown, Table, code, muted
        from flownb.displays.versions import short_version

        rows = [(code(name), code(short_version(version))) for name, version in self._newest().items()]
        parts = [Line((code(type(self).__name__), f" {self.name}"), "title")]
        return Shown([*parts, Table(("flow", "version"), rows) if rows else Line(muted("no flows"))]).html

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what `serialize` tells, so that no secret is in it."""
        return type(self).from_serialized, (self.serialize(),)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    # --- refusals

    def _not_found(self, name: str, version: str | None = None) -> FlowNotFoundError:
        import difflib

        flows = self.flows
        if version is not None and name in flows:
            return FlowNotFoundError(
                f"{self.name} does not hold {name} in version {version}; it holds {flows[name]}"
            )
        near = difflib.get_close_matches(name, flows, 1)
        hint = f"did you mean {near[0]}?" if near else f"it {self.held}"
        return FlowNotFoundError(f"{self.name} holds no flow {name}; {hint}")


def _serialized(data: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the kind and the options in what `serialize` gave. Raises `StorageError` for anything else."""
    try:
        options = {**data}
        kind, schema = options.pop("kind"), options.pop("schema", SCHEMA)
    except (TypeError, LookupError):
        raise StorageError(f"{data!a:.80} is not what `serialize` of a storage gave") from None
    if not isinstance(kind, str) or isinstance(schema, bool) or not isinstance(schema, int):
        raise StorageError(f"{data!a:.80} is not what `serialize` of a storage gave: see kind and schema")
    if schema > SCHEMA:
        raise StorageError(
            f"a storage of the kind {kind!a} was serialised by a newer flownb (schema {schema}, this one "
            f"reads up to {SCHEMA}); upgrade it: pip install --upgrade flownb"
        )
    return kind, options


def _names_in(data: Any) -> list[str]:
    if not isinstance(data, list) or not all(isinstance(name, str) for name in data):
        raise TypeError("left_out is no list of names")
    return data


def _concerning(location: str) -> AbstractContextManager[None]:
    """Have errors say which flow and location they are about."""
    return concerning(str(location).partition("@")[0] or None, str(location))
