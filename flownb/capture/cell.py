"""A `%%flow` cell read as text: its first line, its parameters, its step. Nothing is run."""

from __future__ import annotations

import ast
import difflib
import re
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flownb.capture.statements import statements_of, without_magics
from flownb.errors import CaptureError, NameRefusedError
from flownb.flow import Parameter, Step, check_name
from flownb.names import PROVIDED, find_names, shows_result, to_python
from flownb.parameters import Leading, split_leading

if TYPE_CHECKING:
    from collections.abc import Container

    from flownb.capture.statements import Statement
    from flownb.names import Names

OPTIONS = {
    "--out": "names of the outputs, with commas between them",
    "--freeze": "names whose values are kept as they are now, with commas between them",
    "--storage": "where the flow is kept; without it, in this notebook",
    "--environment": "named environment (flownb.toml) in which it runs by default",
    "--define": "capture the cell without running it here",
    "--check": "run the flow isolated then, and compare what it gives with what is here",
}
_FLAGS = {"--define", "--check"}

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
    freeze: tuple[str, ...] = ()
    check: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """A `%%flow` cell, read: what will be the step, and where in the cell it begins."""

    header: Header
    source: str  #: the whole cell
    above: int  #: lines above its code: the `%%flow` line, and magics around the code
    leading: Leading
    python: str  #: the step's source as Python, magics transformed
    tree: ast.Module
    names: Names  #: of the step, its parameters and their declarations' reads included
    declared: frozenset[str]  #: names that the parameters' annotations and defaults read
    result: bool  #: the last expression would be shown

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters that the cell declares."""
        return self.leading.parameters

    @property
    def imports(self) -> tuple[Statement, ...]:
        """The imports among the declarations, one for each name: a flow has them before its parameters."""
        return tuple(one for text in self.leading.imports for one in statements_of(text))

    @property
    def given(self) -> frozenset[str]:
        """The outputs that the cell does not bind: it changes them in place, or hands them on as they are."""
        return frozenset(self.header.outputs) - self.names.binds - {p.name for p in self.parameters}

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
            # a cell that only declares is a step all the same, which an engine executes and collects from
            source=self.leading.body if self.leading.body.strip() else "pass",
            outputs=self.header.outputs,
            reads=tuple(sorted((self.names.reads | self.given) - PROVIDED)),
            binds=tuple(sorted(self.names.binds | self.names.mutates | self.names.deletes)),
            result=self.result,
            line=self.leading.body_line + self.above,
        )


def is_flow_cell(source: str) -> bool:
    """Whether a cell begins with a `%%flow` line (blank lines above it do not count)."""
    return begins_flow(source.lstrip())


def begins_flow(line: str) -> bool:
    """Whether a line is a `%%flow` line."""
    return _MAGIC.match(line) is not None


def misplaced(source: str) -> bool:
    """Whether a `%%flow` line stands in a cell, but not as its first line (nor inside a text of the cell)."""
    if is_flow_cell(source):
        return False
    lines = source.strip().split("\n")
    if lines[0].startswith("%%") and without_magics(source)[1] == 0:
        return False  # the text is another magic's: a file to be written, say
    return any(map(begins_flow, lines[1:])) and not _is_python(source)


def _is_python(source: str) -> bool:
    try:
        ast.parse(source)
    except (SyntaxError, ValueError):
        return False
    return True


def read_header(line: str) -> Header:
    """Read what follows `%%flow` on its line. Raises `CaptureError` and `NameRefusedError`."""
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
        if option in _FLAGS:
            value = "yes"
        elif not given and (value := next(rest, "")).startswith("-"):
            value = ""
        if not value:
            raise CaptureError(f"`%%flow`: {option} wants a value: {OPTIONS[option]}")
        if option in values:
            raise CaptureError(f"`%%flow`: {option} is given twice")
        values[option] = value
    flow, step = _the_name(names)
    outputs, frozen = (
        _listed_names(names[0], option, values.get(option, "")) for option in ("--out", "--freeze")
    )
    return Header(
        flow,
        step,
        outputs,
        values.get("--storage"),
        values.get("--environment"),
        "--define" in values,
        frozen,
        "--check" in values,
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
        raise NameRefusedError(
            f"{name[:40]!a} is no flow name: letters, digits, `_`, `-` and single spaces are allowed"
        )
    flow = check_name(flow)
    return flow, check_name(step, "step") if dot else flow


def _listed_names(flow: str, option: str, text: str) -> tuple[str, ...]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if not name.isidentifier():
            what = "the output" if option == "--out" else "what is to be frozen,"
            raise NameRefusedError(
                f"{what} {name!a} is not a Python name; {option} takes names: {option} a,b"
            )
        if names.count(name) > 1:
            what = "the output " if option == "--out" else ""
            raise CaptureError(f"`%%flow {flow}`: {what}`{name}` is named twice in {option}")
    return tuple(names)


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
        header = own if header is None else replace(own, flow=header.flow, step=header.step)
        above = 1
    if header is None:
        raise CaptureError("the cell has no `%%flow NAME` line")
    body, magics = without_magics(body)
    above += magics
    leading = split_leading(body)
    python = to_python(leading.body)
    tree = _parse(python, above + leading.body_line - 1)
    cell = Cell(
        header=header,
        source=source,
        above=above,
        leading=leading,
        python=python,
        tree=tree,
        names=find_names(tree, transform=to_python),
        declared=_declared(leading),
        result=not header.outputs and shows_result(leading.body, tree),
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


def check_outputs(cell: Cell, known: Container[str]) -> None:
    """Raise `CaptureError` for an output that neither the cell nor the notebook (`known`) binds."""
    bound = cell.names.binds
    for name in cell.header.outputs:
        if name not in bound and name not in {p.name for p in cell.parameters} and name not in known:
            near = difflib.get_close_matches(name, sorted(bound), 1)
            hint = f"; did you mean `{near[0]}`?" if near else f"; it binds {_listed(bound)}"
            raise CaptureError(f"{cell.where}: the output `{name}` is not bound by this cell{hint}")


def _check(cell: Cell) -> None:
    bound = cell.names.binds
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
