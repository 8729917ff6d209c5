"""Makes a program that fails smaller: fewer cells, fewer statements, and less in them."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING

from oracle import is_sound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from program_writer import Statement
    from programs import Program

    Fails = Callable[[Program], bool]


def shrink(program: Program, fails: Fails, *, tries: int = 2000) -> Program:
    """Give a smaller program that still runs, and still fails.

    Args:
        program: one that fails.
        fails: whether a program fails; it is asked only of programs that run, and do not depend on chance.
        tries: how many smaller programs are looked at.
    """
    left = tries
    smaller = True
    while smaller:
        smaller = False
        for candidate in _candidates(program):
            if left <= 0:
                return program
            left -= 1
            if is_sound(candidate) and fails(candidate):
                program, smaller = candidate, True
                break
    return program


def _candidates(program: Program) -> Iterator[Program]:
    """Give smaller programs, the smallest first."""
    cells = program.cells
    size = len(cells)
    while size:
        for start in range(0, len(cells) - size + 1, size):
            yield replace(program, cells=cells[:start] + cells[start + size :])
        size //= 2
    for number in reversed(range(len(cells))):
        for cell in _smaller_cells(cells[number], _without):
            yield replace(program, cells=(*cells[:number], *((cell,) if cell else ()), *cells[number + 1 :]))
    for step in _smaller_cells(program.step, _without):
        yield replace(program, step=step)
    for number in reversed(range(len(cells))):
        for cell in _smaller_cells(cells[number], _simpler):
            yield replace(program, cells=(*cells[:number], cell, *cells[number + 1 :]))
    for step in _smaller_cells(program.step, _simpler):
        yield replace(program, step=step)


def _smaller_cells(
    cell: tuple[Statement, ...], smaller: Callable[[Statement], Iterator[tuple[Statement, ...]]]
) -> Iterator[tuple[Statement, ...]]:
    for place in reversed(range(len(cell))):
        for instead in smaller(cell[place]):
            yield (*cell[:place], *instead, *cell[place + 1 :])


def _without(_: Statement) -> Iterator[tuple[Statement, ...]]:
    yield ()


def _simpler(statement: Statement) -> Iterator[tuple[Statement, ...]]:
    """Give a statement with one part less: a statement in it, a decorator, an element of a list."""
    count = sum(1 for _ in _lists(ast.parse(statement.text)))
    for number in range(count):
        length = len(_nth(ast.parse(statement.text), number))
        for place in range(length):
            tree = ast.parse(statement.text)
            parts = _nth(tree, number)
            del parts[place]
            text = ast.unparse(tree)
            if _parses(text):
                yield (replace(statement, text=text),)
    tree = ast.parse(statement.text)
    if hasattr(tree.body[0], "body") and not isinstance(tree.body[0], ast.FunctionDef | ast.ClassDef):
        yield tuple(replace(statement, text=ast.unparse(inner)) for inner in tree.body[0].body)


def _lists(tree: ast.Module) -> Iterator[list[ast.AST]]:
    for node in ast.walk(tree.body[0]):
        for name in ("body", "orelse", "finalbody", "decorator_list", "elts", "bases", "generators"):
            parts = getattr(node, name, None)
            if isinstance(parts, list) and len(parts) > (name in ("body", "generators")):
                yield parts


def _nth(tree: ast.Module, number: int) -> list[ast.AST]:
    return next(parts for place, parts in enumerate(_lists(tree)) if place == number)


def _parses(text: str) -> bool:
    try:
        compile(text, "<smaller>", "exec")
    except SyntaxError:
        return False
    return True
