"""Secret values on their way: into the kernel without a trace, out of everything that is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secret parameters of one run; shows nothing of them."""

    source: str = field(default="", repr=False)  #: statements that bind them in the kernel
    hidden: tuple[str, ...] = field(default=(), repr=False)  #: texts that nothing which is kept may hold

    def __bool__(self) -> bool:
        return bool(self.source)


#: type of a kernel's message -> what of its content a flow says; the rest is the protocol's own words
_SAID = {
    "stream": ("text",),
    "error": ("ename", "evalue", "traceback"),
    "display_data": ("data", "metadata"),
    "update_display_data": ("data", "metadata"),
    "execute_result": ("data", "metadata"),
    "comm_open": ("data",),
    "comm_msg": ("data",),
}


def redacted_message(redacted: Callable[[Any], Any], kind: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a kernel's message of that type with what the flow says in it redacted.

    A secret may be a word of the protocol, such as `idle` or `stdout`: those stay.
    """
    said = dict(content)
    for key in said.keys() & _SAID.get(kind, ()):
        value = said[key]
        if not isinstance(value, dict):
            said[key] = redacted(value)
        elif kind.startswith("comm_"):
            said[key] = {name: item if name == "method" else redacted(item) for name, item in value.items()}
        else:  # the names of MIME types, and under them the flow's own data
            said[key] = {name: _with_keys(redacted, item) for name, item in value.items()}
    return said


def _with_keys(redacted: Callable[[Any], Any], value: Any) -> Any:
    if isinstance(value, dict):
        return {redacted(key): _with_keys(redacted, item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_keys(redacted, item) for item in value]
    return redacted(value)


def redactor(secrets: Iterable[str]) -> Callable[[T], T]:
    """Return a function that replaces the secrets by `***` in all texts of JSON-like data, not in its keys.

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
