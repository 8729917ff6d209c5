"""A real IPython shell for tests: cells run in it as in a notebook, and what they show is kept."""

from __future__ import annotations

import atexit
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from flownb.document import MIME

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Shown:
    """What running a cell gave."""

    success: bool
    result: Any
    text: str  #: everything that was printed, displays and errors among it
    outputs: list[dict[str, Any]] = field(default_factory=list)

    @property
    def records(self) -> list[dict[str, Any]]:
        """The flow documents that it displayed."""
        return [data[MIME] for data in self.outputs if MIME in data]


class Shell:
    """Runs cells."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell

    def run(self, source: str, cell_id: str | None = None) -> Shown:
        """Run a cell, whatever it ends with."""
        with capture_output() as captured:
            result = self.shell.run_cell(source, store_history=True, cell_id=cell_id)
        data = [output.data for output in captured.outputs]
        plain = "\n".join(str(bundle.get("text/plain", "")) for bundle in data)
        text = f"{captured.stdout}\n{captured.stderr}\n{plain}"
        return Shown(result.success, result.result, text, data)

    def ok(self, source: str, cell_id: str | None = None) -> Shown:
        """Run a cell that must succeed."""
        shown = self.run(source, cell_id)
        assert shown.success, shown.text
        return shown

    def __getitem__(self, name: str) -> Any:
        return self.shell.user_ns[name]

    @property
    def live(self) -> Any:
        """The shell's live notebook."""
        return self.shell.flownb.notebook


@contextmanager
def ipython() -> Iterator[Shell]:
    """Make a shell without colours and history file, and take it down again."""
    from traitlets.config import Config

    InteractiveShell.clear_instance()
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    shell = InteractiveShell.instance(config=config)
    try:
        shell.run_line_magic("load_ext", "flownb")
        yield Shell(shell)
    finally:
        shell.run_line_magic("unload_ext", "flownb")
        shell.atexit_operations()
        atexit.unregister(shell.atexit_operations)
        InteractiveShell.clear_instance()
