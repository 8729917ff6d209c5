"""nbformat's nodes, made without looking at each value twice, and without validating each output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbformat import NotebookNode

if TYPE_CHECKING:
    from collections.abc import Mapping

#: type of a kernel's message -> what of its content makes an output
_KEPT = {
    "stream": ("name", "text"),
    "display_data": ("data", "metadata"),
    "execute_result": ("data", "metadata", "execution_count"),
    "error": ("ename", "evalue", "traceback"),
}


def plain_node(value: Any) -> Any:
    """Return a copy of JSON-like data whose dicts are nbformat's nodes."""
    if isinstance(value, dict):
        node = NotebookNode()
        dict.update(node, {key: plain_node(item) for key, item in value.items()})
        return node
    if isinstance(value, list | tuple):
        return [plain_node(item) for item in value]
    return value


def output_of(kind: str, content: Mapping[str, Any]) -> NotebookNode | None:
    """Return the output that a kernel's message makes; None where its type makes none.

    It is as `nbformat.v4.output_from_msg` makes it, less half a millisecond in which that validates what
    can only be right. Raises nbformat's `ValidationError` for data that no notebook can hold.
    """
    if kind not in _KEPT:
        return None
    output: NotebookNode = plain_node({"output_type": kind, **{key: content[key] for key in _KEPT[kind]}})
    if not all(_fits(kind, value) for kind, value in output.get("data", {}).items()):
        from nbformat.v4 import output_from_msg

        # raises, and says what no notebook can hold
        output = output_from_msg({"header": {"msg_type": kind}, "content": dict(content)})
    return output


def _fits(kind: str, value: Any) -> bool:
    """Whether a notebook can hold a value under that MIME type: as JSON anything, else text or its lines."""
    return isinstance(value, str | list) or kind.endswith("json")
