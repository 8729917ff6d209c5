"""What a notebook's names stand for while its statements are followed: things, and who wrote them.

A thing is an object that a statement made, or several of one place in its source that are not told apart. No
object of the live notebook is among them: all is told from source.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flownb.names.scopes import Block, parameters

if TYPE_CHECKING:
    import ast
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any

    from flownb.capture.following import Follower

    FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class Log(list[int]):
    """Who wrote one name or thing: places of statements in the history. Its length is a version."""

    __slots__ = ("name",)

    def __init__(self, written: Iterable[int] = (), name: str = "") -> None:
        super().__init__(written)
        self.name = name  #: empty for a thing

    def __hash__(self) -> int:  # type: ignore[override]  # logs are told apart, not compared
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


class Thing:
    """An object, who wrote it, and what can be reached through it."""

    __slots__ = ("log", "parts")

    def __init__(self, made: Iterable[int] = (), parts: Iterable[Thing] = ()) -> None:
        self.log = Log(made)
        self.parts: set[Thing] = set(parts)

    def items(self) -> Iterator[Thing]:
        """Yield what going through it gives; what is not known better may hand itself out, as views do."""
        yield self
        yield from self.parts


Value = frozenset[Thing]
NOTHING: Value = frozenset()  #: numbers, texts and whatever else nobody can change


class Container(Thing):
    """A list, dictionary, set or tuple: what it gives is what was put in."""

    __slots__ = ("open",)

    def __init__(self, made: Iterable[int] = (), parts: Iterable[Thing] = ()) -> None:
        super().__init__(made, parts)
        self.open = False  #: something that is not known may have put things in

    def items(self) -> Iterator[Thing]:
        """Yield what was put in."""
        if self.open:
            yield self
        yield from self.parts


class Mask(Thing):
    """What a comparison gives: items asked for by it are copies."""

    __slots__ = ()


class Database(Thing):
    """A connection to a database, or what came of one: a cursor, a session."""

    __slots__ = ("asking", "memory")

    def __init__(self, made: Iterable[int] = (), parts: Iterable[Thing] = ()) -> None:
        super().__init__(made, parts)
        self.memory = False  #: it goes with the process
        self.asking = False  #: a cursor, whose answers are read one after the other


class Figure(Thing):
    """A figure, with its axes and all that is drawn on them."""

    __slots__ = ()


class Defaulting(Thing):
    """A `defaultdict`: asking it for an item may put one in."""

    __slots__ = ()


class Namespace(Thing):
    """What `globals()` gives."""

    __slots__ = ()


class Stream(Thing):
    """What is used up by being read: a generator, an iterator, an open file."""

    __slots__ = ("pending", "writes")

    def __init__(
        self,
        made: Iterable[int],
        parts: Iterable[Thing] = (),
        pending: Callable[[Follower], Value] | None = None,
    ) -> None:
        super().__init__(made, parts)
        self.pending = pending  #: code that runs when it is read
        self.writes = False  #: it is a file that is written

    def items(self) -> Iterator[Thing]:
        """Yield what it was made of, and what that holds."""
        for part in self.parts:
            yield part
            yield from part.parts


class Object(Thing):
    """An instance of a class whose source is known."""

    __slots__ = ("fields", "kind")

    def __init__(self, made: Iterable[int], kind: Class, parts: Iterable[Thing] = ()) -> None:
        super().__init__(made, [kind, *parts])
        self.kind = kind
        self.fields: dict[str, Value] = {}


class Code(Thing):
    """What is not changed by being handed to a call: functions, classes, libraries."""

    __slots__ = ()

    def items(self) -> Iterator[Thing]:
        """Yield what it holds."""
        yield from self.parts


class Function(Code):
    """A function whose source is known; `bound` are the arguments that it has already."""

    __slots__ = ("bound", "defaults", "late", "marks", "node", "owner", "scope")

    def __init__(
        self,
        made: Iterable[int],
        node: FunctionNode,
        scope: Scope,
        late: frozenset[str],
        defaults: Mapping[str, Value],
    ) -> None:
        held = frozenset[Thing]().union(*defaults.values())
        # a scope of a call lives on in the functions made there; the notebook's own is read by names
        super().__init__(made, [*held, *([] if scope.outermost else [scope])])
        self.node = node
        self.scope = scope
        self.late = late  #: names of the notebook that it reads when it is called
        self.defaults = defaults
        self.bound: tuple[Value, ...] = ()
        self.marks: frozenset[str] = frozenset()  #: "property", "classmethod", "staticmethod", "cached"
        self.owner: Class | None = None  #: the class that it was defined in

    def with_first(self, *first: Value) -> Function:
        """Return the function with its first arguments given, as a method or a partial has them."""
        other = Function(self.log, self.node, self.scope, self.late, self.defaults)
        other.log = self.log
        other.parts = self.parts.union(*first)
        other.bound = (*self.bound, *first)
        other.owner = self.owner
        other.marks = self.marks
        return other


class Class(Code):
    """A class whose source is known."""

    __slots__ = ("bases", "fields", "late", "meta")

    def __init__(self, made: Iterable[int], late: frozenset[str], bases: Value) -> None:
        super().__init__(made, bases)
        self.fields: dict[str, Value] = {}
        self.bases = bases
        self.late = late
        self.meta: Value = NOTHING

    def find(self, name: str) -> Value:
        """Return what an attribute of it, or of its bases, is bound to."""
        found = self.fields.get(name)
        if found is not None:
            return found
        own = (base.find(name) for base in self.bases if isinstance(base, Class) and base is not self)
        return NOTHING.union(*own)

    def line(self) -> Iterator[Class]:
        """Yield the class and its bases, as far as their sources are known."""
        yield self
        for base in self.bases:
            if isinstance(base, Class) and base is not self:
                yield from base.line()


class Library(Code):
    """A module that is not the notebook's own, or something in it, by its full name."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path


class Method(Code):
    """A method of an object of unknown class, kept as a value; `?` is one whose name is not known."""

    __slots__ = ("given", "name", "receiver")

    def __init__(self, receiver: Value, name: str, given: tuple[Value, ...] = ()) -> None:
        super().__init__((), receiver)
        self.receiver = receiver
        self.name = name
        self.given = given


class Vars:
    """What names are bound to, on one way through the code: `own` are those bound since the ways parted."""

    __slots__ = ("base", "own")

    def __init__(self, base: dict[str, Value] | None = None, own: dict[str, Value] | None = None) -> None:
        self.base = {} if base is None else base
        self.own = {} if own is None else own

    def get(self, name: str, default: Value | None = None) -> Value | None:
        """Return what a name is bound to."""
        found = self.own.get(name)
        return found if found is not None else self.base.get(name, default)

    def __getitem__(self, name: str) -> Value:
        found = self.own.get(name)
        return found if found is not None else self.base[name]

    def __setitem__(self, name: str, value: Value) -> None:
        self.own[name] = value

    def __contains__(self, name: str) -> bool:
        return name in self.own or name in self.base

    def add(self, name: str, value: Value) -> None:
        """Bind a name that may be bound to something else as well."""
        known = self.get(name)
        self.own[name] = value if known is None else known | value

    def drop(self, name: str) -> None:
        """Unbind a name."""
        self.own.pop(name, None)
        self.base.pop(name, None)

    def copy(self) -> Vars:
        """Return the same names, to go another way."""
        return Vars(self.base, dict(self.own))

    def settle(self) -> None:
        """Make what was bound the base: all ways have met."""
        self.base.update(self.own)
        self.own = {}

    def values(self) -> Iterator[Value]:
        """Yield what all names are bound to."""
        yield from self.own.values()
        yield from (value for name, value in self.base.items() if name not in self.own)

    def items(self) -> Iterator[tuple[str, Value]]:
        """Yield all names, with what they are bound to."""
        yield from self.own.items()
        yield from ((name, value) for name, value in self.base.items() if name not in self.own)

    @classmethod
    def joined(cls, ways: Iterable[Vars]) -> Vars:
        """Return what names are bound to where several ways through the code meet."""
        ways = tuple(ways)
        base = ways[0].base
        own: dict[str, Value] = {}
        for name in set[str]().union(*(way.own for way in ways)):
            bound = (way.own.get(name, base.get(name)) for way in ways)
            own[name] = NOTHING.union(*(value for value in bound if value is not None))
        return cls(base, own)


class Partial(Code):
    """Something that can be called, with arguments that it has already."""

    __slots__ = ("called", "given")

    def __init__(self, called: Thing, given: tuple[Value, ...]) -> None:
        super().__init__((), [called, *NOTHING.union(*given)])
        self.called = called
        self.given = given


class Scope(Thing):
    """The names of a module, a class body or one call of a function, and what they are bound to."""

    __slots__ = (
        *("first", "global_names", "home", "kind", "left", "local_names", "owner", "parent", "returned"),
        "vars",
    )

    def __init__(
        self,
        kind: str,
        parent: Scope | None = None,
        made: Iterable[int] = (),
        local_names: frozenset[str] = frozenset(),
        global_names: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(made)
        self.kind = kind  #: "module", "class", "function" or "comprehension"
        self.parent = parent
        self.home: Scope = parent.home if parent is not None else self
        self.local_names = local_names
        self.global_names = global_names
        self.vars = Vars()
        self.returned: set[Thing] = set()
        self.left: list[Vars] = []  #: its names where it was left by `return`
        self.first: Value = NOTHING  #: the first argument, which `super()` takes
        self.owner: Class | None = parent.owner if parent is not None and kind != "module" else None

    @property
    def outermost(self) -> bool:
        """Whether it is the notebook's own, whose names have logs of their own."""
        return self.kind == "notebook"

    def around(self, name: str) -> Scope | None:
        """Return the scope that has `name` bound for code in this one; None where no scope of a call has."""
        scope: Scope | None = self
        while scope is not None and scope is not scope.home:
            seen = scope.kind != "class" or scope is self
            if seen and name in scope.global_names:
                return None
            if seen and (name in scope.local_names or name in scope.vars):
                return scope
            scope = scope.parent
        return None

    def state(self) -> Iterator[Thing]:
        """Yield what is reached through its names."""
        for value in self.vars.values():
            yield from value


def call_scope(node: FunctionNode, blocks: dict[Any, Block], parent: Scope, made: int) -> Scope:
    """Return the scope of a call of a function, with nothing bound yet."""
    block = blocks.get(node)
    if block is None:
        body = node.body if isinstance(node.body, list) else [node.body]
        block = blocks[node] = Block(*body)
        block.binds.update(arg.arg for arg in parameters(node.args))
    names = frozenset(block.binds - block.global_ - block.nonlocal_)
    return Scope("function", parent, [made], names, frozenset(block.global_))
