"""What a flow is: parameters, steps, the closure they need, and a digest of it all.

Plain data, frozen: no module below this one. How a flow comes about is told by `flownb.capture`, how
it is written down by `flownb.document`.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

from flownb.errors import NameRefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike
    from pathlib import Path

    from flownb.graph import Graph

How = Literal["import", "module", "statement", "frozen", "definition", "literal", "statements", "pickle"]
OLD_HOWS = frozenset({"definition", "literal", "statements", "pickle"})
"""How things were carried by flows of schema 1, which are read and run as they are."""

_NAME_LIMIT = 100


def check_name(name: str, what: str = "flow") -> str:
    """Return `name` in Unicode's composed form (NFC), or raise `NameRefusedError`.

    A name is letters, marks and digits of any script, `_`, `-` and single inner spaces, at most 100
    characters. What is refused: path separators, control and formatting characters (right-to-left marks
    among them), anything that a shell, a URL, HTML or a file system would read as more than a name.
    """
    if not isinstance(name, str):
        raise NameRefusedError(f"a {what}'s name is text, and {name!a:.40} is not")
    name = unicodedata.normalize("NFC", name)
    shown = ascii(name if len(name) <= 40 else name[:40] + "...")
    if not name:
        raise NameRefusedError(
            f"a {what} needs a name: letters, digits, `_`, `-` and single spaces between them"
        )
    if len(name) > _NAME_LIMIT:
        raise NameRefusedError(
            f"the {what} name {shown} is {len(name)} characters long; at most {_NAME_LIMIT} are allowed"
        )
    for char in name:
        if not _is_allowed(char):
            raise NameRefusedError(
                f"the {what} name {shown} has the character {char!a}; "
                "letters, digits, `_`, `-` and single spaces between them are allowed"
            )
    if name != name.strip() or "  " in name or name.startswith("-"):
        raise NameRefusedError(
            f"the {what} name {shown} must not start with `-`, and have only single spaces, inside"
        )
    return name


def nearest_name(text: str) -> str:
    """Return the name that is nearest to a text, such as a file's name: what no name can have becomes `-`."""
    runs = groupby(unicodedata.normalize("NFC", text), key=_is_allowed)
    kept = "".join("".join(run) if allowed else "-" for allowed, run in runs)
    return re.sub(" +", " ", kept).strip(" -")[:_NAME_LIMIT].rstrip(" -")


def _is_allowed(char: str) -> bool:
    return char in "_- " or unicodedata.category(char)[0] in "LMN"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter as it is declared: all of it source text, so that reading it runs nothing."""

    name: str
    annotation: str = ""  #: source of the type; empty where none was written
    default: str | None = None  #: source of the default value; None: required
    help: str = ""  #: the comment behind the declaration

    @property
    def required(self) -> bool:
        """Whether a run must be given a value."""
        return self.default is None


@dataclass(frozen=True, slots=True)
class Carried:
    """One thing that the steps need from the notebook around them, and the Python that brings it back.

    `source` is whole statements; executed in order with the rest of the closure, it binds or changes
    `binds`. `reads` are the names that it needs from the rest of the closure, `reads_first` those of
    them that it needs already when it is executed (decorators, bases, defaults), not only when called.
    `identity` stands for its content in the digest: the source, save where that is not deterministic.
    """

    name: str
    how: How
    source: str = field(repr=False)  # as large as what is carried
    binds: tuple[str, ...] = ()  #: names bound or changed; `(name,)` where empty, of a statement none
    reads: tuple[str, ...] = ()
    reads_first: tuple[str, ...] = ()
    identity: str = field(default="", repr=False)  #: empty: the source itself
    type: str = ""  #: for people: "function", "DataFrame, 12 x 3", "module of pandas 3.0"
    size: int = 0  #: bytes that it takes in the document
    step: str = ""  #: just before this step; empty: before the parameters, and so before all steps
    cell: int = 0  #: number of the cell that statements belong to, among those of the flow
    at: str = ""  #: when a value was frozen (ISO 8601)

    def __post_init__(self) -> None:
        if not self.step.isascii():
            object.__setattr__(self, "step", unicodedata.normalize("NFC", self.step))

    @property
    def bound(self) -> tuple[str, ...]:
        """The names that executing `source` binds or changes."""
        return self.binds if self.binds or self.how == "statement" else (self.name,)

    @property
    def content(self) -> str:
        """What the digest hashes for it."""
        return self.identity or self.source


@dataclass(frozen=True, slots=True)
class Step:
    """One captured cell, without its `%%flow` line and its parameter declarations."""

    name: str
    source: str = field(repr=False)
    outputs: tuple[str, ...] = ()  #: declared with `--out`
    reads: tuple[str, ...] = ()  #: names that may be read before the step binds them, sorted
    binds: tuple[str, ...] = ()  #: names that the step may bind or change in place, sorted
    result: bool = False  #: its last expression is the flow's output `result`
    line: int = 1  #: line of the captured cell on which `source` begins

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", check_name(self.name, "step"))


@dataclass(frozen=True, slots=True)
class Requirements:
    """What was seen to be needed: Python's version and the versions of the distributions imported."""

    python: str = ""
    distributions: Mapping[str, str] = field(default_factory=dict)  #: distribution -> version
    modules: Mapping[str, str] = field(default_factory=dict)  #: local `.py` module -> digest of its file


@dataclass(frozen=True)
class Flow:
    """Cells that run again: named, parameterised, carrying what they need.

    Made by `%%flow`, `Flow.from_cell` or `Flow.from_notebook`; read from a file by `Flow.read`, from a
    storage by `Storage.get_flow`. Two flows are equal when their digests are. A name that is none is
    refused (`NameRefusedError`), and every name is kept in its composed form.
    """

    name: str
    _: KW_ONLY
    parameters: tuple[Parameter, ...] = ()
    steps: tuple[Step, ...] = ()
    closure: tuple[Carried, ...] = ()  #: what is replayed and frozen, in the order in which it is executed
    description: str = ""
    requirements: Requirements = field(default_factory=Requirements)
    kernel: str = "python3"  #: name of the kernelspec
    language: str = "python"
    storage: Mapping[str, Any] | None = None  #: `Storage.serialize()`, once stored (PIN-7)
    environment: Mapping[str, Any] | None = None  #: `Environment.serialize()`, with the name that it has
    location: str | None = None  #: where in the storage it is, once stored
    folder: Path | None = None  #: where it was captured or found; runs start here; never stored
    notebook: Mapping[str, Any] | None = None  #: the notebook that it was taken from whole, where it was
    stated: str | None = None  #: the digest that its document says, another one where that was edited since
    former: str | None = None  #: its digest in an older schema, where its document is of that

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", check_name(self.name))

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the declared outputs, in the order of the steps; `result` where none is declared."""
        declared = tuple(dict.fromkeys(name for step in self.steps for name in step.outputs))
        return declared or (("result",) if any(step.result for step in self.steps) else ())

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the content: the same content gives the same digest in any process, at any time.

        Content is the name, description, parameters, steps with their outputs, the closure, and what it is
        to run in: a kernel and an environment. Versions of distributions and the storage are not content:
        they say where it ran or lies.
        """
        return self._digest(self._place())

    @property
    def digest_of_schema_2(self) -> str:
        """The digest as documents up to schema 2 have it, where kernel and environment were not content."""
        return self._digest({})

    def is_known_as(self, digest: str) -> bool:
        """Whether this is the beginning of its digest, of the former one where its document is of then."""
        return any(known.startswith(digest) for known in (self.digest, self.former) if known)

    def _place(self) -> dict[str, Any]:
        """Return what of kernel and environment is content: nothing for the usual ones.

        An environment that is known by its name alone is of a flow of schema 2, and was not content there.
        """
        place: dict[str, Any] = {"kernel": self.kernel} if self.kernel != "python3" else {}
        if self.environment and self.environment.keys() != {"named"}:
            place["environment"] = json.dumps(dict(self.environment), sort_keys=True)
        return place

    def _digest(self, place: Mapping[str, Any]) -> str:
        content = {
            "name": self.name,
            "description": self.description,
            "language": self.language,
            "parameters": [[p.name, p.annotation, p.default, p.help] for p in self.parameters],
            "steps": [
                # that the last cell of a notebook shows a value is told by its source alone
                [s.name, s.source, list(s.outputs), s.result and self.notebook is None]
                for s in self.steps
            ],
            "closure": [[list(c.bound), c.how, c.content, c.step] for c in self._ordered_closure()],
            **place,
        }
        if self.notebook is not None:
            content["cells"] = [[c["cell_type"], "".join(c["source"])] for c in self.notebook["cells"]]
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def of_schema_1(self) -> bool:
        """Whether it carries things as flows of schema 1 did: behind the parameters, in no order of time."""
        return any(entry.how in OLD_HOWS for entry in self.closure)

    def _ordered_closure(self) -> Sequence[Carried]:
        """Return the closure in the order that is content: of statements, that in which they were executed.

        In schema 1, and of imports, the order is none; several entries of one name keep theirs.
        """
        if any(entry.how in ("statement", "frozen") for entry in self.closure):
            return self.closure
        return sorted(self.closure, key=lambda c: (c.step, c.bound, c.how))

    @property
    def version(self) -> str:
        """The first 12 characters of the digest: how a version is written for people."""
        return self.digest[:12]

    def __eq__(self, other: object) -> bool:
        return self.digest == other.digest if isinstance(other, Flow) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        parts = {
            "parameters": [parameter.name for parameter in self.parameters],
            "steps": [step.name for step in self.steps],
            "outputs": self.outputs,
        }
        told = "; ".join(f"{what} {_some(names)}" for what, names in parts.items() if names)
        return f"<Flow {self.name}, version {self.version}: {told or 'empty'}>"

    def _repr_html_(self) -> str:
        from flownb.displays.flows import flow_card

        return flow_card(self).html

    def step(self, name: str) -> Step:
        """Return the step of that name; `KeyError` where there is none."""
        for step in self.steps:
            if step.name == name:
                return step
        raise KeyError(name)

    @property
    def graph(self) -> Graph:
        """Which step reads what from which, drawn as Mermaid in a notebook and as text in a terminal."""
        from flownb.graph import Graph

        return Graph.of(self)

    @classmethod
    def from_cell(cls, name: str, source: str, namespace: Mapping[str, Any] | None = None) -> Flow:
        """Capture a cell's source as the flow `name`, or as its step where `name` is `FLOW.STEP`.

        What the source reads is frozen from `namespace`, or imported. It may begin with a `%%flow` line of
        its own, whose options then hold. Nothing is run. Raises `CaptureError` and `NameRefusedError`.
        """
        from flownb.capture.live import capture_source

        return capture_source(name, source, namespace or {})

    @classmethod
    def from_notebook(cls, path: str | PathLike[str], outputs: Sequence[str] = ()) -> Flow:
        """Take a whole notebook, with or without papermill's `parameters` cell, as a flow, unchanged.

        Its code cells are the steps. `outputs` are the names whose values at its end are its outputs; where
        none is declared, the value that its last cell shows is its `result`. Raises `DocumentError` where it
        is not a Python notebook, or binds no such name.
        """
        from flownb.document import whole_notebook

        return whole_notebook(path, outputs)

    @classmethod
    def read(cls, path: str | PathLike[str]) -> Flow:
        """Read a flow document. Nothing in it is run. Raises `DocumentError`."""
        from flownb.document import read

        return read(path)

    def write(self, path: str | PathLike[str]) -> None:
        """Write the flow document, atomically; the same flow gives the same bytes."""
        from flownb.document import write

        write(self, path)

    def run(self, **parameters: Any) -> dict[str, Any]:
        """Run the steps here and now, in this process and a fresh namespace, and return the outputs.

        Parameters are validated first (`ParameterError`); any Python object can be given. What a step
        raises passes through. For an isolated and recorded run, take an environment.
        """
        from flownb.engine.inprocess import run_here

        return run_here(self, parameters)


def _some(names: Sequence[str]) -> str:
    """Return names as a short list, however many and however long they are."""
    shown = ", ".join(name if len(name) <= 24 else name[:21] + "..." for name in names[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"
