"""nbclient's rules for messages, around a client that has no kernel: they come from a forked process."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flownb.engine.folding import Folding
from flownb.engine.fork.inside.wire import Frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbformat import NotebookNode

    from flownb.engine.session import Session

_IOPUB = "iopub.execute_input"


class Fold(Folding):
    """Folds the messages of one run into its cells, and tells the session's observer."""

    def __init__(self, nb: NotebookNode, session: Session, **traits: Any) -> None:
        """Fold into `nb`. `traits` are nbclient's options."""
        super().__init__(nb, **traits)
        self.hide(session.secrets)
        self._observer = session.observer
        self._trouble: BaseException | None = None  # what the observer raised

    def speak_to(self, send: Callable[[Frame], None]) -> None:
        """Have `send` take what a widget answers."""
        self.kc = Channel(send)

    def folded(self, index: int, cell: NotebookNode, output: NotebookNode | None) -> None:
        """Tell the observer of a new output."""
        try:
            self._observer.cell_output(index, cell, output)
        except BaseException as error:
            self._trouble = error
            raise

    def begin(self, cell: NotebookNode, count: int) -> None:
        """Make a cell ready for the messages of its execution, which has that number.

        A kernel sends both, that it is busy and with which number; here nobody but the owner asks it.
        """
        self.code_cells_executed += 1
        self.clear_before_next_output = False
        cell["outputs"] = []
        cell["execution_count"] = count
        if self.record_timing:
            began = _now()
            cell["metadata"]["execution"] = {"iopub.status.busy": began, _IOPUB: began}

    def take(self, frame: Frame, cell: NotebookNode, index: int) -> None:
        """Fold one message that belongs to that cell, which says so where it is none, or too deep."""
        try:
            self.process_message(message_of(frame), cell, index)
        except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            self._left_out(frame, error, cell, index)

    def _left_out(self, frame: Frame, error: Exception, cell: NotebookNode, index: int) -> None:
        if error is self._trouble:
            raise error
        why = str(error).partition("\n")[0]
        text = f"a {frame.head['msg_type']} of this cell is left out: {type(error).__name__}: {why}\n"
        self.printed("stderr", text, frame.head["parent"], cell, index)

    def printed(self, name: str, text: str, parent: str, cell: NotebookNode, index: int) -> None:
        """Fold what was written past Python to a descriptor while that cell was at work."""
        content = {"name": name, "text": text}
        self.process_message(_message("stream", content, parent), cell, index)

    def replied(self, cell: NotebookNode) -> None:
        """Note the times of a cell's end."""
        if self.record_timing:
            times = cell["metadata"]["execution"]
            times["shell.execute_reply"] = times["iopub.status.idle"] = _now()


def message_of(frame: Frame) -> dict[str, Any]:
    """Return a message as a kernel's client would receive it."""
    head = frame.head
    if "stream" in head:  # what was printed comes as it is, not as JSON
        text = str(frame.buffers[0], "utf-8", "replace")
        return _message("stream", {"name": head["stream"], "text": text}, head["parent"])
    message = _message(head["msg_type"], frame.json(), head["parent"])
    message["metadata"] = head.get("metadata", {})
    message["buffers"] = [memoryview(buffer) for buffer in frame.buffers]
    return message


def _message(kind: str, content: dict[str, Any], parent: str) -> dict[str, Any]:
    return {
        "msg_type": kind,
        "header": {"msg_type": kind},
        "parent_header": {"msg_id": parent},
        "metadata": {},
        "content": content,
        "buffers": [],
    }


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Channel:
    """What nbclient's Output widget needs of a kernel's client: to make a message, and to send it."""

    def __init__(self, send: Callable[[Frame], None]) -> None:
        self._send = send
        self._count = 0
        self.session = self.shell_channel = self

    def msg(
        self,
        msg_type: str,
        content: dict[str, Any],
        parent: dict[str, Any] | None = None,  # noqa: ARG002  # as in jupyter_client
        metadata: dict[str, Any] | None = None,
    ) -> Frame:
        """Return a message, as a frame."""
        self._count += 1
        head = {"msg_type": msg_type, "msg_id": f"widget-{self._count}", "metadata": metadata or {}}
        return Frame("request", head, json.dumps(content).encode())

    def send(self, message: Frame) -> None:
        """Send what `msg` has made."""
        self._send(message)
