"""Where the steps of a flow stand in a drawing: in layers from top to bottom, with few crossings.

Pure: a graph in, boxes and lines out, in pixels. A step stands below all that it reads from. A line that
passes by a layer has a place of its own there, so that it goes around the boxes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flownb.graph import Graph

_LETTER = 7.4  #: pixels
_ROW = 17
_APART = 28  #: pixels between two boxes of a layer
_GAP = 44  #: pixels between two layers
_MARGIN = 12
_LONGEST = 34  #: characters of a label
_SWEEPS = 8


@dataclass(frozen=True)
class Box:
    """A step: what it reads of the parameters above its name, what it gives below."""

    x: float
    y: float
    width: float
    height: float
    rows: tuple[tuple[str, str], ...]  #: each with its kind: "in", "step" or "out"


@dataclass(frozen=True)
class Arrow:
    """What flows from one step to another."""

    path: str  #: as SVG has it
    label: str
    x: float
    y: float


@dataclass(frozen=True)
class Drawn:
    """A drawing."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


def drawn(graph: Graph) -> Drawn:
    """Lay out the steps of a flow."""
    rows = {step: _rows(graph, step) for step in graph.steps}
    sizes = {
        step: (max(len(text) for text, _ in texts) * _LETTER + 24, len(texts) * _ROW + 12)
        for step, texts in rows.items()
    }
    layers, paths = _layers(graph)
    centres = _placed(layers, paths, {node: size[0] for node, size in sizes.items()})
    heights = [max((sizes[node][1] for node in layer if node in sizes), default=0) for layer in layers]
    tops = [_MARGIN + sum(heights[:at]) + at * _GAP for at in range(len(layers))]
    level = {node: at for at, layer in enumerate(layers) for node in layer}
    left = min((centres[step] - sizes[step][0] / 2 for step in sizes), default=0) - _MARGIN
    boxes = tuple(
        Box(centres[step] - width / 2 - left, tops[level[step]], width, height, rows[step])
        for step, (width, height) in sizes.items()
    )
    arrows: list[Arrow] = []
    for edge, path in zip(graph.edges, paths, strict=True):
        points = []
        for node in path:
            top = tops[level[node]]
            bottom = top + sizes[node][1] if node in sizes else top + heights[level[node]]
            points.append((centres[node] - left, top, bottom))
        (x, _, y), (x2, y2, _) = points[0], points[1]
        told = {(known.source, known.names) for known in graph.edges[: len(arrows)]}
        label = "" if (edge.source, edge.names) in told else _short(", ".join(edge.names))
        arrows.append(Arrow(_path(points), label, (x + x2) / 2 + 5, max(y, y2 - _GAP) + _GAP / 2 + 4))
    right = max(
        [box.x + box.width for box in boxes] + [arrow.x + len(arrow.label) * _LETTER for arrow in arrows],
        default=0,
    )
    return Drawn(right + _MARGIN, tops[-1] + heights[-1] + _MARGIN if layers else 0, boxes, tuple(arrows))


def _rows(graph: Graph, step: str) -> tuple[tuple[str, str], ...]:
    read = [edge.source for edge in graph.inputs if edge.target == step]
    given = [edge.target for edge in graph.results if edge.source == step]
    named = ((", ".join(read), "in"), (step, "step"), (", ".join(given), "out"))
    return tuple((_short(text), kind) for text, kind in named if text or kind == "step")


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _layers(graph: Graph) -> tuple[list[list[str]], list[list[str]]]:
    """Return the nodes of each layer, and each edge's way through them; where it passes by is a node, too."""
    level: dict[str, int] = {}
    for step in graph.steps:  # in the order in which they run
        sources = [level[edge.source] for edge in graph.edges if edge.target == step and edge.source in level]
        level[step] = max(sources, default=-1) + 1
    layers: list[list[str]] = [[] for _ in range(max(level.values(), default=-1) + 1)]
    for step, at in level.items():
        layers[at].append(step)
    paths = []
    for number, edge in enumerate(graph.edges):
        path = [edge.source]
        for at in range(level[edge.source] + 1, level[edge.target]):
            path.append(f"\0{number} {at}")  # no step is called like that
            layers[at].append(path[-1])
        paths.append([*path, edge.target])
    return layers, paths


def _placed(
    layers: list[list[str]], paths: Sequence[Sequence[str]], widths: dict[str, float]
) -> dict[str, float]:
    """Return where the middle of each node is: as near its neighbours as the others of its layer allow.

    Layer by layer, from top to bottom and back, the nodes are put in the order of where they want to be.
    """
    links = [link for path in paths for link in pairwise(path)]
    middles: dict[str, float] = {}
    for sweep in range(_SWEEPS):
        for layer in layers if sweep % 2 == 0 else layers[::-1]:
            wished = {node: _wish(node, links, middles) for node in layer}
            layer.sort(key=wished.__getitem__)
            at, before = 0.0, ""
            for node in layer:
                apart = (widths.get(before, 0) + widths.get(node, 0)) / 2 + _APART
                at = max(wished[node], at + apart) if before else wished[node]
                middles[node], before = at, node
            shift = sum(wished[node] - middles[node] for node in layer) / len(layer)
            for node in layer:
                middles[node] += shift
    return middles


def _wish(node: str, links: Iterable[tuple[str, str]], middles: dict[str, float]) -> float:
    neighbours = [b if a == node else a for a, b in links if node in (a, b)]
    known = [middles[each] for each in neighbours if each in middles]
    return sum(known) / len(known) if known else middles.get(node, 0.0)


def _path(points: Sequence[tuple[float, float, float]]) -> str:
    x, _, y = points[0]
    told = [f"M{x:.0f} {y:.0f}"]
    for at, (next_x, top, bottom) in enumerate(points[1:], 1):
        middle = (y + top) / 2
        told.append(f"C{x:.0f} {middle:.0f} {next_x:.0f} {middle:.0f} {next_x:.0f} {top:.0f}")
        if at < len(points) - 1:
            told.append(f"V{bottom:.0f}")
        x, y = next_x, bottom
    return "".join(told) + "m-4 -7l4 7l4 -7"
