"""Values that are used but never written: passwords, tokens, keys."""

from __future__ import annotations

import ast
import base64
import html
import json
import re
from typing import TYPE_CHECKING, Any, NoReturn, SupportsIndex
from urllib.parse import quote, quote_plus

from flownb.parameters.context import Context
from flownb.parameters.lines import parse_expression

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from mmap import mmap

    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

HIDDEN = "***"
_PATHS = frozenset(
    {"flownb.Secret", "flownb.parameters.Secret", "flownb.parameters.secret.Secret"}
    | {"pydantic.SecretStr", "pydantic.SecretBytes", "pydantic.types.SecretStr", "pydantic.types.SecretBytes"}
)
_NAMES = frozenset({"Secret", "SecretStr", "SecretBytes"})
#: shorter lines and base64 fragments would be found in text that has nothing to do with the secret
_SHORTEST_PART = 8
_WIDE = ("utf-16-le", "utf-32-le")  #: how arrays and some files keep texts


class Secret(str):
    """A text that shows itself as `Secret('***')`.

    Declared as a parameter's type (`password: Secret`), its value is never written to a notebook, record or
    log. It is a `str`: passing it on, joining and comparing use the value. It refuses to be pickled, since
    what is pickled ends up in files.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Secret({HIDDEN!r})"

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError(
            "a Secret is not pickled, for its value would be readable in the file: give it as a parameter of "
            "the run, or pass str(secret) on where that is really wanted"
        )

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Tell pydantic to take text, and to hide the value where it writes."""
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(
            cls,
            core_schema.str_schema(),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda _: HIDDEN),
        )


def is_secret(annotation: str, context: Context | None = None) -> bool:
    """Whether a parameter of this type must not be written: its annotation mentions `Secret` anywhere.

    `annotation` is source text. pydantic's `SecretStr` and `SecretBytes` count too, and where it is not
    known what a name means, a name like those does.
    """
    context = context or Context()
    tree = parse_expression(annotation) if annotation.strip() else None
    if tree is None:
        return bool(_NAMES.intersection(re.findall(r"\w+", annotation)))
    waiting: list[ast.AST] = [tree]
    aliases: set[str] = set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name | ast.Attribute) and _means_secret(node, context):
            return True
        if isinstance(node, ast.Name) and node.id not in aliases:
            aliases.add(node.id)
            meaning = context.names.get(node.id)
            waiting += [meaning] if isinstance(meaning, ast.expr) else []
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            inner = parse_expression(node.value)
            waiting += [inner] if inner is not None and not isinstance(inner, ast.Constant) else []
        elif not (isinstance(node, ast.Subscript) and _last_name(node.value) == "Literal"):
            waiting += ast.iter_child_nodes(node)
    return False


def _means_secret(node: ast.Name | ast.Attribute, context: Context) -> bool:
    path = context.path(node)
    if path is not None:
        return path in _PATHS
    known = isinstance(node, ast.Name) and isinstance(context.names.get(node.id), ast.expr | ast.ClassDef)
    return _last_name(node) in _NAMES and not known


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


class Redactor:
    """Replaces secrets in texts by `***`, also as they look when quoted, escaped or encoded.

    Built once for a run's secrets and used for every text that the run writes. A secret that is cut in two
    by the end of a text is not found: join the parts first.
    """

    def __init__(self, secrets: Collection[str]) -> None:
        found = {form for secret in secrets if secret for form in _forms(str(secret))}
        self._forms = sorted(found, key=len, reverse=True)
        wide = [str(secret).encode(code, "surrogatepass") for secret in secrets if secret for code in _WIDE]
        self._data = [*(form.encode("utf-8", "surrogatepass") for form in self._forms), *wide]

    def __call__(self, text: str) -> str:
        """Return the text without the secrets."""
        spans = sorted(span for form in self._forms for span in _spans(text, form))
        parts, at, until = [], 0, -1
        for start, end in spans:
            if start >= until:
                parts += [text[at:start], HIDDEN]
            until = at = max(until, end)
        parts.append(text[at:])
        return "".join(parts)

    def is_in(self, data: bytes | mmap) -> bool:
        """Whether data that is no text, such as a file's, holds one of the secrets."""
        return any(data.find(form) >= 0 for form in self._data)


def redact(text: str, secrets: Collection[str]) -> str:
    """Return the text with every occurrence of the secrets replaced by `***`; empty secrets are ignored.

    Found are a secret as it is, as `repr`, JSON, HTML or a URL write it, and inside base64.
    """
    return Redactor(secrets)(text)


def _spans(text: str, form: str) -> Iterator[tuple[int, int]]:
    at = text.find(form)
    while at >= 0:
        yield at, at + len(form)
        at = text.find(form, at + 1)


def _forms(secret: str) -> Iterator[str]:
    lines = [line.strip() for line in secret.splitlines()] if len(secret.splitlines()) > 1 else []
    for value in (secret, *(line for line in lines if len(line) >= _SHORTEST_PART)):
        data = value.encode("utf-8", "surrogatepass")
        yield value
        for write in (repr, ascii):
            yield write(value)[1:-1]
            yield write(value + "'\"")[1:-1].removesuffix("\\'\"")  # as inside a text with both quotes
        yield from (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1])
        yield repr(data)[2:-1]
        yield from (html.escape(value), html.escape(value, quote=False))
        for url in (quote(data), quote(data, safe=""), quote_plus(data)):
            yield url
            yield re.sub("%..", lambda found: found[0].lower(), url)
        yield from _base64(data)


def _base64(data: bytes) -> Iterator[str]:
    """Yield the base64 of the data, and what of it stays the same when they stand inside of others."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        whole = encode(data).decode("ascii")
        yield whole
        yield whole.rstrip("=")
        for shift in range(3):
            first = -(-shift * 8 // 6)
            last = (shift + len(data)) * 8 // 6
            inner = encode(b"\0" * shift + data).decode("ascii")[first:last]
            if len(inner) >= _SHORTEST_PART:
                yield inner
