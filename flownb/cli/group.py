"""The group of all commands, and how each of them ends.

Exit status: 0 success, 1 the flow failed, 2 a mistake that its user can mend (told without a traceback),
130 interrupted, 141 whoever read the output stopped reading. What the commands do is imported when one
of them runs: `flownb --help` and completion stay quick.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

import click

from flownb._version import __version__
from flownb.errors import FlownbError

if TYPE_CHECKING:
    from collections.abc import Sequence

INTERRUPTED = 130
READER_GONE = 141

#: command -> the module that has it and its line in the list of commands, so that listing them imports none
_COMMANDS = {
    "run": ("flownb.cli.running", "Run a flow and show its outputs."),
    "list": ("flownb.cli.flows", "List the flows of a storage."),
    "show": ("flownb.cli.flows", "Show what a flow takes, replays, does and gives."),
    "check": ("flownb.cli.checking", "Run a flow isolated, and compare it with its capture."),
    "params": ("flownb.cli.flows", "Show the parameters of a flow."),
    "history": ("flownb.cli.versions", "Show the versions of a flow: when, who, what changed, their runs."),
    "diff": ("flownb.cli.versions", "Show how two flows, or two versions of one, differ."),
    "restore": ("flownb.cli.versions", "Make an old version of a flow the newest."),
    "tag": ("flownb.cli.versions", "Give a version of a flow a name."),
    "remove": ("flownb.cli.versions", "Remove a flow from its store; its versions stay in the history."),
    "copy": ("flownb.cli.sharing", "Copy a flow, or all of a store, into another store."),
    "push": ("flownb.cli.sharing", "Send a Git store's flows to its remote."),
    "pull": ("flownb.cli.sharing", "Take over what others pushed to a Git store's remote."),
    "trust": (
        "flownb.cli.trusting",
        "Let the flows of a store from elsewhere run, or a run's outputs be read.",
    ),
    "runs": ("flownb.cli.history", "List the runs of this project, the newest first."),
    "logs": ("flownb.cli.history", "Print the log of a run."),
    "outputs": ("flownb.cli.history", "Show the outputs of a run, print one, or copy them out."),
    "cancel": ("flownb.cli.history", "Cancel a run that has not ended."),
    "doctor": ("flownb.cli.doctor", "Show whether runs work here, and how."),
    "version": ("flownb.cli.flows", "Print the version."),
}


class _Commands(click.Group):
    """Loads commands when they are asked for; turns the project's errors into messages and exit statuses."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(_COMMANDS[cmd_name][0])
        command = getattr(module, f"{cmd_name}_command")
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; one whose reader went away ends quietly."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            return reader_gone()

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command line and exit with its status; see click."""
        call = super().main
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # a terminal may not know each character of a name
                stream.reconfigure(errors="backslashreplace")
        if not standalone_mode:
            return call(args, prog_name or "flownb", complete_var, standalone_mode=False, **extra)
        sys.exit(
            _status_of(
                lambda: call(args, prog_name or "flownb", complete_var, standalone_mode=False, **extra)
            )
        )


def _status_of(command: Any) -> int:
    try:
        status = command()
        if sys.stdout is not None:
            sys.stdout.flush()
    except click.ClickException as error:
        with suppress(OSError):
            error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        _say("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        return reader_gone()
    except FlownbError as error:
        _say(str(error))
        return error.exit_code
    finally:
        _settle(sys.stderr)
    return status if isinstance(status, int) else 0


def reader_gone() -> int:
    """Have standard output go nowhere where nobody reads it any more, and return the exit status for that."""
    _settle(sys.stdout)
    return READER_GONE


def _settle(stream: TextIO | None) -> None:
    """Write what waits to be written; where that fails, the interpreter does not try again at its end."""
    if stream is None:
        return
    try:
        stream.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _say(message: str) -> None:
    from flownb.cli.printing import say
    from flownb.displays.wording import visible

    say(f"flownb: {visible(message, lines=True)}")


@click.group(
    "flownb",
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, message="flownb %(version)s")
def main() -> None:
    """Turn notebook cells into flows that run again.

    A flow is named by a reference, STORE#NAME[@VERSION]: `analysis.ipynb#sales`, `.#sales@yesterday` in
    the Git repository here, `s3://bucket/flows#sales`. Where the store has one flow only, the store alone
    will do.

    Completion in the shell: eval "$(_FLOWNB_COMPLETE=bash_source flownb)" (or zsh_source, fish_source).
    """
