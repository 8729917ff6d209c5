"""Which features a program has: those of a few themes, so that what makes a thing meets what changes it."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from program_bindings import BINDINGS, BOOLS, INTS, LISTS
from program_changes import BEYOND, CHANGES, LIBRARIES, NOISES
from program_definitions import CLASSES, FUNCTIONS, INITS, MEMBERS
from program_reads import READS, STEPS

if TYPE_CHECKING:
    import random

    from program_bindings import Table

#: what a statement of a cell may come from, and how often it does
FAMILIES = (
    (BINDINGS, 4.0),
    (CHANGES, 4.5),
    (FUNCTIONS, 2.0),
    (CLASSES, 1.3),
    (LIBRARIES, 1.5),
    (NOISES, 0.4),
)
FEATURES = frozenset(
    feature
    for table in (*(table for table, _ in FAMILIES), INTS, LISTS, BOOLS, INITS, MEMBERS, READS, STEPS)
    for feature in table
)
#: in every program, whatever else it has
_COMMON = frozenset(
    {"rebinding", "alias", "method call", "literal", "path", "comparison", "method"}
    | {"instance holding what it is given", *READS, *STEPS}
)
_INSTANCES = ("class", "instance", "method of the notebook", "container in a container")
_CALLS = (
    "function of the notebook",
    "function of the notebook, value used",
    "result of a call",
    "list returned",
)
_THEMES = (
    (
        *(
            "container into a container",
            "list in a tuple",
            "copy, shallow",
            "copy, deep",
            "unpacking",
            "starred",
        ),
        *(
            "container in a container",
            "slice assignment",
            "del of an item",
            "subscript",
            "alias by condition",
            "identity",
            "dict",
        ),
    ),
    (
        *(
            "function reading a global",
            "function changing a global",
            "function changing an argument",
            *_CALLS,
        ),
        *("function giving its argument", "function with a copy", "default argument", "nested function"),
        *("function of the notebook, argument from a container", "function redefined", "function attribute"),
    ),
    (
        "global statement",
        "del of a name",
        "conditional binding",
        "nested function",
        "function redefined",
        *_CALLS,
    ),
    (
        *(
            "closure with nonlocal",
            "closure over an argument",
            "lambda",
            "default argument",
            "partial",
            *_CALLS,
        ),
        *("callables in a container", "bound method kept", "function attribute"),
    ),
    (
        *(
            "higher order function",
            "callback to a builtin",
            "callback to a function of the notebook",
            "sorted",
        ),
        *(
            "map consumed",
            "any, all",
            "comprehension with append",
            "lambda called",
            "function changing a global",
        ),
    ),
    (
        *(
            "boolean short cut",
            "conditional expression",
            "walrus",
            "comprehension",
            "pop, used",
            "next, used",
        ),
        *("setdefault, used", "any, all", "lambda called", "comprehension with append", "heappop, used"),
    ),
    (
        *(
            "getattr",
            "setattr",
            "operator.setitem",
            "operator.iadd",
            "heapq",
            "bisect.insort",
            "unbound method",
        ),
        *("vars", "setdefault", "shuffle", "heappop, used", "partial", "dict"),
    ),
    (
        *("inheritance", "attribute", "class attribute set later", "mutable class attribute", *_INSTANCES),
        *("method returning self", "property", "nested class", "class attribute read", "classmethod"),
        *("instance holding a copy", "constructor changing a global", "constructor changing the class"),
        *("constructor changing its argument", "copy, deep"),
    ),
    (
        *(
            "__iadd__",
            "__getitem__",
            "__setitem__",
            "__contains__",
            "__len__",
            "__iter__",
            "__call__",
            "operator",
        ),
        *("context manager", "property", *_INSTANCES),
    ),
    (
        *("decorator", "registering decorator", "method as a decorator", "class decorator", *_CALLS),
        *("function attribute", "dict", *_INSTANCES),
    ),
    (
        *("dataclass", "Enum", "__init_subclass__", "inheritance", "subclass of a builtin", "attribute"),
        *("class body with effects", "class attribute set later", *_INSTANCES),
    ),
    (
        "iterator",
        "generator",
        "iterator in part",
        "membership in an iterator",
        "next, used",
        "dict view",
        "dict",
        "StringIO read",
        "map consumed",
    ),
    (
        *("library option set", "library option read", "library attribute set", "library object changed"),
        *("library call in a function", "numpy print options", "decimal context", *_CALLS),
    ),
    (
        *("library registry", "library registry read", "library hidden state", "library hidden state read"),
        *("library call in a function", "library calls back", "function changing a global", *_CALLS),
    ),
    (
        "library class patched",
        "library instance",
        "library changes its argument",
        "library class",
        "attribute",
    ),
    (
        *("random seed", "random draw", "numpy random seed", "numpy random draw", "shuffle", "Random draw"),
        *("numpy array", "comprehension"),
    ),
    (
        *("numpy array", "numpy view", "numpy copy", "numpy in place", "numpy function", "array read"),
        *("augmented assignment", "unpacking"),
    ),
    (
        *("defaultdict", "deque", "Counter", "popleft, used", "popitem, used", "set", "dict", "setdefault"),
        *("membership", "del of an item", "heapq", "text"),
    ),
    (
        *("for", "while", "try, except", "with", "match", "conditional binding", "walrus", "context manager"),
        *("augmented assignment", "len, sum, max", "subscript read"),
    ),
)


@dataclass(frozen=True)
class Features:
    """The features that one program may have."""

    themes: tuple[tuple[str, ...], ...]
    single: frozenset[str]  #: of no theme in particular
    without: frozenset[str]

    @functools.cached_property
    def enabled(self) -> frozenset[str]:
        """All of them."""
        return _COMMON.union(self.single, *self.themes) - self.without

    def draw(self, chance: random.Random, *, early: bool) -> tuple[Table, str]:
        """Draw what the next statement is to be: a feature, and the table that has it.

        Args:
            chance: draws.
            early: there is little yet to be changed.
        """
        if chance.random() < 0.55:
            feature = chance.choice(chance.choice(self.themes))
            tables = [table for table, _ in FAMILIES if feature in table and feature in self.enabled]
            if tables and not (early and tables == [CHANGES]):
                return chance.choice(tables), feature
        families = (*FAMILIES, (BEYOND, 0.8))
        weights = _EARLY if early else tuple(weight for _, weight in families)
        while True:
            table = chance.choices(families, weights)[0][0]
            features = [feature for feature in table if feature in self.enabled]
            if features:
                return table, chance.choice(features)


_EARLY = (6.0, 1.0, 1.5, 1.0, 0.5, 0.1, 0.0)


def draw_features(chance: random.Random, *, without: frozenset[str], beyond: bool) -> Features:
    """Draw the features that a program may have.

    Args:
        chance: draws.
        without: features that are never drawn.
        beyond: also what the contract leaves open.
    """
    names = FEATURES.union(BEYOND) if beyond else FEATURES
    single = frozenset(name for name in sorted(names) if chance.random() < 0.1)
    return Features(tuple(chance.sample(_THEMES, chance.choice((2, 3, 3, 4)))), single, without)
