"""Capture from a saved notebook: by the records in its outputs, else from source alone."""

from __future__ import annotations

import ast
import difflib
import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from flownb.capture.assemble import assemble
from flownb.capture.cell import Cell, is_flow_cell, read_cell, read_header, split_cell
from flownb.capture.literals import literal
from flownb.capture.live import import_entries, make_part
from flownb.capture.part import Part, cell_sha, from_record
from flownb.capture.references import References
from flownb.capture.slices import Slicer, Statement
from flownb.capture.sources import Sources
from flownb.document import MIME
from flownb.document.statements import first_line, how_by_syntax
from flownb.errors import CaptureError, FlownbError
from flownb.flow import Carried, Flow
from flownb.names import PROVIDED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from flownb.capture.cell import Header
    from flownb.flow import How


@dataclass(frozen=True)
class SavedNotebook:
    """A notebook as it was read from its file, and the flows in it."""

    cells: Sequence[Mapping[str, Any]]
    what: str  #: names the notebook in errors
    folder: Path | None = None
    document: Flow | None = None  #: the one flow, where the notebook is a flow document itself

    @cached_property
    def headers(self) -> dict[int, Header]:
        """The `%%flow` lines, by the index of their cell. One that cannot be read is left to `problems`."""
        return {index: header for index, header in self._headers() if not isinstance(header, FlownbError)}

    @cached_property
    def problems(self) -> list[str]:
        """What is wrong with `%%flow` lines, so that one of them does not hide the other flows."""
        return [f"cell {i + 1} of {self.what}: {e}" for i, e in self._headers() if isinstance(e, FlownbError)]

    def _headers(self) -> Iterator[tuple[int, Header | FlownbError]]:
        for index, cell in enumerate(self.cells):
            if cell["cell_type"] == "code" and is_flow_cell(cell["source"]):
                try:
                    yield index, read_header(split_cell(cell["source"])[0])
                except FlownbError as error:
                    yield index, error

    @property
    def names(self) -> list[str]:
        """Names of the flows, in the order of their first cells."""
        if self.document is not None:
            return [self.document.name]
        return list(dict.fromkeys(header.flow for header in self.headers.values()))

    def cells_of(self, name: str) -> list[int]:
        """Return the indices of a flow's cells; of several cells of one step the last one counts."""
        steps = {header.step: index for index, header in self.headers.items() if header.flow == name}
        return sorted(steps.values())

    def flow(self, name: str) -> Flow:
        """Return the flow of that name. Raises `CaptureError` or `DocumentError`, naming the cell."""
        if name not in self._flows:
            try:
                self._flows[name] = replace(assemble(name, self.parts(name)), folder=self.folder)
            except FlownbError as error:
                raise type(error)(f"{self.what}: {error}") from error
            except RecursionError as error:
                raise CaptureError(
                    f"{self.what}: a cell that {name} needs is nested too deeply to be read; "
                    "split its longest expression into several"
                ) from error
        return self._flows[name]

    @cached_property
    def _flows(self) -> dict[str, Flow]:
        return {self.document.name: self.document} if self.document is not None else {}

    def parts(self, name: str) -> list[Part]:
        """Return what each cell of a flow gives to it, in the notebook's order."""
        parts: list[Part] = []
        indices = self.cells_of(name)
        for index in indices:
            part = self._recorded(index, name) or self._from_source(index, parts, indices)
            parts.append(part)
        return parts

    def _recorded(self, index: int, name: str) -> Part | None:
        """Return the part in the cell's output, where it is of this very source."""
        cell = self.cells[index]
        for output in reversed(cell.get("outputs", ())):
            record = output.get("data", {}).get(MIME) if isinstance(output, dict) else None
            if isinstance(record, dict):
                part = from_record(record, f"the record in cell {index + 1}")
                if part.source == cell_sha(cell["source"]) and part.flow.name == name:
                    return replace(part, flow=replace(part.flow, folder=self.folder))
        return None

    def _from_source(self, index: int, before: Sequence[Part], indices: Sequence[int]) -> Part:
        cell = self._read(index)
        parameters = {p.name for part in before for p in part.flow.parameters} | {
            p.name for p in cell.parameters
        }
        provided = parameters.union(*(part.gives for part in before))
        hoisted = [entry for text in cell.leading.imports for entry in import_entries(text)]
        provided |= {name for entry in hoisted for name in entry.bound}
        wanted = (cell.names.reads | cell.declared) - provided
        wanted -= {name for name in wanted & PROVIDED if not self._slicer.binds_above(name, index)}
        statements, missing = self._slicer.slice(wanted, index, but=indices, given=provided)
        elsewhere = {name for other in indices if other != index for name in self._read(other).step.binds}
        left = sorted(missing - elsewhere - cell.names.binds - provided - PROVIDED)
        if left and not any(statement.stars for statement in statements):
            known = [name for name in self._slicer.names if name not in left]
            near = difflib.get_close_matches(left[0], known, 1)
            hint = f"did you mean `{near[0]}`? If not, " if near else ""
            raise CaptureError(
                f"{cell.where} reads `{left[0]}`, which no cell of the notebook binds; "
                f"{hint}mend the cell, or run it in a notebook where the name has a value"
            )
        closure = list(_carried(statements, wanted, missing, self.folder))
        if any(entry.how == "definition" for entry in closure):
            closure[:0] = self._features(index)
        part = make_part(cell, (*hoisted, *(e for e in closure if e not in hoisted)), self.folder, None)
        needs = part.flow.requirements
        modules = {**needs.modules, **dict(_local_modules(closure, self.folder))}
        # A module beside the notebook is not installed, whatever else is called like it.
        distributions = {name: v for name, v in needs.distributions.items() if name not in modules}
        return replace(
            part,
            flow=replace(
                part.flow, requirements=replace(needs, modules=modules, distributions=distributions)
            ),
        )

    def _features(self, before: int) -> list[Carried]:
        """Return the `__future__` features that hold in a cell, as an earlier one asked for them."""
        asked = [s.node for s in self._slicer.statements if s.cell < before]
        names = dict.fromkeys(
            alias.name
            for node in asked
            if isinstance(node, ast.ImportFrom) and node.module == "__future__"
            for alias in node.names
        )
        return [
            Carried(
                "__future__", "import", f"from __future__ import {name}", (name,), type="feature of Python"
            )
            for name in names
        ]

    def _read(self, index: int) -> Cell:
        try:
            return read_cell(self.cells[index]["source"])
        except SyntaxError as error:
            raise CaptureError(f"cell {index + 1}, line {error.lineno}: {error.msg}") from error

    @cached_property
    def _slicer(self) -> Slicer:
        slicer = Slicer()
        for index, cell in enumerate(self.cells):
            if cell["cell_type"] == "code":
                slicer.add_cell(index, cell["source"])
        return slicer


def _carried(
    statements: Iterable[Statement], wanted: Iterable[str], missing: Iterable[str], folder: Path | None
) -> Iterator[Carried]:
    """Yield the entries for a slice's statements: what is the same as in a live capture looks the same."""
    contents: dict[str, str] = {}  # of what made each name last, so that a changed source changes its users
    statements = list(statements)
    read = {name for s in statements for name in s.names.reads}.union(wanted)
    for statement in statements:
        if statement.stars:  # which of the names it is that it binds shows when it is run
            how: How = "module" if _local_file(statement.source, folder) else "import"
            binds = tuple(sorted(missing))
            yield Carried("*", how, ast.unparse(statement.node), binds, type="names of a module")
            continue
        for found in _entries(statement, folder):
            if found.how in ("import", "module") and not read.intersection(found.bound):
                continue
            entry = _identified(found, contents)
            contents.update(dict.fromkeys(entry.bound, entry.content))
            yield entry


def _identified(entry: Carried, contents: Mapping[str, str]) -> Carried:
    if entry.how != "statements":
        return entry
    made_of = [contents.get(name, "") for name in sorted({*entry.reads, *entry.bound})]
    identity = hashlib.sha256("\0".join([entry.source, *made_of]).encode()).hexdigest()
    return replace(entry, identity=f"statements:{identity}")


def _entries(statement: Statement, folder: Path | None) -> Iterator[Carried]:
    node, names = statement.node, statement.names
    how = how_by_syntax(node)
    if how == "import":
        for entry in import_entries(ast.unparse(node)):
            yield replace(entry, how="module") if _local_file(entry.source, folder) else entry
        return
    reads, first = tuple(sorted(names.reads - PROVIDED)), tuple(sorted(names.reads_first - PROVIDED))
    if how == "definition":
        text = _definition_text(statement)
        name = node.name  # type: ignore[attr-defined]  # how_by_syntax saw that it is one that has a name
        kind = "class" if isinstance(node, ast.ClassDef) else "function"
        yield Carried(name, how, text, (), reads, first, type=kind, size=len(text.encode()))
        return
    if how == "literal" and isinstance(node, ast.Assign) and isinstance(target := node.targets[0], ast.Name):
        value = ast.literal_eval(node.value)
        written = literal(value, References({}, Sources()))
        text = f"{target.id} = {written.text if written is not None else ast.unparse(node.value)}"
        yield Carried(target.id, how, text, type=type(value).__name__, size=len(text.encode()))
        return
    binds = tuple(sorted(statement.changes))
    yield Carried(
        binds[0],
        "statements",
        statement.source,
        binds,
        reads,
        reads,
        type="statement",
        size=len(statement.source.encode()),
    )


def _definition_text(statement: Statement) -> str:
    """Return a definition's text from its first decorator on, without the comments above it."""
    node = statement.node
    lines = statement.source.split("\n")
    height = (node.end_lineno or node.lineno) - first_line(node) + 1
    return "\n".join(lines[-height:])


def _local_modules(closure: Iterable[Carried], folder: Path | None) -> Iterator[tuple[str, str]]:
    for entry in closure:
        file = _local_file(entry.source, folder) if entry.how == "module" else None
        if file is not None:
            name = file.parent.name if file.name == "__init__.py" else file.stem
            yield name, hashlib.sha256(file.read_bytes()).hexdigest()


def _local_file(statement: str, folder: Path | None) -> Path | None:
    """Return the file beside the notebook that an import statement takes its module from."""
    if folder is None:
        return None
    node = ast.parse(statement).body[0]
    module = node.names[0].name if isinstance(node, ast.Import) else (getattr(node, "module", None) or "")
    top = module.partition(".")[0]
    files = (folder / f"{top}.py", folder / top / "__init__.py") if top else ()
    return next((file for file in files if file.is_file()), None)
