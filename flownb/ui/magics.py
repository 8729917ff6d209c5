"""`%flow` and `%%flow`: what a person types in a notebook."""

from __future__ import annotations

import difflib
import shlex
from typing import TYPE_CHECKING, Any, NoReturn

from flownb.errors import CaptureError, FlownbError, FlowNotFound, RunFailed
from flownb.ui.extension import USAGE
from flownb.ui.live import MISPLACED
from flownb.ui.store import LiveStorage

if TYPE_CHECKING:
    from collections.abc import Callable

    from flownb.flow import Flow
    from flownb.runs import Run, Runs
    from flownb.storage import Storage
    from flownb.ui.live import LiveNotebook


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
            words = shlex.split(line)
        except ValueError as error:
            raise FlownbError(f"`%flow {line}`: {error}; quotes come in pairs") from None
        if not words:
            return self.list_flows([])
        command = self.commands.get(words[0])
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
        from flownb.ui.display import flow_list

        _none(words, "%flow list")
        storage = LiveStorage(self.live)
        flows, problems = [], {}
        for name, location in storage.flows.items():
            try:
                flows.append(storage.get_flow(location))
            except FlownbError as error:
                problems[name] = str(error)
        return flow_list(flows, last_runs=self._last_runs(flows), problems=problems, where=storage.name)

    def show(self, words: list[str]) -> Any:
        """Show what was captured and how, with the graph of the steps."""
        from flownb.ui.display import flow_card

        storage, flow = self._flow(_one(words, "%flow show NAME"))
        self.live.shell.display_pub.publish(flow_card(flow, where=storage.name)._repr_mimebundle_())
        return flow.graph

    def run(self, words: list[str]) -> Run:
        """Run a flow with live progress. A run that fails is an error, after its display."""
        from flownb.environments import LocalEnvironment
        from flownb.environments.config import load_environment
        from flownb.parameters import parse_assignment
        from flownb.ui.progress import progress_for

        options, words = _options(words, "--environment")
        storage, flow = self._flow(_one(words[:1], "%flow run NAME [a=1 ...]"))
        given: dict[str, Any] = {}
        for word in words[1:]:
            name, text = parse_assignment(word)
            given[name] = self._value(text)
        named = options.get("--environment") or (flow.environment or {}).get("named")
        environment = load_environment(self.project, named) if named else LocalEnvironment()
        in_notebook = hasattr(self.live.shell, "kernel")  # a terminal cannot change what it has displayed
        with progress_for(notebook=in_notebook, keep=False) as on_change:
            run = environment.execute(
                storage,
                flow.location or flow.name,
                given,
                asked_by="notebook",
                text=True,
                on_change=on_change,
            )
        if run.state != "Success":
            self.live.shell.display_pub.publish({"text/html": run._repr_html_(), "text/plain": repr(run)})
            try:
                run.raise_for_state()
            except RunFailed as error:
                raise RunFailed(
                    f"{error}\n`run = %flow last` gives the run, %flow logs last what it printed"
                ) from None
        return run

    def runs(self, words: list[str]) -> Runs:
        """Return the recorded runs, of one flow or of all, newest first."""
        from flownb.runs import Runs

        if len(words) > 1:
            raise FlownbError("`%flow runs [NAME]` takes one name at most")
        return Runs.load(self.project, flow=words[0] if words else None)

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
            raise FlowNotFound(
                f"no {words[0]} was captured here; there are {', '.join(self.live.names) or 'none'}"
            )

    def help(self, words: list[str]) -> None:
        """Print how the magics are used."""
        _none(words, "%flow help")
        print(USAGE)  # noqa: T201  # to show it is what it is for

    # --- what they share ---

    def _flow(self, text: str) -> tuple[Storage, Flow]:
        """Return storage and flow of a name here, or of a reference elsewhere."""
        from flownb.storage import open_flow

        if "#" in text:
            return open_flow(text)
        storage = LiveStorage(self.live)
        return storage, storage.get_flow(text)

    def _value(self, text: str) -> Any:
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

        return Run.load(self.project, text)

    def _last_runs(self, flows: list[Flow]) -> dict[str, Any]:
        if not self.project.records.exists():
            return {}
        store = self._store
        found = {flow.name: store.list(flow=flow.name, limit=1) for flow in flows}
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
