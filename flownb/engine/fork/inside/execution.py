"""One cell's execution: what ipykernel does for an execute request, less what only its sockets need."""

from __future__ import annotations

import copy
import functools
import inspect
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ipykernel.jsonutil import json_clean

from .streams import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipykernel.ipkernel import IPythonKernel
    from IPython.core.interactiveshell import InteractiveShell

_NOTED = ("output_hist_reprs", "outputs", "exceptions")
"""Where IPython's history notes what came of a cell; the last two since IPython 9."""


async def execute(kernel: IPythonKernel, stream: str, ident: list[bytes], request: dict[str, Any]) -> None:
    """Execute a cell in the kernel's shell and reply to the request."""
    if hasattr(kernel, "_associate_new_top_level_threads_with"):  # from ipykernel 6.28 to 7.1
        kernel._associate_new_top_level_threads_with(request["header"])  # noqa: SLF001
    content, about = request["content"], request["metadata"]
    about = {"cell_meta": about, "cell_id": about.get("cellId")}
    silent = content.get("silent", False)
    with _transformed_once(kernel.shell, content["code"]):
        reply = await kernel.do_execute(
            content["code"],
            silent,
            content.get("store_history", not silent),
            content.get("user_expressions") or {},
            content.get("allow_stdin", False),
            **{name: value for name, value in about.items() if _takes(kernel.do_execute, name)},
        )
    for flowing in (sys.stdout, sys.stderr):
        # what the flow has put there may hold something, too; its own streams are flushed by any message
        if flowing is not None and not isinstance(flowing, Stream):
            flowing.flush()
    kernel.session.send(stream, "execute_reply", json_clean(reply), request, ident)


@functools.cache
def _takes(function: Callable[..., object], name: str) -> bool:
    """Whether a function has that parameter, or takes any: ipykernel has added some in time."""
    parameters = inspect.signature(function).parameters
    return name in parameters or any(each.kind is each.VAR_KEYWORD for each in parameters.values())


@contextmanager
def _transformed_once(shell: InteractiveShell, cell: str) -> Iterator[None]:
    """Have a cell's source transformed once; ipykernel does it, and then IPython again."""
    transform: Callable[[str], str] = shell.transform_cell
    transformed: list[str] = []

    def once(source: str) -> str:
        if source != cell:  # code that the cell has executed
            return transform(source)
        if not transformed:
            transformed.append(transform(source))
        return transformed[0]

    shell.transform_cell = once  # hides the method
    try:
        yield
    finally:
        if shell.__dict__.get("transform_cell") is once:
            del shell.transform_cell


@contextmanager
def unheard(shell: InteractiveShell) -> Iterator[None]:
    """Have what is executed within leave nothing: no events for callbacks, no results under `_` and `Out`."""
    hook, events, history = shell.displayhook, shell.events, shell.history_manager
    size, hook.cache_size = hook.cache_size, 0
    notes = [getattr(history, name, {}) for name in _NOTED]
    before = [copy.deepcopy(dict(note)) for note in notes]
    events.trigger = lambda *_, **__: None  # hides the method
    try:
        yield
    finally:
        hook.cache_size = size
        del events.trigger
        for note, noted in zip(notes, before, strict=True):
            note.clear()
            note.update(noted)


@contextmanager
def without(module: str) -> Iterator[None]:
    """Have the import of a module fail, as where it is not installed."""
    before = sys.modules.get(module)
    sys.modules[module] = None  # type: ignore[assignment]  # so the import system marks it
    try:
        yield
    finally:
        if before is None:
            del sys.modules[module]
        else:
            sys.modules[module] = before
