"""What a declared type means, told from its source without executing any of it.

An annotation is walked as a syntax tree. Names lead through the notebook's imports to an allow-list of types
of the standard library, typing and pydantic; whatever is not on it - other calls, private attributes,
arithmetic - is `Unknown`, which takes any Python object. The result is plain data, so that listing and
describing parameters needs no pydantic.
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
    """A type of which source text tells nothing; it takes any Python object."""

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


Type = Plain | Anything | Unknown | Choice | Members | OneOf | Many | Bounded

NOTHING = Plain("builtins.None")
TEXT = Plain("builtins.str")
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
    while isinstance(kind, Bounded):
        kind = kind.inner
    return kind


def parts(kind: Type) -> Iterator[Type]:
    """Yield a type and all that it is made of."""
    yield kind
    match kind:
        case Bounded(inner=inner):
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
                return self.resolve(alias)
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
            case "re.Pattern" | "pydantic.Json":
                return Plain(path)
        if path in known.COLLECTIONS:
            return self._collection(path, items)
        return Unknown(ast.unparse(node))

    def _collection(self, path: str, items: Sequence[ast.expr]) -> Type:
        if path == "builtins.tuple":
            if len(items) == 2 and isinstance(items[1], ast.Constant) and items[1].value is ...:
                return Many(path, (self.resolve(items[0]),))
            return Many(path, tuple(self.resolve(item) for item in items), endless=False)
        wanted = known.COLLECTIONS[path]
        if len(items) != wanted:
            return Many(path, ())
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
        inner = self.resolve(items[0])
        limits: dict[str, Any] = {}
        for item in items[1:]:
            if isinstance(item, ast.Call):
                limits.update(self._limits(item))
        return Bounded(inner, tuple(limits.items())) if limits else inner

    def _limits(self, call: ast.Call) -> dict[str, Any]:
        path = self._path(call.func) or ""
        if path in {"pydantic.Field", "pydantic.StringConstraints", "annotated_types.Interval"}:
            return self._keywords(call)
        names = known.MARKS.get(path, ())
        values = (self._constant(argument) for argument in call.args)
        return {**dict(zip(names, values, strict=False)), **self._keywords(call)} if names else {}

    def _keywords(self, call: ast.Call) -> dict[str, Any]:
        found = {}
        for keyword in call.keywords:
            value = self._constant(keyword.value) if keyword.arg in known.LIMITS else None
            if keyword.arg is not None and value is not None:
                found[keyword.arg] = value
        return found

    def _constant(self, node: ast.expr) -> Any:
        """Return the value of a constraint: a literal, a carried constant, a date or a Decimal; else None."""
        match node:
            case ast.Name(id=name):
                meaning = self.context.names.get(name)
                node = meaning if isinstance(meaning, ast.expr) else node
            case ast.Call(func=func, args=args, keywords=[]):
                return known.construct(self._path(func), [_literal(argument) for argument in args])
        return _literal(node)

    def _called(self, node: ast.Call, path: str | None) -> Type:
        if path == "typing.NewType" and len(node.args) == 2:
            return self.resolve(node.args[1])
        if path is not None and path in known.CONSTRAINED:
            inner = _standard(known.CONSTRAINED[path])
            assert inner is not None
            if isinstance(inner, Many) and node.args:
                inner = self._collection(inner.path, node.args[:1])
            limits = self._keywords(node)
            return Bounded(inner, tuple(limits.items())) if limits else inner
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
        return None


def names_missing(kind: Type) -> list[tuple[str, str]]:
    """Return the names in a type that nothing imports, each with the line that would."""
    names = dict.fromkeys(part.missing for part in parts(kind) if isinstance(part, Unknown) and part.missing)
    return [(name, known.IMPORTS[name]) for name in names]
