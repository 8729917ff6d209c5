"""What the tests of marks share: comparing values as two processes do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from flownb.marks import compare, embedded, mark


def digest(value: object) -> str:
    return str(mark(value)["digest"])


def differ(was: object, now: object, tolerance: float = 1e-9) -> tuple[str, str]:
    """Compare two values as two processes do, which exchange their marks as JSON."""
    one, other = (json.loads(json.dumps(mark(value), allow_nan=False)) for value in (was, now))
    return compare(one, other, tolerance=tolerance)


class Plain:
    def __init__(self, **given: object) -> None:
        self.__dict__.update(given)


def in_another_process(setup: str, expressions: list[str]) -> list[dict[str, Any]]:
    """Make marks in a process that cannot import flownb, and has a hash seed and addresses of its own."""
    script = f"""
import json, sys
sys.modules["flownb"] = None
junk = [object() for _ in range(977)]
exec(compile({setup!r}, "<setup>", "exec"))
nan, inf = float("nan"), float("inf")
exec({embedded()!r}, {{}})
from _flownb_marks.making import identity, mark
found = [{{**mark(eval(one)), "identity": identity(eval(one))}} for one in {expressions!r}]
print(json.dumps(found, allow_nan=False))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-"],
        input=script,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": "31337", "PYTHONUTF8": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr == ""
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found
