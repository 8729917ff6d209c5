"""The flow document: a flow as an ordinary notebook (nbformat 4.5), and back."""

from __future__ import annotations

from flownb.document.files import (
    check_python,
    language_of,
    load_notebook,
    loads_notebook,
)
from flownb.document.nbformats import import_nbformat
from flownb.document.reading import from_dict, is_document, loads, read, whole_notebook, with_outputs
from flownb.document.writing import MIME, SCHEMA, declaration, dumps, inject, to_dict, to_notebook, write

__all__ = [
    "MIME",
    "SCHEMA",
    "check_python",
    "declaration",
    "dumps",
    "from_dict",
    "import_nbformat",
    "inject",
    "is_document",
    "language_of",
    "load_notebook",
    "loads",
    "loads_notebook",
    "read",
    "to_dict",
    "to_notebook",
    "whole_notebook",
    "with_outputs",
    "write",
]
