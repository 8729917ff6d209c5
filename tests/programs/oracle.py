"""Says whether the step of a program sees in a slice what it saw in the kernel.

A slicer is a function of the sources of the cells, in the order in which they were executed, and of the
source of the step; it gives a source that, executed before the step in a fresh namespace, is to do.
"""

from __future__ import annotations

import ast
import dis
import functools
import traceback
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plain_data import Plain, PlainData
from program_runs import TooLongError, compiled, fresh, importable, limited

if TYPE_CHECKING:
    from program_writer import Statement
    from programs import Program

Slicer = Callable[[list[str], str], str]

_LIVE, _SLICED = 1, 2  #: other entropy: what depends on it without a seed is no program
_READING = {"LOAD_NAME", "LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS", "DELETE_NAME", "DELETE_GLOBAL"}
_MISSING = ("missing",)


@dataclass(frozen=True)
class Verdict:
    """What a slicer has made of a program."""

    failure: str | None  #: what is wrong, None if all is well
    slice: str | None = None  #: None if the slicer raised
    kept: int = 0  #: statements of the slice
    executed: int = 0  #: statements of all cells

    @property
    def good(self) -> bool:
        """Whether the step sees the same."""
        return self.failure is None


class LiveError(Exception):
    """A program raises by itself, or takes too long: it tells nothing about a slicer."""


def check(program: Program, slicer: Slicer) -> Verdict:
    """Compare what the step of a program sees after a slicer's slice with what it sees after all cells.

    Raises:
        LiveError: the program raises by itself.
    """
    executed, step = program.executed, program.step_source
    live = run_live(program)
    try:
        with importable():
            text = slicer(list(executed), step)
        kept = len(ast.parse(text).body)
    except Exception:
        return Verdict(f"the slicer raised\n{traceback.format_exc()}")
    total = len(program.statements)
    try:
        sliced = _run([text], step, _SLICED)
    except (Exception, TooLongError) as error:
        return Verdict(f"the slice raises {type(error).__name__}: {error}", text, kept, total)
    wrong = [name for name in live if live[name] != sliced[name]]
    failure = "\n".join(f"{name}: {_difference(live[name], sliced[name])}" for name in wrong)
    return Verdict(failure or None, text, kept, total)


def run_live(program: Program) -> dict[str, Plain]:
    """Tell as plain data what the step of a program sees after all cells.

    Raises:
        LiveError: the program raises.
    """
    try:
        # one by one, as a kernel does
        return _run([statement.text for statement in program.statements], program.step_source, _LIVE)
    except (Exception, TooLongError) as error:
        raise LiveError(f"{type(error).__name__}: {error}") from error


def smallest_slice(program: Program) -> list[Statement]:
    """Give statements that do for the step, and none of which can be left out: no slicer has to keep more.

    Raises:
        LiveError: the program raises by itself.
    """
    live, step = run_live(program), program.step_source
    statements = list(program.statements)
    for place in reversed(range(len(statements))):  # what uses a thing is left out before what makes it
        less = statements[:place] + statements[place + 1 :]
        if _sees_same(less, step, live):
            statements = less
    return statements


def _sees_same(statements: Sequence[Statement], step: str, live: dict[str, Plain]) -> bool:
    try:
        return _run([statement.text for statement in statements], step, _SLICED) == live
    except (Exception, TooLongError):
        return False


def is_sound(program: Program) -> bool:
    """Say whether a program runs, and gives the same when it runs again."""
    try:
        live = run_live(program)
    except LiveError:
        return False
    return live["result"] != _MISSING and _sees_same(program.statements, program.step_source, live)


def _run(sources: Sequence[str], step: str, entropy: int) -> dict[str, Plain]:
    with fresh(entropy) as namespace, limited(1.0):
        for source in (*sources, step):
            exec(compiled(source), namespace)
        told = PlainData()
        names = ("result", *reads(step))
        return {name: told(namespace[name]) if name in namespace else _MISSING for name in names}


@functools.lru_cache(maxsize=256)
def reads(source: str) -> tuple[str, ...]:
    """Give the global names that a source reads, also those that it reads only to bind or to delete them."""
    return tuple(dict.fromkeys(_read(compiled(ast.unparse(_Decided().visit(ast.parse(source)))))))


class _Decided(ast.NodeTransformer):
    """Leaves out what is never evaluated: `2 or a`."""

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        self.generic_visit(node)
        for place, value in enumerate(node.values[:-1]):
            if isinstance(value, ast.Constant) and bool(value.value) is isinstance(node.op, ast.Or):
                node.values = node.values[: place + 1]
                break
        return node if len(node.values) > 1 else node.values[0]

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        self.generic_visit(node)
        if not isinstance(node.test, ast.Constant):
            return node
        return node.body if node.test.value else node.orelse


def _read(code: types.CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):  # which knows the scopes of every version of Python
        # `x: int = 1` adds to `__annotations__`, whatever that is
        if instruction.opname in _READING and instruction.argval != "__annotations__":
            yield instruction.argval
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _read(inner)


def _difference(live: Plain, sliced: Plain) -> str:
    """Tell the first place where the two are not the same."""
    while isinstance(live, tuple) and isinstance(sliced, tuple) and len(live) == len(sliced):
        inner = [(one, other) for one, other in zip(live, sliced, strict=True) if one != other]
        if len(inner) != 1 or not isinstance(inner[0][0], tuple):
            break
        live, sliced = inner[0]
    return f"{_short(live)} in the kernel, {_short(sliced)} in the slice"


def _short(plain: Plain) -> str:
    text = repr(plain)
    return text if len(text) < 200 else f"{text[:200]}..."
