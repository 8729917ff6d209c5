"""Figures as pictures: PNG, and SVG where that is not too large."""

from __future__ import annotations

import base64
import io
import pathlib
import sys
from typing import TYPE_CHECKING, Any

from .fitting import Place, UnfitError, Write, is_exactly

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

_SVG_LIMIT = 10_000_000  #: bytes; a drawing of more is kept as PNG only
_PLOTTING = {"altair", "bokeh", "graphviz", "plotly", "plotnine", "seaborn"}


class Picture:
    """A stored figure: `png` (bytes) and `svg` (text), either of them None where there is none.

    A notebook shows the PNG, and a drawing alone as an image: put into the page itself a drawing can run
    scripts, and it may have come with a project.
    """

    def __init__(self, png: bytes | None = None, svg: str | None = None) -> None:
        self.png = png
        self.svg = svg

    def _repr_png_(self) -> bytes | None:
        return self.png

    def _repr_html_(self) -> str | None:
        if self.png or not self.svg:
            return None
        drawing = base64.b64encode(self.svg.encode("utf-8")).decode("ascii")
        return f'<img src="data:image/svg+xml;base64,{drawing}">'

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture to a file; its suffix, `.png` or `.svg`, says as what. Raises `ValueError`."""
        target = pathlib.Path(path)
        content = {".png": self.png, ".svg": self.svg}.get(target.suffix.lower())
        if content is None:
            kinds = [suffix for suffix, has in ((".png", self.png), (".svg", self.svg)) if has]
            raise ValueError(
                f"this picture goes to a file that ends in {' or '.join(kinds)}, not to {target.name}"
            )
        target.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)

    def __repr__(self) -> str:
        kinds = [f"PNG, {len(self.png)} bytes"] if self.png else []
        return f"<Picture: {'; '.join([*kinds, *(['SVG'] if self.svg else [])])}>"


def figure_formats(value: object) -> list[tuple[str, Write]]:
    """Return the formats for a value that is a figure, or axes of one, of a library for plotting; else none.

    What only can show itself as a picture (an image, a molecule, a geometry) is a value, not a figure.
    """
    if _figure_of(value) is not None:
        return [("picture", _write_figure)]
    if type(value).__module__.split(".")[0] in _PLOTTING:
        return [("picture", write_shown)]
    return []


def _figure_of(value: Any) -> Any:
    """Return the Matplotlib figure that a value is, or that its axes are in; None where it is neither."""
    figures, axes = sys.modules.get("matplotlib.figure"), sys.modules.get("matplotlib.axes")
    if figures is None or axes is None:
        return None
    if is_exactly(value, "numpy", "ndarray"):
        if (
            not value.size
            or not value.dtype.hasobject
            or not all(isinstance(item, axes.Axes) for item in value.flat)
        ):
            return None
        value = value.flat[0]
    if isinstance(value, axes.Axes):
        value = value.figure
    while isinstance(value, figures.SubFigure):
        value = value.figure
    return value if isinstance(value, figures.Figure) else None


def _write_figure(value: Any, place: Place) -> None:
    figure = _figure_of(value)
    with place(".png").open("wb") as file:
        figure.savefig(file, format="png", bbox_inches="tight")
    drawing = io.BytesIO()
    figure.savefig(drawing, format="svg", bbox_inches="tight", metadata={"Date": None})
    if drawing.tell() <= _SVG_LIMIT:
        place(".svg").write_bytes(drawing.getvalue())


def write_shown(value: Any, place: Place) -> None:
    """Write what an object shows of itself in a notebook, where that is a picture."""
    shown = {"image/png": _shown(value, "_repr_png_"), "image/svg+xml": _shown(value, "_repr_svg_")}
    if not any(shown.values()):
        shown = _shown(value, "_repr_mimebundle_") or {}
    png, svg = shown.get("image/png"), shown.get("image/svg+xml")
    if not png and not svg:
        raise UnfitError
    if png:
        place(".png").write_bytes(base64.b64decode(png) if isinstance(png, str) else png)
    if svg:
        place(".svg").write_bytes(svg.encode("utf-8"))


def _shown(value: Any, method: str) -> Any:
    found = getattr(type(value), method, None)
    content = found(value) if found is not None else None
    return content[0] if isinstance(content, tuple) else content  # (data, metadata)


def read_picture(paths: Sequence[pathlib.Path], detail: Mapping[str, Any]) -> Picture:  # noqa: ARG001 - readers are alike
    """Read the format "picture"."""
    found = {path.suffix: path.read_bytes() for path in paths}
    svg = found.get(".svg")
    return Picture(found.get(".png"), svg.decode("utf-8") if svg is not None else None)
