"""Parameters of flows: declared in cells, checked before a run, written into documents.

    from flownb.parameters import describe, render_assignments, split_leading, validate

Names are handed on when they are first used: capturing a cell reads declarations, and nothing else of this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flownb.parameters.assignments import (
        check_identifier,
        names_at_hand,
        render_assignments,
        render_secrets,
        retold,
        secret_names,
    )
    from flownb.parameters.coerce import Text, as_written
    from flownb.parameters.context import Context, bindings, context_of, context_of_flow
    from flownb.parameters.declare import Leading, declarations, split_leading
    from flownb.parameters.derived import check_defaults
    from flownb.parameters.description import ParameterInfo, describe
    from flownb.parameters.expressions import PLAIN_NAMES, render
    from flownb.parameters.files import parse_assignment, read_file
    from flownb.parameters.judging import EXACT
    from flownb.parameters.outside import coercion_source
    from flownb.parameters.recorded import json_value, read_value, recorded_value, typed
    from flownb.parameters.secret import Redactor, Secret, is_secret, redact
    from flownb.parameters.settling import Settling, with_held
    from flownb.parameters.sources import Assignments
    from flownb.parameters.validation import Validator, validate

__all__ = [
    "EXACT",
    "PLAIN_NAMES",
    "Assignments",
    "Context",
    "Leading",
    "ParameterInfo",
    "Redactor",
    "Secret",
    "Settling",
    "Text",
    "Validator",
    "as_written",
    "bindings",
    "check_defaults",
    "check_identifier",
    "coercion_source",
    "context_of",
    "context_of_flow",
    "declarations",
    "describe",
    "is_secret",
    "json_value",
    "names_at_hand",
    "parse_assignment",
    "read_file",
    "read_value",
    "recorded_value",
    "redact",
    "render",
    "render_assignments",
    "render_secrets",
    "retold",
    "secret_names",
    "split_leading",
    "typed",
    "validate",
    "with_held",
]

_MODULES = {
    "coerce": ("Text", "as_written"),
    "context": ("Context", "bindings", "context_of", "context_of_flow"),
    "declare": ("Leading", "declarations", "split_leading"),
    "derived": ("check_defaults",),
    "description": ("ParameterInfo", "describe"),
    "expressions": ("PLAIN_NAMES", "render"),
    "files": ("parse_assignment", "read_file"),
    "judging": ("EXACT",),
    "outside": ("coercion_source",),
    "assignments": (
        "check_identifier",
        "names_at_hand",
        "render_assignments",
        "render_secrets",
        "retold",
        "secret_names",
    ),
    "recorded": ("json_value", "read_value", "recorded_value", "typed"),
    "secret": ("Redactor", "Secret", "is_secret", "redact"),
    "settling": ("Settling", "with_held"),
    "sources": ("Assignments",),
    "validation": ("Validator", "validate"),
}
_PLACES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
