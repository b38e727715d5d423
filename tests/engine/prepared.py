"""Points as the stages of the engine get them."""

from __future__ import annotations

import numpy as np

from lrc_numba.engine.grid import Grid
from lrc_numba.engine.operator import Operator
from lrc_numba.engine.points import SortedPoints


def sorted_points(grid: Grid, points: np.ndarray, threads: int = 1) -> SortedPoints:
    """Sorted for a grid.

    Parameters
    ----------
    grid : Grid
        Of a plan that knows how many points there are.
    points : (N, d) or (B, N, d) array
        As for ``LRCPlan.set_points``.
    threads : int
        At most so many.
    """
    batch = 1 if points.ndim == 2 else len(points)
    return Operator(grid, threads, False).sort("points", points.reshape(-1, grid.dim), batch)
