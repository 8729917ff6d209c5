"""The papermill engine `flownb-managed`: papermill's standard engine, put right.

papermill imports every engine's module as soon as it is imported itself. So this one imports nothing
heavy, and nothing of papermill.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from flownb.engine.session import Session

NAME = "flownb-managed"

STANDARD = "nbclient"
"""The name of papermill's standard engine."""


class ManagedEngine:
    """Executes notebooks with a watched kernel, true statuses, and no rewriting of the whole notebook.

    `papermill --engine flownb-managed in.ipynb out.ipynb` takes any notebook; flownb itself gives a
    `session` along, which says where, for how long, and who watches.
    """

    @classmethod
    def execute_notebook(
        cls, nb: NotebookNode, kernel_name: str, *, session: Session | None = None, **options: Any
    ) -> NotebookNode:
        """Execute `nb`; called by papermill. With a session its `ending` says how it went.

        Args:
            nb: the notebook, changed in place.
            kernel_name: name of the kernelspec.
            session: given by flownb; without one, papermill's own rules hold for what is raised.
            options: what papermill passes to every engine.

        """
        if session is None:
            from flownb.engine.standalone import execute_alone

            return execute_alone(nb, kernel_name, **options)
        from nbformat import NotebookNode

        if session.engine == STANDARD:
            from flownb.engine.run import run_session

            run_session(nb, kernel_name, session)
        else:
            from flownb.engine.foreign import run_foreign

            run_foreign(nb, kernel_name, session)
        # papermill would look through what comes back for errors, and write all of it out to nowhere
        return NotebookNode(nb, cells=[])

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
