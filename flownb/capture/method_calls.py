"""Calls of methods of things whose class is not known, followed by what their names tell."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from flownb.capture import known, library_state
from flownb.capture.builtin_calls import BuiltinCalls
from flownb.capture.calling import is_callable
from flownb.capture.things import (
    NOTHING,
    Code,
    Container,
    Database,
    Figure,
    Function,
    Namespace,
    Stream,
    Thing,
    Value,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from flownb.capture.call import Call

#: methods of databases that change nothing by themselves, those that only save, and those that give answers
_OPENING = frozenset({"cursor", "connect", "begin", "raw_connection"})
_SAVING = frozenset({"commit", "rollback", "executescript", "executemany"})
_FETCHING = frozenset({"fetchone", "fetchall", "fetchmany", "scalar", "scalars", "all", "first", "one", "df"})


class MethodCalls(BuiltinCalls):
    """Follows the calls of methods."""

    def call_method(self, receiver: Value, name: str, call: Call) -> Value:
        """Call a method by what its name tells."""
        for value in call.args:
            self.consume(value)
        self._write_named(call)
        if library_state.method_draws(name, frozenset(call.words)):
            self.draw("numpy.random")
        if call.true("inplace"):
            self.write(receiver)
            return NOTHING
        if name == "to_sql":
            self.write_deep(one for one in call.every if isinstance(one, Database) and one.memory)
        kind = self._kind_of_receiver(receiver, name) or self._kind_of_use(name, call)
        method: Callable[[Value, str, Call], Value] = getattr(self, f"_call_{kind}")
        return method(receiver, name, call)

    def _kind_of_receiver(self, receiver: Value, name: str) -> str:
        """Return what kind of method it is, where the thing that it is called on tells; else nothing."""
        if name in known.LOGGING and self.world.states.get("logging") in receiver:
            return "showing"
        if name in known.KEEPING and any(isinstance(thing, Namespace) for thing in receiver):
            return "namespace"
        if any(isinstance(thing, Figure) for thing in receiver):
            return "figure"
        if any(isinstance(thing, Database) for thing in receiver):
            return "database"
        if name.startswith("write") and any(isinstance(thing, Stream) and thing.writes for thing in receiver):
            return "showing"
        return ""

    def _kind_of_use(self, name: str, call: Call) -> str:
        """Return what kind of method it is by its name, and by what it is called for."""
        kind = known.method_kind(name)
        if name == "get" and not call.args:
            return "taking"  # a queue's
        if name in ("start", "join") and call.thrown and not call.args:
            return "unknown"  # a thread's, not those of a match and a text
        if kind == "fresh" and call.thrown and call.node is not self.displayed:
            # what nobody takes or sees does something
            return "showing" if name in known.SHOWING else "unknown"
        return kind

    def _call_keeping(self, receiver: Value, name: str, call: Call) -> Value:
        """`append`, `update`: what is given is in the object from then on."""
        self.write(receiver)
        if name.startswith("enter_"):  # what a context manager stands for is set
            self.write_deep(call.every)
        self.put(self.items(call.every) if name in known.SHARING else call.every, receiver)
        if name == "setdefault":
            return self.items(receiver) | call.every
        return frozenset(thing for thing in receiver if not isinstance(thing, Container))

    def _call_namespace(self, _: Value, name: str, call: Call) -> Value:
        """`globals().update(a=1)`: names of the notebook are bound."""
        for word, value in call.words.items():
            self.bind_in_notebook(word if word != "**" else None, value)
        for arg in call.node.args[:1] if call.node is not None else ():
            keys = [arg] if name in ("setdefault", "__setitem__") else getattr(arg, "keys", [None])
            for key in keys:
                self.bind_in_notebook(key, self.items(call.first).union(*call.args[1:]))
        return call.every

    def _call_taking(self, receiver: Value, name: str, call: Call) -> Value:
        """`pop`, `read`, `normal`: what it gives may come out of the object."""
        self.write(receiver)
        if name == "shuffle":  # of a generator: what it is given is what is shuffled
            self.write(call.first)
        if name == "popitem":
            return self.fresh(call.key(name), self.items(receiver), Container)
        return self.items(receiver) | call.every

    def _call_changing(self, receiver: Value, _: str, call: Call) -> Value:
        """`sort`, `fit`: the object, and what it holds, may be another afterwards."""
        inside = self.items(receiver)
        self._asked(inside, "__lt__", "__eq__")
        self.call_back(call.every | frozenset(filter(is_callable, inside)), inside | receiver)
        self.consume(self.write_deep(receiver))
        self.write(thing for thing in receiver if isinstance(thing, Function))
        return receiver

    def _call_looking(self, receiver: Value, name: str, call: Call) -> Value:
        """`values`, `reshape`: the object itself, seen in another way."""
        if name == "items":
            pair = self.fresh(call.key("pair"), self.items(receiver), Container)
            return self.fresh(call.key(name), pair | receiver, Container)
        return (self.items(receiver) if name == "get" else receiver) | call.every

    def _call_copying(self, receiver: Value, name: str, call: Call) -> Value:
        """`copy`: another container, with the same things in it."""
        inside = self.items(receiver) - receiver | self.items(call.every)
        known_one = all(
            isinstance(thing, Container) for thing in receiver
        )  # an array's is seen through views
        return self.fresh(call.key(name), inside, Container if known_one else Thing)

    def _call_fresh(self, receiver: Value, name: str, call: Call) -> Value:
        """`mean`, `split`: something new, of which the object holds nothing."""
        returned = self.call_back(call.every, self.items(receiver) | receiver)
        held = receiver if name in known.LAZY else returned if name in known.CALLING else NOTHING
        return self.fresh(call.key(name), held)

    def _call_streaming(self, receiver: Value, name: str, call: Call) -> Value:
        """`itertuples`, `execute`: what is used up by being read."""
        return self.stream(call.key(name), receiver | call.every)

    def _call_showing(self, receiver: Value, name: str, call: Call) -> Value:
        """`head`, `to_csv`: what is only looked at, or goes elsewhere."""
        self.call_back(call.every)
        if name in known.LOGGING:
            handlers = NOTHING.union(*(thing.parts for thing in receiver))
            self._asked(handlers, "emit")
            self.write_buffers(handlers)
        return self.fresh(call.key(name))

    def write_buffers(self, value: Value) -> None:
        """Take note that something is written into files in memory that things are, or hold."""
        held = value.union(*(thing.parts for thing in value if not isinstance(thing, Code)))
        self.write(thing for thing in held if isinstance(thing, Stream) and not thing.writes)

    def _call_plotting(self, _receiver: Value, _: str, call: Call) -> Value:
        """`plot` of a table: it draws on the present figure."""
        drawn = self.items(call.words.get("ax", NOTHING)) or frozenset((self.world.figure,))
        self.write(drawn)
        return drawn

    def _call_drawing(self, receiver: Value, _: str, call: Call) -> Value:
        """`set_title`, `add_trace`: an object that is drawn on, and nothing else."""
        self.call_back(call.every)
        self.write(receiver)
        return receiver

    def _call_figure(self, receiver: Value, name: str, call: Call) -> Value:
        """Call any method of a figure or its axes."""
        self.call_back(call.every)
        shows = known.shows_or_saves(name) and name not in known.DRAWING
        if not shows and not name.startswith("get_"):
            self.write(receiver)
        return receiver

    def _call_database(self, receiver: Value, name: str, call: Call) -> Value:
        """Call any method of a connection, a cursor or a session.

        What is written to a database that lasts is there already: to write is to save.
        """
        sql = self._text_in(call)
        asks = known.only_asks(sql) or name in _OPENING
        databases = [one for one in receiver if isinstance(one, Database)]
        memory, asking = any(one.memory for one in databases), any(one.asking for one in databases)
        saves = not memory and ((sql and not asks) or name in _SAVING)
        if asking and not saves:
            self.write(receiver)
        if not (asks or saves or name in _FETCHING):
            self.put(call.every, receiver)
            self.write_deep(receiver) if memory else self.write(receiver)
        self.call_back(call.every)
        made = self.of_database(call.key(name), databases)
        for thing in made:
            thing.asking = name != "connect"  # type: ignore[attr-defined]  # it is a database
        return made | receiver if asking else made

    def of_database(self, key: object, databases: list[Database]) -> Value:
        """Return what comes of databases."""
        made = self.fresh(key, databases, Database)
        for thing in made:
            thing.memory = any(one.memory for one in databases)  # type: ignore[attr-defined]  # it is one
        return made

    def _text_in(self, call: Call) -> str:
        """Return the text that an argument is, or begins with, as far as it is written out."""
        for part in ast.walk(call.node.args[0]) if call.node is not None and call.node.args else ():
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                return part.value
            if isinstance(part, ast.Name) and part.id in self.world.texts:
                return self.world.texts[part.id]
        return ""

    def _write_named(self, call: Call) -> None:
        """Write what is named as the place where a result goes: `out=`, `ax=`."""
        self.write(call.words.get("out", NOTHING))
        for word in ("ax", "axes", "fig", "figure"):
            self.write(self.items(call.words.get(word, NOTHING)))

    def draw(self, name: str) -> None:
        """Take note that something is drawn from a generator of the process, if that was seeded."""
        generator = self.world.generators.get(name)
        if generator is not None:
            self.touched.append(generator)
            self.write([generator])
