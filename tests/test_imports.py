"""Which module may import which, and what `import flownb` may cost: read from the source, and measured."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(__file__).parent.parent / "flownb"

#: the package's parts from top to bottom; a part imports itself and what stands below it
LAYERS = (
    "__main__",
    "cli",
    "testing",
    "ui",
    "agent",
    "environments",
    "engine",
    "callbacks",
    "runs",
    "displays",
    "runs.record",
    "runs.states",
    "storage",
    "capture",
    "marks",
    "document",
    "parameters",
    "names",
    "graph",
    "flow",
    "files",
    "kinds",
    "frozen",
    "errors",
    "_version",
)

#: imports that go up on purpose, by module
EXCEPTIONS = {
    # for type checkers alone: the error of a failed run has that run
    "flownb.errors": {"runs"},
    # `flownb/__init__.py` hands names on, and belongs to no layer
    "flownb": set(LAYERS),
    # the convenience methods of `Flow` (`Flow.read`, `flow.run`, ...) call what is above, inside functions
    "flownb.flow": {"graph", "capture", "document", "engine", "displays"},
    # what shows itself
    "flownb.graph": {"displays"},
    "flownb.storage.base": {"displays"},
}

#: what takes long to import, and is imported where it is first needed
HEAVY = (
    "IPython",
    "apprise",
    "click",
    "cloudpickle",
    "fsspec",
    "ipykernel",
    "ipywidgets",
    "jinja2",
    "jupyter_client",
    "matplotlib",
    "nbclient",
    "nbformat",
    "numpy",
    "pandas",
    "papermill",
    "polars",
    "pyarrow",
    "pydantic",
    "pygments",
    "rich",
    "yaml",
)

#: modules that everything stands on: at module level they import nothing heavy
LIGHT = ("flow", "errors", "graph", "names", "parameters")


@dataclass(frozen=True)
class Import:
    """One imported module, and where it is imported."""

    module: str
    by: str
    line: int
    top: bool  #: executed when the module is imported, not when a function is called or types are checked

    def __str__(self) -> str:
        return f"{self.by}, line {self.line}, imports {self.module}"


def module_name(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def package_name(file: Path) -> str:
    return ".".join(file.parent.relative_to(PACKAGE.parent).parts)


def imports_of(tree: ast.Module, by: str, folder: str) -> Iterator[Import]:
    """Yield every import of a module, whether at its top, in a function or for the type checker."""

    def visit(node: ast.AST, top: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, by, node.lineno, top)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:  # within one folder only: ruff sees to that
                module = f"{folder}.{module}".rstrip(".")
            if module == "flownb":  # `from flownb import runs` names a part, not a thing
                yield from (Import(f"flownb.{alias.name}", by, node.lineno, top) for alias in node.names)
            else:
                yield Import(module, by, node.lineno, top)
        in_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            inside = top and not in_function and not for_types_only(node)
            yield from visit(child, inside)

    yield from visit(tree, top=True)


def for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def all_imports() -> list[Import]:
    files = sorted(PACKAGE.rglob("*.py"))
    return [
        found
        for file in files
        for found in imports_of(
            ast.parse(file.read_text("utf-8"), str(file)), module_name(file), package_name(file)
        )
    ]


def part_of(module: str) -> str:
    # what is recorded of a run is plain data, on which displays stand
    names = module.split(".")[1:]
    inner = ".".join(names[:2])
    return inner if inner in LAYERS else names[0] if names else ""


def test_every_part_of_the_package_has_a_layer() -> None:
    parts = {part_of(module_name(file)) for file in PACKAGE.rglob("*.py")} - {""}
    assert parts <= set(LAYERS), f"give a place in LAYERS to {sorted(parts - set(LAYERS))}"


def test_imports_go_down_the_layers_only() -> None:
    upward = [str(found) for found in all_imports() if goes_up(found)]
    assert upward == []


def goes_up(found: Import) -> bool:
    if not found.module.startswith("flownb."):
        return False
    by, imported = part_of(found.by), part_of(found.module)
    allowed = EXCEPTIONS.get(found.by, set())
    if imported in allowed:
        return found.top and found.by != "flownb"
    # `from flownb import open_storage` names no part: the package itself stands above all of them
    if by not in LAYERS or imported not in LAYERS:
        return True
    return by != imported and LAYERS.index(imported) < LAYERS.index(by)


def test_what_everything_stands_on_imports_nothing_heavy_at_its_top() -> None:
    heavy = [
        str(found)
        for found in all_imports()
        if found.top and part_of(found.by) in LIGHT and found.module.split(".")[0] in HEAVY
    ]
    assert heavy == []


def heavy_after(code: str) -> list[str]:
    """Return what of HEAVY a fresh interpreter has loaded after running `code`."""
    shown = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sorted(set(sys.modules) & set({HEAVY!r})))"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert shown.returncode == 0, shown.stderr
    return shown.stdout.split()


def test_importing_flownb_loads_nothing_heavy() -> None:
    assert heavy_after("import flownb") == []


def test_loading_the_extension_adds_nothing_heavy() -> None:
    shell = "from IPython.core.interactiveshell import InteractiveShell\nshell = InteractiveShell.instance()"
    bare = set(heavy_after(shell))
    loaded = set(heavy_after(f"{shell}\nshell.run_line_magic('load_ext', 'flownb')"))
    assert loaded - bare == set()


@pytest.mark.parametrize("name", ["flow", "errors", "graph", "names"])
def test_the_lowest_parts_can_be_imported_alone(name: str) -> None:
    assert heavy_after(f"import flownb.{name}") == []
