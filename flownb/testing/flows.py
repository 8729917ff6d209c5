"""Flows to try storages and environments with, and storages to try environments with."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

from flownb.document import from_dict
from flownb.errors import StorageError
from flownb.flow import Carried, Flow, Parameter, Requirements, Step
from flownb.storage.directory import DirectoryStorage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: names that languages and file systems make difficult; all different, each in its composed form
NAMES = tuple(
    unicodedata.normalize("NFC", name)
    for name in (
        *("sales", "Sales", "SALES", "daily sales", "daily-sales", "daily_sales", "2026", "_", "x-"),
        *("été", "ete", "straße", "strasse", "ﬁle", "file", "İstanbul", "istanbul", "\u0131stanbul"),
        *("отчёт", "αναφορά", "报告", "報告", "レポート", "보고서", "รายงาน", "रिपोर्ट", "تقرير", "דוח"),
        *("con", "CON", "nul", "prn", "aux", "com1", "LPT9", "head", "HEAD"),
        *("数" * 100, "数" * 99 + "量", "x" * 100, "x" * 99 + "y"),
    )
)

#: what is no flow's name, wherever one is asked for
NO_NAMES = ("", "../sales", "/etc/passwd", "a/b", "a\\b", ".git", "-x", "a\0b", "a\nb", "x" * 101, "a  b")


def sample(name: str = "sales", factor: int = 2) -> Flow:
    """Return a flow with everything that a flow can have; `run(n=3)` gives `{"total": 3 * factor}`.

    Two of them have the same content where name and factor are the same.
    """
    return Flow(
        name,
        description='Sales; "quoted", {0}, <b>&amp;</b>, $HOME, `id`, \x1b[31m, \u2028\nand another line.',
        parameters=(Parameter("n", "int", "3", "how many"),),
        steps=(
            Step("load", "rows = [scale(1) for _ in range(n)]", reads=("n", "scale"), binds=("rows",)),
            Step("sum up", "total = sum(rows)", ("total",), reads=("rows",), binds=("total",)),
        ),
        closure=(
            Carried("math", "import", "import math", type="module"),
            Carried("FACTOR", "statement", f"FACTOR = {factor}", ("FACTOR",), type="statement", cell=1),
            Carried(
                "scale",
                "statement",
                "# a comment\ndef scale(v):\n    return math.floor(v * FACTOR)",
                ("scale",),
                reads=("FACTOR", "math"),
                type="function",
                cell=2,
            ),
            Carried(
                "offset",
                "frozen",
                "offset = 0",
                ("offset",),
                type="int",
                identity="0",
                at="2026-11-29T08:00:00+00:00",
            ),
        ),
        requirements=Requirements(python="3.11.7", distributions={"numpy": "2.4.6"}),
    )


def whole(name: str = "report", text: str = "# Sales") -> Flow:
    """Return a notebook that was taken whole, with text in it; `run(n=3)` gives `{"total": 6}`."""
    code: dict[str, Any] = {"cell_type": "code", "execution_count": None, "outputs": []}
    cells = [
        {"cell_type": "markdown", "id": "title", "metadata": {}, "source": text},
        {**code, "id": "given", "metadata": {"tags": ["parameters"]}, "source": "n = 2  # how many"},
        {**code, "id": "double", "metadata": {}, "source": "total = n * 2"},
        {"cell_type": "raw", "id": "raw", "metadata": {}, "source": "as it is"},
        {**code, "id": "shown", "metadata": {}, "source": "f'total: {total}'"},
    ]
    about = {"schema": 2, "name": name, "whole": True, "outputs": ["total"]}
    return from_dict({"cells": cells, "metadata": {"flownb": about}, "nbformat": 4, "nbformat_minor": 5})


def trap(name: str, mark: Path) -> Flow:
    """Return a flow that leaves the file `mark` when any of it is run or unpickled."""
    touch = f"open({str(mark)!r}, 'w').close()"
    unpickle = f"import pickle\nbomb = pickle.loads({_pickled_call(touch)!r})"
    return Flow(
        name,
        parameters=(Parameter("n", "int", f"[{touch}] and 1"),),
        steps=(Step("a", touch, result=True),),
        closure=(Carried("bomb", "frozen", unpickle, binds=("pickle", "bomb")),),
    )


def _pickled_call(source: str) -> bytes:
    """Return bytes that execute Python when they are unpickled."""
    return b"cbuiltins\nexec\n(V" + source.encode("raw_unicode_escape") + b"\ntR."


#: the value of a parameter that nothing may keep
SECRET = "hunter2-of-the-conformance-suite"  # noqa: S105  # no password of anybody's


_WAIT = "import os, time\nwhile not os.path.exists(path):\n    time.sleep(0.02)"


def environment_flows() -> tuple[Flow, ...]:
    """Return flows to try an environment with."""
    path = (Parameter("path", "str"),)
    secret = Carried("Secret", "import", "from flownb import Secret", ("Secret",))
    return (
        sample(),
        _one("required", "n", parameters=(Parameter("n", "int"),)),
        Flow(
            "failing",
            steps=(
                Step("ask", "raise RuntimeError('no sales today')"),
                Step("tell", "1", result=True),
            ),
        ),
        _one("dying", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"),
        _one("leaving", "import os\nwas = os.environ.get('LEFT')\nos.environ['LEFT'] = 'yes'\nstr(was)"),
        _one(
            "hiding",
            "print(token.get_secret_value())\nraise RuntimeError(token.get_secret_value())",
            parameters=(Parameter("token", "Secret"),),
            closure=(secret,),
        ),
        _one("marking", "open(path, 'w').close()", parameters=path),
        _one("waiting", _WAIT, parameters=path),
    )


def _one(name: str, source: str, **more: Any) -> Flow:
    return Flow(name, steps=(Step(name, source, result=True),), **more)


class UnreachableStorage(DirectoryStorage):
    """A storage that nobody reaches."""

    kind = "unreachable"

    def __init__(self) -> None:
        super().__init__("memory://unreachable")

    @property
    def flows(self) -> Mapping[str, str]:
        """Raise `StorageError`."""
        raise StorageError("nobody answers")

    def reach(self) -> None:
        """Raise `StorageError`."""
        len(self.flows)

    def get_flow(self, location: str) -> Flow:
        """Raise `StorageError`."""
        raise StorageError(f"nobody answers, and {location} is not known")


class ElsewhereStorage(DirectoryStorage):
    """A folder that came from elsewhere."""

    kind = "elsewhere"

    @property
    def origin(self) -> str | None:
        """The URL that it came from."""
        return "https://example.org/flows"
