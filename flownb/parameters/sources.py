"""Values that an assignment names instead of holding them: `token=@env:MAIL_TOKEN`.

What is written into a command can be read by everybody in the list of processes, and stays in the shell's
history; what is written into a cell is saved with the notebook. So both can say where a value is.
"""

from __future__ import annotations

import getpass
import os
import unicodedata
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flownb.errors import ParameterError
from flownb.parameters.assignments import secret_names
from flownb.parameters.coerce import Text
from flownb.parameters.files import STANDARD_INPUT, parse_assignment, read_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from flownb.flow import Flow

_MARK = "@"
_WORDS = "@env:NAME, @file:PATH, @- (standard input) or @prompt"


class Assignments:
    """Assignments such as `n=1` to parameters of one flow."""

    def __init__(
        self, flow: Flow, texts: Iterable[str], written: Callable[[Text], Any] = lambda text: text
    ) -> None:
        """Split them; nothing is asked or read yet. Raises `ParameterError` where one is no assignment.

        `written` tells the value of a text that holds it itself.
        """
        self._pairs = [parse_assignment(text) for text in texts]
        self._written = written
        self._declared = {parameter.name for parameter in flow.parameters}
        self._secret = secret_names(flow) if self._pairs else frozenset()

    @property
    def from_standard_input(self) -> list[str]:
        """Those whose value is what comes from standard input."""
        return [f"{name}={text}" for name, text in self._pairs if text == f"{_MARK}-"]

    @property
    def open_secrets(self) -> list[str]:
        """The names of the secret parameters whose values are written there for everybody."""
        return [
            name for name, text in self._pairs if _plain(name) in self._secret and not text.startswith(_MARK)
        ]

    def values(self) -> dict[str, Any]:
        """Return the values, got from where they are. Raises `ParameterError`, which never tells a value."""
        return {name: self._value(name, text) for name, text in self._pairs}

    def _value(self, name: str, text: Text) -> Any:
        if not text.startswith(_MARK):
            return self._written(text)
        if _plain(name) not in self._declared:
            return text  # that there is no such parameter is told, and nothing asked for it
        if text.startswith(_MARK * 2):
            return Text(text[1:])
        word, colon, where = text[1:].partition(":")
        try:
            if word == "env" and where:
                return Text(os.environ[where])
            if word == "file" and where:
                return Text(_without_end(read_text(Path(where).expanduser())))
            if (word, colon) == ("-", ""):
                return Text(_without_end(read_text(STANDARD_INPUT)))
            if (word, colon) == ("prompt", ""):
                return self._asked(name)
        except KeyError:
            problem = f"the environment variable {where}, which is not set"
            raise ParameterError(f"`{name}` is to come from {problem}") from None
        except ParameterError as error:
            raise ParameterError(f"`{name}`: {error}") from error
        raise ParameterError(
            f"`{name}`: what begins with {_MARK} says where the value is: {_WORDS}; "
            f"where the value itself begins with {_MARK}, write {_MARK * 2} there"
        )

    def _asked(self, name: str) -> Text:
        if _plain(name) not in self._secret:
            raise ParameterError(
                "@prompt hides what is typed, and yet the value would be in the run's record: declare it as "
                f"a secret, `{name}: flownb.Secret`"
            )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", getpass.GetPassWarning)  # what is typed would be seen
                return Text(getpass.getpass(f"{name}: "))
        except (OSError, EOFError, NotImplementedError, getpass.GetPassWarning) as error:
            raise ParameterError("nobody can be asked here: there is no terminal") from error


def _plain(name: str) -> str:
    return unicodedata.normalize("NFKC", name)  # as Python reads identifiers


def _without_end(text: str) -> str:
    """Return a text without the end of its last line, which editors and `echo` put there."""
    return text.removesuffix("\n").removesuffix("\r")
