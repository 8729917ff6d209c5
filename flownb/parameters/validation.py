"""Values given to a run, checked against what its flow declares before anything runs."""

from __future__ import annotations

import ast
import builtins
import unicodedata
from contextlib import suppress
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from flownb.errors import ParameterError
from flownb.parameters.coerce import Text, holds, plain, read
from flownb.parameters.context import context_of_flow
from flownb.parameters.description import expected, type_of, type_text
from flownb.parameters.judging import message, shown, told
from flownb.parameters.lines import written_type
from flownb.parameters.recorded import read_value
from flownb.parameters.secret import is_secret
from flownb.parameters.types import (
    Anything,
    Bounded,
    Choice,
    Many,
    Members,
    OneOf,
    Open,
    Type,
    Unknown,
    is_blind,
    is_open,
    names_missing,
    parts,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import TypeAdapter

    from flownb.flow import Flow, Parameter


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

        Defaults are not evaluated: what is not given is left out. A `Text` is read as its type is written;
        with `text`, each value that is a `str` is one. An Enum of the notebook comes back as a member of an
        equal class built from its source: `render` writes it by its name. Of a type that source text does not
        tell whole (`is_open`) what it does tell is judged here, and the rest where the flow runs.

        Raises one `ParameterError` that lists every unknown, missing and wrong parameter; its `parameter` is
        the first of them.
        """
        problems: list[tuple[str, str]] = []  # a parameter, and what is wrong with it
        named: dict[str, Any] = {}
        for name, value in given.items():
            normal = unicodedata.normalize("NFKC", name)  # as Python reads identifiers
            if normal not in self._parameters:
                problems.append((name, self._unknown(name)))
            elif normal in named:
                problems.append((normal, f"`{normal}` is given twice"))
            else:
                named[normal] = value
        values: dict[str, Any] = {}
        for name, parameter in self._parameters.items():
            kind = self._kinds[name]
            missing = names_missing(kind) if parameter.annotation else []
            problems += [
                (name, f"the type of `{name}` uses `{word}`, which nothing imports: add `{line}` to the cell")
                for word, line in missing
            ]
            if name not in named:
                if parameter.required:
                    problems.append((name, f"`{name}` is required: {type_text(kind)}"))
            elif not missing:
                try:
                    value = Text(named[name]) if text and type(named[name]) is str else named[name]
                    values[name] = self._value(parameter, kind, value)
                except _WrongError as wrong:
                    problems.append((name, str(wrong)))
        if problems:
            told = message(self._flow.name, [problem for _, problem in problems])
            raise ParameterError(told, flow=self._flow.name, parameter=problems[0][0])
        return values

    def _value(self, parameter: Parameter, kind: Type, value: Any) -> Any:
        if not parameter.annotation and not holds(value, Text):
            return value  # nothing is declared, so nothing can be wrong
        if is_open(kind) and (hiding := self._hides(parameter)):
            raise _WrongError(
                f"the type `{parameter.annotation}` of `{parameter.name}` cannot be checked, as the "
                f"parameter `{hiding}` has the name of what it is written with: rename the parameter"
            )
        if is_blind(kind):
            return plain(value)
        try:
            return self._read(kind, value)
        except ParameterError as error:
            raise _WrongError(f"the type `{parameter.annotation}` of `{parameter.name}` {error}") from error
        except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
            secret = is_secret(parameter.annotation, self._context)
            came = "a value that is not shown" if secret else shown(value)
            detail = "" if secret else _detail(error, kind)
            raise _WrongError(
                f"`{parameter.name}` takes {expected(kind)}; it was given {came}{detail}"
            ) from error

    def _read(self, kind: Type, value: Any) -> Any:
        try:
            return self._check(kind, read(value, kind, self._check))
        except ValueError:
            if isinstance(value, Text) and value.rstrip()[-1:] in (")", "]", "}") and "(" in value:
                with suppress(ValueError):  # as Python writes it: `date(1990, 1, 1)`
                    return self._check(kind, read_value(value))
            raise

    def _hides(self, parameter: Parameter) -> str:
        """Return the parameter that has the name of something else in a parameter's type; empty for none.

        A type may well be written with another parameter: `Field(ge=start)`.
        """
        tree = written_type(parameter.annotation)
        words = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)] if tree else []
        others = {*self._context.names, *vars(builtins), parameter.name}
        return next((word for word in words if word in self._parameters and word in others), "")

    def _check(self, kind: Type, value: Any) -> Any:
        if isinstance(kind, Open):
            return self._check(kind.inner, value)
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


def _detail(error: Exception, kind: Type) -> str:
    if isinstance(kind, Choice | Members) or any(isinstance(part, OneOf) for part in parts(kind)):
        return ""  # the expected type says it all; of a union pydantic tells what each type says: too much
    return told(error, places=isinstance(kind, Many | Bounded | Open))


def _listed(names: list[str]) -> str:
    quoted = [f"`{name}`" for name in names]
    return " or ".join(part for part in (", ".join(quoted[:-1]), quoted[-1]) if part)
