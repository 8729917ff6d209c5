"""A flow run like a function: here and now, in this process, in a fresh namespace.

No kernel, no isolation, no record. What makes a flow's value is the same source that its document has.
"""

from __future__ import annotations
import __future__

import ast
import asyncio
import contextlib
import inspect
import re
import sys
import threading
from contextvars import ContextVar
from types import ModuleType
from typing import TYPE_CHECKING, Any

from flownb.capture.requirements import missing_module
from flownb.document import declaration
from flownb.errors import FlownbError, ParameterError
from flownb.flow import Step
from flownb.names import to_python

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import CodeType

    from flownb.flow import Carried, Flow

_SHOWING_MAGIC = re.compile(r"%(?:matplotlib|config|precision|pprint|load_ext|xmode|colors)\b[^\n]*")
_WANTS_KERNEL = (
    "{what} uses IPython's own syntax (a magic or shell line), which needs a kernel; run it in an "
    "environment: LocalEnvironment().execute(storage, location)"
)


def run_here(flow: Flow, given: Mapping[str, Any]) -> dict[str, Any]:
    """Run the flow's steps with validated parameters and return its outputs by name.

    Raises `ParameterError` and `NotTrustedError` before anything runs, and whatever the flow's code raises.
    """
    from flownb.parameters import validate
    from flownb.storage import trust

    trust.require_flow(flow)
    values = validate(flow, given)
    with _own_module(flow) as namespace, contextlib.ExitStack() as stack:
        # one loop for all that the flow executes, as in a kernel: tasks go on from one cell to the next
        runner = stack.enter_context(asyncio.Runner()) if _awaits(flow) else None
        try:
            return _run(flow, values, _Session(namespace, runner))
        except ImportError as error:
            hint = missing_module(flow.requirements, type(error).__name__, str(error), {})
            if hint:
                error.add_note(hint)
            raise


def _run(flow: Flow, values: Mapping[str, Any], session: _Session) -> dict[str, Any]:
    namespace = session.namespace
    if any("display" in step.reads or "display(" in step.source for step in flow.steps):
        from IPython.display import display

        namespace["display"] = display
    namespace["Out"] = {}  # displayed values that the flow reads are put there
    if flow.notebook is not None:
        return _run_whole(flow, values, session)
    for entry in flow.closure:
        if not entry.step:
            session.execute(_carried(flow, entry), f"<{flow.name}: {entry.name}>")
    _declare(flow, values, session)
    outputs: dict[str, Any] = {}
    for step in flow.steps:
        for entry in flow.closure:
            if entry.step == step.name:
                session.execute(_carried(flow, entry), f"<{flow.name}: {entry.name}>")
        value = session.execute(_python_of(flow, step), f"<{flow.name}.{step.name}>", last=step.result)
        outputs.update({name: namespace[name] for name in step.outputs if name in namespace})
        if step.result:
            outputs["result"] = value
    return outputs


def _run_whole(flow: Flow, values: Mapping[str, Any], session: _Session) -> dict[str, Any]:
    """Run the code cells of a notebook that was taken whole, with the values behind its parameters' cell."""
    cells = flow.notebook["cells"] if flow.notebook is not None else ()
    tagged = ["parameters" in cell["metadata"].get("tags", ()) for cell in cells]
    behind = tagged.index(True) if any(tagged) else None
    if behind is None:
        _give(flow, values, session)
    showing = {step.name for step in flow.steps if step.result}
    outputs: dict[str, Any] = {}
    for index, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            step = Step(f"cell-{index + 1}", cell["source"])
            shows = step.name in showing
            value = session.execute(_python_of(flow, step), f"<{flow.name}.{step.name}>", last=shows)
            if shows:
                outputs["result"] = value
        if index == behind:
            _give(flow, values, session)
    declared = flow.steps[-1].outputs if flow.steps else ()
    return outputs | {name: session.namespace[name] for name in declared if name in session.namespace}


def _declare(flow: Flow, values: Mapping[str, Any], session: _Session) -> None:
    """Bind the parameters: defaults that are not held back, what is given, and what is made of it."""
    from flownb.parameters import Settling

    held = Settling(flow).held
    for parameter in flow.parameters:
        if parameter.name not in values:
            if parameter.name in held:
                session.namespace[parameter.name] = ...
            else:
                session.execute(declaration(parameter), f"<{flow.name}: parameters>")
    _give(flow, values, session)


def _give(flow: Flow, values: Mapping[str, Any], session: _Session) -> None:
    """Bind the parameters that are given, and have the flow's own code make of them what is declared."""
    from flownb.parameters import EXACT, Settling, retold

    place = f"<{flow.name}: parameters>"
    session.namespace.update(values)
    session.execute(retold(values, flow), place)
    session.namespace[EXACT] = tuple(values)
    settling = Settling(flow)
    source = settling.source if flow.notebook is None else settling.source_given(values)
    try:
        session.execute(source, place)
    except Exception as error:
        if type(error).__name__ == ParameterError.__name__:  # the cell has one of its own
            raise ParameterError(str(error), flow=flow.name) from None
        raise
    finally:
        session.namespace.pop(EXACT, None)


def _python_of(flow: Flow, step: Step) -> str:
    python = to_python(step.source)
    if python is not step.source and "get_ipython()" in python:
        raise FlownbError(_WANTS_KERNEL.format(what=f"step {step.name} of {flow.name}"))
    return python


def _carried(flow: Flow, entry: Carried) -> str:
    """Return an entry's source as Python; what only sets how a front end shows things is left out."""
    python = to_python(entry.source)
    if python is entry.source and "get_ipython()" not in python:
        return python
    if _SHOWING_MAGIC.fullmatch(entry.source.strip()):
        return ""
    raise FlownbError(_WANTS_KERNEL.format(what=f"what {flow.name} replays before its steps"))


@contextlib.contextmanager
def _own_module(flow: Flow) -> Iterator[dict[str, Any]]:
    """Make a module for one run of a flow, known to Python while it runs, and yield its namespace.

    pickle, dataclasses, pydantic and `get_type_hints` look names up in the module that a class says it is
    of. Each run has its own, and `__main__` stays what it is, so that runs in threads do not meet.
    """
    import cloudpickle

    name = re.sub(r"\W", "_", f"flow_{flow.name}")
    module, tried = ModuleType(name), 1
    while sys.modules.setdefault(module.__name__, module) is not module:  # atomic
        tried += 1
        module = ModuleType(f"{name}_{tried}")
    module.__dict__["__builtins__"] = __builtins__
    cloudpickle.register_pickle_by_value(module)  # other processes have no such module
    running = _RUNNING.set(module.__dict__)
    main = sys.modules["__main__"].__dict__
    _Lacking.count(main, 1)
    try:
        yield module.__dict__
    finally:
        _Lacking.count(main, -1)
        _RUNNING.reset(running)
        cloudpickle.unregister_pickle_by_value(module)
        del sys.modules[module.__name__]


_RUNNING: ContextVar[dict[str, Any] | None] = ContextVar("flownb_running", default=None)
_COUNTING = threading.Lock()


class _Lacking:
    """The `__getattr__` of `__main__` while flows run: what it lacks, the flow of the very thread may have.

    For files that were pickled in the notebook: they name its classes as those of `__main__`.
    """

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, name: str) -> Any:
        namespace = _RUNNING.get()
        if namespace is None or name.startswith("__") or name not in namespace:
            raise AttributeError(f"module '__main__' has no attribute {name!r}")
        return namespace[name]

    @classmethod
    def count(cls, names: dict[str, Any], change: int) -> None:
        """Count a run that begins or ends, in the names of `__main__`; the last one leaves them as before."""
        with _COUNTING:
            lacking = names.get("__getattr__") or names.setdefault("__getattr__", cls())
            if isinstance(lacking, cls):
                lacking.runs += change
                if lacking.runs <= 0:
                    del names["__getattr__"]


class _NameOfMain(ast.NodeTransformer):
    """Has `__name__` be what it is in a notebook, so that `if __name__ == "__main__":` holds.

    Where `sys.modules` is asked, it stays the name of the module that the flow runs in.
    """

    def visit_Name(self, node: ast.Name) -> ast.expr:  # ast's name
        if node.id == "__name__" and isinstance(node.ctx, ast.Load):
            return ast.copy_location(ast.Constant("__main__"), node)
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.Subscript:  # ast's name
        node.value = self.visit(node.value)
        if not (isinstance(node.slice, ast.Name) and node.slice.id == "__name__"):
            node.slice = self.visit(node.slice)
        return node


class _Session:
    """A namespace, and the `__future__` features that hold in it once a cell has asked for them."""

    def __init__(self, namespace: dict[str, Any], runner: asyncio.Runner | None) -> None:
        self.namespace = namespace
        self._runner = runner
        self._flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT

    def execute(self, source: str, filename: str, *, last: bool = False) -> Any:
        """Execute statements; return the value of the last one where it is an expression and is wanted."""
        tree = _NameOfMain().visit(ast.parse(source, filename))
        value: ast.expr | None = None
        if last and tree.body and isinstance(tree.body[-1], ast.Expr):
            value = tree.body.pop().value
        self._evaluate(self._compile(tree, filename, "exec"))
        return (
            None if value is None else self._evaluate(self._compile(ast.Expression(value), filename, "eval"))
        )

    def _compile(self, tree: ast.Module | ast.Expression, filename: str, mode: str) -> CodeType:
        # Not to inherit: this module's own `__future__` imports are none of the flow's.
        code: CodeType = compile(tree, filename, mode, flags=self._flags, dont_inherit=True)
        for name in __future__.all_feature_names:
            feature: __future__._Feature = getattr(__future__, name)
            if code.co_flags & feature.compiler_flag:
                self._flags |= feature.compiler_flag
        return code

    def _evaluate(self, code: CodeType) -> Any:
        if self._runner is None:
            return eval(code, self.namespace)  # noqa: S307  # to run the flow's code is what this is for
        return _in_loop(self._runner, self._evaluated(code))

    async def _evaluated(self, code: CodeType) -> Any:
        value = eval(code, self.namespace)  # noqa: S307  # see above
        return await value if code.co_flags & inspect.CO_COROUTINE else value


def _awaits(flow: Flow) -> bool:
    """Whether something of the flow's awaits outside of any function."""
    texts = [*(entry.source for entry in flow.closure), *(step.source for step in flow.steps)]
    return any(_awaits_at_top(to_python(text)) for text in texts if "await" in text or "async" in text)


def _awaits_at_top(python: str) -> bool:
    try:
        code = compile(python, "<flow>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except (SyntaxError, ValueError):
        return False  # it is told where it is executed
    return bool(code.co_flags & inspect.CO_COROUTINE)


def _in_loop(runner: asyncio.Runner, coroutine: Any) -> Any:
    """Wait for a coroutine, also where another loop runs in this thread already (a notebook)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return runner.run(coroutine)
    ended: list[Any] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            ended.append(runner.run(coroutine))
        except BaseException as error:  # noqa: BLE001  # raised again in the thread that waits
            failed.append(error)

    thread = threading.Thread(target=run, name="flownb-await")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return ended[0]
