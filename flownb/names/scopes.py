"""What Python's and IPython's grammar says about names, whatever the order in which code runs.

Which scope a name belongs to, what a block binds, which names a piece of text mentions, and which
decorators and context managers are known to do what. How they come together when code is executed is
told by `flownb.names.analysis`. Sources: the language reference, "Naming and binding"; PEP 572
(assignment expressions), PEP 634 (matching), PEP 695 (type parameters); `symtable.c` where they are silent.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Comprehension: TypeAlias = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
Kind: TypeAlias = Literal["module", "function", "class", "parameters"]

_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def mangle(name: str, private: str) -> str:
    """Return `name` as it is known in the class called `private`: `__x` in class `C` is `_C__x`."""
    if not private or not name.startswith("__") or name.endswith("__") or "." in name:
        return name
    return f"_{private}{name}"


class Block:
    """What one block (module, function or class body) binds, declares and deletes, nested blocks apart."""

    __slots__ = ("binds", "deletes", "global_", "nonlocal_")

    def __init__(self, *nodes: ast.AST) -> None:
        self.binds: set[str] = set()
        self.deletes: set[str] = set()
        self.global_: set[str] = set()
        self.nonlocal_: set[str] = set()
        todo = [(node, False) for node in nodes]
        while todo:
            node, inside = todo.pop()  # `inside` a comprehension, only a walrus binds in this block
            inside = inside or isinstance(node, _COMPREHENSIONS)
            todo += [(child, inside) for child in self._take(node, inside)]

    def _take(self, node: ast.AST, inside: bool) -> Iterator[ast.AST]:
        """Note what `node` itself says; return the nodes in it that may say more."""
        if isinstance(node, ast.Name):
            if not isinstance(node.ctx, ast.Load) and not inside:
                self.binds.add(node.id)
                if isinstance(node.ctx, ast.Del):
                    self.deletes.add(node.id)
            return iter(())
        if isinstance(node, ast.Lambda):
            return iter((node.args,))
        if isinstance(node, _FUNCTIONS):
            self.binds.add(node.name)
            return iter((*node.decorator_list, node.args))
        if isinstance(node, ast.ClassDef):
            self.binds.add(node.name)
            return iter((*node.decorator_list, *node.bases, *node.keywords))
        if isinstance(node, ast.NamedExpr):
            self.binds.add(node.target.id)
            return iter((node.value,))
        if not isinstance(node, ast.expr):
            self._take_names(node)
        return ast.iter_child_nodes(node)

    def _take_names(self, node: ast.AST) -> None:
        """Note the names that `node` holds as plain strings."""
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            self.binds.update(bound_by_import(alias) for alias in node.names)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            self.binds.add(node.name)
            self.deletes.add(node.name)
        elif isinstance(node, (ast.MatchAs, ast.MatchStar)) and node.name:
            self.binds.add(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            self.binds.add(node.rest)
        elif isinstance(node, ast.Global):
            self.global_.update(node.names)
        elif isinstance(node, ast.Nonlocal):
            self.nonlocal_.update(node.names)


class Scope:
    """A scope, and what a name used in it refers to.

    `kind` is that of Python's own symbol table; a comprehension is a "function", and the type parameters
    of PEP 695 are a scope ("parameters") that sees the class around it.
    """

    __slots__ = ("_known", "kind", "locals", "named_global", "parent", "prefix", "private")

    def __init__(
        self,
        kind: Kind,
        parent: Scope | None = None,
        block: Block | None = None,
        private: str | None = None,
        prefix: str = "",
    ) -> None:
        self.kind = kind
        self.parent = parent
        inherited = parent.private if parent else ""
        self.private: str = inherited if private is None else private
        self.prefix = prefix
        self._known: dict[str, str] = {}
        block = block or Block()
        self.named_global = self.mangled(block.global_)
        self.locals = self.mangled(block.binds) - self.named_global - self.mangled(block.nonlocal_)

    def mangled(self, names: Iterable[str]) -> frozenset[str]:
        """Return names as they are known in the class around, if there is one."""
        return frozenset(mangle(name, self.private) for name in names)

    def refers(self, name: str) -> str:
        """Return what `name` refers to here.

        "" for a function's local or free variable; the (mangled) name itself for a global or builtin;
        `prefix` and the name for what a class body binds, which falls back to the global of that name.
        """
        key = self._known.get(name)
        if key is None:
            key = self._known[name] = self._look_up(mangle(name, self.private))
        return key

    def _look_up(self, name: str) -> str:
        scope: Scope | None = self
        start = True  # class bodies are seen from themselves, and from their own type parameters, only
        while scope is not None:
            if scope.kind == "class":
                key = self._in_class(scope, name) if start else None
                if key is not None:
                    return key
                if not start and name == "__class__":
                    return ""
            elif name in scope.named_global:
                return name
            elif name in scope.locals:
                return ""
            start = start and scope.kind == "parameters"
            scope = scope.parent
        return name

    @staticmethod
    def _in_class(scope: Scope, name: str) -> str | None:
        if name in scope.named_global:
            return name
        return scope.prefix + name if name in scope.locals else None


def global_name(key: str) -> str:
    """Return the global that a key of `Scope.refers` is, or falls back to."""
    return key.rpartition("\0")[2]


def bound_by_import(alias: ast.alias) -> str:
    """Return the name that one alias of an import binds: `import a.b` binds `a`."""
    return alias.asname or alias.name.partition(".")[0]


def root_name(node: ast.expr) -> str | None:
    """Return `x` of `x.a[0].b()`, whose object is what is reached; None where no name is at the root."""
    while not isinstance(node, ast.Name):
        if isinstance(node, (ast.Attribute, ast.Subscript)):
            node = node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            node = node.func
        else:
            return None
    return node.id


def last_name(node: ast.expr) -> str:
    """Return `c` of `c` and of `a.b.c`, else ""."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def is_irrefutable(pattern: ast.pattern) -> bool:
    """Whether a pattern matches everything."""
    if isinstance(pattern, ast.MatchAs):
        return pattern.pattern is None or is_irrefutable(pattern.pattern)
    return isinstance(pattern, ast.MatchOr) and any(map(is_irrefutable, pattern.patterns))


def parameters(args: ast.arguments) -> list[ast.arg]:
    """Return all parameters, in the order in which their annotations are evaluated."""
    every = [*args.posonlyargs, *args.args, args.vararg, *args.kwonlyargs, args.kwarg]
    return [arg for arg in every if arg is not None]


def catches_missing_names(handler: ast.ExceptHandler) -> bool:
    """Whether a handler says by name that it is there for `NameError`."""
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(kind, ast.Name) and kind.id == "NameError" for kind in kinds)


#: Decorators that keep the function for later. Any other one is taken to call it on the spot.
_KEEPERS = frozenset(
    """
    property cached_property staticmethod classmethod abstractmethod override final overload dataclass
    total_ordering runtime_checkable unique wraps cache lru_cache singledispatch singledispatchmethod
    contextmanager asynccontextmanager njit jit no_type_check deprecated fixture field_validator
    model_validator validator root_validator field_serializer model_serializer computed_field
    """.split()  # noqa: SIM905 - a table of words
)
_ACCESSORS = frozenset({"setter", "getter", "deleter", "register"})
#: Functions and methods that have used up a generator expression when they return
_CONSUMERS = frozenset(
    "sum any all list tuple set dict frozenset sorted min max bytes bytearray Counter".split()  # noqa: SIM905
)
_CONSUMING_METHODS = frozenset(
    {"join", "extend", "update", "writelines", "fromkeys", "Counter", "from_iterable"}
)
_SWALLOWERS = frozenset(
    {"suppress", "raises", "assertRaises", "assertRaisesRegex", "ExitStack", "AsyncExitStack"}
)


def keeps_for_later(decorator: ast.expr) -> bool:
    """Whether a decorator is known not to call what it decorates before somebody uses the result.

    It goes by the name, as `dataclass(frozen=True)`; `jit` with a signature compiles at once, so that
    positional arguments count against those that take none ordinarily.
    """
    if isinstance(decorator, ast.Call):
        name = last_name(decorator.func)
        return name in _KEEPERS and not (name in {"jit", "njit"} and decorator.args)
    return last_name(decorator) in _KEEPERS


def accessor_of(decorator: ast.expr) -> str:
    """Return `area` of `@area.setter` and `@area.register(int)`: the name of what they are joined to."""
    func = decorator.func if isinstance(decorator, ast.Call) else decorator
    if isinstance(func, ast.Attribute) and func.attr in _ACCESSORS and isinstance(func.value, ast.Name):
        return func.value.id
    return ""


def consumes(func: ast.expr) -> bool:
    """Whether calling `func` with a generator expression leaves nothing of it to be evaluated later."""
    return func.id in _CONSUMERS if isinstance(func, ast.Name) else last_name(func) in _CONSUMING_METHODS


def may_swallow(context: ast.expr) -> bool:
    """Whether a context manager is one of those whose purpose is to end exceptions."""
    return last_name(context.func if isinstance(context, ast.Call) else context) in _SWALLOWERS


def makes_swallower(node: FunctionNode | ast.ClassDef) -> bool:
    """Whether a definition makes context managers that may end exceptions."""
    if isinstance(node, ast.ClassDef):
        exits = [
            part
            for part in node.body
            if isinstance(part, _FUNCTIONS) and part.name in {"__exit__", "__aexit__"}
        ]
        returns = [
            part.value for method in exits for part in ast.walk(method) if isinstance(part, ast.Return)
        ]
        return any(
            not (value is None or (isinstance(value, ast.Constant) and not value.value)) for value in returns
        )
    if not any("contextmanager" in last_name(decorator) for decorator in node.decorator_list):
        return False
    return any(isinstance(part, ast.ExceptHandler) for part in ast.walk(node))


def text_names(annotation: str) -> list[str]:
    """Return the names in an annotation that is written as a string; none where it does not parse."""
    try:
        tree = ast.parse(annotation.strip(), mode="eval")
    except (SyntaxError, ValueError):
        return []
    return [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
