"""The papermill engine `flownb`: notebooks run in milliseconds, each in a process of its own.

papermill imports every engine's module as soon as it is imported itself. So this one imports nothing
heavy, and nothing of papermill.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbformat import NotebookNode

FORKING = "flownb"
"""The name of this engine."""


class FlownbEngine:
    """Executes notebooks for papermill: `papermill --engine flownb in.ipynb out.ipynb`.

    A notebook that it cannot run goes to papermill's standard engine, which papermill's log then says.
    """

    @classmethod
    def execute_notebook(cls, nb: NotebookNode, kernel_name: str, **options: Any) -> NotebookNode:
        """Execute `nb` in place; called by papermill, with what it passes to every engine.

        A cell's own error is left in its outputs, where papermill looks for it. Raises `DeadKernelError`,
        `CellTimeoutError`, `NoSuchKernel` and `KeyboardInterrupt` as papermill's standard engine does.
        """
        from flownb.engine.drop_in import execute_notebook

        return execute_notebook(nb, kernel_name, **options)

    @classmethod
    def nb_kernel_name(cls, nb: NotebookNode, name: str | None = None) -> str:
        """Return the name of the kernel to run `nb` with; called by papermill."""
        from papermill.utils import nb_kernel_name

        return str(nb_kernel_name(nb, name))

    @classmethod
    def nb_language(cls, nb: NotebookNode, language: str | None = None) -> str:
        """Return the language of `nb`; called by papermill."""
        from papermill.utils import nb_language

        return str(nb_language(nb, language))
