"""Type checkers accept what the README and the guide show, as strictly as they can look."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long


ROOT = Path(__file__).parent.parent
PAGES = ("README.md", "docs/guide.md")
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MAGIC = re.compile(r"^\s*[%!]", re.MULTILINE)

#: what a cell of a notebook may have: the value of the cell before, which in the guide is a run
_BEFORE = "from flownb import Run; _ = Run.load()"
#: what is good in a cell and not in a module: a value that stands alone to be shown; an import made again
_OPTIONS = {
    "typeCheckingMode": "strict",
    "reportUnnecessaryTypeIgnoreComment": True,
    "reportUnusedExpression": False,
    "reportDuplicateImport": False,
    "reportUnusedImport": False,
}
#: what they refuse: where a line is accepted after all, its comment is told as unused
_WRONG = """
from flownb import LocalEnvironment, open_storage
storage = open_storage("x.ipynb")
LocalEnvironment(timout=1)  # type: ignore[call-arg]
LocalEnvironment(timeout="soon")  # type: ignore[arg-type]
LocalEnvironment(labels=3)  # type: ignore[arg-type]
LocalEnvironment().execute(storage, "a", asked_by="me")  # type: ignore[call-arg]
LocalEnvironment().execute("x.ipynb", "a")  # type: ignore[arg-type]
storage.get_flow(3)  # type: ignore[arg-type]
"""


def plain_python(page: str) -> str:
    """Return a page's Python as one module, each line where it is there.

    Left out are cells with magics, and what people write in a notebook without types: functions, `rows = []`.
    """
    text = (ROOT / page).read_text(encoding="utf-8")
    lines = [""] * len(text.splitlines())
    for block in _BLOCK.finditer(text):
        if _MAGIC.search(block[1]):
            continue
        first, written = text[: block.start(1)].count("\n"), block[1].splitlines()
        for node in filter(_has_types, ast.parse(block[1]).body):
            start, end = node.lineno - 1, node.end_lineno or node.lineno
            lines[first + start : first + end] = written[start:end]
    lines[0] = _BEFORE  # a page begins with its title
    return "\n".join(lines) + "\n"


def _has_types(node: ast.stmt) -> bool:
    if isinstance(node, ast.FunctionDef):
        return node.returns is not None
    value = node.value if isinstance(node, ast.Assign) else None
    return ast.unparse(value) not in ("{}", "[]") if value is not None else True


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    """Return a folder with a module for each page, and one of what is wrong."""
    for page in PAGES:
        source = plain_python(page)
        assert len(ast.parse(source).body) > 2, f"{page} shows some Python"
        (tmp_path / f"{Path(page).stem.lower()}_page.py").write_text(source, encoding="utf-8")
    (tmp_path / "wrong.py").write_text(_WRONG, encoding="utf-8")
    return tmp_path


def check(*command: str, cwd: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=cwd, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_mypy_strict_accepts_what_the_pages_show(modules: Path) -> None:
    check("mypy", "--strict", "--follow-imports=silent", ".", cwd=modules)


def test_pyright_strict_accepts_what_the_pages_show(modules: Path) -> None:
    (modules / "pyrightconfig.json").write_text(json.dumps(_OPTIONS), encoding="utf-8")
    check("basedpyright", "--pythonpath", sys.executable, cwd=modules)
