"""A stored flow and how it is to run, told by environment variables alone, for another machine.

    FLOWNB_STORAGE       what `Storage.serialize` gave, or a STORE as it is typed
    FLOWNB_LOCATION      NAME@VERSION in it
    FLOWNB_PARAM_since   the parameter `since`, as text: the declared type says what it stands for
    FLOWNB_STORAGE_KEY   the secret `key` that the storage was opened with

Of each there is a form `..._FILE` that names a file which holds the value, as secrets come into containers.
`get_env_runner` gives such variables, and `flownb run` without a REF reads them.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flownb.errors import ParameterError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from flownb.flow import Flow
    from flownb.parameters import Text
    from flownb.storage.base import Storage

COMMAND = ("flownb", "run", "--trust", "--environment", "local")
"""What another machine runs, whichever flow the variables tell of: there, and not where the flow would go."""

STORAGE, LOCATION, PARAMETER = "FLOWNB_STORAGE", "FLOWNB_LOCATION", "FLOWNB_PARAM_"
_FILE = "_FILE"


@dataclass(frozen=True, slots=True)
class EnvRunner:
    """All that another machine needs to run a stored flow: a command, and variables that say the rest."""

    flow: Flow = field(repr=False)
    variables: Mapping[str, str]
    #: variables that are not among them, as their values are secret: set each, or with `_FILE` the file of it
    secrets: tuple[str, ...] = ()
    command: tuple[str, ...] = COMMAND

    def with_parameters(self, **parameters: Any) -> EnvRunner:
        """Return the runner with values for parameters, which are validated where the flow runs.

        Raises `ParameterError` for an unknown one, and for a secret, which has to come by its own variable.
        """
        from flownb.parameters import Secret, describe, typed

        known = {info.name: info for info in describe(self.flow)}
        _refuse_unknown(parameters, self.flow)
        for name, value in parameters.items():
            if known[name].secret or isinstance(value, Secret) or hasattr(value, "get_secret_value"):
                raise ParameterError(
                    f"parameter `{name}` of flow `{self.flow.name}` is secret, and variables are seen by "
                    "many: put its value into a file on the other machine, and name that in "
                    f"{PARAMETER}{name}{_FILE}"
                )
        told = {f"{PARAMETER}{name}": typed(value) for name, value in parameters.items()}
        return replace(self, variables={**self.variables, **told})


def env_runner(storage: Storage, flow: Flow) -> EnvRunner:
    """Return what another machine needs to run a flow that it reads from `storage`."""
    from flownb.parameters import describe

    told = storage.serialize()
    variables = {STORAGE: json.dumps(told, ensure_ascii=False), LOCATION: str(flow.location)}
    secret = [f"{PARAMETER}{info.name}" for info in describe(flow) if info.secret]
    return EnvRunner(flow, variables, (*map(secret_variable, told.get("left_out", ())), *secret))


def flow_told() -> tuple[Storage, Flow]:
    """Return the storage and the flow that this process's variables tell of. Raises `StorageError`."""
    from flownb.storage.base import Storage
    from flownb.storage.opening import open_storage

    store, location = value_of(STORAGE), value_of(LOCATION)
    if not store or not location:
        raise StorageError(
            f"no flow was named: say which, STORE#NAME, or set the variables {STORAGE} and {LOCATION}"
        )
    if not store.lstrip().startswith("{"):
        storage = open_storage(store)
        return storage, storage.get_flow(location)
    try:
        told = json.loads(store)
    except (ValueError, RecursionError) as error:
        raise StorageError(f"the variable {STORAGE} holds no JSON: {error}") from None
    storage = Storage.deserialize(told, _secrets_told(told))
    return storage, storage.get_flow(location)


def _secrets_told(told: Mapping[str, Any]) -> dict[str, str]:
    """Return the secrets that this process's variables give to the storage that they tell of, to no other."""
    names = told.get("left_out", ())
    found = {name: value_of(secret_variable(name)) for name in names if isinstance(name, str)}
    return {name: value for name, value in found.items() if value is not None}


def parameters_told(flow: Flow) -> dict[str, Text]:
    """Return the values that this process's variables give to a flow's parameters.

    Raises `ParameterError` for one that the flow does not have.
    """
    from flownb.parameters import Text

    names = [parameter.name for parameter in flow.parameters]
    given = [variable.removeprefix(PARAMETER) for variable in os.environ if variable.startswith(PARAMETER)]
    _refuse_unknown((n if n in names else n.removesuffix(_FILE) for n in given), flow)
    # `x_FILE` may be a parameter itself: then it is no file of `x`
    found = {name: value_of(f"{PARAMETER}{name}", by_file=name + _FILE not in names) for name in names}
    return {name: Text(value) for name, value in found.items() if value is not None}


def secret_variable(name: str) -> str:
    """Return the variable that a secret of a storage comes by."""
    return f"{STORAGE}_{name.upper().replace('.', '__')}"


def missing_text(names: Sequence[str]) -> str:
    """Say which secrets a storage is without, and how they are given; nothing where it has all."""
    variables = [secret_variable(name) for name in names]
    if not variables:
        return ""
    return (
        f"It was opened with {', '.join(names)}, which is never kept, and is without now: give it, "
        "Storage.deserialize(data, secrets=...), or where variables tell the storage set "
        f"{', '.join(variables)} (or {variables[0]}{_FILE} to the file that holds it)"
    )


def value_of(variable: str, *, by_file: bool = True) -> str | None:
    """Return what a variable says, or the file that it names with `_FILE`, without a line's end behind it.

    Raises `StorageError` where both say something, and where the file cannot be read.
    """
    said = os.environ.get(variable)
    path = os.environ.get(variable + _FILE) if by_file else None
    if path is None:
        return said
    if said is not None:
        raise StorageError(f"both {variable} and {variable}{_FILE} are set; take one of them away")
    try:
        return Path(path).read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise StorageError(f"the file that {variable}{_FILE} names cannot be read: {why}") from None


def _refuse_unknown(names: Iterable[str], flow: Flow) -> None:
    known = [parameter.name for parameter in flow.parameters]
    for name in names:
        if name not in known:
            raise ParameterError(
                f"flow `{flow.name}` has no parameter `{name}`; it has {', '.join(known) or 'none'}"
            )
