"""A cell's source as Python: what IPython makes of its magics, shell lines and help marks."""

from __future__ import annotations

import ast


def to_python(source: str) -> str:
    """Return `source` as IPython would run it; unchanged, and IPython not imported, where it is Python.

    Line counts are kept for everything but the bodies of cell magics. What is no Python afterwards
    either is returned as it is: whoever parses it gets Python's own error.
    """
    try:
        ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        from IPython.core.inputtransformer2 import TransformerManager

        try:
            python: str = TransformerManager().transform_cell(source)
        except (SyntaxError, ValueError):  # the second for what is no text, since Python 3.12
            return source
        return python
    return source
