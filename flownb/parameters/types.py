"""What a declared type means, told from its source without executing any of it.

An annotation is walked as a syntax tree. Names lead through the notebook's imports to an allow-list of types
of the standard library, typing and pydantic; whatever is not on it - other calls, private attributes,
arithmetic - is `Unknown`, or `Open` where a part is understood: the run's own process judges it, in which the
notebook's classes exist (`is_open`). The result is plain data, so that listing and describing parameters
needs no pydantic.
"""

from __future__ import annotations

import ast
import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flownb.parameters import known
from flownb.parameters.enums import static_enum
from flownb.parameters.lines import parse_expression

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flownb.parameters.context import Context

_COMPUTED = object()  #: a constraint's value that source text does not tell
#: how many parts a type may have, and how deep they may be nested: bounds for hostile declarations
_MOST_PARTS = 2000
_DEEPEST = 40


@dataclass(frozen=True, slots=True)
class Plain:
    """A type without parts, by the path under which the standard library or pydantic has it."""

    path: str


@dataclass(frozen=True, slots=True)
class Anything:
    """`Any`, `object`, or nothing declared."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A type of which source text tells nothing."""

    text: str
    missing: str = ""  #: a name that nothing imports, though it is known where it comes from


@dataclass(frozen=True, slots=True)
class Choice:
    """`Literal[...]`."""

    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Members:
    """An Enum of the notebook, built again from its source."""

    enum: type[enum.Enum]


@dataclass(frozen=True, slots=True)
class OneOf:
    """A union, flat; `Plain("builtins.None")` among its types makes it optional."""

    types: tuple[Type, ...]


@dataclass(frozen=True, slots=True)
class Many:
    """A collection. A tuple of any length has `...` for `True` in `endless`; mappings have two items."""

    path: str
    items: tuple[Type, ...]
    endless: bool = True  #: False for a tuple with a type for each of its places


@dataclass(frozen=True, slots=True)
class Bounded:
    """A type with constraints, named as pydantic's `Field` names them (`ge`, `max_length`, ...)."""

    inner: Type
    limits: tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Open:
    """A type that asks for more than source text tells: a limit that is computed, a validator."""

    inner: Type  #: what is understood
    limits: tuple[tuple[str, str], ...] = ()  #: constraints with the source of their values
    blind: bool = False  #: whether the rest may change what comes, before it is held to `inner`


Type = Plain | Anything | Unknown | Choice | Members | OneOf | Many | Bounded | Open

NOTHING = Plain("builtins.None")
ANYTHING = Anything()


def resolve(annotation: str, context: Context) -> Type:
    """Return what an annotation's source means where `context` holds; nothing is executed.

    An empty annotation is `Anything`. Never raises: what is not understood is `Unknown`.
    """
    if not annotation.strip():
        return ANYTHING
    tree = parse_expression(annotation)
    if tree is None:
        return Unknown(annotation)
    try:
        return _Resolver(context).resolve(tree)
    except (_TooMuchError, RecursionError):
        return Unknown(annotation)


def infer(default: str | None, context: Context) -> Type:
    """Return the type that a default's source suggests for a parameter that declares none."""
    tree = parse_expression(default) if default is not None else None
    if isinstance(tree, ast.Call):  # `x = Path("data")`
        found = resolve(ast.unparse(tree.func), context)
        return found if isinstance(found, Plain | Members) else ANYTHING
    try:
        value = ast.literal_eval(tree) if tree is not None else None
    except (ValueError, TypeError, RecursionError, MemoryError):
        return ANYTHING
    kind = type(value)
    if kind is int:  # whoever wrote 1 may well be given 0.5
        return OneOf((Plain("builtins.int"), Plain("builtins.float")))
    path = f"builtins.{kind.__name__}"
    if kind in (bool, float, complex, str, bytes):
        return Plain(path)
    return Many(path, ()) if path in known.COLLECTIONS else ANYTHING


def without_bounds(kind: Type) -> Type:
    """Return a type without its constraints."""
    while isinstance(kind, Bounded | Open):
        kind = kind.inner
    return kind


def is_open(kind: Type) -> bool:
    """Whether the run's own process has to judge a value, as source text does not tell all of the type."""
    return any(isinstance(part, Open) for part in parts(kind)) or is_blind(kind)


def is_blind(kind: Type) -> bool:
    """Whether nothing of a value can be read or judged before the run."""
    return any(
        isinstance(part, Unknown)
        or (isinstance(part, Open) and part.blind)
        or (isinstance(part, Plain) and part.path in known.THERE)
        for part in parts(kind)
    )


def parts(kind: Type) -> Iterator[Type]:
    """Yield a type and all that it is made of."""
    yield kind
    match kind:
        case Bounded(inner=inner) | Open(inner=inner):
            yield from parts(inner)
        case OneOf(types=inside) | Many(items=inside):
            for part in inside:
                yield from parts(part)


def one_of(types: Sequence[Type]) -> Type:
    """Return the flat union of some types; the type itself where there is only one."""
    flat: list[Type] = []
    for kind in types:
        for part in kind.types if isinstance(kind, OneOf) else (kind,):
            if not any(part is other or repr(part) == repr(other) for other in flat):
                flat.append(part)
    return flat[0] if len(flat) == 1 else OneOf(tuple(flat))


class _TooMuchError(Exception):
    """The type is larger than any that a person would write."""


class _Resolver:
    def __init__(self, context: Context) -> None:
        self.context = context
        self.left = _MOST_PARTS
        self.depth = 0

    def resolve(self, node: ast.expr) -> Type:
        self.left -= 1
        self.depth += 1
        if self.left < 0 or self.depth > _DEEPEST:
            raise _TooMuchError
        try:
            return self._resolve(node)
        finally:
            self.depth -= 1

    def _resolve(self, node: ast.expr) -> Type:
        match node:
            case ast.Constant(value=None):
                return NOTHING
            case ast.Constant(value=str(text)):
                inner = parse_expression(text)
                return Unknown(text) if inner is None else self.resolve(inner)
            case ast.BinOp(op=ast.BitOr()):
                return one_of([self.resolve(part) for part in _alternatives(node)])
            case ast.Name() | ast.Attribute():
                return self._named(node)
            case ast.Subscript(value=value, slice=inside):
                return self._subscripted(node, value, inside)
            case ast.Call(func=func):
                return self._called(node, self._path(func))
        return Unknown(ast.unparse(node))

    def _path(self, node: ast.expr) -> str | None:
        path = self.context.path(node)
        if path is None and isinstance(node, ast.Name) and node.id not in self.context.names:
            path = f"builtins.{node.id}" if node.id in known.BUILTINS else None
        return known.ALIASES.get(path, path) if path is not None else None

    def _named(self, node: ast.Name | ast.Attribute) -> Type:
        path = self._path(node)
        if path is not None:
            return _standard(path) or Unknown(ast.unparse(node))
        if isinstance(node, ast.Attribute):
            return Unknown(ast.unparse(node))
        match self.context.names.get(node.id):
            case ast.ClassDef() as definition:
                built = static_enum(definition, self.context)
                return Members(built) if built is not None else Unknown(node.id)
            case ast.expr() as alias:
                kind = self.resolve(alias)
                made = isinstance(alias, ast.Call) and isinstance(kind, Unknown) and not kind.missing
                return Unknown(node.id) if made else kind
            case None:
                return Unknown(node.id, missing=node.id if node.id in known.IMPORTS else "")
        return Unknown(node.id)

    def _subscripted(self, node: ast.Subscript, value: ast.expr, inside: ast.expr) -> Type:
        path = self._path(value)
        items = inside.elts if isinstance(inside, ast.Tuple) else [inside]
        if path is None:
            base = self._named(value) if isinstance(value, ast.Name | ast.Attribute) else None
            return base if isinstance(base, Unknown) and base.missing else Unknown(ast.unparse(node))
        match path:
            case "typing.Optional":
                return one_of([*(self.resolve(item) for item in items), NOTHING])
            case "typing.Union":
                return one_of([self.resolve(item) for item in items])
            case "typing.Annotated":
                return self._annotated(items)
            case "typing.Final" | "typing.ClassVar":
                return self.resolve(inside)
            case "typing.Literal":
                return self._literal(items) or Unknown(ast.unparse(node))
        found = self._collection(path, items) if path in known.COLLECTIONS else None
        return found or Unknown(ast.unparse(node))

    def _collection(self, path: str, items: Sequence[ast.expr]) -> Type | None:
        if path == "builtins.tuple":
            if len(items) == 2 and isinstance(items[1], ast.Constant) and items[1].value is ...:
                return Many(path, (self.resolve(items[0]),))
            return Many(path, tuple(self.resolve(item) for item in items), endless=False)
        if len(items) != known.COLLECTIONS[path]:
            return None
        return Many(path, tuple(self.resolve(item) for item in items))

    def _literal(self, items: Sequence[ast.expr]) -> Type | None:
        values: list[Any] = []
        for item in items:
            if isinstance(item, ast.Name | ast.Attribute | ast.Subscript):
                nested = self._literal_member(item)
                if nested is None:
                    return None
                values += nested
                continue
            try:
                values.append(ast.literal_eval(item))
            except (ValueError, TypeError, RecursionError, MemoryError):
                return None
        plain = all(isinstance(value, str | int | bytes | enum.Enum | None) for value in values)
        return Choice(tuple(values)) if values and plain else None

    def _literal_member(self, item: ast.Name | ast.Attribute | ast.Subscript) -> list[Any] | None:
        if isinstance(item, ast.Attribute) and isinstance(item.value, ast.Name):
            owner = self._named(item.value)
            if isinstance(owner, Members) and item.attr in owner.enum.__members__:
                return [owner.enum.__members__[item.attr]]
        nested = self.resolve(item)
        return list(nested.values) if isinstance(nested, Choice) else None

    def _annotated(self, items: Sequence[ast.expr]) -> Type:
        kind = self.resolve(items[0])
        for item in items[1:]:
            if not isinstance(item, ast.Constant):  # a note
                kind = self._marked(kind, item)
        return kind

    def _marked(self, kind: Type, mark: ast.expr) -> Type:
        """Return a type with one more mark of `Annotated` on it; what is behind an open one is open, too."""
        path = (self._path(mark.func) or "") if isinstance(mark, ast.Call) else ""
        if isinstance(mark, ast.Call) and path in known.AFTER:
            return Open(kind)
        if not isinstance(mark, ast.Call) or not (path in known.MARKS or path in known.FIELDS):
            return Open(kind, blind=True)
        names = known.MARKS.get(path, ())
        given = [*zip(names, mark.args, strict=False), *((k.arg or "**", k.value) for k in mark.keywords)]
        if path in known.MARKS and len(mark.args) > len(names):
            return Open(kind, blind=True)
        return self._limited(kind, given)

    def _limited(self, kind: Type, given: Sequence[tuple[str, ast.expr]]) -> Type:
        limits: list[tuple[str, Any]] = []
        left: list[tuple[str, str]] = []
        for name, node in given:
            value = self._constant(node)
            if name not in known.LIMITS:
                if name not in known.NOTES:
                    return Open(kind, blind=True)
            elif value is _COMPUTED or isinstance(kind, Open):
                left.append((name, ast.unparse(node)))
            elif value is not None:  # which is no limit
                limits.append((name, value))
        if isinstance(kind, Open) and not kind.blind:
            left, kind = [*kind.limits, *left], kind.inner
        if isinstance(kind, Bounded):
            computed = dict(left)  # which hold in the place of those that are written before them
            before = [limit for limit in kind.limits if limit[0] not in computed]
            if not dict(before).keys() & dict(limits).keys():
                limits, kind = [*before, *limits], kind.inner
        kind = Bounded(kind, tuple(limits)) if limits else kind
        return Open(kind, tuple(left)) if left else kind

    def _constant(self, node: ast.expr) -> Any:
        """Return the value of a constraint: a literal, a carried constant, a date or a Decimal."""
        match node:
            case ast.Name(id=name):
                meaning = self.context.names.get(name)
                node = meaning if isinstance(meaning, ast.expr) else node
            case ast.Call(func=func, args=args, keywords=[]):
                found = known.construct(self._path(func), [_literal(argument) for argument in args])
                return _COMPUTED if found is None else found
        return _literal(node)

    def _called(self, node: ast.Call, path: str | None) -> Type:
        if path == "typing.NewType" and len(node.args) == 2:
            return self.resolve(node.args[1])
        if path is not None and path in known.CONSTRAINED:
            inner = _standard(known.CONSTRAINED[path])
            if isinstance(inner, Many) and node.args:
                inner = self._collection(inner.path, node.args)
            elif node.args:
                inner = None
            given = [(keyword.arg or "**", keyword.value) for keyword in node.keywords]
            return self._limited(inner, given) if inner is not None else Unknown(ast.unparse(node))
        missing = node.func.id if isinstance(node.func, ast.Name) else ""
        unbound = missing in known.IMPORTS and missing not in self.context.names
        return Unknown(ast.unparse(node), missing=missing if unbound else "")


def _standard(path: str) -> Type | None:
    """Return the type that a path of the allow-list means."""
    if path in known.ANYTHING:
        return ANYTHING
    if path in known.BOUNDED:
        base, limits = known.BOUNDED[path]
        return Bounded(Plain(base), limits)
    if path in known.COLLECTIONS:
        return Many(path, ())
    return Plain(path) if path in known.PLAIN else None


def _alternatives(node: ast.expr) -> list[ast.expr]:
    """Return the parts of `a | b | c`, which the parser nests to the left."""
    found: list[ast.expr] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        found.append(node.right)
        node = node.left
    return [node, *reversed(found)]


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError, MemoryError):
        return _COMPUTED


def names_missing(kind: Type) -> list[tuple[str, str]]:
    """Return the names in a type that nothing imports, each with the line that would."""
    names = dict.fromkeys(part.missing for part in parts(kind) if isinstance(part, Unknown) and part.missing)
    return [(name, known.IMPORTS[name]) for name in names]
