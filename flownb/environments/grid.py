"""What to map a flow over: a list of parameters, or all combinations of some values. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from flownb.errors import ParameterError

# a dict is an Iterable itself, so that a checker could not tell which of the two is meant
Grid = Mapping[str, Iterable[Any]] | Sequence[Mapping[str, Any]] | Iterator[Mapping[str, Any]]


def points_of(grid: Grid) -> list[dict[str, Any]]:
    """Return the parameters of each run of a grid, in order.

    A list of dicts is taken as it is. A dict of lists stands for all combinations, the last name changing
    fastest. Raises `ParameterError` where it is neither.
    """
    if isinstance(grid, Mapping):
        for name, values in grid.items():
            if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
                raise ParameterError(
                    f"the grid has no list of values for `{name}`; write [value] for a single one"
                )
        columns = [list(values) for values in grid.values()]
        return [dict(zip(grid, row, strict=True)) for row in product(*columns)]
    points = list(grid)
    for number, point in enumerate(points, start=1):
        if not isinstance(point, Mapping):
            raise ParameterError(f"point {number} of the grid is no dict of parameters")
    return [dict(point) for point in points]
