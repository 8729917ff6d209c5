"""A kernel's messages folded into cells by nbclient, with streams joined and secrets taken out.

What both clients share: the one of papermill's standard engine, and the one that has no kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbclient import NotebookClient

from flownb.engine.nodes import output_of
from flownb.engine.secrets import redacted_message, redactor

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from flownb.engine.secrets import Secrets

_STREAM_LIMIT = 64_000  #: characters of a stream's output after which the next line begins a new one
_LINE_LIMIT = 1_000_000  #: characters of it after which it ends within a line


class Folding(NotebookClient):  # type: ignore[misc]  # nbclient is not read by the type checker
    """nbclient's rules for messages, and what is told of each: see `folded`."""

    clear_before_next_output: bool

    def hide(self, secrets: Secrets) -> None:
        """Take these secrets out of all that is folded from now on; to be called before the first message."""
        self._hidden = secrets.hidden
        self.redacted = redactor(secrets.hidden)
        #: so far back a secret can begin, encoded as it may be
        self._reach = 6 * max(map(len, secrets.hidden), default=0)

    def folded(self, index: int, cell: NotebookNode, output: NotebookNode | None) -> None:
        """Hear of a new output, here alone; None: outputs were cleared, or changed in place."""
        raise NotImplementedError

    def process_message(
        self, msg: dict[str, Any], cell: NotebookNode, cell_index: int
    ) -> NotebookNode | None:
        """Fold a kernel's message into a cell, without the secrets in it, and tell of it."""
        if self._hidden:
            msg["content"] = redacted_message(self.redacted, msg["msg_type"], msg["content"])
        output: NotebookNode | None = super().process_message(msg, cell, cell_index)
        if output is not None or msg["msg_type"] in ("clear_output", "update_display_data"):
            self.folded(cell_index, cell, output)
        return output

    def _update_display_id(self, display_id: str, msg: dict[str, Any]) -> None:
        """Change what is displayed under that name, as nbclient does, which validates each change."""
        places = self._display_id_map.get(display_id)
        if places is None:
            return
        changed = output_of("display_data", msg["content"])
        assert changed is not None
        for index, positions in places.items():
            for position in positions:
                self.nb["cells"][index]["outputs"][position].update(
                    data=changed["data"], metadata=changed["metadata"]
                )

    def output(
        self, outs: list[NotebookNode], msg: dict[str, Any], display_id: str | None, cell_index: int
    ) -> NotebookNode | None:
        """Append an output, as nbclient does; a stream that goes on is joined with what it wrote before."""
        if self.output_hook_stack[msg["parent_header"].get("msg_id")]:
            taken: NotebookNode | None = super().output(outs, msg, display_id, cell_index)
            return taken
        piece = output_of(msg["header"]["msg_type"], msg["content"])
        if piece is None:
            return None
        if self.clear_before_next_output:
            outs[:] = []
            self.clear_display_id_mapping(cell_index)
            self.clear_before_next_output = False
        before = outs[-1] if outs else None
        if before is not None and _goes_on(before, piece):
            # a secret may have come in two pieces; the new one has been looked through by itself
            seam = max(len(before["text"]) - self._reach, 0)
            before["text"] = before["text"][:seam] + self.redacted(before["text"][seam:] + piece["text"])
            return piece
        if display_id:
            self._display_id_map.setdefault(display_id, {}).setdefault(cell_index, []).append(len(outs))
        outs.append(piece)
        return piece


def _goes_on(before: NotebookNode, piece: NotebookNode) -> bool:
    both = (before["output_type"], before.get("name")), (piece["output_type"], piece.get("name"))
    return both[0] == both[1] and both[0][0] == "stream" and not _is_full(before["text"])


def _is_full(text: str) -> bool:
    """Whether a stream's output is better not made longer: joining would cost what it is long each time."""
    return len(text) > _STREAM_LIMIT and (text.endswith("\n") or len(text) > _LINE_LIMIT)
