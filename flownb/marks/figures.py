"""Figures of matplotlib: what is drawn in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .walk import Form

if TYPE_CHECKING:
    from .walk import Forms, Walk

#: what is drawn, by the end of the name of the method that returns it and changes nothing
_DRAWN = (
    *("size_inches", "suptitle", "title", "xlabel", "ylabel", "xscale", "yscale"),
    *("label", "text", "color", "linestyle", "offsets", "array"),
)
_GROUPS = ("axes", "lines", "patches", "collections", "images", "texts")


def _artist(walk: Walk, value: Any) -> Form:
    """Take a figure apart, but not what is only decided when it is shown, as most limits are."""
    drawn = {name.replace("_", " "): getattr(value, f"get_{name}", lambda: None)() for name in _DRAWN}
    if hasattr(value, "get_xydata"):
        drawn["x"], drawn["y"] = value.get_data(orig=True)
    if hasattr(value, "get_patch_transform"):
        drawn["outline"] = value.get_patch_transform().transform(value.get_path().vertices)
        drawn["color"] = value.get_facecolor()
    if hasattr(value, "get_paths"):
        drawn["paths"] = [path.vertices for path in value.get_paths()]
    if hasattr(value, "get_legend") and value.get_legend():
        drawn["legend"] = [text.get_text() for text in value.get_legend().get_texts()]
    for axis in ("x", "y") if hasattr(value, "get_autoscalex_on") else ():
        if not getattr(value, f"get_autoscale{axis}_on")():
            drawn[f"{axis} limits"] = list(getattr(vars(value)["_viewLim"], f"interval{axis}"))
    for group in _GROUPS:
        several = getattr(value, group, ())
        several = several if hasattr(several, "__len__") else ()  # what is drawn in axes refers to them, too
        drawn.update({f"{group} {i}": one for i, one in enumerate(several)})
    names = sorted(name for name in drawn if drawn[name] is not None)
    return Form(type(value).__name__, [drawn[name] for name in names], names, [walk.sequence(names)])


FORMS: Forms = {"matplotlib.Artist": _artist}
