"""Values given to a run, checked against what its flow declares before anything runs."""

from __future__ import annotations

import reprlib
import unicodedata
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from flownb.errors import ParameterError
from flownb.parameters.coerce import from_text, revalue
from flownb.parameters.context import context_of_flow
from flownb.parameters.description import type_of, type_text
from flownb.parameters.secret import is_secret
from flownb.parameters.types import (
    Anything,
    Bounded,
    Choice,
    Many,
    Members,
    OneOf,
    Type,
    Unknown,
    names_missing,
    parts,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import TypeAdapter

    from flownb.flow import Flow, Parameter

#: first words of what types are called that are counted
_COUNTED = frozenset(
    {
        "complex",
        "date",
        "decimal",
        "duration",
        "fraction",
        "list",
        "mail",
        "mapping",
        "number",
        "path",
        "regular",
        "set",
        "size",
        "time",
        "URL",
        "UUID",
        "whole",
    }
)
_LONGEST_SHOWN = 60


class Validator:
    """Checks values against one flow's declarations; made once where many runs are started."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._context = context_of_flow(flow)
        self._parameters = {parameter.name: parameter for parameter in flow.parameters}
        self._kinds = {p.name: type_of(p, self._context) for p in flow.parameters}
        self._adapters: dict[str, TypeAdapter[Any]] = {}

    def validate(self, given: Mapping[str, Any], *, text: bool = False) -> dict[str, Any]:
        """Return the given values as what was declared, in the order of the declarations.

        Defaults are not evaluated: what is not given is left out. With `text`, values that are `str` come
        from a command line or a form and are read as their type is written. An Enum of the notebook comes
        back as a member of an equal class built from its source: `render` writes it by its name.

        Raises one `ParameterError` that lists every unknown, missing and wrong parameter.
        """
        problems: list[str] = []
        named: dict[str, Any] = {}
        for name, value in given.items():
            plain = unicodedata.normalize("NFKC", name)  # as Python reads identifiers
            if plain not in self._parameters:
                problems.append(self._unknown(name))
            elif plain in named:
                problems.append(f"`{plain}` is given twice")
            else:
                named[plain] = value
        values: dict[str, Any] = {}
        for name, parameter in self._parameters.items():
            kind = self._kinds[name]
            missing = names_missing(kind) if parameter.annotation else []
            problems += [
                f"the type of `{name}` uses `{word}`, which nothing imports: add `{line}` to the cell"
                for word, line in missing
            ]
            if name not in named:
                problems += [f"`{name}` is required: {type_text(kind)}"] if parameter.required else []
            elif not missing:
                try:
                    values[name] = self._value(parameter, kind, named[name], text)
                except _WrongError as wrong:
                    problems.append(str(wrong))
        if problems:
            raise ParameterError(_message(self._flow.name, problems))
        return values

    def _value(self, parameter: Parameter, kind: Type, value: Any, text: bool) -> Any:
        if not parameter.annotation and not (text and isinstance(value, str)):
            return value  # nothing is declared, so nothing can be wrong
        try:
            if text:
                read = from_text if isinstance(value, str) else revalue
                value = read(value, kind, self._check)
            return self._check(kind, value)
        except ParameterError as error:
            raise _WrongError(f"the type `{parameter.annotation}` of `{parameter.name}` {error}") from error
        except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
            secret = is_secret(parameter.annotation, self._context)
            came = "a value that is not shown" if secret else shown(value)
            detail = "" if secret else _detail(error, kind)
            expected = _with_article(type_text(kind))
            raise _WrongError(f"`{parameter.name}` takes {expected}; it was given {came}{detail}") from error

    def _check(self, kind: Type, value: Any) -> Any:
        if isinstance(kind, Anything | Unknown):
            return value
        from flownb.parameters.build import adapter

        key = repr(kind)
        if key not in self._adapters:
            self._adapters[key] = adapter(kind)
        return self._adapters[key].validate_python(value)

    def _unknown(self, name: str) -> str:
        label = repr(name[:40])[1:-1] + ("..." if len(name) > 40 else "")
        near = get_close_matches(name, self._parameters, n=3, cutoff=0.6)
        if near:
            return f"`{label}` is not a parameter; did you mean {_listed(near)}?"
        if not self._parameters:
            return f"`{label}` is not a parameter; the flow has none"
        return f"`{label}` is not a parameter; there are {_listed(list(self._parameters)[:20])}"


def validate(flow: Flow, given: Mapping[str, Any], *, text: bool = False) -> dict[str, Any]:
    """Return the given values as what the flow declares; see `Validator.validate`."""
    return Validator(flow).validate(given, text=text)


class _WrongError(Exception):
    """One problem with one parameter, in the words of the message."""


def shown(value: object) -> str:
    """Return a value as a message shows it: short, in one line; only its kind where it is no plain value."""
    if isinstance(value, str):
        return repr(value[:_LONGEST_SHOWN]) + ("..." if len(value) > _LONGEST_SHOWN else "")
    if type(value).__module__ in ("builtins", "datetime", "decimal", "uuid", "pathlib", "fractions"):
        text = reprlib.repr(value).replace("\n", " ")
        return text if len(text) <= 2 * _LONGEST_SHOWN else text[: 2 * _LONGEST_SHOWN] + "..."
    name = type(value).__name__
    return f"{'an' if name[:1] in 'AEIOUaeiou' else 'a'} {name}"


def _with_article(text: str) -> str:
    """Write "a whole number" for "whole number"; choices, and what is not counted, stay as they are."""
    first = text.partition(" ")[0]
    return f"a {text}" if first in _COUNTED else f"an {text}" if first.startswith("IP") else text


def _detail(error: Exception, kind: Type) -> str:
    from pydantic import ValidationError

    if isinstance(kind, Choice | Members) or any(isinstance(part, OneOf) for part in parts(kind)):
        return ""  # the expected type says it all; of a union pydantic tells what each type says: too much
    if isinstance(error, ValidationError):
        errors = error.errors(include_url=False, include_input=False, include_context=False)
        lines = []
        for each in errors[:3]:
            place = "".join(f"[{step!r}]" for step in each["loc"])
            lines.append(
                f"at {place}: {each['msg']}" if place and isinstance(kind, Many | Bounded) else each["msg"]
            )
        return " (" + "; ".join(lines) + ")"
    return f" ({error})" if str(error) and not isinstance(error, RecursionError) else ""


def _listed(names: list[str]) -> str:
    quoted = [f"`{name}`" for name in names]
    return " or ".join(part for part in (", ".join(quoted[:-1]), quoted[-1]) if part)


def _message(flow: str, problems: list[str]) -> str:
    if len(problems) == 1:
        return f"flow `{flow}`: {problems[0]}"
    return f"flow `{flow}`: {len(problems)} problems with its parameters\n" + "\n".join(
        f"  - {p}" for p in problems
    )
