"""The property test itself: its programs run, come from their seeds alone, and tell good slicers from bad."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from feature_table import Counts
from hypothesis import given, settings
from oracle import LiveError, check, is_sound, reads, smallest_slice
from plain_data import PlainData
from program_changes import BEYOND
from program_themes import FEATURES
from program_writer import Statement
from programs import Program, generate, programs
from run_programs import Options, main, run
from shrinking import shrink
from trivial_slicers import everything, only_last_bindings

_ARRAY = "import numpy as np\na = np.arange(3)"


def program(*cells: str, step: str) -> Program:
    return Program(0, tuple((Statement(cell),) for cell in cells), (Statement(step),))


@settings(max_examples=200, deadline=None)
@given(programs())
def test_a_slice_of_everything_is_always_right(made: Program) -> None:
    assert check(made, everything).failure is None


@settings(max_examples=50, deadline=None)
@given(programs(beyond=True))
def test_what_is_beyond_the_contract_runs_too(made: Program) -> None:
    assert check(made, everything).failure is None


def test_a_seed_is_a_program() -> None:
    assert [str(generate(seed)) for seed in range(40)] == [str(generate(seed)) for seed in range(40)]
    assert len({str(generate(seed)) for seed in range(40)}) == 40


@pytest.mark.parametrize("hashes", ["1", "2"])
def test_a_seed_is_a_program_in_every_process(hashes: str) -> None:
    command = [sys.executable, "run_programs.py", "--show", "--seeds", "0-40"]
    around = {**os.environ, "PYTHONHASHSEED": hashes}
    shown = subprocess.check_output(command, env=around, cwd=Path(__file__).parent, text=True)
    assert shown == "".join(f"# seed {seed}\n{generate(seed)}\n" for seed in range(40))


def test_programs_are_hard_and_have_every_feature() -> None:
    counts = Counts()
    for seed in range(600):
        counts.add(generate(seed), needs=False)
    assert counts.hard > counts.programs / 2
    assert {name for name in FEATURES if not counts.having[name]} == set()
    assert not [name for name in counts.having if name in BEYOND]


def test_a_feature_can_be_left_out() -> None:
    without = frozenset({"generator", "library option set", "method call"})
    for seed in range(100):
        assert not generate(seed, without=without).all_features & without


def test_noise_is_in_no_smallest_slice() -> None:
    for seed in range(40):
        for statement in smallest_slice(generate(seed)):
            assert not any(feature.startswith("noise") for feature in statement.features)


def test_states_are_left_as_they_were() -> None:
    random.seed(3)
    np.random.seed(3)
    before = random.getstate(), repr(np.random.get_state()), np.get_printoptions()
    for seed in range(60):
        check(generate(seed), everything)
    assert (random.getstate(), repr(np.random.get_state()), np.get_printoptions()) == before


def test_a_change_in_place_that_is_missed_is_found_and_made_small() -> None:
    made = program("a = [1]\nb = 3", "c = a\nd = [c]", "d[0].append(2)", "b = 4", step="result = a")
    cells = [tuple(map(Statement, cell.text.split("\n"))) for (cell,) in made.cells]
    made = Program(0, tuple(cells), made.step)
    assert check(made, only_last_bindings).failure is not None
    small = shrink(made, lambda candidate: not check(candidate, only_last_bindings).good)
    assert small.executed == ["a = []\n", "c = a\nd = [c]\n", "d[0].append(2)\n"]


def test_shrinking_looks_into_statements() -> None:
    made = program("a = [1, 2, 3]", "if True:\n    a.append(4)\n    b = 3", step="result = [a, a]")
    small = shrink(made, lambda candidate: "append" in str(candidate))
    assert (small.executed, small.step_source) == (["a = []\n", "a.append(4)\n"], "result = []\n")


@pytest.mark.parametrize(
    ("live", "other"),
    [
        ("a = [1]\nb = a", "a = [1]\nb = [1]"),
        (f"{_ARRAY}\nb = a[1:]", f"{_ARRAY}\nb = a[1:].copy()"),
        ("a = b = iter([1, 2])\nnext(a)", "a = b = iter([1, 2])"),
        ("a = b = (x for x in [1, 2])\nnext(a)", "a = b = (x for x in [1, 2])"),
        ("class A: n = 1\na = b = A()", "class A: n = 2\na = b = A()"),
        ("def a(x=[]): x.append(1)\na()\nb = 1", "def a(x=[]): x.append(1)\nb = 1"),
        ("a = b = True", "a = b = 1"),
        ("b = [1]\na = b.append", "b = [1]\na = [1].append"),
        ("b = {1: 2}\na = b.keys()", "b = {1: 2}\na = {1: 2}.keys()"),
        ("b = 1\na = lambda: b + 1", "b = 1\na = lambda: b - 1"),
    ],
)
def test_what_is_not_the_same_is_told(live: str, other: str) -> None:
    made = program(live, step="result = a, b")
    assert check(made, lambda executed, step: live).good
    assert not check(made, lambda executed, step: other).good


def test_equal_constants_need_not_be_one_object() -> None:
    made = program("a = (1, 'x')", "b = (1, 'x')", step="result = [a, b]")
    assert check(made, everything).good


def test_telling_a_value_does_not_change_it() -> None:
    class Odd:
        def __getattr__(self, name: str) -> object:
            raise AssertionError(name)

        def __len__(self) -> int:
            raise AssertionError

        __iter__ = __eq__ = __hash__ = __repr__ = __len__  # type: ignore[assignment]

    values: list[Any] = [Odd(), iter([1, 2]), (x for x in [1, 2]), zip([1], [2], strict=True)]
    assert PlainData()(values) == PlainData()(values)
    assert [next(iter(value)) for value in values[1:]] == [1, 1, (1, 2)]


def test_only_global_names_are_read() -> None:
    step = "result = [a for a in b]\ndef f(c):\n    return c + d\ne += 1\ndel g"
    assert set(reads(step)) == {"b", "d", "e", "g"}


def test_a_program_that_raises_or_is_not_seeded_is_not_sound() -> None:
    assert not is_sound(program("a = 1 / 0", step="result = 1"))
    assert not is_sound(program("while True: pass", step="result = 1"))
    assert not is_sound(program("import random\na = random.random()", step="result = a"))
    assert is_sound(program("import random\nrandom.seed(1)\na = random.random()", step="result = a"))
    with pytest.raises(LiveError):
        check(program("a = 1 / 0", step="result = 1"), everything)


def test_a_slice_that_raises_or_never_ends_has_failed() -> None:
    made = program("a = 1", step="result = a")
    assert "NameError" in (check(made, lambda executed, step: "").failure or "")
    assert "TooLongError" in (check(made, lambda executed, step: "while True: pass").failure or "")
    assert "the slicer raised" in (check(made, lambda executed, step: executed[7]).failure or "")


@pytest.mark.parametrize("seeds", [range(100), range(100, 200), range(200, 300), range(300, 400)], ids=str)
def test_the_slice_of_what_was_executed_gives_the_same_values(seeds: range) -> None:
    result = run(seeds, Options("slicer:slicer"))
    assert (result.failures, result.unsound) == ([], [])
    assert result.kept < result.executed * 0.6  # what has no part is left out


def test_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "0-60", "--jobs", "2"]) == 0
    assert "60 programs" in capsys.readouterr().out
    slicer = ["--slicer", "trivial_slicers:only_last_bindings", "--shrink", "1"]
    assert main(["--seeds", "0-20", "--jobs", "1", *slicer]) == 1
    assert "made small" in capsys.readouterr().out
    assert main(["--seeds", "0-10", "--jobs", "1", "--table"]) == 0
    assert "10 programs" in capsys.readouterr().out
    assert run(range(5), Options("trivial_slicers:everything")).programs == 5
