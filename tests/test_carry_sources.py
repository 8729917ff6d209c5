"""Finding, in a real IPython session, the source that made what is there now."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from traitlets.config import Config

from flownb.capture.sources import Sources
from flownb.capture.statements import bindings

if TYPE_CHECKING:
    from collections.abc import Iterator


ROOT = Path(__file__).resolve().parent.parent

CARRY_IN_A_KERNEL = """
import json
from flownb.capture.carry import Surroundings, carry
from flownb.capture.sources import Sources

around = Surroundings(get_ipython().user_ns, Sources.from_shell(get_ipython()))
print(json.dumps([e.source for e in carry(["f", "A", "display", "exit", "open"], around, where="c")]))
"""


@pytest.fixture
def shell() -> Iterator[Any]:
    from IPython.core.interactiveshell import InteractiveShell

    main = sys.modules["__main__"]
    config = Config()
    config.HistoryManager.enabled = False
    hook, display = sys.excepthook, sys.displayhook
    yield InteractiveShell(config=config)
    sys.modules["__main__"] = main
    sys.excepthook, sys.displayhook = hook, display


def run(shell: Any, *cells: str) -> Sources:
    for cell in cells:
        shell.run_cell(cell, store_history=True).raise_error()
    return Sources.from_shell(shell)


def source_of(sources: Sources, shell: Any, name: str) -> str | None:
    found = sources.definition(name, shell.user_ns[name], shell.user_ns)
    return None if found is None else found.statement.source


def test_a_definition_is_given_back_as_it_was_written(shell: Any) -> None:
    text = (
        "@staticmethod  # why\n"
        "def f(a,\n"
        "      b = 2):   # help\n"
        "    '''Doc\n"
        "      string.'''\n"
        "    # a comment\n"
        "    return  a"
    )
    assert source_of(run(shell, f"x = 1\n\n{text}\ny = 2"), shell, "f") == text


def test_the_version_that_is_live_is_found_not_the_latest_text(shell: Any) -> None:
    sources = run(shell, "def f(): return 1", "g = f\ndef f(): return 2", "f = g")
    assert source_of(sources, shell, "f") == "def f(): return 1"


def test_the_same_code_written_twice_is_found_where_it_was_executed_last(shell: Any) -> None:
    sources = run(shell, "def f(): return 1  # old", "def f(): return 1  # new")
    assert source_of(sources, shell, "f") == "def f(): return 1  # new"


@pytest.mark.parametrize("magic", ["%%time", "%%capture out", "%%prun -q", "%%time\n!true"])
def test_what_is_defined_under_a_cell_magic_is_found(shell: Any, magic: str) -> None:
    sources = run(shell, f"{magic}\nclass A:\n    x = 1\ndef f():\n    return A")
    assert source_of(sources, shell, "f") == "def f():\n    return A"
    assert source_of(sources, shell, "A") == "class A:\n    x = 1"


def test_blocks_are_moved_to_the_margin_and_texts_in_them_left_alone(shell: Any) -> None:
    cell = (
        "if True:\n"
        "    try:\n"
        "        @property\n"
        "        def f():\n"
        '            """a\n'
        "  b\n"
        '            """\n'
        "            return 1\n"
        "    finally:\n"
        "        pass"
    )
    found = source_of(run(shell, cell), shell, "f")
    assert found == '@property\ndef f():\n    """a\n  b\n            """\n    return 1'


def test_continued_lines_and_tabs_survive(shell: Any) -> None:
    cell = "if True:\n\tdef f():\n\t\treturn (1 +\n  2)\n"
    found = source_of(run(shell, cell), shell, "f")
    assert found is not None
    namespace: dict[str, Any] = {}
    exec(found, namespace)
    assert namespace["f"]() == 3


def test_non_ascii_text_before_a_statement_on_its_line(shell: Any) -> None:
    assert source_of(run(shell, "s = 'äöü€'; f = lambda: 'ß'; t = 1"), shell, "f") == "f = lambda: 'ß'"


def test_classes_are_told_apart_by_their_content(shell: Any) -> None:
    sources = run(
        shell,
        "class A:\n    x: int = 1\n    def m(self): return 1",
        "B = A",
        "class A:\n    x: int = 1\n    def m(self): return 2",
    )
    shell.user_ns["A"] = shell.user_ns["B"]
    found = source_of(sources, shell, "A")
    assert found is not None
    assert "return 1" in found


def test_a_class_without_methods_is_told_by_attributes_and_annotations(shell: Any) -> None:
    sources = run(shell, "class A:\n    x: int", "B = A", "class A:\n    x: int\n    y: int")
    shell.user_ns["A"] = shell.user_ns["B"]
    assert source_of(sources, shell, "A") == "class A:\n    x: int"


def test_what_was_changed_since_is_told(shell: Any) -> None:
    sources = run(shell, "class A:\n    n = 0\n    seen = []\nA.n += 1\nA.seen.append(2)\nA.more = 'x'")
    found = sources.definition("A", shell.user_ns["A"], shell.user_ns)
    assert found is not None
    assert dict(found.changes) == {"n": 1, "seen": [2], "more": "x"}


def test_a_method_of_another_version_is_no_match(shell: Any) -> None:
    sources = run(
        shell, "class A:\n    def m(self): return 1", "A.m = lambda self: 2\nA.m.__qualname__ = 'A.m'"
    )
    assert source_of(sources, shell, "A") is None


def test_a_decorated_function_that_was_wrapped_again_is_no_match(shell: Any) -> None:
    sources = run(
        shell, "import functools\n@functools.lru_cache\ndef f(): return 1", "f = functools.lru_cache(f)"
    )
    assert source_of(sources, shell, "f") is None


def test_a_function_made_by_a_function_is_no_match(shell: Any) -> None:
    sources = run(
        shell, "def f(): return 1", "def make():\n    x = 2\n    def f(): return x\n    return f\nf = make()"
    )
    assert source_of(sources, shell, "f") is None


def test_what_a_magic_or_shell_line_became_is_part_of_the_source(shell: Any) -> None:
    found = source_of(run(shell, "def f():\n    x = !echo hi\n    return list(x)"), shell, "f")
    assert found is not None
    assert "get_ipython().getoutput('echo hi')" in found


def test_new_cells_are_seen_and_a_cleared_history_forgotten(shell: Any) -> None:
    sources = run(shell, "import json")
    assert [i.source for i in sources.imports_of("json")] == ["import json"]
    run(shell, "from os import path as p")
    assert [i.source for i in sources.imports_of("p")] == ["from os import path as p"]
    shell.history_manager.input_hist_parsed[:] = [""]  # as %reset does
    assert sources.imports_of("p") == ()
    run(shell, "from os import path as q")
    assert [i.source for i in sources.imports_of("q")] == ["from os import path as q"]


def test_plain_cells_without_a_shell_do_too() -> None:
    cells = ["def f(x):\n    return x", "not python at all ?", "C = 3"]
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(cells[0], "<nowhere>", "exec"), namespace)
    found = Sources(cells).definition("f", namespace["f"], namespace)
    assert found is not None
    assert found.statement.source == cells[0]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (
            "import a.b, c as d\nfrom e import f as g, h\nfrom . import i\nfrom j import *",
            ["a", "d", "g", "h", "i"],
        ),
        (
            (
                "try:\n"
                "    import a\n"
                "except ImportError:\n"
                "    import b as a\n"
                "else:\n"
                "    import c\n"
                "finally:\n"
                "    import d"
            ),
            list("aacd"),
        ),
        (
            "match 1:\n    case 1:\n        import a\nwhile False:\n    import b\nfor x in ():\n    import c",
            list("abc"),
        ),
        ("def f():\n    import a\nclass A:\n    import b", []),
        ("get_ipython().run_line_magic('time', 'import a')", ["a"]),
    ],
)
def test_imports_are_found_wherever_they_bind_names_of_the_notebook(text: str, names: list[str]) -> None:
    assert [found.name for found in bindings(text).imports] == names


@pytest.mark.kernel
def test_in_a_real_kernel_too() -> None:
    from jupyter_client.manager import start_new_kernel

    cells = [
        f"import sys; sys.path.insert(0, {str(ROOT)!r})",
        "K = 1",
        "def f(x):\n    return x + K",
        "%%time\nclass A:\n    def m(self): return K",
        CARRY_IN_A_KERNEL,
    ]
    manager, client = start_new_kernel()
    said: list[str] = []

    def hear(message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream":
            said.append(message["content"]["text"])

    try:
        for cell in cells:
            reply = client.execute_interactive(cell, timeout=60, output_hook=hear)
            assert reply["content"]["status"] == "ok", reply["content"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert json.loads(said[-1].splitlines()[-1]) == [
        "class A:\n    def m(self): return K",
        "def f(x):\n    return x + K",
        "K = 1",
    ]
