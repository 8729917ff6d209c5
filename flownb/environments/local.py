"""Runs on this machine, each in a process of its own."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from flownb.environments.base import Environment
from flownb.environments.fields import (  # noqa: TC001  # read by pydantic
    Folder,
    Limit,
    Memory,
    Seconds,
    Variables,
)
from flownb.errors import EnvironmentRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Unpack

    from flownb.environments.fields import LocalOptions
    from flownb.environments.grid import Grid
    from flownb.environments.plan import Plan
    from flownb.environments.supervise import Supervisor
    from flownb.flow import Flow
    from flownb.runs import Run, Runs
    from flownb.storage import Storage


class LocalEnvironment(Environment):
    """Runs flows on this machine, each in a process of its own that is forked from one that is ready.

    The process that calls `execute`, `submit` or `map` supervises: `on_start`, `on_exit` and `on_change` are
    called there, by `execute` in the calling thread, by the others in threads of their own. When a run has
    ended nothing of what the flow started is left, save what left the process group by itself. Where the
    supervising process is killed the kernel ends with it, and whoever looks finds the run `Crashed`.

    A KeyboardInterrupt during `execute` or `map` cancels: the kernel is interrupted and after 2 s killed, a
    second one kills it at once; `on_exit` is called, and the Run comes back as `Cancelled`.
    """

    kind: ClassVar[str] = "local"

    engine: Annotated[
        str,
        Field(
            description="flownb forks a process that is ready; nbclient is papermill's standard engine. "
            "Other papermill engines take no secrets and store no outputs."
        ),
    ] = "flownb"
    kernel: Annotated[
        str | None, Field(description="Name of a kernelspec; the flow's own where it is not given.")
    ] = None
    timeout: Annotated[Limit, Field(description="Seconds, or a timedelta, for a whole run.")] = None
    step_timeout: Annotated[Limit, Field(description="Seconds, or a timedelta, for each cell.")] = None
    memory: Annotated[
        Memory,
        Field(
            description='Bytes, or a text such as "2 GB", that a flow may take above what its process has '
            "at its start. The engine flownb alone limits it."
        ),
    ] = None
    cwd: Annotated[
        Folder | None,
        Field(description="Folder to run in; the folder of the flow's notebook where it is not given."),
    ] = None
    env: Annotated[Variables, Field(description="Environment variables, beside those of this process.")] = (
        Field(default_factory=dict)
    )
    retries: Annotated[int, Field(ge=0, description="How often a failed or crashed run is tried again.")] = 0
    backoff: Annotated[
        Seconds, Field(description="Seconds, or a timedelta, before the first retry; doubled for each next.")
    ] = 1.0

    if TYPE_CHECKING:  # what is accepted, where the fields have what is stored

        def __init__(self, **options: Unpack[LocalOptions]) -> None: ...

    @model_validator(mode="after")
    def _limits_what_it_says(self) -> Self:
        if self.memory is not None and self.engine != "flownb":
            words = (
                f'`memory` is limited by the engine "flownb" alone, and `engine` is "{self.engine}"; '
                "leave one of them out"
            )
            raise ValueError(words)
        return self

    def setup(self, storage: Storage) -> None:
        """Check that engine, kernel and folder are there; see `Environment.setup`."""
        from flownb.engine import check

        _check_storage(storage)
        check(engine=self.engine, kernel=self.kernel)
        if self.cwd is not None and not self.cwd.is_dir():
            raise EnvironmentRefused(f"`cwd` is {self.cwd}, which is no folder")

    def execute(
        self,
        storage: Storage,
        location: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        asked_by: str = "python",
        text: bool = False,
        on_change: Callable[[Run], object] | None = None,
    ) -> Run:
        """Run a stored flow to its end, and return the Run; see `Environment.execute`."""
        return self._begun(storage, location, parameters, asked_by, text=text).work(on_change)

    def submit(
        self,
        storage: Storage,
        location: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        asked_by: str = "python",
        text: bool = False,
        on_change: Callable[[Run], object] | None = None,
    ) -> Run:
        """Start a run in a thread of this process and return it at once; see `Environment.submit`.

        The end of the interpreter waits for it.
        """
        supervisor = self._begun(storage, location, parameters, asked_by, text=text)
        run = supervisor.run
        threading.Thread(target=supervisor.work, args=(on_change,), name=f"flownb-{run.id}").start()
        return run

    def map(
        self,
        storage: Storage,
        location: str,
        grid: Grid,
        *,
        parallel: int | None = None,
        asked_by: str = "python",
        text: bool = False,
        on_change: Callable[[Run], object] | None = None,
    ) -> Runs:
        """Run a flow once for each point of a grid; see `Environment.map`.

        `parallel` is the number of processors where it is not given. A run is recorded when its turn comes;
        on an interrupt those that go on are cancelled, and the runs so far come back.
        """
        from flownb.environments.grid import points_of
        from flownb.parameters import Validator
        from flownb.storage import trust

        if parallel is not None and parallel < 1:
            raise EnvironmentRefused(f"`parallel` is at least 1, and was given as {parallel}")
        _check_storage(storage)
        flow = storage.get_flow(location)
        trust.require(storage, flow.location)
        validator = Validator(flow)
        plans = [self._plan(flow, validator.validate(point, text=text)) for point in points_of(grid)]
        told = threading.Lock()

        def tell(run: Run) -> None:
            with told:
                assert on_change is not None
                on_change(run)

        supervisors = [self._supervisor(storage, plan, asked_by) for plan in plans]
        return _run_all(supervisors, parallel or os.cpu_count() or 1, tell if on_change is not None else None)

    def _begun(
        self,
        storage: Storage,
        location: str,
        parameters: Mapping[str, Any] | None,
        asked_by: str,
        *,
        text: bool,
    ) -> Supervisor:
        """Return the supervisor of a run that has been checked and recorded, and has yet to do its work."""
        from flownb.parameters import validate
        from flownb.storage import trust

        _check_storage(storage)
        flow = storage.get_flow(location)
        trust.require(storage, flow.location)
        values = validate(flow, parameters or {}, text=text)
        if self.engine == "flownb" and "nbclient" not in sys.modules:
            # what the plan imports takes longer than the start of a process to fork from: both at once
            threading.Thread(target=self._make_ready, args=(flow,), name="flownb-ready").start()
        plan = self._plan(flow, values)
        supervisor = self._supervisor(storage, plan, asked_by)
        supervisor.begin()
        return supervisor

    def _make_ready(self, flow: Flow) -> None:
        """Start the process that the run is going to be forked from, beforehand."""
        from flownb.engine.fork.interpreter import Launch
        from flownb.engine.fork.run import launch_for
        from flownb.engine.fork.templates import templates

        kernel = self.kernel or flow.kernel
        with contextlib.suppress(Exception):  # the run meets with the same, and tells of it
            launch = launch_for(kernel, self.env) if kernel else None
            if isinstance(launch, Launch):
                templates().template(launch)

    def _plan(self, flow: Flow, values: dict[str, Any]) -> Plan:
        """Check all that can be checked before anything starts."""
        from flownb.engine import check
        from flownb.environments.plan import Plan

        plan = Plan(flow, values)
        check(engine=self.engine, kernel=self.kernel or flow.kernel, secrets=bool(plan.secrets))
        _ = plan.notebook, plan.document  # a value that cannot be written is an error now
        return plan

    def _supervisor(self, storage: Storage, plan: Plan, asked_by: str) -> Supervisor:
        from flownb.callbacks import resolve
        from flownb.environments.supervise import Request, Settings, Supervisor
        from flownb.runs.project import Project

        self.setup(storage)
        flow = plan.flow
        project = Project.of(flow.folder or Path.cwd())
        request = Request(
            plan=plan,
            storage=storage.serialize(),
            location=flow.location or flow.name,
            environment=self.describe(),
            labels=self.labels,
            asked_by=asked_by,
        )
        settings = Settings(
            engine=self.engine,
            kernel=self.kernel or flow.kernel,
            cwd=self.cwd or flow.folder or project.root,
            env=self.env,
            timeout=self.timeout,
            step_timeout=self.step_timeout,
            memory=self.memory,
            retries=self.retries,
            backoff=self.backoff,
            on_start=resolve(self.on_start),
            on_exit=resolve(self.on_exit),
        )
        return Supervisor(project, request, settings)


def _check_storage(storage: object) -> None:
    """Refuse what is no storage; above all a flow, which people have in hand."""
    from flownb.flow import Flow
    from flownb.storage import Storage

    if isinstance(storage, Storage):
        return
    said = f"the flow {storage.name}" if isinstance(storage, Flow) else f"a {type(storage).__name__}"
    instead = "; `flow.run()` runs a flow that is in no storage" if isinstance(storage, Flow) else ""
    raise EnvironmentRefused(
        f"an environment runs what is in a storage, and was given {said}: "
        f'`execute(open_storage("x.ipynb"), "NAME", {{...}})` is how it is used{instead}'
    )


def _run_all(supervisors: list[Supervisor], parallel: int, on_change: Callable[[Run], object] | None) -> Runs:
    """Do the runs, so many at a time, and return those that were begun, in their order."""
    from flownb.runs import Runs

    def one(supervisor: Supervisor) -> Run:
        supervisor.begin()
        return supervisor.work(on_change)

    with ThreadPoolExecutor(max_workers=parallel, thread_name_prefix="flownb-map") as pool:
        futures: list[Future[Run]] = [pool.submit(one, supervisor) for supervisor in supervisors]
        waiting = set(futures)
        while waiting:
            try:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                if any(not future.cancelled() and future.exception() for future in done):
                    _stop(supervisors, futures)  # a run that cannot be recorded: the rest could not be either
            except KeyboardInterrupt:
                _stop(supervisors, futures)
    return Runs(future.result() for future in futures if not future.cancelled())


def _stop(supervisors: list[Supervisor], futures: list[Future[Run]]) -> None:
    for future in futures:
        future.cancel()
    for supervisor, future in zip(supervisors, futures, strict=True):
        if future.running():
            supervisor.stop.request()
