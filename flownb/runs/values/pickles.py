"""The last resort: cloudpickle, for the Python that wrote it only."""

from __future__ import annotations

import importlib.util
import io
import pickle
import platform
import sys
from typing import TYPE_CHECKING, Any

from .fitting import Place, refuse_secrets

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Mapping, Sequence


def python_mark() -> str:
    """Return the magic number of this Python's byte code and its version: `a70d0d0a 3.11.7`."""
    return f"{importlib.util.MAGIC_NUMBER.hex()} {platform.python_version()}"


def check_python(name: str, mark: str) -> None:
    """Raise `ValueError` where another Python pickled: such code may load and then crash the process."""
    magic, _, version = mark.partition(" ")
    if magic != importlib.util.MAGIC_NUMBER.hex():
        raise ValueError(
            f"`{name}` was pickled by Python {version or '(unknown)'} and this is Python "
            f"{platform.python_version()}; read it with that one, or run the flow again with this one"
        )


def write_pickle(value: Any, place: Place) -> None:
    """Write any object that can be pickled, functions and classes of a notebook too."""
    try:
        import cloudpickle
    except ImportError:
        raise ValueError(f"cloudpickle, which it needs, is not installed in {sys.prefix}") from None

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
        def reducer_override(self, obj: Any) -> Any:
            refuse_secrets([type(obj)])
            if isinstance(obj, io.IOBase) and not isinstance(obj, (io.BytesIO, io.StringIO)):
                raise pickle.PicklingError("an open file is in it; store what is read from it instead")
            return super().reducer_override(obj)

    with place(".pkl").open("wb") as file:
        Pickler(file).dump(value)


def read_pickle(paths: Sequence[pathlib.Path], detail: Mapping[str, Any]) -> Any:  # noqa: ARG001 - readers are alike
    """Read the format "cloudpickle": this can run code, as unpickling does."""
    with paths[0].open("rb") as file:
        return pickle.load(file)  # noqa: S301 - asked for by name; listing and showing never come here
