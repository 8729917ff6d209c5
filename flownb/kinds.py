"""Kinds of a thing, each a class that a word stands for: our own, and those that others register.

What is serialised says its kind by the word, and is read back by it. Other distributions register theirs by
an entry point, whose name is the word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Generic, TypeVar, cast

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from flownb.errors import FlownbError

T = TypeVar("T")


class Kinds(Mapping[str, type[T]], Generic[T]):
    """Word -> class; a class is loaded when it is asked for. One that is broken hides no other.

    `own` are `module:Class` by their words, and none replaces them; `group` is that of the entry points.
    Whatever is wrong is an `error`.
    """

    def __init__(self, base: type[T], own: Mapping[str, str], group: str, error: type[FlownbError]) -> None:
        self._base = base
        self._own = own
        self._group = group
        self._error = error

    def __getitem__(self, word: str) -> type[T]:
        if word in self._own:
            module, _, name = self._own[word].partition(":")
            found: type[T] = getattr(import_module(module), name)
            return found
        for entry in self._others():
            if entry.name == word:
                return self._loaded(entry)
        raise KeyError(word)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._own, *(entry.name for entry in self._others())]))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __contains__(self, word: object) -> bool:
        return word in self._own or any(entry.name == word for entry in self._others())

    def named(self, word: object) -> type[T]:
        """Return the class that a word stands for; an error, naming those there are, where there is none."""
        if not isinstance(word, str) or word not in self:
            raise self._error(
                f"there is no {self._what} of the kind {ascii(word)[:60]}; there are: "
                f"{', '.join(sorted(self))}. Other kinds come with the distributions that have them"
            )
        return self[word]

    def word_of(self, cls: type[T]) -> str:
        """Return the word by which a class is read back; an error where another class would be."""
        word = cls.__dict__.get("kind")
        how = (
            f'give it one, kind = "...", and register it by that as an entry point of the group {self._group}'
        )
        if not isinstance(word, str) or not word:
            raise self._error(
                f"{cls.__qualname__} has no `kind` of its own, and would be read back as "
                f"{cls.__mro__[1].__qualname__}: {how}"
            )
        if word in self and (other := self[word]) is not cls:
            raise self._error(
                f"{cls.__qualname__} has the kind {word!a}, by which {other.__qualname__} is read back: {how}"
            )
        return word

    @property
    def _what(self) -> str:
        return self._base.__name__.lower()

    def _others(self) -> list[EntryPoint]:
        from importlib.metadata import entry_points

        return list(entry_points(group=self._group))

    def _loaded(self, entry: EntryPoint) -> type[T]:
        whose = f" of {entry.dist.name}" if entry.dist else ""
        try:
            cls = entry.load()
        except Exception as error:
            raise self._error(
                f"the kind of {self._what} {entry.name!a}{whose} cannot be loaded: "
                f"{type(error).__name__}: {error}"
            ) from error
        is_one = isinstance(cls, type) and issubclass(cls, self._base)
        if not is_one or vars(cls).get("kind") != entry.name:
            raise self._error(f"{entry.value}{whose} is no {self._base.__name__} of the kind {entry.name!a}")
        return cast("type[T]", cls)
