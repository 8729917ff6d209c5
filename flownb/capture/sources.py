"""The source of what a notebook's session defined and imported, found again from its executed cells.

`inspect.getsource` fails for a notebook's classes and for what is defined under `%%time`, and tells the
latest text of a name rather than the one that made the live object. Here a statement is only returned when
it is what made the object (see `flownb.capture.likeness`).
"""

from __future__ import annotations

import ast
import linecache
import sys
from collections import defaultdict
from dataclasses import dataclass
from types import CodeType
from typing import TYPE_CHECKING, Any

from flownb.capture.codes import FUTURE, functions_of, same_code
from flownb.capture.likeness import changes, is_lambda
from flownb.capture.statements import Bindings, Import, Statement, bindings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import FunctionType


@dataclass(frozen=True)
class Found:
    """A statement that made a live object, and what was changed on the object since: attribute -> value."""

    statement: Statement
    changes: Mapping[str, object]


class Sources:
    """The executed cells of one session, oldest first, as Python (after IPython's own transformation).

    `cells` may be a list that grows, such as a shell's history: what is new in it is read when something
    is asked, each text once.
    """

    def __init__(self, cells: Sequence[str] = ()) -> None:
        self._cells = cells
        self._read = 0
        self._last = ""
        self._by_text: dict[str, Bindings] = {}
        self._imports: defaultdict[str, list[Import]] = defaultdict(list)
        self._stars: dict[str, None] = {}
        self._statements: defaultdict[str, list[Statement]] = defaultdict(list)
        self._newest: dict[str, Statement | Import] = {}

    @classmethod
    def from_shell(cls, shell: Any) -> Sources:
        """Read the cells that an IPython shell has executed, and executes from now on."""
        return cls(shell.history_manager.input_hist_parsed)

    def imports_of(self, name: str) -> tuple[Import, ...]:
        """Return the import statements that bound `name`, newest first."""
        self._catch_up()
        return tuple(dict.fromkeys(reversed(self._imports.get(name, ()))))

    def star_imports(self) -> tuple[str, ...]:
        """Return the modules of which everything was imported, newest first."""
        self._catch_up()
        return tuple(reversed(self._stars))

    def definition(self, name: str, value: object, namespace: Mapping[str, Any]) -> Found | None:
        """Return the statement that bound `name` to `value`; None where none is found, or none for sure."""
        self._catch_up()
        if not callable(value) and not self._may_define(name, value):
            return None
        for statement in self._candidates(name, value):
            found = changes(statement, value, namespace)
            if found is None:
                continue
            if getattr(statement.node, "decorator_list", ()) and not isinstance(value, type):
                # a decorated object is known by the function in it; a later `f = other(f)` has that too
                newest = self._newest.get(name)
                if isinstance(newest, Statement) and newest.source != statement.source:
                    return None
            return Found(statement, found)
        return None

    def statement_of(self, function: FunctionType) -> Statement | None:
        """Return the statement that a function's code says it was written in, if that is still there."""
        self._catch_up()
        for statement in self._at_its_lines(function.__name__, function):
            flags = function.__code__.co_flags & FUTURE
            codes = (code for compiled in statement.compiled(flags) for code in compiled.co_consts)
            if any(isinstance(code, CodeType) and same_code(code, function.__code__) for code in codes):
                return statement
        return None

    def lambda_source(self, function: FunctionType, namespace: Mapping[str, Any]) -> str | None:
        """Return the text of the lambda that made `function`, where it stands on one line and says it all."""
        code = function.__code__
        if code.co_name != "<lambda>":
            return None
        text = self._of_file(code.co_filename).text
        for node in text.lambdas_at(code.co_firstlineno) if text is not None else ():
            assert text is not None
            if node.end_lineno == node.lineno and is_lambda(node, function, text, namespace):
                return ast.get_source_segment(text.source, node)
        return None

    def _may_define(self, name: str, value: object) -> bool:
        """Whether an object that is not callable may still be what a decorator or a type expression gave."""
        return type(value).__module__ in {"typing", "types"} or any(
            getattr(statement.node, "decorator_list", ()) for statement in self._statements.get(name, ())
        )

    def assignments_of(self, name: str) -> tuple[Statement, ...]:
        """Return the definitions of `name` and the plain assignments to it, newest first."""
        self._catch_up()
        return tuple(reversed(self._statements.get(name, ())))

    def _candidates(self, name: str, value: object) -> Iterator[Statement]:
        seen: set[str] = set()
        exact = [s for s in self._at_its_lines(name, value) if s.name == name]
        for statement in (*exact, *reversed(self._statements.get(name, ())), *self._in_files(name, value)):
            if statement.source not in seen:
                seen.add(statement.source)
                yield statement

    def _at_its_lines(self, name: str, value: object) -> Iterator[Statement]:
        """Look where the code says that it was written: IPython registers each cell's text under a name."""
        if isinstance(value, type):
            return
        for function in functions_of(value):
            code = function.__code__
            if function.__name__ not in {name, "<lambda>"}:
                continue
            for statement in self._of_file(code.co_filename).statements:
                if statement.name == name and statement.line == code.co_firstlineno:
                    yield statement

    def _in_files(self, name: str, value: object) -> Iterator[Statement]:
        """In texts that were executed without being in the history, a script's own file among them."""
        files = dict.fromkeys(function.__code__.co_filename for function in functions_of(value))
        if getattr(value, "__module__", None) == "__main__":
            files[getattr(sys.modules.get("__main__"), "__file__", None) or ""] = None
        for file in files:
            yield from (s for s in reversed(self._of_file(file).statements) if s.name == name)

    def _of_file(self, filename: str) -> Bindings:
        entry = linecache.cache.get(filename)
        lines = entry[2] if entry is not None and len(entry) > 2 else linecache.getlines(filename)
        return self._bindings("".join(lines))

    def _bindings(self, text: str) -> Bindings:
        known = self._by_text.get(text)
        if known is None:
            known = self._by_text[text] = bindings(text)
        return known

    def _catch_up(self) -> None:
        total = len(self._cells)
        if total < self._read or (self._read and self._cells[self._read - 1] != self._last):
            self._forget()  # the history was cleared
        if total > self._read:
            self._add(self._cells[self._read : total])
            self._read, self._last = total, self._cells[total - 1]

    def _forget(self) -> None:
        self._read = 0
        for index in (self._imports, self._stars, self._statements, self._newest):
            index.clear()

    def _add(self, cells: Iterable[str]) -> None:
        for cell in cells:
            found = self._bindings(cell)
            for one in found.imports:
                self._imports[one.name].append(one)
            for module in found.stars:
                self._stars.pop(module, None)
                self._stars[module] = None
            for statement in found.statements:
                self._statements[statement.name].append(statement)
                self._newest[statement.name] = statement
