"""Calling callbacks: what can be one, what it is given, what a failure does."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import sys
import threading
from typing import Any

import pytest

from flownb.callbacks.base import CallbackFailure, call, name_of, normalise, run_all
from flownb.errors import CallbackError

RUN: Any = object()


def takes_nothing() -> str:
    return "nothing"


def takes_run(run: Any) -> tuple[str, Any]:
    return ("run", run)


class Pager:
    def __call__(self, run: Any) -> tuple[str, Any]:
        return ("pager", run)

    def page(self) -> str:
        return "paged"

    @classmethod
    def of_class(cls, run: Any) -> Any:
        return run

    @staticmethod
    def static(run: Any) -> Any:
        return run


class Made:
    def __init__(self, run: Any) -> None:
        self.run = run


def retrying(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def test_none_is_no_callback() -> None:
    assert normalise(None) == ()
    assert normalise([]) == ()


def test_one_and_several_keep_their_order() -> None:
    assert normalise(takes_run) == (takes_run,)
    assert normalise([takes_run, takes_nothing, print]) == (takes_run, takes_nothing, print)
    assert normalise(item for item in (takes_nothing, takes_run)) == (takes_nothing, takes_run)


async def asynchronous(run: Any) -> Any:
    await asyncio.sleep(0)
    return run


def yields(run: Any) -> Any:
    yield run


async def yields_asynchronously(run: Any) -> Any:
    yield run


class YieldsWhenCalled:
    def __call__(self) -> Any:
        yield 1


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("hooks:tell", ["on_exit", "'hooks:tell'", "module:name"]),
        (b"x", ["on_exit"]),
        (7, ["on_exit is 7", "cannot be called"]),
        ([takes_run, None], ["on_exit[1]", "NoneType", "cannot be called"]),
        ([takes_run, "x"], ["on_exit[1]", "'x'", "the function itself"]),
        ({"callback": takes_run}, ["on_exit", "dict"]),
        ({takes_run}, ["set", "no order"]),
        (yields, ["yield", "yields"]),
        (functools.partial(yields), ["yield"]),
        (yields_asynchronously, ["yield"]),
        ([YieldsWhenCalled()], ["on_exit[0]", "yield"]),
        (lambda run, more: None, ["(run, more)", "functools.partial"]),
        (lambda *, run: None, ["(*, run)", "with the Run, or with nothing"]),
    ],
)
def test_what_cannot_be_a_callback_is_named(value: Any, words: list[str]) -> None:
    with pytest.raises(CallbackError) as caught:
        normalise(value, "on_exit")
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_coroutine_in_place_of_its_function_gets_a_hint() -> None:
    coroutine = asynchronous(RUN)
    try:
        with pytest.raises(CallbackError, match=r"without `\(\)`"):
            normalise([coroutine])
    finally:
        coroutine.close()


@pytest.mark.parametrize(
    ("callback", "result"),
    [
        (takes_nothing, "nothing"),
        (takes_run, ("run", RUN)),
        (lambda: 1, 1),
        (lambda run=None: run, RUN),
        (lambda *runs: runs, (RUN,)),
        (lambda **options: options, {}),
        (lambda run, /: run, RUN),
        (functools.partial(takes_run), ("run", RUN)),
        (functools.partial(takes_run, "given"), ("run", "given")),
        (functools.partial(takes_run, run="given"), ("run", "given")),
        (functools.partial(lambda level, run: (level, run), "high"), ("high", RUN)),
        (Pager(), ("pager", RUN)),
        (Pager().page, "paged"),
        (Pager.of_class, RUN),
        (Pager.static, RUN),
        (retrying(takes_nothing), "nothing"),
        (retrying(takes_run), ("run", RUN)),
        pytest.param(id, id(RUN), id="builtin"),
        (dict, {}),
        (threading.Event().set, None),
        (asynchronous, RUN),
        (functools.partial(asynchronous, 5), 5),
        (lambda run: asynchronous((run, 1)), (RUN, 1)),
    ],
)
def test_a_callback_gets_the_run_if_it_takes_one(callback: Any, result: Any) -> None:
    if callback is dict:
        with pytest.raises(TypeError):  # tells no signature, so it gets the Run, which is no mapping
            call(normalise(callback)[0], RUN)
        return
    assert call(normalise(callback)[0], RUN) == result


def test_a_class_is_called_as_any_callable() -> None:
    made = call(Made, RUN)
    assert isinstance(made, Made)
    assert made.run is RUN


def test_a_decorator_that_hides_the_argument_is_called_as_it_can_be() -> None:
    @functools.wraps(takes_nothing)
    def wants_run(run: Any) -> Any:
        return run

    assert call(wants_run, RUN) is RUN


def test_builtin_methods_get_the_run() -> None:
    seen: list[Any] = []
    call(seen.append, RUN)
    assert seen == [RUN]


def test_a_callbacks_exception_passes_through_call() -> None:
    with pytest.raises(ZeroDivisionError):
        call(lambda: 1 / 0, RUN)


def test_async_callbacks_run_to_their_end_without_a_loop_and_leave_none_behind() -> None:
    steps: list[str] = []

    async def slow(run: Any) -> str:
        steps.append("begun")
        await asyncio.sleep(0.01)
        steps.append("ended")
        return "done"

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        assert call(slow, RUN) == "done"
        assert asyncio.get_event_loop() is loop  # this thread's own loop is as it was
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    assert steps == ["begun", "ended"]


def test_async_callbacks_run_to_their_end_where_a_loop_is_running() -> None:
    tenant = contextvars.ContextVar("tenant", default="nobody")
    threads: list[str] = []

    async def slow(run: Any) -> tuple[Any, str]:
        await asyncio.sleep(0.01)
        threads.append(threading.current_thread().name)
        return run, tenant.get()

    async def main() -> object:
        tenant.set("us")
        return call(slow, RUN)

    assert asyncio.run(main()) == (RUN, "us")
    assert threads == ["flownb-callback"]
    assert not [thread for thread in threading.enumerate() if thread.name == "flownb-callback"]


def test_an_async_failure_passes_through_where_a_loop_is_running() -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise LookupError("nowhere")

    async def main() -> list[CallbackFailure]:
        return run_all([fails, takes_nothing], RUN)

    (failure,) = asyncio.run(main())
    assert failure.error == "LookupError: nowhere"


def test_an_async_callback_that_cancels_itself_is_a_failure() -> None:
    async def gives_up() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(1)

    async def main() -> list[CallbackFailure]:
        return run_all([gives_up], RUN)

    for failures in (run_all([gives_up], RUN), asyncio.run(main())):
        assert "cancelled" in failures[0].error


def test_a_future_of_the_running_loop_is_a_failure_and_no_deadlock() -> None:
    async def main() -> list[CallbackFailure]:
        future = asyncio.get_running_loop().create_future()
        return run_all([lambda: future], RUN)

    (failure,) = asyncio.run(main())
    assert "RuntimeError" in failure.error


def test_after_a_failure_the_next_still_runs() -> None:
    seen: list[str] = []

    def broken(run: Any) -> None:
        seen.append("broken")
        raise ValueError("no such channel: é")

    failures = run_all([lambda: seen.append("first"), broken, lambda: seen.append("last")], RUN)
    assert seen == ["first", "broken", "last"]
    (failure,) = failures
    assert failure.error == "ValueError: no such channel: é"
    assert failure.name.endswith("broken")
    assert 'raise ValueError("no such channel: é")' in failure.traceback
    assert "run_all" not in failure.traceback
    assert "callbacks/base.py" not in failure.traceback
    assert str(failure) == f"{failure.name}: ValueError: no such channel: é"


def test_leaving_by_sys_exit_is_a_failure_and_ends_nothing() -> None:
    (failure,) = run_all([lambda: sys.exit(3)], RUN)
    assert failure.error == "SystemExit: 3"


@pytest.mark.parametrize("kind", [GeneratorExit, asyncio.CancelledError, type("Own", (BaseException,), {})])
def test_whatever_a_callback_raises_is_a_failure(kind: type[BaseException]) -> None:
    def leaves() -> None:
        raise kind("why")

    (failure,) = run_all([leaves, takes_nothing], RUN)
    assert failure.error.endswith(f"{kind.__name__}: why")


def test_an_interrupt_passes_through() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_all([interrupted, takes_nothing], RUN)


def test_an_error_whose_text_cannot_be_made_is_recorded() -> None:
    class RudeError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    def broken() -> None:
        raise RudeError

    (failure,) = run_all([broken], RUN)
    assert "Rude" in failure.error


def test_huge_errors_are_cut() -> None:
    def broken() -> None:
        raise ValueError("x" * 1_000_000)

    (failure,) = run_all([broken], RUN)
    assert len(failure.error) <= 4_000
    assert len(failure.traceback) <= 20_010


@pytest.mark.parametrize(
    ("callback", "name"),
    [
        (takes_run, f"{__name__}:takes_run"),
        (print, "print"),
        (Pager(), f"{__name__}:Pager"),
        (Pager, f"{__name__}:Pager"),
        (Pager().page, "Pager.page"),
        (Pager.of_class, "Pager.of_class"),
        (functools.partial(takes_run), f"partial of {__name__}:takes_run"),
        ([].append, "list.append"),
    ],
)
def test_names_are_for_people(callback: Any, name: str) -> None:
    assert name_of(callback) == name


def test_a_lambda_is_named_by_its_line() -> None:
    callback = lambda: None  # noqa: E731
    assert name_of(callback) == f"lambda (line {callback.__code__.co_firstlineno})"


def test_naming_calls_nothing_of_the_callback() -> None:
    class Loud:
        def __call__(self) -> None: ...

        def __repr__(self) -> str:
            raise AssertionError("asked for its repr")

        __str__ = __repr__

    assert name_of(Loud()).endswith("Loud")
