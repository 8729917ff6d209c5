"""Whether a class statement is what made a live class, and what was changed on the class since.

There is no code object to compare, so it is told by its bases, annotations, the code of its methods, and
its plain attributes.
"""

from __future__ import annotations

import ast
import contextlib
import enum
import types
from typing import TYPE_CHECKING, Any

from flownb.capture.codes import code_inside, functions_within, future_flags, same_code, same_constant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flownb.capture.statements import Statement

_PLAIN = (type(None), bool, int, float, complex, str, bytes, tuple, frozenset)
_DESCRIPTORS = (types.MemberDescriptorType, types.GetSetDescriptorType, property, staticmethod, classmethod)


def class_changes(statement: Statement, cls: type, namespace: Mapping[str, Any]) -> dict[str, object] | None:
    """Return what was changed on `cls` since the class statement made it; None where it did not."""
    node = statement.node
    assert isinstance(node, ast.ClassDef)
    if cls.__module__ not in {namespace.get("__name__", "__main__"), "builtins"}:  # builtins: a bare exec()
        return None
    if cls.__name__ != node.name or not _same_bases(node, cls, namespace):
        return None
    written = _Body(node)
    if written.annotated != list(own_annotations(cls)):
        return None
    for compiled in statement.compiled(future_flags(cls)):
        found = _changed_methods(written, code_inside(compiled, node.name, statement.line), cls)
        if found is not None:
            break
    else:
        return None
    constants = _changed_constants(written, cls)
    if constants is None:
        return None
    return found | constants | _added(written, node, cls)


def _changed_methods(written: _Body, compiled: list[types.CodeType], cls: type) -> dict[str, object] | None:
    found: dict[str, object] = {}
    for name, codes in written.functions(compiled).items():
        live = vars(cls).get(_mangled(written.owner, name))
        if not any(
            same_code(function.__code__, code) for function in functions_within(live) for code in codes
        ):
            if not isinstance(live, types.FunctionType) or live.__qualname__.startswith(
                f"{cls.__qualname__}."
            ):
                return None
            found[name] = live  # patched with a function written elsewhere
    return found


def _same_bases(node: ast.ClassDef, cls: type, namespace: Mapping[str, Any]) -> bool:
    bases = vars(cls).get("__orig_bases__", cls.__bases__)
    if not node.bases:
        return bool(bases == (object,) or cls.__bases__ == (object,))
    if any(isinstance(base, ast.Starred) for base in node.bases):
        return True
    if len(bases) != len(node.bases):
        return False
    named = [
        (base.id, live) for base, live in zip(node.bases, bases, strict=True) if isinstance(base, ast.Name)
    ]
    # some bases are functions or forms that stand for another class, as TypedDict does
    return all(namespace[name] is live for name, live in named if isinstance(namespace.get(name), type))


def _mangled(owner: str, name: str) -> str:
    if name.startswith("__") and not name.endswith("__"):
        return f"_{owner.lstrip('_')}{name}"
    return name


class _Body:
    """What a class's body binds, read from its source."""

    def __init__(self, node: ast.ClassDef) -> None:
        self.owner = node.name
        self.names: set[str] = set()
        self.annotated: list[str] = []
        self.constants: dict[str, object] = {}
        self.defined: list[str] = []
        self.plain = True  #: whether all that it binds was found
        for statement in node.body:
            self._read(statement)

    def _read(self, node: ast.stmt) -> None:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                self.names.add(name)
                self.defined.append(name)
            case ast.ClassDef(name=name):
                self.names.add(name)
            case ast.AnnAssign(target=ast.Name(id=name), value=value):
                self.annotated.append(_mangled(self.owner, name))
                if value is not None:
                    self._assign(name, value)
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    if isinstance(target, ast.Name):
                        self._assign(target.id, value)
                    else:
                        self.plain = False
            case ast.Pass() | ast.Expr():
                pass
            case _:
                self.plain = False
        self.annotated = list(dict.fromkeys(self.annotated))

    def _assign(self, name: str, value: ast.expr) -> None:
        self.names.add(name)
        self.constants.pop(name, None)
        if isinstance(value, ast.Constant | ast.List | ast.Dict | ast.Set | ast.Tuple):
            with contextlib.suppress(ValueError):  # reads names: its value is not to be known from here
                self.constants[name] = ast.literal_eval(value)

    def functions(self, compiled: list[types.CodeType]) -> dict[str, list[types.CodeType]]:
        """Code of the methods, by name; of several with one name (a property's), all."""
        if len(compiled) != 1:
            return {}
        return {name: code_inside(compiled[0], name) for name in self.defined}


def _changed_constants(written: _Body, cls: type) -> dict[str, object] | None:
    changed: dict[str, object] = {}
    for name, constant in written.constants.items():
        live = vars(cls).get(_mangled(written.owner, name), changed)
        if issubclass(cls, enum.Enum):
            member = cls.__members__.get(name)
            if member is not None and not same_constant(member.value, constant):
                return None
        elif isinstance(live, _PLAIN) and not same_constant(live, constant):
            changed[name] = live
        elif type(live) is type(constant) and isinstance(live, list | dict | set) and _differ(live, constant):
            changed[name] = live  # filled or emptied since
    return changed


def _differ(one: object, other: object) -> bool:
    try:
        return bool(one != other)
    except Exception:  # noqa: BLE001 - arrays and the like in it: no literal of a class's body has such
        return True


def _added(written: _Body, node: ast.ClassDef, cls: type) -> dict[str, object]:
    """Attributes that only assignments after the class statement can have made."""
    if not written.plain or not _made_by_its_body_alone(node, cls):
        return {}
    known = {_mangled(node.name, name) for name in written.names}
    return {
        name: value
        for name, value in vars(cls).items()
        if name not in known and not isinstance(value, _DESCRIPTORS) and not _is_pythons_own(name, value)
    }


def _made_by_its_body_alone(node: ast.ClassDef, cls: type) -> bool:
    """Whether nothing but the class statement's own body puts attributes into the class."""
    return (
        not node.decorator_list
        and type(cls) is type
        and not hasattr(cls, "_fields")  # typing.NamedTuple
        and all("__init_subclass__" not in vars(base) for base in cls.__mro__[:-1])
    )


def _is_pythons_own(name: str, value: object) -> bool:
    return name.startswith("__") and name.endswith("__") and not isinstance(value, types.FunctionType)


def own_annotations(cls: type) -> Mapping[str, object]:
    """Return the annotations of a class's own body."""
    own = vars(cls).get("__annotations__")
    if own is None and "__annotate_func__" in vars(cls):  # evaluated on demand since Python 3.14
        own = cls.__annotations__
    return own if isinstance(own, dict) else {}
