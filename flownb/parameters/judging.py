"""Values held to a type of which only the run's own process knows all: the notebook's classes are there.

Self-contained with `flownb.parameters.readings`, and for Python 3.10 and newer: `judge` is called by a cell
of the flow document, which has both sources with it, as a kernel may lack flownb.
"""

from __future__ import annotations

import enum
import functools
import operator
import reprlib
import sys
import typing
from contextlib import suppress

from flownb.parameters.readings import NotReadableError, inside, readings

#: under this name a run's cell says which parameters were given as values, not as text
EXACT = "__flownb_values__"
_LONGEST_SHOWN = 60
_PLAIN = ("builtins", "datetime", "decimal", "fractions", "pathlib", "uuid")


class ParameterError(ValueError):
    """Stands for flownb's own error of this name, and is shown as its message alone."""

    def _render_traceback_(self) -> list[str]:
        return [f"ParameterError: {self}"]


# -- what is held to a type ------------------------------------------------------------------------------


def judge(
    flow: str,
    declared: typing.Mapping[str, tuple[typing.Callable[[], typing.Any], str, bool]],
    namespace: dict[str, typing.Any],
) -> None:
    """Make the parameters in a namespace what they are declared as; those that are `...` were not given.

    `declared` has for each the type, how people call it, and whether its value may be shown. Raises one
    `ParameterError` that lists all that is wrong.
    """
    exact = namespace.pop(EXACT, ())
    problems = []
    for name, (annotation, expected, hidden) in declared.items():
        value = namespace.get(name, ...)
        if value is ...:
            continue
        try:
            namespace[name] = _judged(annotation, value, namespace, exact=name in exact)
        except _UncheckedError as error:
            problems.append(f"the type of `{name}` ({expected}) cannot be checked: {error}")
        except Exception as error:  # noqa: BLE001  # a validator of the notebook may raise anything
            came = "a value that is not shown" if hidden else shown(value) + told(error)
            problems.append(f"`{name}` takes {expected}; it was given {came}")
    if problems:
        raise ParameterError(message(flow, problems)) from None


class _UncheckedError(Exception):
    """Why a type is none that pydantic can check."""


def _judged(
    annotation: typing.Callable[[], typing.Any],
    value: typing.Any,
    namespace: dict[str, typing.Any],
    *,
    exact: bool,
) -> typing.Any:
    try:
        declared = annotation()
        enums = list(_enums(declared))
        adapter = _adapter(declared, namespace)
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        if isinstance(error, ImportError) and error.name == "pydantic":
            reason += "; install pydantic 2 where the flow runs"
        raise _UncheckedError(reason) from error
    text = isinstance(value, str) and not exact
    ways = readings(value, enums) if text else inside(value, enums, text=not exact)
    first: Exception | None = None
    for reading in ways:
        try:
            return adapter.validate_python(reading)
        except Exception as error:  # noqa: BLE001
            if _of_the_notebook(error):
                return value
            first = first or error
    assert first is not None
    if isinstance(declared, enum.EnumMeta):
        raise NotReadableError("one of " + ", ".join(declared.__members__))
    raise first


def _adapter(declared: typing.Any, namespace: dict[str, typing.Any]) -> typing.Any:
    """Return pydantic's validator of a type; what is written as text in it is looked up in the notebook."""
    from pydantic import ConfigDict, InstanceOf, TypeAdapter
    from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

    def made(of: typing.Any, **config: typing.Any) -> typing.Any:
        names = {"make": TypeAdapter, "of": of, "config": config}
        return eval("make(of, **config)", namespace, names)  # noqa: S307  # for the names of its frame

    arbitrary = ConfigDict(arbitrary_types_allowed=True)
    try:
        return made(declared)
    except PydanticSchemaGenerationError:  # of a class that pydantic does not know, instances are taken
        with suppress(PydanticUserError):
            return made(declared, config=arbitrary)
        return made(InstanceOf[declared])  # type: ignore[misc]  # a type that is not known here
    except PydanticUserError as error:
        if error.code != "typed-dict-version":
            raise
        return made(_modern(declared))


def _modern(declared: typing.Any) -> typing.Any:
    """Return a type with each TypedDict in it made anew, as pydantic wants them in a Python before 3.12."""
    from typing import NotRequired, Required

    from typing_extensions import TypedDict

    parts = typing.get_args(declared)
    if typing.is_typeddict(declared):
        fields: dict[str, typing.Any] = {}
        for name, hint in typing.get_type_hints(declared, include_extras=True).items():
            plain = typing.get_args(hint)[0] if typing.get_origin(hint) in (NotRequired, Required) else hint
            needed = name in declared.__required_keys__
            fields[name] = _modern(plain) if needed else NotRequired[_modern(plain)]
        return TypedDict(declared.__name__, fields)  # type: ignore[operator]  # made at run time
    if not parts or typing.get_origin(declared) is typing.Literal:
        return declared
    made = tuple(_modern(part) for part in parts)
    if hasattr(declared, "copy_with"):  # one of `typing`; Annotated keeps its marks
        return declared.copy_with(made[:1] if hasattr(declared, "__metadata__") else made)
    return (
        typing.get_origin(declared)[made]
        if hasattr(declared, "__origin__")
        else functools.reduce(operator.or_, made)
    )


def _enums(declared: typing.Any, depth: int = 20) -> typing.Iterator[typing.Any]:
    """Yield the Enums that a type is made of."""
    for name in ("__value__", "__supertype__"):  # of `type X = ...` and of NewType
        declared = getattr(declared, name, declared)
    if isinstance(declared, enum.EnumMeta):
        yield declared
    if isinstance(declared, enum.Enum):  # in a Literal
        yield type(declared)
    for part in typing.get_args(declared) if depth else ():
        yield from _enums(part, depth - 1)


def _of_the_notebook(error: Exception) -> bool:
    """Whether all that is wrong is that instances are of the notebook's classes of these very names.

    A flow that runs in the notebook's own process has these classes anew.
    """
    pydantic = sys.modules["pydantic"]
    problems = error.errors(include_url=False) if isinstance(error, pydantic.ValidationError) else []
    known = set()
    for each in problems:
        context, bases = each.get("ctx", {}), type(each["input"]).__mro__
        wanted = ("__main__", context.get("class_name") or context.get("class"))
        if wanted in [(base.__module__, base.__qualname__) for base in bases]:
            known.add(id(each["input"]))
    return bool(known) and all(id(each["input"]) in known for each in problems)


# -- how it is told --------------------------------------------------------------------------------------


def shown(value: object) -> str:
    """Return a value as a message shows it: short, in one line; only its kind where it is no plain value."""
    if isinstance(value, str):
        text = str.__str__(value)
        return repr(text[:_LONGEST_SHOWN]) + ("..." if len(text) > _LONGEST_SHOWN else "")
    if type(value).__module__ in _PLAIN:
        text = reprlib.repr(value).replace("\n", " ")
        return text if len(text) <= 2 * _LONGEST_SHOWN else text[: 2 * _LONGEST_SHOWN] + "..."
    name = type(value).__name__
    return f"{'an' if name[:1] in 'AEIOUaeiou' else 'a'} {name}"


def told(error: Exception, *, places: bool = True) -> str:
    """Return what an error says of a value, in brackets; empty where it says nothing."""
    pydantic = sys.modules.get("pydantic")
    if pydantic is not None and isinstance(error, pydantic.ValidationError):
        lines = []
        for each in error.errors(include_url=False, include_input=False, include_context=False)[:3]:
            place = "".join(f"[{step!r}]" for step in each["loc"])
            lines.append(f"at {place}: {each['msg']}" if place and places else each["msg"])
        return " (" + "; ".join(lines) + ")"
    words = str(error).strip().partition("\n")[0]
    return f" ({words})" if words and not isinstance(error, RecursionError) else ""


def message(flow: str, problems: list[str]) -> str:
    """Return the one message that lists what is wrong with a flow's parameters."""
    if len(problems) == 1:
        return f"flow `{flow}`: {problems[0]}"
    return f"flow `{flow}`: {len(problems)} problems with its parameters\n" + "\n".join(
        f"  - {p}" for p in problems
    )
