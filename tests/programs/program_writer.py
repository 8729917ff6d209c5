"""Writes statements: fills the templates with what the program has bound so far."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import program_changes as changes
import program_definitions as definitions
from program_bindings import BINDINGS, BOOLS, INTS, LISTS
from program_reads import READS
from program_runs import LIBRARY_NAMES
from program_world import CLASSES, DATA, FUNCTIONS, NOISE, World

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable

    from program_bindings import Table

_MARK = re.compile(r"\$([a-z_]*[a-z])(\d?)(?:\{([^}]*)\})?( ?)")
_WORD = re.compile(r"[A-Za-z_]\w*")
_NAMES = frozenset((*DATA, *FUNCTIONS, *CLASSES))
_BETWEEN = re.compile(r"\n\n(?=\S)")
_IMPORTS = {
    **{
        name: f"import {name}"
        for name in (
            *("bisect", "collections", "contextlib", "copy", "dataclasses", "decimal", "enum", "functools"),
            *("heapq", "io", "itertools", "operator", "random", *sorted(LIBRARY_NAMES)),
        )
    },
    "np": "import numpy as np",
    "set_option": "from settings import set_option",
    "register": "from registry import register",
    "tick": "from registry import tick",
    "fill": "from shapes import fill",
}
_IMPORTED = re.compile(rf"(?<![.\w'])(?<!def )({'|'.join(_IMPORTS)})(?=[.(])")
_SMALL_BINDINGS = {
    feature: small
    for feature, templates in BINDINGS.items()
    if (small := tuple(text for text in templates if "\n" not in text and not text.startswith("del")))
}
_SMALL_CHANGES = {**changes.CHANGES, "library option set": ("settings.set_option($opt, $num)",)}
_EXPRESSIONS = {"int": INTS, "list": LISTS, "bool": BOOLS, "read": READS}
#: each feature as often as it has templates
_WEIGHTED = {
    word: [feature for feature, templates in table.items() for _ in templates]
    for word, table in _EXPRESSIONS.items()
}
_ANY_KIND = ("seq", "mapping", "obj", "set", "arr", "grid", "iter", "fn", "int")


def path_root(path: str) -> str:
    """Give the name that an expression starts from."""
    match = _WORD.match(path)
    assert match is not None
    return match[0]


class Unfit(Exception):
    """A template asks for what the program has not bound."""


@dataclass(frozen=True)
class Statement:
    """A statement of a program at the top level of a cell."""

    text: str
    features: frozenset[str] = frozenset()
    roles: tuple[tuple[str, str], ...] = ()  #: names it binds, with what is bound takes and gives


@dataclass
class Writer:
    """Makes statements of one program."""

    random: random.Random
    world: World
    enabled: frozenset[str]  #: of all features
    used: set[str] = field(default_factory=set)  #: of the program so far
    focus: set[str] = field(default_factory=set)  #: names that the next statement had better use
    _features: set[str] = field(default_factory=set)
    _roles: list[tuple[str, str]] = field(default_factory=list)
    _depth: int = 0
    _inside: int = 0  #: a function, a lambda or a class

    def statements(self, table: Table, feature: str) -> list[Statement]:
        """Make the statements of a template of a feature, after the imports that they need.

        Raises:
            Unfit: the program has not bound what the template asks for.
        """
        self._features, self._roles = {feature}, []
        text = self._expand(self.random.choice(table[feature]))
        features, roles = frozenset(self._features), tuple(self._roles)
        missing = [name for name in _IMPORTED.findall(text) if name not in self.world.namespace]
        imports = [Statement(_IMPORTS[name], frozenset({"import"})) for name in dict.fromkeys(missing)]
        self.focus = {name for name in _WORD.findall(text) if name in _NAMES}
        return imports + [Statement(part, features, roles) for part in _BETWEEN.split(text)]

    def draw_focus(self, statements: Iterable[Statement]) -> None:
        """Draw a few names for the step to read, first of all those that statements are about."""
        names = [name for statement in statements for name in _WORD.findall(statement.text)]
        names = [name for name in names if name in self.world.namespace and name in _NAMES]
        self.focus = set(self.random.choices(names, k=4)) if names else set()

    def _expand(self, template: str) -> str:
        chosen: dict[str, str] = {}
        inside = any(word in template for word in ("def ", "lambda", "class "))
        self._inside += inside

        def fill(match: re.Match[str]) -> str:
            word, digit, role, space = match.groups()
            name = word + digit
            if name not in chosen or (not digit and word not in ("new", "def", "cls", "noise", "cls_made")):
                chosen[name] = self._fill(word, chosen)
            if role is not None:
                self._roles.append((chosen[name], role))
            return chosen[name] and chosen[name] + space

        try:
            return _MARK.sub(fill, template)
        finally:
            self._inside -= inside

    def _fill(self, word: str, chosen: dict[str, str]) -> str:
        maker = _MAKERS.get(word)
        return self._reach(word) if maker is None else maker(self, chosen)

    def _reach(self, kind: str) -> str:
        paths = self.world.paths(kind)
        if "library object changed" not in self.enabled:
            paths = [path for path in paths if path.partition(".")[0] not in LIBRARY_NAMES]
        if not paths:
            raise Unfit(kind)
        if self.focus and self.random.random() < 0.6:
            paths = [path for path in paths if path_root(path) in self.focus] or paths
        path = self.random.choice(paths)
        if path.startswith("settings."):
            self._features.add("library object changed")
        return path

    def _expression(self, word: str, otherwise: str, tries: int = 4) -> str:
        self._depth += 1
        try:
            for _ in range(tries if self._depth < 4 else 0):
                feature = self.random.choice(_WEIGHTED[word])
                if feature in self.enabled and not (feature == "walrus" and self._inside):
                    try:
                        return self._part(_EXPRESSIONS[word], feature)
                    except Unfit:
                        continue
            return self._expand(otherwise)
        finally:
            self._depth -= 1

    def _part(self, table: Table, feature: str) -> str:
        features, roles = set(self._features), list(self._roles)
        try:
            text = self._expand(self.random.choice(table[feature]))
        except Unfit:
            self._features, self._roles = features, roles
            raise
        libraries = LIBRARY_NAMES.intersection(_IMPORTED.findall(text))
        if not libraries <= self.world.namespace.keys():
            raise Unfit(text)
        self._features.add(feature)
        return text

    def _small(self, table: Table) -> str:
        for _ in range(8):
            feature = self.random.choice(list(table))
            if feature in self.enabled:
                try:
                    return self._part({feature: tuple(t for t in table[feature] if "\n" not in t)}, feature)
                except (Unfit, IndexError):
                    continue
        raise Unfit("small")

    def _one_of(self, names: list[str] | tuple[str, ...]) -> str:
        if not names:
            raise Unfit("names")
        return self.random.choice(names)

    def _target(self, chosen: dict[str, str]) -> str:
        names = [name for name in DATA if name not in chosen.values()]
        # else most names would be bound again before anything is done with them
        if self.random.random() < 0.6:
            names = [name for name in names if name not in self.world.namespace] or names
        return self._one_of(names)

    def _function(self, chosen: dict[str, str]) -> str:
        names = DATA if self.random.random() < 0.1 else FUNCTIONS
        return self._one_of([name for name in names if name not in chosen.values()])

    def _parameter(self, chosen: dict[str, str]) -> str:
        return self._one_of(DATA if self.random.random() < 0.4 else ("v", "w"))

    def _name(self, chosen: dict[str, str]) -> str:
        names = self.world.bound(DATA)
        if self.random.random() < 0.6:
            names = [name for name in names if name in self.focus] or names
        return self._one_of(names)

    def _any(self, chosen: dict[str, str]) -> str:
        kinds = [kind for kind in _ANY_KIND if self.world.paths(kind)]
        return self._one_of(self.world.paths(self._one_of(kinds)))

    def _class(self, chosen: dict[str, str]) -> str:
        name = chosen["cls_made"] = self._one_of(CLASSES)
        bases = self.world.paths("class") if self.random.random() < 0.2 else []
        base = f"({self.random.choice(bases)})" if bases else ""
        shared = self._expression("list", "[]") if self.random.random() < 0.3 else "[]"
        lines = [f"class {name}{base}:", f"    n = {self._number()}", f"    shared = {shared}"]
        init = self._part(
            definitions.INITS, self._one_of([f for f in definitions.INITS if f in self.enabled])
        )
        lines += ["    def __init__(self, items):", f"        {init}"]
        if self.random.random() < 0.5:
            lines.append(f"        self.n = {self._number()}")
        features = [feature for feature in definitions.MEMBERS if feature in self.enabled]
        for feature in self.random.choices(["method", *features], k=self.random.randint(2, 4)):
            member = self._part(definitions.MEMBERS, feature)
            lines += ["", *(f"    {line}" if line else "" for line in member.split("\n"))]
        return "\n".join(lines)

    def _after(self, feature: str) -> str:
        return self._one_of([""] if feature in self.used else [])

    def _number(self) -> str:
        return str(self.random.randint(0, 6))


_MAKERS: dict[str, Callable[[Writer, dict[str, str]], str]] = {
    "any": Writer._any,
    "bind": lambda writer, _: writer._small(_SMALL_BINDINGS),
    "bool": lambda writer, _: writer._expression("bool", "$num > 2"),
    "change": lambda writer, _: writer._small(_SMALL_CHANGES),
    "class_text": Writer._class,
    "cls": lambda writer, _: writer._one_of(CLASSES),
    "def": Writer._function,
    "func_at": lambda writer, _: writer._one_of(writer.world.bound(FUNCTIONS)),
    "int": lambda writer, _: writer._expression("int", "$num"),
    "int_at": lambda writer, _: writer._reach("int"),
    "key": lambda writer, _: writer._one_of(("'k'", "'m'", "'p'")),
    "list": lambda writer, _: writer._expression("list", "[$num, $num]"),
    "name": Writer._name,
    "new": Writer._target,
    "noise": lambda writer, _: writer._one_of(NOISE),
    "nseeded": lambda writer, _: writer._after("numpy random seed"),
    "num": lambda writer, _: writer._number(),
    "opt": lambda writer, _: writer._one_of(("'x'", "'x'", "'y'")),
    "par": Writer._parameter,
    "read": lambda writer, _: writer._expression("read", "$name", tries=20),
    "precise": lambda writer, _: writer._after("decimal context"),
    "printing": lambda writer, _: writer._after("numpy print options"),
    "seeded": lambda writer, _: writer._after("random seed"),
    "word": lambda writer, _: writer._one_of(("'ab'", "'cd'", "'e'")),
}
