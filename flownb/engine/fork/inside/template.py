"""The template: a process with everything imported and the shell made, from which runs are forked.

It has one thread, and keeps one run's processes forked ahead, so that a run need not wait for a fork.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.metadata
import importlib.util
import linecache
import math
import os
import select
import signal
import socket
import sys
import time
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import child, exercise, guardian, linux, preload, wire
from .exercise import Exercises
from .pages import Pages
from .streams import Descriptor

if TYPE_CHECKING:
    from typing import NoReturn

    from .app import TemplateApp


_SHORT = 0.25  #: seconds behind a run's start after which the next one's processes are made meanwhile
_CLOSELY = 0.05  #: seconds within which a run follows another one closely

_LEAST = 6, 9  #: version of ipykernel
_UNDER_WAY = 1.0  #: seconds after which what was sent has arrived

GUARDIAN = "flownb-guardian"
"""The name by which a guardian's process is known, in a list of processes as well."""


@dataclass
class Spare:
    """A run's processes that wait for somebody to run something, and the owner's ends of what they hear."""

    guardian: int
    child: int
    pidfd: int  #: of the child
    guardian_pidfd: int
    run: socket.socket
    guard: socket.socket
    descriptors: tuple[Descriptor, Descriptor]
    made: float = field(default_factory=time.monotonic)

    @property
    def alive(self) -> bool:
        """Whether the process that is to run something is there."""
        return not wire.readable(self.pidfd)

    def close(self) -> None:
        """Let go of it; where nobody else has the ends, the processes end."""
        self.run.close()
        self.guard.close()
        for descriptor in (self.pidfd, self.guardian_pidfd, *(each.read for each in self.descriptors)):
            os.close(descriptor)


@dataclass
class Branch:
    """A template being made from this one, until it is known to be good."""

    pid: int
    news: socket.socket
    control: int  #: descriptor of its control socket, kept for the next try
    modules: list[str]
    avoid: list[str]
    refused: dict[str, str]


def main(descriptor: int) -> NoReturn:
    """Be a template, heard through the control socket `descriptor`; called in a new interpreter."""
    began = time.monotonic()
    control = socket.socket(fileno=descriptor)
    control.set_inheritable(False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # from a terminal; it is for the owner
    signal.signal(
        signal.SIGCHLD, signal.SIG_DFL
    )  # an owner that ignores it hands that on, and nobody could wait
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    try:
        wanted = wire.recv_control(control)[0]["start"]
        owner = os.pidfd_open(wanted["owner"])
        linux.adopt_orphans()
        app = _app(wanted["module"], wanted["arguments"])
    except BaseException as error:  # noqa: BLE001  # told to the owner
        why = next(filter(None, map(str.strip, str(error).splitlines())), "")
        told = f"{type(error).__name__}: {why}"
        with contextlib.suppress(OSError):
            wire.send_control(control, {"failed": f"{told}\n{traceback.format_exc()[-8000:]}"})
        os._exit(1)
    Template(app, control, owner).serve(began, {}, {})


def _app(module: str, arguments: list[str]) -> TemplateApp:
    import ipykernel

    if ipykernel.version_info < _LEAST:
        least = ".".join(map(str, _LEAST))
        raise RuntimeError(f"it needs ipykernel {least} or newer, and this is {ipykernel.__version__}")
    from .app import make

    sys.path[:] = [folder for folder in sys.path if folder]  # the kernel puts the working directory there
    # since Python 3.13 they have the program that this was started with, and would show it in tracebacks
    linecache.cache.pop("<string>", None)
    getattr(linecache, "_interactive_cache", {}).clear()
    spec = importlib.util.find_spec(f"{module}.__main__" if module == "ipykernel" else module)
    assert spec is not None
    # what a flow that looks at them has to cope with in a kernel as well
    sys.argv[:] = [str(spec.origin), "-f", "kernel.json", "--HistoryManager.hist_file=:memory:"]
    app = make(module, arguments)
    exercise.of_kernel(app)
    if linux.threads() > 1:
        raise RuntimeError(f"the kernel's start leaves threads: {preload.State.now().threads}")
    return app


class Template:
    """Serves one control socket until it is closed, or the owner's process has ended."""

    def __init__(self, app: TemplateApp, control: socket.socket, owner: int) -> None:
        self._app = app
        self._control = control
        self._owner = owner
        self._pages: Pages
        self._exercises: Exercises
        self._given = 0  # processes, so far
        self._spare: Spare | None = None
        self._sent_ahead: float | None = None  # when one was made that the owner has, and has not used yet
        self._refill_at = math.inf  # when there is to be a spare, as `time.monotonic` has it
        self._guardians: dict[int, int] = {}  # pidfd -> process
        self._branches: dict[int, Branch] = {}  # descriptor of its news -> branch

    def serve(self, began: float, loaded: dict[str, list[str]], refused: dict[str, str]) -> NoReturn:
        """Say that it is ready, and serve; never returns."""
        gc.collect()
        gc.freeze()  # what is there now is never looked through again, nor copied for that, in any fork
        # a branch has those of the template that it was made from
        self._refill_at, self._given, self._sent_ahead = math.inf, 0, None
        self._pages = Pages()
        self._exercises = Exercises(loaded)
        ready = {
            "ready": True,
            "pid": os.getpid(),
            "python": ".".join(map(str, sys.version_info[:3])),
            "ipython": importlib.metadata.version("ipython"),
            "ipykernel": importlib.metadata.version("ipykernel"),
            "seconds": time.monotonic() - began,
            "loaded": list(loaded),
            "asked": loaded,
            "refused": refused,
        }
        try:
            wire.send_control(self._control, ready)
            while True:
                self._once()
        except (EOFError, OSError):  # the owner does not want it any more
            for branch in self._branches.values():
                os.kill(branch.pid, signal.SIGKILL)
            os._exit(0)
        finally:
            os._exit(1)

    def _once(self) -> None:
        poll = select.poll()
        watched = (
            *(self._control.fileno(), self._owner),
            *(*self._guardians, *self._branches, *self._exercises.watched),
        )
        for descriptor in watched:
            poll.register(descriptor, select.POLLIN)
        for branch in self._branches.values():
            poll.register(branch.control, 0)  # tells when nobody waits for it any more
        ready = poll.poll(self._until_something())
        if not ready:
            self._do_something()
        for descriptor, _ in ready:
            if descriptor == self._owner:
                raise EOFError
            if descriptor == self._control.fileno():
                self._obey(*wire.recv_control(self._control))
            elif descriptor in self._guardians:
                self._bury(descriptor)
            elif descriptor in self._branches:
                self._hear(self._branches.pop(descriptor))
            elif descriptor in self._exercises.watched:
                self._exercises.heard(descriptor)
            else:
                for branch in [each for each in self._branches.values() if each.control == descriptor]:
                    self._end(branch)

    def _until_something(self) -> int | None:
        """Return the milliseconds until there is something to do that nobody has asked for; None: nothing."""
        if self._spare is not None:
            return 0 if self._exercises.to_do else None
        if self._sent_ahead is not None or self._refill_at == math.inf:
            return None
        return max(0, math.ceil((self._refill_at - time.monotonic()) * 1000))

    def _do_something(self) -> None:
        if self._spare is None:
            self._refill()
            return
        try:
            self._exercises.step()
        except Exception:  # noqa: BLE001  # it went well in a fork; the rest is left to the flows that need it
            self._exercises.to_do = False
        if not self._exercises.to_do:
            gc.collect()
            gc.freeze()
            self._pages.look_again()
            self._spare.close()  # it has had no exercise
            self._spare = None
            self._refill()

    def _bury(self, pidfd: int) -> None:
        """Bury a guardian, or a branch, and end what it has left to this process."""
        _, status = os.waitpid(self._guardians.pop(pidfd), 0)
        os.close(pidfd)
        if os.waitstatus_to_exitcode(status) == 0 and self._refill_at != math.inf:
            self._refill_at = 0.0  # a run has ended, and has no use for the processor
        branches = {branch.pid for branch in self._branches.values()}
        own = {*self._guardians.values(), *branches, *self._exercises.processes}
        others = set(linux.children()) - own
        for process in others:  # they were a branch's
            if linux.name_of(process) == GUARDIAN:
                self._guardians[os.pidfd_open(process)] = process  # its run goes on
                own.add(process)
        if others - own:
            linux.sweep(frozenset(own))

    def _obey(self, message: dict[str, Any], descriptors: list[int]) -> None:
        if "child" in message:
            self._give()
        elif "taken" in message:
            self._taken()
        elif "branch" in message:
            self._branch(list(message["branch"]), list(message.get("avoid", ())), {}, descriptors[0])

    # runs

    def _refill(self) -> None:
        self._refill_at = math.inf  # no second try: that no process is to be had is said to who asks for one
        with contextlib.suppress(OSError):
            self._spare = self._fork()
            if self._given > 1:  # there will be more
                self._exercises.try_out(self._forget_all)
            if not self._exercises.pending:
                spare, self._spare = self._spare, None
                self._send(spare)
                self._sent_ahead = spare.made

    def _taken(self) -> None:
        """Hear that the process that was sent beforehand is used, or of no use."""
        made, self._sent_ahead = self._sent_ahead, None
        self._given += 1
        self._plan_refill(made)

    def _give(self) -> None:
        """Give a process away, at once: the owner has none, or none that it knows of."""
        self._given += 1
        spare, self._spare = self._spare, None
        if self._sent_ahead is None or time.monotonic() - self._sent_ahead > _UNDER_WAY:
            self._sent_ahead = None  # it was lost
            self._plan_refill(None if spare is None else spare.made)
        if spare is not None and not spare.alive:
            spare.close()
            spare = None
        try:
            spare = spare or self._fork()
        except OSError as error:
            wire.send_control(
                self._control, {"failed": f"no process can be forked: {error}", "errno": error.errno}
            )
            return
        self._send(spare)

    def _plan_refill(self, made: float | None) -> None:
        """Have another process made, now that one is used that was made at that time; None: just now.

        That is done at once where runs follow each other closely. Else it waits for the end of a short run,
        from which it would take a processor away.
        """
        now = time.monotonic()
        self._refill_at = now if made is None or now - made < _CLOSELY else now + _SHORT

    def _send(self, spare: Spare) -> None:
        """Send the owner a run's process, and let go of it."""
        ends = [spare.run.fileno(), spare.guard.fileno()]
        ends += [each.read for each in spare.descriptors] + [spare.pidfd, spare.guardian_pidfd]
        try:
            wire.send_control(self._control, {"child": spare.child, "guardian": spare.guardian}, ends)
        finally:
            spare.close()

    def _fork(self) -> Spare:
        run, run_end = wire.pair()
        guard, guard_end = wire.pair()
        news, news_end = wire.pair()
        descriptors = Descriptor(1), Descriptor(2)
        try:
            process = os.fork()
            if process == 0:
                run.close()
                guard.close()
                news.close()
                self._be_guardian(run_end, guard_end, news_end, descriptors)
            self._guardians[os.pidfd_open(process)] = process
        except OSError:
            for each in descriptors:
                os.close(each.read)
            run.close()
            guard.close()
            news.close()
            raise
        finally:
            run_end.close()
            guard_end.close()
            news_end.close()
            for each in descriptors:
                each.close_write()
        try:
            born, (pidfd,) = wire.recv_control(news)
        except EOFError:
            for each in descriptors:
                os.close(each.read)
            run.close()
            guard.close()
            raise OSError("the process that was forked ended at once") from None
        finally:
            news.close()
        return Spare(process, born["child"], pidfd, os.pidfd_open(process), run, guard, descriptors)

    def _be_guardian(
        self,
        run: socket.socket,
        guard: socket.socket,
        news: socket.socket,
        descriptors: tuple[Descriptor, Descriptor],
    ) -> NoReturn:
        try:
            self._forget()
            name = linux.name_of(os.getpid())
            os.setsid()
            linux.be_named(GUARDIAN)
            linux.adopt_orphans()
            me = os.getpid()
            process = os.fork()
            if process == 0:
                guard.close()
                news.close()
                os.close(self._owner)
                linux.be_named(name)
                child.become(self._app, self._pages, me, run, descriptors)
            pidfd = os.pidfd_open(process)
            wire.send_control(news, {"child": process}, [pidfd])
            news.close()
            run.close()
            for each in descriptors:
                each.close_write()
                os.close(each.read)
            guardian.guard(process, pidfd, guard, self._owner)
        finally:
            os._exit(1)

    def _forget_all(self) -> None:
        self._forget()
        os.close(self._owner)

    def _forget(self) -> None:
        """Close what belongs to the template only; for a fork of it."""
        self._control.close()
        for descriptor in self._guardians:
            os.close(descriptor)
        self._guardians.clear()
        for branch in self._branches.values():
            branch.news.close()
            os.close(branch.control)
        self._branches.clear()
        self._exercises.forget()
        if self._spare is not None:
            self._spare.close()
            self._spare = None

    # templates made from this one

    def _branch(self, modules: list[str], avoid: list[str], refused: dict[str, str], control: int) -> None:
        news, news_end = wire.pair()
        process = os.fork()
        if process == 0:
            try:
                news.close()
                self._forget()
                self._be_branch(modules, avoid, refused, control, news_end)
            finally:
                os._exit(1)
        news_end.close()
        self._branches[news.fileno()] = Branch(process, news, control, modules, avoid, refused)

    def _be_branch(
        self,
        modules: list[str],
        avoid: list[str],
        refused: dict[str, str],
        control: int,
        news: socket.socket,
    ) -> NoReturn:
        began = time.monotonic()
        os.setsid()
        linux.adopt_orphans()
        gc.unfreeze()
        try:
            loaded, others = preload.load(modules, self._app.kernel.shell, avoid)
        except preload.Spoiled as spoiled:
            wire.send_control(news, {"without": spoiled.module, "reason": spoiled.reason})
            os._exit(0)
        wire.send_control(news, {"good": True})
        news.close()
        self._control = socket.socket(fileno=control)
        self.serve(began, loaded, {**refused, **others})

    def _end(self, branch: Branch) -> None:
        """End a branch in the making; what its imports have started is swept away when it is buried."""
        del self._branches[branch.news.fileno()]
        branch.news.close()
        os.close(branch.control)
        os.kill(branch.pid, signal.SIGKILL)
        self._guardians[os.pidfd_open(branch.pid)] = branch.pid  # to be buried

    def _hear(self, branch: Branch) -> None:
        """Hear what has become of a branch: good, or to be tried again without what has spoiled it."""
        try:
            said, _ = wire.recv_control(branch.news)
        except EOFError:
            said = {}
        branch.news.close()
        if "without" in said:
            os.waitpid(branch.pid, 0)
            module = said["without"]
            modules = [name for name in branch.modules if name != module]
            refused = {**branch.refused, module: said["reason"]}
            self._branch(modules, branch.avoid, refused, branch.control)
            return
        os.close(branch.control)  # the branch has its own; where it died, the owner sees the end of it
        self._guardians[os.pidfd_open(branch.pid)] = branch.pid
