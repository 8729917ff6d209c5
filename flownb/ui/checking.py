"""`%flow check`: how a flow that was run isolated compares with what was here, shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flownb.displays.parts import Line, Shown, Span, Table, code, muted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flownb.environments.checking import Check
    from flownb.flow import Flow
    from flownb.ui.live import LiveNotebook

_SIGNS = {"equal": "✓", "close": "✓", "differs": "✗", "unknown": "?"}
_HEADERS = ("", "step", "", "name", "here and in the run")


def check_table(check: Check) -> Shown:
    """Show what a check found: a line, and a row for each value that was compared."""
    sign = Span("✓", "good") if check.good else Span("✗", "bad")
    rows = [
        (_SIGNS[one.verdict], code(one.step), muted(one.role), code(one.name), one.words or one.verdict)
        for one in check.compared
    ]
    return Shown([Line((sign, f" {check.headline}")), *([Table(_HEADERS, rows)] if rows else [])])


def show_check(live: LiveNotebook, flow: Flow, marks: Mapping[str, Any], given: Mapping[str, Any]) -> Check:
    """Check a flow, and show how it goes and what was found, in one display.

    A required parameter that is not given has the value that its name has in the notebook.
    """
    from flownb.environments.checking import check_flow
    from flownb.parameters import validate
    from flownb.storage import trust

    trust.require_flow(flow)
    namespace = live.shell.user_ns
    here = {p.name: namespace[p.name] for p in flow.parameters if p.required and p.name in namespace}
    values = validate(flow, {**here, **given})
    display = _Display(live)
    check = check_flow(
        flow,
        dict(marks),
        values,
        cwd=flow.folder or live.folder,
        told=lambda step: display.going_on(flow.name, step),
    )
    display.show(check_table(check))
    return check


class _Display:
    """One display that changes: which step is at work, then what was found."""

    def __init__(self, live: LiveNotebook) -> None:
        import uuid

        self._publish = live.shell.display_pub.publish
        self._changes = hasattr(live.shell, "kernel")  # a terminal cannot change what it has displayed
        self._id = uuid.uuid4().hex
        self._last: str | None = None

    def going_on(self, flow: str, step: str) -> None:
        """Show which step is at work, where that is another one."""
        if self._changes and step != self._last:
            text = f"checking {flow}: step {step} …" if step else f"checking {flow} …"
            self.show(Shown([Line(muted(text))]))
            self._last = step

    def show(self, shown: Shown) -> None:
        """Show something in the place of what was there."""
        known = self._last is not None
        self._publish(
            shown._repr_mimebundle_(),
            metadata={},
            transient={"display_id": self._id},
            update=known and self._changes,
        )
        self._last = self._last or ""
