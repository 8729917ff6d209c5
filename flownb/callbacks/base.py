"""What a callback is, and how it is called: PIN-12's rules for callables of any kind.

Callbacks run in the process that supervises the run, never in the run's own. So `on_exit` also runs when
the flow was killed, ran out of memory or timed out, and sees the final state.
"""

from __future__ import annotations

import functools
import inspect
import traceback
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flownb.errors import CallbackError, FlownbError

if TYPE_CHECKING:
    from types import TracebackType

    from flownb.runs import Run

    Callback = Callable[[Run], object] | Callable[[], object]
else:
    Callback = Callable[..., object]  # so that annotations can be evaluated without importing the runs

_TEXT_LIMIT = 4_000
_TRACEBACK_LIMIT = 20_000
_NAME_LIMIT = 200


@dataclass(frozen=True, slots=True)
class CallbackFailure:
    """A callback that failed: which, the error in a line or two, and Python's traceback as text."""

    name: str
    error: str
    traceback: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.error}"


class Named:
    """A callback of flownb's own, whose `str()` is a name for people and cheap."""


class Configured(Named):
    """A callback that is made of options: it is stored as its class and `options()`, not by pickling.

    Any other class can have an `options()` too, and is stored in the same way.
    """

    def options(self) -> dict[str, Any]:
        """Return what makes an equal one: keyword arguments of the class, as plain JSON data."""
        raise NotImplementedError

    def __call__(self, run: Run) -> object:
        """Do its work for this run, in the process that supervises it."""
        raise NotImplementedError


def normalise(value: Callback | Iterable[Callback] | None, what: str = "callback") -> tuple[Callback, ...]:
    """Return one callback, several, or none, as a tuple in the order given.

    `what` is how errors call it: `on_start`, `on_exit`. `CallbackError` names what cannot be called, its
    place in the list, and what can be done; also for what could be called but not with a Run or nothing.
    """
    if value is None:
        return ()
    if callable(value):
        return (_checked(value, what),)
    if isinstance(value, str | bytes):
        raise CallbackError(
            f"{what} is the text {_shown(value)}; give a callable, or a list of them "
            "(text as `module:name` is for flownb.toml)"
        )
    if isinstance(value, AbstractSet):
        raise CallbackError(f"{what} is a set, which has no order; give a list of callables")
    if isinstance(value, Mapping) or not isinstance(value, Iterable):
        raise CallbackError(_cannot_be_called(value, what))
    return tuple(_checked(item, f"{what}[{place}]") for place, item in enumerate(value))


def call(callback: Callback, run: Run) -> object:
    """Call one callback in this thread and return what it returns; its own exception passes through.

    It gets the Run if it takes a positional argument (some builtins do not tell: those get it too). What
    can be awaited is run to its end, on an event loop of its own: also when a loop is running in this
    thread, which waits meanwhile.
    """
    function: Callable[..., object] = callback
    result = function(run) if takes_run(callback) else function()
    if inspect.isawaitable(result):
        from flownb.callbacks.awaiting import finish

        return finish(result)
    return result


def run_all(callbacks: Iterable[Callback], run: Run) -> list[CallbackFailure]:
    """Call each in order, in this process, and return the failures: after one the next still runs.

    Whatever is raised is a failure, `sys.exit()` in a callback among it: it does not end the process that
    supervises the run. `KeyboardInterrupt` alone passes through.
    """
    return [failure for callback in callbacks if (failure := _attempt(callback, run)) is not None]


def takes_run(callback: Callback) -> bool:
    """Whether a callback is called with the Run; `CallbackError` where it wants more, or something else.

    A function under `functools.wraps` decorators is asked together with the decorated one: a wrapper
    that takes anything says nothing of what it calls.
    """
    signatures = _signatures(callback)
    if not signatures:
        return True
    for asked in (signatures, signatures[:1]):
        for arguments in ((callback,), ()):
            if all(_binds(signature, arguments) for signature in asked):
                return bool(arguments)
    raise CallbackError(
        f"{name_of(callback)} takes {signatures[0]}; a callback is called with the Run, or with nothing. "
        "functools.partial can give it the rest"
    )


def name_of(callback: Callback) -> str:
    """Return a name for people: `hooks:tell_team`, `lambda (line 3)`, `notify(https://example.org)`.

    Never calls code of the callback's own, and never shows a literal address's path, password or token.
    """
    return _name(callback)[:_NAME_LIMIT]


def _name(callback: object) -> str:
    if isinstance(callback, Named):
        return str(callback)
    if isinstance(callback, functools.partial):
        return f"partial of {_name(callback.func)}"
    if inspect.ismethod(callback):
        owner = callback.__self__ if inspect.isclass(callback.__self__) else type(callback.__self__)
        return f"{owner.__qualname__}.{callback.__name__}"
    if inspect.isfunction(callback) and callback.__name__ == "<lambda>":
        return f"lambda (line {callback.__code__.co_firstlineno})"
    if not (inspect.isroutine(callback) or inspect.isclass(callback)):
        callback = type(callback)
    name = str(getattr(callback, "__qualname__", type(callback).__qualname__))
    module = getattr(callback, "__module__", None)
    return name if module in {None, "__main__", "builtins"} else f"{module}:{name}"


def _attempt(callback: Callback, run: Run) -> CallbackFailure | None:
    try:
        call(callback, run)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever it is, it becomes part of the record
        return CallbackFailure(name_of(callback), _error_text(error), _traceback_text(error))
    return None


def _error_text(error: BaseException) -> str:
    if isinstance(error, FlownbError):
        return str(error)[:_TEXT_LIMIT]
    return "".join(traceback.format_exception_only(error)).strip()[:_TEXT_LIMIT]


def _traceback_text(error: BaseException) -> str:
    text = "".join(traceback.format_exception(type(error), error, _without_own_frames(error.__traceback__)))
    return text if len(text) <= _TRACEBACK_LIMIT else "...\n" + text[-_TRACEBACK_LIMIT:]


def _without_own_frames(trace: TracebackType | None) -> TracebackType | None:
    """Leave out how this module came to call it: the person wants to see their own code."""
    while trace is not None and trace.tb_next is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return trace


def _checked(item: object, what: str) -> Callback:
    if not callable(item):
        raise CallbackError(_cannot_be_called(item, what))
    if _has_yield(item):
        raise CallbackError(
            f"{what}: {name_of(item)} has `yield` in it: called as a callback, it would do nothing"
        )
    try:
        takes_run(item)
    except CallbackError as error:
        raise CallbackError(f"{what}: {error}") from None
    return item


def _has_yield(item: object) -> bool:
    candidates = (item, getattr(type(item), "__call__", None))  # noqa: B004 - of the class, whatever it is
    return any(inspect.isgeneratorfunction(body) or inspect.isasyncgenfunction(body) for body in candidates)


def _cannot_be_called(item: object, what: str) -> str:
    hint = "give a function, or any other object that can be called"
    if isinstance(item, str | bytes):
        hint = "give the function itself (text as `module:name` is for flownb.toml)"
    elif inspect.iscoroutine(item):
        hint = "this one was called already: give the async function itself, without `()`"
    return f"{what} is {_shown(item)}, which cannot be called; {hint}"


def _shown(item: object) -> str:
    """Name a wrong value: short plain ones as they are, others by their type (a repr can hold anything)."""
    if isinstance(item, str | bytes | int | float | bool) and type(item).__module__ == "builtins":
        text = ascii(item)
        return text if len(text) <= 60 else text[:57] + "..."
    return f"of type {type(item).__qualname__}"


def _signatures(callback: Callback) -> list[inspect.Signature]:
    """Return the signature of what is called first, then of what it wraps; empty where it is not told."""
    try:
        outer = inspect.signature(callback, follow_wrapped=False)
        inner = inspect.signature(callback)
    except (ValueError, TypeError):
        return []
    return [outer, inner]


def _binds(signature: inspect.Signature, arguments: tuple[object, ...]) -> bool:
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True
