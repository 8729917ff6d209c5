"""The process of one run: takes a kernel's requests from a socket, and executes them one after the other."""

from __future__ import annotations

import asyncio
import atexit
import gc
import inspect
import io
import os
import resource
import select
import signal
import socket
import sys
import threading
import traceback
from collections import deque
from contextlib import contextmanager, suppress
from os import _exit, getpid  # as they are now: a flow may put others in their place
from pathlib import Path
from socket import MSG_DONTWAIT
from typing import TYPE_CHECKING, Any

import tornado.platform.asyncio  # noqa: F401  # what `IOLoop.current()` would else import in each child
from tornado.ioloop import IOLoop

from . import linux, looks, wire
from .execution import unheard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NoReturn

    from .app import TemplateApp
    from .pages import Pages
    from .streams import Descriptor

_BUFFERED = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)
_TURN = 0.002  #: seconds
_LONG = 600.0  #: seconds
_IDLE = 0.02  #: seconds; who has waited so long for its run has time for what makes that quicker
_PAGE = resource.getpagesize()
_SIGNALS = tuple(map(int, signal.valid_signals()))


class Child:
    """What a freshly forked process is until its end; to be made and run in that process only."""

    def __init__(
        self,
        app: TemplateApp,
        pages: Pages,
        parent: int,
        sock: socket.socket,
        descriptors: tuple[Descriptor, Descriptor],
    ) -> None:
        """Become a process of its own: own group and session, own randomness, own output.

        Args:
            app: the template's, with its kernel.
            pages: what is known of the memory that runs touch.
            parent: the guardian.
            sock: where the requests come from, and the answers go to.
            descriptors: what 1 and 2 become.

        """
        self._pages = pages
        self._parent = parent
        self._pid = getpid()
        self._kernel = app.kernel
        self._keeps_folder = app.keeps_folder
        self._session = app.session
        self._socket = sock
        self._incoming = wire.Incoming()
        self._room = bytearray(wire.ROOM)  # had now: a flow may leave no memory
        self._frames: deque[wire.Frame | None] = deque()
        self._let_go = False  # whether the owner has heard all, and waits for the end
        self._passing = False  # of what was sent ahead nothing is done, until the owner has heard why
        self._arrived: asyncio.Future[None] | None = None
        _reseed()
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._warm())
        gc.freeze()  # what came with the fork is not looked through again
        self._streams = app.streams
        self._session.connect(sock, app.streams)
        for stream, descriptor in zip(app.streams, descriptors, strict=True):
            descriptor.put_in_place()
            stream.connect(descriptor)
        self._wake_on_signals()

    async def _warm(self) -> None:
        """Do what a cell does, while nobody waits: what is done once in a process is done then.

        And what is done again finds the processor's caches filled.
        """
        self._kernel.io_loop = IOLoop.current()
        with unheard(self._kernel.shell):
            await self._kernel.do_execute("1", silent=True, store_history=False)
            self._kernel.shell.display_formatter.format(0)

    def _wake_on_signals(self) -> None:
        """Have a signal end the loop's wait: else what its handler wants waits for the next timer."""
        woken, waking = socket.socketpair()
        for end in (woken, waking):
            end.setblocking(False)
        self._loop.add_reader(woken, lambda: woken.recv(4096))
        signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)
        self._waking = waking

    def run(self) -> NoReturn:
        """Do what is asked until the end is; never returns."""
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            if getpid() != self._pid:  # a fork of the flow's that has come back from its cell
                _exit(0)
        self._leave()

    def _leave(self) -> NoReturn:
        """End as an interpreter does, less the taking apart of all objects, which takes long for nothing."""
        status = 0
        with suppress(Exception):  # the flow has broken it
            aliases = self._kernel.shell.alias_manager
            aliases.clear_aliases = aliases.init_aliases = lambda: None  # IPython's end makes them anew
        try:
            _limit_memory(None)  # of what the flow was not to take
            threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001  # as the interpreter's own end
            atexit._run_exitfuncs()  # noqa: SLF001
            _flush_files()
            self._session.flush_streams()
        except BaseException:  # noqa: BLE001  # an exit handler of the flow's; the interpreter would go on, too
            status = 1
        for stream in self._streams:
            stream.halt()
        with suppress(Exception):  # whatever the flow has broken that this needs: it is of use to others only
            self._pages.learn()
        with suppress(Exception):  # the flow has broken what this needs: then it ends as any process does
            signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
            if self._alone():
                self._say_that_it_is_over(status)
            elif not self._has_let_go():
                wire.readable(self._socket.fileno(), _LONG)  # who measures it is not done yet
        _exit(status)

    def _has_let_go(self) -> bool:
        """Whether the owner has said so: its word may have come along with the last one that was obeyed."""
        return self._let_go or any(frame is None or frame.kind == "leave" for frame in self._frames)

    def _say_that_it_is_over(self, status: int) -> None:
        """Tell the owner, and wait until it has let go.

        Nothing of the flow can run any more: nobody has to wait until the system has taken it down.
        """
        os.kill(self._parent, signal.SIGCONT)  # the flow may have stopped it
        wire.send_frame(self._socket, wire.Frame("over", {"code": status, **_used()}))
        closed = select.poll()
        closed.register(self._socket, 0)
        closed.poll()

    def _alone(self) -> bool:
        """Whether this thread is all that there is of the flow; what it has left belongs to the guardian."""
        return (
            linux.threads() == 1 and not linux.children() and linux.children_of(self._parent) == [self._pid]
        )

    async def _serve(self) -> None:
        if not wire.readable(self._socket.fileno(), _IDLE):
            with suppress(Exception):  # what is told of there, a flow may have overwritten
                self._pages.make_ready()
        self._reading = self._socket.fileno()
        self._loop.add_reader(self._reading, self._receive)
        while True:
            frame = await self._next()
            if frame is None:
                _exit(0)  # the owner is gone
            if frame.kind == "wake":
                await self._warm()
            elif frame.kind == "begin":
                self._begin(frame.head)
            elif frame.kind == "request":
                if self._may_follow(frame.head.get("ahead")):
                    await self._request(frame)
                else:
                    self._session.send_answer("passed", {"msg_id": frame.head["msg_id"]})
            elif frame.kind == "leave" and not (frame.head.get("ahead") and self._must_be_heard):
                self._let_go = "ahead" not in frame.head
                return

    async def _next(self) -> wire.Frame | None:
        """Return the next frame; None where the owner is gone."""
        while not self._frames:
            self._arrived = self._loop.create_future()
            await self._arrived
        return self._frames.popleft()

    def _receive(self) -> None:
        """Take what has come, also while a cell awaits something."""
        try:
            size = self._socket.recv_into(self._room, 0, MSG_DONTWAIT)
            frame = self._incoming.feed(bytes(memoryview(self._room)[:size])) if size else None
        except BlockingIOError:
            return
        except OSError:  # reset by the owner's end, or closed by the flow
            size, frame = 0, None
        except BaseException as error:
            # the flow has broken what this needs, or left it no memory; the loop would come here for ever
            self._loop.remove_reader(self._reading)
            if self._arrived is None or self._arrived.done():
                raise
            self._arrived.set_exception(error)
            return
        if size and frame is None:
            return
        if not size:
            self._loop.remove_reader(self._reading)
        self._frames.append(frame)
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    def _may_follow(self, ahead: str | None) -> bool:
        """Whether a request is to be executed that was sent before the one before it was replied to.

        It is not where the owner has first to hear of that one: it has failed (unless `ahead` is "always"),
        ends the notebook, or there are comms, whose messages would come behind the request. Nor are those
        behind it, until the owner has heard.
        """
        session = self._session
        self._passing = ahead is not None and (
            self._must_be_heard or session.ends or (session.failed and ahead != "always")
        )
        return not self._passing

    @property
    def _must_be_heard(self) -> bool:
        """Whether the owner may have to say something to what it was sent, before anything else is done."""
        return self._passing or self._session.talks

    def _begin(self, wanted: dict[str, Any]) -> None:
        try:
            for name, value in wanted.get("env", {}).items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
            os.chdir(wanted["cwd"])
            looks.have_folder(os.getcwd())
            if self._keeps_folder:
                sys.path.insert(0, os.getcwd())
            shell = self._kernel.shell
            shell.starting_dir = os.getcwd()
            shell.user_ns["_dh"][:] = [Path.cwd()]
            if wanted.get("memory") is not None:
                _limit_memory(wanted["memory"])
        except (OSError, ValueError) as error:
            self._passing = True
            self._session.send_answer("refused", {"reason": str(error)})
            return
        self._session.send_answer("begun", {"pid": self._pid, "language_info": self._kernel.language_info})

    async def _request(self, frame: wire.Frame) -> None:
        head = frame.head
        message = {
            "header": {"msg_id": head["msg_id"], "msg_type": head["msg_type"], "session": "", "username": ""},
            "msg_id": head["msg_id"],
            "msg_type": head["msg_type"],
            "parent_header": {},
            "metadata": head.get("metadata", {}),
            "content": frame.json(),
            "buffers": list(frame.buffers),
        }
        kernel = self._kernel
        if len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(_TURN)  # between cells the flow's own tasks have their turn
        kernel.set_parent([], message, channel="shell")
        failure: BaseException | None = None
        try:
            with self._interruptible():
                done = kernel.shell_handlers[head["msg_type"]]("shell", [], message)
                if inspect.isawaitable(done):
                    await done
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # said in the reply, below
            failure = error
        if getpid() != self._pid:
            _exit(0)  # a fork of the flow's that has come back from its cell
        if head["msg_type"] != "execute_request":
            self._session.flush_streams()  # as a reply does
        elif self._session.replied != head["msg_id"]:
            self._reply_for(message, failure)

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Let an interrupt reach the flow's code, and nothing else of this process."""
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _reply_for(self, message: dict[str, Any], failure: BaseException | None) -> None:
        """Reply to a request whose reply was lost: an interrupt or a signal's handler came into its way."""
        name = type(failure).__name__ if failure is not None else "Error"
        content = {
            "status": "error",
            "ename": name,
            "evalue": str(failure or "the kernel gave no reply"),
            "traceback": [],
            "execution_count": self._kernel.execution_count - 1,
            "payload": [],
        }
        self._session.send(
            "iopub", "error", {k: content[k] for k in ("ename", "evalue", "traceback")}, message
        )
        self._session.send("shell", "execute_reply", content, message)


def _reseed() -> None:
    """Give this process random numbers of its own; Python's own generator sees to itself at a fork."""
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


def _limit_memory(size: int | None) -> None:
    """Let the process take `size` bytes of address space above what it has by now; None: what it likes."""
    most = resource.getrlimit(resource.RLIMIT_AS)[1]
    if size is None:
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        return
    there = int(Path("/proc/self/statm").read_text().split()[0]) * _PAGE
    wanted = there + size if most == resource.RLIM_INFINITY else min(there + size, most)
    resource.setrlimit(resource.RLIMIT_AS, (wanted, most))


def _used() -> dict[str, float]:
    """Return what this process, and those that it has waited for, have taken."""
    own, others = (resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {
        "cpu_seconds": own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime,
        "peak_memory_bytes": max(own.ru_maxrss, others.ru_maxrss) * 1024,
    }


def _flush_files() -> None:
    """Write what the flow's open files still hold, as the taking apart of all objects would."""
    for each in gc.get_objects():
        # `isinstance` would ask the object, which may be a proxy of what is gone (tqdm has some), or raise
        if issubclass(type(each), _BUFFERED):
            with suppress(Exception):  # one whose reader went away keeps no other from being written
                if not each.closed and each.writable():
                    each.flush()


def become(
    app: TemplateApp,
    pages: Pages,
    parent: int,
    sock: socket.socket,
    descriptors: tuple[Descriptor, Descriptor],
) -> NoReturn:
    """Make this process, just forked by the guardian `parent`, the one of a run. Never returns."""
    try:
        os.setsid()
        linux.die_with(parent)
        Child(app, pages, parent, sock, descriptors).run()
    except BaseException:  # noqa: BLE001  # the flow has broken what executes it: shown with its last outputs
        with suppress(BaseException):  # that may be broken as well
            os.write(2, traceback.format_exc().encode("utf-8", "backslashreplace"))
    finally:
        _exit(1)
