"""Pages of memory that are made ready for a run: learned from an earlier one, and never a danger."""

from __future__ import annotations

import json
import mmap
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fork_processes import Run, Template, template
from hypothesis import given
from hypothesis import strategies as st

from flownb.engine.fork.inside.pages import bounded, joined

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = mmap.PAGESIZE

SPANS = st.lists(st.tuples(st.integers(0, 200).map(lambda n: n * PAGE), st.integers(1, 9), st.booleans()))

PARENT = """
import json, mmap, os, resource, sys
from flownb.engine.fork.inside.pages import Pages

PAGES = 2000
memory = mmap.mmap(-1, PAGES * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
memory[::mmap.PAGESIZE] = bytes(number % 251 for number in range(PAGES))
pages = Pages()

def child():
    "Touch it all in a fork; return how many faults that took, and whether it held what it had held."
    out, into = os.pipe()
    if os.fork() == 0:
        pages.make_ready()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        same = all(memory[number * mmap.PAGESIZE] == number % 251 for number in range(PAGES))
        memory[1::mmap.PAGESIZE] = bytes(PAGES)
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
        pages.learn()
        os.write(into, json.dumps([faults, same]).encode())
        os._exit(0)
    os.close(into)
    said = os.read(out, 100)
    assert os.wait()[1] == 0
    return json.loads(said)
"""


def in_a_process(*lines: str) -> Any:
    code = "\n".join((PARENT, *lines))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_one_fork_has_touched_the_next_one_has_ready() -> None:
    (first, same), (second, still) = in_a_process("print(json.dumps([child(), child()]))")
    assert first > 1900
    assert second < 200
    assert same
    assert still


def test_pages_that_are_wrongly_told_of_do_no_harm() -> None:
    rubbish = "pages._shared[:] = bytes(range(256)) * (len(pages._shared) // 256)"
    _, same = in_a_process(rubbish, "print(json.dumps(child()))")
    assert same


def test_a_template_gives_no_more_than_some_lessons() -> None:
    lessons = "_COUNT.unpack_from(pages._shared)[0]"
    least = "for _ in range(9): pages._shared[4:8] = bytes(4); child()"  # each finds nothing ready
    from_there = "from flownb.engine.fork.inside.pages import _COUNT, _MOST_LESSONS"
    assert in_a_process(from_there, least, f"print(json.dumps({lessons} == _MOST_LESSONS))")


def covered(spans: list[tuple[int, int, bool]], written: bool) -> set[int]:
    return {at // PAGE + n for at, pages, writes in spans if writes is written for n in range(pages)}


@given(SPANS)
def test_joined_spans_are_the_same_pages(spans: list[tuple[int, int, bool]]) -> None:
    found = list(joined(sorted(spans)))
    assert len(found) <= len(spans)
    for written in (False, True):
        assert covered(found, written) == covered(spans, written)


def test_spans_that_touch_are_one() -> None:
    assert list(joined([(0, 2, True), (2 * PAGE, 1, True)])) == [(0, 3, True)]
    assert list(joined([(0, 5, True), (PAGE, 1, True)])) == [(0, 5, True)]
    assert list(joined([(0, 2, True), (2 * PAGE, 1, False)])) == [(0, 2, True), (2 * PAGE, 1, False)]
    assert list(joined([(0, 2, True), (3 * PAGE, 1, True)])) == [(0, 2, True), (3 * PAGE, 1, True)]


@given(SPANS)
def test_what_is_kept_is_bounded(spans: list[tuple[int, int, bool]]) -> None:
    huge = [(at, pages * 4096, written) for at, pages, written in spans]
    kept = list(bounded(huge))
    assert sum(pages for _, pages, _ in kept) * PAGE <= 64 << 20
    assert set(kept) <= set(huge)
    assert list(bounded(spans[:50])) == spans[:50]


# in a template


@pytest.fixture(scope="module")
def base() -> Iterator[Template]:
    with template() as made:
        yield made


def faults(run: Run) -> int:
    """Return how many pages the run's process has been given so far, as the system counts them."""
    about = Path(f"/proc/{run.child}/stat").read_text()
    return int(about.rpartition(")")[2].split()[7])


@pytest.mark.kernel
def test_runs_meet_few_pages_that_are_not_ready(base: Template) -> None:
    counts = []
    for _ in range(4):
        with base.run(idle=True) as run:
            before = faults(run)
            run.cell("import json, fractions, colorsys\nstr(json.loads('[1, 2]'))")
            counts.append(faults(run) - before)
            run.leave()
    assert min(counts[2:]) < 50, counts


@pytest.mark.kernel
def test_a_run_that_breaks_what_is_needed_for_learning_ends_well_all_the_same(base: Template) -> None:
    with base.run() as run:
        run.cell("x = bytearray(1 << 22); import os, re\nos.open = os.pread = re.compile = None")
        assert run.leave()["code"] == 0
    with base.run() as run:
        assert run.cell("print(1)").text == "1\n"
        run.leave()
    assert os.path.exists(f"/proc/{base.pid}")
