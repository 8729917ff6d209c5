"""Who asks for runs: recorded with each of them, and said by whoever stands between a person and the run."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ASKED_BY: ContextVar[str] = ContextVar("flownb_asked_by", default="python")


@contextmanager
def asked_by(who: str) -> Iterator[None]:
    """Have the runs that begin inside the block recorded as asked for by `who`, such as "command line"."""
    token = _ASKED_BY.set(who)
    try:
        yield
    finally:
        _ASKED_BY.reset(token)


def who_asks() -> str:
    """Return who asks for the runs that begin here."""
    return _ASKED_BY.get()
