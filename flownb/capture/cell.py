"""A `%%flow` cell read as text: its first line, its parameters, its step. Nothing is run."""

from __future__ import annotations

import ast
import difflib
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flownb.errors import CaptureError, NameRefused
from flownb.flow import Parameter, Step, check_name
from flownb.names import PROVIDED, find_names, to_python
from flownb.parameters import Leading, split_leading

if TYPE_CHECKING:
    from flownb.names import Names

OPTIONS = {
    "--out": "names of the outputs, with commas between them",
    "--storage": "where the flow is kept; without it, in this notebook",
    "--environment": "named environment (flownb.toml) in which it runs by default",
    "--define": "capture the cell without running it here",
}

#: cell magics whose body is code of the notebook
_AROUND_CODE = (["time"], ["timeit"], ["capture"], ["prun"])

_MAGIC = re.compile(r"%%(?:flow|flownb)(?=\s|$)")


@dataclass(frozen=True, slots=True)
class Header:
    """The line `%%flow NAME[.STEP] [options]`, read."""

    flow: str
    step: str
    outputs: tuple[str, ...] = ()
    storage: str | None = None
    environment: str | None = None
    define: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """A `%%flow` cell, read: what will be the step, and where in the cell it begins."""

    header: Header
    source: str  #: the whole cell
    leading: Leading
    python: str  #: the step's source as Python, magics transformed
    names: Names  #: of the step, its parameters and their declarations' reads included
    declared: frozenset[str]  #: names that the parameters' annotations and defaults read
    result: bool  #: the last expression would be shown

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters that the cell declares."""
        return self.leading.parameters

    @property
    def where(self) -> str:
        """The cell, for messages."""
        return (
            f"`%%flow {self.header.flow}`"
            if self.header.step == self.header.flow
            else (f"`%%flow {self.header.flow}.{self.header.step}`")
        )

    @property
    def step(self) -> Step:
        """The step that this cell is."""
        return Step(
            name=self.header.step,
            source=self.leading.body,
            outputs=self.header.outputs,
            reads=tuple(sorted(self.names.reads - PROVIDED)),
            binds=tuple(sorted(self.names.binds | self.names.mutates | self.names.deletes)),
            result=self.result,
            line=self.leading.body_line + (1 if is_flow_cell(self.source) else 0),
        )


def is_flow_cell(source: str) -> bool:
    """Whether a cell begins with a `%%flow` line (blank lines above it do not count)."""
    return _MAGIC.match(source.lstrip()) is not None


def misplaced(source: str) -> bool:
    """Whether a `%%flow` line stands in a cell, but not as its first line (nor inside a text of the cell)."""
    if is_flow_cell(source):
        return False
    lines = source.strip().split("\n")
    if lines[0].startswith("%%") and lines[0][2:].split(maxsplit=1)[:1] not in _AROUND_CODE:
        return False  # the text is another magic's: a file to be written, say
    return any(_MAGIC.match(line) for line in lines[1:]) and not _is_python(source)


def _is_python(source: str) -> bool:
    try:
        ast.parse(source)
    except (SyntaxError, ValueError):
        return False
    return True


def read_header(line: str) -> Header:
    """Read what follows `%%flow` on its line. Raises `CaptureError` and `NameRefused`."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError as error:
        raise CaptureError(
            f"`%%flow {line}`: {error}; a name with spaces wants quotes on both sides"
        ) from None
    values: dict[str, str] = {}
    names: list[str] = []
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            names.append(word)
            continue
        option, given, value = word.partition("=")
        if option not in OPTIONS:
            raise CaptureError(_unknown_option(option))
        if option == "--define":
            value = "yes"
        elif not given and (value := next(rest, "")).startswith("-"):
            value = ""
        if not value:
            raise CaptureError(f"`%%flow`: {option} wants a value: {OPTIONS[option]}")
        if option in values:
            raise CaptureError(f"`%%flow`: {option} is given twice")
        values[option] = value
    flow, step = _the_name(names)
    outputs = tuple(_output(name) for name in values.get("--out", "").split(",") if name.strip())
    if twice := sorted({name for name in outputs if outputs.count(name) > 1}):
        raise CaptureError(f"`%%flow {names[0]}`: the output `{twice[0]}` is named twice in --out")
    return Header(
        flow, step, outputs, values.get("--storage"), values.get("--environment"), "--define" in values
    )


def _unknown_option(option: str) -> str:
    near = difflib.get_close_matches(option, OPTIONS, 1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(OPTIONS)}"
    return f"`%%flow` has no option {option}; {hint}"


def _the_name(names: list[str]) -> tuple[str, str]:
    if len(names) != 1:
        if not names:
            raise CaptureError(
                "`%%flow` wants a name: `%%flow sales`, or `%%flow sales.load` for one of several steps"
            )
        raise CaptureError(
            f"`%%flow` takes one name, and got {len(names)}: {' '.join(names)!a}; "
            "a name with spaces wants quotes, several outputs commas without spaces (--out a,b)"
        )
    return split_name(names[0])


def split_name(name: str) -> tuple[str, str]:
    """Return flow and step of `FLOW[.STEP]`; a flow of one unnamed step names it like itself."""
    flow, dot, step = name.partition(".")
    if not flow and dot:
        raise NameRefused(
            f"{name[:40]!a} is no flow name: letters, digits, `_`, `-` and single spaces are allowed"
        )
    flow = check_name(flow)
    return flow, check_name(step, "step") if dot else flow


def _output(name: str) -> str:
    name = name.strip()
    if not name.isidentifier():
        raise NameRefused(f"the output {name!a} is not a Python name; --out takes names that the cell binds")
    return name


def split_cell(source: str) -> tuple[str, str]:
    """Return what follows `%%flow` on its line, and the cell below that line."""
    first, _, body = source.lstrip("\n").partition("\n")
    return _MAGIC.sub("", first.strip(), count=1).strip(), body


def read_cell(source: str, header: Header | None = None) -> Cell:
    """Read a `%%flow` cell, or any cell where the header is given.

    Raises `CaptureError` for what cannot be a step, and `SyntaxError` as Python itself would, with the
    line as it is in the cell.
    """
    body = source
    above = 0
    if is_flow_cell(source):
        line, body = split_cell(source)
        own = read_header(line)
        header = (
            own
            if header is None
            else Header(
                header.flow,
                header.step,
                header.outputs or own.outputs,
                own.storage,
                own.environment,
                own.define,
            )
        )
        above = 1
    if header is None:
        raise CaptureError("the cell has no `%%flow NAME` line")
    leading = split_leading(body)
    python = to_python(leading.body)
    tree = _parse(python, above + leading.body_line - 1)
    cell = Cell(
        header=header,
        source=source,
        leading=leading,
        python=python,
        names=find_names(tree, transform=to_python),
        declared=_declared(leading),
        result=not header.outputs and _shows_result(leading.body, tree),
    )
    _check(cell)
    return cell


def _parse(python: str, above: int) -> ast.Module:
    try:
        return ast.parse(python)
    except SyntaxError as error:
        if error.lineno is not None:
            error.lineno += above
            if error.end_lineno is not None:
                error.end_lineno += above
        raise
    except ValueError as error:  # a NUL, or half of a character
        raise CaptureError(f"the cell is not text that Python reads: {error}") from error


def _declared(leading: Leading) -> frozenset[str]:
    names: frozenset[str] = frozenset()
    for parameter in leading.parameters:
        text = f"_: {parameter.annotation or 'object'} = {parameter.default or 'None'}"
        names |= find_names(text).reads
    return names - PROVIDED - {parameter.name for parameter in leading.parameters}


def _shows_result(body: str, tree: ast.Module) -> bool:
    if not tree.body or not isinstance(last := tree.body[-1], ast.Expr):
        return False
    if body.rstrip().endswith(";") or isinstance(last.value, ast.Constant):
        return False
    # A magic's or shell line's value is None, like that of the calls that only show something.
    called = last.value.func if isinstance(last.value, ast.Call) else None
    if isinstance(called, ast.Name):
        return called.id not in ("print", "display")
    return not (isinstance(called, ast.Attribute) and ast.unparse(called.value) == "get_ipython()")


def _check(cell: Cell) -> None:
    bound = cell.names.binds
    for name in cell.header.outputs:
        if name not in bound and name not in {p.name for p in cell.parameters}:
            near = difflib.get_close_matches(name, sorted(bound), 1)
            hint = f"; did you mean `{near[0]}`?" if near else f"; it binds {_listed(bound)}"
            raise CaptureError(f"{cell.where}: the output `{name}` is not bound by this cell{hint}")
    names = [parameter.name for parameter in cell.parameters]
    if rebound := sorted(bound.intersection(names)):
        raise CaptureError(
            f"{cell.where}: the parameter `{rebound[0]}` is bound again by the cell that declares it, so a "
            "value given to a run would be lost; bind another name"
        )
    if not cell.leading.body.strip() and not cell.parameters:
        raise CaptureError(f"{cell.where}: the cell is empty; write the step below the `%%flow` line")


def _listed(names: frozenset[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names)[:8]) or "nothing"
