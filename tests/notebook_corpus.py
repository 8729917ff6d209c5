"""Notebooks as people write them, for `test_faithful`: the files in `corpus`, and some that no file can hold.

Such a file has a line `---` before each cell. Above the first one stands what is to be known of it:

    needs a kernel                     a step has magics or shell lines in it
    given: {"n": 5}                    values of parameters that have no default, as JSON
    other: {"n": 7}                    other values than the defaults, to run the flow with, too
    source alone: another digest       a value is carried as the statements that make it
    source alone: needs a kernel       these statements have magics or shell lines in them
    source alone: reads `x`            it cannot be captured so; words of the error

After the cells come the files beside the notebook, each below a line `--- PATH`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_OTHER_DIGEST, _KERNEL = "another digest", "needs a kernel"


@dataclass(frozen=True)
class Notebook:
    """Cells, the files beside them, and what may be expected of its flows."""

    cells: tuple[str, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)  #: values for parameters without a default
    other: Mapping[str, Any] = field(default_factory=dict)  #: other values than the defaults
    needs_kernel: bool = False
    source_alone: str = ""  #: what is to be known when there is nothing but the source

    def with_defaults(self, values: Mapping[str, Any]) -> Notebook:
        """Return the notebook with other values written behind the parameters' declarations."""
        cells = list(self.cells)
        for name, value in values.items():
            pattern = re.compile(rf"^({name}: [^=\n]*= ).*$", re.MULTILINE)
            cells = [_written(pattern, repr(value), cell) for cell in cells]
        return replace(self, cells=tuple(cells))

    @property
    def same_digest(self) -> bool:
        """Whether the flow from source alone has the digest of the one captured live."""
        return not self.source_alone

    @property
    def source_needs_kernel(self) -> bool:
        """Whether the flow from source alone has magics in it."""
        return self.needs_kernel or self.source_alone == _KERNEL

    @property
    def lost(self) -> str:
        """What the error says that source alone gives; empty where it gives a flow."""
        return "" if self.source_alone in ("", _OTHER_DIGEST, _KERNEL) else self.source_alone


def _written(pattern: re.Pattern[str], value: str, cell: str) -> str:
    return pattern.sub(lambda found: found[1] + value, cell)


def _read(text: str) -> Notebook:
    head, *parts = ("\n" + text).split("\n---")
    known = dict(line.partition(": ")[::2] for line in head.split("\n"))
    cells = tuple(part.strip("\n") for part in parts if part.startswith("\n") or not part)
    files = dict(part[1:].split("\n", 1) for part in parts if part.startswith(" "))
    given, other = json.loads(known.get("given", "{}")), json.loads(known.get("other", "{}"))
    return Notebook(cells, files, given, other, _KERNEL in known, known.get("source alone", ""))


def _by_hand() -> Iterator[tuple[str, Notebook]]:
    """Yield the notebooks whose characters an editor, Git or a formatter would change."""
    yield (
        "tabs, long lines and semicolons",
        Notebook(
            (
                "def f(x):\n\tif x:\n\t\treturn 'tab\tinside'\n\treturn None",
                f"long = '{'x' * 5000}'; other = {list(range(900))}",
                "a = 1; b = 2; c = a + b",
                "if a: d = 1; e = 2",
                "%%flow it --out got,last\ngot = [f(1), len(long), sum(other), c, d + e]; last = got[-1];   ",
            ),
            source_alone=_OTHER_DIGEST,
        ),
    )
    yield (
        "lines that end as on Windows",
        Notebook(
            (
                "def f(x):\r\n    '''one\r\n    two'''\r\n    return x + K\r\n",
                "K = 1\r\nT = '''a\r\nb'''\r\n",
                "%%flow it\r\nn: int = 2\r\nout = f(n)\r\n[out, T, f.__doc__]\r\n",
            ),
        ),
    )


CORPUS: Mapping[str, Notebook] = {
    **{
        file.stem.replace("-", " "): _read(file.read_text(encoding="utf-8"))
        for file in sorted((Path(__file__).parent / "corpus").glob("*.txt"))
    },
    **dict(_by_hand()),
}
