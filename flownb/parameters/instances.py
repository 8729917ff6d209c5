"""Instances of classes that a flow brings along, told by what their constructor takes."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def arguments(value: object) -> Mapping[str, Any] | None:
    """Return the keywords that make an equal instance of a model, dataclass or named tuple; None of others.

    None, too, where an instance that is made of them is another: it keeps more than it was made of.
    """
    found = _fields(value)
    if found is None:
        return None
    try:
        return found if type(value)(**found) == value else None
    except Exception:  # noqa: BLE001  # a constructor of somebody's class
        return None


def _fields(value: object) -> dict[str, Any] | None:
    pydantic = sys.modules.get("pydantic")
    if pydantic is not None and isinstance(value, pydantic.BaseModel):
        fields = type(value).model_fields
        named = {_alias(field) or name: getattr(value, name) for name, field in fields.items()}
        return {**named, **(value.model_extra or {})}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return dict(value._asdict())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
    return None


def _alias(field: Any) -> str | None:
    alias = field.validation_alias or field.alias
    return alias if isinstance(alias, str) else None


def of_the_notebook(value: object) -> bool:
    """Whether a value is an instance of a class of the notebook, or has such inside."""
    if isinstance(value, dict):
        return any(map(of_the_notebook, value)) or any(map(of_the_notebook, value.values()))
    if type(value) in (list, tuple, set, frozenset):
        return any(map(of_the_notebook, value))  # type: ignore[call-overload]  # seen to be iterable
    return type(value).__module__ == "__main__"
