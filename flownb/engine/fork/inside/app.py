"""The kernel of a template: ipykernel's own application and kernel objects, made without sockets.

Profile, configuration, extensions and startup files are taken as in any kernel, once, before the fork.
"""

from __future__ import annotations

import importlib.util
import re
import sys
import threading
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import ipykernel
from ipykernel.displayhook import ZMQDisplayHook
from IPython.core import interactiveshell
from IPython.core.inputtransformer2 import TransformerManager

from .execution import execute, without
from .looks import watched
from .session import PipeSession
from .streams import Stream

with without("debugpy"):  # up to ipykernel 6.29.3 it is imported here
    from ipykernel import ipkernel
    from ipykernel.kernelapp import IPKernelApp

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


_MAGICAL = re.compile(r"[%!?]|^\s*[,;/]")  #: anywhere in a line, or at its start: `%magic`, `!ls`, `/f x`


class TemplateApp(IPKernelApp):  # type: ignore[misc]  # ipykernel has no types that mypy follows here
    """ipykernel's application, less what talks to a front end, and what takes threads."""

    streams: tuple[Stream, Stream]  #: `sys.stdout` and `sys.stderr` as they are made
    keeps_folder = False  #: whether modules are looked for in the run's first folder, wherever the flow goes

    name = "ipython-kernel"  # so that it reads the configuration of that name

    def init_crash_handler(self) -> None:  # noqa: D102  # as in the base class, and so are the next
        pass

    def init_connection_file(self) -> None:  # noqa: D102
        pass

    def init_poller(self) -> None:  # noqa: D102
        pass

    def init_sockets(self) -> None:  # noqa: D102
        self.session = PipeSession(parent=self)
        self.iopub_socket = "iopub"

    def init_heartbeat(self) -> None:  # noqa: D102
        pass

    def write_connection_file(self, **_: Any) -> None:  # noqa: D102
        pass

    def log_connection_info(self) -> None:  # noqa: D102
        pass

    def init_io(self) -> None:  # noqa: D102
        sys.stdout.flush()
        sys.stderr.flush()
        self.streams = Stream(self.session, "stdout"), Stream(self.session, "stderr")
        sys.stdout, sys.stderr = self.streams
        self.displayhook = sys.displayhook = ZMQDisplayHook(self.session, self.iopub_socket)
        self.patch_io()

    def init_kernel(self) -> None:  # noqa: D102
        with without("debugpy"):  # no debugger can talk to it, and its import takes a third of the start
            self.kernel = kernel = self.kernel_class.instance(
                parent=self,
                session=self.session,
                iopub_socket=self.iopub_socket,
                log=self.log,
                profile_dir=self.profile_dir,
                user_ns=self.user_ns,
            )
        self.displayhook.get_execution_count = lambda: kernel.execution_count

    def init_code(self) -> None:
        """Execute startup files; raises `RuntimeError` where they would be executed in another folder."""
        with watched((interactiveshell, "io_open")) as looks:  # behind the `open` of IPython's namespace
            super().init_code()
        if looks:
            raise RuntimeError(f"IPython's startup files look at the working directory ({looks[0]})")

    def close(self) -> None:  # noqa: D102
        pass


def _remembered(look: Callable[..., dict[str, bool]]) -> Callable[..., dict[str, bool]]:
    known: dict[Any, dict[str, bool]] = {}

    def remembered(function: Callable[..., Any], names: Sequence[str]) -> dict[str, bool]:
        key = (function, *names)
        if key not in known:
            known[key] = look(function, names)
        return known[key]

    return remembered


def _spare_tokens(manager: TransformerManager) -> None:
    """Have a cell read for IPython's own syntax only where it has a character that this begins with."""
    usual, transform = TransformerManager().token_transformers, manager.do_token_transforms

    def transformed(lines: list[str]) -> list[str]:
        if manager.token_transformers == usual and not any(map(_MAGICAL.search, lines)):
            return lines
        return list(transform(lines))

    manager.do_token_transforms = transformed


def _no_debugger(*_: Any, **__: Any) -> None:
    """Do at a breakpoint what a kernel's debugger does while nobody debugs: go on."""


# people see it: in what the kernel logs, and in `%config`
TemplateApp.__name__ = IPKernelApp.__name__


def _keeps_folder(module: str) -> bool:
    """Whether the first folder stays in the path: where Python is not told to keep it out, nor the launcher.

    ipykernel's launcher takes it out since 6.29.3.
    """
    kept_out = getattr(sys.flags, "safe_path", sys.flags.isolated)
    return not kept_out and (module != "ipykernel_launcher" or ipykernel.version_info < (6, 29, 3))


def make(module: str, arguments: Sequence[str]) -> TemplateApp:
    """Return an initialised application; its kernel's shell can execute, once there is a loop.

    Args:
        module: what the kernel is started with: `ipykernel_launcher`, or ipykernel's own.
        arguments: those of the kernel's own command line, without the connection file.

    """
    if hasattr(ipkernel, "_accepts_parameters"):  # not in older ones
        # it looks at the signature of `run_cell` for each cell anew, which takes a tenth of a short one
        ipkernel._accepts_parameters = _remembered(ipkernel._accepts_parameters)  # noqa: SLF001
    app: TemplateApp = TemplateApp.instance()
    app.keeps_folder = _keeps_folder(module)
    app.initialize(["--HistoryManager.hist_file=:memory:", *arguments])
    kernel = app.kernel
    history = kernel.shell.history_manager
    if history is not None and str(history.hist_file) == ":memory:":
        # its end is noted where nobody will read it, and the system takes its memory
        history.end_session = history.close = lambda: None
        if hasattr(history, "_finalizer"):  # since IPython 9
            history._finalizer.detach()  # noqa: SLF001
    _spare_tokens(kernel.shell.input_transformer_manager)  # a tenth as well
    kernel.shell_handlers["execute_request"] = partial(execute, kernel)
    if importlib.util.find_spec("debugpy") is not None:
        sys.breakpointhook = _no_debugger
    # asked for when a cell is awaited: interrupts reach it in this thread
    kernel.shell_channel_thread = SimpleNamespace(parent_thread=threading.main_thread())
    return app
