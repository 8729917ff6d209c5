"""Calls of functions of libraries, followed by what is known of them."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from flownb.capture import known, library_state, magics
from flownb.capture.call import Call
from flownb.capture.method_calls import MethodCalls
from flownb.capture.things import (
    NOTHING,
    Code,
    Container,
    Database,
    Defaulting,
    Figure,
    Function,
    Library,
    Method,
    Object,
    Partial,
    Thing,
    Value,
)
from flownb.capture.world import GENERATOR, parsed_module
from flownb.names.scopes import Block

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class LibraryCalls(MethodCalls):
    """Follows the calls of libraries' functions."""

    def call_library(self, path: str, call: Call) -> Value:
        """Call a function of a library, or a builtin."""
        library, _, rest = path.partition(".")
        if library == "builtins":
            return self.call_builtin(rest, call)
        if library == "IPython" and rest in ("run_line_magic", "run_cell_magic"):
            return self._magic(call)
        self.uses.add(library)
        self._draw(path, call)
        for value in call.args:
            self.consume(value)
        self._write_named(call)
        self.write(call.args[at] if (at := known.out_at(path)) < len(call.args) else NOTHING)
        special = _SPECIAL.get(path) or _SPECIAL.get(f"{library}.*")
        if special is None:
            special = next((method for paths, method in _SPECIAL_PATHS if path in paths), None)
        if special is not None:
            method: Callable[[str, Call], Value] = getattr(self, f"_{special}")
            return method(path, call)
        if library == "logging" and rest in known.LOGGING:
            return self.call_method(frozenset((self.world.state(library),)), rest, call)
        if path.startswith("matplotlib.pyplot.") or _draws_figures(library, path):
            return self._draw_figure(path, call)
        return self._call_by_kind(path, call)

    def _call_by_kind(self, path: str, call: Call) -> Value:
        """Call a function by what its library and its name tell."""
        returned = self.call_back(call.every)
        name = path.rpartition(".")[2]
        if library_state.puts_back(path) and not call.thrown:
            # whoever enters it by hand sets what it stands for
            return self.fresh(
                call.key(path), [*call.every, *map(self.world.state, library_state.states_set(path))]
            )
        displayed = call.node is self.displayed
        thrown = call.thrown
        if library_state.sets(path, displayed=displayed) if thrown else library_state.sets_anyway(path):
            self.set_state(path, call.every)
        if call.thrown and known.changes_given(path, displayed=displayed):
            self.write_deep(call.every)
        if name[:1].isupper() and (databases := [one for one in call.every if isinstance(one, Database)]):
            return self.of_database(call.key(path), databases)  # a session
        if name[:1].isupper() or (known.is_pure(path) and not known.gives_new(path)):
            return self.fresh(call.key(path), call.every | returned)
        if known.gives_new(path):
            return self.fresh(call.key(path), returned)
        if call.thrown and not known.shows_or_saves(name):
            self.put(call.every, [self.world.state(path.partition(".")[0])])
        return self.fresh(call.key(path), call.every | returned) | call.every | self.items(call.every)

    # -- functions that are known one by one ---------------------------------------------------------------

    def _change_first(self, _: str, call: Call) -> Value:
        self.write(call.first)
        self.put(call.every - call.first, call.first)
        return self.items(call.first)

    def _hand_on(self, _: str, call: Call) -> Value:
        return call.every | self.items(call.every)

    def _copy(self, path: str, call: Call) -> Value:
        same = self.fresh(call.key(path), self.items(call.first) | call.every - call.first, Container)
        return same | self.copies(call, deep=False)

    def _copy_deep(self, _: str, call: Call) -> Value:
        of = call.node.args[0] if call.node is not None and call.node.args else None
        # a method of a list or dict is not copied, and goes on being that one's
        method = isinstance(of, ast.Attribute) and known.method_kind(of.attr) != "unknown"
        return self.copies(call, deep=True) | (call.first if method else NOTHING)

    def _change_second(self, path: str, call: Call) -> Value:
        self.write(call.args[1] if len(call.args) > 1 else call.every)
        return self.fresh(call.key(path))

    def _make_new(self, path: str, call: Call) -> Value:
        self.call_back(call.every)  # `object_hook=`
        return self.fresh(call.key(path))

    def _decorate(self, path: str, call: Call) -> Value:
        self.mark(path, call.first)
        return call.first or frozenset((self.world.library(path),))

    def _partial(self, path: str, call: Call) -> Value:
        given = tuple(call.args[1:])
        return frozenset(Partial(thing, given) for thing in call.first) | self.fresh(
            call.key(path), call.every
        )

    def _reduce(self, _: str, call: Call) -> Value:
        return self.call_back(call.every) | self.items(call.every - call.first) | call.every

    def _methodcaller(self, _: str, call: Call) -> Value:
        return frozenset((Method(NOTHING, call.text(0) or "?", tuple(call.args[1:])),))

    def _reload(self, _: str, call: Call) -> Value:
        for thing in call.first:
            if isinstance(thing, Library):
                self.set_state(thing.path)
        return call.first

    def _import_module(self, _: str, call: Call) -> Value:
        return frozenset((self.world.library(call.text(0) or "?"),))

    def _state_itself(self, path: str, _: Call) -> Value:
        return frozenset((self.world.state(path.partition(".")[0]),))

    def _contain(self, path: str, call: Call) -> Value:
        kind = {"deque": Container, "defaultdict": Defaulting}.get(path.rpartition(".")[2], Thing)
        return self.fresh(call.key(path), call.every | self.items(call.every), kind)

    def _iterate(self, path: str, call: Call) -> Value:
        streams = self.lazily(path, call)
        return self.fresh(call.key("several"), streams, Container) if path == "itertools.tee" else streams

    def _make_symbols(self, path: str, call: Call) -> Value:
        """`sympy.var("x y")`: the notebook's names are bound to the symbols that it makes."""
        made = self.fresh(call.key(path))
        text = call.text(0)
        for name in [None] if text is None else text.replace(",", " ").split():
            self.bind_in_notebook(name, made)
        return made

    def _use_backend(self, path: str, call: Call) -> Value:
        self.world.figures_stay = "inline" not in (call.text(0) or "inline")
        self.set_state(path)
        return NOTHING

    def _stream(self, path: str, call: Call) -> Value:
        return self.stream(call.key(path), call.every)

    def _connect(self, path: str, call: Call) -> Value:
        """Connect to a database: one in memory is what the notebook makes of it."""
        made = self.fresh(call.key(path), call.every, Database)
        address = call.text(0) if call.args else ":memory:"
        for thing in made:
            thing.memory = address is not None and known.is_in_memory(address)  # type: ignore[attr-defined]
        return made

    def _redirect(self, path: str, call: Call) -> Value:
        self.write(call.first)
        return self.fresh(call.key(path), call.every)

    def _patch(self, path: str, call: Call) -> Value:
        """`patch.object(module, "name", other)`: what is started and stopped later changes the module."""
        text = call.text(0)
        targets = call.first if text is None else frozenset((self.world.library(text.rpartition(".")[0]),))
        name = call.text(1) if text is None else text.rpartition(".")[2]
        holders: set[Thing] = set()
        for thing in targets:
            if isinstance(thing, Library):
                own = self.own_module(thing.path)
                if own is not None and name is not None:
                    own.vars.add(name, call.every)
                holders.update(
                    [own] if own is not None else map(self.world.state, library_state.states_set(thing.path))
                )
            else:
                holders.add(thing)
        self.write(holders)
        self.put(call.every - holders, holders)
        return self.fresh(call.key(path), holders)

    def _magic(self, call: Call) -> Value:
        """Follow what a magic executes, and note what it sets."""
        name, line = call.text(0) or "", call.text(1) or ""
        body = call.text(2)
        for state in magics.states_set(name, line) if body is None else ():
            self.write([self.world.state(state)])
        if name == "matplotlib" and line.strip():
            self.world.figures_stay = "inline" not in line
        if name in magics.HIDING and not (name == "run" and self._run_script(line)):
            self.hidden = True
        if needed := magics.needs(name):
            self.uses.add(needed)
        if own := self._own_magics(name):
            return self.call_things(own, Call(None, [NOTHING] * (1 if body is None else 2), {}, call.thrown))
        text = magics.given_code(name, line if body is None else body)
        if text is None:
            return NOTHING
        statements = magics.parsed(text)
        self.block(statements[:-1])
        last = statements[-1:]
        if last and isinstance(last[0], ast.Expr):
            if call.node is self.displayed:
                self.displayed = last[0].value
            return self.value(last[0].value, thrown=name != "timeit")
        self.block(last)
        return NOTHING

    def _own_magics(self, name: str) -> Value:
        """Return the notebook's own functions that were registered as the magic `name`."""
        registered = self.world.states.get("IPython")
        functions = (part for part in registered.parts if isinstance(part, Function)) if registered else ()
        return frozenset(part for part in functions if getattr(part.node, "name", "") == name)

    def _run_script(self, line: str) -> bool:
        """Follow the script that `%run` executes, whose names the notebook gets; False if it is unknown."""
        found = magics.script_of(line)
        folder = self.world.folder
        tree = parsed_module(folder / found[0]) if found is not None and folder is not None else None
        if found is None or tree is None or not self.scope.outermost:
            return False
        if found[1]:
            loaded = {part.id for part in ast.walk(tree) if isinstance(part, ast.Name)}
            self.given |= loaded & self.world.names.keys()
        before, self.late = self.late, self.late | self.given
        self.block(tree.body)
        self.late = before
        self.elsewhere |= Block(*tree.body).binds
        return True

    def copies(self, call: Call, *, deep: bool) -> Value:
        """Return copies of what a call is given first: what they hold is the same, or copied as well."""
        copied: dict[Thing, Thing] = {}

        def copy(thing: Thing) -> Thing:
            if isinstance(thing, Code):
                return thing
            if thing not in copied:
                key = ("copy", call.node, thing)
                if key not in self.made:
                    kind = type(thing)
                    made: Thing = (
                        Object([self.now], thing.kind) if isinstance(thing, Object) else kind([self.now])
                    )
                    self.made[key] = made
                other = copied[thing] = self.made[key]
                other.parts |= {copy(part) for part in tuple(thing.parts)} if deep else thing.parts
                if isinstance(thing, Object) and isinstance(other, Object):
                    for name, value in thing.fields.items():
                        other.fields[name] = frozenset(map(copy, value)) if deep else value
                if isinstance(thing, Container) and isinstance(other, Container):
                    other.open = thing.open
            return copied[thing]

        return frozenset(copy(thing) for thing in call.first if deep or isinstance(thing, Object))

    def _draw(self, path: str, call: Call) -> None:
        seeded = library_state.SEEDS.get(path)
        if seeded is not None:
            self._seed(seeded, call)
            return
        for name in library_state.draws(path, frozenset(call.words)):
            self.draw(name)

    def _seed(self, name: str, call: Call) -> None:
        generator = self.world.generators.get(name)
        if generator is None or (call.thrown and self.depth == 0 and not self.fuzzy):
            self.world.seeded(name, self.now)
            self.written.add(self.world.generators[name].log)
        else:
            self.write([generator])

    def _draw_figure(self, path: str, call: Call) -> Value:
        """Call a function that draws on the present figure, or begins a new one."""
        figure = self.world.figure
        name = path.rpartition(".")[2]
        if library_state.sets(path) and (call.thrown or not library_state.puts_back(path)):
            self.set_state(path, call.every)
            if name == "switch_backend":
                self._use_backend(path, call)
            return self.fresh(call.key(path), call.every)
        if name in ("figure", "subplots", "subplot_mosaic"):
            key = ("figure", call.node)
            if key not in self.made:
                self.made[key] = Figure([self.now])
            self.world.figure = figure = self.made[key]  # type: ignore[assignment]  # that is what was put there
            return frozenset((figure,))
        if name == "close" and self.world.figures_stay:
            self.world.figure = Figure()
        figure.log.name = figure.log.name or f"{GENERATOR}figure {self.now}"
        self.touched.append(figure)
        if name not in ("show", "savefig", "gcf", "gca", "close", "pause"):
            given = (call.words.get(word, NOTHING) for word in ("ax", "axes", "fig"))
            drawn = NOTHING.union(*map(self.items, given)) or frozenset((figure,))
            self.write(drawn)
            return drawn
        return frozenset((figure,))


_SPECIAL: Mapping[str, str] = {
    "copy.deepcopy": "copy_deep",
    "functools.partial": "partial",
    "functools.partialmethod": "partial",
    "functools.reduce": "reduce",
    "operator.methodcaller": "methodcaller",
    "importlib.reload": "reload",
    "importlib.import_module": "import_module",
    "logging.getLogger": "state_itself",
    "decimal.getcontext": "state_itself",
    "types.SimpleNamespace": "contain",
    "collections.defaultdict": "contain",
    "collections.deque": "contain",
    "itertools.*": "iterate",
    "matplotlib.use": "use_backend",
    "sympy.var": "make_symbols",
    **dict.fromkeys(("struct.pack_into", "shutil.copyfileobj"), "change_second"),
    "io.StringIO": "stream",
    "io.BytesIO": "stream",
    "io.TextIOWrapper": "stream",
    "io.BufferedReader": "stream",
    "csv.reader": "stream",
    "csv.DictReader": "stream",
    **dict.fromkeys(known.CONNECTING, "connect"),
    "contextlib.redirect_stdout": "redirect",
    "contextlib.redirect_stderr": "redirect",
    "unittest.mock.patch": "patch",
    "unittest.mock.patch.object": "patch",
    "unittest.mock.patch.dict": "patch",
    "unittest.mock.patch.multiple": "patch",
}
_SPECIAL_PATHS: tuple[tuple[frozenset[str], str], ...] = (
    (known.FIRST_CHANGED, "change_first"),
    (known.ALIASES, "hand_on"),
    (known.SHALLOW, "copy"),
    (known.NEW, "make_new"),
    (known.DECORATORS, "decorate"),
)


def _draws_figures(library: str, path: str) -> bool:
    """Whether a function of a library draws on a figure of matplotlib."""
    name = path.rpartition(".")[2]
    if library == "seaborn":
        return not name[:1].isupper() and name not in ("load_dataset", "color_palette", "cubehelix_palette")
    return library in ("pylab", "missingno", "scikitplot") or (library == "pandas" and ".plotting." in path)
