"""Parameters from the command line's `name=value` and from files.

JSON and TOML say of what type a value is. YAML guesses (`12:30` is 750, `no` is false): what is written in it
is `Text`, and the declared type says what it stands for, as on the command line. Standard input and pipes
have no name that says which it is: JSON is told by its text, all else there is YAML.
"""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flownb.errors import ParameterError
from flownb.parameters.coerce import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from os import PathLike

STANDARD_INPUT = Path("-")  #: stands for what comes from there

#: the most values that a file may stand for: YAML's references can make a small file endless
_MOST_VALUES = 1_000_000


_YAML_TEXT = "tag:yaml.org,2002:str"
_YAML_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


class _FileError(Exception):
    """What is wrong in a file, and on which line (from 1; 0: none in particular)."""

    def __init__(self, what: str, line: int = 0) -> None:
        super().__init__(what)
        self.line = line


def parse_assignment(text: str) -> tuple[str, Text]:
    """Split `name=value` at the first `=`; the value is text, kept as it is, whatever it holds.

    Raises `ParameterError` where there is no `=` or no name.
    """
    name, equals, value = text.partition("=")
    name = name.strip()
    if not equals or not name:
        label = repr(text[:60])
        raise ParameterError(
            f"a parameter is given as name=value, and {label} is not; quote it if it has spaces"
        )
    return name, Text(value)


def read_file(path: str | PathLike[str]) -> dict[str, Any]:
    """Return the parameters that a YAML, JSON or TOML file gives: a mapping of names to values.

    `-` is standard input; that, and what has no suffix, such as a pipe, is JSON or YAML.
    Raises `ParameterError` that names the file, and the line where there is one.
    """
    file = Path(path)
    reader = _READERS.get(file.suffix.lower())
    if reader is None:
        raise ParameterError(
            f"parameters are read from .yaml, .yml, .json and .toml files; {file} is none of these"
        )
    try:
        found = reader(read_text(file))
    except _FileError as error:
        place = f"{file}, line {error.line}" if error.line else f"{file}"
        raise ParameterError(f"{place}: {error}") from error
    except RecursionError:
        raise ParameterError(f"{file} is nested too deep") from None
    if found is None or (isinstance(found, Text) and found.null):
        return {}
    if not isinstance(found, dict):
        kind = "str" if isinstance(found, Text) else type(found).__name__
        raise ParameterError(f"{file}, line 1: expected names with values, found a {kind}")
    for name in found:
        if not isinstance(name, str):
            raise ParameterError(f"{file}: a parameter's name is text, and {name!r} is not; put it in quotes")
    return {str(name): value for name, value in found.items()}


def read_text(file: Path) -> str:
    """Return the text of a file, or of standard input. Raises `ParameterError` that names it."""
    name = "standard input" if file == STANDARD_INPUT else str(file)
    if file == STANDARD_INPUT and sys.stdin is None:
        raise ParameterError("standard input is closed")
    try:
        data = sys.stdin.buffer.read() if file == STANDARD_INPUT else file.read_bytes()
        return data.decode("utf-8-sig")
    except FileNotFoundError:
        raise ParameterError(f"there is no file {name} to read parameters from") from None
    except UnicodeDecodeError:
        raise ParameterError(f"{name} is not text in UTF-8") from None
    except OSError as error:
        raise ParameterError(f"{name} cannot be read: {error.strerror}") from error


def _read_told_by_text(text: str) -> Any:
    try:
        json.loads(text)
    except ValueError:
        return _read_yaml(text)
    return _read_json(text)


def _read_json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unique) if text.strip() else None
    except json.JSONDecodeError as error:
        raise _FileError(error.msg, error.lineno) from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _FileError(f"`{twice}` is there twice")
    return found


def _read_toml(text: str) -> Any:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _FileError(str(error)) from error  # says the line itself


def _read_yaml(text: str) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """Takes scalars for text; refuses a key that is there twice, where YAML takes the last in silence."""

        # of what YAML sees in plain scalars, only that a key merges
        yaml_implicit_resolvers = {"<": yaml.SafeLoader.yaml_implicit_resolvers["<"]}  # noqa: RUF012

        def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
            found = super().construct_scalar(node)
            if node.tag != _YAML_TEXT or not isinstance(found, str):
                return found
            quoted = getattr(node, "style", None) is not None
            return Text(found, quoted=quoted, null=not quoted and found in _YAML_NULLS)

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
            seen: set[str] = set()
            for key, _ in node.value:
                if isinstance(key.value, str) and key.value in seen and key.value != "<<":
                    raise _FileError(f"`{key.value}` is there twice", key.start_mark.line + 1)
                seen.update([key.value] if isinstance(key.value, str) else [])
            return super().construct_mapping(node, deep=deep)

    loader: Loader | None = None
    try:
        loader = Loader(text)
        tree = loader.get_single_node()
        if tree is None:
            return None
        if _size(tree, {}, yaml.Node) > _MOST_VALUES:
            raise _FileError(f"its references stand for more than {_MOST_VALUES:,} values")
        return loader.construct_document(tree)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _FileError(error.problem or "not YAML", mark.line + 1 if mark else 0) from error
    except yaml.YAMLError as error:
        raise _FileError(str(error).splitlines()[0]) from error
    except ValueError as error:  # such as the date 2026-02-30
        raise _FileError(str(error)) from error
    finally:
        if loader is not None:
            loader.dispose()


def _size(node: Any, known: dict[int, float], kind: type) -> float:
    """How many values a YAML node stands for, its references written out; endless where it holds itself."""
    if not isinstance(node, kind):
        return sum(_size(part, known, kind) for part in node) if isinstance(node, tuple) else 1
    if id(node) not in known:
        known[id(node)] = float("inf")
        inside = getattr(node, "value", ())
        parts = inside if isinstance(inside, list) else ()
        known[id(node)] = 1 + sum(_size(part, known, kind) for part in parts)
    return known[id(node)]


_READERS: dict[str, Callable[[str], Any]] = {
    "": _read_told_by_text,
    ".json": _read_json,
    ".yaml": _read_yaml,
    ".yml": _read_yaml,
    ".toml": _read_toml,
}
