"""An environment's options as people type them: flags, help and reading, all of the model's declaration."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from flownb.errors import EnvironmentRefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flownb.environments.base import Environment

Shape = Literal["text", "path", "number", "switch", "texts", "pairs", "callbacks"]

_METAVARS: Mapping[Shape, str] = {
    "text": "TEXT",
    "path": "PATH",
    "number": "VALUE",
    "switch": "",
    "texts": "TEXT",
    "pairs": "NAME=VALUE",
    "callbacks": "MODULE:NAME",
}


@dataclass(frozen=True)
class Option:
    """One option of an environment, as it is typed."""

    name: str  #: of the field
    help: str
    shape: Shape

    @property
    def flag(self) -> str:
        """What is typed before a value: `--step-timeout`; of several labels, `--label` each."""
        name = self.name.removesuffix("s") if self.shape == "texts" else self.name
        return "--" + name.replace("_", "-")

    @property
    def many(self) -> bool:
        """Whether it may come again."""
        return self.shape in ("texts", "pairs", "callbacks")

    @property
    def metavar(self) -> str:
        """What stands for its value in help."""
        return _METAVARS[self.shape]

    def read(self, typed: Sequence[str]) -> Any:
        """Return the value that was typed, as the model takes it; what is wrong with it the model says."""
        match self.shape:
            case "pairs":
                return dict(map(self._pair, typed))
            case "texts":
                return list(typed)
            case "callbacks":
                from flownb.callbacks.settings import from_settings

                return from_settings([_json(text) if text[:1] == "{" else text for text in typed], self.flag)
            case "path":
                return Path(typed[-1]).expanduser().absolute()
            case "number" | "switch":
                return _json(typed[-1])
        return typed[-1]

    def _pair(self, text: str) -> tuple[str, str]:
        name, mark, value = text.partition("=")
        if not mark or not name:
            raise EnvironmentRefusedError(f"{self.flag} takes NAME=VALUE, and was given {ascii(text)[:60]}")
        return name, value


def options_of(kind: type[Environment]) -> tuple[Option, ...]:
    """Return the options of a kind of environment, in the order in which they are declared."""
    return tuple(
        Option(name, field.description or "", _shape(name, field.annotation))
        for name, field in kind.model_fields.items()
    )


def read_options(kind: type[Environment], typed: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return values for the fields of a kind, from texts by the fields' names.

    Raises `EnvironmentRefusedError` for what is no option of the kind.
    """
    known = {option.name: option for option in options_of(kind)}
    for name in typed:
        if name not in known:
            raise EnvironmentRefusedError(
                f"{kind.__name__}: there is no option `{name}`; there are {', '.join(known)}"
            )
    return {name: known[name].read(texts) for name, texts in typed.items()}


def take_flags(words: Iterable[str], kind: type[Environment]) -> tuple[dict[str, list[str]], list[str]]:
    """Take flags with their values out of words, and return texts by field, and the words that are left.

    `--option NAME=VALUE` is an option of any kind of environment. Raises `EnvironmentRefusedError` for a flag
    without its value.
    """
    flags = {option.flag: option for option in options_of(kind)}
    typed: dict[str, list[str]] = {}
    rest: list[str] = []
    waiting = iter(words)
    for word in waiting:
        flag, mark, value = word.partition("=")
        option = flags.get(flag)
        if option is None and flag not in ("-o", "--option"):
            rest.append(word)
            continue
        if option is not None and option.shape == "switch":
            value = value or "true"
        elif not mark and (value := next(waiting, "")) == "":
            raise EnvironmentRefusedError(f"{flag} wants a value")
        name, text = (option.name, value) if option is not None else split_option(value)
        typed.setdefault(name, []).append(text)
    return typed, rest


def split_option(text: str) -> tuple[str, str]:
    """Return name and value of `NAME=VALUE`, an option of the environment, whatever its kind."""
    name, mark, value = text.partition("=")
    if not mark or not name:
        raise EnvironmentRefusedError(f"--option takes NAME=VALUE, and was given {ascii(text)[:60]}")
    return name.replace("-", "_"), value


def _shape(name: str, annotation: object) -> Shape:
    if name in ("on_start", "on_exit"):
        return "callbacks"
    types = _types(annotation)
    if any(isinstance(one, type) and issubclass(one, Mapping) for one in types):
        return "pairs"
    if any(one in (list, tuple, set, frozenset) for one in types):
        return "texts"
    if Path in types:
        return "path"
    if str in types:
        return "text"
    return "switch" if types == {bool} else "number"


def _types(annotation: object) -> set[object]:
    """Return the types that an annotation is made of, without what is inside of containers."""
    origin = get_origin(annotation)
    if isinstance(origin, type) and issubclass(origin, Iterable):
        return {origin}
    inner = get_args(annotation)
    if not inner:
        return {annotation} - {type(None)}
    if hasattr(annotation, "__metadata__"):  # the rest of it are validators
        return _types(inner[0])
    return set().union(*map(_types, inner))


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
