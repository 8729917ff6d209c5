"""One kernel: started where and how it is asked, heard, and stopped with all that it started."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from pathlib import Path
from queue import Empty
from typing import IO, TYPE_CHECKING, Any

from flownb.engine.ending import death
from flownb.engine.kernelspecs import check_folder, check_kernel, child_environment
from flownb.engine.process import Watched
from flownb.engine.room import check_room
from flownb.errors import EnvironmentRefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

_IPC_PATH_LIMIT = 90  #: bytes; Unix sockets' whole paths are limited to 104 or 108
_DESCRIPTORS = 24  #: that a kernel takes here, and a few more
_LOG_LIMIT = 8_000  #: bytes kept of what a process wrote outside of cells

_LEAVE = """
shell = __import__("IPython").get_ipython()
shell.keepkernel_on_exit = None
shell.ask_exit()
"""


class Kernel:
    """A kernel's process and the talk with it. Made by `Kernel.start`, and always to be closed."""

    def __init__(self, name: str) -> None:
        """Prepare to start the kernel of that name; `start` does it all."""
        from jupyter_client.manager import AsyncKernelManager

        self.name = name
        self.manager: Any = AsyncKernelManager(kernel_name=name)
        self.client: Any = None
        self.process: Watched
        self._is_ipython = False
        self._folder = tempfile.mkdtemp(prefix="flownb-")
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the kernel

    @classmethod
    async def start(cls, name: str, cwd: Path, env: Mapping[str, str]) -> Kernel:
        """Start a kernel's process in the folder `cwd`; it may not answer yet: see `ready`.

        Args:
            name: of the kernelspec.
            cwd: its working directory.
            env: variables added to this process's own.

        Raises:
            EnvironmentRefusedError: there is no such kernel or folder, its process cannot be started, or this
                process lacks descriptors or threads for it.

        """
        check_kernel(name)
        check_folder(cwd)
        check_room(_DESCRIPTORS)
        kernel = cls(name)
        try:
            await kernel._launch(cwd, env)
        except BaseException as error:
            await kernel._release()
            if isinstance(error, OSError):
                raise EnvironmentRefusedError(f"the kernel {name!r} cannot be started: {error}") from error
            raise
        return kernel

    async def _launch(self, cwd: Path, env: Mapping[str, str]) -> None:
        import zmq

        manager = self.manager
        self._is_ipython = any("ipykernel" in argument for argument in manager.kernel_spec.argv)
        sockets = str(Path(self._folder, "k"))
        if self._is_ipython and len(os.fsencode(sockets)) < _IPC_PATH_LIMIT:
            # sockets in a folder of our own: nobody else can take the port, or listen in
            manager.transport, manager.ip = "ipc", sockets
        manager.connection_file = str(Path(self._folder, "kernel.json"))
        manager.context.setsockopt(zmq.RECONNECT_IVL, 10)  # ms: the kernel is up in half a second
        manager.context.setsockopt(zmq.RCVHWM, 0)  # no message is dropped where outputs come fast
        await manager.start_kernel(
            cwd=str(cwd),
            env=child_environment(env),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            extra_arguments=["--HistoryManager.hist_file=:memory:"] if self._is_ipython else [],
        )
        process = getattr(manager.provisioner, "process", None)
        if process is None:
            await manager.shutdown_kernel(now=True)
            raise EnvironmentRefusedError(
                f"the kernel {self.name!r} is not a process of this machine, so it cannot be watched; "
                "choose another with `kernel=`"
            )
        self.process = Watched(process, self._folder)
        self.client = manager.client(context=manager.context)
        self.client.shell_channel.start()
        self.client.iopub_channel.start()  # no more are needed, and each takes a socket or a thread
        self.client.allow_stdin = False

    async def ready(self, limit: float) -> dict[str, Any]:
        """Wait until the kernel answers, at most `limit` seconds; returns what it says of itself.

        Raises `EnvironmentRefusedError` where it ends or stays silent, with what it wrote.
        """
        hello = asyncio.ensure_future(self._hello())
        ended = self.process.ended
        awaited: set[asyncio.Future[Any]] = {hello, ended}
        try:
            await asyncio.wait(awaited, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            if hello.done():
                return hello.result()
        finally:
            hello.cancel()
        what = f"did not answer within {limit:g} s"
        if ended.done():
            what = death(*self.process.status) + " before it answered"
        wrote = f"; it wrote:\n{self.log()}" if self.log() else ""
        raise EnvironmentRefusedError(f"the kernel {self.name!r} {what}{wrote}")

    async def _hello(self) -> dict[str, Any]:
        """Ask until there is an answer and the broadcast channel is connected as well."""
        while True:
            asked = self.client.kernel_info()
            reply: dict[str, Any] = {"parent_header": {}}
            while reply["parent_header"].get("msg_id") != asked:
                reply = await self.client.shell_channel.get_msg()
            try:
                await self.client.iopub_channel.get_msg(timeout=0.5)
            except Empty:
                continue
            return dict(reply["content"])

    async def interrupt(self) -> None:
        """Ask the kernel to leave what it is doing, in the way that its kind knows."""
        if self.manager.kernel_spec.interrupt_mode == "message":
            await self.manager.interrupt_kernel()
        else:
            self.process.interrupt()

    def log(self) -> str:
        """Return the end of what the process wrote outside of cells."""
        size = os.fstat(self._log.fileno()).st_size
        data = os.pread(self._log.fileno(), _LOG_LIMIT, max(0, size - _LOG_LIMIT))
        return data.decode("utf-8", "replace").strip()

    async def close(self, patience: float | None, hurry: asyncio.Future[None]) -> None:
        """End the kernel and give back all that it held here.

        Args:
            patience: seconds that its own exit handlers get; None: it is killed.
            hurry: ends the patience when it is done.

        """
        try:
            if patience is not None and not self.process.ended.done():
                await self._ask_to_leave()
                awaited = {self.process.ended, hurry}
                await asyncio.wait(awaited, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self.process.release()
            await self._release()

    async def _ask_to_leave(self) -> None:
        """Ask the kernel to end by itself, so that its exit handlers are called."""
        if self._is_ipython:
            # a shutdown request would first wait, up to 14 s, for children that only their parent can bury
            self.client.execute(_LEAVE, silent=True, store_history=False)
        else:
            await self.manager.request_shutdown()

    async def _release(self) -> None:
        if self.client is not None:
            self.client.shell_channel.stop()
            self.client.iopub_channel.stop()
        await self.manager.cleanup_resources()
        self._log.close()
        shutil.rmtree(self._folder, ignore_errors=True)
