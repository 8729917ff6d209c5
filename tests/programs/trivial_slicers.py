"""Two slicers that show what the property test can do: one is always right, and one is often wrong."""

from __future__ import annotations

import ast


def everything(executed: list[str], step: str) -> str:
    """Keep all."""
    return "".join(executed)


def only_last_bindings(executed: list[str], step: str) -> str:
    """Keep only the statement that bound each needed name last; changes in place are not seen."""
    statements = [statement for source in executed for statement in ast.parse(source).body]
    needed = _loaded(ast.parse(step))
    kept: list[ast.stmt] = []
    for statement in reversed(statements):
        bound = _bound(statement)
        if bound & needed:
            kept.append(statement)
            needed -= bound
            needed |= _loaded(statement)
    return "\n".join(ast.unparse(statement) for statement in reversed(kept))


def _loaded(tree: ast.AST) -> set[str]:
    return {name.id for name in _names(tree) if isinstance(name.ctx, ast.Load)}


def _names(tree: ast.AST) -> list[ast.Name]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Name)]


def _bound(statement: ast.stmt) -> set[str]:
    match statement:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            return {(alias.asname or alias.name).partition(".")[0] for alias in names}
    return {name.id for name in _names(statement) if isinstance(name.ctx, ast.Store)}
