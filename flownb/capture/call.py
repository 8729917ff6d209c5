"""One call, as it is followed: its arguments, and whether anybody takes its value."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from flownb.capture.things import NOTHING

if TYPE_CHECKING:
    from flownb.capture.things import Value


class Call:
    """A call whose arguments have been followed; `thrown`: its value is thrown away."""

    __slots__ = ("args", "loose", "node", "thrown", "words")

    def __init__(
        self,
        node: ast.Call | None,
        args: list[Value],
        words: dict[str, Value],
        thrown: bool,
        *,
        loose: bool = False,
    ) -> None:
        self.node = node
        self.args = args
        self.words = words
        self.thrown = thrown
        self.loose = loose  #: how many arguments there are is not known

    @property
    def first(self) -> Value:
        """The first argument."""
        return self.args[0] if self.args else NOTHING

    @property
    def every(self) -> Value:
        """All arguments together."""
        return NOTHING.union(*self.args, *self.words.values())

    def with_args(self, args: list[Value]) -> Call:
        """Return the call with other arguments by place."""
        return Call(self.node, args, self.words, self.thrown, loose=self.loose)

    def key(self, name: str) -> tuple[object, str]:
        """Return what the thing that it makes is known by."""
        return (self.node, name)

    def text(self, index: int) -> str | None:
        """Return an argument that is a text written out."""
        args = self.node.args if self.node is not None else []
        node = args[index] if index < len(args) else None
        return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None

    def word_text(self, name: str) -> str | None:
        """Return an argument by name that is a text written out."""
        for word in self.node.keywords if self.node is not None else ():
            if (
                word.arg == name
                and isinstance(word.value, ast.Constant)
                and isinstance(word.value.value, str)
            ):
                return word.value.value
        return None

    def true(self, name: str) -> bool:
        """Whether an argument by name is `True`."""
        return self.node is not None and any(
            word.arg == name and isinstance(word.value, ast.Constant) and word.value.value is True
            for word in self.node.keywords
        )
