"""Marks of values: small fingerprints that tell, later and in another process, whether a value is the same.

A mark is plain JSON data: what the value is, in words; a digest of its content; and enough of the content to
say what differs. `identity` is a digest alone, of all of the content.

What makes marks also runs in kernels that may have no flownb (`embedded`). So these modules import each
other relatively, and nothing else but what comes with Python.
"""

from .comparing import compare
from .embedding import embedded
from .making import identity, mark

__all__ = ["compare", "embedded", "identity", "mark"]
