"""Names in texts that libraries evaluate: queries and expressions of pandas, formulas, SQL over tables.

A text is known where it is written out, or where a name is bound to one that is. What it names counts as read
where the notebook binds that name: columns have the same names often enough.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_EXPRESSIONS = frozenset({"eval", "query", "exec"})
_SQL = frozenset(
    {"sql", "query", "execute", "sqldf", "read_sql", "read_sql_query", "from_query", "sql_query"}
)
_FORMULAS = frozenset(
    {"dmatrix", "dmatrices", "from_formula", "ols", "glm", "logit", "mixedlm", "anova_lm", "gee"}
)
_CALLED = _EXPRESSIONS | _SQL | _FORMULAS
_HINTS = ("eval(", "query(", "exec(", "sql", "~", "execute(")
_AFTER = re.compile(r"\b(?:from|join|update|into|table)\s+([^\W\d]\w*)", re.IGNORECASE)
_AT = re.compile(r"(?<!\w)@([^\W\d]\w*)")
_ALL_NAMES = re.compile(r"\b(?:globals|locals|vars)\(\)(?!\s*\[)")
_SUBCLASSES = "__subclasses__"
_UNPICKLING = re.compile(
    r"\b(?:pickle|joblib|torch|dill|cloudpickle)\.loads?\(|\bread_pickle\(|\bshelve\.open\("
)
_WORD = re.compile(r"[^\W\d]\w*")


def names_in_texts(node: ast.AST, source: str, texts: Mapping[str, str]) -> frozenset[str]:
    """Return the names in the texts that `node` hands to libraries; `texts` are what names are bound to."""
    if not any(hint in source for hint in _HINTS):
        return frozenset()
    found: set[str] = set()
    for call, text in _calls(node, texts):
        if text is not None:
            found |= _named(call, text)
    return frozenset(found)


def unseen_texts(node: ast.AST, texts: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """Yield line and source of the calls whose text is not known: what it names cannot be seen."""
    for call, text in _calls(node, texts):
        if text is None and _name(call) in ("query", "eval"):
            yield call.lineno, ast.unparse(call)


def hands_names_out(source: str) -> bool:
    """Whether code gives all its names away: `template.format_map(globals())`."""
    return _ALL_NAMES.search(source) is not None


def asks_for_subclasses(source: str) -> bool:
    """Whether code asks classes for those that were derived from them."""
    return _SUBCLASSES in source


def finds_classes(source: str) -> bool:
    """Whether code finds classes of the notebook without naming them, as what loads pickled objects does."""
    return _SUBCLASSES in source or _UNPICKLING.search(source) is not None


def extends_path(source: str) -> bool:
    """Whether code says where modules are found."""
    return "sys.path" in source or "addsitedir" in source


def words_in(node: ast.AST) -> frozenset[str]:
    """Return the words of the texts that are written out in code."""
    texts = (part.value for part in ast.walk(node) if isinstance(part, ast.Constant))
    return frozenset(word for text in texts if isinstance(text, str) for word in _WORD.findall(text))


def _calls(node: ast.AST, texts: Mapping[str, str]) -> Iterator[tuple[ast.Call, str | None]]:
    """Yield the calls that evaluate a text, with it; None where it is not known."""
    for part in ast.walk(node):
        if isinstance(part, ast.Call) and _name(part) in _CALLED:
            words = {word.arg: word.value for word in part.keywords}
            given = next((words[word] for word in ("expr", "formula", "sql", "query") if word in words), None)
            first = given or (part.args[0] if part.args else None)
            if first is not None:
                yield part, _text(first, texts)


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _text(node: ast.expr, texts: Mapping[str, str]) -> str | None:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name):
            return texts.get(name)
        case ast.JoinedStr(values=parts):
            return "".join(str(part.value) for part in parts if isinstance(part, ast.Constant))
    return None


def _named(call: ast.Call, text: str) -> set[str]:
    if re.match(r"\s*(?:select|with|insert|update|delete|create|from)\b", text, re.IGNORECASE):
        return set(_AFTER.findall(text))
    if "~" in text and _name(call) not in _EXPRESSIONS:
        return set(_WORD.findall(text))
    if _name(call) == "query":
        return set(_AT.findall(text))
    return set(_WORD.findall(text)) if _name(call) in _EXPRESSIONS else set()
