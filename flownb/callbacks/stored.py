"""Callbacks as plain JSON data and back: by name where importable, else pickled, never dropped in silence."""

from __future__ import annotations

import base64
import importlib.util
import inspect
import io
import json
import platform
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from flownb.callbacks.base import Callback, Configured, name_of, normalise
from flownb.callbacks.references import Pickled, Reference, this_magic
from flownb.errors import CallbackError
from flownb.frozen import plain
from flownb.parameters.secret import Secret

#: What a callback refers to comes along when it is pickled: a table of 50 MB is not what anybody meant.
PICKLE_LIMIT = 1_000_000

_OWN = "flownb.callbacks."


def serialize(callbacks: Iterable[Callback] | Callback | None) -> list[dict[str, Any]]:
    """Return the callbacks as JSON data that `deserialize` reads, in another process too.

    - Made of options (the ready-made ones, and objects of an importable class with a method `options()`
      that returns a dict): `{"callback": "module:Class", "options": {...}}`.
    - Functions and classes that can be imported: `{"callback": "module:qualname"}`.
    - All others (of a notebook or `__main__`, lambdas, closures, bound methods, partials):
      `{"pickle": BASE64, "python": "3.11.7", "magic": HEX, "name": ...}`, by cloudpickle.

    `CallbackError` names one that can be stored in none of these ways, that takes over 1 MB, or that
    holds a secret value or an open file.
    """
    return [_entry(callback) for callback in normalise(callbacks)]


def deserialize(data: Iterable[Mapping[str, Any]] | None) -> tuple[Callback, ...]:
    """Return the callbacks of `serialize`. Those of the user's are imported or unpickled when called.

    `CallbackError` where the data is of another form, an option of a ready-made callback is wrong, or
    another Python wrote pickled ones, whose bytecode this one does not share.
    """
    if data is None:
        return ()
    if isinstance(data, str | bytes | Mapping) or not isinstance(data, Iterable):
        raise CallbackError(f"stored callbacks are a list; this is a {type(data).__name__}")
    return tuple(from_entry(entry) for entry in data)


def from_entry(entry: object) -> Callback:
    """Return the callback of one stored entry; `CallbackError` as for `deserialize`."""
    if not isinstance(entry, Mapping):
        raise CallbackError(
            f"a stored callback is an object with `callback` or `pickle`; this is a {type(entry).__name__}"
        )
    if "pickle" in entry:
        fields = {"data": entry["pickle"], **{key: entry[key] for key in entry if key != "pickle"}}
        _check_keys(fields, {"data", "python", "magic", "name"})
        if not all(isinstance(value, str) for value in fields.values()):
            raise CallbackError("a stored callback with `pickle` has only texts in it; this one is damaged")
        return Pickled(**fields)
    if "callback" not in entry:
        raise CallbackError("a stored callback has neither `callback` nor `pickle`")
    return refer(entry["callback"], entry.get("options"), set(entry) - {"callback", "options"})


def refer(target: object, options: object, unknown: Iterable[str] = ()) -> Callback:
    """Return the callback at `module:name`, made at once if it is one of flownb's own, else when called."""
    if not isinstance(target, str) or not (options is None or isinstance(options, Mapping)):
        raise CallbackError(
            "a stored callback is `module:name` as text, with `options` as an object or without"
        )
    if unknown := sorted(map(str, unknown)):
        raise CallbackError(
            f"the stored callback {target[:100]!a} has what this version does not know: {unknown}"
        )
    reference = Reference(target, None if options is None else dict(options))
    return reference.load() if target.startswith(_OWN) else reference


def _check_keys(fields: Mapping[str, object], wanted: set[str]) -> None:
    if set(fields) != wanted:
        odd = sorted(map(str, set(fields) ^ wanted))
        raise CallbackError(f"a stored callback with `pickle` lacks, or has too much: {', '.join(odd)}")


def _entry(callback: Callback) -> dict[str, Any]:
    if isinstance(callback, Pickled):
        return {
            "pickle": callback.data,
            "python": callback.python,
            "magic": callback.magic,
            "name": callback.name,
        }
    if isinstance(callback, Reference):
        return _named(callback.target, callback.options, callback)
    options = _options(callback)
    if options is not None:
        target = importable(type(callback))
        if target is not None:
            return _named(target, options, callback)
        if isinstance(callback, Configured):  # pickling it could put into the bytes what options() refuses
            raise CallbackError(
                f"{name_of(callback)} is of a class that cannot be imported; put it into a module"
            )
    target = importable(callback)
    return {"callback": target} if target is not None else _pickled(callback)


def _options(callback: Callback) -> Mapping[str, Any] | None:
    method = getattr(callback, "options", None)
    if inspect.isclass(callback) or inspect.isroutine(callback) or not callable(method):
        return None
    options = method()
    return options if isinstance(options, Mapping) else None


def _named(target: str, options: Mapping[str, Any] | None, callback: Callback) -> dict[str, Any]:
    if options is None:
        return {"callback": target}
    if secret := _secret_in(options):
        raise CallbackError(
            f"the option `{secret}` of {name_of(callback)} is a secret and is not written down; "
            "give the name of an environment variable, as `$NAME`, where the callback knows them"
        )
    try:
        told = json.loads(json.dumps(plain(options), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise CallbackError(f"the options of {name_of(callback)} are not plain JSON data: {error}") from error
    return {"callback": target, "options": told}


def _secret_in(value: object, name: str = "") -> str:
    """Return the name of the first option with a secret in it, empty where there is none."""
    if isinstance(value, Secret):
        return name or "?"
    if isinstance(value, Mapping):
        return next(filter(None, (_secret_in(item, name or str(key)) for key, item in value.items())), "")
    if isinstance(value, list | tuple):
        return next(filter(None, (_secret_in(item, name) for item in value)), "")
    return ""


def importable(found: object) -> str | None:
    """Return `module:qualname` where another process can import this very function or class, else None."""
    module_name, qualname = getattr(found, "__module__", None), getattr(found, "__qualname__", None)
    if not isinstance(module_name, str) or not isinstance(qualname, str) or inspect.ismethod(found):
        return None
    if module_name in {"__main__", "__mp_main__"} or not _has_a_file(module_name):
        return None
    value: object = sys.modules[module_name]
    for part in qualname.split("."):
        value = getattr(value, part, None)
    return f"{module_name}:{qualname}" if value is found else None


def _has_a_file(module_name: str) -> bool:
    """Whether Python's import system knows where the module comes from: not so for one made by hand."""
    if module_name not in sys.modules:
        return False
    try:
        return importlib.util.find_spec(module_name) is not None
    except (ImportError, ValueError):
        return False


def _pickled(callback: Callback) -> dict[str, Any]:
    import cloudpickle

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
        """Refuses what cloudpickle would write without a word."""

        def reducer_override(self, obj: object) -> object:
            if isinstance(obj, Secret):
                raise CallbackError(
                    "it holds a secret value, which is never written down; read it when called"
                )
            if isinstance(obj, Configured):
                obj.options()  # refuses what it would not have written down either
            if isinstance(obj, io.TextIOWrapper) and obj is not sys.stdout and obj is not sys.stderr:
                raise CallbackError("it holds an open file; open it when called")
            return super().reducer_override(obj)

    name, stream = name_of(callback), io.BytesIO()
    try:
        Pickler(stream).dump(callback)
    except Exception as error:
        raise CallbackError(
            f"the callback {name} cannot be stored: {error}. A function of an importable module always can"
        ) from error
    size = stream.tell()
    if size > PICKLE_LIMIT:
        raise CallbackError(
            f"the callback {name} takes {size / 1e6:.1f} MB when stored, at most {PICKLE_LIMIT / 1e6:.0f} MB "
            "are allowed: what it refers to comes along. Let it read its data when called, or put it into "
            "a module"
        )
    return {
        "pickle": base64.b64encode(stream.getvalue()).decode("ascii"),
        "python": platform.python_version(),
        "magic": this_magic(),
        "name": name,
    }
