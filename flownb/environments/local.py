"""Runs on this machine, each in a process of its own."""

from __future__ import annotations

import contextlib
import sys
import threading
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
from flownb.errors import EnvironmentRefusedError
from flownb.frozen import FrozenDict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Unpack

    from flownb.environments.fields import LocalOptions
    from flownb.environments.supervise import Supervisor
    from flownb.environments.together import Tell, Work
    from flownb.flow import Flow
    from flownb.runs import Run
    from flownb.storage import Storage


class LocalEnvironment(Environment):
    """Runs flows on this machine, each in a process of its own that is forked from one that is ready.

    The process that calls `execute`, `submit` or `map` supervises: `on_start`, `on_exit` and `on_change` are
    called there, by `execute` in the calling thread, by the others in threads of their own. When a run has
    ended nothing of what the flow started is left, save what left the process group by itself. Where the
    supervising process is killed the kernel ends with it, and whoever looks finds the run `Crashed`.

    A KeyboardInterrupt during `execute` or `map` cancels: the kernel is interrupted and after 2 s killed, a
    second one kills it at once; `on_exit` is called, and the Run comes back as `Cancelled`. SIGTERM and
    SIGHUP to the process cancel in the same way, and then end it, also while runs of `submit` go on.
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
        FrozenDict({})
    )
    retries: Annotated[int, Field(ge=0, description="How often a failed or crashed run is tried again.")] = 0
    backoff: Annotated[
        Seconds, Field(description="Seconds, or a timedelta, before the first retry; doubled for each next.")
    ] = 1.0

    strict: Annotated[
        bool | None,
        Field(
            description="Refuse a flow whose Python, distributions or modules are other ones than at its "
            "capture; what flownb.toml says for the project where it is not given."
        ),
    ] = None

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
        """Check that storage, engine, kernel and folder are there; see `Environment.setup`."""
        from flownb.engine import check

        super().setup(storage)
        check(engine=self.engine, kernel=self.kernel)
        if self.cwd is not None and not self.cwd.is_dir():
            raise EnvironmentRefusedError(f"`cwd` is {self.cwd}, which is no folder")

    def execute(
        self,
        storage: Storage,
        flow: Flow | str,
        parameters: Mapping[str, Any] | None = None,
        *,
        on_change: Callable[[Run], object] | None = None,
    ) -> Run:
        """Run a stored flow to its end, and return the Run; see `Environment.execute`."""
        from flownb.environments.beginning import runnable
        from flownb.parameters import validate

        self.setup(storage)
        flow = runnable(storage, flow)
        values = validate(flow, parameters or {})
        if self.engine == "flownb" and "nbclient" not in sys.modules:
            # what the plan imports takes longer than the start of a process to fork from: both at once
            threading.Thread(target=self._make_ready, args=(flow,), name="flownb-ready").start()
        supervisor = self._supervisor(storage, flow, values)
        supervisor.begin()
        return supervisor.work(on_change)

    def _each(self, storage: Storage, flow: Flow, values: dict[str, Any]) -> Work:
        supervisor = self._supervisor(storage, flow, values)

        def work(tell: Tell) -> Run:
            supervisor.begin()
            return supervisor.work(tell)

        return work

    def _supervisor(self, storage: Storage, flow: Flow, values: dict[str, Any]) -> Supervisor:
        from flownb.environments.beginning import prepare

        return prepare(
            self,
            storage,
            flow,
            values,
            engine=self.engine,
            kernel=self.kernel,
            cwd=self.cwd,
            env=self.env,
            timeout=self.timeout,
            step_timeout=self.step_timeout,
            memory=self.memory,
            retries=self.retries,
            backoff=self.backoff,
            strict=self.strict,
        )

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
