"""Loading into a shell and out of it: the magics, the `%%flow` line, completion.

Light, so that loading costs nobody anything: what captures and shows is imported when it is first used.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult, InteractiveShell

    from flownb.ui.live import LiveNotebook
    from flownb.ui.magics import FlowMagics

LINE_NAMES = ("flow", "flownb")


def load(shell: InteractiveShell) -> None:
    """Register everything with the shell; a second time does nothing."""
    if not hasattr(shell, "flownb"):
        shell.flownb = Extension(shell)
        shell.flownb.register()


def unload(shell: InteractiveShell) -> None:
    """Take back what `load` registered."""
    extension = getattr(shell, "flownb", None)
    if extension is not None:
        extension.unregister()
        del shell.flownb


class Extension:
    """What a shell has of flownb, as its attribute `flownb`."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell

    @cached_property
    def notebook(self) -> LiveNotebook:
        """The flows of this shell."""
        from flownb.ui.live import LiveNotebook

        return LiveNotebook(self.shell)

    @cached_property
    def magics(self) -> FlowMagics:
        """What `%flow` does."""
        from flownb.ui.magics import FlowMagics

        return FlowMagics(self.notebook)

    # --- what IPython calls ---

    def transform(self, lines: list[str]) -> list[str]:
        """Rewrite the first line of a `%%flow` cell; called with every cell's source."""
        if not any("%%flow" in line for line in lines):
            return lines
        return self.notebook.transform(lines)

    # IPython asks the other transforms, not this one, whether what is typed so far is a whole cell.
    transform.has_side_effects = True  # type: ignore[attr-defined]

    def before_cell(self, info: ExecutionInfo) -> None:
        """Look up what a `%%flow` cell reads, before it runs."""
        self.notebook.before(info)

    def after_cell(self, result: ExecutionResult) -> None:
        """Note what was executed; keep what was captured, when the cell has succeeded."""
        if "notebook" in self.__dict__:
            self.notebook.after(result)

    def line_magic(self, line: str) -> Any:
        """Do what `%flow` says."""
        return self.magics.line(line)

    def cell_magic(self, line: str, cell: str | None = None) -> None:
        """Explain: IPython calls this where the `%%flow` line was not the first of its cell."""
        del cell
        self.magics.cell(line)

    def complete(self, context: Any) -> Mapping[str, Any]:
        """Complete `%flow` and `%%flow` lines (IPython's matcher interface, version 2)."""
        line = context.line_with_cursor[: context.cursor_position].lstrip()
        if not line.startswith(("%flow", "%%flow")) or not any(char.isspace() for char in line):
            return {"completions": []}
        from flownb.ui.completion import complete

        return complete(self.magics, line, context.full_text)

    # --- registering ---

    def register(self) -> None:
        """Make all this known to the shell."""
        from IPython.core.completer import context_matcher

        shell = self.shell
        transformers = shell.input_transformers_cleanup
        # Just before IPython looks for cell magics: blank lines and prompts are off by then.
        names = [getattr(transform, "__name__", "") for transform in transformers]
        transformers.insert(
            names.index("cell_magic") if "cell_magic" in names else len(names), self.transform
        )
        shell.events.register("pre_run_cell", self.before_cell)
        shell.events.register("post_run_cell", self.after_cell)
        self._register_magics()

        @context_matcher()  # type: ignore[untyped-decorator]  # IPython's has no types
        def flow_matcher(context: Any) -> Mapping[str, Any]:
            return self.complete(context)

        self._matcher = flow_matcher
        if (completer := getattr(shell, "Completer", None)) is not None:
            completer.custom_matchers.append(flow_matcher)

    def _register_magics(self) -> None:
        from IPython.core.magic import no_var_expand

        def flow(line: str) -> Any:
            return self.line_magic(line)

        def flow_cell(line: str, cell: str | None = None) -> None:
            self.cell_magic(line, cell)

        flow.__doc__ = flow_cell.__doc__ = USAGE
        # What is written in braces or behind a dollar sign is the flow's, not IPython's, to expand.
        no_var_expand(flow)
        no_var_expand(flow_cell)
        self._magics = (flow, flow_cell)
        shell = self.shell
        for name in LINE_NAMES:
            if name == "flow" and "flow" in shell.magics_manager.magics["line"]:
                print("flownb: another extension has %flow; use %flownb in its place (%%flow is as ever)")  # noqa: T201
            else:
                shell.register_magic_function(flow, "line", name)
            shell.register_magic_function(flow_cell, "cell", name)

    def unregister(self) -> None:
        """Make the shell forget all this."""
        shell = self.shell
        shell.events.unregister("pre_run_cell", self.before_cell)
        shell.events.unregister("post_run_cell", self.after_cell)
        shell.input_transformers_cleanup.remove(self.transform)
        completer = getattr(shell, "Completer", None)
        if completer is not None and self._matcher in completer.custom_matchers:
            completer.custom_matchers.remove(self._matcher)
        for magics in shell.magics_manager.magics.values():
            for name in LINE_NAMES:
                if magics.get(name) in self._magics:
                    del magics[name]


USAGE = """\
%%flow NAME[.STEP] [--out a,b] [--freeze x,y] [--storage S] [--environment E] [--define] [--check]
    First line of a cell: the cell runs as without it, parameters at their defaults, and when it has
    succeeded it is captured as the flow NAME, or as its step STEP.
    --out a,b        names of the outputs; without it the last expression is the output `result`
    --freeze x,y     keep these values as they are here, in place of what made them
    --storage S      keep this flow there too: another notebook, a folder, a bucket, a repository
    --environment E  named environment (flownb.toml) in which it runs by default
    --define         capture the cell without running it here
    --check          run the flow isolated then, and compare what it gives with what is here

%flow                               the flows of this notebook
%flow show NAME                     what was captured and how; the graph of the steps
%flow run NAME [a=1 ...] [--environment E]
                                    run it; `a={expression}` gives a Python value, a=@env:VARIABLE,
                                    a=@file:PATH and a=@prompt say where it is (@@ for a first @)
                                    NAME@VERSION is that very version; --trust runs one from elsewhere
                                    --timeout 60, --retries 2, --env A=1, ...: the environment's options
%flow check NAME [a=1 ...]          run it isolated, and compare each value with what was here
%flow storage [git|STORE|notebook]  where captures go beside the notebook
%flow history NAME                  its versions: when, who, what changed, runs
%flow diff A [B]                    how two flows or versions differ: %flow diff co2 co2@yesterday
%flow restore NAME@VERSION          make an old version the newest
%flow push, %flow pull              send flows to the Git remote, take over those of others
%flow runs [NAME]                   runs, newest first
%flow last                          the last run
%flow outputs RUN [OUTPUT]          what a run gave
%flow logs RUN                      what a run printed
%flow forget NAME[.STEP]            forget what was captured in this kernel
%flow help                          this text
NAME may be a reference to another store, too: other.ipynb#NAME"""
