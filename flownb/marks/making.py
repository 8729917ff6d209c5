"""Making marks: a value is looked at, and the first of what it consists of is told."""

from __future__ import annotations

import contextlib
import hashlib
import sys
import warnings
from itertools import islice
from typing import TYPE_CHECKING, Any

from . import figures, python, tables
from .python import root, short
from .walk import PLAIN, Form, TooBigError, Walk, hashed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .walk import Opener

    Mark = dict[str, Any]

_ITEMS, _COLUMNS, _FIRST = 20, 40, 10  #: what a mark shows: items, columns, values
_ROOM = 3500  #: characters for what a mark shows, about
_ALL = (
    1 << 32
)  #: bytes that `identity` looks at; there are more ways than that through objects that know each other

#: what takes values apart, by package and name of the class, or of one that it is derived from
_FORMS = {**python.FORMS, **tables.FORMS, **figures.FORMS}


def _forms(kind: type) -> Opener:
    if kind.__module__ == "builtins":
        return _FORMS.get(f"builtins.{kind.__name__}", python.an_object)
    classes = [cls for cls in kind.__mro__ if cls is type or cls.__module__ != "builtins"]
    names = (f"{root(cls)}.{cls.__name__}" for cls in classes)
    return next((_FORMS[name] for name in names if name in _FORMS), python.an_object)


def mark(value: object, *, budget: int = 64_000_000) -> Mark:
    """Return the mark of `value`: plain JSON data of a hundred bytes up to about 4 kB.

    Of what is bigger than `budget` bytes only evenly spaced parts are looked at; the mark then is `sampled`.
    What has no content to compare is `opaque`. It never raises or warns, and changes nothing.
    """
    with _quietly():
        try:
            return _marked(value, Walk(_forms, budget))
        except TooBigError:
            return _marked(value, Walk(_forms, budget, sampled=True))
    return _opaque(value)


def identity(value: object) -> str:
    """Return a digest of the whole content of `value`, the same in every process.

    Where it holds what cannot be walked this is "pickle:" and the digest of its pickle: good for telling
    values apart, not for telling that they are the same. Raises what cloudpickle raises.
    """
    walk = Walk(_forms, _ALL)
    with _quietly():
        code = walk.visit(value).code
        if not walk.partly:
            return _digest(code)
    import cloudpickle

    return "pickle:" + hashlib.sha256(cloudpickle.dumps(value)).hexdigest()


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Go on after what foreign objects raise, and without their warnings."""
    with warnings.catch_warnings(), contextlib.suppress(Exception):
        warnings.simplefilter("ignore")
        yield


def _digest(code: str) -> str:
    return (code if code[0] == "#" else hashed(code))[1:]


def _opaque(value: object) -> Mark:
    return {"type": type(value).__qualname__, "opaque": True}


def _marked(value: object, walk: Walk) -> Mark:
    node, told = walk.visit(value), _told(walk, value, _ROOM)
    if "opaque" in told:
        return told
    version = walk.by_code and "{}.{}".format(*sys.version_info)
    found = {"sampled": walk.sampled, "partly": walk.partly, "python": version}
    return {**told, "digest": _digest(node.code), **{name: what for name, what in found.items() if what}}


def _told(walk: Walk, value: Any, room: float, within: tuple[int, ...] = ()) -> Mark:
    """Say in about so many characters what a value is, but not again what it is within."""
    kind, node, here = type(value), walk.visit(value), id(value)
    if here in walk.opaque:
        return _opaque(value)
    form = walk.seen[here][0] if here in walk.seen else Form(kind.__qualname__)
    if kind in PLAIN:
        form.text = short(value)
        if form.text[-1] == "…":
            form.size = {"bits": value.bit_length()} if kind is int else {"characters": len(value)}
    told: Mark = {"type": form.kind, "digest": _digest(node.code)[:8], "size": form.size, "value": form.text}
    if form.labels and here not in within and room > 250:
        told["parts"], told["more"] = _parts(walk, form, room, (*within, here))
    if form.first:
        most = max(0, min(_FIRST, int((room - 160) // 14)))
        first = [short(one) for one in form.first(most + 1)]
        told["first"], told["more"] = first[:most], len(first) > most
    if node.like:
        told.update(like=_digest(node.like)[:8], near=round(node.near, 12))
    return {name: what for name, what in told.items() if what or name == "near"}


def _parts(walk: Walk, form: Form, room: float, within: tuple[int, ...]) -> tuple[list[Any], bool]:
    """Say what the first of the items are, and whether there are more; of short plain ones only the text."""
    most = min(_COLUMNS + 1 if form.size and "columns" in form.size else _ITEMS, int(room // 80))
    plain = sum(type(item) in PLAIN for item in form.items[:most])
    share = (room - 30 * plain) / max(1, min(len(form.items), most) - plain)
    form.labels = list(islice(form.labels, _COLUMNS + 1))
    parts = []
    for item, label in zip(form.items[:most], form.labels, strict=False):
        told = _told(walk, item, share, within)
        parts.append([label, told["value"] if type(item) in PLAIN and "size" not in told else told])
    return parts, len(form.items) > len(parts)
