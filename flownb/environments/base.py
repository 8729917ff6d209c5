"""What every environment promises (PIN-7, PIN-12). A kind of it is one subclass in a module of its own."""

from __future__ import annotations

import os
import reprlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flownb.environments.fields import Labels, OnExit, OnStart  # noqa: TC001  # read by pydantic
from flownb.errors import CallbackError, EnvironmentRefusedError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from flownb.callbacks import Callback
    from flownb.environments.grid import Grid
    from flownb.environments.together import Work
    from flownb.flow import Flow
    from flownb.runs import Run, Runs
    from flownb.storage import Storage

SCHEMA = 1
"""Version of what `serialize` writes. A newer one is refused, older ones are read."""


_ABOUT = ("type", "schema", "named", "named_in")
"""What `serialize` writes beside the options, and what a flow keeps beside that."""


class Environment(BaseModel, ABC):
    """Where and how flows run: a typed, frozen model, the same in Python, in `flownb.toml` and as JSON.

    `on_start` is called before the flow starts, `on_exit` after its end, whatever the end is. A callable
    gets the Run if it takes an argument. They are called in the process that supervises the run: each
    subclass says which that is. Where `on_start` fails the run is Failed and the flow does not start;
    `on_exit` is called all the same. What fails in `on_exit` is recorded on the run and changes nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    #: the word for this kind in `serialize()` and in `flownb.toml`
    kind: ClassVar[str]

    labels: Annotated[
        Labels,
        Field(description="Words by which agents know their runs: only one that has all of them takes it."),
    ] = ()
    on_start: Annotated[
        OnStart, Field(description="Called before the flow starts: a callable, or a list of them.")
    ] = ()
    on_exit: Annotated[
        OnExit, Field(description="Called after the run's end, however it ended: a callable, or a list.")
    ] = ()

    def __init__(self, **options: Any) -> None:
        """Make an environment of its options; wrong ones are `EnvironmentRefusedError` or `CallbackError`."""
        try:
            super().__init__(**options)
        except ValidationError as error:
            raise EnvironmentRefusedError(_words(type(self), error)) from None

    def __hash__(self) -> int:
        """Hash what equal environments have in common; callbacks may be what cannot be hashed."""
        options = {name: value for name, value in self if name not in ("on_start", "on_exit")}
        return hash((type(self), tuple(options.items())))

    @abstractmethod
    def setup(self, storage: Storage) -> None:
        """Check that flows of `storage` can run here, and prepare for it; may be called again at any time.

        Raises `EnvironmentRefusedError` before anything starts. `execute` and the others call it themselves.
        An environment of one's own calls this one first, which refuses what is no storage, and one that
        cannot be reached.
        """
        check_storage(storage)
        try:
            storage.reach()
        except StorageError as error:
            raise EnvironmentRefusedError(f"{storage.name} cannot be reached: {error}") from error

    @abstractmethod
    def execute(
        self,
        storage: Storage,
        flow: Flow | str,
        parameters: Mapping[str, Any] | None = None,
        *,
        on_change: Callable[[Run], object] | None = None,
    ) -> Run:
        """Run a stored flow to its end, and return the Run.

        A flow that fails is a state of the Run, not an exception: see `Run.raise_for_state`.

        Args:
            storage: where the flow is.
            flow: `NAME` or `NAME@VERSION` in it, or a Flow that it holds with this very content.
            parameters: values by name. A `flownb.parameters.Text` was typed by somebody, and is read as what
                the parameter is declared to be; any other text is a value.
            on_change: called with the Run at most ten times a second while it changes, and at its end, in
                the thread that called this. Where it fails, the run's `callback_errors` have its first
                failure, and the run goes on.

        Raises:
            ParameterError: a parameter is unknown, missing or wrong; nothing was started or recorded.
            EnvironmentRefusedError: the flow cannot run here; nothing was started or recorded.
            FlowNotFoundError: the storage does not hold it.
            NotTrustedError: the storage came from elsewhere, and its user has not trusted it.
            CallbackError: a stored callback cannot be loaded; nothing was started or recorded.
            RecordError: the run cannot be recorded.

        """

    def submit(
        self,
        storage: Storage,
        flow: Flow | str,
        parameters: Mapping[str, Any] | None = None,
        *,
        on_change: Callable[[Run], object] | None = None,
    ) -> Run:
        """Start a run and return it at once, recorded; it goes on without the caller.

        Takes and raises what `execute` does, which is called in a thread; `on_change` is called there, too.
        The end of the interpreter waits for it.
        """
        from flownb.environments.together import beside

        return beside(lambda tell: self.execute(storage, flow, parameters, on_change=tell), on_change)

    def map(
        self,
        storage: Storage,
        flow: Flow | str,
        grid: Grid,
        *,
        parallel: int | None = None,
        on_change: Callable[[Run], object] | None = None,
    ) -> Runs:
        """Run a flow once for each point of a grid, `parallel` at a time, and return the runs in its order.

        `grid` is a list of dicts of parameters, or a dict of lists that stands for all combinations;
        `parallel` is the number of processors where it is not given. All points are validated, and the
        storage is asked, before the first run starts; a run is recorded when its turn comes. On an interrupt
        those that go on are cancelled, and the runs so far come back. `on_change` is called in other
        threads, one call at a time. For the rest see `execute`.
        """
        from flownb.environments.beginning import runnable
        from flownb.environments.grid import points_of
        from flownb.environments.together import Several
        from flownb.parameters import Validator

        if parallel is not None and parallel < 1:
            raise EnvironmentRefusedError(f"`parallel` is at least 1, and was given as {parallel}")
        self.setup(storage)
        found = runnable(storage, flow)
        validator = Validator(found)
        points = [validator.validate(point) for point in points_of(grid)]
        works = [self._each(storage, found, values) for values in points]
        return Several(works, parallel or os.cpu_count() or 1, on_change).run()

    def _each(self, storage: Storage, flow: Flow, values: dict[str, Any]) -> Work:
        """Return what does one of the runs of `map`; it is called for each before the first one starts."""
        location = flow.location or flow.name
        return lambda tell: self.execute(storage, location, values, on_change=tell)

    def replace(self, **options: Any) -> Self:
        """Return this environment with other options; wrong ones are errors, as when one is made."""
        return type(self)(**{**dict(self), **options})

    def serialize(self) -> dict[str, Any]:
        """Return what makes this environment again, as JSON.

        Raises `CallbackError` for a callback that cannot be stored, `EnvironmentRefusedError` for a class
        that has no `kind` of its own.
        """
        from flownb.callbacks.stored import serialize
        from flownb.environments.kinds import kinds

        word = kinds().word_of(type(self))
        return {
            **self._plain(word),
            "on_start": serialize(self.on_start),
            "on_exit": serialize(self.on_exit),
        }

    def describe(self) -> dict[str, Any]:
        """Return what `serialize` does, for a record: with a word on what cannot be stored."""
        own = type(self).__dict__.get("kind")
        word = own or f"{type(self).__module__}:{type(self).__qualname__}"
        return {**self._plain(word), "on_start": _told(self.on_start), "on_exit": _told(self.on_exit)}

    def _plain(self, word: str) -> dict[str, Any]:
        options = self.model_dump(mode="json", exclude={"on_start", "on_exit"})
        return {"type": word, "schema": SCHEMA, **options}

    @staticmethod
    def deserialize(data: Mapping[str, Any]) -> Environment:
        """Make an environment again from what `serialize` gave.

        Raises `EnvironmentRefusedError` for an unknown type, or what a newer version wrote.
        """
        from flownb.environments.kinds import kind_of

        schema = data.get("schema", SCHEMA)
        if not isinstance(schema, int) or schema > SCHEMA:
            raise EnvironmentRefusedError(
                f"this environment was written by a newer flownb (schema {schema!s:.20}, this one reads up "
                f"to {SCHEMA}); upgrade it: pip install --upgrade flownb"
            )
        if "type" not in data and "named" in data:
            raise EnvironmentRefusedError(
                f"of this environment only its name is known, {ascii(data['named'])[:60]}: what that means "
                "is said by the flownb.toml of its flow's project"
            )
        options = {name: value for name, value in data.items() if name not in _ABOUT}
        return kind_of(data.get("type")).from_serialized(options)

    @classmethod
    def from_serialized(cls, options: Mapping[str, Any]) -> Self:
        """Make one of this kind from the options that `serialize` wrote; called by `deserialize`."""
        from flownb.callbacks.stored import deserialize

        callbacks = {name: deserialize(options[name]) for name in ("on_start", "on_exit") if name in options}
        return cls(**{**options, **callbacks})

    def __setattr__(self, name: str, value: object) -> None:
        raise EnvironmentRefusedError(f"an environment is frozen; `replace({name}=...)` makes another one")

    def __delattr__(self, name: str) -> None:
        raise EnvironmentRefusedError(f"an environment is frozen: `{name}` stays what it is")

    def __dir__(self) -> list[str]:
        # what pydantic brings is not ours to promise
        return sorted(name for name in super().__dir__() if name.startswith("__") or name not in _PYDANTICS)

    def __repr__(self) -> str:
        told = ", ".join(f"{name}={value}" for name, value in self._told().items())
        return f"{type(self).__name__}({told})"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        from flownb.displays.parts import Line, Shown, Table, code, muted

        rows = [(code(name), code(value)) for name, value in self._told().items()]
        table = Table(("option", "value"), rows) if rows else Line(muted("with the options that all have"))
        return Shown([Line(code(type(self).__name__), "title"), table]).html

    def _told(self) -> dict[str, str]:
        """Return the options that were set, as short texts."""
        from flownb.callbacks.base import name_of

        told = {}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if value != field.get_default(call_default_factory=True):
                callbacks = name in ("on_start", "on_exit")
                told[name] = f"[{', '.join(map(name_of, value))}]" if callbacks else reprlib.repr(value)
        return told


_PYDANTICS = frozenset(dir(BaseModel))


def check_storage(storage: object) -> None:
    """Refuse what is no storage; above all a flow, which people have in hand."""
    from flownb.flow import Flow
    from flownb.storage import Storage

    if isinstance(storage, Storage):
        return
    said = f"the flow {storage.name}" if isinstance(storage, Flow) else f"a {type(storage).__name__}"
    instead = "; `flow.run()` runs a flow that is in no storage" if isinstance(storage, Flow) else ""
    raise EnvironmentRefusedError(
        f"an environment runs what is in a storage, and was given {said}: "
        f'`execute(open_storage("x.ipynb"), "NAME", {{...}})` is how it is used{instead}'
    )


def _told(callbacks: Iterable[Callback]) -> list[dict[str, Any]]:
    from flownb.callbacks.base import name_of
    from flownb.callbacks.stored import serialize

    told = []
    for callback in callbacks:
        try:
            told += serialize([callback])
        except CallbackError as error:
            told.append({"name": name_of(callback), "not_stored": str(error)})
    return told


def _words(kind: type[Environment], error: ValidationError) -> str:
    """Say in a line for each wrong option which it is, what it takes and what came."""
    problems = []
    for each in error.errors(include_url=False):
        name = str(each["loc"][0]) if each["loc"] else ""
        if not name:  # options that do not go together
            problems.append(each["msg"].removeprefix("Value error, "))
        elif each["type"] == "extra_forbidden":
            there = ", ".join(kind.model_fields)
            problems.append(f"there is no option `{name}`; there are {there}")
        else:
            words = each["msg"].removeprefix("Value error, ")
            problems.append(f"`{name}` {words}" if words != each["msg"] else f"`{name}`: {words}")
    return f"{kind.__name__}: " + "; ".join(problems)
