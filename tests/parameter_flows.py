"""Flows made of one cell's declarations, as capture would make them, for the tests of parameters."""

from __future__ import annotations

import ast
import sys
from dataclasses import replace
from types import ModuleType
from typing import Any

from flownb.flow import Carried, Flow, How, Parameter, Step
from flownb.names import find_names
from flownb.parameters import split_leading, validate

IMPORTS = """\
import collections, datetime, decimal, fractions, ipaddress, pathlib, re, typing, uuid
import datetime as dt
import pydantic
import typing as t
from collections import Counter, OrderedDict, deque
from collections.abc import Mapping, Sequence
from datetime import date, datetime as DateTime, time, timedelta
from decimal import Decimal
from enum import Enum, Flag, IntEnum, IntFlag, StrEnum, auto
from fractions import Fraction
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any, Dict, Final, List, Literal, NewType, Optional, Tuple, Union
from uuid import UUID
from annotated_types import Ge, Interval, Len
from pydantic import Field, PositiveInt, conint, conlist, constr
from flownb import Secret
"""

DEFINITIONS = """\
class Color(Enum):
    RED = "red"
    DARK_BLUE = "dark blue"

class Size(IntEnum):
    SMALL = 1
    LARGE = 2

class Kind(StrEnum):
    A = auto()
    B = auto()

class Mixed(str, Enum):
    X = "x"
    Y = "y"

class Access(Flag):
    READ = 1
    WRITE = 1 << 1
    BOTH = READ | WRITE

class Point:
    x: int

Region = Literal["EU", "US"]
LIMIT = 10
UserId = NewType("UserId", int)
"""


def entries(source: str) -> tuple[Carried, ...]:
    """The statements of some source as what a closure carries."""
    found = []
    for node in ast.parse(source).body:
        text = "\n".join(source.splitlines()[_first_line(node) - 1 : node.end_lineno])
        how: How = "import" if isinstance(node, ast.Import | ast.ImportFrom) else "definition"
        match node:
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                binds = tuple((alias.asname or alias.name).split(".")[0] for alias in names)
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                binds = (name,)
            case ast.Assign(targets=[ast.Name(id=name)]):
                binds, how = (name,), "statements"
            case _:
                names = find_names(node)
                binds, how = tuple(sorted(names.binds | names.mutates)), "statements"
        reads = tuple(sorted(find_names(node).reads))
        found.append(Carried(binds[0], how, text, binds=binds, reads=reads))
    return tuple(found)


def _first_line(node: ast.stmt) -> int:
    return min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))])


def flow_of(
    cell: str, *, imports: str = IMPORTS, definitions: str = DEFINITIONS, name: str = "sales"
) -> Flow:
    """A flow whose parameters are what the cell declares."""
    return Flow(name, parameters=split_leading(cell).parameters, closure=entries(imports + definitions))


def executed(flow: Flow, given: dict[str, Any], *, text: bool = False) -> dict[str, Any]:
    """What the cells of a run's notebook bind, executed one after the other as a kernel does it."""
    from flownb.environments.plan import Plan

    plan = Plan(flow, validate(flow, given, text=text))
    main, before = ModuleType("__main__"), sys.modules["__main__"]
    sys.modules["__main__"] = main
    try:
        for cell in plan.notebook.cells:
            if cell.cell_type == "code":
                code = compile(cell.source, cell.get("id", "cell"), "exec", dont_inherit=True)
                exec(code, main.__dict__)
            if cell.id == "injected-parameters":
                exec(plan.secrets.source, main.__dict__)
    finally:
        sys.modules["__main__"] = before
    return main.__dict__


def running(cell: str, *, imports: str = IMPORTS, definitions: str = DEFINITIONS) -> Flow:
    """A flow whose result is the dict of the parameters that the cell declares."""
    flow = flow_of(cell, imports=imports, definitions=definitions)
    result = "{" + ", ".join(f"{p.name!r}: {p.name}" for p in flow.parameters) + "}"
    return replace(flow, steps=(Step("show", result, result=True),))


def flow_with(*parameters: Parameter, **more: Any) -> Flow:
    """A flow with these parameters and nothing else."""
    return Flow(more.pop("name", "sales"), parameters=parameters, **more)
