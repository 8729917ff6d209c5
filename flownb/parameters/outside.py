"""Text from outside, for documents that plain papermill runs.

flownb checks and converts values before a run. Plain papermill injects what it got: a date or a path
arrives as text, a tuple or a set as a list. A small cell in the document makes them what was declared.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from flownb.parameters import known
from flownb.parameters.context import context_of_flow
from flownb.parameters.description import type_of
from flownb.parameters.expressions import imported
from flownb.parameters.lines import parse, parse_expression, written_type
from flownb.parameters.types import (
    NOTHING,
    Bounded,
    Many,
    Members,
    OneOf,
    Plain,
    Type,
    is_open,
    without_bounds,
)

if TYPE_CHECKING:
    from flownb.flow import Flow, Parameter
    from flownb.parameters.context import Context

_HEAD = "# Text from outside (plain papermill passes dates and paths as text) becomes what was declared."
#: what papermill itself passes as it is
_PASSED = frozenset({f"builtins.{name}" for name in ("None", "bool", "int", "float", "str", "list", "dict")})


def coercion_source(flow: Flow, context: Context | None = None) -> str:
    """Return statements that make texts what the flow's parameters declare.

    They cost nothing where the values are of the declared types already: pydantic is only imported where
    one is not. Empty where every declared type is one that papermill passes, or is judged in the run anyway.
    """
    context = context or context_of_flow(flow)
    names = {parameter.name for parameter in flow.parameters}
    lines: list[str] = []
    for parameter in flow.parameters:
        kind = type_of(parameter, context)
        test = _test(parameter.name, kind) if parameter.annotation and not is_open(kind) else ""
        written = _written(parameter, kind, names) if test else None
        if written is not None:
            call = f'__import__("pydantic").TypeAdapter({written}).validate_python({parameter.name})'
            lines += [f"if {test}:", f"    {parameter.name} = {call}"]
    return "\n".join([_HEAD, *lines]) if lines else ""


def _test(name: str, kind: Type) -> str:
    """Return the condition under which a value is not yet what was declared; empty where that cannot be."""
    kind = _needy_part(kind)
    if not _needs(kind):
        return ""
    if not isinstance(kind, Many):
        return f"isinstance({name}, str)"
    if kind.path in known.MAPPINGS:
        tests = [
            f"isinstance({part}, str)"
            for part, item in zip(("key", "item"), kind.items, strict=False)
            if _needs(item)
        ]
        found = " or ".join(tests) or "False"
        return f"isinstance({name}, dict) and any({found} for key, item in {name}.items())"
    if kind.path == "builtins.list":
        return f"isinstance({name}, list) and any(isinstance(item, str) for item in {name})"
    return f"isinstance({name}, (str, list))"


def _needy_part(kind: Type) -> Type:
    """Return a type without constraints, and without the None that makes it optional."""
    kind = without_bounds(kind)
    if isinstance(kind, OneOf):
        others = [part for part in kind.types if part != NOTHING]
        return without_bounds(others[0]) if len(others) == 1 else kind
    return kind


def _needs(kind: Type) -> bool:
    match kind:
        case Members():
            return True
        case Plain(path=path):
            return path not in _PASSED
        case Bounded(inner=inner):
            return _needs(inner)
        case OneOf(types=types):
            return all(_needs(part) or part == NOTHING for part in types)
        case Many(path=path, items=items):
            return path not in ("builtins.list", "builtins.dict") or any(_needs(item) for item in items)
    return False


def _written(parameter: Parameter, kind: Type, names: set[str]) -> str | None:
    """Return the type as the cell can name it: as declared, unless a parameter has taken such a name."""
    tree = written_type(parameter.annotation)
    words = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} if tree is not None else set()
    return _spelled(kind) if words & names else type_source(parameter.annotation)


def type_source(annotation: str) -> str:
    """Return the source of a type in one line, and not as text where it was written so."""
    tree = written_type(annotation)
    if tree is None:
        return repr(annotation)
    alone = parse(annotation)  # not a text, nor of several lines or statements
    plain = alone is not None and len(alone.body) == 1 and not {"\n", "#"} & set(annotation)
    quoted = isinstance(parse_expression(annotation), ast.Constant)
    return annotation if plain and not quoted else ast.unparse(tree)


def _spelled(kind: Type) -> str | None:
    """Return a type spelled out with no name that the notebook could have bound."""
    if isinstance(kind, Plain):
        module, _, name = kind.path.rpartition(".")
        return name if module == "builtins" else f"{imported(module)}.{name}"
    if isinstance(kind, OneOf):
        texts = [_spelled(part) for part in kind.types]
        return None if None in texts else " | ".join(text for text in texts if text is not None)
    return None
