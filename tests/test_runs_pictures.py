from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pytest

from flownb.runs.values import Picture, load, store

if TYPE_CHECKING:
    from pathlib import Path

mpl.use("agg")


def figure() -> Any:
    from matplotlib.figure import Figure

    made = Figure(figsize=(2, 1))
    made.subplots(1, 2)[0].plot([1, 2, 3])
    return made


@pytest.mark.parametrize("what", ["figure", "axes", "array of axes", "subfigure"])
def test_figures_and_axes_are_stored_as_png_and_svg(tmp_path: Path, what: str) -> None:
    made = figure()
    value = {
        "figure": lambda: made,
        "axes": lambda: made.axes[1],
        "array of axes": lambda: np.array([made.axes]),
        "subfigure": lambda: made.subfigures(1, 2)[0],
    }[what]()
    record = store("chart", value, tmp_path)
    assert record["format"] == "picture"
    assert record["size"] == sum(path.stat().st_size for path in tmp_path.iterdir())
    picture = load(record, tmp_path)
    assert isinstance(picture, Picture)
    assert picture.png is not None
    assert picture.svg is not None
    assert picture.png.startswith(b"\x89PNG")
    assert "<svg" in picture.svg


def test_a_drawing_that_is_too_large_is_kept_as_png_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flownb.runs.values import pictures

    monkeypatch.setattr(pictures, "_SVG_LIMIT", 100)
    record = store("chart", figure(), tmp_path)
    assert load(record, tmp_path).svg is None
    assert len(list(tmp_path.iterdir())) == 1


def test_a_figure_that_cannot_be_drawn_is_kept_as_it_is(tmp_path: Path) -> None:
    made = figure()
    made.text(0, 0, r"$\frac{$")
    record = store("chart", made, tmp_path)
    assert record["format"] == "cloudpickle"
    assert len(load(record, tmp_path).axes) == 2
    assert len(list(tmp_path.iterdir())) == 1
