"""Calls that read names out of text: `exec`, `df.query("@t")`, and what IPython makes of magics."""

from __future__ import annotations

import ast
import re
from string import Formatter
from typing import TYPE_CHECKING

from flownb.names.scopes import Block, Scope

if TYPE_CHECKING:
    from flownb.names.expressions import Expressions

_MAGIC_CALLS = frozenset({"run_line_magic", "run_cell_magic"})
_SHELL_CALLS = frozenset({"system", "getoutput", "getoutput_or_raise"})
_QUERIES = frozenset({"query", "eval"})
_NAMESPACES = frozenset({"locals", "vars", "dir"})
_TEXT_LIMIT = 60

#: Magics that run Python in the notebook's namespace, and the letters of their options that take a value
_RUN_HERE = {
    "time": "",
    "prun": "DlsT",
    "capture": "",
    "memit": "rti",
    "pyinstrument": "",
    "wandb": "",
    "flow": "",
    "flownb": "",
}
#: Magics that run Python inside a function: what it assigns is not seen outside
_RUN_IN_FUNCTION = {"timeit": "nrpv"}
_NOT_EXPANDED = frozenset({"time", "timeit", "prun", "debug"})
#: Cell magics whose bodies are files, or programs of other processes and languages
_FOREIGN = frozenset(
    """bash sh script cmd perl ruby python python2 python3 pypy js javascript html HTML latex markdown svg SVG
    writefile file""".split()  # noqa: SIM905 - a table of words
)
#: Cell magics that run their body in a shell, and fill in `{x}` and `$x`
_SHELLS = frozenset({"sx", "system", "!"})
_HIDDEN = frozenset({"run", "pylab", "recall", "rerun", "rep", "load", "macro", "autocall"})

_DOLLAR = re.compile(r"\$(\$?[\w.]+)(?=(?:[^']*'[^']*')*[^']*$)")
_AT = re.compile(r"(?<!\w)@([^\W\d]\w*)")
_RESULT_OPTION = re.compile(r"--(?:out|err|proc)[ =]\s*(\w+)")


def look_into(walker: Expressions, node: ast.Call) -> None:
    """Take note of the names that a call reads or binds by text; its arguments have been walked."""
    func = node.func
    if isinstance(func, ast.Name):
        if func.id in _NAMESPACES or func.id in {"globals", "exec", "eval"}:
            _builtin(walker, node, func.id)
    elif isinstance(func, ast.Attribute):
        if func.attr in _QUERIES:
            _query(walker, node)
        elif func.attr in _MAGIC_CALLS:
            _magic(walker, node, func.attr)
        elif func.attr in _SHELL_CALLS and _is_get_ipython(func.value):
            for text in _texts(node):
                _expand(walker, text)


def named_in_namespace(walker: Expressions, node: ast.Subscript) -> str | None:
    """Return the module's name that is read by `globals()["x"]`; None where none is, or it cannot be told."""
    match node:
        case ast.Subscript(
            value=ast.Call(func=ast.Name(id=name), args=[], keywords=[]),
            slice=ast.Constant(value=str(key)),
            ctx=ast.Load(),
        ) if name == "globals" or (name in ("vars", "locals") and walker.scope.kind == "module"):
            plain = walker.scope.refers(name) == name and name not in walker.state.bound
            return key if plain and key.isidentifier() else None
    return None


def _is_get_ipython(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "get_ipython"


def _texts(node: ast.Call) -> list[str]:
    """Return the leading arguments that are string literals."""
    texts = []
    for arg in node.args:
        if not (isinstance(arg, ast.Constant) and isinstance(arg.value, str)):
            break
        texts.append(arg.value)
    return texts


def _shown(text: str) -> str:
    return text if len(text) <= _TEXT_LIMIT else text[: _TEXT_LIMIT - 3] + "..."


def _builtin(walker: Expressions, node: ast.Call, name: str) -> None:
    if walker.scope.refers(name) != name or name in walker.state.bound:
        return
    if name in _NAMESPACES:
        if not node.args and walker.scope.kind != "function":
            walker.opaque(node, f"{name}()")
        return
    if name != "globals" and len(node.args) == 1 and not node.keywords and (texts := _texts(node)):
        _embedded(walker, node, texts[0], node.lineno - 1)
    else:
        walker.opaque(node, f"{name}()" if name == "globals" else f"{name}(...)")


def _query(walker: Expressions, node: ast.Call) -> None:
    """Take note of `@x` in the text of pandas' `query` and `eval`, which look for `x` in their caller."""
    where = [*node.args[:1], *(keyword.value for keyword in node.keywords if keyword.arg == "expr")]
    for text in where:
        parts = text.values if isinstance(text, ast.JoinedStr) else [text]
        literals = [
            part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)
        ]
        for name in [name for literal in literals for name in _AT.findall(literal)]:
            walker.load(name)


def _magic(walker: Expressions, node: ast.Call, call: str) -> None:
    texts = _texts(node)
    if call == "run_line_magic" and len(texts) >= 2:
        _line_magic(walker, node, texts[0], texts[1])
    elif call == "run_cell_magic" and len(texts) >= 3:
        _cell_magic(walker, node, texts[0], texts[1], texts[2])
    else:
        walker.opaque(node, _shown(ast.unparse(node)))


def _line_magic(walker: Expressions, node: ast.Call, name: str, line: str) -> None:
    if name not in _NOT_EXPANDED:
        _expand(walker, line)
    above = node.lineno - 1
    if name in _RUN_IN_FUNCTION:
        _embedded(walker, node, without_options(line, _RUN_IN_FUNCTION[name]), above, function=True)
    elif name in _RUN_HERE:
        _embedded(walker, node, without_options(line, _RUN_HERE[name]), above)
    elif name == "store":
        _store(walker, node, line)
    elif name in _HIDDEN:
        walker.opaque(node, _shown(f"%{name} {line}".strip()))


def _store(walker: Expressions, node: ast.Call, line: str) -> None:
    """`%store x` reads x; `%store -r x` binds it, and without a name whatever has been stored."""
    names = [word for word in line.split() if word.isidentifier()]
    if line.startswith("-r"):
        walker.opaque(node, _shown(f"%store {line}"))
        for name in names:
            walker.bind(name)
    elif not line.startswith("-"):
        for name in names[:1]:
            walker.load(name)


def _cell_magic(walker: Expressions, node: ast.Call, name: str, line: str, body: str) -> None:
    if name not in _NOT_EXPANDED:
        _expand(walker, line)
    if name in _RUN_IN_FUNCTION:
        setup = without_options(line, _RUN_IN_FUNCTION[name])
        _embedded(walker, node, f"{setup}\n{body}", node.lineno - 1, function=True)
    elif name == "prun":
        _embedded(walker, node, f"{without_options(line, _RUN_HERE[name])}\n{body}", node.lineno - 1)
    elif name in _RUN_HERE:
        _embedded(walker, node, body, node.lineno)
        if name == "capture":
            for word in [word for word in line.split() if word.isidentifier()][:1]:
                walker.bind(word)
    elif name in _SHELLS:
        _expand(walker, body)
    elif name not in _FOREIGN:
        walker.opaque(node, f"%%{name}")
    for result in _RESULT_OPTION.findall(line):
        walker.bind(result)


def _embedded(walker: Expressions, node: ast.Call, text: str, above: int, *, function: bool = False) -> None:
    """Walk Python that stands in a text below line `above`; as a `function`'s where it runs inside one."""
    cell = walker.cell
    if node not in cell.trees:
        cell.trees[node] = _parsed(walker, node, text)
    body = cell.trees[node]
    offset = cell.offset
    cell.offset += above
    if function:
        walker.activate(walker.closure(node, Scope("function", walker.scope, Block(*body)), body))
    elif walker.scope.kind == "module":
        walker.block(body)
    else:
        walker.activate(walker.closure(node, Scope("function", walker.scope), body))
    cell.offset = offset


def _parsed(walker: Expressions, node: ast.Call, text: str) -> list[ast.stmt]:
    try:
        transform = walker.cell.transform
        return ast.parse(transform(text) if transform else text).body
    except (SyntaxError, ValueError):
        walker.opaque(node, f"text that is not Python: {_shown(text.strip().partition(chr(10))[0])}")
        return []


def _expand(walker: Expressions, text: str) -> None:
    """Take note of what IPython fills in a shell or magic line.

    `{x}` is the person's wish; `$x` may be the shell's own variable, and is left to it where there is no x.
    """
    expressions, names = shell_expressions(text)
    walker.block(expressions)
    lenient, walker.lenient = walker.lenient, True
    for name in names:
        walker.load(name)
    walker.lenient = lenient


def shell_expressions(text: str) -> tuple[list[ast.expr], list[str]]:
    """Return what IPython fills in a shell or magic line: expressions of `{x + y}`, names of `$x` and `${x}`.

    As IPython does, the whole line is left alone where a `{...}` is not an expression.
    """
    expressions: list[ast.expr] = []
    names: list[str] = []
    try:
        for literal, expression, _, _ in Formatter().parse(text):
            found = (match.group(1) for match in _DOLLAR.finditer(literal))
            names += (name.partition(".")[0] for name in found if not name.startswith("$"))
            if expression is None:
                continue
            if literal.endswith("$") and expression.isidentifier():  # `${x}`, as a shell writes it
                names.append(expression)
            else:
                expressions.append(ast.parse(expression.strip(), mode="eval").body)
    except (SyntaxError, ValueError):
        return [], []
    return expressions, [name for name in names if name.isidentifier()]


def without_options(line: str, valued: str) -> str:
    """Return a magic's line without its leading options; the letters in `valued` take a value."""
    while line.startswith("-"):
        option, _, line = line.partition(" ")
        line = line.lstrip()
        if option == "--":
            break
        if len(option) == 2 and option[1] in valued:
            line = line.partition(" ")[2].lstrip()
    return line
