"""The cell behind a document's parameters: it makes of what was given what was declared.

The cell that is tagged `parameters` comes before the values of a run, whoever puts them in. What depends on
them stands in this one: pydantic's judgement of types that only the notebook knows, and the defaults that
read other parameters. A default that is held back is `...` in the cell above, which says that nothing was
given.
"""

from __future__ import annotations

import ast
import functools
import importlib.resources
import re
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from flownb.parameters.context import context_of_flow, declaring_cells
from flownb.parameters.derived import derived, replayed
from flownb.parameters.description import expected, type_of
from flownb.parameters.lines import parse, span, tidy
from flownb.parameters.outside import coercion_source, type_source
from flownb.parameters.secret import is_secret
from flownb.parameters.types import Unknown, is_open

if TYPE_CHECKING:
    from collections.abc import Collection

    from flownb.flow import Flow, Parameter

HELD = "..."
_JUDGED = "# What is given is held to what is declared, here where the types of the notebook are known."
_FOR_TOOLS = re.compile(r"  # (?:noqa|type:).*")
_LEFT_OUT = ("__future__", "flownb.parameters.readings")
_DEFAULTS = "# Defaults of what was not given."


class Settling:
    """What settles the parameters of one flow."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._context = context_of_flow(flow)
        self._kinds = {p.name: type_of(p, self._context) for p in flow.parameters if p.annotation}

    @cached_property
    def judged(self) -> frozenset[str]:
        """The names of the parameters that the run's own process judges."""
        return frozenset(name for name, kind in self._kinds.items() if is_open(kind))

    @cached_property
    def held(self) -> frozenset[str]:
        """The names of the parameters whose defaults are made behind the values of a run."""
        if self._flow.notebook is not None:
            return frozenset()
        names = derived(self._flow) | self.judged
        return frozenset(p.name for p in self._flow.parameters if p.name in names and not p.required)

    @property
    def source(self) -> str:
        """The cell behind the parameters' cell of a document; empty where it needs none.

        It costs nothing where the values are of types that were judged before the run.
        """
        coercion = coercion_source(self._flow, self._context)
        lines = [*([coercion] if coercion else ()), *self._judging(self.judged)]
        lines += [_DEFAULTS] if self.held else []
        for parameter in self._flow.parameters:
            if parameter.name in self.held:
                lines += [f"if {parameter.name} is {HELD}:", f"    {parameter.name} = {parameter.default}"]
        return "\n".join(lines)

    def source_given(self, given: Collection[str]) -> str:
        """Return the same for a notebook that was taken whole, behind the values of a run; empty for none."""
        *above, cell = declaring_cells(self._flow)
        return "\n".join([*self._judging(self.judged.intersection(given)), *replayed(cell, given, above)])

    def _judging(self, names: Collection[str]) -> list[str]:
        if not names:
            return []
        python = '__import__("builtins")'  # whose names the flow may have bound to something else
        return [
            _JUDGED,
            "__flownb__ = {}",
            f'{python}.exec(r"""{_judge()}""", __flownb__)',
            f'__flownb__["judge"]({self._flow.name!r}, {{',
            *(self._entry(p) for p in self._flow.parameters if p.name in names),
            f"}}, {python}.globals())",
            "del __flownb__",
        ]

    def _entry(self, parameter: Parameter) -> str:
        kind, hidden = self._kinds[parameter.name], is_secret(parameter.annotation, self._context)
        written = type_source(parameter.annotation)
        called = written if isinstance(kind, Unknown) else " ".join(expected(kind).split())
        return f"    {parameter.name!r}: (lambda: {written}, {called!r}, {hidden}),"


def with_held(parameters: tuple[Parameter, ...], source: str) -> tuple[Parameter, ...]:
    """Return the parameters of a document with the defaults that the cell behind them holds."""
    found = dict(_held_defaults(source))
    return tuple(
        replace(p, default=found[p.name]) if p.default == HELD and p.name in found else p for p in parameters
    )


def _held_defaults(source: str) -> list[tuple[str, str]]:
    tree = parse(source)
    found = []
    for node in tree.body if tree is not None else ():
        match node:
            case ast.If(
                test=ast.Compare(
                    left=ast.Name(id=name), ops=[ast.Is()], comparators=[ast.Constant(value=end)]
                ),
                body=[ast.Assign(targets=[ast.Name(id=bound) as target]) as statement],
            ) if end is ... and name == bound:
                equals = source.index("=", span(source, target)[1])
                found.append((name, tidy(source[equals + 1 : span(source, statement)[1]])))
    return found


@functools.cache
def _judge() -> str:
    """Return the source of `judge` and of what it needs, as a kernel may lack flownb."""
    folder = importlib.resources.files("flownb.parameters")
    parts = [_bare((folder / f"{name}.py").read_text(encoding="utf-8")) for name in ("readings", "judging")]
    return "\n".join(["from __future__ import annotations", *parts])


def _bare(source: str) -> str:
    """Return a module's source without its docstrings, what it imports from flownb, and blank lines."""
    lines, tree = source.split("\n"), ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            _blank(lines, node.body[0])
            if len(node.body) == 1:
                lines[node.body[0].lineno - 1] = " " * node.body[0].col_offset + "..."
        elif isinstance(node, ast.ImportFrom) and node.module in _LEFT_OUT:
            _blank(lines, node)
    return "\n".join(_FOR_TOOLS.sub("", line) for line in lines if line.strip() and line[0] != "#")


def _blank(lines: list[str], node: ast.stmt) -> None:
    for row in range(node.lineno - 1, node.end_lineno or node.lineno):
        lines[row] = ""
