"""`%flow` and `%%flow`: what a person types in a notebook."""

from __future__ import annotations

import difflib
import shlex
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any, NoReturn

from flownb.displays.parts import Shown, amber
from flownb.displays.wording import visible
from flownb.errors import CaptureError, FlownbError, FlowNotFoundError, RunFailedError
from flownb.storage.reference import location, split_location
from flownb.ui.extension import USAGE
from flownb.ui.live import MISPLACED
from flownb.ui.store import LiveStorage
from flownb.ui.words import split_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flownb.flow import Flow
    from flownb.parameters import Text
    from flownb.runs import Run, Runs
    from flownb.storage import Storage
    from flownb.ui.live import LiveNotebook


_RUNS_READ = 2_000  #: so many of a flow's newest runs are looked at for its history
_VERSIONS_SHOWN = 50
_ELSEWHERE = {
    "tag": "flownb tag STORE#NAME@VERSION TAG",
    "remove": "flownb remove STORE#NAME",
    "copy": "flownb copy STORE#NAME OTHER_STORE",
    "trust": "flownb trust STORE; `%flow run NAME --trust` runs one flow this once",
    "cancel": "flownb cancel RUN; in the notebook the stop button cancels",
    "params": "flownb params REF; in the notebook `%flow show NAME` shows them",
    "doctor": "flownb doctor",
}  #: commands of a terminal that are none of `%flow`: how they are written there


class _Stopped(Exception):  # no error: how a run that was stopped ends its cell
    pass


class FlowMagics:
    """The subcommands of `%flow`, over one live notebook."""

    def __init__(self, live: LiveNotebook) -> None:
        self.live = live

    @property
    def commands(self) -> dict[str, Callable[[list[str]], Any]]:
        """The subcommands by name."""
        return {
            "show": self.show,
            "run": self.run,
            "check": self.check,
            "storage": self.storage,
            "history": self.history,
            "diff": self.diff,
            "restore": self.restore,
            "push": self.push,
            "pull": self.pull,
            "runs": self.runs,
            "last": self.last,
            "outputs": self.outputs,
            "logs": self.logs,
            "forget": self.forget,
            "list": self.list_flows,
            "help": self.help,
        }

    def line(self, line: str) -> Any:
        """`%flow [command ...]`; see `%flow help`."""
        try:
            words = split_line(line)
        except ValueError as error:
            raise FlownbError(f"`%flow {line}`: {error}; quotes come in pairs") from None
        if not words:
            return self.list_flows([])
        command = self.commands.get(words[0])
        if command is None and words[0] in _ELSEWHERE:
            raise FlownbError(f"`%flow {words[0]}` is on the command line: {_ELSEWHERE[words[0]]}")
        if command is None:
            near = difflib.get_close_matches(words[0], self.commands, 1)
            hint = f"did you mean `%flow {near[0]}`?" if near else f"there are {', '.join(self.commands)}"
            raise FlownbError(f"`%flow` has no command {words[0]!a}; {hint}")
        return command(words[1:])

    def cell(self, line: str) -> NoReturn:
        """Explain what is wrong where the line was not rewritten: it is not the first of its cell."""
        raise CaptureError(f"`%%flow {line}`: {MISPLACED}")

    # --- commands ---

    def list_flows(self, words: list[str]) -> Any:
        """List the flows of this notebook, with their last runs."""
        from flownb.displays.flows import flow_list

        _none(words, "%flow list")
        storage = LiveStorage(self.live)
        flows, problems = [], {}
        for name, at in storage.flows.items():
            try:
                flows.append(storage.get_flow(at))
            except FlownbError as error:
                problems[name] = str(error)
        notes = [note for flow in flows for note in storage.notes(flow)]
        return flow_list(
            flows, last_runs=self._last_runs(flows), problems=problems, notes=notes, where=storage.name
        )

    def show(self, words: list[str]) -> Any:
        """Show what was captured and how, with a drawing of the steps."""
        from flownb.displays.flows import flow_card

        storage, flow = self._flow(_one(words, "%flow show NAME"))
        return flow_card(flow, where=storage.name, notes=storage.notes(flow))

    def run(self, words: list[str]) -> Run:
        """Run a flow with live progress. A run that fails is an error, after its display."""
        from flownb.environments import LocalEnvironment
        from flownb.environments.asking import asked_by
        from flownb.environments.chosen import changed_environment, environment_for
        from flownb.environments.options import options_of, read_options, take_flags
        from flownb.runs.project import Project
        from flownb.storage.trust import allow_once
        from flownb.ui.progress import progress_for

        trusted = "--trust" in words
        typed, words = take_flags((word for word in words if word != "--trust"), LocalEnvironment)
        flags = [option.flag for option in options_of(LocalEnvironment)]
        options, words = _options(words, "--environment", "--option", *flags)
        storage, flow = self._flow(_one(words[:1], "%flow run NAME [a=1 ...]"))
        given = self._given(flow, words[1:])
        name = options.get("--environment")
        project = self.project if name or flow.folder is None else Project.of(flow.folder)
        changed = changed_environment(flow, project) if name is None else []
        self._tell([*storage.notes(flow), *changed])
        environment = environment_for(flow, project, name)
        if typed:
            environment = environment.replace(**read_options(type(environment), typed))
        in_notebook = hasattr(self.live.shell, "kernel")  # a terminal cannot change what it has displayed
        allowed = allow_once(storage) if trusted else nullcontext()
        with allowed, asked_by("notebook"), progress_for(notebook=in_notebook, keep=False) as on_change:
            run = environment.execute(
                storage,
                flow.location or flow.name,
                given,
                on_change=on_change,
            )
        if run.error is not None and run.error.of_parameters:
            run.raise_for_state()
        if run.state == "Cancelled":
            self._stop_here(run)
        if run.state != "Success":
            self.live.shell.display_pub.publish({"text/html": run._repr_html_(), "text/plain": repr(run)})
            try:
                run.raise_for_state()
            except RunFailedError as error:
                told = str(error).replace(str(run.notebook), str(run.link or run.notebook))
                raise RunFailedError(
                    f"{told}\n`run = %flow last` gives the run, %flow logs last what it printed",
                    run=run,
                ) from None
        return run

    def _stop_here(self, run: Run) -> NoReturn:
        """Show a run that somebody has stopped, and end the cell, so that those behind it do not run.

        To stop a run is no error, so IPython shows none.
        """
        shell = self.live.shell
        shell.display_pub.publish({"text/html": run._repr_html_(), "text/plain": repr(run)})
        before = shell.custom_exceptions, shell.CustomTB

        def show_nothing(*_: object, **__: object) -> None:
            shell.custom_exceptions, shell.CustomTB = before

        shell.set_custom_exc((_Stopped,), show_nothing)
        raise _Stopped(f"run {run.id} was cancelled; `%flow last` gives it")

    def _tell(self, notes: Sequence[str]) -> None:
        """Show lines that the person should see, such as what makes a flow stale."""
        if notes:
            shown = Shown([amber(note) for note in notes])
            self.live.shell.display_pub.publish(shown._repr_mimebundle_())

    def check(self, words: list[str]) -> None:
        """Run a flow isolated, and compare what it reads and gives with what that was at its capture."""
        from flownb.storage.trust import allow_once
        from flownb.ui.checking import show_check

        trusted = "--trust" in words
        words = [word for word in words if word != "--trust"]
        storage, flow = self._flow(_one(words[:1], "%flow check NAME [a=1 ...]"))
        here = LiveStorage(self.live)
        captured = (
            here
            if flow.name in self.live.names and here.get_flow(flow.name).digest == flow.digest
            else storage
        )
        self._tell(storage.notes(flow))
        with allow_once(storage) if trusted else nullcontext():
            show_check(self.live, flow, captured.marks(flow), self._given(flow, words[1:]))

    def storage(self, words: list[str]) -> None:
        """Tell where captures go beside the notebook, or choose it; `notebook` is nowhere else."""
        if len(words) > 1:
            raise FlownbError(
                "`%flow storage [git|STORE|notebook]` takes one store at most; "
                f"a name with spaces wants quotes: %flow storage {shlex.quote(' '.join(words))}"
            )
        if words:
            self.live.keeping.choose(words[0])
        print(self.live.keeping.about())  # noqa: T201  # to show it is what it is for

    def history(self, words: list[str]) -> Any:
        """Show the versions of a flow: when, who, what changed, and the runs of each."""
        from flownb.displays.versions import version_list, version_rows

        storage, name = self._kept(_one(words, "%flow history NAME"))
        versions = storage.history(name)
        runs = self._store.list(flow=name, limit=_RUNS_READ) if self.project.database.exists() else []
        rows = version_rows(storage, versions, runs, limit=_VERSIONS_SHOWN)
        return version_list(name, rows, where=storage.name, more=len(versions) - len(rows))

    def diff(self, words: list[str]) -> Any:
        """Show how the second flow differs from the first, or a flow from the version before it."""
        from flownb.displays.differences import flow_diff
        from flownb.storage.compare import compare

        if len(words) not in (1, 2):
            raise FlownbError(
                "`%flow diff A B` takes two flows, or one to compare with the version before it"
            )
        storage, flow = self._flow(words[0])
        if len(words) == 1:
            return flow_diff(storage.diff(flow.location or flow.name))
        other = f"{flow.name}{words[1]}" if words[1].startswith("@") else words[1]
        return flow_diff(compare(flow, self._flow(other)[1]))

    def restore(self, words: list[str]) -> None:
        """Make an old version of a flow the newest in its storage; the cells here stay as they are."""
        from flownb.displays.versions import short_location

        text = _one(words, "%flow restore NAME@VERSION")
        storage, name = self._kept(text)
        version = split_location(text.rpartition("#")[2])[1]
        if version is None:
            raise FlownbError(
                f"`%flow restore {text}@VERSION` wants a version; %flow history {text} lists them"
            )
        there = short_location(storage.restore(location(name, version)))
        store = f"{text.rpartition('#')[0]}#" if "#" in text else ""
        print(visible(f"{there} is the newest version in {storage.name} now."))  # noqa: T201  # what it is for
        if not store and name in self.live.names:
            told = f"`%flow run {name}` still runs what was captured here; `%flow run {there}` runs"
        else:
            told = f"`%flow run {store}{name}` runs"
        print(visible(f"{told} the restored version."))  # noqa: T201

    def push(self, words: list[str]) -> None:
        """Send the flows of this notebook's Git storage to its remote."""
        from flownb.ui.keeping import place_text, with_remote

        _none(words, "%flow push")
        storage = with_remote(self.live.keeping.storage)
        told = storage.push()
        self.live.keeping.forget_places()
        print(visible(str(told)) if told else f"pushed: {place_text(storage)}")  # noqa: T201

    def pull(self, words: list[str]) -> None:
        """Take over what others pushed to the remote of this notebook's Git storage."""
        from flownb.ui.keeping import place_text, with_remote

        options, words = _options(words, "--take")
        _none(words, "%flow pull [--take ours|theirs]")
        take = options.get("--take")
        if take not in (None, "ours", "theirs"):
            raise FlownbError(f"--take is ours or theirs, and was given as {take!a}")
        storage = with_remote(self.live.keeping.storage)
        told = storage.pull(take=take)
        self.live.keeping.forget_places()
        print(visible(str(told)) if told else f"up to date: {place_text(storage)}")  # noqa: T201

    def runs(self, words: list[str]) -> Runs:
        """Return the recorded runs, newest first: of a flow here, of STORE#NAME, or all."""
        from flownb.runs import Runs
        from flownb.storage import open_storage

        if len(words) > 1:
            raise FlownbError("`%flow runs [NAME]` takes one name at most")
        if not words:
            return Runs.load(project=self.project)
        store, mark, name = words[0].rpartition("#")
        here = LiveStorage(self.live)
        places = [open_storage(store).place] if mark else self._places if name in here.flows else None
        sources = None if places is None else list(map(self.project.source, places))
        return Runs.load(name, project=self.project, sources=sources)

    def last(self, words: list[str]) -> Run:
        """Return the last run."""
        _none(words, "%flow last")
        return self._run("last")

    def outputs(self, words: list[str]) -> Any:
        """Return a run's outputs, or one of them."""
        if len(words) not in (1, 2):
            raise FlownbError("`%flow outputs RUN [OUTPUT]` takes a run, and an output at most")
        outputs = self._run(words[0]).outputs
        return outputs[words[1]] if len(words) == 2 else outputs

    def logs(self, words: list[str]) -> None:
        """Print what a run printed."""
        print(self._run(_one(words, "%flow logs RUN")).logs, end="")  # noqa: T201  # to show it is what it is for

    def forget(self, words: list[str]) -> None:
        """Forget a flow, or a step of one, that was captured in this kernel."""
        name, _, step = _one(words, "%flow forget NAME[.STEP]").partition(".")
        if not self.live.forget(name, step or None):
            raise FlowNotFoundError(
                f"no {words[0]} was captured here; there are {', '.join(self.live.names) or 'none'}"
            )
        told = f"Forgot {words[0]}, as this kernel captured it."
        if name in LiveStorage(self.live).flows and name not in self.live.names:
            told += f" The saved notebook still has {name}: it goes with its cell's output."
        print(visible(told))  # noqa: T201  # to say it is what it is for

    def help(self, words: list[str]) -> None:
        """Print how the magics are used."""
        _none(words, "%flow help")
        print(USAGE)  # noqa: T201  # to show it is what it is for

    # --- what they share ---

    def flow(self, text: str) -> Flow:
        """Return the flow that a name here, or a reference elsewhere, means."""
        return self._flow(text)[1]

    def _flow(self, text: str) -> tuple[Storage, Flow]:
        """Return storage and flow of a name here, or of a reference elsewhere."""
        from flownb.storage import open_flow

        if "#" in text:
            return open_flow(text)
        here = LiveStorage(self.live)
        storage = self.live.keeping.storage
        if storage is None:
            return here, here.get_flow(text)
        name, version = split_location(text)
        if version is None and name in self.live.names:
            # what was captured here, pinned to the version that it is kept as
            flow = here.get_flow(name)
            return self.live.keeping.kept(flow) or (here, flow)
        try:
            return storage, storage.get_flow(text)
        except FlowNotFoundError as error:
            try:
                return here, here.get_flow(text)
            except FlowNotFoundError:
                raise error from None

    def _kept(self, text: str) -> tuple[Storage, str]:
        """Return the storage that keeps a flow's versions, and the flow's name."""
        from flownb.storage.naming import named

        if "#" in text:
            flow = named(text)
            return flow.storage, flow.name
        return self.live.keeping.storage or LiveStorage(self.live), split_location(text)[0]

    def _given(self, flow: Flow, words: list[str]) -> dict[str, Any]:
        """Return the values that words such as `a=1` give parameters; warn of secrets that they hold."""
        from flownb.errors import ParameterError
        from flownb.parameters import Assignments, Text

        given = Assignments(flow, words, self._value)
        if wanting := given.from_standard_input:
            raise ParameterError(
                f"{wanting[0]}: a notebook has no standard input; @prompt asks for a value, and "
                "@env:VARIABLE and @file:PATH say where it is"
            )
        values = given.values()
        if notes := [
            f"the value of `{name}` is saved with this cell: say where it is instead, as in "
            f"{name}=@env:VARIABLE, @file:PATH or @prompt"
            for name in given.open_secrets
            if isinstance(values[name], Text)  # else it is that of an expression
        ]:
            self._tell(notes)
        return values

    def _value(self, text: Text) -> Any:
        """Return the value of `{expression}` in the notebook, and any other text as it is."""
        if not (text.startswith("{") and text.endswith("}")):
            return text
        expression = text[1:-1].strip()
        try:
            return self.live.shell.ev(expression)
        except SyntaxError:
            return text  # a dict written as JSON
        except Exception as error:
            raise FlownbError(f"{text}: {type(error).__name__}: {error}") from error

    @property
    def project(self) -> Any:
        """The project that the notebook is in."""
        from flownb.runs.project import Project

        return Project.of(self.live.folder)

    @property
    def _store(self) -> Any:
        from flownb.runs.store import RecordStore

        return RecordStore(self.project)

    def _run(self, text: str) -> Run:
        from flownb.runs import Run

        return Run.load(text, self.project)

    @property
    def _places(self) -> list[str]:
        """Where the flows of this notebook are: in it, and where its captures are kept."""
        places = [LiveStorage(self.live).place]
        with suppress(FlownbError):  # it cannot be opened: then nothing of it has run here
            kept = self.live.keeping.storage
            places += [kept.place] if kept is not None else []
        return places

    def _last_runs(self, flows: list[Flow]) -> dict[str, Any]:
        if not self.project.records.exists():
            return {}
        store = self._store
        sources = list(map(self.project.source, self._places))
        found = {flow.name: store.list(flow=flow.name, limit=1, sources=sources) for flow in flows}
        return {name: records[0] for name, records in found.items() if records}


def _one(words: list[str], usage: str) -> str:
    if len(words) != 1:
        raise FlownbError(f"`{usage}` is how it is used; a name with spaces wants quotes")
    return words[0]


def _none(words: list[str], usage: str) -> None:
    if words:
        raise FlownbError(f"`{usage}` takes nothing more, and got {' '.join(words)!a}")


def _options(words: list[str], *known: str) -> tuple[dict[str, str], list[str]]:
    """Take `--option value` and `--option=value` out of the words."""
    options: dict[str, str] = {}
    rest: list[str] = []
    words = list(words)
    while words:
        word = words.pop(0)
        option, mark, value = word.partition("=")
        if not word.startswith("--"):
            rest.append(word)
        elif option not in known:
            raise FlownbError(f"there is no option {option}; there are {', '.join(known)}")
        elif mark or words:
            options[option] = value if mark else words.pop(0)
        else:
            raise FlownbError(f"{option} wants a value")
    return options, rest
