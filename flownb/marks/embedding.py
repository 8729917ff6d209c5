"""What makes marks, as one text that needs no flownb."""

from __future__ import annotations

import importlib.resources

_MODULES = ("walk", "python", "tables", "figures", "making")  #: in the order of their imports

_TEXT = """\
import sys, types
sys.modules["_flownb_marks"] = types.ModuleType("_flownb_marks")
for name, source in {sources!r}.items():
    module = sys.modules["_flownb_marks." + name] = types.ModuleType("_flownb_marks." + name)
    module.__package__ = "_flownb_marks"
    exec(compile(source, "<flownb.marks." + name + ">", "exec"), module.__dict__)
"""


def embedded() -> str:
    """Return Python code after which `_flownb_marks.making` can be imported."""
    folder = importlib.resources.files(__package__)
    return _TEXT.format(sources={name: (folder / f"{name}.py").read_text("utf-8") for name in _MODULES})
