"""Secret values on their way: into the kernel without a trace, out of everything that is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secret parameters of one run; shows nothing of them."""

    source: str = field(default="", repr=False)  #: statements that bind them in the kernel
    hidden: tuple[str, ...] = field(default=(), repr=False)  #: texts that nothing which is kept may hold

    def __bool__(self) -> bool:
        return bool(self.source)


def redactor(secrets: Iterable[str]) -> Callable[[T], T]:
    """Return a function that replaces the secrets by `***` in all texts of JSON-like data.

    Where there are no secrets it returns the data as they are.
    """
    hidden = [secret for secret in secrets if secret]
    if not hidden:
        return lambda value: value
    from flownb.parameters import Redactor

    change = Redactor(hidden)

    def through(value: Any) -> Any:
        if isinstance(value, str):
            return change(value)
        if isinstance(value, dict):
            return type(value)({key: through(item) for key, item in value.items()})
        if isinstance(value, list | tuple):
            return type(value)(through(item) for item in value)
        return value

    return through
